//! Cross layers of DCN-v2 (Wang et al., WWW 2021): products of features of growing order, on the way into the layers.
//!
//! | paper | here | shape |
//! | --- | --- | --- |
//! | x_0 | the dense input, normalised | `[batch, width]` |
//! | x_{l+1} = x_0 (W_l x_l + b_l) + x_l, products elementwise | `input.cross.<l>` | `[batch, width]` |
//! | W_l = U_l V_l^T of a rank | `input.cross.<l>.down` and `input.cross.<l>.up` | |
//!
//! Stacked, as the paper calls it: the layers read what the last cross layer gives. The paper's mixture of low-rank experts is
//! left out.

use hinet_tape::{Activation, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::{Bank, Layer, Owner, Reads, Recorder};
use crate::config::{bad, check_count, check_width};
use crate::error::ModelError;

/// Cross layers between the dense input and the layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CrossConfig {
    /// Number of cross layers. Default: 0.
    pub layers: usize,
    /// Rank of their matrices. Default: full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rank: Option<usize>,
}

impl CrossConfig {
    /// `width` is that of the dense input.
    pub(crate) fn check(&self, width: usize) -> Result<(), ModelError> {
        check_count("cross.layers", self.layers, 0)?;
        let Some(rank) = self.rank else { return Ok(()) };
        if self.layers == 0 {
            return Err(bad("cross.rank", rank.to_string(), "none without `cross.layers`"));
        }
        check_width("cross.rank", rank)?;
        let fits = rank <= width;
        fits.then_some(()).ok_or_else(|| {
            bad("cross.rank", rank.to_string(), format!("at most {width}, the columns that are crossed"))
        })
    }

    pub(crate) fn is_default(&self) -> bool {
        *self == CrossConfig::default()
    }
}

/// # Shapes
/// - `x`: `[batch, copies * width]`
/// - returns: the same
pub(super) fn record(config: &CrossConfig, r: &mut Recorder<'_>, x: Value, (owner, copies): (Owner, usize)) -> Value {
    let bank = Bank::one("input.cross", owner);
    let outer = r.width(x) / copies;
    let layer = |outer: usize, bias: bool| (Reads::Own, Layer { outer, bias, activation: Activation::Identity });
    (0..config.layers).fold(x, |crossed, number| {
        let y = match config.rank {
            None => r.linear(&bank, &number.to_string(), crossed, layer(outer, true)),
            Some(rank) => {
                let low = r.linear(&bank, &format!("{number}.down"), crossed, layer(rank, false));
                r.linear(&bank, &format!("{number}.up"), low, layer(outer, true))
            }
        };
        let product = r.graph.mul(x, y);
        r.graph.add(product, crossed)
    })
}
