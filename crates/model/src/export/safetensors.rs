//! Tensors in files that anything reads: `model-0000i-of-0000N.safetensors`, `index.json` that says which tensor is where
//! and what it is, and `model.json` with configuration and layout, from which the network can be recorded again.
//!
//! Dense parameters are called `dense.<name>`, tables `table.<name>`; the names are those of the artefact.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use fs_err as fs;
use hinet_data::{Layout, Seed, Slot, write_synced};
use hinet_tape::Scope;
use serde::{Deserialize, Serialize};

use crate::artefact::tensors::{self, Tensors, TensorsMut};
use crate::{Calibration, Model, ModelConfig, ModelError};

/// Most bytes of tensors in one file, unless a single one is larger: what cannot be written or mapped whole is read badly
/// by others.
pub(super) const MOST_BYTES: usize = 2_000_000_000;

const INDEX: &str = "index.json";
const MODEL: &str = "model.json";

/// One tensor, in the model's own order: parameters, then tables.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Dense(usize),
    Table(usize),
}

/// Some tensors of a model.
struct Shard<'m> {
    entries: &'m [Entry],
    model: &'m Model,
}

/// The same, to be filled.
struct ShardMut<'m> {
    entries: &'m [Entry],
    model: &'m mut Model,
}

fn values(model: &Model, place: Place) -> &[f32] {
    match place {
        Place::Dense(index) => model.params.at(index),
        Place::Table(index) => model.embeddings.table(index),
    }
}

fn shapes(entries: &[Entry]) -> Vec<(&str, Vec<usize>)> {
    entries.iter().map(|entry| (entry.name.as_str(), entry.shape.clone())).collect()
}

impl Tensors for Shard<'_> {
    fn shapes(&self) -> Vec<(&str, Vec<usize>)> {
        shapes(self.entries)
    }

    fn values(&self, index: usize) -> &[f32] {
        values(self.model, self.entries[index].place)
    }
}

impl Tensors for ShardMut<'_> {
    fn shapes(&self) -> Vec<(&str, Vec<usize>)> {
        shapes(self.entries)
    }

    fn values(&self, index: usize) -> &[f32] {
        values(self.model, self.entries[index].place)
    }
}

impl TensorsMut for ShardMut<'_> {
    fn values_mut(&mut self, index: usize) -> &mut [f32] {
        match self.entries[index].place {
            Place::Dense(index) => self.model.params.at_mut(index),
            Place::Table(index) => self.model.embeddings.table_mut(index),
        }
    }
}

/// What `index.json` holds. `weight_map` is what readers of sharded checkpoints look for.
#[derive(Serialize, Deserialize)]
struct Index {
    metadata: Metadata,
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
    tensors: BTreeMap<String, About>,
}

#[derive(Serialize, Deserialize)]
struct Metadata {
    hinet_version: String,
    /// Bytes of all tensors.
    total_size: usize,
}

/// What a tensor is.
#[derive(Serialize, Deserialize)]
struct About {
    dtype: String,
    shape: Vec<usize>,
    about: String,
}

/// What `model.json` holds.
#[derive(Serialize, Deserialize)]
struct Description {
    seed: u64,
    model: ModelConfig,
    layout: Layout,
    /// The curves that scores go through; absent where the model is not calibrated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calibration: Option<Calibration>,
}

