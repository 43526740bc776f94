//! What primitives are asked to compute: the functions that one kernel each has a loop for, with their constants.

/// What is done to the sums of a product or a convolution as they are written: a bias is added, and then what is <= 0
/// is multiplied by a slope, or becomes 0 if the slope is 0: [`Unary::LeakyRelu`] and [`Unary::Relu`] of the sum.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<B, S = f64> {
    /// One value for each column or channel of the result.
    pub bias: Option<B>,
    /// Of the rectifier, if there is one.
    pub slope: Option<S>,
}

impl<B, S> Default for Epilogue<B, S> {
    /// The sums as they are.
    fn default() -> Self {
        Epilogue { bias: None, slope: None }
    }
}

impl<B, S> Epilogue<B, S> {
    /// A bias alone, if there is one.
    pub fn bias(bias: Option<B>) -> Self {
        Epilogue { bias, slope: None }
    }

    /// Whether the sums are written as they are.
    pub fn is_none(&self) -> bool {
        self.bias.is_none() && self.slope.is_none()
    }

    /// The same in other types.
    pub fn map<C, R>(self, bias: impl FnOnce(B) -> C, slope: impl FnOnce(S) -> R) -> Epilogue<C, R> {
        Epilogue { bias: self.bias.map(bias), slope: self.slope.map(slope) }
    }
}

/// Elementwise functions of one operand.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Unary {
    /// -x
    Neg,
    /// e^x
    Exp,
    /// ln x
    Log,
    /// x^(1/2)
    Sqrt,
    /// |x|
    Abs,
    /// tanh x
    Tanh,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// max(x, 0); NaN stays NaN
    Relu,
    /// x where x > 0, else slope * x
    LeakyRelu(f64),
    /// ln(1 + e^(beta x)) / beta, and x itself where beta x > threshold
    Softplus {
        /// Steepness.
        beta: f64,
        /// Where the function is taken to be linear.
        threshold: f64,
    },
    /// mul * x + add
    Affine {
        /// Factor.
        mul: f64,
        /// Summand.
        add: f64,
    },
    /// x^p for a constant p
    Pow(f64),
    /// min(max(x, lo), hi); NaN stays NaN
    Clamp {
        /// Lower bound, -inf for none.
        lo: f64,
        /// Upper bound, +inf for none.
        hi: f64,
    },
}

/// Elementwise functions of two operands, already broadcast to one shape.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a * b
    Mul,
    /// a / b
    Div,
    /// The larger of a and b; NaN if either is
    Maximum,
    /// The smaller of a and b; NaN if either is
    Minimum,
    /// A loss of (prediction, target)
    Loss(Loss),
    /// (g, y): g where y > 0, else slope * g
    LeakyReluGrad(f64),
    /// (g, x): g where lo < x < hi, else 0
    ClampGrad {
        /// Lower bound.
        lo: f64,
        /// Upper bound.
        hi: f64,
    },
    /// (g, x): g where x > 0, -g where x < 0, else 0
    AbsGrad,
    /// (g, y): g (1 - y^2)
    TanhGrad,
    /// (g, y): g y (1 - y)
    SigmoidGrad,
}

/// Losses of a prediction p and a target t, element by element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// -(t max(ln p, -100) + (1-t) max(ln(1-p), -100)); derivative in p (p - t) / max(p (1 - p), [`Loss::SMALLEST_VARIANCE`])
    Bce,
    /// max(p, 0) - p t + ln(1 + e^-|p|); derivative in p 1 / (1 + e^-p) - t
    BceWithLogits,
    /// (p - t)^2; derivative in p 2 (p - t)
    SquaredError,
    /// |p - t|; derivative in p the sign of p - t, 0 at 0
    AbsoluteError,
}

impl Loss {
    /// The smallest p (1 - p) that the derivative of [`Loss::Bce`] divides by: PyTorch's, which is 1e-12 in f32 for every
    /// dtype.
    pub const SMALLEST_VARIANCE: f64 = 1e-12f32 as f64;
}

/// Comparisons; the result is u8, 1 where true.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compare {
    /// a == b
    Eq,
    /// a != b
    Ne,
    /// a < b
    Lt,
    /// a <= b
    Le,
    /// a > b
    Gt,
    /// a >= b
    Ge,
}

/// Reductions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduce {
    /// Sum; 0 for nothing.
    Sum,
    /// Largest element; NaN if any is NaN. Never asked of nothing.
    Max,
}

/// What random numbers to draw.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Random {
    /// Uniform in [lo, hi).
    Uniform {
        /// Lower bound, included.
        lo: f64,
        /// Upper bound, excluded.
        hi: f64,
    },
    /// Normal with this mean and standard deviation.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// `value` with probability `p`, else 0.
    Bernoulli {
        /// Probability of `value`.
        p: f64,
        /// The value that is not zero.
        value: f64,
    },
}

