//! Planted violations for the rules of `paper`, each found, and their lawful neighbours, not found.

use super::*;

#[test]
fn a_path_that_does_not_exist_is_found() {
    let text = "`src/gone.rs` `src/engine.rs` `docs/` `src/**` `tests/<name>`\n```\n`src/fenced.rs`\n```\n`scripts/no.sh`";
    let tree = Tree::of(&[
        ("docs/a.md", text),
        ("src/engine.rs", ""),
        ("CHANGELOG.md", "`src/old.rs`"),
    ]);
    let found = [
        "docs/a.md:1: `src/gone.rs` does not exist",
        "docs/a.md:5: `scripts/no.sh` does not exist",
    ];
    assert_eq!(names_exist(&tree), found);
}

#[test]
fn a_module_that_does_not_exist_is_found() {
    let text = "`engine::queue` `orch::engine::Engine::step` `engine::gone` `daemon/runner` `model/gone` `std::fs` `either/or`";
    let tree = Tree::of(&[
        ("README.md", text),
        ("src/engine.rs", "pub struct Engine;"),
        ("src/engine/queue.rs", ""),
        ("src/daemon/runner.rs", ""),
    ]);
    let found = [
        "README.md:1: `engine::gone` does not exist",
        "README.md:1: `model/gone` does not exist",
    ];
    assert_eq!(names_exist(&tree), found);
}

#[test]
fn a_broken_link_is_found() {
    let text = "[a](../README.md) [b](b.md#part) [c](https://c.invalid) [d](#here) [e](../gone.md)";
    let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("README.md", "")]);
    assert_eq!(
        links_exist(&tree),
        ["docs/a.md:1: the link to ../gone.md leads nowhere"]
    );
}

#[test]
fn an_unmapped_module_is_found() {
    let tree = Tree::of(&[
        ("docs/ARCHITECTURE.md", "`engine/queue`, enginery"),
        ("src/lib.rs", ""),
        ("src/engine.rs", ""),
        ("src/engine/queue.rs", ""),
        ("src/engine/queue/deep.rs", ""),
        ("src/wire.rs", ""),
    ]);
    assert_eq!(
        architecture(&tree),
        ["docs/ARCHITECTURE.md: says nothing of src/wire.rs"]
    );
    assert_eq!(architecture(&Tree::default()).len(), 1);
}

#[test]
fn a_changelog_out_of_shape_is_found() {
    let good = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- x\n\n## [0.1.0] - 2026-11-22\n\n### Fixed\n- y\n";
    let bad = [
        good.replace("# Changelog\n\n", "# Changes\n\n"),
        good.replace("## [Unreleased]", "## [0.2.0] - 2026-12-01"),
        good.replace("## [0.1.0] - 2026-11-22", "## 0.1.0"),
        good.replace("2026-11-22", "2026-1-2"),
        good.replace("### Added", "### News"),
        good.replace("- x\n", ""),
        good.replace("- y\n", ""),
        "# Changelog\n".to_owned(),
    ];
    assert_eq!(changelog(&Tree::of(&[("CHANGELOG.md", good)])), [""; 0]);
    for text in bad {
        let found = changelog(&Tree::of(&[("CHANGELOG.md", &text)]));
        assert_eq!(found.len(), 1, "{found:?} in\n{text}");
    }
}

#[test]
fn a_path_of_a_machine_is_found() {
    let own = ["/wo", "rk/"].concat();
    let home = ["/ho", "me/"].concat();
    let text = format!("cd {own}x\n~{home}x packages{own} $ROOT{own}\n\"{home}\"");
    let found = machine_paths(&Tree::of(&[("a.sh", &text)]));
    let expected = [(1, own), (3, home)]
        .map(|(at, place)| format!("a.sh:{at}: {place} is a path of one machine"));
    assert_eq!(found, expected);
}

