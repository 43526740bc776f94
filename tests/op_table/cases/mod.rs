//! The table, by family.

mod conv;
mod elementwise;
mod image;
mod index;
mod loss;
mod matmul;
mod norm;
mod order;
mod part;
mod reduce;
mod shape;

use crate::row::Row;

pub fn table() -> Vec<Row> {
    [
        elementwise::unary(),
        elementwise::binary(),
        elementwise::operators(),
        elementwise::comparisons(),
        elementwise::selection(),
        reduce::rows(),
        matmul::rows(),
        conv::rows(),
        shape::rows(),
        part::rows(),
        order::rows(),
        image::rows(),
        index::rows(),
        norm::rows(),
        loss::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
