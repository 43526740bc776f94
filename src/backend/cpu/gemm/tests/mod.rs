//! Against f64 sums with an error bound, against a scalar model of the order of accumulation bit for bit, and
//! whatever must not change a bit: part of the rows and columns, threads, blocks, batches.

mod support;

use super::block::{Blocking, k_end};
use super::element::Real;
use super::*;
use half::{bf16, f16};
use support::*;

/// Products of every number of rows and columns up to two tiles and one have the bits of the largest.
fn every_residue<T: Case>(ks: &[usize], layouts: &[(Lie, Lie)]) {
    for tier in tiers() {
        let kernels = T::Acc::kernels(tier);
        let (m, n) = (2 * kernels.mr + 1, 2 * kernels.nr() + 1);
        for &k in ks {
            for &(la, lb) in layouts {
                let (a, b) = (Matrix::<T>::new(m, k, la, 1), Matrix::new(k, n, lb, 2));
                let bias = Matrix::<T>::new(1, n, Rows, 3);
                let bias = Some((bias.view().data, 1)).filter(|_| la == lb);
                let whole = product(tier, [m, n], &a, &b, bias, Rows, None);
                verify(tier, &a, &b, bias, &whole);
                for (rows, cols) in (1..=m).flat_map(|r| (1..=n).map(move |c| (r, c))) {
                    let part = product(tier, [rows, cols], &a, &b, bias, Gap, None);
                    if is_dots::<T>(cols, k) {
                        verify(tier, &a, &b, bias, &part);
                        continue;
                    }
                    same_bits(
                        &part,
                        &whole,
                        &format!("{rows} x {cols} of {m} x {n}, k {k}, {la:?} {lb:?}, {tier}"),
                    );
                }
            }
        }
    }
}

const NN_NT_TN_TT: [(Lie, Lie); 4] = [(Rows, Rows), (Rows, Columns), (Columns, Rows), (Columns, Columns)];

#[test]
fn f32_at_every_residue_of_the_tile() {
    every_residue::<f32>(&[1, 7, 33], &NN_NT_TN_TT);
    every_residue::<f32>(&[257], &NN_NT_TN_TT[1..3]);
}

#[test]
fn f64_at_every_residue_of_the_tile() {
    every_residue::<f64>(&[2, 19], &NN_NT_TN_TT);
}

#[test]
fn half_types_at_every_residue_of_the_tile() {
    every_residue::<f16>(&[9], &NN_NT_TN_TT);
    every_residue::<bf16>(&[9], &NN_NT_TN_TT);
}

/// A little of everything, of a size that Miri manages: types with and without an accumulator of their own, both ways of sharing, two blocks of k.
#[test]
fn small_products() {
    fn run<T: Case>() {
        for tier in tiers() {
            let kernels = T::Acc::kernels(tier);
            let small = Blocking { mc: kernels.mr, nc: kernels.nr() };
            let (m, n) = (kernels.mr + 1, kernels.nr() + 1);
            let layouts = NN_NT_TN_TT.into_iter().chain([(Spread, Gap), (SameRows, SameColumns)]);
            for (i, (la, lb)) in layouts.enumerate() {
                let (a, b) = (Matrix::<T>::new(m, i + 1, la, 1), Matrix::new(i + 1, n, lb, 2));
                let bias = Matrix::<T>::new(1, n, Rows, 3);
                let bias = [None, Some((bias.view().data, 1))][i % 2];
                let lc = [Rows, Columns, Gap, Spread, SpreadColumns][i % 5];
                let one = Matrix::<T>::new(17 + i, 1, [Rows, Spread][i % 2], 4);
                let long = Matrix::<T>::new(m, 17 + i, la, 5);
                verify(tier, &long, &one, None, &product(tier, [m, 1], &long, &one, None, Rows, None));
                for blocking in [None, Some(small)] {
                    verify(tier, &a, &b, bias, &product(tier, [m, n], &a, &b, bias, lc, blocking));
                }
            }
        }
    }
    run::<f32>();
    run::<f16>();
    if !cfg!(miri) {
        run::<f64>();
        run::<bf16>();
    }
    for tier in tiers() {
        let kc = f32::kernels(tier).kc;
        for (m, n, k) in [(9, 17, 17), (17, 9, 17), (2, 3, kc + kc / 4 + 1)] {
            let (a, b) = (Matrix::<f32>::new(m, k, Rows, 4), Matrix::new(k, n, Rows, 5));
            threads(2, || verify(tier, &a, &b, None, &product(tier, [m, n], &a, &b, None, Rows, None)));
        }
    }
    batch_equals_singles(5, 2, [3, 9, 20], [true, true], [true, true]);
    batch_equals_singles(2, 2, [3, 9, 20], [false, true], [true, false]);
}

