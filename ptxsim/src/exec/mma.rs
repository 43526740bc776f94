//! Products of small matrices by a whole warp, each lane holding a fragment, and the loads that bring them.
//!
//! Sums are exact (in double precision) and rounded once. The hardware adds in an order and to a precision that
//! are not documented, so results agree to about a unit of the largest partial sum, and bit for bit where every
//! partial sum is exact.

use std::marker::PhantomData;

use half::{bf16, f16};

use super::lanes::{Body, FULL, LANES};
use super::mem::read;
use super::resolve::{Kind, resolve};
use super::{Cx, LAUNCH_FAILED};
use crate::ir::Inst;

/// How elements lie in registers of 32 bits.
pub trait Element {
    /// Elements in a register.
    const PACKED: usize;
    fn get(register: u32, n: usize) -> f64;
}

impl Element for f16 {
    const PACKED: usize = 2;
    fn get(register: u32, n: usize) -> f64 {
        f16::from_bits((register >> (16 * n)) as u16).to_f64()
    }
}

impl Element for bf16 {
    const PACKED: usize = 2;
    fn get(register: u32, n: usize) -> f64 {
        bf16::from_bits((register >> (16 * n)) as u16).to_f64()
    }
}

/// Single precision of which the product sees ten bits of fraction.
pub struct Tf32;

impl Element for Tf32 {
    const PACKED: usize = 1;
    fn get(register: u32, _: usize) -> f64 {
        f64::from(f32::from_bits(register & !0x1fff))
    }
}

pub const D: usize = 0;
pub const A: usize = 4;
pub const B: usize = 8;
pub const C: usize = 10;

const M: usize = 16;
const N: usize = 8;

/// `mma.m16n8kK` of elements E; accumulators are of single precision, or, where `HALF`, of 16 bits.
/// Operands: four of d, four of a, two of b, four of c, as far as they are used.
pub struct Mma<E, const K: usize, const HALF: bool>(PhantomData<E>);

impl<E: Element, const K: usize, const HALF: bool> Body for Mma<E, K, HALF> {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        if mask != FULL {
            let lane = (!mask).trailing_zeros();
            return cx.fail(LAUNCH_FAILED, lane, "mma by a part of the warp: all lanes must take part");
        }
        // Columns of a that one register of a lane covers, and the distance to its next.
        let wide = 4 * E::PACKED;
        let (mut a, mut b) = ([[0f64; K]; M], [[0f64; N]; K]);
        for lane in 0..LANES {
            let (group, member) = (lane / 4, lane % 4);
            for block in 0..K / wide {
                for half in 0..2 {
                    let register = cx.r32(i.r[A + 2 * block + half])[lane];
                    for n in 0..E::PACKED {
                        a[group + 8 * half][block * wide + member * E::PACKED + n] = E::get(register, n);
                    }
                }
                let register = cx.r32(i.r[B + block])[lane];
                for n in 0..E::PACKED {
                    b[block * wide + member * E::PACKED + n][group] = E::get(register, n);
                }
            }
        }
        let mut out = [[0u32; LANES]; 4];
        for lane in 0..LANES {
            let (group, member) = (lane / 4, lane % 4);
            for n in 0..4 {
                let (row, column) = (group + 8 * (n / 2), member * 2 + n % 2);
                let sum = (0..K).fold(0f64, |s, k| a[row][k].mul_add(b[k][column], s));
                if HALF {
                    let c = f16::get(cx.r32(i.r[C + n / 2])[lane], n % 2);
                    let value = f16::from_f64(sum + c);
                    let bits = if value.is_nan() { 0x7fff } else { value.to_bits() };
                    out[n / 2][lane] |= u32::from(bits) << (16 * (n % 2));
                } else {
                    let c = f64::from(f32::from_bits(cx.r32(i.r[C + n])[lane]));
                    out[n][lane] = super::float::canon((sum + c) as f32).to_bits();
                }
            }
        }
        for n in 0..if HALF { 2 } else { 4 } {
            *cx.r32_mut(i.r[D + n]) = out[n];
        }
        true
    }
}

/// `ldmatrix` of COUNT matrices of 8 rows of 16 bytes, whose addresses the first lanes hold, eight for each.
pub struct LoadMatrix<const COUNT: usize, const TURNED: bool>;

impl<const COUNT: usize, const TURNED: bool> Body for LoadMatrix<COUNT, TURNED> {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        if mask != FULL {
            let lane = (!mask).trailing_zeros();
            return cx.fail(LAUNCH_FAILED, lane, "ldmatrix by a part of the warp: all lanes must take part");
        }
        let asking = if COUNT == 4 { FULL } else { (1 << (8 * COUNT)) - 1 };
        if !resolve(cx, i, asking, 16, Kind::Load) {
            return false;
        }
        for matrix in 0..COUNT {
            let rows: [[u16; 8]; 8] =
                std::array::from_fn(|row| read(cx.access.lane_at(matrix * 8 + row, 16)));
            let out = std::array::from_fn(|lane| {
                let (row, column) = (lane / 4, lane % 4 * 2);
                let (low, high) = if TURNED {
                    (rows[column][row], rows[column + 1][row])
                } else {
                    (rows[row][column], rows[row][column + 1])
                };
                u32::from(low) | u32::from(high) << 16
            });
            *cx.r32_mut(i.r[matrix]) = out;
        }
        true
    }
}
