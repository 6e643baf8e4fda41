//! What is there, by other means than the daemon's: a plain walk, `git check-ignore` for the rules, `git ls-files` for what is
//! tracked, and a digest whose messages are put together by hand.

use crate::place::Place;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

/// One file or link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    File {
        hash: String,
        size: usize,
        executable: bool,
    },
    Link {
        target: Vec<u8>,
    },
}

/// Every file and link that counts, by its path below the root.
pub(crate) type Content = BTreeMap<Vec<u8>, Leaf>;

/// Reads workspaces, and keeps the hashes of the bytes that it has met: most are met again.
#[derive(Debug, Default)]
pub(crate) struct Reader(BTreeMap<Vec<u8>, String>);

impl Reader {
    /// Reads the workspace. Only while nobody writes.
    pub(crate) fn content(&mut self, place: &Place) -> Content {
        let root = place.root();
        let read = leaves(place).into_iter().filter_map(|path| {
            let leaf = self.leaf(&root.join(OsStr::from_bytes(&path)))?;
            Some((path, leaf))
        });
        read.collect()
    }

    fn leaf(&mut self, path: &Path) -> Option<Leaf> {
        let meta = fs::symlink_metadata(path).unwrap();
        if meta.is_symlink() {
            let target = fs::read_link(path).unwrap();
            return Some(Leaf::Link {
                target: target.as_os_str().as_bytes().to_vec(),
            });
        }
        // A pipe holds nothing.
        meta.is_file().then(|| {
            let bytes = fs::read(path).unwrap();
            let size = bytes.len();
            let known = self.0.entry(bytes);
            let hash = known.or_insert_with_key(|bytes| hash(bytes)).clone();
            Leaf::File {
                hash,
                size,
                executable: meta.permissions().mode() & 0o100 != 0,
            }
        })
    }
}

/// The paths of all that is a file or a link, and that no rule ignores, or git tracks or a stage declares all the same.
fn leaves(place: &Place) -> Vec<Vec<u8>> {
    let root = place.root();
    let (mut all, mut leaves) = (Vec::new(), Vec::new());
    walk(&root, b"", &mut all, &mut leaves);
    let (ignored, tracked) = (ignored(place, &all), tracked(place));
    let ignored_at = |path: &[u8]| {
        let ends = (0..path.len()).filter(|at| path[*at] == b'/');
        let mut ends = ends.chain([path.len()]);
        ends.find(|end| ignored.contains(&path[..*end]))
    };
    leaves.retain(|path| {
        let is_shown = |end: usize| tracked.contains(path) || is_declared(path, end);
        ignored_at(path).is_none_or(is_shown)
    });
    leaves
}

/// Whether `keep.log` or `gen/**` makes an input of what is ignored from that end of its path on: an ignored directory is
/// entered only if it has the name itself.
fn is_declared(path: &[u8], end: usize) -> bool {
    let ignored = &path[..end];
    let named = |name: &[u8]| name == b"keep.log";
    if end < path.len() {
        return ignored == b"gen"
            || ignored
                .rsplit(|byte| *byte == b'/')
                .next()
                .is_some_and(named);
    }
    path.starts_with(b"gen/") || path.split(|byte| *byte == b'/').any(named)
}

fn walk(root: &Path, below: &[u8], all: &mut Vec<Vec<u8>>, leaves: &mut Vec<Vec<u8>>) {
    let entries = fs::read_dir(root.join(OsStr::from_bytes(below))).unwrap();
    let entries: Vec<_> = entries.map(|entry| entry.unwrap()).collect();
    let names: BTreeSet<_> = entries
        .iter()
        .map(|entry| entry.file_name().as_bytes().to_vec())
        .collect();
    for entry in entries {
        let name = entry.file_name().as_bytes().to_vec();
        // An editor's swap file is nobody's content, nor is its backup beside the file that it is of.
        if name == b".git" || name == b".runs" || name.ends_with(b".swp") {
            continue;
        }
        let is_directory = entry.file_type().unwrap().is_dir();
        let of = name.strip_suffix(b"~");
        if !is_directory && of.is_some_and(|of| names.contains(of)) {
            continue;
        }
        let path = match below {
            b"" => name,
            _ => [below, b"/", &name].concat(),
        };
        all.push(path.clone());
        if is_directory {
            walk(root, &path, all, leaves);
        } else {
            leaves.push(path);
        }
    }
}

