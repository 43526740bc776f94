//! Layouts against a list of storage indices.

use super::*;
use proptest::prelude::*;

/// The storage index of every element, in row-major order: what a layout stands for.
#[derive(Clone)]
struct Naive {
    shape: Vec<usize>,
    at: Vec<usize>,
}

impl Naive {
    /// Row-major numbers of the elements of `shape`, each found by `from` in this array.
    fn picked(&self, shape: Vec<usize>, from: impl Fn(&[usize]) -> Vec<usize>) -> Naive {
        let mut all = vec![Vec::new()];
        for &n in &shape {
            all =
                all.iter().flat_map(|i: &Vec<usize>| (0..n).map(move |j| [&i[..], &[j]].concat())).collect();
        }
        let flat = |i: Vec<usize>| i.iter().zip(&self.shape).fold(0, |f, (i, n)| f * n + i);
        Naive { at: all.iter().map(|i| self.at[flat(from(i))]).collect(), shape }
    }

    /// The strides of another shape that visit the same indices in order, if there are any.
    fn strides(&self, shape: &[usize]) -> Option<Vec<usize>> {
        let mut strides = Vec::new();
        let mut step = self.at.len();
        for &n in shape {
            step /= n;
            strides.push(if n > 1 { self.at[step].checked_sub(self.at[0])? } else { 0 });
        }
        let mut reached = vec![self.at[0]];
        for (&n, &s) in shape.iter().zip(&strides) {
            reached = reached.iter().flat_map(|&p| (0..n).map(move |i| p + i * s)).collect();
        }
        (reached == self.at).then_some(strides)
    }
}

/// A view, its parameters reduced to what the shape allows when it is applied.
#[derive(Clone, Debug)]
enum Step {
    Swap(usize, usize),
    Narrow(usize, usize, usize),
    Expand(usize, usize),
    Merge(usize),
    Split(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..8usize, 0..8usize).prop_map(|(a, b)| Step::Swap(a, b)),
        (0..8usize, 0..8usize, 0..8usize).prop_map(|(d, s, n)| Step::Narrow(d, s, n)),
        (0..8usize, 1..4usize).prop_map(|(d, n)| Step::Expand(d, n)),
        (0..8usize).prop_map(Step::Merge),
        (0..8usize, 1..4usize).prop_map(|(d, n)| Step::Split(d, n)),
    ]
}

/// One step on both; unchanged where it does not apply.
fn apply(layout: Layout, naive: &Naive, step: &Step) -> (Layout, Naive) {
    let rank = layout.rank();
    let same = (layout, naive.clone());
    if rank == 0 {
        return same;
    }
    let mut shape = naive.shape.clone();
    match *step {
        Step::Swap(a, b) => {
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(a % rank, b % rank);
            shape.swap(a % rank, b % rank);
            let naive = naive.picked(shape, |i| {
                let mut from = i.to_vec();
                from.swap(a % rank, b % rank);
                from
            });
            (layout.permuted(&order), naive)
        }
        Step::Narrow(d, start, length) => {
            let d = d % rank;
            let start = start % (shape[d] + 1);
            let length = length % (shape[d] - start + 1);
            shape[d] = length;
            let naive = naive.picked(shape, |i| {
                let mut from = i.to_vec();
                from[d] += start;
                from
            });
            (layout.narrowed(d, start, length), naive)
        }
        Step::Expand(d, n) => {
            let d = d % rank;
            if shape[d] != 1 {
                return same;
            }
            shape[d] = n;
            let layout = layout.expanded(&shape).expect("a size of 1 can be repeated");
            let naive = naive.picked(shape, |i| {
                let mut from = i.to_vec();
                from[d] = 0;
                from
            });
            (layout, naive)
        }
        Step::Merge(d) => {
            if d % rank + 1 == rank {
                return same;
            }
            let merged = shape.remove(d % rank);
            shape[d % rank] *= merged;
            reshaped(layout, naive, shape)
        }
        Step::Split(d, n) => {
            let d = d % rank;
            if rank == 8 || !shape[d].is_multiple_of(n) {
                return same;
            }
            shape[d] /= n;
            shape.insert(d + 1, n);
            reshaped(layout, naive, shape)
        }
    }
}

/// Reshape succeeds exactly where strides exist.
fn reshaped(layout: Layout, naive: &Naive, shape: Vec<usize>) -> (Layout, Naive) {
    match layout.reshaped(&shape) {
        Some(l) => (l, Naive { shape, ..naive.clone() }),
        None => {
            assert!(naive.strides(&shape).is_none(), "{layout:?} can be read as {shape:?}");
            (layout, naive.clone())
        }
    }
}

proptest! {
    #[test]
    fn views_address_the_elements_they_should(
        shape in proptest::collection::vec(0..5usize, 0..5),
        steps in proptest::collection::vec(step(), 0..7),
    ) {
        let mut layout = Layout::contiguous(&shape);
        let mut naive = Naive { at: (0..shape.iter().product()).collect(), shape };
        for s in &steps {
            (layout, naive) = apply(layout, &naive, s);
            prop_assert_eq!(layout.shape(), &naive.shape[..]);
            prop_assert_eq!(layout.indices().collect::<Vec<_>>(), naive.at.clone());
            prop_assert_eq!(layout.numel(), naive.at.len());
            let Some(&first) = naive.at.first() else { continue };
            let in_order = naive.at.iter().copied().eq(first..first + naive.at.len());
            prop_assert_eq!(layout.is_contiguous(), in_order);
            let mut sorted = naive.at.clone();
            sorted.sort_unstable();
            let gapless = sorted.iter().copied().eq(sorted[0]..sorted[0] + sorted.len());
            prop_assert_eq!(layout.is_dense(), gapless);
            prop_assert!(layout.like().is_dense() && layout.like().offset() == 0);
            let order = layout.memory_order();
            prop_assert!(order.windows(2).all(|w| layout.strides()[w[0]] >= layout.strides()[w[1]]));
        }
    }
}
