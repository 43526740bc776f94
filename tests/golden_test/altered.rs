//! Stored traces and penalties with one thing altered, which the comparison must see.

use super::attrs::Attrs;
use super::fixture::{Fixture, Values};
use super::harness::{Test, caught};
use super::{PUBLIC, place, rules};
use serde_json::{Value, json};
use std::path::Path;

pub fn tests() -> Vec<Test> {
    vec![
        Test { name: "altered_traces_fail", run: traces },
        Test { name: "altered_reuse_of_fakes_fails", run: reuse },
        Test { name: "altered_labels_fail", run: labels },
        Test { name: "altered_penalties_fail", run: penalties },
    ]
}

/// One thing to alter, and what must be said about it.
struct Alteration {
    what: &'static str,
    alter: fn(&mut Fixture),
    message: &'static str,
}

/// The first stored fixture of a kind and operation that can be computed.
fn stored(kind: &str, op: &str) -> Result<Fixture, String> {
    let mut paths: Vec<_> = std::fs::read_dir(Path::new(PUBLIC))
        .map_err(|e| e.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    paths.sort();
    let found = paths.iter().filter_map(|p| Fixture::read(p).ok());
    let mut fit = found.filter(|f| f.kind == kind && f.op == op);
    fit.next().ok_or_else(|| format!("there is no stored {kind} {op}"))
}

fn compute(f: &Fixture) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    let mut first = place::groups()?;
    first.truncate(1);
    first[0].each(&mut |place| {
        lines.extend(caught(|| rules::compute(f, place)).unwrap_or_else(|e| vec![e]));
    });
    Ok(lines)
}

fn check(kind: &str, op: &str, alterations: &[Alteration]) -> Result<(), String> {
    let lines = compute(&stored(kind, op)?)?;
    if !lines.is_empty() {
        return Err(format!("{op} fails as it is stored: {lines:?}"));
    }
    for a in alterations {
        let mut f = stored(kind, op)?;
        (a.alter)(&mut f);
        let lines = compute(&f)?;
        if !lines.iter().any(|l| l.contains(a.message)) {
            return Err(format!("{op} with {}: expected '{}', got {lines:?}", a.what, a.message));
        }
    }
    Ok(())
}

fn set(f: &mut Fixture, name: &str, value: Value) {
    let mut map = f.attrs.all();
    map.insert(name.into(), value);
    f.attrs = Attrs::new(map);
}

/// Changes the first element of a tensor.
fn edit(f: &mut Fixture, name: &str, change: fn(f64) -> f64) {
    match f.arrays.get_mut(name).map(|a| &mut a.values) {
        Some(Values::Float(v)) => v[0] = change(v[0]),
        Some(Values::Int(v)) => v[0] = change(v[0] as f64) as i64,
        None => panic!("the stored fixture has no {name}"),
    }
}

/// Sets a field of the first layer of a network's specification.
fn set_layer(f: &mut Fixture, net: &str, field: &str, value: Value) {
    f.model.as_mut().expect("a trace has a model")[net]["layers"][0][field] = value;
}

fn traces() -> Result<(), String> {
    let alterations = [
        Alteration { what: "another label", alter: |f| set(f, "real_label", json!(0.8)), message: "loss_D" },
        Alteration { what: "another factor", alter: |f| set(f, "g_factor", json!(0.5)), message: "loss_G" },
        Alteration {
            what: "another learning rate",
            alter: |f| set(f, "opt_D", json!({"type": "Adam", "lr": 0.00021, "betas": [0.5, 0.999]})),
            message: "final.D.net.0.weight",
        },
        Alteration {
            what: "one step less",
            alter: |f| set(f, "steps", json!(3)),
            message: "final.G.net.2.num_batches_tracked",
        },
        Alteration {
            what: "two updates of D",
            alter: |f| set(f, "n_critic", json!(2)),
            message: "step.0.d1.real is missing",
        },
        Alteration {
            what: "reused fakes",
            alter: |f| set(f, "reuse_fake", json!(true)),
            message: "neither used nor compared",
        },
        Alteration {
            what: "an unknown objective",
            alter: |f| set(f, "objective", json!("energy")),
            message: "objective 'energy' is not known",
        },
        Alteration {
            what: "an unknown attribute",
            alter: |f| set(f, "clip", json!(0.01)),
            message: "attribute clip",
        },
        Alteration {
            what: "another batch",
            alter: |f| set(f, "batch", json!(7)),
            message: "the batch of the real samples",
        },
        Alteration {
            what: "a mask on D's real samples",
            alter: |f| edit(f, "step.0.d0.mask_real.2", |m| 1.0 - m),
            message: "step.0.grad.D.net.0.weight",
        },
        Alteration {
            what: "a mask of G's update",
            alter: |f| edit(f, "step.0.g.mask.5", |m| 1.0 - m),
            message: "step.0.grad.G.net.0.weight",
        },
        Alteration {
            what: "another last batch",
            alter: |f| edit(f, "step.3.d0.real", |x| x + 0.5),
            message: "final.D.net.0.weight",
        },
        Alteration {
            what: "another counter",
            alter: |f| edit(f, "final.G.net.2.num_batches_tracked", |n| n + 1.0),
            message: "final.G.net.2.num_batches_tracked",
        },
        // Far below a tolerance relative to the value, far above one relative to the update.
        Alteration {
            what: "another final weight",
            alter: |f| edit(f, "final.D.net.3.weight", |w| w + 1e-4),
            message: "final.D.net.3.weight",
        },
        Alteration {
            what: "a loose element that is far off",
            alter: |f| {
                let values = vec![1; f.arrays["G.net.0.bias"].shape[0]];
                f.arrays.get_mut("loose.G.net.0.bias").expect("stored").values = Values::Int(values);
                edit(f, "final.G.net.0.bias", |b| b + 0.01);
            },
            message: "in a loose element",
        },
        Alteration {
            what: "a label embedding",
            alter: |f| f.model.as_mut().expect("stored")["G"]["label_embed"] = json!({"num": 4, "dim": 4}),
            message: "has no tensor 'G.label_embed.weight'",
        },
        Alteration {
            what: "an unknown part of a network",
            alter: |f| f.model.as_mut().expect("stored")["G"]["style"] = json!(4),
            message: "network G has 'style', which is not known",
        },
        Alteration {
            what: "an unknown layer",
            alter: |f| set_layer(f, "D", "type", json!("Maxout")),
            message: "is not known",
        },
        Alteration {
            what: "an unknown setting of a layer",
            alter: |f| set_layer(f, "D", "weight_norm", json!(true)),
            message: "weight_norm",
        },
        Alteration {
            what: "other sizes",
            alter: |f| set_layer(f, "D", "out", json!(63)),
            message: "saved from another architecture",
        },
    ];
    check("train", "gan_dropout", &alterations)
}

