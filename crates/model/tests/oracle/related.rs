//! Task layers whose tasks read one another, and what layers add to the loss.

use hinet_model::{
    AitmConfig, Counterfactual, CrossStitchConfig, DbmtlConfig, EsmmConfig, SnrConfig, SnrRouting, TaskLayerConfig,
    TaskScope,
};

use super::{Oracle, mix, relu, sigmoid, softmax};

impl Oracle<'_> {
    /// The names of a funnel; those of all tasks, where none are named.
    fn funnel(&self, funnel: &[String]) -> Vec<String> {
        if funnel.is_empty() { self.tasks.iter().map(|&name| name.to_owned()).collect() } else { funnel.to_vec() }
    }

    // ESMM, section 4.6: pCTCVR = pCTR * pCVR.

    pub(super) fn esmm(&self, config: &EsmmConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let steps = self.steps(config, (c, first), view);
        let names = self.funnel(&config.funnel);
        let so_far = |task: &&str| match names.iter().position(|name| name == task) {
            Some(place) => names[..=place].iter().map(|name| steps[self.task(name)]).product(),
            None => steps[self.task(task)],
        };
        self.tasks.iter().map(so_far).collect()
    }

    /// What the tower of each task says, with its first-order term.
    fn steps(&self, config: &EsmmConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let (scope, tasks) = (config.task_scope, self.tasks.len());
        let units = (&config.bottom_units[..], &config.tower_units[..]);
        let hidden = self.hidden_of_heads((scope, tasks), c, view, units);
        let logits = self.last(scope, &hidden, view);
        logits.iter().zip(first).map(|(logit, first)| sigmoid(logit + first)).collect()
    }

    // ESCM2: R_IPW = mean of o delta / o^; R_DR = mean of delta^ + o (delta - delta^) / o^ + o (delta - delta^)^2 / o^.

    /// The risk of one row; o^ is that of `still`, through which no gradient flows.
    fn counterfactual(&self, config: &EsmmConfig, still: &[f64], row: Row<'_>) -> f64 {
        let (deep, first) = self.input(row.x, row.own);
        let c = self.scenario_layer(&deep, Some(row.own));
        let steps = self.steps(config, (&c, &first), row.view);
        let pool = if config.task_scope == TaskScope::PerScenario { row.view } else { 0 };
        let read = self.mlp("task.bottom", ((pool, 0, 1), pool), &c, &config.bottom_units);
        let tasks: Vec<usize> = self.funnel(&config.funnel).iter().map(|name| self.task(name)).collect();
        let risk = |(number, pair): (usize, &[usize])| {
            let (o, r) = (f64::from(row.targets[pair[0]]), f64::from(row.targets[pair[1]]));
            let (p, propensity) = (steps[pair[1]], still[pair[0]].max(config.propensity_floor));
            let delta = -(r * p.ln() + (1.0 - r) * (1.0 - p).ln());
            let imputed = || {
                let block = self.head_block(config.task_scope, tasks.len() - 1, row.view, number);
                let h = self.mlp("task.imputation", ((block, 0, 1), block), &read, &config.tower_units);
                self.dense("task.imputation.logit", (block, 0, 1), &h, 1)[0].exp().ln_1p()
            };
            let risk = match config.counterfactual {
                Counterfactual::None => 0.0,
                Counterfactual::Ipw => o * delta / propensity,
                Counterfactual::Dr => {
                    let error = delta - imputed();
                    imputed() + o * error / propensity + o * error * error / propensity
                }
            };
            config.counterfactual_weight * f64::from(row.weights[pair[1]]) * risk
        };
        tasks.windows(2).enumerate().map(risk).sum()
    }

    /// What the towers of all heads give, without their last layer, above a bottom.
    fn hidden_of_heads(
        &self,
        (scope, heads): (TaskScope, usize),
        c: &[f64],
        view: usize,
        (bottom, units): (&[usize], &[usize]),
    ) -> Vec<Vec<f64>> {
        let pool = if scope == TaskScope::PerScenario { view } else { 0 };
        let c = self.mlp("task.bottom", ((pool, 0, 1), pool), c, bottom);
        let tower = |head: usize| {
            let block = self.head_block(scope, heads, view, head);
            self.mlp("task.tower", ((block, 0, 1), block), &c, units)
        };
        (0..heads).map(tower).collect()
    }

    /// The logits of all heads from their last hidden layers.
    fn last(&self, scope: TaskScope, hidden: &[Vec<f64>], view: usize) -> Vec<f64> {
        let of_head = |(head, h): (usize, &Vec<f64>)| {
            let block = self.head_block(scope, hidden.len(), view, head);
            self.dense("task.tower.logit", (block, 0, 1), h, 1)[0]
        };
        hidden.iter().enumerate().map(of_head).collect()
    }

    // AITM, section 4.7.

    pub(super) fn aitm(&self, config: &AitmConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let units = (&config.bottom_units[..], &config.tower_units[..]);
        let mut z = self.hidden_of_heads((config.task_scope, heads.len()), c, view, units);
        let width = *config.tower_units.last().unwrap();
        let own = if config.task_scope == TaskScope::Task { 0 } else { view };
        let names = self.funnel(&config.funnel);
        let chain: Vec<usize> = names.iter().filter_map(|name| heads.iter().position(|head| head == name)).collect();
        for number in 0..chain.len() - 1 {
            let dense =
                |part: &str, x: &[f64]| self.dense(&format!("task.transfer{number}.{part}"), (own, 0, 1), x, width);
            let (p, q) = (relu(dense("pass", &z[chain[number]])), z[chain[number + 1]].clone());
            let score = |u: &[f64]| {
                let product: f64 = dense("key", u).iter().zip(dense("query", u)).map(|(key, query)| key * query).sum();
                product / (width as f64).sqrt()
            };
            let weights = softmax(&[score(&p), score(&q)]);
            z[chain[number + 1]] = mix(&weights, &[dense("value", &p), dense("value", &q)]);
        }
        let logits = self.last(config.task_scope, &z, view);
        self.probabilities(&config.product, &heads, (&logits, first))
    }

    // Cross-stitch, section 4.8.

    pub(super) fn cross_stitch(
        &self,
        config: &CrossStitchConfig,
        (c, first): (&[f64], &[f64]),
        view: usize,
    ) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let count = heads.len();
        let own = if config.task_scope == TaskScope::PerScenario { view } else { 0 };
        let mut x = vec![c.to_vec(); count];
        for (number, &width) in config.column_units.iter().enumerate() {
            let layer = |(head, x): (usize, &Vec<f64>)| {
                relu(self.dense(&format!("task.column.{number}"), (own * count + head, 0, 1), x, width))
            };
            let columns: Vec<Vec<f64>> = x.iter().enumerate().map(layer).collect();
            let alpha = self.get(&format!("task.stitch{number}"));
            let run = if config.stitch_per_unit { width } else { 1 };
            let stitched = |to: usize, c: usize| -> f64 {
                let unit = if config.stitch_per_unit { c } else { 0 };
                let weight = |from: usize| alpha[((own * count + to) * count + from) * run + unit];
                (0..count).map(|from| weight(from) * columns[from][c]).sum()
            };
            x = (0..count).map(|to| (0..width).map(|c| stitched(to, c)).collect()).collect();
        }
        let logit = |(head, x): (usize, &Vec<f64>)| {
            self.logit(self.head_block(config.task_scope, count, view, head), x, &config.tower_units)
        };
        let logits: Vec<f64> = x.iter().enumerate().map(logit).collect();
        self.probabilities(&config.product, &heads, (&logits, first))
    }

    // DBMTL: a task reads its own tower and the relation networks of the tasks it depends on.

    pub(super) fn dbmtl(&self, config: &DbmtlConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let heads = self.heads(&config.product);
        let units = (&config.bottom_units[..], &config.tower_units[..]);
        let towers = self.hidden_of_heads((config.task_scope, heads.len()), c, view, units);
        let related: Vec<Vec<f64>> =
            heads.iter().map(|head| self.relation(config, (&heads, &towers), head, view)).collect();
        let logits = self.last(config.task_scope, &related, view);
        self.probabilities(&config.product, &heads, (&logits, first))
    }

    fn relation(
        &self,
        config: &DbmtlConfig,
        (heads, towers): (&[&str], &[Vec<f64>]),
        task: &str,
        view: usize,
    ) -> Vec<f64> {
        let head = heads.iter().position(|head| *head == task).unwrap();
        let named = config.depends.iter().find(|depends| depends.task == task).map(|depends| depends.on.clone());
        let before = || self.tasks[..self.task(task)].iter().map(|&name| name.to_owned()).collect();
        let on: Vec<String> = if config.depends.is_empty() { before() } else { named.unwrap_or_default() };
        let mut x = towers[head].clone();
        for parent in on.iter().filter(|parent| heads.contains(&parent.as_str())) {
            x.extend(self.relation(config, (heads, towers), parent, view));
        }
        let own = if config.task_scope == TaskScope::Task { 0 } else { view };
        self.mlp(&format!("task.relation{head}"), ((own, 0, 1), own), &x, &config.relation_units)
    }

    // SNR: levels of sub-networks, and z_ij on what goes from i to j.

    pub(super) fn snr(&self, config: &SnrConfig, (c, first): (&[f64], &[f64]), view: usize) -> Vec<f64> {
        let (heads, count) = (self.heads(&config.product), config.sub_networks);
        let pool = if config.task_scope == TaskScope::PerScenario { view } else { 0 };
        let sub = |level: usize, k: usize, x: &[f64]| {
            let block = pool * count + k;
            self.mlp(&format!("task.level{level}.sub"), ((block, 0, 1), block), x, &config.sub_network_units)
        };
        let mut u: Vec<Vec<f64>> = (0..count).map(|k| sub(0, k, c)).collect();
        for level in 1..config.snr_levels {
            let name = format!("task.level{level}");
            let route = |k: usize| self.routed(config, &name, pool * count + k, &u);
            let next = (0..count).map(|k| sub(level, k, &route(k))).collect();
            u = next;
        }
        let logit = |head: usize| {
            let block = self.head_block(config.task_scope, heads.len(), view, head);
            self.logit(block, &self.routed(config, "task", block, &u), &config.tower_units)
        };
        let logits: Vec<f64> = (0..heads.len()).map(logit).collect();
        self.probabilities(&config.product, &heads, (&logits, first))
    }

    /// v_j of a network.
    fn routed(&self, config: &SnrConfig, name: &str, block: usize, u: &[Vec<f64>]) -> Vec<f64> {
        let (count, width) = (u.len(), u[0].len());
        let log_alpha = &self.get(&format!("{name}.gate"))[block * count..(block + 1) * count];
        let z = |i: usize| (1.2 * sigmoid(log_alpha[i]) - 0.1).clamp(0.0, 1.0);
        let of = |o: usize| {
            let brings = |i: usize| match config.snr_routing {
                SnrRouting::Aver => u[i][o],
                SnrRouting::Trans => {
                    let weight = self.get(&format!("{name}.route.weight"));
                    let at = |c: usize| ((block * count + i) * width + c) * width + o;
                    (0..width).map(|c| u[i][c] * weight[at(c)]).sum()
                }
            };
            (0..count).map(|i| z(i) * brings(i)).sum()
        };
        (0..width).map(of).collect()
    }

    /// What the task layer adds to the loss whatever the rows are.
    pub(crate) fn always_added(&self) -> f64 {
        let TaskLayerConfig::Snr(config) = &self.config.task else { return 0.0 };
        let gates = self.params.iter().filter(|(name, _)| name.ends_with(".gate"));
        let offset = config.snr_temperature * (0.1_f64 / 1.1).ln();
        let open = gates.flat_map(|(_, log_alpha)| log_alpha).map(|log_alpha| sigmoid(log_alpha - offset));
        config.snr_l0 * open.sum::<f64>()
    }

    /// What the task layer adds to the loss for a row; `still` are its scores as they were, through which no gradient flows.
    pub(crate) fn added(&self, still: &[f64], row: Row<'_>) -> f64 {
        if let TaskLayerConfig::Esmm(config) = &self.config.task {
            return self.counterfactual(config, still, row);
        }
        let TaskLayerConfig::Aitm(config) = &self.config.task else { return 0.0 };
        let scores = self.score_by_heads_of(row.x, row.own, row.view);
        let tasks: Vec<usize> = self.funnel(&config.funnel).iter().map(|name| self.task(name)).collect();
        let excess = tasks.windows(2).map(|pair| {
            f64::from(row.weights[pair[1]]) * config.calibrator * (scores[pair[1]] - scores[pair[0]]).max(0.0)
        });
        excess.sum()
    }
}

/// A row as the loss sees it: by the heads of scenario `view`.
#[derive(Clone, Copy)]
pub(crate) struct Row<'a> {
    pub(crate) x: &'a [f64],
    pub(crate) own: usize,
    pub(crate) view: usize,
    pub(crate) targets: &'a [f32],
    pub(crate) weights: &'a [f32],
}
