//! A small shop: rows with a rule to be learnt, written as CSV, and experiments over them.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use hinet_data::Seed;
use hinet_train::{Experiment, FitOptions, Observer, Progress, Quiet, Stage, Summary, TrainError, fit};

/// The files of a shop in a temporary folder.
pub(crate) struct Shop {
    folder: tempfile::TempDir,
}

const TRAIN_ROWS: u64 = 1500;
const OTHER_ROWS: u64 = 400;

impl Shop {
    pub(crate) fn new() -> Shop {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop { folder };
        shop.write("train.csv", 0..TRAIN_ROWS);
        shop.write("valid.csv", TRAIN_ROWS..TRAIN_ROWS + OTHER_ROWS);
        shop.write("test.csv", TRAIN_ROWS + OTHER_ROWS..TRAIN_ROWS + 2 * OTHER_ROWS);
        shop
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, rows: std::ops::Range<u64>) {
        self.write_some(name, rows, |_| true);
    }

    /// All rows that were clicked, and a tenth of the others.
    pub(crate) fn write_with_few_negatives(&self, name: &str, rows: std::ops::Range<u64>) {
        self.write_some(name, rows, |row| clicked(row) || Seed(11).stream("kept", row).is_multiple_of(10));
    }

    /// Rows of some tabs only.
    pub(crate) fn write_tabs(&self, name: &str, rows: std::ops::Range<u64>, tabs: &[&str]) {
        self.write_some(name, rows, |row| tabs.contains(&line(row).split(',').nth(1).unwrap()));
    }

    fn write_some(&self, name: &str, rows: std::ops::Range<u64>, keeps: impl Fn(u64) -> bool) {
        let mut text = "row,tab,user,item,price,click,order\n".to_owned();
        for row in rows.filter(|&row| keeps(row)) {
            writeln!(text, "{}", line(row)).unwrap();
        }
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The text of the experiment.
    pub(crate) fn config(&self) -> String {
        CONFIG.to_owned()
    }

    /// The experiment with some values set.
    pub(crate) fn experiment(&self, sets: &[(&str, &str)]) -> Experiment {
        Experiment::parse(CONFIG, &self.path("shop.toml"), &owned(sets)).unwrap()
    }
}

/// Values of `--set` as the command line gives them.
pub(crate) fn owned(sets: &[(&str, &str)]) -> Vec<(String, String)> {
    sets.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn line(row: u64) -> String {
    let draw = |purpose: &str, below: u64| Seed(11).stream(purpose, row) % below;
    let (tab, user, item) =
        (["home", "search", "cart"][draw("tab", 10) as usize / 4], draw("user", 30), draw("item", 50));
    let price = draw("price", 1000) as f64 / 10.0;
    let taste = |purpose: &str, id: u64| (Seed(11).stream(purpose, id) % 1000) as f64 / 500.0 - 1.0;
    let logit =
        2.0 * taste("user taste", user) + 2.0 * taste("item taste", item) + if tab == "search" { 1.0 } else { -0.5 };
    let chance = |logit: f64| 1.0 / (1.0 + (-logit).exp());
    let click = (draw("click", 10_000) as f64) < 10_000.0 * chance(logit);
    let order = click && (draw("order", 10_000) as f64) < 10_000.0 * chance(1.0 - price / 50.0);
    format!("{row},{tab},u{user},{item},{price},{},{}", u8::from(click), u8::from(order))
}

fn clicked(row: u64) -> bool {
    line(row).split(',').nth(5) == Some("1")
}

const CONFIG: &str = r#"
name = "shop"

[data]
train = "train.csv"
valid = "valid.csv"
test = "test.csv"
user = "user"

[scenario]
column = "tab"

[[task]]
name = "click"
label = "click"

[[task]]
name = "order"
label = "order"
where = "click == 1"

[[feature]]
columns = ["user", "item"]
kind = "categorical"
dim = 8

[[feature]]
columns = ["price"]
kind = "numeric"
transform = "quantile"
buckets = 5
dim = 4

[model]
preset = "hinet"
sub_experts = 2
shared_sub_experts = 2
units = [16, 8]
sei_dropout = 0.1
scenario_dim = 4
shared = 1
specific = 1
expert_units = [8]
tower_units = [8]

[train]
epochs = 3
batch_size = 128
seed = 7
threads = 1
log_every = 1
dense = { optimiser = "adam", learning_rate = 0.005 }
sparse = { optimiser = "adagrad", learning_rate = 0.05 }
"#;

/// Fits with nobody watching.
pub(crate) fn fit_quietly(experiment: &Experiment, out: &Path, resume: bool) -> Result<Summary, TrainError> {
    fit(experiment, out, FitOptions { resume, stop: &AtomicBool::new(false), observer: &mut Quiet })
}

/// Fits until this step, then asks to stop.
pub(crate) fn fit_until(experiment: &Experiment, out: &Path, step: u64) -> Result<Summary, TrainError> {
    let stop = AtomicBool::new(false);
    let mut observer = StopAt { step, stop: &stop };
    fit(experiment, out, FitOptions { resume: true, stop: &stop, observer: &mut observer })
}

struct StopAt<'a> {
    step: u64,
    stop: &'a AtomicBool,
}

impl Observer for StopAt<'_> {
    fn stage(&mut self, _stage: Stage<'_>) {}

    fn progress(&mut self, progress: &Progress<'_>) {
        if progress.step == self.step {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn warn(&mut self, _warning: &str) {}
}

/// Remembers what it is told.
#[derive(Default)]
pub(crate) struct Ears {
    pub(crate) warnings: Vec<String>,
    pub(crate) evaluations: Vec<(u64, Option<f64>, bool)>,
}

impl Observer for Ears {
    fn stage(&mut self, stage: Stage<'_>) {
        if let Stage::Evaluated(evaluated) = stage {
            self.evaluations.push((evaluated.step, evaluated.metric, evaluated.best));
        }
    }

    fn progress(&mut self, _progress: &Progress<'_>) {}

    fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }
}

/// Fits and tells what was heard.
pub(crate) fn fit_heard(experiment: &Experiment, out: &Path) -> (Result<Summary, TrainError>, Ears) {
    let mut ears = Ears::default();
    let options = FitOptions { resume: false, stop: &AtomicBool::new(false), observer: &mut ears };
    (fit(experiment, out, options), ears)
}
