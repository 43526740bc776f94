//! Fixtures made up on the spot: that the comparison fails where it must, and attributes in combinations that no
//! stored fixture has.

use super::folder::{Counts, count};
use super::harness::Test;
use super::place;
use safetensors::serialize_to_file;
use safetensors::tensor::{Dtype, TensorView};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub fn tests() -> Vec<Test> {
    vec![
        Test { name: "what_is_not_known_fails", run: unknown },
        Test { name: "metrics_of_other_conventions_fail", run: metrics },
        Test { name: "differences_fail", run: differences },
        Test { name: "folders_without_fixtures_fail", run: no_fixtures },
        Test { name: "devices_that_are_not_there_fail", run: devices },
        Test { name: "attributes_in_other_combinations", run: combinations },
    ]
}

/// A folder of its own, removed when done.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let dir =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("golden-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("the target folder can be written to");
        Scratch(dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder left behind in the target folder harms nobody.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// A tensor of a made-up fixture: name, shape, values; integers where the name ends in `:int`.
type Row<'a> = (&'a str, &'a [usize], &'a [f64]);

/// Writes a fixture of this kind, op and attributes, with the tolerances of most stored ones.
fn write(dir: &Path, file: &str, [kind, op, attrs]: [&str; 3], rows: &[Row]) {
    let bytes: Vec<(String, Dtype, &[usize], Vec<u8>)> = rows
        .iter()
        .map(|(name, shape, values)| match name.strip_suffix(":int") {
            Some(name) => {
                let bytes = values.iter().flat_map(|&v| (v as i64).to_le_bytes()).collect();
                (name.to_owned(), Dtype::I64, *shape, bytes)
            }
            None => {
                let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                (name.to_string(), Dtype::F64, *shape, bytes)
            }
        })
        .collect();
    let views: Vec<(&str, TensorView)> = bytes
        .iter()
        .map(|(name, dtype, shape, data)| {
            (name.as_str(), TensorView::new(*dtype, shape.to_vec(), data).expect("values fill the shape"))
        })
        .collect();
    let metadata = [("kind", kind), ("op", op), ("attrs", attrs), ("rtol", "2e-05"), ("atol", "1e-07")];
    let metadata: HashMap<String, String> =
        metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    serialize_to_file(views, Some(metadata), &dir.join(file)).expect("the target folder can be written to");
}

/// The counts and the report of a folder with one fixture.
fn report(what: [&str; 3], rows: &[Row]) -> Result<(Counts, String), String> {
    let scratch = Scratch::new(what[1]);
    // The name promises something else than the metadata, which alone counts.
    write(&scratch.0, "op_add_00.safetensors", what, rows);
    let mut out = Vec::new();
    let counts = count(&scratch.0, &mut out)?;
    let text = String::from_utf8_lossy(&out).into_owned();
    let last =
        format!("fixtures: {} passed, {} failed ({})", counts.passed, counts.failed, scratch.0.display());
    if text.lines().last() != Some(&last) {
        return Err(format!("the last line is not '{last}':\n{text}"));
    }
    Ok((counts, text))
}

fn expect(what: [&str; 3], rows: &[Row], passed: usize, failed: usize, message: &str) -> Result<(), String> {
    let (counts, text) = report(what, rows)?;
    if counts != (Counts { passed, failed }) || !text.contains(message) {
        return Err(format!(
            "{what:?}: expected {passed} passed, {failed} failed and '{message}', got:\n{text}"
        ));
    }
    Ok(())
}

const X: Row = ("in.0", &[2], &[1.0, 2.0]);

