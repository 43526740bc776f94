//! Elementwise functions, comparisons, selection, casts, and the rounding of half types.

use crate::naive::{Nd, broadcast};
use crate::row::{Input, Row, bits};
use crate::table;
use crate::tensors::{
    Choices, FLOATS, Operand, Place, RANK, assert_same, choices, place, shape, special, uniform, whole,
};
use ganvil::{DType, Tensor};
use half::{bf16, f16};
use proptest::prelude::*;
use std::sync::LazyLock;

/// One row for each function of the table; their references take any shape.
static UNARY: LazyLock<Vec<Row>> =
    LazyLock::new(|| table::unary().into_iter().filter(|r| r.inputs[0].shape == [7]).collect());
static BINARY: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let rows = table::binary().into_iter().chain(table::comparisons());
    rows.filter(|r| r.inputs.iter().all(|i| i.shape == [5])).collect()
});
/// Rows of several ops, each of which rounds.
const COMPOSED: [&str; 2] = ["x / x^2 + x", "tanh of sigmoid"];

/// A shape that broadcasts to `to`: some sizes 1, some leading dimensions missing.
pub fn broadcastable(to: &[usize], c: &mut Choices) -> Vec<usize> {
    let missing = if c.flag() { c.below(to.len() + 1) } else { 0 };
    to[missing..].iter().map(|&n| if c.below(3) == 1 { 1 } else { n }).collect()
}

/// An input as the row wants it, of another shape.
fn drawn(input: &Input, shape: &[usize], place: &Place, dtype: DType, c: &mut Choices) -> Operand {
    let own = Input { shape: shape.to_vec(), kind: input.kind, differentiable: false };
    place.lay(&Nd { shape: shape.to_vec(), data: own.values(c.seed()) }, dtype)
}

/// Runs an op and asserts that it left its inputs alone.
fn run(row: &Row, inputs: &[Tensor]) -> Tensor {
    let before: Vec<Vec<u64>> = inputs.iter().map(bits).collect();
    let y = (row.op)(inputs);
    inputs.iter().zip(before).for_each(|(x, old)| assert!(bits(x) == old, "{}: wrote to an input", row.name));
    y
}

/// The nearest of the numbers of a half type, an even one if two are equally near. `near` is at most one number off.
fn nearest(v: f64, near: u16, number: fn(u16) -> f64) -> f64 {
    if !v.is_finite() || number(near) == v {
        return number(near);
    }
    // Infinity takes part as the number that would follow the largest.
    let place = |bits: u16| match number(bits) {
        n if n.is_infinite() => 2.0 * number(bits - 1) - number(bits - 2),
        n => n,
    };
    let near_by = [near, near.wrapping_sub(1), near.wrapping_add(1)].into_iter();
    let candidates =
        near_by.filter(|&b| !number(b).is_nan() && place(b).is_sign_negative() == v.is_sign_negative());
    let distance = |b: &u16| ((place(*b) - v).abs(), b & 1);
    number(
        candidates
            .min_by(|a, b| distance(a).partial_cmp(&distance(b)).expect("no NaN"))
            .expect("near itself"),
    )
}

