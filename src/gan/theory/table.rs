//! Tables of numbers and words: as aligned text, as CSV, as JSON.

use serde_json::{Value, json};

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// Words.
    Text(String),
}

impl From<f64> for Cell {
    fn from(v: f64) -> Cell {
        Cell::Number(v)
    }
}

impl From<usize> for Cell {
    fn from(v: usize) -> Cell {
        Cell::Number(v as f64)
    }
}

impl From<&str> for Cell {
    fn from(v: &str) -> Cell {
        Cell::Text(v.into())
    }
}

impl From<String> for Cell {
    fn from(v: String) -> Cell {
        Cell::Text(v)
    }
}

/// Rows of cells under named columns.
///
/// ```
/// use ganvil::gan::theory::Table;
/// let mut table = Table::new(&["k", "norm"]);
/// table.push([5usize.into(), 0.25.into()]);
/// table.push([125usize.into(), 3e-7.into()]);
/// assert_eq!(table.column("norm"), [0.25, 3e-7]);
/// assert_eq!(table.text(), "  k    norm\n  5  0.2500\n125 3.00e-7\n");
/// assert_eq!(table.csv(), "k,norm\n5,0.25\n125,0.0000003\n");
/// assert_eq!(table.json()[1]["k"], 125.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub fn new(columns: &[&'static str]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// Unless it has a cell for each column.
    #[track_caller]
    pub fn push<const N: usize>(&mut self, row: [Cell; N]) {
        assert_eq!(N, self.columns.len(), "a row has a cell for each of {:?}", self.columns);
        self.rows.push(row.into());
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[&'static str] {
        &self.columns
    }

    /// The rows.
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// The numbers of a column from top to bottom; words are NaN.
    ///
    /// # Panics
    /// If there is no such column.
    #[track_caller]
    pub fn column(&self, name: &str) -> Vec<f64> {
        let at = self.columns.iter().position(|c| *c == name);
        let at = at.unwrap_or_else(|| panic!("no column '{name}' among {:?}", self.columns));
        let number = |row: &Vec<Cell>| match row[at] {
            Cell::Number(v) => v,
            Cell::Text(_) => f64::NAN,
        };
        self.rows.iter().map(number).collect()
    }

    /// Columns side by side, numbers to the right and words to the left.
    pub fn text(&self) -> String {
        let columns: Vec<Vec<String>> = (0..self.columns.len()).map(|i| self.column_text(i)).collect();
        let widths: Vec<usize> =
            columns.iter().map(|c| c.iter().map(|t| t.chars().count()).max().unwrap_or(0)).collect();
        let mut out = String::new();
        for row in 0..=self.rows.len() {
            let cells = columns.iter().enumerate().map(|(i, column)| {
                let (text, width) = (&column[row], widths[i]);
                let words = self.rows.iter().any(|r| matches!(r[i], Cell::Text(_)));
                if words { format!("{text:<width$}") } else { format!("{text:>width$}") }
            });
            out.push_str(cells.collect::<Vec<_>>().join(" ").trim_end());
            out.push('\n');
        }
        out
    }

    /// A column's name and cells. Whole numbers only have no decimals.
    fn column_text(&self, at: usize) -> Vec<String> {
        let cells = || self.rows.iter().map(|r| &r[at]);
        let whole =
            cells().all(|c| matches!(c, Cell::Text(_)) || matches!(c, Cell::Number(v) if v.fract() == 0.0));
        let text = |cell: &Cell| match cell {
            Cell::Text(t) => t.clone(),
            Cell::Number(v) if whole => format!("{v:.0}"),
            Cell::Number(v) if *v != 0.0 && (v.abs() < 1e-3 || v.abs() >= 1e5) => format!("{v:.2e}"),
            Cell::Number(v) => format!("{v:.4}"),
        };
        std::iter::once(self.columns[at].to_owned()).chain(cells().map(text)).collect()
    }

    /// Comma-separated values (RFC 4180), numbers in full.
    pub fn csv(&self) -> String {
        let quoted = |t: &str| match t.contains([',', '"', '\n']) {
            true => format!("\"{}\"", t.replace('"', "\"\"")),
            false => t.to_owned(),
        };
        let cell = |c: &Cell| match c {
            Cell::Number(v) => format!("{v}"),
            Cell::Text(t) => quoted(t),
        };
        let head = self.columns.iter().map(|c| quoted(c)).collect::<Vec<_>>();
        let rows = self.rows.iter().map(|r| r.iter().map(cell).collect::<Vec<_>>());
        std::iter::once(head).chain(rows).map(|r| r.join(",") + "\n").collect()
    }

    /// An array of objects, one for each row.
    pub fn json(&self) -> Value {
        let cell = |c: &Cell| match c {
            Cell::Number(v) => json!(v),
            Cell::Text(t) => json!(t),
        };
        let object = |row: &Vec<Cell>| {
            self.columns.iter().zip(row).map(|(name, c)| (name.to_string(), cell(c))).collect::<Value>()
        };
        self.rows.iter().map(object).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_commas_and_quotes_are_one_field() {
        let mut table = Table::new(&["what", "D(x), mean"]);
        table.push(["a \"b\", c".into(), 1.0.into()]);
        assert_eq!(table.csv(), "what,\"D(x), mean\"\n\"a \"\"b\"\", c\",1\n");
        assert_eq!(table.text(), "what     D(x), mean\na \"b\", c          1\n");
    }
}
