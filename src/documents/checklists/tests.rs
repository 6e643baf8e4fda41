//! Mirrors follow their source once and for all, whatever the files hold.
//!
//! The files are made of pieces of the grammar with few titles, so that items of source and mirror find each other.

use super::*;
use proptest::prelude::*;

const SOURCE: &str = "tasks/tasks-t-web.md";
const MIRROR: &str = ".agent/task/t-web.md";
const ALL: &str = "docs/TASKS.md";
const RUN: &str = ".runs/t/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json";

fn task() -> TaskId {
    TaskId::parse("t").unwrap()
}

fn book(files: &[Vec<u8>; 3]) -> Book {
    let [source, mirror, all] = files;
    Book::of(
        &task(),
        &[
            (SOURCE, Part::Source, source),
            (MIRROR, Part::Mirror, mirror),
            (ALL, Part::AllTasks, all),
        ],
    )
}

/// The files after a change.
fn after(files: &[Vec<u8>; 3], rewrite: &Rewrite) -> [Vec<u8>; 3] {
    let mut index = 0;
    files.clone().map(|bytes| {
        let path = RelPath::parse([SOURCE, MIRROR, ALL][index]).unwrap();
        index += 1;
        rewrite.after(&path).map_or(bytes, <[u8]>::to_vec)
    })
}

fn synced(files: &[Vec<u8>; 3]) -> [Vec<u8>; 3] {
    after(files, &sync(&book(files), &Narrowed::default()).0)
}

fn line() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("- [ ] One\n"),
        Just("- [x] one.\r\n"),
        Just("- [ ] Two; Acceptance: green\n"),
        Just("- [x] Two; Evidence: `.runs/t/cli/a/manifest.json`\n"),
        Just("  - Evidence: `.runs/t/cli/b/manifest.json#summary`\n"),
        Just("- [x] Three <!-- orchd:item three -->\n"),
        Just("- [ ] Drei <!-- orchd:item three -->\n"),
        Just("- [x] **One** `.runs/<task-id>/cli/x/manifest.json`\n"),
        Just("1. Build\n"),
        Just("   - Subtask: One\n"),
        Just("     - [ ] Status: Pending\n"),
        Just("     - [x] Status: `.runs/t/cli/c/manifest.json`\n"),
        Just("   - Status: [ ]\n"),
        Just("- Docs — `[ ]` all\n"),
        Just("- Build — `[x]` all\n"),
        Just("## t Docs\n"),
        Just("### Docs\n"),
        Just("```\n"),
        Just("\n"),
        Just("<!-- docs-sync:begin t -->\n"),
        Just("<!-- docs-sync:end t -->\n"),
    ]
}

fn files() -> impl Strategy<Value = [Vec<u8>; 3]> {
    let file = || proptest::collection::vec(line(), 0..10);
    let file = move || file().prop_map(|lines| lines.concat().into_bytes());
    [file(), file(), file()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn synced_twice_is_synced_once(files in files()) {
        let once = synced(&files);
        let twice = synced(&once);
        let text = |files: &[Vec<u8>; 3]| files.clone().map(|bytes| String::from_utf8(bytes).unwrap());
        prop_assert_eq!(text(&twice), text(&once));
        prop_assert_eq!(&once[0], &files[0], "a source follows nobody");
        let left = out_of_sync(&book(&once), &task(), &Narrowed::default());
        let left: Vec<_> = left.into_iter().filter(|it| !it.message.contains("has no end")).collect();
        prop_assert_eq!(left, vec![]);
    }

    #[test]
    fn a_tick_that_is_taken_back_leaves_source_and_mirrors_as_they_were(files in files()) {
        let files = synced(&files);
        let first = book(&files);
        let Some(page) = first.source(&task()) else {
            return Ok(());
        };
        let open = page.checklist.items.iter().position(|item| !item.checked && item.block.is_none());
        let Some(open) = open else {
            return Ok(());
        };
        let item = &page.checklist.items[open];
        let ticked = edit::apply(&page.bytes, edit::flip(&page.bytes, item, RUN));
        let there = after(&files, &follow(&first, &task(), page, ticked).0);
        let second = book(&there);
        let left = out_of_sync(&second, &task(), &Narrowed::default());
        let left: Vec<_> = left.into_iter().filter(|it| !it.message.contains("has no end")).collect();
        prop_assert_eq!(left, vec![]);
        let page = second.source(&task()).unwrap();
        let opened = edit::apply(&page.bytes, edit::unflip(&page.bytes, &page.checklist.items[open]));
        let back = after(&there, &follow(&second, &task(), page, opened).0);
        let text = |files: &[Vec<u8>; 3]| files.clone().map(|bytes| String::from_utf8(bytes).unwrap());
        prop_assert_eq!(text(&back), text(&files));
    }
}
