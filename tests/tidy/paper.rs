//! Rules for what is written about the code: paths and links exist, checklists agree, the changelog keeps its shape.

use serde_json::Value;

use crate::Tree;
use crate::layers::LAYERS;
use crate::text::is_word;

/// Directories of this repository: inline code that begins with one of them is a path in it.
const DIRECTORIES: &[&str] = &[
    ".agent/", ".ci/", "benches/", "docs/", "launchd/", "scripts/", "src/", "systemd/", "tasks/",
    "tests/",
];

/// A path or module that a document names exists. The changelog is history and may name what is gone.
pub(crate) fn names_exist(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree
        .under("", ".md")
        .filter(|(path, _)| *path != "CHANGELOG.md")
    {
        for (line, code) in inline_code(text) {
            if !exists(tree, code) {
                findings.push(format!("{path}:{line}: `{code}` does not exist"));
            }
        }
    }
    findings
}

fn exists(tree: &Tree, code: &str) -> bool {
    let letters = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
    if DIRECTORIES.iter().any(|start| code.starts_with(start)) && code.chars().all(letters) {
        return tree.has(code);
    }
    let module = code
        .trim_start_matches("orch::")
        .trim_start_matches("crate::");
    if let Some((layer, rest)) = module.split_once("::")
        && LAYERS.iter().any(|(name, _)| *name == layer)
    {
        let name = rest.split(|letter| !is_word(letter)).next().unwrap_or(rest);
        let told = |(_, text): (&str, &str)| {
            text.split(|letter| !is_word(letter))
                .any(|word| word == name)
        };
        return tree.has(&format!("src/{layer}/{name}.rs"))
            || tree.under(&format!("src/{layer}.rs"), "").any(told)
            || tree.under(&format!("src/{layer}/"), "").any(told);
    }
    if let Some((layer, rest)) = code.split_once('/')
        && LAYERS.iter().any(|(name, _)| *name == layer)
        && rest.chars().all(letters)
    {
        return tree.has(&format!("src/{code}")) || tree.has(&format!("src/{code}.rs"));
    }
    true
}

/// Inline code outside of fenced blocks, with its line.
fn inline_code(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, line) in unfenced(text) {
        found.extend(
            line.split('`')
                .skip(1)
                .step_by(2)
                .map(|code| (at, code.trim())),
        );
    }
    found
}

fn unfenced(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

/// A link to a file leads to one.
pub(crate) fn links_exist(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("", ".md") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, words) in unfenced(text) {
            for link in words
                .split("](")
                .skip(1)
                .filter_map(|after| after.split(')').next())
            {
                let file = link.split('#').next().unwrap_or(link);
                if !file.is_empty() && !file.contains(':') && !tree.has(&joined(folder, file)) {
                    findings.push(format!("{path}:{line}: the link to {file} leads nowhere"));
                }
            }
        }
    }
    findings
}

