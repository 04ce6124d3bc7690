//! Values and their numbers.

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::hash::BuildHasher;

use super::key::Key;

/// Values numbered from 0 in a fixed order. As JSON: the array of the values, whole numbers as numbers, others as texts.
#[derive(Clone, Default)]
pub(crate) struct Vocabulary {
    entries: Vec<Entry>,
    /// All texts behind one another.
    text: String,
    /// Where each text ends.
    ends: Vec<usize>,
    integers: HashMap<i64, u32, FixedState>,
    /// Places in `entries` by the hash of the text there.
    texts: HashTable<u32>,
    /// `direct[i]` is the number of the integer `first + i` or [`NONE`]: a shortcut where integers lie close together.
    direct: Vec<u32>,
    first: i64,
}

/// A value; a text by its place among the texts.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Integer(i64),
    Text(u32),
}

const NONE: u32 = u32::MAX;

impl Vocabulary {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of a value, if it is known.
    #[inline]
    pub(crate) fn get(&self, key: Key<'_>) -> Option<u32> {
        match key {
            Key::Integer(value) if !self.direct.is_empty() => {
                let place = value.wrapping_sub(self.first) as u64;
                usize::try_from(place).ok().and_then(|place| self.direct.get(place).copied()).filter(|&id| id != NONE)
            }
            Key::Integer(value) => self.integers.get(&value).copied(),
            Key::Text(text) => self.texts.find(hash(text), |&id| self.text_at(id) == text).copied(),
        }
    }

    /// The number of a value, which becomes known if it was not.
    pub(crate) fn intern(&mut self, key: Key<'_>) -> u32 {
        let next = self.entries.len() as u32;
        match key {
            Key::Integer(value) => *self.integers.entry(value).or_insert_with(|| {
                self.entries.push(Entry::Integer(value));
                next
            }),
            Key::Text(text) => {
                let hash_of_text = hash(text);
                if let Some(&id) = self.texts.find(hash_of_text, |&id| self.text_at(id) == text) {
                    return id;
                }
                self.entries.push(Entry::Text(self.ends.len() as u32));
                self.text.push_str(text);
                self.ends.push(self.text.len());
                let Vocabulary { texts, entries, ends, text, .. } = self;
                texts.insert_unique(hash_of_text, next, |&id| hash(slice(entries, ends, text, id)));
                next
            }
        }
    }

    /// The value with a number.
    pub(crate) fn value(&self, id: u32) -> Key<'_> {
        match self.entries[id as usize] {
            Entry::Integer(value) => Key::Integer(value),
            Entry::Text(_) => Key::Text(self.text_at(id)),
        }
    }

    /// The values in order.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = Key<'_>> {
        (0..self.entries.len() as u32).map(|id| self.value(id))
    }

    /// The values `kept`, numbered anew in that order, and ready for quick look-up.
    pub(crate) fn select(&self, kept: &[u32]) -> Vocabulary {
        let mut selected = Vocabulary::default();
        for &id in kept {
            selected.intern(self.value(id));
        }
        selected.index();
        selected
    }

    /// Builds the shortcut where the integers span at most four times as many numbers as there are.
    fn index(&mut self) {
        let (Some(&first), Some(&last)) = (self.integers.keys().min(), self.integers.keys().max()) else { return };
        let span = last.abs_diff(first);
        if span / 4 > self.integers.len() as u64 + 256 {
            return;
        }
        self.first = first;
        self.direct = vec![NONE; span as usize + 1];
        for (&value, &id) in &self.integers {
            self.direct[value.abs_diff(first) as usize] = id;
        }
    }

    fn text_at(&self, id: u32) -> &str {
        slice(&self.entries, &self.ends, &self.text, id)
    }
}

/// The text of an entry; empty, which no text is, for an integer.
fn slice<'a>(entries: &[Entry], ends: &[usize], text: &'a str, id: u32) -> &'a str {
    match entries[id as usize] {
        Entry::Integer(_) => "",
        Entry::Text(place) => {
            let from = if place == 0 { 0 } else { ends[place as usize - 1] };
            &text[from..ends[place as usize]]
        }
    }
}

