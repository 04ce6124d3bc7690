//! What the columns of a text file hold, judged by its first rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

/// What a cell, or all cells so far, can be read as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Single {
    /// Only missing cells.
    #[default]
    Unknown,
    Flag,
    Integer,
    Number,
    Text,
}

/// What a column holds: single values or lists of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    One(Single),
    List(Single),
}

impl Single {
    /// The narrowest kind that holds both.
    pub(super) fn join(self, other: Single) -> Single {
        match (self, other) {
            (Single::Unknown, known) | (known, Single::Unknown) => known,
            (left, right) if left == right => left,
            (Single::Integer, Single::Number) | (Single::Number, Single::Integer) => Single::Number,
            (Single::Flag | Single::Integer | Single::Number | Single::Text, _) => Single::Text,
        }
    }

    fn data_type(self) -> DataType {
        match self {
            Single::Flag => DataType::Boolean,
            Single::Integer => DataType::Int64,
            Single::Number => DataType::Float64,
            Single::Text | Single::Unknown => DataType::Utf8,
        }
    }
}

impl Kind {
    /// The narrowest kind that holds both; none where one is a list and the other is not.
    pub(super) fn join(self, other: Kind) -> Option<Kind> {
        match (self, other) {
            (Kind::One(left), Kind::One(right)) => Some(Kind::One(left.join(right))),
            (Kind::List(left), Kind::List(right)) => Some(Kind::List(left.join(right))),
            (Kind::One(Single::Unknown), list @ Kind::List(_)) | (list @ Kind::List(_), Kind::One(Single::Unknown)) => {
                Some(list)
            }
            (Kind::One(_), Kind::List(_)) | (Kind::List(_), Kind::One(_)) => None,
        }
    }

    /// The same column with its values read as `single`.
    pub(super) fn forced(self, single: Single) -> Kind {
        match self {
            Kind::One(_) => Kind::One(single),
            Kind::List(_) => Kind::List(single),
        }
    }

    /// The kind whose columns are of this type, if text can be read as it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has some forty types")]
    pub(super) fn of(data_type: &DataType) -> Option<Kind> {
        match data_type {
            DataType::List(item) => match Kind::of(item.data_type())? {
                Kind::One(single) => Some(Kind::List(single)),
                Kind::List(_) => None,
            },
            DataType::Boolean => Some(Kind::One(Single::Flag)),
            DataType::Int64 => Some(Kind::One(Single::Integer)),
            DataType::Float64 => Some(Kind::One(Single::Number)),
            DataType::Utf8 => Some(Kind::One(Single::Text)),
            _ => None,
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Kind::One(single) => single.data_type(),
            Kind::List(single) => DataType::List(Arc::new(Field::new_list_field(single.data_type(), true))),
        }
    }
}

/// What a CSV cell can be read as. Whole numbers that would lose something as numbers (leading zeros, more than 64 bits) are texts.
pub(super) fn of_text(cell: &[u8]) -> Single {
    let cell = cell.trim_ascii();
    let digits = cell.strip_prefix(b"-").or(cell.strip_prefix(b"+")).unwrap_or(cell);
    match digits {
        [] if cell.is_empty() => Single::Unknown,
        _ if parse_flag(cell).is_some() => Single::Flag,
        [b'0', b'0'..=b'9', ..] => Single::Text,
        _ if parse_integer(cell).is_some() => Single::Integer,
        _ if digits.iter().all(u8::is_ascii_digit) => Single::Text,
        [b'0'..=b'9' | b'.', ..] if parse_number(cell).is_some() => Single::Number,
        _ if is_not_a_number(cell) => Single::Number,
        _ => Single::Text,
    }
}

pub(super) fn parse_flag(cell: &[u8]) -> Option<bool> {
    match cell {
        b"true" | b"True" | b"TRUE" => Some(true),
        b"false" | b"False" | b"FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number; `3.0` is one.
pub(super) fn parse_integer(cell: &[u8]) -> Option<i64> {
    let (negative, digits) = match cell {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

pub(super) fn parse_number(cell: &[u8]) -> Option<f64> {
    std::str::from_utf8(cell).ok()?.parse().ok()
}

fn is_not_a_number(cell: &[u8]) -> bool {
    matches!(cell, b"NaN" | b"nan" | b"inf" | b"-inf")
}
