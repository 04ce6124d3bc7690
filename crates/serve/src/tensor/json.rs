//! Elements of a tensor from JSON: one list, or lists within lists.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

use super::{Datatype, Elements};

/// Reads the `data` of a tensor.
pub(crate) fn from_json(datatype: Datatype, text: &str) -> Result<Elements, String> {
    let mut elements = match datatype {
        Datatype::Bool => Elements::Bool(Vec::new()),
        Datatype::Int(_) => Elements::Int(Vec::new()),
        Datatype::Uint(_) => Elements::Uint(Vec::new()),
        Datatype::Fp16 | Datatype::Fp32 => Elements::Fp32(Vec::new()),
        Datatype::Fp64 => Elements::Fp64(Vec::new()),
        Datatype::Bytes => Elements::Text(Vec::new()),
        Datatype::Bf16 => return Err("BF16 has no form in JSON; send its bytes".to_owned()),
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let into = Into { datatype, elements: &mut elements, outermost: true };
    into.deserialize(&mut reader).map_err(|error| {
        let text = error.to_string();
        text.split(" at line ").next().unwrap_or_default().to_owned()
    })?;
    Ok(elements)
}

/// Takes a value, or all values of a list.
struct Into<'a> {
    datatype: Datatype,
    elements: &'a mut Elements,
    outermost: bool,
}

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.outermost { deserializer.deserialize_seq(self) } else { deserializer.deserialize_any(self) }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "one kind of elements takes a value, the others do not")]
impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match (self.outermost, self.datatype) {
            (true, _) => "a list of values",
            (false, Datatype::Bool) => "true or false",
            (false, Datatype::Int(_) | Datatype::Uint(_)) => "a whole number that fits the datatype",
            (false, Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64) => "a number",
            (false, Datatype::Bytes) => "a text",
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Into { datatype, elements, .. } = self;
        while list.next_element_seed(Into { datatype, elements, outermost: false })?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        match self.elements {
            Elements::Bool(values) => values.push(value),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Bool(value), &self)),
        }
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        let unexpected = serde::de::Unexpected::Signed(value);
        match (self.datatype, &mut *self.elements) {
            (Datatype::Int(size), Elements::Int(values)) if fits(value, size) => values.push(value),
            (_, Elements::Fp32(values)) => values.push(value as f32),
            (_, Elements::Fp64(values)) => values.push(value as f64),
            _ => return Err(E::invalid_value(unexpected, &self)),
        }
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        match (self.datatype, &mut *self.elements) {
            (Datatype::Uint(size), Elements::Uint(values)) if size == 8 || value >> (8 * size) == 0 => {
                values.push(value)
            }
            _ => match i64::try_from(value) {
                Ok(value) => return self.visit_i64(value),
                Err(_) => return self.visit_f64(value as f64),
            },
        }
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        match &mut *self.elements {
            Elements::Fp32(values) => values.push(value as f32),
            Elements::Fp64(values) => values.push(value),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Float(value), &self)),
        }
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        match &mut *self.elements {
            Elements::Text(values) => values.push(value.to_owned()),
            _ => return Err(E::invalid_type(serde::de::Unexpected::Str(value), &self)),
        }
        Ok(())
    }
}

fn fits(value: i64, bytes: usize) -> bool {
    let unused = 64 - 8 * bytes as u32;
    (value << unused) >> unused == value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_within_lists_are_one_row_after_the_other() {
        assert_eq!(from_json(Datatype::Int(8), "[[1, 2], [-3]]"), Ok(Elements::Int(vec![1, 2, -3])));
        assert_eq!(from_json(Datatype::Fp32, "[1, 2.5]"), Ok(Elements::Fp32(vec![1.0, 2.5])));
        assert_eq!(from_json(Datatype::Bytes, "[\"a\"]"), Ok(Elements::Text(vec!["a".to_owned()])));
        assert_eq!(from_json(Datatype::Bool, "[]"), Ok(Elements::Bool(Vec::new())));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = [
            (Datatype::Int(1), "[128]"),
            (Datatype::Uint(1), "[-1]"),
            (Datatype::Uint(2), "[65536]"),
            (Datatype::Int(8), "[1.5]"),
            (Datatype::Int(8), "[9223372036854775808]"),
            (Datatype::Fp64, "[\"1\"]"),
            (Datatype::Bytes, "[1]"),
            (Datatype::Bool, "[1]"),
            (Datatype::Fp32, "1"),
            (Datatype::Fp32, "{}"),
            (Datatype::Fp32, "[null]"),
            (Datatype::Fp32, "[{}]"),
        ];
        for (datatype, text) in refused {
            assert!(from_json(datatype, text).is_err(), "{datatype:?} {text}");
        }
    }

    #[test]
    fn lists_without_end_are_refused_and_no_stack_overflows() {
        let deep = "[".repeat(1_000_000);
        assert!(from_json(Datatype::Fp32, &deep).is_err());
    }
}
