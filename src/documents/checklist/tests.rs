//! Every form of the grammar, and that nothing is lost whatever a file holds.
//!
//! The properties are run on files made of pieces of the grammar, so that most of them are nearly, or really, lists.

use super::edit::{apply, flip, unflip};
use super::parse::{Checklist, Form, Item};
use proptest::prelude::*;

const RUN: &str = ".runs/0101-web/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json";

fn items(text: &str) -> Vec<Item> {
    Checklist::parse(text.as_bytes()).items
}

fn only(text: &str) -> Item {
    let mut found = items(text);
    assert_eq!(found.len(), 1, "{text}: {found:#?}");
    found.remove(0)
}

fn paths(item: &Item) -> Vec<String> {
    let cited = item.evidence.iter();
    cited.map(|cited| cited.token.path.clone()).collect()
}

fn flipped(text: &str, index: usize) -> String {
    let item = items(text).remove(index);
    String::from_utf8(apply(text.as_bytes(), flip(text.as_bytes(), &item, RUN))).unwrap()
}

#[test]
fn an_item_is_a_bullet_a_marker_and_a_text() {
    let told = [
        ("- [ ] one", Some(false)),
        ("* [x] one", Some(true)),
        ("+ [X] one", Some(true)),
        ("12. [ ] one", Some(false)),
        ("3) [x] one", Some(true)),
        ("  -   [ ]   one", Some(false)),
        ("\t- [ ] one", Some(false)),
        ("- [ ] 一つ", Some(false)),
        ("- [  ] one", None),
        ("- [y] one", None),
        ("-[ ] one", None),
        ("- [ ]one", None),
        ("- [ ]", None),
        ("- `[ ]` one", None),
        ("[ ] one", None),
        ("> - [ ] one", None),
        ("# [ ] one", None),
        ("- flip `[ ]` to `[x]`", None),
        ("1- [ ] one", None),
    ];
    for (text, checked) in told {
        let found = items(text);
        assert_eq!(found.first().map(|item| item.checked), checked, "{text}");
        if checked.is_some() {
            assert_eq!(found[0].form, Form::Leading, "{text}");
        }
    }
    assert_eq!(
        only("- [ ] **Bold** and [x](y) <!-- orchd:item k -->").title,
        "**Bold** and [x](y)"
    );
    assert_eq!(only("- [ ] **All of it**").title, "All of it");
}

#[test]
fn a_status_belongs_to_the_entry_around_it() {
    let text = "## M1\n\n1. **Set up**\n   - Files: a\n   - Acceptance: it works\n   - Status: [ ]\n2. Wire\n   - Subtask 1: First one\n     - Acceptance: green; Evidence: `.runs/<task-id>/cli/<run-id>/manifest.json`\n     - [x] Status: `out/0101/state.json`\n   - Subtask: Second\n     - [ ] Status: Pending\n";
    let found = items(text);
    let told: Vec<_> = found
        .iter()
        .map(|item| {
            (
                item.form,
                item.title.as_str(),
                item.group.as_deref(),
                item.checked,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Form::Status, "Set up", None, false),
            (Form::Subtask, "First one", Some("Wire"), true),
            (Form::Subtask, "Second", Some("Wire"), false),
        ]
    );
    assert!(
        found
            .iter()
            .all(|item| item.section.as_deref() == Some("M1"))
    );
    assert_eq!(found[0].acceptance.as_deref(), Some("it works"));
    assert_eq!(found[1].acceptance.as_deref(), Some("green"));
    let cited = paths(&found[1]);
    assert_eq!(cited.len(), 2);
    assert!(cited.contains(&"out/0101/state.json".to_owned()));
    assert!(
        found[1]
            .evidence
            .iter()
            .any(|cited| cited.token.is_placeholder())
    );
    assert_eq!(found[2].line, 12);
}

#[test]
fn a_row_names_its_section() {
    let item = only("- Docs — `[x]` refreshed; Evidence: `.runs/a/cli/b/manifest.json#summary`.");
    assert_eq!(
        (item.form, item.group.as_deref()),
        (Form::Row, Some("Docs"))
    );
    assert_eq!(item.title, "refreshed");
    let token = &item.evidence[0].token;
    assert_eq!(token.path, ".runs/a/cli/b/manifest.json");
    assert_eq!(token.fragment.as_deref(), Some("summary"));
    assert_eq!(items("- Docs - `[x]` refreshed"), []);
}

