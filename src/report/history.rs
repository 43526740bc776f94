//! What a run's log says, as columns of numbers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::plot::Axis;

/// The numbers of a log's records, in their order.
///
/// Fields are known by the names that the log has; others than numbers are left out, and `null`, which stands for a
/// number that was not finite, is NaN.
///
/// ```
/// use ganvil::report::{Axis, History};
/// use serde_json::json;
///
/// let mut history = History::new(&[json!({"step": 1, "d_loss": 1.5}), json!({"step": 100, "d_loss": null})]);
/// history.push(&json!({"step": 200, "d_loss": 1.25, "r1": 0.5}));
/// let points = history.points(Axis::Step, "d_loss");
/// assert_eq!((points[0], points[2]), ((1.0, 1.5), (200.0, 1.25)));
/// assert!(points[1].1.is_nan());
/// assert_eq!(history.points(Axis::Step, "r1"), [(200.0, 0.5)]); // from where it was first recorded
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    records: usize,
    columns: BTreeMap<String, Column>,
}

/// A field's values from the record in which it first stood to the last one; NaN where it is missing in between.
#[derive(Clone, Debug, PartialEq)]
struct Column {
    first: usize,
    values: Vec<f64>,
}

impl History {
    /// Of a whole log, as [`read_log`](super::read_log) gives it.
    pub fn new(records: &[Value]) -> History {
        let mut history = History::default();
        records.iter().for_each(|r| history.push(r));
        history
    }

    /// Adds a record.
    pub fn push(&mut self, record: &Value) {
        let at = self.records;
        self.records += 1;
        for (field, value) in record.as_object().into_iter().flatten() {
            let Some(number) = value.as_f64().or(value.is_null().then_some(f64::NAN)) else { continue };
            if !self.columns.contains_key(field) {
                self.columns.insert(field.clone(), Column { first: at, values: Vec::new() });
            }
            if let Some(column) = self.columns.get_mut(field) {
                column.values.resize(at - column.first, f64::NAN);
                column.values.push(number);
            }
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// The fields that some record has, in the order of their names.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// A field over an axis, from the first record that has it to the last; empty if none does. A value that is
    /// missing in between, or was not finite, is NaN. Records without a place on the axis are left out.
    pub fn points(&self, axis: Axis, field: &str) -> Vec<(f64, f64)> {
        let (Some(x), Some(y)) = (self.columns.get(axis.name()), self.columns.get(field)) else {
            return Vec::new();
        };
        let place = |i: usize| x.values.get((y.first + i).checked_sub(x.first)?).copied();
        let points = y.values.iter().enumerate().filter_map(|(i, &v)| Some((place(i)?, v)));
        points.filter(|p| p.0.is_finite()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The same points, where NaN equals NaN.
    #[track_caller]
    fn same(points: &[(f64, f64)], want: &[(f64, Option<f64>)]) {
        let shown: Vec<_> = points.iter().map(|&(x, y)| (x, Some(y).filter(|y| !y.is_nan()))).collect();
        assert_eq!(shown, want);
    }

    #[test]
    fn what_is_missing_or_null_is_a_gap_and_what_is_unknown_is_kept_apart() {
        let records = [
            json!({"step": 1, "a": 1}),
            json!({"step": 2, "a": null, "b": 5.5, "note": "text", "list": [1.0]}),
            json!({"a": 7.0, "b": 7.0}),
            json!({"step": 4}),
            json!({"step": 5, "a": 3.0, "c": true}),
            json!({"step": 6, "b": null}),
        ];
        let history = History::new(&records);
        same(
            &history.points(Axis::Step, "a"),
            &[(1.0, Some(1.0)), (2.0, None), (4.0, None), (5.0, Some(3.0))],
        );
        same(&history.points(Axis::Step, "b"), &[(2.0, Some(5.5)), (4.0, None), (5.0, None), (6.0, None)]);
        for none in ["note", "list", "c", "d"] {
            assert!(history.points(Axis::Step, none).is_empty(), "{none}");
        }
        assert!(history.points(Axis::Kimg, "a").is_empty());
        assert_eq!(history.len(), 6);
        assert!(History::new(&[]).is_empty() && History::default().points(Axis::Step, "a").is_empty());
    }

    #[test]
    fn record_by_record_is_the_same_as_at_once() {
        let records: Vec<_> =
            (0..50).map(|i| json!({"step": i, "x": i * i, "kimg": 0.064 * i as f64})).collect();
        let mut one_by_one = History::default();
        records.iter().for_each(|r| one_by_one.push(r));
        assert_eq!(one_by_one, History::new(&records));
        assert_eq!(one_by_one.points(Axis::Kimg, "x")[10], (0.64, 100.0));
    }
}
