//! Cells as ids: one per row, or any number per row with or without weights.

use std::ops::Range;

use arrow::array::{AnyDictionaryArray, Array, ArrayRef, AsArray, OffsetSizeTrait};
use arrow::datatypes::DataType;

use super::key::{Key, as_text};
use super::memo::Memo;
use super::number::{numbers, parse};
use super::refusal::Refusal;
use crate::{Keep, Pooling};

/// Stands for a missing cell until its policy is applied.
pub(crate) const MISSING: u32 = u32::MAX;

/// Which items of a row are kept, and how they are written in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemRule<'a> {
    /// What stands between two items.
    pub(crate) separator: &'a str,
    /// Items kept.
    pub(crate) limit: usize,
    /// From which end.
    pub(crate) keep: Keep,
    /// Whether a missing item keeps its place, unless a row has no other.
    pub(crate) keeps_places: bool,
}

/// Where weights come from, and which are allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WeightRule<'a> {
    /// What stands between category and weight in a text.
    pub(crate) separator: &'a str,
    /// A column of their own.
    pub(crate) column: Option<&'a ArrayRef>,
    /// How the embeddings become one; a mean needs weights of zero or more.
    pub(crate) pooling: Pooling,
}

/// Ids row by row; a row without any has one [`MISSING`] of weight 1.
#[derive(Debug, PartialEq)]
pub(crate) struct Bag {
    /// Where each row's ids begin, `[rows + 1]`.
    pub(crate) offsets: Vec<u32>,
    /// The ids.
    pub(crate) ids: Vec<u32>,
    /// Parallel to `ids`.
    pub(crate) weights: Option<Vec<f32>>,
    /// Items of each row before any was cut, where missing ones keep their places; 0 where it has none.
    pub(crate) items: Vec<u32>,
}

/// Values row by row.
struct Lists<T> {
    ranges: Vec<Range<usize>>,
    values: Vec<T>,
}