#[test]
fn what_is_no_list_of_somebodys_is_left_out() {
    let told = [
        "```\n- [ ] code\n```\n- [ ] one",
        "~~~~ md\n- [ ] code\n~~~\n- [ ] code\n~~~~\n- [ ] one",
        "- a\n  ```\n  - [ ] code\n- [ ] one",
        "<!--\n- [ ] gone\n-->\n- [ ] one",
        "---\n- [ ] front: matter\n---\n- [ ] one",
        "## Checklist Convention\n- [ ] how\n### More\n- [ ] of it\n## Checklist\n- [ ] one",
        "\u{feff}# Title\r\n\r\n- [ ] one\r\n",
        "> - [ ] said\n\n- [ ] one",
    ];
    for text in told {
        assert_eq!(only(text).title, "one", "{text}");
    }
}

#[test]
fn what_counts_as_evidence_is_named_by_the_item_or_its_proving_details() {
    let told: [(&str, &[&str]); 9] = [
        (
            "- [x] a. Evidence: `.runs/t/cli/r/manifest.json`.",
            &[".runs/t/cli/r/manifest.json"],
        ),
        (
            "- [x] a (.runs/t/cli/r/manifest.json)",
            &[".runs/t/cli/r/manifest.json"],
        ),
        (
            "- [x] [a](../.runs/t/cli/r/manifest.json)",
            &[".runs/t/cli/r/manifest.json"],
        ),
        (
            "- [x] a\n  - Evidence: out/t/state.json",
            &["out/t/state.json"],
        ),
        (
            "- [x] a\n  - **Evidence:** out/t/state.json",
            &["out/t/state.json"],
        ),
        (
            "- [x] a\n  - Files: `.runs/t/x`\n  - Commands: cat out/t/y",
            &[],
        ),
        ("- [x] layout/a/b and src/out/x", &[]),
        (
            "- [x] a\n  - Acceptance: `.runs/t/a`\n  - Evidence: `.runs/t/b`",
            &[".runs/t/b"],
        ),
        ("- [x] a; Acceptance: `.runs/t/a`", &[".runs/t/a"]),
    ];
    for (text, wanted) in told {
        assert_eq!(paths(&only(text)), wanted, "{text}");
    }
}

#[test]
fn a_comment_names_an_item() {
    let item = only("- [ ] Build <!-- orchd:item build pipeline=diagnostics -->");
    assert_eq!(item.key.as_deref(), Some("build"));
    assert_eq!(item.pipeline.as_deref(), Some("diagnostics"));
    assert_eq!(only("- [ ] Build <!-- orchd:itembuild -->").key, None);
}

#[test]
fn blocks_that_are_made_again_are_told() {
    let text = "<!-- docs-sync:begin 0101 -->\n- [ ] one\n<!-- docs-sync:end 0101 -->\n- [ ] two\n<!-- docs-sync:begin 0102 -->\n";
    let found = Checklist::parse(text.as_bytes());
    let inside: Vec<_> = found
        .items
        .iter()
        .map(|item| item.block.as_deref())
        .collect();
    assert_eq!(inside, [Some("0101"), None]);
    let body = found.blocks[0].body.clone().unwrap();
    assert_eq!(&text[body], "- [ ] one\n");
    assert_eq!(found.blocks[1].body, None);
}

