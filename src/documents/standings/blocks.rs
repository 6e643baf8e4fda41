//! Blocks about projects in pages: where they begin and end.
//!
//! ```text
//! <!-- orchd:status:begin 0101-web -->
//! <!-- orchd:status:end 0101-web -->
//! ```
//!
//! Each comment stands on a line of its own, outside of code. Between them everything is made again.

use crate::documents::prose::Prose;
use std::ops::Range;

const BEGIN: &str = "orchd:status:begin";
const END: &str = "orchd:status:end";

/// A block about a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The task that it names.
    pub key: String,
    /// The line of its first comment, from 1.
    pub line: usize,
    /// The bytes between the lines of its two comments; none where the second is missing.
    pub body: Option<Range<usize>>,
}

/// An empty block.
#[must_use]
pub fn empty(key: &str) -> String {
    format!("<!-- {BEGIN} {key} -->\n<!-- {END} {key} -->\n")
}

/// The blocks of a page.
#[must_use]
pub fn blocks(bytes: &[u8]) -> Vec<Block> {
    // Most pages have none: they are not parsed.
    let needle = BEGIN.as_bytes();
    if !bytes.windows(needle.len()).any(|at| at == needle) {
        return Vec::new();
    }
    let prose = Prose::read(bytes);
    let mut blocks = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    let mut start = 0;
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let next = start + line.len() + 1;
        match comment(line).filter(|_| !prose.is_code(number + 1)) {
            Some((BEGIN, key)) => {
                let block = Block {
                    key,
                    line: number + 1,
                    body: None,
                };
                // What was begun before and not ended has no end.
                blocks.extend(open.replace((block, next)).map(|(block, _)| block));
            }
            Some((END, key)) => match open.take() {
                Some((mut block, begin)) if block.key == key => {
                    block.body = Some(begin..start);
                    blocks.push(block);
                }
                other => open = other,
            },
            _ => {}
        }
        start = next;
    }
    blocks.extend(open.map(|(block, _)| block));
    blocks
}

/// Which comment of ours a line is, and whose.
fn comment(line: &[u8]) -> Option<(&'static str, String)> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let inside = text.strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    let word = [BEGIN, END].into_iter();
    let mut found = word.filter_map(|word| Some((word, inside.strip_prefix(word)?)));
    let (word, key) = found.find(|(_, key)| key.starts_with(char::is_whitespace))?;
    Some((word, key.trim().to_owned()))
}
