//! The layers of the network, from pictures to the 2048 features, as the module docs tell them.
//!
//! Blocks carry the letters that torchvision gives them, tensors the names of its state dict.

use super::pool::MeanInside;
use super::weights::{Fit, Weights};
use crate::Result;
use crate::nn::{AdaptiveAvgPool2d, Branches, Flatten, Join, MaxPool2d, Module, Sequential};

/// Numbers that describe a picture.
pub(super) const FEATURES: usize = 2048;

/// A convolution: its name, the channels it makes, its kernel and how that moves.
type Layer = (&'static str, usize, [usize; 2], Fit);

const ONE: [usize; 2] = [1, 1];
const THREE: [usize; 2] = [3, 3];
const ROW: [usize; 2] = [1, 7];
const COLUMN: [usize; 2] = [7, 1];

/// A block's convolutions, all of which see its input or what another made of it.
struct Block<'w> {
    weights: &'w Weights<'w>,
    name: &'static str,
    inputs: usize,
}

impl Block<'_> {
    /// Convolutions one after the other.
    fn row(&self, layers: &[Layer]) -> Result<Sequential> {
        self.row_from(self.inputs, layers)
    }

    /// [`Block::row`] of something with so many channels.
    fn row_from(&self, mut channels: usize, layers: &[Layer]) -> Result<Sequential> {
        let mut row = Sequential::new();
        for &(name, outputs, kernel, fit) in layers {
            let name = format!("{}.{name}", self.name);
            row.push(Box::new(self.weights.conv(&name, [channels, outputs], kernel, fit)?));
            channels = outputs;
        }
        Ok(row)
    }

    /// Convolutions, and behind them kernels of a row and of a column of three pixels side by side.
    fn forked(&self, layers: &[Layer], ends: [&'static str; 2]) -> Result<Sequential> {
        let body = self.row(layers)?;
        let channels = layers.last().map_or(self.inputs, |layer| layer.1);
        let [row, column] = ends;
        let fork = side_by_side()
            .with(self.row_from(channels, &[(row, 384, [1, 3], Fit::Same)])?)
            .with(self.row_from(channels, &[(column, 384, [3, 1], Fit::Same)])?);
        Ok(body.with(fork))
    }

    /// A pool, and a convolution of one pixel.
    fn pooled(&self, pool: impl Module + 'static, outputs: usize) -> Result<Sequential> {
        let conv = self.row(&[("branch_pool", outputs, ONE, Fit::Same)])?;
        Ok(Sequential::new().with(pool).with(conv))
    }

    /// Kernels of 1, 5 and twice 3 pixels a side; `pool` channels from the pool.
    fn a(self, pool: usize) -> Result<Branches> {
        let five = [("branch5x5_1", 48, ONE, Fit::Same), ("branch5x5_2", 64, [5, 5], Fit::Same)];
        let double = [
            ("branch3x3dbl_1", 64, ONE, Fit::Same),
            ("branch3x3dbl_2", 96, THREE, Fit::Same),
            ("branch3x3dbl_3", 96, THREE, Fit::Same),
        ];
        Ok(side_by_side()
            .with(self.row(&[("branch1x1", 64, ONE, Fit::Same)])?)
            .with(self.row(&five)?)
            .with(self.row(&double)?)
            .with(self.pooled(MeanInside, pool)?))
    }

    /// Half as many rows and columns.
    fn b(self) -> Result<Branches> {
        let double = [
            ("branch3x3dbl_1", 64, ONE, Fit::Same),
            ("branch3x3dbl_2", 96, THREE, Fit::Same),
            ("branch3x3dbl_3", 96, THREE, Fit::Inside(2)),
        ];
        Ok(side_by_side()
            .with(self.row(&[("branch3x3", 384, THREE, Fit::Inside(2))])?)
            .with(self.row(&double)?)
            .with(halving()))
    }

    /// Kernels of 7 pixels a side as a row and a column, with `inner` channels between them.
    fn c(self, inner: usize) -> Result<Branches> {
        let seven = [
            ("branch7x7_1", inner, ONE, Fit::Same),
            ("branch7x7_2", inner, ROW, Fit::Same),
            ("branch7x7_3", 192, COLUMN, Fit::Same),
        ];
        let double = [
            ("branch7x7dbl_1", inner, ONE, Fit::Same),
            ("branch7x7dbl_2", inner, COLUMN, Fit::Same),
            ("branch7x7dbl_3", inner, ROW, Fit::Same),
            ("branch7x7dbl_4", inner, COLUMN, Fit::Same),
            ("branch7x7dbl_5", 192, ROW, Fit::Same),
        ];
        Ok(side_by_side()
            .with(self.row(&[("branch1x1", 192, ONE, Fit::Same)])?)
            .with(self.row(&seven)?)
            .with(self.row(&double)?)
            .with(self.pooled(MeanInside, 192)?))
    }

    /// Half as many rows and columns again.
    fn d(self) -> Result<Branches> {
        let three = [("branch3x3_1", 192, ONE, Fit::Same), ("branch3x3_2", 320, THREE, Fit::Inside(2))];
        let seven = [
            ("branch7x7x3_1", 192, ONE, Fit::Same),
            ("branch7x7x3_2", 192, ROW, Fit::Same),
            ("branch7x7x3_3", 192, COLUMN, Fit::Same),
            ("branch7x7x3_4", 192, THREE, Fit::Inside(2)),
        ];
        Ok(side_by_side().with(self.row(&three)?).with(self.row(&seven)?).with(halving()))
    }

    /// Branches that fork at their ends, 2048 channels in all.
    fn e(self, pool: impl Module + 'static) -> Result<Branches> {
        let double = [("branch3x3dbl_1", 448, ONE, Fit::Same), ("branch3x3dbl_2", 384, THREE, Fit::Same)];
        Ok(side_by_side()
            .with(self.row(&[("branch1x1", 320, ONE, Fit::Same)])?)
            .with(self.forked(&[("branch3x3_1", 384, ONE, Fit::Same)], ["branch3x3_2a", "branch3x3_2b"])?)
            .with(self.forked(&double, ["branch3x3dbl_3a", "branch3x3dbl_3b"])?)
            .with(self.pooled(pool, 192)?))
    }
}

