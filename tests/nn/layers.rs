//! Normalisation and changes of shape as modules, and as data.

use super::*;
use ganvil::autograd::{CheckOptions, gradcheck};
use ganvil::gan::gradient_penalty;
use ganvil::nn::{
    BatchNorm1d, BatchNorm2d, Flatten, GroupNorm, InstanceNorm1d, InstanceNorm2d, LayerNorm, LayerSpec,
    Unflatten, parameters, to_dtype,
};

#[test]
fn batch_norm_of_images_is_batch_norm_of_their_pixels() {
    let random = random();
    let x = noise(&[3, 4, 2, 5], &random).to_dtype(DType::F32);
    // Pixels as samples: the same sums in the same order of memory, but cut into chunks differently.
    let flat = x.permute(&[0, 2, 3, 1]).reshape(&[30, 4]);
    let (image, vector) = (BatchNorm2d::new(4, 1e-5, 0.3), BatchNorm1d::new(4, 1e-5, 0.3));
    let ctx = Ctx::train(&random);
    let y = image.forward(&x, &ctx).permute(&[0, 2, 3, 1]).reshape(&[30, 4]);
    // Values of order 1 from sums of 30 terms: a few units of the last place each.
    let tolerance = 30.0 * f32::EPSILON as f64;
    assert!(distance(&y, &vector.forward(&flat, &ctx)) < tolerance);
    assert!(distance(&image.running_mean.get(), &vector.running_mean.get()) < tolerance);
    assert!(distance(&image.running_var.get(), &vector.running_var.get()) < tolerance);
    assert_eq!(image.num_batches_tracked.get().item(), 1.0);
    // A sequence is an image with one row.
    let row = x.reshape(&[3, 4, 10]);
    let tall = BatchNorm1d::new(4, 1e-5, 0.3).forward(&row, &ctx).reshape(&[3, 4, 2, 5]);
    assert!(distance(&tall, &image.forward(&x, &ctx.frozen())) < tolerance);
}

#[test]
fn ranks_and_features_are_checked() {
    let train = random();
    for ctx in [Ctx::eval(), Ctx::train(&train)] {
        let run = |m: &dyn Module, shape: &[usize]| m.forward(&ones(shape), &ctx);
        let (one, two) = (BatchNorm1d::new(3, 1e-5, 0.1), BatchNorm2d::new(3, 1e-5, 0.1));
        let shapes_1d = "[batch, features] or [batch, features, length]";
        refused(&["batch_norm1d: ", shapes_1d, "[2, 3, 4, 4]", "BatchNorm2d"], || run(&one, &[2, 3, 4, 4]));
        refused(&["batch_norm1d: ", "[3]"], || run(&one, &[3]));
        refused(&["batch_norm1d: ", "made for 3 features", "[3, 2]", "has 2"], || run(&one, &[3, 2]));
        let shapes_2d = "needs x [batch, features, height, width], got shape [2, 3]; use BatchNorm1d";
        refused(&["batch_norm2d: ", shapes_2d], || run(&two, &[2, 3]));
        refused(&["batch_norm2d: ", "[2, 3, 4]"], || run(&two, &[2, 3, 4]));
        refused(&["batch_norm2d: ", "[2, 1, 4, 4]", "has 1"], || run(&two, &[2, 1, 4, 4]));
        for affine in [false, true] {
            let one = InstanceNorm1d::new(3, 1e-5, affine);
            refused(&["instance_norm1d: ", "[batch, features, length]", "[2, 3, 4, 4]"], || {
                run(&one, &[2, 3, 4, 4])
            });
            refused(&["instance_norm1d: ", "[3, 4]"], || run(&one, &[3, 4]));
            let two = InstanceNorm2d::new(3, 1e-5, affine);
            refused(&["instance_norm2d: ", "[2, 3, 4]", "InstanceNorm1d"], || run(&two, &[2, 3, 4]));
            refused(&["instance_norm2d: ", "made for 3 features"], || run(&two, &[2, 4, 4, 4]));
            refused(&["instance_norm: ", "one position"], || run(&two, &[2, 3, 1, 1]));
            let group = GroupNorm::new(2, 4, 1e-5, affine);
            refused(&["group_norm: ", "made for 4 channels", "[2, 6, 3]"], || run(&group, &[2, 6, 3]));
            refused(&["group_norm: ", "[4]"], || run(&group, &[4]));
            let layer = LayerNorm::new(&[3, 4], 1e-5, affine);
            refused(&["layer_norm: ", "[3, 4]", "[2, 4]"], || run(&layer, &[2, 4]));
        }
    }
    refused(&["group_norm: ", "3 groups", "4 channels"], || GroupNorm::new(3, 4, 1e-5, true));
    refused(&["flatten: ", "got shape []"], || eval(&Flatten, &ones(&[])));
    refused(&["unflatten: ", "[2, 7]", "[2, 3]"], || eval(&Unflatten { shape: vec![2, 3] }, &ones(&[2, 7])));
    let huge = Unflatten { shape: vec![usize::MAX, 2] };
    refused(&["unflatten: "], || eval(&huge, &ones(&[2, 7])));
}

