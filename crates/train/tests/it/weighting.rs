//! Steps whose objectives are weighed, beside the same from gradients of each objective by itself.

use hinet_data::{Batch, Column, Layout, Pooling, Seed, Slot, TableSpec, TaskSpec, UnknownScenario};
use hinet_model::{Model, ModelConfig, SparseOptimiserConfig, SparseOptimiserKind, zoo};
use hinet_tape::{DenseOptimiserConfig, OptimiserKind, Scope};
use hinet_train::{Objectives, Step, StepConfig, WeightingConfig, WeightingKind};

const ROWS: usize = 40;
const RATE: f32 = 0.05;

/// Two tasks in two scenarios; what is named in `muted` weighs nothing.
fn layout(muted: &[&str]) -> Layout {
    let table = |name: &str| TableSpec { name: name.to_owned(), rows: 9, dim: 3 };
    let task = |name: &str| TaskSpec { weight: if muted.contains(&name) { 0.0 } else { 1.0 }, ..TaskSpec::new(name) };
    Layout {
        sequences: Vec::new(),
        tables: vec![table("user"), table("tag"), table("best")],
        slots: vec![
            Slot::Lookup { feature: "user".to_owned(), table: 0 },
            Slot::Bag { feature: "tag".to_owned(), table: 1, pooling: Pooling::Mean },
            Slot::Bag { feature: "best".to_owned(), table: 2, pooling: Pooling::Max },
        ],
        scenarios: ["a", "b"].map(str::to_owned).to_vec(),
        scenario_rows: vec![20, 20],
        tasks: ["click", "order"].map(task).to_vec(),
        unknown: UnknownScenario::Error,
    }
}

/// Labels that pull against each other; `only` leaves the labels of one scenario.
fn batch(only: Option<u16>) -> Batch {
    let draw = |what: &str, row: usize, most: u64| (Seed(8).stream(what, row as u64) % most) as u32;
    let user: Vec<u32> = (0..ROWS).map(|row| 2 + draw("user", row, 7)).collect();
    let bag = |what: &str| {
        let ids = (0..2 * ROWS).map(|at| 2 + draw(what, at, 7)).collect();
        Column::Bag { offsets: (0..=ROWS).map(|row| 2 * row as u32).collect(), ids, weights: None }
    };
    let labels = (0..ROWS).flat_map(|row| {
        let click = user[row].is_multiple_of(2);
        [f32::from(u8::from(click)), f32::from(u8::from(!click ^ (draw("flip", row, 4) == 0)))]
    });
    let scenario: Vec<u16> = (0..ROWS as u16).map(|row| row % 2).collect();
    let is_seen = |scenario: &u16| only.is_none_or(|only| only == *scenario);
    Batch {
        rows: ROWS,
        labels: labels.collect(),
        observed: scenario.iter().flat_map(|scenario| [is_seen(scenario); 2]).collect(),
        features: vec![Column::Ids(user), bag("tag"), bag("best")],
        scenario,
        weight: vec![1.0; ROWS],
        position: (0..ROWS as u32).collect(),
        ..Batch::default()
    }
    .grouped(3)
}

fn model(preset: &str) -> Model {
    let options = serde_json::json!({ "preset": preset, "first_order": true });
    let mut config: ModelConfig = zoo::expand(options.as_object().unwrap()).unwrap();
    config.embedding.init_std = 0.5;
    Model::new(layout(&[]), config, Seed(2)).unwrap()
}

fn step_of(model: &Model, weighting: WeightingConfig) -> Step {
    let config = StepConfig {
        dense: DenseOptimiserConfig {
            optimiser: OptimiserKind::Sgd,
            learning_rate: RATE,
            ..DenseOptimiserConfig::default()
        },
        sparse: SparseOptimiserConfig {
            optimiser: SparseOptimiserKind::Sgd,
            learning_rate: RATE,
            ..SparseOptimiserConfig::default()
        },
        scenario_weight_power: 0.0,
        mask_loss: true,
        weighting,
        seed: Seed(4),
    };
    Step::new(model.clone(), &config, None).unwrap()
}

/// Everything that is learnt in one line, and which of it the objectives share.
fn all(model: &Model, is_shared: impl Fn(Scope) -> bool) -> (Vec<f32>, Vec<bool>) {
    let (mut values, mut shared) = (Vec::new(), Vec::new());
    for (index, spec) in model.params.specs().iter().enumerate().filter(|(_, spec)| spec.trainable) {
        values.extend_from_slice(model.params.at(index));
        shared.resize(values.len(), is_shared(spec.scope));
    }
    for (index, spec) in model.embeddings.specs().enumerate() {
        values.extend_from_slice(model.embeddings.table(index));
        shared.resize(values.len(), !spec.name.ends_with("/first_order") || is_shared(Scope::PerTask));
    }
    (values, shared)
}

