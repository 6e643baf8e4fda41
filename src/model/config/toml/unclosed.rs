//! Finds the array that is not closed, in a text that is no TOML.
//!
//! The parser takes the rest of the file for its items and complains of each; the mistake is where the array begins. Only
//! ever asked of a text that the parser refuses, so that it need not judge a sound one.

/// What the text holds at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Array(usize),
    Table,
}

/// Where the outermost array begins that something else than an item follows, or nothing.
pub(super) fn unclosed_array(text: &str) -> Option<usize> {
    let mut open: Vec<Open> = Vec::new();
    let first = |open: &[Open]| {
        open.iter().find_map(|it| match it {
            Open::Array(at) => Some(*at),
            Open::Table => None,
        })
    };
    let mut at = 0;
    let mut line_begins = true;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if std::mem::take(&mut line_begins) {
            let line = rest.lines().next().unwrap_or_default();
            match open.last() {
                None if line.trim_start().starts_with('[') => {
                    at += line.len();
                    continue;
                }
                Some(Open::Array(_)) if begins_anew(line) => return first(&open),
                _ => {}
            }
        }
        let (step, c) = (skipped(rest), rest.chars().next().unwrap_or_default());
        match c {
            '\n' => line_begins = true,
            '[' => open.push(Open::Array(at)),
            '{' => open.push(Open::Table),
            ']' | '}' => drop(open.pop()),
            _ => {}
        }
        at += step;
    }
    first(&open)
}

/// The length of the comment or string that `rest` begins with, else of its first character.
fn skipped(rest: &str) -> usize {
    for quote in ["\"\"\"", "'''", "\"", "'"] {
        let Some(inside) = rest.strip_prefix(quote) else {
            continue;
        };
        let line = inside.find('\n').unwrap_or(inside.len());
        let end = match quote.len() {
            1 => inside.get(..line).and_then(|line| closing(line, quote)),
            _ => closing(inside, quote),
        };
        return quote.len() + end.map_or(line, |end| end + quote.len());
    }
    match rest.starts_with('#') {
        true => rest.find('\n').unwrap_or(rest.len()),
        false => rest.chars().next().map_or(1, char::len_utf8),
    }
}

/// Where a string ends that began with `quote`.
fn closing(inside: &str, quote: &str) -> Option<usize> {
    let escapes = quote.starts_with('"');
    let mut is_escaped = false;
    inside.char_indices().find_map(|(at, c)| {
        let was = is_escaped;
        is_escaped = escapes && c == '\\' && !was;
        let ends = !was && inside.get(at..).is_some_and(|rest| rest.starts_with(quote));
        ends.then_some(at)
    })
}

/// Whether a line begins a table or a key, which no item of an array does.
fn begins_anew(line: &str) -> bool {
    let line = line.trim_start();
    let is_name = |text: &str| {
        let text = text.trim();
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let is_value = matches!(text, "true" | "false" | "inf" | "nan");
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(is_word)
            && !is_value
    };
    if let Some(header) = line.strip_prefix('[') {
        let header = header.trim_start_matches('[');
        return header
            .split_once(']')
            .is_some_and(|(name, _)| is_name(name));
    }
    line.split_once('=').is_some_and(|(key, _)| is_name(key))
}

#[cfg(test)]
mod tests {
    use super::unclosed_array;

    #[test]
    fn the_array_is_found_that_the_rest_of_the_file_is_not_in() {
        for (text, at) in [
            ("x = [\n", Some(4)),
            ("x = [\n[[pipeline]]\nid = 'a'\n", Some(4)),
            (
                "a = ['[', \"]\\\"[\"]\nx = ['b'\n[workspace]\njobs = 1\n",
                Some(22),
            ),
            ("x = [ # ]\n  [1, 2],\n  [3],\ny = 1\n", Some(4)),
            ("[workspace]\nignore = [\n 'a',\n]\nx = {\n", None),
            ("x = [\n  { a = 1,\n  b = 2 },\n  [true],\n]\ny = \n", None),
            ("x = '''\n[\n'''\ny = \"\"\"[\n\"\"\"\nz =\n", None),
            ("x = 'open [\ny = \"open [\nz =\n", None),
            ("é = [\nä = 1\n", Some(5)),
        ] {
            assert_eq!(unclosed_array(text), at, "{text}");
        }
    }
}
