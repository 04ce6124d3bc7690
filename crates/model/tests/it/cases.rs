//! Small models that together use every option of every layer.

use hinet_model::{
    AdasparseConfig, Aesm2ScenarioConfig, Aesm2TaskConfig, AitmConfig, ApgCondition, ApgConfig, AttentionConfig,
    Backbone, CgcConfig, CgcGate, ConcatOrder, Counterfactual, CrossConfig, CrossStitchConfig, DbmtlConfig,
    DependsConfig, EpnetConfig, EsmmConfig, Gates, HamurConfig, HinetConfig, HmoeConfig, InputNorm, LinearConfig,
    M2mConfig, M3oeConfig, Mix, MmoeConfig, ModelConfig, PpnetConfig, ProductConfig, Pruner, SanGate, SanQuery,
    SarnetConfig, ScenarioLayerConfig, SnrConfig, SnrRouting, StarConfig, StarTransformConfig, Tables, TaskLayerConfig,
    TaskScope, TowerConfig,
};

/// Tasks of every case.
pub(crate) const TASKS: [&str; 3] = ["click", "view", "order"];
/// Columns of the dense input of every case.
pub(crate) const WIDTH: usize = 5;

pub(crate) fn hinet() -> HinetConfig {
    HinetConfig { sub_experts: 2, shared_sub_experts: 2, units: vec![4, 3], scenario_dim: 2, ..HinetConfig::default() }
}

pub(crate) fn cgc() -> CgcConfig {
    CgcConfig { shared: 2, specific: 2, expert_units: vec![4, 3], tower_units: vec![2], ..CgcConfig::default() }
}

fn order_after_click() -> Vec<ProductConfig> {
    vec![ProductConfig { task: "order".into(), of: vec!["click".into(), "order".into()] }]
}

fn order_of_both() -> Vec<ProductConfig> {
    vec![ProductConfig { task: "order".into(), of: vec!["view".into(), "click".into()] }]
}

pub(crate) fn scenario_layers() -> Vec<(&'static str, ScenarioLayerConfig)> {
    let row = HinetConfig { san_query: SanQuery::Row, ..hinet() };
    let layers = [
        ("default", hinet()),
        ("more shared sub-experts", HinetConfig { shared_sub_experts: 3, sub_experts: 1, units: vec![3], ..hinet() }),
        ("gates without bias", HinetConfig { gate_bias: false, ..hinet() }),
        ("gates with relu", HinetConfig { gate_relu: true, ..hinet() }),
        ("without san", HinetConfig { san: false, ..hinet() }),
        ("san with hidden layers", HinetConfig { san_hidden: vec![3, 2], san_relu: true, ..hinet() }),
        ("san without bias", HinetConfig { san_bias: false, ..hinet() }),
        ("san not renormalised", HinetConfig { san_renorm: false, ..hinet() }),
        ("san including self", HinetConfig { san_include_self: true, ..hinet() }),
        ("san per scenario", HinetConfig { san_per_scenario: true, san_hidden: vec![3], ..hinet() }),
        ("san without gradient", HinetConfig { san_stop_gradient: true, ..hinet() }),
        ("without shared experts", HinetConfig { shared_sub_experts: 0, ..hinet() }),
        ("without specific experts", HinetConfig { sub_experts: 0, ..hinet() }),
        ("san with a null slot", HinetConfig { san_gate: SanGate::Null, san_hidden: vec![3], ..hinet() }),
        ("san with a gate", HinetConfig { san_gate: SanGate::Sigmoid, san_renorm: false, ..hinet() }),
        ("san by row", row.clone()),
        ("san by row with hidden layers", HinetConfig { san_hidden: vec![3], san_relu: true, ..row.clone() }),
        ("san by row per scenario", HinetConfig { san_per_scenario: true, san_gate: SanGate::Sigmoid, ..row.clone() }),
        ("san by row with a null slot", HinetConfig { san_gate: SanGate::Null, san_renorm: false, ..row.clone() }),
        ("san by row including self", HinetConfig { san_include_self: true, san_gate: SanGate::Null, ..row.clone() }),
        ("san by row without gradient", HinetConfig { san_stop_gradient: true, ..row }),
        ("A, S, G", HinetConfig { concat_order: ConcatOrder::Asg, ..hinet() }),
    ];
    let mut layers: Vec<_> =
        layers.into_iter().map(|(name, config)| (name, ScenarioLayerConfig::Hinet(config))).collect();
    layers.push(("partitioned norm", ScenarioLayerConfig::PartitionedNorm(Default::default())));
    layers.extend(sarnet().into_iter().map(|(name, config)| (name, ScenarioLayerConfig::Sarnet(config))));
    layers.extend(adasparse().into_iter().map(|(name, config)| (name, ScenarioLayerConfig::Adasparse(config))));
    layers.extend(apg().into_iter().map(|(name, config)| (name, ScenarioLayerConfig::Apg(config))));
    layers.extend(hamur().into_iter().map(|(name, config)| (name, ScenarioLayerConfig::Hamur(config))));
    layers.push(("star transform", ScenarioLayerConfig::StarTransform(StarTransformConfig { transform_width: 4 })));
    layers.extend(aesm2_scenario().into_iter().map(|(name, config)| (name, ScenarioLayerConfig::Aesm2(config))));
    layers.extend(epnet().into_iter().map(|(name, config)| (name, ScenarioLayerConfig::Epnet(config))));
    layers
}

