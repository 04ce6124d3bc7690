//! Banks of networks of one shape, computed side by side: sub-experts, experts, gates, towers.

use hinet_tape::{Activation, Block, Init, LinearOp, Routing, Scope, Source, Value};

use super::Recorder;

/// Who owns the networks of a bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// All scenarios and tasks together.
    Everyone,
    /// Each scenario owns some.
    Scenario,
    /// Each of this many tasks owns some.
    Task(usize),
    /// Each scenario owns some for each of this many tasks.
    ScenarioTask(usize),
}

/// Networks of one shape. Parameters of layer `l` are `<name>.<l>.weight` and `<name>.<l>.bias`; their dims are the
/// owners (unless everyone), the copies (unless one), then those of one matrix.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bank<'a> {
    name: &'a str,
    owner: Owner,
    copies: Option<usize>,
    routing: Routing,
    centre: Option<&'a str>,
    init: Option<Init>,
}

/// One layer of every network of a bank.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    /// Columns that each network makes.
    pub(crate) outer: usize,
    pub(crate) bias: bool,
    pub(crate) activation: Activation,
}

/// The matrices of one layer: the dims before those of one matrix, its rows and columns, and how it starts.
#[derive(Clone, Debug)]
struct Matrix {
    dims: Vec<usize>,
    inner: usize,
    columns: usize,
    init: Init,
}

/// Consecutive layers of every network of a bank, ReLU and dropout after each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack<'a> {
    /// Widths of the layers.
    pub(crate) units: &'a [usize],
    pub(crate) dropout: f64,
}

/// What each network of a bank reads of x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// All of it.
    Everything,
    /// The columns of its owner. Copies are then one wide block: weight dims `[owners, in, copies * out]`.
    Owners,
    /// Its own columns.
    Own,
    /// Each of this many runs of columns in turn; goes with one network that a row goes through.
    EachRun(usize),
}

impl<'a> Bank<'a> {
    /// One network per owner.
    pub(crate) fn one(name: &'a str, owner: Owner) -> Bank<'a> {
        Bank { name, owner, copies: None, routing: Routing::Own, centre: None, init: None }
    }

    /// Several networks per owner.
    pub(crate) fn many(name: &'a str, owner: Owner, copies: usize) -> Bank<'a> {
        Bank { name, owner, copies: Some(copies), routing: Routing::Own, centre: None, init: None }
    }

    /// The same bank, where rows go through the blocks of their own scenario, or of all.
    pub(crate) fn routed(self, routing: Routing) -> Bank<'a> {
        Bank { routing, ..self }
    }

    /// The points of a star (STAR): a scenario's matrix is the elementwise product of its own, which starts as ones,
    /// and one of the bank of this name, which all scenarios share; biases are sums likewise.
    pub(crate) fn around(self, centre: &'a str) -> Bank<'a> {
        Bank { centre: Some(centre), ..self }
    }

    /// The same bank, with weights that do not start as draws.
    pub(crate) fn starting_at(self, init: Init) -> Bank<'a> {
        Bank { init: Some(init), ..self }
    }

    /// A bank with one network per owner under the same name.
    pub(crate) fn one_beside(&self) -> Bank<'a> {
        Bank { copies: None, ..*self }
    }

    /// What parameters' names start with.
    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// Networks per owner.
    pub(crate) fn copies(&self) -> usize {
        self.copies.unwrap_or(1)
    }
}

impl Owner {
    /// Owners within one scenario.
    fn within(self) -> usize {
        match self {
            Owner::Everyone | Owner::Scenario => 1,
            Owner::Task(tasks) | Owner::ScenarioTask(tasks) => tasks,
        }
    }

    /// Who owns what all scenarios share.
    fn of_all_scenarios(self) -> Owner {
        match self {
            Owner::Everyone | Owner::Scenario => Owner::Everyone,
            Owner::Task(tasks) | Owner::ScenarioTask(tasks) => Owner::Task(tasks),
        }
    }

    fn is_per_scenario(self) -> bool {
        match self {
            Owner::Scenario | Owner::ScenarioTask(_) => true,
            Owner::Everyone | Owner::Task(_) => false,
        }
    }

    fn scope(self) -> Scope {
        match self {
            Owner::Everyone => Scope::Shared,
            Owner::Scenario => Scope::PerScenario,
            Owner::Task(_) => Scope::PerTask,
            Owner::ScenarioTask(_) => Scope::PerScenarioTask,
        }
    }
}

/// Consecutive runs of columns of a value.
pub(crate) fn blocks(value: Value, indices: impl IntoIterator<Item = usize>) -> Vec<Block> {
    indices.into_iter().map(|index| Block::new(value, index)).collect()
}

