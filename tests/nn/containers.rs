//! Residual connections and branches.

use super::*;
use ganvil::ConvOptions;
use ganvil::autograd::grad;
use ganvil::backend::trace;
use ganvil::gan::Network;
use ganvil::nn::{
    Applied, Branches, Conv2d, Dropout, Flatten, Join, Kind, LayerSpec, LeakyReLU, Linear, ReLU, Residual,
    Sequential, SpectralNorm, Tanh, with_fusion,
};
use std::cell::RefCell;

fn linear(inputs: usize, outputs: usize) -> Linear {
    Linear::new(inputs, outputs, true, &random())
}

#[test]
fn a_residual_adds_the_scaled_body_to_the_shortcut() {
    let x = noise(&[3, 4], &random()).to_dtype(DType::F32);
    let (body, shortcut) = (linear(4, 2), Linear::new(4, 2, false, &Generator::new(9, Stream::Init)));
    let (fx, sx) = (eval(&body, &x), eval(&shortcut, &x));
    let plain = Residual::new(body.clone()).with_shortcut(shortcut);
    assert_eq!(eval(&plain, &x).to_vec::<f32>(), sx.add(&fx).to_vec::<f32>());
    assert_eq!(eval(&plain.scaled(0.2), &x).to_vec::<f32>(), sx.add(&fx.mul_scalar(0.2)).to_vec::<f32>());
    let identity = Residual::new(Tanh);
    assert_eq!(eval(&identity, &x).to_vec::<f32>(), x.add(&x.tanh()).to_vec::<f32>());
}

#[test]
fn branches_are_joined() {
    let x = noise(&[3, 4], &random()).to_dtype(DType::F32);
    let (a, b) = (linear(4, 2), linear(4, 5));
    let (ya, yb) = (eval(&a, &x), eval(&b, &x));
    for dim in [1, -1] {
        let joined = Branches::new(Join::Cat(dim)).with(a.clone()).with(b.clone());
        assert_eq!(eval(&joined, &x).to_vec::<f32>(), Tensor::cat(&[&ya, &yb], 1).to_vec::<f32>());
    }
    let sum = Branches::new(Join::Sum).with(a.clone()).with(a.clone()).with(a);
    assert_eq!(eval(&sum, &x).to_vec::<f32>(), ya.add(&ya).add(&ya).to_vec::<f32>());
}

#[test]
fn names_say_where_a_tensor_is() {
    let layers = r#"[
        {"type": "Residual", "scale": 0.5,
         "body": [{"type": "BatchNorm1d", "num_features": 4}, {"type": "ReLU"}, {"type": "Linear", "in": 4, "out": 6}],
         "shortcut": [{"type": "Linear", "in": 4, "out": 6, "bias": false}]},
        {"type": "Branches", "join": {"cat": 1},
         "branches": [[{"type": "Linear", "in": 6, "out": 1}], [{"type": "Tanh"}, {"type": "Linear", "in": 6, "out": 1}]]},
        {"type": "Branches", "join": "sum", "branches": [[], [{"type": "ReLU"}]]}
    ]"#;
    let layers: Vec<LayerSpec> = serde_json::from_str(layers).unwrap();
    assert!(layers[0].mixes_samples() && !layers[1].mixes_samples());
    let again: Vec<LayerSpec> = serde_json::from_str(&serde_json::to_string(&layers).unwrap()).unwrap();
    assert_eq!(again, layers);
    let net = Network::new("D", &layers, &random());
    let mut want: Vec<String> = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
        .map(|n| format!("net.0.body.0.{n}"))
        .into();
    want.extend(["net.0.body.2.weight", "net.0.body.2.bias", "net.0.shortcut.0.weight"].map(String::from));
    want.extend(
        ["net.1.0.0.weight", "net.1.0.0.bias", "net.1.1.1.weight", "net.1.1.1.bias"].map(String::from),
    );
    assert_eq!(names(&net), want);
    assert_eq!(eval(&net, &ones(&[3, 4])).shape(), [3, 2]);
}

