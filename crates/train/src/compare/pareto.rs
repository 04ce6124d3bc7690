//! Which models no other beats in every cell.

use super::result::{ModelResult, ParetoRow};
use crate::metrics::has_enough;

/// A line per model, by the mean AUC of each cell with enough rows of either class. Noise has no say: of models that are
/// alike, one is above the other in some cell by chance, and none is beaten.
pub(super) fn rows(models: &[ModelResult], min_positives: u64) -> Vec<ParetoRow> {
    let aucs: Vec<Vec<f64>> = models.iter().map(|model| large_cells(model, min_positives)).collect();
    let beats = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a >= b) && a.iter().zip(b).any(|(a, b)| a > b);
    let row = |(model, own): (&ModelResult, &Vec<f64>)| {
        let others = || models.iter().zip(&aucs).filter(|(other, _)| other.name != model.name);
        let is_best = |&cell: &usize| others().all(|(_, other)| own[cell] > other[cell]);
        ParetoRow {
            model: model.name.clone(),
            cells: own.len() as u64,
            best_cells: (0..own.len()).filter(is_best).count() as u64,
            beaten_by: others().filter(|(_, other)| beats(other, own)).map(|(other, _)| other.name.clone()).collect(),
        }
    };
    models.iter().zip(&aucs).map(row).collect()
}

/// The test rows, and with them the cells, are the same for every model; what is undefined counts as chance.
fn large_cells(model: &ModelResult, min_positives: u64) -> Vec<f64> {
    let large = model.cells.iter().filter(|cell| has_enough(cell.rows, cell.positives, min_positives));
    large.map(|cell| cell.auc.mean.unwrap_or(0.5)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::result::{CellSpread, Spread};
    use super::*;

    fn model(name: &str, aucs: [f64; 3]) -> ModelResult {
        let cell = |(at, auc): (usize, f64)| CellSpread {
            rows: 100,
            positives: if at == 2 { 3 } else { 50 },
            auc: Spread { mean: Some(auc), ..Spread::default() },
            ..CellSpread::default()
        };
        let cells = aucs.into_iter().enumerate().map(cell).collect();
        ModelResult { name: name.to_owned(), cells, ..ModelResult::default() }
    }

    #[test]
    fn a_model_is_beaten_by_one_that_is_nowhere_worse_and_somewhere_better() {
        // The third cell is too small to count.
        let models = [
            model("a", [0.7, 0.6, 0.1]),
            model("b", [0.7, 0.5, 0.9]),
            model("c", [0.8, 0.4, 0.9]),
            model("d", [0.7, 0.6, 0.9]),
        ];
        let rows = rows(&models, 10);
        let beaten: Vec<&[String]> = rows.iter().map(|row| row.beaten_by.as_slice()).collect();
        assert_eq!(
            beaten,
            [&[][..], &["a".to_owned(), "d".to_owned()], &[], &[]],
            "equal models do not beat each other"
        );
        assert_eq!(rows.iter().map(|row| row.best_cells).collect::<Vec<_>>(), [0, 0, 1, 0]);
        assert!(rows.iter().all(|row| row.cells == 2));
    }
}
