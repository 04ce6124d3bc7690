//! Attention, gates, experts, features and tables of a model.

use serde::Serialize;

use super::format::{counted, decimals, fixed, grouped};
use super::heat::{self, Heat};
use super::table::{self, Column, Table};
use crate::inspect::{Attention, ExpertUse, Gate, GateLine, Importance, ImportanceCell, Inspection};

#[derive(Serialize)]
pub(super) struct Inside {
    note: String,
    attention: Vec<Heat>,
    gates: Vec<Heat>,
    experts: Option<Table>,
    importance: Vec<Heat>,
    importance_note: String,
    tables: Option<Table>,
}

/// Features shown in a heat map: the first of them matter.
const FEATURES: usize = 20;

impl Inside {
    pub(super) fn of(seen: &Inspection) -> Inside {
        let rows: u64 = seen.scenarios.iter().map(|scenario| scenario.rows).sum();
        let note = format!(
            "Weights in percent, means over {} rows of {}. Each row of a map sums to 100 unless said otherwise.",
            grouped(rows),
            seen.part
        );
        let importance = seen.importance.as_ref();
        Inside {
            note,
            attention: seen.attention.iter().enumerate().map(|(number, of)| attention(number, of, seen)).collect(),
            gates: seen.gates.iter().enumerate().map(|(number, of)| gate(number, of)).collect(),
            experts: (!seen.experts.is_empty()).then(|| experts(seen)),
            importance: importance.map_or_else(Vec::new, |importance| importance_heats(importance, seen)),
            importance_note: importance.map_or_else(String::new, importance_note),
            tables: (!seen.tables.is_empty()).then(|| tables(seen)),
        }
    }

    pub(super) fn has_experts(&self) -> bool {
        self.experts.is_some()
    }

    pub(super) fn has_importance(&self) -> bool {
        !self.importance.is_empty()
    }
}

/// A weight in percent, on the scale from 0 to the largest of the map.
fn weight_cell(weight: Option<f64>, most: f64) -> heat::Cell {
    let title = weight.map_or_else(String::new, |weight| format!("{}%", fixed(100.0 * weight, 2)));
    // Between many scenarios all weights are small.
    let places = usize::from(most < 0.1);
    heat::Cell::shaded(weight, (0.0, most), |weight| fixed(100.0 * weight, places)).with_title(title)
}

fn attention(number: usize, attention: &Attention, seen: &Inspection) -> Heat {
    let names: Vec<String> = seen.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
    let (_, most) = heat::range(attention.weights.iter().flatten().copied());
    let row = |(from, weights): (&String, &Vec<f64>)| heat::Row {
        name: from.clone(),
        cells: weights.iter().map(|&weight| weight_cell(Some(weight), most)).collect(),
        ..heat::Row::default()
    };
    let heat = Heat {
        id: format!("attention-{number}"),
        title: "Attention between scenarios".into(),
        about: format!("{}: how much of each other scenario's expert a scenario takes in", attention.name),
        corner: "scenario ↓ listens to →".into(),
        rows: names.iter().zip(&attention.weights).map(row).collect(),
        ..Heat::default()
    };
    heat.with_columns(&[String::new()], &names)
}

fn gate(number: usize, gate: &Gate) -> Heat {
    let per_scenario: Vec<&[GateLine]> = gate.lines.chunk_by(|a, b| a.scenario == b.scenario).collect();
    let groups: Vec<String> = per_scenario
        .first()
        .map_or_else(Vec::new, |lines| lines.iter().map(|line| line.task.clone().unwrap_or_default()).collect());
    let (_, most) = heat::range(gate.lines.iter().flat_map(|line| line.weights.iter().copied()));
    let cells = |line: &GateLine| {
        let weights = (0..gate.experts.len()).map(|expert| line.weights.get(expert).copied());
        weights.map(|weight| weight_cell(weight, most)).collect::<Vec<_>>()
    };
    let row = |lines: &&[GateLine]| heat::Row {
        name: lines[0].scenario.clone(),
        cells: lines.iter().flat_map(cells).collect(),
        ..heat::Row::default()
    };
    let adds = gate.lines.iter().any(|line| line.weights.iter().sum::<f64>() > 1.01);
    let heat = Heat {
        id: format!("gate-{number}"),
        title: format!("Gate {}", gate.name),
        about: if adds { "its experts are added up, not weighed".into() } else { String::new() },
        corner: "scenario".into(),
        rows: per_scenario.iter().map(row).collect(),
        ..Heat::default()
    };
    heat.with_columns(&groups, &gate.experts)
}

fn experts(seen: &Inspection) -> Table {
    let columns = ["experts", "lowest weight", "mean", "highest", "fair", "zeros", "dead units"].map(Column::number);
    let columns = [Column::text("experts of")].into_iter().chain(columns).chain([Column::text("")]).collect();
    let rows = seen.expert_use().into_iter().map(experts_row).collect();
    Table { id: "expert-use".into(), columns, rows, ..Table::default() }
}

