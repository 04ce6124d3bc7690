//! Census-Income (KDD): `census-income.data` and `census-income.test`, no header, 42 values apart by commas, `?` where one is missing.
//!
//! The tasks are those of MMoE (Ma et al., KDD 2018): an income above 50,000 dollars, and never married. Valid is half of the
//! published test, as there. Many lines are copies of others; copies are not parted.

use std::path::Path;

use super::experiment::Experiment;
use super::lines::{FoundFile, Line, need};
use super::sink::{Counts, Row, Sink};
use super::table::{Cell, Kind};
use super::{About, ConvertConfig, ConvertSplit, Published};
use crate::error::DataError;
use crate::split::Part;

/// Columns in the order of the file, under the names that papers give them; the label follows.
const COLUMNS: [(&str, Kind); 41] = [
    ("age", Kind::Whole),
    ("class_worker", Kind::Text),
    ("det_ind_code", Kind::Whole),
    ("det_occ_code", Kind::Whole),
    ("education", Kind::Text),
    ("wage_per_hour", Kind::Whole),
    ("hs_college", Kind::Text),
    ("marital_stat", Kind::Text),
    ("major_ind_code", Kind::Text),
    ("major_occ_code", Kind::Text),
    ("race", Kind::Text),
    ("hisp_origin", Kind::Text),
    ("sex", Kind::Text),
    ("union_member", Kind::Text),
    ("unemp_reason", Kind::Text),
    ("full_or_part_emp", Kind::Text),
    ("capital_gains", Kind::Whole),
    ("capital_losses", Kind::Whole),
    ("stock_dividends", Kind::Whole),
    ("tax_filer_stat", Kind::Text),
    ("region_prev_res", Kind::Text),
    ("state_prev_res", Kind::Text),
    ("det_hh_fam_stat", Kind::Text),
    ("det_hh_summ", Kind::Text),
    ("instance_weight", Kind::Number),
    ("mig_chg_msa", Kind::Text),
    ("mig_chg_reg", Kind::Text),
    ("mig_move_reg", Kind::Text),
    ("mig_same", Kind::Text),
    ("mig_prev_sunbelt", Kind::Text),
    ("num_emp", Kind::Whole),
    ("fam_under_18", Kind::Text),
    ("country_father", Kind::Text),
    ("country_mother", Kind::Text),
    ("country_self", Kind::Text),
    ("citizenship", Kind::Text),
    ("own_or_self", Kind::Whole),
    ("vet_question", Kind::Text),
    ("vet_benefits", Kind::Whole),
    ("weeks_worked", Kind::Whole),
    ("year", Kind::Whole),
];
const LABEL: &str = "income_50k";
/// Whole numbers that count something; the others are codes.
const NUMBERS: [&str; 7] =
    ["age", "wage_per_hour", "capital_gains", "capital_losses", "stock_dividends", "num_emp", "weeks_worked"];
/// The label of the second task, and a weight of the survey that says how many people a line stands for.
const NO_FEATURES: [&str; 2] = ["marital_stat", "instance_weight"];

/// The two files.
pub(super) struct Census {
    files: [(FoundFile, Part); 2],
}

impl Census {
    pub(super) fn open(config: &ConvertConfig) -> Result<Census, DataError> {
        let file = |name| need(&config.folder, name);
        let files = [(file("census-income.data")?, Part::Train), (file("census-income.test")?, Part::Test)];
        Ok(Census { files })
    }
}

impl Published for Census {
    fn about(&self) -> About {
        let mut columns = vec![("scenario".to_owned(), Kind::Text)];
        columns.extend(COLUMNS.iter().map(|(name, kind)| ((*name).to_owned(), *kind)));
        columns.push((LABEL.to_owned(), Kind::Whole));
        About {
            columns,
            split: ConvertSplit::Recorded,
            recorded: Ok((Part::Test, 0.5)),
            users: Err("Census-Income does not say whose lines they are: choose recorded or random"),
            time: Err("Census-Income has no times, only two years: choose recorded or random"),
        }
    }

    fn rows(&self, _scratch: &Path, sink: &mut Sink<'_>) -> Result<(), DataError> {
        for (file, recorded) in &self.files {
            let mut lines = file.lines()?;
            while let Some(line) = lines.next()? {
                let Some(cells) = sink.allow(cells(line))? else { continue };
                sink.push(&Row { cells: &cells, recorded: *recorded, together: line.bytes, user: &[] })?;
            }
        }
        Ok(())
    }

    fn experiment(&self, counts: Counts) -> String {
        let about = "Census-Income (KDD), tasks as in MMoE (KDD 2018). Written by `hinet convert`.\n\
            One scenario; `column = \"sex\"` in [scenario] makes it two. Never inputs: marital_stat, income_50k, instance_weight.";
        let wanted = |number: bool| {
            let columns = COLUMNS.iter().map(|(name, _)| *name).filter(|name| !NO_FEATURES.contains(name));
            columns.filter(|name| NUMBERS.contains(name) == number).collect::<Vec<_>>()
        };
        Experiment::new("census", about, counts, "")
            .scenario("scenario")
            .task("income", LABEL)
            .task("never_married", "marital_stat == \"Never married\"")
            .feature(&wanted(false), "kind = \"categorical\"\ndim = 8")
            .feature(&wanted(true), "kind = \"numeric\"\ntransform = \"quantile\"\nbuckets = 20\ndim = 8")
            .model("mmoe", 1024)
    }
}

fn cells(line: Line<'_>) -> Result<Vec<Cell<'_>>, DataError> {
    let values = line.split(b",", COLUMNS.len() + 1)?;
    let mut cells = Vec::with_capacity(COLUMNS.len() + 2);
    cells.push(Cell::Text("all"));
    for ((name, kind), value) in COLUMNS.iter().zip(&values) {
        cells.push(match kind {
            _ if value.trim_ascii() == b"?" => Cell::Missing,
            Kind::Whole => Cell::Whole(line.at.whole(name, value)?),
            Kind::Number => Cell::Number(line.at.number(name, value)?),
            Kind::Text => Cell::Text(line.at.some_text(name, value)?),
            Kind::Wholes | Kind::Numbers | Kind::Texts => unreachable!("a census has no lists"),
        });
    }
    let label = values[COLUMNS.len()];
    cells.push(match line.at.text(LABEL, label)? {
        "- 50000." => Cell::Whole(0),
        "50000+." => Cell::Whole(1),
        _ => return Err(line.at.bad_field(LABEL, label, "`- 50000.` or `50000+.`")),
    });
    Ok(cells)
}
