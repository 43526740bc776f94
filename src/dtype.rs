//! Element types, and the Rust types that stand for them.

use bytemuck::Pod;
use half::{bf16, f16};
use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub enum DType {
    /// 32-bit float: the type everything trains in.
    F32,
    /// 64-bit float, CPU only: gradient checks and metrics.
    F64,
    /// IEEE half precision: storage; arithmetic widens to f32.
    F16,
    /// bfloat16: storage; arithmetic widens to f32.
    BF16,
    /// 64-bit signed integers: labels and indices.
    I64,
    /// Bytes: images, and the 0/1 masks that comparisons return.
    U8,
}

impl DType {
    /// Every dtype, in the order of the enum.
    pub const ALL: [DType; 6] = [DType::F32, DType::F64, DType::F16, DType::BF16, DType::I64, DType::U8];

    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 => 4,
            DType::F64 | DType::I64 => 8,
            DType::F16 | DType::BF16 => 2,
            DType::U8 => 1,
        }
    }

    /// Whether this is one of the four floating-point types.
    pub fn is_float(self) -> bool {
        !matches!(self, DType::I64 | DType::U8)
    }

    /// The name in messages and checkpoints: `f32`, `bf16`, `i64`, ...
    pub fn name(self) -> &'static str {
        match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::I64 => "i64",
            DType::U8 => "u8",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Rust type that a tensor can hold.
pub trait Element: Pod + Send + Sync + PartialOrd + fmt::Debug + 'static {
    /// The dtype whose elements have this type.
    const DTYPE: DType;
    /// The value as f64 (exact for all but large i64).
    fn to_f64(self) -> f64;
    /// The nearest representable value; integers truncate towards zero and saturate.
    fn from_f64(v: f64) -> Self;
}

/// The f32 next to an f64 towards zero, with its last bit set if that is not exact (rounding to odd): a further
/// rounding to 22 bits or fewer then gives what rounding the f64 once would have given (Boldo and Melquiond, 2008).
#[inline(always)]
fn to_odd(v: f64) -> f32 {
    let near = v as f32;
    if near as f64 == v || v.is_nan() {
        return near;
    }
    let towards_zero = near.to_bits() - (near.abs() as f64 > v.abs()) as u32;
    f32::from_bits(towards_zero | 1)
}

macro_rules! element {
    ($t:ty, $d:ident, |$x:ident| $to:expr, |$y:ident| $from:expr) => {
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline(always)]
            fn to_f64(self) -> f64 {
                let $x = self;
                $to
            }
            #[inline(always)]
            fn from_f64($y: f64) -> Self {
                $from
            }
        }
    };
}
element!(f32, F32, |x| x as f64, |v| v as f32);
element!(f64, F64, |x| x, |v| v);
element!(f16, F16, |x| x.to_f64(), |v| f16::from_f32(to_odd(v)));
element!(bf16, BF16, |x| x.to_f64(), |v| bf16::from_f32(to_odd(v)));
element!(i64, I64, |x| x as f64, |v| v as i64);
element!(u8, U8, |x| x as f64, |v| v as u8);

/// Runs `$body` with the type alias `$T` bound to the Rust type of a dtype: the one place where a
/// run-time dtype becomes a compile-time type. The variants list which dtypes a kernel takes.
macro_rules! dispatch {
    ($dtype:expr, all, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::I64 => { type $T = i64; $body }
            $crate::DType::U8 => { type $T = u8; $body }
            d => $crate::dtype::dispatch!(d, float, $T => $body),
        }
    };
    ($dtype:expr, float, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => { type $T = f32; $body }
            $crate::DType::F64 => { type $T = f64; $body }
            $crate::DType::F16 => { type $T = half::f16; $body }
            $crate::DType::BF16 => { type $T = half::bf16; $body }
            d => unreachable!("a kernel for floats was given {d}; the op must have refused it"),
        }
    };
    ($dtype:expr, full, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => { type $T = f32; $body }
            $crate::DType::F64 => { type $T = f64; $body }
            d => unreachable!("a kernel for f32 and f64 was given {d}; the op must have refused it"),
        }
    };
}
pub(crate) use dispatch;
