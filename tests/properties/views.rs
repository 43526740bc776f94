//! Chains of views against arithmetic on indices.

use crate::naive::{Nd, indices};
use crate::tensors::{Choices, RANK, choices, place, shape};
use ganvil::{DType, Layout, Tensor};
use proptest::prelude::*;

/// One view of a tensor with the reference's view of the same elements; a layout follows while nothing is copied.
struct Chain {
    t: Tensor,
    /// Of the storage that the chain began with.
    layout: Option<Layout>,
    /// The storage index of every element.
    at: Nd,
}

impl Chain {
    fn step(&mut self, c: &mut Choices) -> String {
        let (rank, from) = (self.t.rank(), self.at.clone());
        let size = |d: usize| from.shape[d];
        match c.below(8) {
            0 => {
                let p = c.permutation(rank);
                self.t = self.t.permute(&p.iter().map(|&d| d as isize).collect::<Vec<_>>());
                self.layout = self.layout.map(|l| l.permuted(&p));
                self.at = from.permute(&p);
                format!("permute {p:?}")
            }
            1 if rank > 0 => {
                let (d, dim) = c.dim(rank);
                let start = c.below(size(d) + 1);
                let n = c.below(size(d) - start + 1);
                self.t = self.t.narrow(dim, start, n);
                self.layout = self.layout.map(|l| l.narrowed(d, start, n));
                self.at = picked(&from, d, (start..start + n).collect());
                format!("narrow {dim} {start} {n}")
            }
            2 if rank > 0 => {
                let (d, dim) = c.dim(rank);
                let n = size(d) as isize;
                let [start, end] = [0, 0].map(|_| c.below(3 * size(d) + 5) as isize - n - 2);
                let step = 1 + c.below(4);
                self.t = self.t.slice(dim, start, end, step);
                let bound = |i: isize| if i < 0 { (i + n).max(0) } else { i.min(n) };
                let all: Vec<usize> = (bound(start)..bound(end)).map(|i| i as usize).step_by(step).collect();
                let first = all.first().copied().unwrap_or(0);
                self.layout = self.layout.map(|l| l.sliced(d, first, all.len(), step));
                self.at = picked(&from, d, all);
                format!("slice {dim} {start} {end} {step}")
            }
            3 => {
                let lead = if rank < RANK { c.below(2) } else { 0 };
                let mut wanted = vec![1 + c.below(3); lead];
                for &n in &from.shape {
                    wanted.push(if n == 1 { c.below(4) } else { n });
                }
                self.t = self.t.expand(&wanted);
                self.layout = self.layout.map(|l| l.expanded(&wanted).expect("only sizes of 1 are repeated"));
                self.at = Nd::from_fn(&wanted, |i| from.at(i));
                format!("expand {wanted:?}")
            }
            4 => {
                let wanted = c.factors(from.data.len());
                self.t = self.t.reshape(&wanted);
                self.layout = self.layout.and_then(|l| l.reshaped(&wanted));
                self.at = from.reshape(&wanted);
                format!("reshape {wanted:?}")
            }
            5 if rank > 1 => {
                let offset = c.below(9) as isize - 4;
                self.t = self.t.diagonal(offset);
                self.layout = self.layout.map(|l| l.diagonal(offset));
                let (m, n) = (size(rank - 2) as isize, size(rank - 1) as isize);
                let row = |k: isize| if offset < 0 { k - offset } else { k };
                let length = (0..).take_while(|&k| row(k) < m && row(k) + offset < n).count();
                self.at = Nd::from_fn(&[&from.shape[..rank - 2], &[length]].concat(), |i| {
                    let k = row(i[rank - 2] as isize);
                    from.at(&[&i[..rank - 2], &[k as usize, (k + offset) as usize]].concat())
                });
                format!("diagonal {offset}")
            }
            6 if from.shape.contains(&1) => {
                let d = from.shape.iter().position(|&n| n == 1).expect("there is one");
                self.t = self.t.squeeze(d as isize);
                let mut wanted = from.shape.clone();
                wanted.remove(d);
                self.layout = self.layout.map(|l| l.reshaped(&wanted).expect("a view"));
                self.at = from.reshape(&wanted);
                format!("squeeze {d}")
            }
            _ if rank < RANK => {
                let (d, dim) = c.dim(rank + 1);
                self.t = self.t.unsqueeze(dim);
                let mut wanted = from.shape.clone();
                wanted.insert(d, 1);
                self.layout = self.layout.map(|l| l.reshaped(&wanted).expect("a view"));
                self.at = from.reshape(&wanted);
                format!("unsqueeze {dim}")
            }
            _ => "nothing".to_string(),
        }
    }

    fn check(&self) {
        assert_eq!(self.t.shape(), self.at.shape);
        let at: Vec<i64> = self.at.data.iter().map(|&v| v as i64).collect();
        assert_eq!(self.t.to_vec::<i64>(), at, "the elements");
        assert_eq!(self.t.contiguous().to_vec::<i64>(), at);
        if let Some(l) = &self.layout {
            assert_eq!(l.shape(), self.at.shape);
            assert_eq!(l.indices().map(|i| i as i64).collect::<Vec<_>>(), at, "{l:?}");
            if self.t.numel() > 0 {
                // Tensors take the same views, and equal views have equal layouts.
                assert_eq!(self.t.layout(), l);
            }
        }
    }
}

/// The listed entries of a dimension.
fn picked(a: &Nd, d: usize, entries: Vec<usize>) -> Nd {
    let mut shape = a.shape.clone();
    shape[d] = entries.len();
    Nd::from_fn(&shape, |i| {
        let mut from = i.to_vec();
        from[d] = entries[i[d]];
        a.at(&from)
    })
}

