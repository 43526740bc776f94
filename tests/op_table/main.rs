//! One table of op cases, and everything that is asked of each of its rows.

mod any_device;
mod cases;
mod convolution;
mod coverage;
mod device;
mod edges;
mod layouts;
mod naive;
mod row;

use ganvil::autograd::{CheckOptions, grad, gradcheck, gradgradcheck};
use ganvil::backend::cpu::simd::{Tier, set_tier, tier};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use layouts::{ORDERS, Order, relaid, repeated};
use row::{FLOATS, Gradient, Row, bits, eps};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Once, RwLock, RwLockReadGuard};

/// The tier belongs to the process: one test changes it, the others hold it still.
static TIER: RwLock<()> = RwLock::new(());

pub fn steady_tier() -> RwLockReadGuard<'static, ()> {
    TIER.read().unwrap_or_else(|e| e.into_inner())
}

/// Elements of all inputs up to which finite differences are taken.
pub const CHECKED: usize = 64;

/// Runs an op and asserts that it left its inputs alone.
fn run(row: &Row, inputs: &[Tensor]) -> Tensor {
    let before: Vec<Vec<u64>> = inputs.iter().map(bits).collect();
    let y = (row.op)(inputs);
    for (i, (x, old)) in inputs.iter().zip(&before).enumerate() {
        assert!(&bits(x) == old, "input {i} was written to");
    }
    y
}

/// What a call panics with, if it does; nothing is printed.
fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    static QUIET: Once = Once::new();
    thread_local!(static EXPECTED: Cell<u32> = const { Cell::new(0) });
    QUIET.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if EXPECTED.get() == 0 {
                loud(info)
            }
        }));
    });
    EXPECTED.set(EXPECTED.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(f));
    EXPECTED.set(EXPECTED.get() - 1);
    result.map_err(|payload| match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().unwrap_or(&"a panic without a message").to_string(),
    })
}

/// What a call that must panic says.
fn refusal(what: &str, f: impl FnOnce() -> Tensor) -> String {
    match caught(f) {
        Ok(y) => panic!("{what}: not refused, but {y:?}"),
        Err(message) => message,
    }
}

/// Runs a check for each row that is asked for, and reports all rows that fail it.
fn each_row(wanted: impl Fn(&Row) -> bool, check: impl Fn(&Row)) {
    let rows: Vec<Row> = cases::table().into_iter().filter(wanted).collect();
    assert!(!rows.is_empty(), "no row to check");
    let failures: Vec<String> = rows
        .iter()
        .filter_map(|row| caught(|| check(row)).err().map(|e| format!("{}: {e}", row.name)))
        .collect();
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

#[test]
fn forward_agrees_with_the_reference_on_every_tier_and_number_of_threads() {
    let _alone = TIER.write().unwrap_or_else(|e| e.into_inner());
    let usual = tier();
    let tiers: Vec<Tier> = Tier::ALL.into_iter().filter(|t| t.is_supported()).collect();
    let pools = [1, 2].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap());
    each_row(
        |_| true,
        |row| {
            for dtype in [DType::F64, DType::F32] {
                let inputs = row.tensors(dtype);
                let expected = row.expect(&inputs);
                for &tier in &tiers {
                    set_tier(tier);
                    let [one, two] = [0, 1].map(|p| pools[p].install(|| run(row, &inputs)));
                    expected.check(&one, &format!("{tier}, 1 thread"));
                    assert!(bits(&one) == bits(&two), "{dtype}, {tier}: bits differ on 2 threads");
                }
            }
        },
    );
    set_tier(usual);
}

#[test]
fn other_dtypes_agree_with_the_reference_or_are_refused() {
    let _tier = steady_tier();
    each_row(
        |_| true,
        |row| {
            for dtype in [DType::F16, DType::BF16, DType::I64, DType::U8] {
                let inputs = row.tensors(dtype);
                if row.dtypes.contains(&dtype) {
                    row.expect(&inputs).check(&run(row, &inputs), "row-major");
                } else {
                    let message = refusal("op", || (row.op)(&inputs));
                    assert!(
                        message.contains(&format!("got {dtype}")) && message.contains("to_dtype(DType::F32)"),
                        "{dtype}: {message}"
                    );
                }
            }
        },
    );
}

