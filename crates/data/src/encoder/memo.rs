//! Dictionaries: each value is looked at once, for as long as its dictionary lasts.

use arrow::array::{AnyDictionaryArray, Array, ArrayRef, AsArray};
use arrow::datatypes::Int32Type;

use super::key::{Key, map_keys, map_valid};
use super::refusal::Refusal;

/// Times as many values as rows that a dictionary may have to be looked through: files hand out the same one with many batches (Parquet:
/// with all of a row group), and the next ones find it known.
const MANY_BATCHES: usize = 32;

/// What became of the values of the dictionary that a column had last.
#[derive(Debug)]
pub(crate) struct Memo<T> {
    /// Held, so that no other dictionary can come to lie where it is known to be.
    values: Option<ArrayRef>,
    /// Parallel to the values.
    found: Vec<T>,
    /// Whether more batches follow.
    lasts: bool,
}

impl<T> Default for Memo<T> {
    fn default() -> Memo<T> {
        Memo { values: None, found: Vec::new(), lasts: false }
    }
}

impl<T> Memo<T> {
    /// One that serves batch after batch; [`Memo::default`] serves one.
    pub(crate) fn lasting() -> Memo<T> {
        Memo { lasts: true, ..Memo::default() }
    }
}

impl<T: Copy> Memo<T> {
    /// As [`map_keys`], and of a dictionary each value once: `take` may be asked for values that no row has. Batch after batch, `take` must be
    /// the same function of the category.
    pub(crate) fn map(
        &mut self,
        array: &dyn Array,
        missing: T,
        take: &mut impl FnMut(Key<'_>) -> T,
    ) -> Result<Vec<T>, Refusal> {
        let Some(dictionary) = array.as_any_dictionary_opt() else { return map_keys(array, missing, take) };
        let values = dictionary.values();
        if !self.knows(values) {
            let most = array.len().saturating_mul(if self.lasts { MANY_BATCHES } else { 1 });
            if values.is_empty() || values.len() > most {
                return map_keys(array, missing, take);
            }
            self.found = map_keys(values, missing, take)?;
            self.values = Some(ArrayRef::clone(values));
        }
        Ok(self.spread(dictionary, missing))
    }

    /// Whether these values are those of the last dictionary: the same memory, not only equal.
    fn knows(&self, values: &ArrayRef) -> bool {
        self.values.as_ref().is_some_and(|known| known.to_data().ptr_eq(&values.to_data()))
    }

    fn spread(&self, dictionary: &dyn AnyDictionaryArray, missing: T) -> Vec<T> {
        let nulls = dictionary.nulls();
        match dictionary.keys().as_primitive_opt::<Int32Type>() {
            Some(keys) => map_valid(keys.values(), nulls, missing, |key| self.found[key as usize]),
            None => map_valid(&dictionary.normalized_keys(), nulls, missing, |key| self.found[key]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int32Array, Int64Array, PrimitiveArray, StringArray};
    use arrow::datatypes::{Int8Type, UInt16Type};

    use super::*;

    fn texts(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn column(keys: Vec<Option<i32>>, values: &ArrayRef) -> DictionaryArray<Int32Type> {
        DictionaryArray::new(Int32Array::from(keys), ArrayRef::clone(values))
    }

    /// The lengths of texts, and which texts were asked for.
    fn lengths(memo: &mut Memo<usize>, array: &dyn Array) -> (Vec<usize>, Vec<String>) {
        let mut asked = Vec::new();
        let found = memo.map(array, 0, &mut |key| {
            asked.push(key.to_string());
            key.to_string().len()
        });
        (found.unwrap(), asked)
    }

    #[test]
    fn a_dictionary_is_looked_through_once_and_another_one_anew() {
        let mut memo = Memo::lasting();
        let values = texts(&[Some("a"), None, Some("ccc"), Some("")]);
        let first = column(vec![Some(2), None, Some(0), Some(1), Some(3)], &values);
        assert_eq!(lengths(&mut memo, &first), (vec![3, 0, 1, 0, 0], vec!["a".to_owned(), "ccc".to_owned()]));
        assert_eq!(lengths(&mut memo, &column(vec![Some(0), Some(2)], &values)), (vec![1, 3], Vec::new()));
        assert_eq!(lengths(&mut memo, &first.slice(2, 2)), (vec![1, 0], Vec::new()));
        let others = texts(&[Some("bb")]);
        assert_eq!(lengths(&mut memo, &column(vec![Some(0)], &others)), (vec![2], vec!["bb".to_owned()]));
        let equal = texts(&[Some("a"), None, Some("ccc"), Some("")]);
        assert_eq!(lengths(&mut memo, &column(vec![Some(0)], &equal)).1.len(), 2, "equal is not the same");
    }

    #[test]
    fn of_a_dictionary_far_larger_than_its_rows_only_they_are_looked_at() {
        let dictionary = |count: usize| -> ArrayRef {
            Arc::new((0..count).map(|value| Some(value.to_string())).collect::<StringArray>())
        };
        for (mut memo, count) in [(Memo::default(), 3), (Memo::lasting(), 100)] {
            let (found, asked) = lengths(&mut memo, &column(vec![Some(2), None], &dictionary(count)));
            assert_eq!((found, asked), (vec![1, 0], vec!["2".to_owned()]));
        }
        let none = texts(&[]);
        assert_eq!(lengths(&mut Memo::default(), &column(vec![None, None], &none)).0, [0, 0]);
    }

    #[test]
    fn keys_and_values_of_any_type_will_do() {
        let short: DictionaryArray<Int8Type> = [Some("a"), None, Some("bb")].into_iter().collect();
        assert_eq!(lengths(&mut Memo::default(), &short).0, [1, 0, 2]);
        let keys = PrimitiveArray::<UInt16Type>::from(vec![Some(1), Some(0), None]);
        let numbers = DictionaryArray::new(keys, Arc::new(Int64Array::from(vec![10, 2])));
        assert_eq!(lengths(&mut Memo::default(), &numbers).0, [1, 2, 0]);
    }
}
