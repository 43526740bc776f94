//! Control flow that compilers rarely write: tables of targets, guarded calls, returns from within.

mod common;

use common::Sim;
use cudarc::driver::{LaunchConfig, PushKernelArg};

fn run(body: &str, functions: &str) -> Vec<u32> {
    let ptx = format!(
        ".version 7.0\n.target sm_70\n.address_size 64\n{functions}\n.visible .entry k(.param .u64 out)\n{{\n\
         .reg .b64 %o, %a; .reg .b32 %t, %d, %x; .reg .pred %p, %q;\n\
         ld.param.u64 %o, [out]; mov.u32 %t, %tid.x; mul.wide.u32 %a, %t, 4; add.s64 %o, %o, %a; mov.u32 %d, 0;\n\
         {body}\nst.global.u32 [%o], %d;\nret;\n}}\n"
    );
    let sim = Sim::new();
    let f = sim.function(&ptx, "k");
    let mut out = sim.stream.clone_htod(&[77u32; 64]).unwrap();
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (64, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the argument is the kernel's.
    unsafe { sim.stream.launch_builder(&f).arg(&mut out).launch(config) }.unwrap();
    sim.stream.synchronize().unwrap_or_else(|_| panic!("{}", common::last_report()));
    sim.stream.clone_dtoh(&out).unwrap()
}

#[test]
fn tables_of_targets() {
    let body = "L: .branchtargets A, B, C, B;\n and.b32 %x, %t, 3;\n brx.idx %x, L;\n A: add.u32 %d, %t, 100; bra E;\n\
                B: mul.lo.u32 %d, %t, 3; bra E;\n C: not.b32 %d, %t;\n E: activemask.b32 %x; popc.b32 %x, %x; add.u32 %d, %d, %x;";
    for (t, got) in run(body, "").into_iter().enumerate() {
        let t = t as u32;
        let want = match t & 3 {
            0 => t + 100,
            2 => !t,
            _ => t * 3,
        };
        // All lanes meet again.
        assert_eq!(got, want.wrapping_add(32), "thread {t}");
    }
}

#[test]
fn an_index_past_the_table_is_caught() {
    let sim = Sim::new();
    let ptx = ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k()\n{ .reg .b32 %t;\n\
               L: .branchtargets A, A;\n mov.u32 %t, %tid.x;\n brx.idx %t, L;\n A: ret; }\n";
    let f = sim.function(ptx, "k");
    let config = LaunchConfig { grid_dim: (1, 1, 1), block_dim: (32, 1, 1), shared_mem_bytes: 0 };
    // SAFETY: the kernel has no arguments.
    unsafe { sim.stream.launch_builder(&f).launch(config) }.unwrap();
    sim.stream.synchronize().expect_err("caught");
    assert!(common::last_report().contains("only 2 targets"), "{}", common::last_report());
    assert!(common::last_report().contains("thread (2, 0, 0)"));
}

const FUNCTIONS: &str = "
.func (.param .b32 r) twice(.param .b32 x)
{ .reg .b32 %v; .reg .pred %p; ld.param.b32 %v, [x]; setp.gt.u32 %p, %v, 40; @%p bra BIG;
  shl.b32 %v, %v, 1; st.param.b32 [r], %v; ret;
BIG: st.param.b32 [r], 1000; ret; }
.func (.param .b32 r) four(.param .b32 x)
{ .reg .b32 %v; .param .b32 a; .param .b32 b; ld.param.b32 %v, [x]; st.param.b32 [a+0], %v;
  call.uni (b), twice, (a); ld.param.b32 %v, [b+0]; st.param.b32 [a+0], %v; call (b), twice, (a);
  ld.param.b32 %v, [b]; st.param.b32 [r], %v; ret; }
";

#[test]
fn calls_within_calls_and_guarded() {
    let body = "setp.lt.u32 %p, %t, 50; { .param .b32 a; .param .b32 b; st.param.b32 [a+0], %t; st.param.b32 [b], 5;\n\
                @%p call (b), four, (a); ld.param.b32 %d, [b]; }\n activemask.b32 %x; popc.b32 %x, %x; mad.lo.u32 %d, %x, 10000, %d;";
    let twice = |v: u32| if v > 40 { 1000 } else { 2 * v };
    for (t, got) in run(body, FUNCTIONS).into_iter().enumerate() {
        let t = t as u32;
        let want = if t < 50 { twice(twice(t)) } else { 5 };
        assert_eq!(got, want + 32 * 10000, "thread {t}");
    }
}

#[test]
fn lanes_that_return_are_not_waited_for() {
    // Within a loop within a branch, some lanes store and leave; the rest meet after the branch and vote.
    let body = "and.b32 %x, %t, 7; setp.gt.u32 %p, %x, 3; @%p bra AFTER;\n\
                LOOP: setp.eq.u32 %q, %x, 2; @!%q bra STAY; mov.u32 %d, 555; st.global.u32 [%o], %d; ret;\n\
                STAY: add.u32 %d, %d, 1; add.u32 %x, %x, 2; setp.lt.u32 %q, %x, 9; @%q bra LOOP;\n\
                AFTER: activemask.b32 %x; popc.b32 %x, %x; mad.lo.u32 %d, %x, 100, %d;";
    for (t, got) in run(body, "").into_iter().enumerate() {
        // Lanes 0 and 2 of each eight come by the value 2; four more go straight to the end.
        let want = match t & 7 {
            0 | 2 => 555,
            1 => 2400 + 4,
            3 => 2400 + 3,
            _ => 2400,
        };
        assert_eq!(got, want, "thread {t}");
    }
}

#[test]
fn partial_warps_and_three_dimensions() {
    let ptx = ".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k(.param .u64 out)\n{\n\
        .reg .b64 %o, %a; .reg .b32 %r<16>;\n\
        ld.param.u64 %o, [out]; mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z;\n\
        mov.u32 %r4, %ntid.x; mov.u32 %r5, %ntid.y; mov.u32 %r6, %ntid.z; mov.u32 %r7, %ctaid.x; mov.u32 %r8, %ctaid.y;\n\
        mov.u32 %r9, %ctaid.z; mov.u32 %r10, %nctaid.x; mov.u32 %r11, %nctaid.y;\n\
        mad.lo.u32 %r12, %r9, %r11, %r8; mad.lo.u32 %r12, %r12, %r10, %r7; mad.lo.u32 %r12, %r12, %r6, %r3;\n\
        mad.lo.u32 %r12, %r12, %r5, %r2; mad.lo.u32 %r12, %r12, %r4, %r1;\n\
        mul.wide.u32 %a, %r12, 4; add.s64 %o, %o, %a; add.u32 %r12, %r12, 1; st.global.u32 [%o], %r12; ret; }\n";
    let sim = Sim::new();
    let f = sim.function(ptx, "k");
    let n = 2 * 3 * 4 * 5 * 3 * 3;
    let mut out = sim.stream.alloc_zeros::<u32>(n).unwrap();
    let config = LaunchConfig { grid_dim: (2, 3, 4), block_dim: (5, 3, 3), shared_mem_bytes: 0 };
    // SAFETY: the argument is the kernel's.
    unsafe { sim.stream.launch_builder(&f).arg(&mut out).launch(config) }.unwrap();
    let out = sim.stream.clone_dtoh(&out).unwrap();
    assert!(out.iter().enumerate().all(|(i, &v)| v == i as u32 + 1));
}
