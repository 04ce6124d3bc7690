//! Reads and writes safetensors files of `f32`, piece by piece: a table is never in memory twice.
//!
//! The format: the length of the header (8 bytes, little endian), the header (JSON), then the numbers of every tensor,
//! little endian, in the order given. It allows headers up to 100 MB and tensors of any size, so no file is split.

use std::io::{self, Read, Write};
use std::path::Path;

use hinet_tape::Params;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::{Embeddings, ModelError};

const _: () = assert!(cfg!(target_endian = "little"), "numbers are written as they lie in memory");

/// Most bytes of a header, as the format says.
const MAX_HEADER: u64 = 100_000_000;
/// Headers end on a multiple of this, so that numbers are aligned.
const ALIGNMENT: usize = 8;

/// Named tensors of `f32`, in a fixed order.
pub(crate) trait Tensors {
    /// Name and shape of each.
    fn shapes(&self) -> Vec<(&str, Vec<usize>)>;

    /// The numbers of one.
    fn values(&self, index: usize) -> &[f32];
}

/// Tensors that a file is read into.
pub(crate) trait TensorsMut: Tensors {
    /// The numbers of one, to be read from a file.
    fn values_mut(&mut self, index: usize) -> &mut [f32];
}

impl Tensors for Params {
    fn shapes(&self) -> Vec<(&str, Vec<usize>)> {
        self.specs().iter().map(|spec| (spec.name.as_str(), spec.dims.clone())).collect()
    }

    fn values(&self, index: usize) -> &[f32] {
        self.at(index)
    }
}

impl TensorsMut for Params {
    fn values_mut(&mut self, index: usize) -> &mut [f32] {
        self.at_mut(index)
    }
}

impl Tensors for Embeddings {
    fn shapes(&self) -> Vec<(&str, Vec<usize>)> {
        self.specs().map(|spec| (spec.name.as_str(), vec![spec.rows, spec.dim])).collect()
    }

    fn values(&self, index: usize) -> &[f32] {
        self.table(index)
    }
}

impl TensorsMut for Embeddings {
    fn values_mut(&mut self, index: usize) -> &mut [f32] {
        self.table_mut(index)
    }
}

/// Writes the tensors in their order.
pub(crate) fn write(out: &mut dyn Write, tensors: &dyn Tensors) -> io::Result<()> {
    out.write_all(&header(&tensors.shapes())?)?;
    (0..tensors.shapes().len()).try_for_each(|index| out.write_all(bytemuck::cast_slice(tensors.values(index))))
}

/// Size of a file of tensors of these shapes; none where it has no size a file can have.
pub(super) fn file_size(shapes: &[(&str, Vec<usize>)]) -> Option<u64> {
    let numbers = |shape: &Vec<usize>| shape.iter().try_fold(1_usize, |size, &dim| size.checked_mul(dim));
    let add = |sum: usize, (_, shape): &(&str, Vec<usize>)| sum.checked_add(numbers(shape)?.checked_mul(4)?);
    let data = shapes.iter().try_fold(0, add)?;
    data.checked_add(header(shapes).ok()?.len()).map(|size| size as u64)
}

/// Reads exactly these tensors from a file of `bytes` bytes; every number must be finite.
pub(crate) fn read(
    file: &Path,
    (input, bytes): (&mut dyn Read, u64),
    tensors: &mut dyn TensorsMut,
) -> Result<(), ModelError> {
    let header = read_header(file, input, bytes)?;
    for index in check_shapes(file, &header, &tensors.shapes())? {
        input.read_exact(bytemuck::cast_slice_mut(tensors.values_mut(index)))?;
    }
    match not_finite(tensors) {
        Some(found) => Err(ModelError::corrupt(file, found, "finite numbers")),
        None => Ok(()),
    }
}

/// Names the first number that is infinite or no number.
pub(super) fn not_finite(tensors: &dyn Tensors) -> Option<String> {
    tensors.shapes().iter().enumerate().find_map(|(index, (name, _))| {
        let values = tensors.values(index);
        let place = values.iter().position(|value| !value.is_finite())?;
        Some(format!("tensor `{name}` holds {} at element {place}", values[place]))
    })
}

/// The length of the header, and the header.
fn header(shapes: &[(&str, Vec<usize>)]) -> io::Result<Vec<u8>> {
    let mut end = 0;
    let infos = shapes.iter().map(|(name, shape)| {
        let start = end;
        end += shape.iter().product::<usize>() * size_of::<f32>();
        let info = TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, end) };
        ((*name).to_owned(), info)
    });
    let metadata = Metadata::new(None, infos.collect()).map_err(io::Error::other)?;
    let mut text = serde_json::to_vec(&metadata)?;
    text.resize(text.len().next_multiple_of(ALIGNMENT), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.append(&mut text);
    Ok(header)
}

