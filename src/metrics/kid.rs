//! The kernel distance of features (Binkowski et al., 2018, arXiv:1801.01401, section 4): the squared maximum mean
//! discrepancy with the kernel k(x, y) = (x . y / d + 1)^3, in the estimate without bias,
//!
//! MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{i, j} k(x_i, y_j),
//!
//! averaged over subsets. It is 0 on average for equal distributions, so a value may be below 0 and is left so. Unlike
//! the Fréchet distance it does not grow for few samples; its deviation between subsets says how sure it is.

use super::sets::{Pair, Rows, shuffled};
use crate::Tensor;
use crate::error::misuse;

/// A distance over subsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelDistance {
    /// Mean of the estimates.
    pub mean: f64,
    /// Their deviation (population).
    pub deviation: f64,
}

/// Which samples the estimates look at.
#[derive(Clone, Debug)]
pub struct Subsets {
    /// Rows of the real features, for each estimate.
    pub real: Vec<Vec<usize>>,
    /// Rows of the generated ones.
    pub fake: Vec<Vec<usize>>,
}

impl Subsets {
    /// Samples in a subset, as published.
    pub const SIZE: usize = 1000;
    /// Subsets, as published.
    pub const COUNT: usize = 100;

    /// `count` draws of `size` from `real` and `fake` samples, without replacement in each.
    ///
    /// # Panics
    /// If there are fewer samples than a subset has, or a subset has less than two.
    #[track_caller]
    pub fn drawn(count: usize, size: usize, [real, fake]: [usize; 2], seed: u64) -> Subsets {
        if size < 2 || real < size || fake < size {
            misuse!(
                "kernel_distance",
                "subsets of {size} from {real} real and {fake} generated samples; give that many samples of each, \
                 and 2 or more to a subset"
            );
        }
        let draw = |n, set: u64| {
            (0..count as u64).map(|i| shuffled(n, seed, 2 * i + set)[..size].to_vec()).collect()
        };
        Subsets { real: draw(real, 0), fake: draw(fake, 1) }
    }

    /// All samples, once.
    pub fn whole([real, fake]: [usize; 2]) -> Subsets {
        Subsets { real: vec![(0..real).collect()], fake: vec![(0..fake).collect()] }
    }
}

/// The kernel distance over these subsets.
///
/// ```
/// use ganvil::metrics::{Pair, Subsets, kernel_distance};
/// use ganvil::{DType, Device, Generator, rng::Stream};
/// let random = Generator::new(0, Stream::General);
/// let mut draw = |mean| random.normal(&[200, 4], mean, 1.0, DType::F64, Device::Cpu);
/// let (x, y, far) = (draw(0.0), draw(0.0), draw(1.0));
/// let of = |fake| kernel_distance(Pair { real: &x, fake }, &Subsets::drawn(10, 50, [200, 200], 0)).mean;
/// assert!(of(&y).abs() < 0.2 && of(&far) > 1.0);
/// ```
///
/// # Panics
/// If the features are not matrices of as many columns, or a subset has less than two samples.
#[track_caller]
pub fn kernel_distance(pair: Pair, subsets: &Subsets) -> KernelDistance {
    let [real, fake] = pair.matrices("kernel_distance").map(|x| Rows::new(&x));
    let of = |(r, f): (&Vec<usize>, &Vec<usize>)| {
        if r.len() < 2 || f.len() < 2 {
            misuse!(
                "kernel_distance",
                "a subset of {} and {} samples; two of each are needed",
                r.len(),
                f.len()
            );
        }
        discrepancy(&real.pick(r), &fake.pick(f))
    };
    let estimates: Vec<f64> = subsets.real.iter().zip(&subsets.fake).map(of).collect();
    let (mean, deviation) = mean_and_deviation(&estimates);
    KernelDistance { mean, deviation }
}

/// Of a population.
pub(super) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// MMD^2 without bias.
fn discrepancy(x: &Tensor, y: &Tensor) -> f64 {
    let mean_of_pairs = |k: &Tensor| {
        let n = k.shape()[0] as f64;
        (k.sum_all().item() - k.trace().item()) / (n * (n - 1.0))
    };
    let (xx, yy, xy) = (kernel(x, x), kernel(y, y), kernel(x, y));
    mean_of_pairs(&xx) + mean_of_pairs(&yy) - 2.0 * xy.mean_all().item()
}

/// (x . y / d + 1)^3 for every row of x and of y.
fn kernel(x: &Tensor, y: &Tensor) -> Tensor {
    let base = x.matmul(&y.t()).mul_scalar(1.0 / x.shape()[1] as f64).add_scalar(1.0);
    base.square().mul(&base)
}