/// Lengths at which blocks of k begin, end or are stretched.
fn lengths(kc: usize) -> [usize; 9] {
    [0, 1, kc - 1, kc, kc + 1, kc + kc / 4, kc + kc / 4 + 1, 2 * kc + 3, 3 * kc]
}

fn every_layout<T: Case>() {
    let inputs = [Rows, Columns, Gap, Spread, SpreadColumns, SameRows, SameColumns];
    for tier in tiers() {
        let kernels = T::Acc::kernels(tier);
        let (m, n) = (kernels.mr + 3, kernels.nr() + kernels.lanes + 1);
        for (x, k) in lengths(kernels.kc).into_iter().enumerate() {
            for (y, &la) in inputs.iter().enumerate() {
                // All pairs of inputs at one length, and each kind at the others.
                let others = if k == kernels.kc + 1 { &inputs[..] } else { &inputs[(x + y) % 7..][..1] };
                for (z, &lb) in others.iter().enumerate() {
                    let (a, b) = (Matrix::<T>::new(m, k, la, 5), Matrix::new(k, n, lb, 6));
                    let lc = [Rows, Columns, Gap, Spread, SpreadColumns][(x + y + z) % 5];
                    let bias = Matrix::<T>::new(1, n, Spread, 7);
                    let bias =
                        [None, Some((bias.view().data, 2)), Some((&bias.view().data[..1], 0))][(y + z) % 3];
                    let c = product(tier, [m, n], &a, &b, bias, lc, None);
                    verify(tier, &a, &b, bias, &c);
                }
            }
        }
    }
}

#[test]
fn every_layout_of_f32() {
    every_layout::<f32>();
}

#[test]
fn every_layout_of_f64() {
    every_layout::<f64>();
}

#[test]
fn every_layout_of_f16() {
    every_layout::<f16>();
}

#[test]
fn every_layout_of_bf16() {
    every_layout::<bf16>();
}

#[test]
fn rows_and_columns_alone() {
    for tier in tiers() {
        for (m, n) in [(1, 1), (1, 70), (70, 1)] {
            for (la, lb) in NN_NT_TN_TT {
                for lc in [Rows, Columns, Spread, SpreadColumns] {
                    let (a, b) = (Matrix::<f32>::new(m, 130, la, 8), Matrix::new(130, n, lb, 9));
                    let bias = Matrix::<f32>::new(1, n, Rows, 10);
                    let bias = Some((bias.view().data, 1));
                    verify(tier, &a, &b, bias, &product(tier, [m, n], &a, &b, bias, lc, None));
                }
            }
        }
    }
}

/// An element of a product of one column has the same bits however many rows, products and threads there are.
#[test]
fn dot_products_do_not_depend_on_the_other_rows() {
    fn run<T: Case>(ks: &[usize]) {
        for tier in tiers() {
            for &k in ks {
                // A lone row lies like any order, and neighbours change nothing.
                let (a, b) = (Matrix::<T>::new(23, k, Columns, 50), Matrix::new(k, 1, Gap, 51));
                let bias = Some((&[T::from_f64(0.5)][..], 0));
                let whole = product(tier, [23, 1], &a, &b, bias, SpreadColumns, None);
                verify(tier, &a, &b, bias, &whole);
                for m in 1..23 {
                    let part = product(tier, [m, 1], &a, &b, bias, Rows, None);
                    same_bits(&part, &whole, &format!("{m} of 23 dot products of {k} terms, {tier}"));
                }
            }
        }
    }
    run::<f32>(&[1, 5, 31, 32, 33, 48, 300, 1000]);
    run::<f64>(&[3, 40, 65]);
    for tier in tiers() {
        let (a, b) = (Matrix::<f32>::new(300, 700, Rows, 52), Matrix::new(700, 1, Columns, 53));
        let many = |count| {
            let mut c = None;
            threads(count, || c = Some(product(tier, [300, 1], &a, &b, None, Rows, None)));
            c.unwrap()
        };
        same_bits(&many(3), &many(1), &format!("3 threads, {tier}"));
    }
}

