//! How many warp instructions a second the simulator executes: `ptxsim-bench [THREADS]`
//!
//! The kernel is a register-tiled SGEMM (64x64 a block, 4x4 a thread). The figures are the simulator's own:
//! they say nothing about a GPU.

use std::ffi::{CString, c_void};
use std::time::Instant;

use ptxsim::driver::api::*;

fn ok(code: i32) {
    assert_eq!(code, 0, "the driver refused");
}

fn main() {
    let threads: i32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(1);
    ptxsim_set_threads(threads);
    let text = CString::new(include_str!("../tests/kernels/plain.ptx")).expect("PTX holds no zero byte");
    let (mut ctx, mut module, mut f) = (0, 0, 0);
    ok(cuInit(0));
    ok(cuDevicePrimaryCtxRetain(&mut ctx, 0));
    ok(cuCtxSetCurrent(ctx));
    ok(cuModuleLoadData(&mut module, text.as_ptr().cast()));
    ok(cuModuleGetFunction(&mut f, module, c"sgemm".as_ptr()));
    let (m, n, k) = (512i32, 512i32, 256i32);
    let [mut a, mut b, mut c] = [0u64; 3];
    for (to, count) in [(&mut a, m * k), (&mut b, k * n), (&mut c, m * n)] {
        let values: Vec<f32> = (0..count).map(|i| (i % 13) as f32 - 6.0).collect();
        ok(cuMemAlloc_v2(to, values.len() * 4));
        ok(cuMemcpyHtoD_v2(*to, values.as_ptr().cast(), values.len() * 4));
    }
    for (checks, counts) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        ptxsim_set_checks(checks);
        ptxsim_set_counts(1);
        ptxsim_reset_counts();
        let mut args = [&a as *const u64 as *mut c_void, &b as *const u64 as _, &c as *const u64 as _]
            .into_iter()
            .chain([&m, &n, &k].map(|v| v as *const i32 as *mut c_void))
            .collect::<Vec<_>>();
        let mut launch = || {
            ok(cuLaunchKernel(f, 8, 8, 1, 256, 1, 1, 0, 0, args.as_mut_ptr(), std::ptr::null_mut()));
        };
        launch();
        let mut json = vec![0u8; 1 << 16];
        let len = ptxsim_counts_json(json.as_mut_ptr().cast(), json.len());
        let json = String::from_utf8_lossy(&json[..len - 1]).into_owned();
        let (_, rest) = json.split_once("\"warp_instructions\":").expect("counted");
        let each: f64 = rest.split(',').next().and_then(|v| v.parse().ok()).expect("a number");
        ptxsim_set_counts(counts);
        let best = (0..3)
            .map(|_| {
                let start = Instant::now();
                launch();
                start.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min);
        println!(
            "checks {checks} counts {counts}: {:6.1} million warp instructions a second on {threads} threads",
            each / best / 1e6
        );
    }
    small(module, a, b, c, threads);
}

/// How long a launch takes in which there is little to do.
fn small(module: u64, a: u64, b: u64, c: u64, threads: i32) {
    let mut f = 0;
    ok(cuModuleGetFunction(&mut f, module, c"vec_add".as_ptr()));
    let n = 1000i32;
    let mut args = [&a, &b, &c].map(|p| p as *const u64 as *mut c_void).to_vec();
    args.push(&n as *const i32 as *mut c_void);
    let start = Instant::now();
    let launches = 20_000;
    for _ in 0..launches {
        ok(cuLaunchKernel(f, 4, 1, 1, 256, 1, 1, 0, 0, args.as_mut_ptr(), std::ptr::null_mut()));
    }
    let each = start.elapsed().as_secs_f64() / f64::from(launches);
    println!("a launch of 4 blocks of 256 threads on {threads} threads: {:.1} microseconds", each * 1e6);
}
