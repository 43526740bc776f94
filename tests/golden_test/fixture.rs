//! One fixture: a safetensors file with its metadata.

use super::attrs::Attrs;
use super::place::Place;
use ganvil::Tensor;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// How far a value may be off; see [`super::compare`].
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    pub rtol: f64,
    pub atol: f64,
}

/// A stored tensor, row-major.
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Values,
}

pub enum Values {
    /// F64 and F32.
    Float(Vec<f64>),
    /// Indices, masks of `where`, counters.
    Int(Vec<i64>),
}

impl Array {
    fn read(view: &TensorView) -> Result<Array, String> {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F64 => Values::Float(words(data, f64::from_le_bytes)),
            Dtype::F32 => Values::Float(words(data, |b| f32::from_le_bytes(b) as f64)),
            Dtype::I64 => Values::Int(words(data, i64::from_le_bytes)),
            d => return Err(format!("has dtype {d:?}; F64, F32 and I64 are known")),
        };
        Ok(Array { shape: view.shape().to_vec(), values })
    }

    /// The values, whatever their type.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.values {
            Values::Float(v) => v.clone(),
            Values::Int(v) => v.iter().map(|&n| n as f64).collect(),
        }
    }

    /// A tensor of the place's float type, or of i64.
    pub fn tensor(&self, place: &Place) -> Tensor {
        let t = match &self.values {
            Values::Float(v) => Tensor::new(v, &self.shape).to_dtype(place.dtype),
            Values::Int(v) => Tensor::new(v, &self.shape),
        };
        t.to_device(place.device)
    }
}

fn words<const N: usize, T>(data: &[u8], f: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|&b| f(b)).collect()
}

/// A file's content.
pub struct Fixture {
    pub file: String,
    pub kind: String,
    pub op: String,
    pub attrs: Attrs,
    /// For tensors without an entry in `tol`, for a consumer that computes in f32.
    pub tolerance: Tolerance,
    pub tol: HashMap<String, Tolerance>,
    /// The networks of a trace or a state dict.
    pub model: Option<Value>,
    pub arrays: BTreeMap<String, Array>,
}

impl Fixture {
    pub fn read(path: &Path) -> Result<Fixture, String> {
        let bytes = std::fs::read(path).map_err(|e| format!("cannot be read: {e}"))?;
        let (_, header) =
            SafeTensors::read_metadata(&bytes).map_err(|e| format!("is not safetensors: {e}"))?;
        let metadata = header.metadata().as_ref().ok_or("has no metadata")?;
        let text = |key: &str| metadata.get(key).ok_or_else(|| format!("has no metadata '{key}'"));
        let number = |key: &str| json::<f64>(key, text(key)?);
        let content = SafeTensors::deserialize(&bytes).map_err(|e| format!("is not safetensors: {e}"))?;
        let arrays = content
            .tensors()
            .into_iter()
            .map(|(name, view)| {
                let array = Array::read(&view).map_err(|e| format!("tensor {name} {e}"))?;
                Ok((name, array))
            })
            .collect::<Result<_, String>>()?;
        Ok(Fixture {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            kind: text("kind")?.clone(),
            op: text("op")?.clone(),
            attrs: Attrs::new(metadata.get("attrs").map_or(Ok(Default::default()), |t| json("attrs", t))?),
            tolerance: Tolerance { rtol: number("rtol")?, atol: number("atol")? },
            tol: metadata.get("tol").map_or(Ok(HashMap::new()), |t| json("tol", t))?,
            model: metadata.get("model").map(|t| json("model", t)).transpose()?,
            arrays,
        })
    }

    /// A stored tensor.
    pub fn array(&self, name: &str) -> Result<&Array, String> {
        self.arrays.get(name).ok_or_else(|| format!("tensor {name} is missing"))
    }

    /// A stored tensor, where the fixture is computed.
    pub fn tensor(&self, name: &str, place: &Place) -> Result<Tensor, String> {
        Ok(self.array(name)?.tensor(place))
    }

    /// `{prefix}.0`, `{prefix}.1`, ... as far as they go.
    pub fn numbered<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a Array> {
        (0..).map_while(move |i| self.arrays.get(&format!("{prefix}.{i}")))
    }
}

fn json<T: DeserializeOwned>(key: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|e| format!("metadata '{key}' is not what it should be: {e}"))
}
