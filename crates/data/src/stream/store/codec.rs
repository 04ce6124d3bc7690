//! A batch as bytes and back, bit for bit: numbers little endian, each list behind its length.

use crate::{Batch, Column};

const IDS: u8 = 0;
const DENSE: u8 = 1;
const BAG: u8 = 2;
const WEIGHTED_BAG: u8 = 3;

/// Adds the bytes of a batch that is not grouped to `out`.
pub(super) fn write(batch: &Batch, out: &mut Vec<u8>) {
    count(out, batch.rows);
    count(out, batch.features.len());
    for column in &batch.features {
        match column {
            Column::Ids(ids) => {
                out.push(IDS);
                list(out, ids, u32::to_le_bytes);
            }
            Column::Dense(values) => {
                out.push(DENSE);
                list(out, values, f32::to_le_bytes);
            }
            Column::Bag { offsets, ids, weights } => {
                out.push(if weights.is_some() { WEIGHTED_BAG } else { BAG });
                list(out, offsets, u32::to_le_bytes);
                list(out, ids, u32::to_le_bytes);
                weights.iter().for_each(|weights| list(out, weights, f32::to_le_bytes));
            }
        }
    }
    list(out, &batch.scenario, u16::to_le_bytes);
    list(out, &batch.labels, f32::to_le_bytes);
    list(out, &batch.observed, |observed| [u8::from(observed)]);
    list(out, &batch.weight, f32::to_le_bytes);
    list(out, &batch.user, u64::to_le_bytes);
    list(out, &batch.request, u64::to_le_bytes);
}

/// The batch that [`write`] wrote; nothing for other bytes.
pub(super) fn read(bytes: &[u8]) -> Option<Batch> {
    let mut rest = Rest(bytes);
    let rows = rest.count()?;
    let columns = rest.count()?;
    let mut features = Vec::new();
    for _ in 0..columns {
        features.push(rest.column()?);
    }
    let batch = Batch {
        rows,
        features,
        scenario: rest.list(u16::from_le_bytes)?,
        offsets: Vec::new(),
        labels: rest.list(f32::from_le_bytes)?,
        observed: rest.list(|[byte]| byte != 0)?,
        weight: rest.list(f32::from_le_bytes)?,
        user: rest.list(u64::from_le_bytes)?,
        request: rest.list(u64::from_le_bytes)?,
        position: (0..u32::try_from(rows).ok()?).collect(),
        first_row: 0,
    };
    let whole = rest.0.is_empty() && batch.scenario.len() == rows && batch.weight.len() == rows;
    whole.then_some(batch)
}

fn count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u64).to_le_bytes());
}

fn list<T: Copy, const SIZE: usize>(out: &mut Vec<u8>, values: &[T], bytes: impl Fn(T) -> [u8; SIZE]) {
    count(out, values.len());
    let from = out.len();
    out.resize(from + values.len() * SIZE, 0);
    let (places, _) = out[from..].as_chunks_mut::<SIZE>();
    for (place, &value) in places.iter_mut().zip(values) {
        *place = bytes(value);
    }
}

/// Bytes not read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn count(&mut self) -> Option<usize> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        usize::try_from(u64::from_le_bytes(*bytes)).ok()
    }

    fn list<T, const SIZE: usize>(&mut self, value: impl Fn([u8; SIZE]) -> T) -> Option<Vec<T>> {
        let length = self.count()?.checked_mul(SIZE)?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes.as_chunks().0.iter().map(|&bytes| value(bytes)).collect())
    }

    fn column(&mut self) -> Option<Column> {
        let (&kind, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(match kind {
            IDS => Column::Ids(self.list(u32::from_le_bytes)?),
            DENSE => Column::Dense(self.list(f32::from_le_bytes)?),
            BAG | WEIGHTED_BAG => Column::Bag {
                offsets: self.list(u32::from_le_bytes)?,
                ids: self.list(u32::from_le_bytes)?,
                weights: if kind == BAG { None } else { Some(self.list(f32::from_le_bytes)?) },
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        Batch {
            rows: 2,
            features: vec![
                Column::Ids(vec![0, u32::MAX]),
                Column::Dense(vec![1.5, -0.0, f32::INFINITY, 3.0]),
                Column::Bag { offsets: vec![0, 2, 3], ids: vec![7, 8, 9], weights: Some(vec![0.5, 1.0, 2.0]) },
                Column::Bag { offsets: vec![0, 0, 1], ids: vec![5], weights: None },
            ],
            scenario: vec![1, 65_535],
            labels: vec![0.0, 1.0, 1.0, 0.0],
            observed: vec![true, false, true, true],
            weight: vec![1.0, 0.25],
            user: vec![u64::MAX, 3],
            position: vec![0, 1],
            ..Batch::default()
        }
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let mut bytes = Vec::new();
        write(&batch(), &mut bytes);
        assert_eq!(read(&bytes), Some(batch()));
        let mut nothing = Vec::new();
        write(&Batch::default(), &mut nothing);
        assert_eq!(read(&nothing), Some(Batch::default()));
    }

    #[test]
    fn bytes_that_end_early_or_late_or_lie_about_lengths_are_no_batch() {
        let mut bytes = Vec::new();
        write(&batch(), &mut bytes);
        assert!((0..bytes.len()).all(|end| read(&bytes[..end]).is_none()));
        assert!(read(&[bytes.as_slice(), &[0]].concat()).is_none());
        bytes[8..16].fill(0xff);
        assert!(read(&bytes).is_none());
    }
}
