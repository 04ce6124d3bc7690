//! Experiment files: what is read, what is refused and where, and what is written back.

use std::path::Path;

use hinet_train::{Experiment, ExperimentError, Problem, json_schema};
use proptest::prelude::*;

use crate::shop::owned;

/// A file that uses most of what there is.
const FULL: &str = r#"# An experiment.
config_version = 1
name = "shop"

[data]
train = ["data/a.parquet", "/abs/b.parquet"]
valid = "data/valid.csv"
weight = "w"
user = "user_id"

[scenario]
column = "tab"
unknown = "mean"

[[task]]
name = "click"
label = "is_click"

[[task]]
name = "order"
label = "is_order"
where = "is_click == 1"
weight = 2

[[feature]]
columns = ["user_id", "item_id"]
kind = "categorical"
min_count = 3
missing = 0

[[feature]]
columns = ["price"]
kind = "numeric"
transform = "boundaries"
boundaries = [1, 2.5]

[[feature]]
columns = ["tags"]
kind = "multi"
pooling = "sum"

[model]
preset = "hinet"
sub_experts = 3
san_hidden = [8]

[train]
epochs = 2
patience = 1
monitor = "click.logloss"
dense = { optimiser = "sgd", learning_rate = 0.001, momentum = 0.9 }
"#;

fn read(text: &str) -> Result<Experiment, ExperimentError> {
    set(text, &[])
}

fn set(text: &str, sets: &[(&str, &str)]) -> Result<Experiment, ExperimentError> {
    Experiment::parse(text, Path::new("conf/shop.toml"), &owned(sets))
}

fn problems(result: Result<Experiment, ExperimentError>) -> Vec<Problem> {
    let error = result.expect_err("expected problems");
    let ExperimentError::Invalid { problems } = error else { panic!("{error}") };
    problems
}

/// The one problem of `FULL` with `from` replaced: its first line.
fn refusal(from: &str, to: &str) -> String {
    assert!(FULL.contains(from), "{from}");
    let found = problems(read(&FULL.replacen(from, to, 1)));
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].to_string().lines().next().unwrap_or("").to_owned()
}

#[test]
fn a_full_file_is_read_as_written() {
    let experiment = read(FULL).unwrap();
    assert_eq!(experiment.name, "shop");
    assert_eq!(experiment.tasks[1].filter.as_deref(), Some("is_click == 1"));
    assert_eq!(experiment.features.len(), 3);
    assert_eq!(experiment.preset.as_deref(), Some("hinet"));
    assert_eq!(experiment.monitor.as_ref().map(ToString::to_string).as_deref(), Some("click.logloss"));
    assert_eq!(experiment.train.dense.learning_rate, 0.001);
    assert_eq!(experiment.train.batch_size, 1024);
}

#[test]
fn the_name_defaults_to_the_file_and_the_monitor_to_the_mean_auc_where_there_are_validation_rows() {
    let text = FULL.replace("name = \"shop\"", "").replace("monitor = \"click.logloss\"", "");
    let experiment = read(&text).unwrap();
    assert_eq!(experiment.name, "shop");
    assert_eq!(experiment.monitor.unwrap().to_string(), "mean_auc");
    let text = text.replace("valid = \"data/valid.csv\"", "").replace("patience = 1", "");
    assert_eq!(read(&text).unwrap().monitor, None);
}

#[test]
fn paths_are_taken_from_the_file_and_those_of_set_from_the_working_directory() {
    let here = std::env::current_dir().unwrap();
    let of = |experiment: &Experiment| -> Vec<String> { experiment.data.train.iter().map(str::to_owned).collect() };
    let experiment = read(FULL).unwrap();
    assert_eq!(of(&experiment), [here.join("conf/data/a.parquet").to_str().unwrap(), "/abs/b.parquet"]);
    let experiment = set(FULL, &[("data.train", "x/y.csv")]).unwrap();
    assert_eq!(of(&experiment), [here.join("x/y.csv").to_str().unwrap()]);
    assert_eq!(set(FULL, &[("data.train", "[\"/z\"]")]).unwrap().data.train.iter().collect::<Vec<_>>(), ["/z"]);
}

