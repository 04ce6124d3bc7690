//! What can be typed: commands, options, and the text of their help.

#![allow(rustdoc::invalid_html_tags, reason = "these texts are help on a terminal, where <name> stands for a name")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use hinet_data::SynthConfig;

/// Ranking in many scenarios for many tasks: from a log file to a trained, evaluated, saved HiNet in one command.
#[derive(Debug, Parser)]
#[command(name = "hinet", version, propagate_version = true, max_term_width = 110, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Say nothing on standard error but errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate data, train HiNet on it and show what it learned, in a few minutes.
    Demo(DemoArguments),
    /// Look at a data file and write a commented config to start from.
    Init(InitArguments),
    /// Read a config and its data without training, and say what looks wrong and what the model will cost.
    Check(CheckArguments),
    /// Train the model of a config and write a run folder.
    Train(TrainArguments),
    /// Train several models over several seeds, or take finished runs, and say what of their differences is beyond noise.
    Compare(CompareArguments),
    /// Try many settings of a config and write the best one as a config of its own.
    Tune(TuneArguments),
    /// Measure a trained model on any data.
    Evaluate(EvaluateArguments),
    /// Score rows with a trained model.
    Predict(PredictArguments),
    /// Write a trained model in another format: ONNX, a repository of Triton, safetensors. What was written must score as
    /// the model does.
    Export(ExportArguments),
    /// Write the encoded inputs of rows: ids, lists and numbers, for those who score them elsewhere.
    Encode(EncodeArguments),
    /// Make the scores of a trained model probabilities that are right on average, in every scenario and task.
    Calibrate(CalibrateArguments),
    /// Look into a trained model: attention, gates, use of experts, sizes of tables, importance of features.
    Inspect(InspectArguments),
    /// Generate data of which the truth is known.
    Synth(SynthArguments),
    /// Turn a public data set, as it was published, into Parquet and a config that trains on it.
    Convert(ConvertArguments),
    /// Serve trained models over HTTP and gRPC, on one port.
    Serve(ServeArguments),
    /// Print the JSON Schema of the config, for editors.
    Schema(SchemaArguments),
    /// Print the completions of a shell.
    Completions(CompletionsArguments),
    /// Print the manual page, or write one page per command.
    Man(ManArguments),
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// Folder to write, which must not exist: `data/`, `hinet.toml` and `run/`. [default: runs/demo-<n>]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Training rows to generate; an eighth as many for validation and a quarter as many for test.
    #[arg(long, value_name = "N", default_value_t = DEMO_ROWS, value_parser = clap::value_parser!(u64).range(1000..))]
    pub(crate) rows: u64,
    /// Every random draw comes from this number.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArguments {
    /// Data file: .parquet, .csv or .jsonl, the latter two also .gz or .zst.
    #[arg(value_name = "DATA", required = true)]
    pub(crate) data: Vec<PathBuf>,
    /// Config to write; `-` is standard output.
    #[arg(long, short, value_name = "FILE", default_value = "hinet.toml")]
    pub(crate) output: PathBuf,
    /// The scenario column, rather than a guess.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) scenario: Option<String>,
    /// A column to predict, rather than a guess. Repeatable.
    #[arg(long = "task", value_name = "COLUMN")]
    pub(crate) tasks: Vec<String>,
    /// Replace the config if it exists.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Options of `check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Run folder to write. [default: runs/<date>-<config name>-<n>]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Continue the run of `--out` from its newest checkpoint; start it if there is none.
    #[arg(long, requires = "out")]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `compare`.
