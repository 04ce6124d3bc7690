//! Runs that go on from another one, with a scenario that it did not know.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use hinet_data::Source;
use hinet_model::Artefact;
use hinet_train::{Run, ScoreOptions, Summary, TrainError, evaluate};
use serde_json::Value;

use crate::fit::differences;
use crate::shop::{Shop, fit_quietly, fit_until};

/// A run on two tabs, and what the run on all three sets besides.
fn base(shop: &Shop) -> PathBuf {
    shop.write_tabs("old.csv", 0..1500, &["home", "cart"]);
    shop.write_tabs("old_valid.csv", 1500..1900, &["home", "cart"]);
    let out = shop.path("base");
    let [train, valid] = ["old.csv", "old_valid.csv"].map(|name| shop.path(name).display().to_string());
    let sets = [("data.train", train.as_str()), ("data.valid", &valid), ("data.test", &valid)];
    fit_quietly(&shop.experiment(&sets), &out, false).unwrap();
    out
}

fn warm(shop: &Shop, options: &str) -> String {
    format!(r#"{{ run = "{}"{options} }}"#, shop.path("base").display())
}

fn about(summary: &Summary) -> Value {
    summary.metrics.about["warm_start"].clone()
}

fn parameter(run: &std::path::Path, name: &str) -> Vec<f32> {
    Artefact::load(&run.join("model")).unwrap().model.params.get(name).unwrap().to_vec()
}

#[test]
fn old_scenarios_keep_their_numbers_and_a_new_one_learns() {
    let shop = Shop::new();
    let base = base(&shop);
    let out = shop.path("warm");
    let summary = fit_quietly(&shop.experiment(&[("train.warm_start", &warm(&shop, ""))]), &out, false).unwrap();
    let layout = Artefact::load(&out.join("model")).unwrap().model.layout;
    let before = Artefact::load(&base.join("model")).unwrap().model.layout;
    assert_eq!(layout.scenarios[..2], before.scenarios);
    assert_eq!(layout.scenarios[2], "search");
    let search = summary.metrics.splits["test"].cell(Some("search"), "click").unwrap().auc.unwrap();
    assert!(search > 0.75, "{search}");
    let about = about(&summary);
    let start = &about["new_scenarios"][0];
    assert_eq!(start["scenario"], "search");
    let losses = start["losses"].as_object().unwrap();
    let least = losses.iter().min_by(|a, b| a.1.as_f64().unwrap().total_cmp(&b.1.as_f64().unwrap())).unwrap();
    assert_eq!(start["like"].as_str().unwrap(), least.0);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    let new = page.split_once("id=\"new\"").unwrap().1.split_once("</table>").unwrap().0;
    assert!(new.contains("search") && new.contains(&format!(">{}<", least.0)), "{new}");
    let old = page.split_once("id=\"old\"").unwrap().1.split_once("</table>").unwrap().0;
    assert_eq!(old.matches("<th scope=\"row\">").count(), 4, "a line for each old cell: {old}");
}

#[test]
fn the_cells_before_are_those_of_the_other_run_on_the_same_rows() {
    let shop = Shop::new();
    let base = base(&shop);
    let summary =
        fit_quietly(&shop.experiment(&[("train.warm_start", &warm(&shop, ""))]), &shop.path("warm"), false).unwrap();
    shop.write_tabs("old_test.csv", 1900..2300, &["home", "cart"]);
    let run = Run::open(&base).unwrap();
    let source = Source::open(&[shop.path("old_test.csv")]).unwrap();
    let options = ScoreOptions { threads: 1, stop: &AtomicBool::new(false), progress: &mut |_| {} };
    let expected = evaluate(&run, &source, "test", options).unwrap();
    let about = about(&summary);
    assert_eq!(about["part"], "test");
    let cells = about["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4, "two tabs and two tasks");
    for cell in cells {
        let name = |key: &str| cell[key].as_str().unwrap();
        let expected = expected.splits["test"].cell(Some(name("scenario")), name("task")).unwrap();
        assert_eq!(cell["before"].as_f64(), expected.auc, "{cell}");
        let after = summary.metrics.splits["test"].cell(Some(name("scenario")), name("task")).unwrap();
        assert_eq!(cell["after"].as_f64(), after.auc, "{cell}");
    }
}

#[test]
fn what_is_frozen_stays_to_the_bit_and_the_new_scenario_s_own_moves() {
    let shop = Shop::new();
    let base = base(&shop);
    let out = shop.path("frozen");
    let frozen = warm(&shop, ", freeze = true");
    let sets = [("train.warm_start", frozen.as_str()), ("train.dense", "{ weight_decay = 0.1 }")];
    let summary = fit_quietly(&shop.experiment(&sets), &out, false).unwrap();
    let (before, after) = (Artefact::load(&base.join("model")).unwrap(), Artefact::load(&out.join("model")).unwrap());
    let old = before.model.layout.scenarios.len();
    let mut moved = 0;
    for spec in after.model.params.specs() {
        let width = spec.width();
        let known = before.model.params.specs().iter().find(|known| known.name == spec.name).unwrap().width();
        let (before, after) =
            (before.model.params.get(&spec.name).unwrap(), after.model.params.get(&spec.name).unwrap());
        // Where columns run over scenarios, those of the new one stand behind the old ones.
        let old_columns: Vec<f32> = after.chunks_exact(width).flat_map(|row| row[..known].to_vec()).collect();
        assert_eq!(before, &old_columns[..before.len()], "{}", spec.name);
        if width == known && after.len() > before.len() {
            let size = before.len() / old;
            let own = &after[before.len()..];
            moved += usize::from((0..old).all(|like| own != &before[like * size..][..size]));
        }
    }
    assert!(moved > 5, "{moved} parameters of the new scenario moved");
    for table in 0..2 {
        let (before, after) = (before.model.embeddings.table(table), after.model.embeddings.table(table));
        assert_eq!(before, &after[..before.len()]);
    }
    // Through SAN old scenarios take in the new one: their cells may change, and it is told by how much.
    assert_eq!(about(&summary)["cells"].as_array().unwrap().len(), 4);
}

#[test]
fn new_scenarios_start_as_the_mean_or_afresh_where_asked() {
    let shop = Shop::new();
    let base = base(&shop);
    for (kind, like_mean) in [("mean", true), ("fresh", false)] {
        let out = shop.path(kind);
        let options = format!(r#", new_scenarios = "{kind}""#);
        let sets = [("train.warm_start", warm(&shop, &options)), ("train.max_steps", "1".to_owned())];
        let sets: Vec<(&str, &str)> = sets.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let slow = [&sets[..], &[("train.dense", "{ learning_rate = 1e-9 }")]].concat();
        fit_quietly(&shop.experiment(&slow), &out, false).unwrap();
        let name = "scenario.san.embedding";
        let (before, after) = (parameter(&base, name), parameter(&out, name));
        let size = before.len() / 2;
        let mean: Vec<f32> = (0..size).map(|at| f32::midpoint(before[at], before[size + at])).collect();
        let near = mean.iter().zip(&after[before.len()..]).all(|(mean, own)| (mean - own).abs() < 1e-6);
        assert_eq!(near, like_mean, "{kind}");
    }
}

#[test]
fn a_warm_run_that_is_killed_and_resumed_ends_with_the_same_bytes() {
    let shop = Shop::new();
    base(&shop);
    let experiment = shop.experiment(&[("train.warm_start", &warm(&shop, ", freeze = true"))]);
    let (whole, parts) = (shop.path("whole"), shop.path("parts"));
    fit_quietly(&experiment, &whole, false).unwrap();
    fit_until(&experiment, &parts, 15).unwrap_err();
    fit_quietly(&experiment, &parts, true).unwrap();
    assert_eq!(differences(&whole, &parts), [""; 0]);
}

#[test]
fn runs_of_another_model_or_other_features_are_refused() {
    let shop = Shop::new();
    base(&shop);
    let warm = warm(&shop, "");
    let error =
        fit_quietly(&shop.experiment(&[("train.warm_start", &warm), ("model.units", "[8]")]), &shop.path("a"), false);
    let error = error.unwrap_err();
    assert!(matches!(error, TrainError::WarmStart { .. }) && error.to_string().contains("model"), "{error}");
    let sets = [("train.warm_start", warm.as_str()), ("feature.0.columns", r#"["user"]"#)];
    let error = fit_quietly(&shop.experiment(&sets), &shop.path("b"), false).unwrap_err();
    assert!(error.to_string().contains("are others than before"), "{error}");
    assert!(!shop.path("b").exists(), "nothing is left of it");
}