#[test]
fn strided_operands_give_the_same_values() {
    let _tier = steady_tier();
    let strided = Cell::new(0);
    each_row(
        |_| true,
        |row| {
            for &dtype in row.dtypes.iter().filter(|d| **d != DType::F64 || row.numel() < 1000) {
                let inputs = row.tensors(dtype);
                let expected = row.expect(&inputs);
                for (k, order) in ORDERS.into_iter().enumerate() {
                    let moved: Vec<Tensor> = inputs.iter().map(|x| relaid(x, order)).collect();
                    if moved.iter().zip(&inputs).all(|(a, b)| a.layout() == b.layout()) {
                        continue;
                    }
                    strided.set(strided.get() + 1);
                    expected.check(&run(row, &moved), &format!("{order:?}"));
                    // Every operand in an order of its own.
                    let mixed: Vec<Tensor> = inputs
                        .iter()
                        .enumerate()
                        .map(|(i, x)| relaid(x, ORDERS[(k + i) % ORDERS.len()]))
                        .collect();
                    expected.check(&run(row, &mixed), &format!("mixed from {order:?}"));
                }
            }
        },
    );
    assert!(strided.get() > 3000, "only {} runs had a strided operand", strided.get());
}

#[test]
fn operands_with_stride_0_give_the_values_of_their_copies() {
    let _tier = steady_tier();
    each_row(
        |r| r.numel() < 1000,
        |row| {
            let inputs = row.tensors(DType::F32);
            for (i, x) in inputs.iter().enumerate() {
                for d in (0..x.rank()).filter(|&d| x.shape()[d] > 1) {
                    let mut inputs = inputs.clone();
                    inputs[i] = repeated(x, d);
                    row.expect(&inputs).check(&run(row, &inputs), &format!("input {i} repeated along {d}"));
                }
            }
        },
    );
}

#[test]
fn the_meta_device_has_the_same_shapes_and_dtypes() {
    each_row(
        |r| r.numel() < 1000,
        |row| {
            let inputs = row.tensors(DType::F32);
            let y = (row.op)(&inputs);
            let meta = (row.op)(&inputs.iter().map(|x| x.to_device(Device::Meta)).collect::<Vec<_>>());
            assert_eq!((meta.shape(), meta.dtype(), meta.device()), (y.shape(), y.dtype(), Device::Meta));
        },
    );
}

/// The op as a function of its differentiable inputs alone, and those inputs.
fn differentiable<'a>(
    row: &'a Row,
    inputs: &'a [Tensor],
) -> (impl Fn(&[Tensor]) -> Tensor + 'a, Vec<Tensor>) {
    let chosen = |i: usize| row.inputs[i].differentiable;
    let given: Vec<Tensor> = (0..inputs.len()).filter(|&i| chosen(i)).map(|i| inputs[i].clone()).collect();
    assert!(!given.is_empty(), "nothing to differentiate by");
    let f = move |x: &[Tensor]| {
        let mut x = x.iter();
        let all: Vec<Tensor> = (0..inputs.len())
            .map(|i| if chosen(i) { x.next().expect("one for each").clone() } else { inputs[i].clone() })
            .collect();
        (row.op)(&all)
    };
    (f, given)
}

fn is_checked(row: &Row) -> bool {
    row.gradient == Gradient::Checked && row.numel() <= CHECKED
}

