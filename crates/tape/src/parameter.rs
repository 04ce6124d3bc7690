//! Parameters: what a graph asks for, and the two flat arenas (values and gradients) that hold them.

use std::ops::Range;

use rand::SeedableRng;
use rand_distr::{Distribution, Normal, Uniform};
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::buffer::{Buffer, LANE};

/// What the leading dimensions of a parameter run over; it says who owns each part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One for everybody.
    Shared,
    /// The first dimension is the scenario.
    PerScenario,
    /// The first dimension is the task.
    PerTask,
    /// The first dimension is `scenario * tasks + task`.
    PerScenarioTask,
}

impl Scope {
    /// Whether each scenario owns a part.
    #[must_use]
    pub fn is_per_scenario(self) -> bool {
        match self {
            Scope::PerScenario | Scope::PerScenarioTask => true,
            Scope::Shared | Scope::PerTask => false,
        }
    }

    /// Whether each task owns a part.
    #[must_use]
    pub fn is_per_task(self) -> bool {
        match self {
            Scope::PerTask | Scope::PerScenarioTask => true,
            Scope::Shared | Scope::PerScenario => false,
        }
    }
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
    /// All the same number.
    Constant(f32),
    /// Square matrices whose elements are runs of equal numbers, one after the other.
    Diagonal {
        /// Rows, and columns, of a matrix.
        size: usize,
        /// Numbers of one element.
        run: usize,
        /// On the diagonal.
        on: f32,
        /// Beside it.
        off: f32,
    },
    /// Uniform in plus or minus `sqrt(6 / (fan_in + fan_out))`.
    XavierUniform {
        /// Inputs of one block.
        fan_in: usize,
        /// Outputs of one block.
        fan_out: usize,
    },
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f32,
    },
    /// Normal with mean 0, drawn again beyond two standard deviations.
    TruncatedNormal {
        /// Standard deviation before the cut.
        std: f32,
    },
}

/// A named parameter of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Unique name; also the key in checkpoints and artefacts.
    pub name: String,
    /// Dimensions; the last is the width, the product of the others the number of rows.
    pub dims: Vec<usize>,
    /// How it starts.
    pub init: Init,
    /// Who owns which part of it.
    pub scope: Scope,
    /// Whether gradients and the optimiser touch it (moving statistics are not trainable).
    pub trainable: bool,
}

impl ParamSpec {
    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether it has no element at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Columns: the last dimension.
    #[must_use]
    pub fn width(&self) -> usize {
        self.dims.last().copied().unwrap_or(1)
    }

    /// Rows: the product of all dimensions but the last.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.dims[..self.dims.len().saturating_sub(1)].iter().product()
    }
}

/// Where each parameter lies in a flat arena. Every one starts on a cache line; gaps hold zeros.
#[derive(Clone, Debug)]
struct Layout {
    specs: Vec<ParamSpec>,
    starts: Vec<usize>,
    total: usize,
}

impl Layout {
    fn new(specs: &[ParamSpec]) -> Layout {
        let mut total = 0;
        let mut starts = Vec::with_capacity(specs.len());
        for spec in specs {
            starts.push(total);
            total += spec.len().next_multiple_of(LANE);
        }
        Layout { specs: specs.to_vec(), starts, total }
    }

    fn range_at(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts[index] + self.specs[index].len()
    }

    fn range(&self, name: &str) -> Option<Range<usize>> {
        let index = self.specs.iter().position(|spec| spec.name == name)?;
        Some(self.range_at(index))
    }
}

/// All parameters of a graph in one flat arena of `f32`.
#[derive(Clone, Debug)]
pub struct Params {
    layout: Layout,
    values: Buffer,
}

impl Params {
    /// Draws every parameter from a stream of its own: `seed(name)` is the seed of that stream, so adding a
    /// parameter changes no other.
    #[must_use]
    pub fn new(specs: &[ParamSpec], seed: impl Fn(&str) -> u64) -> Params {
        let layout = Layout::new(specs);
        let mut values = Buffer::default();
        values.resize(layout.total);
        for (index, spec) in specs.iter().enumerate() {
            fill(&mut values[layout.range_at(index)], spec.init, seed(&spec.name));
        }
        Params { layout, values }
    }

    /// The elements of one parameter, row-major over its `dims`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        Some(&self.values[self.layout.range(name)?])
    }

    /// The elements of one parameter, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        let range = self.layout.range(name)?;
        Some(&mut self.values[range])
    }

    /// The parameter at this position of [`Params::specs`].
    #[must_use]
    pub fn at(&self, index: usize) -> &[f32] {
        &self.values[self.layout.range_at(index)]
    }

    /// The parameter at this position of [`Params::specs`], to be changed.
    pub fn at_mut(&mut self, index: usize) -> &mut [f32] {
        let range = self.layout.range_at(index);
        &mut self.values[range]
    }

    /// What the graph asked for, in its order.
    #[must_use]
    pub fn specs(&self) -> &[ParamSpec] {
        &self.layout.specs
    }

    /// The whole arena, gaps included (they hold zeros).
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The whole arena, to be changed. Leave the gaps at zero.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Where a parameter lies in [`Params::values`].
    #[must_use]
    pub fn range(&self, name: &str) -> Option<Range<usize>> {
        self.layout.range(name)
    }

    /// Where the trainable parameters lie in [`Params::values`], in the order of the specs.
    pub fn trainable_ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let trainable = |index: &usize| self.layout.specs[*index].trainable;
        (0..self.layout.specs.len()).filter(trainable).map(|index| self.layout.range_at(index))
    }

    /// Number of trainable elements.
    #[must_use]
    pub fn trainable_len(&self) -> usize {
        self.trainable_ranges().map(|range| range.len()).sum()
    }
}

