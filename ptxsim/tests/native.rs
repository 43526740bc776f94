//! Arithmetic against the host's, on random operands.

mod common;

use common::Sim;
use cudarc::driver::{CudaFunction, LaunchConfig, PushKernelArg};
use proptest::prelude::*;
use std::sync::OnceLock;

/// Each result beside the next, for 32 threads: operands at 8 bytes a lane.
fn ptx() -> String {
    let ints = [
        "add.u64 %d, %a, %b;",
        "sub.u64 %d, %a, %b;",
        "mul.lo.u64 %d, %a, %b;",
        "mul.hi.u64 %d, %a, %b;",
        "mul.hi.s64 %d, %a, %b;",
        "div.u64 %d, %a, %o;",
        "rem.s64 %d, %a, %o;",
        "mad.lo.s64 %d, %a, %b, %a;",
        "min.s64 %d, %a, %b;",
        "max.u64 %d, %a, %b;",
        "shl.b64 %d, %a, %s;",
        "shr.s64 %d, %a, %s;",
        "mul.wide.s32 %d, %al, %bl;",
        "mad.wide.u32 %d, %al, %bl, %a;",
        "{ .reg .b32 t; shf.l.wrap.b32 t, %al, %ah, %s; cvt.u64.u32 %d, t; }",
        "{ .reg .b32 t; popc.b64 t, %a; cvt.u64.u32 %d, t; }",
        "{ .reg .b32 t; clz.b64 t, %a; cvt.u64.u32 %d, t; }",
        "{ .reg .b32 t; bfe.u32 t, %al, 5, 9; cvt.u64.u32 %d, t; }",
        "{ .reg .f32 x, y, z; mov.b32 x, %al; mov.b32 y, %bl; fma.rn.f32 z, x, y, x; mov.b32 %bl, z; cvt.u64.u32 %d, %bl; mov.b64 {%bl, %bh}, %b; }",
        "{ .reg .f32 x, y, z; mov.b32 x, %al; mov.b32 y, %bl; div.rn.f32 z, x, y; mov.b32 %bl, z; cvt.u64.u32 %d, %bl; mov.b64 {%bl, %bh}, %b; }",
        "{ .reg .f64 x, y, z; mov.b64 x, %a; mov.b64 y, %b; add.f64 z, x, y; mov.b64 %d, z; }",
        "{ .reg .f64 x, y, z; mov.b64 x, %a; mov.b64 y, %b; fma.rn.f64 z, x, y, y; mov.b64 %d, z; }",
        "{ .reg .f32 x; mov.b32 x, %al; cvt.rzi.s64.f32 %d, x; }",
        "{ .reg .f32 x; cvt.rn.f32.s64 x, %a; mov.b32 %bl, x; cvt.u64.u32 %d, %bl; mov.b64 {%bl, %bh}, %b; }",
    ];
    let mut out = String::from(
        ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k(.param .u64 i, .param .u64 o)\n{\n\
         .reg .b64 %i, %out, %a, %b, %d, %o, %at; .reg .b32 %t, %s, %al, %ah, %bl, %bh;\n\
         ld.param.u64 %i, [i]; ld.param.u64 %out, [o]; mov.u32 %t, %tid.x; mul.wide.u32 %at, %t, 8;\n\
         add.s64 %i, %i, %at; add.s64 %out, %out, %at; ld.global.b64 %a, [%i]; ld.global.b64 %b, [%i+256];\n\
         or.b64 %o, %b, 1; mov.b64 {%al, %ah}, %a; mov.b64 {%bl, %bh}, %b; and.b32 %s, %bh, 63;\n",
    );
    for (n, body) in ints.iter().enumerate() {
        out.push_str(&format!("{body}\nst.global.b64 [%out+{}], %d;\n", n * 256));
    }
    out.push_str("ret;\n}\n");
    out
}

fn nan32(x: f32) -> u64 {
    u64::from(if x.is_nan() { 0x7fff_ffff } else { x.to_bits() })
}

fn native(a: u64, b: u64) -> Vec<Option<u64>> {
    let (o, s) = (b | 1, (b >> 32 & 63) as u32);
    let (x, y) = (f32::from_bits(a as u32), f32::from_bits(b as u32));
    let (p, q) = (f64::from_bits(a), f64::from_bits(b));
    let double = |v: f64| if v.is_nan() { None } else { Some(v.to_bits()) };
    let mut out: Vec<Option<u64>> = [
        a.wrapping_add(b),
        a.wrapping_sub(b),
        a.wrapping_mul(b),
        (u128::from(a) * u128::from(b) >> 64) as u64,
        (i128::from(a as i64) * i128::from(b as i64) >> 64) as u64,
        a / o,
        (a as i64).wrapping_rem(o as i64) as u64,
        a.wrapping_mul(b).wrapping_add(a),
        (a as i64).min(b as i64) as u64,
        a.max(b),
        a.checked_shl(s).unwrap_or(0),
        ((a as i64) >> s) as u64,
        (i64::from(a as i32) * i64::from(b as i32)) as u64,
        ((a & 0xffff_ffff) * (b & 0xffff_ffff)).wrapping_add(a),
        // The funnel takes the upper half of (high, low) shifted left.
        a << (s & 31) >> 32,
        u64::from(a.count_ones()),
        u64::from(a.leading_zeros()),
        a >> 5 & 0x1ff,
        nan32(x.mul_add(y, x)),
        nan32(x / y),
    ]
    .map(Some)
    .to_vec();
    out.push(double(p + q));
    out.push(double(p.mul_add(q, q)));
    out.push(if x.is_nan() { Some(1 << 63) } else { Some(x as i64 as u64) });
    out.push(Some(nan32(a as i64 as f32)));
    out
}

fn gpu(sim: &Sim, f: &CudaFunction, a: &[u64], b: &[u64]) -> Vec<u64> {
    let input = sim.stream.clone_htod(&[a, b].concat()).unwrap();
    let mut out = sim.stream.alloc_zeros::<u64>(32 * 24).unwrap();
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (32, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments are the kernel's.
    unsafe { sim.stream.launch_builder(f).arg(&input).arg(&mut out).launch(config) }.unwrap();
    sim.stream.clone_dtoh(&out).unwrap()
}

/// Any bits, and some that matter.
fn operand() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => any::<u64>(),
        2 => any::<f32>().prop_map(|x| u64::from(x.to_bits()) | 0x3ff0_0000_0000_0000),
        1 => any::<f64>().prop_map(f64::to_bits),
        1 => prop::sample::select(vec![0, 1, u64::MAX, 1 << 63, i64::MAX as u64, 0x7f80_0000, 0xff80_0000, 0x7ff0 << 48]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn as_the_host_does(pairs in prop::collection::vec((operand(), operand()), 32)) {
        static FUNCTION: OnceLock<CudaFunction> = OnceLock::new();
        let sim = Sim::new();
        let f = FUNCTION.get_or_init(|| sim.function(&ptx(), "k"));
        let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
        let got = gpu(&sim, f, &a, &b);
        for lane in 0..32 {
            for (n, want) in native(a[lane], b[lane]).into_iter().enumerate() {
                if let Some(want) = want {
                    prop_assert_eq!(got[n * 32 + lane], want, "operation {} of {:x} and {:x}", n, a[lane], b[lane]);
                }
            }
        }
    }
}
