//! Named models: which layers they are made of, and their options side by side.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::{ModelConfig, bad};
use crate::error::ModelError;
use crate::scenario::ScenarioLayerConfig;
use crate::task::TaskLayerConfig;

/// A model under the name that the field knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Other names that mean it.
    pub aliases: &'static [&'static str],
    /// What it is, in a sentence.
    pub about: &'static str,
    /// How a model made for many tasks only, or for many scenarios only, serves both.
    ///
    /// | recipe | means |
    /// | --- | --- |
    /// | `native` | made for both |
    /// | `R1` | each task of each scenario counts as a task |
    /// | `R2` | the scenarios' network makes one representation, which heads of the tasks read |
    /// | `R3` | the scenarios' network once per task, over common embeddings |
    /// | `R4` | the scenario conditions a network of many tasks |
    /// | `-` | does not ask: nothing is shared, or there are no layers |
    pub recipe: &'static str,
    /// The slots as the experiment file would say them.
    json: &'static str,
    /// What it asks of training, likewise.
    train: &'static str,
}

/// All presets.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "hinet",
        aliases: &[],
        about: "HiNet (ICDE 2023) as its paper describes it.",
        recipe: "native",
        json: r#"{ "scenario": { "kind": "hinet" }, "task": { "kind": "cgc" } }"#,
        train: "{}",
    },
    Preset {
        name: "hinet_official",
        aliases: &["official_compat"],
        about: "HiNet as its authors' code computes it, with that code's sizes and departures from the paper.",
        recipe: "native",
        json: r#"{
            "input_norm": "frozen_affine",
            "scenario": {
                "kind": "hinet", "sub_experts": 5, "shared_sub_experts": 5, "units": [128, 64], "sei_dropout": 0.5,
                "gate_relu": true, "scenario_dim": 64, "san_hidden": [128, 64, 1], "san_relu": true,
                "san_renorm": false, "concat_order": "asg"
            },
            "task": {
                "kind": "cgc", "task_scope": "scenario_task", "shared": 2, "specific": 2, "expert_units": [128, 64],
                "cgc_gate": "sum", "tower_units": [128, 64]
            }
        }"#,
        train: r#"{ "scenario_weight_power": 0.0, "mask_loss": false }"#,
    },
    Preset {
        name: "hinet_no_san",
        aliases: &[],
        about: "HiNet without SAN: a row learns nothing of other scenarios' experts.",
        recipe: "native",
        json: r#"{ "scenario": { "kind": "hinet", "san": false }, "task": { "kind": "cgc" } }"#,
        train: "{}",
    },
    Preset {
        name: "hinet_no_shared",
        aliases: &[],
        about: "HiNet without the expert that all scenarios share.",
        recipe: "native",
        json: r#"{ "scenario": { "kind": "hinet", "shared_sub_experts": 0 }, "task": { "kind": "cgc" } }"#,
        train: "{}",
    },
    Preset {
        name: "hinet_no_specific",
        aliases: &[],
        about: "HiNet without experts of the scenarios' own, and so without SAN.",
        recipe: "native",
        json: r#"{ "scenario": { "kind": "hinet", "sub_experts": 0 }, "task": { "kind": "cgc" } }"#,
        train: "{}",
    },
    Preset {
        name: "hinet_flat",
        aliases: &[],
        about: "HiNet without hierarchy: one CGC over tasks times scenarios (PLE stacks two), its experts as deep as both layers of HiNet.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "cgc", "expert_units": [128, 64, 64] } }"#,
        train: "{}",
    },
    Preset {
        name: "shared_bottom",
        aliases: &[],
        about: "Shared-Bottom: one network that all tasks of all scenarios share, and a tower for each.",
        recipe: "R1",
        json: r#"{
            "scenario": { "kind": "identity" },
            "task": { "kind": "tower", "bottom_units": [128, 64], "tower_units": [32] }
        }"#,
        train: "{}",
    },
    Preset {
        name: "omoe",
        aliases: &[],
        about: "OMoE (KDD 2018): experts mixed by one gate, and a tower for each task of each scenario.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "mmoe", "gates": "one" } }"#,
        train: "{}",
    },
    Preset {
        name: "mmoe",
        aliases: &[],
        about: "MMoE (KDD 2018): experts that all share, a gate and a tower for each task of each scenario.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "mmoe" } }"#,
        train: "{}",
    },
    Preset {
        name: "ple",
        aliases: &[],
        about: "PLE (RecSys 2020): two levels of shared experts and of those of each task of each scenario.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "cgc", "cgc_levels": 2 } }"#,
        train: "{}",
    },
    Preset {
        name: "hmoe",
        aliases: &[],
        about: "HMoE (CIKM 2020): shared experts, and each score a mixture of what all scenarios' towers say.",
        recipe: "R3",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "hmoe" } }"#,
        train: "{}",
    },
    Preset {
        name: "star",
        aliases: &[],
        about: "STAR (CIKM 2021): partitioned norm, a star of networks for each task, an auxiliary network.",
        recipe: "R3",
        json: r#"{ "scenario": { "kind": "partitioned_norm" }, "task": { "kind": "star" } }"#,
        train: "{}",
    },
    Preset {
        name: "pepnet",
        aliases: &[],
        about: "PEPNet (KDD 2023): a gate told the scenario scales the input, gates told user and item scale each tower; name the features in `priors`.",
        recipe: "native",
        json: r#"{ "scenario": { "kind": "epnet" }, "task": { "kind": "ppnet" } }"#,
        train: "{}",
    },
    Preset {
        name: "m2m",
        aliases: &[],
        about: "M2M (WSDM 2022): the scenario makes the weights of layers that weigh shared experts and of those below each task's tower.",
        recipe: "native",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "m2m" } }"#,
        train: "{}",
    },
    Preset {
        name: "sarnet",
        aliases: &["sar_net"],
        about: "SAR-Net (CIKM 2021) without behaviour sequences: scenarios transform the input and mix experts of their own with shared ones.",
        recipe: "R2",
        json: r#"{
            "scenario": { "kind": "sarnet" },
            "task": { "kind": "tower", "task_scope": "task", "tower_units": [32] }
        }"#,
        train: "{}",
    },
    Preset {
        name: "adasparse",
        aliases: &[],
        about: "AdaSparse (CIKM 2022): a network whose neurons each scenario weighs or leaves out, below a tower for each task.",
        recipe: "R4",
        json: r#"{
            "scenario": { "kind": "adasparse" },
            "task": { "kind": "tower", "task_scope": "task", "tower_units": [32] }
        }"#,
        train: "{}",
    },
    Preset {
        name: "apg",
        aliases: &[],
        about: "APG (NeurIPS 2022): layers around matrices made for the scenario, below a tower for each task.",
        recipe: "R4",
        json: r#"{
            "scenario": { "kind": "apg" },
            "task": { "kind": "tower", "task_scope": "task", "tower_units": [32] }
        }"#,
        train: "{}",
    },
    Preset {
        name: "hamur",
        aliases: &[],
        about: "HAMUR (CIKM 2023): a network for each scenario with adapters made for each row, below a tower for each task.",
        recipe: "R2",
        json: r#"{
            "scenario": { "kind": "hamur" },
            "task": { "kind": "tower", "task_scope": "task", "tower_units": [32] }
        }"#,
        train: "{}",
    },
    Preset {
        name: "m3oe",
        aliases: &[],
        about: "M3oE (SIGIR 2024): shared experts beside one for each scenario and one for each task, over an input that scenarios transform.",
        recipe: "native",
        json: r#"{ "scenario": { "kind": "star_transform" }, "task": { "kind": "m3oe" } }"#,
        train: "{}",
    },
    Preset {
        name: "aesm2",
        aliases: &[],
        about: "AESM2 (SIGIR 2022): experts selected for each row, specific to its scenario or shared, and above them likewise for each task.",
        recipe: "native",
        json: r#"{ "scenario": { "kind": "aesm2" }, "task": { "kind": "aesm2" } }"#,
        train: "{}",
    },
    Preset {
        name: "esmm",
        aliases: &[],
        about: "ESMM (SIGIR 2018): a tower for each step of a funnel, over shared embeddings; an order is as probable as a click times an order once there was a click.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "esmm" } }"#,
        train: "{}",
    },
    Preset {
        name: "escm2_ipw",
        aliases: &[],
        about: "ESCM2-IPW (SIGIR 2022): ESMM whose later heads have a loss over those who came so far, by inverse propensity weights.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "esmm", "counterfactual": "ipw" } }"#,
        train: "{}",
    },
    Preset {
        name: "escm2_dr",
        aliases: &["escm2"],
        about: "ESCM2-DR (SIGIR 2022): the same, doubly robust by an imputation tower.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "esmm", "counterfactual": "dr" } }"#,
        train: "{}",
    },
    Preset {
        name: "aitm",
        aliases: &[],
        about: "AITM (KDD 2021): towers along a funnel, each handing on to the next what that lets through, and a calibrator.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "aitm" } }"#,
        train: "{}",
    },
    Preset {
        name: "cross_stitch",
        aliases: &[],
        about: "Cross-stitch networks (CVPR 2016): a column of layers for each task, mixed after each layer, and a tower for each task of each scenario.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "cross_stitch" } }"#,
        train: "{}",
    },
    Preset {
        name: "dbmtl",
        aliases: &[],
        about: "DBMTL (2019): a shared bottom, towers, and relation networks by which tasks read those before them.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "dbmtl" } }"#,
        train: "{}",
    },
    Preset {
        name: "snr_trans",
        aliases: &["snr"],
        about: "SNR-Trans (AAAI 2019): levels of sub-networks whose connections have a matrix and a gate that closes for good.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "snr" } }"#,
        train: "{}",
    },
    Preset {
        name: "snr_aver",
        aliases: &[],
        about: "SNR-Aver (AAAI 2019): the same, with gates alone.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "snr", "snr_routing": "aver" } }"#,
        train: "{}",
    },
    Preset {
        name: "towers",
        aliases: &[],
        about: "A tower for each task of each scenario over shared embeddings; nothing else is shared.",
        recipe: "R1",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "tower" } }"#,
        train: "{}",
    },
    Preset {
        name: "single",
        aliases: &[],
        about: "A network with tables of its own for each task of each scenario; nothing is shared.",
        recipe: "-",
        json: r#"{
            "tables": "scenario_task",
            "scenario": { "kind": "identity" },
            "task": { "kind": "tower", "task_scope": "scenario_task", "tower_units": [128, 64, 32] }
        }"#,
        train: "{}",
    },
    Preset {
        name: "single_task",
        aliases: &[],
        about: "A network with tables of its own for each task, over all scenarios.",
        recipe: "-",
        json: r#"{
            "tables": "task",
            "scenario": { "kind": "identity" },
            "task": { "kind": "tower", "task_scope": "task", "tower_units": [128, 64, 32] }
        }"#,
        train: "{}",
    },
    Preset {
        name: "single_scenario",
        aliases: &[],
        about: "A network with tables of its own for each scenario: Shared-Bottom over its tasks.",
        recipe: "-",
        json: r#"{
            "tables": "scenario",
            "scenario": { "kind": "identity" },
            "task": {
                "kind": "tower", "task_scope": "per_scenario", "bottom_units": [128, 64], "tower_units": [32]
            }
        }"#,
        train: "{}",
    },
    Preset {
        name: "logistic",
        aliases: &["logistic_regression"],
        about: "Logistic regression: for each task a weight per id and per number, without embeddings.",
        recipe: "-",
        json: r#"{ "scenario": { "kind": "identity" }, "task": { "kind": "linear" } }"#,
        train: "{}",
    },
];