fn joined(folder: &str, file: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// `docs/ARCHITECTURE.md` is there, and its map has every module down to the second level.
pub(crate) fn architecture(tree: &Tree) -> Vec<String> {
    let text = tree.text("docs/ARCHITECTURE.md");
    if text.is_empty() {
        return vec!["docs/ARCHITECTURE.md: missing: it draws the house".to_owned()];
    }
    let unnamed = |(path, _): (&str, &str)| {
        let inside = path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let name = inside.rsplit('/').next()?;
        let told = text
            .split(|letter| !is_word(letter))
            .any(|word| word == name);
        (inside != "lib" && inside.matches('/').count() < 2 && !told)
            .then(|| format!("docs/ARCHITECTURE.md: says nothing of {path}"))
    };
    tree.under("src/", ".rs").filter_map(unnamed).collect()
}

/// Keep a Changelog: `[Unreleased]` first, versions with their day, known headings, each with entries.
pub(crate) fn changelog(tree: &Tree) -> Vec<String> {
    let text = tree.text("CHANGELOG.md");
    let mut findings = Vec::new();
    let mut find =
        |line: usize, message: &str| findings.push(format!("CHANGELOG.md:{line}: {message}"));
    if !text.starts_with("# Changelog\n") {
        find(1, "opens without `# Changelog`");
    }
    let mut sections = 0_usize;
    let mut empty_heading = None;
    for (at, line) in unfenced(text) {
        if let Some(title) = line.strip_prefix("## ") {
            sections += 1;
            if (sections == 1) != (title == "[Unreleased]") {
                find(at, "`## [Unreleased]` stands first, and once");
            } else if sections > 1 && !released(title) {
                find(at, "expected `## [1.2.3] - 2026-01-31`");
            }
        } else if let Some(kind) = line.strip_prefix("### ") {
            let kinds = [
                "Added",
                "Changed",
                "Deprecated",
                "Removed",
                "Fixed",
                "Security",
            ];
            if !kinds.contains(&kind) {
                find(at, "a heading that Keep a Changelog does not know");
            }
        } else if line.starts_with("- ") {
            empty_heading = None;
            continue;
        } else {
            continue;
        }
        if let Some(heading) = empty_heading.take() {
            find(heading, "a heading without entries");
        }
        empty_heading = line.starts_with("### ").then_some(at);
    }
    if let Some(heading) = empty_heading {
        find(heading, "a heading without entries");
    }
    if sections == 0 {
        find(1, "has no `## [Unreleased]`");
    }
    findings
}

fn released(title: &str) -> bool {
    let digits = |text: &str, parts: usize, by: char| {
        let all = text
            .split(by)
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        all && text.split(by).count() == parts
    };
    title
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] - "))
        .is_some_and(|(version, day)| {
            digits(version, 3, '.') && digits(day, 3, '-') && day.len() == "2026-01-31".len()
        })
}

/// No file tells where somebody's machine keeps things.
pub(crate) fn machine_paths(tree: &Tree) -> Vec<String> {
    // Spelt in two parts, so that this file is no finding.
    let places = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["/ho", "me/"],
        ["/Us", "ers/"],
    ]
    .map(|parts| parts.concat());
    let mut findings = Vec::new();
    for (path, text) in &tree.files {
        for (at, line) in text.lines().enumerate() {
            let absolute = |place: &String| {
                let starts = |at: usize| {
                    let before = line.get(..at).and_then(|before| before.chars().next_back());
                    !before.is_some_and(|letter| is_word(letter) || ".-~}/*".contains(letter))
                };
                line.match_indices(place.as_str()).any(|(at, _)| starts(at))
            };
            if let Some(place) = places.iter().find(|place| absolute(place)) {
                findings.push(format!(
                    "{path}:{}: {place} is a path of one machine",
                    at + 1
                ));
            }
        }
    }
    findings
}

/// `.agent/task/KEY.md` and the block of KEY in `docs/TASKS.md` hold the items of `tasks/KEY.md`, mark for mark.
pub(crate) fn checklists(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    for (source, text) in tree
        .under("tasks/", ".md")
        .filter(|(path, _)| path.matches('/').count() == 1)
    {
        let key = source.trim_start_matches("tasks/").trim_end_matches(".md");
        let items = items(text);
        if items.is_empty() {
            findings.push(format!("{source}: a task without a checklist"));
        }
        let (begin, end) = (
            format!("<!-- docs-sync:begin {key} -->"),
            format!("<!-- docs-sync:end {key} -->"),
        );
        let block = tree
            .text("docs/TASKS.md")
            .split_once(&begin)
            .and_then(|(_, rest)| rest.split_once(&end));
        let mirrors = [
            (
                format!(".agent/task/{key}.md"),
                tree.text(&format!(".agent/task/{key}.md")),
            ),
            (
                format!("docs/TASKS.md, block {key}"),
                block.map_or("", |(block, _)| block),
            ),
        ];
        for (mirror, text) in mirrors {
            let copied = self::items(text);
            let differs = items.iter().zip(&copied).find(|(item, copy)| item != copy);
            if let Some((item, copy)) = differs {
                findings.push(format!("{mirror}: `{copy}`, but {source} has `{item}`"));
            } else if items.len() != copied.len() {
                findings.push(format!(
                    "{mirror}: {} items, but {source} has {}",
                    copied.len(),
                    items.len()
                ));
            }
        }
    }
    findings
}

