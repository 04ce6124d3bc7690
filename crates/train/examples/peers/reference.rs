//! What the commands that time a model share: their arguments, the network, and batches of random rows.
//!
//! Rows have 20 categorical columns with Zipf-like values, a scenario out of six and two labels. The network is the reference
//! HiNet of `experiments/reference.toml`, or whatever `--model` says.

use std::error::Error;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use hinet_data::{Batch, Column, Layout, Seed, Slot, TableSpec, TaskSpec, UnknownScenario};
use hinet_model::{
    CgcConfig, HinetConfig, Model, ModelConfig, ScenarioLayerConfig, SparseOptimiserConfig, SparseOptimiserKind,
    TaskLayerConfig, TaskScope, zoo,
};
use rayon::{ThreadPool, ThreadPoolBuilder};

const COLUMNS: usize = 20;
const DIM: usize = 16;
const TASKS: usize = 2;
const SHARES: [f64; 6] = [0.4, 0.25, 0.15, 0.1, 0.06, 0.04];
/// Rows 0 and 1 of a table stand for missing and unseen values.
const RESERVED: u32 = 2;
const USAGE: &str = "arguments: [threads] [rows] [seconds] [--values PER_COLUMN] [--batches NUMBER] [--user-columns NUMBER] \
                     [--model JSON] [--tables JSON] [--precision f32] [--write-batches FILE]";

/// What the command line says.
pub(crate) struct Arguments {
    threads: usize,
    /// Rows of a batch.
    rows: usize,
    /// How long to time, after the warm-up.
    pub(crate) seconds: f64,
    /// Values of each column.
    values: usize,
    /// Distinct batches, taken in turn.
    batches: u64,
    /// So many columns, and the scenario, are the same in all rows of a batch: one user and many items.
    user_columns: usize,
    model: ModelConfig,
    /// Optimiser of the tables.
    pub(crate) tables: SparseOptimiserConfig,
    /// Where the batches are to be written, for engines that are to have the same ones; then nothing is timed.
    write_batches: Option<PathBuf>,
}

impl Arguments {
    /// `batches` unless the command line says otherwise.
    pub(crate) fn read(words: Vec<String>, batches: u64) -> Result<Arguments, Box<dyn Error>> {
        let mut all = Arguments {
            threads: 1,
            rows: 1024,
            seconds: 5.0,
            values: 100_000,
            batches,
            user_columns: 0,
            model: reference(),
            tables: SparseOptimiserConfig {
                optimiser: SparseOptimiserKind::Adam,
                learning_rate: 1e-3,
                ..SparseOptimiserConfig::default()
            },
            write_batches: None,
        };
        let mut place = 0;
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if let Some(option) = word.strip_prefix("--") {
                all.option(option, &words.next().ok_or(USAGE)?)?;
                continue;
            }
            match place {
                0 => all.threads = count(&word)?,
                1 => all.rows = count(&word)?,
                2 => all.seconds = seconds(&word)?,
                _ => return Err(USAGE.into()),
            }
            place += 1;
        }
        Ok(all)
    }

    fn option(&mut self, option: &str, value: &str) -> Result<(), Box<dyn Error>> {
        match option {
            "values" => self.values = count(value)?,
            "batches" => self.batches = count(value)? as u64,
            "user-columns" => self.user_columns = number(value)?,
            "model" => self.model = zoo::expand(&serde_json::from_str(value)?)?,
            "tables" => self.tables = serde_json::from_str(value)?,
            "precision" if value == "f32" => {}
            "precision" => return Err(format!("hinet computes in f32 alone, not in {value}").into()),
            "write-batches" => self.write_batches = Some(PathBuf::from(value)),
            _ => return Err(USAGE.into()),
        }
        Ok(())
    }

    /// Whether the network is the reference.
    pub(crate) fn is_reference(&self) -> bool {
        self.model == reference()
    }

    /// Features that all rows of a batch have in common.
    pub(crate) fn user_features(&self) -> Vec<String> {
        (0..self.user_columns).map(name).collect()
    }

    pub(crate) fn pool(&self) -> Result<Arc<ThreadPool>, Box<dyn Error>> {
        Ok(Arc::new(ThreadPoolBuilder::new().num_threads(self.threads).build()?))
    }

    /// The model before its first step.
    pub(crate) fn model(&self) -> Result<Model, Box<dyn Error>> {
        let task = |name: &str| TaskSpec::new(name);
        let rows = self.values + RESERVED as usize;
        let layout = Layout {
            sequences: Vec::new(),
            tables: (0..COLUMNS).map(|c| TableSpec { name: name(c), rows, dim: DIM }).collect(),
            slots: (0..COLUMNS).map(|table| Slot::Lookup { feature: name(table), table }).collect(),
            scenarios: (0..SHARES.len()).map(|scenario| scenario.to_string()).collect(),
            scenario_rows: SHARES.iter().map(|share| (share * 1e6) as u64).collect(),
            tasks: vec![task("click"), task("order")],
            unknown: UnknownScenario::Error,
        };
        Ok(Model::new(layout, self.model.clone(), Seed(7))?)
    }

    /// Different batches, each grouped by scenario; none where they were to be written and nothing else.
    pub(crate) fn batches(&self) -> Result<Option<Vec<Batch>>, Box<dyn Error>> {
        let zipf = Zipf::new(self.values);
        let one = |index: u64| batch((self.rows, self.user_columns), &zipf, index);
        let batches: Vec<Batch> = (0..self.batches).map(one).collect();
        let Some(path) = &self.write_batches else { return Ok(Some(batches)) };
        std::fs::write(path, batches.iter().flat_map(plain).flat_map(i32::to_le_bytes).collect::<Vec<u8>>())?;
        println!("{{\"batches\": {}, \"rows\": {}}}", self.batches, self.rows);
        Ok(None)
    }
}

