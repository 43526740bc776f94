//! Matrices of every layout with guards around them, the reference and the model of the order of sums.

use super::super::block::{Blocking, k_end};
use super::super::dot::{MIN_TERMS, SUMS};
use super::super::element::Real;
use super::super::*;
use half::{bf16, f16};

/// What a test needs to know of a type.
pub trait Case: GemmElement {
    /// Half the distance from 1 to the next value.
    const UNIT: f64;
    /// Half the smallest positive value.
    const TINY: f64;
}
impl Case for f32 {
    const UNIT: f64 = f32::EPSILON as f64 / 2.0;
    const TINY: f64 = 0.0;
}
impl Case for f64 {
    const UNIT: f64 = f64::EPSILON / 2.0;
    const TINY: f64 = 0.0;
}
impl Case for f16 {
    const UNIT: f64 = 0.00048828125; // 2^-11
    const TINY: f64 = 2.9802322387695313e-8; // 2^-25
}
impl Case for bf16 {
    const UNIT: f64 = 0.00390625; // 2^-8
    const TINY: f64 = 0.0;
}

/// How a test matrix lies in memory.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Lie {
    Rows,
    Columns,
    /// Rows with a gap behind each.
    Gap,
    /// Neither stride is 1.
    Spread,
    /// Columns further apart than rows, neither stride 1.
    SpreadColumns,
    /// All rows are one.
    SameRows,
    /// All columns are one.
    SameColumns,
}
pub use Lie::*;

impl Lie {
    /// Row and column stride of an m x n matrix.
    pub fn strides(self, m: usize, n: usize) -> (usize, usize) {
        match self {
            Rows => (n, 1),
            Columns => (1, m),
            Gap => (n + 5, 1),
            Spread => (2 * n + 3, 2),
            SpreadColumns => (3, 3 * m + 1),
            SameRows => (0, 1),
            SameColumns => (1, 0),
        }
    }
}

/// A reproducible sequence of values in [-1, 1).
pub struct Noise(u64);
impl Noise {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as f64 / (1u64 << 30) as f64 - 1.0
    }
}

/// A matrix in the middle of NaNs, which would show if more than the matrix were used.
pub struct Matrix<T> {
    pub data: Vec<T>,
    pub rs: usize,
    pub cs: usize,
    pub rows: usize,
    pub cols: usize,
}

const MARGIN: usize = 40;

impl<T: Case> Matrix<T> {
    pub fn new(rows: usize, cols: usize, lie: Lie, seed: u64) -> Matrix<T> {
        let (rs, cs) = lie.strides(rows, cols);
        let len = if rows * cols == 0 { 0 } else { (rows - 1) * rs + (cols - 1) * cs + 1 };
        let mut x = Matrix { data: vec![T::from_f64(f64::NAN); len + 2 * MARGIN], rs, cs, rows, cols };
        let mut noise = Noise(seed);
        for (i, j) in (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))) {
            x.data[MARGIN + i * rs + j * cs] = T::from_f64(noise.next());
        }
        x
    }
    pub fn filled(rows: usize, cols: usize, lie: Lie, value: T) -> Matrix<T> {
        let mut x = Matrix::new(rows, cols, lie, 0);
        x.data.fill(value);
        x
    }
    pub fn at(&self, i: usize, j: usize) -> T {
        self.data[MARGIN + i * self.rs + j * self.cs]
    }
    pub fn view(&self) -> MatRef<'_, T> {
        MatRef { data: &self.data[MARGIN..self.data.len() - MARGIN], rs: self.rs, cs: self.cs }
    }
    pub fn view_mut(&mut self) -> MatMut<'_, T> {
        let end = self.data.len() - MARGIN;
        MatMut { data: &mut self.data[MARGIN..end], rs: self.rs, cs: self.cs }
    }
}

pub fn bits<T: Case>(x: T) -> u64 {
    x.to_f64().to_bits()
}

pub fn tiers() -> impl Iterator<Item = Tier> {
    Tier::ALL.into_iter().filter(|t| t.is_supported())
}

pub type BiasRef<'a, T> = Option<(&'a [T], usize)>;

/// C of the first m rows and n columns, written into a matrix of guards, which are checked. The same rectified, with one slope
/// or another, is compared.
pub fn product<T: Case>(
    tier: Tier,
    [m, n]: [usize; 2],
    a: &Matrix<T>,
    b: &Matrix<T>,
    bias: BiasRef<T>,
    lie: Lie,
    blocking: Option<Blocking>,
) -> Matrix<T> {
    let guard = T::from_f64(-777.0);
    let mut c = Matrix::filled(m, n, lie, guard);
    let run = |slope, c| {
        gemm_on(tier, blocking, &[], [m, n, a.cols], a.view(), b.view(), Epilogue { bias, slope }, c);
    };
    run(None, c.view_mut());
    // Half types are rounded after it, so that only 0 leaves the others as they are.
    let slope = T::Acc::of(if is_acc::<T>() && (m + n) % 2 == 0 { 0.3 } else { 0.0 });
    let mut rectified = Matrix::filled(m, n, lie, guard);
    run(Some(slope), rectified.view_mut());
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let want = T::narrow(c.at(i, j).widen().rectified(slope));
        assert_eq!(bits(rectified.at(i, j)), bits(want), "{tier} ({i}, {j}) with slope {slope:?}");
    }
    let mut inside = vec![false; c.data.len()];
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        inside[MARGIN + i * c.rs + j * c.cs] = true;
    }
    for (x, inside) in c.data.iter().zip(inside) {
        assert!(inside || bits(*x) == bits(guard), "written outside C");
    }
    c
}

