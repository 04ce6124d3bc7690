//! The one form of a category: how texts, numbers and flags that mean the same become the same.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArrayType};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::refusal::Refusal;

/// A category in its one form. Whole numbers are integers however they were written (`2`, `2.0`, the texts `"2"` and `"2.0"`);
/// flags are the texts `true` and `false`; any other number is its shortest decimal text. `"02"` stays a text of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// A whole number of 64 bits.
    Integer(i64),
    /// Any other text, never empty.
    Text(&'a str),
}

impl<'a> Key<'a> {
    /// The category a text stands for; nothing for an empty one.
    pub(crate) fn of_text(text: &'a str) -> Option<Key<'a>> {
        match text.as_bytes() {
            [] => None,
            [b'0'..=b'9' | b'-', ..] => Some(whole_number(text).map_or(Key::Text(text), Key::Integer)),
            b"True" | b"TRUE" => Some(Key::Text("true")),
            b"False" | b"FALSE" => Some(Key::Text("false")),
            _ => Some(Key::Text(text)),
        }
    }

    /// xxh3 (64 bits) of the category's text.
    pub(crate) fn hash(self, seed: u64) -> u64 {
        match self {
            Key::Text(text) => xxh3_64_with_seed(text.as_bytes(), seed),
            Key::Integer(number) => {
                let mut digits = [0; 20];
                let from = write_integer(number, &mut digits);
                xxh3_64_with_seed(&digits[from..], seed)
            }
        }
    }
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Key::Integer(number) => number.fmt(f),
            Key::Text(text) => f.write_str(text),
        }
    }
}

/// What `take` makes of the category of every cell, in order; `missing` for a missing one: null, empty text, not-a-number.
/// A dictionary is unpacked: [`Memo`](super::memo::Memo) looks at each of its values once.
pub(crate) fn map_keys<T: Copy>(
    array: &dyn Array,
    missing: T,
    take: &mut impl FnMut(Key<'_>) -> T,
) -> Result<Vec<T>, Refusal> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "arrow has dozens of types; the rest go through their text")]
    Ok(match array.data_type() {
        DataType::Int64 => integers::<Int64Type, T>(array, missing, take),
        DataType::Int32 => integers::<Int32Type, T>(array, missing, take),
        DataType::Int16 => integers::<Int16Type, T>(array, missing, take),
        DataType::Int8 => integers::<Int8Type, T>(array, missing, take),
        DataType::UInt32 => integers::<UInt32Type, T>(array, missing, take),
        DataType::UInt16 => integers::<UInt16Type, T>(array, missing, take),
        DataType::UInt8 => integers::<UInt8Type, T>(array, missing, take),
        DataType::UInt64 => large_integers(array.as_primitive(), missing, take),
        DataType::Float64 => numbers::<Float64Type, T>(array.as_primitive(), missing, take),
        DataType::Float32 => numbers::<Float32Type, T>(array.as_primitive(), missing, take),
        DataType::Utf8 => texts(array.as_string::<i32>(), missing, take),
        DataType::LargeUtf8 => texts(array.as_string::<i64>(), missing, take),
        DataType::Utf8View => texts(array.as_string_view(), missing, take),
        DataType::Null => vec![missing; array.len()],
        _ => {
            let plain = if let Some(dictionary) = array.as_any_dictionary_opt() {
                arrow::compute::take(dictionary.values(), dictionary.keys(), None).map_err(|_| category_type(array))?
            } else {
                as_text(array).ok_or_else(|| category_type(array))?
            };
            return map_keys(&plain, missing, take);
        }
    })
}

/// What `take` makes of each value that is not null; `missing` in the place of the others.
pub(crate) fn map_valid<N: Copy, T: Copy>(
    values: &[N],
    nulls: Option<&NullBuffer>,
    missing: T,
    mut take: impl FnMut(N) -> T,
) -> Vec<T> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return values.iter().map(|&value| take(value)).collect();
    };
    let mut mapped = vec![missing; values.len()];
    // Run by run, since asking the bitmap about each value would cost as much as most look-ups.
    for (from, to) in nulls.valid_slices() {
        for (place, &value) in mapped[from..to].iter_mut().zip(&values[from..to]) {
            *place = take(value);
        }
    }
    mapped
}

