//! Gates, mixtures, and columns.

use hinet_tape::{Block, Node, Value};

use super::super::builder::{Name, int};
use super::Translation;

/// Added to what a mask leaves out before a softmax: e to this is 0, and no sum with it overflows.
const FAR_BELOW: f32 = -1e30;

impl Translation<'_, '_> {
    /// Softmax over runs of `size` columns. What a mask leaves out is exactly 0, also where it leaves out all.
    pub(super) fn softmax(&mut self, node: &Node, size: usize, mask: Option<&[bool]>) -> Name {
        let runs = node.shape.width / size;
        let mut x = self.moving(node.inputs[0]);
        if runs > 1 {
            x = self.out.reshape(&x, &[0, runs, size]);
        }
        let keep = mask.map(|mask| self.mask(mask, (runs, size), |kept| if kept { 1.0 } else { 0.0 }));
        if let Some(mask) = mask {
            let below = self.mask(mask, (runs, size), |kept| if kept { 0.0 } else { FAR_BELOW });
            x = self.out.op("Add", &[&x, &below], Vec::new());
        }
        let mut y = self.out.op("Softmax", &[&x], vec![int("axis", -1)]);
        if let Some(keep) = keep {
            y = self.out.op("Mul", &[&y, &keep], Vec::new());
        }
        if runs > 1 { self.out.reshape(&y, &[0, node.shape.width]) } else { y }
    }

    /// A number per flag of a mask: `[1, size]` or `[rows, size]`, or beside several runs with a dimension for them.
    fn mask(&mut self, mask: &[bool], (runs, size): (usize, usize), number: impl Fn(bool) -> f32) -> Name {
        let groups = mask.len() / size;
        let numbers = mask.iter().map(|&kept| number(kept)).collect();
        let table = self.numbers("mask", numbers, groups);
        let mask = if groups > 1 { self.of_group(&table) } else { table };
        if runs > 1 { self.out.reshape(&mask, &[0, 1, size]) } else { mask }
    }

    /// Weighted sums of blocks.
    pub(super) fn mixture(&mut self, node: &Node, outputs: &[Vec<Block>], width: usize) -> Name {
        let count = outputs[0].len();
        if outputs.iter().any(|blocks| blocks.len() != count) {
            return self.uneven_mixture(node, outputs, width);
        }
        let blocks: Vec<Block> = outputs.iter().flatten().copied().collect();
        let stacked = self.stack(&blocks, width);
        if count == 1 {
            return self.scaled(node.inputs[0], (&stacked, blocks.len()), width);
        }
        let gate = self.beside(node.inputs[0]);
        let gate = self.out.reshape(&gate, &[0, outputs.len(), 1, count]);
        let stacked = self.out.reshape(&stacked, &[0, outputs.len(), count, width]);
        let sums = self.out.op("MatMul", &[&gate, &stacked], Vec::new());
        self.out.reshape(&sums, &[0, outputs.len() * width])
    }

    /// Mixtures of one block each: the blocks, each times its weight.
    fn scaled(&mut self, gate: Value, (stacked, blocks): (&str, usize), width: usize) -> Name {
        let ones = !self.moving[gate.index()] && self.fixed(gate).iter().all(|&weight| weight == 1.0);
        if ones {
            return self.out.reshape(stacked, &[0, blocks * width]);
        }
        let gate = self.beside(gate);
        let gate = self.out.reshape(&gate, &[0, blocks, 1]);
        let scaled = self.out.op("Mul", &[stacked, &gate], Vec::new());
        self.out.reshape(&scaled, &[0, blocks * width])
    }

    /// Mixtures of different numbers of blocks, one after the other.
    fn uneven_mixture(&mut self, node: &Node, outputs: &[Vec<Block>], width: usize) -> Name {
        let gate = self.beside(node.inputs[0]);
        let (mut start, mut sums) = (0, Vec::new());
        for blocks in outputs {
            let stacked = self.stack(blocks, width);
            let weights = self.slice(&gate, start, blocks.len());
            let weights = self.out.reshape(&weights, &[0, 1, blocks.len()]);
            let sum = self.out.op("MatMul", &[&weights, &stacked], Vec::new());
            sums.push(self.out.reshape(&sum, &[0, width]));
            start += blocks.len();
        }
        self.out.concat(&sums, 1)
    }

    /// The block of the row's own group.
    pub(super) fn select(&mut self, blocks: &[Block], width: usize) -> Name {
        let stacked = self.stack(blocks, width);
        self.own_block(&stacked)
    }

    /// Columns `start..start + width` of x.
    pub(super) fn slice(&mut self, x: &str, start: usize, width: usize) -> Name {
        let bounds = [start, start + width, 1].map(|number| self.out.list(&[number as i64]));
        let [starts, ends, axes] = &bounds;
        self.out.op("Slice", &[x, starts, ends, axes], Vec::new())
    }

    /// Blocks of columns one below the other: `[rows, blocks, width]`.
    fn stack(&mut self, blocks: &[Block], width: usize) -> Name {
        let mut values: Vec<(Value, usize)> = Vec::new();
        let (mut stacked, mut total) = (Vec::new(), 0);
        for block in blocks {
            if values.iter().any(|(value, _)| *value == block.value) {
                continue;
            }
            values.push((block.value, total));
            let all = self.graph.shape(block.value).width;
            let count = all / width;
            let x = self.moving(block.value);
            let x = if count * width < all { self.slice(&x, 0, count * width) } else { x };
            stacked.push(self.out.reshape(&x, &[0, count, width]));
            total += count;
        }
        let stacked = self.out.concat(&stacked, 1);
        let first = |value: Value| values.iter().find(|(known, _)| *known == value).map_or(0, |(_, first)| *first);
        let places: Vec<i64> = blocks.iter().map(|block| (first(block.value) + block.index) as i64).collect();
        if places.iter().copied().eq(0..total as i64) {
            return stacked;
        }
        let places = self.out.list(&places);
        self.out.gather(&stacked, &places, 1)
    }
}
