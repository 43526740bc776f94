//! Counts that can be worked out by hand.

mod common;

use common::Sim;
use cudarc::driver::{LaunchConfig, PushKernelArg};

/// One warp or two, each instruction once, so that every count is known.
const PTX: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry strided(.param .u64 p, .param .u32 step)
{
    .shared .align 16 .b8 s[16384];
    .reg .b64 %p, %a; .reg .b32 %t, %n, %s, %v; .reg .f32 %f; .reg .pred %q;
    ld.param.u64 %p, [p];
    ld.param.u32 %n, [step];
    mov.u32 %t, %tid.x;
    mul.lo.u32 %n, %n, %t;
    mul.wide.u32 %a, %n, 4;
    add.s64 %p, %p, %a;
    ld.global.f32 %f, [%p];
    add.f32 %f, %f, 0f3F800000;
    st.global.f32 [%p], %f;
    mov.u32 %s, s;
    shl.b32 %v, %n, 2;
    add.u32 %s, %s, %v;
    st.shared.f32 [%s], %f;
    setp.lt.u32 %q, %t, 5;
    @%q bra L;
    add.u32 %v, %v, 1;
L:
    add.u32 %t, %t, 1;
    ret;
}
";

fn run(sim: &Sim, step: u32) -> String {
    let f = sim.function(PTX, "strided");
    let mut x = sim.stream.alloc_zeros::<f32>(32 * 64).unwrap();
    common::reset_counts();
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (32, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments are the kernel's.
    unsafe { sim.stream.launch_builder(&f).arg(&mut x).arg(&step).launch(config) }.unwrap();
    let y = sim.stream.clone_dtoh(&x).unwrap();
    assert_eq!(y.iter().filter(|&&v| v == 1.0).count(), 32);
    common::counts()
}

/// The number behind the last of these keys, each sought after the one before.
fn number(json: &str, keys: &[&str]) -> u64 {
    let mut rest = json;
    for key in keys {
        let mark = format!("\"{key}\":");
        rest = &rest[rest.find(&mark).unwrap_or_else(|| panic!("no {key} in {json}")) + mark.len()..];
    }
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn classes_sectors_banks_and_divergence() {
    let sim = Sim::new();
    // (step in words, sectors of a warp's 32 words, passes over the banks)
    for (step, sectors, passes) in
        [(1, 4, 1), (2, 8, 2), (3, 12, 1), (8, 32, 8), (33, 32, 1), (32, 32, 32), (4, 16, 4)]
    {
        let json = run(&sim, step);
        let at = |keys: &[&str]| number(&json, &[&["kernels", "strided"], keys].concat());
        assert_eq!(at(&["launches"]), 1, "{json}");
        assert_eq!(at(&["warp_instructions"]), 18, "{json}");
        assert_eq!(at(&["by_class", "fp32"]), 1);
        assert_eq!(at(&["by_class", "ld_global"]), 1);
        assert_eq!(at(&["by_class", "st_global"]), 1);
        assert_eq!(at(&["by_class", "st_shared"]), 1);
        assert_eq!(at(&["by_class", "param"]), 2);
        assert_eq!(at(&["by_class", "control"]), 2);
        assert_eq!(at(&["by_class", "int"]), 8);
        assert_eq!(at(&["divergent_branches"]), 1);
        assert_eq!(at(&["global", "requests"]), 2);
        assert_eq!(at(&["global", "sectors"]), 2 * sectors, "step {step}");
        assert_eq!(at(&["global", "ideal_sectors"]), 8);
        assert_eq!(at(&["shared", "requests"]), 1);
        assert_eq!(at(&["shared", "wavefronts"]), passes, "step {step}");
        assert_eq!(at(&["shared", "bank_conflicts"]), passes - 1);
        assert_eq!(number(&json, &["total", "warp_instructions"]), 18);
        assert_eq!(number(&json, &["device_to_host", "calls"]), 1);
        assert_eq!(number(&json, &["device_to_host", "bytes"]), 32 * 64 * 4);
    }
}

#[test]
fn counts_do_not_depend_on_threads_and_can_be_reset() {
    let sim = Sim::new();
    let f = sim.function(include_str!("kernels/plain.ptx"), "block_sum");
    let x = sim.stream.clone_htod(&vec![1f32; 10_000]).unwrap();
    let mut out = sim.stream.alloc_zeros::<f32>(20).unwrap();
    let before = common::set_threads(1);
    let mut seen = vec![];
    for threads in [1, 2, 4] {
        common::set_threads(threads);
        common::reset_counts();
        let config = LaunchConfig { grid_dim: (20, 1, 1), block_dim: (256, 1, 1), shared_mem_bytes: 0 };
        // SAFETY: the arguments are the kernel's.
        unsafe { sim.stream.launch_builder(&f).arg(&x).arg(&mut out).arg(&10_000i32).launch(config) }
            .unwrap();
        seen.push(common::counts());
    }
    common::set_threads(before);
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
    common::reset_counts();
    assert!(!common::counts().contains("block_sum"));
}

#[test]
fn held_memory_is_told() {
    let sim = Sim::new();
    assert_eq!(common::leaks(), "");
    let f = sim.function(include_str!("kernels/plain.ptx"), "block_sum");
    let x = sim.stream.clone_htod(&vec![1f32; 256]).unwrap();
    let mut out = sim.stream.alloc_zeros::<f32>(10).unwrap();
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (256, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the arguments are the kernel's.
    unsafe { sim.stream.launch_builder(&f).arg(&x).arg(&mut out).arg(&256i32).launch(config) }.unwrap();
    let late = sim.stream.alloc_zeros::<f32>(3).unwrap();
    let told = common::leaks();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines[0], "3 allocations of 1076 bytes in all are still held");
    assert!(lines[1].starts_with("  1024 bytes at 0x3"), "{told}");
    assert!(lines[2].ends_with("made before a launch of `block_sum`"), "{told}");
    assert!(lines[3].ends_with("no kernel was launched since"), "{told}");
    drop((x, out, late));
    assert_eq!(common::leaks(), "");
}
