//! Planted bugs, each caught and located to its line; and kernels that only come near, not reported.

mod common;

use common::Sim;
use cudarc::driver::sys::CUresult;
use cudarc::driver::{CudaFunction, CudaSlice, DriverError, LaunchConfig, PushKernelArg};

const SOURCE: &str = include_str!("kernels/bugs.cu");
const PTX: &str = include_str!("kernels/bugs.ptx");

fn line_of(kernel: &str) -> usize {
    let mark = format!("BUG {kernel}");
    SOURCE.lines().position(|l| l.trim_end().ends_with(&mark)).expect("the line is marked") + 1
}

fn block(threads: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (1, 1, 1), block_dim: (threads, 1, 1), shared_mem_bytes: 0 }
}

/// Asserts that the last launch was caught, with which code, where, and in which words.
fn caught(sim: &Sim, kernel: &str, code: CUresult, words: &[&str]) {
    let error = sim.stream.synchronize().expect_err("the bug must be caught");
    assert_eq!(error, DriverError(code), "{}", common::last_report());
    let report = common::last_report();
    let place = format!("kernel {kernel} at bugs.cu:{} (PTX line ", line_of(kernel));
    assert!(report.contains(&place), "expected `{place}` in:\n{report}");
    for word in words {
        assert!(report.contains(word), "expected `{word}` in:\n{report}");
    }
    // Sticky: everything fails from then on.
    assert_eq!(sim.ctx.mem_get_info().expect_err("sticky"), DriverError(code));
    common::clear_failure();
}

fn kernel(sim: &Sim, name: &str) -> CudaFunction {
    sim.function(PTX, name)
}

fn floats(sim: &Sim, n: usize) -> CudaSlice<f32> {
    sim.stream.clone_htod(&vec![1f32; n]).unwrap()
}

macro_rules! launch {
    ($sim:expr, $name:expr, $config:expr, $($arg:expr),*) => {{
        let f = kernel(&$sim, $name);
        // SAFETY: the arguments have the types of the kernel's; what it does with them is watched.
        unsafe { $sim.stream.launch_builder(&f)$(.arg($arg))*.launch($config) }.map(|_| ())
    }};
}

const ILLEGAL: CUresult = CUresult::CUDA_ERROR_ILLEGAL_ADDRESS;
const FAILED: CUresult = CUresult::CUDA_ERROR_LAUNCH_FAILED;

#[test]
fn missing_barrier() {
    let sim = Sim::new();
    let (x, mut y) = (floats(&sim, 256), floats(&sim, 256));
    launch!(sim, "missing_barrier", block(256), &x, &mut y).unwrap();
    caught(&sim, "missing_barrier", FAILED, &["shared memory"]);
}

#[test]
fn missing_second_barrier() {
    let sim = Sim::new();
    let (x, mut y) = (floats(&sim, 512), floats(&sim, 128));
    launch!(sim, "missing_second_barrier", block(128), &x, &mut y).unwrap();
    caught(
        &sim,
        "missing_second_barrier",
        FAILED,
        &["race in shared memory", "warp 1 reads what warp 0 wrote at bugs.cu:14"],
    );
}

#[test]
fn two_writers() {
    let sim = Sim::new();
    let mut y = sim.stream.alloc_zeros::<i32>(64).unwrap();
    launch!(sim, "two_writers", block(64), &mut y).unwrap();
    caught(
        &sim,
        "two_writers",
        FAILED,
        &["race in shared memory", "warp 1 writes what warp 0 wrote at bugs.cu:23", "thread (32, 0, 0)"],
    );
}

#[test]
fn off_by_one() {
    let sim = Sim::new();
    let (x, mut y) = (floats(&sim, 100), floats(&sim, 100));
    launch!(sim, "off_by_one", block(128), &x, &mut y, &100i32).unwrap();
    caught(
        &sim,
        "off_by_one",
        ILLEGAL,
        &[
            "out-of-bounds global write",
            "0 bytes past the end of the allocation of 400 bytes",
            "thread (100, 0, 0)",
        ],
    );
}

