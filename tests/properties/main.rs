//! Properties of every family of ops, on random shapes that lie in memory in random ways.
//!
//! `tests/op_table` goes through chosen shapes and orders one by one; here they are drawn, and a failure is shrunk to a
//! small one. By default each family draws the same 1000 cases every time; `PROPTEST_CASES=10000` draws as many new ones
//! (and `PROPTEST_RNG_SEED` repeats them). What they find becomes a test of its own beside the code.

#[path = "../op_table/cases/image.rs"]
#[allow(dead_code, reason = "the table of ops uses the rest")]
mod image_table;
#[path = "../op_table/naive.rs"]
mod naive;
#[path = "../op_table/row.rs"]
#[allow(dead_code, reason = "the table of ops uses the rest")]
mod row;
#[path = "../op_table/cases/elementwise.rs"]
#[allow(dead_code, reason = "the table of ops uses the rest")]
mod table;

mod adjoint;
mod determinism;
mod elementwise;
mod gradient;
mod image;
mod index;
mod loss;
mod matmul;
mod norm;
mod order;
mod part;
mod reduce;
mod shape;
mod tensors;
mod views;

use proptest::test_runner::{Config, RngSeed};

/// How often a property is tried, and from which seed.
pub fn config() -> Config {
    let asked = ["PROPTEST_CASES", "PROPTEST_RNG_SEED"].iter().any(|v| std::env::var_os(v).is_some());
    let usual = Config { failure_persistence: None, ..Config::default() };
    if asked { usual } else { Config { cases: 1000, rng_seed: RngSeed::Fixed(0), ..usual } }
}
