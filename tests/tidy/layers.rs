//! Which module may name which: arrows point down, and a module without a place in the table is a finding.
//!
//! ```text
//! limits ← model ← engine ← daemon      model ← {wire, git} ← {daemon, client}      model ← documents ← client
//! ```

use crate::Tree;
use crate::text::{bracketed, code_only, is_word, line, list, occurrences};

/// A module of `src/`, and those it may name. A new one is entered here, beside its line in the architecture.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("model", &["limits"]),
    ("engine", &["limits", "model"]),
    ("wire", &["limits", "model"]),
    ("git", &["limits", "model"]),
    ("disk", &["limits", "model"]),
    ("documents", &["limits", "model", "git", "disk"]),
    (
        "daemon",
        &[
            "limits",
            "model",
            "engine",
            "wire",
            "git",
            "disk",
            "documents",
        ],
    ),
    ("client", &["limits", "model", "wire", "git", "documents"]),
];

/// The binaries: `orchctl` alone sees both sides, because `--no-daemon` hosts the daemon for one request.
const BINARIES: &[(&str, &[&str])] = &[
    (
        "src/bin/orchd.rs",
        &["limits", "model", "engine", "wire", "git", "disk", "daemon"],
    ),
    (
        "src/bin/orchctl.rs",
        &[
            "limits",
            "model",
            "engine",
            "wire",
            "git",
            "daemon",
            "documents",
            "client",
        ],
    ),
];

/// No module names one above it or beside it.
pub(crate) fn arrows(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree
        .under("src/", ".rs")
        .filter(|(path, _)| *path != "src/lib.rs")
    {
        let own = module(path);
        let entry = LAYERS.iter().find(|(name, _)| *name == own);
        let Some((_, below)) = entry.or_else(|| BINARIES.iter().find(|(name, _)| *name == path))
        else {
            findings.push(format!(
                "{path}: has no place in the table of layers (tests/tidy/layers.rs)"
            ));
            continue;
        };
        let code = code_only(text);
        for (at, name) in named(path, &code) {
            if name != own && !below.contains(&name) {
                findings.push(format!(
                    "{path}:{}: `{own}` must not know `{name}`",
                    line(&code, at)
                ));
            }
        }
    }
    findings
}

/// `src/engine/queue.rs` belongs to `engine`; a binary is its own module.
fn module(path: &str) -> &str {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    inside.split('/').next().unwrap_or(inside)
}

/// The top-level modules that a file names, and where.
fn named<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for root in ["crate::", "orch::"] {
        for at in occurrences(code, root) {
            let after = code.get(at + root.len()..).unwrap_or_default();
            let heads = if after.starts_with('{') {
                list(bracketed(after))
            } else {
                vec![after]
            };
            found.extend(heads.into_iter().map(|head| (at, first_word(head))));
        }
    }
    // `super::super::daemon` leaves the module as surely as `crate::daemon` does.
    let depth = path.matches('/').count();
    for (at, _) in code.match_indices("super::") {
        let before = code.get(..at).unwrap_or_default();
        if before.ends_with("::") {
            continue;
        }
        let chain = code.get(at..).unwrap_or_default();
        let after = chain.trim_start_matches("super::");
        if (chain.len() - after.len()) / "super::".len() >= depth {
            let heads = if after.starts_with('{') {
                list(bracketed(after))
            } else {
                vec![after]
            };
            found.extend(heads.into_iter().map(|head| (at, first_word(head))));
        }
    }
    found.retain(|(_, name)| LAYERS.iter().any(|(layer, _)| layer == name));
    found
}

fn first_word(code: &str) -> &str {
    let code = code.trim_start();
    code.split(|letter| !is_word(letter)).next().unwrap_or(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        arrows(&Tree::of(&[(path, text)]))
    }

    #[test]
    fn an_arrow_upwards_is_found_however_it_is_written() {
        let ways = [
            "use crate::daemon::runner;",
            "use crate::{model::id, daemon};",
            "use crate::{\n    model::{a, b},\n    daemon::{c},\n};",
            "fn a() { crate::daemon::run() }",
            "use super::super::daemon;",
        ];
        for way in ways {
            assert_eq!(
                found("src/engine/queue.rs", way),
                ["src/engine/queue.rs:1: `engine` must not know `daemon`"],
                "{way}"
            );
        }
        assert_eq!(
            found("src/engine.rs", "\nuse super::wire;"),
            ["src/engine.rs:2: `engine` must not know `wire`"]
        );
    }

    #[test]
    fn siblings_stay_apart() {
        assert_eq!(
            found("src/client/render.rs", "use crate::engine::Engine;").len(),
            1
        );
        assert_eq!(found("src/client.rs", "use crate::daemon;").len(), 1);
        assert_eq!(found("src/documents.rs", "use crate::wire;").len(), 1);
        assert_eq!(found("src/wire.rs", "use crate::engine;").len(), 1);
        assert_eq!(found("src/limits.rs", "use crate::model;").len(), 1);
        assert_eq!(found("src/bin/orchd.rs", "use orch::client;").len(), 1);
    }

    #[test]
    fn arrows_downwards_comments_and_own_parts_pass() {
        assert_eq!(
            found(
                "src/daemon/server.rs",
                "use crate::{engine, wire};\nuse super::lifecycle;"
            ),
            [""; 0]
        );
        assert_eq!(
            found(
                "src/engine/queue.rs",
                "//! never names crate::daemon\nuse crate::engine::state;"
            ),
            [""; 0]
        );
        assert_eq!(
            found("src/bin/orchctl.rs", "use orch::{client, daemon};"),
            [""; 0]
        );
        assert_eq!(
            found("src/model.rs", "mod tests {\n    use super::wire_name;\n}"),
            [""; 0]
        );
    }

    #[test]
    fn a_module_without_a_place_is_found() {
        let message = "src/manager.rs: has no place in the table of layers (tests/tidy/layers.rs)";
        assert_eq!(found("src/manager.rs", ""), [message]);
    }
}
