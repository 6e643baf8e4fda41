//! Ticking and unticking: the smallest change of a file's bytes, and back again.
//!
//! A tick replaces the one byte between the brackets and puts the evidence behind the text, or where a status says that it
//! is pending, in place of that. What it replaced is kept in a comment where it could not be told otherwise, so that
//! unticking leaves the file as it was before, byte for byte.

use super::grammar;
use super::parse::{Form, Item};
use std::ops::Range;

/// What a status says before there is evidence.
const PENDING: &str = "Pending";
/// Keeps what a tick has replaced.
const WAS: &str = "<!-- orchd:was ";
const WAS_END: &str = " -->";

/// Bytes in place of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// What is replaced; empty where something is only put in.
    pub span: Range<usize>,
    /// What comes there.
    pub bytes: Vec<u8>,
}

/// The file with these changes, none of which overlap.
#[must_use]
pub fn apply(bytes: &[u8], mut splices: Vec<Splice>) -> Vec<u8> {
    splices.sort_by_key(|splice| (splice.span.start, splice.span.end));
    let mut changed = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for splice in splices {
        changed.extend_from_slice(bytes.get(from..splice.span.start).unwrap_or_default());
        changed.extend_from_slice(&splice.bytes);
        from = splice.span.end;
    }
    changed.extend_from_slice(bytes.get(from..).unwrap_or_default());
    changed
}

/// What ticks an open item, with the path of what proves it.
#[must_use]
pub fn flip(bytes: &[u8], item: &Item, path: &str) -> Vec<Splice> {
    let text = bytes.get(item.text.clone()).unwrap_or_default();
    let proof = format!("`{path}`");
    let evidence = match item.form {
        Form::Leading | Form::Row => clause(text, item.text.end, &proof),
        Form::Status | Form::Subtask if text.is_empty() || is_pending(text) => {
            status(bytes, item, text, &proof)
        }
        Form::Status | Form::Subtask => clause(text, item.text.end, &proof),
    };
    vec![mark(item, b'x'), evidence]
}

/// What makes a ticked item open again: without the evidence that a tick has put there, if it has.
#[must_use]
pub fn unflip(bytes: &[u8], item: &Item) -> Vec<Splice> {
    let mut splices = vec![mark(item, b' ')];
    let text = bytes.get(item.text.clone()).unwrap_or_default();
    splices.extend(match item.form {
        Form::Leading | Form::Row => put_clause(text, item.text.start),
        Form::Status | Form::Subtask => {
            put_status(bytes, item, text).or_else(|| put_clause(text, item.text.start))
        }
    });
    splices
}

/// What gives an item the mark that its source has.
#[must_use]
pub fn mark(item: &Item, mark: u8) -> Splice {
    Splice {
        span: item.mark..item.mark + 1,
        bytes: vec![mark],
    }
}

/// Whether a status says that it is pending.
fn is_pending(text: &[u8]) -> bool {
    let begins = text.get(..PENDING.len());
    begins.is_some_and(|begin| begin.eq_ignore_ascii_case(PENDING.as_bytes()))
}

/// What a status says that nobody has said anything of, by its form.
fn usual(form: Form) -> &'static [u8] {
    match form {
        Form::Subtask => PENDING.as_bytes(),
        Form::Leading | Form::Status | Form::Row => b"",
    }
}

/// The evidence in place of a status.
fn status(bytes: &[u8], item: &Item, text: &[u8], proof: &str) -> Splice {
    // Without a space before it the text would be part of what stands there.
    let before = item.text.start.checked_sub(1).and_then(|at| bytes.get(at));
    let is_apart = matches!(before, Some(b' ' | b'\t'));
    let mut put = Vec::new();
    if !is_apart {
        put.push(b' ');
    }
    put.extend_from_slice(proof.as_bytes());
    if text != usual(item.form) || !is_apart {
        put.extend_from_slice(b" ");
        put.extend_from_slice(WAS.as_bytes());
        put.push(if is_apart { b'=' } else { b'+' });
        put.extend_from_slice(hidden(text).as_bytes());
        put.extend_from_slice(WAS_END.as_bytes());
    }
    Splice {
        span: item.text.clone(),
        bytes: put,
    }
}

/// The status in place of the evidence that [`status`] has put there.
fn put_status(bytes: &[u8], item: &Item, text: &[u8]) -> Option<Splice> {
    if !is_proof(text) {
        return None;
    }
    let rest = bytes.get(item.text.end..)?;
    let rest = rest.split(|byte| *byte == b'\n').next()?;
    let comment = rest.strip_prefix(b" ");
    let comment = comment.and_then(|comment| comment.strip_prefix(WAS.as_bytes()));
    let Some(comment) = comment else {
        return Some(Splice {
            span: item.text.clone(),
            bytes: usual(item.form).to_vec(),
        });
    };
    let length = grammar::find(comment, WAS_END.as_bytes())?;
    let (way, was) = comment.get(..length)?.split_first()?;
    let end = item.text.end + 1 + WAS.len() + length + WAS_END.len();
    let start = if *way == b'+' {
        item.text.start.checked_sub(1)?
    } else {
        item.text.start
    };
    Some(Splice {
        span: start..end,
        bytes: shown(was)?,
    })
}

/// The evidence behind a text.
fn clause(text: &[u8], end: usize, proof: &str) -> Splice {
    let sign = match text.last() {
        None => "",
        Some(b'.' | b'!' | b'?' | b':') => " ",
        Some(_) => "; ",
    };
    Splice {
        span: end..end,
        bytes: format!("{sign}Evidence: {proof}").into_bytes(),
    }
}

/// The text without the evidence that [`clause`] has put behind it.
fn put_clause(text: &[u8], start: usize) -> Option<Splice> {
    const WORD: &[u8] = b"Evidence: ";
    let word = text
        .windows(WORD.len())
        .rposition(|window| window == WORD)?;
    let before = text.get(..word)?;
    let proof = text.get(word + WORD.len()..)?;
    let from = if before.is_empty() {
        0
    } else if let Some(kept) = before.strip_suffix(b"; ") {
        kept.len()
    } else {
        before.strip_suffix(b" ")?.len()
    };
    is_proof(proof).then(|| Splice {
        span: start + from..start + text.len(),
        bytes: Vec::new(),
    })
}

/// Whether a text is one path in backticks and no more.
fn is_proof(text: &[u8]) -> bool {
    let inside = text
        .strip_prefix(b"`")
        .and_then(|text| text.strip_suffix(b"`"));
    inside.is_some_and(|inside| {
        let found = grammar::paths(inside);
        matches!(&found[..], [only] if only.span == (0..inside.len()))
    })
}

/// A text as a comment can hold it, whatever its bytes.
fn hidden(text: &[u8]) -> String {
    let mut hidden = String::new();
    for byte in text {
        match byte {
            b'-' | b'%' | b'<' | b'>' | 0..0x20 | 0x7f.. => {
                hidden.push('%');
                hidden.push_str(&base16ct::lower::encode_string(&[*byte]));
            }
            _ => hidden.push(char::from(*byte)),
        }
    }
    hidden
}

fn shown(hidden: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut rest = hidden;
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let byte = base16ct::lower::decode_vec(more.get(..2)?).ok()?;
            text.extend_from_slice(&byte);
            rest = more.get(2..)?;
        } else {
            text.push(*first);
            rest = more;
        }
    }
    Some(text)
}
