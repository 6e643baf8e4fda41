//! The grammar of one line: bullets, markers, details, clauses, paths that are evidence.
//!
//! Works on the bytes of a line without its end. Everything that it looks for is ASCII, but for the dash of a table's
//! row, so that text of any encoding passes through. Columns of a line count from its first byte.

use std::ops::Range;

/// The dash between the section and the marker of a row.
const DASH: &[u8] = "—".as_bytes();
/// Where a comment of ours begins that names an item.
const ITEM_COMMENT: &str = "<!-- orchd:item";
/// How wide a tab is, where indents are compared.
const TAB_COLUMNS: usize = 4;

/// A line that begins an entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bullet {
    /// How far it is indented, in columns.
    pub indent: usize,
    /// Whether it is a number.
    pub numbered: bool,
    /// Where its text begins.
    pub text: usize,
}

/// A box that is ticked or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Whether it is ticked.
    pub checked: bool,
    /// Where the one byte between its brackets stands.
    pub at: usize,
}

/// A path that a text names as evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathToken {
    /// Where it stands in its text.
    pub span: Range<usize>,
    /// The path, without what follows `#`.
    pub path: String,
    /// What follows `#`.
    pub fragment: Option<String>,
}

impl PathToken {
    /// Whether something in it was never filled in.
    #[must_use]
    pub fn is_placeholder(&self) -> bool {
        let has = |text: &str| text.contains(['<', '>']);
        has(&self.path) || self.fragment.as_deref().is_some_and(has)
    }
}

/// What a comment says of the item in whose line it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemComment {
    /// The name under which all mirrors know the item.
    pub key: String,
    /// The pipeline whose green ticks it.
    pub pipeline: Option<String>,
}

/// How far a line is indented, in columns, and where its first other byte stands.
#[must_use]
pub fn indent(line: &[u8]) -> (usize, usize) {
    let mut columns = 0;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b' ' => columns += 1,
            b'\t' => columns = (columns / TAB_COLUMNS + 1) * TAB_COLUMNS,
            _ => return (columns, at),
        }
    }
    (columns, line.len())
}

/// The bullet that a line begins with.
#[must_use]
pub fn bullet(line: &[u8]) -> Option<Bullet> {
    let (indent, at) = indent(line);
    let rest = line.get(at..)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let numbered = digits > 0;
    let sign = if numbered { digits } else { 0 };
    let is_sign = match rest.get(sign)? {
        b'.' | b')' => numbered,
        b'-' | b'*' | b'+' => !numbered,
        _ => false,
    };
    let after = at + sign + 1;
    let text = after + spaces(line.get(after..)?);
    let has_space = text > after || after == line.len();
    (is_sign && has_space).then_some(Bullet {
        indent,
        numbered,
        text,
    })
}

/// The marker that stands at `at`.
#[must_use]
pub fn marker(line: &[u8], at: usize) -> Option<Marker> {
    match line.get(at..at + 3)? {
        [b'[', mark @ (b' ' | b'x' | b'X'), b']'] => Some(Marker {
            checked: *mark != b' ',
            at: at + 1,
        }),
        _ => None,
    }
}

/// A marker at `at` that text or the end of the line follows, and where that text begins.
#[must_use]
pub fn leading(line: &[u8], at: usize) -> Option<(Marker, usize)> {
    let found = marker(line, at)?;
    let after = at + 3;
    let text = after + spaces(line.get(after..)?);
    (text > after || after == line.len()).then_some((found, text))
}

/// The row of a table of all tasks whose bullet's text begins at `at`: its section, its marker, where its text begins.
#[must_use]
pub fn row(line: &[u8], at: usize) -> Option<(Range<usize>, Marker, usize)> {
    let rest = line.get(at..)?;
    let mut from = 0;
    loop {
        let dash = from + find(rest.get(from..)?, DASH)?;
        let after = dash + DASH.len();
        let tick = at + after + spaces(rest.get(after..)?);
        let is_apart = dash > 0 && rest.get(dash - 1) == Some(&b' ') && tick > at + after;
        if let (true, Some(b'`')) = (is_apart, line.get(tick))
            && let Some(found) = marker(line, tick + 1)
            && line.get(tick + 4) == Some(&b'`')
        {
            let text = tick + 5;
            let text = text + spaces(line.get(text..)?);
            let section = at..at + rest.get(..dash)?.trim_ascii_end().len();
            return (section.end > section.start).then_some((section, found, text));
        }
        from = after;
    }
}

