//! The experiment file of a guess: valid TOML in which every guess has its reason beside it.

use std::fmt::Write;

use super::{ColumnGuess, FeatureKind, Guess, Role};

/// Rows up to which a run needs more epochs and smaller batches to get anywhere.
const FEW_ROWS: u64 = 100_000;
/// Distinct times needed to cut by time.
const TIMES: u64 = 20;
/// Distinct values up to which a narrow embedding does.
const FEW_VALUES: u64 = 100;

impl Guess {
    /// The text of an experiment file for these data. `data` are the paths as the file shall name them: relative ones are taken from
    /// the folder of the experiment file.
    pub fn to_toml(&self, data: &[String]) -> String {
        let rows = if self.all_rows { "all" } else { "the first" };
        let mut text = format!(
            "# Written by `hinet init` from {rows} {} rows. What is said here are guesses, each with its reason.\n\
             # Look first for the lines with `# choose:`; then try `hinet check` on this file.\n\nconfig_version = 1\n",
            self.rows
        );
        self.data(data, &mut text);
        self.scenario_section(&mut text);
        self.task_sections(&mut text);
        self.feature_sections(&mut text);
        self.unused(&mut text);
        let few = self.all_rows && self.rows <= FEW_ROWS;
        let (epochs, batch_size) = if few { (10, 256) } else { (3, 1024) };
        let _ = write!(
            text,
            "\n[model]\npreset = \"hinet\"\n\n[train]\nepochs = {epochs}\nbatch_size = {batch_size}\nseed = 7\n\
             monitor = \"mean_auc\"\npatience = 2\n"
        );
        text
    }

    fn data(&self, data: &[String], text: &mut String) {
        text.push_str("\n[data]\n");
        match data {
            [one] => {
                let _ = writeln!(text, "train = {}", quoted(one));
            }
            several => {
                let paths: Vec<String> = several.iter().map(|path| quoted(path)).collect();
                let _ = writeln!(text, "train = [{}]", paths.join(", "));
            }
        }
        match self.with(|role| *role == Role::Time).first() {
            Some(time) if time.distinct >= TIMES => {
                let column = quoted(&time.name);
                let _ = writeln!(
                    text,
                    "# The last tenth of the time is test, the tenth before it valid. {}",
                    comment(time)
                );
                let _ = writeln!(text, "split = {{ by = \"time\", column = {column}, valid = 0.1, test = 0.1 }}");
            }
            Some(_) | None => {
                text.push_str(
                    "# No column tells the time finely enough, so rows are drawn at random for valid and test.\n",
                );
                text.push_str("# Where files for them exist, name them with `valid = ...` and `test = ...` instead.\n");
                text.push_str("split = { by = \"random\", valid = 0.1, test = 0.1 }\n");
            }
        }
        for (key, role) in [("user", Role::User), ("request", Role::Request)] {
            if let Some(column) = self.with(|found| *found == role).first() {
                let _ = writeln!(text, "{key} = {}  # {}", quoted(&column.name), plain(&column.reason));
            }
        }
    }

    fn scenario_section(&self, text: &mut String) {
        let Some(scenario) = self.scenario() else {
            text.push_str("\n# choose: no column looks like a scenario; name the column that tells the page, channel, country, ...\n");
            text.push_str("# [scenario]\n# column = \"...\"\n");
            let few = |column: &&ColumnGuess| (2..=12).contains(&column.distinct);
            let names: Vec<String> =
                self.features().into_iter().filter(few).map(|column| quoted(&column.name)).collect();
            if !names.is_empty() {
                let _ = writeln!(text, "# Columns with few values: {}", names.join(", "));
            }
            return;
        };
        text.push_str("\n[scenario]\n");
        if !self.scenario_is_sure {
            text.push_str("# choose: taken for its name alone; is this where scenarios differ?\n");
        }
        let _ = writeln!(text, "column = {}  # {}", quoted(&scenario.name), plain(&scenario.reason));
    }

    fn task_sections(&self, text: &mut String) {
        let tasks = self.tasks();
        match tasks.len() {
            0 => {
                text.push_str("\n# choose: no column looks like something to predict; name a column of 0 and 1,\n");
                text.push_str(
                    "# and take it out of the features below.\n# [[task]]\n# name = \"...\"\n# label = \"...\"\n",
                );
            }
            1 => {}
            _ => text.push_str(
                "\n# choose: these look like outcomes; delete the tasks you do not want. None of them is a feature.\n",
            ),
        }
        let mut names: Vec<String> = Vec::new();
        for task in tasks {
            let name = task_name(&task.name, &names);
            let _ = writeln!(text, "\n[[task]]\nname = {}", quoted(&name));
            let _ = writeln!(text, "label = {}  # {}", quoted(&as_expression(&task.name)), plain(&task.reason));
            names.push(name);
        }
    }

