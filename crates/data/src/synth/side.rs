//! Users or items: how often each occurs, what their columns hold, and the latent vector the columns add up to.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_distr::StandardNormal;
use rand_xoshiro::Xoshiro256PlusPlus;

use super::config::{SynthColumns, SynthConfig};
use super::linear::normals;
use crate::seed::Seed;

/// Users or items.
pub(super) struct Side {
    /// `user` or `item`.
    pub(super) name: &'static str,
    /// The columns that describe it, without the id.
    pub(super) columns: Vec<SideColumn>,
    /// `[count, width]`, row-major.
    pub(super) latent: Vec<f64>,
    /// Probability of each.
    pub(super) probability: Vec<f64>,
    cumulative: Vec<f64>,
}

/// A column that describes users or items.
pub(super) struct SideColumn {
    pub(super) name: String,
    pub(super) values: Values,
}

/// What a column holds, one value per user or item.
pub(super) enum Values {
    /// A category written as a word.
    Word { codes: Vec<Option<u32>>, prefix: &'static str },
    /// A category written as a whole number.
    Code(Vec<Option<i64>>),
    /// A number.
    Number(Vec<Option<f64>>),
    /// Several categories, joined by [`SEPARATOR`].
    Several(Vec<Option<String>>),
}

/// What stands between the categories of a cell that has several.
pub(super) const SEPARATOR: &str = "|";

/// Names of a side's columns by kind.
pub(super) struct SideNames {
    pub(super) categorical: Vec<String>,
    pub(super) numeric: Vec<String>,
    pub(super) multi: Vec<String>,
}

/// Names of the columns that describe `side`, `user` or `item`.
pub(super) fn side_names(side: &str, columns: &SynthColumns) -> SideNames {
    let known: [&[&str]; 3] = match side {
        "user" => [&["segment", "city", "device"], &["age", "tenure"], &["interests"]],
        _ => [&["category", "brand", "format"], &["price", "length"], &["tags"]],
    };
    let label = |names: &[&str], rest: &str, index: usize| match names.get(index) {
        Some(name) => format!("{side}_{name}"),
        None => format!("{side}_{rest}{}", index + 1),
    };
    SideNames {
        categorical: (0..columns.categorical.len()).map(|index| label(known[0], "category", index)).collect(),
        numeric: (0..columns.numeric as usize).map(|index| label(known[1], "number", index)).collect(),
        multi: (0..columns.multi as usize).map(|index| label(known[2], "words", index)).collect(),
    }
}

const WORDS: u32 = 20;
const MOST_WORDS: u32 = 4;

impl Side {
    pub(super) fn users(config: &SynthConfig, width: usize) -> Side {
        Side::new("user", (config.users, &config.user_columns), config, width)
    }

    pub(super) fn items(config: &SynthConfig, width: usize) -> Side {
        Side::new("item", (config.items, &config.item_columns), config, width)
    }

    fn new(name: &'static str, (count, columns): (u32, &SynthColumns), config: &SynthConfig, width: usize) -> Side {
        let count = count as usize;
        let names = side_names(name, columns);
        let mut build =
            Builder { side: name, count, width, config, sum: vec![0.0; count * width], columns: Vec::new() };
        for (index, (name, &cardinality)) in names.categorical.into_iter().zip(&columns.categorical).enumerate() {
            build.categorical(name, cardinality, index);
        }
        names.numeric.into_iter().for_each(|name| build.numeric(name));
        names.multi.into_iter().for_each(|name| build.several(name));
        let latent = build.latent();
        let probability = popularity(count, config, name);
        let cumulative = running_sum(&probability);
        Side { name, columns: build.columns, latent, probability, cumulative }
    }

    /// Name of the id's column.
    pub(super) fn id(&self) -> String {
        format!("{}_id", self.name)
    }

    /// Draws one by popularity.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> u32 {
        pick(&self.cumulative, rng) as u32
    }
}

struct Builder<'a> {
    side: &'static str,
    count: usize,
    width: usize,
    config: &'a SynthConfig,
    sum: Vec<f64>,
    columns: Vec<SideColumn>,
}