#[test]
fn negative_index() {
    let sim = Sim::new();
    let (x, mut y) = (floats(&sim, 32), floats(&sim, 32));
    launch!(sim, "negative_index", block(32), &x, &mut y, &32i32).unwrap();
    caught(
        &sim,
        "negative_index",
        ILLEGAL,
        &["out-of-bounds global read", "4 bytes before the allocation of 128 bytes", "thread (0, 0, 0)"],
    );
}

#[test]
fn misaligned_vector() {
    let sim = Sim::new();
    let (x, mut y) = (floats(&sim, 64), floats(&sim, 32));
    launch!(sim, "misaligned_vector", block(32), &x, &mut y).unwrap();
    caught(
        &sim,
        "misaligned_vector",
        CUresult::CUDA_ERROR_MISALIGNED_ADDRESS,
        &["misaligned read of 16 bytes"],
    );
}

#[test]
fn divergent_barrier() {
    let sim = Sim::new();
    let mut y = floats(&sim, 64);
    launch!(sim, "divergent_barrier", block(64), &mut y).unwrap();
    caught(&sim, "divergent_barrier", FAILED, &["divergent barrier"]);
}

#[test]
fn left_before_barrier() {
    let sim = Sim::new();
    let (x, mut y) = (floats(&sim, 64), floats(&sim, 64));
    launch!(sim, "left_before_barrier", block(64), &x, &mut y, &50i32).unwrap();
    caught(&sim, "left_before_barrier", FAILED, &["divergent barrier", "thread 50 has left"]);
}

#[test]
fn unwritten_shared() {
    let sim = Sim::new();
    let mut y = floats(&sim, 64);
    launch!(sim, "unwritten_shared", block(64), &mut y).unwrap();
    caught(&sim, "unwritten_shared", FAILED, &["uninitialised shared memory", "thread (60, 0, 0)"]);
}

#[test]
fn unwritten_global() {
    let sim = Sim::new();
    // SAFETY: that it is not written is the point.
    let mut x = unsafe { sim.stream.alloc::<f32>(32) }.unwrap();
    let mut y = floats(&sim, 32);
    sim.stream.memcpy_htod(&[1f32; 20], &mut x.slice_mut(0..20)).unwrap();
    launch!(sim, "unwritten_global", block(32), &x, &mut y).unwrap();
    caught(
        &sim,
        "unwritten_global",
        FAILED,
        &["uninitialised global memory", "byte 80 of the allocation of 128 bytes", "thread (20, 0, 0)"],
    );
}

#[test]
fn copies_carry_what_was_never_written() {
    let sim = Sim::new();
    // SAFETY: that it is not written is the point.
    let (mut x, mut copy) =
        unsafe { (sim.stream.alloc::<f32>(32).unwrap(), sim.stream.alloc::<f32>(32).unwrap()) };
    let mut y = floats(&sim, 32);
    sim.stream.memcpy_htod(&[1f32; 31], &mut x.slice_mut(0..31)).unwrap();
    sim.stream.memcpy_dtod(&x, &mut copy).unwrap();
    launch!(sim, "unwritten_global", block(31), &copy, &mut y).unwrap();
    sim.stream.synchronize().unwrap();
    launch!(sim, "unwritten_global", block(32), &copy, &mut y).unwrap();
    caught(&sim, "unwritten_global", FAILED, &["thread (31, 0, 0)"]);
}

#[test]
fn read_after_free() {
    let sim = Sim::new();
    let mut y = floats(&sim, 32);
    let gone = {
        use cudarc::driver::DevicePtr;
        let x = floats(&sim, 32);
        x.device_ptr(&sim.stream).0
    };
    launch!(sim, "read_after_free", block(32), &gone, &mut y).unwrap();
    caught(
        &sim,
        "read_after_free",
        ILLEGAL,
        &["byte 0 of a freed allocation of 128 bytes", "use after free"],
    );
}

