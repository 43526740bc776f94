//! What must hold whatever bytes a reader is given: it returns, and what it accepts it can write and read again. The
//! fuzz targets in `fuzz/` call these functions with inputs of their making, `main.rs` with inputs kept.

use flate2::{Compression, write::GzEncoder};
use ganvil::checkpoint;
use ganvil::data::{Dataset, Images, read_images, read_labels};
use ganvil::gan::{NoProbe, Sampler, TrainConfig, Trainer, zoo};
use ganvil::nn::LayerSpec;
use ganvil::{DType, Device, Error, Result, Tensor};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::cell::Cell;
use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file of its own, removed on drop.
struct Scratch(PathBuf);

impl Scratch {
    fn new(bytes: &[u8]) -> Scratch {
        thread_local!(static COUNT: Cell<u64> = const { Cell::new(0) });
        COUNT.set(COUNT.get() + 1);
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let name = format!("ganvil-hostile-{process}-{thread:?}-{}", COUNT.get());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, bytes).expect("the folder for temporary files takes a file");
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}

/// An error says which file it is about.
fn refused<T>(result: Result<T>, path: &Path) -> Option<T> {
    result
        .map_err(|e| assert!(e.to_string().contains(&*path.to_string_lossy()), "does not name the file: {e}"))
        .ok()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut z = GzEncoder::new(Vec::new(), Compression::fast());
    z.write_all(bytes).unwrap();
    z.finish().unwrap()
}

pub fn idx_file(magic: u8, dims: &[usize], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, magic];
    dims.iter().for_each(|&d| file.extend((d as u32).to_be_bytes()));
    file.extend(values);
    file
}

/// A file of images or labels, raw or compressed.
pub fn idx(bytes: &[u8]) {
    let file = Scratch::new(bytes);
    let raw = !bytes.starts_with(&[0x1f, 0x8b]);
    if let Some(images) = refused(read_images(&file.0), &file.0) {
        let Images { count, channels: 1, rows, cols, ref pixels } = images else {
            panic!("{:?}", images.shape())
        };
        assert!(count * rows * cols == pixels.len() && !pixels.is_empty());
        let plain = idx_file(3, &[count, rows, cols], pixels);
        assert!(!raw || plain == bytes, "not what the file holds");
        for written in [gzip(&plain), plain] {
            assert!(read_images(&Scratch::new(&written).0).unwrap() == images);
        }
    }
    if let Some(labels) = refused(read_labels(&file.0), &file.0) {
        let plain = idx_file(1, &[labels.len()], &labels);
        assert!(!raw || plain == bytes, "not what the file holds");
        for written in [gzip(&plain), plain] {
            assert!(read_labels(&Scratch::new(&written).0).unwrap() == labels);
        }
    }
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    // Exact for all dtypes but i64.
    let bits = |t: &Tensor| match t.dtype() {
        DType::I64 => t.to_vec::<i64>().into_iter().map(|v| v as u64).collect::<Vec<_>>(),
        _ => t.to_f64_vec().into_iter().map(f64::to_bits).collect(),
    };
    a.shape() == b.shape() && a.dtype() == b.dtype() && bits(a) == bits(b)
}

/// A checkpoint file, as `ganvil sample` reads it; whether it has a network.
pub fn checkpoint(bytes: &[u8]) -> bool {
    let file = Scratch::new(bytes);
    if let Some(read) = refused(checkpoint::load(&file.0), &file.0) {
        let tensors: Vec<(String, Tensor)> = read.tensors.into_iter().collect();
        let copy = Scratch::new(&[]);
        checkpoint::save(&copy.0, &tensors, &read.meta).unwrap();
        let again = checkpoint::load(&copy.0).unwrap();
        assert_eq!(again.meta, read.meta);
        assert_eq!(again.tensors.len(), tensors.len());
        for (name, t) in &tensors {
            assert!(same(&again.tensors[name], t), "'{name}' changed");
        }
    }
    resumed(&file.0);
    let Some(sampler) = refused(Sampler::load(&file.0), &file.0) else { return false };
    assert_eq!(sampler.sample(2, 0).len(), 2 * sampler.shape.iter().product::<usize>());
    true
}

/// The same file, as `ganvil resume` reads it: what it accepts trains.
fn resumed(file: &Path) {
    let Ok(read) = checkpoint::load(file) else { return };
    let images = Images { count: 2, channels: 1, rows: 1, cols: 1, pixels: vec![0, 255] };
    let data = Dataset { images, labels: None, classes: vec![], name: "two".into() };
    let mut config = (zoo::recipe("mlp-a").unwrap().config)();
    (config.latent, config.batch, config.step.ema) = (1, 2, None);
    let mut trainer = Trainer::new(config, data.into(), Device::Cpu).unwrap();
    match trainer.restore(&read, file) {
        // Any numbers are weights, also such that the step is not finite.
        Ok(_) => drop(trainer.step(&mut NoProbe).is_ok()),
        Err(Error::Argument { what, .. }) => assert_eq!(what, "data"),
        Err(e) => drop(refused::<()>(Err(e), file)),
    }
}

/// A checkpoint with this header, and zeros for all its tensors unless they are large: what a fuzzer could not make
/// itself, whose inputs are too short for the tensors of a network.
pub fn checkpoint_of(header: &[u8]) -> bool {
    let tensors: serde_json::Map<String, Value> = serde_json::from_slice(header).unwrap_or_default();
    let ends = tensors.values().filter_map(|t| t["data_offsets"][1].as_u64());
    let zeros = ends.max().filter(|&n| n <= 4 << 20).unwrap_or(0);
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.resize(file.len() + zeros as usize, 0);
    checkpoint(&file)
}

/// What is written is read back the same. Compared as text, in which NaN equals itself.
fn round_trip<T: Debug>(value: &T, written: &str, read: impl Fn(&str) -> Option<T>) {
    let again = read(written).unwrap_or_else(|| panic!("cannot be read back: {written}"));
    assert_eq!(format!("{again:?}"), format!("{value:?}"), "{written}");
}

fn json<T: Debug + Serialize + DeserializeOwned>(text: &str) -> Option<T> {
    let value: T = serde_json::from_str(text).ok()?;
    round_trip(&value, &serde_json::to_string(&value).unwrap(), |s| serde_json::from_str(s).ok());
    Some(value)
}

/// Settings of a run or layers of a network, as JSON or TOML; a change of one, as `--set` takes it.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut set = TrainConfig::default();
    let set = set.set(text).ok().map(|()| set);
    let settings: [Option<TrainConfig>; 3] = [json(text), TrainConfig::from_toml(text).ok(), set];
    for c in settings.into_iter().flatten() {
        if c.check().is_ok() {
            round_trip(&c, &toml::to_string(&c).unwrap(), |s| TrainConfig::from_toml(s).ok());
        }
    }
    json::<Vec<LayerSpec>>(text);
    json::<LayerSpec>(text);
}