fn experts_row(of: ExpertUse) -> table::Row {
    let told = |weight: Option<f64>| {
        weight.map_or_else(|| decimals(None, 0), |weight| format!("{}%", fixed(100.0 * weight, 1)))
    };
    let marks = [(of.unused, "unused"), (of.mostly_dead, "mostly dead")].into_iter().filter(|(count, _)| *count > 0);
    let marks: Vec<String> = marks.map(|(count, what)| format!("▲ {} {what}", grouped(count as u64))).collect();
    let dead = || format!("{} of {}", grouped(of.dead_units as u64), grouped(of.units as u64));
    let cells = [
        grouped(of.experts as u64),
        told(of.lowest),
        told(of.mean),
        told(of.highest),
        told(Some(of.fair)),
        told(of.zeros),
        of.zeros.map_or_else(|| decimals(None, 0), |_| dead()),
    ];
    let cells = cells.map(table::Cell::number).into_iter().chain([table::Cell::text(marks.join(", "))]);
    table::Row { name: of.name, all: false, cells: cells.collect() }
}

fn importance_note(importance: &Importance) -> String {
    format!(
        "What AUC is lost, in thousandths, when the values of a feature are shuffled among the rows of the same scenario: \
         means of {} over {} rows. ≈ in grey: within twice its spread over shuffles. What is constant within \
         scenarios, as the scenario itself, loses nothing by construction.",
        counted(importance.shuffles, "shuffle"),
        grouped(importance.rows)
    )
}

/// All rows first; then the scenarios of each task, for the features that matter most.
fn importance_heats(importance: &Importance, seen: &Inspection) -> Vec<Heat> {
    let all =
        |feature: usize| importance.features[feature].cells.iter().filter(|cell| cell.scenario.is_none()).collect();
    let heat = Heat { id: "importance".into(), title: "All rows".into(), ..Heat::default() };
    let mut heats = vec![importance_heat(importance, heat, &seen.tasks, all)];
    if seen.scenarios.len() > 1 {
        let names: Vec<String> = seen.scenarios.iter().map(|scenario| scenario.name.clone()).collect();
        for (number, task) in seen.tasks.iter().enumerate() {
            let of_task = |feature: usize| {
                let cells = importance.features[feature].cells.iter();
                cells.filter(|cell| cell.scenario.is_some() && cell.task == *task).collect()
            };
            let heat =
                Heat { id: format!("importance-{number}"), title: format!("{task} by scenario"), ..Heat::default() };
            heats.push(importance_heat(importance, heat, &names, of_task));
        }
    }
    heats
}

fn importance_heat<'a>(
    importance: &'a Importance,
    heat: Heat,
    columns: &[String],
    cells: impl Fn(usize) -> Vec<&'a ImportanceCell>,
) -> Heat {
    let shown = importance.features.len().min(FEATURES);
    let (_, most) = heat::range((0..shown).flat_map(&cells).filter_map(|cell| cell.drop));
    // Digits in front of the point leave no room for one behind it, where scenarios are many.
    let places = usize::from(most < 0.1);
    let cell = |cell: &ImportanceCell| {
        let noise = cell.drop.zip(cell.spread).is_some_and(|(drop, spread)| drop <= 2.0 * spread);
        let mark = if noise { "≈" } else { "" };
        let text = |drop| format!("{mark}{}", fixed(1000.0 * drop, places));
        let shaded = heat::Cell::shaded(cell.drop, (0.0, most.max(1e-9)), text);
        let spread = cell.spread.map_or_else(String::new, |spread| format!("± {}", fixed(1000.0 * spread, places + 1)));
        heat::Cell { class: if noise { "z" } else { shaded.class }, ..shaded }.with_aside(spread)
    };
    let row = |feature: usize| heat::Row {
        name: importance.features[feature].feature.clone(),
        cells: cells(feature).into_iter().map(cell).collect(),
        ..heat::Row::default()
    };
    let left = importance.features.len() - shown;
    Heat {
        corner: "feature".into(),
        about: if left == 0 { heat.about } else { format!("the first {shown} of {}", importance.features.len()) },
        rows: (0..shown).map(row).collect(),
        ..heat
    }
    .with_columns(&[String::new()], columns)
}

fn tables(seen: &Inspection) -> Table {
    let columns = ["rows", "width", "MB", "mean norm"].map(Column::number);
    let columns = [Column::text("table")].into_iter().chain(columns).collect();
    let most = seen.tables.iter().map(|table| table.megabytes).fold(0.0, f64::max);
    let mut tables: Vec<_> = seen.tables.iter().collect();
    tables.sort_by(|a, b| b.megabytes.total_cmp(&a.megabytes));
    let mut rows: Vec<table::Row> = tables
        .iter()
        .map(|table| {
            let megabytes = table::Cell::number(fixed(table.megabytes, 3));
            let share = (most > 0.0).then(|| (1000.0 * table.megabytes / most).round() / 10.0);
            let cells = vec![
                table::Cell::number(grouped(table.rows as u64)),
                table::Cell::number(grouped(table.dim as u64)),
                table::Cell { share, ..megabytes },
                table::Cell::number(fixed(table.norm, 3)),
            ];
            table::Row { name: table.name.clone(), all: false, cells }
        })
        .collect();
    let total: f64 = seen.tables.iter().map(|table| table.megabytes).sum();
    let sum: usize = seen.tables.iter().map(|table| table.rows).sum();
    let cells = [grouped(sum as u64), String::new(), fixed(total, 3), String::new()].map(table::Cell::number);
    rows.push(table::Row { name: "all tables".into(), all: true, cells: cells.into() });
    Table { id: "embedding-tables".into(), columns, rows, ..Table::default() }
}
