//! Initial values against what theory says of their moments.

use super::*;
use ganvil::gan::{NoProbe, TrainConfig, Trainer, networks, zoo};
use ganvil::nn::init::{self, FanMode, Nonlinearity};
use ganvil::nn::{BatchNorm2d, Init, LayerNorm, LayerSpec, Linear, Module, Sequential};

/// Mean and variance of a tensor's values.
fn moments(t: &Tensor) -> (f64, f64) {
    let v = t.to_f64_vec();
    let mean = v.iter().sum::<f64>() / v.len() as f64;
    (mean, v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64)
}

/// Asserts mean 0 and this standard deviation, to five standard errors. `kurtosis` is E x^4 / (E x^2)^2.
#[track_caller]
fn has_moments(t: &Tensor, std: f64, kurtosis: f64) {
    let (mean, variance) = moments(t);
    let n = t.numel() as f64;
    assert!(mean.abs() < 5.0 * std / n.sqrt(), "mean {mean}");
    let error = std * std * ((kurtosis - 1.0) / n).sqrt();
    assert!((variance - std * std).abs() < 5.0 * error, "variance {variance}, expected {}", std * std);
}

const UNIFORM: f64 = 1.8;
const NORMAL: f64 = 3.0;

#[test]
fn moments_are_those_of_the_papers() {
    let r = random();
    // [out, in, height, width]: fan_in 40 * 6, fan_out 70 * 6.
    let shape = [70, 40, 2, 3];
    let (fan_in, fan_out) = (240f64, 420f64);
    has_moments(&init::uniform(&shape, 0.3, &r), 0.3 / 3f64.sqrt(), UNIFORM);
    has_moments(&init::normal(&shape, 0.0, 0.02, &r), 0.02, NORMAL);
    let xavier = 1.5 * (2.0 / (fan_in + fan_out)).sqrt();
    has_moments(&init::xavier_uniform(&shape, 1.5, &r), xavier, UNIFORM);
    has_moments(&init::xavier_normal(&shape, 1.5, &r), xavier, NORMAL);
    let gains = [
        (Nonlinearity::Linear, 1.0),
        (Nonlinearity::Sigmoid, 1.0),
        (Nonlinearity::Tanh, 5.0 / 3.0),
        (Nonlinearity::Relu, 2f64.sqrt()),
        (Nonlinearity::LeakyRelu(0.2), (2.0 / 1.04f64).sqrt()),
    ];
    for (after, gain) in gains {
        for (mode, fan) in [(FanMode::FanIn, fan_in), (FanMode::FanOut, fan_out)] {
            has_moments(&init::kaiming_uniform(&shape, after, mode, &r), gain / fan.sqrt(), UNIFORM);
            has_moments(&init::kaiming_normal(&shape, after, mode, &r), gain / fan.sqrt(), NORMAL);
        }
    }
}

/// `W W^T = gain^2 I` for the shorter side, whatever the shape.
#[test]
fn orthogonal_matrices_are_orthogonal() {
    let r = random();
    for (shape, gain) in [
        (vec![16, 16], 1.0),
        (vec![5, 40], 1.4),
        (vec![40, 5], 0.5),
        (vec![12, 3, 4, 4], 1.0),
        (vec![64, 2, 3, 3], 2.0),
        (vec![1, 9], 1.0),
        (vec![9, 1], 1.0),
        (vec![300, 200], 1.0),
    ] {
        let w = init::orthogonal(&shape, gain, &r);
        assert_eq!((w.shape(), w.dtype()), (&shape[..], DType::F32));
        let rows = shape[0];
        let w = w.to_dtype(DType::F64).reshape(&[rows, w.numel() / rows]);
        let short = if rows <= w.shape()[1] { w.matmul(&w.t()) } else { w.t().matmul(&w) };
        let want = Tensor::eye(short.shape()[0], DType::F64, Device::Cpu).mul_scalar(gain * gain);
        // Each value is rounded to f32 once, by half a unit: two unit vectors' product is off by at most 2 such.
        let tolerance = gain * gain * f32::EPSILON as f64;
        assert!(distance(&short, &want) <= tolerance, "{shape:?}: {}", distance(&short, &want));
    }
    for shape in [&[][..], &[3]] {
        refused(&["orthogonal: ", "[out, in, ..]", &format!("got {shape:?}")], || {
            init::orthogonal(shape, 1.0, &r)
        });
    }
    assert_eq!(init::orthogonal(&[0, 3], 1.0, &r).shape(), [0, 3]);
    assert_eq!(init::orthogonal(&[3, 0], 1.0, &r).shape(), [3, 0]);
}

