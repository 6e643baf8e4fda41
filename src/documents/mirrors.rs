//! A task's mirrors held against their source, and made equal to it.
//!
//! Mirrors differ from their source in wording and in grain. So an item is found by its key, then by its title, then a row
//! by its section, which is ticked when all of it is; an item without a counterpart is the mirror's own. A block between
//! two comments has no item of its own: it is made again as a whole.

use crate::documents::book::Page;
use crate::documents::checklist::edit::{self, Splice};
use crate::documents::checklist::grammar::normalized;
use crate::documents::checklist::{Checklist, Form, Item};
use std::collections::{BTreeMap, BTreeSet};

/// The heading that says no more than that a checklist follows.
const PLAIN_HEADING: &str = "checklist";

/// What the source says of an item of a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The line of the source that says so, from 1.
    pub line: usize,
    /// Whether it is ticked.
    pub checked: bool,
    /// What proves it, where the source names something.
    pub evidence: Option<String>,
}

/// A source, ready to be asked.
#[derive(Debug)]
pub struct Source<'a> {
    items: Vec<&'a Item>,
    keys: BTreeMap<&'a str, usize>,
    /// By title, and by title and place.
    titles: BTreeMap<String, Vec<usize>>,
    placed: BTreeMap<(String, Option<String>), Vec<usize>>,
    /// What all items of a section or below an entry say together, by its title.
    sections: BTreeMap<String, Wanted>,
}

impl<'a> Source<'a> {
    /// The items of a source that are its own.
    #[must_use]
    pub fn of(checklist: &'a Checklist) -> Self {
        let own = checklist.items.iter().filter(|item| item.block.is_none());
        let items: Vec<&Item> = own.collect();
        let mut source = Self {
            keys: BTreeMap::new(),
            titles: BTreeMap::new(),
            placed: BTreeMap::new(),
            sections: BTreeMap::new(),
            items,
        };
        for (index, item) in source.items.iter().enumerate() {
            if let Some(key) = &item.key {
                source.keys.entry(key.as_str()).or_insert(index);
            }
            let title = normalized(&item.title);
            let placed = source.placed.entry((title.clone(), place(item)));
            placed.or_default().push(index);
            source.titles.entry(title).or_default().push(index);
            let around = [&item.section, &item.group].into_iter().flatten();
            let around: BTreeSet<String> = around.map(|name| normalized(name)).collect();
            for name in around {
                let whole = source.sections.entry(name).or_insert(Wanted {
                    line: item.line,
                    checked: true,
                    evidence: None,
                });
                whole.checked &= item.checked;
                whole.evidence = proof(item).or_else(|| whole.evidence.take());
            }
        }
        source
    }

    /// What the source says of each of these items of one mirror, in their order.
    #[must_use]
    pub fn wanted(&self, mirror: &[&Item]) -> Vec<Option<Wanted>> {
        let mut seen: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
        let each = mirror.iter().map(|item| {
            if let Some(key) = &item.key {
                // What has a key has no other name.
                return self
                    .keys
                    .get(key.as_str())
                    .map(|index| self.of_item(*index));
            }
            let title = normalized(&item.title);
            let place = place(item);
            let nth = seen.entry((title.clone(), place.clone())).or_default();
            let found = self.by_title(&title, place.as_deref(), *nth);
            *nth += 1;
            let whole = || self.of_section(item);
            found.map(|index| self.of_item(index)).or_else(whole)
        });
        each.collect()
    }

    /// The item with this title: of several the one at the same place, of those the one of the same number.
    fn by_title(&self, title: &str, around: Option<&str>, nth: usize) -> Option<usize> {
        let all = self.titles.get(title)?;
        if let ([only], 0) = (&all[..], nth) {
            return Some(*only);
        }
        let place = (title.to_owned(), around.map(str::to_owned));
        self.placed.get(&place)?.get(nth).copied()
    }