#[test]
fn first_and_second_derivatives_agree_with_finite_differences() {
    let _tier = steady_tier();
    each_row(is_checked, |row| {
        let inputs = row.tensors(DType::F64);
        let (f, x) = differentiable(row, &inputs);
        gradcheck(&f, &x, &CheckOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        gradgradcheck(&f, &x, &CheckOptions::default()).unwrap_or_else(|e| panic!("second order: {e}"));
    });
}

#[test]
fn derivatives_of_strided_operands_and_strided_upstream_gradients() {
    let _tier = steady_tier();
    // A permuted result hands its op a permuted gradient.
    let reversed = |y: Tensor| y.permute(&(0..y.rank() as isize).rev().collect::<Vec<_>>());
    each_row(
        |r| is_checked(r) && r.numel() <= 36,
        |row| {
            let inputs = row.tensors(DType::F64);
            for order in [Order::Transposed, Order::Narrowed, Order::ChannelsLast, Order::InnerSwapped] {
                let moved: Vec<Tensor> = inputs.iter().map(|x| relaid(x, order)).collect();
                if moved.iter().zip(&inputs).all(|(a, b)| a.layout() == b.layout()) {
                    continue;
                }
                let (f, x) = differentiable(row, &moved);
                let f = |x: &[Tensor]| reversed(f(x));
                gradcheck(f, &x, &CheckOptions::default()).unwrap_or_else(|e| panic!("{order:?}: {e}"));
                gradgradcheck(f, &x, &CheckOptions::default())
                    .unwrap_or_else(|e| panic!("{order:?}, second order: {e}"));
            }
        },
    );
}

/// The gradients of every differentiable input for a fixed random upstream gradient.
fn gradients(row: &Row, inputs: &[Tensor], create_graph: bool) -> Vec<Tensor> {
    let before: Vec<Vec<u64>> = inputs.iter().map(bits).collect();
    let (f, x) = differentiable(row, inputs);
    let leaves: Vec<Tensor> = x.iter().map(|x| x.detach().requires_grad()).collect();
    let y = f(&leaves);
    let v = Generator::new(7, Stream::General).normal(y.shape(), 0.0, 1.0, DType::F64, Device::Cpu);
    // Rounded to 8 bits, the same in every dtype.
    let v = v.to_dtype(DType::BF16).to_dtype(y.dtype()).to_device(y.device());
    let grads = grad(&[&y], &leaves.iter().collect::<Vec<_>>(), &[v], create_graph);
    for (i, (x, old)) in inputs.iter().zip(&before).enumerate() {
        assert!(&bits(x) == old, "the gradient wrote to input {i}");
    }
    let named = |(i, g): (usize, Option<Tensor>)| {
        let g = g.unwrap_or_else(|| panic!("input {i} has no gradient"));
        assert_eq!((g.shape(), g.dtype()), (leaves[i].shape(), leaves[i].dtype()), "input {i}");
        g
    };
    grads.into_iter().enumerate().map(named).collect()
}

/// Asserts that two sets of gradients agree within k eps of the largest element (at least 1).
fn assert_close(what: &str, got: &[Tensor], want: &[Tensor], k: f64) {
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let (g64, w64) = (g.to_f64_vec(), w.to_f64_vec());
        let largest = w64.iter().fold(1.0f64, |m, v| m.max(v.abs()));
        for (j, (a, b)) in g64.iter().zip(&w64).enumerate() {
            let fits = (a - b).abs() <= k * eps(g.dtype()) * largest || a.is_nan() && b.is_nan();
            assert!(fits, "{what}: gradient of input {i}, element {j}: {a} and {b}");
        }
    }
}

#[test]
fn gradient_kernels_agree_with_the_composed_rules() {
    let _tier = steady_tier();
    each_row(
        |r| r.gradient == Gradient::Checked,
        |row| {
            for &dtype in [DType::F64, DType::F32].iter().filter(|d| **d == DType::F32 || row.numel() < 1000)
            {
                let inputs = row.tensors(dtype);
                let composed = gradients(row, &inputs, true);
                assert!(composed.iter().all(|g| g.device() == Device::Cpu));
                assert_close(&format!("{dtype}"), &gradients(row, &inputs, false), &composed, 64.0);
                if row.numel() < 1000 {
                    for order in
                        [Order::Transposed, Order::ChannelsLast, Order::InnerSwapped, Order::Narrowed]
                    {
                        let moved: Vec<Tensor> = inputs.iter().map(|x| relaid(x, order)).collect();
                        let strided = gradients(row, &moved, false);
                        assert_close(&format!("{dtype}, {order:?}"), &strided, &composed, 64.0);
                    }
                }
            }
        },
    );
}

#[test]
fn gradients_in_narrow_floats_agree_with_those_in_f64() {
    let _tier = steady_tier();
    each_row(
        |r| r.gradient == Gradient::Checked && r.numel() < 1000,
        |row| {
            for &dtype in FLOATS.iter().filter(|d| **d != DType::F64 && row.dtypes.contains(d)) {
                let inputs = row.tensors(dtype);
                let widened: Vec<Tensor> = inputs
                    .iter()
                    .map(|x| if x.dtype() == dtype { x.to_dtype(DType::F64) } else { x.clone() })
                    .collect();
                let (got, want) = (gradients(row, &inputs, false), gradients(row, &widened, false));
                assert_close(&format!("{dtype}"), &got, &want, 32.0);
            }
        },
    );
}

#[test]
fn ops_without_a_derivative_refuse_a_gradient() {
    each_row(
        |r| matches!(r.gradient, Gradient::Refused(_)),
        |row| {
            let Gradient::Refused(name) = row.gradient else { unreachable!("others were filtered out") };
            let inputs: Vec<Tensor> =
                row.tensors(DType::F32).into_iter().map(Tensor::requires_grad).collect();
            let y = (row.op)(&inputs);
            assert!(y.is_tracked(), "the graph was cut in silence");
            let message = refusal("grad", || {
                grad(&[&y], &inputs.iter().collect::<Vec<_>>(), &[y.ones_like()], false)[0].clone().unwrap()
            });
            assert!(message.starts_with(&format!("{name}: has no derivative")), "{message}");
        },
    );
}

#[test]
fn names_of_rows_are_unique() {
    let mut names: Vec<String> = cases::table().into_iter().map(|r| r.name).collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}
