//! The backward pass of a stack: chunks side by side for what rows get, then blocks side by side for what weights get.

use super::chunks::{self, Chunk, Dealt, each, tiles_of_all};
use super::{Stack, apart};
use crate::buffer::Buffer;
use crate::graph::{LinearOp, Node};
use crate::kernel::add_to;
use crate::kernel::product::{
    Finish, Left, Out, Packed, Start, TILE, multiply, packed_len, tiles_len, tiles_of_columns,
};
use crate::op::linear::mask::{Gradient, panels_of, tiles_of_panels};
use crate::op::linear::{Blocks, pack};
use crate::op::{Context, Output, Scratch, Sink};
use crate::parallel::Parallel;
use crate::value::Value;

/// Columns of h that are packed at a time: whole tiles.
const INPUTS: usize = 132;
/// Tiles of inputs of one task where there are few blocks.
const TILES: usize = 8;
/// Blocks that are enough to keep threads busy.
const MANY: usize = 8;

/// Sends the gradient of a stack's result to x, weights and biases.
///
/// `first` is the room of the first layer, which holds h where there are two; `second` that of the second layer.
pub(in crate::op) fn backward(
    stack: Stack<'_>,
    context: &Context<'_>,
    output: &Output<'_>,
    sink: &mut Sink<'_>,
    (first, second): (&mut Scratch, &mut Scratch),
) {
    let (op, node) = stack.first;
    let x = node.inputs[0];
    let (width, with_dx) = (context.width(x), context.graph.node(x).needs_gradient);
    let Scratch { chunks, saved: hidden, packed, tiles, partial } = first;
    let one = Layer::new(stack.first, context);
    let two = stack.second.map(|layer| Layer::new(layer, context));
    if with_dx {
        pack::backward(&one.blocks, context.view(op.weight), context, packed);
    }
    if let (Some(two), Some((op, _))) = (&two, stack.second) {
        pack::backward(&two.blocks, context.view(op.weight), context, &mut second.packed);
    }
    chunks::fill(chunks, &one.blocks, context, false);
    pack_columns(chunks, context, (context.view(x), width), tiles);

    let run = Run { one, two, chunks, hidden, width, output, packed: (with_dx.then_some(packed), &second.packed) };
    let sizes = run.sizes(node.shape.rows.count(context.feed.rows));
    partial.resize(sizes.dz + sizes.dh + sizes.tiles + sizes.sums);
    second.partial.resize(sizes.dz_two);
    let (dz, rest) = partial.split_at_mut(sizes.dz);
    let (dh, rest) = rest.split_at_mut(sizes.dh);
    let (room, sums) = rest.split_at_mut(sizes.tiles);
    let (dx, fresh) = if with_dx { sink.target(x).expect("x needs a gradient") } else { (&mut [][..], true) };
    let buffers = [
        Dealt::rows(dz, run.one.dz_per_row()),
        Dealt::rows(&mut second.partial, run.two.as_ref().map_or(0, Layer::dz_per_row)),
        Dealt::rows(dh, sizes.dh_per_row),
        Dealt::tiles(room, sizes.tiles_per_row),
        Dealt::chunks(sums, sizes.sums_per_chunk),
        Dealt::rows(dx, if with_dx { width } else { 0 }),
    ];
    each(context.parallel, (0, chunks), buffers, &|number, parts| run.chunk(number, parts, fresh));

    run.weight(context.parallel, (&run.one, dz), &Columns::Packed(tiles), sink.target(op.weight));
    run.bias((&run.one, 0), op.bias, sums, sink);
    if let (Some(two), Some((op, _))) = (&run.two, stack.second) {
        run.weight(context.parallel, (two, &second.partial), &Columns::Hidden, sink.target(op.weight));
        run.bias((two, run.one.sums()), op.bias, sums, sink);
    }
}

/// Packs the columns of x, chunk by chunk.
fn pack_columns(chunks: &[Chunk], context: &Context<'_>, (x, width): (&[f32], usize), tiles: &mut Buffer) {
    let per_row = tiles_len(width, 1);
    tiles.resize(x.len() / width * per_row);
    each(context.parallel, (0, chunks), [Dealt::rows(tiles, per_row)], &|number, [tiles]| {
        let rows = &chunks[number].rows;
        tiles_of_columns(tiles, &x[rows.start * width..], width, (width, rows.len()));
    });
}

/// One layer, each of its blocks a unit of its own.
struct Layer<'a> {
    op: &'a LinearOp,
    blocks: Blocks,
}

