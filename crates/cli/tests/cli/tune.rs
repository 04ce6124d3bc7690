//! `hinet tune` on small data.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::place::{CONFIG, Place, log};

const TUNE: &str = r#"
[tune]
trials = 4

[tune.space]
"train.dense.learning_rate" = { log = [1e-4, 1e-1] }
"model.sub_experts" = { choice = [1, 2] }
"feature.1.buckets" = { int = [3, 6] }
"#;

fn place() -> Place {
    let place = Place::with_data();
    place.write("hinet.toml", &format!("{CONFIG}{TUNE}"));
    place
}

fn results(place: &Place, folder: &str) -> [String; 2] {
    ["tune.json", "best.toml"].map(|name| place.read(&format!("{folder}/{name}")))
}

#[test]
fn the_best_setting_is_a_config_that_trains_to_the_very_metric_it_was_chosen_by() {
    let place = place();
    let json = place.succeeds("tune hinet.toml --out tuned --format json");
    assert_eq!(json, place.read("tuned/tune.json"));
    let tuned: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let trials = tuned["trials"].as_array().expect("a list");
    assert_eq!(trials.len(), 4);
    let best = &trials[tuned["best"].as_u64().expect("a trial") as usize];
    assert!(trials.iter().all(|trial| trial["metric"].as_f64() <= best["metric"].as_f64()), "{json}");
    place.succeeds("train tuned/best.toml --out run --quiet");
    let metrics: serde_json::Value = serde_json::from_str(&place.read("run/metrics.json")).expect("JSON");
    assert_eq!(metrics["splits"]["valid"]["mean_auc"], best["metric"]);
    assert!(!place.path("tuned/running").exists());
}

#[test]
fn the_test_rows_are_not_looked_at() {
    let place = place();
    place.write("test.csv", &format!("{}moon,u1,i1,3.5,1,0\n", log(3, 400)));
    place.refuses(1, "train hinet.toml --out run", &["test.csv", "moon"]);
    place.succeeds("tune hinet.toml --out tuned --trials 1");
}

#[test]
fn trials_with_other_buckets_do_not_touch_each_others_file_of_encoded_rows() {
    let place = place();
    let metrics = |folder: &str| {
        let tuned: serde_json::Value = serde_json::from_str(&place.read(&format!("{folder}/tune.json"))).expect("JSON");
        let trials = tuned["trials"].as_array().expect("a list");
        trials.iter().map(|trial| trial["metric"].clone()).collect::<Vec<_>>()
    };
    place.succeeds("tune hinet.toml --out plain --jobs 2");
    let config = place.read("hinet.toml").replace("[data]\n", "[data]\ncache_mb = 0\ncache_dir = \"cache\"\n");
    place.write("hinet.toml", &config);
    for folder in ["writes", "reads"] {
        let output = place.run(&format!("tune hinet.toml --out {folder} --jobs 2"));
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !talk.contains("cached rows"), "{talk}");
        assert_eq!(metrics(folder), metrics("plain"));
    }
    let files: Vec<_> = place.path("cache").read_dir().expect("a folder").flatten().collect();
    assert!((2..=4).contains(&files.len()), "{files:?}");
}

