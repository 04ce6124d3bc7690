//! Times what files cost: reading and encoding all training rows of an experiment, or learning from them once. Fitting the
//! encoder is a number of its own.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use hinet_data::{DataError, EncodeCounts, Encoder, Need, Order, Seed, Source, StreamConfig, TrainStream};
use hinet_model::Model;
use hinet_train::{Experiment, Step, StepConfig, WeightingConfig, peak_rss_mb};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Outcome;

pub(crate) fn encode(words: &[String]) -> Outcome {
    let all = Fitted::new(words)?;
    let begin = Instant::now();
    let rows = all.read()?;
    all.print(rows, begin.elapsed().as_secs_f64(), None);
    Ok(())
}

pub(crate) fn learn(words: &[String]) -> Outcome {
    let all = Fitted::new(words)?;
    let begin = Instant::now();
    let (stream, mut step) = all.prepare()?;
    let (rows, loss) = all.pool.install(|| epoch(&stream, &mut step))?;
    all.print(rows, begin.elapsed().as_secs_f64(), Some(loss));
    Ok(())
}

/// An experiment whose encoder is fitted.
struct Fitted {
    experiment: Experiment,
    source: Source,
    encoder: Arc<Encoder>,
    /// Fitting would take as many threads as there are.
    pool: ThreadPool,
    /// How long fitting took.
    seconds: f64,
}

impl Fitted {
    fn new(words: &[String]) -> Result<Fitted, Box<dyn Error>> {
        let [path] = words else { return Err("arguments: encode|learn EXPERIMENT.toml".into()) };
        let experiment = Experiment::load(Path::new(path), &[])?;
        let files: Vec<PathBuf> = experiment.data.train.iter().map(PathBuf::from).collect();
        let source = Source::open(&files)?;
        let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
        let begin = Instant::now();
        let encoder = pool.install(|| Encoder::fit(&experiment.schema(), &source))?;
        Ok(Fitted { experiment, source, encoder: Arc::new(encoder), pool, seconds: begin.elapsed().as_secs_f64() })
    }

    /// Reads and encodes all rows in their order; how many there were.
    fn read(&self) -> Result<usize, DataError> {
        let encoder = &self.encoder;
        let source = self.source.with_number_columns(&encoder.number_columns());
        let source = source.with_text_columns(&encoder.text_columns());
        let mut counts = EncodeCounts::default();
        let mut count = 0;
        for rows in source.read(&encoder.columns(Need::Labels), Order::InFile)? {
            count += encoder.encode(&rows?, Need::Labels, &mut counts)?.rows;
        }
        Ok(count)
    }

    fn prepare(&self) -> Result<(TrainStream, Step), Box<dyn Error>> {
        let (data, train) = (&self.experiment.data, &self.experiment.train);
        let model = Model::new(self.encoder.layout().clone(), self.experiment.model.clone(), Seed(train.seed))?;
        let config = StepConfig {
            dense: train.dense.clone(),
            sparse: train.sparse.clone(),
            scenario_weight_power: train.scenario_weight_power,
            mask_loss: train.mask_loss,
            weighting: WeightingConfig::default(),
            seed: Seed(train.seed),
        };
        let stream = StreamConfig {
            batch_rows: train.batch_size,
            shuffle_rows: data.shuffle_rows,
            cache_mb: data.cache_mb,
            seed: Seed(train.seed),
        };
        let stream = TrainStream::new(&self.source, Arc::clone(&self.encoder), stream);
        Ok((stream, Step::new(model, &config, None)?))
    }

    fn print(&self, rows: usize, working: f64, loss: Option<f64>) {
        let per_second = |seconds: f64| (rows as f64 / seconds).round();
        println!(
            "{{\"rows_per_s\": {}, \"fit_rows_per_s\": {}, \"all_rows_per_s\": {}, \"rows\": {rows}, \"loss\": {}, \
             \"peak_rss_mb\": {:.0}}}",
            per_second(working),
            per_second(self.seconds),
            per_second(self.seconds + working),
            loss.map_or_else(|| "null".to_owned(), |loss| format!("{loss:.4}")),
            peak_rss_mb().unwrap_or(0.0),
        );
    }
}

/// Learns from all rows once: how many there were, and the mean loss of the first task over them, each before its step.
fn epoch(stream: &TrainStream, step: &mut Step) -> Result<(usize, f64), DataError> {
    let (mut rows, mut loss, mut weight) = (0, 0.0, 0.0);
    for (index, batch) in (0..).zip(stream.epoch(0, 0)) {
        let batch = batch?;
        step.run(&batch, index);
        rows += batch.rows;
        loss += step.losses()[0].sum;
        weight += step.losses()[0].weight;
    }
    Ok((rows, loss / weight))
}
