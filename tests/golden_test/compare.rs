//! The comparison of one fixture's values, and what is said about those that differ.
//!
//! A value passes if its shape is the expected one, every element is finite, and
//! `||got - ref||_2 <= rtol ||ref||_2` or `max |got - ref| <= atol`, both in f64. For the state after training, `ref`
//! on the right is the change since the start, and elements marked as loose only need to be near.

use super::fixture::{Array, Fixture, Tolerance, Values};
use super::place::Place;
use ganvil::{DType, Tensor};
use std::collections::BTreeSet;

/// The comparisons of one fixture at one place.
pub struct Report<'a> {
    pub fixture: &'a Fixture,
    pub place: &'a Place,
    /// Tensors of the file that were used or compared.
    seen: BTreeSet<String>,
    /// A line for each tensor that differs.
    pub failures: Vec<String>,
}

/// What the first test of a tensor of the final state is relative to, and which elements it leaves out.
pub struct Update<'a> {
    /// The value before training.
    pub initial: Vec<f64>,
    /// Elements whose movement is arbitrary, and how far they may be off.
    pub loose: Option<(&'a [i64], f64)>,
}

impl<'a> Report<'a> {
    pub fn new(fixture: &'a Fixture, place: &'a Place) -> Report<'a> {
        Report { fixture, place, seen: BTreeSet::new(), failures: Vec::new() }
    }

    /// Notes that a tensor of the file was used.
    pub fn mark(&mut self, name: &str) {
        self.seen.insert(name.to_owned());
    }

    /// The tolerance for a tensor: the file's for f32; for f64 the one of the fixtures' description.
    pub fn tolerance(&self, name: &str) -> Tolerance {
        let of_file = self.fixture.tol.get(name).copied().unwrap_or(self.fixture.tolerance);
        match (self.place.dtype, self.fixture.kind.as_str()) {
            (DType::F64, "train") => Tolerance { rtol: 1e-7, atol: 1e-12 },
            (DType::F64, "op" | "double") => Tolerance { rtol: 1e-9, atol: 1e-12 },
            _ => of_file,
        }
    }

    /// Compares a tensor with the stored one of that name.
    pub fn value(&mut self, name: &str, got: &Tensor) {
        let stored = self.fixture.arrays.get(name).map(|a| matches!(a.values, Values::Float(_)));
        if stored == Some(true) && got.dtype() != self.place.dtype {
            self.fail(name, format!("has dtype {}, computed in {}", got.dtype(), self.place.dtype));
        }
        self.values(name, got.shape(), &got.to_f64_vec(), None, self.tolerance(name));
    }

    /// Compares values with the stored tensor of that name.
    pub fn values(
        &mut self,
        name: &str,
        shape: &[usize],
        got: &[f64],
        update: Option<&Update>,
        tolerance: Tolerance,
    ) {
        self.mark(name);
        let result = match self.fixture.array(name) {
            Ok(expected) => compare(expected, shape, got, update, tolerance),
            Err(e) => Err(e),
        };
        if let Err(e) = result {
            self.fail(name, e);
        }
    }

    /// Compares a gradient; one that does not exist counts as zeros where `zeros` allows it.
    pub fn gradient(&mut self, name: &str, got: Option<Tensor>, zeros: bool) {
        match (got, self.fixture.arrays.get(name)) {
            (Some(g), _) => self.value(name, &g),
            (None, Some(a)) if zeros => {
                self.values(name, &a.shape, &vec![0.0; a.to_f64().len()], None, self.tolerance(name))
            }
            (None, _) => {
                self.mark(name);
                self.fail(name, "does not exist: the output does not depend on the input".into());
            }
        }
    }

    /// Records a failure of a tensor.
    pub fn fail(&mut self, tensor: &str, problem: String) {
        self.failures.push(format!("fails: {} {tensor} ({}): {problem}", self.fixture.file, self.place));
    }

    /// Records as failures the tensors that nobody used or compared, and attributes that nobody read.
    pub fn finish(mut self) -> Vec<String> {
        let fixture = self.fixture;
        let given = |name: &str| self.seen.contains(name) || is_given(name, &fixture.kind);
        let forgotten: Vec<&String> = fixture.arrays.keys().filter(|n| !given(n)).collect();
        for name in forgotten {
            self.fail(name, "is in the file but was neither used nor compared".into());
        }
        for name in fixture.attrs.unread() {
            self.fail(&format!("attribute {name}"), "was not honoured".into());
        }
        self.failures
    }
}

/// Whether a tensor is an operation's input, not something to compare with.
fn is_given(name: &str, kind: &str) -> bool {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    match kind {
        "op" => numbered("in.") || name == "cotangent",
        "metric" => numbered("in."),
        "double" => numbered("in.") || numbered("v.") || name == "cotangent",
        _ => false,
    }
}

fn compare(
    expected: &Array,
    shape: &[usize],
    got: &[f64],
    update: Option<&Update>,
    tolerance: Tolerance,
) -> Result<(), String> {
    if shape != expected.shape {
        return Err(format!("has shape {shape:?}, expected {:?}", expected.shape));
    }
    if let Some(i) = got.iter().position(|v| !v.is_finite()) {
        return Err(format!("is {} at element {i}", got[i]));
    }
    let reference = expected.to_f64();
    let start = update.map_or_else(|| vec![0.0; got.len()], |u| u.initial.clone());
    let loose = update.and_then(|u| u.loose);
    let is_loose = |i: usize| loose.is_some_and(|(marks, _)| marks[i] != 0);
    let (mut error, mut norm, mut largest, mut largest_loose) = (0.0, 0.0, 0.0f64, 0.0f64);
    for (i, (&g, &r)) in got.iter().zip(&reference).enumerate() {
        let off = g - r;
        if is_loose(i) {
            largest_loose = largest_loose.max(off.abs());
        } else {
            error += off * off;
            norm += (r - start[i]).powi(2);
            largest = largest.max(off.abs());
        }
    }
    let (error, norm) = (f64::sqrt(error), f64::sqrt(norm));
    if let Some((_, atol)) = loose.filter(|(_, atol)| largest_loose > *atol) {
        return Err(format!("is off by {largest_loose:.3e} in a loose element, allowed {atol:.3e}"));
    }
    if error <= tolerance.rtol * norm || largest <= tolerance.atol {
        return Ok(());
    }
    Err(format!(
        "is off by {:.3e} in L2, relative (allowed {:.3e}), and by up to {largest:.3e} (allowed {:.3e})",
        error / norm,
        tolerance.rtol,
        tolerance.atol
    ))
}