/// An optimiser's update rule with this step's scalars.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Update {
    /// See [`crate::optim::Sgd`]. Moments: the momentum buffer, if momentum is not 0.
    Sgd {
        /// Learning rate.
        lr: f64,
        /// Factor of the momentum buffer.
        momentum: f64,
        /// The gradient enters the buffer with 1 - dampening.
        dampening: f64,
        /// Nesterov's form.
        nesterov: bool,
        /// Factor of the parameter added to the gradient.
        weight_decay: f64,
        /// The first step fills the momentum buffer.
        first: bool,
    },
    /// See [`crate::optim::Adam`] and [`crate::optim::AdamW`]. Moments: first, second, and the largest second so far if
    /// `amsgrad`.
    Adam {
        /// Learning rate.
        lr: f64,
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        eps: f64,
        /// Factor of the parameter added to the gradient; AdamW's takes it from the parameter.
        weight_decay: f64,
        /// AdamW: p <- (1 - lr weight_decay) p comes first, and nothing is added to the gradient.
        decoupled: bool,
        /// Divides by the largest second moment so far.
        amsgrad: bool,
        /// 1 - beta1^t
        correction1: f64,
        /// 1 - beta2^t
        correction2: f64,
    },
    /// See [`crate::optim::RmsProp`]. Moments: the mean square, the momentum buffer if momentum is not 0, and the mean
    /// if `centered`.
    RmsProp {
        /// Learning rate.
        lr: f64,
        /// Decay of the mean square.
        alpha: f64,
        /// Added to the denominator.
        eps: f64,
        /// Factor of the parameter added to the gradient.
        weight_decay: f64,
        /// Factor of the momentum buffer.
        momentum: f64,
        /// Divides by the standard deviation, not by the root of the mean square.
        centered: bool,
    },
}

/// What a gradient goes through before a rule sees it: clamp(scale g, -limit, limit). NaN stays NaN.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct GradClip {
    /// Factor of every element.
    pub scale: f64,
    /// Largest magnitude of an element, at least 0; infinite for none.
    pub limit: f64,
}

impl GradClip {
    /// Leaves every gradient as it is, bit for bit.
    pub const NONE: GradClip = GradClip { scale: 1.0, limit: f64::INFINITY };
}

/// How the window of a two-dimensional convolution moves: `[vertical, horizontal]` each.
///
/// ```
/// use ganvil::ConvOptions;
/// let half = ConvOptions::new().stride(2).padding(1);
/// assert_eq!((half.stride, half.padding, half.dilation, half.groups), ([2, 2], [1, 1], [1, 1], 1));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ConvOptions {
    /// Pixels the window moves by.
    pub stride: [usize; 2],
    /// Zeros assumed on each side.
    pub padding: [usize; 2],
    /// Distance between the window's taps.
    pub dilation: [usize; 2],
    /// Parts that the channels are cut into, each convolved on its own.
    pub groups: usize,
}

impl Default for ConvOptions {
    fn default() -> ConvOptions {
        ConvOptions { stride: [1, 1], padding: [0, 0], dilation: [1, 1], groups: 1 }
    }
}

impl ConvOptions {
    /// Stride 1, no padding, no dilation, one group.
    pub fn new() -> ConvOptions {
        ConvOptions::default()
    }

    /// The same stride in both directions.
    pub fn stride(self, n: usize) -> ConvOptions {
        ConvOptions { stride: [n, n], ..self }
    }

    /// The same padding in both directions.
    pub fn padding(self, n: usize) -> ConvOptions {
        ConvOptions { padding: [n, n], ..self }
    }

    /// The same dilation in both directions.
    pub fn dilation(self, n: usize) -> ConvOptions {
        ConvOptions { dilation: [n, n], ..self }
    }

    /// So many groups.
    pub fn groups(self, n: usize) -> ConvOptions {
        ConvOptions { groups: n, ..self }
    }
}

/// What [`upfirdn2d`](super::Backend::upfirdn2d) does along each dimension of an image: height, then width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Upfirdn {
    /// Every input is followed by this number less one of zeros; at least 1.
    pub up: [usize; 2],
    /// One of this number of results is kept, the first one included; at least 1.
    pub down: [usize; 2],
    /// Zeros before the first input, of the upsampled image; negative numbers crop.
    pub pad: [isize; 2],
    /// Whether the filter is read from its last entry to its first.
    pub flip: bool,
}

/// The windows of a pooling: height, then width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Size.
    pub kernel: [usize; 2],
    /// Distance of neighbours; at least 1.
    pub stride: [usize; 2],
    /// How far the first one reaches over the edge; less than its size.
    pub padding: [usize; 2],
}
