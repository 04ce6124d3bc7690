//! Draws rows in chunks, each from a random stream of its own, and lays them out as columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, Int64Array, RecordBatch, StringBuilder};
use arrow::array::{Float64Array, Int64Builder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rand::Rng;

use super::side::{Side, Values, stream};
use super::world::{Encounter, World};

/// Rows drawn at once. Part of what the seed means: another number gives other data.
pub(super) const CHUNK_ROWS: u64 = 16_384;
/// Milliseconds between two rows, and the first one's time: 1 January 2024, 0:00 UTC.
const TIME_STEP: i64 = 250;
const TIME_START: i64 = 1_704_067_200_000;
/// Values of a noise column.
const NOISE_VALUES: i64 = 50;

/// A run of consecutive rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its number among all chunks of train, valid and test.
    pub(super) chunk: u64,
    /// Number of its first row among all rows.
    pub(super) first_row: u64,
    /// Its rows, at most [`CHUNK_ROWS`].
    pub(super) rows: u64,
}

/// Drawn rows.
pub(super) struct Drawn {
    span: Span,
    pub(super) scenario: Vec<u16>,
    encounters: Vec<Encounter>,
    request: Vec<i64>,
    /// `[tasks][rows]`: the label.
    pub(super) labels: Vec<Vec<bool>>,
    /// `[tasks][rows]`: the true probability of the label; in a funnel, of everything up to this task.
    pub(super) probability: Vec<Vec<f64>>,
    /// `[tasks][rows]`: the true probability given that the task before happened; equal to `probability` without a funnel.
    pub(super) given: Vec<Vec<f64>>,
}

/// The spans of one split of `rows` rows, after `chunks` chunks and `first_row` rows of the splits before.
pub(super) fn spans(rows: u64, chunks: u64, first_row: u64) -> impl Iterator<Item = Span> {
    (0..rows.div_ceil(CHUNK_ROWS)).map(move |index| Span {
        chunk: chunks + index,
        first_row: first_row + index * CHUNK_ROWS,
        rows: CHUNK_ROWS.min(rows - index * CHUNK_ROWS),
    })
}

impl Drawn {
    pub(super) fn new(world: &World, span: Span) -> Drawn {
        let mut rng = stream(world.config.seed, "synth rows", span.chunk);
        let tasks = world.tasks();
        let rows = span.rows as usize;
        let mut drawn = Drawn {
            span,
            scenario: Vec::with_capacity(rows),
            encounters: Vec::with_capacity(rows),
            request: Vec::with_capacity(rows),
            labels: vec![Vec::with_capacity(rows); tasks],
            probability: vec![Vec::with_capacity(rows); tasks],
            given: vec![Vec::with_capacity(rows); tasks],
        };
        let (length, mut features) = (u64::from(world.config.rows_per_request), Vec::new());
        let first_request = span.chunk * CHUNK_ROWS.div_ceil(length);
        let (mut scenario, mut encounter) = (0, world.draw_encounter(&mut rng));
        for row in 0..span.rows {
            if row.is_multiple_of(length) {
                scenario = world.draw_scenario(&mut rng);
                encounter = world.draw_encounter(&mut rng);
            } else {
                encounter.item = world.items.draw(&mut rng);
            }
            drawn.scenario.push(scenario);
            drawn.encounters.push(encounter);
            drawn.request.push((first_request + row / length) as i64);
            world.features(encounter, &mut features);
            drawn.toss(world, scenario, &features, &mut rng);
        }
        drawn
    }

    fn toss(&mut self, world: &World, scenario: u16, features: &[f64], rng: &mut impl Rng) {
        let (mut happened, mut reached) = (true, 1.0);
        for task in 0..world.tasks() {
            let given = world.probability(usize::from(scenario) * world.tasks() + task, features);
            // Tossed even where a funnel forbids it: draws do not depend on what came before.
            let mut label = rng.random::<f64>() < given;
            let mut probability = given;
            if world.config.funnel {
                label &= happened;
                probability *= reached;
                (happened, reached) = (label, probability);
            }
            self.labels[task].push(label);
            self.given[task].push(given);
            self.probability[task].push(probability);
        }
    }

