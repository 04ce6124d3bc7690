//! What encoding met that train had not: counted, so that it can be shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Missing and unseen values met while encoding, by feature. Counts of parts add up with [`EncodeCounts::merge`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeCounts {
    /// Rows encoded.
    pub rows: u64,
    /// Rows whose scenario was not seen in train or was missing, and not refused.
    pub unknown_scenarios: u64,
    /// One entry per slot of the layout, in its order; empty before the first row.
    pub features: Vec<FeatureCounts>,
}

/// Counts of one feature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureCounts {
    /// The feature's column.
    pub feature: String,
    /// Rows where it was missing.
    pub missing: u64,
    /// Values that were not seen in train, or too rarely, each item of a list counted; 0 for numbers and hashes, which know no unseen value.
    pub unseen: u64,
}

impl EncodeCounts {
    /// Adds the counts of other rows of the same encoder.
    pub fn merge(&mut self, other: &EncodeCounts) {
        self.rows += other.rows;
        self.unknown_scenarios += other.unknown_scenarios;
        if self.features.is_empty() {
            self.features.clone_from(&other.features);
            return;
        }
        for (mine, theirs) in self.features.iter_mut().zip(&other.features) {
            mine.missing += theirs.missing;
            mine.unseen += theirs.unseen;
        }
    }
}

/// A line for each thing that occurred; nothing when nothing did.
impl fmt::Display for EncodeCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |what: &str, count: u64| {
            if count == 0 {
                return Ok(());
            }
            let share = 100.0 * count as f64 / self.rows.max(1) as f64;
            writeln!(f, "{what}: {count} ({share:.2} per 100 rows)")
        };
        line("unknown scenario", self.unknown_scenarios)?;
        for feature in &self.features {
            line(&format!("{} missing", feature.feature), feature.missing)?;
            line(&format!("{} unseen in train", feature.feature), feature.unseen)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: u64, missing: u64, unseen: u64) -> EncodeCounts {
        let features = vec![FeatureCounts { feature: "tag".to_owned(), missing, unseen }];
        EncodeCounts { rows, unknown_scenarios: 0, features }
    }

    #[test]
    fn counts_of_parts_add_up() {
        let mut all = EncodeCounts::default();
        all.merge(&counts(3, 1, 0));
        all.merge(&counts(5, 0, 2));
        assert_eq!(all, counts(8, 1, 2));
        assert_eq!(
            all.to_string(),
            "tag missing: 1 (12.50 per 100 rows)\ntag unseen in train: 2 (25.00 per 100 rows)\n"
        );
        assert_eq!(counts(3, 0, 0).to_string(), "");
    }
}