/// The model that a `[model]` table says: a preset with options of both slots beside it, or the two slots themselves.
/// An empty table is the preset `hinet`.
///
/// # Errors
/// [`ModelError::UnknownOption`] with the nearest name, [`ModelError::BadOption`] for a value of the wrong type.
pub fn expand(model: &Map<String, Value>) -> Result<ModelConfig, ModelError> {
    match model.get("preset") {
        Some(Value::String(name)) => with_options(find(name)?, model),
        Some(other) => Err(bad("preset", other.to_string(), "the name of a preset")),
        None if model.is_empty() => Ok(ModelConfig::default()),
        None => from_slots(model),
    }
}

/// What a preset asks of training: keys of `[train]` with their values, to be taken where the experiment says nothing.
///
/// # Errors
/// [`ModelError::BadOption`] for an unknown preset.
pub fn train_defaults(preset: &str) -> Result<Map<String, Value>, ModelError> {
    Ok(parse(find(preset)?.train))
}

/// The preset of this name or alias.
///
/// # Errors
/// [`ModelError::BadOption`] with the nearest name.
pub fn find(name: &str) -> Result<&'static Preset, ModelError> {
    let found = PRESETS.iter().find(|preset| preset.name == name || preset.aliases.contains(&name));
    found.ok_or_else(|| {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        no_such("preset", name, &names)
    })
}