fn unknown() -> Result<(), String> {
    for what in [
        ["op", "frobnicate", "{}"],
        ["riddle", "add", "{}"],
        ["train", "gan_unheard_of", "{}"],
        ["double", "frobnicate", "{}"],
        ["double", "adam", "{}"],
        ["double", "unheard_of_penalty", r#"{"layers": [{"type": "Conv2d"}]}"#],
    ] {
        expect(what, &[X], 0, 1, "not known")?;
    }
    Ok(())
}

/// Metrics are computed on the CPU only.
fn metrics() -> Result<(), String> {
    if place::named() != "cpu" {
        return expect(["metric", "fid", "{}"], &[X], 0, 0, "SKIPPED");
    }
    expect(["metric", "beauty", "{}"], &[X], 0, 1, "not known")?;
    let (real, fake): (Row, Row) = (("in.0", &[2, 1], &[0.0, 2.0]), ("in.1", &[2, 1], &[3.0, 5.0]));
    expect(["metric", "fid", "{}"], &[real, fake, ("out", &[], &[9.0])], 1, 0, "")?;
    expect(["metric", "fid", "{}"], &[real, fake, ("out", &[], &[9.01])], 0, 1, "is off by")?;
    expect(
        ["metric", "fid", r#"{"eps": 1e-6}"#],
        &[real, fake, ("out", &[], &[9.0])],
        0,
        1,
        "attribute eps",
    )?;
    let bits = ["metric", "jsd", r#"{"base": "2"}"#];
    expect(bits, &[("in.0", &[1], &[1.0]), ("in.1", &[1], &[1.0]), ("out", &[], &[0.0])], 0, 1, "nats")?;
    let linear = r#"{"degree": 1, "gamma": null, "coef0": 1.0, "estimator": "unbiased", "full_set": true}"#;
    expect(["metric", "kid", linear], &[real, fake, ("out.0", &[], &[0.0])], 0, 1, "is not known")
}

fn differences() -> Result<(), String> {
    let exp = ["op", "exp", "{}"];
    let e = [1f64.exp(), 2f64.exp()];
    let out: Row = ("out", &[2], &e);
    let (cotangent, grad): (Row, Row) = (("cotangent", &[2], &[1.0, -1.0]), ("grad.0", &[2], &[e[0], -e[1]]));
    expect(exp, &[X, out, cotangent, grad], 1, 0, "")?;
    expect(exp, &[X, out, cotangent, ("grad.0", &[2], &[e[0], -e[1] * 1.0001])], 0, 1, "grad.0 (")?;
    expect(exp, &[X, ("out", &[2], &[e[0], e[1] + 1e-3])], 0, 1, "is off by")?;
    // An error that f32 could not show still fails in f64.
    if place::named() == "cpu" {
        expect(exp, &[X, ("out", &[2], &[e[0], e[1] + 1e-8])], 0, 1, "f64): is off by")?;
    }
    expect(exp, &[X, ("out", &[1, 2], &e)], 0, 1, "has shape [2], expected [1, 2]")?;
    expect(exp, &[("in.0", &[1], &[1e4]), ("out", &[1], &[f64::INFINITY])], 0, 1, "is inf at element 0")?;
    expect(exp, &[X, out, ("extra", &[2], &e)], 0, 1, "extra")?;
    expect(exp, &[X, out, grad], 0, 1, "tensor cotangent is missing")?;
    expect(exp, &[X], 0, 1, "tensor out.0 is missing")?;
    expect(["op", "exp", r#"{"base": 2.0}"#], &[X, out], 0, 1, "attribute base")?;
    expect(["op", "leaky_relu", "{}"], &[X], 0, 1, "attribute 'negative_slope' is missing")?;
    expect(["op", "add", "{}"], &[X, ("in.1", &[3], &[0.0; 3])], 0, 1, "do not broadcast")?;
    let sgd = r#"{"lr": 0.1, "n_params": 1, "steps": 1, "lookahead": 3}"#;
    expect(["op", "sgd", sgd], &[X, ("in.1", &[2], &[0.0; 2])], 0, 1, "lookahead")
}

fn no_fixtures() -> Result<(), String> {
    let scratch = Scratch::new("empty");
    for (dir, message) in
        [(scratch.0.clone(), "there is no fixture"), (scratch.0.join("none"), "cannot read")]
    {
        match count(&dir, &mut Vec::new()) {
            Err(e) if e.contains(message) => {}
            other => return Err(format!("{} gave {other:?}", dir.display())),
        }
    }
    std::fs::write(scratch.0.join("broken.safetensors"), "nothing").map_err(|e| e.to_string())?;
    match count(&scratch.0, &mut Vec::new()) {
        Ok(Counts { passed: 0, failed: 1 }) => {}
        other => return Err(format!("a broken file gave {other:?}")),
    }
    write(&scratch.0, "broken.safetensors", ["metric", "fid", "{}"], &[X]);
    let index = r#"[{"file": "lost.safetensors", "kind": "op", "op": "add"},
        {"file": "broken.safetensors", "kind": "op", "op": "mul"}]"#;
    std::fs::write(scratch.0.join("index.json"), index).map_err(|e| e.to_string())?;
    match count(&scratch.0, &mut Vec::new()) {
        Ok(Counts { passed: 0, failed: 2 }) => Ok(()),
        other => Err(format!("an index that does not fit gave {other:?}")),
    }
}

fn devices() -> Result<(), String> {
    for name in ["abacus", "meta", ""] {
        match place::device(name) {
            Err(e) if e.starts_with("GANVIL_TEST_DEVICE: ") => {}
            other => return Err(format!("device '{name}' gave {other:?}")),
        }
    }
    place::device("cpu").map(drop)
}

/// Numbers without dimensions, lists without entries, dimensions counted from the end, optional inputs left out.
fn combinations() -> Result<(), String> {
    let number: Row = ("in.0", &[], &[3.0]);
    let ones: Row = ("cotangent", &[], &[1.0]);
    let all = [
        (r#"{"dims": [], "keepdim": true}"#, "sum", &[1usize, 1][..], 10.0),
        (r#"{"dims": [-1, 0], "keepdim": false}"#, "mean", &[], 2.5),
        (r#"{"dims": null, "keepdim": true}"#, "max", &[1, 1], 4.0),
    ];
    for (attrs, op, shape, y) in all {
        let x: Row = ("in.0", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        expect(["op", op, attrs], &[x, ("out", shape, &[y])], 1, 0, "")?;
    }
    for dims in ["[]", "[0]", "[-1]", "null"] {
        let attrs = format!(r#"{{"dims": {dims}, "keepdim": true}}"#);
        let rows = [number, ("out", &[], &[3.0]), ones, ("grad.0", &[], &[1.0])];
        expect(["op", "mean", &attrs], &rows, 1, 0, "")?;
    }
    let clamp = r#"{"min": null, "max": null}"#;
    expect(["op", "clamp", clamp], &[number, ("out", &[], &[3.0]), ones, ("grad.0", &[], &[1.0])], 1, 0, "")?;
    expect(
        ["op", "reshape", r#"{"shape": []}"#],
        &[("in.0", &[1, 1], &[3.0]), ("out", &[], &[3.0])],
        1,
        0,
        "",
    )?;
    expect(["op", "permute", r#"{"dims": []}"#], &[number, ("out", &[], &[3.0])], 1, 0, "")?;
    let matrix: Row = ("in.0", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let transposed: Row = ("out", &[2, 2], &[1.0, 3.0, 2.0, 4.0]);
    expect(["op", "permute", r#"{"dims": [-1, -2]}"#], &[matrix, transposed], 1, 0, "")?;
    let joined: Row = ("out", &[2, 3], &[1.0, 2.0, 5.0, 3.0, 4.0, 6.0]);
    let column: Row = ("in.1", &[2, 1], &[5.0, 6.0]);
    expect(["op", "cat", r#"{"dim": -1}"#], &[matrix, column, joined], 1, 0, "")?;
    let row: Row = ("in.0:int", &[], &[1.0]);
    let table: Row = ("in.1", &[2, 2], &[1.0, 2.0, 3.0, 4.0]);
    let scattered: Row = ("grad.1", &[2, 2], &[0.0, 0.0, 1.0, 1.0]);
    let looked_up: Row = ("out", &[2], &[3.0, 4.0]);
    expect(
        ["op", "embedding", "{}"],
        &[row, table, looked_up, ("cotangent", &[2], &[1.0; 2]), scattered],
        1,
        0,
        "",
    )?;
    let weight: Row = ("in.1", &[1, 2], &[10.0, 1.0]);
    expect(["op", "linear", "{}"], &[X, weight, ("out", &[1], &[12.0])], 1, 0, "")?;
    let vector: Row = ("in.0", &[2], &[-3.0, 4.0]);
    expect(["op", "sqrt_mean_square", "{}"], &[vector, ("out", &[2], &[3.0, 4.0])], 1, 0, "")
}
