//! Two-dimensional convolution: three ops, each bilinear, whose derivatives are again these three.
//!
//! | op | gradient for its first input | for its second |
//! |---|---|---|
//! | `conv2d(x, W)` | `conv_transpose2d(g, W)` | `conv2d_weight_grad(x, g)` |
//! | `conv_transpose2d(y, W)` | `conv2d(g, W)` | `conv2d_weight_grad(g, y)` |
//! | `conv2d_weight_grad(x, g)` | `conv_transpose2d(g, G)` | `conv2d(x, G)` |
//!
//! A rule knows the sizes of what it differentiates for, so that nothing is guessed from strides.

use super::activation::Activation;
use crate::backend::{ConvOptions, Epilogue, ViewMut};
use crate::error::misuse;
use crate::tensor::node::{Context, Op, Save};
use crate::{Layout, Tensor};

struct Conv2d {
    options: ConvOptions,
    bias: bool,
}
impl Op for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }
    /// dx = conv_transpose2d(G, W), dW = conv2d_weight_grad(x, G), db = the sum of G over images and pixels
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (x, w, g) = (c.saved(0), c.saved(1), &g.to_channels_last());
        let dx = c.needs(0).then(|| g.transposed(w, None, &self.options, size(x)));
        let dw = c.needs(1).then(|| x.weight_grad(g, &self.options, size(w)));
        let mut grads = vec![dx, dw];
        if self.bias {
            grads.push(c.needs(2).then(|| g.sum(&[0, 2, 3], false)));
        }
        grads
    }
}

struct ConvTranspose2d {
    options: ConvOptions,
    bias: bool,
}
impl Op for ConvTranspose2d {
    fn name(&self) -> &'static str {
        "conv_transpose2d"
    }
    /// dy = conv2d(G, W), dW = conv2d_weight_grad(G, y), db = the sum of G over images and pixels
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (y, w, g) = (c.saved(0), c.saved(1), &g.to_channels_last());
        let dy = c.needs(0).then(|| g.correlated(w, Epilogue::default(), &self.options, size(y)));
        let dw = c.needs(1).then(|| g.weight_grad(y, &self.options, size(w)));
        let mut grads = vec![dy, dw];
        if self.bias {
            grads.push(c.needs(2).then(|| g.sum(&[0, 2, 3], false)));
        }
        grads
    }
}

struct Conv2dWeightGrad {
    options: ConvOptions,
}
impl Op for Conv2dWeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_weight_grad"
    }
    /// For the upstream gradient G, a weight: dx = conv_transpose2d(g, G), dg = conv2d(x, G)
    fn vjp(&self, c: &Context, upstream: &Tensor) -> Vec<Option<Tensor>> {
        let (x, g) = (c.saved(0), c.saved(1));
        let dx = c.needs(0).then(|| g.transposed(upstream, None, &self.options, size(x)));
        let dg = c.needs(1).then(|| x.correlated(upstream, Epilogue::default(), &self.options, size(g)));
        vec![dx, dg]
    }
}

/// Rows and columns.
fn size(x: &Tensor) -> [usize; 2] {
    [x.shape()[2], x.shape()[3]]
}

/// What all convolutions ask of an image, a weight and the way the window moves.
#[track_caller]
fn check(op: &str, x: &Tensor, weight: &Tensor, o: &ConvOptions) {
    x.check_with(op, weight);
    x.check_full(op);
    let (sx, sw) = (x.shape(), weight.shape());
    if sx.len() != 4 || sw.len() != 4 {
        misuse!(
            op,
            "needs x [n, channels, h, w] and a weight of 4 dimensions, got x {sx:?} and weight {sw:?}"
        );
    }
    for (what, values) in [("stride", o.stride), ("dilation", o.dilation), ("groups", [o.groups, o.groups])] {
        if values.contains(&0) {
            misuse!(op, "{what} is {values:?} for x {sx:?}; it must be at least 1");
        }
    }
    if !sx[1].is_multiple_of(o.groups) || !sw[0].is_multiple_of(o.groups) {
        misuse!(
            op,
            "groups {} do not divide the {} channels of x {sx:?} and the {} of the weight {sw:?}",
            o.groups,
            sx[1],
            sw[0]
        );
    }
    if sw[2] == 0 || sw[3] == 0 {
        misuse!(op, "the kernel of weight {sw:?} is empty; it needs at least one row and one column");
    }
}

#[track_caller]
fn check_bias(op: &str, x: &Tensor, bias: Option<&Tensor>, channels: usize) {
    let Some(b) = bias else { return };
    x.check_with(op, b);
    if b.shape() != [channels] {
        misuse!(op, "needs bias [out] = [{channels}], got {:?}", b.shape());
    }
}