impl<'a> Layer<'a> {
    fn new((op, node): (&'a LinearOp, &'a Node), context: &Context<'_>) -> Layer<'a> {
        Layer { op, blocks: apart(op, node, context) }
    }

    /// Elements of dz per row.
    fn dz_per_row(&self) -> usize {
        self.blocks.taken() * packed_len(1, self.blocks.outer)
    }

    /// Elements of the bias that a row adds to.
    fn sums(&self) -> usize {
        self.blocks.taken() * self.blocks.outer
    }

    /// The transposed weight of a block.
    fn transposed<'p>(&self, packed: &'p [f32], block: usize) -> Packed<'p> {
        let Blocks { inner, outer, .. } = self.blocks;
        let size = packed_len(outer, inner);
        Packed::all(&packed[block * size..][..size], outer, inner)
    }
}

/// Sizes of buffers, in elements.
struct Sizes {
    dz: usize,
    dz_two: usize,
    dh: usize,
    dh_per_row: usize,
    tiles: usize,
    tiles_per_row: usize,
    sums: usize,
    sums_per_chunk: usize,
}

/// Where columns come from that a gradient of weights is made of.
enum Columns<'a> {
    /// x, packed chunk by chunk.
    Packed(&'a [f32]),
    /// The values between the layers.
    Hidden,
}

/// What the backward pass reads.
struct Run<'a> {
    one: Layer<'a>,
    two: Option<Layer<'a>>,
    chunks: &'a [Chunk],
    hidden: &'a [f32],
    /// Columns of x.
    width: usize,
    output: &'a Output<'a>,
    /// Transposed weights of the first layer, where x needs a gradient, and of the second.
    packed: (Option<&'a mut Buffer>, &'a [f32]),
}

