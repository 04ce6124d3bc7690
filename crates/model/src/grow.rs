//! A model that goes on from another one, with scenarios and ids that the other one did not know.

use std::ops::Range;

use hinet_data::{Layout, Seed};
use hinet_tape::ParamSpec;

use crate::config::bad;
use crate::{Embeddings, Model, ModelError, Tables};

/// How what a new scenario owns starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As that of an old scenario, by its number.
    Like(usize),
    /// As the mean of those of all old scenarios.
    Mean,
    /// As in a model that has learnt nothing.
    Fresh,
}

impl Model {
    /// This model for a layout whose first scenarios are those it knows. What all share, and what old scenarios own, is as it
    /// was; `origins` says how what each new scenario owns starts. Ids that are new start as the unseen one.
    ///
    /// # Errors
    /// [`ModelError::BadOption`] if the layout is not this one with more scenarios and ids, or the model has parameters whose
    /// shape depends on how many scenarios there are.
    pub fn grown(&self, layout: Layout, origins: &[Origin], seed: Seed) -> Result<Model, ModelError> {
        let (old, new) = (self.layout.scenarios.len(), layout.scenarios.len());
        assert_eq!(old + origins.len(), new, "an origin for each new scenario");
        if layout.scenarios[..old] != self.layout.scenarios || !same_shape(&layout, &self.layout) {
            return Err(bad("warm_start", "a run on other features or tasks", "one on the same"));
        }
        if self.config.tables != Tables::Shared {
            return Err(bad("tables", "not shared", "shared tables, for a model that goes on from another"));
        }
        let mut model = Model::without_tables(layout, self.config.clone(), seed)?;
        for index in 0..model.params.specs().len() {
            let spec = model.params.specs()[index].clone();
            let known = self.params.specs().iter().zip(0..).find(|(before, _)| before.name == spec.name);
            let shape = known.and_then(|(before, at)| Some((Shape::of(&spec, before, (old, new))?, at)));
            let Some((shape, at)) = shape else {
                let found = format!("a model with a `{}` of another shape", spec.name);
                return Err(bad("warm_start", found, "the same model with fewer scenarios"));
            };
            shape.grow(model.params.at_mut(index), self.params.at(at), origins);
        }
        grow_tables(&mut model.embeddings, &self.embeddings);
        Ok(model)
    }
}

impl Model {
    /// Where in [`Params::values`](hinet_tape::Params::values) lies what scenarios from this one on own and train.
    #[must_use]
    pub fn owned_from(&self, scenario: usize) -> Vec<Range<usize>> {
        let count = self.layout.scenarios.len();
        let owned = self.params.specs().iter().filter(|spec| spec.trainable && spec.scope.is_per_scenario());
        let of = |spec: &ParamSpec| {
            let range = self.params.range(&spec.name).expect("it is one of them");
            range.start + range.len() / count * scenario..range.end
        };
        owned.map(of).collect()
    }
}

fn same_shape(a: &Layout, b: &Layout) -> bool {
    let tables = a.tables.iter().zip(&b.tables).all(|(a, b)| a.name == b.name && a.dim == b.dim && a.rows >= b.rows);
    let tasks = a.tasks.iter().map(|task| &task.name).eq(b.tasks.iter().map(|task| &task.name));
    tables && tasks && a.tables.len() == b.tables.len() && a.slots == b.slots
}

/// How scenarios lie in a parameter: `[owners, rows, columns]`, each of owners and columns running over scenarios or not.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Old scenarios.
    old: usize,
    owners: bool,
    columns: bool,
    /// Numbers of one owner before, without the columns.
    rows: usize,
    /// Columns before and now.
    widths: (usize, usize),
}

impl Shape {
    /// None where the two differ in more than scenarios.
    fn of(spec: &ParamSpec, before: &ParamSpec, (old, new): (usize, usize)) -> Option<Shape> {
        let owners = spec.scope.is_per_scenario();
        let count = |scenarios: usize| if owners { scenarios } else { 1 };
        let widths = (before.width(), spec.width());
        let columns = widths == (old, new);
        let rows = before.len() / count(old) / widths.0;
        let same = (columns || widths.0 == widths.1) && rows == spec.len() / count(new) / widths.1;
        same.then_some(Shape { old, owners, columns, rows, widths })
    }

