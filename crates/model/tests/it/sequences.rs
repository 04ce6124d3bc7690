//! Sequences read item by item: what is looked up, which rows of tables move, and whose scores depend on what.

use hinet_data::{Batch, Column, Layout, Seed, Sequence, Slot};
use hinet_model::{
    AttentionConfig, CrossConfig, Model, ModelConfig, Plan, PlanWorkspace, SparseOptimiser, SparseOptimiserConfig,
    SparseOptimiserKind, zoo,
};

use crate::fixture::{self, Noise};

const LENGTH: usize = 3;
/// Places in the layout: the list, and what is said of its items.
const LISTS: [usize; 2] = [3, 7];

/// The layout of all tests with a list along `history`.
fn layout() -> Layout {
    let mut layout = fixture::layout();
    layout.slots.push(Slot::Bag { feature: "kinds".into(), table: 2, pooling: Default::default() });
    layout.sequences = vec![Sequence { slots: LISTS.to_vec(), length: LENGTH }];
    layout
}

/// Rows of it: as many kinds as items, up to four.
fn rows(count: usize) -> Batch {
    let mut batch = fixture::batch(&layout(), count, 8);
    let Column::Bag { offsets, .. } = batch.features[LISTS[0]].clone() else { panic!("a list") };
    let mut noise = Noise(4);
    let ids = (0..offsets[count]).map(|_| noise.below(13) as u32).collect();
    batch.features[LISTS[1]] = Column::Bag { offsets, ids, weights: None };
    batch.grouped(layout().groups())
}

fn model(preset: &str) -> Model {
    let attention = AttentionConfig { feature: "history".into(), target: Vec::new(), units: vec![4], softmax: None };
    let mut config = ModelConfig { sequence: vec![attention], ..zoo::find(preset).unwrap().config() };
    config.embedding.init_std = 0.5;
    Model::new(layout(), config, Seed(5)).unwrap()
}

/// The ids of a row's list.
fn items(batch: &Batch, list: usize, row: usize) -> Vec<usize> {
    let Column::Bag { offsets, ids, .. } = &batch.features[list] else { panic!("a list") };
    ids[offsets[row] as usize..offsets[row + 1] as usize].iter().map(|&id| id as usize).collect()
}

#[test]
fn items_stand_side_by_side_behind_what_is_pooled_with_zeros_and_flags() {
    for preset in ["hinet", "single_scenario"] {
        let (model, batch) = (model(preset), rows(200));
        let (layout, width) = (&model.layout, model.embeddings.width());
        let mut x = vec![f32::NAN; batch.rows * width];
        model.embeddings.gather(&batch, &mut x);
        let pooled: usize = (0..7).filter(|slot| *slot != LISTS[0]).map(|s| layout.slot_width(&layout.slots[s])).sum();
        for (row, x) in x.chunks_exact(width).enumerate() {
            let mut expected = Vec::new();
            for list in LISTS {
                let table = layout.slots[list].table().unwrap();
                let (spec, scenario) = (&layout.tables[table], usize::from(batch.scenario[row]));
                let base = if preset == "hinet" { Some(0) } else { (scenario < 3).then_some(scenario * spec.rows) };
                let ids = items(&batch, list, row);
                for place in 0..LENGTH {
                    let id = ids.get(place).zip(base).map(|(id, base)| base + id);
                    let values = model.embeddings.table(table);
                    expected.extend(id.map_or(vec![0.0; spec.dim], |id| values[id * spec.dim..][..spec.dim].to_vec()));
                }
            }
            let count = items(&batch, LISTS[0], row).len();
            expected.extend((0..LENGTH).map(|place| f32::from(u8::from(place < count))));
            assert_eq!(x[pooled..], expected, "{preset}, row {row}");
        }
    }
}

#[test]
fn a_step_moves_the_rows_of_items_that_were_kept_by_the_gradients_of_their_places() {
    let (mut model, batch) = (model("hinet"), rows(200));
    let (before, width) = (model.embeddings.clone(), model.embeddings.width());
    let mut noise = Noise(6);
    // Only the sequence learns; a place beyond the last item has a gradient, too, which goes nowhere.
    let start = width - LENGTH * (5 + 3 + 1);
    let mut gradient: Vec<f32> = (0..batch.rows * width).map(|_| noise.signed()).collect();
    gradient.chunks_exact_mut(width).for_each(|row| row[..start].fill(0.0));
    let optimiser = SparseOptimiserKind::Sgd;
    let config = SparseOptimiserConfig { optimiser, learning_rate: 1.0, ..SparseOptimiserConfig::default() };
    SparseOptimiser::new(&config, &model.embeddings).unwrap().step(&mut model.embeddings, &batch, &gradient);
    let mut start = start;
    for list in LISTS {
        let table = model.layout.slots[list].table().unwrap();
        let dim = model.layout.tables[table].dim;
        let mut expected = before.table(table).to_vec();
        for row in 0..batch.rows {
            for (place, id) in items(&batch, list, row).into_iter().take(LENGTH).enumerate() {
                let from = &gradient[row * width + start + place * dim..][..dim];
                expected[id * dim..][..dim].iter_mut().zip(from).for_each(|(value, g)| *value -= g);
            }
        }
        let close = model.embeddings.table(table).iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4);
        assert!(close, "table {table}");
        assert_ne!(model.embeddings.table(table), before.table(table));
        start += LENGTH * dim;
    }
}

