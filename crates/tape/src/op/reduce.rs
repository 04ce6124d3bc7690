//! Sums and means along rows or columns.

use super::{Context, Output, Sink};
use crate::graph::{Node, Reduction};
use crate::kernel::{add_to, axpy, sum, vectorised};

pub(super) fn forward(reduction: Reduction, node: &Node, context: &Context<'_>, out: &mut [f32]) {
    let input = node.inputs[0];
    let (x, width) = (context.view(input), context.width(input));
    let factor = factor(reduction, x.len() / width, width);
    match reduction {
        Reduction::SumColumns | Reduction::MeanColumns => sum_each_row(x, width, factor, out),
        Reduction::SumRows | Reduction::MeanRows => sum_all_rows(x, factor, out),
    }
}

pub(super) fn backward(
    reduction: Reduction,
    (node, context): (&Node, &Context<'_>),
    output: Output<'_>,
    sink: &mut Sink<'_>,
) {
    let input = node.inputs[0];
    let width = context.width(input);
    let Some(target) = sink.added(input) else { return };
    let factor = factor(reduction, target.len() / width, width);
    let gradient = output.gradient;
    match reduction {
        Reduction::SumColumns | Reduction::MeanColumns => {
            for (target, gradient) in target.chunks_exact_mut(width).zip(gradient.iter()) {
                target.iter_mut().for_each(|target| *target += factor * gradient);
            }
        }
        Reduction::SumRows | Reduction::MeanRows => {
            for target in target.chunks_exact_mut(width) {
                axpy(target, factor, gradient);
            }
        }
    }
}

fn factor(reduction: Reduction, rows: usize, width: usize) -> f32 {
    match reduction {
        Reduction::SumColumns | Reduction::SumRows => 1.0,
        Reduction::MeanColumns => 1.0 / width as f32,
        Reduction::MeanRows => 1.0 / rows.max(1) as f32,
    }
}

vectorised! {
    fn sum_each_row<'a>(x: &'a [f32], width: usize, factor: f32, out: &'a mut [f32]) {
        for (out, x) in out.iter_mut().zip(x.chunks_exact(width)) {
            *out = factor * sum(x);
        }
    }
}

vectorised! {
    fn sum_all_rows<'a>(x: &'a [f32], factor: f32, out: &'a mut [f32]) {
        out.fill(0.0);
        for x in x.chunks_exact(out.len()) {
            add_to(out, x);
        }
        for out in out {
            *out *= factor;
        }
    }
}
