//! A TOML table that is read key by key: what is absent is `None`, what is wrong is noted as a fault and `None`.
//!
//! Spans are byte ranges of the file. Values are borrowed from the document; nothing here knows what a key means.

use crate::model::config::draft::Faults;
use crate::model::config::duration;
use crate::model::config::fault::Fault;
use crate::model::config::source::Spotted;
use crate::model::config::value;
use crate::model::id::IdError;
use crate::model::path::RelPath;
use std::ops::Range;
use std::time::Duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A table, what it is called in messages, and where it stands.
#[derive(Debug)]
pub(super) struct Table<'d> {
    name: &'static str,
    entries: &'d DeTable<'d>,
    span: Range<usize>,
}

/// A string and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Text<'d> {
    pub(super) value: &'d str,
    pub(super) span: Range<usize>,
}

impl Text<'_> {
    /// The id that this is.
    pub(super) fn id<T>(
        &self,
        parse: fn(&str) -> Result<T, IdError>,
        faults: &mut Faults,
    ) -> Option<Spotted<T>> {
        let id = faults.take(self.span.clone(), parse(self.value))?;
        Some(Spotted::new(id, faults.spot(self.span.clone())))
    }

    /// The path that this is.
    pub(super) fn path(&self, key: &'static str, faults: &mut Faults) -> Option<RelPath> {
        let parsed = RelPath::parse(self.value).map_err(|source| Fault::Path { key, source });
        faults.take(self.span.clone(), parsed)
    }
}

impl<'d> Table<'d> {
    pub(super) fn new(name: &'static str, entries: &'d DeTable<'d>, span: Range<usize>) -> Self {
        Self {
            name,
            entries,
            span,
        }
    }

    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// How many items a key's array has.
    pub(super) fn count(&self, key: &str) -> usize {
        match self.entries.get(key).map(Spanned::get_ref) {
            Some(DeValue::Array(items)) => items.len(),
            _ => 0,
        }
    }

