//! Clipping of all gradients together.

use crate::parameter::Gradients;

/// Scales all gradients so that their common norm is at most `limit`, and returns the norm before. A limit of 0 does
/// not clip. A norm that is not finite is returned and nothing is scaled: the caller decides.
pub fn clip_global_norm(gradients: &mut Gradients, limit: f32) -> f64 {
    let norm = gradients.norm();
    if limit > 0.0 && norm.is_finite() && norm > f64::from(limit) {
        gradients.scale((f64::from(limit) / norm) as f32);
    }
    norm
}