pub(crate) fn task_layers() -> Vec<(String, TaskLayerConfig)> {
    let scopes = [TaskScope::ScenarioTask, TaskScope::PerScenario, TaskScope::Task];
    let cgc = [
        ("cgc", cgc()),
        ("cgc with one layer", CgcConfig { expert_units: vec![3], ..cgc() }),
        ("cgc, summed", CgcConfig { cgc_gate: CgcGate::Sum, ..cgc() }),
        ("cgc, gates without bias", CgcConfig { cgc_gate_bias: false, ..cgc() }),
        ("cgc of two levels", CgcConfig { cgc_levels: 2, ..cgc() }),
        ("cgc of three levels, one layer", CgcConfig { cgc_levels: 3, expert_units: vec![3], ..cgc() }),
        ("cgc without shared experts", CgcConfig { shared: 0, cgc_levels: 2, ..cgc() }),
        ("cgc without specific experts", CgcConfig { specific: 0, cgc_levels: 2, ..cgc() }),
        ("cgc without hidden layers in towers", CgcConfig { tower_units: Vec::new(), ..cgc() }),
        ("cgc with a product", CgcConfig { product: order_after_click(), ..cgc() }),
        ("cgc with a product and fewer heads", CgcConfig { product: order_of_both(), ..cgc() }),
    ];
    let (towers, mmoe) = (towers(), mmoe());
    let mut layers = Vec::new();
    let ppnet = ppnet();
    for task_scope in scopes {
        let scoped = |name: &str| format!("{name}, scope {task_scope:?}");
        layers
            .extend(cgc.iter().map(|(name, config)| {
                (scoped(name), TaskLayerConfig::Cgc(CgcConfig { task_scope, ..config.clone() }))
            }));
        layers.extend(towers.iter().map(|(name, config)| {
            (scoped(name), TaskLayerConfig::Tower(TowerConfig { task_scope, ..config.clone() }))
        }));
        layers.extend(
            mmoe.iter().map(|(name, config)| {
                (scoped(name), TaskLayerConfig::Mmoe(MmoeConfig { task_scope, ..config.clone() }))
            }),
        );
        layers.extend(ppnet.iter().map(|(name, config)| {
            (scoped(name), TaskLayerConfig::Ppnet(PpnetConfig { task_scope, ..config.clone() }))
        }));
        layers.extend(scoped_related(task_scope).into_iter().map(|(name, layer)| (scoped(name), layer)));
    }
    layers.extend(hmoe().into_iter().map(|(name, config)| (name.to_owned(), TaskLayerConfig::Hmoe(config))));
    layers.extend(m2m().into_iter().map(|(name, config)| (name.to_owned(), TaskLayerConfig::M2m(config))));
    layers.extend(m3oe().into_iter().map(|(name, config)| (name.to_owned(), TaskLayerConfig::M3oe(config))));
    layers.extend(aesm2_task().into_iter().map(|(name, config)| (name.to_owned(), TaskLayerConfig::Aesm2(config))));
    layers.extend(star().into_iter().map(|(name, config)| (name.to_owned(), TaskLayerConfig::Star(config))));
    layers
}

