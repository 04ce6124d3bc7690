//! The same network on every kind of vector instructions that the processor has.

use std::process::Command;

use hinet_tape::{
    Activation, Feed, Gradients, Graph, Init, LinearOp, Mode, ParamSpec, Params, Routing, Scope, Source, Tape,
    instructions,
};

const CHOICE: &str = "HINET_INSTRUCTIONS";

/// Prints the loss and all gradients of one step, for the test below; by itself it only checks that they are numbers.
#[test]
fn one_step_prints_its_numbers() {
    let numbers = step();
    assert!(numbers.iter().all(|x| x.is_finite()));
    let text: Vec<String> = numbers.iter().map(|x| format!("{:08x}", x.to_bits())).collect();
    let used = instructions().unwrap_or_else(|error| panic!("{error}"));
    println!("\nnumbers {used} {}", text.join(" "));
}

#[test]
fn every_choice_of_instructions_agrees_and_gives_its_own_bits_again() {
    let expected = numbers_with("portable").expect("portable code runs everywhere");
    for choice in ["avx512", "avx2", "neon", "portable"] {
        let Some(got) = numbers_with(choice) else {
            println!("SKIPPED: this processor has no {choice}");
            continue;
        };
        assert_eq!(got, numbers_with(choice).unwrap(), "{choice}: other bits the second time");
        for (at, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert!((got - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{choice} [{at}]: {got}, not {expected}");
        }
    }
}

/// What the test above prints with a choice of instructions; none where the processor lacks them.
fn numbers_with(choice: &str) -> Option<Vec<f32>> {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "instructions::one_step_prints_its_numbers", "--nocapture"]).env(CHOICE, choice);
    let output = child.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let Some(line) = text.lines().find_map(|line| line.strip_prefix("numbers ")) else {
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(complaint.contains("this processor has"), "{choice}: {text}{complaint}");
        return None;
    };
    let (used, numbers) = line.split_once(' ').unwrap();
    assert_eq!(used, choice);
    Some(numbers.split(' ').map(|bits| f32::from_bits(u32::from_str_radix(bits, 16).unwrap())).collect())
}

/// A stack, a gate, a mixture and a loss, over 70 rows in two groups.
fn step() -> Vec<f32> {
    let mut g = Graph::new(2);
    let parameter = |g: &mut Graph, name: &str, dims: &[usize]| {
        let init = Init::Normal { std: 0.3 };
        g.parameter(ParamSpec { name: name.into(), dims: dims.to_vec(), init, scope: Scope::Shared, trainable: true })
    };
    let x = g.input("x", 21, true);
    let (targets, weights) = (g.input("targets", 1, false), g.input("weights", 1, false));
    let layers = [(Source::Shared, 21, 70), (Source::PerExpert, 70, 33)].map(|(source, inner, outer)| LinearOp {
        bias: Some(parameter(&mut g, &format!("b{inner}"), &[2, 4, outer])),
        groups: 2,
        experts: 4,
        source,
        routing: Routing::Own,
        activation: Activation::Relu,
        ..LinearOp::plain(parameter(&mut g, &format!("w{inner}"), &[2, 4, inner, outer]))
    });
    let experts = g.stack(x, &layers);
    let gate = parameter(&mut g, "gate", &[21, 4]);
    let gate = g.linear(x, LinearOp::plain(gate));
    let gate = g.softmax(gate, 4, None);
    let blocks = (0..4).map(|block| hinet_tape::Block::new(experts, block)).collect();
    let mixed = g.mixture(gate, vec![blocks], 33);
    let last = parameter(&mut g, "last", &[33, 1]);
    let logits = g.linear(mixed, LinearOp::plain(last));
    let loss = g.bce_with_logits(logits, targets, weights);

    let rows = 70;
    let data: Vec<f32> = (0..rows * 21).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect();
    let labels: Vec<f32> = (0..rows).map(|row| f32::from(u8::from(row % 3 == 0))).collect();
    let ones = vec![1.0; rows];
    let feed = Feed { rows, offsets: &[0, 40, 70], inputs: &[&data, &labels, &ones], indices: &[] };
    let params = Params::new(g.params(), |name| name.bytes().map(u64::from).sum());
    let mut gradients = Gradients::new(&params);
    let mut tape = Tape::new(g, 1);
    tape.forward(&params, &feed, Mode::Train { seed: 1 });
    tape.backward(&params, &feed, &[(loss, 1.0)], &mut gradients);
    [tape.value(loss), gradients.values(), tape.input_gradient(x)].concat()
}