fn hash(text: &str) -> u64 {
    FixedState::default().hash_one(text.as_bytes())
}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vocabulary of {} values", self.len())
    }
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Vocabulary) -> bool {
        self.values().eq(other.values())
    }
}

impl<'a> FromIterator<Key<'a>> for Vocabulary {
    fn from_iter<I: IntoIterator<Item = Key<'a>>>(keys: I) -> Vocabulary {
        let mut vocabulary = Vocabulary::default();
        for key in keys {
            vocabulary.intern(key);
        }
        vocabulary.index();
        vocabulary
    }
}

impl Serialize for Vocabulary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = serializer.serialize_seq(Some(self.len()))?;
        for value in self.values() {
            match value {
                Key::Integer(number) => values.serialize_element(&number)?,
                Key::Text(text) => values.serialize_element(text)?,
            }
        }
        values.end()
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Vocabulary, D::Error> {
        struct Values;
        impl<'de> Visitor<'de> for Values {
            type Value = Vocabulary;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array of whole numbers and texts, none twice")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Vocabulary, A::Error> {
                let mut vocabulary = Vocabulary::default();
                while values.next_element_seed(One(&mut vocabulary))?.is_some() {}
                vocabulary.index();
                Ok(vocabulary)
            }
        }
        deserializer.deserialize_seq(Values)
    }
}

/// Takes one value of the array, without a copy of its text.
struct One<'v>(&'v mut Vocabulary);

impl One<'_> {
    fn take<E: serde::de::Error>(self, key: Option<Key<'_>>) -> Result<(), E> {
        let key = key.ok_or_else(|| E::custom("an empty text is no category"))?;
        let known = self.0.len();
        self.0.intern(key);
        if self.0.len() == known {
            return Err(E::custom(format_args!("the value `{key}` stands twice in a vocabulary")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for One<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a whole number of 64 bits or a text")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.take(Some(Key::Integer(value)))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        let value = i64::try_from(value).map_err(|_| E::custom("a whole number beyond 64 bits with sign"))?;
        self.take(Some(Key::Integer(value)))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.take(Key::of_text(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vocabulary(texts: &[String]) -> Vocabulary {
        texts.iter().filter_map(|text| Key::of_text(text)).collect()
    }

    proptest! {
        #[test]
        fn every_value_finds_its_number_before_and_after_saving(texts in prop::collection::vec("[a-c]{1,3}|-?[0-9]{1,3}|[0-9]{15}", 0..60)) {
            let plain = vocabulary(&texts);
            let saved = serde_json::to_string(&plain).unwrap();
            let loaded: Vocabulary = serde_json::from_str(&saved).unwrap();
            prop_assert_eq!(&loaded, &plain);
            for (id, value) in (0_u32..).zip(plain.values()) {
                prop_assert_eq!(plain.get(value), Some(id));
                prop_assert_eq!(loaded.get(value), Some(id));
            }
            prop_assert_eq!(plain.get(Key::Text("d")), None);
            prop_assert_eq!(plain.get(Key::Integer(1_000)), None);
            prop_assert_eq!(plain.get(Key::Integer(i64::MIN)), None);
            prop_assert_eq!(plain.get(Key::Integer(i64::MAX)), None);
        }
    }

    #[test]
    fn a_selection_is_numbered_in_its_own_order() {
        let all = vocabulary(&["a".to_owned(), "7".to_owned(), "b".to_owned()]);
        let selected = all.select(&[2, 1]);
        assert_eq!(selected.values().collect::<Vec<_>>(), [Key::Text("b"), Key::Integer(7)]);
        assert_eq!(selected.get(Key::Text("a")), None);
    }

    #[test]
    fn a_value_saved_twice_is_refused() {
        let error = serde_json::from_str::<Vocabulary>(r#"[1, "a", "1"]"#).unwrap_err();
        assert!(error.to_string().contains("stands twice"), "{error}");
    }
}
