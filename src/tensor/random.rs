//! Random tensors.

use super::Tensor;
use crate::backend::{self, Random};
use crate::error::misuse;
use crate::rng::{Key, Philox, Stream};
use crate::{DType, Device, Layout};
use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of random tensors: a Philox key and the number of draws made so far, which is its whole state.
///
/// Draw number `c` of a stream is a function of seed, stream and `c` alone: the same on any number of threads, on
/// every SIMD tier and device.
#[derive(Debug)]
pub struct Generator {
    key: Key,
    calls: AtomicU64,
}

impl Generator {
    /// A stream at its beginning.
    pub fn new(seed: u64, stream: Stream) -> Generator {
        Generator::at(seed, stream, 0)
    }

    /// A stream from which `calls` draws have been taken.
    ///
    /// ```
    /// use ganvil::{DType, Device, Generator, rng::Stream};
    /// let random = Generator::new(7, Stream::General);
    /// let draw = |r: &Generator| r.uniform(&[3], 0.0, 1.0, DType::F32, Device::Cpu).to_vec::<f32>();
    /// draw(&random);
    /// let resumed = Generator::at(7, Stream::General, random.calls());
    /// assert_eq!(draw(&random), draw(&resumed));
    /// ```
    pub fn at(seed: u64, stream: Stream, calls: u64) -> Generator {
        Generator { key: Key::new(seed, stream), calls: AtomicU64::new(calls) }
    }

    /// The number of draws made: what a checkpoint keeps.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// A sequential generator for rand and rand_distr; counts as one draw.
    ///
    /// ```
    /// use ganvil::{Generator, rng::Stream};
    /// use rand::RngExt;
    /// let die = Generator::new(7, Stream::General).host().random_range(1..=6);
    /// assert!((1..=6).contains(&die));
    /// ```
    pub fn host(&self) -> Philox {
        Philox::new(self.key, self.calls.fetch_add(1, Ordering::Relaxed))
    }

    #[track_caller]
    fn draw(&self, what: Random, shape: &[usize], dtype: DType, device: Device) -> Tensor {
        if !matches!(dtype, DType::F32 | DType::F64) {
            misuse!(
                "random",
                "draws f32 or f64, not {dtype} (shape {shape:?}); convert the result with to_dtype"
            );
        }
        crate::layout::check_shape("random", shape);
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        Tensor::build(Layout::contiguous(shape), dtype, device, |out| {
            backend::of(device).random(what, self.key, call, out)
        })
    }

    /// Independent uniform numbers in `[lo, hi)`: multiples of 2^-24 of the range, also as f64.
    ///
    /// ```
    /// use ganvil::{DType, Device, Generator, rng::Stream};
    /// let random = Generator::new(7, Stream::General);
    /// let x = random.uniform(&[1000], -1.0, 1.0, DType::F32, Device::Cpu);
    /// assert!(x.to_vec::<f32>().iter().all(|v| (-1.0..1.0).contains(v)));
    /// assert!(x.mean_all().item().abs() < 0.1);
    /// ```
    #[track_caller]
    pub fn uniform(&self, shape: &[usize], lo: f64, hi: f64, dtype: DType, device: Device) -> Tensor {
        self.draw(Random::Uniform { lo, hi }, shape, dtype, device)
    }

    /// Independent normal numbers. Those of f64 tensors are the f32 numbers widened.
    ///
    /// ```
    /// use ganvil::{DType, Device, Generator, rng::Stream};
    /// let draw = |seed| {
    ///     let random = Generator::new(seed, Stream::General);
    ///     random.normal(&[1000], 0.0, 1.0, DType::F32, Device::Cpu)
    /// };
    /// assert!((draw(7).var(&[], true, false).item() - 1.0).abs() < 0.2);
    /// assert_eq!(draw(7).to_vec::<f32>(), draw(7).to_vec::<f32>());
    /// assert_ne!(draw(7).to_vec::<f32>(), draw(8).to_vec::<f32>());
    /// ```
    #[track_caller]
    pub fn normal(&self, shape: &[usize], mean: f64, std: f64, dtype: DType, device: Device) -> Tensor {
        self.draw(Random::Normal { mean, std }, shape, dtype, device)
    }

    /// `value` with probability `p`, else 0, independently.
    ///
    /// ```
    /// use ganvil::{DType, Device, Generator, rng::Stream};
    /// let x = Generator::new(7, Stream::General).bernoulli(&[1000], 0.25, 4.0, DType::F32, Device::Cpu);
    /// assert!(x.to_vec::<f32>().iter().all(|&v| v == 0.0 || v == 4.0));
    /// assert!((x.mean_all().item() - 1.0).abs() < 0.25);
    /// ```
    #[track_caller]
    pub fn bernoulli(&self, shape: &[usize], p: f64, value: f64, dtype: DType, device: Device) -> Tensor {
        if !(0.0..=1.0).contains(&p) {
            misuse!("bernoulli", "the probability must lie in [0, 1], got {p}");
        }
        self.draw(Random::Bernoulli { p, value }, shape, dtype, device)
    }
}