#[test]
fn a_tick_changes_one_byte_and_adds_the_evidence() {
    let told = [
        (
            "- [ ] one\r\nrest",
            0,
            format!("- [x] one; Evidence: `{RUN}`\r\nrest"),
        ),
        ("- [ ] One.  ", 0, format!("- [x] One. Evidence: `{RUN}`  ")),
        (
            "- [ ] one <!-- orchd:item a -->",
            0,
            format!("- [x] one; Evidence: `{RUN}` <!-- orchd:item a -->"),
        ),
        (
            "- Docs — `[ ]` one",
            0,
            format!("- Docs — `[x]` one; Evidence: `{RUN}`"),
        ),
        (
            "1. T\n   - Status: [ ]",
            0,
            format!("1. T\n   - Status: [x] `{RUN}` <!-- orchd:was + -->"),
        ),
        (
            "1. T\n   - Status: [ ] Pending",
            0,
            format!("1. T\n   - Status: [x] `{RUN}` <!-- orchd:was =Pending -->"),
        ),
        (
            "- Subtask: T\n  - [ ] Status: Pending",
            0,
            format!("- Subtask: T\n  - [x] Status: `{RUN}`"),
        ),
        (
            "- Subtask: T\n  - [ ] Status: pending - later",
            0,
            format!("- Subtask: T\n  - [x] Status: `{RUN}` <!-- orchd:was =pending %2d later -->"),
        ),
        (
            "- Subtask: T\n  - [ ] Status: 待定",
            0,
            format!("- Subtask: T\n  - [x] Status: 待定; Evidence: `{RUN}`"),
        ),
    ];
    for (text, index, wanted) in told {
        let after = flipped(text, index);
        assert_eq!(after, wanted);
        let item = items(&after).remove(index);
        assert!(item.checked);
        assert_eq!(paths(&item), [RUN]);
        assert_eq!(
            apply(after.as_bytes(), unflip(after.as_bytes(), &item)),
            text.as_bytes()
        );
    }
}

/// Lines that are nearly, or really, something of the grammar.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(&b"- "[..]),
        Just(&b"1. "[..]),
        Just(&b"[ ] "[..]),
        Just(&b"[x] "[..]),
        Just(&b"Status: "[..]),
        Just(&b"Subtask 2: "[..]),
        Just(&b"Pending"[..]),
        Just(&b"Evidence: "[..]),
        Just(&b"Acceptance: "[..]),
        Just(&b"`.runs/a/cli/b/manifest.json`"[..]),
        Just(&b"; "[..]),
        Just(&b"."[..]),
        Just(&b"  "[..]),
        Just(&b"\t"[..]),
        Just(&b"```"[..]),
        Just(&b"<!-- "[..]),
        Just(&b" -->"[..]),
        Just(&b"# "[..]),
        Just(&b"> "[..]),
        Just("Docs — `[ ]` ".as_bytes()),
        Just(&b"<!-- orchd:item k -->"[..]),
        Just(&b"<!-- orchd:was =x -->"[..]),
        Just(&b"**"[..]),
        Just(&b"`"[..]),
        Just(&b"\xff\xfe"[..]),
        Just(&b"word"[..]),
        Just(&b"\r"[..]),
        Just(&b"docs-sync:begin k -->"[..]),
    ];
    proptest::collection::vec(part, 0..9).prop_map(|parts| parts.concat())
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![Just(&b"\n"[..]), Just(&b"\r\n"[..])];
    let lines = proptest::collection::vec((line(), end), 0..12);
    lines.prop_map(|lines| {
        lines
            .into_iter()
            .flat_map(|(line, end)| [line, end.to_vec()].concat())
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_file_fails_to_parse(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for item in Checklist::parse(&bytes).items {
            prop_assert!(matches!(bytes[item.mark], b' ' | b'x' | b'X'));
        }
    }

    #[test]
    fn without_a_change_a_file_is_as_it_was(bytes in file()) {
        prop_assert_eq!(apply(&bytes, Vec::new()), bytes);
    }

    #[test]
    fn a_tick_that_is_taken_back_leaves_the_file_as_it_was(bytes in file()) {
        let before = Checklist::parse(&bytes).items;
        for (index, item) in before.iter().enumerate().filter(|(_, item)| !item.checked) {
            let after = apply(&bytes, flip(&bytes, item, RUN));
            let all = Checklist::parse(&after).items;
            prop_assert_eq!(all.len(), before.len());
            prop_assert!(all[index].checked);
            prop_assert!(paths(&all[index]).iter().any(|path| path == RUN), "{}", String::from_utf8_lossy(&after));
            let again = apply(&after, unflip(&after, &all[index]));
            prop_assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&bytes));
        }
    }
}