#[test]
fn shapes_go_there_and_back() {
    let x = noise(&[4, 2, 3, 5], &random());
    let flat = eval(&Flatten, &x.permute(&[0, 2, 3, 1]));
    assert_eq!(flat.shape(), [4, 30]);
    let back = eval(&Unflatten { shape: vec![3, 5, 2] }, &flat).permute(&[0, 3, 1, 2]);
    assert_eq!(back.to_vec::<f64>(), x.to_vec::<f64>());
    assert_eq!(eval(&Flatten, &ones(&[7])).shape(), [7, 1]);
    assert_eq!(eval(&Unflatten { shape: vec![] }, &ones(&[7, 1])).shape(), [7]);
    assert_eq!(eval(&Flatten, &ones(&[0, 2, 3])).shape(), [0, 6]);
}

#[test]
fn names_and_shapes_are_pytorchs() {
    let none: [&str; 0] = [];
    assert_eq!(names(&LayerNorm::new(&[3, 4], 1e-5, true)), ["weight", "bias"]);
    assert_eq!(LayerNorm::new(&[3, 4], 1e-5, true).weight.unwrap().shape(), [3, 4]);
    assert_eq!(names(&LayerNorm::new(&[3, 4], 1e-5, false)), none);
    assert_eq!(names(&GroupNorm::new(2, 4, 1e-5, true)), ["weight", "bias"]);
    assert_eq!(names(&InstanceNorm2d::new(4, 1e-5, false)), none);
    assert_eq!(names(&InstanceNorm2d::new(4, 1e-5, true)), ["weight", "bias"]);
    let spec = |text: &str| serde_json::from_str::<LayerSpec>(text).unwrap().build(&random());
    for (text, name, tensors) in [
        (r#"{"type": "BatchNorm2d", "num_features": 4}"#, "BatchNorm2d", 5),
        (r#"{"type": "LayerNorm", "normalized_shape": [3, 4], "eps": 1e-6}"#, "LayerNorm", 2),
        (r#"{"type": "LayerNorm", "normalized_shape": 4, "elementwise_affine": false}"#, "LayerNorm", 0),
        (r#"{"type": "GroupNorm", "num_groups": 2, "num_channels": 4, "eps": 1e-5}"#, "GroupNorm", 2),
        (r#"{"type": "InstanceNorm1d", "num_features": 4}"#, "InstanceNorm1d", 0),
        (
            r#"{"type": "InstanceNorm2d", "num_features": 4, "eps": 1e-5, "affine": true}"#,
            "InstanceNorm2d",
            2,
        ),
        (r#"{"type": "Flatten"}"#, "Flatten", 0),
        (r#"{"type": "Unflatten", "shape": [3, 4]}"#, "Unflatten", 0),
    ] {
        let module = spec(text);
        assert_eq!((module.type_name(), names(&*module).len()), (name, tensors), "{text}");
    }
    let unknown = r#"{"type": "GroupNorm", "num_groups": 2, "num_channels": 4, "groups": 2}"#;
    assert!(serde_json::from_str::<LayerSpec>(unknown).unwrap_err().to_string().contains("groups"));
}

/// A gradient penalty differentiates the normalisation twice; in training as in evaluation a sample stands alone.
#[test]
fn critics_with_normalisation_within_samples_can_be_penalised() {
    let random = random();
    let norms = [
        r#"{"type": "LayerNorm", "normalized_shape": [4, 2, 3]}"#,
        r#"{"type": "GroupNorm", "num_groups": 2, "num_channels": 4}"#,
        r#"{"type": "InstanceNorm2d", "num_features": 4, "affine": true}"#,
        r#"{"type": "InstanceNorm2d", "num_features": 4}"#,
    ];
    for norm in norms {
        let layers = format!(
            r#"[{{"type": "Linear", "in": 5, "out": 24}}, {{"type": "Unflatten", "shape": [4, 2, 3]}}, {norm},
            {{"type": "Softplus"}}, {{"type": "Flatten"}}, {{"type": "Linear", "in": 24, "out": 1}}]"#
        );
        let layers: Vec<LayerSpec> = serde_json::from_str(&layers).unwrap();
        assert!(!layers.iter().any(LayerSpec::mixes_samples));
        let mut critic = LayerSpec::sequential(&layers, &random);
        to_dtype(&mut critic, DType::F64);
        let (real, fake) = (noise(&[3, 5], &random), noise(&[3, 5], &random));
        let eps = random.uniform(&[3, 1], 0.0, 1.0, DType::F64, Device::Cpu);
        let penalty = |weights: &[Tensor]| {
            let mut weights = weights.iter();
            let with = critic.map(|_, _, _| weights.next().unwrap().clone());
            let forward = |x: &Tensor| with.forward(x, &Ctx::train(&random));
            gradient_penalty(&forward, &real, &fake, &eps).penalty
        };
        let weights: Vec<Tensor> = parameters(&critic).iter().map(Tensor::detach).collect();
        gradcheck(penalty, &weights, &CheckOptions::default()).unwrap_or_else(|e| panic!("{norm}: {e}"));
    }
}