#[test]
fn write_after_free() {
    let sim = Sim::new();
    let gone = {
        use cudarc::driver::DevicePtr;
        let x = floats(&sim, 32);
        x.device_ptr(&sim.stream).0
    };
    launch!(sim, "write_after_free", block(32), &gone).unwrap();
    caught(&sim, "write_after_free", ILLEGAL, &["write", "use after free"]);
}

#[test]
fn shared_out_of_bounds() {
    let sim = Sim::new();
    let mut y = floats(&sim, 64);
    let config = LaunchConfig { shared_mem_bytes: 256, ..block(64) };
    launch!(sim, "shared_out_of_bounds", config, &mut y, &0i32).unwrap();
    sim.stream.synchronize().unwrap();
    launch!(sim, "shared_out_of_bounds", config, &mut y, &1i32).unwrap();
    caught(
        &sim,
        "shared_out_of_bounds",
        ILLEGAL,
        &["out-of-bounds shared write", "the block has 256 bytes", "thread (63, 0, 0)"],
    );
}

#[test]
fn local_out_of_bounds() {
    let sim = Sim::new();
    let x = sim.stream.clone_htod(&[0i32, 1, 2, 3, 4, 5, 6, 700]).unwrap();
    let mut y = sim.stream.alloc_zeros::<i32>(32).unwrap();
    launch!(sim, "local_out_of_bounds", block(32), &x, &mut y).unwrap();
    caught(&sim, "local_out_of_bounds", ILLEGAL, &["out-of-bounds local read", "a thread has 32 bytes"]);
}

#[test]
fn struct_of_another_size() {
    use cudarc::driver::DevicePtr;
    let sim = Sim::new();
    // The host's struct lacks a field, so the pointer comes where the kernel reads scale and count.
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Short {
        y: u64,
        tail: [u64; 1],
    }
    // SAFETY: plain numbers.
    unsafe impl cudarc::driver::DeviceRepr for Short {}
    let y = floats(&sim, 32);
    let args = Short { y: y.device_ptr(&sim.stream).0 | 0x40_0000_0000, tail: [64] };
    launch!(sim, "struct_by_value", block(32), &args).unwrap();
    caught(&sim, "struct_by_value", ILLEGAL, &["no device address"]);
}

#[test]
fn too_many_threads_for_launch_bounds() {
    let sim = Sim::new();
    let mut y = floats(&sim, 256);
    launch!(sim, "bounded", block(128), &mut y).unwrap();
    let error = launch!(sim, "bounded", block(129), &mut y).expect_err("more than .maxntid");
    assert_eq!(error, DriverError(CUresult::CUDA_ERROR_INVALID_VALUE));
    // Refused, not failed: the context lives on.
    sim.stream.synchronize().unwrap();
}

#[test]
fn too_few_arguments() {
    let sim = Sim::new();
    let f = kernel(&sim, "off_by_one");
    let y = floats(&sim, 32);
    // The array of pointers ends with one that is no pointer.
    let address = {
        use cudarc::driver::DevicePtr;
        y.device_ptr(&sim.stream).0
    };
    let mut pointers = [(&raw const address).cast::<std::ffi::c_void>().cast_mut(), 8 as *mut _, 8 as *mut _];
    let _ = f;
    let code = common::launch_raw(&sim, PTX, "off_by_one", &mut pointers);
    assert_eq!(code, CUresult::CUDA_ERROR_INVALID_VALUE as i32);
}

#[test]
fn host_pointer() {
    let sim = Sim::new();
    let host = [0f32; 32];
    launch!(sim, "host_pointer", block(32), &(host.as_ptr() as u64)).unwrap();
    caught(&sim, "host_pointer", ILLEGAL, &["no device address (a host pointer"]);
}