/// Those of these paths that git ignores.
fn ignored(place: &Place, paths: &[Vec<u8>]) -> BTreeSet<Vec<u8>> {
    let mut command = place.command("git");
    command.args(["check-ignore", "--no-index", "-z", "--stdin"]);
    command
        .current_dir(place.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut git = command.spawn().unwrap();
    let mut input = git.stdin.take().unwrap();
    let asked: Vec<u8> = paths
        .iter()
        .flat_map(|p| [p, &b"\0"[..]].concat())
        .collect();
    let writer = std::thread::spawn(move || input.write_all(&asked).unwrap());
    let output = git.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "git check-ignore: {output:?}"
    );
    let told = output.stdout.split(|byte| *byte == 0);
    told.filter(|path| !path.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// What git tracks.
fn tracked(place: &Place) -> BTreeSet<Vec<u8>> {
    let mut command = place.command("git");
    command.args(["ls-files", "-z"]).current_dir(place.root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "git ls-files: {output:?}");
    let told = output.stdout.split(|byte| *byte == 0);
    told.map(<[u8]>::to_vec).collect()
}

fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The paths that differ.
pub(crate) fn differing(before: &Content, after: &Content) -> BTreeSet<Vec<u8>> {
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differ = all
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path));
    differ.cloned().collect()
}

/// The input digest, as `docs/formats.md` has it.
pub(crate) fn digest(content: &Content) -> String {
    let all: Vec<(&[u8], &Leaf)> = content.iter().map(|(path, leaf)| (&**path, leaf)).collect();
    hash(&message(&all))
}

fn message(content: &[(&[u8], &Leaf)]) -> Vec<u8> {
    let (mut files, mut links) = (BTreeMap::new(), BTreeMap::new());
    let mut below: BTreeMap<&[u8], Vec<(&[u8], &Leaf)>> = BTreeMap::new();
    for (path, leaf) in content {
        if let Some(at) = path.iter().position(|byte| *byte == b'/') {
            let held = below.entry(&path[..at]).or_default();
            held.push((&path[at + 1..], leaf));
            continue;
        }
        let name = utf8(path);
        let mut node = field(0x0a, &name);
        match leaf {
            Leaf::File {
                hash,
                size,
                executable,
            } => {
                node.extend(address(hash, *size));
                if *executable {
                    node.extend([0x20, 1]);
                }
                files.insert(name, field(0x0a, &node));
            }
            Leaf::Link { target } => {
                node.extend(field(0x12, &utf8(target)));
                links.insert(name, field(0x1a, &node));
            }
        }
    }
    let mut directories = BTreeMap::new();
    for (name, content) in below {
        let (name, message) = (utf8(name), message(&content));
        let mut node = field(0x0a, &name);
        node.extend(address(&hash(&message), message.len()));
        directories.insert(name, field(0x12, &node));
    }
    [files, directories, links]
        .into_iter()
        .flat_map(BTreeMap::into_values)
        .flatten()
        .collect()
}

fn address(hash: &str, size: usize) -> Vec<u8> {
    let mut all = field(0x0a, hash.as_bytes());
    if size > 0 {
        all.push(0x10);
        all.extend(varint(size));
    }
    field(0x12, &all)
}

fn field(tag: u8, bytes: &[u8]) -> Vec<u8> {
    [&[tag][..], &varint(bytes.len()), bytes].concat()
}

fn varint(mut number: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while number > 0x7f {
        all.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
        number >>= 7;
    }
    all.push(u8::try_from(number).unwrap());
    all
}

fn utf8(name: &[u8]) -> Vec<u8> {
    escaped(name, '\0'.to_string().as_str())
}

/// A path as the daemon's events have it; none of the names here has a backslash.
pub(crate) fn told(path: &[u8]) -> String {
    String::from_utf8(escaped(path, "\\x")).unwrap()
}

fn escaped(name: &[u8], mark: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for chunk in name.utf8_chunks() {
        all.extend_from_slice(chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            all.extend_from_slice(format!("{mark}{byte:02x}").as_bytes());
        }
    }
    all
}
