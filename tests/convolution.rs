//! The closed family on random configurations: all three convolutions are contractions of one trilinear form, and the
//! gradients of each are the other two.

use ganvil::autograd::{CheckOptions, grad, gradcheck, gradgradcheck};
use ganvil::rng::Philox;
use ganvil::rng::Stream;
use ganvil::{ConvOptions, DType, Device, Generator, Tensor};
use rand::RngExt;

/// How many configurations: Miri takes as long for one as others for thousands.
fn count(configurations: u64) -> u64 {
    if cfg!(miri) { configurations / 100 } else { configurations }
}

/// A configuration whose sizes fit.
#[derive(Debug)]
struct Config {
    x: [usize; 4],
    w: [usize; 4],
    y: [usize; 4],
    options: ConvOptions,
    output_padding: [usize; 2],
}

/// Sizes, kernel, stride, padding, dilation and groups up to these, and a batch of one in every fourth.
fn config(r: &mut Philox, size: usize, channels: usize) -> Config {
    loop {
        let mut pair = |least: usize, most: usize| [(); 2].map(|_| r.random_range(least..=most));
        let (image, kernel) = (pair(1, size), pair(1, 5));
        let (stride, padding, dilation) = (pair(1, 3), pair(0, 3), pair(1, 3));
        let groups = [1, 1, 2, 3][r.random_range(0..4)];
        let [cg, og] = [(); 2].map(|_| r.random_range(1..=channels.div_ceil(groups)));
        let n = [1, 2, 3, 7][r.random_range(0..4)];
        let reach = |d: usize| (kernel[d] - 1) * dilation[d] + 1;
        let left = |d: usize| (image[d] + 2 * padding[d]).checked_sub(reach(d));
        let (Some(rows), Some(columns)) = (left(0), left(1)) else { continue };
        return Config {
            x: [n, cg * groups, image[0], image[1]],
            w: [og * groups, cg, kernel[0], kernel[1]],
            y: [n, og * groups, rows / stride[0] + 1, columns / stride[1] + 1],
            options: ConvOptions { stride, padding, dilation, groups },
            output_padding: [rows % stride[0], columns % stride[1]],
        };
    }
}

fn draw(shape: &[usize], call: u64) -> Tensor {
    let random = Generator::new(call, Stream::General);
    random.normal(shape, 0.0, 1.0, DType::F64, Device::Cpu)
}

/// The sum of products, and of their magnitudes.
fn inner(a: &Tensor, b: &Tensor) -> (f64, f64) {
    let products: Vec<f64> = a.to_f64_vec().iter().zip(b.to_f64_vec()).map(|(a, b)| a * b).collect();
    (products.iter().sum(), products.iter().map(|p| p.abs()).sum())
}

#[track_caller]
fn equal(what: &str, c: &Config, a: (f64, f64), b: (f64, f64)) {
    assert!((a.0 - b.0).abs() <= 1e-12 * a.1.max(b.1).max(1.0), "{what}: {} and {} in {c:?}", a.0, b.0);
}

#[track_caller]
fn same(what: &str, c: &Config, a: &Tensor, b: &Tensor) {
    assert_eq!(a.shape(), b.shape(), "{what} in {c:?}");
    let scale = b.to_f64_vec().iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in a.to_f64_vec().into_iter().zip(b.to_f64_vec()).enumerate() {
        assert!((a - b).abs() <= 1e-12 * scale, "{what}: element {i} is {a}, not {b}, in {c:?}");
    }
}