/// The name of a column.
fn name(column: usize) -> String {
    format!("f{column}")
}

/// So many: one at least.
fn count(text: &str) -> Result<usize, String> {
    let found = number(text)?;
    if found > 0 { Ok(found) } else { Err(format!("0 is too few, there must be 1 or more; {USAGE}")) }
}

/// How long to time.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let found = text.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0);
    found.ok_or_else(|| format!("{text:?} is no number of seconds above 0"))
}

fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number; {USAGE}"))
}

/// The network of `experiments/reference.toml`.
fn reference() -> ModelConfig {
    let scenario = HinetConfig { gate_bias: false, san_bias: false, san_per_scenario: true, ..HinetConfig::default() };
    let task =
        CgcConfig { task_scope: TaskScope::PerScenario, specific: 4, cgc_gate_bias: false, ..CgcConfig::default() };
    ModelConfig {
        scenario: ScenarioLayerConfig::Hinet(scenario),
        task: TaskLayerConfig::Cgc(task),
        ..ModelConfig::default()
    }
}

/// Truncated Zipf with exponent 1.05, drawn through its cumulative shares.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(values: usize) -> Zipf {
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=values)
            .map(|rank| {
                sum += (rank as f64).powf(-1.05);
                sum
            })
            .collect();
        shares.iter_mut().for_each(|share| *share /= sum);
        Zipf(shares)
    }

    /// A row of a table.
    fn id(&self, uniform: f64) -> u32 {
        RESERVED + self.0.partition_point(|share| *share < uniform).min(self.0.len() - 1) as u32
    }
}

fn batch((rows, user_columns): (usize, usize), zipf: &Zipf, index: u64) -> Batch {
    let uniform = |purpose: &str, draw: usize| {
        let draw = Seed(1).stream(purpose, index << 32 | draw as u64);
        (draw >> 11) as f64 / (1_u64 << 53) as f64
    };
    let scenario = |row: usize| {
        let mut left = uniform("scenario", if user_columns > 0 { 0 } else { row });
        let found = SHARES.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        found.unwrap_or(SHARES.len() - 1) as u16
    };
    let id = |column: usize, row: usize| {
        let row = if column < user_columns { 0 } else { row };
        zipf.id(uniform("id", column * rows + row))
    };
    let ids = |column: usize| (0..rows).map(|row| id(column, row)).collect();
    let labels = (0..rows * TASKS).map(|at| f32::from(u8::from(uniform("label", at) < 0.1)));
    let batch = Batch {
        rows,
        features: (0..COLUMNS).map(|column| Column::Ids(ids(column))).collect(),
        scenario: (0..rows).map(scenario).collect(),
        labels: labels.collect(),
        observed: vec![true; rows * TASKS],
        weight: vec![1.0; rows],
        position: (0..rows as u32).collect(),
        ..Batch::default()
    };
    batch.grouped(SHARES.len() + 1)
}

/// A batch as whole numbers, row by row: the value of each column counted from 0, the scenario, the labels.
fn plain(batch: &Batch) -> Vec<i32> {
    let value = |column: &Column, row: usize| match column {
        Column::Ids(ids) => (ids[row] - RESERVED) as i32,
        Column::Bag { .. } | Column::Dense(_) => unreachable!("`batch` makes ids alone"),
    };
    let row = |row: usize| {
        let values = batch.features.iter().map(move |column| value(column, row));
        let labels = batch.labels[row * TASKS..(row + 1) * TASKS].iter().map(|label| *label as i32);
        values.chain([i32::from(batch.scenario[row])]).chain(labels)
    };
    (0..batch.rows).flat_map(row).collect()
}