#[test]
fn set_reaches_every_table_by_index_and_by_name() {
    let sets = [
        ("train.epochs", "7"),
        ("task.click.weight", "0.5"),
        ("task.1.label", "bought"),
        ("train.dense.clip", "10"),
        ("model.sub_experts", "5"),
        ("name", "other"),
    ];
    let experiment = set(FULL, &sets).unwrap();
    assert_eq!((experiment.train.epochs, experiment.train.dense.clip), (7, 10.0));
    assert_eq!((experiment.tasks[0].weight, experiment.tasks[1].label.as_str()), (0.5, "bought"));
    assert_eq!(experiment.name, "other");
    assert!(experiment.to_toml().contains("\nsub_experts = 5\n"));
}

#[test]
fn a_problem_of_set_names_what_was_set() {
    let shown = |key, value| problems(set(FULL, &[(key, value)]))[0].to_string();
    assert_eq!(
        shown("train.epoch", "7"),
        "--set train.epoch=7: `train.epoch`: `train` has no such key; did you mean `epochs`?"
    );
    assert_eq!(
        shown("train.epochs", "many"),
        "--set train.epochs=many: `train.epochs`: expected a whole number, found the text \"many\""
    );
    assert!(
        shown("task.like.weight", "1").contains("`task` has no entry `like`"),
        "{}",
        shown("task.like.weight", "1")
    );
}

#[test]
fn unknown_keys_are_refused_with_their_place_and_the_nearest_name() {
    for (from, to, expected) in [
        (
            "weight = \"w\"",
            "wieght = \"w\"",
            "conf/shop.toml:8:1: `data.wieght`: `data` has no such key; did you mean `weight`?",
        ),
        (
            "min_count = 3",
            "  min_cuont = 3",
            "conf/shop.toml:28:3: `feature.0.min_cuont`: `feature.0` has no such key; did you mean `min_count`?",
        ),
        ("where = ", "were = ", "conf/shop.toml:22:1: `task.1.were`: `task.1` has no such key; did you mean `where`?"),
        (
            "momentum = 0.9",
            "momentun = 0.9",
            "conf/shop.toml:51:53: `train.dense.momentun`: `train.dense` has no such key; did you mean `momentum`?",
        ),
        (
            "sub_experts = 3",
            "sub_expert = 3",
            "conf/shop.toml:44:1: `model.sub_expert`: `model` has no such key; did you mean `sub_experts`?",
        ),
        (
            "[scenario]",
            "[scenaro]\n[scenario]",
            "conf/shop.toml:11:2: `scenaro`: unknown key; did you mean `scenario`?",
        ),
    ] {
        assert_eq!(refusal(from, to), expected);
    }
}

#[test]
fn the_line_is_shown_with_a_mark_below() {
    let found = problems(read(&FULL.replacen("epochs = 2", "epochz = 2", 1)));
    let expected = "conf/shop.toml:48:1: `train.epochz`: `train` has no such key; did you mean `epochs`?\n   |\n48 | epochz = 2\n   | ^^^^^^";
    assert_eq!(found[0].to_string(), expected);
}

