//! Between dtypes, and out to host values.

use super::*;

const VALUES: [f64; 16] = [
    0.0,
    1.0,
    -1.0,
    2.9,
    -2.9,
    0.1,
    255.0,
    256.0,
    -0.5,
    65504.0,
    65520.0,
    3e38,
    1e300,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

/// What each dtype makes of [`VALUES`], written out.
#[test]
fn saturation_truncation_and_overflow() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let (low, high) = (i64::MIN as f64, i64::MAX as f64);
    let tenth = [0.1f32 as f64, f16::from_f32(0.1).to_f64(), bf16::from_f32(0.1).to_f64()];
    let cases: [(DType, [f64; 16]); 6] = [
        (DType::F64, VALUES),
        (
            DType::F32,
            [
                0.0,
                1.0,
                -1.0,
                2.9f32 as f64,
                -2.9f32 as f64,
                tenth[0],
                255.0,
                256.0,
                -0.5,
                65504.0,
                65520.0,
                3e38f32 as f64,
                inf,
                nan,
                inf,
                -inf,
            ],
        ),
        (
            DType::F16,
            [
                0.0,
                1.0,
                -1.0,
                2.900390625,
                -2.900390625,
                tenth[1],
                255.0,
                256.0,
                -0.5,
                65504.0,
                inf,
                inf,
                inf,
                nan,
                inf,
                -inf,
            ],
        ),
        (
            DType::BF16,
            [
                0.0,
                1.0,
                -1.0,
                2.90625,
                -2.90625,
                tenth[2],
                255.0,
                256.0,
                -0.5,
                65536.0,
                65536.0,
                bf16::from_f32(3e38).to_f64(),
                inf,
                nan,
                inf,
                -inf,
            ],
        ),
        (
            DType::I64,
            [0.0, 1.0, -1.0, 2.0, -2.0, 0.0, 255.0, 256.0, 0.0, 65504.0, 65520.0, high, high, 0.0, high, low],
        ),
        (
            DType::U8,
            [0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 255.0, 255.0, 0.0, 255.0, 255.0, 255.0, 255.0, 0.0, 255.0, 0.0],
        ),
    ];
    for (dtype, want) in cases {
        let got = t(&VALUES, &[16]).to_dtype(dtype);
        assert_eq!(got.dtype(), dtype);
        for (i, (g, w)) in got.to_f64_vec().iter().zip(want).enumerate() {
            assert!(*g == w || g.is_nan() && w.is_nan(), "{} to {dtype}: {g}, not {w}", VALUES[i]);
        }
    }
}

/// From every dtype to every dtype, and in every order in memory.
#[test]
fn every_pair_of_dtypes() {
    for from in DType::ALL {
        // Whole numbers that all dtypes have, in more than one vector's length.
        let x = Tensor::arange(130, DType::I64, Device::Cpu).to_dtype(from).reshape(&[10, 13]);
        for to in DType::ALL {
            let y = x.to_dtype(to);
            assert_eq!((y.dtype(), y.shape()), (to, x.shape()));
            assert_eq!(y.to_f64_vec(), x.to_f64_vec(), "{from} to {to}");
            assert_eq!(y.to_dtype(from).to_f64_vec(), x.to_f64_vec(), "{from} to {to} and back");
            assert_eq!(x.t().to_dtype(to).to_f64_vec(), x.t().to_f64_vec(), "{from} to {to}, transposed");
            assert_eq!(x.narrow(1, 3, 4).to_dtype(to).to_f64_vec(), x.narrow(1, 3, 4).to_f64_vec());
        }
    }
}

#[test]
fn large_integers_survive_everything_but_arithmetic() {
    let v = [i64::MAX, i64::MIN, (1 << 53) + 1, -1];
    let x = Tensor::new(&v, &[2, 2]);
    assert_eq!(x.t().contiguous().to_vec::<i64>(), [v[0], v[2], v[1], v[3]]);
    assert_eq!(Tensor::cat(&[&x, &x], 0).narrow(0, 1, 2).to_vec::<i64>(), [v[2], v[3], v[0], v[1]]);
    let rows = Tensor::new(&[1i64, 0], &[2]);
    assert_eq!(x.index_select(0, &rows).to_vec::<i64>(), [v[2], v[3], v[0], v[1]]);
    assert_eq!(x.gather(0, &Tensor::new(&[1i64, 0], &[1, 2])).to_vec::<i64>(), [v[2], v[1]]);
    assert_eq!(x.eq(&Tensor::new(&[1i64 << 53], &[])).to_vec::<u8>(), [0; 4]);
    assert_eq!(x.gt(&Tensor::new(&[1i64 << 53], &[])).to_vec::<u8>(), [1, 0, 1, 0]);
}

#[test]
fn values_come_out_in_logical_order() {
    let x = count(&[2, 3, 4]);
    assert_eq!(x.permute(&[2, 0, 1]).to_vec::<f64>()[..4], [0.0, 4.0, 8.0, 12.0]);
    assert_eq!(x.narrow(2, 1, 2).narrow(1, 2, 1).to_vec::<f64>(), [9.0, 10.0, 21.0, 22.0]);
    assert_eq!(t(&[3.0], &[1, 1]).expand(&[2, 2]).to_vec::<f64>(), [3.0; 4]);
}
