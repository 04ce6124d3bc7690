//! `hinet compare`: several models on the same batches, and finished runs.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, log};

/// Two models, two seeds, small and short.
const OPTIONS: &str = "--models hinet,towers --seeds 2 --draws 100 --threads 2 --quiet";

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn a_comparison_shows_every_model_and_writes_what_it_found() {
    let place = Place::with_data();
    let table = place.succeeds(&format!("compare hinet.toml --out both {OPTIONS} --reference towers"));
    for word in ["hinet", "towers", "click", "order", "cart", "search", "mean AUC", "seesaw", "against hinet", "±"] {
        assert!(table.contains(word), "no {word:?} in\n{table}");
    }
    let found = json(&place.read("both/compare.json"));
    assert_eq!(found["rows"], 400);
    assert_eq!(found["against"], "hinet");
    assert_eq!(found["resampling"]["unit"], "user");
    assert_eq!(found["seesaw"]["reference"], "towers");
    let csv = place.read("both/compare.csv");
    assert!(csv.starts_with("model,seed,scenario,task,metric,value\n"));
    assert!(csv.lines().any(|line| line.starts_with("towers,8,cart,order,auc,0.")), "{csv}");
    assert!(place.read("both/timing.json").contains("rows_per_second"));
}

#[test]
fn models_of_which_one_crosses_features_are_told_apart() {
    let place = Place::with_data();
    let options = "--models hinet,towers --seeds 1 --draws 100 --threads 2 --set train.epochs=1";
    let told = |sets: &str| {
        let output = place.run(&format!("compare hinet.toml --out both{} {options} {sets}", sets.len()));
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    let crossed = told("--set model.cross.layers=1");
    let expected =
        "warning: models differ before the layers: `hinet` has cross, `towers` none of fm, cross and sequence";
    assert!(crossed.contains(expected), "{crossed}");
    assert!(!told("").contains("before the layers"));
}

#[test]
fn numbers_of_a_comparison_are_those_of_its_runs() {
    let place = Place::with_data();
    place.succeeds(&format!("compare hinet.toml --out both {OPTIONS}"));
    let found = json(&place.read("both/compare.json"));
    for (at, model) in ["hinet", "towers"].iter().enumerate() {
        let told = &found["models"][at];
        assert_eq!(told["name"], **model);
        for (run, seed) in [7, 8].iter().enumerate() {
            let metrics = json(&place.read(&format!("both/{model}/seed-{seed}/metrics.json")));
            let test = &metrics["splits"]["test"];
            assert_eq!(metrics["seed"], *seed);
            assert_eq!(told["runs"][run]["seed"], *seed);
            assert_eq!(told["mean_auc"]["values"][run], test["mean_auc"]);
            for cell in 0..6 {
                assert_eq!(told["cells"][cell]["auc"]["values"][run], test["cells"][cell]["auc"]);
                assert_eq!(told["cells"][cell]["scenario"], test["cells"][cell]["scenario"]);
            }
        }
    }
}

#[test]
fn the_same_comparison_gives_the_same_bits_whatever_runs_beside_what_and_after_a_kill() {
    let place = Place::with_data();
    let options = format!("{OPTIONS} --set train.epochs=8 --set train.checkpoint_every=5");
    let began = Instant::now();
    place.succeeds(&format!("compare hinet.toml --out whole --jobs 1 {options}"));
    let whole = began.elapsed();
    let mut kills = 0;
    for fraction in [0.3, 0.5] {
        let words = format!("compare hinet.toml --out broken --resume --jobs 2 {options}");
        let mut child = place.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        std::thread::sleep(whole.mul_f64(fraction).max(Duration::from_millis(50)));
        kills += usize::from(child.try_wait().expect("a child").is_none());
        child.kill().expect("a signal that is sent");
        child.wait().expect("an end");
    }
    assert!(kills > 0, "every comparison ended before it was killed");
    place.succeeds(&format!("compare hinet.toml --out broken --resume --jobs 2 {options}"));
    for file in ["compare.json", "compare.csv", "towers/seed-8/metrics.json", "hinet/seed-7/test_scores.parquet"] {
        assert!(place.bytes(&format!("whole/{file}")) == place.bytes(&format!("broken/{file}")), "{file} differs");
    }
}

#[test]
fn a_run_of_a_comparison_is_the_run_that_train_makes() {
    let place = Place::with_data();
    place.succeeds(&format!("compare hinet.toml --out both {OPTIONS}"));
    place.succeeds("train hinet.toml --out alone --quiet --set name=hinet");
    assert_eq!(place.read("both/hinet/seed-7/metrics.json"), place.read("alone/metrics.json"));
    assert_eq!(place.read("both/hinet/seed-7/history.jsonl"), place.read("alone/history.jsonl"));
}

#[test]
fn finished_runs_compare_as_the_comparison_that_made_them_and_without_their_scores_too() {
    let place = Place::with_data();
    place.succeeds(&format!("compare hinet.toml --out both {OPTIONS}"));
    let runs = "both/hinet/seed-7 both/hinet/seed-8 both/towers/seed-7 both/towers/seed-8";
    let of = |words: &str| json(&place.succeeds(&format!("compare {words} --format json --draws 100 --quiet")));
    let (found, made) = (of(runs), json(&place.read("both/compare.json")));
    assert_eq!(found["contrasts"], made["contrasts"]);
    assert_eq!(found["models"][1]["cells"], made["models"][1]["cells"]);
    fs_err::remove_file(place.path("both/towers/seed-7/test_scores.parquet")).expect("it was kept");
    assert_eq!(of(runs)["contrasts"], made["contrasts"]);
    let single = of("both/hinet/seed-7 both/towers/seed-8");
    assert_eq!(single["contrasts"][0]["cells"][0]["paired_t"], Value::Null);
    assert!(single["notes"].to_string().contains("one seed"));
}

#[test]
fn finished_runs_write_what_the_comparison_that_made_them_wrote_where_they_are_told_to() {
    let place = Place::with_data();
    let told = |words: &str| {
        let output = place.run(words);
        assert!(output.status.success(), "hinet {words}: {}", output.status);
        String::from_utf8(output.stderr).expect("text")
    };
    let options = OPTIONS.replace("--quiet", "");
    let said = told(&format!("compare hinet.toml --out both {options}"));
    assert!(said.contains("both/report.html") && said.contains("both/<model>/seed-<n>"), "{said}");

    let runs = "both/hinet/seed-7 both/hinet/seed-8 both/towers/seed-7 both/towers/seed-8 --draws 100";
    let said = told(&format!("compare {runs} --out deep/again"));
    assert!(said.contains("deep/again/report.html") && said.contains("deep/again/compare.json"), "{said}");
    assert!(!said.contains("<model>"), "no run was made, yet: {said}");
    assert_eq!(place.names("deep"), ["again"], "something was left beside");
    assert_eq!(place.names("deep/again"), ["compare.csv", "compare.json", "report.html", "timing.json"]);
    assert_eq!(place.read("deep/again/compare.csv"), place.read("both/compare.csv"));
    let main = |page: &str| place.read(page).split_once("<main>").map(|(_, main)| main.to_owned());
    let speed = json(&place.read("both/timing.json"))["models"][0]["rows_per_second"].as_f64().expect("a speed");
    let page = main("both/report.html").expect("a page").replace(',', "");
    assert!(page.contains(&format!(">{speed:.0}<")), "the page does not tell {speed} rows per second");
    assert_eq!(main("deep/again/report.html"), main("both/report.html"));

    let before = place.names(".");
    let json = place.succeeds(&format!("compare {runs} --format json --quiet"));
    assert_eq!(place.read("deep/again/compare.json"), json);
    assert_eq!(place.names("."), before, "something was written without --out");
}

#[test]
fn finished_runs_are_not_written_over_what_is_there_nor_written_where_they_cannot_be_compared() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out one --quiet --set train.epochs=1");
    fs_err::create_dir(place.path("there")).expect("a folder");
    place.refuses(2, "compare one --out there --quiet", &["there exists already", "--out"]);
    place.refuses(2, "compare one one --out new --quiet", &["same config with the same seed"]);
    place.refuses(2, "compare one --out new --resume --quiet", &["--models"]);
    assert_eq!(place.names("there"), Vec::<String>::new());
    assert!(!place.path("new").exists());
}

