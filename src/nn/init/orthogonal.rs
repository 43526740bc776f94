//! Orthogonal matrices (Saxe et al., 2014, arXiv:1312.6120).

use crate::error::misuse;
use crate::{Generator, Tensor};
use rand_distr::{Distribution, StandardNormal};

/// A random matrix with orthonormal rows, or columns if there are more rows than columns, times `gain`. A weight
/// `[out, in, ..]` counts as the matrix `[out, the rest]`.
///
/// It is the Q of a QR decomposition of independent normal numbers, computed in f64 by Gram-Schmidt. There R's diagonal
/// holds the lengths of what is left of each vector, so it is positive, and Q has the uniform (Haar) distribution
/// without a correction of signs (Mezzadri, 2007, arXiv:math-ph/0609050). Each vector is cleaned twice, which brings
/// the products of different ones down to rounding errors.
///
/// ```
/// use ganvil::{DType, Generator, nn::init, rng::Stream};
/// let w = init::orthogonal(&[4, 2, 3, 3], 2.0, &Generator::new(0, Stream::Init));
/// let w = w.reshape(&[4, 18]).to_dtype(DType::F64);
/// let product = w.matmul(&w.t()).to_vec::<f64>(); // 4 I
/// assert!(product.iter().enumerate().all(|(i, v)| (v - if i % 5 == 0 { 4.0 } else { 0.0 }).abs() < 1e-6));
/// ```
///
/// # Panics
/// If the shape has fewer than two dimensions.
#[track_caller]
pub fn orthogonal(shape: &[usize], gain: f64, random: &Generator) -> Tensor {
    if shape.len() < 2 {
        misuse!("orthogonal", "needs the shape of a weight, [out, in, ..], got {shape:?}");
    }
    let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
    let (short, long) = (rows.min(columns), rows.max(columns));
    let values: Vec<f64> = StandardNormal.sample_iter(random.host()).take(short * long).collect();
    let q = gram_schmidt(values, long);
    let matrix: Vec<f32> = if rows <= columns {
        q.iter().map(|v| (gain * v) as f32).collect()
    } else {
        (0..rows * columns).map(|i| (gain * q[i % columns * long + i / columns]) as f32).collect()
    };
    Tensor::new(&matrix, shape)
}

/// Makes vectors of this length, stored one after the other, orthonormal.
fn gram_schmidt(mut vectors: Vec<f64>, length: usize) -> Vec<f64> {
    for start in (0..vectors.len()).step_by(length.max(1)) {
        let (done, rest) = vectors.split_at_mut(start);
        let v = &mut rest[..length];
        for _ in 0..2 {
            for q in done.chunks_exact(length) {
                let along = dot(q, v);
                v.iter_mut().zip(q).for_each(|(v, q)| *v -= along * q);
            }
        }
        let norm = dot(v, v).sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
    }
    vectors
}

/// Eight running sums, which a compiler can keep in vector registers.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.0.iter().zip(b.0) {
        (0..8).for_each(|i| sums[i] += a[i] * b[i]);
    }
    let tail: f64 = a.1.iter().zip(b.1).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + tail
}
