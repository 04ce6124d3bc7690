//! Every layer as plain loops over one row in double precision, written from the papers' equations and the names and
//! dims of parameters alone.

mod adasparse;
mod aesm2;
mod generated;
mod input;
mod m3oe;
mod pepnet;
mod related;
mod sarnet;

pub(crate) use related::Row;

use std::collections::BTreeMap;

use hinet_model::{
    CgcConfig, CgcGate, ConcatOrder, Gates, HinetConfig, HmoeConfig, IdentityConfig, LinearConfig, Mix, MmoeConfig,
    ModelConfig, ProductConfig, SanGate, SanQuery, ScenarioLayerConfig, StarConfig, TaskLayerConfig, TaskScope,
    TowerConfig,
};
use hinet_tape::Params;

/// A model as the oracle reads it.
pub(crate) struct Oracle<'a> {
    pub(crate) config: &'a ModelConfig,
    pub(crate) params: BTreeMap<String, Vec<f64>>,
    pub(crate) scenarios: usize,
    pub(crate) tasks: &'a [&'a str],
}

/// Which network: a block, and inside it a part of so many that share it.
type At = (usize, usize, usize);

impl<'a> Oracle<'a> {
    pub(crate) fn new(config: &'a ModelConfig, params: &Params, scenarios: usize, tasks: &'a [&'a str]) -> Oracle<'a> {
        let values = |index: usize| params.at(index).iter().map(|&value| f64::from(value)).collect();
        let params = params.specs().iter().enumerate().map(|(index, spec)| (spec.name.clone(), values(index)));
        Oracle { config, params: params.collect(), scenarios, tasks }
    }

    /// Probability of each task for a row of a scenario; none is an unknown one.
    pub(crate) fn score(&self, x: &[f64], scenario: Option<usize>) -> Vec<f64> {
        match scenario {
            Some(own) => self.score_by_heads_of(x, own, own),
            None => {
                let (deep, first) = self.input(x, 0);
                let c = self.scenario_layer(&deep, None);
                let all = (0..self.scenarios).map(|view| self.task_layer(&deep, (&c, &first), view));
                let all: Vec<Vec<f64>> = all.collect();
                (0..self.tasks.len()).map(|task| mean(all.iter().map(|p| p[task]))).collect()
            }
        }
    }

    /// As [`Oracle::score`], with the heads of scenario `view`.
    pub(crate) fn score_by_heads_of(&self, x: &[f64], own: usize, view: usize) -> Vec<f64> {
        let (deep, first) = self.input(x, own);
        self.task_layer(&deep, (&self.scenario_layer(&deep, Some(own)), &first), view)
    }

    fn get(&self, name: &str) -> &[f64] {
        self.params.get(name).unwrap_or_else(|| panic!("no parameter `{name}`"))
    }

    fn scenario_layer(&self, x: &[f64], scenario: Option<usize>) -> Vec<f64> {
        match &self.config.scenario {
            ScenarioLayerConfig::Hinet(config) => self.hinet(config, x, scenario),
            ScenarioLayerConfig::Identity(IdentityConfig {}) => x.to_vec(),
            ScenarioLayerConfig::PartitionedNorm(_) => self.each(scenario, |own| self.partitioned_norm(x, own)),
            ScenarioLayerConfig::Epnet(_) => self.each(scenario, |own| self.epnet(x, own)),
            ScenarioLayerConfig::StarTransform(_) => self.each(scenario, |own| self.star_transform(x, own)),
            ScenarioLayerConfig::Aesm2(config) => self.each(scenario, |own| self.aesm2_scenario(config, x, own).0),
            ScenarioLayerConfig::Sarnet(config) => self.each(scenario, |own| self.sarnet(config, x, own)),
            ScenarioLayerConfig::Adasparse(config) => self.each(scenario, |own| self.adasparse(config, x, own)),
            ScenarioLayerConfig::Apg(config) => self.each(scenario, |own| self.apg(config, x, own)),
            ScenarioLayerConfig::Hamur(config) => self.each(scenario, |own| self.hamur(config, x, own)),
        }
    }

    /// What a row is in its scenario; if that is unknown, the mean over all.
    fn each(&self, scenario: Option<usize>, of: impl Fn(usize) -> Vec<f64>) -> Vec<f64> {
        let all = || {
            mix(&vec![1.0 / self.scenarios as f64; self.scenarios], &(0..self.scenarios).map(&of).collect::<Vec<_>>())
        };
        scenario.map_or_else(all, &of)
    }

    /// From the dense input and what a task layer reads: the scenario layer's columns, and the first-order term of each task.
    fn task_layer(&self, deep: &[f64], read: (&[f64], &[f64]), view: usize) -> Vec<f64> {
        match &self.config.task {
            TaskLayerConfig::Cgc(config) => self.cgc(config, read, view),
            TaskLayerConfig::Tower(config) => self.tower(config, read, view),
            TaskLayerConfig::Mmoe(config) => self.mmoe(config, read, view),
            TaskLayerConfig::Hmoe(config) => self.hmoe(config, read, view),
            TaskLayerConfig::Star(config) => self.star(config, read, view),
            TaskLayerConfig::Ppnet(config) => self.ppnet(config, deep, read, view),
            TaskLayerConfig::M2m(config) => self.m2m(config, read, view),
            TaskLayerConfig::M3oe(config) => self.m3oe(config, read, view),
            TaskLayerConfig::Aesm2(config) => self.aesm2_task(config, read, view).0,
            TaskLayerConfig::Esmm(config) => self.esmm(config, read, view),
            TaskLayerConfig::Aitm(config) => self.aitm(config, read, view),
            TaskLayerConfig::CrossStitch(config) => self.cross_stitch(config, read, view),
            TaskLayerConfig::Dbmtl(config) => self.dbmtl(config, read, view),
            TaskLayerConfig::Snr(config) => self.snr(config, read, view),
            TaskLayerConfig::Linear(config) => self.linear(config, read.1),
        }
    }

    /// `x W + b` of one network.
    fn dense(&self, name: &str, at: At, x: &[f64], width: usize) -> Vec<f64> {
        let (block, part, parts) = at;
        let weight = self.get(&format!("{name}.weight"));
        let row = width * parts;
        (part * width..(part + 1) * width)
            .map(|o| {
                let bias = self.params.get(&format!("{name}.bias")).map_or(0.0, |bias| bias[block * row + o]);
                bias + (0..x.len()).map(|i| x[i] * weight[(block * x.len() + i) * row + o]).sum::<f64>()
            })
            .collect()
    }

    /// Layers with ReLU after each. The first may be a part of a wide block; the later ones are number `later`.
    fn mlp(&self, name: &str, (first, later): (At, usize), x: &[f64], units: &[usize]) -> Vec<f64> {
        let mut h = x.to_vec();
        for (number, &width) in units.iter().enumerate() {
            let at = if number == 0 { first } else { (later, 0, 1) };
            h = relu(self.dense(&format!("{name}.{number}"), at, &h, width));
        }
        h
    }

    // HiNet, sections 1.2 to 1.6 of the specification.

    fn hinet(&self, config: &HinetConfig, x: &[f64], scenario: Option<usize>) -> Vec<f64> {
        let shared = (config.shared_sub_experts > 0)
            .then(|| self.sei(config, "scenario.shared", (0, config.shared_sub_experts), x));
        let specific: Vec<Vec<f64>> = (0..self.scenarios)
            .filter(|_| config.sub_experts > 0)
            .map(|m| self.sei(config, "scenario.specific", (m, config.sub_experts), x))
            .collect();
        let all: Vec<f64> = vec![1.0 / self.scenarios as f64; self.scenarios];
        let with_san = config.san && self.scenarios > 1;
        let own = || scenario.map_or_else(|| mix(&all, &specific), |own| specific[own].clone());
        let own = (config.sub_experts > 0).then(own);
        let attended = (with_san && config.sub_experts > 0).then(|| match scenario {
            Some(own) => mix(&self.alpha(config, own, x, &specific), &specific),
            None => mix(&all, &specific),
        });
        let parts = [shared, own, attended];
        let parts = parts.into_iter().flatten();
        match config.concat_order {
            ConcatOrder::Gsa => parts.flatten().collect(),
            ConcatOrder::Asg => parts.rev().flatten().collect(),
        }
    }

    fn sei(&self, config: &HinetConfig, name: &str, (expert, count): (usize, usize), x: &[f64]) -> Vec<f64> {
        let sub_expert = |k: usize| {
            let block = expert * count + k;
            self.mlp(name, ((block, 0, 1), block), x, &config.units)
        };
        let sub_experts: Vec<Vec<f64>> = (0..count).map(sub_expert).collect();
        let z = self.dense(&format!("{name}.gate"), (expert, 0, 1), x, count);
        mix(&softmax(&if config.gate_relu { relu(z) } else { z }), &sub_experts)
    }

    fn alpha(&self, config: &HinetConfig, own: usize, x: &[f64], specific: &[Vec<f64>]) -> Vec<f64> {
        let dim = config.scenario_dim;
        let at = (if config.san_per_scenario { own } else { 0 }, 0, 1);
        let mut h = self.get("scenario.san.embedding")[own * dim..(own + 1) * dim].to_vec();
        if config.san_query == SanQuery::Row {
            h.extend(x);
        }
        for (number, &width) in config.san_hidden.iter().enumerate() {
            h = relu(self.dense(&format!("scenario.san.{number}"), at, &h, width));
        }
        let z = match config.san_query {
            SanQuery::Scenario => self.dense("scenario.san.logits", at, &h, self.scenarios),
            SanQuery::Row => {
                let width = specific[0].len();
                let query = self.dense("scenario.san.query", at, &h, width);
                let product = |key: &Vec<f64>| query.iter().zip(key).map(|(q, k)| q * k).sum::<f64>();
                specific.iter().map(|key| product(key) / (width as f64).sqrt()).collect()
            }
        };
        let mut z = if config.san_relu { relu(z) } else { z };
        if config.san_gate == SanGate::Null {
            z.extend(self.dense("scenario.san.null", at, &h, 1));
        }
        let mut alpha = softmax(&z);
        if !config.san_include_self {
            alpha[own] = 0.0;
            let rest: f64 = alpha.iter().sum();
            alpha.iter_mut().for_each(|alpha| *alpha /= if config.san_renorm { rest } else { 1.0 });
        }
        alpha.truncate(self.scenarios);
        if config.san_gate == SanGate::Sigmoid {
            let open = sigmoid(self.dense("scenario.san.open", at, &h, 1)[0]);
            alpha.iter_mut().for_each(|alpha| *alpha *= open);
        }
        alpha
    }

    // Task layers, section 1.7; several levels, section 4.3.

    fn tower(&self, config: &TowerConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let pool = if config.task_scope == TaskScope::PerScenario { view } else { 0 };
        let c = &self.mlp("task.bottom", ((pool, 0, 1), pool), c, &config.bottom_units);
        let logits = (0..heads.len()).map(|head| {
            let block = self.head_block(config.task_scope, heads.len(), view, head);
            let task = self.task(heads[head]);
            let width = c.len() / self.copies();
            let read = if self.copies() == 1 { c } else { &c[task * width..(task + 1) * width] };
            self.logit(block, read, &config.tower_units)
        });
        self.probabilities(&config.product, &heads, (&logits.collect::<Vec<_>>(), first))
    }

    fn logit(&self, block: usize, h: &[f64], units: &[usize]) -> f64 {
        let h = self.mlp("task.tower", ((block, 0, 1), block), h, units);
        self.dense("task.tower.logit", (block, 0, 1), &h, 1)[0]
    }

    fn linear(&self, config: &LinearConfig, first: &[f64]) -> Vec<f64> {
        let heads = self.heads(&config.product);
        self.probabilities(&config.product, &heads, (self.get("task.bias"), first))
    }

    // MMoE and OMoE, section 4.2.

    fn mmoe(&self, config: &MmoeConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let pool = if config.task_scope == TaskScope::PerScenario { view } else { 0 };
        let experts: Vec<Vec<f64>> = (0..config.experts)
            .map(|k| {
                let block = pool * config.experts + k;
                self.mlp("task.expert", ((block, 0, 1), block), c, &config.expert_units)
            })
            .collect();
        let logits = (0..heads.len()).map(|head| {
            let block = self.head_block(config.task_scope, heads.len(), view, head);
            let gate = if config.gates == Gates::One { pool } else { block };
            let gate = softmax(&self.dense("task.gate", (gate, 0, 1), c, config.experts));
            self.logit(block, &mix(&gate, &experts), &config.tower_units)
        });
        self.probabilities(&config.product, &heads, (&logits.collect::<Vec<_>>(), first))
    }

    // HMoE, section 4.4.

    fn hmoe(&self, config: &HmoeConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let experts: Vec<Vec<f64>> =
            (0..config.experts).map(|k| self.mlp("task.expert", ((k, 0, 1), k), c, &config.expert_units)).collect();
        let features =
            |block: usize| mix(&softmax(&self.dense("task.gate", (block, 0, 1), c, config.experts)), &experts);
        let of_head = |head: usize| {
            let weights = softmax(&self.dense("task.mix", (view * heads.len() + head, 0, 1), c, self.scenarios));
            let blocks = (0..self.scenarios).map(|m| m * heads.len() + head);
            match config.mix {
                Mix::Scores => {
                    let term = first[self.task(heads[head])];
                    let score = |block| sigmoid(term + self.logit(block, &features(block), &config.tower_units));
                    weights.iter().zip(blocks).map(|(weight, block)| weight * score(block)).sum()
                }
                Mix::Hidden => {
                    let hidden =
                        |block| self.mlp("task.tower", ((block, 0, 1), block), &features(block), &config.tower_units);
                    let mixed = mix(&weights, &blocks.map(hidden).collect::<Vec<_>>());
                    let logit = self.dense("task.tower.logit", (view * heads.len() + head, 0, 1), &mixed, 1)[0];
                    sigmoid(logit + first[self.task(heads[head])])
                }
            }
        };
        let scores: Vec<f64> = (0..heads.len()).map(of_head).collect();
        self.products(&config.product, &heads, &scores)
    }

    // STAR, section 4.5.

    fn partitioned_norm(&self, x: &[f64], own: usize) -> Vec<f64> {
        let of = |name: &str, column: usize| self.get(&format!("scenario.norm.{name}"))[column];
        let column = |(c, z): (usize, &f64)| {
            let at = own * x.len() + c;
            let normal = (z - of("mean", at)) / (of("variance", at) + 1e-5).sqrt();
            of("gain", c) * of("own_gain", at) * normal + of("bias", c) + of("own_bias", at)
        };
        x.iter().enumerate().map(column).collect()
    }

    fn star(&self, config: &StarConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let logits = (0..heads.len()).map(|head| {
            let (count, centre) = if config.star_per_task { (heads.len(), head) } else { (1, 0) };
            let mut h = c.to_vec();
            for (number, &width) in config.star_units.iter().enumerate() {
                let at = (view * count + centre, centre, (0, 1));
                h = relu(self.star_dense(&number.to_string(), at, &h, width));
            }
            // Without stars per task, the logits of a scenario are columns of one matrix.
            let column = if config.star_per_task { (0, 1) } else { (head, heads.len()) };
            let main = self.star_dense("logit", (view * count + centre, centre, column), &h, 1)[0];
            main + if config.aux_width == 0 { 0.0 } else { self.auxiliary(config, c, (view, head)) }
        });
        self.probabilities(&config.product, &heads, (&logits.collect::<Vec<_>>(), first))
    }

    /// `(W * W_p) x + b + b_p`: own block, block of the centre, and of the columns which part of so many.
    fn star_dense(&self, layer: &str, at: (usize, usize, (usize, usize)), x: &[f64], width: usize) -> Vec<f64> {
        let (own, centre, (part, parts)) = at;
        let row = width * parts;
        let of = |bank: &str, what: &str, at: usize| self.get(&format!("task.{bank}.{layer}.{what}"))[at];
        let out = |o: usize| {
            let o = part * width + o;
            let product = |i: usize| {
                let at = |block: usize| (block * x.len() + i) * row + o;
                x[i] * of("star", "weight", at(own)) * of("centre", "weight", at(centre))
            };
            let bias = of("star", "bias", own * row + o) + of("centre", "bias", centre * row + o);
            bias + (0..x.len()).map(product).sum::<f64>()
        };
        (0..width).map(out).collect()
    }

    /// Logit of the auxiliary network on `[e_p; x]`.
    fn auxiliary(&self, config: &StarConfig, x: &[f64], (view, head): (usize, usize)) -> f64 {
        let block = if config.star_per_task { head } else { 0 };
        let dim = config.aux_scenario_dim;
        let embedding = &self.get("task.aux.embedding")[view * dim..(view + 1) * dim];
        let of_row = self.dense("task.aux.0", (block, 0, 1), x, config.aux_width);
        let of_scenario = self.dense("task.aux.scenario", (block, 0, 1), embedding, config.aux_width);
        let hidden = relu(of_row.iter().zip(of_scenario).map(|(row, scenario)| row + scenario).collect());
        self.dense("task.aux.logit", (head, 0, 1), &hidden, 1)[0]
    }

    fn cgc(&self, config: &CgcConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let mut own = vec![c.to_vec(); heads.len()];
        let mut shared = c.to_vec();
        for level in 0..config.cgc_levels {
            (own, shared) = self.cgc_level(config, (level, view), &own, &shared);
        }
        let logits = own.iter().enumerate().map(|(head, h)| {
            self.logit(self.head_block(config.task_scope, heads.len(), view, head), h, &config.tower_units)
        });
        self.probabilities(&config.product, &heads, (&logits.collect::<Vec<_>>(), first))
    }

    fn cgc_level(
        &self,
        config: &CgcConfig,
        (level, view): (usize, usize),
        own: &[Vec<f64>],
        shared: &[f64],
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let name = format!("task.level{level}");
        let units = &config.expert_units;
        // Above the first level, experts that read the same columns lie side by side in one block.
        let at = |block: usize, k: usize, count: usize, wide: bool| {
            if wide { (block, k, count) } else { (block * count + k, 0, 1) }
        };
        let pool = if config.task_scope == TaskScope::PerScenario { view } else { 0 };
        let wide_pool = level > 0 && config.task_scope == TaskScope::PerScenario;
        let pool: Vec<Vec<f64>> = (0..config.shared)
            .map(|k| {
                let first = at(pool, k, config.shared, wide_pool);
                self.mlp(&format!("{name}.shared"), (first, pool * config.shared + k), shared, units)
            })
            .collect();
        let mut everything = Vec::new();
        let mut next = Vec::new();
        for (head, h) in own.iter().enumerate() {
            let block = self.head_block(config.task_scope, own.len(), view, head);
            let specific: Vec<Vec<f64>> = (0..config.specific)
                .map(|k| {
                    let first = at(block, k, config.specific, level > 0);
                    self.mlp(&format!("{name}.specific"), (first, block * config.specific + k), h, units)
                })
                .collect();
            let experts = [&specific[..], &pool].concat();
            next.push(mix(&self.cgc_gate(config, &format!("{name}.gate"), (block, experts.len()), h), &experts));
            everything.extend(specific);
        }
        everything.extend(pool);
        let path = if level + 1 < config.cgc_levels && config.shared > 0 {
            let block = if config.task_scope == TaskScope::Task { 0 } else { view };
            let gate = self.cgc_gate(config, &format!("{name}.shared_gate"), (block, everything.len()), shared);
            mix(&gate, &everything)
        } else {
            Vec::new()
        };
        (next, path)
    }

    fn cgc_gate(&self, config: &CgcConfig, name: &str, (block, count): (usize, usize), x: &[f64]) -> Vec<f64> {
        match config.cgc_gate {
            CgcGate::Softmax => softmax(&self.dense(name, (block, 0, 1), x, count)),
            CgcGate::Sum => vec![1.0; count],
        }
    }

    fn head_block(&self, scope: TaskScope, heads: usize, view: usize, head: usize) -> usize {
        if scope == TaskScope::Task { head } else { view * heads + head }
    }

    /// Tasks that have a head.
    fn heads(&self, products: &[ProductConfig]) -> Vec<&'a str> {
        let needed = |name: &&str| {
            let plain = products.iter().all(|product| product.task != *name);
            plain || products.iter().any(|product| product.of.iter().any(|of| of == name))
        };
        self.tasks.iter().copied().filter(needed).collect()
    }

    fn probabilities(&self, products: &[ProductConfig], heads: &[&str], (logits, first): (&[f64], &[f64])) -> Vec<f64> {
        let score = |(logit, head): (&f64, &&str)| sigmoid(logit + first[self.task(head)]);
        self.products(products, heads, &logits.iter().zip(heads).map(score).collect::<Vec<_>>())
    }

    fn task(&self, name: &str) -> usize {
        self.tasks.iter().position(|task| *task == name).unwrap()
    }

    fn products(&self, products: &[ProductConfig], heads: &[&str], scores: &[f64]) -> Vec<f64> {
        let head = |name: &str| scores[heads.iter().position(|head| *head == name).unwrap()];
        let task = |name: &&str| match products.iter().find(|product| product.task == **name) {
            Some(product) => product.of.iter().map(|of| head(of)).product(),
            None => head(name),
        };
        self.tasks.iter().map(task).collect()
    }
}

/// Sum of weights times vectors.
fn mix(weights: &[f64], vectors: &[Vec<f64>]) -> Vec<f64> {
    assert_eq!(weights.len(), vectors.len());
    (0..vectors[0].len()).map(|c| weights.iter().zip(vectors).map(|(weight, v)| weight * v[c]).sum()).collect()
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().sum::<f64>() / values.count() as f64
}

fn relu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|x| x.max(0.0)).collect()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softmax(z: &[f64]) -> Vec<f64> {
    let highest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = z.iter().map(|z| (z - highest).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.iter().map(|power| power / total).collect()
}
