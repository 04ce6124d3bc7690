//! What `hinet init` makes of files: roles, and an experiment file that can be read back strictly.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use hinet_data::{
    DataConfig, Encoder, FeatureConfig, FeatureKind, Guess, GuessOptions, Role, ScenarioConfig, SchemaConfig, Source,
    SplitBy, SynthConfig, TaskConfig, synth_batches,
};
use serde::Deserialize;

use crate::skip;

/// The parts of an experiment file that this crate knows; model and train are read by others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Experiment {
    config_version: u32,
    data: DataConfig,
    scenario: Option<ScenarioConfig>,
    #[serde(default, rename = "task")]
    tasks: Vec<TaskConfig>,
    #[serde(default, rename = "feature")]
    features: Vec<FeatureConfig>,
    model: toml::Table,
    train: toml::Table,
}

fn guessed(source: &Source, options: &GuessOptions) -> (Guess, Experiment, String) {
    let guess = Guess::of(source, options).unwrap();
    let text = guess.to_toml(&["some/data.csv".to_owned()]);
    let experiment: Experiment = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!((experiment.config_version, experiment.model.len()), (1, 1));
    assert!(experiment.train.contains_key("epochs"));
    (guess, experiment, text)
}

fn csv(text: &str) -> (tempfile::TempDir, Source) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.csv");
    fs::write(&path, text).unwrap();
    let source = Source::open(&[path]).unwrap();
    (folder, source)
}

fn columns(experiment: &Experiment, kind: &str) -> Vec<String> {
    let features = experiment.features.iter().filter(|feature| feature.kind() == kind);
    features.flat_map(|feature| feature.columns().to_vec()).collect()
}

/// A survey like that of coupons in cars: categories as text, ages as ranges, one column of outcomes.
fn coupons(rows: usize) -> String {
    let mut text = String::from(
        "destination,passanger,weather,temperature,time,coupon,age,has_children,income,car,Bar,toCoupon_GEQ5min,direction_same,Y\n",
    );
    for row in 0..rows {
        let pick = |options: &[&str], step: usize| options[(row * step + row / 7) % options.len()].to_owned();
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},1,{},{}",
            pick(&["No Urgent Place", "Home", "Work"], 1),
            pick(&["Alone", "Friend(s)", "Kid(s)"], 5),
            pick(&["Sunny", "Rainy", "Snowy"], 2),
            pick(&["55", "80", "30"], 1),
            pick(&["2PM", "10AM", "6PM", "7AM", "10PM"], 3),
            pick(&["Restaurant(<20)", "Coffee House", "Bar", "Carry out & Take away", "Restaurant(20-50)"], 1),
            pick(&["21", "46", "50plus", "below21"], 3),
            row % 2,
            pick(&["$37500 - $49999", "$100000 or More", "Less than $12500"], 1),
            if row == 3 { "Scooter" } else { "" },
            pick(&["never", "less1", "1~3", ""], 1),
            row / 3 % 2,
            usize::from(row % 5 < 3),
        );
    }
    text
}

#[test]
fn a_survey_of_categories_becomes_one_task_and_one_scenario() {
    let (_folder, source) = csv(&coupons(600));
    let (guess, experiment, text) = guessed(&source, &GuessOptions::default());
    assert_eq!((guess.rows, guess.all_rows), (600, true));
    assert_eq!(experiment.tasks, [TaskConfig::new("Y", "Y")], "{text}");
    assert_eq!(experiment.scenario.as_ref().unwrap().column, "coupon");
    assert!(text.contains("# choose: taken for its name alone"), "{text}");
    assert_eq!(guess.questions(), ["`coupon` is taken for the scenario by its name alone: check it"]);
    let categorical = columns(&experiment, "categorical");
    assert_eq!(categorical.len(), 10, "{categorical:?}");
    assert!(categorical.contains(&"has_children".to_owned()) && categorical.contains(&"Bar".to_owned()));
    for (unused, reason) in [("toCoupon_GEQ5min", "is `1` everywhere"), ("car", "holds nearly nothing")] {
        let line = format!("#   \"{unused}\": {reason}");
        assert!(text.contains(&line), "{line} in\n{text}");
    }
    let split = experiment.data.split.as_ref().unwrap();
    assert_eq!((split.by, split.column.is_none()), (SplitBy::Random, true));
}