#[derive(Debug, Args)]
pub(crate) struct CompareArguments {
    /// A config, together with `--models`; or the folders of finished runs, tested on the same rows.
    #[arg(value_name = "CONFIG|RUN", required = true)]
    pub(crate) targets: Vec<PathBuf>,
    /// Models, separated by commas: presets, names of `[compare.models]` in the config, TOML files whose `[model]` and
    /// `[train]` count, or a folder of such files, as `hinet tune --models` writes.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// Seeds for each model, counting up from `train.seed`.
    #[arg(long, value_name = "N", default_value_t = 3, requires = "models",
        value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: u64,
    /// Folder to write: `compare.json`, `compare.csv`, `report.html`, and the runs where they are trained. [default:
    /// runs/<date>-<config name>-compare-<n>; for finished runs nothing is written]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Continue the comparison of `--out`: what has ended is kept, what was broken off goes on from its checkpoint.
    #[arg(long, requires = "out", requires = "models")]
    pub(crate) resume: bool,
    /// Set a key of the config: one of `train` for all models, one of `model` for the config's own. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value, requires = "models")]
    pub(crate) sets: Vec<(String, String)>,
    /// Scale the widths of all models but the first until their dense parameters are within 3% of the first one's.
    #[arg(long, requires = "models")]
    pub(crate) match_parameters: bool,
    /// Runs at a time, which share the threads. [default: one per thread]
    #[arg(long, value_name = "N", requires = "models", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    /// The model that the others are tested against. [default: hinet if it is there, else the first]
    #[arg(long, value_name = "MODEL")]
    pub(crate) against: Option<String>,
    /// The model that the seesaw matrix is measured against. [default: single if it is there, else there is no matrix]
    #[arg(long, value_name = "MODEL")]
    pub(crate) reference: Option<String>,
    /// Draws of the bootstrap over users and seeds.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) draws: u32,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `tune`.
#[derive(Debug, Args)]
pub(crate) struct TuneArguments {
    #[command(flatten)]
    pub(crate) config: ConfigArguments,
    /// Models to tune one after the other, rather than the config's own; named as in `hinet compare`. What is tried is
    /// `[tune.space]` together with the model's own part of `[tune.models]`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) models: Vec<String>,
    /// Folder to write: `trials.jsonl`, and at the end `tune.json` and `best.toml`; with `--models` a folder of these for
    /// each model, and the best setting of each as `<model>.toml`.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Settings to draw, rather than as many as the config says.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) trials: Option<u64>,
    /// Continue the search in `--out`; start it if there is none.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Trials at a time; the threads are shared out among them. [default: one per thread]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) jobs: Option<u16>,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `evaluate`.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `predict`.
#[derive(Debug, Args)]
pub(crate) struct PredictArguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// File to write: .parquet, .csv or .jsonl.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Columns of the data to write beside the scores. Repeatable, or separated by commas.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) keep: Vec<String>,
    /// Leave out experts of other scenarios to which a scenario listens with a weight below W (HiNet's attention), and say
    /// what that changes at most.
    #[arg(long, value_name = "W")]
    pub(crate) prune_san: Option<f32>,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
}

/// Options of `export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// A run folder, as `hinet train` writes it.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// The format.
    #[arg(long, value_enum)]
    pub(crate) to: Target,
    /// Folder to write, which must not exist.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What a model of ONNX begins with. [default: full]
    #[arg(long, value_enum)]
    pub(crate) form: Option<Form>,
    /// Files, folders or globs whose rows check the export. [default: the run's own test rows, or valid, or train]
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub(crate) data: Vec<PathBuf>,
}

/// A format of exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// `model.onnx`, with large tensors in `model.onnx.data`.
    Onnx,
    /// A model repository: `<name>/config.pbtxt`, `<name>/1/model.onnx`.
    Triton,
    /// Tensors with `index.json`.
    Safetensors,
}

/// What a model of ONNX begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Looked-up embeddings and numbers.
    Dense,
    /// Rows of tables, as `hinet encode` writes them; the tables are in the model.
    Full,
}

/// Options of `encode`.
#[derive(Debug, Args)]
pub(crate) struct EncodeArguments {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// File to write: .parquet, .csv or .jsonl.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Columns of the data to write before the encoded ones. Repeatable, or separated by commas.
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub(crate) keep: Vec<String>,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
}

