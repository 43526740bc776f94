//! The backend of tensors without values: every kernel does nothing but note that it was called.

use super::trace::{note, note_conv, note_gemm};
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
    fn fill(&self, _: f64, out: ViewMut) {
        note("fill", out.layout.shape());
    }
    fn copy(&self, _: View, out: ViewMut) {
        note("copy", out.layout.shape());
    }
    fn cast(&self, _: View, out: ViewMut) {
        note("cast", out.layout.shape());
    }
    fn unary(&self, _: Unary, _: View, out: ViewMut) {
        note("unary", out.layout.shape());
    }
    fn binary(&self, _: Binary, _: View, _: View, out: ViewMut) {
        note("binary", out.layout.shape());
    }
    fn argmax(&self, x: View, _: ViewMut) {
        note("argmax", x.layout.shape());
    }
    fn argsort(&self, x: View, _: bool, _: ViewMut) {
        note("argsort", x.layout.shape());
    }
    fn cumsum(&self, x: View, _: ViewMut) {
        note("cumsum", x.layout.shape());
    }
    fn compare(&self, _: Compare, _: View, _: View, out: ViewMut) {
        note("compare", out.layout.shape());
    }
    fn select(&self, _: View, _: View, _: View, out: ViewMut) {
        note("select", out.layout.shape());
    }
    fn accumulate(&self, _: View, acc: ViewMut) {
        note("accumulate", acc.layout.shape());
    }
    fn reduce(&self, _: Reduce, x: View, _: &[bool], _: ViewMut) {
        note("reduce", x.layout.shape());
    }
    fn softmax(&self, _: bool, x: View, _: usize, _: ViewMut) {
        note("softmax", x.layout.shape());
    }
    fn softmax_grad(&self, _: bool, _: View, y: View, _: usize, _: ViewMut) {
        note("softmax_grad", y.layout.shape());
    }
    fn cross_entropy(&self, x: View, _: View, _: ViewMut, _: ViewMut) -> Result<(), BadIndex> {
        note("cross_entropy", x.layout.shape());
        Ok(())
    }
    fn cross_entropy_grad(&self, _: View, x: View, _: View, _: View, _: ViewMut) {
        note("cross_entropy_grad", x.layout.shape());
    }
    fn loss(&self, _: Loss, p: View, _: View, _: f64, _: ViewMut) {
        note("loss", p.layout.shape());
    }
    fn loss_grad(&self, _: Loss, _: View, _: View, _: View, _: f64, out: ViewMut) {
        note("loss_grad", out.layout.shape());
    }
    fn gemm(&self, a: View, _: View, _: Option<View>, out: ViewMut) {
        note_gemm(&a, &out);
    }
    fn conv2d(&self, _: View, weight: View, _: Option<View>, _: &ConvOptions, out: ViewMut) {
        note_conv("conv2d", out.layout.shape(), weight.layout.shape());
    }
    fn conv2d_input_grad(&self, g: View, weight: View, _: Option<View>, _: &ConvOptions, _: ViewMut) {
        note_conv("conv2d_input_grad", g.layout.shape(), weight.layout.shape());
    }
    fn conv2d_weight_grad(&self, _: View, g: View, _: &ConvOptions, out: ViewMut) {
        note_conv("conv2d_weight_grad", g.layout.shape(), out.layout.shape());
    }
    fn index_select(
        &self,
        _: &'static str,
        _: View,
        _: usize,
        _: View,
        out: ViewMut,
    ) -> Result<(), BadIndex> {
        note("index_select", out.layout.shape());
        Ok(())
    }
    fn index_add(&self, _: &'static str, _: View, _: usize, _: View, acc: ViewMut) -> Result<(), BadIndex> {
        note("index_add", acc.layout.shape());
        Ok(())
    }
    fn gather(&self, _: &'static str, _: View, _: usize, _: View, out: ViewMut) -> Result<(), BadIndex> {
        note("gather", out.layout.shape());
        Ok(())
    }
    fn scatter_add(&self, _: &'static str, _: View, _: usize, _: View, acc: ViewMut) -> Result<(), BadIndex> {
        note("scatter_add", acc.layout.shape());
        Ok(())
    }
    fn batch_norm_stats(&self, x: View, _: ViewMut, _: ViewMut) {
        note("batch_norm_stats", x.layout.shape());
    }
    fn batch_norm_apply(&self, x: View, _: View, _: View, _: View, _: View, _: ViewMut) {
        note("batch_norm_apply", x.layout.shape());
    }
    fn batch_norm_grad(&self, _: View, x: View, _: BatchNormStats, _: BatchNormGrads) {
        note("batch_norm_grad", x.layout.shape());
    }
    fn group_norm(&self, _: Groups, _: f64, x: View, _: [Option<View>; 2], _: ViewMut, _: ViewMut) {
        note("group_norm", x.layout.shape());
    }
    fn group_norm_grad(&self, _: Groups, _: View, x: View, _: View, _: Option<View>, _: GroupNormGrads) {
        note("group_norm_grad", x.layout.shape());
    }
    fn upfirdn2d(&self, _: Upfirdn, _: View, _: View, out: ViewMut) {
        note("upfirdn2d", out.layout.shape());
    }
    fn argmax_pool2d(&self, _: Window, _: View, out: ViewMut) {
        note("argmax_pool2d", out.layout.shape());
    }
    fn random(&self, _: Random, _: Key, _: u64, out: ViewMut) {
        note("random", out.layout.shape());
    }
    fn sum_squares(&self, table: &[View]) -> Vec<f64> {
        note("sum_squares", &[table.iter().map(|x| x.layout.numel()).sum()]);
        vec![0.0; table.len()]
    }
    fn update(&self, _: Update, rows: &mut [UpdateRow]) {
        note("update", &[rows.iter().map(|r| r.param.len()).sum()]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The names in `note("name", ..)` and its like of a backend's source.
    fn noted(source: &str) -> BTreeSet<&str> {
        ["note(\"", "note_conv(\""]
            .into_iter()
            .flat_map(|call| source.split(call).skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect()
    }

    /// A kernel without a note would be missing from every cost that is counted on this device.
    #[test]
    fn every_kernel_is_noted_as_on_the_cpu() {
        let (cpu, meta) = (noted(include_str!("cpu/mod.rs")), noted(include_str!("meta.rs")));
        assert!(cpu.contains("batch_norm_grad"), "{cpu:?}");
        assert_eq!(cpu.difference(&meta).count(), 0, "the CPU notes {cpu:?}, meta {meta:?}");
    }
}
