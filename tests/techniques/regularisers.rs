//! Penalties and regularisers against closed forms, hand-computed values and finite differences.

use approx::assert_relative_eq;
use ganvil::autograd::{CheckOptions, grad, gradcheck};
use ganvil::gan::{
    DiffAugment, Network, OrthogonalForm, clip_weights, dragan, drift, feature_matching, gradient_penalty,
    orthogonal, pack, r1, r2, unrolled,
};
use ganvil::nn::{
    ConvTranspose2d, Ctx, Init, Kind, LayerSpec as L, Linear, MinibatchDiscrimination, MinibatchStdDev,
    Module, parameters,
};
use ganvil::optim::{Adam, Rule, Sgd, differentiable};
use ganvil::rng::Stream;
use ganvil::{ConvOptions, DType, Device, Generator, Tensor};

fn random() -> Generator {
    Generator::new(11, Stream::General)
}

fn normal(shape: &[usize]) -> Tensor {
    random().normal(shape, 0.0, 1.0, DType::F64, Device::Cpu)
}

/// A critic of two layers in f64, as a function of its parameters.
fn critic(w: &[Tensor], x: &Tensor) -> Tensor {
    x.matmul(&w[0]).add(&w[1]).leaky_relu(0.2).matmul(&w[2])
}

fn parameters_of_critic() -> Vec<Tensor> {
    [&[3, 5][..], &[5], &[5, 1]].iter().map(|s| normal(s).requires_grad()).collect()
}

/// A linear critic has the slope |w| everywhere.
#[test]
fn penalties_of_a_linear_critic_have_closed_forms() {
    let w = Tensor::from([[3.0f64], [4.0]]).requires_grad();
    let a = |x: &Tensor| x.matmul(&w);
    let (x, u) = (normal(&[6, 2]), random().uniform(&[6, 2], 0.0, 1.0, DType::F64, Device::Cpu));
    let by_w = |p: &Tensor| grad(&[p], &[&w], &[], false)[0].clone().unwrap().to_vec::<f64>();
    // (|w| - 1)^2, and its derivative 2 (|w| - 1) w / |w|.
    let p = dragan(&a, &x, &u);
    assert_relative_eq!(p.penalty.item(), 16.0, max_relative = 1e-12);
    for (got, want) in by_w(&p.penalty).iter().zip([4.8, 6.4]) {
        assert_relative_eq!(*got, want, max_relative = 1e-12);
    }
    assert_relative_eq!(p.one_sided().item(), 16.0, max_relative = 1e-12);
    // |w|^2 / 2, and w.
    let p = r2(&a, &x);
    assert_relative_eq!(p.penalty.item(), 12.5, max_relative = 1e-12);
    for (got, want) in by_w(&p.penalty).iter().zip([3.0, 4.0]) {
        assert_relative_eq!(*got, want, max_relative = 1e-12);
    }
    assert_relative_eq!(drift(&a(&x)).item(), a(&x).square().mean_all().item(), max_relative = 1e-15);
}

