//! `hinet export`: a model in other formats.

use hinet_data::{Source, UnknownScenario};
use hinet_model::{ExportFormat, Model, OnnxForm, PARITY_TOLERANCE};
use hinet_train::{Run, RunExport, export_run};

use crate::args::{ExportArguments, Form, Target};
use crate::failure::usage;
use crate::output::{Talk, grouped};

pub(crate) fn run(arguments: &ExportArguments, talk: Talk) -> anyhow::Result<()> {
    let format = format(arguments.to, arguments.form)?;
    let run = Run::open(&arguments.run)?;
    let source = if arguments.data.is_empty() { None } else { Some(Source::open(&arguments.data)?) };
    let RunExport { exported, rows_of } = export_run(&run, source.as_ref(), format, &arguments.out)?;
    talk.say(format_args!("written: {}", arguments.out.display()));
    talk.say(format_args!(
        "read back and checked on {} rows ({rows_of}): probabilities differ by at most {:.1e}, where {:.0e} is allowed",
        grouped(exported.rows as u64),
        exported.difference,
        PARITY_TOLERANCE
    ));
    if format != ExportFormat::Safetensors && refuses_unknown(&run.artefact.model) {
        talk.say(
            "rows of unknown scenarios: scenarios of this model have tables of their own, so the export refuses the id of \
             an unknown one; score such a row once per scenario and take the mean, as hinet does",
        );
    }
    Ok(())
}

fn format(target: Target, form: Option<Form>) -> anyhow::Result<ExportFormat> {
    let onnx = match form {
        Some(Form::Dense) => OnnxForm::Dense,
        Some(Form::Full) | None => OnnxForm::Full,
    };
    match (target, form) {
        (Target::Onnx, _) => Ok(ExportFormat::Onnx(onnx)),
        (Target::Triton, _) => Ok(ExportFormat::Triton(onnx)),
        (Target::Safetensors, None) => Ok(ExportFormat::Safetensors),
        (Target::Safetensors, Some(_)) => {
            Err(usage("--form is about models of ONNX: leave it out with --to safetensors"))
        }
    }
}

fn refuses_unknown(model: &Model) -> bool {
    model.layout.unknown == UnknownScenario::Mean && model.config.tables.per_scenario()
}
