//! Selection of experts by what their gates say of them (AESM2): an expert is *specific* to an owner (a scenario, a task) where
//! the distribution of its gates over owners is near to one that knows this owner alone, and *shared* where it is near to the
//! even one; near by the Kullback-Leibler divergence.

use hinet_tape::{Activation, Block, LinearOp, Source, Value};

use super::{Recorder, Told, blocks};

/// Added to a probability before its logarithm: the paper's code does so too.
const ABOVE_ZERO: f32 = 1e-9;
/// Added to the logits of experts that are left out: e to this is 0.
const FAR_BELOW: f32 = -1e9;

/// How many experts are selected out of how many.
#[derive(Clone, Copy)]
pub(crate) struct Selection {
    pub(crate) experts: usize,
    /// Scenarios, or tasks.
    pub(crate) owners: usize,
    pub(crate) specific: usize,
    pub(crate) shared: usize,
}

/// What was selected for each row.
#[derive(Clone, Copy)]
pub(crate) struct Selected {
    /// Weights of experts, 0 for what is left out: `[batch, experts]`.
    pub(crate) gate: Value,
    /// Divergences of the selected experts from what they were selected for, mean over rows: `[1, 1]`. None with one owner.
    pub(crate) divergence: Option<Value>,
}

impl Recorder<'_> {
    /// Selects experts for each row.
    ///
    /// # Shapes
    /// - `logits`: of the gates of all owners, `[batch, owners * experts]`
    /// - `own`: whose gate weighs what was selected
    pub(crate) fn select_experts(&mut self, selection: Selection, logits: Value, own: Told) -> Selected {
        let Selection { experts, owners, specific, shared } = selection;
        let by_expert = self.turned(logits, (owners, experts));
        let p = self.graph.softmax(by_expert, owners, None);
        let p = self.graph.affine(p, 1.0, ABOVE_ZERO);
        let logs = self.graph.activate(p, Activation::Log);
        let logs = self.turned(logs, (experts, owners));
        // The divergence of the distribution that knows one owner from p is -log p; of the even one, but for a constant, the
        // mean of -log p.
        let of_own = self.own_block(logs, (owners, experts), own);
        let of_all = self.mean_of_blocks(logs, owners);
        let chosen = [(of_own, specific, 0.0), (of_all, shared, (owners as f32).ln())];
        let kept = chosen.map(|(nearness, count, _)| self.highest(nearness, count, experts));
        let both = self.graph.add(kept[0], kept[1]);
        let either = self.graph.affine(both, 1.0, -0.5);
        let either = self.graph.activate(either, Activation::Step);
        let below = self.graph.affine(either, -FAR_BELOW, FAR_BELOW);
        let own = self.own_block(logits, (owners, experts), own);
        let masked = self.graph.add(own, below);
        let gate = self.graph.softmax(masked, experts, None);
        let mut parts = Vec::new();
        for ((nearness, count, even), kept) in chosen.into_iter().zip(kept).filter(|((_, count, _), _)| *count > 0) {
            let divergence = self.graph.affine(nearness, -1.0, -even);
            let divergence = self.graph.mul(divergence, kept);
            let sum = self.graph.sum_columns(divergence);
            let mean = self.graph.affine(sum, 1.0 / count as f32, 0.0);
            parts.push(self.graph.mean_rows(mean));
        }
        let divergence = parts.into_iter().reduce(|one, other| self.graph.add(one, other));
        Selected { gate, divergence: divergence.filter(|_| owners > 1) }
    }

    /// Columns that run over `outer` and then `inner`, run over `inner` and then `outer`.
    fn turned(&mut self, x: Value, (outer, inner): (usize, usize)) -> Value {
        if outer == 1 || inner == 1 {
            return x;
        }
        let from = (0..inner).flat_map(|i| (0..outer).map(move |o| vec![Block::new(x, o * inner + i)]));
        self.sum_of_blocks(from.collect(), 1)
    }

    /// The columns of one of several owners, or of the row's own scenario.
    fn own_block(&mut self, x: Value, (owners, width): (usize, usize), own: Told) -> Value {
        match own {
            Told::Own if owners == 1 => x,
            Told::Own => self.graph.select(blocks(x, 0..owners), width),
            Told::Of(owner) => self.graph.slice(x, owner * width, width),
        }
    }

    /// 1 for the `count` highest of `width` columns, 0 for the others. Columns that are equal stand or fall together.
    fn highest(&mut self, x: Value, count: usize, width: usize) -> Value {
        let x = self.graph.stop_gradient(x);
        // Column `k * width + j` is by how much column j is above column k.
        let difference = |at: usize| {
            let (row, k, j) = (at / (width * width), at / width % width, at % width);
            f32::from(u8::from(row == j)) - f32::from(u8::from(row == k))
        };
        let differences = self.graph.constant(width, width * width, (0..width.pow(3)).map(difference).collect());
        let above = self.graph.linear(x, LinearOp::plain(differences));
        let above = self.graph.activate(above, Activation::Step);
        let ones = self.graph.constant(width * width, 1, vec![1.0; width * width]);
        let sums = LinearOp { experts: width, source: Source::PerExpert, ..LinearOp::plain(ones) };
        let rank = self.graph.linear(above, sums);
        let room = self.graph.affine(rank, -1.0, count as f32 - 0.5);
        self.graph.activate(room, Activation::Step)
    }
}