#[test]
fn what_was_guessed_can_be_fitted() {
    let (_folder, source) = csv(&coupons(400));
    let (_, experiment, _) = guessed(&source, &GuessOptions::default());
    let scenario = experiment.scenario.as_ref().unwrap();
    let schema =
        SchemaConfig { data: &experiment.data, scenario, tasks: &experiment.tasks, features: &experiment.features };
    let encoder = Encoder::fit(&schema, &source).unwrap();
    assert_eq!((encoder.layout().scenarios.len(), encoder.layout().slots.len()), (5, 10));
}

#[test]
fn without_an_outcome_or_a_scenario_the_file_says_what_to_choose() {
    let (_folder, source) = csv("color,size\nred,1\nblue,2\nred,3\ngreen,2\n");
    let (guess, experiment, text) = guessed(&source, &GuessOptions::default());
    assert!(experiment.tasks.is_empty() && experiment.scenario.is_none());
    assert_eq!(text.matches("\n# choose:").count(), 2, "{text}");
    assert_eq!(guess.questions().len(), 2);
    let named = GuessOptions { scenario: Some("color".to_owned()), ..GuessOptions::default() };
    let (_, experiment, _) = guessed(&source, &named);
    assert_eq!(experiment.scenario.unwrap().column, "color");
    let wrong = GuessOptions { tasks: vec!["colour".to_owned()], ..GuessOptions::default() };
    let error = Guess::of(&source, &wrong).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("did you mean `color`?"), "{error}");
}

#[test]
fn generated_data_are_recognised_column_by_column() {
    let config = SynthConfig { users: 300, items: 200, bayes_columns: false, ..SynthConfig::default() };
    let source = Source::from_batches("made", synth_batches(&config, 5000).unwrap());
    let (guess, experiment, text) = guessed(&source, &GuessOptions::default());
    assert_eq!(experiment.scenario.as_ref().unwrap().column, "scenario");
    assert!(guess.scenario_is_sure && text.contains("label = \"is_click\"  # "), "{text}");
    assert_eq!(experiment.tasks, [TaskConfig::new("click", "is_click"), TaskConfig::new("like", "is_like")]);
    assert_eq!(experiment.data.user.as_deref(), Some("user_id"));
    assert_eq!(experiment.data.request.as_deref(), Some("request_id"));
    let split = experiment.data.split.as_ref().unwrap();
    assert_eq!((split.by, split.column.as_deref()), (SplitBy::Time, Some("time_ms")));
    assert_eq!(columns(&experiment, "numeric"), ["user_age", "item_price"]);
    assert_eq!(columns(&experiment, "multi"), ["item_tags"]);
    assert!(text.contains("separator = \"|\""), "{text}");
    let all: Vec<String> = experiment.features.iter().flat_map(|feature| feature.columns().to_vec()).collect();
    for never in ["time_ms", "request_id", "is_click", "is_like", "scenario"] {
        assert!(!all.contains(&never.to_owned()), "{never} is a feature");
    }
    let one = GuessOptions { tasks: vec!["is_like".to_owned()], ..GuessOptions::default() };
    let (_, experiment, text) = guessed(&source, &one);
    assert_eq!(experiment.tasks, [TaskConfig::new("like", "is_like")]);
    assert!(text.contains("#   \"is_click\": looks like an outcome, too"), "{text}");
}

