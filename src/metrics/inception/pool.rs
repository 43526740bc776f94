//! The mean of a pixel and its neighbours.

use crate::Tensor;
use crate::nn::{Ctx, Kind, Module};

/// The mean of the pixels of each window of 3 x 3, one apart, that lie in the image: nine, six at an edge and four in a
/// corner. (PyTorch's `count_include_pad = False`, and what TensorFlow's padding `SAME` does.)
#[derive(Clone)]
pub(super) struct MeanInside;

impl Module for MeanInside {
    /// What lies outside is 0 and adds nothing; the share of a window that lies inside is the mean of an image of ones.
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        let mean = |t: &Tensor| t.avg_pool2d([3, 3], [1, 1], [1, 1]);
        let ones = Tensor::ones(&[1, 1, x.size(2), x.size(3)], x.dtype(), x.device());
        mean(x).div(&mean(&ones))
    }

    fn visit(&self, _: &str, _: &mut dyn FnMut(&str, Kind, &Tensor)) {}

    fn visit_mut<'a>(&'a mut self, _: &str, _: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {}
}
