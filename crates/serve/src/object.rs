//! Requests that are one JSON object.

use serde::Deserialize;

use crate::refusal::Refusal;

/// Reads an object by the names of its members; `what` it should be says the message.
///
/// # Errors
/// If it is no object: the values of a list have no names, and would be taken by their places.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a [u8], what: &str) -> Result<T, Refusal> {
    match json.trim_ascii_start() {
        [b'{', ..] => {
            serde_json::from_slice(json).map_err(|error| Refusal::bad(format!("the body is no {what}: {error}")))
        }
        [] => Err(Refusal::bad(format!("the body is empty, expected {what} as a JSON object"))),
        _ => Err(Refusal::bad(format!("the body is no {what}: expected a JSON object, {{...}}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Pair {
        a: u8,
        b: u8,
    }

    #[test]
    fn values_have_names_and_no_places() {
        assert_eq!(read::<Pair>(b" {\"b\": 2, \"a\": 1}", "pair"), Ok(Pair { a: 1, b: 2 }));
        for wrong in ["[1, 2]", "", " ", "3", "{\"a\": 1}", "{\"a\": 1, \"b\": 2} x"] {
            let message = read::<Pair>(wrong.as_bytes(), "pair").unwrap_err().message;
            assert!(message.contains("pair") && !message.contains("struct"), "{message}");
        }
    }
}
