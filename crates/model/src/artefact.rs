//! A saved model: one folder with all that scoring needs.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `manifest.json` | format version, name, seed, layout and configuration; size and checksum of every file, its own too |
//! | `encoder.json` | how raw values become ids and numbers |
//! | `weights.safetensors` | dense parameters by name, statistics of batch norms included |
//! | `tables.safetensors` | embedding tables by name, `[rows, dim]` |
//! | `calibration.json` | the curves that scores go through; only where the model is calibrated |
//! | `examples.json` | a few raw rows and what they scored, by which a server tries what it loaded; only where rows were kept |
//!
//! Equal models give equal bytes: no time, no path, no order of a hash map is in them. A folder is written beside its
//! place, forced to disk and renamed, so that whatever interrupts a save, the old model or the new one is there.

mod examples;
mod manifest;
pub(crate) mod tensors;

use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use hinet_data::{Encoder, Layout, Seed, find_folder, replace_folder, write_synced};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use examples::{ExampleRow, Examples};
pub use manifest::{FORMAT_VERSION, FileRecord, Manifest, OLDEST_FORMAT_VERSION};
use manifest::{MANIFEST, open};
use tensors::TensorsMut;

use crate::{Calibration, Model, ModelError, Plan};

const ENCODER: &str = "encoder.json";
const WEIGHTS: &str = "weights.safetensors";
const TABLES: &str = "tables.safetensors";
const CALIBRATION: &str = "calibration.json";
const EXAMPLES: &str = "examples.json";
/// Every file but the manifest, with the first format that has it, and whether an artefact can be without it.
const FILES: [(&str, u32, bool); 5] =
    [(ENCODER, 1, false), (WEIGHTS, 1, false), (TABLES, 1, false), (CALIBRATION, 2, true), (EXAMPLES, 3, true)];

/// A model read from its folder.
#[derive(Debug)]
pub struct Artefact {
    /// What the folder says about itself.
    pub manifest: Manifest,
    /// From raw values to batches.
    pub encoder: Arc<Encoder>,
    /// From batches to probabilities.
    pub model: Model,
    /// Rows and what they scored.
    pub examples: Examples,
}

impl Artefact {
    /// Saves a model into a folder, replacing an artefact that is there. `examples` are raw rows that are kept with their
    /// scores; there may be none.
    ///
    /// # Errors
    /// If the model is not for the encoder's layout, or holds a number that is not finite, or cannot read the examples, or
    /// the system refuses. What was in the folder before then stays.
    pub fn save(
        folder: &Path,
        name: &str,
        (encoder, model): (&Encoder, &Model),
        examples: &[ExampleRow],
    ) -> Result<(), ModelError> {
        check_layout(folder, encoder.layout(), &model.layout)?;
        check_finite(folder, model)?;
        let examples = Examples::scored(examples, encoder, &Plan::new(model))?;
        replace_folder(folder, |folder| {
            write_synced(&folder.join(ENCODER), |file| file.write_all(encoder.to_json().as_bytes()))?;
            write_synced(&folder.join(WEIGHTS), |file| tensors::write(file, &model.params))?;
            write_synced(&folder.join(TABLES), |file| tensors::write(file, &model.embeddings))?;
            if let Some(calibration) = model.calibration() {
                write_synced(&folder.join(CALIBRATION), |file| file.write_all(json_text(calibration).as_bytes()))?;
            }
            if !examples.rows.is_empty() {
                write_synced(&folder.join(EXAMPLES), |file| file.write_all(json_text(&examples).as_bytes()))?;
            }
            let written = FILES.iter().map(|(name, ..)| name).filter(|name| folder.join(name).is_file());
            let files = written.map(|name| FileRecord::of(folder, name)).collect::<Result<_, _>>()?;
            let manifest = Manifest {
                format_version: FORMAT_VERSION,
                hinet_version: env!("CARGO_PKG_VERSION").to_owned(),
                name: name.to_owned(),
                seed: model.seed.0,
                files,
                model: model.config.clone(),
                layout: model.layout.clone(),
            };
            write_synced(&folder.join(MANIFEST), |file| file.write_all(manifest.to_text().as_bytes()))?;
            Ok(())
        })
    }

