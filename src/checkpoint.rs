//! Checkpoints: safetensors files that PyTorch can read, written whole or not at all.

pub(crate) mod manifest;

use crate::atomic::write_atomic;
use crate::layout::shape_problem;
use crate::{DType, Error, Result, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// The key of the file's metadata that holds ganvil's own, as canonical JSON.
const KEY: &str = "ganvil";

/// A checkpoint's content.
pub struct Checkpoint {
    /// The tensors by name.
    pub tensors: HashMap<String, Tensor>,
    /// ganvil's metadata; null in files of other programs.
    pub meta: Value,
}

fn to_file(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::U8 => Dtype::U8,
    }
}

fn from_file(dtype: Dtype) -> Option<DType> {
    DType::ALL.into_iter().find(|d| to_file(*d) == dtype)
}

/// Writes named tensors and metadata. The bytes are a function of both alone: tensors are sorted, object keys too.
///
/// # Errors
/// If the file cannot be written; what was there before stays.
pub fn save(path: &Path, tensors: &[(String, Tensor)], meta: &Value) -> Result<()> {
    write_atomic(path, &to_bytes(path, tensors, meta)?)
}

/// What [`save`] writes; the path is for messages.
pub(crate) fn to_bytes(path: &Path, tensors: &[(String, Tensor)], meta: &Value) -> Result<Vec<u8>> {
    let bytes: Vec<Vec<u8>> = tensors.iter().map(|(_, t)| little_endian(t)).collect();
    let views = tensors.iter().zip(&bytes).map(|((name, t), b)| {
        TensorView::new(to_file(t.dtype()), t.shape().to_vec(), b)
            .map(|v| (name.as_str(), v))
            .map_err(|e| Error::format(path, format!("tensor '{name}' cannot be stored: {e}")))
    });
    let views: Vec<_> = views.collect::<Result<_>>()?;
    let meta = HashMap::from([(KEY.to_owned(), meta.to_string())]);
    safetensors::serialize(views, Some(meta))
        .map_err(|e| Error::format(path, format!("cannot be written: {e}")))
}

/// Row-major bytes as the format has them.
fn little_endian(t: &Tensor) -> Vec<u8> {
    crate::dtype::dispatch!(t.dtype(), all, T => {
        let values = t.to_vec::<T>();
        let mut bytes = bytemuck::cast_slice::<T, u8>(&values).to_vec();
        if cfg!(target_endian = "big") {
            bytes.chunks_mut(size_of::<T>()).for_each(|c| c.reverse());
        }
        bytes
    })
}

/// Reads a checkpoint, or any safetensors file of dtypes that ganvil has. Where a run's manifest lies beside the file and
/// lists it, its size and checksum must be those of the manifest.
///
/// # Errors
/// If the file cannot be read, is not what the manifest says, is no safetensors file (for what `torch.save` writes the message has the two lines of
/// Python that make one of it), is truncated, or has another dtype or a shape that
/// no tensor can have.
pub fn load(path: &Path) -> Result<Checkpoint> {
    let file = std::fs::read(path).map_err(Error::io("read", path))?;
    manifest::verify(path, &file)?;
    parse(&file, path)
}

/// [`load`] of a file's bytes; the path is for messages.
pub(crate) fn parse(file: &[u8], path: &Path) -> Result<Checkpoint> {
    if let Some(problem) = pickled(file, path) {
        return Err(Error::format(path, problem));
    }
    let broken = |e: safetensors::SafeTensorError| {
        Error::format(
            path,
            format!("not a readable safetensors file ({e}); it may be truncated or of another format"),
        )
    };
    let (_, header) = SafeTensors::read_metadata(file).map_err(broken)?;
    let meta = match header.metadata().as_ref().and_then(|m| m.get(KEY)) {
        Some(text) => serde_json::from_str(text)
            .map_err(|e| Error::format(path, format!("the '{KEY}' metadata is no JSON: {e}")))?,
        None => Value::Null,
    };
    let mut tensors = HashMap::new();
    for (name, view) in SafeTensors::deserialize(file).map_err(broken)?.iter() {
        let dtype = from_file(view.dtype()).ok_or_else(|| {
            Error::format(
                path,
                format!("tensor '{name}' has dtype {:?}, which ganvil does not have", view.dtype()),
            )
        })?;
        if let Some(problem) = shape_problem(view.shape()) {
            return Err(Error::format(path, format!("tensor '{name}': {problem}")));
        }
        tensors.insert(name.to_owned(), tensor(dtype, view.shape(), view.data()));
    }
    Ok(Checkpoint { tensors, meta })
}

/// What to say of a file that `torch.save` wrote, told by its contents: a zip archive, or in older versions a pickle
/// stream. A safetensors file may begin so too, with the length of its header, but has a brace behind that.
fn pickled(file: &[u8], path: &Path) -> Option<String> {
    let kind = match file {
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [0x80, 2..=5, ..] => "a pickle stream",
        _ => return None,
    };
    if file.get(8) == Some(&b'{') {
        return None;
    }
    let (from, to) = (path.to_string_lossy(), path.with_extension("safetensors"));
    let to = to.to_string_lossy();
    Some(format!(
        "is {kind}, as torch.save writes; reading one can run code, so it is not read. Make a safetensors file of its \
         state_dict in Python:\n    import torch, safetensors.torch\n    \
         safetensors.torch.save_file(torch.load({from:?}, map_location=\"cpu\", weights_only=True), {to:?})"
    ))
}

fn tensor(dtype: DType, shape: &[usize], bytes: &[u8]) -> Tensor {
    crate::dtype::dispatch!(dtype, all, T => {
        // The file's bytes need not be aligned.
        let mut values: Vec<T> = bytemuck::zeroed_vec(bytes.len() / size_of::<T>());
        let raw: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
        raw.copy_from_slice(bytes);
        if cfg!(target_endian = "big") {
            raw.chunks_mut(size_of::<T>()).for_each(|c| c.reverse());
        }
        Tensor::new(&values, shape)
    })
}
