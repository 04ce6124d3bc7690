//! A first experiment file from the first rows of a data file: `hinet init`.
//!
//! | step | what comes out | where |
//! | --- | --- | --- |
//! | read the first rows | counts, values, separators per column | `profile` |
//! | judge each column alone, by name and values | a [`Role`] and a reason | `roles`, `words` |
//! | judge them together | one scenario, one user, tasks, what would leak | here |
//! | write | a commented experiment file | `render` |

mod profile;
mod render;
mod roles;
mod words;

use self::profile::Profile;
use self::roles::guess_column;
pub use self::roles::{ColumnGuess, FeatureKind, Role};
use crate::error::DataError;
use crate::source::{Order, Source};

/// What is known beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuessOptions {
    /// Rows looked at, the first ones.
    pub rows: u64,
    /// The scenario's column, rather than a guess.
    pub scenario: Option<String>,
    /// Columns to predict, rather than guesses.
    pub tasks: Vec<String>,
}

/// What the columns of a file seem to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Guess {
    /// Rows looked at.
    pub rows: u64,
    /// Whether these are all rows.
    pub all_rows: bool,
    /// Every column, in the order of the file; roles as decided together: at most one is the scenario, the user, the request, the time.
    pub columns: Vec<ColumnGuess>,
    /// Whether the scenario is more than a guess from a vague name.
    pub scenario_is_sure: bool,
}

impl Default for GuessOptions {
    fn default() -> Self {
        GuessOptions { rows: 20_000, scenario: None, tasks: Vec::new() }
    }
}

impl Guess {
    /// Looks at the first rows of `source`. Memory is bounded by the number of rows looked at.
    ///
    /// # Errors
    /// A column named in `options` that is not there, and the errors of reading.
    pub fn of(source: &Source, options: &GuessOptions) -> Result<Guess, DataError> {
        let schema = source.schema();
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        for name in options.tasks.iter().chain(&options.scenario) {
            if !names.contains(name) {
                let file = source.files().first().cloned().unwrap_or_default();
                return Err(DataError::missing_column(&file, name, names.iter().map(String::as_str)));
            }
        }
        let mut profiles: Vec<Profile> =
            schema.fields().iter().map(|field| Profile::new(field.name(), field.data_type())).collect();
        let (mut rows, mut all_rows) = (0, true);
        for read in source.read(&names, Order::InFile)? {
            if rows >= options.rows {
                all_rows = false;
                break;
            }
            let batch = read?.batch;
            let batch = batch.slice(0, batch.num_rows().min((options.rows - rows) as usize));
            profiles.iter_mut().zip(batch.columns()).for_each(|(profile, cells)| profile.add(cells));
            rows += batch.num_rows() as u64;
        }
        let columns = profiles.iter().map(guess_column).collect();
        let mut guess = Guess { rows, all_rows, columns, scenario_is_sure: true };
        guess.choose_tasks(&options.tasks);
        guess.choose_scenario(options.scenario.as_deref());
        guess.choose_user();
        guess.keep_one(|role| *role == Role::Request, "names a request or session, too");
        guess.choose_time();
        Ok(guess)
    }

    /// Columns to predict.
    pub fn tasks(&self) -> Vec<&ColumnGuess> {
        self.with(|role| *role == Role::Label)
    }

    /// The column of the scenario, if one was found.
    pub fn scenario(&self) -> Option<&ColumnGuess> {
        self.with(|role| matches!(role, Role::Scenario { .. })).first().copied()
    }

    /// What the user has to decide before training can start, and what is better looked at; each a sentence.
    pub fn questions(&self) -> Vec<String> {
        let mut questions = Vec::new();
        let tasks = self.tasks();
        match tasks.len() {
            0 => questions.push("no column looks like something to predict: name the task's label".to_owned()),
            1 => {}
            _ => {
                let names: Vec<String> = tasks.iter().map(|task| format!("`{}`", task.name)).collect();
                questions.push(format!("{} look like outcomes: keep the tasks you want", names.join(", ")));
            }
        }
        match self.scenario() {
            None => questions.push("no column looks like a scenario: name one".to_owned()),
            Some(scenario) if !self.scenario_is_sure => {
                questions.push(format!("`{}` is taken for the scenario by its name alone: check it", scenario.name));
            }
            Some(_) => {}
        }
        questions
    }

    fn with(&self, wanted: impl Fn(&Role) -> bool) -> Vec<&ColumnGuess> {
        self.columns.iter().filter(|column| wanted(&column.role)).collect()
    }

    /// Those the user named; other outcomes must not be inputs.
    fn choose_tasks(&mut self, named: &[String]) {
        if named.is_empty() {
            return;
        }
        for column in &mut self.columns {
            if named.contains(&column.name) {
                column.role = Role::Label;
            } else if column.role == Role::Label {
                column.unuse("looks like an outcome, too: as an input it would leak");
            }
        }
    }

    /// The one the user named, else the name that sounds most like it, the first of equals; others become categories.
    fn choose_scenario(&mut self, named: Option<&str>) {
        let likeness = |column: &ColumnGuess| match (&column.role, named) {
            (_, Some(name)) => u32::from(column.name == name),
            (Role::Scenario { likeness }, None) => *likeness,
            (_, None) => 0,
        };
        let best = self.columns.iter().map(likeness).max().unwrap_or(0);
        let chosen = self.columns.iter().position(|column| best > 0 && likeness(column) == best);
        self.scenario_is_sure = best > 1 || named.is_some();
        for (index, column) in self.columns.iter_mut().enumerate() {
            if chosen == Some(index) {
                column.role = Role::Scenario { likeness: best };
            } else if matches!(column.role, Role::Scenario { .. }) {
                column.role = Role::Feature(FeatureKind::Categorical);
            }
        }
    }

    fn choose_user(&mut self) {
        let first = self.columns.iter().position(|column| column.role == Role::User);
        for (index, column) in self.columns.iter_mut().enumerate() {
            if column.role == Role::User && Some(index) != first {
                column.role = Role::Feature(FeatureKind::Categorical);
            }
        }
    }

    /// The finest; the others would be unseen values in later rows.
    fn choose_time(&mut self) {
        let finest = self.with(|role| *role == Role::Time).iter().map(|column| column.distinct).max();
        let mut found = false;
        for column in &mut self.columns {
            if column.role == Role::Time {
                if Some(column.distinct) == finest && !found {
                    found = true;
                } else {
                    column.unuse("tells the time: later rows hold values never seen in train");
                }
            }
        }
    }

    fn keep_one(&mut self, wanted: impl Fn(&Role) -> bool, reason: &str) {
        let others = self.columns.iter_mut().filter(|column| wanted(&column.role)).skip(1);
        others.for_each(|column| column.unuse(reason));
    }
}

impl ColumnGuess {
    fn unuse(&mut self, reason: &str) {
        self.role = Role::Unused;
        self.reason = reason.to_owned();
    }
}
