//! Checks of pages, on real directories.
//!
//! Each begins with pages that have no finding and changes what it is about, so that nothing else is told.
//! What a link's text means is tested beside `links`.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes its files where nobody reads them meanwhile"
)]

use super::{PageKind, check};
use crate::documents::shelf::Shelf;
use crate::documents::task_index;
use crate::model::id::TaskId;
use crate::model::path::RootPath;
use std::fs;
use std::path::Path;

const TOML: &str = "[[project]]\ntask = \"0101-web\"\n[[pipeline]]\nid = \"diagnostics\"\n[[pipeline.stage]]\nid = \"s\"\ncommand = \"true\"\n";
const POINTER: &str = "`.runs/0101-web/cli/<run-id>/manifest.json`\n";

fn found(files: &[(&str, &str)]) -> Vec<(String, usize, PageKind)> {
    let dir = tempfile::tempdir().unwrap();
    let pointing = [".agent/AGENTS.md", "docs/TASKS.md", ".agent/SOPs/a.md"];
    let pointing = pointing.iter().map(|file| (*file, POINTER));
    let all = [("orchd.toml", TOML)].into_iter().chain(pointing);
    for (path, text) in all.chain(files.iter().copied()) {
        write(dir.path(), path, text);
    }
    let root = RootPath::new(&dir.path().canonicalize().unwrap()).unwrap();
    let shelf = Shelf::open(&root, None).unwrap();
    let projects = [TaskId::parse("0101-web").unwrap()];
    let entries = task_index::read(&shelf).unwrap();
    let checked = check(&shelf, &entries, &projects).unwrap();
    let findings = checked.findings.into_iter();
    findings
        .map(|finding| (finding.file, finding.line, finding.kind))
        .collect()
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn at(file: &str, line: usize, kind: PageKind) -> (String, usize, PageKind) {
    (file.to_owned(), line, kind)
}

#[test]
fn pages_that_lead_where_they_say_have_no_finding() {
    let page = "[a](../README.md#x) [b][c] `x.md` [e](https://a.b)\n\n```\n[n](no.md)\n```\n\n[c]: ../tasks/\n";
    let clean = [
        ("README.md", "[d](docs/a.md)\n"),
        ("docs/a.md", page),
        ("tasks/x.md", "x\n"),
    ];
    assert_eq!(found(&clean), []);
}

#[test]
fn links_and_references_that_lead_nowhere_are_found() {
    let page = "x\n[a](no.md)\n[b][no]\n![c](../../out.png)\n";
    assert_eq!(
        found(&[("docs/a.md", page)]),
        [
            at("docs/a.md", 2, PageKind::DanglingLink),
            at("docs/a.md", 3, PageKind::UndefinedReference),
            at("docs/a.md", 4, PageKind::DanglingLink),
        ]
    );
}

#[test]
fn fragments_of_templates_are_found_in_pages_of_tasks_alone() {
    let text = "<task-id> `<run-id>`\n<what> <other>\n";
    let files = [
        ("tasks/0101-web.md", text),
        ("docs/PRD-0101-web.md", "<Title>\n"),
        ("docs/guide.md", text),
        (
            ".agent/task/templates/tasks.md",
            "<task-id> <what> [x](no.md)\n",
        ),
    ];
    assert_eq!(
        found(&files),
        [
            at("docs/PRD-0101-web.md", 1, PageKind::Unfilled),
            at("tasks/0101-web.md", 1, PageKind::Unfilled),
            at("tasks/0101-web.md", 2, PageKind::TemplateText),
        ]
    );
    assert!(!PageKind::TemplateText.is_fault());
}

#[test]
fn manifests_that_are_not_there_are_found_where_there_are_runs() {
    let named = ".runs/0101-web/cli/2026-11-20T10-00-00-000Z-00000001/manifest.json";
    let page = format!("x\n`{named}`, `.runs/0101-web/metrics.json`\n\n```\n{named}\n```\n");
    let files = [("docs/a.md", &*page)];
    assert_eq!(found(&files), [at("docs/a.md", 2, PageKind::Unverifiable)]);
    assert!(!PageKind::Unverifiable.is_fault());
    let other = (".runs/0101-web/cli/x/manifest.json", "{}");
    assert_eq!(
        found(&[files[0], other]),
        [at("docs/a.md", 2, PageKind::MissingManifest)]
    );
    assert_eq!(
        found(&[files[0], (named, "{torn")]),
        [at("docs/a.md", 2, PageKind::UnreadableManifest)]
    );
    let linked = format!("[r](../{named})\n");
    assert_eq!(
        found(&[("docs/a.md", &linked), other]),
        [at("docs/a.md", 1, PageKind::MissingManifest)]
    );
}

#[test]
fn pages_that_leave_a_project_out_are_found() {
    let without = [
        (".agent/AGENTS.md", "x\n"),
        ("docs/TASKS.md", "`.runs/0101-webby/`\n"),
        (".agent/SOPs/a.md", "`.runs/<task-id>/cli/`\n"),
    ];
    assert_eq!(
        found(&without),
        [
            at(".agent/AGENTS.md", 1, PageKind::MissingPointer),
            at("docs/TASKS.md", 1, PageKind::MissingPointer),
        ]
    );
    assert_eq!(
        found(&[(".agent/SOPs/a.md", "x\n")]),
        [at(".agent/SOPs", 1, PageKind::MissingPointer)]
    );
}

#[test]
fn blocks_without_an_end_or_of_nobody_are_found() {
    let page = "<!-- orchd:status:begin 0101-web -->\n<!-- orchd:status:begin no -->\n<!-- orchd:status:end no -->\n";
    assert_eq!(
        found(&[("docs/a.md", page)]),
        [
            at("docs/a.md", 1, PageKind::BrokenBlock),
            at("docs/a.md", 2, PageKind::BrokenBlock),
        ]
    );
}

#[test]
fn a_page_that_is_no_text_is_read_and_one_that_is_too_large_is_told() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "orchd.toml", TOML);
    fs::write(dir.path().join("a.md"), b"\xff\n[a](no.md)\n").unwrap();
    let large = fs::File::create(dir.path().join("b.md")).unwrap();
    large
        .set_len(crate::limits::documents::DOCUMENT_BYTES_MAX + 1)
        .unwrap();
    let root = RootPath::new(&dir.path().canonicalize().unwrap()).unwrap();
    let shelf = Shelf::open(&root, None).unwrap();
    let findings = check(&shelf, &[], &[]).unwrap().findings.into_iter();
    let told: Vec<_> = findings.map(|it| (it.file, it.line, it.kind)).collect();
    assert_eq!(
        told,
        [
            at("a.md", 2, PageKind::DanglingLink),
            at("b.md", 1, PageKind::Unreadable),
        ]
    );
}
