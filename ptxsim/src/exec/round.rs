//! Rounding in a direction.
//!
//! A single-precision result is first had to nearest together with the sign of what it lacks (exactly, in
//! double precision), then moved by one step if it lies on the wrong side.

/// To nearest, toward zero, down, up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    Near,
    Zero,
    Down,
    Up,
}

impl Mode {
    #[inline(always)]
    pub fn of(imm: u32) -> Mode {
        match imm & 3 {
            0 => Mode::Near,
            1 => Mode::Zero,
            2 => Mode::Down,
            _ => Mode::Up,
        }
    }
}

/// `high + low` to single precision, where `low` is too small to move `high` but may break its ties.
#[inline(always)]
pub fn narrow(high: f64, low: f64, mode: Mode) -> f32 {
    let near = narrow_nearest(high, low);
    if mode == Mode::Near || !high.is_finite() {
        return near;
    }
    // Exact: both lie within a step of single precision of each other, or `near` overflowed.
    let lacks = if near.is_infinite() { -f64::from(near) } else { (high - f64::from(near)) + low };
    match mode {
        Mode::Down if lacks < 0.0 => step_down(near),
        Mode::Up if lacks > 0.0 => step_up(near),
        Mode::Zero if lacks < 0.0 && near > 0.0 => step_down(near),
        Mode::Zero if lacks > 0.0 && near < 0.0 => step_up(near),
        _ => near,
    }
}

/// To nearest even of the exact sum: rounding `high` alone may fall on a tie that `low` decides.
#[inline(always)]
fn narrow_nearest(high: f64, low: f64) -> f32 {
    odd(high, low) as f32
}

/// `high + low` with its last bit set if it is inexact: a later rounding to fewer bits then sees no false tie.
#[inline(always)]
pub fn odd(high: f64, low: f64) -> f64 {
    if low == 0.0 || !high.is_finite() || high == 0.0 {
        return high;
    }
    let bits = high.to_bits();
    if bits & 1 != 0 {
        return high;
    }
    // Away from zero sets the last bit; toward zero borrows from it.
    let away = (low > 0.0) == (high > 0.0);
    f64::from_bits(if away { bits + 1 } else { bits - 1 })
}

fn step_up(x: f32) -> f32 {
    x.next_up()
}

fn step_down(x: f32) -> f32 {
    x.next_down()
}

/// Sum and its exact error.
#[inline(always)]
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let bb = s - a;
    let e = (a - (s - bb)) + (b - bb);
    (s, if s.is_finite() { e } else { 0.0 })
}

/// The sign of an exact zero sum: negative only when rounding down, or when both were negative.
#[inline(always)]
fn zero_sum(a: f64, b: f64, sum: f64, mode: Mode) -> f64 {
    if sum == 0.0
        && mode == Mode::Down
        && !(a == 0.0 && b == 0.0 && a.is_sign_positive() && b.is_sign_positive())
    {
        -0.0
    } else {
        sum
    }
}

pub fn add32(x: f32, y: f32, mode: Mode) -> f32 {
    fma32(x, 1.0, y, mode)
}

pub fn mul32(x: f32, y: f32, mode: Mode) -> f32 {
    narrow(f64::from(x) * f64::from(y), 0.0, mode)
}

pub fn fma32(x: f32, y: f32, z: f32, mode: Mode) -> f32 {
    if mode == Mode::Near {
        return x.mul_add(y, z);
    }
    let (p, z) = (f64::from(x) * f64::from(y), f64::from(z));
    let (s, e) = two_sum(p, z);
    narrow(zero_sum(p, z, s, mode), e, mode)
}

/// The quotient of two single-precision numbers is never so near to a third that double precision
/// mistakes it for that one, so rounding it twice is rounding it once.
pub fn div32(x: f32, y: f32, mode: Mode) -> f32 {
    narrow(f64::from(x) / f64::from(y), 0.0, mode)
}

pub fn sqrt32(x: f32, mode: Mode) -> f32 {
    narrow(f64::from(x).sqrt(), 0.0, mode)
}

/// Whether double precision can be rounded in a direction on this machine.
pub fn directed64() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

#[cfg(target_arch = "x86_64")]
mod host {
    use super::Mode;
    use std::arch::asm;

    fn control(mode: Mode) -> u32 {
        // All exceptions masked; the rounding mode in bits 13 and 14.
        0x1f80
            | match mode {
                Mode::Near => 0,
                Mode::Down => 1 << 13,
                Mode::Up => 2 << 13,
                Mode::Zero => 3 << 13,
            }
    }

    macro_rules! under {
        ($name:ident($($arg:ident),+), $op:literal) => {
            #[inline(never)]
            pub fn $name(mut x: f64 $(, $arg: f64)+, mode: Mode) -> f64 {
                let (mut save, mode) = (0u32, control(mode));
                // SAFETY: the rounding mode is put back within the block, so no compiled code runs under
                // it; memory touched is the two words named; the caller made sure of FMA (`directed64`).
                unsafe {
                    asm!(
                        "stmxcsr [{save}]", "ldmxcsr [{mode}]", $op, "ldmxcsr [{save}]",
                        save = in(reg) &mut save, mode = in(reg) &mode,
                        x = inout(xmm_reg) x $(, $arg = in(xmm_reg) $arg)+,
                        options(nostack)
                    );
                }
                x
            }
        };
    }

    under!(add(y), "addsd {x}, {y}");
    under!(mul(y), "mulsd {x}, {y}");
    under!(div(y), "divsd {x}, {y}");
    under!(sqrt(y), "sqrtsd {x}, {y}");
    under!(fma(y, z), "vfmadd213sd {x}, {y}, {z}");
}

#[cfg(not(target_arch = "x86_64"))]
mod host {
    //! Never called: such instructions are refused when a module is loaded.
    use super::Mode;

    pub fn add(x: f64, y: f64, _: Mode) -> f64 {
        x + y
    }
    pub fn mul(x: f64, y: f64, _: Mode) -> f64 {
        x * y
    }
    pub fn div(x: f64, y: f64, _: Mode) -> f64 {
        x / y
    }
    pub fn sqrt(_: f64, y: f64, _: Mode) -> f64 {
        y.sqrt()
    }
    pub fn fma(x: f64, y: f64, z: f64, _: Mode) -> f64 {
        x.mul_add(y, z)
    }
}

pub fn add64(x: f64, y: f64, mode: Mode) -> f64 {
    host::add(x, y, mode)
}

pub fn mul64(x: f64, y: f64, mode: Mode) -> f64 {
    host::mul(x, y, mode)
}

pub fn div64(x: f64, y: f64, mode: Mode) -> f64 {
    host::div(x, y, mode)
}

pub fn sqrt64(x: f64, mode: Mode) -> f64 {
    host::sqrt(x, x, mode)
}

pub fn fma64(x: f64, y: f64, z: f64, mode: Mode) -> f64 {
    host::fma(x, y, z, mode)
}
