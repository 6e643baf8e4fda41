//! Rust source as text: what is code and what is not, and where in it a thing stands.

/// The source with comments and the insides of literals blanked, line for line and byte for byte as long.
pub(crate) fn code_only(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skip = not_code(rest, out.chars().next_back());
        let (part, after) = rest.split_at(if skip == 0 { first.len_utf8() } else { skip });
        if skip == 0 {
            out.push_str(part);
        } else {
            // The edges of a literal stay, so that an argument that is one does not vanish.
            let (literal, last) = (first != '/', part.len() - 1);
            out.extend(part.bytes().enumerate().map(|(at, byte)| match byte {
                b'\n' => '\n',
                _ if literal && (at == 0 || at == last) => '"',
                _ => ' ',
            }));
        }
        rest = after;
    }
    out
}

/// How many bytes of a comment or literal `rest` begins with; 0 for code.
fn not_code(rest: &str, previous: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if !previous.is_some_and(is_word) {
        let raw = rest.trim_start_matches(['b', 'c']);
        if rest.len() - raw.len() <= 1
            && let Some(guarded) = raw.strip_prefix('r')
        {
            let hashes = guarded.len() - guarded.trim_start_matches('#').len();
            if guarded.trim_start_matches('#').starts_with('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let opening = rest.len() - guarded.len() + hashes + 1;
                let inside = rest.get(opening..).unwrap_or_default();
                return inside
                    .find(&end)
                    .map_or(rest.len(), |at| opening + at + end.len());
            }
        }
    }
    if rest.starts_with('"') {
        return quoted(rest, '"');
    }
    if rest.starts_with('\'') {
        let mut inside = rest.chars().skip(1);
        let (first, second) = (inside.next(), inside.next());
        // Anything else that opens with a quote is a lifetime.
        if first == Some('\\') || second == Some('\'') {
            return quoted(rest, '\'');
        }
    }
    0
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0_usize);
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Whether a letter may stand in a Rust identifier.
pub(crate) fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Where `needle` stands in `code` as a word of its own: no identifier runs into it from the left.
pub(crate) fn occurrences(code: &str, needle: &str) -> Vec<usize> {
    let whole = |at: usize| {
        let before = code.get(..at).and_then(|before| before.chars().next_back());
        !(needle.starts_with(is_word) && before.is_some_and(is_word))
    };
    code.match_indices(needle)
        .map(|(at, _)| at)
        .filter(|at| whole(*at))
        .collect()
}

/// The line, from 1, of the byte at `at`.
pub(crate) fn line(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}

/// What stands between the bracket that `code` begins with and its partner.
pub(crate) fn bracketed(code: &str) -> &str {
    let mut depth = 0_usize;
    for (at, letter) in code.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return code.get(1..at).unwrap_or_default();
                }
            }
            _ => {}
        }
    }
    code.get(1..).unwrap_or_default()
}

/// Splits at the commas that stand in no bracket.
pub(crate) fn list(code: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0_usize, Vec::new());
    for (at, letter) in code.char_indices() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.extend(code.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(code.get(start..));
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// Code that ships and code that tests, of one file. A test module is taken to reach to the end of its file.
pub(crate) fn split_tests<'a>(path: &str, code: &'a str) -> (&'a str, &'a str) {
    if !path.starts_with("src/") || path.ends_with("/tests.rs") || path.contains("/tests/") {
        return ("", code);
    }
    let opens_module = |at: &usize| {
        let after = code.get(*at..).unwrap_or_default();
        after
            .find(['{', ';'])
            .and_then(|end| after.get(..end))
            .is_some_and(|head| head.contains("mod "))
    };
    let mut marks = occurrences(code, "#[cfg(test)]");
    marks.extend(occurrences(code, "#[cfg(all(test"));
    marks.sort_unstable();
    let at = marks.into_iter().find(opens_module).unwrap_or(code.len());
    code.split_at(at)
}

#[cfg(test)]
mod tests {
    use super::{bracketed, code_only, line, list, occurrences, split_tests};

    #[test]
    fn only_code_is_left() {
        let cases = [
            ("a // sleep(\nb", "a          \nb"),
            ("a /* x /* y */ z */ b", "a                   b"),
            (r#"f("a\"b", c)"#, r#"f("    ", c)"#),
            ("r#\"a\"b\"# + br\"x\"", "\"      \" + \"   \""),
            ("var\"a\"", "var\" \""),
            ("'a' '\\'' &'a str", "\" \" \"  \" &'a str"),
            ("\"é\"x", "\"  \"x"),
        ];
        for (source, code) in cases {
            assert_eq!(code_only(source), code, "{source}");
            assert_eq!(code_only(source).len(), source.len());
        }
    }

    #[test]
    fn places_are_found() {
        assert_eq!(occurrences("sleep(a_sleep(sleep(", "sleep("), [0, 14]);
        assert_eq!(line("a\nb\nc", 4), 3);
        assert_eq!(bracketed("(a, (b))c)"), "a, (b)");
        assert_eq!(list("a::{b, c}, d(e, f),"), ["a::{b, c}", " d(e, f)"]);
    }

    #[test]
    fn tests_are_told_from_what_ships() {
        let file = "fn a() {}\n#[cfg(test)]\nfn b() {}\n#[cfg(test)]\nmod tests {}";
        let (ships, tests) = split_tests("src/a.rs", file);
        assert_eq!((ships.len(), tests), (33, "#[cfg(test)]\nmod tests {}"));
        assert_eq!(split_tests("tests/a.rs", "x"), ("", "x"));
        assert_eq!(split_tests("src/a/tests.rs", "x"), ("", "x"));
        assert_eq!(split_tests("src/a.rs", "x"), ("x", ""));
    }
}
