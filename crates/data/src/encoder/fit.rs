//! Learning the encoder from train.

use super::draft::{Draft, NumberFit};
use super::encode::{absent, bag_ids, refused};
use super::feature::{Feature, Ids, Rule};
use super::items::MISSING;
use super::json::{Fitted, MAX_SCENARIOS, Scenario};
use super::key::{Key, map_keys};
use super::memo::Memo;
use super::number::{self, Moments};
use super::refusal::Refusal;
use super::sketch::Sketch;
use super::task::Task;
use super::vocabulary::Vocabulary;
use super::{Encoder, LabelCounts, number_columns, text_columns};
use crate::work::Work;
use crate::{DataError, Missing, Order, Rows, SchemaConfig, Source, UnknownConfig, UnknownScenario};

pub(super) fn fit(config: &SchemaConfig<'_>, train: &Source) -> Result<Encoder, DataError> {
    let (draft, tasks) = draft(config)?;
    let groups = [&config.data.user, &config.data.request];
    let train = train.with_number_columns(&number_columns(&draft.features));
    let train = train.with_text_columns(&text_columns(&draft.features, &config.scenario.column, &groups));
    check_columns(config, &draft.features, &tasks, &train)?;
    let mut learners = learners(&draft);
    let mut scenarios = Counter::default();
    let mut unknown_rows = 0_u64;
    let mut labels = vec![LabelCounts::default(); tasks.len()];
    let columns = columns_to_learn(config, &draft, &learners, &tasks);
    let mut stream = train.read(&columns, Order::InFile)?.in_parts(rayon::current_num_threads());
    while let Some(rows) = stream.next_rows(Work::SideBySide).transpose()? {
        unknown_rows += count_scenarios(config, &rows, &mut scenarios)?;
        let results = Work::SideBySide.map(&mut learners, |_, learner| learner.observe(&draft.features, &rows));
        results.into_iter().collect::<Result<(), DataError>>()?;
        for (task, counts) in tasks.iter().zip(&mut labels) {
            counts.add(&task.labels(&rows)?);
        }
    }
    let scenario = scenario(config, &scenarios, unknown_rows, &train)?;
    let (features, tables) = settle(draft, learners)?;
    let mut fitted = Fitted::new(scenario, &tasks, features, tables);
    fitted.weight.clone_from(&config.data.weight);
    fitted.user.clone_from(&config.data.user);
    fitted.request.clone_from(&config.data.request);
    Ok(Encoder { labels, ..Encoder::new(fitted, tasks) })
}

impl LabelCounts {
    fn add(&mut self, labels: &[f32]) {
        self.positives += labels.iter().filter(|label| **label > 0.5).count() as u64;
        self.negatives += labels.iter().filter(|label| **label <= 0.5).count() as u64;
    }
}

impl SchemaConfig<'_> {
    /// Checks what can be checked without data: options that contradict one another, expressions, labels among the inputs.
    ///
    /// # Errors
    /// [`DataError::Config`] with keys such as `feature[0].buckets` or `task[1].name` (counted from 0); [`DataError::Expression`].
    pub fn check(&self) -> Result<(), DataError> {
        draft(self).map(|_| ())
    }
}

fn draft(config: &SchemaConfig<'_>) -> Result<(Draft, Vec<Task>), DataError> {
    let tasks = Task::check(config.tasks)?;
    let draft = Draft::new(config.features)?;
    check_leaks(config, &draft.features, &tasks)?;
    Ok((draft, tasks))
}

/// Values and how often each occurred.
#[derive(Default)]
struct Counter {
    values: Vocabulary,
    counts: Vec<u64>,
}

impl Counter {
    fn intern(&mut self, key: Key<'_>) -> u32 {
        let id = self.values.intern(key);
        if id as usize == self.counts.len() {
            self.counts.push(0);
        }
        id
    }

    fn count(&mut self, ids: &[u32]) {
        for &id in ids.iter().filter(|&&id| id != MISSING) {
            self.counts[id as usize] += 1;
        }
    }