fn reuse() -> Result<(), String> {
    let fresh = Alteration {
        what: "fresh noise",
        alter: |f| set(f, "reuse_fake", json!(false)),
        message: "step.0.g.z is missing",
    };
    let other_noise =
        Alteration { what: "other noise", alter: |f| edit(f, "step.1.d0.z", |z| z + 0.5), message: "loss_G" };
    check("train", "gan_vanilla", &[fresh, other_noise])
}

fn labels() -> Result<(), String> {
    fn other(class: f64) -> f64 {
        (class + 1.0) % 4.0
    }
    let on_cpu = place::named() == "cpu";
    let alterations = [
        Alteration {
            what: "another class of a real sample",
            alter: |f| edit(f, "step.0.d0.labels", other),
            message: "step.0.grad.D.label_embed.weight",
        },
        Alteration {
            what: "another class of a fake",
            alter: |f| edit(f, "step.0.d0.fake_labels", other),
            message: "step.0.grad.D.label_embed.weight",
        },
        Alteration {
            what: "another class to draw",
            alter: |f| edit(f, "step.0.g.labels", other),
            message: "step.0.grad.G.label_embed.weight",
        },
        Alteration {
            what: "a class that is none",
            alter: |f| edit(f, "step.2.d0.labels", |_| 4.0),
            // A GPU meets the class long after the embedding was called.
            message: if on_cpu { "(in D.label_embed)" } else { "index 4 is out of range" },
        },
        Alteration {
            what: "no classes for a network that takes them",
            alter: |f| drop(f.arrays.remove("step.1.g.labels")),
            message: "step.1.g.labels is missing",
        },
        Alteration {
            what: "other numbers for a class",
            alter: |f| edit(f, "final.D.label_embed.weight", |w| w + 1e-3),
            message: "final.D.label_embed.weight",
        },
    ];
    check("train", "cgan", &alterations)
}

fn penalties() -> Result<(), String> {
    let weight =
        Alteration { what: "another weight", alter: |f| set(f, "lambda", json!(9.0)), message: "out.0" };
    let eps =
        Alteration { what: "another point", alter: |f| edit(f, "in.2", |eps| eps * 0.5), message: "out.2" };
    let gradient =
        Alteration { what: "another gradient", alter: |f| edit(f, "grad.3", |g| g + 1.0), message: "grad.3" };
    let names = Alteration {
        what: "another name",
        alter: |f| {
            let mut names = f.attrs.peek("params").cloned().expect("stored");
            names[0] = json!("7.weight");
            set(f, "params", names);
        },
        message: "the layers have other parameters",
    };
    check("double", "gradient_penalty", &[weight, eps, gradient, names])?;
    let gamma =
        Alteration { what: "another weight", alter: |f| set(f, "gamma", json!(9.0)), message: "out.0" };
    let sample =
        Alteration { what: "another sample", alter: |f| edit(f, "in.0", |x| x + 1.0), message: "out.2" };
    let gradient =
        Alteration { what: "another gradient", alter: |f| edit(f, "grad.1", |g| g + 1.0), message: "grad.1" };
    check("double", "r1_penalty", &[gamma, sample, gradient])
}
