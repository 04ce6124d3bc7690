//! Tensors of the Open Inference Protocol as columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray, StringArray,
    UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Float16Type};
use hinet_data::{InputColumn, InputKind};

use crate::refusal::{NAME, shortened};

mod json;

pub(crate) use json::from_json;

/// Integers that stand for no item behind the last one of a row, where a tensor does not name another.
const PAD: f64 = -1.0;

/// The element types of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Datatype {
    Bool,
    /// Signed, of so many bytes.
    Int(usize),
    /// Without a sign, of so many bytes.
    Uint(usize),
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

/// The elements of a tensor, row after row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Elements {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Uint(Vec<u64>),
    Fp32(Vec<f32>),
    Fp64(Vec<f64>),
    Text(Vec<String>),
}

/// Rows, and values of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) width: usize,
}

impl Datatype {
    pub(crate) fn parse(name: &str) -> Result<Datatype, String> {
        Ok(match name {
            "BOOL" => Datatype::Bool,
            "INT8" => Datatype::Int(1),
            "INT16" => Datatype::Int(2),
            "INT32" => Datatype::Int(4),
            "INT64" => Datatype::Int(8),
            "UINT8" => Datatype::Uint(1),
            "UINT16" => Datatype::Uint(2),
            "UINT32" => Datatype::Uint(4),
            "UINT64" => Datatype::Uint(8),
            "FP16" => Datatype::Fp16,
            "BF16" => Datatype::Bf16,
            "FP32" => Datatype::Fp32,
            "FP64" => Datatype::Fp64,
            "BYTES" => Datatype::Bytes,
            _ => {
                let name = shortened(name, NAME / 2);
                return Err(format!(
                    "`{name}` is no datatype; there are BOOL, INT8 to INT64, UINT8 to UINT64, FP16, BF16, FP32, FP64, BYTES"
                ));
            }
        })
    }

    /// Elements from their bytes, little-endian; of BYTES each has its length before it, in 4 bytes.
    pub(crate) fn elements(self, bytes: &[u8]) -> Result<Elements, String> {
        let parts = |size: usize| match bytes.len().is_multiple_of(size) {
            true => Ok(bytes.chunks_exact(size)),
            false => Err(format!("{} bytes are no whole number of elements of {size} bytes", bytes.len())),
        };
        Ok(match self {
            Datatype::Bool => Elements::Bool(bytes.iter().map(|&byte| byte != 0).collect()),
            Datatype::Int(size) => Elements::Int(parts(size)?.map(signed).collect()),
            Datatype::Uint(size) => Elements::Uint(parts(size)?.map(unsigned).collect()),
            Datatype::Fp16 => Elements::Fp32(parts(2)?.map(|part| half(unsigned(part) as u16)).collect()),
            Datatype::Bf16 => {
                Elements::Fp32(parts(2)?.map(|part| f32::from_bits((unsigned(part) as u32) << 16)).collect())
            }
            Datatype::Fp32 => Elements::Fp32(parts(4)?.map(|part| f32::from_bits(unsigned(part) as u32)).collect()),
            Datatype::Fp64 => Elements::Fp64(parts(8)?.map(|part| f64::from_bits(unsigned(part))).collect()),
            Datatype::Bytes => Elements::Text(texts(bytes)?),
        })
    }
}

fn unsigned(part: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..part.len()].copy_from_slice(part);
    u64::from_le_bytes(bytes)
}

fn signed(part: &[u8]) -> i64 {
    let unused = 64 - 8 * part.len() as u32;
    (unsigned(part) << unused) as i64 >> unused
}

/// An IEEE half as a single.
fn half(bits: u16) -> f32 {
    <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits).to_f32()
}

fn texts(mut bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut texts = Vec::new();
    while !bytes.is_empty() {
        let cut = || format!("element {} ends before its length says", texts.len() + 1);
        let (length, rest) = bytes.split_at_checked(4).ok_or_else(cut)?;
        let (text, rest) = rest.split_at_checked(unsigned(length) as usize).ok_or_else(cut)?;
        texts.push(text_of(text, texts.len())?);
        bytes = rest;
    }
    Ok(texts)
}

/// An element of BYTES, which must be text here.
pub(crate) fn text_of(bytes: &[u8], at: usize) -> Result<String, String> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| format!("element {} is not text in UTF-8", at + 1))
}

impl Shape {
    /// One value for each row, or several.
    pub(crate) fn parse(dims: &[i64]) -> Result<Shape, String> {
        let shape = || match *dims {
            [rows] => Some(Shape { rows: usize::try_from(rows).ok()?, width: 1 }),
            [rows, width] => Some(Shape { rows: usize::try_from(rows).ok()?, width: usize::try_from(width).ok()? }),
            _ => None,
        };
        let fits = |shape: &Shape| shape.rows.checked_mul(shape.width).is_some();
        shape().filter(fits).ok_or_else(|| {
            let dims: Vec<String> = dims.iter().take(8).map(ToString::to_string).collect();
            format!("its shape is [{}], expected [rows] or [rows, values of a row]", dims.join(", "))
        })
    }
}

impl Elements {
    fn len(&self) -> usize {
        match self {
            Elements::Bool(values) => values.len(),
            Elements::Int(values) => values.len(),
            Elements::Uint(values) => values.len(),
            Elements::Fp32(values) => values.len(),
            Elements::Fp64(values) => values.len(),
            Elements::Text(values) => values.len(),
        }
    }

