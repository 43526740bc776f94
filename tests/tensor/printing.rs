//! What is printed, character by character.

use super::*;

/// The strings are NumPy's for the same values.
#[test]
fn small_tensors() {
    assert_eq!(t(&[1.0, -2.5, 3.25], &[3]).to_string(), "[ 1.   -2.5   3.25]");
    assert_eq!(Tensor::from([[1i64, -20], [300, 4]]).to_string(), "[[  1 -20]\n [300   4]]");
    assert_eq!(count(&[2, 2, 2]).to_string(), "[[[0. 1.]\n  [2. 3.]]\n\n [[4. 5.]\n  [6. 7.]]]");
    assert_eq!(Tensor::new(&[1u8, 0, 255], &[3]).to_string(), "[  1   0 255]");
    assert_eq!(t(&[-0.0, 1.0], &[1, 2]).to_string(), "[[-0.  1.]]");
}

#[test]
fn scalars_and_empty_tensors() {
    for (v, want) in [
        (1.5, "1.5"),
        (2.0, "2.0"),
        (-0.0, "-0.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-5, "1e-05"),
        (1e16, "1e+16"),
        (123456789012345.6, "123456789012345.6"),
        (f64::NAN, "nan"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        assert_eq!(Tensor::scalar(v, DType::F64, Device::Cpu).to_string(), want);
    }
    assert_eq!(Tensor::scalar(1234567.0, DType::F32, Device::Cpu).to_string(), "1.234567e+06");
    assert_eq!(Tensor::scalar(-3.0, DType::I64, Device::Cpu).to_string(), "-3");
    assert_eq!(t(&[], &[0]).to_string(), "[]");
    assert_eq!(t(&[], &[2, 0, 3]).to_string(), "[]");
}

#[test]
fn scientific_notation_and_values_that_are_not_finite() {
    assert_eq!(t(&[1e-5, 1.0, 20.0], &[3]).to_string(), "[1.e-05 1.e+00 2.e+01]");
    assert_eq!(t(&[1e200, 1e-300, -1e-5], &[3]).to_string(), "[ 1.e+200  1.e-300 -1.e-005]");
    assert_eq!(
        t(&[1e-10, 1e10, 1.23456789012], &[3]).to_string(),
        "[1.00000000e-10 1.00000000e+10 1.23456789e+00]"
    );
    assert_eq!(t(&[123456.789, 1234.5], &[2]).to_string(), "[123456.789   1234.5  ]");
    let odd = [1.0, 2.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    assert_eq!(t(&odd, &[5]).to_string(), "[ 1.   2.5  nan  inf -inf]");
    assert_eq!(t(&[f64::NEG_INFINITY, 1e10, 0.0], &[3]).to_string(), "[  -inf 1.e+10 0.e+00]");
}

#[test]
fn digits_are_those_of_the_dtype() {
    let x = t(&[0.1, 1.0 / 3.0], &[2]);
    assert_eq!(x.to_string(), "[0.1        0.33333333]");
    assert_eq!(x.to_dtype(DType::F32).to_string(), "[0.1        0.33333334]");
    assert_eq!(x.to_dtype(DType::F16).to_string(), "[0.1    0.3333]");
    assert_eq!(x.to_dtype(DType::BF16).to_string(), "[0.1   0.334]");
    assert_eq!(format!("{x:.3}"), "[0.1   0.333]");
    assert_eq!(format!("{:.0}", t(&[1.5, 20.0], &[2])), "[ 2. 20.]");
    assert_eq!(t(&[65504.0, 1.0], &[2]).to_dtype(DType::F16).to_string(), "[6.55e+04 1.00e+00]");
}

#[test]
fn long_lines_wrap_and_large_tensors_are_summarised() {
    let x = count(&[24]) / 7.0;
    let want = "[0.         0.14285714 0.28571429 0.42857143 0.57142857 0.71428571\n 0.85714286 1.         \
                1.14285714 1.28571429 1.42857143 1.57142857\n 1.71428571 1.85714286 2.         2.14285714 \
                2.28571429 2.42857143\n 2.57142857 2.71428571 2.85714286 3.         3.14285714 3.28571429]";
    assert_eq!(x.to_string(), want);
    let n = Tensor::arange(2000, DType::I64, Device::Cpu);
    assert_eq!(n.to_string(), "[   0    1    2 ... 1997 1998 1999]");
    let wide = "[[   0    1    2 ...  397  398  399]\n [ 400  401  402 ...  797  798  799]\n \
                [ 800  801  802 ... 1197 1198 1199]]";
    assert_eq!(Tensor::arange(1200, DType::I64, Device::Cpu).reshape(&[3, 400]).to_string(), wide);
    let tall = Tensor::arange(1400, DType::I64, Device::Cpu).reshape(&[700, 2]).to_string();
    assert_eq!(
        tall,
        "[[   0    1]\n [   2    3]\n [   4    5]\n ...\n [1394 1395]\n [1396 1397]\n [1398 1399]]"
    );
    let whole = Tensor::arange(1000, DType::I64, Device::Cpu).to_string();
    assert_eq!(whole.trim_matches(['[', ']']).split_whitespace().count(), 1000);
}

#[test]
fn debug_adds_what_the_values_do_not_show() {
    let x = Tensor::ones(&[2], DType::F32, Device::Cpu).requires_grad();
    assert_eq!(format!("{x:?}"), "[1. 1.]\nshape [2], f32, cpu, leaf");
    assert_eq!(format!("{:?}", x.tanh().detach().gt_scalar(0.0)), "[1 1]\nshape [2], u8, cpu");
    assert_eq!(format!("{:?}", (&x + 1.0).detach()), "[2. 2.]\nshape [2], f32, cpu");
    assert!(format!("{:?}", x.exp()).ends_with("shape [2], f32, cpu, exp"));
    let meta = x.detach().to_device(Device::Meta);
    assert_eq!(format!("{meta:?}"), "<no values>\nshape [2], f32, meta");
}
