//! What the parts of an experiment say together, beyond the types of its keys.

use std::collections::BTreeMap;

use hinet_data::{DataConfig, DataError, Expression, SplitBy};
use hinet_tape::{OptimiserError, ScheduleKind};

use super::strict::join;
use super::{Experiment, Monitor, MonitoredMetric, PatienceOver, model};
use crate::weighting::{Objectives, WeightingKind};

/// Problems as (key, message).
type Found = Vec<(String, String)>;

/// All that is wrong.
pub(super) fn check(experiment: &Experiment) -> Found {
    let mut found = Found::new();
    check_name(experiment, &mut found);
    check_data(experiment, &mut found);
    check_tasks(experiment, &mut found);
    check_features(experiment, &mut found);
    if found.is_empty() {
        found.extend(check_schema(experiment));
    }
    check_counts(experiment, &mut found);
    check_monitor(experiment, &mut found);
    check_optimisers(experiment, &mut found);
    check_mask(experiment, &mut found);
    check_weighting(experiment, &mut found);
    if !experiment.tasks.is_empty() && !experiment.features.is_empty() {
        found.extend(model::check(&experiment.model, &experiment.tasks, &experiment.features).err());
    }
    found
}

fn problem(found: &mut Found, key: impl Into<String>, message: impl Into<String>) {
    found.push((key.into(), message.into()));
}

fn check_name(experiment: &Experiment, found: &mut Found) {
    if let Err(expected) = name_of_folder(&experiment.name) {
        problem(found, "name", expected);
    }
}

/// Whether a run's folder can be called so; the error is a message for the user.
pub(super) fn name_of_folder(name: &str) -> Result<(), String> {
    if name.trim().is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0', '\n']) {
        return Err(format!("expected a name that can be a folder's, found {name:?}"));
    }
    Ok(())
}

fn check_data(experiment: &Experiment, found: &mut Found) {
    let data = &experiment.data;
    let paths = [("train", Some(&data.train)), ("valid", data.valid.as_ref()), ("test", data.test.as_ref())];
    for (part, paths) in paths {
        if paths.is_some_and(|paths| paths.iter().next().is_none()) {
            problem(found, format!("data.{part}"), "expected at least one path, found an empty list");
        }
    }
    check_split(data, found);
    if data.shuffle_rows == 0 {
        problem(found, "data.shuffle_rows", "expected at least 1, found 0");
    }
}

fn check_split(data: &DataConfig, found: &mut Found) {
    let Some(split) = &data.split else { return };
    for (part, paths) in [("valid", &data.valid), ("test", &data.test)] {
        if paths.is_some() {
            let message = format!("`data.split` cuts all parts out of `data.train`: remove it, or `data.{part}`");
            problem(found, format!("data.{part}"), message);
        }
    }
    for (key, share) in [("valid", split.valid), ("test", split.test)] {
        if !(0.0..1.0).contains(&share) {
            let message = format!("expected a share of the rows, at least 0 and below 1, found {share}");
            problem(found, format!("data.split.{key}"), message);
        }
    }
    let shares = [split.valid, split.test];
    if shares.iter().sum::<f64>() >= 1.0 && shares.iter().all(|share| (0.0..1.0).contains(share)) {
        problem(
            found,
            "data.split",
            format!("valid and test take {} of the rows: nothing is left for train", split.valid + split.test),
        );
    }
    if split.column.is_none() && split.by != SplitBy::Random {
        problem(found, "data.split", "`by = \"time\"` and `by = \"group\"` need a `column`");
    }
}

fn check_tasks(experiment: &Experiment, found: &mut Found) {
    if experiment.tasks.is_empty() {
        problem(found, "task", "expected at least one task, found an empty list");
    }
    let mut first = BTreeMap::new();
    for (index, task) in experiment.tasks.iter().enumerate() {
        let key = |name: &str| format!("task.{index}.{name}");
        if task.name.trim().is_empty() || task.name.contains(char::is_control) {
            problem(found, key("name"), format!("expected a name, found {:?}", task.name));
        }
        if let Some(other) = first.insert(&task.name, index) {
            problem(found, key("name"), format!("{:?} is the name of task {other} already", task.name));
        }
        for (name, text) in [("label", Some(&task.label)), ("where", task.filter.as_ref())] {
            if let Some(Err(error)) = text.map(|text| Expression::parse(text)) {
                problem(found, key(name), expression_message(&error));
            }
        }
        if !task.weight.is_finite() || task.weight < 0.0 {
            problem(found, key("weight"), format!("expected a number of 0 or more, found {}", task.weight));
        }
        let rate = task.negative_rate;
        if !(rate > 0.0 && rate <= 1.0) {
            problem(found, key("negative_rate"), format!("expected a share above 0, and 1 at most, found {rate}"));
        }
    }
    if !experiment.tasks.is_empty() && experiment.tasks.iter().all(|task| task.weight == 0.0) {
        problem(found, "task", "every task has weight 0: nothing would be learnt");
    }
}

