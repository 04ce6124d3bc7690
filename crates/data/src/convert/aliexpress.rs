//! AliExpress: logs of a search in several countries, which are the scenarios: NL, ES, FR, US.
//!
//! Two forms are read, each in a folder of its country (`AliExpress_NL` or `NL`):
//!
//! - as the owner published it: `nl_item_train.csv` (search, 47 features, label 0 to 2) and `nl_user_train.csv` (search, 32 features)
//!   and the same of test, without headers, joined by the search;
//! - as MTReclib joins them: `train.csv` and `test.csv` with the columns `categorical_1` to `categorical_16`, `numerical_1` to `numerical_63`,
//!   `click`, `conversion`.
//!
//! Both give the same columns. Valid comes from train; a search is in one part only, where searches are named.

use std::path::{Path, PathBuf};

use super::experiment::Experiment;
use super::join::Join;
use super::lines::{FoundFile, Header, Line, find, missing};
use super::sink::{Counts, Row, Sink};
use super::table::{Cell, Kind};
use super::{About, ConvertConfig, ConvertSplit, Published};
use crate::error::DataError;
use crate::split::Part;

const COUNTRIES: [&str; 4] = ["NL", "ES", "FR", "US"];
const CATEGORIES: usize = 16;
const NUMBERS: usize = 63;
const SEARCH: &str = "search_id";
const LABELS: [&str; 2] = ["click", "conversion"];
/// Values of a line of users, and of items; the first of either is the search, the last of items the label.
const USER_VALUES: usize = 33;
const ITEM_VALUES: usize = 49;
/// Places (from 1) of categories among the values of users and of items, in the order in which MTReclib numbers them.
const USER_CATEGORIES: [usize; 9] = [2, 3, 4, 5, 6, 7, 8, 32, 33];
const ITEM_CATEGORIES: [usize; 7] = [19, 34, 35, 36, 40, 41, 42];

/// The countries that are there.
pub(super) struct AliExpress {
    countries: Vec<Country>,
}

struct Country {
    name: &'static str,
    parts: [(Part, Form); 2],
}

/// The files of a part.
enum Form {
    /// Items with their users.
    Joined(FoundFile),
    /// Items and users.
    Apart { items: FoundFile, users: FoundFile },
}

impl AliExpress {
    pub(super) fn open(config: &ConvertConfig) -> Result<AliExpress, DataError> {
        let mut countries = Vec::new();
        for name in COUNTRIES {
            if let Some(folder) = folder_of(&config.folder, name) {
                countries.push(Country::open(name, &folder)?);
            }
        }
        if countries.is_empty() {
            let problem =
                "has no folder AliExpress_NL, AliExpress_ES, AliExpress_FR or AliExpress_US (or NL, ES, FR, US)";
            return Err(DataError::NoFiles { path: config.folder.clone(), problem });
        }
        Ok(AliExpress { countries })
    }

    /// Whether all files name the search of an item.
    fn names_searches(&self) -> bool {
        let names = |file: &FoundFile| {
            let header = file.lines().and_then(|mut lines| Header::read(&mut lines, &LABELS));
            header.is_ok_and(|mut header| header.want(SEARCH))
        };
        let parts = self.countries.iter().flat_map(|country| &country.parts);
        parts.into_iter().all(|(_, form)| match form {
            Form::Joined(file) => names(file),
            Form::Apart { .. } => true,
        })
    }
}

/// The folder of a country: in the folder that was named, or that folder itself.
fn folder_of(folder: &Path, country: &str) -> Option<PathBuf> {
    let names = [format!("AliExpress_{country}"), country.to_owned(), format!("aliexpress_{country}_datasets")];
    let itself = folder.file_name().is_some_and(|name| names.iter().any(|known| known.as_str() == name));
    let below = names.iter().map(|name| folder.join(name)).find(|path| path.is_dir());
    below.or_else(|| (itself && folder.is_dir()).then(|| folder.to_owned()))
}