/// The gradients of `<f(a, b), v>`.
fn both(f: impl Fn(&Tensor, &Tensor) -> Tensor, a: &Tensor, b: &Tensor, v: &Tensor) -> [Tensor; 2] {
    let (a, b) = (a.clone().requires_grad(), b.clone().requires_grad());
    let grads = grad(&[&f(&a, &b)], &[&a, &b], std::slice::from_ref(v), false);
    grads.into_iter().map(|g| g.unwrap()).collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn adjoints_and_all_six_rules_hold_on_a_thousand_configurations() {
    let mut r = Generator::new(0, Stream::General).host();
    for i in 0..count(1000) {
        let (size, most) = if cfg!(miri) { (5, 7) } else { (12, 40) };
        let c = config(&mut r, size, if i % 10 == 0 { most } else { 7 });
        let (o, op, kernel) = (c.options, c.output_padding, [c.w[2], c.w[3]]);
        let (x, w, y) = (draw(&c.x, 3 * i), draw(&c.w, 3 * i + 1), draw(&c.y, 3 * i + 2));
        let conv = |x: &Tensor, w: &Tensor| x.conv2d(w, None, &o);
        let conv_t = |y: &Tensor, w: &Tensor| y.conv_transpose2d(w, None, &o, op);
        let wgrad = |x: &Tensor, y: &Tensor| x.conv2d_weight_grad(y, kernel, &o);

        let form = inner(&conv(&x, &w), &y);
        equal("<x, conv_T(y)>", &c, form, inner(&x, &conv_t(&y, &w)));
        equal("<W, wgrad(x, y)>", &c, form, inner(&w, &wgrad(&x, &y)));

        let [dx, dw] = both(conv, &x, &w, &y);
        same("conv: dx", &c, &dx, &conv_t(&y, &w));
        same("conv: dW", &c, &dw, &wgrad(&x, &y));
        let [dy, dw] = both(conv_t, &y, &w, &x);
        same("conv_t: dy", &c, &dy, &conv(&x, &w));
        same("conv_t: dW", &c, &dw, &wgrad(&x, &y));
        let [dx, dy] = both(wgrad, &x, &y, &w);
        same("wgrad: dx", &c, &dx, &conv_t(&y, &w));
        same("wgrad: dg", &c, &dy, &conv(&x, &w));
    }
}

#[test]
fn first_and_second_derivatives_agree_with_finite_differences() {
    let mut r = Generator::new(1, Stream::General).host();
    for i in 0..count(500) {
        let mut c = config(&mut r, 4, 2);
        // A batch of one or two: finite differences cost a pass for each element.
        c.x[0] = c.x[0].min(2);
        c.y[0] = c.x[0];
        let (o, op, kernel) = (c.options, c.output_padding, [c.w[2], c.w[3]]);
        let (x, w, y) = (draw(&c.x, 3 * i), draw(&c.w, 3 * i + 1), draw(&c.y, 3 * i + 2));
        let check = |what: &str, f: &dyn Fn(&[Tensor]) -> Tensor, inputs: &[Tensor]| {
            let options = CheckOptions::default();
            let result = gradcheck(f, inputs, &options).and_then(|()| gradgradcheck(f, inputs, &options));
            result.unwrap_or_else(|e| panic!("{what}: {e} in {c:?}"));
        };
        match i % 3 {
            0 => check("conv", &|t| t[0].conv2d(&t[1], None, &o), &[x, w]),
            1 => check("conv_t", &|t| t[0].conv_transpose2d(&t[1], None, &o, op), &[y, w]),
            _ => check("wgrad", &|t| t[0].conv2d_weight_grad(&t[1], kernel, &o), &[x, y]),
        }
    }
}

/// The sum over a batch may not depend on how many threads there are, nor a sample on its batch-mates.
#[test]
fn a_sample_has_the_same_bits_alone_and_in_a_batch() {
    let random = Generator::new(2, Stream::General);
    let cases = [
        (3, 20, 5, 4, 2, 1),
        (3, 70, 9, 4, 2, 1),
        (40, 2, 8, 3, 1, 1),
        (130, 33, 4, 4, 1, 0),
        (1, 64, 28, 4, 2, 1),
        (32, 64, 14, 5, 1, 2),
    ];
    for (c, o, size, k, s, p) in cases.into_iter().take(if cfg!(miri) { 1 } else { cases.len() }) {
        let options = ConvOptions::new().stride(s).padding(p);
        let x = random.normal(&[6, c, size, size], 0.0, 1.0, DType::F32, Device::Cpu);
        let w = random.normal(&[o, c, k, k], 0.0, 1.0, DType::F32, Device::Cpu);
        let y = x.conv2d(&w, None, &options);
        let back = y.conv_transpose2d(&w, None, &options, [0, 0]);
        for i in 0..6 {
            let one = |t: &Tensor| t.narrow(0, i, 1);
            assert_eq!(one(&x).conv2d(&w, None, &options).to_vec::<f32>(), one(&y).to_vec::<f32>());
            let alone = one(&y).conv_transpose2d(&w, None, &options, [0, 0]);
            assert_eq!(alone.to_vec::<f32>(), one(&back).to_vec::<f32>());
        }
        let gradients = [1, 2, 3]
            .map(|n| ganvil::threads(n, || x.conv2d_weight_grad(&y, [k, k], &options).to_vec::<f32>()));
        assert!(gradients.iter().all(|g| *g == gradients[0]), "on 1, 2 and 3 threads");
    }
}
