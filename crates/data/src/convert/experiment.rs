//! The experiment file that goes with converted data, section by section.

use std::fmt::Write;

use super::sink::{Counts, PARTS};

/// The text so far.
pub(super) struct Experiment {
    text: String,
    has_valid: bool,
}

impl Experiment {
    /// Begins with where the rows are: `about` is a comment of one or more lines, `keys` the other keys of `[data]`.
    pub(super) fn new(name: &str, about: &str, counts: Counts, keys: &str) -> Experiment {
        let mut text = String::new();
        for line in about.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let _ = write!(text, "config_version = 1\nname = \"{name}\"\n\n[data]\n");
        for (part, name) in PARTS {
            if counts[part as usize] > 0 {
                let _ = writeln!(text, "{name} = \"{name}.parquet\"");
            }
        }
        text.push_str(keys);
        Experiment { text, has_valid: counts[1] > 0 }
    }

    pub(super) fn scenario(mut self, column: &str) -> Experiment {
        let _ = write!(self.text, "\n[scenario]\ncolumn = \"{column}\"\n");
        self
    }

    /// A task; `label` is an expression.
    pub(super) fn task(mut self, name: &str, label: &str) -> Experiment {
        let _ = write!(self.text, "\n[[task]]\nname = \"{name}\"\nlabel = '{label}'\n");
        self
    }

    /// A rule for columns; `rest` are its other keys.
    pub(super) fn feature(mut self, columns: &[impl AsRef<str>], rest: &str) -> Experiment {
        let _ = write!(self.text, "\n[[feature]]\ncolumns = {}\n{rest}\n", array(columns));
        self
    }

    /// Ends with the model and how it is trained.
    pub(super) fn model(mut self, preset: &str, batch_size: usize) -> String {
        let _ = write!(
            self.text,
            "\n[model]\npreset = \"{preset}\"\n\n[train]\nepochs = 4\nbatch_size = {batch_size}\nseed = 7\n\
             dense = {{ optimiser = \"adam\", learning_rate = 1e-3 }}\n\
             sparse = {{ optimiser = \"adagrad\", learning_rate = 5e-2 }}\n"
        );
        if self.has_valid {
            self.text.push_str("monitor = \"mean_auc\"\npatience = 2\n");
        }
        self.text
    }
}

/// Names as TOML has them, a few to the line.
fn array(names: &[impl AsRef<str>]) -> String {
    const WIDTH: usize = 110;
    let names: Vec<String> = names.iter().map(|name| format!("\"{}\"", name.as_ref())).collect();
    let flat = names.join(", ");
    if flat.len() <= WIDTH {
        return format!("[{flat}]");
    }
    let mut lines = vec![String::new()];
    for name in names {
        if lines.last().is_some_and(|line| line.len() + name.len() > WIDTH) {
            lines.push(String::new());
        }
        let line = lines.last_mut().expect("it begins with a line");
        let _ = write!(line, "{}{name},", if line.is_empty() { "    " } else { " " });
    }
    format!("[\n{}\n]", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_rows_is_not_named_and_long_lists_are_broken() {
        let names: Vec<String> = (1..=40).map(|number| format!("column_{number}")).collect();
        let text = Experiment::new("x", "One.\nTwo.", [5, 0, 2], "user = \"u\"\n")
            .scenario("s")
            .task("t", "a == \"b\"")
            .feature(&names, "kind = \"categorical\"")
            .model("mmoe", 64);
        let head = "# One.\n# Two.\nconfig_version = 1\nname = \"x\"\n\n[data]\ntrain = \"train.parquet\"\n\
            test = \"test.parquet\"\nuser = \"u\"\n";
        assert!(text.starts_with(head) && !text.contains("monitor"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 120), "{text}");
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table["feature"][0]["columns"].as_array().unwrap().len(), 40);
        assert_eq!(table["task"][0]["label"].as_str(), Some("a == \"b\""));
    }
}
