//! The first rows of each scenario of a source, in memory.

use std::sync::Arc;

use hinet_data::{Batch, Encoder, Need, Source, in_order};

use crate::TrainError;
use crate::evaluate::SCORED_ROWS;

/// Encoded rows of known scenarios.
pub(super) struct Sample {
    /// All of them, grouped by scenario.
    pub(super) batch: Batch,
    /// Rows of each scenario.
    pub(super) rows: Vec<u64>,
}

impl Sample {
    /// The first `most` rows of each scenario. Rows of unknown scenarios are left out: they go through no gate of their
    /// own.
    pub(super) fn read(source: &Source, encoder: &Arc<Encoder>, need: Need, most: usize) -> Result<Sample, TrainError> {
        let layout = encoder.layout();
        let scenarios = layout.scenarios.len();
        let mut rows = vec![0_u64; scenarios];
        let mut gathered = Batch::default();
        for batch in in_order(source, Arc::clone(encoder), need, SCORED_ROWS) {
            let batch = batch?;
            let wanted = |&row: &u32| {
                let scenario = usize::from(batch.scenario[row as usize]);
                let take = scenario < scenarios && rows[scenario] < most as u64;
                if take {
                    rows[scenario] += 1;
                }
                take
            };
            let wanted: Vec<u32> = (0..batch.rows as u32).filter(wanted).collect();
            if !wanted.is_empty() {
                gathered.append(&batch.take(&wanted));
            }
            if rows.iter().all(|&rows| rows >= most as u64) {
                break;
            }
        }
        let batch = if gathered.rows == 0 { gathered } else { gathered.grouped(layout.groups()) };
        Ok(Sample { batch, rows })
    }

    /// Rows `from..to` of the sample as a batch of their own, and where each scenario begins in it, `[scenarios + 1]`.
    pub(super) fn part(&self, from: usize, to: usize) -> (Batch, Vec<usize>) {
        let rows: Vec<u32> = (from as u32..to as u32).collect();
        let within = |&offset: &usize| offset.clamp(from, to) - from;
        (self.batch.take(&rows), self.batch.offsets[..=self.rows.len()].iter().map(within).collect())
    }
}
