//! Copies of weights in the order that kernels read them, kept with the storage that they are made of.
//!
//! A tensor is an immutable value, so a copy is good for as long as nobody obtains the storage for writing; then it is
//! dropped. A weight is used several times between two updates: forward, backward, and by the other network's turn.

use super::pool::Buffer;
use std::sync::{Arc, Mutex, PoisonError};

/// What a copy is for: which kernel, which sizes, which part of the storage.
pub(super) type Key = [usize; 12];

/// The copies of one storage.
#[derive(Default)]
pub struct Packed(Mutex<Vec<(Key, Arc<Buffer>)>>);

impl Packed {
    /// The copy for a use, made if there is none. Nothing is locked while it is made: threads may make it twice, with the
    /// same elements.
    pub(super) fn get_or_make(&self, key: Key, make: impl FnOnce() -> Buffer) -> Arc<Buffer> {
        let find = |all: &[(Key, Arc<Buffer>)]| all.iter().find(|(k, _)| *k == key).map(|(_, b)| b.clone());
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = find(&lock()) {
            return found;
        }
        let made = Arc::new(make());
        let mut all = lock();
        find(&all).unwrap_or_else(|| {
            all.push((key, made.clone()));
            made
        })
    }

    /// Drops all copies: the storage is about to be written.
    pub(in crate::backend) fn clear(&mut self) {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DType;

    #[test]
    fn a_copy_is_made_once_until_the_storage_is_written() {
        let mut packed = Packed::default();
        let mut made = 0;
        let mut get = |packed: &Packed, first: usize| {
            let mut key = [0; 12];
            key[0] = first;
            packed.get_or_make(key, || {
                made += 1;
                Buffer::of(DType::F32, 4)
            })
        };
        let a = get(&packed, 1);
        assert!(Arc::ptr_eq(&a, &get(&packed, 1)));
        assert!(!Arc::ptr_eq(&a, &get(&packed, 2)));
        packed.clear();
        assert!(!Arc::ptr_eq(&a, &get(&packed, 1)));
        assert_eq!(made, 3);
    }
}
