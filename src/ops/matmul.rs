//! Matrix products.

use super::activation::Activation;
use crate::backend::{Epilogue, View};
use crate::error::misuse;
use crate::layout::broadcast_shapes;
use crate::tensor::node::{Context, Op, Save};
use crate::{Dims, Layout, Tensor};

struct Matmul;
impl Op for Matmul {
    fn name(&self) -> &'static str {
        "matmul"
    }
    /// dA = G B^T, dB = A^T G, summed over the batch dimensions that were broadcast
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (a, b) = (c.saved(0), c.saved(1));
        let da = c.needs(0).then(|| g.matmul(&b.t()).sum_to(a.shape()));
        let db = c.needs(1).then(|| {
            if b.rank() == 2 && a.rank() > 2 && g.rank() == a.rank() {
                // One product over all rows of the batch, in place of a sum of products.
                a.flatten_rows().t().matmul(&g.flatten_rows())
            } else {
                a.t().matmul(g).sum_to(b.shape())
            }
        });
        vec![da, db]
    }
}

struct Linear {
    bias: bool,
}
impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }
    /// The composition of its parts' rules: dx = G W, dW = G^T x, db = sum of G over rows
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (x, w) = (c.saved(0), c.saved(1));
        let rows = g.flatten_rows();
        let dx = c.needs(0).then(|| rows.matmul(w).reshape(x.shape()));
        let dw = c.needs(1).then(|| rows.t().matmul(&x.flatten_rows()));
        let mut grads = vec![dx, dw];
        if self.bias {
            grads.push(c.needs(2).then(|| rows.sum(&[0], false)));
        }
        grads
    }
}

impl Tensor {
    /// All dimensions but the last merged into one: `[.., n]` as `[rows, n]`.
    fn flatten_rows(&self) -> Tensor {
        let n = self.shape().last().copied().unwrap_or(1);
        let rows = self.shape()[..self.rank().saturating_sub(1)].iter().product();
        self.reshape(&[rows, n])
    }

    /// The last two dimensions exchanged.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.t().to_vec::<f32>(), [1.0, 3.0, 2.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// With fewer than two dimensions.
    #[track_caller]
    pub fn t(&self) -> Tensor {
        if self.rank() < 2 {
            misuse!("t", "needs at least 2 dimensions, got shape {:?}", self.shape());
        }
        self.transpose(-2, -1)
    }