    /// The rows as columns of [`schema`].
    pub(super) fn columns(&self, world: &World, names: &[String]) -> Vec<ArrayRef> {
        let rows = self.span.rows as i64;
        let first = self.span.first_row as i64;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values((first..first + rows).map(|row| TIME_START + row * TIME_STEP))),
            Arc::new(Int64Array::from(self.request.clone())),
            self.scenario_column(names),
        ];
        columns.extend(self.side_columns(&world.users, |encounter| encounter.user as usize));
        columns.push(Arc::new(Int64Array::from_iter_values(self.encounters.iter().map(|each| i64::from(each.hour)))));
        columns.extend(self.side_columns(&world.items, |encounter| encounter.item as usize));
        columns.extend((0..world.config.noise_columns).map(|index| self.noise(world.config.seed, index)));
        for labels in &self.labels {
            columns.push(Arc::new(Int64Array::from_iter_values(labels.iter().map(|&label| i64::from(label)))));
        }
        if world.config.bayes_columns {
            let truths = self.probability.iter();
            columns.extend(truths.map(|values| Arc::new(Float64Array::from(values.clone())) as ArrayRef));
        }
        columns
    }

    fn scenario_column(&self, names: &[String]) -> ArrayRef {
        let mut builder = StringBuilder::new();
        self.scenario.iter().for_each(|&scenario| builder.append_value(&names[usize::from(scenario)]));
        Arc::new(builder.finish())
    }

    fn noise(&self, seed: u64, index: u32) -> ArrayRef {
        let mut rng = stream(seed, &format!("synth noise {index}"), self.span.chunk);
        Arc::new(Int64Array::from_iter_values((0..self.span.rows).map(|_| rng.random_range(0..NOISE_VALUES))))
    }

    fn side_columns(&self, side: &Side, who: fn(&Encounter) -> usize) -> Vec<ArrayRef> {
        let ids = Int64Array::from_iter_values(self.encounters.iter().map(|each| who(each) as i64));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(ids)];
        for column in &side.columns {
            columns.push(self.side_column(&column.values, who));
        }
        columns
    }

    fn side_column(&self, values: &Values, who: fn(&Encounter) -> usize) -> ArrayRef {
        let rows = self.encounters.iter().map(who);
        match values {
            Values::Word { codes, prefix } => {
                let mut builder = StringBuilder::new();
                rows.for_each(|row| builder.append_option(codes[row].map(|code| format!("{prefix}{code}"))));
                Arc::new(builder.finish())
            }
            Values::Code(codes) => {
                let mut builder = Int64Builder::new();
                rows.for_each(|row| builder.append_option(codes[row]));
                Arc::new(builder.finish())
            }
            Values::Number(numbers) => {
                let mut builder = Float64Builder::new();
                rows.for_each(|row| builder.append_option(numbers[row]));
                Arc::new(builder.finish())
            }
            Values::Several(texts) => {
                let mut builder = StringBuilder::new();
                rows.for_each(|row| builder.append_option(texts[row].as_deref()));
                Arc::new(builder.finish())
            }
        }
    }

    pub(super) fn batch(&self, world: &World, schema: &SchemaRef) -> RecordBatch {
        let columns = self.columns(world, &world.config.scenarios());
        RecordBatch::try_new(Arc::clone(schema), columns).expect("columns are laid out as the schema says")
    }
}

/// Names and types of the columns.
pub(super) fn schema(world: &World) -> SchemaRef {
    let config = &world.config;
    let mut fields = vec![
        Field::new("time_ms", DataType::Int64, false),
        Field::new("request_id", DataType::Int64, false),
        Field::new("scenario", DataType::Utf8, false),
    ];
    side_fields(&world.users, &mut fields);
    fields.push(Field::new("hour", DataType::Int64, false));
    side_fields(&world.items, &mut fields);
    let noise = (1..=config.noise_columns).map(|number| Field::new(format!("noise_{number}"), DataType::Int64, false));
    fields.extend(noise);
    fields.extend(config.tasks.iter().map(|task| Field::new(task.label(), DataType::Int64, false)));
    if config.bayes_columns {
        let truths = config.tasks.iter();
        fields.extend(truths.map(|task| Field::new(format!("bayes_{}", task.name), DataType::Float64, false)));
    }
    Arc::new(Schema::new(fields))
}

fn side_fields(side: &Side, fields: &mut Vec<Field>) {
    fields.push(Field::new(side.id(), DataType::Int64, false));
    for column in &side.columns {
        let data_type = match column.values {
            Values::Word { .. } | Values::Several(_) => DataType::Utf8,
            Values::Code(_) => DataType::Int64,
            Values::Number(_) => DataType::Float64,
        };
        fields.push(Field::new(&column.name, data_type, true));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::SynthConfig;

    #[test]
    fn spans_cover_every_row_once_and_continue_where_the_last_split_ended() {
        let all: Vec<Span> = spans(40_000, 3, 100).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], Span { chunk: 3, first_row: 100, rows: 16_384 });
        assert_eq!(all[2], Span { chunk: 5, first_row: 100 + 32_768, rows: 40_000 - 32_768 });
    }

    #[test]
    fn a_funnel_has_no_later_task_without_the_earlier_and_multiplies_probabilities() {
        let config = SynthConfig { funnel: true, users: 50, items: 50, ..SynthConfig::default() };
        let world = World::new(&config);
        let drawn = Drawn::new(&world, Span { chunk: 0, first_row: 0, rows: 5000 });
        let mut both = 0;
        for row in 0..5000 {
            assert!(drawn.labels[0][row] || !drawn.labels[1][row]);
            both += usize::from(drawn.labels[1][row]);
            let product = drawn.given[0][row] * drawn.given[1][row];
            assert!((drawn.probability[1][row] - product).abs() < 1e-15);
        }
        assert!((100..500).contains(&both), "0.3 * 0.15 * 5000 = 225: {both}");
    }
}
