//! Elementary functions without branches, so that loops over them vectorise.

use crate::graph::Activation;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts, the first exact in few bits.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// Adding and subtracting this rounds to the nearest integer.
const ROUND: f32 = 12_582_912.0;
const SMALLEST: f32 = -87.336_55;
const LARGEST: f32 = 88.722_84;

/// exp(x) to about 1e-7 relative; 0 below -87.3, infinity above 88.7.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let inside = if x < SMALLEST { SMALLEST } else { x };
    let inside = if inside > LARGEST { LARGEST } else { inside };
    let rounded = inside * LOG2_E + ROUND;
    let power = rounded - ROUND;
    let r = (inside - power * LN_2_HIGH) - power * LN_2_LOW;
    // Taylor-like polynomial of Cephes' expf on |r| <= ln(2) / 2.
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    let mantissa = p * r * r + r + 1.0;
    // The power can be 128, one more than an exponent holds: scale in two halves.
    let bits = rounded.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed();
    let half = bits >> 1;
    let low = f32::from_bits(((half + 127) << 23).cast_unsigned());
    let high = f32::from_bits(((bits - half + 127) << 23).cast_unsigned());
    let result = mantissa * low * high;
    let result = if x < SMALLEST { 0.0 } else { result };
    if x > LARGEST { f32::INFINITY } else { result }
}

/// 1 / (1 + exp(-x)), from the side that does not overflow.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let small = e / (1.0 + e);
    if x >= 0.0 { 1.0 / (1.0 + e) } else { small }
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let square = x * x;
    // Near 0 the difference below loses its digits.
    let small = x
        * (1.0
            + square * (-0.333_333_34 + square * (0.133_333_34 + square * (-0.053_968_254 + square * 0.021_869_49))));
    let e = exp(-2.0 * x.abs());
    let large = ((1.0 - e) / (1.0 + e)).copysign(x);
    if square < 0.0625 { small } else { large }
}

/// log(1 + exp(-|x|)), exact for large |x|.
pub(crate) fn log1p_exp_neg_abs(x: f32) -> f32 {
    (-x.abs()).exp().ln_1p()
}

/// log(1 - exp(x)) for x <= 0.
pub(crate) fn log1m_exp(x: f32) -> f32 {
    let x = x.min(0.0);
    if x > -std::f32::consts::LN_2 { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }
}

const GELU_ROOT: f32 = 0.797_884_6;
const GELU_CUBE: f32 = 0.044_715;

/// The function's value at x.
#[inline(always)]
pub(crate) fn apply(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(slope) => {
            if x > 0.0 {
                x
            } else {
                slope * x
            }
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => tanh(x),
        Activation::Gelu => 0.5 * x * (1.0 + tanh(GELU_ROOT * (x + GELU_CUBE * x * x * x))),
        Activation::Silu => x * sigmoid(x),
        Activation::LogSigmoid => x.min(0.0) - log1p_exp_neg_abs(x),
        Activation::Log1mExp => log1m_exp(x),
        Activation::Exp => exp(x),
        Activation::Log => x.ln(),
        Activation::Step => {
            if x > 0.0 {
                1.0
            } else {
                0.0
            }
        }
    }
}

/// Whether [`slope`] is right when given the result in place of x.
pub(crate) fn slope_from_result(activation: Activation) -> bool {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Sigmoid => true,
        Activation::Tanh | Activation::Exp | Activation::Step => true,
        Activation::LeakyRelu(slope) => slope > 0.0,
        Activation::Gelu | Activation::Silu | Activation::LogSigmoid | Activation::Log1mExp | Activation::Log => false,
    }
}

/// The function's derivative at x, where it gave y. Where [`slope_from_result`] holds, x may be y.
#[inline(always)]
pub(crate) fn slope(activation: Activation, x: f32, y: f32) -> f32 {
    match activation {
        Activation::Identity => 1.0,
        Activation::Relu => {
            if y > 0.0 {
                1.0
            } else {
                0.0
            }
        }
        Activation::LeakyRelu(slope) => {
            if x > 0.0 {
                1.0
            } else {
                slope
            }
        }
        Activation::Sigmoid => y * (1.0 - y),
        Activation::Tanh => 1.0 - y * y,
        Activation::Gelu => {
            let t = tanh(GELU_ROOT * (x + GELU_CUBE * x * x * x));
            0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * GELU_ROOT * (1.0 + 3.0 * GELU_CUBE * x * x)
        }
        Activation::Silu => {
            let s = sigmoid(x);
            s * (1.0 + x * (1.0 - s))
        }
        Activation::LogSigmoid => sigmoid(-x),
        // -exp(x) / (1 - exp(x)); x above 0 counts as 0 and so has no slope.
        Activation::Log1mExp => {
            if x > 0.0 {
                0.0
            } else {
                1.0 / -(-x).exp_m1()
            }
        }
        Activation::Exp => y,
        Activation::Log => 1.0 / x,
        Activation::Step => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst(f: fn(f32) -> f32, exact: fn(f64) -> f64, from: f32, to: f32) -> f64 {
        let steps = 200_000;
        (0..=steps)
            .map(|i| {
                let x = from + (to - from) * i as f32 / steps as f32;
                let y = exact(f64::from(x));
                if y == 0.0 { f64::from(f(x)).abs() } else { (f64::from(f(x)) / y - 1.0).abs() }
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn exp_sigmoid_and_tanh_are_accurate_to_a_few_units_in_the_last_place() {
        assert!(worst(exp, f64::exp, -87.0, 88.7) < 2e-7);
        assert!(worst(sigmoid, |x| 1.0 / (1.0 + (-x).exp()), -80.0, 80.0) < 4e-7);
        assert!(worst(tanh, f64::tanh, -12.0, 12.0) < 4e-7);
        assert!(worst(tanh, f64::tanh, -0.3, 0.3) < 4e-7);
    }

    #[test]
    fn the_ends_of_exp_are_zero_infinity_and_nan() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-100.0), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan() && tanh(f32::NAN).is_nan());
        assert_eq!([sigmoid(-1e30), sigmoid(1e30)], [0.0, 1.0]);
        assert_eq!([tanh(-1e30), tanh(1e30)], [-1.0, 1.0]);
    }

    #[test]
    fn logarithms_near_their_edges_keep_their_digits() {
        assert!((apply(Activation::LogSigmoid, -200.0) + 200.0).abs() < 1e-4);
        assert!((f64::from(log1m_exp(-1e-6)) - (1e-6_f64).ln()).abs() < 1e-4);
        assert!((f64::from(log1m_exp(-20.0)) + (-20.0_f64).exp()).abs() < 1e-15);
        assert_eq!(log1m_exp(0.0), f32::NEG_INFINITY);
    }
}
