//! Optimiser steps: one pass over all parameters, moments and averages.

use super::float::Float;
use super::simd::{Kernel, vectorize};
use crate::backend::Update;

/// Elements that one task updates.
pub(super) const CHUNK: usize = 16 * 1024;

/// A piece of one parameter with what belongs to it; all slices have one length.
pub(super) struct Piece<'a, W> {
    pub param: &'a mut [W],
    pub grad: &'a [W],
    pub first: Option<&'a mut [W]>,
    pub second: Option<&'a mut [W]>,
    pub ema: Option<(&'a mut [W], f64)>,
}

/// Applies a rule to a piece, then moves the average.
pub(super) fn piece<W: Float>(rule: Update, p: &mut Piece<W>) {
    match rule {
        Update::Sgd { lr, momentum, dampening, nesterov, weight_decay, first } => {
            let h = Sgd { lr: W::c(lr), weight_decay: W::c(weight_decay) };
            match p.first.take() {
                None => vectorize(SgdPlain { h, p: p.param, g: p.grad }),
                Some(buf) => vectorize(SgdMomentum {
                    h,
                    momentum: W::c(momentum),
                    // The first step fills the buffer with the gradient itself.
                    keep: W::c(if first { 0.0 } else { momentum }),
                    enter: W::c(if first { 1.0 } else { 1.0 - dampening }),
                    nesterov,
                    p: p.param,
                    g: p.grad,
                    buf,
                }),
            }
        }
        Update::Adam { lr, beta1, beta2, eps, weight_decay, correction1, correction2 } => {
            let (Some(m), Some(v)) = (p.first.take(), p.second.take()) else {
                unreachable!("Adam's rows come with two moments")
            };
            vectorize(Adam {
                step: W::c(lr / correction1),
                rescale: W::c(1.0 / correction2.sqrt()),
                beta: [W::c(beta1), W::c(beta2)],
                enter: [W::c(1.0 - beta1), W::c(1.0 - beta2)],
                eps: W::c(eps),
                weight_decay: W::c(weight_decay),
                p: p.param,
                g: p.grad,
                m,
                v,
            });
        }
        Update::RmsProp { lr, alpha, eps, weight_decay, momentum } => {
            let Some(square) = p.first.take() else { unreachable!("RMSprop's rows come with a mean square") };
            vectorize(RmsProp {
                lr: W::c(lr),
                alpha: W::c(alpha),
                enter: W::c(1.0 - alpha),
                eps: W::c(eps),
                weight_decay: W::c(weight_decay),
                momentum: W::c(momentum),
                p: p.param,
                g: p.grad,
                square,
                buf: p.second.take(),
            });
        }
    }
    if let Some((ema, decay)) = &mut p.ema {
        vectorize(Ema { decay: W::c(*decay), enter: W::c(1.0 - *decay), ema, p: p.param });
    }
}

#[derive(Clone, Copy)]
struct Sgd<W> {
    lr: W,
    weight_decay: W,
}

struct SgdPlain<'a, W> {
    h: Sgd<W>,
    p: &'a mut [W],
    g: &'a [W],
}
impl<W: Float> Kernel for SgdPlain<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (p, &g) in self.p.iter_mut().zip(self.g) {
            *p = *p - self.h.lr * (g + self.h.weight_decay * *p);
        }
    }
}

struct SgdMomentum<'a, W> {
    h: Sgd<W>,
    momentum: W,
    keep: W,
    enter: W,
    nesterov: bool,
    p: &'a mut [W],
    g: &'a [W],
    buf: &'a mut [W],
}
impl<W: Float> Kernel for SgdMomentum<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for ((p, &g), b) in self.p.iter_mut().zip(self.g).zip(self.buf) {
            let g = g + self.h.weight_decay * *p;
            *b = self.keep * *b + self.enter * g;
            *p = *p - self.h.lr * if self.nesterov { g + self.momentum * *b } else { *b };
        }
    }
}

struct Adam<'a, W> {
    /// lr / (1 - beta1^t)
    step: W,
    /// 1 / sqrt(1 - beta2^t)
    rescale: W,
    beta: [W; 2],
    enter: [W; 2],
    eps: W,
    weight_decay: W,
    p: &'a mut [W],
    g: &'a [W],
    m: &'a mut [W],
    v: &'a mut [W],
}
impl<W: Float> Kernel for Adam<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for (((p, &g), m), v) in self.p.iter_mut().zip(self.g).zip(self.m).zip(self.v) {
            let g = g + self.weight_decay * *p;
            *m = self.beta[0] * *m + self.enter[0] * g;
            *v = self.beta[1] * *v + self.enter[1] * (g * g);
            *p = *p - self.step * *m / (v.sqrt() * self.rescale + self.eps);
        }
    }
}

struct RmsProp<'a, W> {
    lr: W,
    alpha: W,
    enter: W,
    eps: W,
    weight_decay: W,
    momentum: W,
    p: &'a mut [W],
    g: &'a [W],
    square: &'a mut [W],
    buf: Option<&'a mut [W]>,
}
impl<W: Float> Kernel for RmsProp<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let update = |p: W, g: W, s: &mut W| {
            let g = g + self.weight_decay * p;
            *s = self.alpha * *s + self.enter * (g * g);
            g / (s.sqrt() + self.eps)
        };
        let rows = self.p.iter_mut().zip(self.g).zip(self.square);
        match self.buf {
            None => rows.for_each(|((p, &g), s)| *p = *p - self.lr * update(*p, g, s)),
            Some(buf) => rows.zip(buf).for_each(|(((p, &g), s), b)| {
                *b = self.momentum * *b + update(*p, g, s);
                *p = *p - self.lr * *b;
            }),
        }
    }
}

struct Ema<'a, W> {
    decay: W,
    enter: W,
    ema: &'a mut [W],
    p: &'a [W],
}
impl<W: Float> Kernel for Ema<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.ema.iter_mut().zip(self.p).for_each(|(e, &p)| *e = self.decay * *e + self.enter * p);
    }
}