/// Writes the tensors of a model in files of at most so many bytes, with their index.
pub(super) fn write(model: &Model, folder: &Path, most: usize) -> Result<(), ModelError> {
    let entries = entries(model);
    let shards = shards(&entries, most);
    let mut index = Index {
        metadata: Metadata { hinet_version: env!("CARGO_PKG_VERSION").to_owned(), total_size: 0 },
        weight_map: BTreeMap::new(),
        tensors: BTreeMap::new(),
    };
    for (number, entries) in shards.iter().enumerate() {
        let file = shard_name(number, shards.len());
        write_synced(&folder.join(&file), |out| tensors::write(out, &Shard { entries, model }))?;
        for entry in *entries {
            index.metadata.total_size += bytes(entry);
            index.weight_map.insert(entry.name.clone(), file.clone());
            let about = About { dtype: "F32".into(), shape: entry.shape.clone(), about: about(model, entry.place) };
            index.tensors.insert(entry.name.clone(), about);
        }
    }
    write_json(&folder.join(INDEX), &index)?;
    let (config, layout) = (model.config.clone(), model.layout.clone());
    let calibration = model.calibration().cloned();
    write_json(&folder.join(MODEL), &Description { seed: model.seed.0, model: config, layout, calibration })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ModelError> {
    let text = serde_json::to_string_pretty(value).expect("texts and numbers, which JSON can hold");
    Ok(write_synced(path, |file| file.write_all(text.as_bytes()))?)
}

/// Makes the model anew from the files alone; it must be for data of this layout.
pub(super) fn read(layout: &Layout, folder: &Path) -> Result<Model, ModelError> {
    let path = folder.join(MODEL);
    let description: Description = read_json(&path)?;
    if description.layout != *layout {
        return Err(ModelError::corrupt(&path, "another layout", "the layout of the model that was exported"));
    }
    let index: Index = read_json(&folder.join(INDEX))?;
    let mut model = Model::blank(description.layout, description.model, Seed(description.seed))?;
    model.set_calibration(description.calibration)?;
    let entries = entries(&model);
    let mut files: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
    for entry in &entries {
        let Some(file) = index.weight_map.get(&entry.name) else {
            let found = format!("no tensor `{}`", entry.name);
            return Err(ModelError::corrupt(&folder.join(INDEX), found, "the file of each tensor"));
        };
        files.entry(file).or_default().push(entry.clone());
    }
    for (name, entries) in &files {
        let path = folder.join(name);
        let file = fs::File::open(&path)?;
        let bytes = file.metadata()?.len();
        let shard = &mut ShardMut { entries, model: &mut model };
        tensors::read(&path, (&mut BufReader::new(file), bytes), shard)?;
    }
    Ok(model)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, ModelError> {
    let text = fs::read_to_string(path)?;
    serde_json::from_str(&text).map_err(|error| ModelError::corrupt(path, error.to_string(), "what was exported"))
}

fn entries(model: &Model) -> Vec<Entry> {
    let specs = model.params.specs().iter().enumerate();
    let dense = specs.map(|(index, spec)| Entry {
        name: format!("dense.{}", spec.name),
        shape: spec.dims.clone(),
        place: Place::Dense(index),
    });
    let tables = model.embeddings.specs().enumerate().map(|(index, spec)| Entry {
        name: format!("table.{}", spec.name),
        shape: vec![spec.rows, spec.dim],
        place: Place::Table(index),
    });
    dense.chain(tables).collect()
}

fn bytes(entry: &Entry) -> usize {
    entry.shape.iter().product::<usize>() * size_of::<f32>()
}

/// Runs of tensors of at most so many bytes, or of one that is larger.
fn shards(entries: &[Entry], most: usize) -> Vec<&[Entry]> {
    let (mut shards, mut start, mut size) = (Vec::new(), 0, 0);
    for (at, entry) in entries.iter().enumerate() {
        if at > start && size + bytes(entry) > most {
            shards.push(&entries[start..at]);
            (start, size) = (at, 0);
        }
        size += bytes(entry);
    }
    shards.push(&entries[start..]);
    shards
}

fn shard_name(number: usize, count: usize) -> String {
    format!("model-{:05}-of-{count:05}.safetensors", number + 1)
}

/// A sentence on what a tensor is.
fn about(model: &Model, place: Place) -> String {
    match place {
        Place::Dense(index) => {
            let spec = &model.params.specs()[index];
            let owner = match spec.scope {
                Scope::Shared => "shared by all scenarios and tasks",
                Scope::PerScenario => "one per scenario, in the first dimension",
                Scope::PerTask => "one per task, in the first dimension",
                Scope::PerScenarioTask => "one per scenario and task (scenario * tasks + task), in the first dimension",
            };
            let kind = if spec.trainable { "parameter" } else { "statistics of a batch norm" };
            format!("{kind}, {owner}; a matrix is [inputs, outputs] in the last two dimensions")
        }
        Place::Table(index) => {
            let features: Vec<&str> = model
                .embeddings
                .looked_up()
                .filter(|read| read.table == Some(index))
                .map(|read| read.slot)
                .map(Slot::feature)
                .collect();
            let owner = match model.config.tables.per_scenario() {
                true => format!(", of {} scenarios one after the other", model.layout.scenarios.len()),
                false => String::new(),
            };
            format!("table of {}: row 0 missing, row 1 unseen{owner}", features.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_as_many_tensors_as_fit_and_one_that_is_larger_alone() {
        let entry = |elements| Entry { name: String::new(), shape: vec![elements], place: Place::Dense(0) };
        let entries = [entry(2), entry(2), entry(9), entry(1), entry(3)];
        let sizes: Vec<usize> = shards(&entries, 16).iter().map(|shard| shard.len()).collect();
        assert_eq!(sizes, [2, 1, 2]);
        assert_eq!(shards(&entries, 1000).len(), 1);
        assert_eq!(shard_name(1, 3), "model-00002-of-00003.safetensors");
    }
}
