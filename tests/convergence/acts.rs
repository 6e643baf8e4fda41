//! What a writer may do, and which of it chance picks.
//!
//! What the branches hold at first, and what is copied, has names that no rule ever ignores; what a rule ignores comes to be
//! tracked by `git add -f`, and from there into the branches. Files with several names live in a directory of their own: a name that comes, is written through and
//! goes within one storm leaves no trace at the other names, which only a walk finds.

use crate::chance::Chance;
use std::path::PathBuf;

/// One thing that a writer does, by paths below the workspace; what cannot be done is no change.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Write(PathBuf, Text),
    WriteInPlace(PathBuf, Text),
    Append(PathBuf),
    /// The same bytes once more.
    WriteAgain(PathBuf),
    /// Rename away, write anew, remove what was renamed.
    SaveLikeVim(PathBuf, Text),
    /// Write beside, rename over.
    SaveByRename(PathBuf, Text),
    /// Write beside, exchange, remove.
    SaveByExchange(PathBuf, Text),
    /// Write without a name, then give it one.
    SaveNameless(PathBuf, Text),
    /// Stays open, also after the storm.
    Hold(PathBuf),
    WriteHeld,
    MakeDirectories(PathBuf),
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
    Exchange(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    /// Gives a file of `h` one more name there.
    HardLink(usize, usize),
    WriteLinked(usize),
    Mode(PathBuf, bool),
    Touch(PathBuf),
    Pipe(PathBuf),
    /// A directory that is there, by its number among them, into another one.
    MoveInto(usize, usize, PathBuf),
    /// Saves a file in a directory that is there.
    WriteInto(usize, PathBuf, Text),
    MoveOut(PathBuf, usize),
    MoveIn(usize, PathBuf),
    CopyIn(PathBuf),
    Unpack(PathBuf),
    /// Many small directories, each written into at once.
    Deep(PathBuf),
    /// A directory that rules may ignore, full of files.
    Generate(PathBuf),
    Rules(PathBuf, &'static str),
    Exclude(&'static str),
    Git(&'static [&'static str]),
    /// `git add -f`, of a file that is made if nothing is there.
    Track(PathBuf),
    /// `git rm --cached`
    Untrack(PathBuf),
}

/// What is written: a digit, so that most contents are of one size, or something longer.
#[derive(Clone, Debug)]
pub(crate) struct Text(u8, usize);

impl Text {
    fn any(chance: &mut Chance) -> Self {
        let digit = b'0' + u8::try_from(chance.below(8)).unwrap();
        let size = match chance.below(200) {
            0..6 => 0,
            6 => 70_000,
            7 => 1_100_000,
            8..30 => 1 + chance.below(300),
            _ => 1,
        };
        Self(digit, size)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        vec![self.0; self.1]
    }
}

/// Names of hard links, and places outside of the workspace.
pub(crate) const LINKED: usize = 6;
pub(crate) const OUTSIDE: usize = 4;
/// More directories than there are: their number is taken modulo.
const MANY: usize = 1 << 20;

const NAMES: &[&[u8]] = &[b"a", b"b", b"c", b"d e", b"\xc3\xa9", b"n\n", b"\xff"];
/// What some rule ignores at times, and what is content at times only.
const ODD: &[&[u8]] = &[
    b"x.log",
    b"keep.log",
    b"gen",
    b"cache",
    b"a~",
    b"b~",
    b".a.swp",
];

const RULES: &[&str] = &[
    "",
    "*.log\n",
    "*.log\n!keep.log\n",
    "gen/\n",
    "/gen\n",
    "cache\n*.log\n",
    "**/cache/\n",
    "gen/*\n!gen/keep.log\n",
    "# nothing\n",
];

const GIT: &[&[&str]] = &[
    &["checkout", "-qf", "b0"],
    &["checkout", "-qf", "b1"],
    &["checkout", "-qf", "b2"],
    &["checkout", "-q", "b1"],
    &["checkout", "-q", "b2"],
    &["reset", "-q", "--hard"],
    &["stash", "-q"],
    &["stash", "pop", "-q"],
    &["checkout", "-q", "--", "t"],
    &["clean", "-fdq", "t"],
    &["commit", "-qam", "more"],
    &["merge", "-q", "-X", "theirs", "-m", "both", "b1"],
];

/// What one writer does in one storm. Not in each do rules change: a walk for them finds what was missed.
pub(crate) fn acts(chance: &mut Chance, rules: bool) -> Vec<Act> {
    let count = 1 + chance.below(16);
    let fits = |act: &Act| rules || !matches!(act, Act::Rules(..) | Act::Exclude(_));
    let acts = (0..count).map(|_| act(chance));
    acts.filter(fits).collect()
}

fn act(chance: &mut Chance) -> Act {
    match chance.below(106) {
        0..24 => save(chance),
        24..32 => Act::MoveInto(
            chance.below(MANY),
            chance.below(MANY),
            name(chance.of(NAMES)),
        ),
        32..42 => Act::WriteInto(
            chance.below(MANY),
            name(chance.of(NAMES)),
            Text::any(chance),
        ),
        42..48 => Act::Remove(path(chance)),
        48..58 => Act::Rename(path(chance), path(chance)),
        58..63 => Act::Exchange(path(chance), path(chance)),
        63..66 => Act::MoveOut(path(chance), chance.below(OUTSIDE)),
        66..70 => Act::MoveIn(chance.below(OUTSIDE), path(chance)),
        70..73 => Act::Deep(path(chance)),
        73..75 => Act::Generate(path(chance)),
        75..77 => Act::MakeDirectories(path(chance)),
        77..79 => Act::Link(path(chance), path(chance)),
        79..81 => Act::HardLink(chance.below(LINKED), chance.below(LINKED)),
        81..83 => Act::WriteLinked(chance.below(LINKED)),
        83..85 => Act::Mode(path(chance), chance.once_in(2)),
        85 => Act::Touch(path(chance)),
        86 => Act::Pipe(path(chance)),
        87..91 => Act::Rules(above(chance), chance.of(RULES)),
        91 => Act::Exclude(chance.of(RULES)),
        92 => Act::CopyIn(path(chance)),
        93 => Act::Unpack(path(chance)),
        94..100 => Act::Git(chance.of(GIT)),
        100..104 => Act::Track(odd(chance)),
        _ => Act::Untrack(odd(chance)),
    }
}

fn save(chance: &mut Chance) -> Act {
    let (kind, path, text) = (chance.below(12), path(chance), Text::any(chance));
    match kind {
        0..3 => Act::Write(path, text),
        3 => Act::WriteInPlace(path, text),
        4 => Act::Append(path),
        5 => Act::WriteAgain(path),
        6 => Act::SaveLikeVim(path, text),
        7 => Act::SaveByRename(path, text),
        8 => Act::SaveByExchange(path, text),
        9 => Act::SaveNameless(path, text),
        10 => Act::Hold(path),
        _ => Act::WriteHeld,
    }
}

fn name(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}

/// A directory that may be there; mostly not deep, so that acts meet.
fn above(chance: &mut Chance) -> PathBuf {
    let mut path = if chance.once_in(3) {
        PathBuf::from("t")
    } else {
        PathBuf::new()
    };
    for _ in 0..chance.below(3) {
        path.push(name(chance.of(NAMES)));
    }
    path
}

/// What a rule may ignore, or a directory in which much is.
fn odd(chance: &mut Chance) -> PathBuf {
    let mut path = above(chance);
    if chance.once_in(3) {
        path.push(name(chance.of(&[b"gen", b"gen/in", b"cache"])));
    }
    let names = if chance.once_in(3) { NAMES } else { ODD };
    path.push(name(chance.of(names)));
    path
}

fn path(chance: &mut Chance) -> PathBuf {
    let mut path = above(chance);
    if chance.once_in(25) {
        path.push(name(chance.of(ODD)));
    }
    let last = if chance.once_in(4) { ODD } else { NAMES };
    path.push(name(chance.of(last)));
    path
}