impl Run<'_> {
    fn sizes(&self, rows: usize) -> Sizes {
        let outer_two = self.two.as_ref().map_or(0, |two| two.blocks.outer);
        let outer = self.one.blocks.outer;
        let dh_per_row = if self.two.is_some() { outer } else { 0 };
        let tiles_per_row = outer.max(outer_two);
        let sums_per_chunk = self.one.sums() + self.two.as_ref().map_or(0, Layer::sums);
        Sizes {
            dz: rows * self.one.dz_per_row(),
            dz_two: rows * self.two.as_ref().map_or(0, Layer::dz_per_row),
            dh: rows * dh_per_row,
            dh_per_row,
            tiles: tiles_of_all(self.chunks, tiles_per_row),
            tiles_per_row,
            sums: self.chunks.len() * sums_per_chunk,
            sums_per_chunk,
        }
    }

    /// Gradients of one chunk's rows, block by block, and what its rows add to the biases.
    fn chunk(&self, number: usize, parts: [&mut [f32]; 6], fresh: bool) {
        let [dz, dz_two, dh, tiles, sums, dx] = parts;
        let chunk = &self.chunks[number];
        let rows = chunk.len();
        sums.fill(0.0);
        let (sums, sums_two) = sums.split_at_mut(self.one.sums());
        match &self.two {
            Some(two) => panels_of(two.op.activation, self.arrived(chunk, two), dz_two, sums_two),
            None => panels_of(self.one.op.activation, self.arrived(chunk, &self.one), dz, sums),
        }
        let (outer, size) = (self.one.blocks.outer, packed_len(rows, self.one.blocks.outer));
        for (place, block) in chunk.blocks.clone().enumerate() {
            let dz = &mut dz[place * size..][..size];
            if let Some(two) = &self.two {
                self.through_second(two, (rows, place, block), (dz_two, dh, tiles));
                let gradient =
                    Gradient { value: self.hidden_of(chunk, place), gradient: dh, rows, blocks: 1, width: outer };
                panels_of(self.one.op.activation, gradient, dz, &mut sums[place * outer..(place + 1) * outer]);
            }
            if let Some(packed) = &self.packed.0 {
                tiles_of_panels(dz, (rows, outer), tiles);
                let start = if fresh && place == 0 { Start::Zero } else { Start::Add };
                let mut out = Out { data: dx, stride: self.width, rows };
                let right = self.one.transposed(packed, block);
                multiply(Left::Tiles(tiles), right, &mut out, Finish { start, relu: false });
            }
        }
    }

    /// From dz of the second layer to the gradient of h, in one block.
    fn through_second(
        &self,
        two: &Layer<'_>,
        (rows, place, block): (usize, usize, usize),
        (dz, dh, tiles): (&[f32], &mut [f32], &mut [f32]),
    ) {
        let (outer, size) = (two.blocks.outer, packed_len(rows, two.blocks.outer));
        tiles_of_panels(&dz[place * size..][..size], (rows, outer), tiles);
        let mut out = Out { data: dh, stride: two.blocks.inner, rows };
        let finish = Finish { start: Start::Zero, relu: false };
        multiply(Left::Tiles(tiles), two.transposed(self.packed.1, block), &mut out, finish);
    }

    /// The result and its gradient, of the rows of a chunk.
    fn arrived(&self, chunk: &Chunk, layer: &Layer<'_>) -> Gradient<'_> {
        let Blocks { outer, .. } = layer.blocks;
        let first = chunk.rows.start * layer.sums();
        let (value, gradient) = (&self.output.value[first..], &self.output.gradient[first..]);
        Gradient { value, gradient, rows: chunk.len(), blocks: layer.blocks.taken(), width: outer }
    }

    /// h of one block, `[rows of the chunk, width]`.
    fn hidden_of(&self, chunk: &Chunk, place: usize) -> &[f32] {
        let (outer, rows) = (self.one.blocks.outer, chunk.len());
        &self.hidden[chunk.rows.start * self.one.sums() + place * rows * outer..][..rows * outer]
    }

    /// Gradient of the weight of a layer: `dW (+)= columns^T * dz`.
    fn weight(
        &self,
        parallel: Parallel,
        (layer, dz): (&Layer<'_>, &[f32]),
        columns: &Columns<'_>,
        target: Option<(&mut [f32], bool)>,
    ) {
        let Some((target, fresh)) = target else { return };
        let Blocks { inner, outer, .. } = layer.blocks;
        if layer.blocks.all() >= MANY {
            return parallel.chunks(target, inner * outer, |block, dw| {
                self.block_weight((layer, dz), (block, 0), columns, (dw, fresh));
            });
        }
        for (block, dw) in target.chunks_exact_mut(inner * outer).enumerate() {
            parallel.chunks(dw, TILES * TILE * outer, |part, dw| {
                self.block_weight((layer, dz), (block, part * TILES * TILE), columns, (dw, fresh));
            });
        }
    }

    /// Gradient of the weight of one block, from one of its inputs on.
    fn block_weight(
        &self,
        (layer, dz): (&Layer<'_>, &[f32]),
        (block, first): (usize, usize),
        columns: &Columns<'_>,
        (dw, fresh): (&mut [f32], bool),
    ) {
        let outer = layer.blocks.outer;
        let inputs = dw.len() / outer;
        let mut start = if fresh { Start::Zero } else { Start::Add };
        let mut room = [0.0; INPUTS * super::ROWS];
        for chunk in self.chunks.iter().filter(|chunk| chunk.blocks.contains(&block)) {
            let (rows, place) = (chunk.len(), block - chunk.blocks.start);
            let size = packed_len(rows, outer);
            let dz = &dz[chunk.rows.start * layer.dz_per_row() + place * size..][..size];
            let right = Packed::all(dz, rows, outer);
            match columns {
                Columns::Packed(tiles) => {
                    let left = &tiles[chunk.rows.start * tiles_len(self.width, 1) + first * rows..];
                    let mut out = Out { data: dw, stride: outer, rows: inputs };
                    multiply(Left::Tiles(left), right, &mut out, Finish { start, relu: false });
                }
                Columns::Hidden => {
                    let h = self.hidden_of(chunk, place);
                    for skip in (0..inputs).step_by(INPUTS) {
                        let count = INPUTS.min(inputs - skip);
                        tiles_of_columns(&mut room, &h[first + skip..], layer.blocks.inner, (count, rows));
                        let mut out = Out { data: &mut dw[skip * outer..], stride: outer, rows: count };
                        multiply(Left::Tiles(&room), right, &mut out, Finish { start, relu: false });
                    }
                }
            }
            start = Start::Add;
        }
        if let Start::Zero = start {
            dw.fill(0.0);
        }
    }

    /// Gradient of the bias of a layer, whose sums start at `at` among those of a chunk.
    fn bias(&self, (layer, at): (&Layer<'_>, usize), bias: Option<Value>, sums: &[f32], sink: &mut Sink<'_>) {
        let Some(target) = bias.and_then(|bias| sink.added(bias)) else { return };
        let per_chunk = sums.len() / self.chunks.len().max(1);
        for (chunk, sums) in self.chunks.iter().zip(sums.chunks_exact(per_chunk.max(1))) {
            let first = chunk.blocks.start * layer.blocks.outer;
            add_to(&mut target[first..first + layer.sums()], &sums[at..at + layer.sums()]);
        }
    }
}
