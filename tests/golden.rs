//! Compares ganvil with reference values that PyTorch computed in f64.
//!
//! Reads the fixtures in `tests/golden/`, and those in the folder that `GANVIL_GOLDEN` names, on the device that
//! `GANVIL_TEST_DEVICE` names (`cpu` if unset). On the CPU each fixture is computed on every SIMD tier of this
//! machine, on 1 and 2 threads, in f32 and in f64, and passes if all of them do. What a file holds is read from its
//! metadata, never from its name.

mod golden_test;

fn main() -> std::process::ExitCode {
    golden_test::main()
}
