//! What is ignored, against git itself: whole trees, with every file of rules that git reads.
//!
//! Where git and the tree differ, git is right. `PROPTEST_CASES` says how many trees; the git that answers sees nothing
//! of the environment.

use super::*;
use crate::daemon::watcher::is_noise;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use std::ffi::OsStr;
use std::io::Write as _;
use std::process::{Command as Process, Stdio};

pub(super) type Bytes = Vec<u8>;

/// A workspace's content, and all that decides on it.
#[derive(Clone)]
pub(super) struct World {
    places: BTreeSet<Bytes>,
    directories: BTreeSet<Bytes>,
    /// Files of rules, each in the directory of one of the places.
    sheets: Vec<(prop::sample::Index, Bytes)>,
    exclude: Bytes,
    global: Bytes,
    /// Where git is told of the file of global excludes.
    named: Named,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    /// Nowhere: it is where git looks by itself.
    Nowhere,
    Home,
    Xdg,
    Included,
    Repository,
    /// By the user, and the repository says otherwise.
    Overruled,
    Emptied,
}

/// Pieces of names, so that patterns and names have much in common.
fn piece() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        12 => prop::sample::select(vec!["a", "b", "c", "ab", "x"]).prop_map(Bytes::from),
        5 => prop::sample::select(vec![
            " ", "!", "#", "\\", "[", "]", "{", "}", "*", "?", "-", "^", ",", ".", "A", "0", "\t", "\r", ":", "é", "ü",
            "ß", "日",
        ])
        .prop_map(Bytes::from),
        1 => prop::sample::select(vec![b"\xff".to_vec(), b"\xc3".to_vec(), b"\xa9".to_vec()]),
    ]
}

fn name() -> impl Strategy<Value = Bytes> {
    vec(piece(), 1..4).prop_map(|pieces| {
        let mut name = pieces.concat();
        // No names, and names that are nobody's content.
        if matches!(&*name, b"." | b"..") || is_noise(&name) {
            name.insert(0, b'x');
        }
        name
    })
}

fn place() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        9 => vec(name(), 1..5),
        1 => vec(prop::sample::select(vec!["a", "b"]).prop_map(Bytes::from), 8..20),
    ]
    .prop_map(|names| names.join(&b'/'))
}

/// A piece of a pattern.
fn wild() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        12 => piece(),
        3 => Just(b"*".to_vec()),
        2 => Just(b"**".to_vec()),
        2 => Just(b"?".to_vec()),
        1 => Just(b"***".to_vec()),
        2 => piece().prop_map(|piece| [b"\\", &*piece].concat()),
        3 => class(),
    ]
}

fn class() -> impl Strategy<Value = Bytes> {
    let member = prop_oneof![
        6 => piece(),
        2 => (piece(), piece()).prop_map(|(low, high)| [&*low, b"-", &*high].concat()),
        1 => prop::sample::select(vec![
            "[:alpha:]", "[:digit:]", "[:space:]", "[:upper:]", "[:lower:]", "[:punct:]", "[:alnum:]", "[:print:]",
            "[:graph:]", "[:cntrl:]", "[:blank:]", "[:xdigit:]", "[:odd:]", "[:", "[", "]", "-", "\\]", "\\\\", "/",
        ])
        .prop_map(Bytes::from),
    ];
    let not = prop::sample::select(vec!["", "", "!", "^"]);
    let end = prop::sample::select(vec!["]", "]", "]", "]", "]", "]", ""]);
    (not, vec(member, 0..4), end).prop_map(|(not, members, end)| {
        [b"[", not.as_bytes(), &*members.concat(), end.as_bytes()].concat()
    })
}

fn edge(text: &'static [u8]) -> impl Strategy<Value = Bytes> {
    prop_oneof![3 => Just(Bytes::new()), 1 => Just(text.to_vec())]
}