/// Where the value of a detail begins whose text begins at `at`, if `key:` stands there, in whatever case and weight.
#[must_use]
pub fn value_of(line: &[u8], at: usize, key: &str) -> Option<usize> {
    let bold = stars(line.get(at..)?);
    let begin = at + bold;
    let end = begin + key.len();
    let is_key = line.get(begin..end)?.eq_ignore_ascii_case(key.as_bytes());
    // `**Key**:` and `**Key:**` alike.
    let before = end + stars(line.get(end..)?);
    let is_key = is_key && line.get(before) == Some(&b':');
    let after = before + 1;
    let after = after
        + if before == end {
            stars(line.get(after..)?).min(bold)
        } else {
            0
        };
    is_key.then(|| after + spaces(line.get(after..).unwrap_or_default()))
}

/// The level of the heading that a line is, and where its text begins.
#[must_use]
pub fn heading(line: &[u8]) -> Option<(usize, usize)> {
    let (columns, at) = indent(line);
    let level = line
        .get(at..)?
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let after = at + level;
    let text = after + spaces(line.get(after..)?);
    let is_heading = columns < TAB_COLUMNS && (1..=6).contains(&level);
    (is_heading && (text > after || after == line.len())).then_some((level, text))
}

/// The sign and length of the fence that a line begins or ends, and whether it says more than that.
#[must_use]
pub fn fence(line: &[u8]) -> Option<(u8, usize, bool)> {
    let rest = line.trim_ascii();
    let sign = *rest.first().filter(|byte| matches!(byte, b'`' | b'~'))?;
    let length = rest.iter().take_while(|byte| **byte == sign).count();
    let says = rest.get(length..)?;
    // What is in backticks on one line is inline code.
    let is_fence = length >= 3 && !(sign == b'`' && says.contains(&b'`'));
    is_fence.then_some((sign, length, !says.is_empty()))
}

/// The comments of a line, where they stand; one that does not end goes to the end of the line.
#[must_use]
pub fn comments(line: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = line.get(from..).and_then(|rest| find(rest, b"<!--")) {
        let start = from + start;
        let inside = start + 4;
        let end = line.get(inside..).and_then(|rest| find(rest, b"-->"));
        from = end.map_or(line.len(), |end| inside + end + 3);
        found.push(start..from);
    }
    found
}

/// What our comment in a line says of its item.
#[must_use]
pub fn item_comment(line: &[u8]) -> Option<ItemComment> {
    let all = comments(line);
    all.into_iter().find_map(|span| {
        let text = String::from_utf8_lossy(line.get(span)?).into_owned();
        let inside = text.strip_prefix(ITEM_COMMENT)?.strip_suffix("-->")?;
        let mut words = inside.split_whitespace();
        let key = words.next().filter(|_| inside.starts_with([' ', '\t']))?;
        let pipeline = words.find_map(|word| word.strip_prefix("pipeline="));
        Some(ItemComment {
            key: key.to_owned(),
            pipeline: pipeline.map(str::to_owned),
        })
    })
}

/// Where what is visible of a line ends: before the comments and the white space at its end.
#[must_use]
pub fn visible_end(line: &[u8]) -> usize {
    let mut end = line.trim_ascii_end().len();
    for span in comments(line).into_iter().rev() {
        if span.end == end {
            end = line
                .get(..span.start)
                .unwrap_or_default()
                .trim_ascii_end()
                .len();
        }
    }
    end
}

/// Where a clause begins in a text that `Evidence:` or `Acceptance:` introduces: the word itself, and the text behind it.
#[must_use]
pub fn clause(text: &[u8], word: &str) -> Option<(usize, Range<usize>)> {
    let mut from = 0;
    loop {
        let at = from + find_word(text.get(from..)?, word)?;
        if let Some(begin) = value_of(text, at, word) {
            let rest = text.get(begin..)?;
            let end = begin + clause_end(rest);
            return Some((at, begin..end));
        }
        from = at + word.len();
    }
}

