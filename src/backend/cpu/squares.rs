//! Sums of squares over a table of tensors: what the norm of all gradients is made of.

use super::par;
use super::simd::{Kernel, vectorize};
use super::update::CHUNK;
use crate::backend::View;
use crate::dtype::{Element, dispatch};

/// Partial sums of a chunk. Which element enters which one depends on its place in the tensor alone, so the order of
/// the sum is the same on every tier and for any number of threads.
const LANES: usize = 16;

/// Elements of one chunk, from whichever tensor, and their sum of squares.
struct Part<'a, T> {
    tensor: usize,
    x: &'a [T],
    sum: f64,
}

/// The sum of squares of each operand: chunks in any order, their sums in the order of the chunks.
pub(super) fn sums(table: &[View]) -> Vec<f64> {
    let mut sums = vec![0.0; table.len()];
    let Some(dtype) = table.first().map(|x| x.storage.dtype()) else { return sums };
    dispatch!(dtype, full, T => {
        let mut parts = Vec::new();
        for (tensor, x) in table.iter().enumerate() {
            let chunks = x.slice::<T>()[x.layout.dense_range()].chunks(CHUNK);
            parts.extend(chunks.map(|x| Part { tensor, x, sum: 0.0 }));
        }
        let pieces = par::pieces(parts.len() * CHUNK, 2 * CHUNK);
        par::split(&mut parts, 1, pieces, &|_, some: &mut [Part<T>]| {
            some.iter_mut().for_each(|p| p.sum = vectorize(Squares(p.x)));
        });
        parts.iter().for_each(|p| sums[p.tensor] += p.sum);
    });
    sums
}

struct Squares<'a, T>(&'a [T]);
impl<T: Element> Kernel for Squares<'_, T> {
    type Output = f64;
    #[inline(always)]
    fn run<const FMA: bool>(self) -> f64 {
        let mut lanes = [0.0; LANES];
        let (blocks, rest) = self.0.as_chunks::<LANES>();
        for block in blocks {
            for (lane, x) in lanes.iter_mut().zip(block) {
                let x = x.to_f64();
                *lane += x * x;
            }
        }
        for (lane, x) in lanes.iter_mut().zip(rest) {
            let x = x.to_f64();
            *lane += x * x;
        }
        lanes.iter().sum()
    }
}
