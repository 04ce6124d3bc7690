//! Products, sums and maxima.

use super::Call;
use super::tensor::{Data, Fault, Tensor, axis, broadcast, places};

/// x times a matrix, plus a row.
pub(super) fn gemm(call: &Call<'_>) -> Result<Tensor, Fault> {
    let (x, matrix) = (call.input(0)?, call.input(1)?);
    let ([rows, inner], [height, width]) = (pair(x)?, pair(matrix)?);
    if inner != height {
        return Err(Fault::new(format!("multiplies {:?} with {:?}", x.dims, matrix.dims)));
    }
    let mut out = vec![0.0; rows * width];
    multiply((call.floats(0)?, call.floats(1)?), inner, width, &mut out);
    if call.inputs.len() > 2 {
        let bias = call.floats(2)?;
        if bias.len() != width {
            return Err(Fault::new(format!("adds {} numbers to rows of {width}", bias.len())));
        }
        out.chunks_exact_mut(width.max(1)).for_each(|row| row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias));
    }
    Ok(Tensor::float(vec![rows, width], out))
}

fn pair(tensor: &Tensor) -> Result<[usize; 2], Fault> {
    let dims = <[usize; 2]>::try_from(&tensor.dims[..]);
    dims.map_err(|_| Fault::new(format!("has {:?}, expected two dimensions", tensor.dims)))
}

/// Matrices in the last two dimensions; those before are matched as elements beside one another are.
pub(super) fn matmul(call: &Call<'_>) -> Result<Tensor, Fault> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let (Some((&[height, inner], a_before)), Some((&[depth, width], b_before))) = (split(&a.dims), split(&b.dims))
    else {
        return Err(Fault::new(format!("multiplies {:?} with {:?}", a.dims, b.dims)));
    };
    if inner != depth {
        return Err(Fault::new(format!("multiplies {:?} with {:?}", a.dims, b.dims)));
    }
    let (a_values, b_values) = (call.floats(0)?, call.floats(1)?);
    let mut dims = broadcast(&[a_before, b_before])?;
    let pairs = places(a_before, &dims).into_iter().zip(places(b_before, &dims));
    let mut out = vec![0.0; dims.iter().product::<usize>() * height * width];
    for ((a, b), out) in pairs.zip(out.chunks_exact_mut((height * width).max(1))) {
        let (a, b) =
            (&a_values[a * height * inner..][..height * inner], &b_values[b * inner * width..][..inner * width]);
        multiply((a, b), inner, width, out);
    }
    dims.extend([height, width]);
    Ok(Tensor::float(dims, out))
}

fn split(dims: &[usize]) -> Option<(&[usize; 2], &[usize])> {
    dims.split_last_chunk::<2>().map(|(before, last)| (last, before))
}

/// Rows of `inner` numbers times a matrix of `width` columns, added to `out`.
fn multiply((a, b): (&[f32], &[f32]), inner: usize, width: usize, out: &mut [f32]) {
    if inner == 0 || width == 0 {
        return;
    }
    for (row, out) in a.chunks_exact(inner).zip(out.chunks_exact_mut(width)) {
        for (x, weights) in row.iter().zip(b.chunks_exact(width)) {
            out.iter_mut().zip(weights).for_each(|(y, weight)| *y += x * weight);
        }
    }
}

/// Sums or maxima along one axis.
pub(super) fn reduce(call: &Call<'_>) -> Result<Tensor, Fault> {
    let x = call.input(0)?;
    let axes = match call.attribute("axes") {
        Some(attribute) => &attribute.ints[..],
        None => call.whole(1)?,
    };
    let &[along] = axes else { return Err(Fault::new(format!("has axes {axes:?}, expected one"))) };
    let along = axis(along, x.dims.len())?;
    let (count, inner) = (x.dims[along], x.dims[along + 1..].iter().product::<usize>());
    let outer: usize = x.dims[..along].iter().product();
    let mut dims = x.dims.clone();
    if call.int("keepdims", 1) == 0 {
        dims.remove(along);
    } else {
        dims[along] = 1;
    }
    let most = call.node.op_type() == "ReduceMax";
    let runs = |place: usize| {
        let start = place / inner.max(1) * count * inner + place % inner.max(1);
        (0..count).map(move |at| start + at * inner)
    };
    let data = match &x.data {
        Data::F32(values) if most => Data::F32(
            (0..outer * inner)
                .map(|place| runs(place).map(|at| values[at]).fold(f32::NEG_INFINITY, f32::max))
                .collect(),
        ),
        Data::F32(values) => {
            Data::F32((0..outer * inner).map(|place| runs(place).map(|at| values[at]).sum()).collect())
        }
        Data::I64(values) if !most => {
            Data::I64((0..outer * inner).map(|place| runs(place).map(|at| values[at]).sum()).collect())
        }
        Data::I64(_) | Data::Bool(_) => return Err(Fault::new("reduces what is not reduced in exports".to_owned())),
    };
    Ok(Tensor { dims, data })
}
