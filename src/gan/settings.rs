//! Settings as text: `config.toml`, and `--set`.

use super::config::TrainConfig;
use crate::names::did_you_mean;
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

impl TrainConfig {
    /// Reads what `config.toml` holds. All settings must be there that have no obvious absence.
    ///
    /// ```
    /// use ganvil::gan::TrainConfig;
    /// let text = toml::to_string(&TrainConfig::default()).unwrap();
    /// assert_eq!(TrainConfig::from_toml(&text), Ok(TrainConfig::default()));
    /// let problem = TrainConfig::from_toml(&text.replace("latent", "laten")).unwrap_err();
    /// assert!(problem.contains("did you mean 'latent'?"), "{problem}");
    /// ```
    ///
    /// # Errors
    /// What is wrong, with the line, and what was probably meant.
    pub fn from_toml(text: &str) -> std::result::Result<TrainConfig, String> {
        toml::from_str(text).map_err(|e| format!("{}{}", e.to_string().trim_end(), meant(e.message())))
    }

    /// Changes one setting, `KEY=VALUE`, by its name in `config.toml`. Values are TOML's, text needs no quotes; `none`
    /// takes away what may be absent.
    ///
    /// ```
    /// use ganvil::gan::{Loss, TrainConfig};
    /// let mut config = TrainConfig::default();
    /// config.set("optimizer_g.lr=1e-3")?;
    /// config.set("step.loss=hinge")?;
    /// config.set("step.r1=10")?;
    /// assert_eq!((config.optimizer_g.lr(), config.step.loss, config.step.r1), (1e-3, Loss::Hinge, Some(10.0)));
    /// config.set("step.r1=none")?;
    /// assert_eq!(config.step.r1, None);
    /// let error = config.set("optimizer_g.lrr=1").unwrap_err().to_string();
    /// assert!(error.contains("did you mean 'lr'?"), "{error}");
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such setting, or the value is none for it; says what was probably meant.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        self.set_all(&[assignment])
    }

    /// [`TrainConfig::set`] for several, which are looked at together: `schedule_d.type=linear` needs
    /// `schedule_d.horizon=30000`. A new `type` keeps the learning rate and drops what else the old one had.
    ///
    /// ```
    /// use ganvil::gan::TrainConfig;
    /// let mut config = TrainConfig::default();
    /// config.set_all(&["schedule_d.type=linear", "schedule_d.horizon=100", "optimizer_d.type=SGD"])?;
    /// assert_eq!((config.schedule_d.factor(50), config.optimizer_d.lr()), (0.5, 2e-4));
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// As there; nothing is changed then.
    pub fn set_all(&mut self, assignments: &[impl AsRef<str>]) -> Result<()> {
        let recipe = self.recipe.clone();
        assign(self, assignments, &|key, value| {
            let other = key == "recipe" && value.trim_matches('"') != recipe;
            other.then_some("another recipe has other settings; name it in place of this one")
        })
    }
}

/// Changes settings by their names in a file, `KEY=VALUE` each. `refused` says why a key may not be given a value.
pub(super) fn assign<T: Clone + Serialize + DeserializeOwned>(
    settings: &mut T,
    assignments: &[impl AsRef<str>],
    refused: &dyn Fn(&str, &str) -> Option<&'static str>,
) -> Result<()> {
    let bad = |value: &str, remedy: String| Error::Argument { what: "--set", value: value.into(), remedy };
    let all: Vec<&str> = assignments.iter().map(AsRef::as_ref).collect();
    if all.is_empty() {
        return Ok(());
    }
    let mut table = Table::try_from(settings.clone()).map_err(|e| bad(&all.join(" "), e.to_string()))?;
    let known = keys(&table);
    for assignment in &all {
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(bad(assignment, "write KEY=VALUE, such as optimizer_g.lr=1e-4".into()));
        };
        let (key, value) = (key.trim(), value.trim());
        if let Some(remedy) = refused(key, value) {
            return Err(bad(assignment, remedy.into()));
        }
        put(&mut table, key, value).map_err(|remedy| bad(assignment, remedy))?;
        if value == "none" {
            // What is absent leaves no trace in the table: that it is no setting shows once it has some value.
            let mut with_some = table.clone();
            put(&mut with_some, key, "true").map_err(|remedy| bad(assignment, remedy))?;
            let problem = with_some.try_into::<T>().err().map(|e| e.message().to_owned());
            if let Some(text) = problem.filter(|text| text.starts_with("unknown field")) {
                let hint = elsewhere(&known, &[assignment]).unwrap_or_else(|| meant(&text));
                return Err(bad(assignment, format!("{text}{hint}")));
            }
        }
    }
    *settings = table.try_into().map_err(|e: toml::de::Error| {
        let (text, hint) = (e.message(), elsewhere(&known, &all).unwrap_or_else(|| meant(e.message())));
        bad(&all.join(" "), format!("{text}{hint}"))
    })?;
    Ok(())
}

