//! The text of a cell: what a person reads in an error, and what groups and categories go by.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The text of the cell at `index`; nothing for a missing one.
///
/// Numbers that are equal have equal texts, whatever their type: `2`, `2.0` and `"2"` are all `2`, and `-0.0` is `0`.
pub(crate) fn cell_text(cells: &ArrayRef, index: usize) -> Option<String> {
    let mut text = String::new();
    write_cell(cells, index, &mut text).then_some(text)
}

/// Writes the text of [`cell_text`] behind `out`; false for a missing cell.
pub(crate) fn write_cell(cells: &ArrayRef, index: usize, out: &mut String) -> bool {
    if cells.is_null(index) {
        return false;
    }
    macro_rules! number {
        ($kind:ty) => {{
            write_text(out, format_args!("{}", cells.as_primitive::<$kind>().value(index)));
            true
        }};
    }
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "types without a rule of their own are written as Arrow writes them"
    )]
    match cells.data_type() {
        DataType::Utf8 => push(out, cells.as_string::<i32>().value(index)),
        DataType::LargeUtf8 => push(out, cells.as_string::<i64>().value(index)),
        DataType::Utf8View => push(out, cells.as_string_view().value(index)),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float16 => push_float(out, f64::from(cells.as_primitive::<Float16Type>().value(index))),
        DataType::Float32 => push_float(out, cells.as_primitive::<Float32Type>().value(index)),
        DataType::Float64 => push_float(out, cells.as_primitive::<Float64Type>().value(index)),
        DataType::Dictionary(_, _) => {
            let cell = cells.slice(index, 1);
            let cell = cell.as_any_dictionary();
            write_cell(cell.values(), cell.normalized_keys()[0], out)
        }
        _ => write_as_arrow_does(cells, index, out),
    }
}

fn push(out: &mut String, text: &str) -> bool {
    out.push_str(text);
    true
}

/// Rust writes the shortest digits that read back as the same number, never an exponent, and no fraction where there is none.
fn push_float<F: Copy + PartialEq + Default + std::fmt::Display>(out: &mut String, number: F) -> bool {
    let number = if number == F::default() { F::default() } else { number };
    write_text(out, format_args!("{number}"));
    true
}

fn write_as_arrow_does(cells: &ArrayRef, index: usize, out: &mut String) -> bool {
    match ArrayFormatter::try_new(cells, &FormatOptions::default()) {
        Ok(formatter) => write_text(out, format_args!("{}", formatter.value(index))),
        Err(_) => write_text(out, format_args!("{}", cells.data_type())),
    }
    true
}

fn write_text(out: &mut String, text: std::fmt::Arguments<'_>) {
    std::fmt::Write::write_fmt(out, text).expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, DictionaryArray, Float32Array, Float64Array, Int64Array, StringArray};

    use super::*;

    #[test]
    fn equal_numbers_have_equal_texts_whatever_their_type() {
        let cells: [ArrayRef; 5] = [
            Arc::new(Int64Array::from(vec![2])),
            Arc::new(Float64Array::from(vec![2.0])),
            Arc::new(Float32Array::from(vec![2.0])),
            Arc::new(StringArray::from(vec!["2"])),
            Arc::new(DictionaryArray::<Int32Type>::from_iter(["2"])),
        ];
        for cells in &cells {
            assert_eq!(cell_text(cells, 0).as_deref(), Some("2"), "{}", cells.data_type());
        }
    }

    #[test]
    fn zero_has_no_sign_and_a_missing_cell_no_text() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(0.1)]));
        assert_eq!(cell_text(&numbers, 0).as_deref(), Some("0"));
        assert_eq!(cell_text(&numbers, 1), None);
        assert_eq!(cell_text(&numbers, 2).as_deref(), Some("0.1"));
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        assert_eq!(cell_text(&flags, 0).as_deref(), Some("true"));
    }
}
