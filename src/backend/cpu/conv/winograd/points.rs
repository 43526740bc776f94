//! The transforms in one dimension, and the points that they come from.
//!
//! A window of T taps that moves over a = m + T - 1 inputs gives m outputs. Toom and Cook's way to the product of two
//! polynomials, evaluation at a points, turned around (Winograd, "Arithmetic Complexity of Computations", 1980; Lavin and
//! Gray, arXiv:1509.09308), needs a multiplications for them instead of m T:
//!
//! ```text
//! outputs       y = A^T [(G g) o (B^T d)]        g taps, d inputs, o elementwise
//! inputs        d = B   [(G g) o (A y)]          the adjoint: y upstream, d the gradient
//! taps          g = G^T [(B^T d) o (A y)]        the adjoint for the weight
//!
//! A^T[i][p] = x_p^i       G[p][t] = x_p^t        B^T[p][j] = coefficient of x^j in L_p
//! ```
//!
//! L_p is Lagrange's polynomial of a finite point, and the product of all (x - x_q) for the point at infinity, whose rows
//! of A^T and G pick the highest power. The factors are all in B, so that G g at a point is the same for every a: tiles of
//! different sizes share the transformed weights.
//!
//! The points decide how exact the result is. 0, 1, -1/2, -2 and infinity leave an error of about 2.3 times the direct
//! sum's (rms; T = 2, m = 4) and 1.3 times (T = 3, m = 3), where 0, 1, -1, 2 leave 3.3 and 2.1.

/// The finite points, in the order in which larger tiles take more of them. Infinity is always the last point.
const FINITE: [f64; MAX_POINTS - 1] = [0.0, 1.0, -0.5, -2.0];

/// Points of the largest tile.
pub const MAX_POINTS: usize = 5;

/// Rows are results, columns operands.
pub type Matrix = [[f64; MAX_POINTS]; MAX_POINTS];

/// x^n
const fn power(x: f64, n: usize) -> f64 {
    let (mut y, mut i) = (1.0, 0);
    while i < n {
        y *= x;
        i += 1;
    }
    y
}

/// B^T for `a` points.
const fn inputs_to_points(a: usize) -> Matrix {
    let mut all = [[0.0; MAX_POINTS]; MAX_POINTS];
    let mut p = 0;
    while p < a {
        // The product of (x - x_q) over the other finite points, by ascending power.
        let mut c = [0.0; MAX_POINTS];
        c[0] = 1.0;
        let (mut degree, mut scale, mut q) = (0, 1.0, 0);
        while q < a - 1 {
            if q != p {
                degree += 1;
                let mut i = degree;
                while i > 0 {
                    c[i] = c[i - 1] - FINITE[q] * c[i];
                    i -= 1;
                }
                c[0] *= -FINITE[q];
                if p < a - 1 {
                    scale *= FINITE[p] - FINITE[q];
                }
            }
            q += 1;
        }
        let mut i = 0;
        while i < a {
            all[p][i] = c[i] / scale;
            i += 1;
        }
        p += 1;
    }
    all
}

/// The powers 0 .. n of the points: G for n = T taps, A for n = m outputs.
const fn powers(a: usize, n: usize) -> Matrix {
    let mut all = [[0.0; MAX_POINTS]; MAX_POINTS];
    let mut p = 0;
    while p < a - 1 {
        let mut i = 0;
        while i < n {
            all[p][i] = power(FINITE[p], i);
            i += 1;
        }
        p += 1;
    }
    all[a - 1][n - 1] = 1.0;
    all
}

const fn transposed(m: Matrix) -> Matrix {
    let mut t = m;
    let mut i = 0;
    while i < MAX_POINTS {
        let mut j = 0;
        while j < MAX_POINTS {
            t[j][i] = m[i][j];
            j += 1;
        }
        i += 1;
    }
    t
}