impl Country {
    fn open(name: &'static str, folder: &Path) -> Result<Country, DataError> {
        let part = |part: &str| {
            if let Some(file) = find(folder, &format!("{part}.csv"))? {
                return Ok(Form::Joined(file));
            }
            let named = |kind: &str| format!("{}_{kind}_{part}.csv", name.to_lowercase());
            match (find(folder, &named("item"))?, find(folder, &named("user"))?) {
                (Some(items), Some(users)) => Ok(Form::Apart { items, users }),
                (Some(_), None) => Err(missing(folder, &named("user"))),
                (None, Some(_)) => Err(missing(folder, &named("item"))),
                (None, None) => Err(missing(folder, &format!("{part}.csv"))),
            }
        };
        Ok(Country { name, parts: [(Part::Train, part("train")?), (Part::Test, part("test")?)] })
    }
}

impl Published for AliExpress {
    fn about(&self) -> About {
        let mut columns = vec![("country".to_owned(), Kind::Text), (SEARCH.to_owned(), Kind::Text)];
        columns.extend(categories().map(|name| (name, Kind::Whole)));
        columns.extend(numbers().map(|name| (name, Kind::Number)));
        columns.extend(LABELS.map(|name| (name.to_owned(), Kind::Whole)));
        About {
            columns,
            split: ConvertSplit::Recorded,
            recorded: Ok((Part::Train, 0.1)),
            users: Err("AliExpress does not say whose searches they are: choose recorded or random"),
            time: Err("AliExpress has no times: choose recorded or random"),
        }
    }

    fn rows(&self, scratch: &Path, sink: &mut Sink<'_>) -> Result<(), DataError> {
        for country in &self.countries {
            for (part, form) in &country.parts {
                match form {
                    Form::Joined(file) => joined(country.name, *part, file, sink)?,
                    Form::Apart { items, users } => apart(country.name, *part, [items, users], scratch, sink)?,
                }
            }
        }
        Ok(())
    }

    fn experiment(&self, counts: Counts) -> String {
        let names: Vec<&str> = self.countries.iter().map(|country| country.name).collect();
        let about = format!(
            "AliExpress (Li et al., CIKM 2020): {}. Written by `hinet convert`.\n\
             The tasks are CTR and CTCVR. Never inputs: click, conversion, search_id.",
            names.join(", ")
        );
        let keys = if self.names_searches() { "request = \"search_id\"\n" } else { "" };
        let mut categorical = vec!["country".to_owned()];
        categorical.extend(categories());
        let numeric: Vec<String> = numbers().collect();
        Experiment::new("aliexpress", &about, counts, keys)
            .scenario("country")
            .task("ctr", "click")
            .task("ctcvr", "click * conversion")
            .feature(&categorical, "kind = \"categorical\"\ndim = 16")
            .feature(&numeric, "kind = \"numeric\"\ntransform = \"standard\"")
            .model("hinet", 2048)
    }
}

fn joined(country: &'static str, recorded: Part, file: &FoundFile, sink: &mut Sink<'_>) -> Result<(), DataError> {
    let names: Vec<String> = categories().chain(numbers()).chain(LABELS.map(str::to_owned)).collect();
    let mut lines = file.lines()?;
    let mut header = Header::read(&mut lines, &names)?;
    let searches = header.want(SEARCH);
    while let Some(line) = lines.next()? {
        let read = header.cells(line).and_then(|values| {
            let search = if searches { Some(values[names.len()]) } else { None };
            let mut cells = vec![Cell::Text(country), optional_text(line, search)?];
            features(line, &names, &values[..CATEGORIES + NUMBERS], &mut cells)?;
            for (name, value) in LABELS.iter().zip(&values[CATEGORIES + NUMBERS..]) {
                cells.push(Cell::Whole(line.at.flag(name, value)?));
            }
            Ok((cells, search))
        });
        let Some((cells, search)) = sink.allow(read)? else { continue };
        // A line begins with its number, which is no part of what it says.
        let rest = line.bytes.splitn(2, |byte| *byte == b',').last().unwrap_or_default();
        sink.push(&Row { cells: &cells, recorded, together: search.unwrap_or(rest), user: &[] })?;
    }
    Ok(())
}

