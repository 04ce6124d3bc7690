//! Elementwise functions.

use hinet_tape::Activation;

use super::super::builder::{Builder, Name, float};

/// sqrt(2 / pi), of the usual form of GELU.
const GELU_ROOT: f32 = 0.797_884_6;
/// The cube's factor in it.
const GELU_CUBE: f32 = 0.044_715;

/// Applies a function to each element of x.
pub(super) fn activate(out: &mut Builder<'_>, x: &str, activation: Activation) -> Name {
    match activation {
        Activation::Identity => x.to_owned(),
        Activation::Relu => out.op("Relu", &[x], Vec::new()),
        Activation::LeakyRelu(slope) => out.op("LeakyRelu", &[x], vec![float("alpha", slope)]),
        Activation::Sigmoid => out.op("Sigmoid", &[x], Vec::new()),
        Activation::Tanh => out.op("Tanh", &[x], Vec::new()),
        Activation::Gelu => gelu(out, x),
        Activation::Silu => {
            let gate = out.op("Sigmoid", &[x], Vec::new());
            out.op("Mul", &[x, &gate], Vec::new())
        }
        Activation::LogSigmoid => {
            // -softplus(-x), which readers compute without overflow.
            let opposite = out.op("Neg", &[x], Vec::new());
            let softplus = out.op("Softplus", &[&opposite], Vec::new());
            out.op("Neg", &[&softplus], Vec::new())
        }
        Activation::Log1mExp => log1m_exp(out, x),
        Activation::Exp => out.op("Exp", &[x], Vec::new()),
        Activation::Log => out.op("Log", &[x], Vec::new()),
        Activation::Step => {
            // -1, 0 or 1, of which what is below 0 counts as 0.
            let sign = out.op("Sign", &[x], Vec::new());
            out.op("Relu", &[&sign], Vec::new())
        }
    }
}

/// `x / 2 * (1 + tanh(root * (x + cube * x^3)))`: the operator `Gelu` came with opset 20.
fn gelu(out: &mut Builder<'_>, x: &str) -> Name {
    let square = out.op("Mul", &[x, x], Vec::new());
    let cube = out.number(GELU_ROOT * GELU_CUBE);
    let inner = out.op("Mul", &[&square, &cube], Vec::new());
    let root = out.number(GELU_ROOT);
    let inner = out.op("Add", &[&inner, &root], Vec::new());
    let inner = out.op("Mul", &[&inner, x], Vec::new());
    let tanh = out.op("Tanh", &[&inner], Vec::new());
    let one = out.number(1.0);
    let gate = out.op("Add", &[&tanh, &one], Vec::new());
    let half = out.number(0.5);
    let half = out.op("Mul", &[x, &half], Vec::new());
    out.op("Mul", &[&half, &gate], Vec::new())
}

/// log(1 - exp(x)) for x <= 0. ONNX has no `expm1`, but `1 - exp(x) = -2 t / (1 - t)` with `t = tanh(x / 2)`, which keeps
/// its digits where exp(x) is near 1.
fn log1m_exp(out: &mut Builder<'_>, x: &str) -> Name {
    let zero = out.number(0.0);
    let x = out.op("Min", &[x, &zero], Vec::new());
    let half = out.number(0.5);
    let x = out.op("Mul", &[&x, &half], Vec::new());
    let tanh = out.op("Tanh", &[&x], Vec::new());
    let (minus_two, one) = (out.number(-2.0), out.number(1.0));
    let above = out.op("Mul", &[&tanh, &minus_two], Vec::new());
    let below = out.op("Sub", &[&one, &tanh], Vec::new());
    let ratio = out.op("Div", &[&above, &below], Vec::new());
    out.op("Log", &[&ratio], Vec::new())
}
