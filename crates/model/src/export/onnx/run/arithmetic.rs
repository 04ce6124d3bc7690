//! Elementwise operators, softmax and layer norm.

use super::super::proto::INT64;
use super::Call;
use super::tensor::{Data, Fault, Tensor, broadcast, places};

/// Two tensors beside one another.
pub(super) fn binary(call: &Call<'_>) -> Result<Tensor, Fault> {
    let kind = call.node.op_type();
    let float = |a: f32, b: f32| match kind {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        _ => a.min(b),
    };
    let whole = |a: i64, b: i64| match kind {
        "Add" => a.wrapping_add(b),
        "Sub" => a.wrapping_sub(b),
        "Mul" => a.wrapping_mul(b),
        "Div" => a.checked_div(b).unwrap_or(0),
        _ => a.min(b),
    };
    beside(call, |a, b| match (a, b) {
        (Data::F32(a), Data::F32(b)) => Some(Data::F32(zip(a, b, float))),
        (Data::I64(a), Data::I64(b)) => Some(Data::I64(zip(a, b, whole))),
        _ => None,
    })
}

/// `Less` and `Equal`.
pub(super) fn compare(call: &Call<'_>) -> Result<Tensor, Fault> {
    let equal = call.node.op_type() == "Equal";
    beside(call, |a, b| match (a, b) {
        (Data::F32(a), Data::F32(b)) => Some(Data::Bool(zip(a, b, |a, b| if equal { a == b } else { a < b }))),
        (Data::I64(a), Data::I64(b)) => Some(Data::Bool(zip(a, b, |a, b| if equal { a == b } else { a < b }))),
        _ => None,
    })
}

fn zip<T: Copy, U>(a: &[T], b: &[T], combine: impl Fn(T, T) -> U) -> Vec<U> {
    a.iter().zip(b).map(|(&a, &b)| combine(a, b)).collect()
}

fn beside(call: &Call<'_>, combine: impl Fn(&Data, &Data) -> Option<Data>) -> Result<Tensor, Fault> {
    let (a, b) = (call.input(0)?, call.input(1)?);
    let dims = broadcast(&[&a.dims, &b.dims])?;
    let [a, b] = [a, b].map(|tensor| tensor.pick(dims.clone(), &places(&tensor.dims, &dims)));
    let data = combine(&a.data, &b.data).ok_or_else(|| Fault::new("has inputs of two kinds".to_owned()))?;
    Ok(Tensor { dims, data })
}

/// The second where the first holds, else the third.
pub(super) fn choose(call: &Call<'_>) -> Result<Tensor, Fault> {
    let tensors = [call.input(0)?, call.input(1)?, call.input(2)?];
    let dims = broadcast(&tensors.map(|tensor| &tensor.dims[..]))?;
    let [condition, yes, no] = tensors.map(|tensor| tensor.pick(dims.clone(), &places(&tensor.dims, &dims)));
    let data = match (condition.data, yes.data, no.data) {
        (Data::Bool(condition), Data::F32(yes), Data::F32(no)) => Data::F32(chosen(&condition, &yes, &no)),
        (Data::Bool(condition), Data::I64(yes), Data::I64(no)) => Data::I64(chosen(&condition, &yes, &no)),
        _ => return Err(Fault::new("has inputs of the wrong kinds".to_owned())),
    };
    Ok(Tensor { dims, data })
}

fn chosen<T: Copy>(condition: &[bool], yes: &[T], no: &[T]) -> Vec<T> {
    condition.iter().zip(yes.iter().zip(no)).map(|(&holds, (&yes, &no))| if holds { yes } else { no }).collect()
}

/// A function of each element.
pub(super) fn unary(call: &Call<'_>) -> Result<Tensor, Fault> {
    let alpha = call.float("alpha", 0.01);
    let function: Box<dyn Fn(f32) -> f32> = match call.node.op_type() {
        "Relu" => Box::new(|x| x.max(0.0)),
        "LeakyRelu" => Box::new(move |x| if x < 0.0 { alpha * x } else { x }),
        "Sigmoid" => Box::new(|x| 1.0 / (1.0 + (-x).exp())),
        "Tanh" => Box::new(f32::tanh),
        "Softplus" => Box::new(|x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        "Exp" => Box::new(f32::exp),
        "Log" => Box::new(f32::ln),
        "Sign" => Box::new(|x| if x == 0.0 { 0.0 } else { x.signum() }),
        _ => Box::new(|x| -x),
    };
    let values = call.floats(0)?.iter().map(|&x| function(x)).collect();
    Ok(Tensor::float(call.input(0)?.dims.clone(), values))
}

/// Truth to whole numbers: the only cast there is.
pub(super) fn cast(call: &Call<'_>) -> Result<Tensor, Fault> {
    let x = call.input(0)?;
    match &x.data {
        Data::Bool(flags) if call.int("to", 0) == i64::from(INT64) => {
            Ok(Tensor::whole(x.dims.clone(), flags.iter().map(|&flag| i64::from(flag)).collect()))
        }
        Data::Bool(_) | Data::F32(_) | Data::I64(_) => Err(Fault::new("casts what is not cast in exports".to_owned())),
    }
}

/// Along the last axis.
pub(super) fn softmax(call: &Call<'_>) -> Result<Tensor, Fault> {
    rows(call, |row| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        row.iter_mut().for_each(|x| *x = (*x - most).exp());
        let total: f32 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= total);
    })
}

/// Along the last axis, with a gain and without bias.
pub(super) fn layer_norm(call: &Call<'_>) -> Result<Tensor, Fault> {
    let (gain, epsilon) = (call.floats(1)?, call.float("epsilon", 1e-5));
    rows(call, |row| {
        let count = row.len() as f32;
        let mean = row.iter().sum::<f32>() / count;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count;
        let inverse = 1.0 / (variance + epsilon).sqrt();
        row.iter_mut().zip(gain).for_each(|(x, gain)| *x = (*x - mean) * inverse * gain);
    })
}

/// Something done to each run along the last axis.
fn rows(call: &Call<'_>, each: impl Fn(&mut [f32])) -> Result<Tensor, Fault> {
    let x = call.input(0)?;
    if call.axis("axis", -1, x.dims.len())? + 1 != x.dims.len() {
        return Err(Fault::new("has another axis than the last".to_owned()));
    }
    let mut values = call.floats(0)?.to_vec();
    values.chunks_exact_mut(x.dims[x.dims.len() - 1].max(1)).for_each(each);
    Ok(Tensor::float(x.dims.clone(), values))
}
