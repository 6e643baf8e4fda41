//! A JSON document that is read key by key and knows where each value stands.
//!
//! `serde_json` tells no positions of values, but a raw value borrows from the text: its address is its position. Each
//! level is parsed only when it is read, so a file is never held as a tree. Of two entries with one key the last counts,
//! as in JavaScript; `null` counts as absent.

use crate::model::config::draft::Faults;
use crate::model::config::fault::Fault;
use crate::model::config::source::Spotted;
use crate::model::id::IdError;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// A value of the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'t> {
    text: &'t str,
    raw: &'t RawValue,
}

/// An object of the document.
#[derive(Clone, Debug)]
pub(super) struct Object<'t> {
    name: &'static str,
    node: Node<'t>,
    entries: Vec<(String, Node<'t>)>,
}

/// A string of the document.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) value: String,
    pub(super) span: Range<usize>,
}

impl Text {
    /// The id that this is.
    pub(super) fn id<T>(
        &self,
        parse: fn(&str) -> Result<T, IdError>,
        faults: &mut Faults,
    ) -> Option<Spotted<T>> {
        let id = faults.take(self.span.clone(), parse(&self.value))?;
        Some(Spotted::new(id, faults.spot(self.span.clone())))
    }
}

impl<'t> Node<'t> {
    /// The document's outermost value.
    pub(super) fn document(text: &'t str, faults: &mut Faults) -> Option<Self> {
        let document = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mark = text.len() - document.len();
        match serde_json::from_str::<&RawValue>(document) {
            Ok(raw) => Some(Self { text, raw }),
            Err(error) => {
                let start = mark + offset(document, error.line(), error.column());
                let said = syntax_message(&error);
                faults.add(start..start, Fault::Syntax { said });
                None
            }
        }
    }

    pub(super) fn span(&self) -> Range<usize> {
        let start = self.raw.get().as_ptr().addr() - self.text.as_ptr().addr();
        start..start + self.raw.get().len()
    }

    /// Whether JavaScript takes it for true.
    pub(super) fn is_truthy(&self) -> bool {
        !matches!(
            self.raw.get(),
            "false" | "null" | "0" | "-0" | "\"\"" | "0.0"
        )
    }

    fn is_null(&self) -> bool {
        self.raw.get() == "null"
    }

    fn kind(&self) -> &'static str {
        match self.raw.get().bytes().next() {
            Some(b'{') => "an object",
            Some(b'[') => "an array",
            Some(b'"') => "a string",
            Some(b't' | b'f') => "true or false",
            Some(b'n') => "null",
            _ => "a number",
        }
    }

    /// Reads this value; another type is noted.
    fn read<T: Deserialize<'t>>(
        &self,
        key: &str,
        expected: &'static str,
        faults: &mut Faults,
    ) -> Option<T> {
        match serde_json::from_str::<T>(self.raw.get()) {
            Ok(value) => Some(value),
            Err(error) => {
                let fault = if error.is_data() {
                    Fault::WrongType {
                        key: key.to_owned(),
                        expected,
                        found: self.kind(),
                    }
                } else {
                    // The grammar has been checked: this is a string whose escapes make no text.
                    let said = syntax_message(&error);
                    Fault::Syntax { said }
                };
                faults.add(self.span(), fault);
                None
            }
        }
    }

    /// An object; `key` is what it is called here, `name` what its kind is called.
    pub(super) fn object(
        &self,
        key: &str,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Object<'t>> {
        let Entries(raw) = self.read(key, "an object", faults)?;
        let text = self.text;
        let entries = raw
            .into_iter()
            .map(|(key, raw)| (key, Self { text, raw }))
            .collect();
        Some(Object {
            name,
            node: *self,
            entries,
        })
    }

    /// The objects of an array.
    pub(super) fn objects(
        &self,
        key: &str,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Vec<Object<'t>>> {
        let raw: Vec<&'t RawValue> = self.read(key, "an array", faults)?;
        let text = self.text;
        let object = |(at, raw)| Self { text, raw }.object(&format!("{key}[{at}]"), name, faults);
        Some(raw.into_iter().enumerate().filter_map(object).collect())
    }

    pub(super) fn string(&self, key: &str, faults: &mut Faults) -> Option<Text> {
        let value = self.read(key, "a string", faults)?;
        let span = self.span();
        Some(Text { value, span })
    }

    /// A number of milliseconds; a fraction is rounded up.
    pub(super) fn milliseconds(&self, key: &str, faults: &mut Faults) -> Option<Duration> {
        let number: f64 = self.read(key, "a number of milliseconds", faults)?;
        match Duration::try_from_secs_f64(number.ceil() / 1_000.0) {
            Ok(duration) => Some(duration),
            Err(_) => {
                let fault = Fault::WrongType {
                    key: key.to_owned(),
                    expected: "a number of milliseconds above zero",
                    found: "another number",
                };
                faults.add(self.span(), fault);
                None
            }
        }
    }
}

impl<'t> Object<'t> {
    pub(super) fn span(&self) -> Range<usize> {
        self.node.span()
    }

    /// Its keys and values in the order of JavaScript: where each key stood first, with its last value.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, Node<'t>)> {
        self.entries.iter().map(|(key, node)| (key.as_str(), *node))
    }

    /// The value of a key, unless it is absent or `null`.
    pub(super) fn get(&self, key: &str) -> Option<Node<'t>> {
        let mut found = self.entries.iter().filter(|(name, _)| name == key);
        found
            .next()
            .map(|(_, node)| *node)
            .filter(|node| !node.is_null())
    }

    /// The string of a key, if it is one; nothing is noted.
    pub(super) fn peek(&self, key: &str) -> Option<String> {
        let node = self.get(key)?;
        serde_json::from_str(node.raw.get()).ok()
    }

    pub(super) fn string(&self, key: &str, faults: &mut Faults) -> Option<Text> {
        self.get(key)?.string(key, faults)
    }

    /// A string that has to be there.
    pub(super) fn required(&self, key: &'static str, faults: &mut Faults) -> Option<Text> {
        if self.get(key).is_none() {
            let table = self.name;
            faults.add(self.span(), Fault::MissingKey { key, table });
        }
        self.string(key, faults)
    }

    pub(super) fn boolean(&self, key: &str, faults: &mut Faults) -> Option<bool> {
        self.get(key)?.read(key, "true or false", faults)
    }

    /// The objects of an array.
    pub(super) fn objects(
        &self,
        key: &str,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Vec<Self>> {
        self.get(key)?.objects(key, name, faults)
    }

    /// The strings of an array, if it is one; nothing is noted.
    pub(super) fn words(&self, key: &str) -> Vec<String> {
        let words = self.get(key).map(|node| node.raw.get());
        words
            .and_then(|raw| serde_json::from_str(raw).ok())
            .unwrap_or_default()
    }
}

/// The entries of an object, each key once.
struct Entries<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Deserialize<'t> for Entries<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'t> Visitor<'t> for EntriesVisitor {
    type Value = Entries<'t>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Vec<(String, &'t RawValue)> = Vec::new();
        let mut places = std::collections::BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, &'t RawValue>()? {
            let place = *places.entry(key.clone()).or_insert(entries.len());
            match entries.get_mut(place) {
                Some(entry) => entry.1 = value,
                None => entries.push((key, value)),
            }
        }
        Ok(Entries(entries))
    }
}

/// What `serde_json` says, without the position, which is told by the place.
fn syntax_message(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => said,
    }
}

/// The byte that `serde_json` means with a line and a column (in bytes, both from 1; column 0 is the line's beginning).
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    (before + column.saturating_sub(1)).min(text.len())
}