/// Where the last part of an unknown key is known: `lr` of both optimisers.
fn elsewhere(known: &[String], assignments: &[&str]) -> Option<String> {
    let keys = assignments.iter().filter_map(|a| Some(a.split_once('=')?.0.trim()));
    let mut hints = keys.filter(|key| !known.iter().any(|k| k == key)).filter_map(|key| {
        let leaf = key.rsplit('.').next()?;
        let same = known.iter().filter(|k| k.rsplit('.').next() == Some(leaf));
        let same: Vec<&str> = same.map(String::as_str).collect();
        (!same.is_empty()).then(|| format!("; did you mean {}?", same.join(" or ")))
    });
    hints.next()
}

/// Puts a value where a dotted key says, making tables on the way.
fn put(table: &mut Table, key: &str, value: &str) -> std::result::Result<(), String> {
    let mut at = table;
    let mut parts: Vec<&str> = key.split('.').collect();
    let leaf = parts.pop().unwrap_or_default();
    if leaf.is_empty() || parts.iter().any(|p| p.is_empty()) {
        return Err("the key is empty, or a part of it; write KEY=VALUE, such as optimizer_g.lr=1e-4".into());
    }
    for part in parts {
        let next = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
        at = next.as_table_mut().ok_or_else(|| format!("'{part}' is one value, it has no '{leaf}'"))?;
    }
    if value == "none" {
        at.remove(leaf);
        return Ok(());
    }
    let parsed = toml::from_str::<Table>(&format!("v = {value}"));
    let parsed = parsed.ok().filter(|t| t.len() == 1).and_then(|mut t| t.remove("v"));
    let parsed = parsed.unwrap_or_else(|| Value::String(value.into()));
    if leaf == "type" && at.get(leaf) != Some(&parsed) {
        at.retain(|key, _| key == "lr");
    }
    at.insert(leaf.into(), parsed);
    Ok(())
}

/// All dotted keys of a table.
pub(super) fn keys(table: &Table) -> Vec<String> {
    let inner = |(key, value): (&String, &Value)| match value {
        Value::Table(t) => keys(t).into_iter().map(|k| format!("{key}.{k}")).collect(),
        _ => vec![key.clone()],
    };
    table.iter().flat_map(inner).collect()
}

/// What was probably meant, from serde's words for an unknown field or variant: "unknown field `lrr`, expected one of
/// `lr`, `betas`".
fn meant(message: &str) -> String {
    if !message.starts_with("unknown ") {
        return String::new();
    }
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(given) = names.next() else { return String::new() };
    let hint = did_you_mean(given, &names.collect::<Vec<_>>());
    if hint.is_empty() { hint } else { format!("; {}", hint.trim_end()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gan::zoo;

    #[test]
    fn every_setting_of_every_recipe_can_be_set_to_itself() {
        for recipe in &zoo::RECIPES {
            let config = (recipe.config)();
            let table = Table::try_from(&config).unwrap();
            for key in keys(&table) {
                let value = key.split('.').fold(&Value::Table(table.clone()), |v, k| &v[k]).clone();
                let mut copy = config.clone();
                copy.set(&format!("{key}={value}")).unwrap();
                assert_eq!(copy, config, "{key}");
            }
        }
    }

    #[test]
    fn unknown_keys_and_values_are_refused_with_a_suggestion() {
        let refused = |assignment: &str| {
            let mut config = TrainConfig::default();
            let message = config.set(assignment).unwrap_err().to_string();
            assert_eq!(config, TrainConfig::default(), "nothing is changed");
            assert!(message.contains(assignment), "{message}");
            message
        };
        for (assignment, hint) in [
            ("stepps=3", "did you mean 'steps'?"),
            ("lr=1", "did you mean optimizer_d.lr or optimizer_g.lr?"),
            ("step.los=hinge", "did you mean 'loss'?"),
            ("step.loss=hing", "did you mean 'hinge'?"),
            ("conditioning=embedd", "did you mean 'embed'?"),
            ("optimizer_d.typ=SGD", "typ"),
            ("seed=one", "string"),
            ("seed=-1", "-1"),
            ("seed.x=1", "'seed' is one value"),
            ("steps", "KEY=VALUE"),
            ("=3", "KEY=VALUE"),
            ("step..loss=hinge", "KEY=VALUE"),
            ("steps=none", "missing field `steps`"),
            ("step.agument=none", "did you mean 'augment'?"),
            ("nname=none", "did you mean 'name'?"),
            ("recipe=mlp-a", "another recipe has other settings"),
            ("steps=5\nseed=3", "string"),
            ("optimizer_d.betas=[0.5]", "length"),
            ("schedule_d.type=linear", "missing field `horizon`"),
            ("optimizer_d.type=sgd", "did you mean 'SGD'?"),
            ("qqqqqqqqqqqqqqqqqqqqqqqq=1", "unknown field"),
        ] {
            let message = refused(assignment);
            assert!(message.contains(hint), "{assignment}: {message}");
        }
    }

    #[test]
    fn names_that_look_like_numbers_stay_names() {
        let mut config = TrainConfig::default();
        config.set("name = big run").unwrap();
        assert_eq!(config.name.as_deref(), Some("big run"));
        config.set("name=\"7\"").unwrap();
        assert_eq!(config.name.as_deref(), Some("7"));
        assert_eq!(config.step.ema, None);
        config.set("step.ema.half_life_kimg=20").unwrap();
        assert_eq!(config.step.ema.unwrap().half_life_kimg, 20.0);
    }
}
