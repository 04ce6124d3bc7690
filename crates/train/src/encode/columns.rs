//! Encoded rows as columns of Arrow.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float32Array, Int64Array, ListArray, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;
use hinet_data::{Batch, Column, Layout, Slot};
use hinet_model::{InputNames, SCENARIO};

/// What the encoded columns are.
#[derive(Clone, Copy)]
pub(super) struct Encoded<'e> {
    pub(super) layout: &'e Layout,
    pub(super) names: &'e InputNames,
    /// Whether lists are written as texts.
    pub(super) as_text: bool,
}

impl Encoded<'_> {
    /// The scenario, then each slot, the weights of ids behind them.
    pub(super) fn fields(&self) -> Vec<Field> {
        let mut fields = vec![Field::new(SCENARIO, DataType::Int64, false)];
        for (slot, names) in self.layout.slots.iter().zip(&self.names.slots) {
            let kind = match slot {
                Slot::Lookup { .. } => DataType::Int64,
                Slot::Bag { .. } => self.list_type(DataType::Int64),
                Slot::Dense { width: 1, .. } => DataType::Float32,
                Slot::Dense { .. } => self.list_type(DataType::Float32),
            };
            fields.push(Field::new(&names.values, kind, false));
            let weights = names.weights.iter();
            fields.extend(weights.map(|name| Field::new(name, self.list_type(DataType::Float32), false)));
        }
        fields
    }

    /// The columns of these fields, for the rows of a batch.
    pub(super) fn columns(&self, batch: &Batch) -> Result<Vec<ArrayRef>, ArrowError> {
        let scenario = Int64Array::from_iter_values(batch.scenario.iter().map(|&scenario| i64::from(scenario)));
        let mut columns: Vec<ArrayRef> = vec![Arc::new(scenario)];
        for (column, slot) in batch.features.iter().zip(&self.layout.slots) {
            match (column, slot) {
                (Column::Ids(ids), _) => columns.push(Arc::new(whole(ids))),
                (Column::Bag { offsets, ids, weights }, _) => {
                    columns.push(self.list(offsets, Arc::new(whole(ids)))?);
                    if let Some(weights) = weights {
                        columns.push(self.list(offsets, Arc::new(Float32Array::from(weights.clone())))?);
                    }
                }
                (Column::Dense(values), Slot::Dense { width, .. }) if *width > 1 => {
                    let offsets: Vec<u32> = (0..=batch.rows).map(|row| (row * width) as u32).collect();
                    columns.push(self.list(&offsets, Arc::new(Float32Array::from(values.clone())))?);
                }
                (Column::Dense(values), _) => columns.push(Arc::new(Float32Array::from(values.clone()))),
            }
        }
        Ok(columns)
    }

    fn list_type(&self, item: DataType) -> DataType {
        if self.as_text { DataType::Utf8 } else { DataType::List(item_field(item)) }
    }

    fn list(&self, offsets: &[u32], values: ArrayRef) -> Result<ArrayRef, ArrowError> {
        if self.as_text {
            return texts(offsets, &values);
        }
        let offsets = offsets.iter().map(|&offset| offset as i32).collect::<ScalarBuffer<i32>>();
        let field = item_field(values.data_type().clone());
        Ok(Arc::new(ListArray::try_new(field, OffsetBuffer::new(offsets), values, None)?))
    }
}

fn item_field(item: DataType) -> Arc<Field> {
    Arc::new(Field::new("item", item, false))
}

fn whole(ids: &[u32]) -> Int64Array {
    Int64Array::from_iter_values(ids.iter().map(|&id| i64::from(id)))
}

/// Each list as a text, its items parted by spaces.
fn texts(offsets: &[u32], values: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let items = arrow::compute::cast(values, &DataType::Utf8)?;
    let items = items.as_any().downcast_ref::<StringArray>().ok_or(ArrowError::ComputeError("no texts".to_owned()))?;
    let text = |pair: &[u32]| {
        let items: Vec<&str> = (pair[0]..pair[1]).map(|at| items.value(at as usize)).collect();
        items.join(" ")
    };
    Ok(Arc::new(StringArray::from_iter_values(offsets.windows(2).map(text))))
}

#[cfg(test)]
mod tests {
    use hinet_data::{Pooling, TaskSpec, UnknownScenario};

    use super::*;

    fn encoded(as_text: bool) -> Vec<ArrayRef> {
        let layout = Layout {
            sequences: Vec::new(),
            tables: Vec::new(),
            slots: vec![
                Slot::Bag { feature: "tags".into(), table: 0, pooling: Pooling::Sum },
                Slot::Dense { feature: "price".into(), width: 2 },
            ],
            scenarios: vec!["home".into()],
            scenario_rows: vec![1],
            tasks: vec![TaskSpec::new("click")],
            unknown: UnknownScenario::Error,
        };
        let names = InputNames::new(&layout, &[true, false]).unwrap();
        let tags = Column::Bag { offsets: vec![0, 2, 2], ids: vec![3, 7], weights: Some(vec![0.5, 2.0]) };
        let features = vec![tags, Column::Dense(vec![1.0, 0.25, -1.0, 0.0])];
        let batch = Batch { rows: 2, features, scenario: vec![0, 0], ..Batch::default() };
        let encoded = Encoded { layout: &layout, names: &names, as_text };
        let columns = encoded.columns(&batch).unwrap();
        for (field, column) in encoded.fields().iter().zip(&columns) {
            assert_eq!(field.data_type(), column.data_type(), "{}", field.name());
        }
        columns
    }

    #[test]
    fn lists_stay_lists_or_become_texts() {
        let text = |column: &ArrayRef, row: usize| arrow::util::display::array_value_to_string(column, row).unwrap();
        let lists = encoded(false);
        let shown: Vec<String> = lists.iter().map(|column| text(column, 0)).collect();
        assert_eq!(shown, ["0", "[3, 7]", "[0.5, 2.0]", "[1.0, 0.25]"]);
        assert_eq!(text(&lists[1], 1), "[]");
        let texts: Vec<String> = encoded(true).iter().map(|column| text(column, 0)).collect();
        assert_eq!(texts, ["0", "3 7", "0.5 2.0", "1.0 0.25"]);
        assert_eq!(text(&encoded(true)[1], 1), "");
    }
}
