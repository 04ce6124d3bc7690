//! Evaluating a tree over a batch, a column at a time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringViewArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::arity::{binary, unary};
use arrow::compute::{and_kleene, cast, is_null, not, or_kleene};
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};

use super::lexer::error;
use super::parser::{Arithmetic, Comparison, Node, Term};
use crate::error::DataError;
use crate::source::Rows;

/// Whole numbers up to here are exact as 64-bit floats.
const EXACT: u64 = 1 << 53;

/// One expression over one batch.
pub(super) struct Evaluation<'a> {
    pub(super) text: &'a str,
    pub(super) rows: &'a Rows,
}

/// A column of values in the form in which it came about; the asker turns it into what it needs.
enum Value<'a> {
    Number(Float64Array),
    Flag(BooleanArray),
    Text { column: &'a str, cells: StringViewArray },
    Literal { at: usize, text: &'a str },
}

impl<'a> Evaluation<'a> {
    /// The term as numbers.
    pub(super) fn number(&self, term: &'a Term) -> Result<Float64Array, DataError> {
        self.value(term).and_then(|value| self.to_number(value))
    }

    /// The term as a truth; null where it is unknown or not-a-number.
    pub(super) fn flag(&self, term: &'a Term) -> Result<BooleanArray, DataError> {
        match self.value(term)? {
            Value::Flag(flags) => Ok(flags),
            value @ (Value::Number(_) | Value::Text { .. } | Value::Literal { .. }) => {
                let numbers = self.to_number(value)?;
                let truths = numbers.values().iter().map(|number| *number != 0.0).collect();
                Ok(BooleanArray::new(truths, known(&numbers)))
            }
        }
    }

    fn value(&self, term: &'a Term) -> Result<Value<'a>, DataError> {
        Ok(match &term.node {
            Node::Number(number) => Value::Number(Float64Array::from_value(*number, self.rows.len())),
            Node::Text(text) => Value::Literal { at: term.at, text },
            Node::Column(name) => self.column(term.at, name)?,
            Node::Negate(inner) => Value::Number(unary(&self.number(inner)?, |number| -number)),
            Node::Arithmetic(operator, left, right) => {
                Value::Number(arithmetic(*operator, &self.number(left)?, &self.number(right)?))
            }
            Node::Compare(comparison, left, right) => {
                Value::Flag(self.compare(*comparison, self.value(left)?, self.value(right)?)?)
            }
            Node::In(inner, list) => Value::Flag(self.inside(inner, list)?),
            Node::Not(inner) => Value::Flag(not(&self.flag(inner)?).expect("of one column")),
            Node::And(left, right) => {
                Value::Flag(and_kleene(&self.flag(left)?, &self.flag(right)?).expect("equally long"))
            }
            Node::Or(left, right) => {
                Value::Flag(or_kleene(&self.flag(left)?, &self.flag(right)?).expect("equally long"))
            }
            Node::IsNull(inner) => Value::Flag(self.missing(inner)?),
            Node::Coalesce(list) => Value::Number(self.first_known(list)?),
        })
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has some forty types")]
    fn column(&self, at: usize, name: &'a str) -> Result<Value<'a>, DataError> {
        let cells = self.rows.column(name)?;
        let cells = match cells.data_type() {
            DataType::Dictionary(_, values) if !is_text(values) => {
                cast(cells, values).map_err(|_| self.unusable(at, values))?
            }
            _ => Arc::clone(cells),
        };
        let kind = cells.data_type();
        if is_text(kind) || kind.is_temporal() {
            let cells = cast(&cells, &DataType::Utf8View).map_err(|_| self.unusable(at, kind))?;
            return Ok(Value::Text { column: name, cells: cells.as_string_view().clone() });
        }
        if !(kind.is_numeric() || matches!(kind, DataType::Boolean | DataType::Null)) {
            return Err(self.unusable(at, kind));
        }
        self.check_exact(name, &cells)?;
        let numbers = cast(&cells, &DataType::Float64).map_err(|_| self.unusable(at, kind))?;
        Ok(Value::Number(numbers.as_primitive::<Float64Type>().clone()))
    }

    fn unusable(&self, at: usize, kind: &DataType) -> DataError {
        error(self.text, at, format!("a column of numbers, flags or texts (this one holds {kind})"))
    }

    /// Refuses whole numbers that floats would round: two ids could become one.
    #[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has some forty types")]
    fn check_exact(&self, column: &str, cells: &ArrayRef) -> Result<(), DataError> {
        let beyond = match cells.data_type() {
            DataType::Int64 => cells
                .as_primitive::<Int64Type>()
                .iter()
                .position(|cell| cell.is_some_and(|cell| cell.unsigned_abs() > EXACT)),
            DataType::UInt64 => {
                cells.as_primitive::<UInt64Type>().iter().position(|cell| cell.is_some_and(|cell| cell > EXACT))
            }
            _ => None,
        };
        match beyond {
            Some(index) => Err(self.rows.bad_value(index, column, "a whole number up to 2^53, as expressions need")),
            None => Ok(()),
        }
    }

    fn to_number(&self, value: Value<'a>) -> Result<Float64Array, DataError> {
        match value {
            Value::Number(numbers) => Ok(numbers),
            Value::Flag(flags) => {
                let numbers = flags.values().iter().map(|flag| f64::from(u8::from(flag))).collect::<Vec<_>>();
                Ok(Float64Array::new(numbers.into(), flags.nulls().cloned()))
            }
            Value::Literal { at, text } => match parse_number(text) {
                Some(number) => Ok(Float64Array::from_value(number, self.rows.len())),
                None => Err(error(self.text, at, "a number (texts can only be compared, and only with texts)")),
            },
            Value::Text { column, cells } => {
                let mut numbers = Vec::with_capacity(cells.len());
                for (index, cell) in cells.iter().enumerate() {
                    let number = cell.map(|cell| {
                        let refused =
                            || self.rows.bad_value(index, column, format!("a number, as `{}` needs", self.text));
                        parse_number(cell).ok_or_else(refused)
                    });
                    numbers.push(number.transpose()?);
                }
                Ok(Float64Array::from(numbers))
            }
        }
    }

    fn compare(&self, comparison: Comparison, left: Value<'a>, right: Value<'a>) -> Result<BooleanArray, DataError> {
        match (left, right) {
            (Value::Text { cells: left, .. }, Value::Text { cells: right, .. }) => {
                Ok(left.iter().zip(&right).map(|(left, right)| Some(comparison.holds(&left?, &right?))).collect())
            }
            (Value::Text { cells, .. }, Value::Literal { text, .. }) => {
                Ok(cells.iter().map(|cell| Some(comparison.holds(&cell?, &text))).collect())
            }
            (Value::Literal { text, .. }, Value::Text { cells, .. }) => {
                Ok(cells.iter().map(|cell| Some(comparison.holds(&text, &cell?))).collect())
            }
            (Value::Literal { text: left, .. }, Value::Literal { text: right, .. }) => {
                Ok(BooleanArray::from(vec![comparison.holds(&left, &right); self.rows.len()]))
            }
            (left, right) => {
                let (left, right) = (self.to_number(left)?, self.to_number(right)?);
                let pairs = left.values().iter().zip(right.values());
                let truths: BooleanBuffer = pairs.map(|(left, right)| comparison.holds(left, right)).collect();
                Ok(BooleanArray::new(truths, NullBuffer::union(known(&left).as_ref(), known(&right).as_ref())))
            }
        }
    }

    fn inside(&self, term: &'a Term, list: &'a [Term]) -> Result<BooleanArray, DataError> {
        let mut found = BooleanArray::from(vec![false; self.rows.len()]);
        for item in list {
            let equal = self.compare(Comparison::Equal, self.value(term)?, self.value(item)?)?;
            found = or_kleene(&found, &equal).expect("equally long");
        }
        Ok(found)
    }

    fn missing(&self, term: &'a Term) -> Result<BooleanArray, DataError> {
        Ok(match self.value(term)? {
            Value::Text { cells, .. } => is_null(&cells).expect("of one column"),
            Value::Literal { .. } => BooleanArray::from(vec![false; self.rows.len()]),
            Value::Flag(flags) => is_null(&flags).expect("of one column"),
            Value::Number(numbers) => match known(&numbers) {
                Some(known) => BooleanArray::new(!known.inner(), None),
                None => BooleanArray::from(vec![false; self.rows.len()]),
            },
        })
    }

    fn first_known(&self, list: &'a [Term]) -> Result<Float64Array, DataError> {
        let mut result: Vec<Option<f64>> = vec![None; self.rows.len()];
        for item in list {
            let numbers = self.number(item)?;
            for (cell, number) in result.iter_mut().zip(&numbers) {
                *cell = cell.or(number.filter(|number| !number.is_nan()));
            }
        }
        Ok(Float64Array::from(result))
    }
}

impl Comparison {
    fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        }
    }
}

fn arithmetic(operator: Arithmetic, left: &Float64Array, right: &Float64Array) -> Float64Array {
    let computed = match operator {
        Arithmetic::Add => binary(left, right, |left, right| left + right),
        Arithmetic::Subtract => binary(left, right, |left, right| left - right),
        Arithmetic::Multiply => binary(left, right, |left, right| left * right),
        Arithmetic::Divide => binary(left, right, |left, right| left / right),
        Arithmetic::Power => binary(left, right, f64::powf),
    };
    computed.expect("both sides are as long as the batch")
}

/// Where numbers are neither null nor not-a-number; nothing where all are known.
fn known(numbers: &Float64Array) -> Option<NullBuffer> {
    if !numbers.values().iter().any(|number| number.is_nan()) {
        return numbers.nulls().cloned();
    }
    let numbered = NullBuffer::new(numbers.values().iter().map(|number| !number.is_nan()).collect());
    NullBuffer::union(numbers.nulls(), Some(&numbered))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "Arrow has some forty types")]
fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn parse_number(text: &str) -> Option<f64> {
    text.trim().parse().ok()
}