#[test]
fn penalties_of_a_network_match_finite_differences() {
    let (x, y) = (normal(&[4, 3]), normal(&[4, 3]).mul_scalar(-0.7));
    let u = random().uniform(&[4, 3], 0.0, 1.0, DType::F64, Device::Cpu);
    let eps = random().uniform(&[4, 1], 0.0, 1.0, DType::F64, Device::Cpu);
    type Penalty<'a> = Box<dyn Fn(&dyn Fn(&Tensor) -> Tensor) -> Tensor + 'a>;
    let all: [(&str, Penalty); 5] = [
        ("dragan", Box::new(|a| dragan(a, &x, &u).penalty)),
        ("dragan, one-sided", Box::new(|a| dragan(a, &x, &u).one_sided())),
        ("gradient penalty, one-sided", Box::new(|a| gradient_penalty(a, &x, &y, &eps).one_sided())),
        ("r1", Box::new(|a| r1(a, &x).penalty)),
        ("r2", Box::new(|a| r2(a, &y).penalty)),
    ];
    for (name, penalty) in all {
        let f = |w: &[Tensor]| penalty(&|x| critic(w, x));
        let options = CheckOptions { eps: 1e-6, rtol: 1e-6, atol: 1e-7, ..CheckOptions::default() };
        gradcheck(f, &parameters_of_critic(), &options).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

/// DRAGAN's points lie above x by at most half a standard deviation of the batch, each value by itself.
#[test]
fn dragan_looks_near_the_data() {
    let x = Tensor::from([[1.0f64, 2.0], [3.0, 6.0]]); // variance 3.5
    let u = Tensor::from([[0.0f64, 1.0], [0.5, 0.25]]);
    let seen = std::cell::RefCell::new(Vec::new());
    dragan(
        &|at| {
            *seen.borrow_mut() = at.to_vec::<f64>();
            at.sum(&[1], true)
        },
        &x,
        &u,
    );
    let half = 3.5f64.sqrt() / 2.0;
    for (got, want) in seen.take().iter().zip([1.0, 2.0 + half, 3.0 + half / 2.0, 6.0 + half / 4.0]) {
        assert_relative_eq!(*got, want, max_relative = 1e-12);
    }
}

#[test]
fn weights_are_clipped_biases_and_gains_too() {
    let spec = [L::linear(3, 4), L::batch_norm1d(4), L::linear(4, 1)];
    let mut d = Network::new("D", &spec, &random());
    clip_weights(&mut d, 0.01);
    for p in parameters(&d) {
        assert!(p.to_vec::<f32>().iter().all(|v| v.abs() <= 0.01f32));
        assert!(p.is_tracked(), "still a parameter");
    }
    // A gain of 1 is beyond the bound.
    let gain = parameters(&d)[2].to_vec::<f32>();
    assert_eq!(gain, [0.01f32; 4]);
}

fn linear(w: &Tensor) -> Linear {
    Linear { weight: w.clone(), bias: None }
}

#[test]
fn orthogonal_weights_cost_nothing() {
    let q = Init::Orthogonal { gain: 1.0 };
    let spec = [L::linear(6, 4), L::conv2d(3, 4, 3, 1, 1, true)];
    let net = Network::build("G", &spec.as_slice().into(), &q, &random());
    // Filters of f32 are orthogonal to rounding, squared.
    assert!(orthogonal(&net, OrthogonalForm::OffDiagonal).unwrap().item() < 1e-11);
    // Rows of different lengths, at right angles: exactly nothing in the first form.
    let w = Tensor::from([[2.0f64, 0.0, 0.0], [0.0, 0.0, 0.5]]);
    assert_eq!(orthogonal(&linear(&w), OrthogonalForm::OffDiagonal).unwrap().item(), 0.0);
    assert_eq!(orthogonal(&linear(&w), OrthogonalForm::Full).unwrap().item(), 9.0 + 0.5625);
    assert!(orthogonal(&Network::new("G", &[L::ReLU], &random()), OrthogonalForm::Full).is_none());
}

/// The gradient is 4 (W W^T o (1 - I)) W, and for the full form 4 (W W^T - I) W.
#[test]
fn the_orthogonal_gradient_is_the_papers() {
    let w = normal(&[3, 5]).requires_grad();
    let products = w.matmul(&w.t());
    let identity = Tensor::from([[1.0f64, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
    let off = products.mul(&(1.0 - &identity));
    for (form, middle) in
        [(OrthogonalForm::OffDiagonal, off), (OrthogonalForm::Full, products.sub(&identity))]
    {
        let r = orthogonal(&linear(&w), form).unwrap();
        let got = grad(&[&r], &[&w], &[], false)[0].clone().unwrap().to_vec::<f64>();
        for (got, want) in got.iter().zip(middle.matmul(&w).mul_scalar(4.0).to_vec::<f64>()) {
            assert_relative_eq!(*got, want, max_relative = 1e-10, epsilon = 1e-12);
        }
        let f = |w: &[Tensor]| orthogonal(&linear(&w[0]), form).unwrap();
        gradcheck(f, std::slice::from_ref(&w), &CheckOptions::default()).unwrap();
    }
}

/// A transposed convolution's outputs are its weight's second dimension.
#[test]
fn filters_of_transposed_convolutions_are_their_outputs() {
    let mut f = ConvTranspose2d::new(2, 3, [1, 1], ConvOptions::new(), [0, 0], false, &random());
    let rows = [[1.0f32, 0.0], [1.0, 0.0], [0.0, 1.0]]; // of outputs: two alike, one apart
    let w: Vec<f32> = (0..2).flat_map(|i| rows.map(|r| r[i])).collect();
    f.weight = Tensor::new(&w, &[2, 3, 1, 1]);
    assert_eq!(orthogonal(&f, OrthogonalForm::OffDiagonal).unwrap().item(), 2.0);
}

/// M_i = f_i T with two features, two kernels of one comparison; computed by hand.
#[test]
fn minibatch_discrimination_of_three_samples_by_hand() {
    let mut layer = MinibatchDiscrimination::new(2, 2, 1, &random());
    layer.table = Tensor::new(&[1.0f64, 0.0, 0.0, 2.0], &[2, 2, 1]);
    let x = Tensor::from([[0.0f64, 0.0], [1.0, 0.0], [0.0, 1.0]]);
    let y = layer.forward(&x, &Ctx::eval()).to_vec::<f64>();
    let e = |d: f64| (-d).exp();
    // Distances by kernel: |x_i0 - x_j0| and 2 |x_i1 - x_j1|.
    let want = [
        [0.0, 0.0, e(1.0) + 1.0, 1.0 + e(2.0)],
        [1.0, 0.0, e(1.0) + e(1.0), 1.0 + e(2.0)],
        [0.0, 1.0, 1.0 + e(1.0), e(2.0) + e(2.0)],
    ];
    for (got, want) in y.iter().zip(want.as_flattened()) {
        assert_relative_eq!(*got, *want, max_relative = 1e-12);
    }
}

#[test]
fn minibatch_discrimination_tells_collapsed_from_diverse() {
    let layer = MinibatchDiscrimination::new(3, 4, 5, &random());
    let row = random().normal(&[1, 3], 0.0, 1.0, DType::F32, Device::Cpu);
    let alike = layer.forward(&row.expand(&[6, 3]), &Ctx::eval()).narrow(1, 3, 4);
    assert!(alike.to_vec::<f32>().iter().all(|o| *o == 5.0), "n - 1 of a collapsed batch");
    let apart = random().normal(&[6, 3], 0.0, 100.0, DType::F32, Device::Cpu);
    let apart = layer.forward(&apart, &Ctx::eval()).narrow(1, 3, 4);
    assert!(apart.to_vec::<f32>().iter().all(|o| o.abs() < 1e-3), "{apart}");
    // In another order, the same in that order.
    let x = random().normal(&[4, 3], 0.0, 1.0, DType::F32, Device::Cpu);
    let order = Tensor::from(&[2i64, 0, 3, 1][..]);
    let [a, b] = [
        layer.forward(&x, &Ctx::eval()).index_select(0, &order),
        layer.forward(&x.index_select(0, &order), &Ctx::eval()),
    ]
    .map(|t| t.to_vec::<f32>());
    for (a, b) in a.iter().zip(&b) {
        assert_relative_eq!(a, b, max_relative = 1e-6);
    }
}

#[test]
fn minibatch_deviation_of_identical_members_is_zero() {
    let layer = MinibatchStdDev { group_size: Some(4), num_channels: 1, eps: 0.0 };
    let two = random().normal(&[1, 2, 3, 3], 0.0, 1.0, DType::F32, Device::Cpu);
    let y = layer.forward(&two.expand(&[4, 2, 3, 3]), &Ctx::eval());
    assert!(y.narrow(1, 2, 1).to_vec::<f32>().iter().all(|v| *v == 0.0));
    assert!(
        layer
            .forward(&random().normal(&[4, 2, 3, 3], 0.0, 1.0, DType::F32, Device::Cpu), &Ctx::eval())
            .narrow(1, 2, 1)
            .to_vec::<f32>()
            .iter()
            .all(|v| *v > 0.1)
    );
}

#[test]
fn packs_are_neighbours_along_the_channels() {
    let x = Tensor::new(&(0..48).map(|v| v as f32).collect::<Vec<_>>(), &[6, 2, 2, 2]);
    let p = pack(&x, 3);
    assert_eq!(p.shape(), [2, 6, 2, 2]);
    assert_eq!(p.to_vec::<f32>(), x.to_vec::<f32>());
    assert_eq!(pack(&x, 1).shape(), x.shape());
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| pack(&x, 4)));
    assert!(result.is_err(), "4 do not divide 6");
}

#[test]
fn feature_matching_looks_at_means_only() {
    let (a, b) = (normal(&[5, 2, 3]).requires_grad(), normal(&[7, 2, 3]));
    let mean = |t: &Tensor| t.mean(&[0], false).to_vec::<f64>();
    let want: f64 = mean(&a).iter().zip(mean(&b)).map(|(a, b)| (a - b).powi(2)).sum();
    assert_relative_eq!(feature_matching(&b, &a).item(), want, max_relative = 1e-12);
    let doubled = Tensor::cat(&[&a, &a], 0);
    assert_relative_eq!(feature_matching(&b, &doubled).item(), want, max_relative = 1e-12);
    gradcheck(|a| feature_matching(&b, &a[0]), &[a], &CheckOptions::default()).unwrap();
}

/// The gradient through two steps of each rule, against finite differences of what the rule really does.
#[test]
fn gradients_through_unrolled_updates_match_finite_differences() {
    let d = Network::new("D", &[L::linear(2, 4), L::Tanh, L::linear(4, 1)], &random());
    let d = d.map(|_, kind, t| match kind {
        Kind::Parameter => t.to_dtype(DType::F64).detach().requires_grad(),
        Kind::Buffer => t.clone(),
    });
    let real = normal(&[5, 2]);
    let rules: [Rule; 3] = [
        Sgd { lr: 0.5, ..Sgd::default() }.into(),
        Sgd { lr: 0.1, momentum: 0.9, ..Sgd::default() }.into(),
        // Adam's own eps makes the function too steep for finite differences.
        Adam { lr: 0.05, betas: (0.5, 0.9), eps: 1e-2, ..Adam::default() }.into(),
    ];
    for rule in rules {
        let state: Vec<differentiable::State> = Vec::new();
        let f = |fake: &[Tensor]| {
            let out = |d: &Network, x: &Tensor| d.forward(x, &Ctx::eval());
            let mut objective = |d: &Network| {
                let zero = |t: &Tensor| t.softplus(1.0, 1e9).mean_all();
                zero(&out(d, &real).neg()).add(&zero(&out(d, &fake[0])))
            };
            let later = unrolled(&d, &rule, &state, 2, &mut objective);
            out(&later, &fake[0]).neg().softplus(1.0, 1e9).mean_all()
        };
        let options = CheckOptions { eps: 1e-5, rtol: 1e-6, atol: 1e-8, ..CheckOptions::default() };
        gradcheck(f, &[normal(&[5, 2]).add_scalar(0.3).requires_grad()], &options)
            .unwrap_or_else(|e| panic!("{rule:?}: {e}"));
    }
}

fn pictures(n: usize) -> Tensor {
    random().normal(&[n, 3, 8, 8], 0.0, 1.0, DType::F32, Device::Cpu)
}

#[test]
fn translations_move_pictures_and_fill_with_zeros() {
    let x = pictures(64).add_scalar(10.0);
    let translation = DiffAugment { translation: true, ..DiffAugment::default() };
    let y = translation.apply(&x, &Generator::new(3, Stream::Augmentation));
    let (x, y) = (x.to_vec::<f32>(), y.to_vec::<f32>());
    let mut moves = std::collections::HashSet::new();
    for (a, b) in x.chunks(192).zip(y.chunks(192)) {
        // One of the nine moves by at most an eighth, one pixel, explains all three channels.
        let explains = |dy: i32, dx: i32| {
            (0..192).all(|i| {
                let (c, row, column) = (i / 64, (i / 8 % 8) as i32 - dy, (i % 8) as i32 - dx);
                let inside = (0..8).contains(&row) && (0..8).contains(&column);
                let from = if inside { a[c * 64 + row as usize * 8 + column as usize] } else { 0.0 };
                b[i] == from
            })
        };
        let found: Vec<(i32, i32)> = (-1..=1)
            .flat_map(|dy| (-1..=1).map(move |dx| (dy, dx)))
            .filter(|&(dy, dx)| explains(dy, dx))
            .collect();
        assert_eq!(found.len(), 1);
        moves.insert(found[0]);
    }
    assert_eq!(moves.len(), 9, "each picture has its own");
}

#[test]
fn cutouts_are_squares_of_at_most_half_the_side() {
    let x = pictures(32).abs().add_scalar(1.0);
    let cutout = DiffAugment { cutout: true, ..DiffAugment::default() };
    let y = cutout.apply(&x, &Generator::new(4, Stream::Augmentation)).to_vec::<f32>();
    for picture in y.chunks(192) {
        let holes: Vec<usize> = (0..64).filter(|&i| picture[i] == 0.0).collect();
        for channel in picture.chunks(64) {
            assert!((0..64).all(|i| (channel[i] == 0.0) == holes.contains(&i)), "the same in every channel");
        }
        let span = |f: fn(usize) -> usize| {
            let (low, high) = (holes.iter().map(|&i| f(i)).min(), holes.iter().map(|&i| f(i)).max());
            low.zip(high).map_or(0, |(low, high)| high - low + 1)
        };
        let (rows, columns) = (span(|i| i / 8), span(|i| i % 8));
        assert!(rows <= 4 && columns <= 4 && rows * columns == holes.len(), "{rows} x {columns}");
    }
}

#[test]
fn colours_shift_and_scale_each_picture() {
    let color = DiffAugment { color: true, ..DiffAugment::default() };
    let grey = random().normal(&[50, 1, 4, 4], 0.0, 1.0, DType::F64, Device::Cpu);
    let y = color.apply(&grey, &Generator::new(5, Stream::Augmentation));
    let spread = |t: &Tensor| t.var(&[1, 2, 3], false, false).sqrt().to_vec::<f64>();
    let mean = |t: &Tensor| t.mean(&[1, 2, 3], false).to_vec::<f64>();
    for (a, b) in spread(&grey).iter().zip(spread(&y)) {
        assert!((0.5..1.5).contains(&(b / a)), "contrast");
    }
    for (a, b) in mean(&grey).iter().zip(mean(&y)) {
        assert!((-0.5..0.5).contains(&(b - a)), "brightness");
    }
}

/// What D says of an altered fake tells G something of the fake.
#[test]
fn gradients_flow_through_alterations() {
    let all = DiffAugment { color: true, translation: true, cutout: true };
    let x = random().normal(&[2, 3, 4, 4], 0.0, 1.0, DType::F64, Device::Cpu).requires_grad();
    // The same alterations in each call: a fresh stream.
    let f = |x: &[Tensor]| all.apply(&x[0], &Generator::new(6, Stream::Augmentation)).square().sum_all();
    gradcheck(f, &[x], &CheckOptions::default()).unwrap();
    let none = DiffAugment::default();
    let x = pictures(2);
    assert_eq!(none.apply(&x, &random()).to_vec::<f32>(), x.to_vec::<f32>());
}

/// A window that the stride divides is laid over each place equally often; other windows draw checkerboards.
#[test]
fn windows_of_4_by_4_at_stride_2_draw_no_checkerboard() {
    let of = |kernel: usize, padding: usize| {
        let w = Tensor::ones(&[1, 1, kernel, kernel], DType::F64, Device::Cpu);
        let x = Tensor::ones(&[1, 1, 8, 8], DType::F64, Device::Cpu);
        let y = x.conv_transpose2d(&w, None, &ConvOptions::new().stride(2).padding(padding), [0, 0]);
        let inner = y.narrow(2, 4, 8).narrow(3, 4, 8);
        inner.var(&[0, 1, 2, 3], false, false).item()
    };
    assert_eq!(of(4, 1), 0.0);
    assert!(of(3, 1) > 0.1);
}