    fn of_item(&self, index: usize) -> Wanted {
        let item = self.items.get(index);
        item.map_or(
            Wanted {
                line: 0,
                checked: false,
                evidence: None,
            },
            |item| Wanted {
                line: item.line,
                checked: item.checked,
                evidence: proof(item),
            },
        )
    }

    /// What all items of the section that a row names say together.
    fn of_section(&self, row: &Item) -> Option<Wanted> {
        if row.form != Form::Row {
            return None;
        }
        let named = normalized(row.group.as_deref()?);
        self.sections.get(&named).cloned()
    }
}

/// Whether an item of a mirror says what its source does.
#[must_use]
pub fn is_in_sync(item: &Item, wanted: &Wanted) -> bool {
    item.checked == wanted.checked && (!item.checked || cites(item, wanted))
}

/// What makes an item of a mirror say what its source does; the file's new bytes.
#[must_use]
pub fn aligned(bytes: &[u8], item: &Item, wanted: &Wanted) -> Vec<Splice> {
    if is_in_sync(item, wanted) {
        return Vec::new();
    }
    match (wanted.checked, &wanted.evidence) {
        (false, _) => edit::unflip(bytes, item),
        (true, Some(path)) if !cites(item, wanted) => edit::flip(bytes, item, path),
        (true, _) => vec![edit::mark(item, b'x')],
    }
}

fn cites(item: &Item, wanted: &Wanted) -> bool {
    let Some(wanted) = &wanted.evidence else {
        return true;
    };
    item.evidence.iter().any(|cited| name(cited) == *wanted)
}

/// What an item names that is no placeholder: a manifest rather than anything else.
fn proof(item: &Item) -> Option<String> {
    let named = item
        .evidence
        .iter()
        .filter(|cited| !cited.token.is_placeholder());
    let best = named.min_by_key(|cited| !cited.token.path.ends_with("/manifest.json"));
    best.map(name)
}

fn name(cited: &super::checklist::parse::Cited) -> String {
    match &cited.token.fragment {
        Some(fragment) => format!("{}#{fragment}", cited.token.path),
        None => cited.token.path.clone(),
    }
}

/// Where an item stands, as a mirror may repeat it.
fn place(item: &Item) -> Option<String> {
    let place = item.group.as_deref().or(item.section.as_deref());
    place.map(normalized)
}

/// What the block of a task holds: the source's sections, and each of its items in one line.
#[must_use]
pub fn block(source: &Page, newline: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let mut section: Option<&str> = None;
    for item in source
        .checklist
        .items
        .iter()
        .filter(|item| item.block.is_none())
    {
        let own = item
            .section
            .as_deref()
            .filter(|own| normalized(own) != PLAIN_HEADING);
        if own != section {
            if !text.is_empty() {
                text.extend_from_slice(newline.as_bytes());
            }
            if let Some(own) = own {
                text.extend_from_slice(format!("### {own}{newline}{newline}").as_bytes());
            }
            section = own;
        }
        let said = source.bytes.get(item.text.clone()).unwrap_or_default();
        let mark = if item.checked { 'x' } else { ' ' };
        let mut line = format!("- [{mark}] ").into_bytes();
        match item.form {
            Form::Leading | Form::Row => line.extend_from_slice(said),
            Form::Status | Form::Subtask => {
                line.extend_from_slice(item.title.as_bytes());
                if let Some(path) = proof(item).filter(|_| item.checked) {
                    line.extend_from_slice(format!("; Evidence: `{path}`").as_bytes());
                }
            }
        }
        let details = item.evidence.iter().any(|cited| cited.line != item.line);
        if let (true, true, Form::Leading, Some(path)) =
            (item.checked, details, item.form, proof(item))
            && !String::from_utf8_lossy(said).contains(&path)
        {
            line.extend_from_slice(format!("; Evidence: `{path}`").as_bytes());
        }
        if let Some(key) = &item.key {
            line.extend_from_slice(format!(" <!-- orchd:item {key} -->").as_bytes());
        }
        text.extend_from_slice(&line);
        text.extend_from_slice(newline.as_bytes());
    }
    text
}