#[test]
fn separators_tell_lists_weights_vectors_and_histories_from_text_that_only_has_commas() {
    let mut text = String::from("scene,label,tag,range,hist_items,weights,embedding,note,uid\n");
    for row in 0..300 {
        let (a, b) = (row % 7, row % 5);
        let _ = writeln!(
            text,
            "{},{},\"t{a},t{b}\",\"[{},{})\",{a}|{b}|3,k{a}:0.5;k{b}:1,{row}.5 0.1 2.0 {a}.0,\"note {row}, long text\",{}",
            row % 3,
            row % 2,
            b * 10,
            b * 10 + 10,
            row % 40
        );
    }
    let (_folder, source) = csv(&text);
    let (guess, experiment, text) = guessed(&source, &GuessOptions::default());
    let role = |name: &str| guess.columns.iter().find(|column| column.name == name).unwrap().role.clone();
    assert_eq!(role("tag"), Role::Feature(FeatureKind::Multi(Some(",".to_owned()))));
    assert_eq!(role("range"), Role::Feature(FeatureKind::Categorical));
    assert_eq!(role("hist_items"), Role::Feature(FeatureKind::Sequence(Some("|".to_owned()))));
    assert_eq!(role("weights"), Role::Feature(FeatureKind::Weighted(";".to_owned())));
    assert_eq!(role("embedding"), Role::Feature(FeatureKind::Vector(4, Some(" ".to_owned()))));
    assert_eq!(role("note"), Role::Unused);
    assert_eq!(role("uid"), Role::User);
    assert_eq!(columns(&experiment, "vector"), ["embedding"], "{text}");
}

#[test]
fn a_name_that_no_expression_could_hold_is_written_so_that_it_can_be_read() {
    let (_folder, source) = csv("\"is click\",scene,\"a \"\"b\"\"\"\n1,x,1\n0,y,2\n1,x,3\n");
    let (_, experiment, text) = guessed(&source, &GuessOptions::default());
    assert_eq!(experiment.tasks[0].label, "`is click`", "{text}");
    assert_eq!(experiment.tasks[0].name, "is_click");
    assert_eq!(columns(&experiment, "categorical"), ["a \"b\""]);
}

#[test]
fn the_real_survey_and_the_real_feed_are_guessed_as_their_descriptions_say() {
    let name = "the_real_survey_and_the_real_feed_are_guessed_as_their_descriptions_say";
    let Some(data) = skip::shared_data(name) else { return };
    let open = |path: PathBuf| Source::open(&[path]).unwrap();
    let (guess, survey, text) = guessed(&open(data.join("coupon/in_vehicle_coupon.csv")), &GuessOptions::default());
    assert!(guess.all_rows);
    assert_eq!(survey.tasks, [TaskConfig::new("Y", "Y")], "{text}");
    assert_eq!(survey.scenario.as_ref().unwrap().column, "couponType");
    let features = columns(&survey, "categorical");
    assert!(!features.contains(&"cartype".to_owned()) && !features.contains(&"toCoupon_GEQ5min".to_owned()), "{text}");
    assert_eq!(features.len(), 26 - 4, "{text}");

    let (_, feed, text) = guessed(&open(data.join("kuairand-pure/train.parquet")), &GuessOptions::default());
    assert_eq!(feed.scenario.as_ref().unwrap().column, "tab");
    let tasks: Vec<&str> = feed.tasks.iter().map(|task| task.label.as_str()).collect();
    assert_eq!(tasks, ["is_click", "long_view", "is_like", "is_follow", "is_comment", "is_profile_enter"], "{text}");
    let split = feed.data.split.as_ref().unwrap();
    assert_eq!(split.column.as_deref(), Some("time_ms"));
    assert_eq!(columns(&feed, "multi"), ["tag"], "{text}");
    let all: Vec<String> = feed.features.iter().flat_map(|feature| feature.columns().to_vec()).collect();
    assert!(all.contains(&"user_id".to_owned()) && all.contains(&"onehot_feat3".to_owned()), "{text}");
    assert!(!all.contains(&"date".to_owned()) && !all.contains(&"time_ms".to_owned()), "{text}");
}