impl Builder<'_> {
    /// A stream of its own for each column, so that one more changes no other.
    fn rng(&self) -> Xoshiro256PlusPlus {
        stream(self.config.seed, &format!("synth {} column", self.side), self.columns.len() as u64)
    }

    fn categorical(&mut self, name: String, cardinality: u32, index: usize) {
        let mut rng = self.rng();
        let vectors = normals(cardinality as usize * self.width, &mut rng);
        let mut codes = Vec::with_capacity(self.count);
        for row in 0..self.count {
            let code = self.present(&mut rng).then(|| rng.random_range(0..cardinality));
            if let Some(code) = code {
                self.add(row, &vectors[code as usize * self.width..], 1.0);
            }
            codes.push(code);
        }
        let values = if index.is_multiple_of(2) {
            Values::Word { codes, prefix: if self.side == "user" { "u" } else { "i" } }
        } else {
            Values::Code(codes.into_iter().map(|code| code.map(i64::from)).collect())
        };
        self.columns.push(SideColumn { name, values });
    }

    /// Each latent number rides a sine of the number's quantile, up to one and a half periods long.
    fn numeric(&mut self, name: String) {
        let mut rng = self.rng();
        let waves: Vec<(f64, f64)> =
            (0..self.width).map(|_| (rng.random_range(0.5..1.5), rng.random::<f64>())).collect();
        let mut values = Vec::with_capacity(self.count);
        for row in 0..self.count {
            let quantile = self.present(&mut rng).then(|| rng.random_range(0..=1000_u32));
            values.push(quantile.map(|quantile| as_price(f64::from(quantile) / 1000.0)));
            let Some(quantile) = quantile else { continue };
            let turn = |&(periods, phase): &(f64, f64)| periods * f64::from(quantile) / 1000.0 + phase;
            let vector: Vec<f64> = waves.iter().map(|wave| (std::f64::consts::TAU * turn(wave)).sin()).collect();
            self.add(row, &vector, 1.0);
        }
        self.columns.push(SideColumn { name, values: Values::Number(values) });
    }

    fn several(&mut self, name: String) {
        let mut rng = self.rng();
        let vectors = normals(WORDS as usize * self.width, &mut rng);
        let mut values = Vec::with_capacity(self.count);
        for row in 0..self.count {
            if !self.present(&mut rng) {
                values.push(None);
                continue;
            }
            let length = rng.random_range(1..=MOST_WORDS) as usize;
            let words: Vec<usize> = rand::seq::index::sample(&mut rng, WORDS as usize, length).into_vec();
            for &word in &words {
                self.add(row, &vectors[word * self.width..], 1.4 / length as f64);
            }
            let texts: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
            values.push(Some(texts.join(SEPARATOR)));
        }
        self.columns.push(SideColumn { name, values: Values::Several(values) });
    }

    fn present(&self, rng: &mut impl Rng) -> bool {
        rng.random::<f64>() >= self.config.missing
    }

    fn add(&mut self, row: usize, vector: &[f64], factor: f64) {
        let into = &mut self.sum[row * self.width..(row + 1) * self.width];
        into.iter_mut().zip(vector).for_each(|(sum, value)| *sum += factor * value);
    }

    /// The columns' sum at unit scale, mixed with what only the id tells.
    fn latent(&self) -> Vec<f64> {
        let described = if self.columns.is_empty() { 0.0 } else { 1.0 - self.config.id_share };
        let scale = (described / self.columns.len().max(1) as f64).sqrt();
        let own = (1.0 - described).sqrt();
        let mut rng = stream(self.config.seed, &format!("synth {} ids", self.side), 0);
        self.sum.iter().map(|sum| scale * sum + own * rng.sample::<f64, _>(StandardNormal)).collect()
    }
}

/// The random generator of one named stream.
pub(super) fn stream(seed: u64, purpose: &str, index: u64) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(Seed(seed).stream(purpose, index))
}

/// Running sums of weights that add up to 1; the last is exactly 1.
pub(super) fn running_sum(weights: &[f64]) -> Vec<f64> {
    let mut sum = 0.0;
    let mut sums: Vec<f64> = weights
        .iter()
        .map(|weight| {
            sum += weight;
            sum
        })
        .collect();
    if let Some(last) = sums.last_mut() {
        *last = 1.0;
    }
    sums
}

/// Draws an index; `cumulative` are the running sums of its probabilities.
pub(super) fn pick(cumulative: &[f64], rng: &mut impl Rng) -> usize {
    let draw: f64 = rng.random();
    cumulative.partition_point(|&sum| sum <= draw).min(cumulative.len() - 1)
}

/// Zipf weights, handed out in a random order so that a small id is not a frequent one.
fn popularity(count: usize, config: &SynthConfig, side: &str) -> Vec<f64> {
    let mut weights: Vec<f64> = (1..=count).map(|rank| (rank as f64).powf(-config.zipf)).collect();
    weights.shuffle(&mut stream(config.seed, &format!("synth {side} popularity"), 0));
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
    weights
}

/// From 10 to 10,000, to the cent, evenly on a logarithmic scale: strictly ascending over the 1001 quantiles that occur.
fn as_price(quantile: f64) -> f64 {
    let cents = (1000.0 * 1000_f64.powf(quantile)).round();
    cents / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_quantiles_apart() {
        let prices: Vec<f64> = (0..=1000).map(|quantile| as_price(f64::from(quantile) / 1000.0)).collect();
        assert!(prices.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((prices[0], prices[1000]), (10.0, 10_000.0));
    }

    #[test]
    fn draws_follow_popularity() {
        let cumulative = running_sum(&[0.7, 0.2, 0.1]);
        let mut rng = stream(1, "test", 0);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[pick(&cumulative, &mut rng)] += 1;
        }
        assert!((6850..7150).contains(&counts[0]) && (1850..2150).contains(&counts[1]), "{counts:?}");
    }

    #[test]
    fn one_more_column_changes_no_other() {
        let small = SynthConfig { users: 20, ..SynthConfig::default() };
        let mut large = small.clone();
        large.user_columns.multi += 1;
        let (small, large) = (Side::users(&small, 3), Side::users(&large, 3));
        let codes = |side: &Side| match &side.columns[0].values {
            Values::Word { codes, .. } => codes.clone(),
            Values::Code(_) | Values::Number(_) | Values::Several(_) => Vec::new(),
        };
        assert_eq!(small.columns.len() + 1, large.columns.len());
        assert_eq!(codes(&small), codes(&large));
        assert_eq!(codes(&small).len(), 20);
    }
}
