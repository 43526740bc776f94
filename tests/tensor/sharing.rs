//! Views, gradients in hand, threads: nothing that is held changes.

use super::*;

#[test]
fn views_run_no_kernel() {
    let x = count(&[2, 3, 4]);
    type View = (&'static str, fn(&Tensor) -> Tensor);
    let views: [View; 11] = [
        ("reshape", |x| x.reshape(&[6, 4])),
        ("permute", |x| x.permute(&[2, 0, 1])),
        ("transpose", |x| x.transpose(0, 1)),
        ("narrow", |x| x.narrow(1, 1, 2)),
        ("expand", |x| x.narrow(1, 0, 1).expand(&[5, 2, 3, 4])),
        ("unsqueeze", |x| x.unsqueeze(1)),
        ("squeeze", |x| x.unsqueeze(1).squeeze(1)),
        ("contiguous", |x| x.contiguous()),
        ("detach", |x| x.detach()),
        ("clone", |x| x.clone()),
        ("split a permuted dimension", |x| x.permute(&[2, 0, 1]).reshape(&[2, 2, 2, 3])),
    ];
    for (name, view) in views {
        let (y, calls) = trace::record(|| view(&x));
        assert!(calls.is_empty(), "{name} ran {calls:?}");
        assert!(y.to_vec::<f64>().iter().all(|v| (0.0..24.0).contains(v)), "{name}");
    }
    let (_, calls) = trace::record(|| x.permute(&[2, 0, 1]).reshape(&[24]));
    assert_eq!(
        calls.iter().map(|c| c.kernel).collect::<Vec<_>>(),
        ["copy"],
        "strides cannot express this one"
    );
}

#[test]
fn gradients_in_hand_stay_as_they_are() {
    let x = t(&[1.0, 2.0], &[2]).requires_grad();
    (&x * 3.0).sum_all().backward();
    let first = x.grad().unwrap();
    (&x * 4.0).sum_all().backward();
    assert_eq!((first.to_vec::<f64>(), x.grad().unwrap().to_vec::<f64>()), (vec![3.0; 2], vec![7.0; 2]));
}

#[test]
fn upstream_gradients_and_values_are_not_accumulated_into() {
    let x = t(&[1.0, 2.0], &[2]).requires_grad();
    let v = t(&[5.0, 7.0], &[2]);
    let y = &x + &x + x.clone();
    let g = grad(&[&y, &x], &[&x], &[v.clone(), v.clone()], false)[0].clone().unwrap();
    assert_eq!((g.to_vec::<f64>(), v.to_vec::<f64>()), (vec![20.0, 28.0], vec![5.0, 7.0]));
    assert_eq!(x.to_vec::<f64>(), [1.0, 2.0]);
}

#[test]
fn leaves_and_constants() {
    let x = t(&[2.0], &[1]).requires_grad();
    assert!(x.is_tracked() && !x.detach().is_tracked() && x.exp().is_tracked());
    let again = x.exp().requires_grad();
    (&again * &again).backward();
    assert!(x.grad().is_none() && again.grad().is_some(), "a new leaf leaves its history behind");
}

#[test]
fn tensors_cross_threads() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Tensor>();
    check::<Generator>();
    check::<Layout>();
    let size = if cfg!(miri) { [8, 10] } else { [40, 50] };
    let x = count(&size).mul_scalar(1e-3).requires_grad();
    let gradient =
        |x: &Tensor| grad(&[&x.tanh().matmul(&x.t()).sum_all()], &[x], &[], false)[0].clone().unwrap();
    let here = gradient(&x).to_vec::<f64>();
    let there: Vec<Vec<f64>> = std::thread::scope(|s| {
        let handles: Vec<_> = (0..4).map(|_| s.spawn(|| gradient(&x).to_vec::<f64>())).collect();
        handles.into_iter().map(|h| h.join().unwrap()).collect()
    });
    assert!(there.iter().all(|g| *g == here));
    // Gradients of one leaf from several threads add up.
    std::thread::scope(|s| (0..4).for_each(|_| drop(s.spawn(|| x.sum_all().backward()).join())));
    assert_eq!(x.grad().unwrap().to_vec::<f64>(), vec![4.0; x.numel()]);
}
