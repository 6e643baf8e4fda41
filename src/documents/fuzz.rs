//! The checklist parser under files that nobody would write: mutations of real ones, with the words of the grammar.
//!
//! Deterministic: `FUZZ_SEED` and `FUZZ_ROUNDS` have it take another way, or a longer one; a failure names both of the round.
//! What has to hold of any bytes: nothing panics, spans lie within the file and between characters, nothing changes without a
//! change, a tick that is taken back was never there, and mirrors that follow twice follow once. And the time goes with the
//! length of a file, whatever it repeats: that is measured in the time of this thread alone, so that a busy machine shows
//! nothing else.

use super::book::{Book, Part};
use super::checklist::edit::{apply, flip, unflip};
use super::checklist::{Checklist, Item};
use super::checklists::{self, Narrowed};
use crate::model::id::TaskId;
use crate::model::path::RelPath;
use rustix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::time::Duration;

const ROUNDS: u64 = 2_500;
/// Bytes of a file that is made: more finds no more, and takes longer.
const FILE_BYTES: usize = 3_000;
/// Items of a file that are ticked, one after the other.
const TICKED: usize = 4;
const RUN: &str = ".runs/t/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json";
const FILES: [&str; 3] = ["tasks/t.md", ".agent/task/t.md", "docs/TASKS.md"];

/// Words of the grammar, and what is nearly one.
const WORDS: [&[u8]; 48] = [
    b"- [ ] ",
    b"- [x] ",
    b"* [X] ",
    b"1. ",
    b"12) [ ] ",
    b"  ",
    b"\t",
    b"    ",
    b"\n",
    b"\r\n",
    b"\r",
    b"\n\n",
    b"- ",
    b"Status: [ ]",
    b"- [ ] Status: Pending",
    b"- Subtask 3: ",
    b"- Acceptance: ",
    b"- Evidence: ",
    b"; Evidence: ",
    b"; Acceptance: ",
    b"`.runs/t/cli/r/manifest.json`",
    b"`.runs/<task-id>/cli/<run-id>/manifest.json#summary`",
    b"out/t/state.json",
    b".runs/",
    b"#commands[0].id",
    b"`",
    b"**",
    b";",
    b"```\n",
    b"~~~~\n",
    b"<!-- ",
    b" -->",
    b"<!-- orchd:item k pipeline=p -->",
    b"<!-- orchd:item ",
    b"<!-- orchd:was =Pending%20 -->",
    b"<!-- orchd:was +%zz -->",
    b"<!-- docs-sync:begin t -->\n",
    b"<!-- docs-sync:end t -->\n",
    b"# t\n",
    b"## Checklist Convention\n",
    b"> ",
    b"---\n",
    "- Docs — `[ ]` ".as_bytes(),
    "—".as_bytes(),
    b"\xef\xbb\xbf",
    b"\xff\xfe\x00",
    "\u{202e}一つ".as_bytes(),
    b"[",
];

/// A source of numbers that is the same everywhere (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

/// The real checklists and pages of this repository.
fn corpus() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for place in [
        "tasks",
        ".agent",
        ".agent/task",
        ".agent/task/templates",
        "docs",
    ] {
        let mut files: Vec<_> = std::fs::read_dir(root.join(place))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "md"))
            .collect();
        files.sort();
        found.extend(files.iter().map(|path| std::fs::read(path).unwrap()));
    }
    found
}

