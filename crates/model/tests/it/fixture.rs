//! Layouts and batches made by hand.

use hinet_data::{Batch, Column, Layout, Pooling, Sequence, Slot, TableSpec, TaskSpec, UnknownScenario};
use hinet_model::{
    AttentionConfig, CalibratedCell, Calibration, CalibrationMethod, CrossConfig, Curve, FittedOn, ModelConfig,
};

/// A small stream of numbers without a pattern.
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let z = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        z ^ (z >> 33)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Between -1 and 1.
    pub(crate) fn signed(&mut self) -> f32 {
        2.0 * self.unit() - 1.0
    }
}

/// Every kind of slot; `item` is read by two slots.
pub(crate) fn layout() -> Layout {
    let table = |name: &str, rows, dim| TableSpec { name: name.into(), rows, dim };
    let lookup = |feature: &str, table| Slot::Lookup { feature: feature.into(), table };
    let bag = |feature: &str, table, pooling| Slot::Bag { feature: feature.into(), table, pooling };
    Layout {
        sequences: vec![Sequence { slots: vec![3], length: 3 }],
        tables: vec![table("user", 700, 8), table("item", 40, 5), table("tag", 13, 3)],
        slots: vec![
            lookup("user", 0),
            lookup("item", 1),
            Slot::Dense { feature: "age".into(), width: 2 },
            bag("history", 1, Pooling::Mean),
            bag("tags", 2, Pooling::Max),
            bag("scored_tags", 2, Pooling::Sum),
            bag("shares", 2, Pooling::Mean),
        ],
        scenarios: ["home", "search", "cart"].map(str::to_owned).to_vec(),
        scenario_rows: vec![500, 300, 200],
        tasks: ["click", "order"].map(TaskSpec::new).to_vec(),
        unknown: UnknownScenario::Mean,
    }
}

/// HiNet with a sequence read item by item, the item of the row being its target, and with cross layers.
pub(crate) fn with_sequence(softmax: bool) -> ModelConfig {
    let attention = AttentionConfig {
        feature: "history".into(),
        target: vec!["item".into()],
        units: vec![6],
        softmax: Some(softmax),
    };
    let cross = CrossConfig { layers: 1, rank: Some(4) };
    ModelConfig { cross, sequence: vec![attention], ..ModelConfig::default() }
}

/// A curve of its own for every cell of a layout: by turns both kinds, and none.
pub(crate) fn calibration(layout: &Layout) -> Calibration {
    let scenarios = layout.scenarios.iter().cloned().map(Some).chain([None]);
    let cells =
        scenarios.flat_map(|scenario| layout.tasks.iter().map(move |task| (scenario.clone(), task.name.clone())));
    let cell = |(place, (scenario, task)): (usize, (Option<String>, String))| {
        let at = place as f64;
        let curve = match place % 3 {
            0 => Curve::Platt { a: 0.5 + at, b: 0.3 - 0.1 * at },
            1 => Curve::Isotonic { knots: vec![(0.1, 0.02 * at), (0.5, 0.4), (0.9, 0.75 + 0.01 * at)] },
            _ => Curve::Identity,
        };
        CalibratedCell { scenario, task, rows: 30, positives: 10, fitted_on: FittedOn::Cell, curve }
    };
    Calibration { method: CalibrationMethod::Platt, cells: cells.enumerate().map(cell).collect() }
}

/// Rows for [`layout`], not grouped; bags may be empty and may hold an id twice.
pub(crate) fn batch(layout: &Layout, rows: usize, seed: u64) -> Batch {
    let noise = &mut Noise(seed);
    let features = layout.slots.iter().map(|slot| column(layout, slot, rows, noise)).collect();
    let tasks = layout.tasks.len();
    let mut batch = Batch { rows, features, ..Batch::default() };
    batch.scenario = (0..rows).map(|_| noise.below(layout.groups()) as u16).collect();
    batch.labels = (0..rows * tasks).map(|_| noise.below(2) as f32).collect();
    batch.observed = vec![true; rows * tasks];
    batch.weight = vec![1.0; rows];
    batch.position = (0..rows as u32).collect();
    batch
}

fn column(layout: &Layout, slot: &Slot, rows: usize, noise: &mut Noise) -> Column {
    let id = |table: usize, noise: &mut Noise| {
        // Small ids are frequent, as in real data.
        let size = layout.tables[table].rows;
        let most = noise.below(size);
        noise.below(1 + most) as u32
    };
    match slot {
        Slot::Lookup { table, .. } => Column::Ids((0..rows).map(|_| id(*table, noise)).collect()),
        Slot::Dense { width, .. } => Column::Dense((0..rows * width).map(|_| noise.signed()).collect()),
        Slot::Bag { feature, table, .. } => {
            let mut offsets = vec![0];
            let mut ids = Vec::new();
            for _ in 0..rows {
                (0..noise.below(5)).for_each(|_| ids.push(id(*table, noise)));
                offsets.push(ids.len() as u32);
            }
            let weighted = matches!(feature.as_str(), "scored_tags" | "shares");
            // A weight of 0 now and then: its row counts for nothing.
            let weights = weighted.then(|| ids.iter().map(|_| (3.0 * noise.unit()).floor()).collect());
            Column::Bag { offsets, ids, weights }
        }
    }
}