/// Gradients of all parameters, laid out as [`Params`] is.
#[derive(Clone, Debug)]
pub struct Gradients {
    layout: Layout,
    values: Buffer,
    /// Cleared but not yet written to zero: the first product overwrites instead of adding.
    pub(crate) fresh: Vec<bool>,
}

impl Gradients {
    /// All zero, for these parameters.
    #[must_use]
    pub fn new(params: &Params) -> Gradients {
        let layout = params.layout.clone();
        let mut values = Buffer::default();
        values.resize(layout.total);
        let fresh = vec![true; layout.specs.len()];
        Gradients { layout, values, fresh }
    }

    /// Sets all to zero.
    pub fn clear(&mut self) {
        self.values.fill(0.0);
        self.fresh.fill(true);
    }

    /// Gradient of one parameter.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        Some(&self.values[self.layout.range(name)?])
    }

    /// The gradient at this position of [`Params::specs`].
    #[must_use]
    pub fn at(&self, index: usize) -> &[f32] {
        &self.values[self.layout.range_at(index)]
    }

    pub(crate) fn at_mut(&mut self, index: usize) -> &mut [f32] {
        let range = self.layout.range_at(index);
        &mut self.values[range]
    }

    /// The whole arena, gaps included (they hold zeros).
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The whole arena, to be changed (gradient surgery). Leave the gaps at zero.
    pub fn values_mut(&mut self) -> &mut [f32] {
        self.fresh.fill(false);
        &mut self.values
    }

    /// Euclidean norm of all gradients together.
    #[must_use]
    pub fn norm(&self) -> f64 {
        crate::kernel::sum_of_squares(&self.values).sqrt()
    }

    /// Multiplies all gradients.
    pub fn scale(&mut self, factor: f32) {
        crate::kernel::scale(self.values_mut(), factor);
    }
}

fn fill(values: &mut [f32], init: Init, seed: u64) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    match init {
        Init::Zeros => values.fill(0.0),
        Init::Ones => values.fill(1.0),
        Init::Constant(constant) => values.fill(constant),
        Init::Diagonal { size, run, on, off } => {
            for (at, value) in values.iter_mut().enumerate() {
                let (row, column) = (at / run / size % size, at / run % size);
                *value = if row == column { on } else { off };
            }
        }
        Init::XavierUniform { fan_in, fan_out } => {
            let bound = (6.0 / (fan_in + fan_out).max(1) as f64).sqrt();
            let uniform = Uniform::new_inclusive(-bound, bound).expect("the bound is finite and positive");
            values.iter_mut().for_each(|value| *value = uniform.sample(&mut rng) as f32);
        }
        Init::Normal { std } => {
            let normal = normal(std);
            values.iter_mut().for_each(|value| *value = normal.sample(&mut rng) as f32);
        }
        Init::TruncatedNormal { std } => {
            let (normal, limit) = (normal(std), 2.0 * f64::from(std.abs()));
            for value in values {
                let mut draw = normal.sample(&mut rng);
                while draw.abs() > limit {
                    draw = normal.sample(&mut rng);
                }
                *value = draw as f32;
            }
        }
    }
}

fn normal(std: f32) -> Normal<f64> {
    assert!(std.is_finite() && std >= 0.0, "a standard deviation must be finite and not negative, got {std}");
    Normal::new(0.0, f64::from(std)).expect("the standard deviation was checked")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, dims: &[usize], init: Init) -> ParamSpec {
        ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable: true }
    }

    fn seed(name: &str) -> u64 {
        name.bytes().map(u64::from).sum()
    }

    #[test]
    fn a_new_parameter_does_not_change_the_others() {
        let a = spec("a", &[3, 5], Init::Normal { std: 1.0 });
        let b = spec("b", &[7], Init::XavierUniform { fan_in: 3, fan_out: 4 });
        let alone = Params::new(std::slice::from_ref(&a), seed);
        let both = Params::new(&[b, a], seed);
        assert_eq!(alone.get("a"), both.get("a"));
        assert!(both.get("c").is_none());
    }

    #[test]
    fn draws_respect_their_bounds() {
        let specs = [
            spec("x", &[1000], Init::XavierUniform { fan_in: 3, fan_out: 3 }),
            spec("t", &[1000], Init::TruncatedNormal { std: 0.5 }),
        ];
        let params = Params::new(&specs, seed);
        assert!(params.get("x").unwrap().iter().all(|v| v.abs() <= 1.0));
        assert!(params.get("t").unwrap().iter().all(|v| v.abs() <= 1.0));
        let mean_square = params.get("x").unwrap().iter().map(|v| v * v).sum::<f32>() / 1000.0;
        assert!((mean_square - 1.0 / 3.0).abs() < 0.05, "{mean_square}");
    }

    #[test]
    fn only_trainable_parameters_are_in_the_trainable_ranges() {
        let mut still = spec("still", &[4], Init::Ones);
        still.trainable = false;
        let params = Params::new(&[still, spec("a", &[2, 3], Init::Zeros)], seed);
        assert_eq!(params.trainable_len(), 6);
        assert_eq!(params.trainable_ranges().next(), params.range("a"));
    }
}