    fn features(&self) -> Vec<&ColumnGuess> {
        self.with(|role| matches!(role, Role::Feature(_) | Role::User))
    }

    /// Columns with the same rule share a section.
    fn feature_sections(&self, text: &mut String) {
        let mut sections: Vec<(String, Vec<&ColumnGuess>)> = Vec::new();
        for column in self.features() {
            let rule = rule(column);
            match sections.iter_mut().find(|(known, _)| *known == rule) {
                Some((_, columns)) => columns.push(column),
                None => sections.push((rule, vec![column])),
            }
        }
        for (rule, columns) in sections {
            text.push_str("\n[[feature]]\ncolumns = [\n");
            for column in columns {
                let _ = writeln!(text, "    {},  # {}", quoted(&column.name), plain(&column.reason));
            }
            let _ = write!(text, "]\n{rule}");
        }
    }

    fn unused(&self, text: &mut String) {
        let unused = self.with(|role| matches!(role, Role::Unused | Role::Time));
        if unused.is_empty() {
            return;
        }
        text.push_str("\n# Left out of the features:\n");
        for column in unused {
            let _ = writeln!(text, "#   {}", comment(column));
        }
    }
}

/// The keys of a feature's section that follow its columns.
fn rule(column: &ColumnGuess) -> String {
    let dim = if column.distinct <= FEW_VALUES { 8 } else { 16 };
    let separated = |separator: &Option<String>| match separator {
        Some(separator) => format!("separator = {}\n", quoted(separator)),
        None => String::new(),
    };
    match &column.role {
        Role::Feature(FeatureKind::Numeric) => {
            "kind = \"numeric\"\ntransform = \"quantile\"\nbuckets = 20\ndim = 8\n".to_owned()
        }
        Role::Feature(FeatureKind::Multi(separator)) => {
            format!("kind = \"multi\"\n{}pooling = \"mean\"\ndim = 16\n", separated(separator))
        }
        Role::Feature(FeatureKind::Sequence(separator)) => {
            format!("kind = \"sequence\"\n{}length = 50\npooling = \"mean\"\ndim = 16\n", separated(separator))
        }
        Role::Feature(FeatureKind::Weighted(separator)) => {
            format!("kind = \"weighted\"\nseparator = {}\ndim = 16\n", quoted(separator))
        }
        Role::Feature(FeatureKind::Vector(length, separator)) => {
            format!("kind = \"vector\"\nlength = {length}\n{}", separated(separator))
        }
        Role::Feature(FeatureKind::Categorical)
        | Role::User
        | Role::Label
        | Role::Scenario { .. }
        | Role::Request
        | Role::Time
        | Role::Unused => format!("kind = \"categorical\"\ndim = {dim}\n"),
    }
}

/// `is_click` is the task `click`; other signs than letters, digits and `_` become `_`; a name that is taken gets a number.
fn task_name(column: &str, taken: &[String]) -> String {
    let bare = column.strip_prefix("is_").filter(|rest| !rest.is_empty()).unwrap_or(column);
    let name: String = bare.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect();
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    std::iter::once(name.clone()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or(name)
}

/// A column's name as an expression, in backquotes where it would read as something else.
fn as_expression(name: &str) -> String {
    let word = name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let first = name.chars().next().is_some_and(|letter| letter.is_alphabetic() || letter == '_');
    let keyword =
        ["and", "or", "not", "in", "null", "true", "false"].iter().any(|known| name.eq_ignore_ascii_case(known));
    if word && first && !keyword { name.to_owned() } else { format!("`{name}`") }
}

fn comment(column: &ColumnGuess) -> String {
    format!("{}: {}", quoted(&column.name), plain(&column.reason))
}

/// On one line, as TOML wants comments.
fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_tasks_and_expressions_that_can_be_read_back() {
        assert_eq!(task_name("is_click", &[]), "click");
        assert_eq!(task_name("is_click", &["click".to_owned()]), "click_2");
        assert_eq!(task_name("long view!", &[]), "long_view_");
        assert_eq!(as_expression("is_click"), "is_click");
        assert_eq!(as_expression("long view"), "`long view`");
        assert_eq!(as_expression("In"), "`In`");
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(quoted("a\"b\\c\u{1}"), "\"a\\\"b\\\\c\\u0001\"");
        assert_eq!(plain("one\ntwo"), "one two");
    }
}
