//! Artefacts that were written by older versions stay readable and score as they did.

use std::path::PathBuf;

use hinet_data::{EncodeCounts, Need, Order, Source};
use hinet_model::{Artefact, FORMAT_VERSION, Plan, PlanWorkspace};

fn committed(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/artefacts").join(name)
}

/// Scores of the committed rows in their order, row by row.
fn scores(artefact: &Artefact) -> Vec<f32> {
    let Artefact { encoder, model, .. } = artefact;
    let source = Source::open(&[committed("rows.csv")]).unwrap().with_text_columns(&encoder.text_columns());
    let rows = source.read(&encoder.columns(Need::Features), Order::InFile).unwrap().next().unwrap().unwrap();
    let batch = encoder.encode(&rows, Need::Features, &mut EncodeCounts::default()).unwrap();
    let batch = batch.grouped(encoder.layout().groups());
    let mut grouped = Vec::new();
    Plan::new(model).score(&mut PlanWorkspace::default(), &batch, &mut grouped);
    let mut scores = vec![0.0; grouped.len()];
    let tasks = model.layout.tasks.len();
    for (&place, row) in batch.position.iter().zip(grouped.chunks_exact(tasks)) {
        scores[place as usize * tasks..][..tasks].copy_from_slice(row);
    }
    scores
}

/// `format-1` and `scores.csv` were made by the commands `train` and `predict` of the commit before format 2.
#[test]
fn an_artefact_of_the_first_format_scores_as_it_did_and_is_saved_in_the_newest() {
    let text = std::fs::read_to_string(committed("scores.csv")).unwrap();
    let expected = text.lines().skip(1).flat_map(|line| line.split(','));
    let expected: Vec<f32> = expected.map(|score| score.parse().unwrap()).collect();
    let first = Artefact::load(&committed("format-1")).unwrap();
    assert_eq!((first.manifest.format_version, first.model.calibration()), (1, None));
    assert!(first.model.layout.tasks.iter().all(|task| task.negative_rate == 1.0));
    let found = scores(&first);
    assert!(found.len() == 18 && found.len() == expected.len(), "{} and {}", found.len(), expected.len());
    assert!(found.iter().zip(&expected).all(|(found, was)| (found - was).abs() < 1e-6), "{found:?} was {expected:?}");

    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    Artefact::save(&folder, &first.manifest.name, (&first.encoder, &first.model), &[]).unwrap();
    let newest = Artefact::load(&folder).unwrap();
    assert_eq!(newest.manifest.format_version, FORMAT_VERSION);
    assert_eq!(scores(&newest), found);
}
