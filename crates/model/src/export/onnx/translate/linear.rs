//! Linear operators.
//!
//! Blocks that every row goes through, all reading the same columns, are one `Gemm` over their matrices side by side;
//! blocks that read columns of their own are one `MatMul` over a batch of matrices, and runs of columns that go through one
//! block are rows of one `MatMul`.
//!
//! A row that goes through the blocks of its own group (scenario) only is computed in one of two ways, whichever takes
//! fewer multiply-adds once what an operator costs by itself is counted:
//!
//! - small blocks: those of all groups by one `Gemm`, and the own one chosen ([`FEW`]);
//! - others: rows, sorted by group at the start of the graph, are parted by `Split`, each part meets the matrix of its
//!   group, and `Concat` joins them again. Each row then costs what it does in the plan. Fetching a copy of its matrix for
//!   each row would cost memory traffic of the same size as the arithmetic, and as much memory as rows times matrices.

use hinet_tape::{Graph, LinearOp, Node, Op, Routing, Source, Value};

use super::super::builder::{Name, int, ints};
use super::{Translation, activation, moving, needed, refused};
use crate::ModelError;

/// Multiply-adds per row up to which computing the blocks of all groups costs less than parting rows.
const FEW: usize = 2048;

/// The sizes of a linear operator.
#[derive(Clone, Copy)]
struct Sizes {
    /// Blocks in all.
    blocks: usize,
    /// Blocks that a row goes through.
    taken: usize,
    inner: usize,
    outer: usize,
    /// Whether a row's blocks are those of its own group, and there are several.
    routed: bool,
    /// Whether blocks read columns of their own.
    apart: bool,
    /// Runs of columns that go through the one block, where they do.
    runs: Option<usize>,
}

impl Sizes {
    fn new(graph: &Graph, op: LinearOp) -> Sizes {
        let weight = graph.shape(op.weight);
        let blocks = op.groups * op.experts;
        let routed = op.groups > 1 && op.routing == Routing::Own;
        let taken = if routed { op.experts } else { blocks };
        let apart = op.source == Source::PerExpert && taken > 1;
        let inner = weight.len(0) / weight.width / blocks;
        let runs = if let Source::EachRun(runs) = op.source { Some(runs) } else { None };
        Sizes { blocks, taken, inner, outer: weight.width, routed, apart, runs }
    }

    /// Whether rows are parted by group for it.
    fn parts_rows(self) -> bool {
        self.routed && (self.apart || self.runs.is_some() || self.blocks * self.inner * self.outer > FEW)
    }

    /// The matrices of some blocks side by side: `[inner, blocks * outer]`.
    fn side_by_side(self, weight: &[f32]) -> Vec<f32> {
        let block = self.inner * self.outer;
        let mut matrix = Vec::with_capacity(weight.len());
        for row in 0..self.inner {
            for block in weight.chunks_exact(block) {
                matrix.extend_from_slice(&block[row * self.outer..(row + 1) * self.outer]);
            }
        }
        matrix
    }
}

/// Whether `value` is computed by an operator for which rows must be sorted by group.
pub(in super::super) fn parts_rows(graph: &Graph, value: Value) -> bool {
    needed(graph, value, &moving(graph)).iter().any(|&value| {
        let Op::Linear(op) = &graph.node(value).op else { return false };
        Sizes::new(graph, *op).parts_rows()
    })
}

impl Translation<'_, '_> {
    pub(super) fn linear(&mut self, node: &Node, op: LinearOp) -> Result<Name, ModelError> {
        let still = [Some(op.weight), op.bias].into_iter().flatten().all(|value| !self.moving[value.index()]);
        if !still {
            return Err(refused(node, "its weights depend on the batch"));
        }
        let sizes = Sizes::new(self.graph, op);
        let x = self.moving(node.inputs[0]);
        let (weight, hint) = (self.fixed(op.weight), self.hint(op.weight));
        let bias = op.bias.map(|bias| self.fixed(bias)).unwrap_or_default();
        let numbers = Numbers { hint: &hint, weight: &weight, bias: &bias };
        let y = match (sizes.apart, sizes.parts_rows()) {
            _ if sizes.runs.is_some() => self.each_run(&x, sizes, numbers),
            (false, false) if sizes.routed => self.all_and_own(&x, sizes, numbers),
            (false, false) => self.gemm(&x, sizes, numbers),
            (false, true) => self.gemm_of_groups(&x, sizes, numbers),
            (true, parted) => self.batched(&x, (sizes, parted), numbers),
        };
        Ok(activation::activate(self.out, &y, op.activation))
    }