    /// Matrix product `[.., m, k] [.., k, n] = [.., m, n]`; batch dimensions broadcast. Operands may be views of any
    /// strides (transposed ones are not copied). Derivatives: G B^T and A^T G.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let a = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// let b = Tensor::from([[1.0f32], [10.0]]);
    /// assert_eq!(a.matmul(&b).to_vec::<f32>(), [21.0, 43.0]);
    /// ```
    ///
    /// # Panics
    /// With fewer than two dimensions, if the inner sizes differ or the batch dimensions do not broadcast.
    #[track_caller]
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        self.check_with("matmul", other);
        self.check_float("matmul");
        let (sa, sb) = (self.shape(), other.shape());
        if sa.len() < 2 || sb.len() < 2 {
            misuse!(
                "matmul",
                "needs at least 2 dimensions each, got shapes {sa:?} and {sb:?}; unsqueeze a vector"
            );
        }
        let ([ba @ .., m, ka], [bb @ .., kb, n]) = (sa, sb) else { unreachable!("ranks were checked") };
        if ka != kb {
            misuse!("matmul", "the inner sizes differ: {sa:?} has {ka} columns, {sb:?} has {kb} rows");
        }
        let Some(batch) = broadcast_shapes(ba, bb) else {
            misuse!(
                "matmul",
                "the batch dimensions of {sa:?} and {sb:?} do not broadcast; all but the last two must be equal or 1"
            );
        };
        let with = |d0: usize, d1: usize| -> Dims { batch.iter().copied().chain([d0, d1]).collect() };
        let shape = with(*m, *n);
        super::check_shape("matmul", &shape);
        let y = match self.layout().reshaped(&[ba.iter().product::<usize>() * m, *ka]) {
            // A shared right operand: the whole batch is one tall matrix.
            Some(rows) if bb.is_empty() => {
                let end = Epilogue::default();
                self.viewed(rows).gemm_value(other, &rows, other.layout(), end, &[rows.shape()[0], *n])
            }
            _ => {
                let la = super::expand_layout(self, &with(*m, *ka));
                let lb = super::expand_layout(other, &with(*ka, *n));
                self.gemm_value(other, &la, &lb, Epilogue::default(), &shape)
            }
        };
        y.viewed(Layout::contiguous(&shape)).record(
            Matmul,
            &[self, other],
            &[Save::Value(self), Save::Value(other)],
        )
    }

    fn gemm_value(
        &self,
        b: &Tensor,
        la: &Layout,
        lb: &Layout,
        end: Epilogue<&Tensor>,
        shape: &[usize],
    ) -> Tensor {
        Tensor::build(Layout::contiguous(shape), self.dtype(), self.device(), |out| {
            let a = View { layout: la, ..self.view() };
            let b = View { layout: lb, ..b.view() };
            self.backend().gemm(a, b, end.map(Tensor::view, |slope| slope), out)
        })
    }

    /// `y = x W^T + b` for x `[.., in]`, W `[out, in]` and b `[out]`: y `[.., out]`. The bias is added as the
    /// product is written back. Derivatives: G W, G^T x, and the sum of G over rows.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (x, w) = (Tensor::from([[1.0f32, 2.0]]), Tensor::from([[3.0f32, 4.0], [5.0, 6.0], [7.0, 8.0]]));
    /// let y = x.linear(&w, Some(&Tensor::from(&[0.5f32, 0.5, 0.5][..])));
    /// assert_eq!(y.to_vec::<f32>(), [11.5, 17.5, 23.5]);
    /// ```
    ///
    /// # Panics
    /// If the sizes do not fit.
    #[track_caller]
    pub fn linear(&self, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        self.linear_rectified(weight, bias, None)
    }

    /// An activation of [`Tensor::linear`], applied as the product is written back where a device's kernels can (the CPU's
    /// in f32 and f64), and the same bits as the two ops one after the other. In the graph it is these two.
    ///
    /// ```
    /// use ganvil::{Activation, Tensor};
    /// let (x, w) = (Tensor::from([[1.0f32, 2.0]]), Tensor::from([[3.0f32, 4.0], [-5.0, -6.0]]));
    /// assert_eq!(x.linear_act(&w, None, Activation::LeakyRelu(0.5)).to_vec::<f32>(), [11.0, -8.5]);
    /// ```
    ///
    /// # Panics
    /// If the sizes do not fit.
    #[track_caller]
    pub fn linear_act(&self, weight: &Tensor, bias: Option<&Tensor>, act: Activation) -> Tensor {
        let slope = act.in_epilogue_of(self);
        self.linear_rectified(weight, bias, slope).activated(act, slope.is_some())
    }

    /// Both, recorded as the first.
    #[track_caller]
    fn linear_rectified(&self, weight: &Tensor, bias: Option<&Tensor>, slope: Option<f64>) -> Tensor {
        self.check_with("linear", weight);
        self.check_float("linear");
        let (sx, sw) = (self.shape(), weight.shape());
        if sw.len() != 2 || sx.last() != sw.last() {
            misuse!("linear", "needs x [.., in] and weight [out, in], got x {sx:?} and weight {sw:?}");
        }
        if let Some(b) = bias {
            self.check_with("linear", b);
            if b.shape() != [sw[0]] {
                misuse!(
                    "linear",
                    "needs bias [out] = [{}] for x {sx:?} and weight {sw:?}, got {:?}",
                    sw[0],
                    b.shape()
                );
            }
        }
        let x = self.detach().flatten_rows();
        let shape: Dims = sx[..sx.len() - 1].iter().copied().chain([sw[0]]).collect();
        let wt = weight.detach().t();
        let end = Epilogue { bias, slope };
        let y = x.gemm_value(&wt, x.layout(), wt.layout(), end, &[x.shape()[0], sw[0]]);
        let y = y.viewed(Layout::contiguous(&shape));
        let saves = [Save::Value(self), Save::Value(weight)];
        match bias {
            Some(b) => y.record(Linear { bias: true }, &[self, weight, b], &saves),
            None => y.record(Linear { bias: false }, &[self, weight], &saves),
        }
    }
}