impl Recorder<'_> {
    /// Numbers that all share, `[width]`, or that each scenario has of its own where it owns a part: `[scenarios, width]`.
    pub(crate) fn numbers(&mut self, name: &str, owner: Owner, width: usize, init: Init) -> Value {
        let (dims, scope) = match owner.is_per_scenario() {
            true => (vec![self.scenarios(), width], Scope::PerScenario),
            false => (vec![width], Scope::Shared),
        };
        self.parameter(name, dims, init, scope)
    }

    /// One layer of every network of a bank.
    ///
    /// # Shapes
    /// - `x`: `[batch, ..]`, as `reads` says
    /// - returns: `[batch, owners * copies * outer]`, the owners being those that the bank's routing leaves
    pub(crate) fn linear(&mut self, bank: &Bank<'_>, layer: &str, x: Value, what: (Reads, Layer)) -> Value {
        let op = self.layer(bank, layer, self.width(x), what);
        self.graph.linear(x, op)
    }

    /// The operator of one layer of every network of a bank, which reads `width` columns.
    pub(super) fn layer(&mut self, bank: &Bank<'_>, layer: &str, width: usize, what: (Reads, Layer)) -> LinearOp {
        let (reads, Layer { outer, bias, activation }) = what;
        let (within, copies) = (bank.owner.within(), bank.copies());
        let scenarios = if bank.owner.is_per_scenario() { self.scenarios() } else { 1 };
        let seen = if bank.routing == Routing::All { scenarios } else { 1 };
        let inner = match reads {
            Reads::Everything => width,
            Reads::Owners => width / (seen * within),
            Reads::Own => width / (seen * within * copies),
            Reads::EachRun(runs) => width / runs,
        };
        let (dims, matrices, columns) = match reads {
            Reads::Owners => (Vec::new(), 1, copies * outer),
            Reads::Everything | Reads::Own | Reads::EachRun(_) => (bank.copies.into_iter().collect(), copies, outer),
        };
        let init = bank.init.unwrap_or(Init::XavierUniform { fan_in: inner, fan_out: outer });
        let matrix = Matrix { dims, inner, columns, init };
        let (weight, bias) = self.weights(bank, layer, &matrix, bias);
        let source = match reads {
            Reads::Everything => Source::Shared,
            Reads::Owners | Reads::Own => Source::PerExpert,
            Reads::EachRun(runs) => Source::EachRun(runs),
        };
        // Where rows do not part by scenario, the scenarios are just more experts.
        let routed = bank.routing == Routing::Own;
        let (groups, experts) = if routed { (scenarios, within) } else { (1, scenarios * within) };
        LinearOp { weight, bias, groups, experts: experts * matrices, source, routing: bank.routing, activation }
    }

    /// Gain and bias of a norm for each network of a bank whose rows go through all of them: `[1, networks * width]` each.
    pub(crate) fn norm_of_bank(&mut self, bank: &Bank<'_>, layer: &str, width: usize) -> (Value, Value) {
        let scenarios = if bank.owner.is_per_scenario() { self.scenarios() } else { 1 };
        let networks = scenarios * bank.owner.within() * bank.copies();
        let mut side = |what: &str, init: Init| {
            let name = format!("{}.{layer}.{what}", bank.name);
            let all = self.parameter(&name, vec![networks, width], init, bank.owner.scope());
            self.graph.reshape(all, networks * width)
        };
        (side("gain", Init::Ones), side("bias", Init::Zeros))
    }

    /// The weight of a layer and its bias.
    fn weights(&mut self, bank: &Bank<'_>, layer: &str, matrix: &Matrix, bias: bool) -> (Value, Option<Value>) {
        let Some(centre) = bank.centre else {
            return self.weights_of(bank, layer, matrix, bias);
        };
        let own = Matrix { init: Init::Ones, ..matrix.clone() };
        let (own_weight, own_bias) = self.weights_of(bank, layer, &own, bias);
        let centre = Bank { name: centre, owner: bank.owner.of_all_scenarios(), ..*bank };
        let (weight, bias) = self.weights_of(&centre, layer, matrix, bias);
        let bias = own_bias.zip(bias).map(|(own, shared)| self.graph.add(own, shared));
        (self.graph.mul(own_weight, weight), bias)
    }

    fn weights_of(&mut self, bank: &Bank<'_>, layer: &str, matrix: &Matrix, bias: bool) -> (Value, Option<Value>) {
        let scenarios = if bank.owner.is_per_scenario() { self.scenarios() } else { 1 };
        let owners = (bank.owner != Owner::Everyone).then_some(scenarios * bank.owner.within());
        let dims: Vec<usize> = owners.iter().chain(&matrix.dims).copied().collect();
        let weight_dims = [&dims[..], &[matrix.inner, matrix.columns]].concat();
        let scope = bank.owner.scope();
        let weight = self.parameter(&format!("{}.{layer}.weight", bank.name), weight_dims, matrix.init, scope);
        let bias = bias.then(|| {
            let dims = [&dims[..], &[matrix.columns]].concat();
            self.parameter(&format!("{}.{layer}.bias", bank.name), dims, Init::Zeros, scope)
        });
        (weight, bias)
    }

    /// Consecutive layers of every network of a bank; `reads` is for the first one. See [`Recorder::linear`].
    pub(crate) fn mlp(&mut self, bank: &Bank<'_>, x: Value, reads: Reads, stack: Stack<'_>) -> Value {
        let what = (0..).zip(stack.units).map(|(number, &outer)| {
            let reads = if number == 0 { reads } else { Reads::Own };
            (number, (reads, Layer { outer, bias: true, activation: Activation::Relu }))
        });
        if stack.dropout > 0.0 {
            return what.fold(x, |x, (number, what): (usize, _)| {
                let y = self.linear(bank, &number.to_string(), x, what);
                self.graph.dropout(y, stack.dropout as f32, &format!("{}.{number}", bank.name))
            });
        }
        let mut width = self.width(x);
        let layers: Vec<LinearOp> = what
            .map(|(number, what)| {
                let layer = self.layer(bank, &number.to_string(), width, what);
                width = layer.experts * self.width(layer.weight);
                layer
            })
            .collect();
        if layers.is_empty() { x } else { self.graph.stack(x, &layers) }
    }
}
