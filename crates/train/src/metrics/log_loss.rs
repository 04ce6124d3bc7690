//! Log loss: the binary cross-entropy of the predictions.

use super::scored::{is_positive, score};

/// Predictions are taken to be at least this far from 0 and from 1. Single precision cannot hold a probability that is
/// nearer to 1 (but not 1), so a smaller number would only make one saturated row outweigh all others.
pub(super) const CLIP: f64 = 1e-7;

/// `-ln p` of a positive row, `-ln(1 - p)` of a negative one.
pub(crate) fn loss_of(score: f32, positive: bool) -> f64 {
    let p = f64::from(score).clamp(CLIP, 1.0 - CLIP);
    if positive { -p.ln() } else { -(-p).ln_1p() }
}

/// Mean of `-ln p` over positive rows and `-ln(1 - p)` over negative ones. `None` without rows.
pub(super) fn log_loss(rows: &[u64]) -> Option<f64> {
    let loss = |&row: &u64| loss_of(score(row), is_positive(row));
    (!rows.is_empty()).then(|| rows.iter().map(loss).sum::<f64>() / rows.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::super::scored::pack;
    use super::*;

    #[test]
    fn the_loss_of_a_coin_is_the_logarithm_of_two() {
        let loss = log_loss(&[pack(0.5, false), pack(0.5, true)]).unwrap();
        assert!((loss - std::f64::consts::LN_2).abs() < 1e-15);
        assert_eq!(log_loss(&[]), None);
    }

    #[test]
    fn a_plain_loop_gives_the_same() {
        let rows = [(0.125_f32, false), (0.5, true), (0.75, true), (0.25, false), (0.75, false)];
        let expected: f64 =
            rows.iter().map(|&(p, label)| -(if label { f64::from(p) } else { 1.0 - f64::from(p) }).ln()).sum::<f64>()
                / rows.len() as f64;
        let packed: Vec<u64> = rows.iter().map(|&(p, label)| pack(p, label)).collect();
        assert!((log_loss(&packed).unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn a_certain_and_wrong_prediction_costs_much_but_not_everything() {
        let expected = -CLIP.ln();
        assert!((log_loss(&[pack(0.0, true)]).unwrap() - expected).abs() < 1e-6);
        assert!((log_loss(&[pack(1.0, false)]).unwrap() - expected).abs() < 1e-6);
    }
}