#[test]
fn blocks_of_k_are_kc_terms_and_the_last_up_to_a_quarter_more() {
    let ends =
        |k: usize| std::iter::successors(Some(k_end(0, k, 256)), move |&e| (e < k).then(|| k_end(e, k, 256)));
    for (k, want) in [
        (1, &[1][..]),
        (256, &[256]),
        (320, &[320]),
        (321, &[256, 321]),
        (576, &[256, 576]),
        (577, &[256, 512, 577]),
        (784, &[256, 512, 784]),
    ] {
        assert_eq!(ends(k).collect::<Vec<_>>(), want);
    }
}

/// Small blocks make all loops turn; sizes of blocks change no bit.
fn blocks_change_nothing<T: Case>() {
    for tier in tiers() {
        let kernels = T::Acc::kernels(tier);
        let small = Blocking { mc: 2 * kernels.mr, nc: 2 * kernels.nr() };
        let (m, n, k) = (5 * kernels.mr + 2, 5 * kernels.nr() + 3, 2 * kernels.kc + 3);
        for (la, lb) in NN_NT_TN_TT.into_iter().chain([(Spread, Gap)]) {
            for lc in [Rows, Spread] {
                let (a, b) = (Matrix::<T>::new(m, k, la, 11), Matrix::new(k, n, lb, 12));
                let large = product(tier, [m, n], &a, &b, None, lc, None);
                let blocks = product(tier, [m, n], &a, &b, None, lc, Some(small));
                same_bits(&blocks, &large, &format!("small blocks, {la:?} {lb:?} {lc:?} {tier}"));
                if la == Rows {
                    verify(tier, &a, &b, None, &blocks);
                }
            }
        }
    }
}

#[test]
fn sizes_of_blocks_change_no_bit() {
    blocks_change_nothing::<f32>();
    blocks_change_nothing::<bf16>();
}

fn threads(n: usize, f: impl FnOnce() + Send) {
    if cfg!(miri) {
        return f();
    }
    rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(f);
}

#[test]
fn threads_change_no_bit() {
    for tier in tiers() {
        // More rows than columns and the reverse; each more than 3 threads' worth of work.
        for (m, n, k) in [(90, 210, 300), (210, 90, 300), (40, 1000, 70)] {
            for ((la, lb), lc) in NN_NT_TN_TT.into_iter().zip([Rows, Columns, Gap, Spread]) {
                let (a, b) = (Matrix::<f32>::new(m, k, la, 13), Matrix::new(k, n, lb, 14));
                let bias = Matrix::<f32>::new(1, n, Rows, 15);
                let bias = Some((bias.view().data, 1));
                let mut one = None;
                threads(1, || one = Some(product(tier, [m, n], &a, &b, bias, lc, None)));
                let one = one.unwrap();
                for count in [2, 3, 7] {
                    threads(count, || {
                        let many = product(tier, [m, n], &a, &b, bias, lc, None);
                        same_bits(&many, &one, &format!("{count} threads, {m} {n} {k} {lc:?} {tier}"));
                    });
                }
            }
        }
    }
}

/// All batch dimensions in the plain order, some of them broadcast, against single products.
fn batch_equals_singles(
    outer: usize,
    inner: usize,
    size: [usize; 3],
    a_moves: [bool; 2],
    b_moves: [bool; 2],
) {
    let [m, n, k] = size;
    let a = Matrix::<f32>::new(outer * inner * m, k, Rows, 16);
    let b = Matrix::<f32>::new(outer * inner * k, n, Rows, 17);
    let moves = |m: bool, stride| if m { stride } else { 0 };
    let dim = |at: usize, size: usize, step: usize| BatchDim {
        size,
        a: moves(a_moves[at], step * m * k),
        b: moves(b_moves[at], step * k * n),
        c: step * m * n,
    };
    let dims = [dim(0, outer, inner), dim(1, inner, 1)];
    for tier in tiers() {
        let mut c = Matrix::filled(outer * inner * m, n, Rows, f32::NAN);
        threads(3, || gemm_on(tier, None, &dims, size, a.view(), b.view(), Ending::default(), c.view_mut()));
        for p in 0..outer * inner {
            let (x, y) = (p / inner, p % inner);
            let mut one = Matrix::filled(m, n, Rows, f32::NAN);
            let (oa, ob) = (x * dims[0].a + y * dims[1].a, x * dims[0].b + y * dims[1].b);
            gemm_on(
                tier,
                None,
                &[],
                size,
                a.view().skip(oa),
                b.view().skip(ob),
                Ending::default(),
                one.view_mut(),
            );
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                assert_eq!(bits(one.at(i, j)), bits(c.at(p * m + i, j)), "product {p}, ({i}, {j}), {tier}");
            }
        }
    }
}

