//! ONNX: opset 17, standard operators only, tables in a file of their own beside the model.

mod builder;
mod features;
mod model;
mod outputs;
mod proto;
mod run;
mod store;
mod translate;

use std::collections::HashMap;
use std::path::Path;

use hinet_data::{Batch, Column, Slot};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::names::{DENSE, InputNames, SCENARIO};
use crate::embedding::Reading;
use crate::{Model, ModelError};
use proto::{StringStringEntryProto, entry};
use run::Tensor;
pub(super) use store::MODEL;

/// What an exported graph begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnnxForm {
    /// The dense input, looked up by the caller.
    Dense,
    /// Rows of tables and numbers; tables are in the model.
    Full,
}

/// A model on its way to ONNX.
pub(super) struct OnnxSource<'a> {
    pub(super) model: &'a Model,
    pub(super) names: InputNames,
}

/// An input or output as other files describe it. Rows come first everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) name: String,
    /// Whether it holds whole numbers.
    pub(super) whole: bool,
    /// Dimensions behind the rows; `None` where a request may choose.
    pub(super) dims: Vec<Option<usize>>,
}

impl OnnxSource<'_> {
    /// Writes `model.onnx`, and `model.onnx.data` beside it where numbers stand apart.
    pub(super) fn write(&self, form: OnnxForm, folder: &Path) -> Result<(), ModelError> {
        let built = model::build(self, form)?;
        store::write(folder, built, self.metadata(form))
    }

    /// The scores of the rows of a batch, `[rows, tasks]`, by the files in `folder`, in the order of the batch.
    pub(super) fn run(&self, form: OnnxForm, folder: &Path, batch: &Batch) -> Result<Vec<f32>, ModelError> {
        let file = folder.join(MODEL);
        let graph = store::read(&file)?;
        let outputs = graph.run(self.feed(form, batch)).map_err(|found| {
            ModelError::corrupt(&file, found, "a graph that computes the scores of the model it was written for")
        })?;
        let tasks = &self.model.layout.tasks;
        let mut scores = vec![0.0; batch.rows * tasks.len()];
        for (task, spec) in tasks.iter().enumerate() {
            let Some(column) = outputs.get(&spec.name).and_then(Tensor::floats).filter(|p| p.len() == batch.rows)
            else {
                return Err(ModelError::corrupt(&file, format!("no output `{}`", spec.name), "a probability per row"));
            };
            scores.iter_mut().skip(task).step_by(tasks.len()).zip(column).for_each(|(score, p)| *score = *p);
        }
        Ok(scores)
    }

    /// The inputs of a batch, as any user of the model gives them.
    fn feed(&self, form: OnnxForm, batch: &Batch) -> HashMap<String, Tensor> {
        let rows = batch.rows;
        let scenario = batch.scenario.iter().map(|&scenario| i64::from(scenario)).collect();
        let mut feed = HashMap::from([(SCENARIO.to_owned(), Tensor::whole(vec![rows], scenario))]);
        if form == OnnxForm::Dense {
            let mut x = vec![0.0; rows * self.model.embeddings.width()];
            self.model.embeddings.gather(batch, &mut x);
            feed.insert(DENSE.to_owned(), Tensor::float(vec![rows, self.model.embeddings.width()], x));
            return feed;
        }
        for (column, names) in batch.features.iter().zip(&self.names.slots) {
            match column {
                Column::Ids(ids) => {
                    let ids = ids.iter().map(|&id| i64::from(id)).collect();
                    feed.insert(names.values.clone(), Tensor::whole(vec![rows], ids));
                }
                Column::Dense(values) => {
                    let dims = vec![rows, values.len().checked_div(rows).unwrap_or(0)];
                    feed.insert(names.values.clone(), Tensor::float(dims, values.clone()));
                }
                Column::Bag { offsets, ids, weights } => {
                    let (dims, ids) = padded(offsets, ids, -1, |&id| i64::from(id));
                    feed.insert(names.values.clone(), Tensor::whole(dims, ids));
                    if let (Some(name), Some(weights)) = (&names.weights, weights) {
                        let (dims, weights) = padded(offsets, weights, 0.0, |&weight| weight);
                        feed.insert(name.clone(), Tensor::float(dims, weights));
                    }
                }
            }
        }
        feed
    }

    /// Every input, in the order of the graph.
    pub(super) fn inputs(&self, form: OnnxForm) -> Vec<Port> {
        let port = |name: &str, whole, dims| Port { name: name.to_owned(), whole, dims };
        let mut ports = vec![port(SCENARIO, true, Vec::new())];
        if form == OnnxForm::Dense {
            ports.push(port(DENSE, false, vec![Some(self.model.embeddings.width())]));
            return ports;
        }
        for (slot, names) in self.model.layout.slots.iter().zip(&self.names.slots) {
            match slot {
                Slot::Lookup { .. } => ports.push(port(&names.values, true, Vec::new())),
                Slot::Dense { width, .. } => ports.push(port(&names.values, false, vec![Some(*width)])),
                Slot::Bag { .. } => {
                    ports.push(port(&names.values, true, vec![None]));
                    ports.extend(names.weights.iter().map(|name| port(name, false, vec![None])));
                }
            }
        }
        ports
    }

    /// What the file says about itself.
    fn metadata(&self, form: OnnxForm) -> Vec<StringStringEntryProto> {
        let model = self.model;
        let columns = model.embeddings.looked_up().map(|read| {
            let table = read.table.and_then(|table| model.embeddings.specs().nth(table)).map(|spec| &spec.name);
            let mut column = json!({
                "feature": read.slot.feature(), "slot": read.feature, "table": table,
                "start": read.start, "width": read.width,
            });
            match read.reading {
                Reading::Whole => {}
                Reading::Items(length) => column["items"] = length.into(),
                Reading::Present(length) => column["present"] = length.into(),
            }
            column
        });
        let columns: Vec<_> = columns.collect();
        let inputs = self.model.layout.slots.iter().zip(&self.names.slots).map(
            |(slot, names)| json!({ "feature": slot.feature(), "values": names.values, "weights": names.weights }),
        );
        let inputs: Vec<_> = inputs.collect();
        vec![
            entry("hinet.version", env!("CARGO_PKG_VERSION")),
            entry("hinet.form", text(&form).trim_matches('"')),
            entry("hinet.layout", text(&model.layout)),
            entry("hinet.model", text(&model.config)),
            entry("hinet.columns", text(&columns)),
            entry("hinet.inputs", text(&inputs)),
        ]
    }
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("numbers and texts, which JSON can hold")
}

/// Lists of different lengths side by side, `[rows, places]`: as many places as the longest has, and at least one.
fn padded<T, U: Copy>(offsets: &[u32], values: &[T], padding: U, convert: impl Fn(&T) -> U) -> (Vec<usize>, Vec<U>) {
    let rows = offsets.len() - 1;
    let places = offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize).max().unwrap_or(0).max(1);
    let mut all = vec![padding; rows * places];
    for (row, pair) in all.chunks_exact_mut(places).zip(offsets.windows(2)) {
        row.iter_mut().zip(&values[pair[0] as usize..pair[1] as usize]).for_each(|(to, from)| *to = convert(from));
    }
    (vec![rows, places], all)
}
