//! The one form of a category: how texts, numbers and flags that mean the same become the same.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArrayType};
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

/// Calls `take` with the category of every cell in order; with nothing for a missing one: null, empty text, not-a-number.
pub(crate) fn for_each_key(array: &dyn Array, take: &mut impl FnMut(Option<Key<'_>>)) -> Result<(), Refusal> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "arrow has dozens of types; the rest go through their text")]
    match array.data_type() {
        DataType::Int64 => integers::<Int64Type>(array.as_primitive(), take),
        DataType::Int32 => integers::<Int32Type>(array.as_primitive(), take),
        DataType::Int16 => integers::<Int16Type>(array.as_primitive(), take),
        DataType::Int8 => integers::<Int8Type>(array.as_primitive(), take),
        DataType::UInt32 => integers::<UInt32Type>(array.as_primitive(), take),
        DataType::UInt16 => integers::<UInt16Type>(array.as_primitive(), take),
        DataType::UInt8 => integers::<UInt8Type>(array.as_primitive(), take),
        DataType::UInt64 => large_integers(array.as_primitive(), take),
        DataType::Float64 => numbers::<Float64Type>(array.as_primitive(), take),
        DataType::Float32 => numbers::<Float32Type>(array.as_primitive(), take),
        DataType::Utf8 => texts(array.as_string::<i32>(), take),
        DataType::LargeUtf8 => texts(array.as_string::<i64>(), take),
        DataType::Utf8View => texts(array.as_string_view(), take),
        DataType::Null => (0..array.len()).for_each(|_| take(None)),
        _ => {
            let plain = if let Some(dictionary) = array.as_any_dictionary_opt() {
                arrow::compute::take(dictionary.values(), dictionary.keys(), None).map_err(|_| category_type(array))?
            } else {
                as_text(array).ok_or_else(|| category_type(array))?
            };
            return for_each_key(&plain, take);
        }
    }
    Ok(())
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

fn integers<T>(array: &PrimitiveArray<T>, take: &mut impl FnMut(Option<Key<'_>>))
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64>,
{
    if array.null_count() == 0 {
        array.values().iter().for_each(|&value| take(Some(Key::Integer(value.into()))));
    } else {
        array.iter().for_each(|value| take(value.map(|value| Key::Integer(value.into()))));
    }
}

fn large_integers(array: &PrimitiveArray<UInt64Type>, take: &mut impl FnMut(Option<Key<'_>>)) {
    for value in array {
        match value.map(|value| (value, i64::try_from(value))) {
            None => take(None),
            Some((_, Ok(small))) => take(Some(Key::Integer(small))),
            Some((large, Err(_))) => take(Some(Key::Text(&large.to_string()))),
        }
    }
}

fn numbers<T>(array: &PrimitiveArray<T>, take: &mut impl FnMut(Option<Key<'_>>))
where
    T: ArrowPrimitiveType,
    T::Native: Into<f64> + std::fmt::Display,
{
    for value in array {
        let Some(value) = value else {
            take(None);
            continue;
        };
        let wide: f64 = value.into();
        if wide.is_nan() {
            take(None);
        } else if wide.fract() == 0.0 && wide.abs() < 9.2e18 {
            take(Some(Key::Integer(wide as i64)));
        } else {
            take(Key::of_text(&value.to_string()));
        }
    }
}

fn texts<'a>(array: impl StringArrayType<'a>, take: &mut impl FnMut(Option<Key<'_>>)) {
    array.iter().for_each(|text| take(text.and_then(Key::of_text)));
}

/// The whole number a text writes in the usual way: no plus, no leading zeros, at most a `.0` behind.
fn whole_number(text: &str) -> Option<i64> {
    let text = text.strip_suffix(".0").unwrap_or(text);
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 19 || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if digits_only { text.parse().ok() } else { None }
}

/// Writes the decimal text to the end of `out` and says where it begins.
fn write_integer(number: i64, out: &mut [u8; 20]) -> usize {
    let mut rest = number.unsigned_abs();
    let mut at = out.len();
    loop {
        at -= 1;
        out[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
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
        let mut keys = Vec::new();
        for_each_key(array, &mut |key| keys.push(key.map(|key| format!("{key:?}")))).unwrap();
        keys
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
    }

    #[test]
    fn a_list_is_no_category() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
        let refusal = for_each_key(&(Arc::new(list) as ArrayRef), &mut |_| ()).unwrap_err();
        assert!(refusal.value.contains("List"), "{refusal:?}");
    }

    proptest! {
        #[test]
        fn a_number_hashes_as_its_text(number: i64, seed: u64) {
            prop_assert_eq!(Key::Integer(number).hash(seed), xxh3_64_with_seed(number.to_string().as_bytes(), seed));
        }
    }
}