impl Preset {
    /// The model with every option as the preset has it.
    #[must_use]
    pub fn config(&self) -> ModelConfig {
        serde_json::from_str(self.json).expect("a test reads every preset")
    }
}

/// Options of a model that are of neither slot.
const OWN: [&str; 7] = ["input_norm", "embedding", "tables", "first_order", "fm", "cross", "sequence"];

/// Options that stand beside `preset` go to the slot that has them.
fn with_options(preset: &Preset, model: &Map<String, Value>) -> Result<ModelConfig, ModelError> {
    let mut config = preset.config();
    let (scenario, task) = (options(&config.scenario), options(&config.task));
    for (key, value) in model.iter().filter(|(key, _)| *key != "preset") {
        if OWN.contains(&key.as_str()) {
            set_own(&mut config, key, value)?;
        } else if scenario.contains(key) {
            config.scenario = with_option(&config.scenario, (key, key), value)?;
        } else if task.contains(key) {
            config.task = with_option(&config.task, (key, key), value)?;
        } else {
            let known = scenario.iter().chain(&task).map(String::as_str).chain(OWN);
            return Err(unknown(key, &format!("preset `{}`", preset.name), &known.collect::<Vec<_>>()));
        }
    }
    Ok(config)
}

fn from_slots(model: &Map<String, Value>) -> Result<ModelConfig, ModelError> {
    let known = [&["preset", "scenario", "task"][..], &OWN].concat();
    if let Some(key) = model.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(unknown(key, "a model without preset", &known));
    }
    let mut config = ModelConfig::default();
    for (key, value) in OWN.iter().filter_map(|key| Some((key, model.get(*key)?))) {
        set_own(&mut config, key, value)?;
    }
    config.scenario = slot("scenario", model.get("scenario"), ScenarioLayerConfig::one_of_each())?;
    config.task = slot("task", model.get("task"), TaskLayerConfig::one_of_each())?;
    Ok(config)
}