/// Any number of ids per row: of a list column or of the parts of a text. Missing items and empty parts are skipped.
pub(crate) fn bag(
    array: &dyn Array,
    rule: &ItemRule<'_>,
    lookup: &mut impl FnMut(Key<'_>) -> u32,
) -> Result<Bag, Refusal> {
    let lists = match array.as_any_dictionary_opt() {
        Some(dictionary) if (1..=array.len()).contains(&dictionary.values().len()) => {
            shared_lists(dictionary, rule.separator, lookup)?
        }
        Some(_) | None => id_lists(array, rule.separator, lookup)?,
    };
    Ok(collect(&lists, None, rule))
}

/// Any number of ids per row with weights: of lists of pairs, of maps, of texts, or of two columns.
pub(crate) fn weighted_bag(
    array: &dyn Array,
    rule: &ItemRule<'_>,
    weight: &WeightRule<'_>,
    lookup: &mut impl FnMut(Key<'_>) -> u32,
) -> Result<Bag, Refusal> {
    let (ids, weights) = match weight.column {
        Some(column) => parallel(array, column, rule, lookup)?,
        None => pairs(array, rule, weight, lookup)?,
    };
    check_weights(&ids, &weights, weight.pooling)?;
    Ok(collect(&ids, Some(&weights), rule))
}

/// Numbers row by row.
#[derive(Debug, PartialEq)]
pub(crate) struct Vectors {
    /// `[rows * length]`; zeros in rows that are missing.
    pub(crate) numbers: Vec<f32>,
    /// The rows that are missing.
    pub(crate) missing: Vec<usize>,
}

/// `length` numbers per row behind one another.
pub(crate) fn vectors(array: &dyn Array, length: usize, separator: &str) -> Result<Vectors, Refusal> {
    let lists = number_lists(array, separator)?;
    let mut vectors = Vectors { numbers: Vec::with_capacity(array.len() * length), missing: Vec::new() };
    for (row, range) in lists.ranges.into_iter().enumerate() {
        if range.is_empty() {
            vectors.missing.push(row);
            vectors.numbers.resize((row + 1) * length, 0.0);
            continue;
        }
        if range.len() != length {
            return Err(Refusal::new(row, format_args!("{} numbers", range.len()), format!("{length} numbers")));
        }
        vectors.numbers.extend(lists.values[range].iter().map(|&number| number as f32));
        if let Some(number) = vectors.numbers[row * length..].iter().find(|number| !number.is_finite()) {
            return Err(Refusal::new(row, number, "a finite number of 32 bits in each place"));
        }
    }
    Ok(vectors)
}

/// The lists of a dictionary: each text is taken apart once, and rows that have the same one share its ids.
fn shared_lists(
    dictionary: &dyn AnyDictionaryArray,
    separator: &str,
    lookup: &mut impl FnMut(Key<'_>) -> u32,
) -> Result<Lists<u32>, Refusal> {
    let Lists { ranges: by_value, values } = id_lists(dictionary.values(), separator, lookup)?;
    let range = |(row, key): (usize, usize)| if dictionary.is_null(row) { 0..0 } else { by_value[key].clone() };
    Ok(Lists { ranges: dictionary.normalized_keys().into_iter().enumerate().map(range).collect(), values })
}

fn id_lists(
    array: &dyn Array,
    separator: &str,
    lookup: &mut impl FnMut(Key<'_>) -> u32,
) -> Result<Lists<u32>, Refusal> {
    if let Some((ranges, items)) = lists(array) {
        let values = one_per_item(&items, lookup).map_err(|refusal| in_row(refusal, &ranges))?;
        return Ok(Lists { ranges, values });
    }
    let mut split = Lists { ranges: Vec::with_capacity(array.len()), values: Vec::new() };
    for_each_text(array, &mut |_, text| {
        let from = split.values.len();
        for_each_part(text, separator, |part| {
            split.values.push(Key::of_text(part.trim()).map_or(MISSING, &mut *lookup));
            Ok(())
        })?;
        split.ranges.push(from..split.values.len());
        Ok(())
    })?;
    Ok(split)
}

fn number_lists(array: &dyn Array, separator: &str) -> Result<Lists<f64>, Refusal> {
    if let Some((ranges, items)) = lists(array) {
        let values = numbers(&items).map_err(|refusal| in_row(refusal, &ranges))?;
        return Ok(Lists { ranges, values });
    }
    let mut values = Vec::new();
    let mut ranges = Vec::with_capacity(array.len());
    for_each_text(array, &mut |row, text| {
        let from = values.len();
        for_each_part(text.filter(|text| !text.is_empty()), separator, |part| {
            values.push(parse(part, row)?.unwrap_or(f64::NAN));
            Ok(())
        })?;
        ranges.push(from..values.len());
        Ok(())
    })?;
    Ok(Lists { ranges, values })
}

fn parallel(
    array: &dyn Array,
    column: &ArrayRef,
    rule: &ItemRule<'_>,
    lookup: &mut impl FnMut(Key<'_>) -> u32,
) -> Result<(Lists<u32>, Vec<f64>), Refusal> {
    let ids = id_lists(array, rule.separator, lookup)?;
    let weights = number_lists(column, rule.separator)?;
    let mut in_order = Vec::with_capacity(ids.values.len());
    for (row, (items, numbers)) in ids.ranges.iter().zip(&weights.ranges).enumerate() {
        let missing = ids.values[items.clone()].iter().all(|&id| id == MISSING);
        if missing {
            in_order.resize(in_order.len() + items.len(), 1.0);
        } else if items.len() == numbers.len() {
            in_order.extend_from_slice(&weights.values[numbers.clone()]);
        } else {
            let found = format!("{} categories with {} weights", items.len(), numbers.len());
            return Err(Refusal::new(row, found, "as many weights as categories"));
        }
    }
    Ok((ids, in_order))
}

fn pairs(
    array: &dyn Array,
    rule: &ItemRule<'_>,
    weight: &WeightRule<'_>,
    lookup: &mut impl FnMut(Key<'_>) -> u32,
) -> Result<(Lists<u32>, Vec<f64>), Refusal> {
    if let Some((ranges, items)) = lists(array) {
        let Some(pair) = items.as_struct_opt().filter(|pair| pair.num_columns() == 2) else {
            return Err(Refusal::of_type(array.data_type(), "a text of pairs, a list of pairs or a map"));
        };
        let values = one_per_item(pair.column(0), lookup).map_err(|refusal| in_row(refusal, &ranges))?;
        let weights = numbers(pair.column(1)).map_err(|refusal| in_row(refusal, &ranges))?;
        return Ok((Lists { ranges, values }, weights));
    }
    let mut weights = Vec::new();
    let mut split = Lists { ranges: Vec::with_capacity(array.len()), values: Vec::new() };
    for_each_text(array, &mut |row, text| {
        let from = split.values.len();
        for_each_part(text, rule.separator, |part| {
            if part.trim().is_empty() {
                return Ok(());
            }
            let refused = || Refusal::new(row, part, format!("a category, `{}` and a weight", weight.separator));
            let (category, number) = part.rsplit_once(weight.separator).ok_or_else(refused)?;
            weights.push(parse(number, row).ok().flatten().ok_or_else(refused)?);
            split.values.push(Key::of_text(category.trim()).map(&mut *lookup).ok_or_else(refused)?);
            Ok(())
        })?;
        split.ranges.push(from..split.values.len());
        Ok(())
    })?;
    Ok((split, weights))
}

fn check_weights(ids: &Lists<u32>, weights: &[f64], pooling: Pooling) -> Result<(), Refusal> {
    let least = if pooling == Pooling::Mean { 0.0 } else { f64::NEG_INFINITY };
    let fits = |weight: f64| (weight as f32).is_finite() && weight >= least;
    let wrong = weights.iter().zip(&ids.values).position(|(&weight, &id)| id != MISSING && !fits(weight));
    let Some(wrong) = wrong else { return Ok(()) };
    let expected = if pooling == Pooling::Mean {
        "a finite weight of zero or more (pooling = \"mean\")"
    } else {
        "a finite weight"
    };
    Err(in_row(Refusal::new(wrong, weights[wrong], expected), &ids.ranges))
}

/// Skips what is missing and keeps what the rule keeps.
fn collect(ids: &Lists<u32>, weights: Option<&[f64]>, rule: &ItemRule<'_>) -> Bag {
    let mut bag = Bag {
        offsets: Vec::with_capacity(ids.ranges.len() + 1),
        ids: Vec::with_capacity(ids.values.len()),
        weights: weights.map(|weights| Vec::with_capacity(weights.len())),
        items: Vec::new(),
    };
    if rule.keeps_places {
        bag.items.extend(ids.ranges.iter().map(|range| range.len() as u32));
    }
    bag.offsets.push(0);
    for range in &ids.ranges {
        let from = bag.ids.len();
        let present = |&place: &usize| rule.keeps_places || ids.values[place] != MISSING;
        let count = range.clone().filter(present).count();
        let skipped = if rule.keep == Keep::Last { count.saturating_sub(rule.limit) } else { 0 };
        for place in range.clone().filter(present).skip(skipped).take(rule.limit) {
            bag.ids.push(ids.values[place]);
            if let (Some(kept), Some(weights)) = (&mut bag.weights, weights) {
                kept.push(weights[place] as f32);
            }
        }
        if bag.ids.len() == from {
            bag.ids.push(MISSING);
            bag.weights.iter_mut().for_each(|weights| weights.push(1.0));
        }
        bag.offsets.push(bag.ids.len() as u32);
    }
    bag
}

/// One id per item.
fn one_per_item(items: &dyn Array, lookup: &mut impl FnMut(Key<'_>) -> u32) -> Result<Vec<u32>, Refusal> {
    Memo::default().map(items, MISSING, lookup)
}

/// The items of a list or map column and each row's range among them; a missing list is an empty range.
fn lists(array: &dyn Array) -> Option<(Vec<Range<usize>>, ArrayRef)> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "arrow has dozens of types; the rest are no lists")]
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            Some(ranges(array, list.value_offsets(), list.values()))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            Some(ranges(array, list.value_offsets(), list.values()))
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            Some(ranges(array, map.value_offsets(), &entries))
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let length = list.value_length() as usize;
            let offsets: Vec<i64> = (0..=array.len()).map(|row| (row * length) as i64).collect();
            Some(ranges(array, &offsets, list.values()))
        }
        _ => None,
    }
}

/// Only the items between the first and the last offset: a slice of a long array must not drag all of it along.
fn ranges<O: OffsetSizeTrait>(array: &dyn Array, offsets: &[O], items: &ArrayRef) -> (Vec<Range<usize>>, ArrayRef) {
    let first = offsets.first().map_or(0, |offset| offset.as_usize());
    let last = offsets.last().map_or(0, |offset| offset.as_usize());
    let range = |(row, pair): (usize, &[O])| {
        let from = pair[0].as_usize() - first;
        if array.is_null(row) { from..from } else { from..pair[1].as_usize() - first }
    };
    (offsets.windows(2).enumerate().map(range).collect(), items.slice(first, last - first))
}

fn for_each_text(
    array: &dyn Array,
    take: &mut impl FnMut(usize, Option<&str>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "arrow has dozens of types; the rest are cast")]
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().iter().enumerate().try_for_each(|(row, text)| take(row, text)),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().enumerate().try_for_each(|(row, text)| take(row, text)),
        DataType::Utf8View => array.as_string_view().iter().enumerate().try_for_each(|(row, text)| take(row, text)),
        _ => {
            let refused = || Refusal::of_type(array.data_type(), "a text or a list");
            for_each_text(&as_text(array).ok_or_else(refused)?, take)
        }
    }
}

