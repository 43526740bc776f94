//! Optimiser steps: one pass over all parameters, moments and averages.

use super::float::Float;
use super::simd::{Kernel, vectorize};
use super::{par, slice_mut};
use crate::backend::{GradClip, Update, UpdateRow};

/// Elements that one task updates.
pub(super) const CHUNK: usize = 16 * 1024;

/// The most moments that a rule has.
const MOMENTS: usize = 3;

/// A piece of one parameter with what belongs to it; all slices have one length.
struct Piece<'a, W> {
    param: &'a mut [W],
    grad: &'a [W],
    clip: Clip<W>,
    /// In the rule's order.
    moments: [Option<&'a mut [W]>; MOMENTS],
    ema: Option<(&'a mut [W], f64)>,
}

/// Updates every row, in pieces that threads share.
pub(super) fn rows<W: Float>(rule: Update, rows: &mut [UpdateRow]) {
    let mut pieces: Vec<Piece<W>> = Vec::new();
    for row in rows {
        let grad = row.grad.slice::<W>()[row.grad.layout.dense_range()].chunks(CHUNK);
        let mut of_row = row.moments.iter_mut().map(|m| slice_mut::<W>(m).chunks_mut(CHUNK));
        let mut moments: [_; MOMENTS] = std::array::from_fn(|_| of_row.next());
        let (mut ema, decay) = match &mut row.ema {
            Some((e, decay)) => (Some(slice_mut::<W>(e).chunks_mut(CHUNK)), *decay),
            None => (None, 0.0),
        };
        for (param, grad) in slice_mut::<W>(row.param).chunks_mut(CHUNK).zip(grad) {
            pieces.push(Piece {
                param,
                grad,
                clip: Clip::of(row.clip),
                moments: moments.each_mut().map(|m| m.as_mut().and_then(|c| c.next())),
                ema: ema.as_mut().and_then(|c| c.next()).map(|e| (e, decay)),
            });
        }
    }
    let threads = par::pieces(pieces.len() * CHUNK, 2 * CHUNK);
    par::split(&mut pieces, 1, threads, &|_, part: &mut [Piece<W>]| {
        part.iter_mut().for_each(|p| piece(rule, p));
    });
}

/// Applies a rule to a piece, then moves the average.
fn piece<W: Float>(rule: Update, p: &mut Piece<W>) {
    let mut moments = p.moments.iter_mut().filter_map(Option::take);
    let mut moment = || moments.next().unwrap_or_else(|| unreachable!("rows come with the rule's moments"));
    match rule {
        Update::Sgd { lr, momentum, dampening, nesterov, weight_decay, first } => {
            let h = Sgd { lr: W::c(lr), weight_decay: W::c(weight_decay), clip: p.clip };
            match momentum {
                0.0 => vectorize(SgdPlain { h, p: p.param, g: p.grad }),
                _ => vectorize(SgdMomentum {
                    h,
                    momentum: W::c(momentum),
                    // The first step fills the buffer with the gradient itself.
                    keep: W::c(if first { 0.0 } else { momentum }),
                    enter: W::c(if first { 1.0 } else { 1.0 - dampening }),
                    nesterov,
                    p: p.param,
                    g: p.grad,
                    buf: moment(),
                }),
            }
        }
        Update::Adam {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
            amsgrad,
            correction1,
            correction2,
        } => {
            vectorize(Adam {
                step: W::c(lr / correction1),
                rescale: W::c(1.0 / correction2.sqrt()),
                beta: [W::c(beta1), W::c(beta2)],
                enter: [W::c(1.0 - beta1), W::c(1.0 - beta2)],
                eps: W::c(eps),
                shrink: W::c(if decoupled { 1.0 - lr * weight_decay } else { 1.0 }),
                weight_decay: W::c(if decoupled { 0.0 } else { weight_decay }),
                clip: p.clip,
                p: p.param,
                g: p.grad,
                m: moment(),
                v: moment(),
                max: amsgrad.then(moment),
            });
        }
        Update::RmsProp { lr, alpha, eps, weight_decay, momentum, centered } => {
            vectorize(RmsProp {
                lr: W::c(lr),
                alpha: W::c(alpha),
                enter: W::c(1.0 - alpha),
                eps: W::c(eps),
                weight_decay: W::c(weight_decay),
                momentum: W::c(momentum),
                clip: p.clip,
                p: p.param,
                g: p.grad,
                square: moment(),
                buf: (momentum != 0.0).then(&mut moment),
                mean: centered.then(moment),
            });
        }
    }
    if let Some((ema, decay)) = &mut p.ema {
        vectorize(Ema { decay: W::c(*decay), enter: W::c(1.0 - *decay), ema, p: p.param });
    }
}

/// [`GradClip`] in the element type.
#[derive(Clone, Copy)]
struct Clip<W> {
    scale: W,
    limit: W,
}
impl<W: Float> Clip<W> {
    fn of(clip: GradClip) -> Clip<W> {
        Clip { scale: W::c(clip.scale), limit: W::c(clip.limit) }
    }

    /// By comparisons that are false for NaN, which so goes through.
    #[inline(always)]
    fn apply(self, g: W) -> W {
        let g = self.scale * g;
        let g = if g > self.limit { self.limit } else { g };
        if g < -self.limit { -self.limit } else { g }
    }
}

#[derive(Clone, Copy)]
struct Sgd<W> {
    lr: W,
    weight_decay: W,
    clip: Clip<W>,
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
            *p = *p - self.h.lr * (self.h.clip.apply(g) + self.h.weight_decay * *p);
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
            let g = self.h.clip.apply(g) + self.h.weight_decay * *p;
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
    /// What becomes of the parameter first: 1 - lr weight_decay for AdamW, else 1.
    shrink: W,
    weight_decay: W,
    clip: Clip<W>,
    p: &'a mut [W],
    g: &'a [W],
    m: &'a mut [W],
    v: &'a mut [W],
    max: Option<&'a mut [W]>,
}
impl<W: Float> Kernel for Adam<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let update = |p: W, g: W, m: &mut W, v: &mut W| {
            let g = self.clip.apply(g) + self.weight_decay * p;
            *m = self.beta[0] * *m + self.enter[0] * g;
            *v = self.beta[1] * *v + self.enter[1] * (g * g);
        };
        let moved = |p: W, m: W, v: W| self.shrink * p - self.step * m / (v.sqrt() * self.rescale + self.eps);
        let rows = self.p.iter_mut().zip(self.g).zip(self.m).zip(self.v);
        match self.max {
            None => {
                for (((p, &g), m), v) in rows {
                    update(*p, g, m, v);
                    *p = moved(*p, *m, *v);
                }
            }
            Some(max) => {
                for ((((p, &g), m), v), max) in rows.zip(max) {
                    update(*p, g, m, v);
                    // NaN goes on into the largest.
                    *max = if *max >= *v { *max } else { *v };
                    *p = moved(*p, *m, *max);
                }
            }
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
    clip: Clip<W>,
    p: &'a mut [W],
    g: &'a [W],
    square: &'a mut [W],
    buf: Option<&'a mut [W]>,
    mean: Option<&'a mut [W]>,
}
impl<W: Float> RmsProp<'_, W> {
    /// The gradient that enters, decayed weight included.
    #[inline(always)]
    fn gradient(&self, p: W, g: W) -> W {
        self.clip.apply(g) + self.weight_decay * p
    }
}
impl<W: Float> Kernel for RmsProp<'_, W> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let (square, buf, mean) = (std::mem::take(&mut self.square), self.buf.take(), self.mean.take());
        let p = std::mem::take(&mut self.p);
        let h = &self;
        let plain = |p: W, g: W, s: &mut W| {
            let g = h.gradient(p, g);
            *s = h.alpha * *s + h.enter * (g * g);
            g / (s.sqrt() + h.eps)
        };
        let centered = |p: W, g: W, s: &mut W, a: &mut W| {
            let g = h.gradient(p, g);
            *s = h.alpha * *s + h.enter * (g * g);
            *a = h.alpha * *a + h.enter * g;
            // Rounding can leave less than nothing of the variance of a constant gradient.
            let variance = *s - *a * *a;
            let variance = if variance < W::ZERO { W::ZERO } else { variance };
            g / (variance.sqrt() + h.eps)
        };
        let with_momentum = |p: &mut W, b: &mut W, d: W| {
            *b = h.momentum * *b + d;
            *p = *p - h.lr * *b;
        };
        let rows = p.iter_mut().zip(h.g).zip(square);
        match (buf, mean) {
            (None, None) => rows.for_each(|((p, &g), s)| *p = *p - h.lr * plain(*p, g, s)),
            (None, Some(mean)) => {
                rows.zip(mean).for_each(|(((p, &g), s), a)| *p = *p - h.lr * centered(*p, g, s, a))
            }
            (Some(buf), None) => rows.zip(buf).for_each(|(((p, &g), s), b)| {
                let d = plain(*p, g, s);
                with_momentum(p, b, d);
            }),
            (Some(buf), Some(mean)) => rows.zip(buf).zip(mean).for_each(|((((p, &g), s), b), a)| {
                let d = centered(*p, g, s, a);
                with_momentum(p, b, d);
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
