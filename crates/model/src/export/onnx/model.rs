//! The whole graph of a model: inputs, rows put in order, the forms of the network, one output per task.
//!
//! ```text
//! scenario --- checked --- sorted by scenario ---.
//!                                                |--> known rows   --> Form::Own  --.
//! x, or ids --- looked up (full form) --- sorted-'--> unknown rows --> Form::Mean --'--> in order again --> tasks
//! ```
//!
//! Rows are sorted only where an operator parts them by scenario, or unknown scenarios have a path of their own.

use hinet_data::UnknownScenario;

use super::builder::{Builder, Built, Dim, Name, int, rows};
use super::features::Features;
use super::outputs;
use super::proto::{FLOAT, INT64};
use super::translate::{PartRows, parts_rows, translate};
use super::{OnnxForm, OnnxSource};
use crate::calibration::Correction;
use crate::export::names::{DENSE, SCENARIO};
use crate::{Form, ModelError, Network};

/// Builds the graph of a model in one form.
///
/// # Errors
/// [`ModelError::Untranslatable`] for an operator that has no place in a row's score.
pub(super) fn build<'a>(source: &OnnxSource<'a>, form: OnnxForm) -> Result<Built<'a>, ModelError> {
    let model = source.model;
    let mut out = Builder::default();
    let takes_unknown = takes_unknown(source);
    let scenario = checked_scenario(&mut out, source, takes_unknown);
    let x = match form {
        OnnxForm::Dense => {
            let dims = [rows(), Dim::Fixed(model.embeddings.width())];
            out.input((DENSE, "the dense input: looked-up embeddings and numbers"), FLOAT, &dims)
        }
        OnnxForm::Full => Features { source, scenario: &scenario }.record(&mut out),
    };
    let (graph, scores) = (&model.network.graph, model.network.scores);
    let own = |out: &mut Builder<'a>, rows| translate(out, (graph, &model.params), scores, rows);
    let scores = if takes_unknown || parts_rows(graph, scores) {
        let sorted = Sorted::new(&mut out, &scenario, model.layout.scenarios.len() + usize::from(takes_unknown));
        let x = out.gather(&x, &sorted.order, 0);
        let scores = if takes_unknown {
            let [known, unknown] = sorted.apart(&mut out, &x);
            let mean = Network::record(&model.layout, &model.config, Form::Mean)?;
            let known = own(&mut out, known)?;
            let unknown = translate(&mut out, (&mean.graph, &model.params), mean.scores, unknown)?;
            out.concat(&[known, unknown], 0)
        } else {
            own(&mut out, PartRows { x, group: sorted.scenario.clone(), counts: Some(sorted.counts.clone()) })?
        };
        out.gather(&scores, &sorted.inverse, 0)
    } else {
        own(&mut out, PartRows { x, group: scenario.clone(), counts: None })?
    };
    let correction = Correction::of(model);
    outputs::record(&mut out, &model.layout, correction.as_ref(), (&scores, &scenario));
    Ok(out.finish("hinet"))
}

/// Whether rows of unknown scenarios have a path: where the layout asks for it, and scenarios have no tables of their own.
/// Where they have, such a row has no embeddings, and the mean over scenarios of its scores is the caller's to take.
pub(super) fn takes_unknown(source: &OnnxSource<'_>) -> bool {
    let model = source.model;
    model.layout.unknown == UnknownScenario::Mean && !model.config.tables.per_scenario()
}

/// The input `scenario`, `[rows]`, with ids that do not exist led to an error of the runtime: ONNX counts ids below 0 from
/// the end, which would score a row as one of another scenario.
fn checked_scenario(out: &mut Builder<'_>, source: &OnnxSource<'_>, takes_unknown: bool) -> Name {
    let known = source.model.layout.scenarios.len();
    let ids = known + usize::from(takes_unknown);
    let about = match takes_unknown {
        true => format!("id of each row's scenario, 0 to {}; {known} for one that training did not have", known - 1),
        false => format!("id of each row's scenario, 0 to {}", known - 1),
    };
    let scenario = out.input((SCENARIO, &about), INT64, &[rows()]);
    let scenario = not_negative(out, &scenario, ids);
    let ids: Vec<i64> = (0..ids as i64).collect();
    let ids = out.list(&ids);
    out.gather(&ids, &scenario, 0)
}

/// Ids, those below 0 replaced by one that is out of bounds.
pub(super) fn not_negative(out: &mut Builder<'_>, ids: &str, bound: usize) -> Name {
    let (zero, beyond) = (out.list(&[0]), out.list(&[bound as i64]));
    let negative = out.op("Less", &[ids, &zero], Vec::new());
    out.op("Where", &[&negative, &beyond, ids], Vec::new())
}

/// The order of rows by scenario.
struct Sorted {
    /// The row that comes to each place, `[rows]`.
    order: Name,
    /// The place that each row comes to, `[rows]`.
    inverse: Name,
    /// The scenario at each place, `[rows]`.
    scenario: Name,
    /// Rows of each scenario, `[scenarios]`; of unknown ones last, where they have a path.
    counts: Name,
    scenarios: usize,
}

impl Sorted {
    fn new(out: &mut Builder<'_>, scenario: &str, scenarios: usize) -> Sorted {
        let rows = out.op("Shape", &[scenario], Vec::new());
        let smallest_first = || vec![int("axis", 0), int("largest", 0), int("sorted", 1)];
        let mut by_scenario = out.op_of_many("TopK", &[scenario, &rows], smallest_first(), 2);
        let order = by_scenario.pop().expect("it has two results");
        let sorted = by_scenario.pop().expect("it has two results");
        // Sorting a permutation gives its inverse.
        let inverse = out.op_of_many("TopK", &[&order, &rows], smallest_first(), 2).remove(1);
        let axes = out.list(&[1]);
        let column = out.op("Unsqueeze", &[scenario, &axes], Vec::new());
        let ids: Vec<i64> = (0..scenarios as i64).collect();
        let ids = out.list(&ids);
        let same = out.op("Equal", &[&column, &ids], Vec::new());
        let same = out.op("Cast", &[&same], vec![int("to", i64::from(INT64))]);
        let counts = out.sum(&same, 0, false);
        Sorted { order, inverse, scenario: sorted, counts, scenarios }
    }

    /// Rows of known scenarios, and those of unknown ones, which are the last.
    fn apart(&self, out: &mut Builder<'_>, x: &str) -> [PartRows; 2] {
        let known = self.scenarios - 1;
        let bounds = [0, known, known + 1].map(|bound| out.list(&[bound as i64]));
        let [zero, known, all] = &bounds;
        let counts = out.op("Slice", &[&self.counts, zero, known], Vec::new());
        let unknown = out.op("Slice", &[&self.counts, known, all], Vec::new());
        let total = out.sum(&counts, 0, true);
        let sizes = out.concat(&[total, unknown], 0);
        let split = |out: &mut Builder<'_>, of: &str| out.op_of_many("Split", &[of, &sizes], vec![int("axis", 0)], 2);
        let (x, group) = (split(out, x), split(out, &self.scenario));
        let [known_x, unknown_x] = x.try_into().expect("it has two results");
        let [known_group, unknown_group] = group.try_into().expect("it has two results");
        [
            PartRows { x: known_x, group: known_group, counts: Some(counts) },
            // The network over unknown scenarios has a single group, and nothing in it asks which.
            PartRows { x: unknown_x, group: unknown_group, counts: None },
        ]
    }
}
