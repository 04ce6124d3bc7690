//! Values and their numbers.

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_64;

use super::key::Key;
use crate::seed::splitmix64;

/// Values numbered from 0 in a fixed order. As JSON: the array of the values, whole numbers as numbers, others as texts.
#[derive(Clone, Default)]
pub(crate) struct Vocabulary {
    entries: Vec<Entry>,
    /// All texts behind one another.
    text: String,
    /// Where each text ends.
    ends: Vec<usize>,
    slots: Slots,
    /// `direct[i]` is the number of the integer `first + i` or [`NONE`]: a shortcut where integers lie close together.
    direct: Vec<u32>,
    first: i64,
    /// While values are taken in: `near[i]` is the number of the integer `i`, or [`NONE`] where the slots have to be asked.
    near: Vec<u32>,
}

/// A value; a text by its place among the texts.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Integer(i64),
    Text(u32),
}

/// Numbers by hash, with open addressing. Most look-ups are cold, so what counts is how often they wait for memory: a hit on an integer
/// waits once, and a text is compared while the processor has already gone on with the number beside its hash.
#[derive(Clone, Default)]
struct Slots {
    /// As many as a power of two, or none.
    slots: Vec<Slot>,
    used: usize,
}

/// A place of the table, of 16 bytes.
#[derive(Clone, Copy)]
struct Slot {
    hash: u64,
    /// The value's number; [`NONE`] where nothing is.
    id: u32,
    is_text: bool,
}

const NONE: u32 = u32::MAX;

impl Vocabulary {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether every value is a whole number.
    pub(super) fn has_no_text(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number of a value, if it is known.
    #[inline]
    pub(crate) fn get(&self, key: Key<'_>) -> Option<u32> {
        match key {
            Key::Integer(value) if !self.direct.is_empty() => {
                let place = value.wrapping_sub(self.first) as u64;
                usize::try_from(place).ok().and_then(|place| self.direct.get(place).copied()).filter(|&id| id != NONE)
            }
            Key::Integer(_) | Key::Text(_) => self.look_up(key),
        }
    }

    /// Not inlined, so that the shortcut before it stays short enough to be.
    #[inline(never)]
    fn look_up(&self, key: Key<'_>) -> Option<u32> {
        self.find(key, hash(key))
    }

    /// The number of a value, which becomes known if it was not.
    pub(crate) fn intern(&mut self, key: Key<'_>) -> u32 {
        if let Some(id) = self.nearby(key) {
            return id;
        }
        let hash = hash(key);
        if let Some(id) = self.find(key, hash) {
            return id;
        }
        let id = self.entries.len() as u32;
        let is_text = match key {
            Key::Integer(value) => {
                self.entries.push(Entry::Integer(value));
                self.bring_near(value, id);
                false
            }
            Key::Text(text) => {
                self.entries.push(Entry::Text(self.ends.len() as u32));
                self.text.push_str(text);
                self.ends.push(self.text.len());
                true
            }
        };
        self.slots.insert(Slot { hash, id, is_text });
        id
    }

    /// The value with a number.
    pub(crate) fn value(&self, id: u32) -> Key<'_> {
        match self.entries[id as usize] {
            Entry::Integer(value) => Key::Integer(value),
            Entry::Text(place) => {
                let from = if place == 0 { 0 } else { self.ends[place as usize - 1] };
                Key::Text(&self.text[from..self.ends[place as usize]])
            }
        }
    }