    /// One product with all blocks side by side: `[rows, blocks * outer]`.
    fn gemm(&mut self, x: &str, sizes: Sizes, numbers: Numbers<'_>) -> Name {
        let matrix = sizes.side_by_side(numbers.weight);
        let width = matrix.len() / sizes.inner;
        let matrix = self.out.floats(numbers.hint, &[sizes.inner, width], matrix);
        if numbers.bias.is_empty() {
            return self.out.op("Gemm", &[x, &matrix], Vec::new());
        }
        let bias = self.out.floats(&format!("{}.bias", numbers.hint), &[width], numbers.bias.to_vec());
        self.out.op("Gemm", &[x, &matrix, &bias], Vec::new())
    }

    /// The blocks of all groups, of which each row takes its own.
    fn all_and_own(&mut self, x: &str, sizes: Sizes, numbers: Numbers<'_>) -> Name {
        let all = self.gemm(x, sizes, numbers);
        let groups = sizes.blocks / sizes.taken;
        let all = self.out.reshape(&all, &[0, groups, sizes.taken * sizes.outer]);
        self.own_block(&all)
    }

    /// Each group's rows by its own blocks.
    fn gemm_of_groups(&mut self, x: &str, sizes: Sizes, numbers: Numbers<'_>) -> Name {
        let parts = self.part(x, 0, sizes);
        let weight = sizes.taken * sizes.inner * sizes.outer;
        let bias = numbers.bias.len() / parts.len();
        let products = parts.iter().enumerate().map(|(group, x)| {
            let weight = &numbers.weight[group * weight..][..weight];
            let bias = &numbers.bias[group * bias..][..bias];
            self.gemm(x, sizes, Numbers { weight, bias, ..numbers })
        });
        let products: Vec<Name> = products.collect();
        self.out.concat(&products, 0)
    }

    /// Blocks that read columns of their own: `[taken, rows, inner]` times `[taken, inner, outer]`.
    fn batched(&mut self, x: &str, (sizes, parted): (Sizes, bool), numbers: Numbers<'_>) -> Name {
        let Sizes { taken, inner, outer, .. } = sizes;
        let swap = || vec![ints("perm", &[1, 0, 2])];
        let x = self.out.reshape(x, &[0, taken, inner]);
        let x = self.out.op("Transpose", &[&x], swap());
        let parts = if parted { self.part(&x, 1, sizes) } else { vec![x] };
        let mut products = Vec::new();
        for (x, weight) in parts.iter().zip(numbers.weight.chunks_exact(taken * inner * outer)) {
            let weight = self.out.floats(numbers.hint, &[taken, inner, outer], weight.to_vec());
            products.push(self.out.op("MatMul", &[x, &weight], Vec::new()));
        }
        let y = self.out.concat(&products, 1);
        let y = self.out.op("Transpose", &[&y], swap());
        let y = self.out.reshape(&y, &[0, taken * outer]);
        if numbers.bias.is_empty() {
            return y;
        }
        let hint = format!("{}.bias", numbers.hint);
        let groups = numbers.bias.len() / (taken * outer);
        let bias = self.numbers(&hint, numbers.bias.to_vec(), groups);
        let bias = if parted { self.of_group(&bias) } else { bias };
        self.out.op("Add", &[&y, &bias], Vec::new())
    }

    /// Runs of columns by one block: `[rows, runs, inner]` times `[inner, outer]`, for the rows of each group where each has
    /// its own.
    fn each_run(&mut self, x: &str, sizes: Sizes, numbers: Numbers<'_>) -> Name {
        let Sizes { inner, outer, .. } = sizes;
        let runs = sizes.runs.unwrap_or(1);
        let x = self.out.reshape(x, &[0, runs, inner]);
        let parts = if sizes.routed { self.part(&x, 0, sizes) } else { vec![x] };
        let mut products = Vec::new();
        for (group, (x, weight)) in parts.iter().zip(numbers.weight.chunks_exact(inner * outer)).enumerate() {
            let weight = self.out.floats(numbers.hint, &[inner, outer], weight.to_vec());
            let product = self.out.op("MatMul", &[x, &weight], Vec::new());
            products.push(match numbers.bias.get(group * outer..(group + 1) * outer) {
                None => product,
                Some(bias) => {
                    let bias = self.out.floats(&format!("{}.bias", numbers.hint), &[outer], bias.to_vec());
                    self.out.op("Add", &[&product, &bias], Vec::new())
                }
            });
        }
        let y = self.out.concat(&products, 0);
        self.out.reshape(&y, &[0, runs * outer])
    }

    /// The rows of each group, along an axis.
    fn part(&mut self, x: &str, axis: i64, sizes: Sizes) -> Vec<Name> {
        let counts = self.rows.counts.clone().expect("rows are sorted where an operator parts them");
        self.out.op_of_many("Split", &[x, &counts], vec![int("axis", axis)], sizes.blocks / sizes.taken)
    }
}

/// What a linear operator has learnt.
#[derive(Clone, Copy)]
struct Numbers<'n> {
    hint: &'n str,
    weight: &'n [f32],
    /// Empty without one.
    bias: &'n [f32],
}
