//! From a file to its items: what each is called, whether it is ticked, and what it names as evidence.
//!
//! An item's details are the entries below it that begin with a key; a `Status:` line takes those of the entry that it is
//! the status of. A path counts as evidence wherever an item names it, but for what only says what would be accepted: that
//! counts where the item names nothing else.

use super::grammar::{self, Marker, PathToken};
use super::nodes::{Block, Line, Node, Outline};
use crate::limits::documents::DETAILS_MAX;
use std::collections::BTreeMap;
use std::ops::Range;

/// The keys of details whose paths are evidence.
const PROVING: [&str; 2] = ["Evidence", "Status"];

/// How an item is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `- [ ] Title`.
    Leading,
    /// `- Status: [ ]`, below `N. Title`.
    Status,
    /// `- [ ] Status: …`, below `- Subtask: Title`.
    Subtask,
    /// ``- Section — `[ ]` Title``.
    Row,
}

/// One thing that is done or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its line, from 1.
    pub line: usize,
    /// How it is written.
    pub form: Form,
    /// The heading that it stands under.
    pub section: Option<String>,
    /// The entry that it stands below, or the section that a row names.
    pub group: Option<String>,
    /// What is to be done, without its clauses.
    pub title: String,
    /// The name that a comment gives it.
    pub key: Option<String>,
    /// The pipeline whose green ticks it, where its comment names one.
    pub pipeline: Option<String>,
    /// Whether it is ticked.
    pub checked: bool,
    /// Where in its file the one byte between its brackets stands.
    pub mark: usize,
    /// Where in its file the text behind its marker stands, without comments at its end.
    pub text: Range<usize>,
    /// What would be accepted.
    pub acceptance: Option<String>,
    /// What it names as evidence.
    pub evidence: Vec<Cited>,
    /// Whose block it stands in, where that is made again from elsewhere.
    pub block: Option<String>,
}

/// A path that an item names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cited {
    /// The line that names it, from 1.
    pub line: usize,
    /// The path.
    pub token: PathToken,
}

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checklist {
    /// Its items, in order.
    pub items: Vec<Item>,
    /// Its headings: level, title, line from 1.
    pub headings: Vec<(usize, String, usize)>,
    /// What in it is made again from elsewhere.
    pub blocks: Vec<Block>,
}

impl Checklist {
    /// Reads a file; there is none that cannot be read.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let outline = Outline::of(bytes);
        let mut children: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, node) in outline.nodes.iter().enumerate() {
            if let Some(parent) = node.parent {
                children.entry(parent).or_default().push(index);
            }
        }
        let blocks = outline.blocks.iter();
        let mut reader = Reader {
            outline: &outline,
            children,
            said: BTreeMap::new(),
            above: Vec::new(),
            blocks: blocks.filter(|block| block.body.is_some()).collect(),
        };
        reader.note_said();
        reader.note_above();
        let items = (0..outline.nodes.len()).filter_map(|index| reader.item(index));
        let items = items.collect();
        let headings = outline.sections.iter();
        let headings = headings.map(|found| (found.level, found.title.clone(), found.line + 1));
        Self {
            items,
            headings: headings.collect(),
            blocks: outline.blocks.clone(),
        }
    }
}

/// Where an item's marker and text stand in its line.
struct Found {
    form: Form,
    marker: Marker,
    text: usize,
    /// The section that a row names.
    section: Option<Range<usize>>,
}

struct Reader<'a> {
    outline: &'a Outline<'a>,
    children: BTreeMap<usize, Vec<usize>>,
    /// The details of each entry that has some, as far as they are heard.
    said: BTreeMap<usize, Vec<usize>>,
    /// Of each node, the nearest before it under its heading that is numbered, and the nearest that is a subtask.
    above: Vec<(Option<usize>, Option<usize>)>,
    /// The blocks that have an end.
    blocks: Vec<&'a Block>,
}

