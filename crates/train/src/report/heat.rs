//! Heat maps: tables whose cells are shaded by their numbers.

use serde::Serialize;

/// A table of shaded numbers.
#[derive(Default, Serialize)]
pub(super) struct Heat {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) about: String,
    pub(super) caption: String,
    /// What the rows are.
    pub(super) corner: String,
    /// Heads over runs of columns.
    pub(super) groups: Vec<Group>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// Whether cells are narrow.
    pub(super) dense: bool,
    /// Whether heads of columns are turned upright.
    pub(super) upright: bool,
}

#[derive(Serialize)]
pub(super) struct Group {
    name: String,
    span: usize,
}

#[derive(Serialize)]
pub(super) struct Column {
    name: String,
    /// Whether a new group begins here.
    gap: bool,
}

#[derive(Default, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    /// What stands in small letters below the name.
    pub(super) note: String,
    pub(super) all: bool,
    pub(super) cells: Vec<Cell>,
}

#[derive(Default, Serialize)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) class: &'static str,
    /// What a pointer finds; more of the same that can be done without.
    pub(super) title: String,
    /// What a pointer finds on a screen and stands below the number on paper.
    pub(super) aside: String,
}

/// Steps of shading, from low to high.
pub(super) const SHADES: [&str; 9] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8"];

/// More columns than this are narrow.
const DENSE: usize = 14;

/// Names of columns that would take more letters side by side than this are turned upright.
const LETTERS: usize = 72;

impl Heat {
    /// Columns in groups of equal heads; an empty name of a group has none above it.
    pub(super) fn with_columns(self, groups: &[String], columns: &[String]) -> Heat {
        let named = groups.iter().any(|group| !group.is_empty());
        let longest = columns.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let all = (0..groups.len()).flat_map(|group| {
            columns
                .iter()
                .enumerate()
                .map(move |(place, name)| Column { name: name.clone(), gap: group > 0 && place == 0 })
        });
        let count = groups.len() * columns.len();
        let group = |name: &String| Group { name: name.clone(), span: columns.len() };
        Heat {
            columns: all.collect(),
            groups: if named { groups.iter().map(group).collect() } else { Vec::new() },
            dense: count > DENSE,
            upright: count * longest > LETTERS,
            ..self
        }
    }
}

impl Cell {
    /// A number on the scale from `low` to `high`; without one, a dash that looks like nothing else.
    pub(super) fn shaded(value: Option<f64>, (low, high): (f64, f64), text: impl Fn(f64) -> String) -> Cell {
        match value {
            Some(value) => Cell { text: text(value), class: shade(value, low, high), ..Cell::default() },
            None => Cell { text: super::format::UNDEFINED.to_owned(), class: "undefined", ..Cell::default() },
        }
    }

    pub(super) fn with_title(self, title: String) -> Cell {
        Cell { title, ..self }
    }

    pub(super) fn with_aside(self, aside: String) -> Cell {
        Cell { aside, ..self }
    }
}

/// The step of a number between two others.
pub(super) fn shade(value: f64, low: f64, high: f64) -> &'static str {
    let place = if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.5 };
    let step = (place * SHADES.len() as f64) as usize;
    SHADES[step.min(SHADES.len() - 1)]
}

/// The smallest and largest of some numbers; 0 and 1 without any.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    if low <= high { (low, high) } else { (0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_go_from_the_smallest_to_the_largest_and_one_value_alone_is_in_the_middle() {
        assert_eq!([shade(0.5, 0.5, 0.7), shade(0.7, 0.5, 0.7), shade(0.6, 0.5, 0.7)], ["s0", "s8", "s4"]);
        assert_eq!(shade(0.5, 0.5, 0.5), "s4");
        assert_eq!(range([0.3, 0.1].into_iter()), (0.1, 0.3));
        assert_eq!(range([].into_iter()), (0.0, 1.0));
    }
}
