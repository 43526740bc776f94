//! Atomic operations, lane by lane in ascending order.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::Cx;
use super::lanes::{Body, LANES, Raw, Val};
use super::resolve::{Kind, resolve};
use crate::ir::Inst;

/// The new value from the old one and the operands.
pub trait Update<T> {
    fn f(old: T, b: T, c: T) -> T;
}

macro_rules! updates {
    ($($name:ident: $($t:ty),+; |$o:ident, $b:ident, $c:ident| $e:expr;)*) => {$(
        pub struct $name;
        $(impl Update<$t> for $name {
            #[inline(always)]
            fn f($o: $t, $b: $t, $c: $t) -> $t { let _ = $c; $e }
        })+
    )*};
}

updates! {
    Add: u32, u64; |o, b, c| o.wrapping_add(b);
    AddF: f32, f64; |o, b, c| o + b;
    Min: u32, i32, u64, i64; |o, b, c| o.min(b);
    Max: u32, i32, u64, i64; |o, b, c| o.max(b);
    And: u32, u64; |o, b, c| o & b;
    Or: u32, u64; |o, b, c| o | b;
    Xor: u32, u64; |o, b, c| o ^ b;
    Exch: u32, u64; |o, b, c| { let _ = o; b };
    Cas: u32, u64; |o, b, c| if o == b { c } else { o };
    Inc: u32; |o, b, c| if o >= b { 0 } else { o + 1 };
    Dec: u32; |o, b, c| if o == 0 || o > b { b } else { o - 1 };
}

/// A register's width with its atomic.
pub trait Width: Raw + PartialEq {
    fn update(at: usize, f: impl Fn(Self) -> Self) -> Self;
}

macro_rules! width {
    ($t:ty, $a:ty) => {
        impl Width for $t {
            #[inline(always)]
            fn update(at: usize, f: impl Fn($t) -> $t) -> $t {
                // SAFETY: `resolve` let only aligned addresses within a writable allocation through. Threads
                // of the simulator reach it as an atomic, or as plain memory if the kernel itself races.
                let cell = unsafe { <$a>::from_ptr(std::ptr::with_exposed_provenance_mut(at)) };
                let mut old = cell.load(Ordering::Relaxed);
                loop {
                    match cell.compare_exchange_weak(old, f(old), Ordering::AcqRel, Ordering::Relaxed) {
                        Ok(_) => return old,
                        Err(now) => old = now,
                    }
                }
            }
        }
    };
}
width!(u32, AtomicU32);
width!(u64, AtomicU64);

/// `atom` (operands: d, b, c, address) and `red` (d is a register nobody reads).
pub struct Atom<T, F>(PhantomData<(T, F)>);

impl<T: Val<Raw: Width>, F: Update<T>> Body for Atom<T, F> {
    #[inline(always)]
    fn run(cx: &mut Cx<'_>, i: &Inst, mask: u32) -> bool {
        let size = size_of::<T>();
        if !resolve(cx, i, mask, size as u32, Kind::Atomic) {
            return false;
        }
        let b = *T::Raw::lanes(cx, i.r[1]);
        let c = *T::Raw::lanes(cx, i.r[2]);
        for l in (0..LANES).filter(|l| mask >> l & 1 != 0) {
            let at = cx.access.lane_at(l, size);
            let old = T::Raw::update(at, |old| F::f(T::of(old), T::of(b[l]), T::of(c[l])).raw());
            T::Raw::lanes_mut(cx, i.r[0])[l] = old;
        }
        true
    }
}

/// `membar`, `fence`.
pub struct Fence;

impl Body for Fence {
    fn run(_: &mut Cx<'_>, _: &Inst, _: u32) -> bool {
        std::sync::atomic::fence(Ordering::SeqCst);
        true
    }
}
