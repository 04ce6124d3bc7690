//! The comparison: several models on the same batches over several seeds, and what of their differences is beyond noise.
//!
//! | file | what it does |
//! | --- | --- |
//! | `result` | what comes out: `compare.json` |

mod result;

pub use result::{
    CellSpread, Comparison, Contrast, Difference, Interval, ModelResult, PairedT, Resampling, RunResult, Seesaw,
    SeesawRow, Spread, Verdict,
};
