//! Scored rows, packed and sorted: what every metric reads.

/// A score and its label in one number. Such numbers sort by score, and by label where scores are equal.
///
/// Scores are probabilities, at least 0, so the bits of the float sort as the float does.
pub(crate) fn pack(score: f32, positive: bool) -> u64 {
    // Adding 0 turns minus zero into zero.
    u64::from((score + 0.0).to_bits()) << 1 | u64::from(positive)
}

pub(crate) fn score(packed: u64) -> f32 {
    f32::from_bits((packed >> 1) as u32)
}

pub(crate) fn is_positive(packed: u64) -> bool {
    packed & 1 == 1
}

/// A scored row with the user or request it belongs to; sorts by that first.
pub(super) fn pack_group(group: u64, packed: u64) -> u128 {
    u128::from(group) << 64 | u128::from(packed)
}

/// The rows of each user or request in sorted rows of [`pack_group`].
pub(super) fn groups(rows: &[u128]) -> impl Iterator<Item = &[u128]> {
    rows.chunk_by(|a, b| a >> 64 == b >> 64)
}

/// The scored row without its group.
pub(super) fn ungroup(row: u128) -> u64 {
    row as u64
}