/// Calls `take` with what stands between the separators of a text.
fn for_each_part<'t>(
    text: Option<&'t str>,
    separator: &str,
    take: impl FnMut(&'t str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let Some(text) = text else { return Ok(()) };
    let mut letters = separator.chars();
    match (letters.next(), letters.next()) {
        // The usual case, and much quicker than to look for a text.
        (Some(letter), None) => text.split(letter).try_for_each(take),
        _ => text.split(separator).try_for_each(take),
    }
}

/// A refused item, placed by its row.
fn in_row(refusal: Refusal, ranges: &[Range<usize>]) -> Refusal {
    let row = refusal.at.map(|at| ranges.partition_point(|range| range.end <= at));
    Refusal { at: row, ..refusal }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        DictionaryArray, FixedSizeListArray, Float64Array, Float64Builder, Int64Array, Int64Builder, ListArray,
        MapBuilder, StringArray, StructArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Float64Type, Int32Type, Int64Type};

    use super::*;

    const ALL: ItemRule<'static> =
        ItemRule { separator: ",", limit: usize::MAX, keep: Keep::First, keeps_places: false };
    const PAIRS: WeightRule<'static> = WeightRule { separator: ":", column: None, pooling: Pooling::Mean };

    /// Integers are their own number.
    fn own(key: Key<'_>) -> u32 {
        match key {
            Key::Integer(number) => number as u32,
            Key::Text(_) => 99,
        }
    }

    fn rows(bag: &Bag) -> Vec<&[u32]> {
        bag.offsets.windows(2).map(|pair| &bag.ids[pair[0] as usize..pair[1] as usize]).collect()
    }

    #[test]
    fn lists_and_texts_give_the_same_bags_even_out_of_a_slice() {
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
            Some(vec![Some(9)]),
            Some(vec![Some(1), None, Some(2)]),
            None,
            Some(vec![]),
            Some(vec![Some(3)]),
        ]);
        let text = StringArray::from(vec![Some("9"), Some("1, ,2"), None, Some(""), Some("3")]);
        let expected: Vec<&[u32]> = vec![&[1, 2], &[MISSING], &[MISSING], &[3]];
        for array in [Arc::new(list) as ArrayRef, Arc::new(text)] {
            let bag = bag(&array.slice(1, 4), &ALL, &mut own).unwrap();
            assert_eq!(rows(&bag), expected);
        }
    }

    #[test]
    fn a_text_of_a_dictionary_is_taken_apart_once() {
        let texts: DictionaryArray<Int32Type> = [Some("7,8"), None, Some("9"), Some("7,8")].into_iter().collect();
        let mut asked = 0;
        let bag = bag(&texts, &ALL, &mut |key| {
            asked += 1;
            own(key)
        });
        let expected: Vec<&[u32]> = vec![&[7, 8], &[MISSING], &[9], &[7, 8]];
        assert_eq!((rows(&bag.unwrap()), asked), (expected, 3));
    }

    #[test]
    fn separators_of_several_letters_separate_too() {
        let bag =
            bag(&StringArray::from(vec!["1, 2; 3", "4"]), &ItemRule { separator: "; ", ..ALL }, &mut own).unwrap();
        assert_eq!(rows(&bag), [&[99, 3][..], &[4]]);
    }

    #[test]
    fn the_first_or_the_last_items_are_kept() {
        let text = StringArray::from(vec!["1,2,,3", "4"]);
        let first = bag(&text, &ItemRule { limit: 2, ..ALL }, &mut own).unwrap();
        assert_eq!(rows(&first), [&[1, 2][..], &[4]]);
        let last = bag(&text, &ItemRule { limit: 2, keep: Keep::Last, ..ALL }, &mut own).unwrap();
        assert_eq!(rows(&last), [&[2, 3][..], &[4]]);
    }

    #[test]
    fn missing_items_of_a_list_with_another_along_it_keep_their_places() {
        let text = StringArray::from(vec![Some("1,,3"), Some("4,"), Some(""), None]);
        let found = bag(&text, &ItemRule { limit: 2, keep: Keep::Last, keeps_places: true, ..ALL }, &mut own).unwrap();
        assert_eq!(rows(&found), [&[MISSING, 3][..], &[4, MISSING], &[MISSING], &[MISSING]]);
        assert_eq!(found.items, [3, 2, 1, 0]);
    }

    fn list_of_pairs() -> ListArray {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![7, 9, 8]));
        let weights: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 2.0, 1.0]));
        let pairs = StructArray::from(vec![
            (Arc::new(Field::new("id", DataType::Int64, true)), ids),
            (Arc::new(Field::new("weight", DataType::Float64, true)), weights),
        ]);
        let item = Arc::new(Field::new("item", pairs.data_type().clone(), true));
        let missing = vec![true, false, true].into();
        ListArray::new(item, OffsetBuffer::from_lengths([2, 0, 1]), Arc::new(pairs), Some(missing))
    }

    #[test]
    fn weights_come_from_texts_pairs_maps_and_columns_alike() {
        let mut map = MapBuilder::new(None, Int64Builder::new(), Float64Builder::new());
        for row in [vec![(7, 0.5), (9, 2.0)], vec![], vec![(8, 1.0)]] {
            for (key, value) in row {
                map.keys().append_value(key);
                map.values().append_value(value);
            }
            map.append(true).unwrap();
        }
        let expected = Bag {
            offsets: vec![0, 2, 3, 4],
            ids: vec![7, 9, MISSING, 8],
            weights: Some(vec![0.5, 2.0, 1.0, 1.0]),
            items: Vec::new(),
        };
        let text = StringArray::from(vec![Some("7:0.5, 9:2"), None, Some("8:1,")]);
        for array in [Arc::new(text) as ArrayRef, Arc::new(list_of_pairs()), Arc::new(map.finish())] {
            assert_eq!(weighted_bag(&array, &ALL, &PAIRS, &mut own).unwrap(), expected, "{}", array.data_type());
        }
        let ids = StringArray::from(vec![Some("7,9"), None, Some("8")]);
        let weights: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>([
            Some(vec![Some(0.5), Some(2.0)]),
            Some(vec![]),
            Some(vec![Some(1.0)]),
        ]));
        let rule = WeightRule { column: Some(&weights), ..PAIRS };
        assert_eq!(weighted_bag(&ids, &ALL, &rule, &mut own).unwrap(), expected);
    }

    #[test]
    fn wrong_weights_are_refused_in_their_row() {
        let refused = |text: &str, pooling| {
            let array = StringArray::from(vec!["1:1,2:2", text]);
            weighted_bag(&array, &ALL, &WeightRule { pooling, ..PAIRS }, &mut own).unwrap_err()
        };
        for text in ["3:1,4", "3:x", "3:inf", "3:", ":1", "3:1e39"] {
            assert_eq!(refused(text, Pooling::Sum).at, Some(1), "{text}");
        }
        assert!(refused("3:-1", Pooling::Mean).expected.contains("zero or more"));
        let weights: ArrayRef = Arc::new(StringArray::from(vec!["1,2", "1"]));
        let rule = WeightRule { column: Some(&weights), ..PAIRS };
        let refusal = weighted_bag(&StringArray::from(vec!["1,2", "1,2"]), &ALL, &rule, &mut own).unwrap_err();
        assert_eq!(refusal, Refusal::new(1, "2 categories with 1 weights", "as many weights as categories"));
    }

    #[test]
    fn vectors_come_from_lists_and_texts_and_must_have_their_length() {
        let fixed =
            FixedSizeListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0), Some(2.5)]), None], 2);
        let text = StringArray::from(vec![Some("1;2.5"), None]);
        for array in [Arc::new(fixed) as ArrayRef, Arc::new(text)] {
            let expected = Vectors { numbers: vec![1.0, 2.5, 0.0, 0.0], missing: vec![1] };
            assert_eq!(vectors(&array, 2, ";").unwrap(), expected);
        }
        for text in ["1", "1;2;3", "1;", "1;inf", "1;x"] {
            let refusal = vectors(&StringArray::from(vec!["1;2", text]), 2, ";").unwrap_err();
            assert_eq!(refusal.at, Some(1), "{text}");
        }
    }
}