/// The traces of uniformly distributed orthogonal matrices have mean 0 and variance 1 (Diaconis and Shahshahani, 1994);
/// a Q from a decomposition whose signs are left to chance or to habit has not.
#[test]
fn orthogonal_matrices_are_uniformly_distributed() {
    let r = random();
    for n in [1usize, 3] {
        let draws = 2000;
        let traces: Vec<f64> = (0..draws)
            .map(|_| {
                let q = init::orthogonal(&[n, n], 1.0, &r).to_f64_vec();
                (0..n).map(|i| q[i * (n + 1)]).sum()
            })
            .collect();
        let mean = traces.iter().sum::<f64>() / draws as f64;
        let square = traces.iter().map(|t| t * t).sum::<f64>() / draws as f64;
        // tr^2 <= n^2, and has mean 1.
        assert!(mean.abs() < 5.0 / (draws as f64).sqrt(), "n = {n}: mean trace {mean}");
        assert!(
            (square - 1.0).abs() < 5.0 * (n as f64) / (draws as f64).sqrt(),
            "n = {n}: mean square {square}"
        );
    }
}

#[test]
fn equal_seeds_draw_equal_values() {
    for (name, kind) in Init::NAMED {
        let draw = |seed| {
            let random = Generator::new(seed, Stream::Init);
            let layers = [LayerSpec::linear(6, 5), LayerSpec::batch_norm1d(5), LayerSpec::linear(5, 4)];
            let net = LayerSpec::sequential_with(&layers, &kind, &random);
            ganvil::nn::state_dict(&net).iter().flat_map(|(_, t)| t.to_f64_vec()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1), "{name}");
        assert_ne!(draw(1), draw(2), "{name}");
    }
}

#[test]
fn each_parameter_starts_as_its_part_demands() {
    let r = random();
    let mut net = Sequential::new()
        .with(Linear::new(30, 24, true, &r))
        .with(BatchNorm2d::new(400, 1e-5, 0.1))
        .with(LayerNorm::new(&[4, 2, 3], 1e-5, true))
        .with(Linear::new(24, 24, false, &r));
    let at = |net: &dyn Module, name: &str| {
        ganvil::nn::state_dict(net).into_iter().find(|(n, _)| n == name).unwrap().1
    };
    let before = at(&net, "0.weight").to_f64_vec();
    init::apply(&mut net, &Init::Default, &r);
    assert_eq!(at(&net, "0.weight").to_f64_vec(), before, "the default changes nothing");
    let calls = r.calls();
    init::apply(&mut net, &Init::Default, &r);
    assert_eq!(r.calls(), calls, "and draws nothing");

    init::apply(&mut net, &Init::Orthogonal { gain: 1.0 }, &r);
    for (name, value) in
        [("0.bias", 0.0), ("1.weight", 1.0), ("1.bias", 0.0), ("2.weight", 1.0), ("2.bias", 0.0)]
    {
        assert!(at(&net, name).to_f64_vec().iter().all(|&v| v == value), "{name}");
    }
    let square = at(&net, "3.weight").to_dtype(DType::F64);
    let eye = Tensor::eye(24, DType::F64, Device::Cpu);
    assert!(distance(&square.matmul(&square.t()), &eye) <= f32::EPSILON as f64);

    init::apply(&mut net, &Init::Normal { std: 0.02 }, &r);
    has_moments(&at(&net, "0.weight"), 0.02, NORMAL);
    has_moments(&at(&net, "1.weight").add_scalar(-1.0), 0.02, NORMAL);
    has_moments(&at(&net, "2.weight").add_scalar(-1.0), 0.02, NORMAL);
    assert!(at(&net, "1.running_var").to_f64_vec().iter().all(|&v| v == 1.0), "buffers stay");
    assert!(at(&net, "0.bias").to_f64_vec().iter().all(|&v| v == 0.0));
    net.visit("", &mut |name, kind, t| {
        assert_eq!(t.is_tracked(), kind == ganvil::nn::Kind::Parameter, "{name}");
    });

    let layers = [
        LayerSpec::linear(4, 4),
        LayerSpec::Linear {
            inputs: 4,
            outputs: 4,
            bias: true,
            init: Some(Init::Constant { value: 0.5 }),
            spectral_norm: false,
        },
    ];
    let own = LayerSpec::sequential_with(&layers, &Init::Orthogonal { gain: 1.0 }, &r);
    assert!(
        at(&own, "1.weight").to_f64_vec().iter().all(|&v| v == 0.5),
        "a layer's own goes before the network's"
    );
    assert!(at(&own, "0.bias").to_f64_vec().iter().all(|&v| v == 0.0));
}