/// Whether strides can read these storage indices in row-major order of a shape.
fn is_strided(at: &[usize], shape: &[usize]) -> bool {
    let all = indices(shape);
    let unit = |d: usize| all.iter().position(|i| i.iter().enumerate().all(|(e, &k)| k == (e == d) as usize));
    let Some(&first) = at.first() else { return true };
    let strides: Vec<usize> =
        (0..shape.len()).map(|d| unit(d).map_or(0, |u| at[u].saturating_sub(first))).collect();
    let index = |i: &[usize]| first + i.iter().zip(&strides).map(|(i, s)| i * s).sum::<usize>();
    all.iter().map(|i| index(i)).eq(at.iter().copied())
}

/// The dimensions of more than one entry, slowest first.
fn slowest_first(l: &Layout) -> Vec<usize> {
    l.memory_order().iter().copied().filter(|&d| l.shape()[d] > 1).collect()
}

/// Fresh results keep the order in memory, whether they are of the same size, larger or a part.
fn check_order(l: &Layout, c: &mut Choices) {
    let fresh = l.like();
    if l.is_dense() {
        assert_eq!(fresh.strides(), l.strides());
    }
    let moved = |order: Vec<usize>| order.into_iter().filter(|&d| l.strides()[d] > 0).collect::<Vec<_>>();
    assert_eq!(moved(slowest_first(&fresh)), moved(slowest_first(l)), "{l:?}");
    assert_eq!(l.like_resized(l.shape()), fresh);
    let grown: Vec<usize> = l.shape().iter().map(|&n| n + (n > 1) as usize).collect();
    assert_eq!(slowest_first(&l.like_resized(&grown)), slowest_first(&fresh), "{l:?}");
    if l.rank() > 0 {
        let (d, _) = c.dim(l.rank());
        let start = c.below(l.shape()[d]);
        let part = l.narrowed(d, start, 1 + c.below(l.shape()[d] - start));
        // Where a repeated dimension goes depends on its neighbours; the others stay in order.
        let kept = moved(slowest_first(&fresh)).into_iter().filter(|&d| part.shape()[d] > 1);
        assert!(moved(slowest_first(&part.like())).into_iter().eq(kept), "{part:?} of {l:?}");
    }
}

/// What the predicates promise, from the storage indices alone.
fn check_predicates(l: &Layout, c: &mut Choices) {
    let at: Vec<usize> = l.indices().collect();
    assert_eq!((at.len(), l.numel()), (l.indices().size_hint().0, at.len()));
    let mut sorted = at.clone();
    sorted.sort_unstable();
    let is_range = |v: &[usize]| v.windows(2).all(|w| w[1] == w[0] + 1);
    assert_eq!(l.is_contiguous(), is_range(&at), "{l:?}");
    assert_eq!(l.is_dense(), is_range(&sorted), "{l:?}");
    let order = l.memory_order();
    assert!(order.windows(2).all(|w| l.strides()[w[0]] >= l.strides()[w[1]]), "{l:?}: {order:?}");
    let mut dims = order.to_vec();
    dims.sort_unstable();
    assert!(dims.into_iter().eq(0..l.rank()));

    let mut resized = l.shape().to_vec();
    resized.iter_mut().for_each(|n| *n = if c.flag() { c.below(4) } else { *n });
    for (fresh, shape) in [(l.like(), l.shape()), (l.like_resized(&resized), &resized)] {
        assert_eq!((fresh.shape(), fresh.offset()), (shape, 0));
        let mut covered: Vec<usize> = fresh.indices().collect();
        covered.sort_unstable();
        assert!(covered.into_iter().eq(0..fresh.numel()), "{fresh:?} beside {l:?}");
    }
    if l.numel() > 0 {
        check_order(l, c);
    } else {
        assert!(l.like().is_contiguous() && l.like_resized(&resized).is_contiguous());
    }
    let other = c.factors(l.numel());
    match l.reshaped(&other) {
        Some(view) => assert!(view.indices().eq(at.iter().copied()), "{l:?} as {view:?}"),
        None => assert!(!is_strided(&at, &other), "{l:?} as {other:?}"),
    }
    let p = c.permutation(l.rank());
    let mut back = vec![0; p.len()];
    p.iter().enumerate().for_each(|(i, &d)| back[d] = i);
    assert_eq!(l.permuted(&p).permuted(&back), *l);
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn chains_of_views_address_the_elements_that_index_arithmetic_does(
        shape in shape(0..=RANK, 0), mut c in choices(),
    ) {
        let n: usize = shape.iter().product();
        let t = Tensor::arange(n, DType::I64, ganvil::Device::Cpu).reshape(&shape);
        let at = Nd { shape: shape.clone(), data: (0..n).map(|i| i as f64).collect() };
        let mut chain = Chain { t, layout: Some(Layout::contiguous(&shape)), at };
        let mut said = Vec::new();
        for _ in 0..=c.below(6) {
            said.push(chain.step(&mut c));
            let described = format!("{said:?}");
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                chain.check();
                if let Some(l) = &chain.layout {
                    check_predicates(l, &mut c.clone());
                }
            }))
            .map_err(|_| TestCaseError::fail(format!("after {described}")))?;
        }
    }

    #[test]
    fn drawn_tensors_hold_what_was_laid_there(
        shape in shape(0..=RANK, 0), place in place(), mut c in choices(),
    ) {
        for dtype in DType::ALL {
            let values = crate::tensors::whole(&shape, c.seed(), 0..=9);
            let x = place.lay(&values, dtype);
            crate::tensors::assert_same(&x.t, &x.a);
            check_predicates(x.t.layout(), &mut c);
        }
    }
}