/// Sets one of [`OWN`].
fn set_own(config: &mut ModelConfig, key: &str, value: &Value) -> Result<(), ModelError> {
    match key {
        "input_norm" => config.input_norm = read(key, value)?,
        "embedding" => config.embedding = read(key, value)?,
        "tables" => config.tables = read(key, value)?,
        "first_order" => config.first_order = read(key, value)?,
        "fm" => config.fm = read(key, value)?,
        "cross" => config.cross = read(key, value)?,
        "sequence" => config.sequence = read(key, value)?,
        other => unreachable!("`{other}` is an option of a slot"),
    }
    Ok(())
}

/// A slot as written, over the defaults of its kind.
fn slot<T>(name: &str, written: Option<&Value>, kinds: Vec<T>) -> Result<T, ModelError>
where
    T: serde::Serialize + DeserializeOwned,
{
    let expected = "a table with `kind`; or use `preset`";
    let written = written.ok_or_else(|| bad(name, "missing", expected))?;
    let table = written.as_object().ok_or_else(|| bad(name, written.to_string(), expected))?;
    let kind = table.get("kind").ok_or_else(|| bad(&format!("{name}.kind"), "missing", "the kind of layer"))?;
    let kind_of = |layer: &T| to_map(layer).remove("kind").unwrap_or_default();
    let names: Vec<Value> = kinds.iter().map(kind_of).collect();
    let Some(mut layer) = kinds.into_iter().find(|layer| kind_of(layer) == *kind) else {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        let written = kind.as_str().map_or_else(|| kind.to_string(), str::to_owned);
        return Err(no_such(&format!("{name}.kind"), &written, &names));
    };
    for (key, value) in table.iter().filter(|(key, _)| *key != "kind") {
        let known = options(&layer);
        if !known.contains(key) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(unknown(&format!("{name}.{key}"), &format!("kind {kind}"), &known));
        }
        layer = with_option(&layer, (key, &format!("{name}.{key}")), value)?;
    }
    Ok(layer)
}

