//! The same values in other places.

use ganvil::{DType, Device, Tensor};

/// An order in memory that is not row-major from offset 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// The last dimension slowest.
    Transposed,
    /// The inside of a larger tensor.
    Narrowed,
    /// Row-major, but not at the start of the storage.
    Offset,
    /// Dimension 1 fastest.
    ChannelsLast,
    /// The last two dimensions exchanged: dense, and neither row-major nor channels-last.
    InnerSwapped,
}

pub const ORDERS: [Order; 5] =
    [Order::Transposed, Order::Narrowed, Order::Offset, Order::ChannelsLast, Order::InnerSwapped];

/// A value that shows if it is read.
fn junk(shape: &[usize], dtype: DType, device: Device) -> Tensor {
    Tensor::full(shape, if dtype.is_float() { f64::NAN } else { 250.0 }, dtype, device)
}

/// The tensor with `before` and `after` entries of junk around it along a dimension.
fn padded(t: &Tensor, dim: usize, before: usize, after: usize) -> Tensor {
    let beside = |n: usize| {
        let mut shape = t.shape().to_vec();
        shape[dim] = n;
        junk(&shape, t.dtype(), t.device())
    };
    Tensor::cat(&[&beside(before), t, &beside(after)], dim as isize)
}

/// The same values stored with dimension `order[0]` slowest.
fn stored(t: &Tensor, order: &[isize]) -> Tensor {
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, &d)| back[d as usize] = i as isize);
    t.permute(order).contiguous().permute(&back)
}

/// The same values in another order; unchanged where the rank does not allow it.
pub fn relaid(t: &Tensor, order: Order) -> Tensor {
    let rank = t.rank() as isize;
    match order {
        Order::Transposed => stored(t, &(0..rank).rev().collect::<Vec<_>>()),
        Order::Narrowed => {
            let larger = (0..t.rank()).fold(t.clone(), |all, d| padded(&all, d, 1, 2));
            (0..t.rank()).fold(larger, |part, d| part.narrow(d as isize, 1, t.shape()[d]))
        }
        Order::Offset => {
            let flat = padded(&t.reshape(&[t.numel()]), 0, 3, 1);
            flat.narrow(0, 3, t.numel()).reshape(t.shape())
        }
        Order::ChannelsLast if rank >= 3 => {
            stored(t, &std::iter::once(0).chain(2..rank).chain([1]).collect::<Vec<_>>())
        }
        Order::InnerSwapped if rank >= 3 => {
            stored(t, &(0..rank - 2).chain([rank - 1, rank - 2]).collect::<Vec<_>>())
        }
        Order::ChannelsLast | Order::InnerSwapped => t.clone(),
    }
}

/// The first entry of dimension `dim` repeated by a stride of 0.
pub fn repeated(t: &Tensor, dim: usize) -> Tensor {
    t.narrow(dim as isize, 0, 1).expand(t.shape())
}
