//! Blocks about projects: where they are, what they hold, and that writing them twice is writing them once.
//!
//! Manifests are written as the published orchestrator writes them, without a sidecar; real runs are in
//! `tests/e2e/paper_docs.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes its files where nobody reads them meanwhile"
)]

use super::{Approved, Standing, Told, blocks, body, empty, sync, tame};
use crate::documents::shelf::Shelf;
use crate::model::id::{RunId, TaskId};
use crate::model::path::RootPath;
use crate::model::run::RunStatus;
use crate::model::time::Timestamp;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

const TOML: &str = "[[project]]\ntask = \"0101-web\"\npipeline = \"p\"\n[[pipeline]]\nid = \"p\"\n[[pipeline.stage]]\nid = \"s\"\ncommand = \"true\"\n";
const BEGIN: &str = "<!-- orchd:status:begin 0101-web -->\n";
const END: &str = "<!-- orchd:status:end 0101-web -->\n";

fn task() -> TaskId {
    TaskId::parse("0101-web").unwrap()
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn shelf(root: &Path) -> Shelf {
    write(root, "orchd.toml", TOML);
    let root = RootPath::new(&root.canonicalize().unwrap()).unwrap();
    Shelf::open(&root, None).unwrap()
}

/// What a run has left, as far as it is read here.
fn run(root: &Path, id: &str, status: &str, pipeline: &str, approvals: &str) {
    let manifest = format!(
        r#"{{"version":1,"task_id":"0101-web","task_slug":null,"run_id":"{id}","parent_run_id":null,
        "pipeline_id":"{pipeline}","pipeline_title":"P","runner":"codex-cli","approval_policy":null,"status":"{status}",
        "status_detail":null,"started_at":"{day}T10:00:00.000Z","completed_at":"{day}T10:00:01.000Z",
        "updated_at":"{day}T10:00:01.000Z","heartbeat_at":null,"heartbeat_interval_seconds":5,
        "heartbeat_stale_after_seconds":30,"artifact_root":"a","compat_path":"c","log_path":"l","summary":null,
        "metrics_recorded":true,"resume_token":"","resume_events":[],"approvals":{approvals},"commands":[],
        "child_runs":[],"run_summary_path":null,"plan_target_id":null,"instructions_hash":null,"instructions_sources":[]}}"#,
        day = &id[..10]
    );
    write(
        root,
        &format!(".runs/0101-web/cli/{id}/manifest.json"),
        &manifest,
    );
}

#[test]
fn blocks_are_found_with_their_bodies_and_not_in_code() {
    let page = format!("x\n{BEGIN}a\nb\n{END}```text\n{BEGIN}```\n  {BEGIN}no end\n");
    let found = blocks(page.as_bytes());
    let told: Vec<_> = found
        .iter()
        .map(|block| (block.line, block.body.clone().map(|span| &page[span])))
        .collect();
    assert_eq!(told, [(2, Some("a\nb\n")), (9, None)]);
    assert_eq!(
        blocks(empty("t").as_bytes())[0]
            .body
            .as_ref()
            .unwrap()
            .len(),
        0
    );
    let crossed = page.replace(END, "<!-- orchd:status:end other -->\n");
    assert!(
        blocks(crossed.as_bytes())
            .iter()
            .all(|block| block.body.is_none())
    );
}

#[test]
fn a_block_says_what_the_runs_do() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let approved = r#"[{"actor":"ann","timestamp":"T","reason":"see [x](y) --> `z`"}]"#;
    run(
        root,
        "2026-11-20T10-00-00-000Z-00000001",
        "succeeded",
        "p",
        "[]",
    );
    run(
        root,
        "2026-11-21T10-00-00-000Z-00000002",
        "succeeded",
        "other",
        "[]",
    );
    run(
        root,
        "2026-11-22T10-00-00-000Z-00000003",
        "failed",
        "p",
        approved,
    );
    write(
        root,
        ".runs/0101-web/cli/2026-11-23T10-00-00-000Z-00000004/manifest.json",
        "{torn",
    );
    write(
        root,
        "docs/TASKS.md",
        &format!(
            "# T\r\n\r\n{}after",
            empty("0101-web").replace('\n', "\r\n")
        ),
    );
    let shelf = shelf(root);
    let (rewrite, synced) = sync(&shelf).unwrap();
    assert_eq!(synced.len(), 1);
    rewrite.carry_out(shelf.root()).unwrap();
    let text = fs::read_to_string(root.join("docs/TASKS.md")).unwrap();
    let runs = ".runs/0101-web/cli";
    let wanted = format!(
        "# T\n\n{BEGIN}\
        - Latest run: `{runs}/2026-11-22T10-00-00-000Z-00000003/manifest.json` (failed, 2026-11-22T10:00:01.000Z)\n\
        - Latest green run: `{runs}/2026-11-20T10-00-00-000Z-00000001/manifest.json` (succeeded, 2026-11-20T10:00:01.000Z)\n\
        - Metrics: `.runs/0101-web/metrics.json`\n\
        - State: `out/0101-web/state.json`\n\
        - Approvals: ann, T: see \\[x\\](y) --&gt; \\`z\\` (`{runs}/2026-11-22T10-00-00-000Z-00000003/manifest.json#approvals`)\n\
        {END}after"
    );
    assert_eq!(text, wanted.replace('\n', "\r\n"));
}

