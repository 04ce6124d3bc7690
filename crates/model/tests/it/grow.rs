//! Models that go on with a scenario more.

use hinet_data::{Batch, Layout, Seed};
use hinet_model::{Model, Origin, Plan, PlanWorkspace, Tables, zoo};

use crate::fixture::{batch, layout};

fn scores(model: &Model, batch: &Batch) -> Vec<f32> {
    let (grouped, mut out) = (batch.grouped(model.layout.groups()), Vec::new());
    Plan::new(model).score(&mut PlanWorkspace::default(), &grouped, &mut out);
    out
}

/// The layout with a scenario and some ids more.
fn larger(layout: &Layout) -> Layout {
    let mut larger = layout.clone();
    larger.scenarios.push("new".to_owned());
    larger.scenario_rows.push(100);
    larger.tables[0].rows += 30;
    larger
}

/// Of every preset: rows of a new scenario that starts like an old one score as they would there, unless scenarios listen
/// to one another; ids that are new score as the unseen one.
#[test]
fn every_preset_with_shared_tables_goes_on_with_a_scenario_more() {
    let layout = layout();
    for preset in zoo::PRESETS {
        let name = preset.name;
        let mut config = preset.config();
        config.embedding.init_std = 0.5;
        let shared = config.tables == Tables::Shared;
        let model = Model::new(layout.clone(), config, Seed(4)).unwrap();
        let grown = model.grown(larger(&layout), &[Origin::Like(1)], Seed(4));
        if !shared {
            assert!(grown.unwrap_err().to_string().starts_with("`tables` is"), "{name}");
            continue;
        }
        let grown = grown.unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut rows = batch(&layout, 60, 3);
        rows.scenario.fill(1);
        let there = scores(&model, &rows);
        let listens = !model.network.crossing.is_empty() || name.contains("hinet") || name == "hmoe" || name == "m3oe";
        let kept = scores(&grown, &rows);
        rows.scenario.fill(3);
        let new = scores(&grown, &rows);
        for (what, found) in [("old", kept), ("new", new)] {
            assert!(found.iter().all(|score| (0.0..=1.0).contains(score)), "{name}, {what}");
            let apart = found.iter().zip(&there).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(listens || apart < 1e-6, "{name}, {what}: {apart}");
        }
        let dim = grown.embeddings.specs().next().unwrap().dim;
        let (known, added) = grown.embeddings.table(0).split_at(layout.tables[0].rows * dim);
        assert!(added.len() == 30 * dim && added.chunks_exact(dim).all(|row| *row == known[dim..2 * dim]), "{name}");
    }
}