fn towers() -> Vec<(&'static str, TowerConfig)> {
    let tower = TowerConfig { tower_units: vec![4, 2], ..TowerConfig::default() };
    vec![
        ("towers", tower.clone()),
        ("linear towers", TowerConfig { tower_units: Vec::new(), ..tower.clone() }),
        ("shared bottom", TowerConfig { bottom_units: vec![4, 3], ..tower.clone() }),
        (
            "shared bottom under linear towers",
            TowerConfig { bottom_units: vec![3], tower_units: Vec::new(), ..tower.clone() },
        ),
        ("towers with a product", TowerConfig { product: order_after_click(), ..tower }),
    ]
}

fn mmoe() -> Vec<(&'static str, MmoeConfig)> {
    let mmoe = MmoeConfig { experts: 3, expert_units: vec![4, 3], tower_units: vec![2], ..MmoeConfig::default() };
    vec![
        ("mmoe", mmoe.clone()),
        ("mmoe, gates with bias", MmoeConfig { mmoe_gate_bias: true, ..mmoe.clone() }),
        ("mmoe without hidden layers in towers", MmoeConfig { tower_units: Vec::new(), ..mmoe.clone() }),
        ("mmoe with a product and fewer heads", MmoeConfig { product: order_of_both(), ..mmoe.clone() }),
        ("omoe", MmoeConfig { gates: Gates::One, ..mmoe.clone() }),
        ("omoe, linear towers", MmoeConfig { gates: Gates::One, tower_units: Vec::new(), ..mmoe }),
    ]
}

fn hmoe() -> Vec<(&'static str, HmoeConfig)> {
    let hmoe = HmoeConfig { experts: 3, expert_units: vec![4, 3], tower_units: vec![2], ..HmoeConfig::default() };
    let crossing = HmoeConfig { mix_stop_gradient: false, ..hmoe.clone() };
    vec![
        ("hmoe without gradient to others", hmoe.clone()),
        ("hmoe", crossing.clone()),
        ("hmoe of linear towers", HmoeConfig { tower_units: Vec::new(), ..crossing.clone() }),
        ("hmoe with a product", HmoeConfig { product: order_after_click(), ..crossing.clone() }),
        ("hmoe of hidden layers", HmoeConfig { mix: Mix::Hidden, ..crossing.clone() }),
        ("hmoe of features", HmoeConfig { mix: Mix::Hidden, tower_units: Vec::new(), ..crossing }),
        ("hmoe of hidden layers without gradient to others", HmoeConfig { mix: Mix::Hidden, ..hmoe }),
    ]
}

fn star() -> Vec<(&'static str, StarConfig)> {
    let star = StarConfig { star_units: vec![4, 3], aux_width: 3, aux_scenario_dim: 2, ..StarConfig::default() };
    let trunk = StarConfig { star_per_task: false, ..star.clone() };
    vec![
        ("star", star.clone()),
        ("star without hidden layers", StarConfig { star_units: Vec::new(), ..star.clone() }),
        ("star without auxiliary network", StarConfig { aux_width: 0, ..star.clone() }),
        ("star with a product and fewer heads", StarConfig { product: order_of_both(), ..star }),
        ("star of one trunk", trunk.clone()),
        ("star of one trunk without auxiliary network", StarConfig { aux_width: 0, ..trunk }),
    ]
}

fn epnet() -> Vec<(&'static str, EpnetConfig)> {
    let epnet = EpnetConfig { scenario_dim: 2, ep_gate_width: 3, ..EpnetConfig::default() };
    vec![("epnet with a stopped gate", epnet.clone()), ("epnet", EpnetConfig { ep_stop_gradient: false, ..epnet })]
}

fn sarnet() -> Vec<(&'static str, SarnetConfig)> {
    let sarnet = SarnetConfig { scenario_experts: 2, shared_experts: 3, units: vec![4, 3], ..SarnetConfig::default() };
    vec![
        ("sarnet", sarnet.clone()),
        ("sarnet without shared experts", SarnetConfig { shared_experts: 0, units: vec![3], ..sarnet.clone() }),
        ("sarnet without experts of scenarios", SarnetConfig { scenario_experts: 0, ..sarnet }),
    ]
}