    fn into_array(self) -> ArrayRef {
        match self {
            Elements::Bool(values) => Arc::new(BooleanArray::from(values)),
            Elements::Int(values) => Arc::new(Int64Array::from(values)),
            Elements::Uint(values) => Arc::new(UInt64Array::from(values)),
            Elements::Fp32(values) => Arc::new(Float32Array::from(values)),
            Elements::Fp64(values) => Arc::new(Float64Array::from(values)),
            Elements::Text(values) => Arc::new(StringArray::from(values)),
        }
    }

    /// The column of these elements. Where a row holds several, those behind its last item are taken off: empty texts,
    /// not-a-numbers, and numbers equal to `pad`.
    ///
    /// # Errors
    /// If there are more or fewer elements than the shape says, or several in a row of a column that holds one.
    pub(crate) fn into_column(
        self,
        shape: Shape,
        input: Option<&InputColumn>,
        pad: Option<f64>,
    ) -> Result<ArrayRef, String> {
        let Shape { rows, width } = shape;
        if self.len() != rows * width {
            return Err(format!("it has {} elements, while its shape says {}", self.len(), rows * width));
        }
        let kind = input.map(|input| input.kind);
        if width == 1 {
            return Ok(self.into_array());
        }
        if kind.is_some_and(|kind| !kind.is_list()) {
            return Err(format!("it has {width} values in a row, while the column holds one"));
        }
        let lengths: Vec<usize> = match kind {
            Some(InputKind::Vector(_)) => vec![width; rows],
            _ => (0..rows).map(|row| self.items(row * width, width, pad)).collect(),
        };
        Ok(lists(&self.into_array(), width, &lengths))
    }

    /// How many of the elements from `from` on are items.
    fn items(&self, from: usize, width: usize, pad: Option<f64>) -> usize {
        (0..width).rev().find(|&place| !self.is_pad(from + place, pad)).map_or(0, |last| last + 1)
    }

    fn is_pad(&self, at: usize, pad: Option<f64>) -> bool {
        match self {
            Elements::Bool(_) => false,
            Elements::Int(values) => values[at] as f64 == pad.unwrap_or(PAD),
            Elements::Uint(values) => pad == Some(values[at] as f64),
            Elements::Fp32(values) => values[at].is_nan() || pad == Some(f64::from(values[at])),
            Elements::Fp64(values) => values[at].is_nan() || pad == Some(values[at]),
            Elements::Text(values) => values[at].is_empty(),
        }
    }
}

/// The first elements of each run of `width` as a list.
fn lists(array: &ArrayRef, width: usize, lengths: &[usize]) -> ArrayRef {
    let kept = lengths
        .iter()
        .enumerate()
        .flat_map(|(row, length)| (0..*length).map(move |place| (row * width + place) as u64));
    let kept = UInt64Array::from_iter_values(kept);
    let items = arrow::compute::take(array, &kept, None).expect("the places are within the array");
    let field = Arc::new(Field::new_list_field(array.data_type().clone(), true));
    Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths.iter().copied()), items, None))
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn bytes_become_the_elements_they_stand_for() {
        let elements = |name: &str, bytes: &[u8]| Datatype::parse(name).unwrap().elements(bytes);
        assert_eq!(elements("INT8", &[255, 1]), Ok(Elements::Int(vec![-1, 1])));
        assert_eq!(elements("INT32", &(-7_i32).to_le_bytes()), Ok(Elements::Int(vec![-7])));
        assert_eq!(elements("UINT16", &[1, 1]), Ok(Elements::Uint(vec![257])));
        assert_eq!(elements("FP16", &[0, 0x3e]), Ok(Elements::Fp32(vec![1.5])));
        assert_eq!(elements("BF16", &[0xc0, 0x3f]), Ok(Elements::Fp32(vec![1.5])));
        assert_eq!(elements("FP64", &0.1_f64.to_le_bytes()), Ok(Elements::Fp64(vec![0.1])));
        assert_eq!(elements("BYTES", b"\x02\0\0\0ab\0\0\0\0"), Ok(Elements::Text(vec!["ab".into(), String::new()])));
        for (name, bytes) in
            [("INT64", &[0; 7][..]), ("BYTES", b"\x02\0\0\0a"), ("BYTES", b"\x02\0"), ("BYTES", b"\x01\0\0\0\xff")]
        {
            assert!(elements(name, bytes).is_err(), "{name}");
        }
    }

    #[test]
    fn shapes_have_one_or_two_dimensions_that_are_not_negative() {
        assert_eq!(Shape::parse(&[3]), Ok(Shape { rows: 3, width: 1 }));
        assert_eq!(Shape::parse(&[3, 2]), Ok(Shape { rows: 3, width: 2 }));
        for dims in [&[][..], &[-1], &[1, 2, 3], &[i64::MAX, i64::MAX]] {
            assert!(Shape::parse(dims).is_err(), "{dims:?}");
        }
    }

    #[test]
    fn what_stands_behind_the_last_item_is_taken_off() {
        let input = InputColumn { name: "tags".into(), kind: InputKind::Items, integers: true, optional: true };
        let shape = Shape { rows: 2, width: 3 };
        let column = Elements::Int(vec![7, -1, 8, 9, -1, -1]).into_column(shape, Some(&input), None).unwrap();
        let column = column.as_list::<i32>();
        assert_eq!(column.value(0).as_primitive::<Int64Type>().values(), &[7, -1, 8]);
        assert_eq!(column.value(1).as_primitive::<Int64Type>().values(), &[9]);
        let one = InputColumn { kind: InputKind::Category, ..input };
        assert!(Elements::Int(vec![0; 6]).into_column(shape, Some(&one), None).unwrap_err().contains("holds one"));
        assert!(Elements::Int(vec![0; 5]).into_column(shape, None, None).unwrap_err().contains("5 elements"));
    }
}
