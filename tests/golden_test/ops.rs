//! The operations: from a fixture's attributes to calls of [`Tensor`]'s methods.

use super::attrs::Attrs;
use super::layers;
use ganvil::{ConvOptions, Interpolation, PadMode, Reduction, SpectralOrder, Tensor, no_grad};

type Outputs = Result<Vec<Tensor>, String>;

/// Applies an operation with these attributes to the inputs.
pub type Rule = fn(&Attrs, &[Tensor]) -> Outputs;

fn one(y: Tensor) -> Outputs {
    Ok(vec![y])
}

/// The rule of an operation; None for one that is not known.
pub fn rule(op: &str) -> Option<Rule> {
    elementwise(op).or_else(|| arrangement(op)).or_else(|| compound(op)).or_else(|| of_images(op))
}

fn elementwise(op: &str) -> Option<Rule> {
    Some(match op {
        "add" => |_, x| one(x[0].add(&x[1])),
        "sub" => |_, x| one(x[0].sub(&x[1])),
        "mul" => |_, x| one(x[0].mul(&x[1])),
        "div" => |_, x| one(x[0].div(&x[1])),
        "maximum" => |_, x| one(x[0].maximum(&x[1])),
        "minimum" => |_, x| one(x[0].minimum(&x[1])),
        "neg" => |_, x| one(x[0].neg()),
        "exp" => |_, x| one(x[0].exp()),
        "log" => |_, x| one(x[0].log()),
        "abs" => |_, x| one(x[0].abs()),
        "sqrt" => |_, x| one(x[0].sqrt()),
        "tanh" => |_, x| one(x[0].tanh()),
        "sigmoid" => |_, x| one(x[0].sigmoid()),
        "relu" => |_, x| one(x[0].relu()),
        "leaky_relu" => |a, x| one(x[0].leaky_relu(a.f64("negative_slope")?)),
        "softplus" => |a, x| one(x[0].softplus(a.f64("beta")?, a.f64("threshold")?)),
        "pow" => |a, x| one(x[0].pow(a.f64("exponent")?)),
        "clamp" => |a, x| one(x[0].clamp(a.f64_or_null("min")?, a.f64_or_null("max")?)),
        "where" => |_, x| one(x[0].where_(&x[1], &x[2])),
        "dropout" => |a, x| one(x[0].dropout_with_mask(&x[1], a.f64("p")?)),
        _ => return None,
    })
}

fn arrangement(op: &str) -> Option<Rule> {
    Some(match op {
        "reshape" => |a, x| one(x[0].reshape(&a.usizes("shape")?)),
        "permute" => |a, x| one(x[0].permute(&a.isizes("dims")?)),
        "narrow" => |a, x| one(x[0].narrow(a.isize("dim")?, a.usize("start")?, a.usize("length")?)),
        "slice" => {
            |a, x| one(x[0].slice(a.isize("dim")?, a.isize("start")?, a.isize("end")?, a.usize("step")?))
        }
        "pad" => |a, x| one(x[0].pad(&a.usizes("pad")?, pad_mode(a)?)),
        "cat" => |a, x| one(Tensor::cat(&x.iter().collect::<Vec<_>>(), a.isize("dim")?)),
        "index_select" => |a, x| one(x[0].index_select(a.isize("dim")?, &x[1])),
        "gather" => |a, x| one(x[0].gather(a.isize("dim")?, &x[1])),
        "embedding" => |_, x| one(Tensor::embedding(&x[0], &x[1])),
        _ => return None,
    })
}

fn compound(op: &str) -> Option<Rule> {
    Some(match op {
        "sum" => |a, x| one(x[0].sum(&dims(a)?, a.bool("keepdim")?)),
        "mean" => |a, x| one(x[0].mean(&dims(a)?, a.bool("keepdim")?)),
        "max" => |a, x| one(x[0].max(&dims(a)?, a.bool("keepdim")?)),
        "var" => |a, x| one(x[0].var(&dims(a)?, a.bool("unbiased")?, a.bool("keepdim")?)),
        "sqrt_mean_square" => |_, x| one(sqrt_mean_square(&x[0])),
        "matmul" => |_, x| one(x[0].matmul(&x[1])),
        "linear" => |_, x| one(x[0].linear(&x[1], x.get(2))),
        "conv2d" => |a, x| one(x[0].conv2d(&x[1], x.get(2), &conv_options(a)?)),
        "conv_transpose2d" => {
            |a, x| one(x[0].conv_transpose2d(&x[1], x.get(2), &conv_options(a)?, a.pair("output_padding")?))
        }
        "modulated_conv2d" => modulated_conv2d,
        "bce" => |a, x| one(x[0].bce(&x[1], reduction(a)?)),
        "bce_with_logits" => |a, x| one(x[0].bce_with_logits(&x[1], reduction(a)?)),
        "mse" => |a, x| one(x[0].mse(&x[1], reduction(a)?)),
        "l1" => |a, x| one(x[0].l1(&x[1], reduction(a)?)),
        "cross_entropy" => |a, x| one(x[0].cross_entropy(&x[1], reduction(a)?)),
        "softmax" => |a, x| one(x[0].softmax(a.isize("dim")?)),
        "log_softmax" => |a, x| one(x[0].log_softmax(a.isize("dim")?)),
        "batch_norm" => layers::batch_norm,
        "layer_norm" => {
            |a, x| one(x[0].layer_norm(&a.usizes("normalized_shape")?, x.get(1), x.get(2), a.f64("eps")?))
        }
        "group_norm" => {
            |a, x| one(x[0].group_norm(a.usize("num_groups")?, x.get(1), x.get(2), a.f64("eps")?))
        }
        "instance_norm" => |a, x| one(x[0].instance_norm(x.get(1), x.get(2), a.f64("eps")?)),
        _ => return None,
    })
}

