//! Matrix multiplication.
#![allow(missing_docs)]
pub trait GemmElement: crate::Element {}
impl<T: crate::Element> GemmElement for T {}
pub struct MatRef<'a, T> {
    pub data: &'a [T],
    pub rs: usize,
    pub cs: usize,
}
pub struct MatMut<'a, T> {
    pub data: &'a mut [T],
    pub rs: usize,
    pub cs: usize,
}
pub struct BatchDim {
    pub size: usize,
    pub a: usize,
    pub b: usize,
    pub c: usize,
}
pub fn gemm_batch<T: GemmElement>(
    dims: &[BatchDim],
    [m, n, k]: [usize; 3],
    a: MatRef<T>,
    b: MatRef<T>,
    bias: Option<(&[T], usize)>,
    c: MatMut<T>,
) {
    let count: usize = dims.iter().map(|d| d.size).product();
    for p in 0..count {
        let (mut pa, mut pb, mut pc) = (0, 0, 0);
        let mut left = p;
        for d in dims.iter().rev() {
            let i = left % d.size;
            left /= d.size;
            pa += i * d.a;
            pb += i * d.b;
            pc += i * d.c;
        }
        for i in 0..m {
            for j in 0..n {
                let mut s = 0.0;
                for q in 0..k {
                    s +=
                        a.data[pa + i * a.rs + q * a.cs].to_f64() * b.data[pb + q * b.rs + j * b.cs].to_f64();
                }
                if let Some((v, st)) = bias {
                    s += v[j * st].to_f64();
                }
                c.data[pc + i * c.rs + j * c.cs] = T::from_f64(s);
            }
        }
    }
}
