//! Rules for single values that both files share: command lines, variables, patterns.
//!
//! What passes here reaches the kernel or the ignore rules unchanged, so anything that they would cut, refuse or never
//! match is refused first.

use crate::limits::{COMMAND_BYTES_MAX, MUTEX_BYTES_MAX, PATTERN_BYTES_MAX};
use crate::model::config::fault::Fault;
use ignore::gitignore::GitignoreBuilder;

/// Checks one argument or shell line.
pub(super) fn argument(key: &'static str, text: &str) -> Result<(), Fault> {
    if text.contains('\0') {
        return Err(Fault::Nul { key });
    }
    within(key, text, COMMAND_BYTES_MAX)
}

/// Checks a line for the shell: there has to be something in it.
pub(super) fn shell_line(key: &'static str, text: &str) -> Result<(), Fault> {
    if text.trim().is_empty() {
        return Err(Fault::Empty { key });
    }
    argument(key, text)
}

/// Checks the name of an environment variable.
pub(super) fn variable_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let name = name.to_owned();
        return Err(Fault::VariableName { name });
    }
    Ok(())
}

/// Checks the name of a mutex.
pub(super) fn mutex(name: &str) -> Result<(), Fault> {
    if name.trim().is_empty() {
        return Err(Fault::Empty { key: "mutex" });
    }
    within("mutex", name, MUTEX_BYTES_MAX)
}

/// Checks a line of gitignore syntax: it has to be able to match something.
pub(super) fn pattern(key: &'static str, text: &str) -> Result<(), Fault> {
    within(key, text, PATTERN_BYTES_MAX)?;
    let refused = |said: &str| Fault::Pattern {
        key,
        pattern: text.to_owned(),
        said: said.to_owned(),
    };
    if text.trim().trim_start_matches('!').is_empty() {
        return Err(Fault::Empty { key });
    }
    if text.contains('\0') {
        return Err(Fault::Nul { key });
    }
    if text.starts_with('#') {
        return Err(refused(
            "it is a comment; write `\\#` for a name that begins with `#`",
        ));
    }
    if text.contains(['\n', '\r']) {
        return Err(refused("it holds a line break"));
    }
    let names = text.trim_start_matches('!').split('/');
    if names.clone().any(|name| name == "..") {
        return Err(refused("`..` leaves the project"));
    }
    let mut names = names.filter(|name| !name.is_empty());
    if names.any(|name| name == ".") {
        return Err(refused("`.` matches nothing; leave it out"));
    }
    if has_open_class(text) {
        return Err(refused(
            "`[` is not closed; write `\\[` for a name that holds one",
        ));
    }
    let mut builder = GitignoreBuilder::new("");
    match builder.add_line(None, text) {
        Ok(_) => Ok(()),
        Err(ignore::Error::Glob { err, .. }) => Err(refused(&err)),
        Err(other) => Err(refused(&other.to_string())),
    }
}

/// Whether a `[` begins a set of characters that does not end: it would match nothing but a `[`, or nothing at all.
fn has_open_class(text: &str) -> bool {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '[' => {
                let behind = rest.as_str().trim_start_matches(['!', '^']);
                // The first one stands for itself.
                let mut inside = behind.chars();
                inside.next();
                let Some((_, outside)) = inside.as_str().split_once(']') else {
                    return true;
                };
                rest = outside.chars();
            }
            _ => {}
        }
    }
    false
}

fn within(key: &'static str, text: &str, max: usize) -> Result<(), Fault> {
    let bytes = text.len();
    if bytes > max {
        return Err(Fault::TooLong { key, bytes, max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_patterns_that_can_match_are_taken() {
        for good in [
            "src/**", "*.rs", "/dist/", "!keep", "\\#odd", "a b", "[ab].c", "...", "[]a]",
            "[!]a].c", "\\[a", "a]",
        ] {
            assert!(pattern("inputs", good).is_ok(), "{good} was refused");
        }
        for (bad, said) in [
            ("", "empty"),
            ("!", "empty"),
            ("# note", "comment"),
            ("../x", "leaves the project"),
            ("./src/**", "leave it out"),
            ("a\nb", "line break"),
            ("[z-a]", "no gitignore pattern"),
            ("a[", "not closed"),
            ("src/[", "not closed"),
            ("[a]b[]c", "not closed"),
            ("[!]", "not closed"),
            ("a\0", "NUL"),
        ] {
            let error = pattern("inputs", bad).unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
