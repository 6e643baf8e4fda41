//! Rules for one source file at a time: its length, name and header, and what must not be written in it.

use crate::Tree;
use crate::text::{bracketed, code_only, line, list, occurrences, split_tests};

const FILE_LINES_MAX: usize = 500;
const MAIN_LINES_MAX: usize = 80;
const HEADER_LINES: std::ops::RangeInclusive<usize> = 3..=15;

/// A file fits in one head, and a `main` on one screen.
pub(crate) fn length(tree: &Tree) -> Vec<String> {
    let too_long = |(path, text): (&str, &str)| {
        let max = if path.starts_with("src/bin/") {
            MAIN_LINES_MAX
        } else {
            FILE_LINES_MAX
        };
        let lines = text.lines().count();
        (lines > max)
            .then(|| format!("{path}: {lines} lines, at most {max}: split it by what it does"))
    };
    tree.under("", ".rs").filter_map(too_long).collect()
}

/// No `mod.rs`, and no drawer for things that have no place.
pub(crate) fn names(tree: &Tree) -> Vec<String> {
    let finding = |(path, _): (&str, &str)| {
        let banned = path
            .trim_end_matches(".rs")
            .split('/')
            .find_map(|part| match part {
                "mod" => Some("write `name.rs` beside `name/`"),
                "util" | "utils" | "helper" | "helpers" | "common" | "misc" => {
                    Some("a function lives with its noun")
                }
                _ => None,
            });
        banned.map(|remedy| format!("{path}: {remedy}"))
    };
    tree.under("", ".rs").filter_map(finding).collect()
}

/// Every file says first what it is for; below `src/` in 3 to 15 lines.
pub(crate) fn headers(tree: &Tree) -> Vec<String> {
    let finding = |(path, text): (&str, &str)| {
        let lines = text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .count();
        if lines == 0 {
            return Some(format!(
                "{path}: opens without `//!`: say what the file is for"
            ));
        }
        let fits = !path.starts_with("src/") || HEADER_LINES.contains(&lines);
        (!fits).then(|| format!("{path}: a header of {lines} lines, expected {HEADER_LINES:?}"))
    };
    tree.under("", ".rs").filter_map(finding).collect()
}

/// `src/lib.rs` is a table of contents: module declarations and attributes.
pub(crate) fn library_root(tree: &Tree) -> Vec<String> {
    let allowed = |line: &str| {
        line.is_empty()
            || line.starts_with("#[")
            || line.starts_with("#![")
            || line
                .strip_prefix("pub ")
                .unwrap_or(line)
                .starts_with("mod ")
                && line.ends_with(';')
    };
    let code = code_only(tree.text("src/lib.rs"));
    let lines = code
        .lines()
        .enumerate()
        .filter(|(_, line)| !allowed(line.trim()));
    lines
        .map(|(at, _)| format!("src/lib.rs:{}: code in the library root", at + 1))
        .collect()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Tests,
    Ships,
    ShipsOutsideDaemon,
}

const BANS: &[(Place, &str, &str)] = &[
    (Place::Tests, "sleep(", "wait for an event with a deadline"),
    (
        Place::Tests,
        "#[ignore",
        "a test that does not run proves nothing",
    ),
    (
        Place::ShipsOutsideDaemon,
        "tokio::spawn",
        "only the shell below `src/daemon` starts tasks",
    ),
    (
        Place::ShipsOutsideDaemon,
        "task::spawn(",
        "only the shell below `src/daemon` starts tasks",
    ),
    (
        Place::Ships,
        "Arc<Mutex",
        "state has one owner; send it a message",
    ),
    (
        Place::Ships,
        "Box<dyn Error",
        "an enum named for the act that failed",
    ),
    (
        Place::Ships,
        "Box<dyn std::error::Error",
        "an enum named for the act that failed",
    ),
    (
        Place::Ships,
        "anyhow::",
        "an enum named for the act that failed",
    ),
    (
        Place::Ships,
        "Other(String)",
        "a variant with the path or id, and the source",
    ),
];

/// What the table above names is written nowhere in its place.
pub(crate) fn bans(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("", ".rs") {
        let code = code_only(text);
        let (ships, tests) = split_tests(path, &code);
        let daemon = path == "src/daemon.rs" || path.starts_with("src/daemon/");
        for (place, needle, remedy) in BANS {
            let (part, offset) = match place {
                Place::Tests => (tests, ships.len()),
                Place::ShipsOutsideDaemon if daemon => continue,
                Place::Ships | Place::ShipsOutsideDaemon => (ships, 0),
            };
            for at in occurrences(part, needle) {
                findings.push(format!(
                    "{path}:{}: `{needle}`: {remedy}",
                    line(&code, offset + at)
                ));
            }
        }
    }
    findings
}

/// An error that became text can no longer be matched on.
pub(crate) fn stringly_errors(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("src/", ".rs") {
        let code = code_only(text);
        let (ships, _) = split_tests(path, &code);
        for at in occurrences(ships, "map_err(") {
            let argument = bracketed(ships.get(at + "map_err".len()..).unwrap_or_default());
            if argument.contains("to_string") {
                findings.push(format!(
                    "{path}:{}: `map_err(…to_string…)`: keep the source",
                    line(&code, at)
                ));
            }
        }
    }
    findings
}