fn adasparse() -> Vec<(&'static str, AdasparseConfig)> {
    let fused = AdasparseConfig { scenario_dim: 2, units: vec![4, 3], ..AdasparseConfig::default() };
    let sharp = AdasparseConfig { prune_alpha: 3.0, prune_beta: 1.5, ..fused.clone() };
    vec![
        ("adasparse, scaled", AdasparseConfig { pruning: Pruner::Scale, ..sharp.clone() }),
        (
            "adasparse, fused and without gradient of the step",
            AdasparseConfig { prune_threshold: 0.5, ..sharp.clone() },
        ),
        (
            "adasparse, binarised and without gradient of the step",
            AdasparseConfig { pruning: Pruner::Binarise, ..sharp },
        ),
        // Nothing is below the threshold: the step is not met.
        ("adasparse, fused", AdasparseConfig { prune_threshold: 1e-6, ..fused }),
    ]
}

fn apg() -> Vec<(&'static str, ApgConfig)> {
    let apg = ApgConfig {
        scenario_dim: 2,
        units: vec![4, 3],
        apg_condition_units: vec![3],
        apg_rank: 2,
        ..ApgConfig::default()
    };
    let row = ApgConfig { apg_condition: ApgCondition::Row, ..apg.clone() };
    let deep = vec![3, 2];
    vec![
        ("apg", apg.clone()),
        ("apg with a deep condition", ApgConfig { apg_condition_units: deep.clone(), units: vec![3], ..apg }),
        ("apg by row", row.clone()),
        ("apg by row with a deep condition", ApgConfig { apg_condition_units: deep, ..row }),
    ]
}

fn hamur() -> Vec<(&'static str, HamurConfig)> {
    let hamur = HamurConfig {
        units: vec![4, 3],
        hyper_units: vec![3],
        adapter_rank: 2,
        adapter_units: 3,
        ..HamurConfig::default()
    };
    vec![
        ("hamur", hamur.clone()),
        ("hamur over a shared backbone", HamurConfig { adapter_backbone: Backbone::Shared, ..hamur.clone() }),
        ("hamur with a linear hyper-network", HamurConfig { hyper_units: Vec::new(), units: vec![3], ..hamur }),
    ]
}

fn m2m() -> Vec<(&'static str, M2mConfig)> {
    let m2m = M2mConfig {
        m2m_scenario_dim: 2,
        m2m_known_units: vec![3],
        experts: 3,
        expert_units: vec![4, 3],
        m2m_task_dim: 2,
        m2m_attention_units: vec![3],
        tower_units: vec![2],
        ..M2mConfig::default()
    };
    vec![
        ("m2m", m2m.clone()),
        ("m2m without hidden knowledge", M2mConfig { m2m_known_units: Vec::new(), ..m2m.clone() }),
        ("m2m of two layers each", M2mConfig { m2m_attention_units: vec![3, 2], m2m_tower_layers: 2, ..m2m.clone() }),
        ("m2m without meta tower", M2mConfig { m2m_tower_layers: 0, tower_units: Vec::new(), ..m2m.clone() }),
        ("m2m with a product and fewer heads", M2mConfig { product: order_of_both(), ..m2m }),
    ]
}

fn aesm2_scenario() -> Vec<(&'static str, Aesm2ScenarioConfig)> {
    // The oracle's loss is the cross-entropy alone.
    let aesm2 = Aesm2ScenarioConfig {
        scenario_dim: 2,
        select_experts: 5,
        units: vec![4, 3],
        select_divergence: 0.0,
        ..Aesm2ScenarioConfig::default()
    };
    vec![
        ("aesm2", aesm2.clone()),
        ("aesm2 of specific experts", Aesm2ScenarioConfig { select_shared: 0, ..aesm2.clone() }),
        ("aesm2 of shared experts", Aesm2ScenarioConfig { select_specific: 0, select_shared: 3, ..aesm2.clone() }),
        ("aesm2 of all experts", Aesm2ScenarioConfig { select_shared: 5, units: vec![3], ..aesm2 }),
    ]
}

