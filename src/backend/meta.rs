//! The backend of tensors without values: no kernel does anything.

use super::*;
use crate::rng::Key;

pub(super) struct Meta;

impl Backend for Meta {
    fn device(&self) -> Device {
        Device::Meta
    }
    fn describe(&self) -> String {
        "meta (shapes only)".into()
    }
    fn tier(&self) -> &'static str {
        "none"
    }
    fn alloc(&self, dtype: DType, len: usize) -> Storage {
        Storage::new(dtype, len, Memory::Meta)
    }
    fn upload(&self, dtype: DType, bytes: &[u8]) -> Storage {
        Storage::new(dtype, bytes.len() / dtype.size(), Memory::Meta)
    }
    fn download(&self, _: &Storage, _: usize, _: &mut [u8]) {
        crate::error::misuse!(
            "to_vec",
            "a tensor on device meta has a shape but no values; compute it on another device"
        );
    }
    fn synchronize(&self) {}
    fn pool_stats(&self) -> PoolStats {
        PoolStats::default()
    }
    fn trim(&self) {}
    fn fill(&self, _: f64, _: ViewMut) {}
    fn copy(&self, _: View, _: ViewMut) {}
    fn cast(&self, _: View, _: ViewMut) {}
    fn unary(&self, _: Unary, _: View, _: ViewMut) {}
    fn binary(&self, _: Binary, _: View, _: View, _: ViewMut) {}
    fn argmax(&self, _: View, _: ViewMut) {}
    fn argsort(&self, _: View, _: bool, _: ViewMut) {}
    fn cumsum(&self, _: View, _: ViewMut) {}
    fn compare(&self, _: Compare, _: View, _: View, _: ViewMut) {}
    fn select(&self, _: View, _: View, _: View, _: ViewMut) {}
    fn accumulate(&self, _: View, _: ViewMut) {}
    fn reduce(&self, _: Reduce, _: View, _: &[bool], _: ViewMut) {}
    fn softmax(&self, _: bool, _: View, _: usize, _: ViewMut) {}
    fn softmax_grad(&self, _: bool, _: View, _: View, _: usize, _: ViewMut) {}
    fn cross_entropy(&self, _: View, _: View, _: ViewMut, _: ViewMut) -> Result<(), BadIndex> {
        Ok(())
    }
    fn cross_entropy_grad(&self, _: View, _: View, _: View, _: View, _: ViewMut) {}
    fn loss(&self, _: Loss, _: View, _: View, _: f64, _: ViewMut) {}
    fn loss_grad(&self, _: Loss, _: View, _: View, _: View, _: f64, _: ViewMut) {}
    // As the CPU's: what is counted here runs there.
    fn rectifies(&self) -> bool {
        true
    }
    fn gemm(&self, _: View, _: View, _: Epilogue<View>, _: ViewMut) {}
    fn conv2d(&self, _: View, _: View, _: Epilogue<View>, _: &ConvOptions, _: ViewMut) {}
    fn conv2d_input_grad(&self, _: View, _: View, _: Option<View>, _: &ConvOptions, _: ViewMut) {}
    fn conv2d_weight_grad(&self, _: View, _: View, _: &ConvOptions, _: ViewMut) {}
    fn index_select(&self, _: &'static str, _: View, _: usize, _: View, _: ViewMut) -> Result<(), BadIndex> {
        Ok(())
    }
    fn index_add(&self, _: &'static str, _: View, _: usize, _: View, _: ViewMut) -> Result<(), BadIndex> {
        Ok(())
    }
    fn gather(&self, _: &'static str, _: View, _: usize, _: View, _: ViewMut) -> Result<(), BadIndex> {
        Ok(())
    }
    fn scatter_add(&self, _: &'static str, _: View, _: usize, _: View, _: ViewMut) -> Result<(), BadIndex> {
        Ok(())
    }
    fn batch_norm_stats(&self, _: View, _: ViewMut, _: ViewMut) {}
    fn batch_norm_apply(&self, _: View, _: View, _: View, _: View, _: View, _: ViewMut) {}
    fn batch_norm_grad(&self, _: View, _: View, _: BatchNormStats, _: BatchNormGrads) {}
    fn group_norm(&self, _: Groups, _: f64, _: View, _: [Option<View>; 2], _: ViewMut, _: ViewMut) {}
    fn group_norm_grad(&self, _: Groups, _: View, _: View, _: View, _: Option<View>, _: GroupNormGrads) {}
    fn upfirdn2d(&self, _: Upfirdn, _: View, _: View, _: ViewMut) {}
    fn argmax_pool2d(&self, _: Window, _: View, _: ViewMut) {}
    fn random(&self, _: Random, _: Key, _: u64, _: ViewMut) {}
    fn sum_squares(&self, table: &[View]) -> Vec<f64> {
        vec![0.0; table.len()]
    }
    fn update(&self, _: Update, _: &mut [UpdateRow]) {}
}