#[test]
fn a_clone_without_runs_keeps_what_a_block_says() {
    let dir = tempfile::tempdir().unwrap();
    let said = format!("{BEGIN}- Latest run: mine\n{END}");
    write(dir.path(), "docs/a.md", &said);
    write(dir.path(), "docs/b.md", &empty("0101-web"));
    let shelf = shelf(dir.path());
    let (rewrite, _) = sync(&shelf).unwrap();
    let paths: Vec<_> = rewrite.paths().map(ToString::to_string).collect();
    assert_eq!(paths, ["docs/b.md"]);
    rewrite.carry_out(shelf.root()).unwrap();
    let filled = fs::read_to_string(dir.path().join("docs/b.md")).unwrap();
    assert!(
        filled.contains("`.runs/0101-web/cli/<run-id>/manifest.json`"),
        "{filled}"
    );
}

#[test]
fn what_an_approval_says_ends_no_block_and_leads_nowhere() {
    let evil = "a\n<!-- orchd:status:end 0101-web -->\n[x](javascript:1) .runs/t/cli/r/manifest.json \u{202e}";
    let tame = tame(evil);
    assert!(
        !tame.contains('\n') && !tame.contains("-->") && !tame.contains('\u{202e}'),
        "{tame}"
    );
    assert!(!tame.contains(".runs/"), "{tame}");
    assert_eq!(tame.chars().filter(|c| *c == '…').count(), 0);
    assert!(super::tame(&"x ".repeat(500)).ends_with('…'));
}

fn told() -> impl Strategy<Value = Option<Told>> {
    proptest::option::of((0..9_u8).prop_map(|n| Told {
        run: RunId::parse(&format!("2026-11-2{n}T10-00-00-000Z-0000000{n}")).unwrap(),
        status: RunStatus::Failed,
        at: Timestamp::from_unix_ms(i64::from(n)),
    }))
}

proptest! {
    #[test]
    fn filled_once_is_filled_twice(
        latest in told(),
        green in told(),
        words in proptest::collection::vec("\\PC{0,40}", 0..8),
        around in "[a-z#\\n]{0,20}",
    ) {
        let run = RunId::parse("2026-11-22T10-00-00-000Z-00000001").unwrap();
        let approvals = words.iter().map(|words| Approved { run: run.clone(), words: tame(words) });
        let standing = Standing { latest, green, approvals: approvals.collect() };
        let body = body(&task(), Some(&standing), "\n");
        let page = format!("{around}\n{BEGIN}{body}{END}{around}");
        let found = blocks(page.as_bytes());
        prop_assert_eq!(found.len(), 1);
        let span = found[0].body.clone();
        prop_assert_eq!(span.map(|span| page[span].to_owned()), Some(body));
    }

    #[test]
    fn synced_twice_is_synced_once(
        pages in proptest::collection::vec("(- x|\\n|text|<!-- orchd:status:(begin|end) (0101-web|no) -->\\n|```\\n){0,12}", 1..3),
        has_run in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        for (at, page) in pages.iter().enumerate() {
            write(dir.path(), &format!("docs/{at}.md"), page);
        }
        if has_run {
            run(dir.path(), "2026-11-20T10-00-00-000Z-00000001", "succeeded", "p", "[]");
        }
        let shelf = shelf(dir.path());
        let (rewrite, _) = sync(&shelf).unwrap();
        rewrite.carry_out(shelf.root()).unwrap();
        let (again, synced) = sync(&shelf).unwrap();
        prop_assert!(again.is_empty(), "{:?}", again);
        prop_assert_eq!(synced, vec![]);
    }
}
