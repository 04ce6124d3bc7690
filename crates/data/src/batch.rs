//! Encoded rows as plain vectors: what the model reads. No Arrow beyond this point.


/// Encoded rows, in input order or grouped by scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Number of rows.
    pub rows: usize,
    /// One column per slot of the [`Layout`](crate::Layout), in its order.
    pub features: Vec<Column>,
    /// Scenario id of each row, `[rows]`; `scenarios.len()` for an unknown one under the policy `mean`.
    pub scenario: Vec<u16>,
    /// When grouped: where each scenario's rows begin, `[scenarios + 2]`; the last group holds unknown scenarios. Empty when not grouped.
    pub offsets: Vec<usize>,
    /// Labels, `[rows * tasks]`, the tasks of a row side by side; 0 where not observed.
    pub labels: Vec<f32>,
    /// Whether the label was observed, `[rows * tasks]`; false masks it.
    pub observed: Vec<bool>,
    /// Weight of each row, `[rows]`.
    pub weight: Vec<f32>,
    /// Hash of the user, `[rows]`; empty when no user column is configured.
    pub user: Vec<u64>,
    /// Hash of the request, `[rows]`; empty when no request column is configured.
    pub request: Vec<u64>,
    /// Row r of this batch was row `position[r]` before grouping, `[rows]`.
    pub position: Vec<u32>,
    /// Rows its stream gave before this batch.
    pub first_row: u64,
}

/// The values of one slot for all rows of a batch.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// One table row each, `[rows]`.
    Ids(Vec<u32>),
    /// Any number of table rows each.
    Bag {
        /// Where each row's ids begin, `[rows + 1]`.
        offsets: Vec<u32>,
        /// Table rows, those of one row of data side by side.
        ids: Vec<u32>,
        /// Weights, parallel to `ids`, for weighted features.
        weights: Option<Vec<f32>>,
    },
    /// Numbers, `[rows * width]`, those of a row side by side.
    Dense(Vec<f32>),
}
