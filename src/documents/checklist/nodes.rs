//! The outline of a file: its lines, its headings, and the tree of its lists.
//!
//! What is no list of somebody's is left out: front matter, fenced code, quotations, comments over several lines, and what
//! stands under a heading that explains the convention. A list ends with a heading, and with text that is not indented.

use super::grammar::{self, Bullet};
use std::ops::Range;

/// The heading under which nothing is an item.
const CONVENTION: &str = "checklist convention";
/// The mark that some editors put before a file's first byte.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line without its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    /// Where it begins in its file.
    pub(super) start: usize,
    pub(super) bytes: &'a [u8],
}

/// A heading.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) level: usize,
    pub(super) title: String,
    pub(super) line: usize,
}

/// An entry of a list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Which line, from 0.
    pub(super) line: usize,
    pub(super) bullet: Bullet,
    /// Which node it stands below.
    pub(super) parent: Option<usize>,
    /// Which heading it stands under.
    pub(super) section: Option<usize>,
}

/// What is made again from elsewhere: between two comments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whose it is.
    pub key: String,
    /// The line of its first comment, from 1.
    pub line: usize,
    /// The bytes between the lines of its two comments; none where the second is missing.
    pub body: Option<Range<usize>>,
}

/// The outline of a file.
#[derive(Debug, Default)]
pub(super) struct Outline<'a> {
    pub(super) lines: Vec<Line<'a>>,
    pub(super) sections: Vec<Section>,
    pub(super) nodes: Vec<Node>,
    pub(super) blocks: Vec<Block>,
}

/// What the lines that follow are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Text,
    FrontMatter,
    Fence {
        sign: u8,
        length: usize,
        /// How far the entry is indented that it belongs to.
        column: usize,
    },
    Comment,
}

impl<'a> Outline<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        let mut outline = Self {
            lines: lines(bytes),
            ..Self::default()
        };
        let mut reader = Reader {
            within: Within::Text,
            open: Vec::new(),
            explains: None,
            after_blank: true,
        };
        for number in 0..outline.lines.len() {
            reader.read(&mut outline, number);
        }
        outline
    }
}

struct Reader {
    within: Within,
    /// The nodes that the next line may stand below, the innermost last.
    open: Vec<usize>,
    /// The level of the heading that explains the convention, while under it.
    explains: Option<usize>,
    after_blank: bool,
}

impl Reader {
    fn read(&mut self, outline: &mut Outline<'_>, number: usize) {
        let Some(line) = outline.lines.get(number).copied() else {
            return;
        };
        let bytes = line.bytes;
        let is_blank = bytes.trim_ascii().is_empty();
        if !self.is_text(outline, number, bytes, is_blank) {
            return;
        }
        note_block(outline, number, line);
        if is_blank {
            self.after_blank = true;
            return;
        }
        if let Some((level, text)) = grammar::heading(bytes) {
            self.note_heading(outline, number, level, text);
        } else if let Some(bullet) = grammar::bullet(bytes) {
            self.note_bullet(outline, number, bullet);
        } else if self.after_blank && grammar::indent(bytes).0 == 0 {
            self.open.clear();
        }
        self.after_blank = false;
    }

    /// Whether a line is neither code nor quoted nor commented out, nor the line that begins or ends such.
    fn is_text(&mut self, outline: &Outline<'_>, number: usize, line: &[u8], blank: bool) -> bool {
        let (column, at) = grammar::indent(line);
        if let Within::Fence { column: own, .. } = self.within
            && !blank
            && column < own
        {
            self.within = Within::Text;
        }
        match self.within {
            Within::FrontMatter => {
                if matches!(line.trim_ascii_end(), b"---" | b"...") {
                    self.within = Within::Text;
                }
                return false;
            }
            Within::Fence { sign, length, .. } => {
                if let Some((found, count, false)) = grammar::fence(line)
                    && found == sign
                    && count >= length
                {
                    self.within = Within::Text;
                }
                return false;
            }
            Within::Comment => {
                if grammar::find(line, b"-->").is_some() {
                    self.within = Within::Text;
                }
                return false;
            }
            Within::Text => {}
        }
        if number == 0 && line.trim_ascii_end() == b"---" {
            self.within = Within::FrontMatter;
            return false;
        }
        let rest = line.get(at..).unwrap_or_default();
        if let Some((sign, length, _)) = grammar::fence(rest) {
            self.within = Within::Fence {
                sign,
                length,
                column: self.column_around(outline, column),
            };
            return false;
        }
        if rest.starts_with(b"<!--") && grammar::find(rest, b"-->").is_none() {
            self.within = Within::Comment;
            return false;
        }
        !rest.starts_with(b">")
    }

