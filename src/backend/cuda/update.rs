//! Optimiser steps and random numbers: the constants of a step, rounded once.

use super::args::{Adam, Draw, Ptr, ROWS, RmsProp, Row, Sgd, Table, narrow};
use super::driver::Driver;
use super::launch::{self, Grid, Kernel};
use super::{BLOCK, memory};
use crate::backend::{Random, Update, UpdateRow, View, ViewMut};
use crate::rng::Key;

/// Elements that a block updates: PER_BLOCK in kernels/optim.cu.
const PER_BLOCK: usize = 1024;

/// One optimiser step over a table of parameters.
pub(super) fn update(d: &Driver, rule: Update, rows: &mut [UpdateRow]) {
    for some in rows.chunks_mut(ROWS) {
        let mut table = Table { rows: some.len() as u32, row: [Row::default(); ROWS] };
        let mut blocks = 0;
        for (row, r) in table.row.iter_mut().zip(some) {
            *row = by_value(rule, r);
            row.first_block = blocks;
            blocks += narrow(r.param.len().div_ceil(PER_BLOCK).max(1));
        }
        launch_rule(d, rule, Grid(blocks as usize, 1, 1), table);
    }
}

fn by_value(rule: Update, r: &UpdateRow) -> Row {
    let mut moments = r.moments.iter().map(|m| memory::start(m));
    let mut next = || moments.next().unwrap_or_else(|| unreachable!("rows come with the rule's moments"));
    let none = Ptr(0);
    let moments = match rule {
        Update::Sgd { momentum: 0.0, .. } => [none; 3],
        Update::Sgd { .. } => [next(), none, none],
        Update::Adam { amsgrad, .. } => [next(), next(), if amsgrad { next() } else { none }],
        Update::RmsProp { momentum, centered, .. } => {
            [next(), if momentum != 0.0 { next() } else { none }, if centered { next() } else { none }]
        }
    };
    let decay = r.ema.as_ref().map_or(0.0, |(_, decay)| *decay);
    Row {
        param: memory::start(r.param),
        grad: View { storage: r.grad.storage, layout: r.grad.layout }.ptr(),
        moments,
        ema: r.ema.as_ref().map_or(none, |(ema, _)| memory::start(ema)),
        length: narrow(r.param.len()),
        first_block: 0,
        scale: r.clip.scale as f32,
        limit: r.clip.limit as f32,
        ema_keep: decay as f32,
        ema_enter: (1.0 - decay) as f32,
    }
}

fn launch_rule(d: &Driver, rule: Update, grid: Grid, table: Table) {
    match rule {
        Update::Sgd { lr, momentum, dampening, nesterov, weight_decay, first } => {
            let rule = Sgd {
                lr: lr as f32,
                weight_decay: weight_decay as f32,
                momentum: momentum as f32,
                // The first step fills the buffer with the gradient itself.
                keep: if first { 0.0 } else { momentum as f32 },
                enter: if first { 1.0 } else { (1.0 - dampening) as f32 },
                nesterov: nesterov as u32,
            };
            launch::sgd(d, Kernel::Sgd, grid, table, rule);
        }
        Update::Adam {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
            amsgrad: _,
            correction1,
            correction2,
        } => {
            let rule = Adam {
                step: (lr / correction1) as f32,
                rescale: (1.0 / correction2.sqrt()) as f32,
                beta: [beta1 as f32, beta2 as f32],
                enter: [(1.0 - beta1) as f32, (1.0 - beta2) as f32],
                eps: eps as f32,
                shrink: if decoupled { (1.0 - lr * weight_decay) as f32 } else { 1.0 },
                weight_decay: if decoupled { 0.0 } else { weight_decay as f32 },
            };
            launch::adam(d, Kernel::Adam, grid, table, rule);
        }
        Update::RmsProp { lr, alpha, eps, weight_decay, momentum, centered } => {
            let rule = RmsProp {
                lr: lr as f32,
                alpha: alpha as f32,
                enter: (1.0 - alpha) as f32,
                eps: eps as f32,
                weight_decay: weight_decay as f32,
                momentum: momentum as f32,
                centered: centered as u32,
            };
            launch::rmsprop(d, Kernel::Rmsprop, grid, table, rule);
        }
    }
}

/// Fills `out` with the numbers of call `call` of a stream.
pub(super) fn random(d: &Driver, what: Random, key: Key, call: u64, out: ViewMut) {
    // `Kind` in kernels/random.cu.
    let (uniform, normal, bernoulli) = (0, 1, 2);
    let draw = match what {
        Random::Uniform { lo, hi } => {
            let (lo, hi) = (lo as f32, hi as f32);
            Draw { kind: uniform, last: 0, constants: [lo, hi - lo, hi.next_down().max(lo)] }
        }
        Random::Normal { mean, std } => {
            Draw { kind: normal, last: 0, constants: [mean as f32, std as f32, 0.0] }
        }
        // 0 to 2^32 words give `value`; for none of them there is no last word, but a value of 0 does.
        Random::Bernoulli { p, value } => match (p * 4_294_967_296.0).round() as u64 {
            0 => Draw { kind: bernoulli, last: 0, constants: [0.0; 3] },
            n => {
                let last = (n - 1).min(u32::MAX as u64) as u32;
                Draw { kind: bernoulli, last, constants: [value as f32, 0.0, 0.0] }
            }
        },
    };
    let [k0, k1] = key.words();
    let n = out.layout.numel();
    launch::random(d, Kernel::RandomF32, Grid::over(n, 4 * BLOCK), draw, k0, k1, call, out.ptr(), narrow(n));
}