/// Branches whose channels are joined.
fn side_by_side() -> Branches {
    Branches::new(Join::Cat(1))
}

/// The largest of three by three pixels, at every other place.
fn halving() -> MaxPool2d {
    MaxPool2d { kernel_size: THREE, stride: Some([2, 2]), padding: [0, 0] }
}

/// From `[n, 3, 299, 299]` in [-1, 1] to `[n, 2048]`: 35 x 35 pixels from block 5b on, 17 x 17 from 6a, 8 x 8 from 7a.
///
/// # Errors
/// If a tensor is missing or of another shape.
pub(super) fn body(weights: &Weights) -> Result<Sequential> {
    let stem = stem(weights)?;
    let block = |name, inputs| Block { weights, name, inputs };
    let largest = MaxPool2d { kernel_size: THREE, stride: Some([1, 1]), padding: [1, 1] };
    Ok(stem
        .with(block("Mixed_5b", 192).a(32)?)
        .with(block("Mixed_5c", 256).a(64)?)
        .with(block("Mixed_5d", 288).a(64)?)
        .with(block("Mixed_6a", 288).b()?)
        .with(block("Mixed_6b", 768).c(128)?)
        .with(block("Mixed_6c", 768).c(160)?)
        .with(block("Mixed_6d", 768).c(160)?)
        .with(block("Mixed_6e", 768).c(192)?)
        .with(block("Mixed_7a", 768).d()?)
        .with(block("Mixed_7b", 1280).e(MeanInside)?)
        .with(block("Mixed_7c", FEATURES).e(largest)?)
        .with(AdaptiveAvgPool2d { output_size: [1, 1] })
        .with(Flatten))
}

/// The layers before the blocks, to 192 channels of 35 x 35 pixels.
fn stem(weights: &Weights) -> Result<Sequential> {
    Ok(Sequential::new()
        .with(weights.conv("Conv2d_1a_3x3", [3, 32], THREE, Fit::Inside(2))?)
        .with(weights.conv("Conv2d_2a_3x3", [32, 32], THREE, Fit::Inside(1))?)
        .with(weights.conv("Conv2d_2b_3x3", [32, 64], THREE, Fit::Same)?)
        .with(halving())
        .with(weights.conv("Conv2d_3b_1x1", [64, 80], ONE, Fit::Inside(1))?)
        .with(weights.conv("Conv2d_4a_3x3", [80, 192], THREE, Fit::Inside(1))?)
        .with(halving()))
}
