//! Numbers out of columns, and what becomes of them.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, StringArrayType};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use serde::{Deserialize, Serialize};

use super::key::{map_valid, strict};
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

/// The number in every cell, in order; not-a-number for a missing one: null, empty text, not-a-number. Flags are 0 and 1.
pub(crate) fn numbers(array: &dyn Array) -> Result<Vec<f64>, Refusal> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "arrow has dozens of types; the rest are cast")]
    Ok(match array.data_type() {
        DataType::Float64 => widened::<Float64Type>(array, |number| number),
        DataType::Float32 => widened::<Float32Type>(array, f64::from),
        DataType::Int64 => widened::<Int64Type>(array, |number| number as f64),
        DataType::Int32 => widened::<Int32Type>(array, f64::from),
        DataType::Int16 => widened::<Int16Type>(array, f64::from),
        DataType::Int8 => widened::<Int8Type>(array, f64::from),
        DataType::UInt64 => widened::<UInt64Type>(array, |number| number as f64),
        DataType::UInt32 => widened::<UInt32Type>(array, f64::from),
        DataType::UInt16 => widened::<UInt16Type>(array, f64::from),
        DataType::UInt8 => widened::<UInt8Type>(array, f64::from),
        DataType::Boolean => array.as_boolean().iter().map(|flag| flag.map_or(f64::NAN, f64::from)).collect(),
        DataType::Utf8 => return texts(array.as_string::<i32>()),
        DataType::LargeUtf8 => return texts(array.as_string::<i64>()),
        DataType::Utf8View => return texts(array.as_string_view()),
        DataType::Null => vec![f64::NAN; array.len()],
        _ => return numbers(&plain(array)?),
    })
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

fn widened<T: ArrowPrimitiveType>(array: &dyn Array, widen: impl Fn(T::Native) -> f64) -> Vec<f64> {
    let array = array.as_primitive::<T>();
    map_valid(array.values(), array.nulls(), f64::NAN, widen)
}

fn texts<'a>(array: impl StringArrayType<'a>) -> Result<Vec<f64>, Refusal> {
    let number = |(at, text): (usize, Option<&str>)| {
        let number = text.map_or(Ok(None), |text| parse(text, at))?;
        Ok(number.unwrap_or(f64::NAN))
    };
    array.iter().enumerate().map(number).collect()
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

/// Numbers that are compared with a boundary together: as many as a few vector registers hold.
const LANES: usize = 8;

/// Boundaries up to which comparing with all of them is cheaper than searching among them.
const FEW: usize = 32;

/// Which bucket each number falls in: how many boundaries, which ascend, are not above it. Not-a-number is above none.
pub(crate) fn buckets(boundaries: &[f64], numbers: &[f64]) -> Vec<u32> {
    if boundaries.len() > FEW {
        return numbers.iter().map(|&number| bucket(boundaries, number)).collect();
    }
    let mut found = Vec::with_capacity(numbers.len());
    let (blocks, rest) = numbers.as_chunks::<LANES>();
    for block in blocks {
        // As wide as the numbers, so that a comparison's outcome is counted as it comes.
        let mut counts = [0_u64; LANES];
        for &boundary in boundaries {
            counts = std::array::from_fn(|lane| counts[lane] + u64::from(block[lane] >= boundary));
        }
        found.extend(counts.map(|count| count as u32));
    }
    found.extend(rest.iter().map(|&number| bucket(boundaries, number)));
    found
}

/// [`buckets`] for one number.
pub(crate) fn bucket(boundaries: &[f64], number: f64) -> u32 {
    boundaries.partition_point(|&boundary| boundary <= number) as u32
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Decimal128Array, Float64Array, Int8Array, StringArray, UInt64Array};
    use proptest::prelude::*;

    use super::*;

    fn all(array: &dyn Array) -> Vec<Option<f64>> {
        numbers(array).unwrap().into_iter().map(|number| Some(number).filter(|number| !number.is_nan())).collect()
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
        let refusal = numbers(&StringArray::from(vec!["1", "one"])).unwrap_err();
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
        fn a_bucket_is_where_its_boundaries_say(mut boundaries in prop::collection::vec(-50_i32..50, 0..60), numbers in prop::collection::vec(-60_i32..60, 0..30)) {
            boundaries.sort_unstable();
            boundaries.dedup();
            let boundaries: Vec<f64> = boundaries.into_iter().map(f64::from).collect();
            let numbers: Vec<f64> = numbers.into_iter().map(f64::from).collect();
            let found = buckets(&boundaries, &numbers);
            prop_assert_eq!(found.len(), numbers.len());
            for (place, number) in found.into_iter().map(|place| place as usize).zip(numbers) {
                prop_assert!(place == 0 || boundaries[place - 1] <= number);
                prop_assert!(place == boundaries.len() || number < boundaries[place]);
            }
        }
    }

    #[test]
    fn not_a_number_falls_in_the_first_bucket_and_infinity_in_the_last() {
        for count in [3, 40] {
            let boundaries: Vec<f64> = (0..count).map(f64::from).collect();
            let numbers = [f64::NAN, f64::NEG_INFINITY, f64::INFINITY, -0.0].repeat(3);
            assert_eq!(buckets(&boundaries, &numbers), [0, 0, count as u32, 1].repeat(3));
        }
    }
}
