//! Parts of tensors, borders, reversal and triangles.

use crate::naive::{Nd, indices};
use crate::shape::sliced;
use crate::tensors::{FLOATS, RANK, assert_same, choices, place, shape, whole};
use ganvil::{DType, PadMode};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn slices_are_pythons(shape in shape(1..=RANK, 0), place in place(), mut c in choices()) {
        let x = place.lay(&whole(&shape, c.seed(), 0..=99), c.of(&DType::ALL));
        let (d, dim) = c.dim(shape.len());
        let n = shape[d];
        let start = c.below(n + 1);
        let length = c.below(n - start + 1);
        assert_same(&x.t.narrow(dim, start, length), &sliced(&x.a, d, start, length, 1));

        let far = [isize::MIN, isize::MAX][c.below(2)];
        let mut bound = || if c.below(8) == 7 { far } else { c.below(3 * n + 5) as isize - n as isize - 2 };
        let (start, end) = (bound(), bound());
        let step = if c.below(8) == 7 { usize::MAX } else { 1 + c.below(4) };
        let from = |i: isize| if i < 0 { i.saturating_add(n as isize).max(0) } else { i.min(n as isize) };
        let chosen: Vec<isize> = (from(start)..from(end)).step_by(step).collect();
        let first = chosen.first().copied().unwrap_or(0) as usize;
        let apart = if chosen.len() > 1 { step } else { 1 };
        assert_same(&x.t.slice(dim, start, end, step), &sliced(&x.a, d, first, chosen.len(), apart));
    }

    #[test]
    fn diagonals_and_triangles(shape in shape(2..=RANK, 0), place in place(), mut c in choices()) {
        let offset = match c.below(12) {
            10 => isize::MIN,
            11 => isize::MAX,
            k => k as isize - 5,
        };
        let x = place.lay(&whole(&shape, c.seed(), 0..=3), c.of(&FLOATS));
        let r = shape.len();
        let is_on = |i: &[usize]| i[r - 1] as i128 - i[r - 2] as i128 == offset as i128;
        let lead: usize = shape[..r - 2].iter().product();
        let on: Vec<f64> = indices(&shape).iter().filter(|i| is_on(i)).map(|i| x.a.at(i)).collect();
        let one = indices(&shape[r - 2..]).iter().filter(|i| i[1] as i128 - i[0] as i128 == offset as i128).count();
        assert_eq!(on.len(), lead * one);
        let want = Nd { shape: [&shape[..r - 2], &[one]].concat(), data: on };
        assert_same(&x.t.diagonal(offset), &want);
        let main = x.t.diagonal(0).to_f64_vec();
        let length = shape[r - 1].min(shape[r - 2]);
        let traces: Vec<f64> = (0..lead).map(|b| main[b * length..][..length].iter().sum()).collect();
        assert_same(&x.t.trace(), &Nd { shape: shape[..r - 2].to_vec(), data: traces });

        let below = |i: &[usize]| i[r - 1] as i128 - i[r - 2] as i128 <= offset as i128;
        let masked = |keep: &dyn Fn(&[usize]) -> bool| Nd::from_fn(&shape, |i| if keep(i) { x.a.at(i) } else { 0.0 });
        assert_same(&x.t.tril(offset), &masked(&below));
        assert_same(&x.t.triu(offset), &masked(&|i| !below(i) || is_on(i)));
    }

    #[test]
    fn borders_of_constants_and_reflections(shape in shape(1..=RANK, 0), place in place(), mut c in choices()) {
        let x = place.lay(&whole(&shape, c.seed(), 0..=99), c.of(&DType::ALL));
        let (reflect, padded) = (c.flag(), c.below(shape.len() + 1));
        let mut sides = vec![[0, 0]; shape.len()];
        let mut padding = Vec::new();
        for d in (0..shape.len()).rev().take(padded) {
            let most = if reflect { shape[d].min(4) } else { 4 };
            sides[d] = [0; 2].map(|_| if most > 0 { c.below(most) } else { 0 });
            padding.extend(sides[d]);
        }
        let larger: Vec<usize> = shape.iter().zip(&sides).map(|(n, [a, b])| n + a + b).collect();
        let inside = |d: usize, i: usize| {
            let (n, i) = (shape[d] as isize, i as isize - sides[d][0] as isize);
            let mirrored = if i < 0 { -i } else if i >= n { 2 * (n - 1) - i } else { i };
            (mirrored, (0..n).contains(&i))
        };
        let want = Nd::from_fn(&larger, |i| {
            let at: Vec<(isize, bool)> = i.iter().enumerate().map(|(d, &i)| inside(d, i)).collect();
            if reflect || at.iter().all(|p| p.1) {
                x.a.at(&at.iter().map(|p| p.0 as usize).collect::<Vec<_>>())
            } else {
                7.0
            }
        });
        let mode = if reflect { PadMode::Reflect } else { PadMode::Constant(7.0) };
        assert_same(&x.t.pad(&padding, mode), &want);
    }

    #[test]
    fn flips_reverse(shape in shape(0..=RANK, 0), place in place(), mut c in choices()) {
        let x = place.lay(&whole(&shape, c.seed(), 0..=99), c.of(&DType::ALL));
        let dims = c.dims(shape.len());
        let over = |d: usize| dims.iter().any(|&e| e.rem_euclid(shape.len() as isize) as usize == d);
        let want = Nd::from_fn(&shape, |i| {
            let from = |(d, &i): (usize, &usize)| if over(d) { shape[d] - 1 - i } else { i };
            x.a.at(&i.iter().enumerate().map(from).collect::<Vec<_>>())
        });
        assert_same(&x.t.flip(&dims), &want);
        assert_same(&x.t.flip(&dims).flip(&dims), &x.a);
    }
}
