//! Fits on tables in memory and on streams: the bits of their files, and what is refused.

use std::path::Path;

use arrow::array::RecordBatch;
use hinet_data::{DataError, Order, Source, Tables};
use hinet_train::{Evaluated, Experiment, FitOptions, Observer, Progress, Stage, StepDone, TrainError, fit};
use parquet::arrow::ArrowWriter;

use crate::fit::differences;
use crate::shop::{Shop, fit_quietly};

const PARTS: [&str; 3] = ["train", "valid", "test"];

/// The rows of a file of the shop, in batches of so many.
fn batches(shop: &Shop, part: &str, rows: usize) -> Vec<RecordBatch> {
    let source = Source::open(&[shop.path(&format!("{part}.csv"))]).unwrap();
    let names: Vec<String> = source.schema().fields().iter().map(|field| field.name().clone()).collect();
    let read = source.read(&names, Order::InFile).unwrap().map(|rows| rows.unwrap().batch);
    let cut = |batch: RecordBatch| {
        let starts = (0..batch.num_rows()).step_by(rows);
        starts.map(|start| batch.slice(start, rows.min(batch.num_rows() - start))).collect::<Vec<_>>()
    };
    read.flat_map(cut).collect()
}

fn table(shop: &Shop, part: &str) -> Source {
    let batches = batches(shop, part, 97);
    Source::from_table(&format!("<{part}>"), &batches[0].schema(), &batches).unwrap()
}

fn stream(shop: &Shop, part: &str) -> Source {
    let batches = batches(shop, part, 31);
    let schema = batches[0].schema();
    Source::from_stream(&format!("<{part}>"), &schema, batches.into_iter().map(Ok), None).unwrap()
}

/// The file that others would write of the table. Not the CSV, whose numbers may be read as texts: examples in the artefact are as
/// they were read.
fn parquet(shop: &Shop, part: &str) -> String {
    let path = shop.path(&format!("{part}.parquet"));
    let batches = batches(shop, part, 1000);
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), None).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.close().unwrap();
    path.to_str().unwrap().to_owned()
}

fn on_files(shop: &Shop) -> Experiment {
    let paths = PARTS.map(|part| (format!("data.{part}"), parquet(shop, part)));
    shop.experiment(&paths.each_ref().map(|(key, path)| (key.as_str(), path.as_str())))
}

fn experiment(shop: &Shop, make: fn(&Shop, &str) -> Source) -> Experiment {
    let paths = PARTS.map(|part| (format!("data.{part}"), Tables::path(part)));
    let paths = paths.each_ref().map(|(key, path)| (key.as_str(), path.as_str()));
    let tables = PARTS.iter().fold(Tables::default(), |tables, part| tables.with(part, make(shop, part)));
    shop.experiment(&paths).with_tables(tables)
}

#[test]
fn a_table_its_stream_and_its_file_give_the_same_bits() {
    let shop = Shop::new();
    let by_file = shop.path("by_file");
    fit_quietly(&on_files(&shop), &by_file, false).unwrap();
    for (name, make) in [("table", table as fn(&Shop, &str) -> Source), ("stream", stream)] {
        let run = shop.path(name);
        fit_quietly(&experiment(&shop, make), &run, false).unwrap();
        assert_eq!(differences(&by_file, &run), ["config.toml"], "{name}");
    }
}

#[test]
fn the_run_says_that_its_rows_were_a_table_and_what_needs_them_is_refused() {
    let shop = Shop::new();
    let run = shop.path("run");
    fit_quietly(&experiment(&shop, table), &run, false).unwrap();
    let record = std::fs::read_to_string(run.join("split.json")).unwrap();
    assert!(record.contains("\"rows\": 1500") && record.contains("<train>"), "{record}");
    let written = Experiment::load(&run.join("config.toml"), &[]).unwrap();
    let error = fit_quietly(&written, &shop.path("again"), false).unwrap_err();
    assert!(matches!(error, TrainError::Data(DataError::Config { .. })), "{error}");
    assert!(error.to_string().contains("`memory:train` is a table that the program had in memory"), "{error}");
}

#[test]
fn a_table_beside_files_is_refused() {
    let shop = Shop::new();
    let error = fit_quietly(
        &shop.experiment(&[("data.train", r#"["memory:train", "train.csv"]"#)]).with_tables(Tables::default()),
        &shop.path("run"),
        false,
    );
    assert!(error.unwrap_err().to_string().contains("has to stand alone"));
}

/// Has enough after some steps, or after the first evaluation.
struct Enough {
    after_steps: Option<u64>,
    steps: Vec<u64>,
    evaluated: Vec<u64>,
}

impl Observer for Enough {
    fn stage(&mut self, stage: Stage<'_>) {
        if let Stage::Evaluated(Evaluated { step, metrics, .. }) = stage {
            assert_eq!(metrics.rows, 400);
            self.evaluated.push(*step);
        }
    }

    fn progress(&mut self, _progress: &Progress<'_>) {}

    fn warn(&mut self, _warning: &str) {}

    fn step(&mut self, done: &StepDone<'_>) {
        assert!(done.rows > 0 && done.losses.len() == 2 && done.epoch == 1);
        self.steps.push(done.step);
    }

    fn is_enough(&mut self) -> bool {
        match self.after_steps {
            Some(steps) => self.steps.len() as u64 >= steps,
            None => !self.evaluated.is_empty(),
        }
    }
}

fn fit_until_enough(shop: &Shop, out: &Path, after_steps: Option<u64>) -> Enough {
    let mut observer = Enough { after_steps, steps: Vec::new(), evaluated: Vec::new() };
    let stop = std::sync::atomic::AtomicBool::new(false);
    let summary = fit(&shop.experiment(&[]), out, FitOptions { resume: false, stop: &stop, observer: &mut observer });
    assert!(summary.unwrap().metrics.splits.contains_key("test"));
    observer
}

#[test]
fn an_observer_that_has_had_enough_gets_a_whole_run() {
    let shop = Shop::new();
    let observer = fit_until_enough(&shop, &shop.path("steps"), Some(5));
    assert_eq!((observer.steps, observer.evaluated), ((1..=5).collect(), vec![5]));
    let observer = fit_until_enough(&shop, &shop.path("evaluation"), None);
    assert_eq!((observer.steps.len(), observer.evaluated), (12, vec![12]));
}
