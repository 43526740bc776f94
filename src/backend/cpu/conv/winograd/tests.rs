//! Against the direct sums: exactly in f64, and in f32 how much larger the error is.

use super::super::geometry::Image;
use super::*;
use crate::backend::ConvOptions;

fn size(x: usize, kernel: usize, options: &ConvOptions, d: usize) -> usize {
    (x + 2 * options.padding[d] - kernel) / options.stride[d] + 1
}

struct Case {
    x: [usize; 4],
    kernel: [usize; 2],
    o: usize,
    options: ConvOptions,
}

fn case(x: [usize; 4], kernel: [usize; 2], o: usize, options: ConvOptions) -> Case {
    Case { x, kernel, o, options }
}

impl Case {
    fn conv(&self) -> Conv<'_> {
        let [count, c, h, w] = self.x;
        let [oh, ow] = [size(h, self.kernel[0], &self.options, 0), size(w, self.kernel[1], &self.options, 1)];
        let (x, y) = (Image { h, w, c }, Image { h: oh, w: ow, c: self.o });
        Conv { count, x, y, kernel: self.kernel, options: &self.options, packed: None }
    }

    fn weights(&self) -> usize {
        self.o * self.x[1] / self.options.groups * self.kernel[0] * self.kernel[1]
    }
}

/// Of 3 x 3 windows over images of a side.
pub fn plan_of(side: usize) -> Plan {
    Plan::possible(&case([1, 8, side, side], [3, 3], 8, ConvOptions::new().padding(1)).conv())
        .expect("3 taps")
}

/// Numbers between -1 and 1.
fn noise(n: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..n).map(next).collect()
}

/// Results of the three directions.
fn tiled<T: Transformable>(conv: &Conv, [x, w, g]: [&[T]; 3], bias: [&[T]; 2]) -> [Vec<T>; 3] {
    let plan = Plan::possible(conv).expect("two taps a phase");
    let filled = |n: usize| vec![T::of(7.0); n];
    let (mut y, mut dx, mut dw) = (filled(g.len()), filled(x.len()), filled(w.len()));
    let len = w.len() / conv.options.groups;
    for group in 0..conv.options.groups {
        // SAFETY: the vectors have the sizes of the convolution.
        unsafe {
            let out = Out(y.as_mut_ptr().add(group * plan.o));
            forward(conv, &plan, x, w, group, Ending::bias(Some(&bias[0][group * plan.o..][..plan.o])), out);
            let out = Out(dx.as_mut_ptr().add(group * plan.c));
            input_grad(conv, &plan, g, w, group, Some(&bias[1][group * plan.c..][..plan.c]), out);
        }
        weight_grad(conv, &plan, x, g, group, &mut dw[group * len..][..len]);
    }
    [y, dx, dw]
}

/// The same by the definition's sums.
fn direct<T: Transformable>(conv: &Conv, [x, w, g]: [&[T]; 3], bias: [&[T]; 2]) -> [Vec<T>; 3] {
    let filled = |n: usize| vec![T::of(7.0); n];
    let (mut y, mut dx, mut dw) = (filled(g.len()), filled(x.len()), filled(w.len()));
    super::super::forward_by(conv, None, x, w, Ending::bias(Some(bias[0])), &mut y);
    super::super::input_grad_by(conv, None, g, w, Some(bias[1]), &mut dx);
    super::super::weight_grad_by(conv, None, x, g, &mut dw);
    [y, dx, dw]
}

fn operands(case: &Case) -> ([Vec<f64>; 3], [Vec<f64>; 2]) {
    let conv = case.conv();
    let n = case.x[0];
    let all = [noise(n * conv.x.len(), 1), noise(case.weights(), 2), noise(n * conv.y.len(), 3)];
    (all, [noise(case.o, 4), noise(case.x[1], 5)])
}

fn slices<T, const N: usize>(all: &[Vec<T>; N]) -> [&[T]; N] {
    all.each_ref().map(|v| v.as_slice())
}

/// Panics unless all three directions give the direct sums.
fn check(case: &Case) {
    let (conv, (all, bias)) = (case.conv(), operands(case));
    let want = direct(&conv, slices(&all), slices(&bias));
    let got = tiled::<f64>(&conv, slices(&all), slices(&bias));
    for ((what, want), got) in ["y", "dx", "dw"].into_iter().zip(want).zip(got) {
        for (i, (a, b)) in want.iter().zip(&got).enumerate() {
            let what =
                || format!("{what} {i} of {:?} {:?} {} {:?}", case.x, case.kernel, case.o, case.options);
            assert!((a - b).abs() < 1e-11, "{}: {a} and {b}", what());
        }
    }
}

/// Threads take rows of tiles, so that few images are shared out evenly, and no bit depends on which.
#[test]
#[cfg_attr(miri, ignore)]
fn images_may_be_cut_among_threads() {
    let plain = ConvOptions::new();
    for case in [
        case([7, 20, 16, 14], [3, 3], 34, plain.stride(2).padding(1)),
        case([3, 20, 70, 8], [3, 3], 34, plain.padding(1)),
        case([5, 20, 12, 12], [5, 5], 34, plain.padding(2)),
    ] {
        let (conv, (all, bias)) = (case.conv(), operands(&case));
        let run = |n| crate::threads(n, || tiled::<f64>(&conv, slices(&all), slices(&bias)));
        let one = run(1);
        for n in 2..5 {
            assert_eq!(run(n), one, "{:?} on {n} threads", case.x);
        }
    }
}