impl Reader<'_> {
    /// Finds out what is a detail of what. Of more than anybody writes the first are heard: each item below an entry has all
    /// of its details, and many of both would be more than there is room for.
    fn note_said(&mut self) {
        for (parent, children) in &self.children {
            let details = children.iter().copied().filter(|at| self.is_detail(*at));
            let details: Vec<usize> = details.take(DETAILS_MAX).collect();
            if !details.is_empty() {
                self.said.insert(*parent, details);
            }
        }
    }

    fn is_detail(&self, at: usize) -> bool {
        self.entry(at).is_some_and(|(node, line)| {
            let text = node.bullet.text;
            let mut keys = PROVING.into_iter().chain(["Acceptance"]);
            find(line.bytes, text).is_none()
                && keys.any(|key| grammar::value_of(line.bytes, text, key).is_some())
        })
    }

    fn note_above(&mut self) {
        let (mut above, mut section) = ((None, None), None);
        for (index, node) in self.outline.nodes.iter().enumerate() {
            if section != Some(node.section) {
                (above, section) = ((None, None), Some(node.section));
            }
            self.above.push(above);
            if node.bullet.numbered {
                above.0 = Some(index);
            }
            if self.subtask(index).is_some() {
                above.1 = Some(index);
            }
        }
    }

    fn item(&self, index: usize) -> Option<Item> {
        let (node, line) = self.entry(index)?;
        let found = find(line.bytes, node.bullet.text)?;
        let hidden = grammar::comments(line.bytes);
        if hidden.iter().any(|span| span.contains(&found.marker.at)) {
            return None;
        }
        let end = grammar::visible_end(line.bytes).max(found.text);
        let around = self.around(index, found.form);
        let named = around.and_then(|around| self.title_of(around));
        let own = title(line.bytes.get(found.text..end)?);
        let row = found.section.clone();
        let row = row.and_then(|span| line.bytes.get(span)).map(title);
        let above = around.map_or(index, |around| around);
        let group = row.or_else(|| match found.form {
            Form::Leading | Form::Row => self.group_of(index, &[true, false]),
            Form::Status | Form::Subtask => self.group_of(above, &[true]),
        });
        let comment = grammar::item_comment(line.bytes).unwrap_or_default();
        let details = self.details(index, around);
        let (acceptance, evidence) = self.said(index, line, found.text..end, &details);
        let section = node
            .section
            .and_then(|section| self.outline.sections.get(section));
        Some(Item {
            line: node.line + 1,
            form: found.form,
            section: section.map(|section| section.title.clone()),
            group,
            title: named.unwrap_or(own),
            key: Some(comment.key).filter(|key| !key.is_empty()),
            pipeline: comment.pipeline,
            checked: found.marker.checked,
            mark: line.start + found.marker.at,
            text: line.start + found.text..line.start + end,
            acceptance,
            evidence,
            block: self.block_around(node.line, line.start),
        })
    }

    fn entry(&self, index: usize) -> Option<(&Node, Line<'_>)> {
        let node = self.outline.nodes.get(index)?;
        Some((node, *self.outline.lines.get(node.line)?))
    }

    /// The entry that a `Status:` line is the status of: the nearest that it stands below, else the nearest above it.
    fn around(&self, index: usize, form: Form) -> Option<usize> {
        let is_titled = |candidate: &usize| match form {
            Form::Leading | Form::Row => false,
            Form::Status => self.is_numbered(*candidate),
            Form::Subtask => self.subtask(*candidate).is_some(),
        };
        if matches!(form, Form::Leading | Form::Row) {
            return None;
        }
        let mut below = std::iter::successors(self.parent(index), |at| self.parent(*at));
        let (numbered, subtask) = self.above.get(index).copied().unwrap_or_default();
        let before = match form {
            Form::Status => numbered,
            Form::Subtask => subtask,
            Form::Leading | Form::Row => None,
        };
        let found = below.find(is_titled).or(before);
        let numbered = |at: &usize| self.is_numbered(*at);
        found.or_else(|| {
            std::iter::successors(self.parent(index), |at| self.parent(*at)).find(numbered)
        })
    }

    fn parent(&self, index: usize) -> Option<usize> {
        self.outline.nodes.get(index)?.parent
    }

    fn is_numbered(&self, index: usize) -> bool {
        let node = self.outline.nodes.get(index);
        node.is_some_and(|node| node.bullet.numbered)
    }

    /// Where the title of a subtask begins.
    fn subtask(&self, index: usize) -> Option<usize> {
        let (node, line) = self.entry(index)?;
        let at = node.bullet.text;
        let word = b"Subtask";
        let is_one = line
            .bytes
            .get(at..at + word.len())?
            .eq_ignore_ascii_case(word);
        let rest = line.bytes.get(at + word.len()..)?;
        let number = rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'.' | b'#'));
        let number = number.count();
        let is_titled = is_one && rest.get(number) == Some(&b':');
        let begin = at + word.len() + number + 1;
        let text = line.bytes.get(begin..).filter(|_| is_titled)?;
        Some(begin + (text.len() - text.trim_ascii_start().len()))
    }

    fn title_of(&self, index: usize) -> Option<String> {
        let (node, line) = self.entry(index)?;
        let begin = self.subtask(index).unwrap_or(node.bullet.text);
        let end = grammar::visible_end(line.bytes).max(begin);
        Some(title(line.bytes.get(begin..end)?))
    }

    /// The title of the nearest entry around, of those that are numbered or not as `wanted` says, that is no item itself.
    fn group_of(&self, index: usize, wanted: &[bool]) -> Option<String> {
        let around = std::iter::successors(self.parent(index), |at| self.parent(*at));
        let mut titled = around.filter(|at| {
            let entry = self.entry(*at);
            entry.is_some_and(|(node, line)| {
                wanted.contains(&node.bullet.numbered)
                    && find(line.bytes, node.bullet.text).is_none()
            })
        });
        titled.next().and_then(|at| self.title_of(at))
    }

    /// The details of an item, and of the entry that it is the status of.
    fn details(&self, index: usize, around: Option<usize>) -> Vec<usize> {
        let of = |at: usize| self.said.get(&at).into_iter().flatten().copied();
        let around = around.into_iter().flat_map(of);
        let all = of(index).chain(around).filter(|at| *at != index);
        all.collect()
    }

    /// What an item says would be accepted, and what it names as evidence.
    fn said(
        &self,
        index: usize,
        line: Line<'_>,
        text: Range<usize>,
        details: &[usize],
    ) -> (Option<String>, Vec<Cited>) {
        let own = self.outline.nodes.get(index).map_or(0, |node| node.line);
        let mut said = Said::default();
        let bytes = line.bytes.get(text).unwrap_or_default();
        said.note(own, bytes);
        for detail in details {
            let Some((node, line)) = self.entry(*detail) else {
                continue;
            };
            let value = |key: &str| grammar::value_of(line.bytes, node.bullet.text, key);
            let end = grammar::visible_end(line.bytes);
            let text = |begin: usize| line.bytes.get(begin..end.max(begin)).unwrap_or_default();
            if let Some(begin) = value("Acceptance") {
                said.accept(node.line, text(begin));
            } else if let Some(begin) = PROVING.into_iter().find_map(value) {
                said.note(node.line, text(begin));
            }
        }
        said.end()
    }

    fn block_around(&self, line: usize, at: usize) -> Option<String> {
        // Their bodies do not overlap, and come in order.
        let begun = self.blocks.partition_point(|block| block.line <= line);
        let block = self.blocks.get(begun.checked_sub(1)?)?;
        let is_inside = block.body.as_ref()?.contains(&at);
        is_inside.then(|| block.key.clone())
    }
}