#[test]
fn runs_that_were_tested_on_other_rows_are_refused_by_what_differs() {
    let place = Place::with_data();
    place.succeeds("train hinet.toml --out one --quiet --set train.epochs=1");
    place.write("fewer.csv", &log(3, 300));
    place.write("others.csv", &log(4, 400));
    for (test, differs) in [("fewer", "400 and 300 test rows"), ("others", "another scenario")] {
        let out = format!("on-{test}");
        place
            .succeeds(&format!("train hinet.toml --out {out} --quiet --set train.epochs=1 --set data.test={test}.csv"));
        place.refuses(2, &format!("compare one {out} --quiet"), &["one", &out, differs]);
    }
    place.refuses(2, "compare one one --quiet", &["same config with the same seed"]);
}

#[test]
fn models_are_presets_names_of_the_config_and_files() {
    let place = Place::with_data();
    let config = place.read("hinet.toml")
        + "\n[compare.models.small]\npreset = \"hinet\"\nsub_experts = 1\nunits = [4]\nepochs = 1\ndense = { learning_rate = 0.01 }\n";
    place.write("hinet.toml", &config);
    place.write("flat.toml", "[model]\npreset = \"towers\"\ntower_units = [6]\n\n[train]\nepochs = 1\n");
    place.succeeds("compare hinet.toml --out out --models hinet,small,flat.toml --seeds 1 --draws 100 --quiet");
    let (own, small, flat) = (
        place.read("out/hinet/seed-7/config.toml"),
        place.read("out/small/seed-7/config.toml"),
        place.read("out/flat/seed-7/config.toml"),
    );
    assert!(
        own.contains("units = [8]") && own.contains("epochs = 2"),
        "the file's own model keeps its options:\n{own}"
    );
    assert!(
        small.contains("sub_experts = 1") && small.contains("units = [4]") && small.contains("epochs = 1"),
        "{small}"
    );
    assert!(small.contains("learning_rate = 0.01"), "{small}");
    assert!(flat.contains("tower_units = [6]") && !flat.contains("sub_experts"), "{flat}");
}

