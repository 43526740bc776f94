//! Names that a user gives: what is said to one that nobody knows.

use crate::Error;

/// The error for a name that is none of `names`: it lists them, and the one that was probably meant.
pub(crate) fn unknown(what: &'static str, value: &str, names: &[&str]) -> Error {
    let remedy = format!("{}use one of {}", did_you_mean(value, names), names.join(", "));
    Error::Argument { what, value: value.into(), remedy }
}

/// `did you mean 'mlp'? ` if a name is near, else nothing.
pub(crate) fn did_you_mean(value: &str, names: &[&str]) -> String {
    closest(value, names).map_or(String::new(), |n| format!("did you mean '{n}'? "))
}

/// The candidate that a mistyped word is nearest to, if it is near.
fn closest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase();
    let near = candidates.iter().map(|c| (edit_distance(&word, &c.to_lowercase()), *c)).min()?;
    (near.0 <= near.1.len().max(4) / 2).then_some(near.1)
}

/// Insertions, deletions and substitutions that turn one word into the other (Levenshtein, 1966).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + (ca != *cb) as usize;
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_are_recognised() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(closest("mpl", &["mlp", "dcgan28"]), Some("mlp"));
        assert_eq!(closest("sgd", &["Adam", "SGD"]), Some("SGD"));
        assert_eq!(closest("transformer", &["mlp", "mlp-a"]), None);
    }
}