fn pattern() -> impl Strategy<Value = Bytes> {
    let part = prop_oneof![
        6 => vec(wild(), 1..4).prop_map(|pieces| pieces.concat()),
        2 => name(),
        2 => Just(b"**".to_vec()),
        2 => Just(b"*".to_vec()),
    ];
    let parts = vec(part, 1..4).prop_map(|parts| parts.join(&b'/'));
    (edge(b"!"), edge(b"/"), parts, edge(b"/"), edge(b" ")).prop_map(
        |(not, top, parts, directory, blank)| [not, top, parts, directory, blank].concat(),
    )
}

fn sheet(lines: std::ops::Range<usize>) -> impl Strategy<Value = Bytes> {
    let line = prop_oneof![
        12 => pattern(),
        1 => Just(Bytes::new()),
        1 => Just(b"# a".to_vec()),
        1 => Just(b"a\0b".to_vec()),
    ];
    let end = prop::sample::select(vec!["\n", "\n", "\n", "\r\n"]);
    let mark = prop::sample::select(vec!["", "", "", "\u{feff}"]);
    (vec(line, lines), end, mark, any::<bool>()).prop_map(|(lines, end, mark, last)| {
        let mut text = lines.join(end.as_bytes());
        text.splice(0..0, mark.bytes());
        if last {
            text.extend(end.as_bytes());
        }
        text
    })
}

pub(super) fn world() -> impl Strategy<Value = World> {
    let named = prop::sample::select(vec![
        Named::Nowhere,
        Named::Home,
        Named::Xdg,
        Named::Included,
        Named::Repository,
        Named::Overruled,
        Named::Emptied,
    ]);
    (
        btree_set(place(), 1..25),
        btree_set(place(), 0..4),
        vec((any::<prop::sample::Index>(), sheet(1..6)), 1..5),
        sheet(0..3),
        sheet(0..3),
        named,
    )
        .prop_map(
            |(places, directories, sheets, exclude, global, named)| World {
                places,
                directories,
                sheets,
                exclude,
                global,
                named,
            },
        )
}

pub(super) fn at(top: &Path, below: &[u8]) -> PathBuf {
    top.join(OsStr::from_bytes(below))
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &Bytes| bytes.escape_ascii().to_string();
        let sheets = self.sheets.iter();
        f.debug_struct("World")
            .field("places", &texts(&self.places))
            .field("directories", &texts(&self.directories))
            .field(
                "sheets",
                &sheets
                    .map(|(at, sheet)| (at, text(sheet)))
                    .collect::<Vec<_>>(),
            )
            .field("exclude", &text(&self.exclude))
            .field("global", &text(&self.global))
            .field("named", &self.named)
            .finish()
    }
}

impl World {
    /// Writes it down: the workspace, and the user's directory.
    pub(super) fn build(&self, root: &Path, home: &Path) {
        for place in &self.places {
            // A name that is a directory already cannot be a file, nor the other way round.
            let path = at(root, place);
            if path
                .parent()
                .is_some_and(|above| fs::create_dir_all(above).is_ok())
            {
                drop(fs::write(&path, "x"));
            }
        }
        for place in &self.directories {
            drop(fs::create_dir_all(at(root, place)));
        }
        let places: Vec<&Bytes> = self.places.iter().collect();
        for (number, (place, text)) in self.sheets.iter().enumerate() {
            let directory = match number {
                0 => root.to_path_buf(),
                _ => at(root, place.get::<&Bytes>(&places))
                    .parent()
                    .unwrap()
                    .to_path_buf(),
            };
            drop(fs::write(directory.join(".gitignore"), text));
        }
        for directory in ["objects", "refs", "info"] {
            fs::create_dir_all(root.join(".git").join(directory)).unwrap();
        }
        write(&root.join(".git/HEAD"), "ref: refs/heads/main\n");
        fs::write(root.join(".git/info/exclude"), &self.exclude).unwrap();
        self.settings(root, home);
    }