#[test]
fn mistakes_are_named_before_anything_is_trained() {
    let place = Place::with_data();
    let base = place.read("hinet.toml");
    let refused = |extra: &str, words: &str, named: &[&str]| {
        place.write("hinet.toml", &format!("{base}\n{extra}"));
        place.refuses(2, &format!("compare hinet.toml --out out {words}"), named);
        assert!(!place.path("out").exists());
    };
    refused("", "--models hinet,towres", &["`towres`", "did you mean `towers`?"]);
    refused("", "--models hinet,hinet", &["`hinet` like one before it"]);
    refused("", "--models hinet --against towers", &["--against names `towers`"]);
    refused("", "--models hinet --reference single", &["--reference names `single`"]);
    refused("", "--models hinet --set data.test=none.csv", &["none.csv"]);
    refused("[compare.models.small]\nunits = [4]\n", "--models small", &["preset"]);
    refused("[compare.models.towers]\ntower_unit = [4]\n", "--models towers", &["tower_unit", "did you mean"]);
    refused("[compare.models.towers]\nseed = 4\n", "--models towers", &["seed"]);
    refused("[compare.models.towers]\nsub_experts = 4\n", "--models towers", &["sub_experts", "towers", "hinet.toml:"]);
    refused("[compare.models.towers]\nepochs = 0\n", "--models towers", &["expected at least 1, found 0"]);
    refused("", "--models logistic_regression,hinet --match-parameters", &["cannot be matched"]);
    place.write("hinet.toml", &base);
    place.refuses(2, "compare hinet.toml", &["--models"]);
    place.refuses(2, "compare hinet.toml other.toml --models hinet", &["one config"]);
    fs_err::create_dir(place.path("out")).expect("a folder");
    place.refuses(2, "compare hinet.toml --models hinet --out out", &["out exists already"]);
    place.refuses(2, "compare out", &["out is no run folder"]);
}

#[test]
fn matched_models_have_as_many_parameters_within_a_few_percent() {
    let place = Place::with_data();
    let words = "compare hinet.toml --out out --models hinet,towers --seeds 1 --draws 100 --match-parameters --quiet";
    let table = place.succeeds(words);
    assert!(table.contains("widths") && table.contains("x "), "{table}");
    let found = json(&place.read("out/compare.json"));
    let parameters = |at: usize| found["models"][at]["dense_parameters"].as_f64().expect("a count");
    assert!((parameters(1) / parameters(0) - 1.0).abs() < 0.03, "{} and {}", parameters(0), parameters(1));
}
