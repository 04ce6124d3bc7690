//! A cell that was refused, before it is known which file it stands in.

use arrow::datatypes::DataType;

/// Why a cell was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Place of the cell in its array; nothing when the whole column is of the wrong type.
    pub(crate) at: Option<usize>,
    /// What stands there.
    pub(crate) value: String,
    /// What should.
    pub(crate) expected: String,
}

impl Refusal {
    /// A cell with a wrong value.
    pub(crate) fn new(at: usize, value: impl ToString, expected: impl Into<String>) -> Refusal {
        Refusal { at: Some(at), value: value.to_string(), expected: expected.into() }
    }

    /// A missing cell where none may be.
    pub(crate) fn missing(at: usize) -> Refusal {
        Refusal::new(at, "", "a value, since its feature says missing = \"error\"")
    }

    /// A column of a wrong type.
    pub(crate) fn of_type(found: &DataType, expected: &str) -> Refusal {
        Refusal { at: None, value: format!("a column of type {found}"), expected: expected.to_owned() }
    }
}