fn aesm2_task() -> Vec<(&'static str, Aesm2TaskConfig)> {
    let aesm2 = Aesm2TaskConfig {
        indicator_scenario_dim: 2,
        indicator_task_dim: 3,
        experts: 5,
        expert_units: vec![6, 5],
        task_divergence: 0.0,
        tower_units: vec![4],
        ..Aesm2TaskConfig::default()
    };
    vec![
        ("aesm2", aesm2.clone()),
        ("aesm2 of specific experts", Aesm2TaskConfig { task_shared: 0, ..aesm2.clone() }),
        ("aesm2 with a product and fewer heads", Aesm2TaskConfig { product: order_of_both(), ..aesm2 }),
    ]
}

fn m3oe() -> Vec<(&'static str, M3oeConfig)> {
    let m3oe = M3oeConfig { experts: 3, expert_units: vec![4, 3], tower_units: vec![2], ..M3oeConfig::default() };
    vec![
        ("m3oe with a stopped gate", m3oe.clone()),
        ("m3oe with a stopped gate and a product", M3oeConfig { product: order_after_click(), ..m3oe.clone() }),
        ("m3oe of one gate", M3oeConfig { experts: 1, product: order_of_both(), ..m3oe }),
    ]
}

fn ppnet() -> Vec<(&'static str, PpnetConfig)> {
    let stopped = PpnetConfig { pp_gate_width: 3, tower_units: vec![4, 2], ..PpnetConfig::default() };
    let ppnet = PpnetConfig { pp_stop_gradient: false, ..stopped.clone() };
    vec![
        ("ppnet", ppnet.clone()),
        ("ppnet with a prior", PpnetConfig { priors: vec!["id".into()], ..ppnet.clone() }),
        ("ppnet with priors", PpnetConfig { priors: vec!["numbers".into(), "id".into()], ..ppnet.clone() }),
        ("ppnet of linear towers", PpnetConfig { tower_units: Vec::new(), ..ppnet.clone() }),
        ("ppnet with a product and fewer heads", PpnetConfig { product: order_of_both(), ..ppnet }),
        ("ppnet with a stopped gate", PpnetConfig { priors: vec!["ids".into()], ..stopped }),
    ]
}

/// Pairs of layers of different papers that each condition on the scenario, or read what does.
fn pairs() -> Vec<(String, ModelConfig)> {
    let epnet = || ScenarioLayerConfig::Epnet(epnet().remove(1).1);
    let model = |scenario, task| ModelConfig { scenario, task, ..ModelConfig::default() };
    vec![
        ("epnet with cgc".to_owned(), model(epnet(), TaskLayerConfig::Cgc(cgc()))),
        (
            "epnet with cgc of two levels".to_owned(),
            model(epnet(), TaskLayerConfig::Cgc(CgcConfig { cgc_levels: 2, ..cgc() })),
        ),
        ("epnet with m2m".to_owned(), model(epnet(), TaskLayerConfig::M2m(m2m().remove(0).1))),
        (
            "adasparse with m2m".to_owned(),
            model(ScenarioLayerConfig::Adasparse(adasparse().remove(0).1), TaskLayerConfig::M2m(m2m().remove(0).1)),
        ),
        (
            "aesm2 with ppnet".to_owned(),
            model(
                ScenarioLayerConfig::Aesm2(aesm2_scenario().remove(0).1),
                TaskLayerConfig::Ppnet(ppnet().remove(1).1),
            ),
        ),
        ("epnet with ppnet".to_owned(), model(epnet(), TaskLayerConfig::Ppnet(ppnet().remove(1).1))),
    ]
}

/// A task layer with its funnel named, where it has one: three tasks leave it open.
pub(crate) fn with_funnel(mut task: TaskLayerConfig) -> TaskLayerConfig {
    let funnel = TASKS.map(str::to_owned).to_vec();
    match &mut task {
        TaskLayerConfig::Esmm(config) => config.funnel = funnel,
        TaskLayerConfig::Aitm(config) => config.funnel = funnel,
        TaskLayerConfig::Cgc(_)
        | TaskLayerConfig::Tower(_)
        | TaskLayerConfig::Mmoe(_)
        | TaskLayerConfig::Hmoe(_)
        | TaskLayerConfig::Star(_)
        | TaskLayerConfig::CrossStitch(_)
        | TaskLayerConfig::Dbmtl(_)
        | TaskLayerConfig::Snr(_)
        | TaskLayerConfig::Ppnet(_)
        | TaskLayerConfig::M2m(_)
        | TaskLayerConfig::M3oe(_)
        | TaskLayerConfig::Aesm2(_)
        | TaskLayerConfig::Linear(_) => {}
    }
    task
}