/// Lines of a real file, changed a few times.
fn file(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = window(dice, corpus);
    for _ in 0..dice.below(12) {
        let at = dice.below(bytes.len() + 1);
        let end = (at + dice.below(40)).min(bytes.len());
        match dice.below(9) {
            0..4 => drop(bytes.splice(at..at, WORDS[dice.below(WORDS.len())].to_vec())),
            4 => drop(bytes.drain(at..end)),
            5 => bytes.truncate(at),
            6 => {
                let other = window(dice, corpus);
                drop(bytes.splice(at..end, other));
            }
            7 => {
                let part = bytes[at..end].repeat(1 + dice.below(5));
                drop(bytes.splice(at..at, part));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
        }
        bytes.truncate(FILE_BYTES);
    }
    bytes
}

fn window(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let whole = &corpus[dice.below(corpus.len())];
    let from = dice.below(whole.len());
    let length = dice.below(FILE_BYTES / 2);
    // Mostly from the beginning of a line.
    let line = whole[from..].iter().position(|byte| *byte == b'\n');
    let from = from + line.map_or(0, |line| line + 1);
    whole[from..(from + length).min(whole.len())].to_vec()
}

fn spans_hold(bytes: &[u8], parsed: &Checklist) {
    let text = std::str::from_utf8(bytes).ok();
    let is_whole = |at: usize| text.is_none_or(|text| text.is_char_boundary(at));
    let lines = bytes.split(|byte| *byte == b'\n').count();
    for item in &parsed.items {
        assert!(matches!(bytes[item.mark], b' ' | b'x' | b'X'), "{item:?}");
        assert_eq!(item.checked, bytes[item.mark] != b' ', "{item:?}");
        assert!(item.mark < item.text.start && item.text.start <= item.text.end);
        assert!(
            is_whole(item.text.start) && is_whole(item.text.end),
            "{item:?}"
        );
        assert!(
            !bytes[item.mark..item.text.end].contains(&b'\n'),
            "{item:?}"
        );
        let line = bytes[..item.mark]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        assert_eq!(item.line, line + 1);
        assert!(
            item.evidence
                .iter()
                .all(|cited| (1..=lines).contains(&cited.line))
        );
    }
    assert!(parsed.items.is_sorted_by_key(|item| item.mark));
    let mut end = 0;
    for body in parsed.blocks.iter().filter_map(|block| block.body.clone()) {
        assert!(end <= body.start && body.start <= body.end && body.end <= bytes.len());
        end = body.end;
    }
}

fn a_tick_was_never_there(bytes: &[u8], parsed: &Checklist) {
    let open = parsed.items.iter().enumerate();
    let open = open.filter(|(_, item)| !item.checked).take(TICKED);
    for (index, item) in open {
        let after = apply(bytes, flip(bytes, item, RUN));
        let ticked = Checklist::parse(&after).items;
        let marks = |items: &[Item]| -> Vec<bool> { items.iter().map(|it| it.checked).collect() };
        let mut wanted = marks(&parsed.items);
        wanted[index] = true;
        assert_eq!(marks(&ticked), wanted, "{}", after.escape_ascii());
        let cites = ticked[index].evidence.iter();
        assert_eq!(
            cites.filter(|cited| cited.token.path == RUN).count().min(1),
            1
        );
        let back = apply(&after, unflip(&after, &ticked[index]));
        assert_eq!(
            back.escape_ascii().to_string(),
            bytes.escape_ascii().to_string()
        );
    }
}

fn follows_once(files: &[Vec<u8>; 3]) {
    let task = TaskId::parse("t").unwrap();
    let synced = |files: &[Vec<u8>; 3]| {
        let parts = [Part::Source, Part::Mirror, Part::AllTasks];
        let each = FILES.iter().zip(parts).zip(files);
        let each: Vec<_> = each
            .map(|((path, part), bytes)| (*path, part, &**bytes))
            .collect();
        let (rewrite, _) = checklists::sync(&Book::of(&task, &each), &Narrowed::default());
        let mut paths = FILES.iter().map(|path| RelPath::parse(path).unwrap());
        files.clone().map(|bytes| {
            let path = paths.next().unwrap();
            rewrite.after(&path).map_or(bytes, <[u8]>::to_vec)
        })
    };
    let once = synced(files);
    assert_eq!(once[0], files[0], "a source follows nobody");
    let said = |files: &[Vec<u8>; 3]| files.clone().map(|bytes| bytes.escape_ascii().to_string());
    assert_eq!(said(&synced(&once)), said(&once));
}

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn no_file_is_too_odd_for_the_parser() {
    let (seed, rounds) = (number("FUZZ_SEED", 1), number("FUZZ_ROUNDS", ROUNDS));
    let corpus = corpus();
    assert!(corpus.len() > 5, "the corpus is gone");
    for round in seed..seed.saturating_add(rounds) {
        let told = std::panic::catch_unwind(|| {
            let mut dice = Dice(round);
            let files = [(); 3].map(|()| file(&mut dice, &corpus));
            for bytes in &files {
                let parsed = Checklist::parse(bytes);
                assert_eq!(&apply(bytes, Vec::new()), bytes);
                spans_hold(bytes, &parsed);
                a_tick_was_never_there(bytes, &parsed);
            }
            follows_once(&files);
        });
        assert!(told.is_ok(), "again with FUZZ_SEED={round} FUZZ_ROUNDS=1");
    }
}

/// The time that this thread has worked on something, the shortest of some tries.
fn cost(work: impl Fn()) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(
            u64::try_from(now.tv_sec).unwrap(),
            u32::try_from(now.tv_nsec).unwrap(),
        )
    };
    let tries = (0..2).map(|_| {
        let from = now();
        work();
        now() - from
    });
    tries.min().unwrap()
}

#[test]
fn the_time_goes_with_the_length_of_a_file_whatever_it_repeats() {
    const TIMES: usize = 8;
    let pieces: Vec<Vec<u8>> = WORDS
        .iter()
        .map(|word| [word, &b"x\n"[..]].concat())
        .collect();
    let odd: [&[u8]; 9] = [
        b"- Status: [ ]\n",
        b"1. a\n   - Status: [ ]\n",
        b"   - Status: [ ]\n   - Evidence: `.runs/t/cli/r/manifest.json`\n",
        b"- [ ] Status: a\n",
        b"<!-- docs-sync:begin t -->\n- [ ] a\n",
        b"<!-- docs-sync:begin t -->\n- [ ] a\n<!-- docs-sync:end t -->\n",
        b"## t\n- a \xe2\x80\x94 `[ ]` b\n",
        b"- [ ] same\n",
        b"Evidence Acceptance; `",
    ];
    let lines = WORDS.iter().map(|word| word.to_vec());
    let all = pieces
        .into_iter()
        .chain(lines)
        .chain(odd.map(<[u8]>::to_vec));
    for piece in all {
        let of = |bytes: usize| {
            let head = b"# t\n\n1. a\n";
            let body = piece.repeat(bytes / piece.len());
            [&head[..], &body].concat()
        };
        let (short, long) = (of(2_500), of(2_500 * TIMES));
        let task = TaskId::parse("t").unwrap();
        let work = |bytes: &[u8]| {
            let [source, mirror, all] = FILES;
            let parts = [
                (source, Part::Source),
                (mirror, Part::Mirror),
                (all, Part::AllTasks),
            ];
            let files = parts.map(|(path, part)| (path, part, bytes));
            drop(checklists::sync(
                &Book::of(&task, &files),
                &Narrowed::default(),
            ));
        };
        let (few, many) = (cost(|| work(&short)), cost(|| work(&long)));
        let most = few * u32::try_from(TIMES * 3).unwrap() + Duration::from_millis(10);
        assert!(
            many <= most,
            "{}: {few:?}, then {many:?}",
            piece.escape_ascii()
        );
    }
}