    /// The parts of old scenarios as they were, and those of new ones by their origin.
    fn grow(self, values: &mut [f32], before: &[f32], origins: &[Origin]) {
        let all = |count: bool| if count { origins } else { &[] };
        let (owners, columns) = (if self.owners { self.old } else { 1 }, self.widths.0);
        for (owner, part) in values.chunks_exact_mut(self.rows * self.widths.1).enumerate() {
            for (row, line) in part.chunks_exact_mut(self.widths.1).enumerate() {
                for (column, value) in line.iter_mut().enumerate() {
                    let from = (source(owner, owners, all(self.owners)), source(column, columns, all(self.columns)));
                    let at = |owner: usize, column: usize| before[(owner * self.rows + row) * columns + column];
                    *value = match from {
                        (From::Fresh, _) | (_, From::Fresh) => *value,
                        (From::One(owner), From::One(column)) => at(owner, column),
                        (From::One(owner), From::Mean) => mean(columns, |column| at(owner, column)),
                        (From::Mean, From::One(column)) => mean(owners, |owner| at(owner, column)),
                        (From::Mean, From::Mean) => mean(owners, |owner| mean(columns, |column| at(owner, column))),
                    };
                }
            }
        }
    }
}

/// Where a part comes from.
#[derive(Clone, Copy)]
enum From {
    One(usize),
    Mean,
    Fresh,
}

fn source(place: usize, old: usize, origins: &[Origin]) -> From {
    match place.checked_sub(old).map(|new| origins[new]) {
        None => From::One(place),
        Some(Origin::Like(scenario)) => From::One(scenario),
        Some(Origin::Mean) => From::Mean,
        Some(Origin::Fresh) => From::Fresh,
    }
}

fn mean(count: usize, value: impl Fn(usize) -> f32) -> f32 {
    (0..count).map(value).sum::<f32>() / count as f32
}

/// Row 1 of a table stands for an unseen id.
const UNSEEN: usize = 1;

fn grow_tables(tables: &mut Embeddings, before: &Embeddings) {
    let dims: Vec<usize> = tables.specs().map(|spec| spec.dim).collect();
    for (index, dim) in dims.into_iter().enumerate() {
        let known = before.table(index);
        let (kept, added) = tables.table_mut(index).split_at_mut(known.len());
        kept.copy_from_slice(known);
        let unseen = &known[UNSEEN * dim..][..dim];
        added.chunks_exact_mut(dim).for_each(|row| row.copy_from_slice(unseen));
    }
}

#[cfg(test)]
mod tests {
    use hinet_tape::{Init, Scope};

    use super::*;

    fn spec(dims: &[usize], scope: Scope) -> ParamSpec {
        ParamSpec { name: "p".into(), dims: dims.to_vec(), init: Init::Zeros, scope, trainable: true }
    }

    fn grown(before: (&[usize], &[f32]), dims: &[usize], scope: Scope, origins: &[Origin]) -> Vec<f32> {
        let (spec, known) = (spec(dims, scope), spec(before.0, scope));
        let shape = Shape::of(&spec, &known, (2, 2 + origins.len())).unwrap();
        let mut values = vec![9.0; spec.len()];
        shape.grow(&mut values, before.1, origins);
        values
    }

    #[test]
    fn what_scenarios_own_grows_by_parts() {
        let before = (&[2, 1, 2][..], &[1.0, 2.0, 3.0, 4.0][..]);
        let origins = [Origin::Like(1), Origin::Mean, Origin::Fresh];
        let found = grown(before, &[5, 1, 2], Scope::PerScenario, &origins);
        assert_eq!(found, [1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 2.0, 3.0, 9.0, 9.0]);
    }

    #[test]
    fn columns_that_run_over_scenarios_grow_in_every_row_and_both_in_what_is_owned_too() {
        let origins = [Origin::Like(0)];
        let found = grown((&[2, 2], &[1.0, 2.0, 3.0, 4.0]), &[2, 3], Scope::Shared, &origins);
        assert_eq!(found, [1.0, 2.0, 1.0, 3.0, 4.0, 3.0]);
        let found = grown((&[2, 1, 2], &[1.0, 2.0, 3.0, 4.0]), &[3, 1, 3], Scope::PerScenario, &origins);
        assert_eq!(found, [1.0, 2.0, 1.0, 3.0, 4.0, 3.0, 1.0, 2.0, 1.0]);
    }

    #[test]
    fn what_all_share_stays_and_other_shapes_are_refused() {
        let found = grown((&[1, 3], &[1.0, 2.0, 3.0]), &[1, 3], Scope::Shared, &[Origin::Mean]);
        assert_eq!(found, [1.0, 2.0, 3.0]);
        assert!(Shape::of(&spec(&[2, 4], Scope::Shared), &spec(&[2, 3], Scope::Shared), (2, 3)).is_none());
        assert!(Shape::of(&spec(&[3, 3], Scope::Shared), &spec(&[2, 3], Scope::Shared), (2, 3)).is_none());
    }
}
