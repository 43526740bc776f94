//! A fixture's attributes. Each must be read by whoever computes the fixture, so that none is left unhonoured.

use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

/// A JSON object that knows which of its entries were read.
pub struct Attrs {
    map: Map<String, Value>,
    read: Mutex<BTreeSet<String>>,
}

impl Attrs {
    pub fn new(map: Map<String, Value>) -> Attrs {
        Attrs { map, read: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.read.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// An entry, without counting as its reader.
    pub fn peek(&self, name: &str) -> Option<&Value> {
        self.map.get(name)
    }

    /// An entry that may be absent.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.lock().insert(name.to_owned());
        self.map.get(name)
    }

    fn typed<'a, T>(
        &'a self,
        name: &str,
        what: &str,
        f: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<T, String> {
        let value = self.get(name).ok_or_else(|| format!("attribute '{name}' is missing"))?;
        f(value).ok_or_else(|| format!("attribute '{name}' is {value}, not {what}"))
    }

    pub fn f64(&self, name: &str) -> Result<f64, String> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// A number or null.
    pub fn f64_or_null(&self, name: &str) -> Result<Option<f64>, String> {
        self.typed(name, "a number or null", |v| if v.is_null() { Some(None) } else { v.as_f64().map(Some) })
    }

    pub fn bool(&self, name: &str) -> Result<bool, String> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub fn str(&self, name: &str) -> Result<&str, String> {
        self.typed(name, "a string", Value::as_str)
    }

    pub fn usize(&self, name: &str) -> Result<usize, String> {
        self.typed(name, "a count", |v| v.as_u64().map(|n| n as usize))
    }

    /// A count or null.
    pub fn usize_or_null(&self, name: &str) -> Result<Option<usize>, String> {
        self.typed(name, "a count or null", |v| {
            if v.is_null() { Some(None) } else { v.as_u64().map(|n| Some(n as usize)) }
        })
    }

    /// Two sizes: of height and width.
    pub fn pair(&self, name: &str) -> Result<[usize; 2], String> {
        self.typed(name, "a list of two sizes", |v| {
            list(v, |n| n.as_u64().map(|n| n as usize))?.try_into().ok()
        })
    }

    pub fn isize(&self, name: &str) -> Result<isize, String> {
        self.typed(name, "a whole number", |v| v.as_i64().map(|n| n as isize))
    }

    /// A list of whole numbers; None for null.
    pub fn isizes_or_null(&self, name: &str) -> Result<Option<Vec<isize>>, String> {
        self.typed(name, "a list of whole numbers", |v| match v {
            Value::Null => Some(None),
            v => list(v, |n| n.as_i64().map(|n| n as isize)).map(Some),
        })
    }

    pub fn isizes(&self, name: &str) -> Result<Vec<isize>, String> {
        self.typed(name, "a list of whole numbers", |v| list(v, |n| n.as_i64().map(|n| n as isize)))
    }

    pub fn usizes(&self, name: &str) -> Result<Vec<usize>, String> {
        self.typed(name, "a list of sizes", |v| list(v, |n| n.as_u64().map(|n| n as usize)))
    }

    pub fn strings(&self, name: &str) -> Result<Vec<String>, String> {
        self.typed(name, "a list of strings", |v| list(v, |s| s.as_str().map(str::to_owned)))
    }

    /// Every entry, as the arguments of a constructor that refuses what it does not know.
    pub fn all(&self) -> Map<String, Value> {
        self.lock().extend(self.map.keys().cloned());
        self.map.clone()
    }

    /// Entries that nobody has read.
    pub fn unread(&self) -> Vec<&str> {
        let read = self.lock();
        self.map.keys().filter(|k| !read.contains(*k)).map(|k| k.as_str()).collect()
    }
}

fn list<T>(v: &Value, f: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    v.as_array()?.iter().map(f).collect()
}