/// A linear map between lines of a tile, known when the code is compiled.
pub trait Map {
    /// Operands.
    const IN: usize;
    /// Results.
    const OUT: usize;
    /// `OUT` x `IN` of it.
    const M: Matrix;
}

macro_rules! maps {
    ($($(#[$doc:meta])* $name:ident<$($g:ident),*>: $in:expr => $out:expr, $m:expr;)*) => {
        $($(#[$doc])* pub struct $name<$(const $g: usize),*>;
        impl<$(const $g: usize),*> Map for $name<$($g),*> {
            const IN: usize = $in;
            const OUT: usize = $out;
            const M: Matrix = $m;
        })*
    };
}
maps! {
    /// B^T: inputs to points.
    Gather<A>: A => A, inputs_to_points(A);
    /// B: points to inputs.
    Scatter<A>: A => A, transposed(inputs_to_points(A));
    /// A^T: points to outputs.
    Read<A, T>: A => A - T + 1, transposed(powers(A, A - T + 1));
    /// A: outputs to points.
    Spread<A, T>: A - T + 1 => A, powers(A, A - T + 1);
    /// G: taps to points.
    Taps<A, T>: T => A, powers(A, T);
    /// G^T: points to taps.
    Fold<A, T>: A => T, transposed(powers(A, T));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply<M: Map>(x: &[f64]) -> Vec<f64> {
        assert_eq!(x.len(), M::IN);
        (0..M::OUT).map(|i| (0..M::IN).map(|j| M::M[i][j] * x[j]).sum()).collect()
    }

    fn check<const A: usize, const T: usize>() {
        let d: Vec<f64> = (0..A).map(|i| [0.3, -1.7, 2.9, 0.8, -0.4][i]).collect();
        let g: Vec<f64> = (0..T).map(|i| [1.1, -0.6, 2.3][i]).collect();
        let y: Vec<f64> = (0..A - T + 1).map(|i| [0.9, 1.4, -2.2, 0.5][i]).collect();
        let times = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).map(|(a, b)| a * b).collect::<Vec<f64>>();
        let same = |a: Vec<f64>, b: Vec<f64>| {
            assert_eq!(a.len(), b.len());
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-13), "{a:?} and {b:?}");
        };
        let (gp, dp, yp) = (apply::<Taps<A, T>>(&g), apply::<Gather<A>>(&d), apply::<Spread<A, T>>(&y));
        let outputs = (0..A - T + 1).map(|i| (0..T).map(|t| g[t] * d[i + t]).sum()).collect();
        same(apply::<Read<A, T>>(&times(gp.clone(), dp.clone())), outputs);
        let at = |i: usize, t: usize| if i >= t && i - t < y.len() { y[i - t] } else { 0.0 };
        let inputs = (0..A).map(|i| (0..T).map(|t| g[t] * at(i, t)).sum()).collect();
        same(apply::<Scatter<A>>(&times(gp, yp.clone())), inputs);
        let taps = (0..T).map(|t| (0..y.len()).map(|i| y[i] * d[i + t]).sum()).collect();
        same(apply::<Fold<A, T>>(&times(dp, yp)), taps);
    }

    #[test]
    fn the_maps_compute_windows_and_their_adjoints() {
        check::<3, 2>();
        check::<4, 2>();
        check::<5, 2>();
        check::<4, 3>();
        check::<5, 3>();
    }

    #[test]
    fn weights_at_a_point_are_those_of_larger_tiles() {
        for p in 0..3 {
            assert_eq!(Taps::<4, 2>::M[p], Taps::<5, 2>::M[p]);
        }
        assert_eq!(Taps::<4, 3>::M[3], Taps::<5, 3>::M[4]);
        assert_eq!(Gather::<3>::M[0][..3], [1.0, -1.0, 0.0]);
        assert_eq!(Gather::<5>::M[4], [0.0, -1.0, -1.5, 1.5, 1.0]);
    }
}
