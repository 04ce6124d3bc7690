//! A model in other people's formats: ONNX, a Triton repository, plain safetensors.
//!
//! Every export is read back from what was written and scores sampled rows; where it disagrees with the [`Plan`] by more
//! than [`PARITY_TOLERANCE`], it fails and leaves nothing. A network is translated operator by operator, so a new layer
//! exports without a line here; an operator that cannot be translated is refused by name. `docs/export.md` says how the
//! results are used.
//!
//! | file | what it does |
//! | --- | --- |
//! | `names` | what inputs are called |
//! | `sample` | rows drawn from the layout, where no others are at hand |
//! | `onnx` | messages, graph, translation, files, and the interpreter of the parity check |
//! | `triton` | `config.pbtxt` beside a model of ONNX |
//! | `safetensors` | tensors under documented names, in files of bounded size |

mod names;
mod onnx;
mod safetensors;
mod sample;
mod triton;

use std::path::Path;

use fs_err as fs;
use hinet_data::{Batch, UnknownScenario, replace_folder, write_synced};

pub use names::{InputNames, SCENARIO, SlotNames};
pub use onnx::OnnxForm;
pub use sample::synthetic_rows;

use crate::{Model, ModelError, Plan, PlanWorkspace};
use onnx::OnnxSource;

/// Most that a probability may differ from the plan's.
pub const PARITY_TOLERANCE: f32 = 1e-5;

const ENCODER: &str = "encoder.json";

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub struct ExportSource<'a> {
    /// The model's name.
    pub name: &'a str,
    /// The model.
    pub model: &'a Model,
    /// Its encoder, as [`Encoder::to_json`](hinet_data::Encoder::to_json) gives it.
    pub encoder: &'a str,
    /// For each slot of the layout, whether its ids have weights: [`Encoder::weighted`](hinet_data::Encoder::weighted).
    pub weighted: &'a [bool],
}

/// What it is exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// `model.onnx`, with `model.onnx.data`.
    Onnx(OnnxForm),
    /// A repository of Triton, with one model of ONNX.
    Triton(OnnxForm),
    /// Tensors with an index.
    Safetensors,
}

/// What an export did.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// Rows of the parity check.
    pub rows: usize,
    /// The largest difference of a probability from the plan's.
    pub difference: f32,
}

/// Exports a model into a folder that must not exist, and checks what was written on the rows of `sample`, a batch in any
/// order of rows.
///
/// # Errors
/// [`ModelError::FolderExists`]; [`ModelError::Untranslatable`]; [`ModelError::Parity`]; [`ModelError::BadOption`] for a
/// task that is called as an input; whatever writing gives. Nothing is left then.
pub fn export(
    source: ExportSource<'_>,
    format: ExportFormat,
    sample: &Batch,
    folder: &Path,
) -> Result<Exported, ModelError> {
    export_with(source, format, (sample, |_: &Path| ()), folder)
}

/// As [`export`]; `written` is called with the folder once its files are written, before they are checked.
fn export_with(
    source: ExportSource<'_>,
    format: ExportFormat,
    (sample, written): (&Batch, impl FnOnce(&Path)),
    folder: &Path,
) -> Result<Exported, ModelError> {
    if folder.symlink_metadata().is_ok() {
        return Err(ModelError::FolderExists { folder: folder.to_owned() });
    }
    let sample = scorable(source.model, sample);
    let mut difference = 0.0;
    replace_folder(folder, |folder| {
        let found = match format {
            ExportFormat::Onnx(form) => {
                write_encoder(folder, source)?;
                to_onnx(source, form, (&sample, written), folder)?
            }
            ExportFormat::Triton(form) => {
                let (names, home) =
                    (InputNames::new(&source.model.layout, source.weighted)?, triton::home(source.name));
                let version = folder.join(&home).join("1");
                fs::create_dir_all(&version)?;
                write_encoder(&folder.join(&home), source)?;
                let config = triton::config(&home, &OnnxSource { model: source.model, names }, form);
                write_synced(&folder.join(&home).join("config.pbtxt"), |file| file.write_all(config.as_bytes()))?;
                to_onnx(source, form, (&sample, |_: &Path| written(folder)), &version)?
            }
            ExportFormat::Safetensors => {
                write_encoder(folder, source)?;
                safetensors::write(source.model, folder, safetensors::MOST_BYTES)?;
                written(folder);
                let read = safetensors::read(&source.model.layout, folder)?;
                scores(&read, &sample)
            }
        };
        difference = check(source.model, &sample, &found)?;
        Ok::<(), ModelError>(())
    })?;
    Ok(Exported { rows: sample.rows, difference })
}

/// Writes a model of ONNX, and scores the sample by what was written.
fn to_onnx(
    source: ExportSource<'_>,
    form: OnnxForm,
    (sample, written): (&Batch, impl FnOnce(&Path)),
    folder: &Path,
) -> Result<Vec<f32>, ModelError> {
    let names = InputNames::new(&source.model.layout, source.weighted)?;
    let onnx = OnnxSource { model: source.model, names };
    onnx.write(form, folder)?;
    written(folder);
    onnx.run(form, folder, sample)
}

fn write_encoder(folder: &Path, source: ExportSource<'_>) -> Result<(), ModelError> {
    Ok(write_synced(&folder.join(ENCODER), |file| file.write_all(source.encoder.as_bytes()))?)
}

/// The rows that every export can score: where scenarios have tables of their own, none of an unknown scenario.
fn scorable(model: &Model, sample: &Batch) -> Batch {
    let all = model.layout.unknown == UnknownScenario::Mean && !model.config.tables.per_scenario();
    let known = |&row: &u32| all || usize::from(sample.scenario[row as usize]) < model.layout.scenarios.len();
    let rows: Vec<u32> = (0..sample.rows as u32).filter(known).collect();
    sample.take(&rows)
}

/// The plan's scores of a batch, in its order.
fn scores(model: &Model, batch: &Batch) -> Vec<f32> {
    let batch = batch.grouped(model.layout.groups());
    let mut scores = Vec::new();
    Plan::new(model).score(&mut PlanWorkspace::default(), &batch, &mut scores);
    batch.ungrouped(&scores)
}

/// The largest difference of scores from the plan's; both in the order of the batch.
fn check(model: &Model, batch: &Batch, found: &[f32]) -> Result<f32, ModelError> {
    let expected = scores(model, batch);
    let tasks = model.layout.tasks.len();
    let mut largest = 0.0_f32;
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let difference = (found - expected).abs();
        // What is no number is never within it.
        if !matches!(
            difference.partial_cmp(&PARITY_TOLERANCE),
            Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)
        ) {
            return Err(ModelError::Parity {
                row: place / tasks,
                task: model.layout.tasks[place % tasks].name.clone(),
                found: *found,
                expected: *expected,
            });
        }
        largest = largest.max(difference);
    }
    Ok(largest)
}

#[cfg(test)]
mod tests;
