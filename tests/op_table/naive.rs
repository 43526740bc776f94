//! Arrays of f64 in row-major order, slow and obvious: what the ops are compared with.

/// An n-dimensional array.
#[derive(Clone, Debug, PartialEq)]
pub struct Nd {
    pub shape: Vec<usize>,
    pub data: Vec<f64>,
}

/// Every index of a shape, in row-major order.
pub fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for &n in shape {
        all = all.iter().flat_map(|i| (0..n).map(move |j| [&i[..], &[j]].concat())).collect();
    }
    all
}

/// NumPy's rule for two shapes that are known to broadcast.
pub fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let size = |s: &[usize], d: usize| if d + s.len() < rank { 1 } else { s[d + s.len() - rank] };
    (0..rank).map(|d| if size(a, d) == 1 { size(b, d) } else { size(a, d) }).collect()
}

impl Nd {
    pub fn from_fn(shape: &[usize], f: impl FnMut(&[usize]) -> f64) -> Nd {
        let mut f = f;
        Nd { shape: shape.to_vec(), data: indices(shape).iter().map(|i| f(i)).collect() }
    }

    pub fn scalar(v: f64) -> Nd {
        Nd { shape: Vec::new(), data: vec![v] }
    }

    /// The element at an index; an index of more dimensions, or beyond a size of 1, is taken as broadcast.
    pub fn at(&self, index: &[usize]) -> f64 {
        let lead = index.len() - self.shape.len();
        let flat = self.shape.iter().zip(&index[lead..]).fold(0, |flat, (&n, &i)| {
            assert!(i < n || n == 1, "index {index:?} in {:?}", self.shape);
            flat * n + if n == 1 { 0 } else { i }
        });
        self.data[flat]
    }

    pub fn map(&self, f: impl Fn(f64) -> f64) -> Nd {
        Nd { shape: self.shape.clone(), data: self.data.iter().map(|&v| f(v)).collect() }
    }

    /// f of two broadcast arrays.
    pub fn zip(&self, other: &Nd, f: impl Fn(f64, f64) -> f64) -> Nd {
        Nd::from_fn(&broadcast(&self.shape, &other.shape), |i| f(self.at(i), other.at(i)))
    }

    /// f of the elements over the listed dimensions (from the start; none listed means all).
    pub fn reduce(&self, dims: &[isize], keepdim: bool, f: impl Fn(&[f64]) -> f64) -> Nd {
        let rank = self.shape.len() as isize;
        let over = |d: usize| dims.is_empty() || dims.iter().any(|&e| e.rem_euclid(rank) as usize == d);
        let kept: Vec<usize> =
            (0..self.shape.len()).map(|d| if over(d) { 1 } else { self.shape[d] }).collect();
        let mut parts = vec![Vec::new(); kept.iter().product()];
        for index in indices(&self.shape) {
            let flat = (0..kept.len()).fold(0, |at, d| at * kept[d] + if over(d) { 0 } else { index[d] });
            parts[flat].push(self.at(&index));
        }
        let shape = (0..kept.len()).filter(|&d| keepdim || !over(d)).map(|d| kept[d]).collect();
        Nd { shape, data: parts.iter().map(|p| f(p)).collect() }
    }

    pub fn reshape(&self, shape: &[usize]) -> Nd {
        assert_eq!(shape.iter().product::<usize>(), self.data.len());
        Nd { shape: shape.to_vec(), data: self.data.clone() }
    }

    /// Dimension i of the result is dimension `dims[i]` of this.
    pub fn permute(&self, dims: &[usize]) -> Nd {
        let shape: Vec<usize> = dims.iter().map(|&d| self.shape[d]).collect();
        Nd::from_fn(&shape, |i| {
            let mut from = vec![0; dims.len()];
            dims.iter().zip(i).for_each(|(&d, &i)| from[d] = i);
            self.at(&from)
        })
    }

    /// Matrix product of the last two dimensions, the others broadcast.
    pub fn matmul(&self, b: &Nd) -> Nd {
        let (ra, rb) = (self.shape.len(), b.shape.len());
        let (m, k, n) = (self.shape[ra - 2], self.shape[ra - 1], b.shape[rb - 1]);
        let batch = broadcast(&self.shape[..ra - 2], &b.shape[..rb - 2]);
        Nd::from_fn(&[&batch[..], &[m, n]].concat(), |i| {
            let (mut ia, mut ib) = (i.to_vec(), i.to_vec());
            let r = i.len();
            (0..k)
                .map(|q| {
                    (ia[r - 1], ib[r - 2]) = (q, q);
                    self.at(&ia) * b.at(&ib)
                })
                .sum()
        })
    }
}

/// Neumaier's sum: what rounding loses is summed too and added at the end.
pub fn sum(v: &[f64]) -> f64 {
    let (mut total, mut lost) = (0.0, 0.0);
    for &x in v {
        let next: f64 = total + x;
        lost += if f64::abs(total) >= x.abs() { (total - next) + x } else { (x - next) + total };
        total = next;
    }
    total + lost
}

pub fn mean(v: &[f64]) -> f64 {
    sum(v) / v.len() as f64
}

/// The mean squared deviation, with `correction` taken off the count.
pub fn variance(v: &[f64], correction: f64) -> f64 {
    let m = mean(v);
    let squares: Vec<f64> = v.iter().map(|x| (x - m).powi(2)).collect();
    sum(&squares) / (v.len() as f64 - correction)
}
