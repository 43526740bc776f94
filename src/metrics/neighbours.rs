//! Distances between all points of two sets, a block of rows at a time: of 10,000 points each the whole matrix would take
//! 800 MB.
//!
//! |x - y|^2 = |x|^2 + |y|^2 - 2 x . y, which is a matrix product. For points that are much closer to each other than to
//! the origin that difference has few digits left, so it is summed anew from x - y there: a point is at distance 0 from
//! its copy.

use crate::Tensor;
use rayon::prelude::*;

/// Rows of a block.
const BLOCK: usize = 256;
/// Squared distances below this share of |x|^2 + |y|^2 are summed anew; above, 7 digits are left of 15.
const CLOSE: f64 = 1e-8;

/// Points and their squared norms.
pub(super) struct Points {
    /// f64 `[n, d]`.
    pub x: Tensor,
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl Points {
    /// Of f64 `[n, d]` on the host.
    pub fn new(x: Tensor) -> Points {
        let values = x.to_vec::<f64>();
        let squares = values.chunks_exact(x.shape()[1]).map(|row| row.iter().map(|v| v * v).sum()).collect();
        Points { x, values, squares }
    }

    pub fn len(&self) -> usize {
        self.squares.len()
    }

    fn row(&self, i: usize) -> &[f64] {
        let d = self.x.shape()[1];
        &self.values[i * d..(i + 1) * d]
    }

    /// `f(i, squared distances to all of others)` for every point i; what it returns, in order.
    pub fn map<R: Send>(&self, others: &Points, f: impl Fn(usize, &mut [f64]) -> R + Sync) -> Vec<R> {
        let (n, m) = (self.len(), others.len());
        let transposed = others.x.t();
        let mut all = Vec::with_capacity(n);
        for start in (0..n).step_by(BLOCK) {
            let block = self.x.narrow(0, start, BLOCK.min(n - start));
            let mut products = block.matmul(&transposed).to_vec::<f64>();
            let rows = products.par_chunks_mut(m).enumerate().map(|(at, row)| {
                let i = start + at;
                self.distances(i, others, row);
                f(i, row)
            });
            all.extend(rows.collect::<Vec<R>>());
        }
        all
    }

    /// Products of point i with others become squared distances.
    fn distances(&self, i: usize, others: &Points, row: &mut [f64]) {
        let own = self.squares[i];
        for (j, (v, other)) in row.iter_mut().zip(&others.squares).enumerate() {
            let sum = own + other;
            *v = sum - 2.0 * *v;
            if *v < CLOSE * sum {
                let differences = self.row(i).iter().zip(others.row(j)).map(|(a, b)| a - b);
                *v = differences.map(|d| d * d).sum();
            }
        }
    }
}

/// The nearest of others to each point: its number, the first where several are as near, and the squared distance.
pub(super) fn nearest(points: &Points, others: &Points) -> Vec<(usize, f64)> {
    let least = |least: (usize, f64), (j, v): (usize, &f64)| if *v < least.1 { (j, *v) } else { least };
    points.map(others, |_, row| row.iter().enumerate().fold((0, f64::INFINITY), least))
}

/// The squared distance of each point to its k-th nearest other one, for each k of `ks`; no point has more than
/// len - 1 others.
pub(super) fn radii<const N: usize>(points: &Points, ks: [usize; N]) -> [Vec<f64>; N] {
    let of_points = points.map(points, |i, row| {
        row[i] = f64::INFINITY;
        ks.map(|k| *row.select_nth_unstable_by(k - 1, f64::total_cmp).1)
    });
    std::array::from_fn(|at| of_points.iter().map(|r| r[at]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::{DType, Device, Generator};

    fn points(n: usize, mean: f64) -> Points {
        let random = Generator::new(n as u64, Stream::General);
        Points::new(random.normal(&[n, 5], mean, 1.0, DType::F64, Device::Cpu))
    }

    #[test]
    fn distances_are_those_of_the_differences() {
        let (a, b) = (points(300, 1e3), points(70, 1e3));
        let rows = a.map(&b, |_, row| row.to_vec());
        for (i, row) in rows.iter().enumerate() {
            for (j, got) in row.iter().enumerate() {
                let want: f64 = a.row(i).iter().zip(b.row(j)).map(|(x, y)| (x - y) * (x - y)).sum();
                assert!((got - want).abs() < 1e-6 * want, "{i} {j}: {got} {want}");
            }
        }
    }

    #[test]
    fn a_copy_is_at_distance_0_however_far_out() {
        let (a, b) = (points(300, 1e6), points(300, 1e6));
        assert!(a.map(&b, |i, row| row[i]).iter().all(|v| *v == 0.0));
        assert!(nearest(&a, &b).iter().enumerate().all(|(i, found)| *found == (i, 0.0)));
    }

    #[test]
    fn radii_leave_the_point_itself_out() {
        let line = Points::new(Tensor::new(&[0.0, 1.0, 3.0, 7.0], &[4, 1]));
        assert_eq!(radii(&line, [1, 3]), [vec![1.0, 1.0, 4.0, 16.0], vec![49.0, 36.0, 16.0, 49.0]]);
    }
}