/// A layer with one option changed; `shown` is the key as the user wrote it.
fn with_option<T>(layer: &T, (key, shown): (&str, &str), value: &Value) -> Result<T, ModelError>
where
    T: serde::Serialize + DeserializeOwned,
{
    let mut map = to_map(layer);
    map.insert(key.to_owned(), value.clone());
    serde_json::from_value(Value::Object(map)).map_err(|error| wrong_type(shown, value, &error))
}

fn read<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, ModelError> {
    serde_json::from_value(value.clone()).map_err(|error| wrong_type(key, value, &error))
}

/// Names of a layer's options.
fn options<T: serde::Serialize>(layer: &T) -> Vec<String> {
    to_map(layer).into_iter().map(|(key, _)| key).filter(|key| key != "kind").collect()
}

fn to_map<T: serde::Serialize>(layer: &T) -> Map<String, Value> {
    match serde_json::to_value(layer) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn parse(json: &str) -> Map<String, Value> {
    serde_json::from_str(json).expect("a test reads every preset")
}

fn wrong_type(key: &str, value: &Value, error: &serde_json::Error) -> ModelError {
    let text = error.to_string();
    let expected = text.rsplit_once("expected ").map_or(text.as_str(), |(_, expected)| expected);
    let expected = match expected {
        "usize" => "a whole number",
        "f64" => "a number",
        "a sequence" => "a list",
        other => other,
    };
    bad(key, value.to_string(), expected)
}

/// A name that nothing has.
fn no_such(key: &str, name: &str, known: &[&str]) -> ModelError {
    let hint = nearest(name, known).map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"));
    bad(key, format!("`{name}`"), format!("one of {}{hint}", known.join(", ")))
}

fn unknown(key: &str, owner: &str, known: &[&str]) -> ModelError {
    let suggestion = nearest(key.rsplit('.').next().unwrap_or(key), known).map(str::to_owned);
    ModelError::UnknownOption { key: key.to_owned(), owner: owner.to_owned(), suggestion, known: known.join(", ") }
}

/// The known name that differs in the fewest letters, where they are few.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let nearest = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known)).min();
    nearest.filter(|(distance, known)| *distance <= 1 + known.len() / 4).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scenario::{ConcatOrder, HinetConfig};
    use crate::task::{CgcConfig, CgcGate};

    fn model(value: &Value) -> Result<ModelConfig, ModelError> {
        expand(value.as_object().unwrap())
    }

    fn message(value: &Value) -> String {
        let error = model(value).unwrap_err();
        assert!(error.is_usage());
        error.to_string()
    }

    #[test]
    fn every_preset_reads_and_says_only_what_training_knows() {
        for preset in PRESETS {
            let config = preset.config();
            assert_eq!(model(&json!({ "preset": preset.name })).unwrap(), config);
            for name in preset.aliases {
                assert_eq!(find(name).unwrap(), preset);
            }
            let known = ["mask_loss", "scenario_weight_power"];
            assert!(train_defaults(preset.name).unwrap().keys().all(|key| known.contains(&key.as_str())));
        }
    }

    #[test]
    fn options_of_both_slots_of_any_pairing_have_distinct_names() {
        for scenario in ScenarioLayerConfig::one_of_each() {
            for task in TaskLayerConfig::one_of_each() {
                let twice = options(&scenario).into_iter().find(|option| options(&task).contains(option));
                assert_eq!(twice, None, "{} and {}", scenario.kind(), task.kind());
            }
        }
    }

    #[test]
    fn an_option_beside_a_preset_goes_to_the_slot_that_has_it() {
        let config = model(&json!({
            "preset": "hinet_official", "sub_experts": 2, "gate_relu": false, "cgc_gate": "softmax", "input_norm": "none"
        }));
        let config = config.unwrap();
        let (ScenarioLayerConfig::Hinet(scenario), TaskLayerConfig::Cgc(task)) = (&config.scenario, &config.task)
        else {
            panic!("{config:?}");
        };
        assert_eq!(config.input_norm, Default::default());
        assert_eq!((scenario.sub_experts, scenario.shared_sub_experts, scenario.gate_relu), (2, 5, false));
        assert_eq!((scenario.san_hidden.as_slice(), scenario.concat_order), (&[128, 64, 1][..], ConcatOrder::Asg));
        assert_eq!((task.cgc_gate, task.shared), (CgcGate::Softmax, 2));
        assert_eq!(train_defaults("official_compat").unwrap()["mask_loss"], json!(false));
    }

    #[test]
    fn slots_are_read_over_the_defaults_of_their_kind() {
        let config = model(&json!({ "scenario": { "kind": "hinet", "units": [8] }, "task": { "kind": "tower" } }));
        let expected = HinetConfig { units: vec![8], ..HinetConfig::default() };
        assert_eq!(config.unwrap().scenario, ScenarioLayerConfig::Hinet(expected));
        assert_eq!(model(&json!({})).unwrap(), ModelConfig::default());
    }

    #[test]
    fn a_resolved_model_reads_back_as_it_is() {
        let task = CgcConfig {
            product: serde_json::from_value(json!([{ "task": "a", "of": ["a", "b"] }])).unwrap(),
            ..CgcConfig::default()
        };
        let models = PRESETS.iter().map(Preset::config);
        for config in models.chain([ModelConfig { task: TaskLayerConfig::Cgc(task), ..ModelConfig::default() }]) {
            let written = serde_json::to_value(&config).unwrap();
            assert_eq!(model(&written).unwrap(), config);
            assert_eq!(serde_json::from_value::<ModelConfig>(written).unwrap(), config);
        }
    }

    #[test]
    fn mistakes_are_named_with_what_was_meant() {
        let of = |value: Value| message(&value);
        assert!(of(json!({ "preset": "hinet", "sub_expert": 3 })).contains("did you mean `sub_experts`?"));
        assert!(of(json!({ "preset": "hinnet" })).starts_with("`preset` is `hinnet`, expected one of hinet, "));
        assert!(of(json!({ "preset": "hinnet" })).contains("did you mean `hinet`?"));
        assert_eq!(of(json!({ "preset": "hinet", "units": "wide" })), "`units` is \"wide\", expected a list");
        assert_eq!(of(json!({ "preset": "hinet", "shared": -1 })), "`shared` is -1, expected a whole number");
        assert!(of(json!({ "preset": "hinet", "cgc_gate": "max" })).ends_with("expected `softmax` or `sum`"));
        assert!(of(json!({ "preset": 3 })).contains("the name of a preset"));
        assert!(of(json!({ "preset": "hinet", "scenario": {} })).contains("`scenario` is no option"));
        assert!(of(json!({ "scenario": { "kind": "hinet" } })).starts_with("`task` is missing"));
        assert!(of(json!({ "scenario": {}, "task": { "kind": "cgc" } })).starts_with("`scenario.kind` is missing"));
        let typo = json!({ "scenario": { "kind": "identiti" }, "task": { "kind": "cgc" } });
        assert!(of(typo).contains("did you mean `identity`?"));
        let typo = json!({ "scenario": { "kind": "identity", "units": [3] }, "task": { "kind": "cgc" } });
        assert!(of(typo).starts_with("`scenario.units` is no option of kind \"identity\""));
        assert!(of(json!({ "sceanrio": {} })).contains("did you mean `scenario`?"));
    }
}