fn conv_options(a: &Attrs) -> Result<ConvOptions, String> {
    Ok(ConvOptions {
        stride: a.pair("stride")?,
        padding: a.pair("padding")?,
        dilation: a.pair("dilation")?,
        groups: a.usize("groups")?,
    })
}

fn modulated_conv2d(a: &Attrs, x: &[Tensor]) -> Outputs {
    let eps = a.f64("eps")?;
    one(x[0].modulated_conv2d(&x[1], &x[2], a.pair("padding")?, a.bool("demodulate")?.then_some(eps)))
}

fn of_images(op: &str) -> Option<Rule> {
    Some(match op {
        "avg_pool2d" => |a, x| {
            let [kernel, stride, padding] = window(a)?;
            one(x[0].avg_pool2d(kernel, stride, padding))
        },
        "max_pool2d" => |a, x| {
            let [kernel, stride, padding] = window(a)?;
            one(x[0].max_pool2d(kernel, stride, padding))
        },
        "adaptive_avg_pool2d" => |a, x| one(x[0].adaptive_avg_pool2d(a.pair("output_size")?)),
        "interpolate" => |a, x| one(x[0].interpolate([a.usize("scale_factor")?; 2], interpolation(a)?)),
        "pixel_shuffle" => |a, x| one(x[0].pixel_shuffle(a.usize("upscale_factor")?)),
        "pixel_norm" => |a, x| one(x[0].pixel_norm(a.f64("eps")?)),
        "minibatch_stddev" => |a, x| {
            let group = a.usize_or_null("group_size")?;
            one(x[0].minibatch_stddev(group, a.usize("num_channels")?, a.f64("eps")?))
        },
        "spectral_norm" => spectral_norm,
        "conditional_batch_norm" => layers::conditional_batch_norm,
        "self_attention" => |_, x| {
            let [x, wq, bq, wk, bk, wv, bv, gamma] = x else {
                return Err(format!("self_attention has 8 inputs, got {}", x.len()));
            };
            one(x.self_attention((wq, Some(bq)), (wk, Some(bk)), (wv, Some(bv)), gamma))
        },
        _ => return None,
    })
}

/// Kernel size, stride and padding.
fn window(a: &Attrs) -> Result<[[usize; 2]; 3], String> {
    Ok([a.pair("kernel_size")?, a.pair("stride")?, a.pair("padding")?])
}

fn interpolation(a: &Attrs) -> Result<Interpolation, String> {
    match a.str("mode")? {
        "nearest" => Ok(Interpolation::Nearest),
        "bilinear" if a.bool("align_corners")? => Err("align_corners is not known".into()),
        "bilinear" => Ok(Interpolation::Bilinear),
        other => Err(format!("mode '{other}' is not known")),
    }
}

/// All iterations but the last come before the one that the weight is differentiated through.
fn spectral_norm(a: &Attrs, x: &[Tensor]) -> Outputs {
    let [w, u, v] = x else { return Err(format!("spectral_norm has 3 inputs, got {}", x.len())) };
    let (dim, eps) = (a.isize("dim")?, a.f64("eps")?);
    let order = match a.str("order")? {
        "v_first" => SpectralOrder::VFirst,
        "u_first" => SpectralOrder::UFirst,
        other => return Err(format!("order '{other}' is not known")),
    };
    let (mut u, mut v) = (u.clone(), v.clone());
    for _ in 1..a.usize("n_power_iterations")? {
        let next = no_grad(|| w.spectral_norm(&u, &v, dim, order, eps));
        (u, v) = (next.u, next.v);
    }
    let normed = w.spectral_norm(&u, &v, dim, order, eps);
    Ok(vec![normed.weight, normed.u, normed.v])
}

/// The dimensions of a reduction: null and none at all both mean all.
fn dims(a: &Attrs) -> Result<Vec<isize>, String> {
    Ok(a.isizes_or_null("dims")?.unwrap_or_default())
}

fn pad_mode(a: &Attrs) -> Result<PadMode, String> {
    match a.str("mode")? {
        "constant" => Ok(PadMode::Constant(a.f64("value")?)),
        "reflect" => Ok(PadMode::Reflect),
        other => Err(format!("mode '{other}' is not known")),
    }
}

fn reduction(a: &Attrs) -> Result<Reduction, String> {
    match a.str("reduction")? {
        "mean" => Ok(Reduction::Mean),
        "sum" => Ok(Reduction::Sum),
        "none" => Ok(Reduction::None),
        other => Err(format!("reduction '{other}' is not known")),
    }
}

/// The root of the mean of x^2 over all dimensions but the first. Over no dimensions the mean is x^2 itself.
fn sqrt_mean_square(x: &Tensor) -> Tensor {
    let over: Vec<isize> = (1..x.rank() as isize).collect();
    let square = x.square();
    if over.is_empty() { square.sqrt() } else { square.mean(&over, false).sqrt() }
}
