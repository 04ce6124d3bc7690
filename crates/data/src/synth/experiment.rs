//! The experiment file that goes with the data.

use std::fmt::Write;

use super::config::{SynthColumns, SynthConfig};
use super::side::{SEPARATOR, side_names};

/// Text of an experiment file that trains HiNet on the files of [`write_synth`](crate::write_synth), which stand beside it.
pub fn synth_experiment(config: &SynthConfig) -> String {
    let mut text = String::from(
        "# Written by `hinet synth`. The truth about these data stands in truth.json.\nconfig_version = 1\nname = \"synth\"\n\n",
    );
    data_section(config, &mut text);
    task_sections(config, &mut text);
    feature_sections(config, &mut text);
    text.push_str(MODEL_AND_TRAIN);
    if config.valid_rows > 0 {
        text.push_str("monitor = \"mean_auc\"\npatience = 2\n");
    }
    text
}

const MODEL_AND_TRAIN: &str = r#"
[model]
preset = "hinet"

[train]
epochs = 4
batch_size = 1024
seed = 7
dense = { optimiser = "adam", learning_rate = 1e-3 }
sparse = { optimiser = "adagrad", learning_rate = 5e-2 }
"#;

fn data_section(config: &SynthConfig, text: &mut String) {
    let ending = config.format.ending();
    text.push_str("[data]\n");
    let _ = writeln!(text, "train = \"train.{ending}\"");
    if config.valid_rows > 0 {
        let _ = writeln!(text, "valid = \"valid.{ending}\"");
    }
    let _ = writeln!(text, "test = \"test.{ending}\"");
    text.push_str("user = \"user_id\"\nrequest = \"request_id\"\n\n[scenario]\ncolumn = \"scenario\"\n");
}

fn task_sections(config: &SynthConfig, text: &mut String) {
    let mut label = String::new();
    for task in &config.tasks {
        label = match (config.funnel, label.is_empty()) {
            (true, false) => format!("{label} * {}", task.label()),
            (true, true) | (false, _) => task.label(),
        };
        let _ = write!(text, "\n[[task]]\nname = \"{}\"\nlabel = \"{label}\"\n", task.name);
    }
}

fn feature_sections(config: &SynthConfig, text: &mut String) {
    let user = side_names("user", &config.user_columns);
    let item = side_names("item", &config.item_columns);
    let mut categorical = vec!["hour".to_owned()];
    if config.id_share > 0.0 || config.user_columns == SynthColumns::default() {
        categorical.push("user_id".to_owned());
    } else {
        text.push_str("\n# user_id tells nothing that the user's other columns do not (id_share = 0).");
    }
    if config.id_share > 0.0 || config.item_columns == SynthColumns::default() {
        categorical.push("item_id".to_owned());
    } else {
        text.push_str("\n# item_id tells nothing that the item's other columns do not.\n");
    }
    categorical.extend(user.categorical.into_iter().chain(item.categorical));
    categorical.extend((1..=config.noise_columns).map(|number| format!("noise_{number}")));
    section(text, &categorical, "kind = \"categorical\"\ndim = 8\n");
    let numeric: Vec<String> = user.numeric.into_iter().chain(item.numeric).collect();
    section(text, &numeric, "kind = \"numeric\"\ntransform = \"quantile\"\nbuckets = 20\ndim = 8\n");
    let multi: Vec<String> = user.multi.into_iter().chain(item.multi).collect();
    section(text, &multi, &format!("kind = \"multi\"\nseparator = \"{SEPARATOR}\"\npooling = \"mean\"\ndim = 8\n"));
}

fn section(text: &mut String, columns: &[String], rest: &str) {
    if !columns.is_empty() {
        let _ = write!(text, "\n[[feature]]\ncolumns = {columns:?}\n{rest}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_funnel_multiplies_labels_and_ids_are_features_only_where_they_tell_something() {
        let plain = synth_experiment(&SynthConfig::default());
        assert!(plain.contains("label = \"is_like\"\n") && !plain.contains("\"user_id\","), "{plain}");
        let config = SynthConfig { funnel: true, id_share: 0.2, valid_rows: 0, ..SynthConfig::default() };
        let text = synth_experiment(&config);
        assert!(text.contains("label = \"is_click * is_like\"\n"), "{text}");
        assert!(
            text.contains("\"user_id\", \"item_id\"") && !text.contains("valid =") && !text.contains("monitor"),
            "{text}"
        );
        assert!(plain.contains("monitor = \"mean_auc\"\n"), "{plain}");
    }
}
