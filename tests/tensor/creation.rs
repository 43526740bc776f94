//! Making tensors, and the order in memory of results.

use super::*;

#[test]
fn constants_in_every_dtype() {
    for dtype in DType::ALL {
        for shape in [&[][..], &[0], &[3], &[2, 0, 3], &[2, 3]] {
            for (made, value) in [
                (Tensor::zeros(shape, dtype, Device::Cpu), 0.0),
                (Tensor::ones(shape, dtype, Device::Cpu), 1.0),
                (Tensor::full(shape, 7.0, dtype, Device::Cpu), 7.0),
            ] {
                assert_eq!((made.shape(), made.dtype(), made.device()), (shape, dtype, Device::Cpu));
                assert_eq!(made.to_f64_vec(), vec![value; shape.iter().product()]);
                assert!(!made.is_tracked() && made.layout().is_contiguous());
            }
        }
        assert_eq!(Tensor::arange(4, dtype, Device::Cpu).to_f64_vec(), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(Tensor::eye(2, dtype, Device::Cpu).to_f64_vec(), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(Tensor::scalar(2.0, dtype, Device::Cpu).item(), 2.0);
    }
    assert_eq!(Tensor::arange(0, DType::F32, Device::Cpu).shape(), [0]);
    assert_eq!(Tensor::eye(0, DType::F32, Device::Cpu).shape(), [0, 0]);
}

#[test]
fn from_slices_and_rows() {
    let v = Tensor::from(&[1i64, 2, 3][..]);
    assert_eq!((v.shape(), v.dtype(), v.to_vec::<i64>()), (&[3][..], DType::I64, vec![1, 2, 3]));
    let m = Tensor::from([[1f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_eq!((m.shape(), m.size(0), m.size(-1), m.rank(), m.numel()), (&[2, 3][..], 2, 3, 2, 6));
}

#[test]
fn constants_like_a_tensor_keep_its_order_in_memory() {
    let x = count(&[2, 4, 5, 3]).permute(&[0, 3, 1, 2]).to_dtype(DType::F32);
    assert!(!x.layout().is_contiguous() && x.layout().is_dense());
    assert_eq!(x.zeros_like().layout(), x.layout());
    assert_eq!(x.ones_like().dtype(), DType::F32);
    // So do those like the inside of a larger one, without its gaps.
    let rows = x.narrow(2, 1, 2).full_like(2.0).permute(&[0, 2, 3, 1]);
    assert!(!x.narrow(2, 1, 2).layout().is_dense() && rows.layout().is_contiguous());
}

#[test]
fn elementwise_results_keep_the_order_of_their_operand() {
    let x = count(&[2, 4, 5, 3]).permute(&[0, 3, 1, 2]);
    let c = count(&[1, 3, 1, 1]);
    for y in [x.exp(), &x + &x, &x * &c, &c + &x, x.relu(), x.gt_scalar(1.0), x.to_dtype(DType::F32)] {
        assert_eq!(y.layout(), x.layout());
    }
}

#[test]
fn devices_by_name() {
    assert_eq!("cpu".parse::<Device>().unwrap(), Device::Cpu);
    assert_eq!("meta".parse::<Device>().unwrap().to_string(), "meta");
    let error = "gpu".parse::<Device>().unwrap_err().to_string();
    assert!(error.contains("'gpu'") && error.contains("cpu, cuda") && error.contains("meta"), "{error}");
}
