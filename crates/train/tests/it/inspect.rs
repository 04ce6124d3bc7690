//! Looking into runs: every model of the zoo, and features of which one matters.

use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use hinet_data::{Seed, Source};
use hinet_model::zoo;
use hinet_train::{Experiment, InspectOptions, Inspection, Run, ScoreOptions, TrainError, inspect};

use crate::shop::{Shop, fit_quietly};

fn look(run: &Path, data: Option<&Source>, importance: bool) -> Result<Inspection, TrainError> {
    let score = ScoreOptions { threads: 1, stop: &AtomicBool::new(false), progress: &mut |_| {} };
    inspect(&Run::open(run)?, data, InspectOptions { rows_per_scenario: 100, importance, score })
}

#[test]
fn every_preset_can_be_looked_into_and_its_gates_share_out_all_their_weight() {
    let shop = Shop::new();
    for preset in zoo::PRESETS {
        let model = format!("{{ preset = \"{}\" }}", preset.name);
        let out = shop.path(preset.name);
        fit_quietly(&shop.experiment(&[("model", &model), ("train.max_steps", "2")]), &out, false).unwrap();
        let seen = look(&out, None, false).unwrap();
        assert_eq!(seen.part, "test");
        assert!(seen.scenarios.iter().all(|scenario| (1..=100).contains(&scenario.rows)), "{:?}", seen.scenarios);
        for gate in &seen.gates {
            for line in &gate.lines {
                assert_eq!(line.weights.len(), gate.experts.len(), "{} {}", preset.name, gate.name);
                let sum: f64 = line.weights.iter().sum();
                let added_up = line.weights.iter().all(|weight| *weight == 1.0);
                assert!((sum - 1.0).abs() < 1e-4 || added_up, "{} {}: {:?}", preset.name, gate.name, line.weights);
            }
        }
        for expert in &seen.experts {
            assert!(expert.weight.is_some_and(|weight| (0.0..=1.0).contains(&weight)), "{}: {expert:?}", preset.name);
            assert!(expert.dead_units <= expert.units, "{}: {expert:?}", preset.name);
        }
        assert_eq!(seen.tables.len(), Run::open(&out).unwrap().artefact.model.embeddings.specs().len());
        assert!(seen.to_csv().lines().all(|line| line.split(',').count() == 7), "{}", preset.name);
    }
}

#[test]
fn hinet_has_a_gate_per_scenario_and_task_and_attends_to_others_only() {
    let shop = Shop::new();
    let out = shop.path("run");
    fit_quietly(&shop.experiment(&[]), &out, false).unwrap();
    let seen = look(&out, None, false).unwrap();
    assert_eq!(seen.attention.len(), 1);
    for (from, weights) in seen.attention[0].weights.iter().enumerate() {
        assert!(weights[from] == 0.0 && (weights.iter().sum::<f64>() - 1.0).abs() < 1e-5, "{weights:?}");
    }
    let gate =
        |name: &str| seen.gates.iter().find(|gate| gate.name == name).unwrap_or_else(|| panic!("no gate {name}"));
    let task = gate("task");
    assert_eq!(task.experts, ["specific 1", "shared 1"]);
    let lines: Vec<_> =
        task.lines.iter().map(|line| format!("{} {}", line.scenario, line.task.as_ref().unwrap())).collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[..2], ["cart click", "cart order"]);
    let specific = gate("scenario");
    assert_eq!((specific.experts.len(), specific.lines.len()), (2, 3));
    let of = |bank: &str| seen.experts.iter().filter(|expert| expert.bank == bank).count();
    assert_eq!(
        [of("scenario.shared"), of("scenario.specific"), of("task.level0.specific"), of("task.level0.shared")],
        [2, 6, 6, 1]
    );
    let written = std::fs::read_to_string(out.join("inspection.json")).unwrap();
    let written: Inspection = serde_json::from_str(&written).unwrap();
    assert_eq!((written.part.as_str(), &written.attention), ("test", &seen.attention));
}

#[test]
fn the_same_look_twice_gives_the_same_bits_and_rows_can_be_others() {
    let shop = Shop::new();
    let out = shop.path("run");
    fit_quietly(&shop.experiment(&[]), &out, false).unwrap();
    let once = look(&out, None, true).unwrap();
    assert_eq!(once.to_json(), look(&out, None, true).unwrap().to_json());
    let source = Source::open(&[shop.path("valid.csv")]).unwrap();
    let other = look(&out, Some(&source), false).unwrap();
    assert_eq!(other.part, "data");
    assert_ne!(other.gates, once.gates);
    assert_eq!(other.attention, once.attention);
}

#[test]
fn importance_finds_the_one_feature_that_matters() {
    let shop = Shop::new();
    for (name, rows) in [("train", 0..3000), ("valid", 3000..3600), ("test", 3600..4800)] {
        let mut text = "tab,needed,idle,other,click,order\n".to_owned();
        for row in rows {
            let draw = |purpose: &str, below: u64| Seed(2).stream(purpose, row) % below;
            let (needed, tab) = (draw("needed", 20), ["home", "search"][draw("tab", 2) as usize]);
            let click = u64::from(draw("click", 20) < needed);
            writeln!(
                text,
                "{tab},{needed},{},{},{click},{}",
                draw("idle", 20),
                draw("other", 1000),
                click * draw("order", 2)
            )
            .unwrap();
        }
        std::fs::write(shop.path(&format!("{name}.csv")), text).unwrap();
    }
    let experiment = Experiment::parse(ONE_NEEDED, &shop.path("needed.toml"), &[]).unwrap();
    let out = shop.path("run");
    fit_quietly(&experiment, &out, false).unwrap();
    let importance = look(&out, None, true).unwrap().importance.unwrap();
    assert_eq!(importance.features.len(), 4);
    let drops = |feature: &str| {
        let found = importance.features.iter().find(|found| found.feature == feature).unwrap();
        found.cells.iter().map(|cell| cell.drop.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(importance.features[0].feature, "needed");
    assert!(drops("needed").iter().all(|drop| *drop > 0.15), "{:?}", drops("needed"));
    for idle in ["idle", "other"] {
        assert!(drops(idle).iter().all(|drop| drop.abs() < 0.08), "{idle}: {:?}", drops(idle));
    }
    assert!(drops("tab").iter().all(|drop| *drop == 0.0), "{:?}", drops("tab"));
}

const ONE_NEEDED: &str = r#"
[data]
train = "train.csv"
valid = "valid.csv"
test = "test.csv"
[scenario]
column = "tab"
[[task]]
name = "click"
label = "click"
[[feature]]
columns = ["needed", "idle", "tab"]
kind = "categorical"
dim = 4
[[feature]]
columns = ["other"]
kind = "numeric"
buckets = 5
dim = 4
[model]
preset = "hinet"
sub_experts = 2
units = [8]
expert_units = [8]
tower_units = [4]
[train]
epochs = 5
batch_size = 128
threads = 1
dense = { learning_rate = 0.01 }
sparse = { learning_rate = 0.1 }
"#;

#[test]
fn a_run_whose_data_is_gone_says_so() {
    let shop = Shop::new();
    let out = shop.path("run");
    fit_quietly(&shop.experiment(&[]), &out, false).unwrap();
    std::fs::remove_file(shop.path("test.csv")).unwrap();
    let error = look(&out, None, false).unwrap_err().to_string();
    assert!(error.contains("test.csv"), "{error}");
}