struct Reference {
    /// `g_k`, over everything.
    gradients: Vec<Vec<f64>>,
    losses: Vec<f64>,
    shared: Vec<bool>,
}

/// The gradient of each objective alone, from what one step of gradient descent moves.
fn reference(model: &Model, objectives: Objectives) -> Reference {
    let of_scope = move |scope: Scope| match scope {
        Scope::Shared => true,
        Scope::PerScenario => objectives == Objectives::Tasks,
        Scope::PerTask => objectives == Objectives::Scenarios,
        Scope::PerScenarioTask => false,
    };
    let (before, shared) = all(model, of_scope);
    let parts: Vec<(&[&str], Option<u16>)> = match objectives {
        Objectives::Tasks => vec![(&["order"], None), (&["click"], None)],
        Objectives::Scenarios => vec![(&[], Some(0)), (&[], Some(1))],
        Objectives::Cells => {
            vec![(&["order"], Some(0)), (&["click"], Some(0)), (&["order"], Some(1)), (&["click"], Some(1))]
        }
    };
    let alone = |(muted, only): (&[&str], Option<u16>)| {
        let mut part = model.clone();
        part.layout = layout(muted);
        let mut step = step_of(&part, WeightingConfig::default());
        let loss = step.run(&batch(only), 0);
        let (after, _) = all(step.model(), of_scope);
        let gradient = before.iter().zip(&after).map(|(before, after)| f64::from(before - after) / f64::from(RATE));
        (gradient.collect(), f64::from(loss))
    };
    let (gradients, losses) = parts.into_iter().map(alone).unzip();
    Reference { gradients, losses, shared }
}

impl Reference {
    fn products(&self) -> Vec<Vec<f64>> {
        let product = |a: &Vec<f64>, b: &Vec<f64>| {
            let each = a.iter().zip(b).zip(&self.shared).filter(|(_, shared)| **shared);
            each.map(|((a, b), _)| a * b).sum::<f64>()
        };
        self.gradients.iter().map(|a| self.gradients.iter().map(|b| product(a, b)).collect()).collect()
    }

    /// What a step with these factors moves.
    fn moves(&self, factors: &[f64], all: bool) -> Vec<f64> {
        let of = |at: usize| {
            let weighed = all || self.shared[at];
            let each = self.gradients.iter().zip(factors);
            each.map(|(gradient, factor)| if weighed { factor * gradient[at] } else { gradient[at] }).sum()
        };
        (0..self.shared.len()).map(of).collect()
    }
}

fn moved(model: &Model, weighting: WeightingConfig) -> (Vec<f64>, Model) {
    let mut step = step_of(model, weighting);
    step.run(&batch(None), 0);
    let (before, _) = all(model, |_| true);
    let (after, _) = all(step.model(), |_| true);
    let moved = before.iter().zip(&after).map(|(before, after)| f64::from(before - after) / f64::from(RATE)).collect();
    (moved, step.into_model())
}

fn close(found: &[f64], expected: &[f64], what: &str) {
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() < 1e-5, "{what}, number {at}: {found}, expected {expected}");
    }
}

fn weighting(kind: WeightingKind, objectives: Objectives) -> WeightingConfig {
    WeightingConfig { kind, objectives, ..WeightingConfig::default() }
}

/// The factors of two objectives, by formulas of their own.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others do not combine gradients")]
fn factors_of_two(kind: WeightingKind, g: &[Vec<f64>]) -> Vec<f64> {
    match kind {
        WeightingKind::Pcgrad => {
            let against = g[0][1].min(0.0);
            vec![1.0 - against / g[0][0], 1.0 - against / g[1][1]]
        }
        WeightingKind::Mgda => {
            // Unit vectors: the middle is the shortest combination.
            let lengths = [g[0][0].sqrt(), g[1][1].sqrt()];
            let sum = 1.0 / lengths[0] + 1.0 / lengths[1];
            lengths.iter().map(|length| 2.0 / length / sum).collect()
        }
        WeightingKind::Cagrad => {
            let mean = (g[0][0] + 2.0 * g[0][1] + g[1][1]) / 4.0;
            let reach = 0.4 * mean.sqrt();
            let norm =
                |w: f64| (w * w * g[0][0] + 2.0 * w * (1.0 - w) * g[0][1] + (1.0 - w) * (1.0 - w) * g[1][1]).sqrt();
            let value = |w: f64| {
                let with_mean = (w * (g[0][0] + g[0][1]) + (1.0 - w) * (g[0][1] + g[1][1])) / 2.0;
                with_mean + reach * norm(w)
            };
            let grid = (0..=1_000_000).map(|at| f64::from(at) / 1e6);
            let w = grid.min_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap();
            vec![1.0 + 2.0 * reach / norm(w) * w, 1.0 + 2.0 * reach / norm(w) * (1.0 - w)]
        }
        other => panic!("{other:?} does not combine gradients"),
    }
}