/// The message without the expression and its mark: the line of the file is shown anyway.
fn expression_message(error: &DataError) -> String {
    let message = error.to_string();
    let first = message.lines().next().unwrap_or_default();
    let DataError::Expression { text, at, .. } = error else { return first.to_owned() };
    let character = text.get(..*at).map_or(0, |before| before.chars().count()) + 1;
    format!("{first}, at character {character} of the expression")
}

fn check_features(experiment: &Experiment, found: &mut Found) {
    if experiment.features.is_empty() {
        problem(found, "feature", "expected at least one feature, found an empty list");
    }
}

/// What the encoder refuses without having seen data; only asked where the parts above are in order.
fn check_schema(experiment: &Experiment) -> Option<(String, String)> {
    let error = experiment.schema().check().err()?;
    // `feature[0].buckets` there is `feature.0.buckets` here.
    let DataError::Config { key, problem } = error else { return Some(("task".to_owned(), error.to_string())) };
    Some((key.replace('[', ".").replace(']', ""), problem))
}

fn check_counts(experiment: &Experiment, found: &mut Found) {
    let train = &experiment.train;
    let counts = [
        ("epochs", Some(train.epochs)),
        ("max_steps", train.max_steps),
        ("batch_size", Some(train.batch_size as u64)),
        ("patience", train.patience),
        ("evaluate_every", train.evaluate_every),
        ("ndcg_k", Some(train.ndcg_k as u64)),
        ("log_every", Some(train.log_every)),
    ];
    for (key, count) in counts {
        if count == Some(0) {
            problem(found, format!("train.{key}"), "expected at least 1, found 0");
        }
    }
    if train.threads > 1024 {
        problem(found, "train.threads", format!("expected at most 1024, found {}", train.threads));
    }
    let power = train.scenario_weight_power;
    if !(-8.0..=8.0).contains(&power) {
        problem(found, "train.scenario_weight_power", format!("expected a number from -8 to 8, found {power}"));
    }
}

fn check_monitor(experiment: &Experiment, found: &mut Found) {
    let train = &experiment.train;
    if !experiment.has_valid() {
        let needs = [
            ("monitor", train.monitor.is_some()),
            ("patience", train.patience.is_some()),
            ("floors", train.floors.is_some()),
            ("evaluate_every", train.evaluate_every.is_some()),
            ("dense.schedule", train.dense.schedule == ScheduleKind::Plateau),
        ];
        for (key, _) in needs.into_iter().filter(|(_, given)| *given) {
            problem(
                found,
                format!("train.{key}"),
                "needs validation rows: give `data.valid`, or `data.split` with a share for them",
            );
        }
        return;
    }
    let tolerance = train.floors.as_ref().map_or(0.0, |floors| floors.tolerance);
    if !(0.0..1.0).contains(&tolerance) {
        problem(found, "train.floors.tolerance", format!("expected an AUC, at least 0 and below 1, found {tolerance}"));
    }
    if train.patience_over == PatienceOver::Cells && train.patience.is_none() {
        problem(found, "train.patience_over", "has no meaning without `patience`: give it, or remove this");
    }
    let Some(written) = &train.monitor else { return };
    match Monitor::parse(written, &experiment.tasks) {
        Err(message) => problem(found, "train.monitor", message),
        Ok(monitor) if monitor.metric == MonitoredMetric::Gauc && experiment.data.user.is_none() => {
            problem(found, "train.monitor", "GAUC needs to know the users: name their column as `data.user`");
        }
        Ok(_) => {}
    }
}

fn check_weighting(experiment: &Experiment, found: &mut Found) {
    let weighting = &experiment.train.weighting;
    for (key, message) in weighting.check() {
        problem(found, format!("train.weighting.{key}"), message);
    }
    if weighting.kind == WeightingKind::Fixed {
        return;
    }
    if !experiment.train.mask_loss {
        let message = "needs `mask_loss = true`: without it rows count in the losses of every scenario";
        problem(found, "train.weighting.kind", message);
    }
    let tables = experiment.model.tables;
    let owned = match weighting.objectives {
        Objectives::Tasks => tables.per_task(),
        Objectives::Scenarios => tables.per_scenario(),
        Objectives::Cells => tables.per_task() || tables.per_scenario(),
    };
    if owned {
        let message = "the objectives share no table with these `tables` of the model: there is nothing to weigh";
        problem(found, "train.weighting.kind", message);
    }
}

fn check_mask(experiment: &Experiment, found: &mut Found) {
    if !experiment.train.mask_loss && !experiment.model.task.has_heads_per_scenario() {
        let message = "false trains the heads of every scenario on each row, and this model's heads are shared by all \
                       scenarios; expected true";
        problem(found, "train.mask_loss", message);
    }
}

fn check_optimisers(experiment: &Experiment, found: &mut Found) {
    let mut optimiser = |table: &str, result: Result<(), OptimiserError>| {
        if let Err(error) = result {
            let mut key = table.to_owned();
            if let OptimiserError::Range { option, .. } | OptimiserError::Unused { option, .. } = &error {
                key = join(table, option);
            }
            found.push((key, error.to_string()));
        }
    };
    optimiser("train.dense", experiment.train.dense.check());
    optimiser("train.sparse", experiment.train.sparse.check());
}