    fn settings(&self, root: &Path, home: &Path) {
        let usual = home.join(".config/git/ignore");
        let other = home.join("o t/global");
        let file = if self.named == Named::Nowhere {
            &usual
        } else {
            &other
        };
        for path in [&usual, &other] {
            write(path, "a*\n");
        }
        fs::write(file, &self.global).unwrap();
        let says = |path: &str| format!("# git's\n[core]\n\tExcludesFile = \"{path}\" ; a\n");
        let core = "[core]\n\trepositoryformatversion = 0\n";
        let own = match self.named {
            Named::Repository | Named::Overruled => {
                format!("{core}{}", says(other.to_str().unwrap()))
            }
            Named::Emptied => format!("{core}{}", says("")),
            Named::Nowhere | Named::Home | Named::Xdg | Named::Included => core.to_owned(),
        };
        write(&root.join(".git/config"), &own);
        match self.named {
            Named::Nowhere | Named::Repository => {}
            Named::Home => write(&home.join(".gitconfig"), &says("~/o t/global")),
            Named::Xdg => write(&home.join(".config/git/config"), &says("~/o t/global")),
            Named::Overruled | Named::Emptied => {
                write(&home.join(".gitconfig"), &says("~/.config/git/ignore"));
            }
            Named::Included => {
                let includes = "[include]\n path = o t/more\n";
                write(&home.join(".gitconfig"), &(says("/none") + includes));
                write(&home.join("o t/more"), &says("~/o t/global"));
            }
        }
    }
}

/// Every path below a directory but what git keeps for itself.
pub(super) fn all(root: &Path) -> BTreeSet<Bytes> {
    let mut all = BTreeSet::new();
    let mut left = vec![Bytes::new()];
    while let Some(above) = left.pop() {
        for entry in fs::read_dir(at(root, &above)).unwrap() {
            let entry = entry.unwrap();
            let mut path = above.clone();
            names::push(&mut path, entry.file_name().as_bytes());
            if path == b".git" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                left.push(path.clone());
            }
            all.insert(path);
        }
    }
    all
}

/// What git ignores of these.
pub(super) fn ignored(root: &Path, home: &Path, paths: &BTreeSet<Bytes>) -> BTreeSet<Bytes> {
    let mut git = Process::new("git")
        .args(["check-ignore", "--no-index", "-z", "--stdin"])
        .current_dir(root)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = git.stdin.take().unwrap();
    let mut asked = Vec::new();
    for path in paths {
        // A `:` at the beginning would mean something.
        asked.extend_from_slice(b"./");
        asked.extend_from_slice(path);
        asked.push(0);
    }
    let writer = std::thread::spawn(move || stdin.write_all(&asked));
    let output = git.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    // 1 is: none of them.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let names = output.stdout.split(|byte| *byte == 0);
    names
        .filter_map(|name| name.strip_prefix(b"./"))
        .map(<[u8]>::to_vec)
        .collect()
}

/// What the tree shows.
fn shown(tree: &Tree) -> BTreeSet<Bytes> {
    let mut shown = BTreeSet::new();
    for id in tree.snapshot.all(DirId::ROOT) {
        if id != DirId::ROOT {
            shown.insert(tree.snapshot.path(id));
        }
        let dir = tree.snapshot.dir(id);
        let leaves = dir.entries().iter().map(|entry| dir.name_of(entry));
        shown.extend(leaves.map(|name| tree.snapshot.path_of(id, name)));
    }
    shown
}

pub(super) fn hidden(tree: &Tree, all: &BTreeSet<Bytes>) -> BTreeSet<String> {
    texts(&all.difference(&shown(tree)).cloned().collect())
}

pub(super) fn texts(paths: &BTreeSet<Bytes>) -> BTreeSet<String> {
    let paths = paths.iter();
    paths.map(|path| path.escape_ascii().to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(320), max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_hidden_is_what_git_ignores(world in world()) {
        let user = TempDir::new().unwrap();
        let home = user.path().canonicalize().unwrap();
        let it = Fixture::at_home(&plain(), &home, |root| world.build(root, &home));
        let root = it.root.as_path();
        let all = all(root);
        prop_assert_eq!(hidden(&it.tree, &all), texts(&ignored(root, &home, &all)));
    }
}

pub(super) fn cases(usual: u32) -> u32 {
    let named = std::env::var("PROPTEST_CASES").ok();
    named.and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}
