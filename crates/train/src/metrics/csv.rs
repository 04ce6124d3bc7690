//! The cells as CSV.

use std::collections::BTreeMap;

use super::SplitMetrics;

pub(super) fn csv(splits: &BTreeMap<String, SplitMetrics>) -> String {
    let mut text =
        String::from("split,scenario,task,rows,positives,auc,gauc,users,logloss,pcoc,ece,ndcg,mrr,requests\n");
    for (split, metrics) in splits {
        for cell in metrics.cells.iter().chain(&metrics.overall) {
            let fields = [
                quoted(split),
                quoted(cell.scenario.as_deref().unwrap_or("")),
                quoted(&cell.task),
                cell.rows.to_string(),
                cell.positives.to_string(),
                number(cell.auc),
                number(cell.gauc),
                cell.users.to_string(),
                number(cell.logloss),
                number(cell.pcoc),
                number(cell.ece),
                number(cell.ndcg),
                number(cell.mrr),
                cell.requests.to_string(),
            ];
            text.push_str(&fields.join(","));
            text.push('\n');
        }
    }
    text
}

/// A number, or nothing where it is undefined.
pub(crate) fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A text as CSV wants it.
pub(crate) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, Metrics};
    use super::*;

    fn split() -> SplitMetrics {
        let cell = Cell {
            scenario: Some("home, top".into()),
            task: "click".into(),
            rows: 1_234_567,
            positives: 0,
            logloss: Some(0.5),
            ece: Some(0.25),
            ..Cell::default()
        };
        let overall = vec![Cell { scenario: None, ..cell.clone() }, Cell { task: "order".into(), ..Cell::default() }];
        SplitMetrics {
            rows: 1_234_567,
            cells: vec![cell],
            overall,
            mean_logloss: Some(0.5),
            ndcg_k: 10,
            ..SplitMetrics::default()
        }
    }

    #[test]
    fn csv_leaves_what_is_undefined_empty_and_quotes_commas() {
        let metrics = Metrics { splits: [("test".to_owned(), split())].into(), ..Metrics::default() };
        let csv = metrics.to_csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[1], "test,\"home, top\",click,1234567,0,,,0,0.5,,0.25,,,0");
        assert_eq!(lines.len(), 4);
    }

    #[test]
    fn json_has_null_for_what_is_undefined_and_reads_back_the_same() {
        let mut metrics = Metrics { splits: [("test".to_owned(), split())].into(), ..Metrics::default() };
        metrics.about.insert("seed".into(), 7.into());
        let text = metrics.to_json();
        assert!(text.contains("\"auc\": null"), "{text}");
        assert!(text.contains("\"seed\": 7"), "{text}");
        assert_eq!(Metrics::from_json(&text).unwrap(), metrics);
    }
}