#[test]
fn trials_are_told_one_by_one_and_shown_the_best_first() {
    let place = place();
    let output = place.run("tune hinet.toml --out tuned --jobs 1");
    let (table, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{talk}");
    assert!(talk.contains("4 of 4: trial 3: ") && talk.contains("the best so far"), "{talk}");
    assert!(talk.contains("hinet train tuned/best.toml"), "{talk}");
    let metrics: Vec<f64> = table
        .lines()
        .skip(2)
        .map(|line| line.split_whitespace().nth(1).expect("a metric").parse().expect("a number"))
        .collect();
    assert!(metrics.len() == 4 && metrics.is_sorted_by(|a, b| a >= b), "{table}");
    let csv = place.succeeds("tune hinet.toml --out tuned --resume --format csv");
    assert!(
        csv.starts_with("trial,rung,feature.1.buckets,model.sub_experts,train.dense.learning_rate,mean_auc,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 5);
}

#[test]
fn a_search_killed_twice_and_continued_with_other_jobs_has_the_same_results() {
    let place = place();
    let options = "--set train.epochs=40 --set tune.strategy=halving --set tune.rungs=2";
    place.succeeds(&format!("tune hinet.toml --out whole --jobs 1 {options}"));
    for length in [10, 400] {
        let mut child = place
            .command(&format!("tune hinet.toml --out broken --resume --jobs 2 {options}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let journal = place.path("broken/trials.jsonl");
        let began = Instant::now();
        while fs_err::metadata(&journal).map_or(0, |file| file.len()) < length
            && began.elapsed() < Duration::from_secs(60)
        {
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().expect("a signal that is sent");
        child.wait().expect("an end");
    }
    assert!(!place.path("broken/tune.json").exists(), "it ended before it was killed");
    place.succeeds(&format!("tune hinet.toml --out broken --resume {options}"));
    assert_eq!(results(&place, "whole"), results(&place, "broken"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_stops_the_search_cleanly() {
    let place = place();
    let words = "tune hinet.toml --out tuned --set train.epochs=500 --jobs 2";
    let child = place.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let began = Instant::now();
    while !place.path("tuned/running").exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill is there");
    let output = child.wait_with_output().expect("an end");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{errors}");
    assert!(errors.contains("--resume --out tuned"), "{errors}");
    place.refuses(2, words, &["tuned", "exists already"]);
    place.refuses(2, &format!("{words} --resume --set train.seed=9"), &["train.seed"]);
}

#[test]
fn a_space_that_cannot_be_is_refused_in_its_line() {
    let place = place();
    let line =
        |word: &str| place.read("hinet.toml").lines().position(|line| line.contains(word)).expect("it is there") + 1;
    let at = |line: usize| format!("hinet.toml:{line}:");
    for (from, to, named) in [
        (
            "train.dense.learning_rate",
            "train.dense.learning_rat",
            &["learning_rat", "did you mean `learning_rate`?"][..],
        ),
        ("model.sub_experts", "model.sub_expertz", &["did you mean `sub_experts`?"]),
        ("log = [1e-4, 1e-1]", "log = [1e-1, 1e-4]", &["the smaller one first"]),
        ("log = [1e-4, 1e-1]", "log = [0.0, 1e-4]", &["above 0"]),
        ("log = [1e-4, 1e-1]", "logg = [1e-4, 1e-1]", &["did you mean `log`?"]),
        ("log = [1e-4, 1e-1]", "choice = []", &["nothing to choose"]),
        ("log = [1e-4, 1e-1]", "choice = [1e-3, -1.0]", &["with -1.0"]),
        ("choice = [1, 2]", "choice = [1, \"two\"]", &["with \"two\"", "whole number"]),
        ("model.sub_experts", "train.seed", &["cannot be tuned", "--seeds"]),
        ("model.sub_experts", "data.train", &["cannot be tuned", "same rows"]),
    ] {
        place.replace("hinet.toml", from, to);
        let place_of_it = at(line(to));
        let mut words = vec![place_of_it.as_str()];
        words.extend(named);
        place.refuses(2, "tune hinet.toml --out tuned", &words);
        place.replace("hinet.toml", to, from);
    }
    place.refuses(2, "tune hinet.toml --out tuned --set tune.strategy=grid", &["a grid needs `choice` or `int`"]);
    place.refuses(2, "tune hinet.toml --out tuned --set tune.trialz=3", &["did you mean `trials`?"]);
    place.write("plain.toml", CONFIG);
    place.refuses(2, "tune plain.toml --out tuned", &["[tune.space]"]);
    assert!(!place.path("tuned").exists());
}

#[test]
fn a_search_whose_data_fail_leaves_no_folder() {
    let place = place();
    place.write("valid.csv", &format!("{}moon,u1,i1,3.5,1,0\n", log(2, 400)));
    place.refuses(1, "tune hinet.toml --out tuned", &["trial", "valid.csv", "moon"]);
    assert!(!place.path("tuned").exists());
}

/// Two models with a part of the space for themselves.
const MODELS: &str = r#"
[tune]
trials = 3

[tune.space]
"train.dense.learning_rate" = { log = [1e-4, 1e-1] }

[tune.models.hinet]
"model.sub_experts" = { choice = [1, 2] }

[tune.models.small]
"model.bottom_units" = { choice = [[4], [8]] }

[compare.models.small]
preset = "shared_bottom"
"#;

#[test]
fn models_are_tuned_in_turn_and_their_best_settings_are_what_a_comparison_takes() {
    let place = Place::with_data();
    place.write("hinet.toml", &format!("{CONFIG}{MODELS}"));
    let options = "tune hinet.toml --models hinet,small --out tuned";
    let output = place.run(options);
    let (table, talk) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{talk}");
    assert!(talk.contains("small, model 2 of 2") && talk.contains("--models tuned"), "{talk}");
    assert!(table.contains("model.sub_experts") && table.contains("model.bottom_units"), "{table}");
    let all: serde_json::Value =
        serde_json::from_str(&place.succeeds(&format!("{options} --resume --format json"))).expect("JSON");
    let tried = |model: usize, trial: usize| &all[model]["trials"][trial]["setting"];
    for trial in 0..3 {
        let rate = "train.dense.learning_rate";
        assert_eq!(tried(0, trial)[rate], tried(1, trial)[rate], "what all models try is drawn alike");
        assert!(
            tried(0, trial).get("model.sub_experts").is_some() && tried(1, trial).get("model.sub_experts").is_none()
        );
    }
    let csv = place.succeeds(&format!("{options} --resume --format csv"));
    assert!(
        csv.starts_with("model,trial,rung,model.bottom_units,model.sub_experts,train.dense.learning_rate,"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 7);

    place.succeeds("compare hinet.toml --models tuned --seeds 1 --draws 100 --out both --quiet");
    let found: serde_json::Value = serde_json::from_str(&place.read("both/compare.json")).expect("JSON");
    for (model, name) in ["hinet", "small"].into_iter().enumerate() {
        let best = all[model]["best"].as_u64().expect("a trial") as usize;
        let metrics: serde_json::Value =
            serde_json::from_str(&place.read(&format!("both/{name}/seed-7/metrics.json"))).expect("JSON");
        assert_eq!(found["models"][model]["name"], name);
        assert_eq!(metrics["splits"]["valid"]["mean_auc"], all[model]["trials"][best]["metric"]);
    }
}

#[test]
fn a_folder_of_tuned_models_is_compared_whole_and_inequality_is_told() {
    let place = Place::with_data();
    place.write("hinet.toml", &format!("{CONFIG}{MODELS}"));
    place.succeeds("tune hinet.toml --models hinet,small --out tuned --trials 1 --quiet");
    let compare = "compare hinet.toml --models tuned --seeds 1 --draws 100";
    place.succeeds(&format!("{compare} --set train.epochs=1 --out both --quiet"));
    for model in ["hinet", "small"] {
        let config = place.read(&format!("both/{model}/seed-7/config.toml"));
        assert!(config.contains("epochs = 1\n"), "--set is for all models, {model}:\n{config}");
    }
    place.refuses(
        2,
        &format!("{compare} --resume --out both --set train.epochs=1").replace("tuned", "hinet"),
        &["`small` too"],
    );
    place.succeeds("tune hinet.toml --models hinet --out tuned --trials 2 --resume --quiet");
    let talk = place.run(&format!("{compare} --out other --set train.epochs=1")).stderr;
    let talk = String::from_utf8_lossy(&talk);
    assert!(talk.contains("trials of `small`: 1, of `hinet`: 2"), "{talk}");
    fs_err::remove_file(place.path("tuned/small.toml")).expect("it was written");
    place.refuses(2, &format!("{compare} --out third"), &["`small`", "has not ended", "--resume"]);
}

#[test]
fn what_models_of_a_comparison_share_is_not_tuned_model_by_model() {
    let place = Place::with_data();
    place.write("hinet.toml", &format!("{CONFIG}{MODELS}"));
    let options = "tune hinet.toml --out tuned --models hinet,small";
    place.replace("hinet.toml", "\"train.dense.learning_rate\"", "\"feature.0.dim\"");
    place.replace("hinet.toml", "log = [1e-4, 1e-1]", "choice = [4, 8]");
    place.refuses(2, options, &["tune.space.feature.0.dim", "share all but `model` and `train`"]);
    place.replace("hinet.toml", "\"feature.0.dim\"", "\"train.batch_size\"");
    place.replace("hinet.toml", "tune.models.small", "tune.models.smalll");
    place.refuses(2, options, &["hinet.toml:", "no model `smalll`; did you mean `small`?"]);
    place.refuses(2, "tune hinet.toml --out tuned", &["no model `smalll`"]);
    place.refuses(2, "tune hinet.toml --out tuned --models minet", &["no model `minet`"]);
    place.write("odd.toml", &format!("{CONFIG}\n[compare.models.\"a/b\"]\npreset = \"hinet\"\n"));
    place.refuses(2, "compare odd.toml --models a/b", &["a/b", "a name that can be a folder's"]);
    assert!(!place.path("tuned").exists());
    fs_err::create_dir(place.path("empty")).expect("a writable temporary folder");
    place.refuses(2, "compare hinet.toml --models empty", &["empty", "TOML files"]);
}
