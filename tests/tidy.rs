//! House rules that a machine can check, as a test: it reads the repository as text and fails with a list.
//!
//! Each rule is a pure function from a [`Tree`] to findings, and stands beside a test that plants a violation and
//! sees it found. Reads what git would track (ignore rules apply), so it also runs in an unpacked release.

#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/paper.rs"]
mod paper;
#[path = "tidy/text.rs"]
mod text;

use std::collections::BTreeMap;
use std::path::Path;

/// The repository: path with `/` between its parts → text. A file that is not UTF-8 has an empty text.
#[derive(Debug, Default)]
struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the files of this package that git would track.
    fn read(root: &Path) -> std::io::Result<Self> {
        let walk = ignore::WalkBuilder::new(root)
            .hidden(false)
            .parents(false)
            .require_git(false)
            .filter_entry(|entry| entry.file_name() != ".git")
            .build();
        let mut files = BTreeMap::new();
        for entry in walk {
            let entry = entry.map_err(std::io::Error::other)?;
            if !entry.file_type().is_some_and(|kind| kind.is_file()) {
                continue;
            }
            let inside = entry
                .path()
                .strip_prefix(root)
                .map_err(std::io::Error::other)?;
            let path = inside.to_string_lossy().replace('\\', "/");
            let text = String::from_utf8(std::fs::read(entry.path())?).unwrap_or_default();
            files.insert(path, text);
        }
        Ok(Self { files })
    }

    /// A tree made of what a test plants.
    fn of(files: &[(&str, &str)]) -> Self {
        let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Self {
            files: files.iter().map(own).collect(),
        }
    }

    fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }

    /// Whether `path` is a file, or a directory that holds one.
    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let below = format!("{path}/");
        self.files.contains_key(path)
            || self
                .files
                .range(below.clone()..)
                .next()
                .is_some_and(|(file, _)| file.starts_with(&below))
    }

    /// The files whose path begins and ends so, in order.
    fn under<'a>(
        &'a self,
        start: &'a str,
        end: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fits = move |path: &str| path.starts_with(start) && path.ends_with(end);
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .filter(move |(path, _)| fits(path))
    }
}

/// A rule that finds something fails with all of it, a line each.
#[expect(
    clippy::expect_used,
    reason = "clippy does not take this for part of a test"
)]
fn clean(rule: fn(&Tree) -> Vec<String>) {
    let tree =
        Tree::read(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("the repository can be read");
    let findings = rule(&tree);
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

#[test]
fn files_are_short() {
    clean(code::length);
}

#[test]
fn files_have_telling_names() {
    clean(code::names);
}

#[test]
fn files_open_with_what_they_are_for() {
    clean(code::headers);
}

#[test]
fn the_library_root_holds_no_code() {
    clean(code::library_root);
}

#[test]
fn nothing_banned_is_written() {
    clean(code::bans);
}

#[test]
fn errors_stay_typed() {
    clean(code::stringly_errors);
}

#[test]
fn assertions_look_at_values() {
    clean(code::bare_assertions);
}

#[test]
fn arrows_point_down() {
    clean(layers::arrows);
}

#[test]
fn documents_name_what_exists() {
    clean(paper::names_exist);
}

#[test]
fn links_lead_somewhere() {
    clean(paper::links_exist);
}

#[test]
fn the_architecture_names_every_module() {
    clean(paper::architecture);
}

#[test]
fn the_changelog_keeps_its_shape() {
    clean(paper::changelog);
}

#[test]
fn no_machine_shows() {
    clean(paper::machine_paths);
}

#[test]
fn checklists_mirror_their_source() {
    clean(paper::checklists);
}

#[test]
fn the_task_index_points_at_files() {
    clean(paper::task_index);
}

#[test]
fn the_package_says_what_it_is() {
    clean(paper::package);
}

#[test]
fn the_graph_holds_no_c() {
    clean(paper::graph);
}

#[test]
fn a_tree_knows_files_and_directories() {
    let tree = Tree::of(&[("src/engine/queue.rs", ""), ("src/engine2.rs", "")]);
    let known =
        ["src", "src/engine", "src/engine/", "src/engine/queue.rs"].map(|path| tree.has(path));
    assert_eq!(known, [true; 4]);
    assert_eq!(
        ["src/eng", "src/engine2", "engine"].map(|path| tree.has(path)),
        [false; 3]
    );
}
