use super::*;

#[test]
fn size_one_strides_are_canonical_so_one_channel_is_both_orders() {
    let nchw = Layout::contiguous(&[4, 1, 5, 6]);
    let nhwc = Layout::contiguous(&[4, 5, 6, 1]).permuted(&[0, 3, 1, 2]);
    assert_eq!(nchw, nhwc);
    assert!(nhwc.is_contiguous());
}

#[test]
fn channels_last_is_dense_but_not_contiguous() {
    let l = Layout::contiguous(&[2, 5, 6, 3]).permuted(&[0, 3, 1, 2]);
    assert!(!l.is_contiguous() && l.is_dense());
    assert_eq!(l.like(), l);
    assert!(!l.narrowed(3, 0, 2).is_dense());
    assert!(!Layout::contiguous(&[1, 3]).expanded(&[4, 3]).unwrap().is_dense());
}

#[test]
fn reshape_of_views() {
    let t = Layout::contiguous(&[4, 6]).permuted(&[1, 0]);
    assert!(t.reshaped(&[24]).is_none());
    assert_eq!(t.reshaped(&[2, 3, 4]).unwrap().strides(), &[3, 1, 6]);
    let n = Layout::contiguous(&[4, 6]).narrowed(1, 2, 3);
    assert_eq!(
        n.reshaped(&[2, 2, 3]).unwrap().indices().collect::<Vec<_>>(),
        n.indices().collect::<Vec<_>>()
    );
    assert!(n.reshaped(&[12]).is_none());
    assert_eq!(Layout::contiguous(&[0, 3]).permuted(&[1, 0]).reshaped(&[7, 0]).unwrap().numel(), 0);
    assert_eq!(Layout::contiguous(&[1, 1]).reshaped(&[]).unwrap().numel(), 1);
}

#[test]
fn slices_and_diagonals() {
    let l = Layout::contiguous(&[3, 5]);
    let at = |l: Layout| l.indices().collect::<Vec<_>>();
    assert_eq!(at(l.sliced(1, 1, 2, 3)), [1, 4, 6, 9, 11, 14]);
    assert_eq!(at(l.sliced(0, 2, 1, usize::MAX)), [10, 11, 12, 13, 14]);
    assert_eq!(at(l.diagonal(0)), [0, 6, 12]);
    assert_eq!(at(l.diagonal(3)), [3, 9]);
    assert_eq!(at(l.diagonal(-2)), [10]);
    assert_eq!((l.diagonal(5).shape(), l.diagonal(-9).numel()), (&[0][..], 0));
    assert_eq!(at(l.permuted(&[1, 0]).diagonal(1)), [5, 11]);
}

#[test]
fn a_resized_layout_keeps_the_order_in_memory() {
    let nhwc = Layout::contiguous(&[2, 5, 6, 3]).permuted(&[0, 3, 1, 2]);
    assert_eq!(nhwc.like_resized(&[2, 4, 7, 8]), Layout::contiguous(&[2, 7, 8, 4]).permuted(&[0, 3, 1, 2]));
    let channels_last = |s: [usize; 4]| Layout::contiguous(&[s[0], s[2], s[3], s[1]]).permuted(&[0, 3, 1, 2]);
    assert_eq!(nhwc.narrowed(3, 0, 2).like_resized(&[1, 2, 3, 4]), channels_last([1, 2, 3, 4]));
    // A size of 1 has a canonical stride, which says nothing about where it belongs.
    for from in [[1, 3, 5, 6], [2, 3, 5, 1], [2, 3, 1, 6], [1, 3, 1, 6]] {
        assert_eq!(channels_last(from).like_resized(&[4, 3, 7, 8]), channels_last([4, 3, 7, 8]), "{from:?}");
    }
    let other = Layout::contiguous(&[5, 1, 4]).permuted(&[2, 1, 0]);
    assert_eq!(other.like_resized(&[4, 2, 5]), Layout::contiguous(&[2, 5, 4]).permuted(&[2, 0, 1]));
}

#[test]
fn results_keep_the_order_of_operands_with_gaps() {
    let nhwc = Layout::contiguous(&[2, 5, 6, 3]).permuted(&[0, 3, 1, 2]);
    let part = nhwc.narrowed(2, 1, 3);
    assert!(!part.is_dense());
    assert_eq!(part.like(), Layout::contiguous(&[2, 3, 6, 3]).permuted(&[0, 3, 1, 2]));
    assert_eq!(part.narrowed(0, 1, 1).like().permuted(&[0, 2, 3, 1]), Layout::contiguous(&[1, 3, 6, 3]));
    let repeated = Layout::contiguous(&[3, 4]).expanded(&[5, 3, 4]).unwrap();
    assert!(repeated.like().is_contiguous());
    // A batch stays outermost, and the order within a sample is that of the sample alone.
    for p in [[0, 1, 2, 3], [0, 2, 3, 1], [0, 3, 2, 1], [0, 1, 3, 2]] {
        let batch = Layout::contiguous(&[6, 1, 3, 4]).expanded(&[6, 5, 3, 4]).unwrap().permuted(&p);
        let sample = batch.narrowed(0, 1, 1);
        assert_eq!(batch.like().narrowed(0, 0, 1).strides(), sample.like().strides(), "{p:?}");
    }
}

#[test]
fn coalescing_keeps_the_set_of_elements() {
    let a = Layout::contiguous(&[2, 3, 4]);
    assert_eq!(coalesce([&a, &a]).0[..], [24]);
    let b = Layout::contiguous(&[3, 1]).expanded(&[2, 3, 4]).unwrap();
    let (shape, strides) = coalesce([&a, &b]);
    assert_eq!((&shape[..], &strides[1][..]), (&[2, 3, 4][..], &[0, 1, 0][..]));
}

#[test]
fn broadcasting() {
    assert_eq!(broadcast_shapes(&[3, 1], &[2, 1, 4]).unwrap()[..], [2, 3, 4]);
    assert_eq!(broadcast_shapes(&[], &[0]).unwrap()[..], [0]);
    assert!(broadcast_shapes(&[2], &[3]).is_none());
}

#[test]
fn indices_start_anywhere() {
    for l in [
        Layout::contiguous(&[4, 6]).narrowed(1, 2, 3),
        Layout::contiguous(&[2, 3, 5]).permuted(&[2, 0, 1]),
        Layout::contiguous(&[]),
        Layout::contiguous(&[3, 0, 2]),
    ] {
        for start in 0..=l.numel() {
            let want: Vec<usize> = l.indices().skip(start).collect();
            assert_eq!(l.indices_from(start).collect::<Vec<_>>(), want, "{l:?} from {start}");
        }
    }
}