/// Options of `calibrate`.
#[derive(Debug, Args)]
pub(crate) struct CalibrateArguments {
    /// A run folder, as `hinet train` writes it. Its artefact gets the curves; all else in it stays.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Files, folders or globs to fit on, none of which was trained on; `valid` and `test` are the run's own such rows.
    #[arg(long, value_name = "FILES", num_args = 1.., default_value = "valid")]
    pub(crate) data: Vec<PathBuf>,
    /// What a curve is: two numbers, or as many steps as the rows show.
    #[arg(long, value_enum, default_value_t = Method::Platt)]
    pub(crate) method: Method,
    /// Rows that before and after are measured on, named as in `--data`. [default: those of `--data`, which flatters after]
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub(crate) test: Vec<PathBuf>,
    /// Take the curves out again.
    #[arg(long, conflicts_with_all = ["data", "method", "test"])]
    pub(crate) remove: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `inspect`.
#[derive(Debug, Args)]
pub(crate) struct InspectArguments {
    /// A run folder, as `hinet train` writes it.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Files, folders or globs to read. [default: the run's own test rows, or valid, or train]
    #[arg(long, value_name = "FILES", num_args = 1..)]
    pub(crate) data: Vec<PathBuf>,
    /// Most rows of each scenario to look at: its first ones.
    #[arg(long, value_name = "N", default_value_t = INSPECTED_ROWS, value_parser = positive)]
    pub(crate) rows: usize,
    /// Find out which features the ranking needs: what AUC each cell loses when a feature is shuffled among its rows.
    /// Needs labels, and scores the rows three times for each feature.
    #[arg(long)]
    pub(crate) importance: bool,
    /// Write what was seen into the run folder: inspection.json, and report.html anew.
    #[arg(long)]
    pub(crate) report: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `synth`.
#[derive(Debug, Args)]
pub(crate) struct SynthArguments {
    /// Folder to write, which must not exist: the rows, `hinet.toml` that trains on them, `truth.json`.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Settings to start from.
    #[arg(long, value_parser = SynthConfig::PRESETS, conflicts_with = "config")]
    pub(crate) preset: Option<String>,
    /// A file of settings, TOML.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set a setting, such as `seesaw=0.5` or `scenario_sizes=[4,2,1]`. Repeatable; `truth.json` lists them all.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) sets: Vec<(String, String)>,
    /// Training rows; an eighth as many for validation and a quarter as many for test.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(8..))]
    pub(crate) rows: Option<u64>,
    /// Every random draw comes from this number.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// Options of `convert`.
#[derive(Debug, Args)]
pub(crate) struct ConvertArguments {
    /// The data set.
    #[arg(value_enum, value_name = "NAME")]
    pub(crate) name: Public,
    /// Folder with its files, unpacked; the folders in it are searched, too. Files may be packed as .gz or .zst.
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Folder to write, which must not exist: train.parquet, valid.parquet, test.parquet, hinet.toml that trains on them,
    /// convert.json that says how they came about.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// What decides whether a row is of train, valid or test. [default: random for movielens, time for kuairand, recorded
    /// for the others]
    #[arg(long, value_enum)]
    pub(crate) split: Option<SplitBy>,
    /// Share of the rows for validation. [default: 0.1; with --split recorded 0.1 of train, for census 0.5 of test]
    #[arg(long, value_name = "SHARE")]
    pub(crate) valid: Option<f64>,
    /// Share of the rows for the test. [default: 0.1; with --split recorded those that were published]
    #[arg(long, value_name = "SHARE")]
    pub(crate) test: Option<f64>,
    /// Rows that are drawn for a part are drawn by this number.
    #[arg(long, value_name = "N", default_value_t = 7)]
    pub(crate) seed: u64,
    /// Pass over as many broken lines as this, and say each; without it the first one is refused.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip_broken: u64,
    /// Keep the rows that comparisons leave out: purchases without a click in aliccp, rare tabs in kuairand.
    #[arg(long)]
    pub(crate) all_rows: bool,
    #[command(flatten)]
    pub(crate) format: FormatArguments,
}

/// A public data set, and where its owner has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Public {
    /// Ali-CCP, on Tianchi as data set 408: sample_skeleton_train.csv, common_features_train.csv,
    /// sample_skeleton_test.csv, common_features_test.csv.
    #[value(name = "aliccp")]
    AliCcp,
    /// AliExpress, on Tianchi as data set 74690: in folders NL, ES, FR, US or AliExpress_NL and so on, as many as there are,
    /// nl_item_train.csv, nl_user_train.csv, nl_item_test.csv, nl_user_test.csv; or train.csv and test.csv as MTReclib joins them.
    #[value(name = "aliexpress")]
    AliExpress,
    /// KuaiRand-Pure or KuaiRand-1K, on Zenodo and the page of KuaiRand: log_standard_4_08_to_4_21_pure.csv,
    /// log_standard_4_22_to_5_08_pure.csv, log_random_4_22_to_5_08_pure.csv, user_features_pure.csv,
    /// video_features_basic_pure.csv; or those of 1k.
    #[value(name = "kuairand")]
    KuaiRand,
    /// MovieLens 1M or 100K, at GroupLens: ratings.dat, users.dat, movies.dat; or u.data, u.user, u.item, and for
    /// --split recorded u1.base and u1.test.
    #[value(name = "movielens")]
    MovieLens,
    /// Census-Income (KDD), in the UCI Machine Learning Repository: census-income.data, census-income.test.
    Census,
}

/// What decides the part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitBy {
    /// Its time: the test rows are the newest, and equal times are never parted.
    Time,
    /// Its user: a user is in one part only.
    User,
    /// Chance, by the seed; copies of a row and rows of one search stay together.
    Random,
    /// The part it was published in.
    Recorded,
}

/// Options of `completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell.
    pub(crate) shell: Shell,
}