#[test]
fn a_batch_is_its_products() {
    // Many small ones, few large ones, folded, partly folded, broadcast A.
    batch_equals_singles(5, 4, [7, 33, 50], [true, true], [true, true]);
    batch_equals_singles(1, 2, [70, 100, 300], [true, true], [true, true]);
    batch_equals_singles(3, 4, [7, 33, 50], [true, true], [false, false]);
    batch_equals_singles(3, 4, [7, 33, 50], [true, true], [true, false]);
    batch_equals_singles(3, 4, [7, 33, 50], [false, true], [true, false]);
    batch_equals_singles(2, 40, [1, 33, 50], [true, true], [true, false]);
    batch_equals_singles(3, 4, [7, 33, 50], [false, false], [true, true]);
    batch_equals_singles(3, 40, [1, 1, 60], [true, true], [true, true]);
    for moves in [[true, true], [true, false], [false, false]] {
        batch_equals_singles(3, 4, [7, 1, 50], [true, true], moves);
        batch_equals_singles(3, 4, [700, 1, 50], [false, true], moves);
    }
}

#[test]
fn products_of_any_type_and_layout_share_the_bias() {
    fn run<T: Case>(k: usize) {
        let (m, n, heads) = (9, 20, 4);
        let a: Vec<Matrix<T>> = (0..heads).map(|h| Matrix::new(m, k, Rows, 20 + h as u64)).collect();
        let b: Vec<Matrix<T>> = (0..heads).map(|h| Matrix::new(k, n, Columns, 30 + h as u64)).collect();
        let bias = Matrix::<T>::new(1, n, Rows, 40);
        let bias = Some((bias.view().data, 1));
        let all = |x: &[Matrix<T>]| x.iter().flat_map(|x| x.view().data.to_vec()).collect::<Vec<T>>();
        let (da, db) = (all(&a), all(&b));
        for tier in tiers() {
            let (a_all, b_all) = (MatRef { data: &da, rs: k, cs: 1 }, MatRef { data: &db, rs: 1, cs: k });
            // [m][heads][n], as in attention: the rows of a product lie between those of the others; and
            // [heads][n][m], for which A and B exchange their roles.
            for (step, rs, cs) in [(n, n * heads, 1), (m * n, 1, m)] {
                let mut c = vec![T::from_f64(f64::NAN); heads * m * n];
                let dims = [BatchDim { size: heads, a: m * k, b: k * n, c: step }];
                gemm_on(
                    tier,
                    None,
                    &dims,
                    [m, n, k],
                    a_all,
                    b_all,
                    Ending::bias(bias),
                    MatMut { data: &mut c, rs, cs },
                );
                for (h, i, j) in (0..heads * m * n).map(|x| (x / (m * n), x / n % m, x % n)) {
                    let (got, want) =
                        (c[h * step + i * rs + j * cs], model(tier, n, &a[h], &b[h], bias, [i, j]));
                    assert_eq!(bits(got), bits(want), "{tier}, product {h}, ({i}, {j}), strides {rs} {cs}");
                }
            }
        }
    }
    for k in [0, 30] {
        run::<f32>(k);
        run::<f64>(k);
        run::<f16>(k);
        run::<bf16>(k);
    }
}

