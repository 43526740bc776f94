//! Loads and stores.

use std::marker::PhantomData;

use super::lanes::{Body, FULL, LANES, Raw, put};
use super::resolve::{Kind, resolve};
use super::{Cx, Shape};
use crate::ir::Inst;

/// A value in memory, and how a register of width `R` takes it in and gives it out.
pub trait Cell<R>: Copy + Default {
    fn load(self) -> R;
    fn store(r: R) -> Self;
}

macro_rules! cells {
    ($($m:ty, $r:ty;)*) => {$(
        impl Cell<$r> for $m {
            #[inline(always)]
            fn load(self) -> $r { self as $r }
            #[inline(always)]
            fn store(r: $r) -> Self { r as $m }
        }
    )*};
}
cells! { u8, u32; u16, u32; u32, u32; u8, u64; u16, u64; u32, u64; u64, u64; i32, u64; i8, u64; i16, u64; }

// A narrow signed value keeps its sign up to the width of the register.
impl Cell<u32> for i8 {
    #[inline(always)]
    fn load(self) -> u32 {
        i32::from(self) as u32
    }
    #[inline(always)]
    fn store(r: u32) -> Self {
        r as i8
    }
}

impl Cell<u32> for i16 {
    #[inline(always)]
    fn load(self) -> u32 {
        i32::from(self) as u32
    }
    #[inline(always)]
    fn store(r: u32) -> Self {
        r as i16
    }
}

/// Reads a value from the host side of a resolved access.
#[inline(always)]
pub fn read<M: Copy>(at: usize) -> M {
    // SAFETY: `resolve` let only addresses through whose `size_of::<M>()` bytes (times the vector's length)
    // lie in one allocation; the allocation stays until the launch ends. Any bits are a value of M.
    unsafe { std::ptr::with_exposed_provenance::<M>(at).read_unaligned() }
}

/// Writes a value to the host side of a resolved access.
#[inline(always)]
pub fn write<M: Copy>(at: usize, value: M) {
    // SAFETY: as for `read`; `resolve` refused what is read-only.
    unsafe { std::ptr::with_exposed_provenance_mut::<M>(at).write_unaligned(value) }
}

/// `ld` of N values of M into registers of R. Operands: destinations, then the address.
pub struct Load<M, R, const N: usize>(PhantomData<(M, R)>);

impl<M: Cell<R>, R: Raw, const N: usize> Body for Load<M, R, N> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let each = size_of::<M>();
        if !resolve(cx, i, mask, (each * N) as u32, Kind::Load) {
            return false;
        }
        let base = cx.access.base;
        match cx.access.shape {
            Shape::Row => {
                for n in 0..N {
                    let mut out = [R::default(); LANES];
                    for l in 0..LANES {
                        out[l] = read::<M>(base + (l * N + n) * each).load();
                    }
                    put(cx, i.r[n], mask, &out);
                }
            }
            Shape::Same => {
                for n in 0..N {
                    let value = read::<M>(base + n * each).load();
                    put(cx, i.r[n], mask, &[value; LANES]);
                }
            }
            Shape::Scattered if mask == FULL => {
                let mut out = [[R::default(); LANES]; N];
                for l in 0..LANES {
                    let cell: [M; N] = read(base.wrapping_add(cx.access.off[l] as usize));
                    for n in 0..N {
                        out[n][l] = cell[n].load();
                    }
                }
                for n in 0..N {
                    *R::lanes_mut(cx, i.r[n]) = out[n];
                }
            }
            Shape::Scattered => {
                let mut left = mask;
                while left != 0 {
                    let l = left.trailing_zeros() as usize;
                    left &= left - 1;
                    let cell: [M; N] = read(base.wrapping_add(cx.access.off[l] as usize));
                    for n in 0..N {
                        R::lanes_mut(cx, i.r[n])[l] = cell[n].load();
                    }
                }
            }
        }
        true
    }
}

/// `st`. Operands: values, then the address. Where lanes meet at one address, the last one's value stays.
pub struct Store<M, R, const N: usize>(PhantomData<(M, R)>);

impl<M: Cell<R>, R: Raw, const N: usize> Body for Store<M, R, N> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let each = size_of::<M>();
        if !resolve(cx, i, mask, (each * N) as u32, Kind::Store) {
            return false;
        }
        let base = cx.access.base;
        match cx.access.shape {
            Shape::Row => {
                for n in 0..N {
                    let src = R::lanes(cx, i.r[n]);
                    for l in 0..LANES {
                        write(base + (l * N + n) * each, M::store(src[l]));
                    }
                }
            }
            Shape::Same => {
                let last = 31 - mask.leading_zeros() as usize;
                for n in 0..N {
                    write(base + n * each, M::store(R::lanes(cx, i.r[n])[last]));
                }
            }
            Shape::Scattered => {
                for l in (0..LANES).filter(|l| mask >> l & 1 != 0) {
                    for n in 0..N {
                        let at = base.wrapping_add(cx.access.off[l] as usize) + n * each;
                        write(at, M::store(R::lanes(cx, i.r[n])[l]));
                    }
                }
            }
        }
        true
    }
}

/// `ld.param` from a place known when the module was loaded: the same value for all lanes.
pub struct LoadParam<M, R>(PhantomData<(M, R)>);

impl<M: Cell<R>, R: Raw> Body for LoadParam<M, R> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let at = i.imm as usize;
        let Some(bytes) = cx.params.get(at..at.wrapping_add(size_of::<M>())) else {
            return cx.fail(super::ILLEGAL_ADDRESS, 0, format!("no parameter at byte {at}"));
        };
        // SAFETY: the slice has the size of M, and any bits are a value of it.
        let value: M = unsafe { bytes.as_ptr().cast::<M>().read_unaligned() };
        put(cx, i.r[0], mask, &[value.load(); LANES]);
        true
    }
}

/// `cp.async`: an ordinary copy from global to shared memory, done at once. `imm` counts from the global
/// address; the shared address is in register `r[1]` with offset `r[2]`, the bytes to copy (the rest
/// of `N` is zeros) in register `r[3]`; `r[4]` says how the shared address is to be resolved.
pub struct CopyAsync<const N: usize>;

impl<const N: usize> Body for CopyAsync<N> {
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let keep = *cx.r32(i.r[3]);
        let mut data = [[0u8; N]; LANES];
        // Lanes that copy nothing do not touch their source.
        let reading = (0..LANES).filter(|&l| mask >> l & 1 != 0 && keep[l] > 0).fold(0u32, |m, l| m | 1 << l);
        if reading != 0 {
            if !resolve(cx, i, reading, N as u32, Kind::Load) {
                return false;
            }
            for l in (0..LANES).filter(|l| reading >> l & 1 != 0) {
                let bytes: [u8; N] = read(cx.access.lane_at(l, N));
                let n = (keep[l] as usize).min(N);
                data[l][..n].copy_from_slice(&bytes[..n]);
            }
        }
        let mut at = i.clone();
        at.r[super::resolve::ADDR] = i.r[1];
        at.imm = i64::from(i.r[2]);
        at.mem = i.mem + 1;
        at.r[super::resolve::HOW] = i.r[4];
        if !resolve(cx, &at, mask, N as u32, Kind::Store) {
            return false;
        }
        for l in (0..LANES).filter(|l| mask >> l & 1 != 0) {
            write(cx.access.lane_at(l, N), data[l]);
        }
        true
    }
}
