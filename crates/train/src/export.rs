//! A run's model in other people's formats, checked on rows of its own.

use std::path::Path;
use std::sync::Arc;

use hinet_data::{Batch, Encoder, Need, Seed, Source, in_order};
use hinet_model::{ExportFormat, ExportSource, Exported, ModelError, export, synthetic_rows};

use crate::TrainError;
use crate::evaluate::{Run, SCORED_ROWS};
use crate::fit::own_rows;

/// Most rows of each scenario that the check takes out of data.
const ROWS_PER_SCENARIO: u64 = 32;
/// Most batches that are looked through for them: a rare scenario is not worth reading a large file to its end.
const BATCHES: usize = 64;
/// Fewest rows that are drawn from the layout.
const DRAWN: usize = 64;

/// What an export of a run did.
#[derive(Clone, Debug)]
pub struct RunExport {
    /// The check.
    pub exported: Exported,
    /// What rows were checked, in words.
    pub rows_of: String,
}

/// Exports a run's model into a folder that must not exist. What was written is checked on the first rows of each scenario
/// of `source`, or else of the run's own test (or valid, or train) rows where they are still there; and, always, on rows
/// drawn from the layout, which reach every scenario and the reserved rows of every table.
///
/// # Errors
/// If `source` cannot be read or encoded, or the export fails or scores differently; nothing is left then.
pub fn export_run(
    run: &Run,
    source: Option<&Source>,
    format: ExportFormat,
    folder: &Path,
) -> Result<RunExport, TrainError> {
    if folder.symlink_metadata().is_ok() {
        return Err(ModelError::FolderExists { folder: folder.to_owned() }.into());
    }
    let encoder = &run.artefact.encoder;
    let (mut rows, rows_of) = match source {
        Some(source) => (first_rows(source, encoder)?, "rows of --data and drawn ones".to_owned()),
        None => match rows_of_run(run) {
            Ok((part, rows)) => (rows, format!("{part} rows of the run and drawn ones")),
            Err(error) => (Batch::default(), format!("drawn rows alone, since the run's own cannot be read: {error}")),
        },
    };
    let (layout, weighted) = (encoder.layout(), encoder.weighted());
    let drawn = DRAWN.max(2 * layout.groups());
    rows.append(&synthetic_rows(layout, &weighted, drawn, Seed(run.artefact.manifest.seed)));
    let text = encoder.to_json();
    let source = ExportSource {
        name: &run.artefact.manifest.name,
        model: &run.artefact.model,
        encoder: &text,
        weighted: &weighted,
    };
    Ok(RunExport { exported: export(source, format, &rows, folder)?, rows_of })
}

/// Rows of the run's own data, which may have moved.
fn rows_of_run(run: &Run) -> Result<(&'static str, Batch), TrainError> {
    let experiment = run.folder.experiment()?;
    let (part, source) = own_rows(&experiment, &run.folder)?;
    Ok((part, first_rows(&source, &run.artefact.encoder)?))
}

/// The first rows of each scenario, unknown ones too, in the order of the source.
fn first_rows(source: &Source, encoder: &Arc<Encoder>) -> Result<Batch, TrainError> {
    let mut rows = vec![0_u64; encoder.layout().groups()];
    let mut gathered = Batch::default();
    for batch in in_order(source, Arc::clone(encoder), Need::Features, SCORED_ROWS).take(BATCHES) {
        let batch = batch?;
        let wanted = |&row: &u32| {
            let seen = &mut rows[usize::from(batch.scenario[row as usize])];
            *seen += 1;
            *seen <= ROWS_PER_SCENARIO
        };
        let wanted: Vec<u32> = (0..batch.rows as u32).filter(wanted).collect();
        gathered.append(&batch.take(&wanted));
        let (_, known) = rows.split_last().expect("a layout has a group of unknown scenarios");
        if known.iter().all(|&rows| rows >= ROWS_PER_SCENARIO) {
            break;
        }
    }
    Ok(gathered)
}
