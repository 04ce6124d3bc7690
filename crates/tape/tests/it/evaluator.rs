//! Inference agrees with the tape, row by row.

use hinet_tape::{Evaluator, Mode, Tape, Workspace};

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

#[test]
fn threads_share_one_evaluator() {
    fn shared<T: Send + Sync>() {}
    shared::<Evaluator>();
    fn sent<T: Send>() {}
    sent::<Workspace>();
}