    /// Reads a model from its folder.
    ///
    /// # Errors
    /// If a file is missing, changed or damaged, or is of a version this hinet does not read: the message names the file
    /// and what was expected.
    pub fn load(folder: &Path) -> Result<Artefact, ModelError> {
        let folder = &find_folder(folder);
        let file = folder.join(MANIFEST);
        let manifest = Manifest::read(&file)?;
        check_files(&file, &manifest)?;
        let has = |name: &str| manifest.files.iter().any(|file| file.name == name);
        manifest.files.iter().try_for_each(|record| record.check(folder))?;
        let path = folder.join(ENCODER);
        let encoder = Arc::new(Encoder::from_json(&fs::read_to_string(&path)?, &path)?);
        check_layout(&path, encoder.layout(), &manifest.layout)?;
        check_size(folder, &manifest)?;
        let model = Model::blank(manifest.layout.clone(), manifest.model.clone(), Seed(manifest.seed));
        let mut model =
            model.map_err(|error| ModelError::corrupt(&file, error.to_string(), "a model that was saved"))?;
        read_tensors(&folder.join(WEIGHTS), &mut model.params)?;
        read_tensors(&folder.join(TABLES), &mut model.embeddings)?;
        if has(CALIBRATION) {
            model.calibration = Some(read_calibration(&folder.join(CALIBRATION), &model.layout)?);
        }
        let examples = if has(EXAMPLES) { Examples::read(&folder.join(EXAMPLES))? } else { Examples::default() };
        Ok(Artefact { manifest, encoder, model, examples })
    }
}

/// The files of a manifest must be those of its format.
fn check_files(file: &Path, manifest: &Manifest) -> Result<(), ModelError> {
    let names: Vec<&str> = manifest.files.iter().map(|record| record.name.as_str()).collect();
    let of_format = || FILES.iter().filter(|(_, since, _)| *since <= manifest.format_version);
    let expected: Vec<&str> =
        of_format().filter(|(name, _, may_lack)| !may_lack || names.contains(name)).map(|(name, ..)| *name).collect();
    if names == expected {
        return Ok(());
    }
    Err(ModelError::corrupt(file, format!("files {names:?}"), format!("{expected:?}")))
}

fn json_text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("numbers and texts, which JSON can hold");
    text.push('\n');
    text
}

fn read_json<T: DeserializeOwned>(path: &Path, expected: &str) -> Result<T, ModelError> {
    let text = fs::read_to_string(path)?;
    serde_json::from_str(&text)
        .map_err(|error| ModelError::corrupt(path, format!("it cannot be read ({error})"), expected))
}

fn read_calibration(path: &Path, layout: &Layout) -> Result<Calibration, ModelError> {
    let calibration: Calibration = read_json(path, "a calibration")?;
    calibration.check(layout).map_err(|(found, expected)| ModelError::corrupt(path, found, expected))?;
    Ok(calibration)
}

/// The encoder and the model must speak of the same columns.
fn check_layout(path: &Path, encoder: &Layout, model: &Layout) -> Result<(), ModelError> {
    if encoder == model {
        return Ok(());
    }
    let parts = [
        ("tables", encoder.tables == model.tables),
        ("features", encoder.slots == model.slots),
        ("scenarios", encoder.scenarios == model.scenarios && encoder.scenario_rows == model.scenario_rows),
        ("tasks", encoder.tasks == model.tasks),
    ];
    let part = parts.iter().find(|(_, same)| !same).map_or("policies for unknown scenarios", |(part, _)| part);
    Err(ModelError::corrupt(
        path,
        format!("an encoder with other {part} than the model"),
        "the encoder it was made for",
    ))
}

/// A model that diverged is refused before the last good one is replaced.
fn check_finite(folder: &Path, model: &Model) -> Result<(), ModelError> {
    match tensors::not_finite(&model.params).or_else(|| tensors::not_finite(&model.embeddings)) {
        Some(found) => Err(ModelError::corrupt(folder, format!("not saved, {found}"), "finite numbers")),
        None => Ok(()),
    }
}

/// The size of the tables' file must follow from the layout, before that much memory is asked for.
fn check_size(folder: &Path, manifest: &Manifest) -> Result<(), ModelError> {
    let tables = manifest.model.columns(&manifest.layout).specs(&manifest.layout);
    let tables: Vec<_> = tables.iter().map(|t| (t.name.as_str(), vec![t.rows, t.dim])).collect();
    let found = manifest.files.iter().find(|record| record.name == TABLES).map_or(0, |record| record.bytes);
    match tensors::file_size(&tables) {
        Some(expected) if expected == found => Ok(()),
        expected => {
            let expected = expected.map_or("a size that a file can have".to_owned(), |size| format!("{size}"));
            let expected = format!("{expected}, for the tables of its layout");
            Err(ModelError::corrupt(&folder.join(TABLES), format!("{found} bytes"), expected))
        }
    }
}

fn read_tensors(file: &Path, tensors: &mut dyn TensorsMut) -> Result<(), ModelError> {
    let input = open(file)?;
    let bytes = input.metadata()?.len();
    tensors::read(file, (&mut BufReader::new(input), bytes), tensors)
}

#[cfg(test)]
mod tests;
