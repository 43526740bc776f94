//! The rows on the device that `GANVIL_TEST_DEVICE` names, against the same references and the CPU's gradients.

use crate::layouts::{ORDERS, relaid};
use crate::row::{FLOATS, Gradient, Row};
use crate::{assert_close, cases, each_row, gradients, run, steady_tier};
use ganvil::{DType, Device, Tensor};

/// The device under test, or None and a line that says why.
fn device() -> Option<Device> {
    match std::env::var("GANVIL_TEST_DEVICE").as_deref() {
        Err(_) | Ok("cpu") => {
            println!("SKIPPED: set GANVIL_TEST_DEVICE to cuda or ptxsim");
            None
        }
        Ok(name) => Some(name.parse().unwrap_or_else(|e| panic!("GANVIL_TEST_DEVICE: {e}"))),
    }
}

/// The CPU and the device under test, if there is one.
pub fn devices() -> Vec<Device> {
    [Some(Device::Cpu), device()].into_iter().flatten().collect()
}

/// f64 exists on the CPU alone.
fn dtypes(row: &Row) -> impl Iterator<Item = DType> {
    row.dtypes.iter().copied().filter(|d| *d != DType::F64)
}

fn moved(inputs: &[Tensor], device: Device) -> Vec<Tensor> {
    inputs.iter().map(|x| x.to_device(device)).collect()
}

#[test]
fn values_on_the_device_agree_with_the_reference() {
    let Some(device) = device() else { return };
    let _tier = steady_tier();
    each_row(
        |_| true,
        |row| {
            for dtype in dtypes(row) {
                let inputs = row.tensors(dtype);
                let expected = row.expect(&inputs);
                let there = moved(&inputs, device);
                let y = run(row, &there);
                assert_eq!(y.device(), device);
                expected.check(&y.to_device(Device::Cpu), &format!("{dtype} on {device}"));
                for order in ORDERS {
                    let strided: Vec<Tensor> = there.iter().map(|x| relaid(x, order)).collect();
                    if strided.iter().zip(&there).any(|(a, b)| a.layout() != b.layout()) {
                        let y = run(row, &strided).to_device(Device::Cpu);
                        expected.check(&y, &format!("{dtype} on {device}, {order:?}"));
                    }
                }
            }
        },
    );
}

#[test]
fn gradients_on_the_device_agree_with_the_cpu() {
    let Some(device) = device() else { return };
    let _tier = steady_tier();
    each_row(
        |r| r.gradient == Gradient::Checked,
        |row| {
            for dtype in dtypes(row).filter(|d| FLOATS.contains(d)) {
                let inputs = row.tensors(dtype);
                // As for two ways to the same gradient on the CPU; half types round at other places.
                let k = if dtype == DType::F32 { 64.0 } else { 32.0 };
                let want = gradients(row, &inputs, true);
                for create_graph in [false, true] {
                    let got = gradients(row, &moved(&inputs, device), create_graph);
                    assert!(got.iter().all(|g| g.device() == device));
                    let what = format!("{dtype} on {device}, create_graph {create_graph}");
                    assert_close(&what, &moved(&got, Device::Cpu), &want, k);
                }
                let there = moved(&inputs, device);
                for order in ORDERS {
                    let strided: Vec<Tensor> = there.iter().map(|x| relaid(x, order)).collect();
                    if strided.iter().zip(&there).any(|(a, b)| a.layout() != b.layout()) {
                        let got = gradients(row, &strided, false);
                        let what = format!("{dtype} on {device}, {order:?}");
                        assert_close(&what, &moved(&got, Device::Cpu), &want, k);
                    }
                }
            }
        },
    );
}

#[test]
fn runs_on_the_device_repeat_bit_for_bit() {
    let Some(device) = device() else { return };
    let _tier = steady_tier();
    each_row(
        |r| r.numel() > 100,
        |row| {
            for dtype in dtypes(row) {
                let inputs = moved(&row.tensors(dtype), device);
                let bits = |y: Tensor| crate::row::bits(&y);
                assert!(bits((row.op)(&inputs)) == bits((row.op)(&inputs)), "{dtype}: other bits");
            }
        },
    );
}

#[test]
fn there_are_rows_for_every_kind_of_operand() {
    let kinds = |d: DType| cases::table().iter().filter(|r| dtypes(r).any(|t| t == d)).count();
    assert!([DType::F32, DType::F16, DType::BF16, DType::I64, DType::U8].into_iter().all(|d| kinds(d) > 0));
}
