//! Readers against files that lie: what fuzzing started from, what it has found, and claims of sizes that no file holds.

mod readers;
mod seeds;

use ganvil::gan::{Sampler, TrainConfig};
use ganvil::{Error, checkpoint as files};
use serde_json::{Value, json};
use std::path::PathBuf;

#[test]
fn seeds_pass() {
    seeds::idx().iter().for_each(|b| readers::idx(b));
    let networks = seeds::checkpoints().into_iter().filter(|seed| match (seed[0], &seed[1..]) {
        (b'F', file) => readers::checkpoint(file),
        (_, header) => readers::checkpoint_of(header),
    });
    assert_eq!(networks.count(), 2, "samples can be drawn from both generators, without classes and with");
    seeds::configs().iter().for_each(|b| readers::config(b));
}

/// Also what is left of each seed when it is cut, and with each byte changed.
#[test]
fn damaged_seeds_pass() {
    let damaged = |seed: &[u8], check: fn(&[u8])| {
        for i in 0..seed.len() {
            check(&seed[..i]);
            for bit in [0, 3, 7] {
                let mut copy = seed.to_vec();
                copy[i] ^= 1 << bit;
                check(&copy);
            }
        }
    };
    seeds::idx().iter().for_each(|b| damaged(b, readers::idx));
    seeds::checkpoints()
        .iter()
        .filter(|b| b[0] == b'F')
        .for_each(|b| damaged(&b[1..], |b| _ = readers::checkpoint(b)));
    seeds::configs().iter().for_each(|b| damaged(b, readers::config));
}

/// For `.ci/nightly fuzz`: the seeds as files, in a folder per target.
#[test]
fn seeds_are_written_where_asked() {
    let Ok(corpus) = std::env::var("GANVIL_FUZZ_CORPUS") else { return };
    let all = [("idx", seeds::idx()), ("checkpoint", seeds::checkpoints()), ("config", seeds::configs())];
    for (target, seeds) in all {
        let dir = PathBuf::from(&corpus).join(target);
        std::fs::create_dir_all(&dir).unwrap();
        for (i, seed) in seeds.iter().enumerate() {
            std::fs::write(dir.join(format!("seed-{i}")), seed).unwrap();
        }
    }
}

/// A safetensors file of these (name, dtype, shape, bytes) and ganvil's metadata.
fn file(tensors: &[(&str, &str, &[usize], usize)], meta: &Value) -> Vec<u8> {
    let mut header = json!({ "__metadata__": { "ganvil": meta.to_string() } });
    let mut end = 0;
    for (name, dtype, shape, bytes) in tensors {
        header[name] = json!({ "dtype": dtype, "shape": shape, "data_offsets": [end, end + bytes] });
        end += bytes;
    }
    let header = header.to_string().into_bytes();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.resize(file.len() + end, 0);
    file
}

/// The error of a reader.
fn refusal<T>(name: &str, bytes: &[u8], read: impl FnOnce(&std::path::Path) -> Result<T, Error>) -> String {
    let path = std::env::temp_dir().join(format!("ganvil-hostile-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let result = read(&path);
    std::fs::remove_file(&path).unwrap();
    match result {
        Ok(_) => panic!("{name} was accepted"),
        Err(e) => {
            assert!(e.to_string().contains(name), "does not name the file: {e}");
            e.to_string()
        }
    }
}

#[test]
fn shapes_that_no_tensor_has_are_refused() {
    let deep = refusal("deep", &file(&[("w", "U8", &[1; 9], 1)], &json!({})), files::load);
    assert!(deep.contains("'w'") && deep.contains("9 dimensions"), "{deep}");
    let wide = refusal("wide", &file(&[("w", "U8", &[0, 1 << 40, 1 << 40], 0)], &json!({})), files::load);
    assert!(wide.contains("'w'") && wide.contains("1099511627776"), "{wide}");
}

fn settings(latent: u64, [rows, cols]: [u64; 2]) -> Value {
    let config = TrainConfig { latent: latent as usize, ..TrainConfig::default() };
    json!({ "config": config, "image_shape": [1, rows, cols], "step": 1 })
}

/// A network is made only if the file has the bytes for it: a tensor of no elements can have any other size.
#[test]
fn claims_of_a_large_network_are_refused_before_it_is_made() {
    let n = 1 << 40;
    let empty =
        file(&[("G.a", "F32", &[0, n], 0), ("G.b", "F32", &[784, 0], 0)], &settings(n as u64, [28, 28]));
    assert!(refusal("empty", &empty, Sampler::load).contains("use at most 65536"));
    let empty =
        file(&[("G.a", "F32", &[0, 100], 0), ("G.b", "F32", &[n, 0], 0)], &settings(100, [n as u64, 1]));
    assert!(refusal("image", &empty, Sampler::load).contains("does not have"));
    // A vector would be a thousandth of the matrix that the network has.
    let thin = file(
        &[("G.a", "U8", &[1, 1 << 16], 1 << 16), ("G.b", "U8", &[784], 784)],
        &settings(1 << 16, [28, 28]),
    );
    assert!(refusal("thin", &thin, Sampler::load).contains("does not have"));
}

#[test]
fn claims_about_classes_are_refused_before_a_table_is_made() {
    let labelled = |classes: Value| {
        let mut meta = settings(100, [28, 28]);
        (meta["classes"], meta["config"]["conditioning"]) = (classes, "embed".into());
        file(&[("G.label_embed.weight", "F32", &[10, 10], 400)], &meta)
    };
    for (classes, message) in [
        (json!(1u64 << 40), "does not have"),
        (json!(u64::MAX), "does not have"),
        (json!(0), "labels of 0 classes"),
        (json!(null), "the number of its classes is missing"),
    ] {
        let text = refusal("classes", &labelled(classes.clone()), Sampler::load);
        assert!(text.contains(message), "{classes}: {text}");
    }
}

#[test]
fn images_of_no_size_are_refused() {
    for size in [[0, 28], [28, 0], [0, u64::MAX]] {
        let none =
            file(&[("G.a", "F32", &[256, 100], 102_400), ("G.b", "F32", &[0], 0)], &settings(100, size));
        let message = refusal("none", &none, Sampler::load);
        assert!(message.contains("image"), "{message}");
    }
}

/// A run goes on with the very settings it began with.
#[test]
fn settings_survive_text_bit_for_bit() {
    use rand::RngExt;
    let mut random = ganvil::Generator::new(0, ganvil::rng::Stream::General).host();
    for _ in 0..5000 {
        let mut c = TrainConfig { seed: random.random(), ..TrainConfig::default() };
        c.optimizer_d = c.optimizer_d.with_lr(random.random::<f64>() * 1e-3);
        c.optimizer_g =
            c.optimizer_g.with_lr(f64::from_bits(random.random::<u64>() >> 1).clamp(0.0, f64::MAX));
        readers::config(serde_json::to_string(&c).unwrap().as_bytes());
    }
}