/// Cells of any scalar type as text, such as dates in ISO form; nothing for types without one.
pub(crate) fn as_text(array: &dyn Array) -> Option<ArrayRef> {
    if array.data_type().is_nested() {
        return None;
    }
    arrow::compute::cast_with_options(array, &DataType::Utf8, &strict()).ok()
}

/// Casts that refuse what does not fit.
pub(crate) fn strict() -> arrow::compute::CastOptions<'static> {
    arrow::compute::CastOptions { safe: false, ..Default::default() }
}

fn category_type(array: &dyn Array) -> Refusal {
    Refusal::of_type(array.data_type(), "text, a number or a flag")
}

fn integers<N, T: Copy>(array: &dyn Array, missing: T, take: &mut impl FnMut(Key<'_>) -> T) -> Vec<T>
where
    N: ArrowPrimitiveType,
    N::Native: Into<i64>,
{
    let array = array.as_primitive::<N>();
    map_valid(array.values(), array.nulls(), missing, |value| take(Key::Integer(value.into())))
}

fn large_integers<T: Copy>(
    array: &PrimitiveArray<UInt64Type>,
    missing: T,
    take: &mut impl FnMut(Key<'_>) -> T,
) -> Vec<T> {
    map_valid(array.values(), array.nulls(), missing, |value| match i64::try_from(value) {
        Ok(small) => take(Key::Integer(small)),
        Err(_) => take(Key::Text(&value.to_string())),
    })
}

fn numbers<N, T: Copy>(array: &PrimitiveArray<N>, missing: T, take: &mut impl FnMut(Key<'_>) -> T) -> Vec<T>
where
    N: ArrowPrimitiveType,
    N::Native: Into<f64> + std::fmt::Display,
{
    map_valid(array.values(), array.nulls(), missing, |value| {
        let wide: f64 = value.into();
        if wide.is_nan() {
            missing
        } else if wide.fract() == 0.0 && wide.abs() < 9.2e18 {
            take(Key::Integer(wide as i64))
        } else {
            Key::of_text(&value.to_string()).map_or(missing, &mut *take)
        }
    })
}

fn texts<'a, T: Copy>(array: impl StringArrayType<'a>, missing: T, take: &mut impl FnMut(Key<'_>) -> T) -> Vec<T> {
    array.iter().map(|text| text.and_then(Key::of_text).map_or(missing, &mut *take)).collect()
}

/// The whole number a text writes in the usual way: no plus, no leading zeros, at most a `.0` behind.
fn whole_number(text: &str) -> Option<i64> {
    let (digits, negative) = match text.as_bytes() {
        [b'-', digits @ ..] => (digits, true),
        digits => (digits, false),
    };
    let digits = digits.strip_suffix(b".0").unwrap_or(digits);
    if digits.is_empty() || digits.len() > 19 || (digits.len() > 1 && digits[0] == b'0') {
        return None;
    }
    let mut number = 0_u64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Nineteen digits fit into 64 bits.
        number = number * 10 + u64::from(digit);
    }
    if negative { 0_i64.checked_sub_unsigned(number) } else { i64::try_from(number).ok() }
}

/// Writes the decimal text to the end of `out` and says where it begins.
fn write_integer(number: i64, out: &mut [u8; 20]) -> usize {
    let mut rest = number.unsigned_abs();
    let mut at = out.len();
    // Two digits for each division, which is what takes time.
    while rest >= 100 {
        let pair = (rest % 100) as u8;
        rest /= 100;
        at -= 2;
        (out[at], out[at + 1]) = (b'0' + pair / 10, b'0' + pair % 10);
    }
    if rest >= 10 {
        at -= 1;
        out[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    at -= 1;
    out[at] = b'0' + rest as u8;
    if number < 0 {
        at -= 1;
        out[at] = b'-';
    }
    at
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, Date32Array, DictionaryArray, Float32Array, Float64Array, Int8Array, Int64Array,
        LargeStringArray, ListArray, StringArray, StringViewArray, UInt64Array,
    };
    use proptest::prelude::*;

    use super::*;

    fn keys(array: &dyn Array) -> Vec<Option<String>> {
        let mut shown = Vec::new();
        let places = map_keys(array, None, &mut |key| {
            shown.push(format!("{key:?}"));
            Some(shown.len() - 1)
        });
        places.unwrap().into_iter().map(|place| place.map(|place| shown[place].clone())).collect()
    }

    #[test]
    fn every_way_to_write_a_value_is_one_category() {
        let two = vec![Some("Integer(2)".to_owned())];
        assert_eq!(keys(&Int64Array::from(vec![2])), two);
        assert_eq!(keys(&Int8Array::from(vec![2])), two);
        assert_eq!(keys(&UInt64Array::from(vec![2])), two);
        assert_eq!(keys(&Float64Array::from(vec![2.0])), two);
        assert_eq!(keys(&Float32Array::from(vec![2.0])), two);
        assert_eq!(keys(&StringArray::from(vec!["2"])), two);
        assert_eq!(keys(&LargeStringArray::from(vec!["2.0"])), two);
        assert_eq!(keys(&StringViewArray::from(vec!["2"])), two);
        assert_eq!(keys(&vec!["2"].into_iter().collect::<DictionaryArray<Int32Type>>()), two);
        let flag = vec![Some("Text(\"true\")".to_owned())];
        assert_eq!(keys(&BooleanArray::from(vec![true])), flag);
        assert_eq!(keys(&StringArray::from(vec!["True"])), flag);
        assert_eq!(keys(&Float32Array::from(vec![0.1])), keys(&StringArray::from(vec!["0.1"])));
        assert_eq!(keys(&UInt64Array::from(vec![u64::MAX])), keys(&StringArray::from(vec!["18446744073709551615"])));
        assert_eq!(keys(&Date32Array::from(vec![0])), keys(&StringArray::from(vec!["1970-01-01"])));
    }

    #[test]
    fn texts_that_only_resemble_a_number_stay_apart() {
        for text in ["02", "+2", "2.00", "2.10", "2e0", "-", "1-2", "٢", " 2", "99999999999999999999"] {
            assert_eq!(Key::of_text(text), Some(Key::Text(text)));
        }
        assert_eq!(Key::of_text("-0.0"), Some(Key::Integer(0)));
        assert_eq!(Key::of_text("-9223372036854775808"), Some(Key::Integer(i64::MIN)));
    }

    #[test]
    fn nothing_empty_text_and_not_a_number_are_missing() {
        assert_eq!(keys(&StringArray::from(vec![Some(""), None])), vec![None, None]);
        assert_eq!(keys(&Float64Array::from(vec![Some(f64::NAN), None])), vec![None, None]);
        assert_eq!(keys(&arrow::array::NullArray::new(1)), vec![None]);
        let some = Int64Array::from(vec![None, Some(1), None, Some(2)]);
        assert_eq!(keys(&some.slice(1, 3)), vec![Some("Integer(1)".to_owned()), None, Some("Integer(2)".to_owned())]);
    }

    #[test]
    fn a_list_is_no_category() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
        let refusal = map_keys(&(Arc::new(list) as ArrayRef), (), &mut |_| ()).unwrap_err();
        assert!(refusal.value.contains("List"), "{refusal:?}");
    }

    proptest! {
        #[test]
        fn a_number_hashes_as_its_text(number: i64, seed: u64) {
            prop_assert_eq!(Key::Integer(number).hash(seed), xxh3_64_with_seed(number.to_string().as_bytes(), seed));
        }
    }
}
