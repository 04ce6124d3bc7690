//! Inference agrees with the tape, row by row.

use hinet_tape::{
    Activation, Block, Evaluator, Graph, Init, LinearOp, Mode, ParamSpec, Scope, Source, Tape, Value, Workspace,
};

use crate::cases;
use crate::harness::{Data, params};

#[test]
fn the_evaluator_gives_what_the_tape_gives_in_inference() {
    let mut workspace = Workspace::default();
    for case in cases::all() {
        let params = params(&case.graph);
        let mut tape = Tape::new(case.graph.clone(), 1);
        let evaluator = Evaluator::new(case.graph.clone(), params.clone(), &[case.out]);
        for rows in [[300, 0, 150], [2, 1, 0], [0, 0, 0], [1, 0, 2]] {
            let data = Data::new(&case.graph, &rows, 5);
            data.with_feed(|feed| {
                tape.forward(&params, feed, Mode::Infer);
                evaluator.run(&mut workspace, feed);
            });
            assert_eq!(evaluator.value(&workspace, case.out), tape.value(case.out), "{} on {rows:?}", case.name);
        }
        workspace = Workspace::default();
    }
}

fn parameter(g: &mut Graph, name: &str, dims: &[usize]) -> Value {
    let init = Init::Normal { std: 0.3 };
    g.parameter(ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable: true })
}

/// An expert of two sub-experts per group, of which each row takes its own and some of the others.
fn attended(weights: Vec<f32>) -> (Graph, Value) {
    let g = &mut Graph::new(3);
    let x = g.input("x", 20, false);
    let layers = [(20, 40, Source::Shared), (40, 33, Source::PerExpert)].map(|(inner, outer, source)| {
        let weight = parameter(g, &format!("weight {outer}"), &[6, inner, outer]);
        let bias = Some(parameter(g, &format!("bias {outer}"), &[6, outer]));
        LinearOp { bias, experts: 6, source, activation: Activation::Relu, ..LinearOp::plain(weight) }
    });
    let sub_experts = g.stack(x, &layers);
    let gate = parameter(g, "gate", &[20, 6]);
    let gate = g.linear(x, LinearOp::plain(gate));
    let gate = g.softmax(gate, 2, None);
    let block = |value, index| Block::new(value, index);
    let experts = (0..3).map(|m| vec![block(sub_experts, 2 * m), block(sub_experts, 2 * m + 1)]).collect();
    let experts = g.mixture(gate, experts, 33);
    let alpha = g.constant(3, 3, weights);
    let others = g.mixture(alpha, vec![(0..3).map(|m| block(experts, m)).collect()], 33);
    let own = g.select((0..3).map(|m| block(experts, m)).collect(), 33);
    let out = g.concat(&[own, others]);
    (g.clone(), out)
}

#[test]
fn what_a_fixed_weight_of_0_would_mix_in_is_not_computed() {
    // A row takes its own expert in any case.
    let cases = [
        (vec![0.0, 0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 0.5, 0.0], [0, 0, 0]),
        (vec![0.0, 1.0, 0.0, 0.5, 0.0, 0.5, 0.0, 0.0, 0.0], [1, 0, 2]),
    ];
    for (weights, left_out) in cases {
        let (graph, out) = attended(weights);
        let params = params(&graph);
        let mut tape = Tape::new(graph.clone(), 1);
        let evaluator = Evaluator::new(graph.clone(), params.clone(), &[out]);
        let per_expert = 2 * 40 * (20 + 33);
        assert_eq!([0, 1, 2].map(|group| evaluator.left_out(group)), left_out.map(|experts| experts * per_expert));
        let mut workspace = Workspace::default();
        for rows in [[150, 0, 300], [2, 1, 8], [1, 0, 0]] {
            let data = Data::new(&graph, &rows, 5);
            data.with_feed(|feed| {
                tape.forward(&params, feed, Mode::Infer);
                evaluator.run(&mut workspace, feed);
            });
            for (got, expected) in evaluator.value(&workspace, out).iter().zip(tape.value(out)) {
                assert!((got - expected).abs() < 1e-5, "{got} {expected} on {rows:?}");
            }
        }
    }
}

#[test]
fn threads_share_one_evaluator() {
    fn shared<T: Send + Sync>() {}
    shared::<Evaluator>();
    fn sent<T: Send>() {}
    sent::<Workspace>();
}
