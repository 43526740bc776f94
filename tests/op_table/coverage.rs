//! No op without a row: what src/ops implements is compared with what the table covers.

use crate::row::{Gradient, Row};
use crate::{CHECKED, cases};
use ganvil::autograd::grad;
use ganvil::{DType, Device, Tensor};
use std::collections::BTreeSet;
use std::path::Path;

/// The types that implement `Op` in a source text.
fn implementors(source: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let rest = line.trim_start().strip_prefix("impl")?;
        // Generic parameters, if any, come before the trait.
        let rest = if rest.starts_with('<') { rest.split_once("> ")?.1 } else { rest.strip_prefix(' ')? };
        let ty = rest.strip_prefix("Op for ")?;
        Some(ty.split(|c: char| !c.is_alphanumeric() && c != '_').next()?.to_string())
    };
    source.lines().filter_map(name).collect()
}

/// What a source text hands to `NonDifferentiable`: a name in quotes, or the variable that holds it.
fn without_derivative(source: &str) -> BTreeSet<String> {
    let arguments = source.split("NonDifferentiable(").skip(1);
    arguments.filter_map(|rest| Some(rest.split_once(')')?.0.to_string())).collect()
}

#[test]
fn the_collector_finds_every_kind_of_implementation() {
    let source = r#"
        use crate::tensor::node::{Context, NonDifferentiable, Op};
        struct Plain;
        impl Op for Plain {
            fn name(&self) -> &'static str { "plain" }
        }
            impl Op for Indented { }
        impl<T: Copy> Op for Generic<T> {
        impl Tensor {
            // an impl Op for Nothing in a comment
            fn op(&self) { self.record(NonDifferentiable("floor"), &[self], &[]).record(NonDifferentiable(name), &[]) }
        }
        impl Opera for House {}
    "#;
    assert_eq!(implementors(source), ["Generic", "Indented", "Plain"].map(String::from).into());
    assert_eq!(without_derivative(source), ["\"floor\"", "name"].map(String::from).into());
    assert!(implementors("impl Default for Op {}").is_empty());
}

/// Ops that finite differences in f64 on one device cannot check, and the test that does.
const BESIDE: [(&str, fn()); 2] = [("ToDtype", gradients_of_casts), ("ToDevice", gradients_between_devices)];

/// Every float to every float and back: the gradient is the upstream one, in the input's dtype.
fn gradients_of_casts() {
    let floats = DType::ALL.into_iter().filter(|d| d.is_float());
    for (from, to) in floats.clone().flat_map(|a| floats.clone().map(move |b| (a, b))) {
        let x = Tensor::new(&[0.5f64, -1.25, 3.0], &[3]).to_dtype(from).requires_grad();
        let y = x.to_dtype(to);
        assert_eq!((y.dtype(), y.to_f64_vec()), (to, vec![0.5, -1.25, 3.0]));
        let v = Tensor::new(&[1.0f64, 2.5, -0.75], &[3]).to_dtype(to);
        let first = grad(&[&y], &[&x], &[v.clone().requires_grad()], true)[0].clone().unwrap();
        assert_eq!((first.dtype(), first.to_f64_vec()), (from, vec![1.0, 2.5, -0.75]), "{from} to {to}");
        let twice = (&y * &y).to_dtype(from);
        let g = grad(&[&twice], &[&x], &[Tensor::ones(&[3], from, Device::Cpu)], true)[0].clone().unwrap();
        assert_eq!(g.to_f64_vec(), [1.0, -2.5, 6.0], "{from} to {to}");
        let second = grad(&[&g], &[&x], &[g.ones_like()], false)[0].clone().unwrap();
        assert_eq!(second.to_f64_vec(), [2.0; 3], "{from} to {to}");
    }
}

/// A tensor that moved and its gradient are on the two devices.
fn gradients_between_devices() {
    let x = Tensor::ones(&[2, 3], DType::F32, Device::Meta).requires_grad();
    let y = x.to_device(Device::Meta);
    assert!(y.to_device(Device::Meta).is_tracked());
    let host = Tensor::ones(&[2, 3], DType::F32, Device::Cpu).requires_grad();
    let moved = host.to_device(Device::Meta);
    assert!(moved.is_tracked() && moved.device() == Device::Meta);
    // The rule moves the gradient back to the host, where it has no values.
    let message =
        crate::refusal("to_device", || grad(&[&moved.sum_all()], &[&host], &[], false)[0].clone().unwrap());
    assert!(message.starts_with("to_device: ") && message.contains("no values"), "{message}");
}

/// Uses of `NonDifferentiable` by file, and the rows that show that a gradient is refused.
const REFUSALS: [(&str, &str, &[&str]); 5] = [
    ("order.rs", "\"argmax\"", &["argmax"]),
    ("order.rs", "\"argsort\"", &["argsort"]),
    ("order.rs", "\"topk\"", &["topk"]),
    ("compare.rs", "name", &["eq", "ne", "lt", "le", "gt", "ge"]),
    ("mod.rs", "\"to_dtype\"", &["to_dtype"]),
];

/// Ops that refuse nothing.
const TOTAL: [&str; 2] = ["contiguous", "to_dtype"];

/// The public functions of a source text whose documentation lacks an example, or does not say when they panic.
fn badly_documented(source: &str) -> Vec<String> {
    let (mut bad, mut example, mut panics) = (Vec::new(), false, false);
    for line in source.lines().map(str::trim_start) {
        // Attributes stand between documentation and function.
        if line.starts_with("///") || ["#[", ")", "\""].iter().any(|s| line.starts_with(s)) {
            example |= line.contains("```");
            panics |= line.contains("# Panics");
            continue;
        }
        let name = line.strip_prefix("pub fn ").and_then(|l| l.split(['(', '<']).next());
        // The scalar form of a comparison is in the example of the other.
        bad.extend(
            name.filter(|n| *n != "$scalar" && !(example && (panics || TOTAL.contains(n)))).map(String::from),
        );
        (example, panics) = (false, false);
    }
    bad
}

#[test]
fn every_public_op_has_an_example_and_says_when_it_panics() {
    let source = "/// Doc.\n/// ```\n/// # Panics\n#[inline]\npub fn good(&self) {\n}\n\
        /// ```\npub fn silent() {\n/// # Panics\npub fn bare<T>() {\n";
    assert_eq!(badly_documented(source), ["silent", "bare"]);
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops")).unwrap() {
        let path = entry.unwrap().path();
        let bad = badly_documented(&std::fs::read_to_string(&path).unwrap());
        assert!(
            bad.is_empty(),
            "{}: no example, or no word on panics, in the docs of {bad:?}",
            path.display()
        );
    }
}

