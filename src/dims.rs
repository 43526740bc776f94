//! Short inline lists: shapes, strides and dimension numbers without allocation.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// The most dimensions a tensor may have.
pub const MAX_RANK: usize = 8;

/// A short list of sizes, strides or dimension numbers, kept inline.
#[derive(Clone, Copy)]
pub struct Dims<T = usize> {
    len: u8,
    data: [T; MAX_RANK],
}

impl<T: Copy + Default> Dims<T> {
    /// No dimensions.
    pub fn new() -> Self {
        Dims { len: 0, data: [T::default(); MAX_RANK] }
    }

    /// A copy of a slice.
    ///
    /// # Panics
    /// If it is longer than [`MAX_RANK`].
    #[track_caller]
    pub fn from_slice(s: &[T]) -> Self {
        assert!(s.len() <= MAX_RANK, "a tensor has at most {MAX_RANK} dimensions, {} given", s.len());
        let mut d = Self::new();
        d.data[..s.len()].copy_from_slice(s);
        d.len = s.len() as u8;
        d
    }

    /// `n` times the same value.
    #[track_caller]
    pub fn filled(n: usize, v: T) -> Self {
        assert!(n <= MAX_RANK, "a tensor has at most {MAX_RANK} dimensions, {n} given");
        Dims { len: n as u8, data: [v; MAX_RANK] }
    }

    /// Appends a value.
    #[track_caller]
    pub fn push(&mut self, v: T) {
        assert!((self.len as usize) < MAX_RANK, "a tensor has at most {MAX_RANK} dimensions");
        self.data[self.len as usize] = v;
        self.len += 1;
    }

    /// Inserts a value at a position, moving later ones up.
    #[track_caller]
    pub fn insert(&mut self, at: usize, v: T) {
        self.push(v);
        self[at..].rotate_right(1);
    }

    /// Removes and returns the value at a position.
    pub fn remove(&mut self, at: usize) -> T {
        self[at..].rotate_left(1);
        self.len -= 1;
        self.data[self.len as usize]
    }
}

impl<T: Copy + Default> Default for Dims<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Deref for Dims<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.data[..self.len as usize]
    }
}

impl<T> DerefMut for Dims<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[..self.len as usize]
    }
}

impl<T: PartialEq> PartialEq for Dims<T> {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl<T: Eq> Eq for Dims<T> {}

impl<T: fmt::Debug> fmt::Debug for Dims<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Copy + Default> FromIterator<T> for Dims<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        let mut d = Self::new();
        iter.into_iter().for_each(|v| d.push(v));
        d
    }
}