/// What is written is the sum rectified, bit for bit.
#[test]
fn tiles_are_rectified_as_they_are_written() {
    let plain = ConvOptions::new();
    for case in [
        case([3, 5, 14, 14], [4, 4], 7, plain.stride(2).padding(1)),
        case([2, 20, 7, 9], [3, 3], 34, plain.padding(1)),
        case([2, 4, 9, 8], [3, 3], 6, plain.padding(1).groups(2)),
        case([2, 4, 9, 8], [5, 5], 6, plain.padding(2)),
    ] {
        let (conv, (all, bias)) = (case.conv(), operands(&case));
        let [x, w, _] = slices(&all);
        let plan = Plan::possible(&conv).expect("two taps a phase");
        let run = |end: Ending<f64>| {
            let mut y = vec![7.0; all[2].len()];
            super::super::forward_by(&conv, Some(&plan), x, w, end, &mut y);
            y
        };
        for bias in [None, Some(bias[0].as_slice())] {
            let sums = run(Ending::bias(bias));
            for slope in [0.0, 0.3] {
                let want: Vec<f64> = sums.iter().map(|y| y.rectified(slope)).collect();
                assert_eq!(run(Ending { bias, slope: Some(slope) }), want, "{:?} {:?}", case.x, case.kernel);
            }
        }
    }
}

#[test]
fn tiles_give_the_direct_sums_in_f64() {
    let plain = ConvOptions::new();
    let odd = ConvOptions { stride: [2, 1], padding: [1, 2], dilation: [1, 1], groups: 2 };
    let cases = [
        case([3, 5, 14, 14], [4, 4], 7, plain.stride(2).padding(1)),
        case([2, 20, 7, 9], [3, 3], 34, plain.padding(1)),
        // Phases of 3 and of 2 taps, the second filled up; of 2 and of 1.
        case([2, 3, 11, 10], [5, 5], 4, plain.stride(2).padding(2)),
        case([2, 3, 9, 9], [3, 3], 4, plain.stride(2)),
        // Different windows along the axes, groups, more padding than a tile's.
        case([2, 4, 8, 7], [4, 2], 6, odd),
        case([1, 2, 3, 3], [3, 3], 2, plain.padding(2)),
        // Stride 3; one output; strips of one large image; pixels that no window sees.
        case([2, 2, 13, 14], [6, 5], 3, plain.stride(3).padding(1)),
        case([3, 4, 2, 2], [2, 2], 3, plain),
        case([1, 1, 50, 47], [2, 3], 1, plain),
        case([1, 3, 10, 10], [4, 4], 2, plain.stride(2)),
        // Windows that are several: 3 and 2 taps, 2 and 2, 3 and 3; of every second input.
        case([2, 5, 9, 11], [5, 5], 34, plain.padding(2)),
        case([2, 3, 8, 7], [4, 6], 3, plain.padding(1)),
        case([1, 2, 12, 10], [6, 3], 3, plain.padding(3)),
        case([2, 2, 17, 15], [7, 11], 3, plain.stride(2).padding(2)),
    ];
    cases.iter().for_each(check);
}

#[test]
fn any_sizes_give_the_direct_sums() {
    let mut numbers = noise(20 * 400, 9).into_iter().map(|v| ((v + 1.0) * 5e5) as usize);
    let mut below = |n: usize| numbers.next().expect("enough numbers") % n;
    let mut done = 0;
    while done < if cfg!(miri) { 2 } else { 60 } {
        let options = ConvOptions {
            stride: [1 + below(3), 1 + below(3)],
            padding: [below(4), below(4)],
            dilation: [1, 1],
            groups: 1 + below(2),
        };
        let kernel = [1 + below(7), 1 + below(7)];
        let x = [1 + below(4), options.groups * (1 + below(20)), 1 + below(20), 1 + below(20)];
        let o = options.groups * (1 + below(40));
        let fits = (0..2).all(|d| x[2 + d] + 2 * options.padding[d] >= kernel[d]);
        let taps = |d: usize| kernel[d].div_ceil(options.stride[d]);
        if fits && (0..2).all(|d| (2..=6).contains(&taps(d))) {
            check(&case(x, kernel, o, options));
            done += 1;
        }
    }
}

#[test]
#[cfg_attr(miri, ignore)]
fn the_error_is_at_most_four_times_the_direct_one() {
    let plain = ConvOptions::new();
    for case in [
        case([4, 64, 14, 14], [4, 4], 64, plain.stride(2).padding(1)),
        case([4, 64, 16, 16], [4, 4], 96, plain.stride(2).padding(1)),
        case([4, 64, 12, 12], [3, 3], 64, plain.padding(1)),
        case([4, 48, 15, 15], [5, 5], 64, plain.stride(2).padding(2)),
        case([4, 48, 14, 14], [5, 5], 64, plain.padding(2)),
    ] {
        let (conv, (all, bias)) = (case.conv(), operands(&case));
        let short = |v: &Vec<f64>| v.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        let (all32, bias32) = (all.each_ref().map(short), bias.each_ref().map(short));
        let wide = |v: &Vec<f32>| v.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
        let exact = direct(&conv, slices(&all32.each_ref().map(wide)), slices(&bias32.each_ref().map(wide)));
        let fast = tiled::<f32>(&conv, slices(&all32), slices(&bias32));
        let plain = direct(&conv, slices(&all32), slices(&bias32));
        for ((what, exact), (fast, direct)) in
            ["y", "dx", "dw"].into_iter().zip(&exact).zip(fast.iter().zip(&plain))
        {
            let rms = |v: &[f32]| {
                let sum: f64 = v.iter().zip(exact).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
                (sum / exact.len() as f64).sqrt()
            };
            let (fast, direct) = (rms(fast), rms(direct));
            println!("{what} of {:?} {:?}: {:.2} times", case.x, case.kernel, fast / direct);
            assert!(fast <= 4.0 * direct, "{what} of {:?}: {fast:e} and {direct:e}", case.x);
        }
    }
}
