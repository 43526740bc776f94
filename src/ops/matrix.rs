//! Triangles of matrices.

use super::constant;
use crate::Tensor;

impl Tensor {
    /// The lower triangle of the last two dimensions: `x[.., i, j]` where `j <= i + diagonal`, else 0.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.tril(0).to_vec::<f32>(), [1.0, 0.0, 3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two dimensions, or the dtype is no float.
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Tensor {
        self.check_matrix("tril");
        self.check_float("tril");
        self.lower_triangle(diagonal).where_(self, &constant(self, 0.0))
    }

    /// The upper triangle of the last two dimensions: `x[.., i, j]` where `j >= i + diagonal`, else 0.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.triu(1).to_vec::<f32>(), [0.0, 2.0, 0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::tril`].
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Tensor {
        self.check_matrix("triu");
        self.check_float("triu");
        self.lower_triangle(diagonal.saturating_sub(1)).where_(&constant(self, 0.0), self)
    }

    /// The mask `[m, n]` with 1 where `j <= i + diagonal`.
    fn lower_triangle(&self, diagonal: isize) -> Tensor {
        let [m, n] = [self.rank() - 2, self.rank() - 1].map(|d| self.shape()[d] as i64);
        let column = |from: i64, n: i64| Tensor::from(&(from..from + n).collect::<Vec<_>>()[..]);
        // Beyond the matrix all diagonals are alike.
        let first = (diagonal as i64).clamp(-m - 1, n);
        let (rows, columns) = (column(first, m).unsqueeze(1), column(0, n));
        columns.to_device(self.device()).le(&rows.to_device(self.device()))
    }
}