/// Layers whose tasks read one another.
fn scoped_related(scope: TaskScope) -> Vec<(&'static str, TaskLayerConfig)> {
    let mut all = Vec::new();
    all.extend(esmm(scope).into_iter().map(|(name, config)| (name, TaskLayerConfig::Esmm(config))));
    all.extend(aitm(scope).into_iter().map(|(name, config)| (name, TaskLayerConfig::Aitm(config))));
    all.extend(stitch(scope).into_iter().map(|(name, config)| (name, TaskLayerConfig::CrossStitch(config))));
    all.extend(dbmtl(scope).into_iter().map(|(name, config)| (name, TaskLayerConfig::Dbmtl(config))));
    all.extend(snr(scope).into_iter().map(|(name, config)| (name, TaskLayerConfig::Snr(config))));
    all
}

/// A funnel of two of the three tasks, which is not their order in the data.
fn two_back() -> Vec<String> {
    vec!["order".to_owned(), "click".to_owned()]
}

fn esmm(task_scope: TaskScope) -> Vec<(&'static str, EsmmConfig)> {
    let funnel = TASKS.map(str::to_owned).to_vec();
    let esmm = EsmmConfig { task_scope, funnel, tower_units: vec![4, 2], ..EsmmConfig::default() };
    let ipw = EsmmConfig {
        counterfactual: Counterfactual::Ipw,
        counterfactual_weight: 0.7,
        propensity_floor: 0.3,
        ..esmm.clone()
    };
    let dr = EsmmConfig { counterfactual: Counterfactual::Dr, ..ipw.clone() };
    let above = |config: &EsmmConfig| EsmmConfig { bottom_units: vec![4], funnel: two_back(), ..config.clone() };
    vec![
        ("esmm over a bottom, beside another task", above(&esmm)),
        ("esmm of linear towers", EsmmConfig { tower_units: Vec::new(), ..esmm.clone() }),
        ("esmm", esmm),
        ("escm2-ipw over a bottom, beside another task", above(&ipw)),
        ("escm2-ipw", ipw),
        ("escm2-dr over a bottom, beside another task", above(&dr)),
        ("escm2-dr", dr),
    ]
}

fn aitm(task_scope: TaskScope) -> Vec<(&'static str, AitmConfig)> {
    let funnel = TASKS.map(str::to_owned).to_vec();
    let aitm = AitmConfig { task_scope, funnel, tower_units: vec![4, 3], ..AitmConfig::default() };
    vec![
        ("aitm", aitm.clone()),
        ("aitm without calibrator", AitmConfig { calibrator: 0.0, ..aitm.clone() }),
        (
            "aitm over a bottom, beside another task",
            AitmConfig { funnel: two_back(), bottom_units: vec![4], ..aitm.clone() },
        ),
        ("aitm with a product", AitmConfig { product: order_after_click(), ..aitm.clone() }),
        ("aitm with a product and fewer heads", AitmConfig { product: order_of_both(), ..aitm }),
    ]
}

fn stitch(task_scope: TaskScope) -> Vec<(&'static str, CrossStitchConfig)> {
    let stitch = CrossStitchConfig { task_scope, column_units: vec![4, 3], tower_units: vec![2], ..Default::default() };
    vec![
        ("cross-stitch", stitch.clone()),
        ("cross-stitch per unit", CrossStitchConfig { stitch_per_unit: true, ..stitch.clone() }),
        ("cross-stitch under linear towers", CrossStitchConfig { tower_units: Vec::new(), ..stitch.clone() }),
        ("cross-stitch with a product and fewer heads", CrossStitchConfig { product: order_of_both(), ..stitch }),
    ]
}

fn dbmtl(task_scope: TaskScope) -> Vec<(&'static str, DbmtlConfig)> {
    let dbmtl = DbmtlConfig {
        task_scope,
        bottom_units: vec![4],
        tower_units: vec![4, 3],
        relation_units: vec![2],
        ..DbmtlConfig::default()
    };
    let depends = |task: &str, on: &[&str]| DependsConfig {
        task: task.to_owned(),
        on: on.iter().map(|&name| name.to_owned()).collect(),
    };
    let depends = vec![depends("click", &["order"]), depends("view", &["order", "click"])];
    vec![
        ("dbmtl", dbmtl.clone()),
        ("dbmtl without a bottom", DbmtlConfig { bottom_units: Vec::new(), ..dbmtl.clone() }),
        ("dbmtl by named tasks", DbmtlConfig { depends, ..dbmtl.clone() }),
        ("dbmtl with a product", DbmtlConfig { product: order_after_click(), ..dbmtl.clone() }),
        ("dbmtl with a product and fewer heads", DbmtlConfig { product: order_of_both(), ..dbmtl }),
    ]
}