#[test]
fn null_pointer() {
    let sim = Sim::new();
    launch!(sim, "null_pointer", block(32), &0u64).unwrap();
    caught(&sim, "null_pointer", ILLEGAL, &["at 0x0", "no device address"]);
}

#[test]
fn absent_lanes() {
    let sim = Sim::new();
    let mut y = sim.stream.alloc_zeros::<i32>(32).unwrap();
    launch!(sim, "absent_lanes", block(32), &mut y).unwrap();
    caught(&sim, "absent_lanes", FAILED, &["shfl.sync", "lanes 0xfff00000 of the warp are elsewhere"]);
}

#[test]
fn trapping() {
    let sim = Sim::new();
    let mut y = sim.stream.alloc_zeros::<i32>(32).unwrap();
    launch!(sim, "trapping", block(32), &mut y).unwrap();
    caught(&sim, "trapping", FAILED, &["trap", "thread (3, 0, 0)"]);
}

#[test]
fn endless() {
    let sim = Sim::new();
    let mut flag = sim.stream.alloc_zeros::<i32>(1).unwrap();
    let config = LaunchConfig { grid_dim: (2, 1, 1), ..block(32) };
    let (threads, timeout) = (common::set_threads(1), common::set_timeout(200));
    launch!(sim, "endless", config, &mut flag).unwrap();
    common::set_threads(threads);
    common::set_timeout(timeout);
    caught(&sim, "endless", CUresult::CUDA_ERROR_LAUNCH_TIMEOUT, &["runs too long", "block (0, 0, 0)"]);
}

#[test]
fn the_innocent_pass() {
    let sim = Sim::new();
    let mut bytes = sim.stream.alloc_zeros::<u8>(64).unwrap();
    launch!(sim, "innocent_bytes", block(64), &mut bytes).unwrap();
    let (x, mut y) = (floats(&sim, 192), floats(&sim, 64));
    launch!(sim, "innocent_reuse", block(64), &x, &mut y).unwrap();
    let mut sums = sim.stream.alloc_zeros::<i32>(2).unwrap();
    launch!(sim, "innocent_atomics", block(64), &mut sums).unwrap();
    let mut pairs = sim.stream.alloc_zeros::<i32>(64).unwrap();
    launch!(sim, "innocent_warp", block(64), &mut pairs).unwrap();
    sim.stream.synchronize().unwrap_or_else(|_| panic!("{}", common::last_report()));
    let bytes = sim.stream.clone_dtoh(&bytes).unwrap();
    assert!(bytes.iter().enumerate().all(|(i, &b)| b as usize == 63 - i));
    assert_eq!(sim.stream.clone_dtoh(&y).unwrap(), [192.0; 64]);
    assert_eq!(sim.stream.clone_dtoh(&sums).unwrap(), [32, 32]);
}

#[test]
fn without_checks_races_and_unwritten_memory_pass() {
    let sim = Sim::new();
    common::set_checks(false);
    let mut y = sim.stream.alloc_zeros::<i32>(64).unwrap();
    launch!(sim, "two_writers", block(64), &mut y).unwrap();
    let done = sim.stream.synchronize();
    common::set_checks(true);
    done.unwrap();
}

#[test]
fn the_first_failing_block_is_reported_by_any_number_of_threads() {
    let sim = Sim::new();
    let before = common::set_threads(1);
    let mut reports = vec![];
    for threads in [1, 2, 4] {
        common::set_threads(threads);
        let (x, mut y) = (floats(&sim, 1000), floats(&sim, 1000));
        let config = LaunchConfig { grid_dim: (16, 1, 1), ..block(128) };
        launch!(sim, "off_by_one", config, &x, &mut y, &1500i32).unwrap();
        sim.stream.synchronize().expect_err("caught");
        reports.push(common::last_report().lines().skip(1).collect::<Vec<_>>().join("\n"));
        common::clear_failure();
    }
    common::set_threads(before);
    assert!(reports[0].contains("block (7, 0, 0)"), "{}", reports[0]);
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0], reports[2]);
}