    /// Where the text of the entry begins that a line at this column belongs to; 0 where it belongs to none.
    fn column_around(&self, outline: &Outline<'_>, column: usize) -> usize {
        let open = self.open.iter().rev();
        let mut bullets = open.filter_map(|node| Some(outline.nodes.get(*node)?.bullet));
        let around = bullets.find(|bullet| column > bullet.indent);
        around.map_or(0, |bullet| bullet.indent + 1)
    }

    fn note_heading(
        &mut self,
        outline: &mut Outline<'_>,
        number: usize,
        level: usize,
        text: usize,
    ) {
        self.open.clear();
        let line = outline
            .lines
            .get(number)
            .map_or(&b""[..], |line| line.bytes);
        let end = grammar::visible_end(line).max(text);
        let title = String::from_utf8_lossy(line.get(text..end).unwrap_or_default());
        let title = title.trim().trim_end_matches('#').trim_end().to_owned();
        if self.explains.is_some_and(|explained| level <= explained) {
            self.explains = None;
        }
        if self.explains.is_none() && grammar::normalized(&title).starts_with(CONVENTION) {
            self.explains = Some(level);
        }
        outline.sections.push(Section {
            level,
            title,
            line: number,
        });
    }

    fn note_bullet(&mut self, outline: &mut Outline<'_>, number: usize, bullet: Bullet) {
        let is_inside = |node: &usize| {
            let around = outline.nodes.get(*node);
            around.is_some_and(|around| around.bullet.indent < bullet.indent)
        };
        while self.open.last().is_some_and(|node| !is_inside(node)) {
            self.open.pop();
        }
        if self.explains.is_some() {
            return;
        }
        let node = Node {
            line: number,
            bullet,
            parent: self.open.last().copied(),
            section: outline.sections.len().checked_sub(1),
        };
        self.open.push(outline.nodes.len());
        outline.nodes.push(node);
    }
}

/// Takes in a comment that begins or ends what is made again from elsewhere.
fn note_block(outline: &mut Outline<'_>, number: usize, line: Line<'_>) {
    for span in grammar::comments(line.bytes) {
        let text = String::from_utf8_lossy(line.bytes.get(span).unwrap_or_default());
        let Some(inside) = text
            .strip_prefix("<!--")
            .and_then(|text| text.strip_suffix("-->"))
        else {
            continue;
        };
        let mut words = inside.split_whitespace();
        match (words.next(), words.next()) {
            (Some("docs-sync:begin"), Some(key)) => {
                outline.blocks.push(Block {
                    key: key.to_owned(),
                    line: number + 1,
                    body: None,
                });
            }
            (Some("docs-sync:end"), Some(key)) => {
                let begin = outline.blocks.last().map(|block| block.line);
                let body = begin.and_then(|begin| outline.lines.get(begin));
                let body = body.map(|first| first.start..line.start);
                if let Some(block) = outline.blocks.last_mut()
                    && block.key == key
                    && block.body.is_none()
                    && block.line <= number
                {
                    block.body = body;
                }
            }
            _ => {}
        }
    }
}

fn lines(bytes: &[u8]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let mut start = if bytes.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    while let Some(rest) = bytes.get(start..).filter(|rest| !rest.is_empty()) {
        let length = rest.iter().position(|byte| *byte == b'\n');
        let line = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        lines.push(Line {
            start,
            bytes: line.strip_suffix(b"\r").unwrap_or(line),
        });
        start += length.map_or(rest.len(), |length| length + 1);
    }
    lines
}
