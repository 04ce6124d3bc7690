//! Small expressions over columns, one grammar for labels and `where`: `is_click * is_order`, `tab in (1, 2) and not is_null(age)`.
//!
//! | binds | operators | value |
//! | --- | --- | --- |
//! | tightest | `( )`, `is_null(x)`, `coalesce(x, y, ..)` | |
//! | | `^`, from right to left | a number |
//! | | `-x` | a number |
//! | | `*` `/` | a number |
//! | | `+` `-` | a number |
//! | | `==` `!=` `<` `<=` `>` `>=` `in (..)` `not in (..)`, not in chains | 1 or 0 |
//! | | `not` | 1 or 0 |
//! | | `and` | 1 or 0 |
//! | loosest | `or` | 1 or 0 |
//!
//! Values are numbers (`1`, `.5`, `2e-3`, `true`, `false`), texts (`'a'`, `"a"`, the quote doubled inside), and columns (`is_click`, or
//! `` `any name at all` ``). Words of the grammar may be written in capitals.
//!
//! A missing cell makes unknown whatever is computed from it; `false and unknown` is false, `true or unknown` is true, as in SQL.
//! Where a truth is asked (`==`, `and`, `not`, `is_null`, a `where`), not-a-number counts as missing; arithmetic hands it on.
//!
//! Two texts are compared as texts; dates and timestamps are texts in ISO form here. Everywhere else a text is read as the number it
//! holds, and a cell that holds none is an error. Numbers are 64-bit floats, so whole numbers beyond 2^53 are refused.

mod eval;
mod lexer;
mod parser;

use std::fmt;

use arrow::array::{Array, BooleanArray, Float64Array, RecordBatch};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::parser::{Node, Term};
use crate::error::DataError;
use crate::source::{Rows, Source};

/// A parsed expression. Serialised as its text.
///
/// ```
/// # use hinet_data::Expression;
/// let buys = Expression::parse("is_click * is_order")?;
/// assert_eq!(buys.columns(), ["is_click", "is_order"]);
/// assert!(Expression::parse("is_click = 1").unwrap_err().to_string().contains("expected `==`"));
/// # Ok::<(), hinet_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    root: Term,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`DataError::Expression`], with a caret below the place.
    pub fn parse(text: &str) -> Result<Expression, DataError> {
        Ok(Expression { text: text.to_owned(), root: parser::parse(text)? })
    }

    /// The column of this name, whatever characters it has.
    pub fn column(name: &str) -> Expression {
        let text = format!("`{}`", name.replace('`', "``"));
        Expression { text, root: Term { at: 0, node: Node::Column(name.to_owned()) } }
    }

    /// The expression as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Names of the columns it needs, each once, in order of first mention.
    pub fn columns(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.root.collect_columns(&mut names);
        names
    }

    /// Checks against the columns of a source, without reading rows.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`]; [`DataError::Expression`] where a column's type cannot be computed with.
    pub fn check(&self, source: &Source) -> Result<(), DataError> {
        let empty = RecordBatch::new_empty(source.schema().clone());
        self.eval(&Rows::new(source.first_file().into(), 1, empty)).map(|_| ())
    }

    /// The value for each row: a number, or null where it is unknown. Comparisons and flags give 1 and 0. Not-a-number, from a cell or
    /// from `0 / 0`, is handed on as it is; who wants it to be missing has to say so.
    ///
    /// # Errors
    /// [`DataError::MissingColumn`]; [`DataError::BadValue`] for a text where a number is needed or a whole number beyond 2^53;
    /// [`DataError::Expression`] for a column whose type cannot be computed with.
    pub fn eval(&self, rows: &Rows) -> Result<Float64Array, DataError> {
        eval::Evaluation { text: &self.text, rows }.number(&self.root)
    }

    /// Whether each row satisfies the expression: its value is known and not 0. Never null.
    ///
    /// # Errors
    /// As [`eval`](Expression::eval).
    pub fn keeps(&self, rows: &Rows) -> Result<BooleanArray, DataError> {
        let flags = eval::Evaluation { text: &self.text, rows }.flag(&self.root)?;
        Ok(match flags.nulls() {
            Some(known) => BooleanArray::new(flags.values() & known.inner(), None),
            None => flags,
        })
    }
}

/// Equal texts; `a+b` and `a + b` differ.
impl PartialEq for Expression {
    fn eq(&self, other: &Expression) -> bool {
        self.text == other.text
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Expression, D::Error> {
        Expression::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