/// The public functions of a source text.
fn public_functions(source: &str) -> Vec<&str> {
    let signatures = source.lines().filter_map(|l| l.trim_start().strip_prefix("pub fn "));
    signatures.filter_map(|l| l.split(['(', '<']).next()).collect()
}

/// docs/engine.md says for every op where its forward pass, its kernels and its rows are.
#[test]
fn the_guide_lists_every_op_beside_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(root.join("docs/engine.md")).unwrap();
    for entry in std::fs::read_dir(root.join("src/ops")).unwrap() {
        let path = entry.unwrap().path();
        let link = format!("(../src/ops/{})", path.file_name().unwrap().to_string_lossy());
        let row = guide.lines().find(|l| l.starts_with('|') && l.contains(&link)).unwrap_or_default();
        let source = std::fs::read_to_string(&path).unwrap();
        for name in public_functions(&source).iter().filter(|n| !n.starts_with('$')) {
            assert!(
                row.contains(&format!("`{name}`")),
                "docs/engine.md has no `{name}` in the row with {link}"
            );
        }
    }
    let links = guide.split("](../").skip(1).filter_map(|rest| rest.split(')').next());
    let mut count = 0;
    for link in links {
        assert!(root.join(link).exists(), "docs/engine.md points to {link}, which is not there");
        count += 1;
    }
    assert!(count > 60, "{count} links");
}

#[test]
fn every_op_has_a_row() {
    let rows = cases::table();
    let checks = |r: &&Row| r.gradient == Gradient::Checked && r.numel() <= CHECKED && r.numel() > 0;
    let covered: BTreeSet<&str> = rows.iter().filter(checks).flat_map(|r| r.covers).copied().collect();
    let beside: BTreeSet<&str> = BESIDE.iter().map(|b| b.0).collect();
    let refused: BTreeSet<&str> = rows
        .iter()
        .filter_map(|r| if let Gradient::Refused(name) = r.gradient { Some(name) } else { None })
        .collect();

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ops");
    let (mut found, mut marked) = (BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let source = std::fs::read_to_string(&path).unwrap();
        found.extend(implementors(&source));
        marked.extend(without_derivative(&source).into_iter().map(|name| (file.clone(), name)));
    }
    assert!(found.len() > 30 && found.contains("Add"), "{found:?}");
    for op in &found {
        assert!(
            covered.contains(&op[..]) || beside.contains(&op[..]),
            "{op} in src/ops has no row in tests/op_table whose derivatives are checked"
        );
    }
    for op in covered.union(&beside) {
        assert!(found.contains(*op), "a row covers {op}, which src/ops does not have");
    }
    for (file, name) in &marked {
        let known = REFUSALS.iter().find(|r| r.0 == file && r.1 == name);
        let Some((_, _, names)) = known else {
            panic!("src/ops/{file}: NonDifferentiable({name}) has no row")
        };
        names.iter().for_each(|n| assert!(refused.contains(n), "no row shows that {n} refuses a gradient"));
    }
    BESIDE.iter().for_each(|(_, check)| check());
}
