//! Numbers with their dimensions.

use std::fmt;

/// The elements of a tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Data {
    F32(Vec<f32>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
}

/// Numbers with their dimensions.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Tensor {
    pub(super) dims: Vec<usize>,
    pub(super) data: Data,
}

/// Why an operator cannot be computed; it follows the operator's name.
#[derive(Debug)]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn new(what: String) -> Fault {
        Fault(what)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Tensor {
    pub(in super::super) fn float(dims: Vec<usize>, values: Vec<f32>) -> Tensor {
        Tensor { dims, data: Data::F32(values) }
    }

    pub(in super::super) fn whole(dims: Vec<usize>, values: Vec<i64>) -> Tensor {
        Tensor { dims, data: Data::I64(values) }
    }

    /// The numbers, where they are such.
    pub(in super::super) fn floats(&self) -> Option<&[f32]> {
        if let Data::F32(values) = &self.data { Some(values) } else { None }
    }

    /// The whole numbers, where they are such.
    pub(super) fn whole_numbers(&self) -> Option<&[i64]> {
        if let Data::I64(values) = &self.data { Some(values) } else { None }
    }

    pub(super) fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Elements in these places, in a new shape.
    pub(super) fn pick(&self, dims: Vec<usize>, places: &[usize]) -> Tensor {
        let data = match &self.data {
            Data::F32(values) => Data::F32(places.iter().map(|&place| values[place]).collect()),
            Data::I64(values) => Data::I64(places.iter().map(|&place| values[place]).collect()),
            Data::Bool(values) => Data::Bool(places.iter().map(|&place| values[place]).collect()),
        };
        Tensor { dims, data }
    }
}

/// An axis, counted from the end where below 0.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, Fault> {
    let found = if axis < 0 { axis + rank as i64 } else { axis };
    let found = usize::try_from(found).ok().filter(|&axis| axis < rank);
    found.ok_or_else(|| Fault::new(format!("has axis {axis} of {rank} dimensions")))
}

/// The dimensions of tensors beside one another: equal from the last on, or 1, or not there.
pub(super) fn broadcast(all: &[&[usize]]) -> Result<Vec<usize>, Fault> {
    let rank = all.iter().map(|dims| dims.len()).max().unwrap_or(0);
    let mut result = vec![1; rank];
    for dims in all {
        let behind = rank - dims.len();
        for (to, &dim) in result[behind..].iter_mut().zip(*dims) {
            if *to == 1 {
                *to = dim;
            } else if dim != 1 && dim != *to {
                return Err(Fault::new(format!("has {all:?} side by side")));
            }
        }
    }
    Ok(result)
}

/// For each element of a tensor of dimensions `to`, the place of the element of `from` beside it.
pub(super) fn places(from: &[usize], to: &[usize]) -> Vec<usize> {
    let behind = to.len() - from.len();
    let mut strides = vec![0; to.len()];
    let mut stride = 1;
    for (axis, &dim) in from.iter().enumerate().rev() {
        strides[behind + axis] = if dim == 1 { 0 } else { stride };
        stride *= dim;
    }
    strided(to, &strides)
}

/// The places that an index over `dims` visits with these strides, row-major.
pub(super) fn strided(dims: &[usize], strides: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for (&dim, &stride) in dims.iter().zip(strides) {
        places = places.iter().flat_map(|&place| (0..dim).map(move |at| place + at * stride)).collect();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_repeated_beside_rows_and_a_column_beside_columns() {
        assert_eq!(broadcast(&[&[2, 3], &[3], &[2, 1]]).unwrap(), [2, 3]);
        assert_eq!(places(&[3], &[2, 3]), [0, 1, 2, 0, 1, 2]);
        assert_eq!(places(&[2, 1], &[2, 3]), [0, 0, 0, 1, 1, 1]);
        assert_eq!(places(&[], &[2]), [0, 0]);
        assert!(broadcast(&[&[2, 3], &[2]]).is_err());
        assert!(places(&[1, 3], &[0, 3]).is_empty());
    }
}