#[test]
fn a_checklist_that_disagrees_is_found() {
    let source = "## Checklist\n- [ ] one\n- [ ] two\n";
    let docs =
        |items: &str| format!("<!-- docs-sync:begin 1-a -->\n{items}<!-- docs-sync:end 1-a -->\n");
    let found = |mirror: &str, block: &str| {
        checklists(&Tree::of(&[
            ("tasks/1-a.md", source),
            (".agent/task/1-a.md", mirror),
            ("docs/TASKS.md", block),
        ]))
    };
    assert_eq!(found(source, &docs(source)), [""; 0]);
    assert_eq!(
        found("- [x] one\n- [ ] two\n", &docs(source)),
        [".agent/task/1-a.md: `- [x] one`, but tasks/1-a.md has `- [ ] one`"]
    );
    assert_eq!(
        found(source, &docs("- [ ] one\n")),
        ["docs/TASKS.md, block 1-a: 1 items, but tasks/1-a.md has 2"]
    );
    assert_eq!(
        found(source, source).len(),
        1,
        "a block without its markers is no mirror"
    );
    assert_eq!(
        checklists(&Tree::of(&[("tasks/1-a.md", "text")])),
        ["tasks/1-a.md: a task without a checklist"]
    );
}

#[test]
fn an_index_that_lies_is_found() {
    let index = r#"{"items": [{"id": "a", "path": "tasks/a.md"}], "specs": [{"path": "tasks/specs/gone.md"}]}"#;
    let tree = Tree::of(&[
        ("tasks/index.json", index),
        ("tasks/a.md", ""),
        ("tasks/b.md", ""),
        ("tasks/specs/c.md", ""),
        ("tasks/research/d.md", ""),
    ]);
    let found = [
        "tasks/index.json: specs: no file `tasks/specs/gone.md`",
        "tasks/index.json: says nothing of tasks/b.md",
        "tasks/index.json: says nothing of tasks/specs/c.md",
    ];
    assert_eq!(task_index(&tree), found);
    assert_eq!(task_index(&Tree::of(&[("tasks/index.json", "{")])).len(), 1);
}

#[test]
fn a_package_that_drifts_is_found() {
    let cargo = "[package]\nedition = \"2024\"\nrust-version = \"1.95\"\n[lints.rust]\nunsafe_code = \"deny\"\n";
    let found = |cargo: &str, width: &str, readme: &str| {
        let texts = [("LICENSE-MIT", ""), ("LICENSE-APACHE", "")];
        let named = [
            ("Cargo.toml", cargo),
            ("rustfmt.toml", width),
            ("README.md", readme),
        ];
        package(&Tree::of(&[texts.as_slice(), &named].concat()))
    };
    let (width, readme) = ("max_width = 100\n", "needs Rust 1.95");
    assert_eq!(found(cargo, width, readme), [""; 0]);
    assert_eq!(
        found(&cargo.replace("2024", "2021"), width, readme),
        ["Cargo.toml: the edition is 2024"]
    );
    assert_eq!(
        found(&cargo.replace("1.95", "1.96"), width, readme),
        ["README.md: names `Rust 1.96`, as Cargo.toml"]
    );
    assert_eq!(found(cargo, "max_width = 120\n", readme).len(), 1);
    assert_eq!(package(&Tree::default()).len(), 5);
}

#[test]
fn c_in_the_graph_is_found() {
    let lock = "[[package]]\nname = \"cc\"\n[[package]]\nname = \"tinycc\"\n[[package]]\nname = \"zstd-src\"\n";
    let found = [
        "Cargo.lock: `cc` brings C into the graph",
        "Cargo.lock: `zstd-src` brings C into the graph",
    ];
    assert_eq!(graph(&Tree::of(&[("Cargo.lock", lock)])), found);
    assert_eq!(graph(&Tree::default()), ["Cargo.lock: names no package"]);
    let files = [
        ("Cargo.lock", "name = \"a\"\n"),
        ("tests/b/Cargo.lock", "name = \"ring\"\n"),
    ];
    let found = ["tests/b/Cargo.lock: `ring` brings C into the graph"];
    assert_eq!(graph(&Tree::of(&files)), found);
}