    /// Whether a key is an array without items.
    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        let value = self.entries.get(key).map(Spanned::get_ref);
        matches!(value, Some(DeValue::Array(items)) if items.is_empty())
    }

    /// Where a key's value stands; the table itself where the key is absent.
    pub(super) fn span_of(&self, key: &str) -> Range<usize> {
        self.entries
            .get(key)
            .map_or_else(|| self.span(), Spanned::span)
    }

    /// Where a key itself stands.
    pub(super) fn span_of_key(&self, key: &str) -> Range<usize> {
        self.entries
            .get_key_value(key)
            .map_or_else(|| self.span(), |(key, _)| key.span())
    }

    /// Its keys and values.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Text<'d>, &'d Spanned<DeValue<'d>>)> {
        self.entries.iter().map(|(key, value)| {
            let text = Text {
                value: key.get_ref().as_ref(),
                span: key.span(),
            };
            (text, value)
        })
    }

    /// Notes every key that is none of `allowed`.
    pub(super) fn allow(&self, allowed: &'static [&'static str], faults: &mut Faults) {
        for (key, _) in self.entries() {
            if !allowed.contains(&key.value) {
                let fault = Fault::UnknownKey {
                    key: key.value.to_owned(),
                    table: self.name,
                    allowed,
                };
                faults.add(key.span, fault);
            }
        }
    }

    pub(super) fn table(
        &self,
        key: &'static str,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Self> {
        let value = self.entries.get(key)?;
        if let DeValue::Table(entries) = value.get_ref() {
            return Some(Table::new(name, entries, value.span()));
        }
        mistyped(key, "a table", value, faults)
    }

    /// The tables of `[[key]]`; past `max` they are refused as a whole.
    pub(super) fn tables(
        &self,
        key: &'static str,
        name: &'static str,
        max: usize,
        faults: &mut Faults,
    ) -> Vec<Self> {
        let Some(value) = self.entries.get(key) else {
            return Vec::new();
        };
        let expected = "an array of tables, `[[…]]`";
        let DeValue::Array(items) = value.get_ref() else {
            return mistyped(key, expected, value, faults).unwrap_or_default();
        };
        if items.len() > max {
            let (what, count) = (name, items.len());
            faults.add(value.span(), Fault::TooMany { what, count, max });
            return Vec::new();
        }
        let table = |item: &'d Spanned<DeValue<'d>>| {
            if let DeValue::Table(entries) = item.get_ref() {
                return Some(Table::new(name, entries, item.span()));
            }
            mistyped(key, expected, item, faults)
        };
        items.iter().filter_map(table).collect()
    }

    pub(super) fn text(&self, key: &'static str, faults: &mut Faults) -> Option<Text<'d>> {
        self.entries
            .get(key)
            .and_then(|value| text(key, value, faults))
    }

    /// A string that has to be there.
    pub(super) fn required(&self, key: &'static str, faults: &mut Faults) -> Option<Text<'d>> {
        if !self.has(key) {
            let table = self.name;
            faults.add(self.span(), Fault::MissingKey { key, table });
        }
        self.text(key, faults)
    }

    /// An array of strings.
    pub(super) fn texts(&self, key: &'static str, faults: &mut Faults) -> Option<Vec<Text<'d>>> {
        let value = self.entries.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            return mistyped(key, "an array of strings", value, faults);
        };
        let numbered = items.iter().enumerate();
        let texts = numbered.filter_map(|(at, item)| text(&format!("{key}[{at}]"), item, faults));
        Some(texts.collect())
    }

    /// An array of gitignore patterns.
    pub(super) fn patterns(&self, key: &'static str, faults: &mut Faults) -> Option<Vec<String>> {
        let texts = self.texts(key, faults)?;
        let pattern = |text: Text<'_>| {
            let checked = value::pattern(key, text.value);
            faults
                .take(text.span, checked)
                .map(|()| text.value.to_owned())
        };
        Some(texts.into_iter().filter_map(pattern).collect())
    }

    pub(super) fn boolean(&self, key: &'static str, faults: &mut Faults) -> Option<bool> {
        let value = self.entries.get(key)?;
        if let DeValue::Boolean(truth) = value.get_ref() {
            return Some(*truth);
        }
        mistyped(key, "true or false", value, faults)
    }

    /// A whole number from `min` to `max`.
    pub(super) fn integer(
        &self,
        key: &'static str,
        min: u64,
        max: u64,
        faults: &mut Faults,
    ) -> Option<u64> {
        let value = self.entries.get(key)?;
        let DeValue::Integer(written) = value.get_ref() else {
            return mistyped(key, "a whole number", value, faults);
        };
        match u64::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) if (min..=max).contains(&number) => Some(number),
            _ => {
                let fault = Fault::OutOfRange {
                    key,
                    value: written.to_string(),
                    min,
                    max,
                };
                faults.add(value.span(), fault);
                None
            }
        }
    }

    /// A whole number that fits 32 bits.
    pub(super) fn small(
        &self,
        key: &'static str,
        min: u32,
        max: u32,
        faults: &mut Faults,
    ) -> Option<u32> {
        self.integer(key, u64::from(min), u64::from(max), faults)
            .and_then(|number| u32::try_from(number).ok())
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        max: Duration,
        faults: &mut Faults,
    ) -> Option<Duration> {
        let value = self.entries.get(key)?;
        let DeValue::String(written) = value.get_ref() else {
            let expected = "a duration such as \"10m\"";
            return mistyped(key, expected, value, faults);
        };
        let parsed = duration::parse(written, max);
        faults.take(
            value.span(),
            parsed.map_err(|source| Fault::Duration { key, source }),
        )
    }

    /// A duration, or none where it says `off`.
    pub(super) fn duration_or_off(
        &self,
        key: &'static str,
        max: Duration,
        faults: &mut Faults,
    ) -> Option<Option<Duration>> {
        let value = self.entries.get(key)?;
        let DeValue::String(written) = value.get_ref() else {
            let expected = "a duration such as \"10m\", or \"off\"";
            return mistyped(key, expected, value, faults);
        };
        match &**written {
            "off" => Some(None),
            _ => self.duration(key, max, faults).map(Some),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        choices: &[(&'static str, T)],
        faults: &mut Faults,
    ) -> Option<T> {
        let text = self.text(key, faults)?;
        let chosen = choices.iter().find(|(word, _)| *word == text.value);
        if chosen.is_none() {
            let fault = Fault::NotAChoice {
                key,
                value: text.value.to_owned(),
                allowed: choices.iter().map(|(word, _)| *word).collect(),
            };
            faults.add(text.span, fault);
        }
        chosen.map(|(_, value)| *value)
    }

    /// A string or an array of strings.
    pub(super) fn value(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        self.entries.get(key)
    }
}

/// A string; anything else is noted.
pub(super) fn text<'d>(
    key: &str,
    value: &'d Spanned<DeValue<'d>>,
    faults: &mut Faults,
) -> Option<Text<'d>> {
    if let DeValue::String(text) = value.get_ref() {
        return Some(Text {
            value: text.as_ref(),
            span: value.span(),
        });
    }
    mistyped(key, "a string", value, faults)
}

/// Notes a value of the wrong type.
pub(super) fn mistyped<T>(
    key: &str,
    expected: &'static str,
    value: &Spanned<DeValue<'_>>,
    faults: &mut Faults,
) -> Option<T> {
    let found = match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    let key = key.to_owned();
    faults.add(
        value.span(),
        Fault::WrongType {
            key,
            expected,
            found,
        },
    );
    None
}

/// A bound in milliseconds, as a key counts it.
pub(super) fn whole_ms(bound: Duration) -> u64 {
    u64::try_from(bound.as_millis()).unwrap_or(u64::MAX)
}