/// What an item says besides its title.
#[derive(Default)]
struct Said {
    acceptance: Option<String>,
    accepted: Vec<Cited>,
    evidence: Vec<Cited>,
}

impl Said {
    /// Takes in a text in which clauses may stand.
    fn note(&mut self, line: usize, text: &[u8]) {
        let Some((word, value)) = grammar::clause(text, "Acceptance") else {
            self.evidence.extend(cited(line, text));
            return;
        };
        self.evidence
            .extend(cited(line, text.get(..word).unwrap_or_default()));
        self.accept(line, text.get(value.clone()).unwrap_or_default());
        self.evidence
            .extend(cited(line, text.get(value.end..).unwrap_or_default()));
    }

    fn accept(&mut self, line: usize, text: &[u8]) {
        // What would be accepted may be followed by what was.
        let (own, proof) = match grammar::clause(text, "Evidence") {
            Some((word, _)) => text.split_at(word),
            None => (text, &b""[..]),
        };
        self.evidence.extend(cited(line, proof));
        self.accepted.extend(cited(line, own));
        let own = String::from_utf8_lossy(own);
        let own = own.trim().trim_end_matches([';', ' ']).to_owned();
        self.acceptance.get_or_insert(own);
    }

    fn end(self) -> (Option<String>, Vec<Cited>) {
        let evidence = if self.evidence.is_empty() {
            self.accepted
        } else {
            self.evidence
        };
        (self.acceptance.filter(|text| !text.is_empty()), evidence)
    }
}

fn cited(line: usize, text: &[u8]) -> impl Iterator<Item = Cited> {
    let tokens = grammar::paths(text);
    tokens.into_iter().map(move |token| Cited {
        line: line + 1,
        token,
    })
}

/// The item that an entry is whose text begins at `at`, if it is one.
fn find(line: &[u8], at: usize) -> Option<Found> {
    if let Some((marker, text)) = grammar::leading(line, at).filter(|(_, text)| *text > at + 3) {
        let status = grammar::value_of(line, text, "Status");
        return Some(Found {
            form: if status.is_some() {
                Form::Subtask
            } else {
                Form::Leading
            },
            marker,
            text: status.unwrap_or(text),
            section: None,
        });
    }
    if let Some(value) = grammar::value_of(line, at, "Status")
        && let Some((marker, text)) = grammar::leading(line, value)
    {
        return Some(Found {
            form: Form::Status,
            marker,
            text,
            section: None,
        });
    }
    let (section, marker, text) = grammar::row(line, at)?;
    Some(Found {
        form: Form::Row,
        marker,
        text,
        section: Some(section),
    })
}

/// A text without its clauses, without comments, and without Markdown around the whole of it.
fn title(text: &[u8]) -> String {
    let first = ["Evidence", "Acceptance"].into_iter();
    let first = first
        .filter_map(|word| Some(grammar::clause(text, word)?.0))
        .min();
    let end = first.unwrap_or(text.len());
    let mut plain = Vec::new();
    let mut from = 0;
    for span in grammar::comments(text.get(..end).unwrap_or_default()) {
        plain.extend_from_slice(text.get(from..span.start).unwrap_or_default());
        from = span.end;
    }
    plain.extend_from_slice(text.get(from..end).unwrap_or_default());
    let plain = String::from_utf8_lossy(&plain).trim().to_owned();
    let plain = match first {
        Some(_) => plain.trim_end_matches([';', '.', ',', '—', '–', '-', ' ', '(']),
        None => &plain,
    };
    let bold = plain
        .strip_prefix("**")
        .and_then(|rest| rest.strip_suffix("**"));
    bold.filter(|bold| !bold.contains("**"))
        .unwrap_or(plain)
        .to_owned()
}
