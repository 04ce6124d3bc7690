//! The Open Inference Protocol, version 2: what both of its forms, REST and gRPC, share.

pub(crate) mod metadata;
pub(crate) mod rest;

use arrow::array::ArrayRef;
use hinet_data::{DataError, Rows};

use crate::refusal::{NAME, Refusal, shortened};
use crate::tensor::{Datatype, Elements, Shape};
use crate::version::Version;

/// The part of the request that refusals name.
const INPUTS: &str = "inputs";

/// A tensor as it came, with its elements still to be read.
pub(crate) struct Input<'a> {
    pub(crate) name: &'a str,
    pub(crate) datatype: &'a str,
    pub(crate) shape: &'a [i64],
    pub(crate) pad: Option<f64>,
}

impl Version {
    /// The rows of tensors, whose elements `read` gives one after the other.
    pub(crate) fn rows_of_tensors<'a>(
        &self,
        inputs: impl ExactSizeIterator<Item = Input<'a>>,
        mut read: impl FnMut(usize, Datatype) -> Result<Elements, String>,
    ) -> Result<Rows, Refusal> {
        let mut rows = None;
        let mut columns: Vec<(String, ArrayRef)> = Vec::with_capacity(inputs.len());
        for (index, input) in inputs.enumerate() {
            let name = shortened(input.name, NAME);
            let refused = |problem: String| Refusal::bad(format!("input `{name}`: {problem}"));
            let column = self.columns.input(input.name).ok_or_else(|| refused(self.columns.unknown(input.name)))?;
            let datatype = Datatype::parse(input.datatype).map_err(refused)?;
            let shape = Shape::parse(input.shape).map_err(refused)?;
            let elements = read(index, datatype).map_err(refused)?;
            let array = elements.into_column(shape, Some(column), input.pad).map_err(refused)?;
            match rows {
                Some(rows) if rows != shape.rows => {
                    return Err(refused(format!("it has {} rows, while the inputs before have {rows}", shape.rows)));
                }
                _ => rows = Some(shape.rows),
            }
            columns.push((input.name.to_owned(), array));
        }
        let rows = rows.ok_or_else(|| Refusal::bad("there are no inputs"))?;
        self.columns.of_arrays(INPUTS, rows, columns).map_err(|error: DataError| error.into())
    }
}

/// Which tasks are asked for, in that order: all where none is named.
pub(crate) fn outputs<'a>(
    tasks: &[String],
    named: impl ExactSizeIterator<Item = &'a str>,
) -> Result<Vec<usize>, Refusal> {
    if named.len() == 0 {
        return Ok((0..tasks.len()).collect());
    }
    let place = |name: &str| {
        tasks.iter().position(|task| task == name).ok_or_else(|| {
            let name = shortened(name, NAME);
            Refusal::bad(format!("`{name}` is no output of the model; it has {}", tasks.join(", ")))
        })
    };
    let mut places = Vec::with_capacity(named.len());
    for name in named {
        let place = place(name)?;
        if places.contains(&place) {
            return Err(Refusal::bad(format!("output `{name}` is asked for twice")));
        }
        places.push(place);
    }
    Ok(places)
}

/// The scores of one task, `[rows]`, out of those of all, `[rows, tasks]`.
pub(crate) fn scores_of(task: usize, tasks: usize, scores: &[f32]) -> Vec<f32> {
    scores.chunks_exact(tasks).map(|row| row[task]).collect()
}
