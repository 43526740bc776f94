//! How normalisation within samples sees its operand.

/// A dense operand in the order of memory, `[samples, positions, groups, members, inner]`: what shares a sample and a group
/// is normalised together. Either the group lies side by side (`positions` is 1: rows, and images in NCHW order) or its
/// members do at each position (`inner` is 1: images with channels last). Weight and bias are `[groups, members]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Groups {
    /// Samples, or rows.
    pub samples: usize,
    /// Positions of an image that has its channels last.
    pub positions: usize,
    /// Groups of a sample.
    pub groups: usize,
    /// Members of a group that have a weight and a bias each.
    pub members: usize,
    /// Elements of a member that lie side by side.
    pub inner: usize,
}

impl Groups {
    /// Weights of a sample.
    pub(super) fn channels(self) -> usize {
        self.groups * self.members
    }

    /// Elements of a sample.
    pub(super) fn sample(self) -> usize {
        self.positions * self.channels() * self.inner
    }

    /// Elements of a group.
    pub(super) fn count(self) -> usize {
        self.positions * self.members * self.inner
    }
}
