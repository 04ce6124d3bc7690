//! Every operator: values against plain loops, gradients against differences, one thread against two.

use hinet_tape::{Feed, Graph, Mode, Params, Tape};

use crate::cases;
use crate::harness::{check, run};

const TRAIN: Mode = Mode::Train { seed: 11 };

#[test]
fn values_and_gradients_match_plain_loops_in_training_and_inference() {
    for case in cases::all() {
        for mode in [TRAIN, Mode::Infer] {
            check(&case, &[3, 0, 4], mode);
        }
    }
}

#[test]
fn values_and_gradients_match_on_a_batch_of_one_row() {
    for case in cases::all() {
        check(&case, &[0, 1, 0], TRAIN);
    }
}

#[test]
fn an_empty_batch_gives_empty_values_and_zero_gradients() {
    for case in cases::all() {
        let run = run(&case, &[0, 0, 0], TRAIN, 1);
        assert!(run.inputs.iter().all(|(_, gradient)| gradient.is_empty()), "{}", case.name);
        assert!(run.out.iter().all(|x| x.is_finite()), "{}", case.name);
    }
}

#[test]
fn results_are_the_same_bits_for_any_number_of_threads() {
    for case in cases::all() {
        let one = run(&case, &[700, 0, 900], TRAIN, 1);
        assert_eq!(one, run(&case, &[700, 0, 900], TRAIN, 1), "{}", case.name);
        assert_eq!(one, run(&case, &[700, 0, 900], TRAIN, 2), "{}", case.name);
        assert_eq!(one, run(&case, &[700, 0, 900], TRAIN, 3), "{}", case.name);
    }
}

#[test]
fn noise_is_logistic_and_another_one_each_step() {
    let mut graph = Graph::new(1);
    let x = graph.input("x", 50, false);
    let noisy = graph.concrete(x, 0.5, "here");
    let params = Params::new(graph.params(), |_| 0);
    let mut tape = Tape::new(graph, 1);
    let rows = 400;
    let data = vec![1.0; rows * 50];
    let feed = Feed { rows, offsets: &[0, rows], inputs: &[&data], indices: &[] };
    let mut draw = |mode| {
        tape.forward(&params, &feed, mode);
        tape.value(noisy).to_vec()
    };
    assert_eq!(draw(Mode::Infer), data);
    let drawn = draw(TRAIN);
    // P(x + noise > t) = sigmoid(x - t), whatever the temperature scales afterwards.
    for (above, expected) in [(0.0, 0.731), (2.0, 0.5), (6.0, 0.119)] {
        let share = drawn.iter().filter(|y| **y > above).count() as f64 / drawn.len() as f64;
        assert!((share - expected).abs() < 0.02, "{share} above {above}, expected {expected}");
    }
    assert_eq!(draw(TRAIN), drawn);
    assert_ne!(draw(Mode::Train { seed: 12 }), drawn);
}
