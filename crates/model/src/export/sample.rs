//! Rows drawn from a layout: every scenario, ids of all kinds. They are no data, but every path of a model runs on them.

use hinet_data::{Batch, Column, Layout, Seed, Slot, UnknownScenario};
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// Most ids of a row of a bag.
const PLACES: usize = 5;

/// Rows of every scenario in turn (unknown ones too where the layout scores them), with ids from all over their tables,
/// the reserved rows 0 and 1 often, and empty lists now and then. `weighted` says of each slot whether its ids have
/// weights. Not grouped; the same seed gives the same rows.
#[must_use]
pub fn synthetic_rows(layout: &Layout, weighted: &[bool], rows: usize, seed: Seed) -> Batch {
    let column = |(slot, (kind, weighted)): (usize, (&Slot, &bool))| {
        let mut draws = Xoshiro256PlusPlus::seed_from_u64(seed.stream("synthetic rows", slot as u64));
        column((layout, kind), *weighted, rows, &mut draws)
    };
    let scenarios = layout.scenarios.len() + usize::from(layout.unknown == UnknownScenario::Mean);
    Batch {
        rows,
        features: layout.slots.iter().zip(weighted).enumerate().map(column).collect(),
        scenario: (0..rows).map(|row| (row % scenarios) as u16).collect(),
        weight: vec![1.0; rows],
        position: (0..rows as u32).collect(),
        ..Batch::default()
    }
}

fn column((layout, slot): (&Layout, &Slot), weighted: bool, rows: usize, draws: &mut Xoshiro256PlusPlus) -> Column {
    match slot {
        Slot::Lookup { table, .. } => Column::Ids((0..rows).map(|_| id(layout.tables[*table].rows, draws)).collect()),
        Slot::Dense { width, .. } => Column::Dense((0..rows * width).map(|_| draws.random_range(-2.0..2.0)).collect()),
        Slot::Bag { table, .. } => {
            let (mut offsets, mut ids) = (vec![0], Vec::new());
            for _ in 0..rows {
                let places = draws.random_range(0..=PLACES);
                ids.extend((0..places).map(|_| id(layout.tables[*table].rows, draws)));
                offsets.push(ids.len() as u32);
            }
            let weights = weighted.then(|| ids.iter().map(|_| draws.random_range(0.0..2.0)).collect());
            Column::Bag { offsets, ids, weights }
        }
    }
}

/// A row of a table: a reserved one in a quarter of all cases.
fn id(rows: usize, draws: &mut Xoshiro256PlusPlus) -> u32 {
    let most = if draws.random_range(0..4) == 0 { rows.min(2) } else { rows };
    draws.random_range(0..most as u32)
}
