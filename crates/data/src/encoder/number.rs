//! Numbers out of columns, and what becomes of them.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArrayType};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use serde::{Deserialize, Serialize};

use super::key::strict;
use super::refusal::Refusal;

/// How a number enters the dense input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Scale {
    /// As it is.
    None {},
    /// `sign(x) ln(1 + |x|)`.
    Log {},
    /// `(x - mean) / deviation`; 0 where the deviation is 0.
    Standard {
        /// Mean of train.
        mean: f64,
        /// Deviation of train, over n.
        deviation: f64,
    },
}

impl Scale {
    /// The number as the model sees it.
    pub(crate) fn apply(self, number: f64) -> f32 {
        let scaled = match self {
            Scale::None {} => number,
            Scale::Log {} => number.signum() * number.abs().ln_1p(),
            Scale::Standard { deviation: 0.0, .. } => 0.0,
            Scale::Standard { mean, deviation } => (number - mean) / deviation,
        };
        scaled as f32
    }
}

/// Mean and deviation of a stream after Welford (1962), number by number, so that the size of batches has no say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Takes in a number.
    pub(crate) fn add(&mut self, number: f64) {
        self.count += 1;
        let before = number - self.mean;
        self.mean += before / self.count as f64;
        self.squares += before * (number - self.mean);
    }

    /// The scale that makes the mean 0 and the deviation 1.
    pub(crate) fn scale(&self) -> Scale {
        let deviation = if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).sqrt() };
        Scale::Standard { mean: self.mean, deviation }
    }
}

/// What a text must be to be read as a number.
pub(crate) const A_NUMBER: &str = "a number";

/// Calls `take` with the number in every cell in order; with nothing for a missing one: null, empty text, not-a-number. Flags are 0 and 1.
pub(crate) fn for_each_number(array: &dyn Array, take: &mut impl FnMut(Option<f64>)) -> Result<(), Refusal> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "arrow has dozens of types; the rest are cast")]
    match array.data_type() {
        DataType::Float64 => numbers::<Float64Type>(array.as_primitive(), |number| number, take),
        DataType::Float32 => numbers::<Float32Type>(array.as_primitive(), f64::from, take),
        DataType::Int64 => numbers::<Int64Type>(array.as_primitive(), |number| number as f64, take),
        DataType::Int32 => numbers::<Int32Type>(array.as_primitive(), f64::from, take),
        DataType::Int16 => numbers::<Int16Type>(array.as_primitive(), f64::from, take),
        DataType::Int8 => numbers::<Int8Type>(array.as_primitive(), f64::from, take),
        DataType::UInt64 => numbers::<UInt64Type>(array.as_primitive(), |number| number as f64, take),
        DataType::UInt32 => numbers::<UInt32Type>(array.as_primitive(), f64::from, take),
        DataType::UInt16 => numbers::<UInt16Type>(array.as_primitive(), f64::from, take),
        DataType::UInt8 => numbers::<UInt8Type>(array.as_primitive(), f64::from, take),
        DataType::Boolean => array.as_boolean().iter().for_each(|flag| take(flag.map(f64::from))),
        DataType::Utf8 => return texts(array.as_string::<i32>(), take),
        DataType::LargeUtf8 => return texts(array.as_string::<i64>(), take),
        DataType::Utf8View => return texts(array.as_string_view(), take),
        DataType::Null => (0..array.len()).for_each(|_| take(None)),
        _ => return for_each_number(&plain(array)?, take),
    }
    Ok(())
}

/// A dictionary without its encoding, anything else that has a number as one, such as decimals and times.
fn plain(array: &dyn Array) -> Result<ArrayRef, Refusal> {
    let refused = || Refusal::of_type(array.data_type(), A_NUMBER);
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        return arrow::compute::take(dictionary.values(), dictionary.keys(), None).map_err(|_| refused());
    }
    if array.data_type().is_nested() {
        return Err(refused());
    }
    let whole = |array: &dyn Array| arrow::compute::cast_with_options(array, &DataType::Int64, &strict());
    if array.data_type().is_temporal() {
        return whole(array).map_err(|_| refused());
    }
    arrow::compute::cast_with_options(array, &DataType::Float64, &strict()).map_err(|_| refused())
}