/// `assert!(x.is_ok())` throws away what the reader of a failure needs, and accepts any value.
pub(crate) fn bare_assertions(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("", ".rs") {
        let code = code_only(text);
        for (at, _) in code.match_indices("assert!(") {
            let arguments = list(bracketed(
                code.get(at + "assert!".len()..).unwrap_or_default(),
            ));
            if let [only] = arguments.as_slice()
                && [".is_ok()", ".is_err()", ".is_some()"]
                    .iter()
                    .any(|end| only.trim().ends_with(end))
            {
                findings.push(format!(
                    "{path}:{}: assert the value, not that there is one",
                    line(&code, at)
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_found() {
        let (long, fits) = ("\n".repeat(501), "\n".repeat(500));
        let tree = Tree::of(&[
            ("src/a.rs", &long),
            ("src/b.rs", &fits),
            ("src/bin/c.rs", &fits),
            ("docs/d.md", &long),
        ]);
        let found: Vec<_> = length(&tree)
            .into_iter()
            .map(|f| f.split(", ").next().unwrap().to_owned())
            .collect();
        assert_eq!(found, ["src/a.rs: 501 lines", "src/bin/c.rs: 500 lines"]);
    }

    #[test]
    fn a_drawer_and_a_mod_file_are_found() {
        let tree = Tree::of(&[
            ("src/a/mod.rs", ""),
            ("src/utils.rs", ""),
            ("tests/common/a.rs", ""),
            ("src/model.rs", ""),
        ]);
        assert_eq!(names(&tree).len(), 3, "{:?}", names(&tree));
    }

    #[test]
    fn a_missing_thin_or_endless_header_is_found() {
        let endless = "//! x\n".repeat(16);
        let good = "//! x\n".repeat(3);
        let tree = Tree::of(&[
            ("src/a.rs", "use b;"),
            ("src/b.rs", "//! x\n"),
            ("src/c.rs", &endless),
            ("src/d.rs", &good),
            ("tests/e.rs", "//! x\n"),
        ]);
        let found = headers(&tree);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found
                .iter()
                .zip(["a", "b", "c"])
                .all(|(f, name)| f.starts_with(&format!("src/{name}.rs"))),
            "{found:?}"
        );
    }

    #[test]
    fn code_in_the_library_root_is_found() {
        let tree = Tree::of(&[(
            "src/lib.rs",
            "//! x\n#[cfg(unix)]\npub mod a;\nmod b;\nfn c() {}\npub use a::d;\n",
        )]);
        assert_eq!(
            library_root(&tree),
            [
                "src/lib.rs:5: code in the library root",
                "src/lib.rs:6: code in the library root"
            ]
        );
    }

    #[test]
    fn each_ban_is_found_in_its_place_only() {
        for (place, needle, _) in BANS {
            let elsewhere = format!("// {needle}\nconst A: &str = \"{needle}\";\n");
            let line = format!("\n{needle}\n");
            let tests = format!("#[cfg(test)]\nmod tests {{{line}}}");
            let tree = Tree::of(&[
                ("src/engine.rs", &line),
                ("src/daemon/runner.rs", &line),
                ("src/model.rs", &tests),
                ("src/wire.rs", &elsewhere),
                ("tests/a.rs", &line),
            ]);
            let found: Vec<_> = bans(&tree)
                .into_iter()
                .map(|f| f.split(": ").next().unwrap().to_owned())
                .collect();
            let expected: &[&str] = match place {
                Place::Tests => &["src/model.rs:3", "tests/a.rs:2"],
                Place::Ships => &["src/daemon/runner.rs:2", "src/engine.rs:2"],
                Place::ShipsOutsideDaemon => &["src/engine.rs:2"],
            };
            assert_eq!(found, expected, "{needle}");
        }
    }

    #[test]
    fn a_stringly_error_is_found_over_lines() {
        let planted = "fn a() {\n    b().map_err(|e| {\n        e.to_string()\n    })?;\n    c.to_string()\n}";
        let tree = Tree::of(&[
            ("src/a.rs", planted),
            ("src/b.rs", "b().map_err(E::from)?; c.to_string()"),
        ]);
        assert_eq!(
            stringly_errors(&tree),
            ["src/a.rs:2: `map_err(…to_string…)`: keep the source"]
        );
    }

    #[test]
    fn a_bare_assertion_is_found() {
        let planted = "assert!(a.is_ok());\nassert!(\n    b(c, d).is_err(),\n);\nassert!(a.is_ok(), \"{a:?}\");\nassert!(a);";
        let found = bare_assertions(&Tree::of(&[("tests/a.rs", planted)]));
        let remedy = "assert the value, not that there is one";
        assert_eq!(
            found,
            [
                format!("tests/a.rs:1: {remedy}"),
                format!("tests/a.rs:2: {remedy}")
            ]
        );
    }
}
