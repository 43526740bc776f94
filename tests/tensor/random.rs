//! Random tensors and dropout.

use super::*;

#[test]
fn a_call_is_a_function_of_seed_stream_and_number() {
    let draw = |g: &Generator| g.normal(&[1001], 0.0, 1.0, DType::F32, Device::Cpu).to_vec::<f32>();
    let g = Generator::new(5, Stream::Noise);
    let (first, second) = (draw(&g), draw(&g));
    assert_eq!(g.calls(), 2);
    assert_ne!(first, second);
    assert_eq!(first, draw(&Generator::new(5, Stream::Noise)));
    assert_eq!(second, draw(&Generator::at(5, Stream::Noise, 1)), "resumed from its count of calls");
    assert_ne!(first, draw(&Generator::new(5, Stream::Init)));
    assert_ne!(first, draw(&Generator::new(6, Stream::Noise)));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    assert_eq!(first, pool.install(|| draw(&Generator::new(5, Stream::Noise))));
}

/// A shorter draw is the beginning of a longer one, and shape does not matter.
#[test]
fn elements_depend_on_their_number_alone() {
    let draw = |shape: &[usize]| {
        Generator::new(1, Stream::General).uniform(shape, -1.0, 1.0, DType::F64, Device::Cpu).to_vec::<f64>()
    };
    let long = draw(&[70_000]);
    assert_eq!(draw(&[7, 11]), long[..77]);
    assert_eq!(draw(&[200, 350]), long);
    assert!(draw(&[0]).is_empty());
    assert!(long.iter().all(|v| (-1.0..1.0).contains(v)));
}

#[test]
fn dropout_keeps_the_mean_and_scales_what_it_keeps() {
    let n = 40_000;
    let x = Tensor::full(&[n], 3.0, DType::F32, Device::Cpu).requires_grad();
    for p in [0.1, 0.5, 0.8] {
        let g = Generator::new(3, Stream::Dropout);
        let y = x.dropout(p, &g);
        let kept = 3.0 / (1.0 - p);
        let values = y.to_f64_vec();
        assert!(values.iter().all(|v| *v == 0.0 || (v - kept).abs() < 1e-5 * kept), "p = {p}");
        let dropped = values.iter().filter(|v| **v == 0.0).count() as f64;
        let sigma = (n as f64 * p * (1.0 - p)).sqrt();
        assert!((dropped - n as f64 * p).abs() < 5.0 * sigma, "p = {p}: {dropped} dropped");
        let slope = grad(&[&y], &[&x], &[y.ones_like()], false)[0].clone().unwrap();
        let same = slope.mul_scalar(3.0).to_f64_vec();
        assert!(
            same.iter().zip(&values).all(|(a, b)| (a - b).abs() < 1e-5 * kept),
            "the gradient has the same mask"
        );
        assert_ne!(values, x.dropout(p, &g).to_f64_vec(), "every call has its own mask");
    }
    let g = Generator::new(3, Stream::Dropout);
    assert_eq!(x.dropout(0.0, &g).to_f64_vec(), x.to_f64_vec());
    assert_eq!(x.dropout(1.0, &g).to_f64_vec(), vec![0.0; n]);
}
