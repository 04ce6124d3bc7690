//! Requests: one user and many items, against the plan for any batch.

use hinet_data::{Batch, Seed};
use hinet_model::{InputNorm, Model, ModelConfig, Plan, PlanWorkspace, zoo};
use rayon::ThreadPoolBuilder;

use crate::fixture::{batch, layout, with_sequence};

/// Features of the user: a lookup, numbers and a bag; items have others of each kind but numbers.
const USER: [&str; 4] = ["user", "age", "history", "shares"];

/// Models of each preset, as it is and with everything that lies before the layers.
fn models() -> impl Iterator<Item = (String, Model)> {
    let norms = [InputNorm::None, InputNorm::LayerNorm, InputNorm::BatchNorm, InputNorm::FrozenAffine];
    let presets = zoo::PRESETS.iter().map(|preset| (preset.name, preset.config()));
    let configs = presets.chain([("attention", with_sequence(false))]).flat_map(move |(name, plain)| {
        let with = |norm| ModelConfig { input_norm: norm, first_order: true, ..plain.clone() };
        let varied: Vec<ModelConfig> = norms.into_iter().map(with).collect();
        std::iter::once(plain.clone()).chain(varied).map(move |config| (name, config))
    });
    configs.filter_map(|(name, mut config)| {
        config.embedding.init_std = 0.5;
        let what = format!("{name}, {:?}, first order {}", config.input_norm, config.first_order);
        Some((what, Model::new(layout(), config, Seed(5)).ok()?))
    })
}

/// A user in a scenario, and items.
fn request(items: usize, scenario: u16) -> (Batch, Batch) {
    let mut user = batch(&layout(), 1, 3);
    user.scenario[0] = scenario;
    (user, batch(&layout(), items, 4))
}

/// The same rows as any batch has them, grouped.
fn as_rows(user: &Batch, items: &Batch) -> Batch {
    let layout = layout();
    let mut rows = user.take(&vec![0; items.rows]);
    for (feature, slot) in layout.slots.iter().enumerate() {
        if !USER.contains(&slot.feature()) {
            rows.features[feature] = items.features[feature].clone();
        }
    }
    rows.position = (0..items.rows as u32).collect();
    rows.grouped(layout.groups())
}

#[test]
fn a_request_scores_as_its_rows_do_in_any_batch() {
    let mut spared = 0;
    for (name, model) in models() {
        let (plain, requests) = (Plan::new(&model), Plan::for_requests(&model, &USER).unwrap());
        spared += usize::from(requests.spared_per_item() > 0);
        let mut workspace = PlanWorkspace::default();
        for (items, scenario) in [(300, 0), (1, 1), (5, 2), (140, 3), (0, 1)] {
            let (user, items) = request(items, scenario);
            let (mut got, mut expected) = (Vec::new(), Vec::new());
            requests.score(&mut workspace, &user, &items, &mut got);
            plain.score(&mut PlanWorkspace::default(), &as_rows(&user, &items), &mut expected);
            assert_eq!(got.len(), expected.len(), "{name}");
            for (got, expected) in got.iter().zip(&expected) {
                assert!((got - expected).abs() < 1e-5, "{name}, scenario {scenario}: {got}, expected {expected}");
            }
        }
    }
    assert!(spared > 2 * zoo::PRESETS.len(), "only {spared} models spare their items anything");
}

#[test]
fn hinet_spares_items_the_users_part_of_experts_and_gates_and_nothing_behind_a_layer_norm() {
    let config = zoo::find("hinet").unwrap().config();
    let model = Model::new(layout(), config.clone(), Seed(5)).unwrap();
    // `user` is 8 wide, `age` 2, `history` 5 and `shares` 3; the shared expert and one of each scenario, of 4 sub-experts
    // whose first layer is 128 wide and a gate over them.
    let expected = (8 + 2 + 5 + 3) * (1 + 3) * (4 * 128 + 4);
    assert_eq!(Plan::for_requests(&model, &USER).unwrap().spared_per_item(), expected);
    let config = ModelConfig { input_norm: InputNorm::LayerNorm, ..config };
    let model = Model::new(layout(), config, Seed(5)).unwrap();
    assert_eq!(Plan::for_requests(&model, &USER).unwrap().spared_per_item(), 0);
}

#[test]
fn the_items_of_a_request_get_the_same_bits_from_any_number_of_threads_and_after_any_other_request() {
    let model = Model::new(layout(), ModelConfig::default(), Seed(5)).unwrap();
    let requests = Plan::for_requests(&model, &USER).unwrap();
    let (user, items) = request(700, 1);
    let mut alone = Vec::new();
    requests.score(&mut PlanWorkspace::default(), &user, &items, &mut alone);
    let pool = ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let mut workspace = PlanWorkspace::default();
    for other in [0, 2, 3] {
        let (user_of_other, items_of_other) = request(400, other);
        let mut got = Vec::new();
        pool.install(|| requests.score(&mut workspace, &user_of_other, &items_of_other, &mut got));
        pool.install(|| requests.score(&mut workspace, &user, &items, &mut got));
        assert_eq!(got, alone);
    }
}

#[test]
fn a_feature_that_is_not_there_is_named() {
    let model = Model::new(layout(), ModelConfig::default(), Seed(5)).unwrap();
    let error = Plan::for_requests(&model, &["user", "city"]).unwrap_err().to_string();
    assert_eq!(error, "`user_features` is city, expected one of user, item, age, history, tags, scored_tags, shares");
}
