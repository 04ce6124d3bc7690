//! Operators that put elements elsewhere.

use super::Call;
use super::tensor::{Data, Fault, Tensor, axis, strided};

/// The same elements in another shape. A dimension of 0 is that of x in its place.
pub(super) fn reshape(call: &Call<'_>) -> Result<Tensor, Fault> {
    let (x, wanted) = (call.input(0)?, call.whole(1)?);
    let dim = |(place, &dim): (usize, &i64)| match dim {
        0 => x.dims.get(place).copied(),
        dim => usize::try_from(dim).ok(),
    };
    let dims: Option<Vec<usize>> = wanted.iter().enumerate().map(dim).collect();
    let dims = dims.filter(|dims| dims.iter().product::<usize>() == x.len());
    let dims = dims.ok_or_else(|| Fault::new(format!("makes {wanted:?} of {:?}", x.dims)))?;
    Ok(Tensor { dims, data: x.data.clone() })
}

/// A dimension of 1 more.
pub(super) fn unsqueeze(call: &Call<'_>) -> Result<Tensor, Fault> {
    let (x, axes) = (call.input(0)?, call.whole(1)?);
    let mut dims = x.dims.clone();
    for &place in axes {
        let place = axis(place, dims.len() + 1)?;
        dims.insert(place, 1);
    }
    Ok(Tensor { dims, data: x.data.clone() })
}

/// Dimensions in another order.
pub(super) fn transpose(call: &Call<'_>) -> Result<Tensor, Fault> {
    let x = call.input(0)?;
    let perm = call.attribute("perm").map_or(&[][..], |attribute| &attribute.ints);
    let perm = perm.iter().map(|&place| axis(place, x.dims.len())).collect::<Result<Vec<usize>, Fault>>()?;
    if perm.len() != x.dims.len() {
        return Err(Fault::new(format!("puts {:?} in the order {perm:?}", x.dims)));
    }
    let stride = |place: usize| x.dims[place + 1..].iter().product::<usize>();
    let dims: Vec<usize> = perm.iter().map(|&place| x.dims[place]).collect();
    let strides: Vec<usize> = perm.iter().map(|&place| stride(place)).collect();
    let places = strided(&dims, &strides);
    Ok(x.pick(dims, &places))
}

/// Sizes before, along and behind an axis.
fn around(dims: &[usize], axis: usize) -> (usize, usize, usize) {
    (dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product())
}

/// Tensors one behind the other.
pub(super) fn concat(call: &Call<'_>) -> Result<Tensor, Fault> {
    let first = call.input(0)?;
    let along = call.axis("axis", 0, first.dims.len())?;
    let mut dims = first.dims.clone();
    dims[along] = call.inputs.iter().map(|tensor| tensor.dims.get(along).copied().unwrap_or(0)).sum();
    let fits = |tensor: &&Tensor| {
        let mut with = tensor.dims.clone();
        with.len() == dims.len() && {
            with[along] = dims[along];
            with == dims
        }
    };
    if !call.inputs.iter().all(fits) {
        return Err(Fault::new("joins tensors of other shapes".to_owned()));
    }
    let outer = around(&dims, along).0;
    let data = match &first.data {
        Data::F32(_) => Data::F32(joined(call, outer, along, Tensor::floats)?),
        Data::I64(_) => Data::I64(joined(call, outer, along, Tensor::whole_numbers)?),
        Data::Bool(_) => return Err(Fault::new("joins truths".to_owned())),
    };
    Ok(Tensor { dims, data })
}

fn joined<T: Copy>(
    call: &Call<'_>,
    outer: usize,
    along: usize,
    values: impl Fn(&Tensor) -> Option<&[T]>,
) -> Result<Vec<T>, Fault> {
    let mut all = Vec::new();
    for at in 0..outer {
        for tensor in &call.inputs {
            let run: usize = tensor.dims[along..].iter().product();
            let values = values(tensor).ok_or_else(|| Fault::new("joins tensors of two kinds".to_owned()))?;
            all.extend_from_slice(&values[at * run..(at + 1) * run]);
        }
    }
    Ok(all)
}

/// More elements of one value behind those of the last axis.
pub(super) fn pad(call: &Call<'_>) -> Result<Tensor, Fault> {
    let (x, pads) = (call.input(0)?, call.whole(1)?);
    let (Some((&added, others)), Some(&count)) = (pads.split_last(), x.dims.last()) else {
        return Err(Fault::new("pads a tensor without dimensions".to_owned()));
    };
    let added = usize::try_from(added).ok().filter(|_| others.iter().all(|&other| other == 0));
    let (Some(added), true) = (added, pads.len() == 2 * x.dims.len()) else {
        return Err(Fault::new(format!("pads {:?} by {pads:?}", x.dims)));
    };
    let mut dims = x.dims.clone();
    dims.iter_mut().last().into_iter().for_each(|last| *last += added);
    let data = match &x.data {
        Data::F32(values) => Data::F32(padded(values, (count, added), call.floats(2)?)?),
        Data::I64(values) => Data::I64(padded(values, (count, added), call.whole(2)?)?),
        Data::Bool(_) => return Err(Fault::new("pads truths".to_owned())),
    };
    Ok(Tensor { dims, data })
}