    /// The frequent values, the most frequent first, equally frequent ones by value.
    fn frequent(&self, min_count: u64) -> Vocabulary {
        let ids = 0..self.values.len() as u32;
        let mut kept: Vec<u32> = ids.filter(|&id| self.counts[id as usize] >= min_count).collect();
        kept.sort_unstable_by(|&a, &b| {
            let by_count = self.counts[b as usize].cmp(&self.counts[a as usize]);
            by_count.then_with(|| natural(self.values.value(a), self.values.value(b)))
        });
        self.values.select(&kept)
    }
}

/// Integers by size, then texts by their characters.
fn natural(a: Key<'_>, b: Key<'_>) -> std::cmp::Ordering {
    match (a, b) {
        (Key::Integer(a), Key::Integer(b)) => a.cmp(&b),
        (Key::Integer(_), Key::Text(_)) => std::cmp::Ordering::Less,
        (Key::Text(_), Key::Integer(_)) => std::cmp::Ordering::Greater,
        (Key::Text(a), Key::Text(b)) => a.cmp(b),
    }
}

/// Learns one table or one column of numbers; learners share nothing, so they may run side by side.
struct Learner {
    /// Indices of the features it looks at, with what is known of the dictionaries of each.
    features: Vec<(usize, Memo<u32>)>,
    state: State,
}

enum State {
    Vocabulary { table: usize, counter: Counter },
    Quantiles { buckets: usize, sketch: Sketch },
    Moments(Moments),
}

fn learners(draft: &Draft) -> Vec<Learner> {
    let mut learners = Vec::new();
    for (table, spec) in draft.tables.iter().enumerate() {
        if matches!(spec.ids, Ids::Vocabulary { .. }) {
            let readers =
                draft.features.iter().enumerate().filter(|(_, feature)| feature.slot().table() == Some(table));
            let features = readers.map(|(index, _)| (index, Memo::lasting())).collect();
            learners.push(Learner { features, state: State::Vocabulary { table, counter: Counter::default() } });
        }
    }
    for &(feature, fit) in &draft.numbers {
        let state = match fit {
            NumberFit::Quantiles(buckets) => State::Quantiles { buckets, sketch: Sketch::default() },
            NumberFit::Moments => State::Moments(Moments::default()),
        };
        learners.push(Learner { features: vec![(feature, Memo::lasting())], state });
    }
    learners
}

impl Learner {
    fn observe(&mut self, features: &[Feature], rows: &Rows) -> Result<(), DataError> {
        for (index, memo) in &mut self.features {
            let feature = &features[*index];
            let result = match &mut self.state {
                State::Vocabulary { counter, .. } => count_values(feature, rows, memo, counter)?,
                State::Quantiles { sketch, .. } => numbers(feature, rows, &mut |number| sketch.add(number))?,
                State::Moments(moments) => numbers(feature, rows, &mut |number| moments.add(number))?,
            };
            result.map_err(|refusal| refused(&refusal, &feature.column, rows))?;
        }
        Ok(())
    }
}

fn count_values(
    feature: &Feature,
    rows: &Rows,
    memo: &mut Memo<u32>,
    counter: &mut Counter,
) -> Result<Result<(), Refusal>, DataError> {
    let cells = rows.column(&feature.column)?;
    let (ids, missing) = match &feature.rule {
        Rule::Category { missing, .. } => (memo.map(cells, MISSING, &mut |key| counter.intern(key)), missing),
        Rule::Bag(rule) => {
            let bag = bag_ids(cells, rule, rows, &mut |key| counter.intern(key))?;
            (bag.map(|bag| bag.ids), &rule.missing)
        }
        Rule::Bucket { .. } | Rule::Number { .. } | Rule::Vector { .. } => return Ok(Ok(())),
    };
    Ok(ids.map(|mut ids| {
        let stand_in = match absent(missing) {
            Some(key) => counter.intern(key),
            None => MISSING,
        };
        ids.iter_mut().filter(|id| **id == MISSING).for_each(|id| *id = stand_in);
        counter.count(&ids);
    }))
}