#[test]
fn combined_gradients_are_those_of_each_objective_by_itself() {
    let kinds = [WeightingKind::Pcgrad, WeightingKind::Mgda, WeightingKind::Cagrad];
    for preset in ["hinet", "shared_bottom", "star"] {
        let model = model(preset);
        for objectives in [Objectives::Tasks, Objectives::Scenarios] {
            let reference = reference(&model, objectives);
            let products = reference.products();
            for kind in kinds {
                let what = format!("{preset}, {objectives:?}, {kind:?}");
                let (found, _) = moved(&model, weighting(kind, objectives));
                let expected = reference.moves(&factors_of_two(kind, &products), false);
                close(&found, &expected, &what);
                let plain = reference.moves(&[1.0, 1.0], false);
                let apart = found.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                let acts = kind != WeightingKind::Pcgrad || products[0][1] < 0.0;
                assert_eq!(apart > 1e-4, acts, "{what}: it differs from a plain step by {apart}");
            }
        }
    }
}

#[test]
fn the_tasks_of_the_fixture_conflict() {
    let products = reference(&model("shared_bottom"), Objectives::Tasks).products();
    assert!(products[0][1] < 0.0, "{products:?}");
}

#[test]
fn cells_are_weighed_over_what_all_share() {
    let model = model("hinet");
    let reference = reference(&model, Objectives::Cells);
    let (found, _) = moved(&model, weighting(WeightingKind::Mgda, Objectives::Cells));
    // Whatever the factors are, what cells do not share goes down the plain sum, and what they share another way.
    let plain = reference.moves(&[1.0; 4], false);
    let (mut own, mut common) = (0.0_f64, 0.0_f64);
    for ((found, plain), shared) in found.iter().zip(&plain).zip(&reference.shared) {
        let apart = if *shared { &mut common } else { &mut own };
        *apart = apart.max((found - plain).abs());
    }
    assert!(own < 1e-5 && common > 1e-3, "own {own}, shared {common}");
}

/// Weights that losses decide weigh everything, also what an objective owns; after several steps too.
#[test]
fn weights_of_losses_multiply_the_gradients() {
    for kind in [WeightingKind::Uncertainty, WeightingKind::Famo, WeightingKind::Gradnorm, WeightingKind::Dwa] {
        let mut config = weighting(kind, Objectives::Tasks);
        // A few short steps change losses by little: a sharp softmax sees it.
        (config.window, config.temperature) =
            if kind == WeightingKind::Dwa { (Some(1), Some(0.01)) } else { (None, None) };
        let start = model("hinet");
        let mut step = step_of(&start, config);
        for index in 0..4 {
            let before = step.model().clone();
            let (values, _) = all(&before, |_| true);
            step.run(&batch(None), index);
            let (after, _) = all(step.model(), |_| true);
            let found: Vec<f64> = values.iter().zip(&after).map(|(a, b)| f64::from(a - b) / f64::from(RATE)).collect();
            let reference = reference(&before, Objectives::Tasks);
            let factors = fitted(&reference, &found);
            close(&found, &reference.moves(&factors, true), &format!("{kind:?}, step {index}"));
            let even = factors.iter().all(|factor| (factor - 1.0).abs() < 1e-3);
            let starts_even = kind != WeightingKind::Famo;
            assert!(!even || (starts_even && index <= 2), "{kind:?}, step {index}: {factors:?}");
            if kind == WeightingKind::Famo && index == 0 {
                let [a, b] = [1.0 / reference.losses[0], 1.0 / reference.losses[1]];
                close(&factors, &[2.0 * a / (a + b), 2.0 * b / (a + b)], "FAMO starts with one over the loss");
            }
        }
    }
}

/// The two factors that explain a move best.
fn fitted(reference: &Reference, found: &[f64]) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let [a, b] = [&reference.gradients[0], &reference.gradients[1]];
    let (aa, ab, bb) = (dot(a, a), dot(a, b), dot(b, b));
    let (fa, fb) = (dot(a, found), dot(b, found));
    let det = aa * bb - ab * ab;
    vec![(fa * bb - fb * ab) / det, (fb * aa - fa * ab) / det]
}