fn padded<T: Copy>(values: &[T], (count, added): (usize, usize), with: &[T]) -> Result<Vec<T>, Fault> {
    let &[with] = with else { return Err(Fault::new("pads with several values".to_owned())) };
    let rows = values.chunks(count.max(1)).flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(with, added)));
    Ok(rows.collect())
}

/// Elements `start..end` along one axis.
pub(super) fn slice(call: &Call<'_>) -> Result<Tensor, Fault> {
    let x = call.input(0)?;
    // Without axes, the first.
    let axes = if call.inputs.len() > 3 { call.whole(3)? } else { &[0] };
    let (&[start], &[end], &[along]) = (call.whole(1)?, call.whole(2)?, axes) else {
        return Err(Fault::new("cuts along several axes".to_owned()));
    };
    let along = axis(along, x.dims.len())?;
    let bound = |bound: i64| usize::try_from(bound).ok().filter(|&bound| bound <= x.dims[along]);
    match (bound(start), bound(end)) {
        (Some(start), Some(end)) if start <= end => Ok(cut(x, along, start, end)),
        _ => Err(Fault::new(format!("cuts {start}..{end} out of {:?}", x.dims))),
    }
}

fn cut(x: &Tensor, along: usize, start: usize, end: usize) -> Tensor {
    let (outer, count, inner) = around(&x.dims, along);
    let mut dims = x.dims.clone();
    dims[along] = end - start;
    let run = |at: usize| (at * count + start) * inner..(at * count + end) * inner;
    let places: Vec<usize> = (0..outer).flat_map(run).collect();
    x.pick(dims, &places)
}

/// Parts of given sizes along an axis.
pub(super) fn split(call: &Call<'_>) -> Result<Vec<Tensor>, Fault> {
    let (x, sizes) = (call.input(0)?, call.whole(1)?);
    let along = call.axis("axis", 0, x.dims.len())?;
    let sizes: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
    let sizes = sizes.filter(|sizes| sizes.iter().sum::<usize>() == x.dims[along]);
    let sizes = sizes.filter(|sizes| sizes.len() == call.node.output.len());
    let sizes = sizes.ok_or_else(|| Fault::new(format!("parts {:?} into other sizes", x.dims)))?;
    let mut start = 0;
    let part = |size: usize| {
        start += size;
        cut(x, along, start - size, start)
    };
    Ok(sizes.into_iter().map(part).collect())
}

/// Slices of x by their numbers. Numbers below 0 count from the end, as ONNX says.
pub(super) fn gather(call: &Call<'_>) -> Result<Tensor, Fault> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let along = call.axis("axis", 0, x.dims.len())?;
    let (outer, count, inner) = around(&x.dims, along);
    let numbers = call.whole(1)?.iter().map(|&number| within(number, count)).collect::<Result<Vec<usize>, Fault>>()?;
    let slices = |at: usize| numbers.iter().map(move |number| (at * count + number) * inner);
    let places: Vec<usize> = (0..outer).flat_map(slices).flat_map(|start| start..start + inner).collect();
    let dims = [&x.dims[..along], &indices.dims, &x.dims[along + 1..]].concat();
    Ok(x.pick(dims, &places))
}

fn within(number: i64, count: usize) -> Result<usize, Fault> {
    let place = if number < 0 { number + count as i64 } else { number };
    let place = usize::try_from(place).ok().filter(|&place| place < count);
    place.ok_or_else(|| Fault::new(format!("takes number {number} of {count}")))
}

/// For each row one of its slices: `batch_dims` 1, one number per row.
pub(super) fn gather_nd(call: &Call<'_>) -> Result<Tensor, Fault> {
    let (x, indices) = (call.input(0)?, call.input(1)?);
    let fits = call.int("batch_dims", 0) == 1
        && x.dims.len() >= 2
        && indices.dims.len() == 2
        && indices.dims[1] == 1
        && indices.dims[0] == x.dims[0];
    if !fits {
        return Err(Fault::new(format!("takes {:?} out of {:?}", indices.dims, x.dims)));
    }
    let (_, count, inner) = around(&x.dims, 1);
    let mut places = Vec::with_capacity(x.dims[0] * inner);
    for (row, &number) in call.whole(1)?.iter().enumerate() {
        let start = (row * count + within(number, count)?) * inner;
        places.extend(start..start + inner);
    }
    let dims = [&x.dims[..1], &x.dims[2..]].concat();
    Ok(x.pick(dims, &places))
}

/// The smallest first, equal ones in their order, and where they stood.
pub(super) fn top_k(call: &Call<'_>) -> Result<Vec<Tensor>, Fault> {
    let values = call.whole(0)?;
    if call.int("largest", 1) != 0 || call.whole(1)? != [values.len() as i64] {
        return Err(Fault::new("sorts other than exports do".to_owned()));
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|&place| values[place]);
    let sorted = order.iter().map(|&place| values[place]).collect();
    let order = order.iter().map(|&place| place as i64).collect();
    let dims = vec![values.len()];
    Ok(vec![Tensor::whole(dims.clone(), sorted), Tensor::whole(dims, order)])
}