/// The nearest value of a dtype; towards 0 and within the range for integers.
fn converted(v: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F64 => v,
        DType::F32 => v as f32 as f64,
        DType::F16 => nearest(v, f16::from_f64(v).to_bits(), |b| f16::from_bits(b).to_f64()),
        DType::BF16 => nearest(v, bf16::from_f64(v).to_bits(), |b| bf16::from_bits(b).to_f64()),
        DType::I64 => v as i64 as f64,
        DType::U8 => v as u8 as f64,
    }
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn functions_of_one_tensor(shape in shape(0..=RANK, 0), place in place(), mut c in choices()) {
        let row = &UNARY[c.below(UNARY.len())];
        let x = drawn(&row.inputs[0], &shape, &place, c.of(&FLOATS), &mut c).t;
        row.expect(std::slice::from_ref(&x)).check(&run(row, &[x]), &row.name);
    }

    #[test]
    fn functions_of_two_tensors_broadcast(
        shape in shape(0..=RANK, 0), places in [place(), place()], mut c in choices(),
    ) {
        let row = &BINARY[c.below(BINARY.len())];
        let dtype = c.of(row.dtypes);
        let mut shapes = [broadcastable(&shape, &mut c), broadcastable(&shape, &mut c)];
        shapes[c.below(2)] = if c.flag() { shape.clone() } else { shapes[0].clone() };
        let inputs = [0, 1].map(|i| drawn(&row.inputs[i], &shapes[i], &places[i], dtype, &mut c).t);
        row.expect(&inputs).check(&run(row, &inputs), &row.name);
    }

    #[test]
    fn where_takes_from_three_tensors(
        shape in shape(0..=RANK, 0), places in [place(), place(), place()], mut c in choices(),
    ) {
        let dtype = c.of(&FLOATS);
        let [sm, sa, sb] = [0; 3].map(|_| broadcastable(&shape, &mut c));
        let mask = places[0].lay(&whole(&sm, c.seed(), 0..=1), c.of(&[DType::U8, DType::I64]));
        let [a, b] = [(1, sa), (2, sb)].map(|(i, s)| places[i].lay(&special(&s, c.seed()), dtype));
        let all = broadcast(&broadcast(&a.a.shape, &b.a.shape), &mask.a.shape);
        let want = Nd::from_fn(&all, |i| if mask.a.at(i) != 0.0 { a.a.at(i) } else { b.a.at(i) });
        assert_same(&mask.t.where_(&a.t, &b.t), &want);
    }

    #[test]
    fn comparisons_of_special_values(
        shape in shape(0..=RANK, 0), places in [place(), place()], mut c in choices(),
    ) {
        let dtype = c.of(&FLOATS);
        let [a, b] = [0, 1].map(|i| places[i].lay(&special(&broadcastable(&shape, &mut c), c.seed()), dtype));
        type Compared = (fn(&Tensor, &Tensor) -> Tensor, fn(f64, f64) -> bool);
        let all: [Compared; 6] = [
            (Tensor::eq, |a, b| a == b), (Tensor::ne, |a, b| a != b), (Tensor::lt, |a, b| a < b),
            (Tensor::le, |a, b| a <= b), (Tensor::gt, |a, b| a > b), (Tensor::ge, |a, b| a >= b),
        ];
        for (op, of) in all {
            let y = op(&a.t, &b.t);
            assert_eq!(y.dtype(), DType::U8);
            assert_same(&y, &a.a.zip(&b.a, |a, b| of(a, b) as u8 as f64));
        }
        for (y, of) in [
            (a.t.maximum(&b.t), f64::max as fn(f64, f64) -> f64), (a.t.minimum(&b.t), f64::min),
        ] {
            let nan = |a: f64, b: f64| if a.is_nan() || b.is_nan() { f64::NAN } else { of(a, b) };
            assert_same(&y, &a.a.zip(&b.a, nan));
        }
    }

    #[test]
    fn casts_give_the_nearest_value(shape in shape(0..=RANK, 0), place in place(), mut c in choices()) {
        let (from, to) = (c.of(&DType::ALL), c.of(&DType::ALL));
        let values = match from {
            DType::U8 => whole(&shape, c.seed(), 0..=255),
            // Whole numbers that f64 still holds.
            DType::I64 => {
                let top = c.of(&[300, 1 << 53]);
                whole(&shape, c.seed(), -top..=top)
            }
            _ => match c.below(4) {
                0 => special(&shape, c.seed()),
                // From the smallest to the largest magnitudes.
                1 => uniform(&shape, c.seed(), -45.0, 45.0).map(|v| v.fract().signum() * 2f64.powf(v)),
                // On or just beside the middle of two numbers of a half type, where one rounding decides.
                2 => {
                    let (step, beside) = (c.of(&[2f64.powi(-10), 2f64.powi(-7)]), c.of(&[0.0, 2f64.powi(-40)]));
                    whole(&shape, c.seed(), -127..=127).map(|k| (1.0 + (k + 0.5) * step) * (1.0 + k.signum() * beside))
                }
                _ => uniform(&shape, c.seed(), -300.0, 300.0),
            },
        };
        // Through f64, so that the values are those of the first dtype before the cast that is tested.
        let x = place.lay(&values.map(|v| converted(v, from)), from);
        let y = x.t.to_dtype(to);
        assert_eq!(y.dtype(), to);
        assert_same(&y, &x.a.map(|v| converted(v, to)));
    }

    #[test]
    fn half_types_are_the_f32_result_rounded_once(
        shape in shape(1..=RANK, 1), places in [place(), place()], mut c in choices(),
    ) {
        let dtype = c.of(&[DType::F16, DType::BF16]);
        let shapes = [shape.clone(), broadcastable(&shape, &mut c)];
        let [a, b] = [0, 1].map(|i| places[i].lay(&uniform(&shapes[i], c.seed(), 0.25, 2.0), dtype).t);
        let (dims, (_, dim)) = (c.dims(shape.len()), c.dim(shape.len()));
        let index = Tensor::from(&[0i64, 0][..]);
        let f = |a: &Tensor, b: &Tensor, which: usize| match which {
            0 => a.add(b), 1 => a.sub(b), 2 => a.mul(b), 3 => a.div(b), 4 => a.maximum(b),
            5 => a.sum(&dims, false), 6 => a.mean(&dims, false), 7 => a.var(&dims, false, true),
            8 => a.norm(&dims, false), 9 => a.max(&dims, true), 10 => a.cumsum(dim),
            11 => a.unsqueeze(0).t().matmul(&a.unsqueeze(0)),
            12 => {
                let inner = *a.shape().last().expect("a dimension");
                let rows = a.reshape(&[a.numel() / inner, inner]);
                a.linear(&rows.narrow(0, 0, rows.shape()[0].min(3)), None)
            }
            13 => {
                let twice = a.index_select(dim, &index);
                a.index_add(dim, &index, &twice)
            }
            14 => a.mul_scalar(0.3), 15 => a.add_scalar(0.1), 16 => a.clamp(0.7, 1.3),
            _ => (UNARY[which - 17].op)(std::slice::from_ref(a)),
        };
        let which = c.below(17 + UNARY.len());
        prop_assume!(which < 17 || !COMPOSED.iter().any(|n| UNARY[which - 17].name.starts_with(n)));
        let wide = |t: &Tensor| t.to_dtype(DType::F32);
        let (y, want) = (f(&a, &b, which), f(&wide(&a), &wide(&b), which).to_dtype(dtype));
        assert_eq!((y.dtype(), y.shape()), (dtype, want.shape()));
        assert!(bits(&y) == bits(&want), "case {which}: {:?}, not {:?}", y.to_f64_vec(), want.to_f64_vec());
    }
}