/// Whether a product of n columns and k terms has the order of a dot product.
pub fn is_dots<T: Case>(n: usize, k: usize) -> bool {
    n == 1 && is_acc::<T>() && k >= MIN_TERMS
}

/// The promised order of accumulation of a product of n columns, one element at a time.
pub fn model<T: Case>(
    tier: Tier,
    n: usize,
    a: &Matrix<T>,
    b: &Matrix<T>,
    bias: BiasRef<T>,
    [i, j]: [usize; 2],
) -> T {
    let kc = T::Acc::kernels(tier).kc;
    let fma = tier != Tier::Portable;
    if is_dots::<T>(n, a.cols) {
        let mut sums = [T::Acc::ZERO; SUMS];
        for p in 0..a.cols {
            let (x, y, sum) = (a.at(i, p).widen(), b.at(p, j).widen(), &mut sums[p % SUMS]);
            *sum = if fma { fused(x, y, *sum) } else { x * y + *sum };
        }
        let mut n = SUMS;
        while n > 1 {
            n /= 2;
            (0..n).for_each(|i| sums[i] = sums[i] + sums[i + n]);
        }
        return T::narrow(bias.map_or(sums[0], |(bias, stride)| sums[0] + bias[j * stride].widen()));
    }
    let (mut sum, mut start) = (None, 0);
    while start < a.cols {
        let end = k_end(start, a.cols, kc);
        let mut acc = T::Acc::ZERO;
        for p in start..end {
            let (x, y) = (a.at(i, p).widen(), b.at(p, j).widen());
            acc = if fma { fused(x, y, acc) } else { x * y + acc };
        }
        sum = Some(sum.map_or(acc, |sum| sum + acc));
        start = end;
    }
    match (sum, bias) {
        (None, None) => T::narrow(T::Acc::ZERO),
        (None, Some((bias, stride))) => bias[j * stride],
        (Some(sum), None) => T::narrow(sum),
        (Some(sum), Some((bias, stride))) => T::narrow(sum + bias[j * stride].widen()),
    }
}

/// x y + z rounded once, in the accumulator's own precision.
fn fused<A: Real>(x: A, y: A, z: A) -> A {
    if size_of::<A>() == 8 {
        return A::from_f64(x.to_f64().mul_add(y.to_f64(), z.to_f64()));
    }
    A::from_f64((x.to_f64() as f32).mul_add(y.to_f64() as f32, z.to_f64() as f32) as f64)
}

/// Every element of C against the model, and against an f64 sum (for f64 with f64's own error on both sides).
pub fn verify<T: Case>(tier: Tier, a: &Matrix<T>, b: &Matrix<T>, bias: BiasRef<T>, c: &Matrix<T>) {
    let acc_unit = if size_of::<T::Acc>() == 8 { f64::UNIT } else { f32::UNIT };
    let k = a.cols;
    for (i, j) in (0..c.rows).flat_map(|i| (0..c.cols).map(move |j| (i, j))) {
        let terms = || (0..k).map(|p| a.at(i, p).to_f64() * b.at(p, j).to_f64());
        let add = bias.map_or(0.0, |(bias, stride)| bias[j * stride].to_f64());
        let want = terms().sum::<f64>() + add;
        let size = terms().map(f64::abs).sum::<f64>() + add.abs();
        // k products, k additions, block sums, bias; f64's reference errs as much.
        let bound = 2.0 * (k + 8) as f64 * acc_unit * size + T::UNIT * want.abs() * 1.01 + T::TINY;
        let got = c.at(i, j).to_f64();
        assert!(
            (got - want).abs() <= bound,
            "{tier} ({i}, {j}), k {k}: {got} instead of {want} within {bound:e}"
        );
        assert_eq!(
            bits(c.at(i, j)),
            bits(model(tier, c.cols, a, b, bias, [i, j])),
            "{tier} ({i}, {j}), k {k}: order of sums"
        );
    }
}

pub fn same_bits<T: Case>(part: &Matrix<T>, whole: &Matrix<T>, what: &str) {
    for (i, j) in (0..part.rows).flat_map(|i| (0..part.cols).map(move |j| (i, j))) {
        assert_eq!(bits(part.at(i, j)), bits(whole.at(i, j)), "({i}, {j}) of {what}");
    }
}
