//! `report.html`: a run, or a comparison, for people. One file without script that loads nothing.
//!
//! | file | what it does |
//! | --- | --- |
//! | `files` | reads the files of a run folder |
//! | `train` | the page of a run: title, facts, table of cells |
//! | `curves`, `warm`, `reliability`, `inside`, `cost` | its sections |
//! | `comparison`, `forest` | the page of a comparison |
//! | `heat`, `chart`, `table` | what pages are made of: plain data with numbers already written out |
//! | `format` | numbers as text |
//! | `templates` | HTML and CSS; every value is escaped there, and nowhere else |
//! | `palette` | tests of the colours |
//!
//! Pages are made from files alone, so the same run gives the same page, but for the box on cost, which reads
//! `timing.json`. Hue is never the only sign: cells hold their numbers and marks, lines have dashes and names.

mod chart;
mod comparison;
mod cost;
mod curves;
mod files;
mod forest;
mod format;
mod heat;
mod inside;
#[cfg(test)]
mod palette;
mod reliability;
mod table;
mod train;
mod warm;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use crate::run_folder::write_whole;
use crate::{CompareTiming, Comparison, RunFolder, TrainError};
use files::Files;

pub use format::grouped;

const TEMPLATES: [(&str, &str); 5] = [
    ("page.html", include_str!("report/templates/page.html")),
    ("parts.html", include_str!("report/templates/parts.html")),
    ("style.css", include_str!("report/templates/style.css")),
    (TRAIN, include_str!("report/templates/train.html")),
    (COMPARE, include_str!("report/templates/compare.html")),
];

const TRAIN: &str = "train.html";
const COMPARE: &str = "compare.html";

/// Writes the page of a finished run into its folder, from the files that stand there.
///
/// # Errors
/// If a file is missing or damaged, or the page cannot be written.
pub fn write_report(folder: &RunFolder) -> Result<(), TrainError> {
    let files = Files::read(folder)?;
    write_whole(&folder.report(), render(TRAIN, &train::Page::of(&files)).as_bytes())
}

/// The page of a comparison. A model without a timing shows a dash for its speed.
#[must_use]
pub fn comparison_page(comparison: &Comparison, timing: &CompareTiming) -> String {
    render(COMPARE, &comparison::Page::of(comparison, timing))
}

/// What a page says above its sections.
#[derive(Serialize)]
struct Head {
    version: &'static str,
    title: String,
    subtitle: String,
    facts: Vec<Fact>,
    look: Vec<String>,
    sections: Vec<Section>,
}

/// A number worth a large type.
#[derive(Default, Serialize)]
struct Fact {
    name: String,
    value: String,
    note: String,
    lead: bool,
}

/// An entry of the table of contents.
#[derive(Serialize)]
struct Section {
    id: &'static str,
    title: &'static str,
}

impl Fact {
    fn new(name: &str, value: String) -> Fact {
        Fact { name: name.to_owned(), value, ..Fact::default() }
    }

    fn with_note(self, note: impl Into<String>) -> Fact {
        Fact { note: note.into(), ..self }
    }
}

fn render(template: &str, page: &impl Serialize) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(
        |name| {
            if name.ends_with(".css") { AutoEscape::None } else { AutoEscape::Html }
        },
    );
    for (name, source) in TEMPLATES {
        environment.add_template(name, source).expect("a test renders every template");
    }
    let template = environment.get_template(template).expect("it is one of the templates");
    template.render(Serde(page)).expect("a test renders every template")
}
