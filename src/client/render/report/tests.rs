//! The page and the Markdown of a small workspace with a run of every kind, kept whole in `tests/report/`.
//!
//! `UPDATE_REPORT=1 cargo test --lib render::report` writes them anew; `tests/report/browser.mjs` looks at the page.

#![expect(
    clippy::disallowed_methods,
    reason = "a test writes the files that it is held against, when it is told to"
)]

use super::*;
use crate::documents::reporting::tests::{HOSTILE, every_kind, many_hostile};
use crate::documents::reporting::{ChainHead, Integrity, Mismatch, read};
use crate::model::id::TaskId;
use std::path::Path;

const TASKS: [&str; 4] = ["0101-web", "0102-api", "0103-tools", "0104-docs"];

fn held_against(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/report")
        .join(name);
    if std::env::var_os("UPDATE_REPORT").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == made,
        "{name} is made otherwise now: look at what UPDATE_REPORT=1 writes, and keep it if it is right"
    );
}

#[test]
fn the_page_is_what_was_kept() {
    let (_dir, shelf) = every_kind();
    held_against("report.html", &page(&read(&shelf, None).unwrap()).unwrap());
}

#[test]
fn the_markdown_is_what_was_kept() {
    let (_dir, shelf) = every_kind();
    held_against("report.md", &markdown(&read(&shelf, None).unwrap()));
}

#[test]
fn the_same_evidence_makes_the_same_bytes_elsewhere_and_later() {
    let ((_a, one), (_b, other)) = (every_kind(), every_kind());
    let (one, other) = (read(&one, None).unwrap(), read(&other, None).unwrap());
    assert_eq!(page(&one).unwrap(), page(&other).unwrap());
    assert_eq!(markdown(&one), markdown(&other));
}

/// What begins with this in a page, up to the next of these characters.
fn after<'t>(text: &'t str, start: &'t str, end: &'t [char]) -> Vec<&'t str> {
    let parts = text.split(start).skip(1);
    parts.filter_map(|part| part.split(end).next()).collect()
}

#[test]
fn the_page_asks_for_nothing_and_runs_nothing() {
    for (_dir, shelf) in [every_kind(), many_hostile(&TASKS)] {
        let page = page(&read(&shelf, None).unwrap()).unwrap();
        let policy = after(&page, "Content-Security-Policy\" content=\"", &['"']);
        let [policy] = policy.as_slice() else {
            panic!("{policy:?}")
        };
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("script-src"),
            "{policy}"
        );
        for link in after(&page, "href=\"", &['"']) {
            assert!(link.starts_with('#'), "{link}");
        }
        for tag in ["src=\"", " on", "style=\"", "url(", "@import"] {
            let found = page.split('<').filter(|part| {
                let inside = part.split('>').next().unwrap_or_default();
                inside.contains(tag)
            });
            assert_eq!(found.collect::<Vec<_>>(), [""; 0], "{tag}");
        }
        let scripts = after(&page, "<script", &['>']);
        assert_eq!(scripts, [" type=\"application/json\" id=\"data\""]);
        assert_eq!(page.matches("<style>").count(), 1);
        assert_eq!(page.matches("<img").count(), 0);
    }
}

#[test]
fn every_link_leads_to_one_place() {
    for (_dir, shelf) in [every_kind(), many_hostile(&TASKS)] {
        let page = page(&read(&shelf, None).unwrap()).unwrap();
        let mut ids = after(&page, " id=\"", &['"']);
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id stands twice");
        for link in after(&page, "href=\"#", &['"']) {
            assert!(ids.binary_search(&link).is_ok(), "{link}");
        }
    }
}

#[test]
fn what_a_log_says_stays_text() {
    let (_dir, shelf) = every_kind();
    let report = read(&shelf, None).unwrap();
    let page = page(&report).unwrap();
    let inside =
        "error: &#60;/script&#62;&#60;img src=x onerror=alert(1)&#62; \\u{202e}\\xff @everyone\n";
    assert!(page.contains(inside), "{page}");
    assert!(page.contains("&#38;amp;\\u{0}\\u{7}"), "{page}");
    let odd = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    let markdown = markdown(&report);
    assert!(!page.contains(odd) && !markdown.contains(odd));
    assert!(HOSTILE.starts_with(b"\x1b[31merror"));
    assert!(
        markdown.contains("\n````text\nerror: </script>"),
        "{markdown}"
    );
    assert!(markdown.contains("\n````\n\nFrom line 1"), "{markdown}");
}

#[test]
fn what_is_not_as_recorded_stands_with_its_project() {
    let (_dir, shelf) = every_kind();
    let mut report = read(&shelf, None).unwrap();
    let finding = Mismatch {
        run_id: report.projects[0].newest.clone(),
        kind: "changed",
        path: ".runs/<b>".to_owned(),
        message: "it is another".to_owned(),
    };
    report.projects[0].integrity = Some(Integrity {
        runs: 9,
        head: Some(ChainHead {
            number: 12,
            sha256: "ab".repeat(32),
        }),
        findings: vec![finding; 30],
    });
    let page = page(&report).unwrap();
    assert!(
        page.contains("<small>link 12 of the chain, abababababab</small>"),
        "{page}"
    );
    assert_eq!(page.matches(".runs/&#60;b&#62;").count(), 20);
    assert!(
        page.contains("10 more: `orchctl evidence verify`"),
        "{page}"
    );
}

#[test]
fn the_data_in_the_page_is_data() {
    let (_dir, shelf) = every_kind();
    let page = page(&read(&shelf, None).unwrap()).unwrap();
    let data = page.split("id=\"data\">").nth(1).unwrap();
    let data = data.split("</script>").next().unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["projects"][0]["verdict"], "fail");
    assert_eq!(
        unbreakable("\"</script>\u{2028}𝒳\""),
        r#""\u003c/script\u003e\u2028\ud835\udcb3""#
    );
}

#[test]
fn two_hundred_runs_with_hostile_logs_fit_into_300_kilobytes() {
    let (_one, alone) = many_hostile(&["0101-web"]);
    let (_all, among) = many_hostile(&TASKS);
    let task = TaskId::parse("0101-web").unwrap();
    for report in [read(&alone, Some(&task)), read(&among, None)] {
        let report = report.unwrap();
        let page = page(&report).unwrap();
        assert!(page.len() < 300_000, "{}", page.len());
        let full = page.matches("<details").count();
        assert!(full > 8, "some are told in full: {full}");
        assert!(markdown(&report).len() < 65_536, "a comment has no more");
        let shown = report.projects.iter().map(|it| it.runs.len());
        assert_eq!(shown.sum::<usize>(), 200);
    }
}