fn snr(task_scope: TaskScope) -> Vec<(&'static str, SnrConfig)> {
    let snr = SnrConfig {
        task_scope,
        sub_networks: 2,
        sub_network_units: vec![4, 3],
        snr_l0: 0.3,
        tower_units: vec![2],
        ..SnrConfig::default()
    };
    let aver = SnrConfig { snr_routing: SnrRouting::Aver, ..snr.clone() };
    vec![
        ("snr-trans", snr.clone()),
        ("snr-trans of one level, without L0", SnrConfig { snr_levels: 1, snr_l0: 0.0, ..snr.clone() }),
        ("snr-trans with a product and fewer heads", SnrConfig { product: order_of_both(), ..snr }),
        ("snr-aver", aver.clone()),
        ("snr-aver of three levels", SnrConfig { snr_levels: 3, sub_network_units: vec![3], ..aver.clone() }),
        ("snr-aver under linear towers", SnrConfig { tower_units: Vec::new(), ..aver }),
    ]
}

/// Who has tables of its own, first-order terms, and the norms that they bear upon.
fn inputs() -> Vec<(String, ModelConfig)> {
    let mut all = Vec::new();
    let identity = || ScenarioLayerConfig::Identity(Default::default());
    for product in [Vec::new(), order_of_both()] {
        let linear = TaskLayerConfig::Linear(LinearConfig { product: product.clone() });
        all.push((
            format!("linear with {} products", product.len()),
            ModelConfig { scenario: identity(), task: linear, ..ModelConfig::default() },
        ));
        for tables in [Tables::Shared, Tables::Scenario, Tables::Task, Tables::ScenarioTask] {
            for input_norm in [InputNorm::None, InputNorm::LayerNorm, InputNorm::BatchNorm] {
                for first_order in [true, false] {
                    let task_scope = if tables == Tables::Task { TaskScope::Task } else { TaskScope::ScenarioTask };
                    let tower = TowerConfig {
                        task_scope,
                        tower_units: vec![2],
                        product: product.clone(),
                        ..Default::default()
                    };
                    all.push((
                        format!(
                            "tables {tables:?}, {input_norm:?}, first order {first_order}, {} products",
                            product.len()
                        ),
                        ModelConfig {
                            input_norm,
                            tables,
                            first_order,
                            scenario: identity(),
                            task: TaskLayerConfig::Tower(tower),
                            ..ModelConfig::default()
                        },
                    ));
                }
            }
        }
    }
    all.extend(crossed());
    for (name, task) in task_layers().into_iter().filter(|(name, _)| !name.contains("bias") && !name.contains("level"))
    {
        let name = format!("hinet, {name}, first order");
        let scenario = ScenarioLayerConfig::Hinet(hinet());
        all.push((name, ModelConfig { first_order: true, scenario, task, ..ModelConfig::default() }));
    }
    all
}

/// Attention over the sequence that cases have.
fn attention(target: &[&str], softmax: Option<bool>, units: &[usize]) -> AttentionConfig {
    let target = target.iter().map(|&name| name.to_owned()).collect();
    AttentionConfig { feature: "ids".into(), target, units: units.to_vec(), softmax }
}

/// The item of a row, and what is said of it.
const TARGET: [&str; 2] = ["id", "id"];