/// The number of positions of a window along one dimension.
#[track_caller]
fn positions(op: &str, sx: &[usize], sw: &[usize], o: &ConvOptions, d: usize) -> usize {
    let padded = sx[2 + d].saturating_add(o.padding[d].saturating_mul(2));
    let reach = (sw[2 + d] - 1).saturating_mul(o.dilation[d]).saturating_add(1);
    if reach > padded {
        misuse!(
            op,
            "the kernel of weight {sw:?} spans {reach} with dilation {}, more than the {padded} of x {sx:?} with padding {}; \
             use a smaller kernel or more padding",
            o.dilation[d],
            o.padding[d]
        );
    }
    (padded - reach) / o.stride[d] + 1
}

/// The size of what a transposed convolution spreads over along one dimension.
#[track_caller]
fn spread(
    op: &str,
    sy: &[usize],
    sw: &[usize],
    o: &ConvOptions,
    output_padding: [usize; 2],
    d: usize,
) -> usize {
    let starts = sy[2 + d].saturating_sub(1).saturating_mul(o.stride[d]);
    let kernel = (sw[2 + d] - 1).saturating_mul(o.dilation[d]).saturating_add(1 + output_padding[d]);
    let whole = starts.saturating_add(kernel);
    let gone = o.padding[d].saturating_mul(2);
    if sy[2 + d] == 0 || gone >= whole {
        misuse!(
            op,
            "y {sy:?} with weight {sw:?} spreads over {whole}, of which padding {} takes all; use less padding",
            o.padding[d]
        );
    }
    whole - gone
}

