//! Products of gradients with respect to the tables, for methods that compare the gradients of several losses.

use hinet_data::Batch;

use super::touched::Touched;
use super::{Embeddings, Table};

/// Inner products of the gradients of several losses over all rows of the tables. Buffers are kept from batch to batch.
#[derive(Clone, Debug, Default)]
pub struct TableProducts {
    /// One per loss, for tables in which the gradient decides what is touched; else only the first is used.
    touched: Vec<Touched>,
    /// A table row's gradient for each loss, `[losses, dim]`.
    rows: Vec<f32>,
}

impl TableProducts {
    /// Adds `<g_i, g_j>` to `products`, `[losses, losses]`, for `j <= i`. `gradients` are those of the dense input, `[rows, width]`
    /// each. First-order weights count if asked for.
    ///
    /// # Panics
    /// If the batch or a gradient is not of these embeddings: a bug of the caller.
    pub fn add(
        &mut self,
        (embeddings, batch): (&Embeddings, &Batch),
        gradients: &[&[f32]],
        first_order: bool,
        products: &mut [f64],
    ) {
        assert!(gradients.iter().all(|gradient| gradient.len() == batch.rows * embeddings.width()), "other gradients");
        self.touched.resize(gradients.len(), Touched::default());
        let tables = if first_order { embeddings.tables.len() } else { embeddings.first_order_table };
        for table in &embeddings.tables[..tables] {
            let apart = table.readers.iter().any(|&reader| embeddings.slots[reader].pools_by_max());
            for (touched, gradient) in self.touched.iter_mut().zip(gradients).take(if apart { usize::MAX } else { 1 }) {
                touched.find(table, &embeddings.slots, batch, gradient);
            }
            self.add_table((table, apart), gradients, products);
        }
    }

    fn add_table(&mut self, (table, apart): (&Table, bool), gradients: &[&[f32]], products: &mut [f64]) {
        let (dim, losses) = (table.spec.dim, gradients.len());
        let Some(first) = self.touched.first() else { return };
        self.rows.resize(losses * dim, 0.0);
        for range in first.starts.windows(2).map(|range| range[0] as usize..range[1] as usize) {
            for (loss, (gradient, row)) in gradients.iter().zip(self.rows.chunks_exact_mut(dim)).enumerate() {
                let touched = &self.touched[if apart { loss } else { 0 }];
                row.fill(0.0);
                for entry in &touched.entries[range.clone()] {
                    let from = touched.gradient_of(entry, gradient, dim);
                    row.iter_mut().zip(from).for_each(|(sum, value)| *sum += entry.factor * value);
                }
            }
            for i in 0..losses {
                for j in 0..=i {
                    let (a, b) = (&self.rows[i * dim..][..dim], &self.rows[j * dim..][..dim]);
                    products[i * losses + j] += f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>());
                }
            }
        }
    }
}