/// Sequences by themselves and with all else that stands before the layers, in all ways of it.
fn before_layers() -> Vec<(String, ModelConfig)> {
    let sequences = [
        ("none", Vec::new()),
        ("pooled by attention", vec![attention(&[], None, &[3])]),
        ("pooled by attention without softmax, two layers", vec![attention(&[], Some(false), &[3, 2])]),
        ("with a target", vec![attention(&TARGET, None, &[3])]),
        ("with a target, softmax, two layers", vec![attention(&TARGET, Some(true), &[3, 2])]),
    ];
    let plain = |sequence: &Vec<AttentionConfig>| ModelConfig { sequence: sequence.clone(), ..ModelConfig::default() };
    let cross = |rank| CrossConfig { layers: 2, rank };
    let ways = |(about, sequence): &(&str, Vec<AttentionConfig>)| {
        let plain = plain(sequence);
        let layer_norm = ModelConfig { input_norm: InputNorm::LayerNorm, ..plain.clone() };
        let batch_norm = ModelConfig { input_norm: InputNorm::BatchNorm, ..plain.clone() };
        let ways = [
            ("plain", plain),
            ("cross", ModelConfig { cross: cross(None), ..layer_norm.clone() }),
            ("cross of rank 2, fm", ModelConfig { fm: true, cross: cross(Some(2)), ..batch_norm }),
            ("fm, first order", ModelConfig { fm: true, first_order: true, ..layer_norm }),
        ];
        ways.map(|(way, config)| (format!("sequence {about}, {way}"), config))
    };
    sequences.iter().flat_map(ways).collect()
}

/// Products of features and sequences before the layers, with every owner of tables.
pub(crate) fn crossed() -> Vec<(String, ModelConfig)> {
    let mut all = Vec::new();
    for tables in [Tables::Shared, Tables::Scenario, Tables::Task, Tables::ScenarioTask] {
        let task_scope = if tables == Tables::Task { TaskScope::Task } else { TaskScope::ScenarioTask };
        let tower = TowerConfig { task_scope, tower_units: vec![2], ..TowerConfig::default() };
        let fits = |(_, config): &(String, ModelConfig)| config.sequence.is_empty() || !tables.per_task();
        all.extend(before_layers().into_iter().filter(fits).map(|(name, config)| {
            let scenario = ScenarioLayerConfig::Identity(Default::default());
            let task = TaskLayerConfig::Tower(tower.clone());
            (format!("tables {tables:?}, {name}"), ModelConfig { tables, scenario, task, ..config })
        }));
    }
    let config = ModelConfig {
        fm: true,
        sequence: vec![attention(&TARGET, None, &[3])],
        scenario: ScenarioLayerConfig::Hinet(hinet()),
        ..ModelConfig::default()
    };
    let cross = CrossConfig { layers: 1, rank: None };
    let with_cgc = ModelConfig { cross, task: TaskLayerConfig::Cgc(cgc()), ..config.clone() };
    let priors = PpnetConfig {
        priors: vec!["ids".into()],
        tower_units: vec![2],
        pp_gate_width: 2,
        pp_stop_gradient: false,
        ..PpnetConfig::default()
    };
    let with_priors = ModelConfig { task: TaskLayerConfig::Ppnet(priors), ..config };
    all.push(("hinet, cgc, a sequence, fm and cross".to_owned(), with_cgc));
    all.push(("hinet, ppnet with a sequence as prior, fm".to_owned(), with_priors));
    all
}

/// Every scenario layer over the plainest task layer, every task layer over the plainest scenario layer and over
/// HiNet's, every norm of the input.
pub(crate) fn all() -> Vec<(String, ModelConfig)> {
    let norms = [InputNorm::None, InputNorm::LayerNorm, InputNorm::BatchNorm, InputNorm::FrozenAffine];
    let tower = || TaskLayerConfig::Tower(TowerConfig { tower_units: vec![2], ..TowerConfig::default() });
    let mut all = inputs();
    all.extend(pairs());
    for input_norm in norms {
        let scenario = ScenarioLayerConfig::Identity(Default::default());
        all.push((
            format!("{input_norm:?}"),
            ModelConfig { input_norm, scenario, task: tower(), ..ModelConfig::default() },
        ));
    }
    let model = |scenario, task| ModelConfig { scenario, task, ..ModelConfig::default() };
    for (name, scenario) in scenario_layers() {
        all.push((format!("{}, {name}", scenario.kind()), model(scenario, tower())));
    }
    for (name, task) in task_layers() {
        all.push((format!("identity, {name}"), model(ScenarioLayerConfig::Identity(Default::default()), task.clone())));
        all.push((format!("hinet, {name}"), model(ScenarioLayerConfig::Hinet(hinet()), task)));
    }
    all
}