fn numbers<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    widen: impl Fn(T::Native) -> f64,
    take: &mut impl FnMut(Option<f64>),
) {
    array.iter().for_each(|value| take(value.map(&widen).filter(|number| !number.is_nan())));
}

fn texts<'a>(array: impl StringArrayType<'a>, take: &mut impl FnMut(Option<f64>)) -> Result<(), Refusal> {
    for (at, text) in array.iter().enumerate() {
        take(text.map_or(Ok(None), |text| parse(text, at))?);
    }
    Ok(())
}

/// The number a text writes; nothing if it is empty.
pub(crate) fn parse(text: &str, at: usize) -> Result<Option<f64>, Refusal> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    match trimmed.parse::<f64>() {
        Ok(number) => Ok(Some(number).filter(|number| !number.is_nan())),
        Err(_) => Err(Refusal::new(at, text, A_NUMBER)),
    }
}

/// Which bucket a number falls in: how many boundaries are not above it.
pub(crate) fn bucket(boundaries: &[f64], number: f64) -> u32 {
    if boundaries.len() <= 32 {
        boundaries.iter().map(|&boundary| u32::from(number >= boundary)).sum()
    } else {
        boundaries.partition_point(|&boundary| boundary <= number) as u32
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Decimal128Array, Float64Array, Int8Array, StringArray, UInt64Array};
    use proptest::prelude::*;

    use super::*;

    fn all(array: &dyn Array) -> Vec<Option<f64>> {
        let mut numbers = Vec::new();
        for_each_number(array, &mut |number| numbers.push(number)).unwrap();
        numbers
    }

    #[test]
    fn every_type_that_holds_numbers_is_read() {
        assert_eq!(all(&Int8Array::from(vec![Some(-3), None])), [Some(-3.0), None]);
        assert_eq!(all(&UInt64Array::from(vec![3])), [Some(3.0)]);
        assert_eq!(all(&BooleanArray::from(vec![true, false])), [Some(1.0), Some(0.0)]);
        assert_eq!(
            all(&StringArray::from(vec![" 1.5", "", "NaN", "-inf"])),
            [Some(1.5), None, None, Some(f64::NEG_INFINITY)]
        );
        assert_eq!(all(&Float64Array::from(vec![f64::NAN])), [None]);
        assert_eq!(all(&Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap()), [Some(1.5)]);
    }

    #[test]
    fn a_text_that_is_no_number_is_refused_with_its_place() {
        let refusal = for_each_number(&StringArray::from(vec!["1", "one"]), &mut |_| ()).unwrap_err();
        assert_eq!(refusal, Refusal::new(1, "one", A_NUMBER));
    }

    #[test]
    fn scaling_by_train_gives_mean_nought_and_deviation_one() {
        let mut moments = Moments::default();
        let numbers = [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0, 1e9 + 6.0];
        numbers.iter().for_each(|&number| moments.add(number));
        let scaled: Vec<f32> = numbers.iter().map(|&number| moments.scale().apply(number)).collect();
        assert!(scaled.iter().sum::<f32>().abs() < 1e-6);
        assert!((scaled.iter().map(|number| number * number).sum::<f32>() / 4.0 - 1.0).abs() < 1e-6);
        let mut constant = Moments::default();
        constant.add(5.0);
        assert_eq!(constant.scale().apply(7.0), 0.0);
    }

    #[test]
    fn logarithms_keep_sign_and_nought() {
        assert_eq!(Scale::Log {}.apply(0.0), 0.0);
        assert_eq!(Scale::Log {}.apply(-9.0), -Scale::Log {}.apply(9.0));
        assert!((Scale::Log {}.apply(std::f64::consts::E - 1.0) - 1.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn a_bucket_is_where_its_boundaries_say(mut boundaries in prop::collection::vec(-50_i32..50, 0..60), number in -60_i32..60) {
            boundaries.sort_unstable();
            boundaries.dedup();
            let boundaries: Vec<f64> = boundaries.into_iter().map(f64::from).collect();
            let place = bucket(&boundaries, f64::from(number)) as usize;
            prop_assert!(place == 0 || boundaries[place - 1] <= f64::from(number));
            prop_assert!(place == boundaries.len() || f64::from(number) < boundaries[place]);
        }
    }
}