impl Tensor {
    /// The two-dimensional cross-correlation of images with a weight:
    ///
    /// ```text
    /// y[n, o, i, j] = bias[o] + sum over c, u, v of x[n, c, i sh + u dh - ph, j sw + v dw - pw] W[o, c, u, v]
    /// ```
    ///
    /// for x `[n, C, h, w]`, W `[O, C/groups, kh, kw]`, bias `[O]`; x is 0 outside. y is `[n, O, oh, ow]` with
    /// oh = floor((h + 2 ph - dh (kh - 1) - 1) / sh) + 1, and lies channels-last. With groups, the g-th part of the
    /// output channels sees the g-th part of the input's. f32 and f64.
    ///
    /// Derivatives: [`Tensor::conv_transpose2d`] of the gradient and [`Tensor::conv2d_weight_grad`].
    ///
    /// ```
    /// use ganvil::{ConvOptions, Tensor};
    /// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0], &[1, 1, 2, 2]);
    /// let edge = Tensor::new(&[-1.0f32, 1.0], &[1, 1, 1, 2]);
    /// assert_eq!(x.conv2d(&edge, None, &ConvOptions::new()).to_vec::<f32>(), [1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the sizes do not fit: channels, groups that do not divide them, a kernel larger than the padded image; stride
    /// or dilation 0.
    #[track_caller]
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, options: &ConvOptions) -> Tensor {
        self.conv2d_rectified(weight, Epilogue::bias(bias), options)
    }

    /// An activation of [`Tensor::conv2d`], applied as the sums are written back where a device's kernels can (the CPU's), and
    /// the same bits as the two ops one after the other. In the graph it is these two.
    ///
    /// ```
    /// use ganvil::{Activation, ConvOptions, Tensor};
    /// let x = Tensor::new(&[1.0f32, 2.0, 4.0], &[1, 1, 1, 3]);
    /// let w = Tensor::new(&[-1.0f32, 1.0], &[1, 1, 1, 2]);
    /// let minus = Tensor::from(&[-1.5f32][..]);
    /// let y = x.conv2d_act(&w, Some(&minus), &ConvOptions::new(), Activation::Relu);
    /// assert_eq!(y.to_vec::<f32>(), [0.0, 0.5]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::conv2d`].
    #[track_caller]
    pub fn conv2d_act(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvOptions,
        act: Activation,
    ) -> Tensor {
        // Where there is nothing to sum no kernel runs.
        let any = self.numel() > 0 && weight.numel() > 0;
        let slope = act.in_epilogue_of(self).filter(|_| any);
        self.conv2d_rectified(weight, Epilogue { bias, slope }, options).activated(act, slope.is_some())
    }

    /// Both, recorded as the first.
    #[track_caller]
    fn conv2d_rectified(&self, weight: &Tensor, end: Epilogue<&Tensor>, options: &ConvOptions) -> Tensor {
        check("conv2d", self, weight, options);
        let (sx, sw) = (self.shape(), weight.shape());
        if sx[1] != sw[1] * options.groups {
            misuse!(
                "conv2d",
                "x {sx:?} has {} channels, weight {sw:?} with groups {} takes {}",
                sx[1],
                options.groups,
                sw[1] * options.groups
            );
        }
        check_bias("conv2d", self, end.bias, sw[0]);
        let to = [positions("conv2d", sx, sw, options, 0), positions("conv2d", sx, sw, options, 1)];
        super::check_shape("conv2d", &[sx[0], sw[0], to[0], to[1]]);
        self.to_channels_last().correlated(weight, end, options, to)
    }

    /// The adjoint of [`Tensor::conv2d`], "deconvolution": every pixel of y spreads a weighted kernel over the result.
    ///
    /// ```text
    /// x[n, c, i sh + u dh - ph, j sw + v dw - pw] += y[n, k, i, j] W[k, c, u, v],   then + bias[c]
    /// ```
    ///
    /// for y `[n, K, h, w]`, W `[K, C/groups, kh, kw]`, bias `[C]`. The result is `[n, C, H, W]` with
    /// H = (h - 1) sh - 2 ph + dh (kh - 1) + output_padding + 1: of the sizes that a convolution with this stride makes
    /// equal, output_padding picks one. Kernel 4, stride 2 and padding 1 double an image. f32 and f64.
    ///
    /// Derivatives: [`Tensor::conv2d`] of the gradient and [`Tensor::conv2d_weight_grad`].
    ///
    /// ```
    /// use ganvil::{ConvOptions, Tensor};
    /// let y = Tensor::new(&[1.0f32, 10.0], &[1, 1, 1, 2]);
    /// let w = Tensor::new(&[1.0f32, 2.0, 3.0], &[1, 1, 1, 3]);
    /// let x = y.conv_transpose2d(&w, None, &ConvOptions { stride: [1, 2], ..ConvOptions::new() }, [0, 0]);
    /// assert_eq!(x.to_vec::<f32>(), [1.0, 2.0, 13.0, 20.0, 30.0]);
    /// ```
    ///
    /// # Panics
    /// If the sizes do not fit, the padding takes away more than there is, or output_padding is not less than the
    /// stride or the dilation.
    #[track_caller]
    pub fn conv_transpose2d(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvOptions,
        output_padding: [usize; 2],
    ) -> Tensor {
        const OP: &str = "conv_transpose2d";
        check(OP, self, weight, options);
        let (sy, sw, o) = (self.shape(), weight.shape(), options);
        if sy[1] != sw[0] {
            misuse!(
                OP,
                "y {sy:?} has {} channels, weight {sw:?} takes {} (its first dimension)",
                sy[1],
                sw[0]
            );
        }
        check_bias(OP, self, bias, sw[1] * o.groups);
        if (0..2).any(|d| output_padding[d] >= o.stride[d].max(o.dilation[d])) {
            misuse!(
                OP,
                "output_padding {output_padding:?} must be less than stride {:?} or dilation {:?}",
                o.stride,
                o.dilation
            );
        }
        let to = [spread(OP, sy, sw, o, output_padding, 0), spread(OP, sy, sw, o, output_padding, 1)];
        super::check_shape(OP, &[sy[0], sw[1] * o.groups, to[0], to[1]]);
        self.to_channels_last().transposed(weight, bias, options, to)
    }

    /// The gradient of [`Tensor::conv2d`]'s weight, for inputs x (this) `[n, C, h, w]` and the gradient g of its result
    /// `[n, O, oh, ow]`: dW `[O, C/groups, kh, kw]` with
    ///
    /// ```text
    /// dW[o, c, u, v] = sum over n, i, j of x[n, c, i sh + u dh - ph, j sw + v dw - pw] g[n, o, i, j]
    /// ```
    ///
    /// Bilinear in x and g; derivatives: [`Tensor::conv_transpose2d`] and [`Tensor::conv2d`] with the upstream gradient
    /// for a weight. f32 and f64.
    ///
    /// ```
    /// use ganvil::{ConvOptions, Tensor};
    /// let x = Tensor::new(&[1.0f32, 2.0, 3.0], &[1, 1, 1, 3]);
    /// let g = Tensor::new(&[1.0f32, 10.0], &[1, 1, 1, 2]);
    /// assert_eq!(x.conv2d_weight_grad(&g, [1, 2], &ConvOptions::new()).to_vec::<f32>(), [21.0, 32.0]);
    /// ```
    ///
    /// # Panics
    /// If the sizes do not fit.
    #[track_caller]
    pub fn conv2d_weight_grad(&self, g: &Tensor, kernel: [usize; 2], options: &ConvOptions) -> Tensor {
        const OP: &str = "conv2d_weight_grad";
        self.check_with(OP, g);
        let (sx, sg) = (self.shape(), g.shape());
        if sx.len() != 4 || sg.len() != 4 || sx[0] != sg[0] {
            misuse!(OP, "needs x [n, C, h, w] and g [n, O, oh, ow] of one n, got x {sx:?} and g {sg:?}");
        }
        let weight = [sg[1], sx[1] / options.groups.max(1), kernel[0], kernel[1]];
        super::check_shape(OP, &weight);
        let shaped = Tensor::zeros(&[1], self.dtype(), self.device()).expand(&weight);
        check(OP, self, &shaped, options);
        let to = [positions(OP, sx, &weight, options, 0), positions(OP, sx, &weight, options, 1)];
        if to != size(g) {
            misuse!(
                OP,
                "x {sx:?} with kernel {kernel:?} gives images of {to:?}, g {sg:?} is of another size"
            );
        }
        self.to_channels_last().weight_grad(&g.to_channels_last(), options, kernel)
    }

    /// [`Tensor::conv2d`] of operands that fit, at the first `to` positions of the window; this is channels-last.
    fn correlated(
        &self,
        weight: &Tensor,
        end: Epilogue<&Tensor>,
        options: &ConvOptions,
        to: [usize; 2],
    ) -> Tensor {
        let shape = [self.shape()[0], weight.shape()[0], to[0], to[1]];
        let y = self.convolution(weight, end.bias, &shape, |x, w, b, out| {
            let end = Epilogue { bias: b.map(Tensor::view), slope: end.slope };
            self.backend().conv2d(x.view(), w.view(), end, options, out)
        });
        let op = Conv2d { options: *options, bias: end.bias.is_some() };
        self.record_convolution(y, op, weight, end.bias)
    }

    /// [`Tensor::conv_transpose2d`] of operands that fit, to images of a given size; this is channels-last.
    fn transposed(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: &ConvOptions,
        to: [usize; 2],
    ) -> Tensor {
        let shape = [self.shape()[0], weight.shape()[1] * options.groups, to[0], to[1]];
        let x = self.convolution(weight, bias, &shape, |g, w, b, out| {
            self.backend().conv2d_input_grad(g.view(), w.view(), b.map(Tensor::view), options, out)
        });
        let op = ConvTranspose2d { options: *options, bias: bias.is_some() };
        self.record_convolution(x, op, weight, bias)
    }

    /// The value of either, channels-last; the bias where there is nothing to sum.
    fn convolution(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        shape: &[usize],
        compute: impl FnOnce(&Tensor, &Tensor, Option<&Tensor>, ViewMut),
    ) -> Tensor {
        let (x, w) = (self.detach(), weight.detach().contiguous());
        let bias = bias.map(|b| b.detach().contiguous());
        Tensor::build(Layout::channels_last(shape), self.dtype(), self.device(), |out| {
            if x.numel() > 0 && w.numel() > 0 && out.layout.numel() > 0 {
                return compute(&x, &w, bias.as_ref(), out);
            }
            match bias {
                Some(b) if b.numel() > 0 => {
                    let b = b.reshape(&[1, shape[1], 1, 1]);
                    self.backend().copy(b.expand(shape).view(), out)
                }
                _ => self.backend().fill(0.0, out),
            }
        })
    }

    fn record_convolution(
        &self,
        y: Tensor,
        op: impl Op + 'static,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Tensor {
        let saves = [Save::Value(self), Save::Value(weight)];
        match bias {
            Some(b) => y.record(op, &[self, weight, b], &saves),
            None => y.record(op, &[self, weight], &saves),
        }
    }

    /// [`Tensor::conv2d_weight_grad`] of operands that fit, both channels-last.
    fn weight_grad(&self, g: &Tensor, options: &ConvOptions, kernel: [usize; 2]) -> Tensor {
        let channels = self.shape()[1] / options.groups;
        let shape = [g.shape()[1], channels, kernel[0], kernel[1]];
        let dw = Tensor::build(Layout::contiguous(&shape), self.dtype(), self.device(), |out| {
            if self.numel() > 0 && g.numel() > 0 {
                self.backend().conv2d_weight_grad(self.view(), g.view(), options, out)
            } else {
                self.backend().fill(0.0, out)
            }
        });
        dw.record(Conv2dWeightGrad { options: *options }, &[self, g], &[Save::Value(self), Save::Value(g)])
    }
}