/// Options of `man`.
#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Folder for one page per command, in place of standard output.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Run folders, as `hinet train` writes them, or artefacts. Several of one name are versions of one model, the last of
    /// which answers.
    #[arg(value_name = "RUN", required_unless_present = "config")]
    pub(crate) runs: Vec<PathBuf>,
    /// Settings, TOML: `hinet schema serve` prints what may stand in it.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The address to listen at. [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) host: Option<String>,
    /// The port, for HTTP and gRPC alike; 0 takes any that is free. [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
}

/// Options of `schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArguments {
    /// Of which file.
    #[arg(value_enum, default_value_t = SchemaOf::Config)]
    pub(crate) of: SchemaOf,
}

/// A file with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The config of an experiment, `hinet.toml`.
    Config,
    /// The settings of a server, `serve.toml`.
    Serve,
}

/// The config and changes to it.
#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    /// The config, TOML. `hinet init` writes one; `hinet schema` prints what may stand in it.
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    /// Set a key of the config, such as `train.epochs=5` or `data.train=log.csv`. Repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_and_value)]
    pub(crate) sets: Vec<(String, String)>,
}

/// A trained model and data for it.
#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// A run folder, as `hinet train` writes it.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Files, folders or globs to read.
    #[arg(long, value_name = "FILES", required = true, num_args = 1..)]
    pub(crate) data: Vec<PathBuf>,
}

/// How many threads compute.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ThreadArguments {
    /// Threads that compute. [default: one per processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FormatArguments {
    /// How the result is printed on standard output.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
}

/// A form of printed results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For reading.
    Table,
    /// For programs: what `metrics.json` holds.
    Json,
    /// For spreadsheets: one line per cell.
    Csv,
}

/// A kind of curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// sigmoid(a logit(p) + b): two numbers for each scenario and task.
    Platt,
    /// Steps, with lines between: up to 256 knots for each scenario and task.
    Isotonic,
}

const DEMO_ROWS: u64 = 200_000;
const INSPECTED_ROWS: usize = 20_000;

const AFTER_HELP: &str = "Start with `hinet demo`, or with your own data: `hinet init log.csv`, `hinet check hinet.toml`, \
    `hinet train hinet.toml`.\nExit codes: 0 done, 1 failed, 2 usage or configuration, 130 interrupted.";

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "expected a number of 1 or more".to_owned())
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected KEY=VALUE, such as train.epochs=5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_and_options_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_setting_is_cut_at_its_first_equals_sign() {
        assert_eq!(key_and_value("task.where=a == 1"), Ok(("task.where".into(), "a == 1".into())));
        assert!(key_and_value("train.epochs").is_err());
        assert!(key_and_value("=5").is_err());
    }
}