/// Where a clause ends: at a `;` that is not within backticks, or at the next word that introduces one.
fn clause_end(text: &[u8]) -> usize {
    let mut within = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'`' => within = !within,
            b';' if !within => return at,
            _ => {}
        }
    }
    let next = ["Evidence", "Acceptance"].into_iter().filter_map(|word| {
        let at = find_word(text, word)?;
        value_of(text, at, word).map(|_| at)
    });
    next.min().unwrap_or(text.len())
}

/// The paths in a text that lie in the runs or the output directory.
#[must_use]
pub fn paths(text: &[u8]) -> Vec<PathToken> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let begins =
            rest.starts_with(b".runs/") || (rest.starts_with(b"out/") && is_apart(text, at));
        let token = if begins { token(text, at) } else { None };
        at = token.as_ref().map_or(at + 1, |token| token.span.end);
        found.extend(token);
    }
    found
}

/// Whether `out/` at `at` begins a path, and is no part of another name or directory.
fn is_apart(text: &[u8], at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let before = before.strip_suffix(b"./").unwrap_or(before);
    let before = before.strip_suffix(b".").unwrap_or(before);
    before.last().is_none_or(|byte| {
        !byte.is_ascii_alphanumeric() && *byte < 0x80 && !matches!(byte, b'/' | b'-' | b'_' | b'.')
    })
}

fn token(text: &[u8], at: usize) -> Option<PathToken> {
    let rest = text.get(at..)?;
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b"`)],;#\"'".contains(byte);
    let length = rest.iter().position(ends).unwrap_or(rest.len());
    let path = trimmed(rest.get(..length)?);
    let mut end = at + path.len();
    // A directory alone, with nothing below it, is no file.
    let below = path.splitn(3, |byte| *byte == b'/').nth(1)?;
    if below.is_empty() {
        return None;
    }
    let mut fragment = None;
    if path.len() == length && rest.get(length) == Some(&b'#') {
        let inside = rest.get(length + 1..)?;
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.[]<>-".contains(byte);
        let taken = inside.iter().take_while(is_part).count();
        let taken = trimmed(inside.get(..taken)?);
        if !taken.is_empty() {
            fragment = Some(String::from_utf8_lossy(taken).into_owned());
            end = at + length + 1 + taken.len();
        }
    }
    Some(PathToken {
        span: at..end,
        path: String::from_utf8_lossy(path).into_owned(),
        fragment,
    })
}

/// Without the full stop, or the like, of the sentence around it.
fn trimmed(path: &[u8]) -> &[u8] {
    let kept = path.iter().rposition(|byte| !b".:!?*".contains(byte));
    path.get(..kept.map_or(0, |last| last + 1))
        .unwrap_or_default()
}

/// A title as it is compared: lower case, without Markdown and punctuation, words apart by one space.
#[must_use]
pub fn normalized(title: &str) -> String {
    let mut words = String::new();
    for letter in title.chars() {
        if letter.is_alphanumeric() {
            words.extend(letter.to_lowercase());
        } else if !words.is_empty() && !words.ends_with(' ') && letter != '`' && letter != '*' {
            words.push(' ');
        }
    }
    words.trim_end().to_owned()
}

pub(super) fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Where `word` stands in a text, in whatever case, with nothing of another word before it.
fn find_word(text: &[u8], word: &str) -> Option<usize> {
    let is_word = |at: &usize| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let begins = before.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte < 0x80);
        let is = text.get(*at..*at + word.len());
        begins && is.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    };
    (0..text.len()).find(is_word)
}

fn spaces(text: &[u8]) -> usize {
    let is_space = |byte: &&u8| matches!(byte, b' ' | b'\t');
    text.iter().take_while(is_space).count()
}

fn stars(text: &[u8]) -> usize {
    text.iter()
        .take_while(|byte| matches!(byte, b'*' | b'_'))
        .count()
}