fn read_header(file: &Path, input: &mut dyn Read, bytes: u64) -> Result<Metadata, ModelError> {
    let mut length = [0; 8];
    input.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER.min(bytes.saturating_sub(8)) {
        return Err(ModelError::corrupt(file, format!("a header of {length} bytes"), "a safetensors file"));
    }
    let mut text = vec![0; length as usize];
    input.read_exact(&mut text)?;
    let header: Metadata = serde_json::from_slice(&text)
        .map_err(|error| ModelError::corrupt(file, format!("a header that cannot be read ({error})"), "safetensors"))?;
    let expected = 8 + length + header.data_len() as u64;
    if bytes != expected {
        return Err(ModelError::corrupt(file, format!("{bytes} bytes"), format!("{expected}, as its header says")));
    }
    Ok(header)
}

/// The indices of the tensors in the order of the file.
fn check_shapes(file: &Path, header: &Metadata, shapes: &[(&str, Vec<usize>)]) -> Result<Vec<usize>, ModelError> {
    for (name, shape) in shapes {
        let expected = format!("F32 {shape:?}");
        let Some(info) = header.info(name) else {
            return Err(ModelError::corrupt(file, format!("no tensor `{name}`"), expected));
        };
        if info.dtype != Dtype::F32 || info.shape != *shape {
            let found = format!("tensor `{name}` is {:?} {:?}", info.dtype, info.shape);
            return Err(ModelError::corrupt(file, found, expected));
        }
    }
    let index = |name: &String| {
        let known = shapes.iter().position(|(known, _)| known == name);
        known.ok_or_else(|| ModelError::corrupt(file, format!("a tensor `{name}`"), "only those of its model"))
    };
    header.offset_keys().iter().map(index).collect()
}

#[cfg(test)]
mod tests {
    use hinet_tape::{Init, ParamSpec, Scope};

    use super::*;

    const FILE: &str = "some.safetensors";

    fn params(parameters: &[(&str, &[usize], &[f32])]) -> Params {
        let spec = |name: &str, dims: &[usize]| {
            let (name, dims) = (name.to_owned(), dims.to_vec());
            ParamSpec { name, dims, init: Init::Zeros, scope: Scope::Shared, trainable: true }
        };
        let specs: Vec<_> = parameters.iter().map(|(name, dims, _)| spec(name, dims)).collect();
        let mut params = Params::new(&specs, |_| 0);
        for (index, (.., values)) in parameters.iter().enumerate() {
            params.at_mut(index).copy_from_slice(values);
        }
        params
    }

    fn written(params: &Params) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, params).unwrap();
        assert_eq!(file_size(&params.shapes()), Some(bytes.len() as u64));
        bytes
    }

    fn read_into(params: &mut Params, bytes: &[u8]) -> Result<(), ModelError> {
        read(Path::new(FILE), (&mut &bytes[..], bytes.len() as u64), params)
    }

    #[test]
    fn what_is_written_is_read_back_and_by_the_safetensors_crate_too() {
        let a = [1.0, -2.0, 3.5, 0.0, 1e-30, 7.0];
        let saved = params(&[("z", &[2, 3], &a), ("a \"quoted\" name", &[1], &[0.25])]);
        let bytes = written(&saved);
        let theirs = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(theirs.tensor("z").unwrap().shape(), [2, 3]);
        assert_eq!(theirs.tensor("z").unwrap().data(), bytemuck::cast_slice::<f32, u8>(&a));
        assert_eq!(theirs.tensor("a \"quoted\" name").unwrap().data(), 0.25_f32.to_le_bytes());
        let mut other = params(&[("a \"quoted\" name", &[1], &[0.0]), ("z", &[2, 3], &[0.0; 6])]);
        read_into(&mut other, &bytes).unwrap();
        assert_eq!(other.get("z").unwrap(), a);
        assert_eq!(other.get("a \"quoted\" name").unwrap(), [0.25]);
        assert_eq!(bytes, written(&saved));
    }

    #[test]
    fn other_names_shapes_and_numbers_are_refused_with_the_file_and_what_was_expected() {
        let bytes = written(&params(&[("z", &[2], &[1.0, 2.0])]));
        let message = |mut params: Params, bytes: &[u8]| read_into(&mut params, bytes).unwrap_err().to_string();
        let other = params(&[("y", &[2], &[0.0; 2])]);
        assert_eq!(message(other, &bytes), "some.safetensors: no tensor `y`; expected F32 [2]");
        let other = params(&[("z", &[3], &[0.0; 3])]);
        assert_eq!(message(other, &bytes), "some.safetensors: tensor `z` is F32 [2]; expected F32 [3]");
        assert_eq!(message(params(&[]), &bytes), "some.safetensors: a tensor `z`; expected only those of its model");
        let broken = params(&[("z", &[2], &[1.0, f32::NAN])]);
        let bytes = written(&broken);
        assert_eq!(
            message(broken, &bytes),
            "some.safetensors: tensor `z` holds NaN at element 1; expected finite numbers"
        );
    }

    #[test]
    fn a_header_that_lies_about_its_length_is_refused_before_memory_is_asked_for() {
        let mut params = params(&[("z", &[1], &[1.0])]);
        let mut bytes = written(&params);
        bytes[6] = 0x7f;
        assert!(matches!(read_into(&mut params, &bytes), Err(ModelError::Corrupt { .. })));
    }
}
