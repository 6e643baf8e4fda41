//! Where a link of a page leads, by its text alone.
//!
//! Relative to the page, or to the workspace where it begins with `/`, as hosts of repositories show pages. What follows
//! `#` or `?` is left out: how headings are named there is the host's affair.

use crate::model::path::RelPath;
use std::path::Path;

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a place in its own page, to another host, or to what is not filled in.
    Elsewhere,
    /// To something outside of the workspace, which nobody else has there.
    Outside,
    /// To something below the workspace.
    Below(RelPath),
}

/// Where the link `written` in `page` leads.
#[must_use]
pub(crate) fn target(page: &RelPath, written: &str) -> Target {
    let path = written.split(['#', '?']).next().unwrap_or_default();
    if path.is_empty() || has_scheme(path) || path.starts_with("//") || path.contains(['<', '>']) {
        return Target::Elsewhere;
    }
    let path = decoded(path);
    let mut parts: Vec<String> = Vec::new();
    if !path.starts_with('/') {
        let above = page.parent().unwrap_or_else(RelPath::root);
        parts.extend(
            above
                .names()
                .map(|name| name.to_string_lossy().into_owned()),
        );
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                if parts.pop().is_none() {
                    return Target::Outside;
                }
            }
            part => parts.push(part.to_owned()),
        }
    }
    RelPath::new(Path::new(&parts.join("/"))).map_or(Target::Elsewhere, Target::Below)
}

fn has_scheme(path: &str) -> bool {
    path.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// Without `%20` and the like; what is no such stands for itself.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(page: &str, written: &str) -> Target {
        target(&RelPath::parse(page).unwrap(), written)
    }

    fn below(path: &str) -> Target {
        Target::Below(RelPath::parse(path).unwrap())
    }

    #[test]
    fn links_lead_from_their_page() {
        assert_eq!(at("docs/a.md", "b.md#x"), below("docs/b.md"));
        assert_eq!(
            at("docs/a.md", "../tasks/b%20c.md?x"),
            below("tasks/b c.md")
        );
        assert_eq!(at("docs/a/b.md", "/README.md"), below("README.md"));
        assert_eq!(at("docs/a.md", ".."), below("."));
        assert_eq!(at("a.md", "100%.md"), below("100%.md"));
    }

    #[test]
    fn what_is_elsewhere_or_outside_is_told_apart() {
        for other in [
            "#x",
            "https://a.b/c",
            "mailto:a@b.c",
            "//a.b/c",
            "",
            "<x>.md",
        ] {
            assert_eq!(at("docs/a.md", other), Target::Elsewhere, "{other}");
        }
        assert_eq!(at("docs/a.md", "../../x.md"), Target::Outside);
        assert_eq!(at("a.md", "b:c/d.md"), Target::Elsewhere);
    }
}