    /// The values in order.
    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = Key<'_>> {
        (0..self.entries.len() as u32).map(|id| self.value(id))
    }

    /// The values `kept`, numbered anew in that order, and ready for quick look-up.
    pub(crate) fn select(&self, kept: &[u32]) -> Vocabulary {
        kept.iter().map(|&id| self.value(id)).collect()
    }

    #[inline]
    fn find(&self, key: Key<'_>, hash: u64) -> Option<u32> {
        // The hash of an integer is one to one, so an equal hash is an equal integer.
        match key {
            Key::Integer(_) => self.slots.find(hash, |slot| !slot.is_text),
            Key::Text(_) => self.slots.find(hash, |slot| slot.is_text && self.value(slot.id) == key),
        }
    }

    #[inline]
    fn nearby(&self, key: Key<'_>) -> Option<u32> {
        let Key::Integer(value) = key else { return None };
        let place = usize::try_from(value).ok()?;
        self.near.get(place).copied().filter(|&id| id != NONE)
    }

    /// Spares an integer the slots from now on, if integers lie so close together that the table for it stays small.
    fn bring_near(&mut self, value: i64, id: u32) {
        let Ok(place) = usize::try_from(value) else { return };
        if place >= self.near.len() && place / 4 < self.entries.len() + 256 {
            self.near.resize((place + 1).next_power_of_two(), NONE);
            for (id, entry) in (0..).zip(&self.entries) {
                let Entry::Integer(known) = *entry else { continue };
                if let Some(near) = usize::try_from(known).ok().and_then(|place| self.near.get_mut(place)) {
                    *near = id;
                }
            }
        } else if let Some(near) = self.near.get_mut(place) {
            *near = id;
        }
    }

    /// Builds the shortcut where the integers span at most eight times as many numbers as there are: at 4 bytes each it takes no more
    /// memory than the slots do, and a look-up is one load.
    fn index(&mut self) {
        self.near = Vec::new();
        let integers = || {
            (0_u32..).zip(&self.entries).filter_map(|(id, entry)| match entry {
                Entry::Integer(value) => Some((*value, id)),
                Entry::Text(_) => None,
            })
        };
        let (mut first, mut last, mut count) = (i64::MAX, i64::MIN, 0_u64);
        for (value, _) in integers() {
            (first, last, count) = (first.min(value), last.max(value), count + 1);
        }
        if count == 0 || last.abs_diff(first) / 8 > count + 256 {
            return;
        }
        let mut direct = vec![NONE; last.abs_diff(first) as usize + 1];
        for (value, id) in integers() {
            direct[value.abs_diff(first) as usize] = id;
        }
        self.first = first;
        self.direct = direct;
    }
}

impl Slots {
    #[inline]
    fn find(&self, hash: u64, fits: impl Fn(&Slot) -> bool) -> Option<u32> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut place = hash as usize & mask;
        loop {
            let slot = &self.slots[place];
            if slot.id == NONE {
                return None;
            }
            if slot.hash == hash && fits(slot) {
                return Some(slot.id);
            }
            place = (place + 1) & mask;
        }
    }

    /// Adds a slot that is not there yet; a third of the places stays free.
    fn insert(&mut self, slot: Slot) {
        if (self.used + 1) * 3 > self.slots.len() * 2 {
            let larger = (self.slots.len() * 2).max(8);
            let old = std::mem::replace(&mut self.slots, vec![Slot { hash: 0, id: NONE, is_text: false }; larger]);
            old.into_iter().filter(|slot| slot.id != NONE).for_each(|slot| self.place(slot));
        }
        self.place(slot);
        self.used += 1;
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut place = slot.hash as usize & mask;
        while self.slots[place].id != NONE {
            place = (place + 1) & mask;
        }
        self.slots[place] = slot;
    }
}

fn hash(key: Key<'_>) -> u64 {
    match key {
        Key::Integer(value) => splitmix64(value as u64),
        Key::Text(text) => xxh3_64(text.as_bytes()),
    }
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

    proptest! {
        #[test]
        fn a_value_taken_in_again_keeps_its_number_close_or_far(values in prop::collection::vec(prop_oneof![-5_i64..2_000, any::<i64>()], 0..400)) {
            let mut vocabulary = Vocabulary::default();
            let mut numbers = std::collections::HashMap::new();
            for value in values {
                let next = numbers.len() as u32;
                prop_assert_eq!(vocabulary.intern(Key::Integer(value)), *numbers.entry(value).or_insert(next));
            }
            prop_assert_eq!(vocabulary.len(), numbers.len());
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