/// As the ops of their own do it, in whole vectors and at the end of a row.
#[test]
fn what_is_written_is_rectified_as_by_the_ops() {
    fn run<T: Case + Real>() {
        let tiny = f64::from(f32::MIN_POSITIVE) / 2.0;
        let odd = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            tiny,
            -tiny,
            1e30,
            -1e30,
            -3.7,
        ];
        let x: Vec<T> = odd.iter().cycle().take(43).map(|&x| T::from_f64(x)).collect();
        let tensor = crate::Tensor::new(&x, &[43]);
        for (slope, op) in [(0.0, tensor.relu()), (0.3, tensor.leaky_relu(0.3))] {
            let want: Vec<u64> = op.to_vec::<T>().into_iter().map(bits).collect();
            for tier in tiers() {
                // By rows, by tiles.
                for m in [1, 5] {
                    let ones = vec![T::of(1.0); m * 5];
                    let mut b = vec![T::of(-0.0); 5 * 43];
                    b[..43].copy_from_slice(&x);
                    let mut c = vec![T::of(9.0); m * 43];
                    let end = Ending { bias: None, slope: Some(T::of(slope)) };
                    let (a, b) = (MatRef { data: &ones, rs: 5, cs: 1 }, MatRef { data: &b, rs: 43, cs: 1 });
                    gemm_on(tier, None, &[], [m, 43, 5], a, b, end, MatMut { data: &mut c, rs: 43, cs: 1 });
                    for row in c.chunks(43) {
                        for (j, (&got, &want)) in row.iter().zip(&want).enumerate() {
                            let got =
                                if x[j].to_f64() == 0.0 { got.to_f64().abs().to_bits() } else { bits(got) };
                            let want = if x[j].to_f64() == 0.0 { 0 } else { want };
                            assert_eq!(got, want, "{tier}, slope {slope} of {:?}", x[j]);
                        }
                    }
                }
            }
        }
    }
    run::<f32>();
    run::<f64>();
}

#[test]
fn nothing_to_do() {
    let (a, b) = ([1f32; 4], [1f32; 4]);
    let (a, b) = (MatRef { data: &a, rs: 2, cs: 1 }, MatRef { data: &b, rs: 2, cs: 1 });
    gemm::<f32>(0, 2, 2, a, b, Ending::default(), MatMut { data: &mut [], rs: 2, cs: 1 });
    gemm::<f32>(2, 0, 2, a, b, Ending::default(), MatMut { data: &mut [], rs: 0, cs: 1 });
    let empty = [BatchDim { size: 0, a: 0, b: 0, c: 0 }];
    gemm_batch::<f32>(&empty, [2, 2, 2], a, b, Ending::default(), MatMut { data: &mut [], rs: 0, cs: 0 });
}

/// The message of the panic that gemm of 3 x 4 x 5 raises with these lengths and this C.
fn refusal(lens: [usize; 3], bias: usize, rs: usize, cs: usize) -> String {
    let (a, b, bias) = (vec![0f32; lens[0]], vec![0f32; lens[1]], vec![0f32; bias]);
    let mut c = vec![0f32; lens[2]];
    let run = std::panic::AssertUnwindSafe(|| {
        let (a, b) = (MatRef { data: &a, rs: 5, cs: 1 }, MatRef { data: &b, rs: 4, cs: 1 });
        gemm(3, 4, 5, a, b, Ending::bias(Some((&bias, 1))), MatMut { data: &mut c, rs, cs });
    });
    match std::panic::catch_unwind(run) {
        Ok(()) => "fine".into(),
        Err(e) => *e.downcast::<String>().unwrap(),
    }
}

#[test]
fn short_slices_and_coinciding_elements_are_refused() {
    assert_eq!(refusal([15, 20, 12], 4, 4, 1), "fine");
    assert!(refusal([14, 20, 12], 4, 4, 1).contains("a has 14 elements"));
    assert!(refusal([15, 19, 12], 4, 4, 1).contains("b has 19 elements"));
    assert!(refusal([15, 20, 11], 4, 4, 1).contains("c has 11 elements"));
    assert!(refusal([15, 20, 12], 3, 4, 1).contains("bias has 3 elements"));
    assert!(refusal([15, 20, 12], 4, 3, 1).contains("coincide"));
    assert!(refusal([15, 20, 12], 4, 0, 1).contains("coincide"));
    assert!(refusal([15, 20, 12], 4, 1, 2).contains("coincide"));
    assert!(refusal([15, 20, 12], 4, usize::MAX, 1).contains("c has 12 elements"));
}