fn numbers(feature: &Feature, rows: &Rows, take: &mut impl FnMut(f64)) -> Result<Result<(), Refusal>, DataError> {
    let missing = match &feature.rule {
        Rule::Bucket { missing, .. } | Rule::Number { missing, .. } => missing,
        Rule::Category { .. } | Rule::Bag(_) | Rule::Vector { .. } => return Ok(Ok(())),
    };
    let scaled = matches!(feature.rule, Rule::Number { .. });
    let instead: Option<f64> = match missing {
        Missing::Value(value) => value.parse().ok(),
        Missing::OwnRow | Missing::Error => None,
    };
    let found = match number::numbers(rows.column(&feature.column)?) {
        Ok(found) => found,
        Err(refusal) => return Ok(Err(refusal)),
    };
    for (row, number) in found.into_iter().enumerate() {
        let number = if number.is_nan() { instead } else { Some(number) };
        match number {
            Some(number) if scaled && !(number as f32).is_finite() => {
                return Ok(Err(Refusal::new(row, number, "a finite number of 32 bits")));
            }
            Some(number) => take(number),
            None => {}
        }
    }
    Ok(Ok(()))
}

/// Counts the rows of each scenario; returns how many had none.
fn count_scenarios(config: &SchemaConfig<'_>, rows: &Rows, counter: &mut Counter) -> Result<u64, DataError> {
    let column = &config.scenario.column;
    // Row by row, dictionaries too: one may hold values that no row has, and those are no scenarios.
    let ids = map_keys(rows.column(column)?, MISSING, &mut |key| counter.intern(key))
        .map_err(|refusal| refused(&refusal, column, rows))?;
    if counter.counts.len() > MAX_SCENARIOS {
        let problem = format!("column `{column}` has more than {MAX_SCENARIOS} values; is it the right one?");
        return Err(DataError::config("scenario.column", problem));
    }
    if let (Some(row), UnknownConfig::Error) = (ids.iter().position(|&id| id == MISSING), &config.scenario.unknown) {
        let expected = "a scenario (unknown = \"mean\" in [scenario] would let it pass)";
        return Err(rows.bad_value(row, column, expected));
    }
    counter.count(&ids);
    Ok(ids.iter().filter(|&&id| id == MISSING).count() as u64)
}

/// The scenarios in their natural order, with their rows.
fn scenario(
    config: &SchemaConfig<'_>,
    counter: &Counter,
    unknown_rows: u64,
    train: &Source,
) -> Result<Scenario, DataError> {
    let column = config.scenario.column.clone();
    if counter.counts.is_empty() {
        let problem = if unknown_rows == 0 { "has no rows to learn from" } else { "has no row with a scenario" };
        return Err(DataError::Empty { file: train.files().first().cloned().unwrap_or_default(), problem });
    }
    let mut order: Vec<u32> = (0..counter.counts.len() as u32).collect();
    let numbers: Option<Vec<f64>> = counter.values.values().map(number).collect();
    match numbers {
        Some(numbers) => order.sort_unstable_by(|&a, &b| numbers[a as usize].total_cmp(&numbers[b as usize])),
        None => order.sort_unstable_by_key(|&id| counter.values.value(id).to_string()),
    }
    let values = counter.values.select(&order);
    let mut rows: Vec<u64> = order.iter().map(|&id| counter.counts[id as usize]).collect();
    let unknown = match &config.scenario.unknown {
        UnknownConfig::Error => UnknownScenario::Error,
        UnknownConfig::Mean => UnknownScenario::Mean,
        UnknownConfig::Scenario(value) => {
            let id = Key::of_text(value).and_then(|key| values.get(key)).ok_or_else(|| {
                let known = values.values().map(|value| value.to_string()).collect::<Vec<_>>().join(", ");
                let problem = format!("`{value}` is neither `error`, nor `mean`, nor a scenario of train ({known})");
                DataError::config("scenario.unknown", problem)
            })?;
            rows[id as usize] += unknown_rows;
            UnknownScenario::Scenario(id as u16)
        }
    };
    Ok(Scenario { column, values, rows, unknown })
}

