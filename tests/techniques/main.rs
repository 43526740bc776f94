//! Techniques: each against its definition, all in combination, and the errors that circulate in other code.

mod known_errors;
mod matrix;
mod regularisers;
mod training;

use ganvil::data::{Dataset, Images};
use std::sync::Arc;

/// 64 small pictures in three classes that look different: bars at a place of the class, under noise.
pub fn bars(side: usize) -> Arc<Dataset> {
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 27) as u8;
    let count = 64;
    let pixels = (0..count * side * side)
        .map(|i| {
            let (picture, row) = (i / (side * side), i / side % side);
            if row % 3 == picture % 3 { 200 + noise(i) } else { noise(i) }
        })
        .collect();
    let images = Images { count, channels: 1, rows: side, cols: side, pixels };
    let labels = Some((0..count as u32).map(|i| i % 3).collect());
    Arc::new(Dataset {
        images,
        labels,
        classes: ["a", "b", "c"].map(String::from).into(),
        name: "bars".into(),
    })
}
