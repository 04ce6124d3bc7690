//! Curves fitted to the scores of a run, and negatives that train was spared.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use hinet_data::{Part, Source};
use hinet_model::{CalibrationMethod, Curve, FittedOn};
use hinet_train::{
    Calibrated, CalibrationData, Run, ScoreOptions, SplitMetrics, TrainError, calibrate, evaluate, uncalibrate,
};

use crate::shop::{Shop, fit_quietly};

/// A run on train rows of which nine in ten without a click were dropped, said to have `rate` of them.
fn spared(rate: &str) -> (Shop, Run) {
    let shop = Shop::new();
    shop.write_with_few_negatives("train.csv", 10_000..26_000);
    shop.write("all.csv", 30_000..36_000);
    shop.write("others.csv", 40_000..46_000);
    let experiment = shop.experiment(&[("train.epochs", "2"), ("task.click.negative_rate", rate)]);
    fit_quietly(&experiment, &shop.path("run"), false).unwrap();
    let run = Run::open(&shop.path("run")).unwrap();
    (shop, run)
}

fn evaluated(run: &Run, path: &Path) -> SplitMetrics {
    let options = ScoreOptions { threads: 1, stop: &AtomicBool::new(false), progress: &mut |_| {} };
    evaluate(run, &Source::open(&[path.to_owned()]).unwrap(), "rows", options).unwrap().splits.remove("rows").unwrap()
}

fn calibrated(
    run: &mut Run,
    fit: &Source,
    test: Option<&Source>,
    method: CalibrationMethod,
) -> Result<Calibrated, TrainError> {
    let options = ScoreOptions { threads: 2, stop: &AtomicBool::new(false), progress: &mut |_| {} };
    calibrate(run, CalibrationData { fit, test }, method, options)
}

fn source(path: &Path) -> Source {
    Source::open(&[path.to_owned()]).unwrap()
}

/// The files of a run's artefact.
fn artefact(run: &Run) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(run.folder.model()).unwrap().map(|entry| entry.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let mut files: Vec<_> = entries.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn a_rate_of_negatives_gives_the_base_rates_of_all_rows_and_the_same_ranking() {
    let (shop, plain) = spared("1");
    let (other, corrected) = spared("0.1");
    let (plain, corrected) = (evaluated(&plain, &shop.path("all.csv")), evaluated(&corrected, &other.path("all.csv")));
    let click = |split: &SplitMetrics| split.task("click").unwrap().clone();
    let (before, after) = (click(&plain), click(&corrected));
    assert!(before.pcoc.unwrap() > 1.5, "without a rate scores are those of train: {:?}", before.pcoc);
    assert!((after.pcoc.unwrap() - 1.0).abs() < 0.06, "{:?}", after.pcoc);
    assert!(after.logloss < before.logloss && after.ece < before.ece);
    assert!((after.auc.unwrap() - before.auc.unwrap()).abs() < 1e-5, "{:?} and {:?}", after.auc, before.auc);
    assert_eq!(plain.task("order"), corrected.task("order"), "its negatives are all there");
}

#[test]
fn every_cell_of_a_calibrated_run_is_right_on_average_and_ranks_as_before() {
    let (shop, mut run) = spared("1");
    let (all, others) = (source(&shop.path("all.csv")), source(&shop.path("others.csv")));
    let metrics = std::fs::read(run.folder.metrics()).unwrap();
    for method in [CalibrationMethod::Platt, CalibrationMethod::Isotonic] {
        let done = calibrated(&mut run, &all, None, method).unwrap();
        assert!(done.calibration.cells.iter().all(|cell| cell.fitted_on != FittedOn::Nothing));
        for (before, after) in done.before.cells.iter().zip(&done.after.cells).filter(|(cell, _)| cell.task == "click")
        {
            assert!(before.pcoc.unwrap() > 1.2, "{before:?}");
            assert!((after.pcoc.unwrap() - 1.0).abs() < 0.01, "{method:?}: {after:?}");
            assert!(after.logloss < before.logloss && after.ece < before.ece, "{method:?}: {before:?} {after:?}");
            if method == CalibrationMethod::Platt {
                assert!((after.auc.unwrap() - before.auc.unwrap()).abs() < 1e-4, "{before:?} {after:?}");
            }
        }
        let reopened = Run::open(run.folder.path()).unwrap();
        assert_eq!(reopened.artefact.model.calibration(), Some(&done.calibration));
        assert_eq!(evaluated(&reopened, &shop.path("all.csv")), done.after);
        // Fitted anew each time, and measured on rows that it was not fitted on.
        let held_out = calibrated(&mut run, &all, Some(&others), method).unwrap();
        assert_eq!(held_out.calibration, done.calibration);
        let click = held_out.after.task("click").unwrap();
        assert!((click.pcoc.unwrap() - 1.0).abs() < 0.06, "{method:?}: {click:?}");
    }
    assert_eq!(std::fs::read(run.folder.metrics()).unwrap(), metrics, "what was measured at the end of training stays");
}

#[test]
fn without_its_curves_a_run_is_to_the_last_bit_what_it_was() {
    let (shop, mut run) = spared("0.1");
    let (before, files) = (evaluated(&run, &shop.path("all.csv")), artefact(&run));
    assert!(!uncalibrate(&mut run).unwrap());
    calibrated(&mut run, &source(&shop.path("all.csv")), None, CalibrationMethod::Isotonic).unwrap();
    assert_ne!(evaluated(&run, &shop.path("all.csv")), before);
    assert_eq!(artefact(&run).len(), files.len() + 1);
    assert!(uncalibrate(&mut run).unwrap());
    assert_eq!(evaluated(&run, &shop.path("all.csv")), before);
    assert!(artefact(&run) == files, "the artefact has other bytes");
}

#[test]
fn a_cell_of_few_rows_takes_the_curve_of_its_task_and_too_few_rows_are_refused() {
    let shop = Shop::new();
    fit_quietly(&shop.experiment(&[("train.epochs", "1")]), &shop.path("run"), false).unwrap();
    let mut run = Run::open(&shop.path("run")).unwrap();
    let valid = run.own_part(Part::Valid).unwrap();
    assert_eq!(valid.files(), [shop.path("valid.csv")]);
    let done = calibrated(&mut run, &valid, None, CalibrationMethod::Platt).unwrap();
    let cell = |scenario, task| done.calibration.cell(scenario, task).unwrap();
    let (whole, small) = (cell(None, "click"), cell(Some("cart"), "click"));
    assert!(small.rows < 100 && small.fitted_on == FittedOn::Task && small.curve == whole.curve, "{small:?}");
    assert!(matches!(whole.curve, Curve::Platt { .. }) && whole.rows == 400, "{whole:?}");

    let files = artefact(&run);
    let refused = calibrated(&mut run, &valid, None, CalibrationMethod::Isotonic).unwrap_err();
    assert!(matches!(refused, TrainError::TooFewToCalibrate { found: (400, _), .. }), "{refused}");
    assert_eq!(run.artefact.model.calibration(), Some(&done.calibration), "the old curves stay");
    assert!(artefact(&run) == files);
}