fn number(key: Key<'_>) -> Option<f64> {
    match key {
        Key::Integer(value) => Some(value as f64),
        Key::Text(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
    }
}

/// Writes what was learned into the rules.
fn settle(draft: Draft, learners: Vec<Learner>) -> Result<(Vec<Feature>, Vec<super::feature::Table>), DataError> {
    let Draft { mut features, mut tables, min_counts, .. } = draft;
    for learner in learners {
        match learner.state {
            State::Vocabulary { table, counter } => {
                if counter.values.len() >= (MISSING - 2) as usize {
                    let problem =
                        format!("table `{}` met more values than 32 bits number; use `hash`", tables[table].name);
                    return Err(DataError::config("feature.encoding", problem));
                }
                tables[table].ids = Ids::Vocabulary { values: counter.frequent(min_counts[table]) };
            }
            State::Quantiles { buckets, sketch } => {
                let found = sketch.boundaries(buckets);
                if let Rule::Bucket { table, boundaries, .. } = &mut features[learner.features[0].0].rule {
                    tables[*table].ids = Ids::Buckets { count: found.len() as u32 + 1 };
                    *boundaries = found;
                }
            }
            State::Moments(moments) => {
                if let Rule::Number { scale, .. } = &mut features[learner.features[0].0].rule {
                    *scale = moments.scale();
                }
            }
        }
    }
    Ok((features, tables))
}

/// A label among the inputs makes a perfect and useless model.
fn check_leaks(config: &SchemaConfig<'_>, features: &[Feature], tasks: &[Task]) -> Result<(), DataError> {
    for (task, config_of_task) in tasks.iter().zip(config.tasks) {
        for label in task.label_columns() {
            let used = if label == config.scenario.column {
                Some("scenario.column".to_owned())
            } else if features.iter().any(|feature| feature.columns().any(|column| column == label)) {
                let reads = |feature: &crate::FeatureConfig| feature.columns().contains(&label);
                let place = config.features.iter().position(reads);
                Some(place.map_or("feature".to_owned(), |index| format!("feature[{index}].columns")))
            } else {
                None
            };
            if let Some(key) = used {
                let problem = format!("column `{label}` is the label of task `{}`: a leak", config_of_task.name);
                return Err(DataError::config(&key, problem));
            }
        }
    }
    Ok(())
}

/// Every column the config names must be there, those that only encoding reads too.
fn check_columns(
    config: &SchemaConfig<'_>,
    features: &[Feature],
    tasks: &[Task],
    train: &Source,
) -> Result<(), DataError> {
    let named = [&config.data.weight, &config.data.user, &config.data.request];
    let mut columns = vec![config.scenario.column.clone()];
    columns.extend(features.iter().flat_map(Feature::columns).map(str::to_owned));
    columns.extend(tasks.iter().flat_map(Task::columns));
    columns.extend(named.into_iter().flatten().cloned());
    let fields = train.schema().fields();
    let file = train.files().first().cloned().unwrap_or_default();
    for column in columns {
        if !fields.iter().any(|field| *field.name() == column) {
            return Err(DataError::missing_column(&file, &column, fields.iter().map(|field| field.name().as_str())));
        }
    }
    Ok(())
}

fn columns_to_learn(config: &SchemaConfig<'_>, draft: &Draft, learners: &[Learner], tasks: &[Task]) -> Vec<String> {
    let learnt = learners.iter().flat_map(|learner| &learner.features);
    let features = learnt.flat_map(|(index, _)| draft.features[*index].columns()).map(str::to_owned);
    let mut columns = vec![config.scenario.column.clone()];
    for column in features.chain(tasks.iter().flat_map(Task::columns)) {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    columns
}
