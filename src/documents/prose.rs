//! What a Markdown page says to a machine: its links, the references that nothing defines, and which lines are code.
//!
//! The grammar is CommonMark's, by `pulldown-cmark`; what stands in code, in comments or in front matter links nowhere.
//! Any bytes can be read: what is no UTF-8 stands for itself in no link, and lines count as everywhere.

#[cfg(test)]
mod tests;

use pulldown_cmark::{BrokenLink, CowStr, Event, LinkType, Options, Parser, Tag};
use std::cell::RefCell;
use std::ops::Range;

/// A link or an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its line, from 1.
    pub line: usize,
    /// Where it leads, as it is written, without escapes.
    pub target: String,
}

/// What a page says to a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prose {
    /// Its links and images, in order.
    pub links: Vec<Link>,
    /// The labels of references that no line defines, with their lines from 1.
    pub undefined: Vec<(usize, String)>,
    /// The lines of blocks of code, from 1.
    code: Vec<Range<usize>>,
}

impl Prose {
    /// Reads a page.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let lines = Lines::of(&text);
        let undefined = RefCell::new(Vec::new());
        let note = |link: BrokenLink<'_>| -> Option<(CowStr<'_>, CowStr<'_>)> {
            if is_meant(&text, &link) {
                let label = link.reference.to_string();
                let mut undefined = undefined.borrow_mut();
                undefined.push((lines.at(link.span.start), label));
            }
            None
        };
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
        let mut prose = Self::default();
        let parser = Parser::new_with_broken_link_callback(&text, options, Some(note));
        for (event, span) in parser.into_offset_iter() {
            if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
                prose.links.push(Link {
                    line: lines.at(span.start),
                    target: dest_url.into_string(),
                });
            } else if matches!(event, Event::Start(Tag::CodeBlock(_))) {
                let last = span.end.saturating_sub(1).max(span.start);
                prose.code.push(lines.at(span.start)..lines.at(last) + 1);
            }
        }
        prose.undefined = undefined.into_inner();
        prose.undefined.sort();
        prose.undefined.dedup();
        prose
    }

    /// Whether a line, from 1, stands in a block of code.
    #[must_use]
    pub fn is_code(&self, line: usize) -> bool {
        self.code.iter().any(|lines| lines.contains(&line))
    }
}

/// Whether somebody meant a link: `[text][label]` or `[label][]`, and no index such as `list[0][1]`.
fn is_meant(text: &str, link: &BrokenLink<'_>) -> bool {
    let is_full = matches!(link.link_type, LinkType::Reference | LinkType::Collapsed);
    let before = text.get(..link.span.start).unwrap_or_default();
    let follows_word = before
        .chars()
        .next_back()
        .is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ']' | ')'));
    is_full && !follows_word && !link.reference.trim().is_empty()
}

/// Where each line of a text begins.
struct Lines {
    begins: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            begins: after.collect(),
        }
    }

    /// The line of a byte, from 1.
    fn at(&self, byte: usize) -> usize {
        self.begins.partition_point(|begin| *begin <= byte) + 1
    }
}
