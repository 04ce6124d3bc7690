//! The forward pass of a stack.

use super::chunks::{self, Chunk, Dealt, each, tiles_of_all};
use super::{Stack, apart};
use crate::buffer::Buffer;
use crate::graph::{Activation, LinearOp, Node};
use crate::kernel::product::{Finish, Left, Out, Packed, Start, TILE, multiply, packed_len, tiles_of_rows};
use crate::op::Context;
use crate::op::linear::{Operands, activate, pack as packing};

/// Packs the weight of a layer for [`forward`].
pub(crate) fn pack((op, node): (&LinearOp, &Node), context: &Context<'_>, packed: &mut Buffer) {
    packing::forward(&apart(op, node, context), context.view(op.weight), context, packed);
}

/// Where the forward pass of a stack of two layers writes.
pub(crate) struct Room<'a> {
    pub(crate) chunks: &'a mut Vec<Chunk>,
    /// Values between the layers.
    pub(crate) hidden: &'a mut Buffer,
    /// Packed rows of x.
    pub(crate) tiles: &'a mut Buffer,
    /// Whether the values between the layers will be needed.
    pub(crate) keep: bool,
}

/// The forward pass of a stack of two layers: over what the first one computes with, and the packed weight of the second.
/// Where `unneeded`, one flag for each block that rows of each group go through, says that nobody reads a block's result,
/// zeros stand in for it.
pub(crate) fn forward(
    stack: Stack<'_>,
    context: &Context<'_>,
    (out, room): (&mut [f32], Room<'_>),
    (operands, (packed, unneeded)): (Operands<'_>, (&[f32], &[bool])),
) {
    let Room { chunks, hidden, tiles, keep } = room;
    let (op, node) = stack.first;
    let (next_op, next_node) = stack.second.expect("a single layer is run by itself");
    let blocks = apart(op, node, context);
    chunks::fill(chunks, &blocks, context, !unneeded.is_empty());
    let width = operands.inner;
    let (outer, taken) = (blocks.outer, blocks.taken());
    let rows = node.shape.rows.count(context.feed.rows);
    let hidden_width = if keep { taken * outer } else { outer };
    hidden.resize(rows * hidden_width);
    tiles.resize(tiles_of_all(chunks, width));
    let next_blocks = super::Blocks::new(next_op, next_node, context);
    let bias = next_op.bias.map(|bias| context.view(bias));
    let layers = [
        Layer { activation: op.activation, inner: width, outer, bias: operands.bias, packed: operands.packed },
        Layer { activation: next_op.activation, inner: next_blocks.inner, outer: next_blocks.outer, bias, packed },
    ];
    let run = Run { x: operands.x, width, layers, keep, stride: next_node.shape.width, unneeded };
    let buffers =
        [Dealt::rows(out, next_node.shape.width), Dealt::rows(hidden, hidden_width), Dealt::tiles(tiles, width)];
    each(context.parallel, (0, chunks), buffers, &|number, [out, hidden, tiles]| {
        run.chunk(&chunks[number], out, hidden, tiles);
    });
}

/// One layer as products see it.
#[derive(Clone, Copy)]
struct Layer<'a> {
    activation: Activation,
    inner: usize,
    outer: usize,
    bias: Option<&'a [f32]>,
    packed: &'a [f32],
}

impl Layer<'_> {
    /// Some rows through one block.
    fn block(&self, block: usize, left: Left<'_>, out: &mut Out<'_>) {
        let Layer { inner, outer, .. } = *self;
        let size = packed_len(inner, outer);
        let right = Packed::all(&self.packed[block * size..][..size], inner, outer);
        let start = self.bias.map_or(Start::Zero, |bias| Start::Bias(&bias[block * outer..][..outer]));
        multiply(left, right, out, Finish { start, relu: self.activation == Activation::Relu });
    }

    /// Whether the product leaves the activation to be applied.
    fn is_left_to_do(&self) -> bool {
        !matches!(self.activation, Activation::Identity | Activation::Relu)
    }
}

struct Run<'a> {
    x: &'a [f32],
    width: usize,
    layers: [Layer<'a>; 2],
    keep: bool,
    /// Columns of the result.
    stride: usize,
    unneeded: &'a [bool],
}

impl Run<'_> {
    fn chunk(&self, chunk: &Chunk, out: &mut [f32], hidden: &mut [f32], tiles: &mut [f32]) {
        let (rows, [first, second]) = (chunk.len(), &self.layers);
        let x = &self.x[chunk.rows.start * self.width..];
        let x = if rows < TILE {
            Left::Rows { data: x, stride: self.width }
        } else {
            tiles_of_rows(tiles, x, self.width, (rows, self.width));
            Left::Tiles(tiles)
        };
        for (place, block) in chunk.blocks.clone().enumerate() {
            if self.unneeded.get(chunk.group * chunk.blocks.len() + place).is_some_and(|&unneeded| unneeded) {
                let of_block = place * second.outer..(place + 1) * second.outer;
                out.chunks_mut(self.stride).for_each(|row| row[of_block.clone()].fill(0.0));
                continue;
            }
            let own = if self.keep { place * rows * first.outer } else { 0 };
            let hidden = &mut hidden[own..][..rows * first.outer];
            first.block(block, x, &mut Out { data: hidden, stride: first.outer, rows });
            if first.is_left_to_do() {
                activate(first.activation, hidden);
            }
            let h = Left::Rows { data: hidden, stride: first.outer };
            second.block(block, h, &mut Out { data: &mut out[place * second.outer..], stride: self.stride, rows });
        }
        if second.is_left_to_do() {
            activate(second.activation, out);
        }
    }
}
