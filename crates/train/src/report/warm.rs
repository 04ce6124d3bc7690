//! What a run took over from another one, and what became of the cells of old scenarios.

use serde::Serialize;

use super::format::{decimals, grouped};
use super::table::{Cell, Column, Row, Table};
use crate::fit::{NewScenario, OldCell, WarmStarted};

#[derive(Serialize)]
pub(super) struct Warm {
    run: String,
    part: Option<String>,
    scenarios: Table,
    cells: Table,
}

impl Warm {
    pub(super) fn of(warm: &WarmStarted) -> Warm {
        let new = warm.new_scenarios.iter().map(new_scenario).collect();
        let columns = ["scenario", "started like"].map(Column::text).into();
        let scenarios = Table { id: "new".into(), columns, rows: new, ..Table::default() };
        let mut columns: Vec<Column> = ["scenario", "task"].map(Column::text).into();
        columns.extend(["rows", "AUC before", "after", "change"].map(Column::number));
        let rows = warm.cells.iter().map(old_cell).collect();
        let cells = Table { id: "old".into(), columns, rows, ..Table::default() };
        Warm { run: warm.config.run.display().to_string(), part: warm.part.clone(), scenarios, cells }
    }
}

fn new_scenario(new: &NewScenario) -> Row {
    let like = new.like.clone().unwrap_or_else(|| "none".to_owned());
    Row { name: new.scenario.clone(), cells: vec![Cell::text(like)], ..Row::default() }
}

fn old_cell(cell: &OldCell) -> Row {
    let change = cell.after.zip(cell.before).map(|(after, before)| after - before);
    let change = change.map_or_else(|| decimals(None, 4), |change| format!("{change:+.4}"));
    let numbers = [grouped(cell.rows), decimals(cell.before, 4), decimals(cell.after, 4), change].map(Cell::number);
    let cells = std::iter::once(Cell::text(cell.task.clone())).chain(numbers).collect();
    Row { name: cell.scenario.clone(), cells, ..Row::default() }
}