#[test]
fn runs_start_as_their_settings_say() {
    let config = TrainConfig { init: Init::Normal { std: 0.02 }, ..TrainConfig::default() };
    let (g, d) = networks(&config, [1, 28, 28], 10, &Generator::new(0, Stream::Init)).unwrap();
    for net in [&g, &d] {
        has_moments(&ganvil::nn::state_dict(net)[0].1, 0.02, NORMAL);
    }
    // The default is what was drawn before there was a choice, and leaves no trace in stored settings.
    let plain = serde_json::to_value(TrainConfig::default()).unwrap();
    assert!(plain.get("init").is_none());
    let stored = serde_json::to_value(&config).unwrap();
    assert_eq!(stored["init"]["type"], "normal");
    assert_eq!(serde_json::from_value::<TrainConfig>(stored).unwrap(), config);
    let text = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<TrainConfig>(&text).unwrap(), config);

    let bad = TrainConfig { init: Init::Orthogonal { gain: f64::NAN }, ..TrainConfig::default() };
    assert!(bad.check().unwrap_err().to_string().contains("invalid init.gain 'NaN'"));
    let bad = TrainConfig { init: Init::Normal { std: -1.0 }, ..TrainConfig::default() };
    assert!(bad.check().unwrap_err().to_string().contains("invalid init.std '-1'"));
    assert!("orthogonl".parse::<Init>().unwrap_err().to_string().contains("did you mean 'orthogonal'?"));
    for (name, kind) in Init::NAMED {
        assert_eq!(name.parse::<Init>().unwrap(), kind);
        TrainConfig { init: kind, ..TrainConfig::default() }.check().unwrap();
    }
}

#[test]
fn the_average_starts_where_the_generator_does() {
    use ganvil::data::{Dataset, Split};
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist");
    let data = std::sync::Arc::new(Dataset::load(dir, Split::Test).unwrap());
    let recipe = (zoo::recipe("mlp").unwrap().config)();
    let config = TrainConfig { init: Init::XavierNormal { gain: 1.0 }, ..recipe };
    let mut trainer = Trainer::new(config, data, Device::Cpu).unwrap();
    let weights = |n: &ganvil::gan::Network| ganvil::nn::state_dict(n)[0].1.to_f64_vec();
    assert_eq!(weights(&trainer.gan().g), weights(trainer.gan().average.as_ref().unwrap()));
    trainer.step(&mut NoProbe).unwrap();
}

#[test]
fn values_that_cannot_be_drawn_are_refused() {
    let r = random();
    refused(&["xavier_uniform: ", "[out, in, ..]", "[3]"], || init::xavier_uniform(&[3], 1.0, &r));
    refused(&["kaiming_normal: ", "[]"], || {
        init::kaiming_normal(&[], Nonlinearity::Relu, FanMode::FanIn, &r)
    });
    refused(&["orthogonal: ", "[3]"], || init::orthogonal(&[3], 1.0, &r));
    refused(&["uniform: ", "got -1"], || init::uniform(&[3], -1.0, &r));
    refused(&["uniform: ", "got NaN"], || init::uniform(&[3], f64::NAN, &r));
    refused(&["normal: ", "got -1"], || init::normal(&[3], 0.0, -1.0, &r));
    refused(&["normal: ", "got NaN"], || init::normal(&[3], 0.0, f64::NAN, &r));
    assert_eq!(init::uniform(&[3], 0.0, &r).to_vec::<f32>(), [0.0; 3]);
    assert_eq!(init::normal(&[3], 2.0, 0.0, &r).to_vec::<f32>(), [2.0; 3]);
}