fn apart(
    country: &'static str,
    recorded: Part,
    [items, users]: [&FoundFile; 2],
    scratch: &Path,
    sink: &mut Sink<'_>,
) -> Result<(), DataError> {
    let mut join = Join::new(scratch, &[items.path()], users)?;
    let search = |line: Line<'_>, count| line.cells(count).map(|values| values[0].to_vec());
    let mut lines = items.lines()?;
    while let Some(line) = lines.next()? {
        if let Some(key) = sink.allow(search(line, ITEM_VALUES))? {
            join.push_left(&key, 0, line)?;
        }
    }
    let mut lines = users.lines()?;
    while let Some(line) = lines.next()? {
        if let Some(key) = sink.allow(search(line, USER_VALUES))? {
            join.push_right(&key, line)?;
        }
    }
    let names: Vec<String> = categories().chain(numbers()).collect();
    join.each(|pair| {
        // MTReclib joins so that items of a search without a user fall away.
        let Some(user) = pair.right else {
            sink.left_out += 1;
            return Ok(());
        };
        let read = pair_cells(country, &names, pair.left, user);
        let Some(cells) = sink.allow(read)? else { return Ok(()) };
        sink.push(&Row { cells: &cells, recorded, together: pair.key, user: &[] })
    })
}

/// The cells of an item and the user who searched.
fn pair_cells<'a>(
    country: &'static str,
    names: &[String],
    item: Line<'a>,
    user: Line<'a>,
) -> Result<Vec<Cell<'a>>, DataError> {
    let (items, users) = (item.cells(ITEM_VALUES)?, user.cells(USER_VALUES)?);
    let mut cells = vec![Cell::Text(country), optional_text(item, Some(items[0]))?];
    let (user_names, item_names) = names[..CATEGORIES].split_at(USER_CATEGORIES.len());
    let pick = |values: &[&'a [u8]], places: &[usize]| places.iter().map(|place| values[place - 1]).collect::<Vec<_>>();
    features(user, user_names, &pick(&users, &USER_CATEGORIES), &mut cells)?;
    features(item, item_names, &pick(&items, &ITEM_CATEGORIES), &mut cells)?;
    let rest = |last: usize, taken: &[usize]| (2..last).filter(|place| !taken.contains(place)).collect::<Vec<_>>();
    let places = rest(32, &USER_CATEGORIES);
    let (user_names, item_names) = names[CATEGORIES..].split_at(places.len());
    features(user, user_names, &pick(&users, &places), &mut cells)?;
    features(item, item_names, &pick(&items, &rest(ITEM_VALUES, &ITEM_CATEGORIES)), &mut cells)?;
    let label = items[ITEM_VALUES - 1];
    let (click, conversion) = match item.at.whole("label", label) {
        Ok(0) => (0, 0),
        Ok(1) => (1, 0),
        Ok(2) => (1, 1),
        Ok(_) | Err(_) => return Err(item.at.bad_field("label", label, "0, 1 (clicked) or 2 (bought)")),
    };
    cells.extend([Cell::Whole(click), Cell::Whole(conversion)]);
    Ok(cells)
}

/// Categories and numbers, told apart by their names.
fn features<'a>(
    line: Line<'a>,
    names: &[String],
    values: &[&'a [u8]],
    cells: &mut Vec<Cell<'a>>,
) -> Result<(), DataError> {
    for (name, value) in names.iter().zip(values) {
        cells.push(if value.trim_ascii().is_empty() {
            Cell::Missing
        } else if name.starts_with("categorical") {
            Cell::Whole(line.at.whole(name, value)?)
        } else {
            Cell::Number(line.at.number(name, value)?)
        });
    }
    Ok(())
}

fn optional_text<'a>(line: Line<'a>, value: Option<&'a [u8]>) -> Result<Cell<'a>, DataError> {
    value.map_or(Ok(Cell::Missing), |value| line.at.some_text(SEARCH, value).map(Cell::Text))
}

fn categories() -> impl Iterator<Item = String> {
    (1..=CATEGORIES).map(|number| format!("categorical_{number}"))
}

fn numbers() -> impl Iterator<Item = String> {
    (1..=NUMBERS).map(|number| format!("numerical_{number}"))
}