#[test]
fn all_unknown_keys_are_told_at_once() {
    let text = FULL.replacen("epochs", "epochz", 1).replacen("user =", "uzer =", 1).replacen("pooling", "poling", 1);
    let keys: Vec<String> = problems(read(&text)).into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["data.uzer", "feature.2.poling", "train.epochz"]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn wrong_types_and_wrong_words_are_refused_with_their_place() {
    for (from, to, expected) in [
        (
            "epochs = 2",
            "epochs = \"2\"",
            "conf/shop.toml:48:10: `train.epochs`: expected a whole number, found the text \"2\"",
        ),
        (
            "epochs = 2",
            "epochs = 2.5",
            "conf/shop.toml:48:10: `train.epochs`: expected a whole number, found the number 2.5",
        ),
        (
            "epochs = 2",
            "epochs = -2",
            "conf/shop.toml:48:10: `train.epochs`: expected at least 0, found the whole number -2",
        ),
        (
            "weight = 2",
            "weight = nan",
            "conf/shop.toml:23:10: `task.1.weight`: expected a finite number, found the number NaN",
        ),
        (
            "weight = 2",
            "weight = 2024-01-01",
            "conf/shop.toml:23:10: `task.1.weight`: expected a number, found the date 2024-01-01",
        ),
        (
            "kind = \"multi\"",
            "kind = \"mutli\"",
            "conf/shop.toml:39:8: `feature.2.kind`: \"mutli\" is not one of \"categorical\", \"numeric\", \"multi\", \"weighted\", \"sequence\", \"vector\"; did you mean `multi`?",
        ),
        (
            "kind = \"multi\"\n",
            "",
            "conf/shop.toml:37:1: `feature.2.kind`: missing, expected one of \"categorical\", \"numeric\", \"multi\", \"weighted\", \"sequence\", \"vector\"",
        ),
        (
            "pooling = \"sum\"",
            "pooling = \"average\"",
            "conf/shop.toml:40:11: `feature.2.pooling`: \"average\" is not one of \"mean\", \"sum\", \"max\"",
        ),
        (
            "optimiser = \"sgd\"",
            "optimiser = \"adm\"",
            "conf/shop.toml:51:23: `train.dense.optimiser`: \"adm\" is not one of \"sgd\", \"adam\", \"adamw\", \"adagrad\", \"rmsprop\", \"ftrl\"; did you mean `adam`?",
        ),
        (
            "train = [\"data/a.parquet\", \"/abs/b.parquet\"]",
            "train = 3",
            "conf/shop.toml:6:9: `data.train`: expected a text or a list of texts, found the whole number 3",
        ),
        ("column = \"tab\"", "", "conf/shop.toml:11:1: `scenario.column`: missing, expected a text"),
        ("preset = \"hinet\"", "preset = \"hienet\"", "conf/shop.toml:43:10: `model.preset`: \"hienet\" is not one of"),
        (
            "san_hidden = [8]",
            "san_hidden = 8",
            "conf/shop.toml:45:14: `model.san_hidden`: expected a list of whole numbers, found the whole number 8",
        ),
        ("epochs = 2", "epochs = 99999999999999999999", "conf/shop.toml:48:10: "),
        ("epochs = 2", "epochs = ", "conf/shop.toml:48:"),
        ("epochs = 2", "epochs = 2\nepochs = 3", "conf/shop.toml:49:1: duplicate key"),
    ] {
        let found = refusal(from, to);
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
}

#[test]
fn options_of_another_preset_or_beside_slots_are_refused() {
    let found =
        refusal("preset = \"hinet\"\nsub_experts = 3\nsan_hidden = [8]", "preset = \"towers\"\nsub_experts = 3");
    assert!(found.starts_with("conf/shop.toml:44:1: `model.sub_experts`: no option of preset `towers`"), "{found}");
    let found = refusal(
        "preset = \"hinet\"\nsub_experts = 3\nsan_hidden = [8]",
        "sub_experts = 3\nscenario = { kind = \"hinet\" }\ntask = { kind = \"cgc\" }",
    );
    assert!(found.starts_with("conf/shop.toml:43:1: `model.sub_experts`: no option of"), "{found}");
    let found = refusal("preset = \"hinet\"\nsub_experts = 3\nsan_hidden = [8]", "scenario = { kind = \"hinet\" }");
    assert!(found.contains("`model.task`"), "{found}");
}

#[test]
fn what_does_not_fit_together_is_refused_with_its_place() {
    for (from, to, expected) in [
        (
            "name = \"order\"",
            "name = \"click\"",
            "conf/shop.toml:20:8: `task.1.name`: \"click\" is the name of task 0 already",
        ),
        ("epochs = 2", "epochs = 0", "conf/shop.toml:48:10: `train.epochs`: expected at least 1, found 0"),
        ("epochs = 2", "batch_size = 0", "conf/shop.toml:48:14: `train.batch_size`: expected at least 1, found 0"),
        (
            "click.logloss",
            "clik.logloss",
            "conf/shop.toml:50:11: `train.monitor`: \"clik.logloss\" is not one of mean_auc, mean_cell_auc",
        ),
        ("valid = \"data/valid.csv\"\n", "", ""),
        (
            "[\"price\"]",
            "[\"is_click\"]",
            "conf/shop.toml:32:11: `feature.1.columns`: column `is_click` is the label of task `click`",
        ),
        (
            "momentum = 0.9",
            "momentum = 1.5",
            "conf/shop.toml:51:64: `train.dense.momentum`: `momentum = 1.5`: expected",
        ),
        (
            "momentum = 0.9",
            "beta1 = 0.5",
            "conf/shop.toml:51:61: `train.dense.beta1`: `beta1` has no meaning for `sgd`",
        ),
        ("min_count = 3", "encoding = \"hash\"", "conf/shop.toml:25:1: `feature.0.buckets`: "),
        ("is_click == 1", "is_click = 1", "conf/shop.toml:22:9: `task.1.where`: expected `==`"),
        (
            "valid = \"data/valid.csv\"",
            "split = { by = \"random\", test = 1.5 }",
            "conf/shop.toml:7:33: `data.split.test`: expected a share",
        ),
        ("sub_experts = 3", "sub_experts = 257", "conf/shop.toml:44:15: `model.sub_experts`:"),
        ("[\"price\"]", "[]", "conf/shop.toml:32:11: `feature.1.columns`: must name at least one column"),
        ("\"data/valid.csv\"", "\"\"", "conf/shop.toml:7:9: `data.valid`: expected a path"),
    ] {
        if expected.is_empty() {
            let keys: Vec<String> =
                problems(read(&FULL.replacen(from, to, 1))).into_iter().map(|problem| problem.key).collect();
            assert_eq!(keys, ["train.monitor", "train.patience"]);
        } else {
            let found = refusal(from, to);
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
    }
}

#[test]
fn what_stands_before_the_layers_is_held_to_the_features_without_any_data() {
    let list = "kind = \"sequence\"\ntable = \"items\"";
    let text = FULL.replacen("kind = \"multi\"\npooling = \"sum\"", list, 1);
    let with = |model: &str| read(&text.replacen("preset = \"hinet\"", &format!("preset = \"hinet\"\n{model}"), 1));
    let model = with("fm = true\nsequence = [{ feature = \"tags\", target = [\"item_id\"] }]").unwrap().model;
    assert_eq!((model.fm, model.sequence[0].units.as_slice()), (true, &[36][..]));
    let refused = |model: &str| problems(with(model))[0].to_string();
    let found = refused("sequence = [{ feature = \"tag\" }]");
    let expected = "conf/shop.toml:44:25: `model.sequence.0.feature`: expected a feature of kind \"sequence\" that goes along no \
                    other (tags), found `tag`";
    assert!(found.starts_with(expected), "{found}");
    let found = refused("sequence = [{ feature = \"tags\", target = [\"price\", \"item_id\"] }]");
    assert!(found.contains("`model.sequence.0.target`: expected none, or a feature for each of tags"), "{found}");
    let found = refused("sequence = [{ feature = \"tags\", unit = [3] }]");
    assert!(found.contains("unit"), "{found}");
}

#[test]
fn a_file_of_a_newer_version_is_refused_whatever_else_it_says() {
    let found = problems(read("config_version = 2\nnew = true"));
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().contains("config_version 2 is newer than this hinet reads (1)"), "{}", found[0]);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Experiment::load(Path::new("no/such.toml"), &[]).unwrap_err();
    assert!(error.to_string().starts_with("no/such.toml: "), "{error}");
}

#[test]
fn what_is_written_back_reads_the_same_from_any_folder() {
    let official =
        FULL.replace("preset = \"hinet\"\nsub_experts = 3\nsan_hidden = [8]", "preset = \"official_compat\"");
    let slots = FULL.replace(
        "preset = \"hinet\"\nsub_experts = 3\nsan_hidden = [8]",
        "scenario = { kind = \"identity\" }\ntask = { kind = \"cgc\", shared = 3 }",
    );
    for text in [FULL, &official, &slots] {
        let experiment = read(text).unwrap();
        let written = experiment.to_toml();
        let again = Experiment::parse(&written, Path::new("/other/folder/config.toml"), &[]);
        let again = again.unwrap_or_else(|error| panic!("{error}\n{written}"));
        assert_eq!(again, experiment, "{written}");
        assert_eq!(again.to_toml(), written);
        assert!(written.contains("learning_rate = 0.001"), "{written}");
    }
}

#[test]
fn an_unmasked_loss_on_heads_shared_by_scenarios_is_refused_in_its_line() {
    let shared = FULL.replace("sub_experts = 3", "sub_experts = 3\ntask_scope = \"task\"");
    read(&shared).unwrap();
    let text = shared.replace("epochs = 2", "epochs = 2\nmask_loss = false");
    let line = text.lines().position(|line| line.starts_with("mask_loss")).unwrap() + 1;
    let found = problems(read(&text));
    assert_eq!((found.len(), found[0].key.as_str(), found[0].line), (1, "train.mask_loss", Some(line)), "{found:?}");
    read(&FULL.replace("epochs = 2", "epochs = 2\nmask_loss = false")).unwrap();
}

#[test]
fn what_is_nearly_a_word_for_missing_cells_is_refused_and_a_value_is_not() {
    for (slip, word) in [("own-row", "own_row"), ("OWN_ROW", "own_row"), ("own_rows", "own_row"), ("Error", "error")] {
        let message = refusal("missing = 0", &format!("missing = {slip:?}"));
        assert!(
            message.contains("`feature.0.missing`") && message.contains(&format!("did you mean `{word}`?")),
            "{message}"
        );
    }
    for value in ["other", "home", "row"] {
        read(&FULL.replace("missing = 0", &format!("missing = {value:?}"))).unwrap();
    }
}

#[test]
fn a_preset_changes_the_defaults_of_training_but_not_what_is_written() {
    let official = FULL.replace("preset = \"hinet\"\nsub_experts = 3\nsan_hidden = [8]", "preset = \"hinet_official\"");
    let experiment = read(&official).unwrap();
    assert_eq!((experiment.train.scenario_weight_power, experiment.train.mask_loss), (0.0, false));
    let experiment = read(&official.replace("epochs = 2", "mask_loss = true")).unwrap();
    assert_eq!((experiment.train.scenario_weight_power, experiment.train.mask_loss), (0.0, true));
    assert_eq!(read(FULL).unwrap().train.scenario_weight_power, 1.0);
}

#[test]
fn the_schema_is_draft_7_and_describes_every_key() {
    let schema = json_schema();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    let mut missing = Vec::new();
    undescribed(&schema, "", &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}

/// Properties without a description, by path.
fn undescribed(schema: &serde_json::Value, path: &str, missing: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) {
        for (key, property) in properties {
            let described = property.get("description").is_some()
                || property.get("$ref").is_some()
                || property.get("const").is_some();
            if !described {
                missing.push(format!("{path}/{key}"));
            }
        }
    }
    if let Some(map) = schema.as_object() {
        map.iter().for_each(|(key, value)| undescribed(value, &format!("{path}/{key}"), missing));
    }
    for (index, value) in schema.as_array().into_iter().flatten().enumerate() {
        undescribed(value, &format!("{path}/{index}"), missing);
    }
}

/// One change of a text: (where, how many bytes go, what comes).
fn edits() -> impl Strategy<Value = Vec<(prop::sample::Index, usize, String)>> {
    let pieces = prop::sample::select(vec![
        "",
        "=",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "\"",
        "'",
        ",",
        ".",
        "\n",
        "#",
        "\0",
        "\u{1F600}",
        "0",
        "-1",
        "1e400",
        "nan",
        "true",
        "null",
        "[]",
        "{}",
        "kind = \"vector\"",
        "train",
        "task",
        "model = 3",
        "feature = 1",
        "9223372036854775807",
        "2024-01-01",
        "\"\"\"",
        "name.name.name = 1",
    ]);
    let edit = (any::<prop::sample::Index>(), 0_usize..12, pieces.prop_map(str::to_owned));
    prop::collection::vec(edit, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_edit_of_a_valid_file_makes_reading_panic(edits in edits()) {
        let mut text: Vec<char> = FULL.chars().collect();
        for (at, gone, piece) in edits {
            let at = at.index(text.len() + 1);
            let end = (at + gone).min(text.len());
            text.splice(at..end, piece.chars());
        }
        let text: String = text.into_iter().collect();
        match read(&text) {
            Ok(experiment) => {
                let again = Experiment::parse(&experiment.to_toml(), Path::new("/elsewhere/a.toml"), &[]);
                prop_assert_eq!(again.unwrap(), experiment);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn no_set_makes_reading_panic(key in "[a-z.0-9_\"]{0,12}|train\\.[a-z_]{1,8}|task\\.[0-9a-z]\\.[a-z]{1,6}|data|model|feature", value in ".{0,12}") {
        let _ = set(FULL, &[(&key, &value)]);
    }
}

#[test]
fn options_of_layers_may_name_features_and_only_those_there_are() {
    let text = |priors: &str| {
        format!(
            "[data]\ntrain = \"a.csv\"\n[scenario]\ncolumn = \"tab\"\n[[task]]\nname = \"click\"\nlabel = \"click\"\n\
             [[feature]]\ncolumns = [\"user\", \"item\"]\nkind = \"categorical\"\n\
             [model]\npreset = \"pepnet\"\npriors = {priors}\n"
        )
    };
    let parsed = |priors: &str| Experiment::parse(&text(priors), Path::new("a.toml"), &[]);
    assert!(parsed(r#"["user", "item"]"#).is_ok());
    let refused = parsed(r#"["author"]"#).unwrap_err().to_string();
    assert!(refused.contains("`model.priors`") && refused.contains("user, item"), "{refused}");
}
