//! What the first rows of a column hold: counts, kinds of values, separators. Bounded by the number of rows looked at and of values kept.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use hashbrown::{HashMap, HashSet};
use xxhash_rust::xxh3::xxh3_64;

use crate::source::cell_text;

/// Distinct values kept with their counts; beyond, only their hashes.
const KEPT: usize = 64;
/// Separators a text is tried with, in this order.
const SEPARATORS: [&str; 5] = ["|", ";", ",", "\u{1}", " "];

/// What a column's type is, for guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Flag,
    Whole,
    Fraction,
    Text,
    Time,
    /// A list of numbers with a fraction.
    Numbers,
    /// A list of anything else that can be a category.
    Categories,
    Unknown,
}

/// The first rows of one column.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) data_type: String,
    pub(super) rows: u64,
    pub(super) missing: u64,
    /// Texts of the first values met and how often they occur, in order of appearance.
    pub(super) values: Vec<(String, u64)>,
    pub(super) smallest: f64,
    pub(super) largest: f64,
    /// Every number is whole.
    pub(super) whole: bool,
    pub(super) longest: usize,
    /// Shortest and longest list.
    pub(super) lengths: (usize, usize),
    /// Bytes of text.
    pub(super) bytes: u64,
    parts: Vec<Parts>,
    seen: HashSet<u64, foldhash::fast::FixedState>,
    places: HashMap<String, usize, foldhash::fast::FixedState>,
}

/// How the texts of a column fall apart at one separator.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) separator: &'static str,
    /// Cells with the separator in them.
    pub(super) cells: u64,
    /// Fewest and most parts.
    pub(super) lengths: (usize, usize),
    /// Every part is a number.
    pub(super) numbers: bool,
    /// Every part looks like `a:0.5`.
    pub(super) weighted: bool,
    /// No part is empty or begins or ends with a space or bracket.
    pub(super) clean: bool,
    seen: HashSet<u64, foldhash::fast::FixedState>,
}

impl Profile {
    pub(super) fn new(name: &str, data_type: &DataType) -> Profile {
        Profile {
            name: name.to_owned(),
            class: class(data_type),
            data_type: data_type.to_string(),
            rows: 0,
            missing: 0,
            values: Vec::new(),
            smallest: f64::INFINITY,
            largest: f64::NEG_INFINITY,
            whole: true,
            longest: 0,
            lengths: (usize::MAX, 0),
            bytes: 0,
            parts: SEPARATORS.map(Parts::new).into(),
            seen: HashSet::default(),
            places: HashMap::default(),
        }
    }

    /// Distinct values met, missing ones aside.
    pub(super) fn distinct(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Rows with a value.
    pub(super) fn present(&self) -> u64 {
        self.rows - self.missing
    }

    /// Whether these are all the values there are.
    pub(super) fn holds_only(&self, allowed: &[&str]) -> bool {
        self.distinct() <= allowed.len() as u64
            && self.values.iter().all(|(value, _)| allowed.iter().any(|known| value.eq_ignore_ascii_case(known)))
    }

    /// Separators that take the texts apart, the most frequent one first.
    pub(super) fn parts(&self) -> Vec<&Parts> {
        let mut parts: Vec<&Parts> = self.parts.iter().filter(|parts| parts.cells > 0).collect();
        parts.sort_by_key(|parts| std::cmp::Reverse(parts.cells));
        parts
    }

    pub(super) fn add(&mut self, cells: &ArrayRef) {
        let numbers = match self.class {
            Class::Whole | Class::Fraction => cast(cells, &DataType::Float64).ok(),
            Class::Flag | Class::Text | Class::Time | Class::Numbers | Class::Categories | Class::Unknown => None,
        };
        for row in 0..cells.len() {
            self.rows += 1;
            let number = numbers.as_ref().map(|numbers| numbers.as_primitive::<Float64Type>());
            let number = number.filter(|numbers| numbers.is_valid(row)).map(|numbers| numbers.value(row));
            match cell_text(cells, row) {
                Some(text) if !text.is_empty() && !number.is_some_and(f64::is_nan) => self.add_value(&text, number),
                Some(_) | None => {
                    self.missing += 1;
                    continue;
                }
            }
            if matches!(self.class, Class::Numbers | Class::Categories) {
                let length = list_length(cells, row);
                self.lengths = (self.lengths.0.min(length), self.lengths.1.max(length));
            }
        }
    }

    fn add_value(&mut self, text: &str, number: Option<f64>) {
        self.seen.insert(xxh3_64(text.as_bytes()));
        self.longest = self.longest.max(text.chars().count());
        self.bytes += text.len() as u64;
        if let Some(number) = number {
            self.smallest = self.smallest.min(number);
            self.largest = self.largest.max(number);
            self.whole &= number.fract() == 0.0;
        }
        if let Some(&place) = self.places.get(text) {
            self.values[place].1 += 1;
        } else if self.values.len() < KEPT {
            self.places.insert(text.to_owned(), self.values.len());
            self.values.push((text.to_owned(), 1));
        }
        if self.class == Class::Text {
            self.parts.iter_mut().for_each(|parts| parts.add(text));
        }
    }
}

impl Parts {
    fn new(separator: &'static str) -> Parts {
        Parts {
            separator,
            cells: 0,
            lengths: (usize::MAX, 0),
            numbers: true,
            weighted: true,
            clean: true,
            seen: HashSet::default(),
        }
    }

    /// Distinct parts.
    pub(super) fn distinct(&self) -> u64 {
        self.seen.len() as u64
    }

    fn add(&mut self, text: &str) {
        let mut count = 0;
        for part in text.split(self.separator) {
            count += 1;
            self.numbers &= part.trim().parse::<f64>().is_ok();
            self.weighted &=
                part.rsplit_once(':').is_some_and(|(key, weight)| !key.is_empty() && weight.parse::<f64>().is_ok());
            let bracket = |letter: char| letter.is_whitespace() || "()[]{}".contains(letter);
            self.clean &= !part.is_empty() && !part.starts_with(bracket) && !part.ends_with(bracket);
            self.seen.insert(xxh3_64(part.as_bytes()));
        }
        self.cells += u64::from(count > 1);
        self.lengths = (self.lengths.0.min(count), self.lengths.1.max(count));
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other type is one that no feature reads")]
fn class(data_type: &DataType) -> Class {
    match data_type {
        DataType::Boolean => Class::Flag,
        whole if whole.is_integer() => Class::Whole,
        fraction if fraction.is_floating() => Class::Fraction,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Class::Text,
        DataType::Dictionary(_, values) => class(values),
        DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => Class::Time,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            match class(item.data_type()) {
                Class::Fraction => Class::Numbers,
                Class::Whole | Class::Text | Class::Flag => Class::Categories,
                Class::Time | Class::Numbers | Class::Categories | Class::Unknown => Class::Unknown,
            }
        }
        _ => Class::Unknown,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "asked of columns whose class is a list")]
fn list_length(cells: &ArrayRef, row: usize) -> usize {
    let list: Option<Arc<dyn Array>> = match cells.data_type() {
        DataType::List(_) => Some(cells.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(cells.as_list::<i64>().value(row)),
        DataType::FixedSizeList(_, _) => Some(cells.as_fixed_size_list().value(row)),
        _ => None,
    };
    list.map_or(0, |list| list.len())
}
