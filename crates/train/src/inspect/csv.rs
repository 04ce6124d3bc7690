//! An inspection for spreadsheets: one number a line.

use super::{Inspection, TableFacts};
use crate::metrics::quoted;

pub(super) fn csv(seen: &Inspection) -> String {
    let mut lines = Lines { text: "kind,name,scenario,task,item,measure,value\n".to_owned() };
    for scenario in &seen.scenarios {
        lines.add(["rows", &seen.part, &scenario.name, "", "", "rows"], scenario.rows as f64);
    }
    for attention in &seen.attention {
        for (from, weights) in seen.scenarios.iter().zip(&attention.weights) {
            for (to, &weight) in seen.scenarios.iter().zip(weights) {
                lines.add(["attention", &attention.name, &from.name, "", &to.name, "weight"], weight);
            }
        }
    }
    for gate in &seen.gates {
        for line in &gate.lines {
            for (expert, &weight) in gate.experts.iter().zip(&line.weights) {
                let task = line.task.as_deref().unwrap_or("");
                lines.add(["gate", &gate.name, &line.scenario, task, expert, "weight"], weight);
            }
        }
    }
    experts(seen, &mut lines);
    for table in &seen.tables {
        lines.table(table);
    }
    for feature in seen.importance.iter().flat_map(|importance| &importance.features) {
        for cell in &feature.cells {
            let scenario = cell.scenario.as_deref().unwrap_or("");
            for (measure, value) in [("drop", cell.drop), ("spread", cell.spread)] {
                lines.maybe(["importance", &feature.feature, scenario, &cell.task, "", measure], value);
            }
        }
    }
    lines.text
}

fn experts(seen: &Inspection, lines: &mut Lines) {
    for expert in &seen.experts {
        let [scenario, task] = [&expert.scenario, &expert.task].map(|owner| owner.as_deref().unwrap_or(""));
        let number = expert.number.to_string();
        let measures = [
            ("weight", expert.weight),
            ("fair", Some(expert.fair)),
            ("zeros", expert.zeros),
            ("dead_units", Some(expert.dead_units as f64)),
            ("units", Some(expert.units as f64)),
        ];
        for (measure, value) in measures {
            lines.maybe(["expert", &expert.bank, scenario, task, &number, measure], value);
        }
    }
}

struct Lines {
    text: String,
}

impl Lines {
    fn add(&mut self, keys: [&str; 6], value: f64) {
        for key in keys {
            self.text.push_str(&quoted(key));
            self.text.push(',');
        }
        self.text.push_str(&value.to_string());
        self.text.push('\n');
    }

    /// What is undefined has no line.
    fn maybe(&mut self, keys: [&str; 6], value: Option<f64>) {
        if let Some(value) = value {
            self.add(keys, value);
        }
    }

    fn table(&mut self, table: &TableFacts) {
        let measures = [
            ("rows", table.rows as f64),
            ("dim", table.dim as f64),
            ("megabytes", table.megabytes),
            ("norm", table.norm),
        ];
        for (measure, value) in measures {
            self.add(["table", &table.name, "", "", "", measure], value);
        }
    }
}