fn items(text: &str) -> Vec<&str> {
    let marked = |line: &&str| {
        ["- [ ] ", "- [x] ", "- [X] "]
            .iter()
            .any(|mark| line.starts_with(mark))
    };
    unfenced(text)
        .map(|(_, line)| line.trim())
        .filter(marked)
        .collect()
}

/// Each item and spec of `tasks/index.json` names a file, and each task and spec file is named.
pub(crate) fn task_index(tree: &Tree) -> Vec<String> {
    let index: Value = match serde_json::from_str(tree.text("tasks/index.json")) {
        Ok(index) => index,
        Err(error) => return vec![format!("tasks/index.json: {error}")],
    };
    let mut findings = Vec::new();
    let mut named = Vec::new();
    for list in ["items", "specs"] {
        for entry in index
            .get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let path = entry
                .get("path")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if !tree.files.contains_key(path) {
                findings.push(format!("tasks/index.json: {list}: no file `{path}`"));
            }
            named.push(path);
        }
    }
    let listed = |path: &str| path.starts_with("tasks/specs/") || path.matches('/').count() == 1;
    let unnamed = tree
        .under("tasks/", ".md")
        .filter(|(path, _)| listed(path) && !named.contains(path));
    findings.extend(unnamed.map(|(path, _)| format!("tasks/index.json: says nothing of {path}")));
    findings
}

/// The edition, the width and the oldest Rust are the same wherever they are told.
pub(crate) fn package(tree: &Tree) -> Vec<String> {
    let cargo = tree.text("Cargo.toml");
    let version = cargo
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap_or_default();
    let version = format!("Rust {}", version.trim_matches('"'));
    let facts = [
        (
            cargo.contains("\nedition = \"2024\"\n"),
            "Cargo.toml: the edition is 2024".to_owned(),
        ),
        (
            cargo.contains("\nunsafe_code = \"deny\"\n"),
            "Cargo.toml: unsafe code is denied".to_owned(),
        ),
        (
            tree.text("rustfmt.toml") == "max_width = 100\n",
            "rustfmt.toml: width 100, defaults else".to_owned(),
        ),
        (
            tree.text("README.md").contains(&version),
            format!("README.md: names `{version}`, as Cargo.toml"),
        ),
        (
            tree.has("LICENSE-MIT") && tree.has("LICENSE-APACHE"),
            "both licence texts are there".to_owned(),
        ),
    ];
    facts
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, message)| message)
        .collect()
}

/// Nothing in a `Cargo.lock` compiles or looks for C, so that other platforms can be type-checked from here. It is the
/// graph of all platforms at once, and it is there without a network, which the sources of other platforms are not.
pub(crate) fn graph(tree: &Tree) -> Vec<String> {
    let others = tree.under("tests/", "/Cargo.lock");
    let locks = std::iter::once(("Cargo.lock", tree.text("Cargo.lock"))).chain(others);
    locks
        .flat_map(|(path, lock)| graph_of(path, lock))
        .collect()
}

fn graph_of(path: &str, lock: &str) -> Vec<String> {
    let names: Vec<&str> = lock
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .collect();
    if names.is_empty() {
        return vec![format!("{path}: names no package")];
    }
    let c = [
        "bindgen",
        "cc",
        "cmake",
        "pkg-config",
        "vcpkg",
        "openssl-sys",
        "ring",
    ];
    let compiles = names
        .into_iter()
        .filter(|name| c.contains(name) || name.ends_with("-src"));
    compiles
        .map(|name| format!("{path}: `{name}` brings C into the graph"))
        .collect()
}

#[cfg(test)]
#[path = "paper_tests.rs"]
mod tests;