#[test]
fn shapes_that_do_not_fit_name_the_path() {
    let net = |layer: &str| {
        let layers: Vec<LayerSpec> =
            serde_json::from_str(&format!("[{{\"type\": \"ReLU\"}}, {layer}]")).unwrap();
        eval(&Network::new("D", &layers, &random()), &ones(&[3, 4]))
    };
    // [3, 1] would broadcast to [3, 4].
    refused(&["residual (in D.net.1): ", "the body makes [3, 1]", "the shortcut [3, 4]", "x [3, 4]"], || {
        net(r#"{"type": "Residual", "body": [{"type": "Linear", "in": 4, "out": 1}]}"#)
    });
    refused(&["linear (in D.net.1.body.0): ", "[3, 4]"], || {
        net(r#"{"type": "Residual", "body": [{"type": "Linear", "in": 5, "out": 4}]}"#)
    });
    refused(&["linear (in D.net.1.shortcut.1): "], || {
        let shortcut = r#"[{"type": "Tanh"}, {"type": "Linear", "in": 5, "out": 4}]"#;
        net(&format!(r#"{{"type": "Residual", "body": [], "shortcut": {shortcut}}}"#))
    });
    let branches = |join: &str| {
        let other = r#"{"type": "Linear", "in": 4, "out": 1}"#;
        net(&format!(
            r#"{{"type": "Branches", "join": {join}, "branches": [[], [{{"type": "ReLU"}}], [{other}]]}}"#
        ))
    };
    refused(&["branches (in D.net.1): ", "branch 0 makes [3, 4]", "branch 2 [3, 1]", "one shape"], || {
        branches(r#""sum""#)
    });
    refused(&["branches (in D.net.1): ", "branch 2 [3, 1]", "that dimension alone"], || {
        branches(r#"{"cat": 0}"#)
    });
    refused(&["branches (in D.net.1): ", "dimension 2 is out of range"], || branches(r#"{"cat": 2}"#));
    assert_eq!(branches(r#"{"cat": 1}"#).shape(), [3, 9]);
    refused(&["branches: there is no branch"], || eval(&Branches::new(Join::Sum), &ones(&[1])));
}

#[test]
fn a_pass_can_be_looked_at_and_masks_replayed_at_any_depth() {
    let inner = Sequential::new().with(ReLU).with(Dropout { p: 0.5 });
    let net = Sequential::new().with(Residual::new(inner)).with(Tanh);
    let seen = RefCell::new(Vec::new());
    let watch = |a: &Applied| {
        seen.borrow_mut().push((a.path.to_owned(), a.module.type_name(), a.input.shape().to_vec()))
    };
    let asked = RefCell::new(Vec::new());
    let masks = |path: &str, shape: &[usize]| {
        asked.borrow_mut().push(path.to_owned());
        ones(shape)
    };
    let random = random();
    net.forward(&ones(&[2]), &Ctx::train(&random).with_masks(&masks).watched(&watch));
    let rows: Vec<(String, &str)> =
        seen.into_inner().into_iter().map(|(path, name, _)| (path, name)).collect();
    let want = [
        ("0.body.0", "ReLU"),
        ("0.body.1", "Dropout"),
        ("0.body", "Sequential"),
        ("0", "Residual"),
        ("1", "Tanh"),
    ];
    assert_eq!(rows, want.map(|(path, name)| (path.to_owned(), name)));
    assert_eq!(asked.into_inner(), ["0.body.1"]);
}

/// Layers take in the activation behind them, and are the same function of everything, bit for bit.
#[test]
fn activations_are_applied_as_results_are_written() {
    let random = random();
    let conv = |c, o, stride| {
        Conv2d::new(c, o, [4, 4], ConvOptions::new().stride(stride).padding(1), o % 2 == 0, &random)
    };
    let leaky = LeakyReLU { negative_slope: 0.2 };
    let nets = [
        Sequential::new()
            .with(linear(8, 5))
            .with(leaky.clone())
            .with(linear(5, 7))
            .with(ReLU)
            .with(linear(7, 1)),
        Sequential::new().with(conv(8, 40, 2)).with(leaky.clone()).with(conv(40, 3, 1)).with(ReLU),
        Sequential::new().with(SpectralNorm::new(conv(8, 6, 2), &random)).with(leaky),
        // Whose sign the result does not tell.
        Sequential::new().with(linear(8, 5)).with(LeakyReLU { negative_slope: -0.5 }),
    ];
    for (i, net) in nets.into_iter().enumerate() {
        for dtype in [DType::F64, DType::F32] {
            let mut net = net.clone();
            net.visit_mut("", &mut |_, kind, t| {
                let new = t.to_dtype(dtype).detach();
                *t = if kind == Kind::Parameter { new.requires_grad() } else { new };
            });
            let shape: &[usize] = if matches!(i, 1 | 2) { &[3, 8, 8, 8] } else { &[3, 8] };
            let x = noise(shape, &random).to_dtype(dtype).requires_grad();
            let mut inputs = vec![x.clone()];
            net.visit("", &mut |_, kind, t| inputs.extend((kind == Kind::Parameter).then(|| t.clone())));
            let inputs: Vec<&Tensor> = inputs.iter().collect();
            let pass = |ctx: Ctx| {
                let y = net.forward(&x, &ctx);
                let seed = y.detach().mul_scalar(0.1).add_scalar(1.0);
                let slopes: Vec<_> = grad(&[&y], &inputs, &[seed], true).into_iter().flatten().collect();
                let again = grad(&[&slopes[0].square().sum_all()], &inputs, &[], false);
                let all: Vec<Tensor> = [vec![y], slopes, again.into_iter().flatten().collect()].concat();
                all.iter().flat_map(|t| t.to_dtype(DType::F64).to_vec::<f64>()).collect::<Vec<_>>()
            };
            let fused = pass(Ctx::eval());
            assert_eq!(fused, with_fusion(false, || pass(Ctx::eval())), "net {i} in {dtype}");
            // Which writes nothing in place either.
            assert_eq!(fused, pass(Ctx::eval().watched(&|_| ())), "net {i} in {dtype}, watched");
            let kernels = |on| {
                let (_, calls) = trace::record(|| with_fusion(on, || eval(&net, &x)));
                calls.into_iter().filter(|c| c.kernel.starts_with("unary")).count()
            };
            assert_eq!((kernels(true) == 0, kernels(false) == 0), (i != 3, false), "net {i} in {dtype}");
        }
    }
}

/// One step of the power iteration for each pass, also where the layer takes in its activation.
#[test]
fn a_normalised_layer_iterates_once_in_a_pass_that_is_fused() {
    let random = random();
    let conv = Conv2d::new(3, 20, [3, 3], ConvOptions::new(), true, &random);
    let net = Sequential::new().with(SpectralNorm::new(conv, &random)).with(ReLU);
    let x = noise(&[2, 3, 6, 6], &random).to_dtype(DType::F32);
    let pass = |fused| {
        let net = net.clone();
        let y = with_fusion(fused, || [0, 1].map(|_| net.forward(&x, &Ctx::train(&random)).to_vec::<f32>()));
        (y, state_dict(&net).into_iter().map(|(_, t)| t.to_vec::<f32>()).collect::<Vec<_>>())
    };
    let fused = pass(true);
    assert_eq!(fused, pass(false));
    assert_ne!(fused.0[0], fused.0[1], "the estimate moves");
}

/// A layer of few outputs takes images that lie channels-last as they are, and is the same function of them.
#[test]
fn images_are_flattened_without_a_copy_in_front_of_few_outputs() {
    let (n, c, h, w) = (6, 24, 3, 5);
    for outputs in [1, 16, 17] {
        let linear = Linear::new(c * h * w, outputs, true, &random());
        let mut net = Sequential::new().with(Flatten).with(linear);
        net.visit_mut("", &mut |_, _, t| *t = t.to_dtype(DType::F64).detach().requires_grad());
        let mut params = Vec::new();
        net.visit("", &mut |_, _, t| params.push(t.clone()));
        let x = noise(&[n, h, w, c], &random()).requires_grad();
        let (images, seed) = (x.permute(&[0, 3, 1, 2]), noise(&[n, outputs], &random()));
        let pass = |images: &Tensor| {
            let y = eval(&net, images);
            let slopes = grad(&[&y], &[&x, &params[0], &params[1]], std::slice::from_ref(&seed), true);
            let slopes: Vec<Tensor> = slopes.into_iter().map(Option::unwrap).collect();
            let again = grad(&[&slopes[0].square().sum_all()], &[&params[0]], &[], false);
            let all = [&[y], &slopes[..], &[again[0].clone().unwrap()]].concat();
            all.iter().flat_map(Tensor::to_vec::<f64>).collect::<Vec<_>>()
        };
        let (got, calls) = trace::record(|| pass(&images));
        let want = pass(&images.contiguous());
        assert!(
            got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-12 * (c * h * w) as f64),
            "{outputs} outputs"
        );
        let large =
            calls.iter().filter(|c| c.kernel == "copy" && c.shape.iter().product::<usize>() == x.numel());
        assert_eq!(large.count() == 0, outputs <= 16 && got != want, "{outputs} outputs: {calls:?}");

        let seen = RefCell::new(Vec::new());
        let watch = |a: &Applied| seen.borrow_mut().push((a.path.to_owned(), a.input.shape().to_vec()));
        net.forward(&images, &Ctx::eval().watched(&watch));
        let flat = vec![n, c * h * w];
        assert_eq!(
            seen.into_inner(),
            [("0".into(), vec![n, c, h, w]), ("1".into(), flat)],
            "who watches sees both"
        );
    }
}

#[test]
fn flattened_images_keep_their_sums_in_any_batch() {
    let (n, c, h, w) = (6, 24, 3, 5);
    let f = Linear::new(c * h * w, 2, true, &random());
    // Taller images, of which a part is looked at.
    let all = noise(&[n, h + 1, w, c], &random()).to_dtype(DType::F32).permute(&[0, 3, 1, 2]);
    let images = all.narrow(2, 1, h);
    let net = Sequential::new().with(Flatten).with(f.clone());
    let whole = eval(&net, &images);
    assert_ne!(
        whole.to_vec::<f32>(),
        eval(&net, &images.contiguous()).to_vec::<f32>(),
        "another order of sums"
    );
    for i in 0..n {
        let want = whole.narrow(0, i, 1).to_vec::<f32>();
        assert_eq!(eval(&net, &images.narrow(0, i, 1)).to_vec::<f32>(), want, "sample {i}");
    }
}

#[test]
fn a_flattened_layer_says_where_it_is() {
    let images = ones(&[2, 3, 4, 5]).permute(&[0, 3, 1, 2]);
    let mut f = Linear::new(60, 1, true, &random());
    f.weight = ones(&[61]);
    let net = Sequential::new().with(Flatten).with(f);
    refused(&["linear (in 1)", "[out, in]"], || eval(&net, &images));
}
