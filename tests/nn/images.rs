//! Layers of images: pooling, resampling, attention, diversity, conditional and spectral normalisation.

use super::*;
use ganvil::autograd::grad;
use ganvil::gan::Network;
use ganvil::nn::{
    AvgPool2d, BatchNorm2d, ConditionalBatchNorm2d, Conv2d, ConvTranspose2d, Init, LayerSpec, Linear,
    MaxPool2d, MinibatchDiscrimination, SelfAttention, Sequential, SpectralNorm, Summary, Weighted, init,
    load_state_dict, parameters, to_dtype,
};
use ganvil::{ConvOptions, Interpolation, SpectralOrder};

fn spec(text: &str) -> LayerSpec {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn layers_are_data() {
    let x = noise(&[4, 16, 6, 8], &random()).to_dtype(DType::F32);
    for (text, name, shape, tensors, mixes) in [
        (r#"{"type": "AvgPool2d", "kernel_size": 2}"#, "AvgPool2d", &[4, 16, 3, 4][..], 0, false),
        (
            r#"{"type": "MaxPool2d", "kernel_size": [3, 2], "stride": 1, "padding": [1, 0]}"#,
            "MaxPool2d",
            &[4, 16, 6, 7],
            0,
            false,
        ),
        (r#"{"type": "AdaptiveAvgPool2d", "output_size": 1}"#, "AdaptiveAvgPool2d", &[4, 16, 1, 1], 0, false),
        (r#"{"type": "GlobalSumPool"}"#, "GlobalSumPool", &[4, 16], 0, false),
        (
            r#"{"type": "Upsample", "scale_factor": [2, 3], "mode": "bilinear"}"#,
            "Upsample",
            &[4, 16, 12, 24],
            0,
            false,
        ),
        (r#"{"type": "PixelShuffle", "upscale_factor": 4}"#, "PixelShuffle", &[4, 1, 24, 32], 0, false),
        (r#"{"type": "PixelNorm"}"#, "PixelNorm", &[4, 16, 6, 8], 0, false),
        (r#"{"type": "MinibatchStdDev", "group_size": 2}"#, "MinibatchStdDev", &[4, 17, 6, 8], 0, true),
        (r#"{"type": "SelfAttention", "channels": 16}"#, "SelfAttention", &[4, 16, 6, 8], 7, false),
        (
            r#"{"type": "SelfAttention", "channels": 16, "spectral_norm": true}"#,
            "SelfAttention",
            &[4, 16, 6, 8],
            13,
            false,
        ),
        (
            r#"{"type": "ConditionalBatchNorm2d", "num_features": 16, "num_classes": 3}"#,
            "ConditionalBatchNorm2d",
            &[4, 16, 6, 8],
            5,
            true,
        ),
    ] {
        let layer = spec(text);
        assert_eq!(spec(&serde_json::to_string(&layer).unwrap()), layer, "{text}");
        let module = layer.build(&random());
        assert_eq!((module.type_name(), names(&*module).len()), (name, tensors), "{text}");
        let classes = Tensor::from(&[0i64, 2, 1, 0][..]);
        assert_eq!(module.forward(&x, &Ctx::eval().with_condition(&classes)).shape(), shape, "{text}");
        assert_eq!(layer.mixes_samples(), mixes, "{text}");
        assert_eq!(Summary::of(&*module, &x).output, shape, "{text}");
        let unknown = text.replacen("\"type\"", "\"size\": 2, \"type\"", 1);
        // (A unit variant of a tagged enum ignores what stands beside its tag.)
        if name != "GlobalSumPool" {
            assert!(serde_json::from_str::<LayerSpec>(&unknown).unwrap_err().to_string().contains("size"));
        }
    }
    let text = r#"{"type": "MinibatchDiscrimination", "in": 5, "kernels": 3, "kernel_dims": 2}"#;
    let module = spec(text).build(&random());
    assert_eq!(eval(&*module, &ones(&[4, 5])).shape(), [4, 8]);
    assert!(spec(text).mixes_samples());
    assert_eq!(names(&*module), ["T"]);
    let linear = spec(r#"{"type": "Linear", "in": 5, "out": 3, "spectral_norm": true}"#).build(&random());
    assert_eq!(linear.type_name(), "SpectralNorm");
}

#[test]
fn pooling_and_resampling_take_pytorchs_arguments() {
    let x = noise(&[2, 3, 7, 9], &random());
    let pool = AvgPool2d { kernel_size: [3, 3], stride: Some([2, 1]), padding: [1, 0] };
    assert_eq!(eval(&pool, &x).to_vec::<f64>(), x.avg_pool2d([3, 3], [2, 1], [1, 0]).to_vec::<f64>());
    let pool = MaxPool2d::new(3);
    assert_eq!(eval(&pool, &x).to_vec::<f64>(), x.max_pool2d([3, 3], [3, 3], [0, 0]).to_vec::<f64>());
    let up = spec(r#"{"type": "Upsample", "scale_factor": 2}"#).build(&random());
    assert_eq!(eval(&*up, &x).to_vec::<f64>(), x.interpolate([2, 2], Interpolation::Nearest).to_vec::<f64>());
    let sum = spec(r#"{"type": "GlobalSumPool"}"#).build(&random());
    assert!(distance(&eval(&*sum, &x), &x.sum(&[2, 3], false)) < 1e-13);
    refused(&["global_sum_pool: ", "[2, 3]"], || eval(&*sum, &ones(&[2, 3])));
}

#[test]
fn minibatch_discrimination_is_its_definition() {
    let layer = {
        let mut layer = MinibatchDiscrimination::new(4, 3, 2, &random());
        to_dtype(&mut layer, DType::F64);
        layer
    };
    let x = noise(&[5, 4], &random());
    let y = eval(&layer, &x).to_vec::<f64>();
    let (xs, t) = (x.to_vec::<f64>(), layer.table.to_vec::<f64>());
    let m =
        |i: usize, b: usize, c: usize| (0..4).map(|a| xs[i * 4 + a] * t[(a * 3 + b) * 2 + c]).sum::<f64>();
    for i in 0..5 {
        assert_eq!(y[i * 7..i * 7 + 4], xs[i * 4..i * 4 + 4]);
        for b in 0..3 {
            let closeness = |j: usize| (-(0..2).map(|c| (m(i, b, c) - m(j, b, c)).abs()).sum::<f64>()).exp();
            let want: f64 = (0..5).filter(|&j| j != i).map(closeness).sum();
            assert!((y[i * 7 + 4 + b] - want).abs() < 1e-14, "sample {i}, row {b}");
        }
    }
    refused(&["minibatch_discrimination: ", "[batch, 4]", "[5, 3]"], || eval(&layer, &ones(&[5, 3])));
    // A generator that makes one sample alone is seen: all rows are at their largest, n - 1.
    let same = eval(&layer, &x.narrow(0, 0, 1).expand(&[5, 4]));
    assert_eq!(same.narrow(1, 4, 3).to_vec::<f64>(), [4.0; 15]);
}

#[test]
fn attention_starts_as_the_identity_and_learns_gamma_first() {
    let random = random();
    let attention = SelfAttention::new(16, &random);
    let want = ["gamma", "query_conv.weight", "query_conv.bias", "key_conv.weight", "key_conv.bias"];
    assert_eq!(names(&attention)[..5], want);
    assert_eq!(names(&attention)[5..], ["value_conv.weight", "value_conv.bias"]);
    assert_eq!(attention.query_conv.weight.shape(), [2, 16, 1, 1]);
    assert_eq!(attention.value_conv.weight.shape(), [16, 16, 1, 1]);
    let x = noise(&[2, 16, 3, 3], &random).to_dtype(DType::F32);
    let y = eval(&attention, &x);
    assert_eq!(y.to_vec::<f32>(), x.to_vec::<f32>());
    let all = parameters(&attention);
    let g = grad(&[&y.square().sum_all()], &all.iter().collect::<Vec<_>>(), &[], false);
    assert!(g[0].as_ref().unwrap().item() != 0.0);
    assert!(g[1..].iter().all(|g| g.as_ref().unwrap().to_vec::<f32>().iter().all(|v| *v == 0.0)));
    refused(&["self_attention: ", "8 channels", "got 7"], || SelfAttention::new(7, &random));
    refused(&["conv2d: ", "has 8 channels"], || eval(&attention.query_conv, &ones(&[2, 8, 3, 3])));
}

/// The projections of an attention under spectral norm are those of the layers by themselves.
#[test]
fn attention_under_spectral_norm_normalises_its_projections() {
    let random = random();
    let mut plain = SelfAttention::new(8, &random);
    plain.gamma = Tensor::ones(&[1], DType::F32, Device::Cpu).requires_grad();
    let spectral = plain.clone().spectral(&random);
    let normed = |p: &SpectralNorm<Conv2d>| {
        let w = p.module.weight.spectral_norm_eval(&p.u.get(), &p.v.get(), 0);
        p.module.with_weight(w)
    };
    let by_hand = SelfAttention {
        query_conv: normed(&spectral.query_conv),
        key_conv: normed(&spectral.key_conv),
        value_conv: normed(&spectral.value_conv),
        gamma: plain.gamma.clone(),
    };
    let x = noise(&[2, 8, 3, 4], &random).to_dtype(DType::F32);
    assert_eq!(eval(&spectral, &x).to_vec::<f32>(), eval(&by_hand, &x).to_vec::<f32>());
    let u = spectral.value_conv.u.get();
    spectral.forward(&x, &Ctx::train(&random));
    assert!(distance(&u, &spectral.value_conv.u.get()) > 0.0, "a training pass goes on with the iteration");
}

#[test]
fn a_conditional_norm_with_equal_rows_is_batch_norm() {
    let random = random();
    let (mut plain, mut conditional) =
        (BatchNorm2d::new(3, 1e-5, 0.3), ConditionalBatchNorm2d::new(3, 4, 1e-5, 0.3));
    let row = |lo| random.uniform(&[1, 3], lo, lo + 1.0, DType::F32, Device::Cpu);
    let (gamma, beta) = (row(0.5), row(-0.5));
    (plain.weight, plain.bias) = (gamma.reshape(&[3]).requires_grad(), beta.reshape(&[3]).requires_grad());
    (conditional.gamma, conditional.beta) =
        (gamma.expand(&[4, 3]).requires_grad(), beta.expand(&[4, 3]).requires_grad());
    let x = noise(&[5, 3, 4, 4], &random).to_dtype(DType::F32);
    let classes = Tensor::from(&[3i64, 0, 0, 1, 2][..]);
    // Scaled after in place of while normalising: a few roundings of values of order 1.
    let tolerance = 8.0 * f32::EPSILON as f64 * 4.0;
    for _ in 0..2 {
        let ctx = Ctx::train(&random);
        let y = conditional.forward(&x, &ctx.with_condition(&classes));
        assert!(distance(&y, &plain.forward(&x, &ctx)) < tolerance);
        let ctx = Ctx::eval();
        let y = conditional.forward(&x, &ctx.with_condition(&classes));
        assert!(distance(&y, &plain.forward(&x, &ctx)) < tolerance);
    }
    for (a, b) in [
        (&plain.running_mean, &conditional.running_mean),
        (&plain.running_var, &conditional.running_var),
        (&plain.num_batches_tracked, &conditional.num_batches_tracked),
    ] {
        assert_eq!(a.get().to_f64_vec(), b.get().to_f64_vec());
    }
    assert_eq!(conditional.num_batches_tracked.get().item(), 2.0);
    let frozen = Ctx::train(&random).frozen();
    conditional.forward(&x, &frozen.with_condition(&classes));
    assert_eq!(conditional.num_batches_tracked.get().item(), 2.0);
    refused(&["conditional_batch_norm2d: ", "with_condition", "i64 [5]"], || eval(&conditional, &x));
    refused(&["conditional_batch_norm2d: ", "made for 3 features"], || {
        conditional.forward(&ones(&[5, 2, 4, 4]), &Ctx::eval().with_condition(&classes))
    });
}

#[test]
fn a_condition_reaches_layers_inside_of_others() {
    let text = r#"[{"type": "Residual", "body": [
        {"type": "ConditionalBatchNorm2d", "num_features": 2, "num_classes": 2}, {"type": "ReLU"}]}]"#;
    let layers: Vec<LayerSpec> = serde_json::from_str(text).unwrap();
    let mut net = Network::new("G", &layers, &random());
    let beta = Tensor::from([[0.0f32, 0.0], [5.0, 7.0]]);
    let tables: std::collections::HashMap<String, Tensor> = state_dict(&net)
        .into_iter()
        .map(|(name, t)| if name.ends_with("beta") { (name, beta.clone()) } else { (name, t) })
        .collect();
    load_state_dict(&mut net, &tables, "", "made up".as_ref()).unwrap();
    let classes = Tensor::from(&[0i64, 1][..]);
    let zero = Tensor::zeros(&[2, 2, 1, 1], DType::F32, Device::Cpu);
    let y = net.forward(&zero, &Ctx::eval().with_condition(&classes));
    assert_eq!(y.to_vec::<f32>(), [0.0, 0.0, 5.0, 7.0]);
    refused(&["conditional_batch_norm2d (in G.net.0.body.0): "], || eval(&net, &zero));
    // Initial values leave the tables alone.
    init::apply(&mut net, &Init::Normal { std: 0.02 }, &random());
    assert_eq!(names(&net).len(), 5);
    assert_eq!(state_dict(&net)[0].1.to_vec::<f32>(), [1.0; 4]);
    assert_eq!(state_dict(&net)[1].1.to_vec::<f32>(), beta.to_vec::<f32>());
}

/// The largest singular value, by many iterations of M^T M on plain numbers.
fn largest_singular_value(w: &Tensor) -> f64 {
    let (m, k) = (w.size(0), w.numel() / w.size(0));
    let a = w.to_f64_vec();
    let mut v: Vec<f64> = (0..k).map(|i| 1.0 + (i as f64).sin()).collect();
    let mut sigma = 0.0;
    for _ in 0..3000 {
        let u: Vec<f64> = (0..m).map(|i| (0..k).map(|j| a[i * k + j] * v[j]).sum()).collect();
        let next: Vec<f64> = (0..k).map(|j| (0..m).map(|i| a[i * k + j] * u[i]).sum()).collect();
        let norm = |x: &[f64]| x.iter().map(|v| v * v).sum::<f64>().sqrt();
        sigma = norm(&u) / norm(&v);
        let n = norm(&next);
        v = next.iter().map(|x| x / n).collect();
    }
    sigma
}

#[test]
fn sigma_converges_to_the_largest_singular_value() {
    for (order, seed) in [(SpectralOrder::VFirst, 1), (SpectralOrder::UFirst, 2)] {
        let random = Generator::new(seed, Stream::Init);
        let mut layer = Linear::new(20, 12, true, &random);
        layer.weight = noise(&[12, 20], &random).requires_grad();
        layer.bias = None;
        let truth = largest_singular_value(&layer.weight);
        let f = SpectralNorm::with_order(layer, order, &random);
        let sigma = || {
            let w = f.module.weight.spectral_norm_eval(&f.u.get(), &f.v.get(), 0);
            f.module.weight.to_vec::<f64>()[0] / w.to_vec::<f64>()[0]
        };
        // 15 iterations at construction.
        assert!((sigma() / truth - 1.0).abs() < 0.05, "{order:?}: {} and {truth}", sigma());
        let x = noise(&[2, 20], &random);
        for _ in 0..300 {
            f.forward(&x, &Ctx::train(&random));
        }
        assert!((sigma() / truth - 1.0).abs() < 1e-6, "{order:?}: {} and {truth}", sigma());
        let norms = [&f.u, &f.v].map(|b| b.get().norm(&[], false).item());
        assert!(norms.iter().all(|n| (n - 1.0).abs() < 1e-12));
        let stretched = x.matmul(&f.module.weight.t()).mul_scalar(1.0 / truth);
        assert!(distance(&eval(&f, &x), &stretched) < 1e-5);
    }
}

#[test]
fn spectral_norm_has_pytorchs_names() {
    let random = random();
    let f = || Linear::new(3, 2, true, &random);
    let paper = SpectralNorm::new(f(), &random);
    assert_eq!(names(&paper), ["bias", "weight_orig", "weight_u", "weight_v"]);
    let newer = SpectralNorm::with_order(f(), SpectralOrder::UFirst, &random);
    let weight = ["original", "0._u", "0._v"].map(|n| format!("parametrizations.weight.{n}"));
    assert_eq!(names(&newer), [&["bias".to_owned()][..], &weight].concat());
    assert_eq!(parameters(&paper).len(), 2, "u and v are not trained");
    let shapes: Vec<Vec<usize>> = state_dict(&paper).iter().map(|(_, t)| t.shape().to_vec()).collect();
    assert_eq!(shapes, [vec![2], vec![2, 3], vec![2], vec![3]]);
    // There and back.
    let mut other = SpectralNorm::new(f(), &random);
    let saved = state_dict(&paper).into_iter().collect();
    load_state_dict(&mut other, &saved, "", "made up".as_ref()).unwrap();
    let x = noise(&[4, 3], &random).to_dtype(DType::F32);
    assert_eq!(eval(&paper, &x).to_vec::<f32>(), eval(&other, &x).to_vec::<f32>());
    to_dtype(&mut other, DType::F64);
    assert_eq!(eval(&other, &x.to_dtype(DType::F64)).dtype(), DType::F64);
}

#[test]
fn a_training_pass_makes_one_step_and_earlier_graphs_keep_theirs() {
    let random = random();
    let mut net = Sequential::new().with(SpectralNorm::new(Linear::new(6, 5, true, &random), &random));
    // Far from converged: the first left vector is another.
    let crooked = Tensor::from(&[1.0f32, 0.0, 0.0, 0.0, 0.0][..]);
    net.visit_mut("", &mut |name, _, t| {
        if name == "0.weight_u" {
            *t = crooked.clone();
        }
    });
    let (x1, x2) =
        (noise(&[3, 6], &random).to_dtype(DType::F32), noise(&[3, 6], &random).to_dtype(DType::F32));
    let ctx = Ctx::train(&random);
    let dict = |net: &Sequential, i: usize| state_dict(net)[i].1.clone();
    for still in [Ctx::eval(), ctx.frozen()] {
        net.forward(&x1, &still);
        assert_eq!(dict(&net, 2).to_vec::<f32>(), crooked.to_vec::<f32>());
    }
    let leaf = parameters(&net)[1].clone();
    let step = leaf.spectral_norm(&crooked, &dict(&net, 3), 0, SpectralOrder::VFirst, 1e-12);
    let first = net.forward(&x1, &ctx).sum_all();
    assert_eq!(dict(&net, 2).to_vec::<f32>(), step.u.to_vec::<f32>());
    assert_eq!(dict(&net, 3).to_vec::<f32>(), step.v.to_vec::<f32>());
    let bias = parameters(&net)[0].clone();
    let alone =
        grad(&[&x1.linear(&step.weight, Some(&bias)).sum_all()], &[&leaf], &[], false)[0].clone().unwrap();
    // The next pass replaces u and v; the first graph's gradient is what it was.
    net.forward(&x2, &ctx);
    assert!(distance(&dict(&net, 2), &step.u) > 1e-3);
    let after = grad(&[&first], &[&leaf], &[], false)[0].clone().unwrap();
    assert_eq!(after.to_vec::<f32>(), alone.to_vec::<f32>());
}

/// With u and v the exact singular vectors: dL/dW = (G - <G, W/sigma> u v^T) / sigma.
#[test]
fn the_gradient_is_the_papers() {
    let random = random();
    let w = noise(&[3, 4], &random).requires_grad();
    let g = noise(&[3, 4], &random);
    let start = (noise(&[3], &random), noise(&[4], &random));
    let next = w.spectral_norm(&start.0, &start.1, 0, SpectralOrder::VFirst, 1e-12);
    let (u, v) = (next.u.unsqueeze(1), next.v.unsqueeze(0));
    let sigma = u.t().matmul(&w.detach()).matmul(&v.t()).item();
    let normed = w.detach().mul_scalar(1.0 / sigma);
    let along = g.mul(&normed).sum_all();
    let want = g.sub(&u.matmul(&v).mul(&along)).mul_scalar(1.0 / sigma);
    let got = grad(&[&next.weight], &[&w], &[g], false)[0].clone().unwrap();
    assert!(distance(&got, &want) < 1e-13);
}

#[test]
fn initial_values_are_drawn_before_the_spectrum_is_looked_at() {
    let text = r#"{"type": "Linear", "in": 30, "out": 20, "spectral_norm": true, "init": {"type": "normal", "std": 3.0}}"#;
    let net = spec(text).build(&random());
    let all = state_dict(&*net);
    assert_eq!(all[0].1.to_vec::<f32>(), [0.0; 20]);
    let truth = largest_singular_value(&all[1].1);
    let normed = all[1].1.spectral_norm_eval(&all[2].1, &all[3].1, 0);
    let sigma = (all[1].1.to_vec::<f32>()[0] / normed.to_vec::<f32>()[0]) as f64;
    assert!(truth > 20.0 && (sigma / truth - 1.0).abs() < 0.05, "{sigma} and {truth}");
}

/// A transposed convolution's outputs are dimension 1 of its weight.
#[test]
fn convolutions_are_normalised_by_their_outputs() {
    let random = random();
    let options = ConvOptions::new().stride(2).padding(1);
    let plain = SpectralNorm::new(Conv2d::new(3, 5, [4, 4], options, true, &random), &random);
    let transposed = ConvTranspose2d::new(3, 5, [4, 4], options, [0, 0], true, &random);
    let transposed = SpectralNorm::new(transposed, &random);
    for (u, v, w) in [
        (&plain.u, &plain.v, plain.module.weight.clone()),
        (&transposed.u, &transposed.v, transposed.module.weight.transpose(0, 1)),
    ] {
        assert_eq!((u.get().shape(), v.get().shape()), (&[5][..], &[48][..]));
        let normed = w.spectral_norm_eval(&u.get(), &v.get(), 0);
        let sigma = (w.to_vec::<f32>()[0] / normed.to_vec::<f32>()[0]) as f64;
        assert!((sigma / largest_singular_value(&w) - 1.0).abs() < 0.05);
    }
    let x = noise(&[2, 3, 4, 4], &random).to_dtype(DType::F32);
    assert_eq!(eval(&plain, &x).shape(), [2, 5, 2, 2]);
    let by_hand = transposed.module.weight.spectral_norm_eval(&transposed.u.get(), &transposed.v.get(), 1);
    let want = x.conv_transpose2d(&by_hand, transposed.module.bias.as_ref(), &options, [0, 0]);
    assert_eq!(eval(&transposed, &x).to_vec::<f32>(), want.to_vec::<f32>());
    for (text, name) in [
        (r#"{"type": "Conv2d", "in": 3, "out": 5, "kernel": 4, "spectral_norm": true}"#, "weight_orig"),
        (
            r#"{"type": "ConvTranspose2d", "in": 3, "out": 5, "kernel": 4, "spectral_norm": true}"#,
            "weight_orig",
        ),
        (r#"{"type": "Conv2d", "in": 3, "out": 5, "kernel": 4, "spectral_norm": false}"#, "weight"),
    ] {
        let layer = spec(text);
        assert_eq!(spec(&serde_json::to_string(&layer).unwrap()), layer);
        assert!(names(&*layer.build(&random)).contains(&name.to_owned()), "{text}");
    }
}