#[test]
fn items_beyond_the_length_and_the_order_of_those_within_change_no_score() {
    let (model, batch) = (model("hinet"), rows(60));
    let score = |batch: &Batch| {
        let mut out = Vec::new();
        Plan::new(&model).score(&mut PlanWorkspace::default(), batch, &mut out);
        out
    };
    let change = |each: &dyn Fn(&mut [u32])| {
        let mut changed = batch.clone();
        for list in LISTS {
            let Column::Bag { offsets, ids, .. } = &mut changed.features[list] else { panic!("a list") };
            offsets.windows(2).for_each(|pair| each(&mut ids[pair[0] as usize..pair[1] as usize]));
        }
        changed
    };
    let plain = score(&batch);
    let beyond = change(&|ids| ids.iter_mut().skip(LENGTH).for_each(|id| *id = 2));
    assert_eq!(score(&beyond), plain);
    let turned = change(&|ids| {
        let kept = ids.len().min(LENGTH);
        ids[..kept].reverse();
    });
    for (a, b) in score(&turned).iter().zip(&plain) {
        assert!((a - b).abs() < 1e-6, "{a} and {b}");
    }
    let other = change(&|ids| ids.iter_mut().for_each(|id| *id = 2));
    assert_ne!(score(&other), plain);
}

#[test]
fn a_sequence_that_is_none_and_a_target_that_does_not_fit_are_refused_by_name() {
    let refused = |feature: &str, target: &[&str], preset: &str| {
        let target = target.iter().map(|&name| name.to_owned()).collect();
        let attention = AttentionConfig { feature: feature.into(), target, units: vec![4], softmax: None };
        let config = ModelConfig { sequence: vec![attention], ..zoo::find(preset).unwrap().config() };
        config.check(&layout()).unwrap_err().to_string()
    };
    let message = refused("tags", &[], "hinet");
    assert!(message.starts_with("`sequence.0.feature` is `tags`, expected a feature of kind"), "{message}");
    assert!(message.ends_with("(history)"), "{message}");
    let message = refused("history", &["item"], "hinet");
    assert!(message.ends_with("expected none, or a feature for each of history, kinds"), "{message}");
    let message = refused("history", &["item", "user"], "hinet");
    assert!(message.ends_with("one id per row and `dim` 3, as `kinds` has"), "{message}");
    let mut shared = layout();
    shared.slots.push(Slot::Lookup { feature: "item_before".into(), table: 1 });
    shared.slots.push(Slot::Lookup { feature: "tag".into(), table: 2 });
    let targets = |layout: &Layout, target: [&str; 2]| {
        let target = target.map(str::to_owned).to_vec();
        let attention = AttentionConfig { feature: "history".into(), target, units: vec![4], softmax: None };
        let config = ModelConfig { sequence: vec![attention], ..ModelConfig::default() };
        config.check(layout).map_err(|error| error.to_string())
    };
    assert_eq!(targets(&shared, ["item_before", "tag"]), Ok(()));
    shared.tables[2].dim = 5;
    let message = targets(&shared, ["tag", "item"]).unwrap_err();
    assert!(message.ends_with("is `tag`, expected item or item_before, which has the table of `history`"), "{message}");
    for preset in ["logistic", "single_task"] {
        let message = refused("history", &[], preset);
        assert!(message.starts_with("`sequence.0.feature` is `history`, expected a model whose"), "{message}");
    }
    let mut long = layout();
    long.sequences[0].length = 100_000;
    let message = model("hinet").config.check(&long).unwrap_err().to_string();
    assert!(message.contains("of 100000 items with 8 columns each, expected at most 131072 columns"), "{message}");
    let crossed = |layers, rank| {
        let config = ModelConfig { cross: CrossConfig { layers, rank: Some(rank) }, ..ModelConfig::default() };
        config.check(&layout()).map_err(|error| error.to_string())
    };
    let width: usize = layout().slots.iter().map(|slot| layout().slot_width(slot)).sum();
    assert_eq!(crossed(2, width), Ok(()));
    assert!(crossed(2, width + 1).unwrap_err().contains(&format!("expected at most {width}")));
    assert_eq!(crossed(0, 3).unwrap_err(), "`cross.rank` is 3, expected none without `cross.layers`");
    let twice = ModelConfig { sequence: vec![model("hinet").config.sequence[0].clone(); 2], ..ModelConfig::default() };
    assert!(twice.check(&layout()).unwrap_err().to_string().contains("twice"));
    let fm = ModelConfig { fm: true, ..ModelConfig::default() };
    let message = fm.check(&layout()).unwrap_err().to_string();
    assert!(message.starts_with("`fm` is true, with `dim` 8 of `user`"), "{message}");
}
