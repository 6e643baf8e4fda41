//! Random trees, digested by our messages and by the generated ones.

use super::merkle::{self, Address, text};
use crate::model::digest::Digest;
use bazel_remote_apis::build::bazel::remote::execution::v2;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

/// What is at a name.
#[derive(Clone, Debug)]
enum Entry {
    File { content: Vec<u8>, executable: bool },
    Link(Vec<u8>),
    Directory(Tree),
}

type Tree = BTreeMap<Vec<u8>, Entry>;

/// Names as a file system allows them: any bytes but `/` and NUL, and often text.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = any::<u8>().prop_filter("no name has it", |byte| !matches!(byte, 0 | b'/'));
    prop_oneof![
        3 => "[a-zA-Z0-9._ -]{1,12}".prop_map(String::into_bytes),
        1 => "[a-cé-ü中-丯🦀]{1,4}".prop_map(String::into_bytes),
        1 => vec(byte, 1..6),
    ]
}

fn leaf() -> impl Strategy<Value = Entry> {
    let content = prop_oneof![vec(any::<u8>(), 0..4), vec(any::<u8>(), 100..300)];
    prop_oneof![
        4 => (content, any::<bool>()).prop_map(|(content, executable)| Entry::File { content, executable }),
        1 => vec(name(), 1..4).prop_map(|names| Entry::Link(names.join(&b'/'))),
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let entry = leaf().prop_recursive(5, 64, 8, |entry| {
        btree_map(name(), entry, 0..8).prop_map(Entry::Directory)
    });
    btree_map(name(), entry, 0..8)
}

/// Ours; none for a directory without files.
fn ours(tree: &Tree) -> Option<merkle::Directory> {
    let mut node = merkle::Directory::default();
    for (name, entry) in tree {
        let name = text(name);
        match entry {
            Entry::File {
                content,
                executable,
            } => node.files.push(merkle::FileNode {
                name,
                digest: Some(Address::of(
                    Digest::of(content).bytes(),
                    content.len() as u64,
                )),
                is_executable: *executable,
            }),
            Entry::Link(target) => node.symlinks.push(merkle::SymlinkNode {
                name,
                target: text(target),
            }),
            Entry::Directory(below) => node.directories.extend(ours(below).map(|below| {
                let summary = below.summary();
                merkle::DirectoryNode {
                    name,
                    digest: Some(Address::of(summary.digest.bytes(), summary.bytes.into())),
                }
            })),
        }
    }
    (!node.is_empty()).then_some(node)
}

/// The same by the generated messages, sorted as the definition asks for.
fn theirs(tree: &Tree) -> Option<v2::Directory> {
    let mut node = v2::Directory::default();
    for (name, entry) in tree {
        let name = text(name);
        match entry {
            Entry::File {
                content,
                executable,
            } => node.files.push(v2::FileNode {
                name,
                digest: Some(address(content)),
                is_executable: *executable,
                ..v2::FileNode::default()
            }),
            Entry::Link(target) => node.symlinks.push(v2::SymlinkNode {
                name,
                target: text(target),
                ..v2::SymlinkNode::default()
            }),
            Entry::Directory(below) => {
                node.directories
                    .extend(theirs(below).map(|below| v2::DirectoryNode {
                        name,
                        digest: Some(address(&below.encode_to_vec())),
                    }))
            }
        }
    }
    node.files.sort_by(|one, other| one.name.cmp(&other.name));
    node.directories
        .sort_by(|one, other| one.name.cmp(&other.name));
    node.symlinks
        .sort_by(|one, other| one.name.cmp(&other.name));
    (node != v2::Directory::default()).then_some(node)
}

fn address(content: &[u8]) -> v2::Digest {
    let hash = Sha256::digest(content);
    v2::Digest {
        hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        size_bytes: i64::try_from(content.len()).unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_tree_is_what_the_public_definitions_make_of_it(tree in tree()) {
        let (ours, theirs) = (ours(&tree), theirs(&tree));
        prop_assert_eq!(ours.is_some(), theirs.is_some());
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            let (expected, digest) = (theirs.encode_to_vec(), address(&theirs.encode_to_vec()));
            let summary = ours.clone().summary();
            prop_assert_eq!(summary.digest.to_string(), digest.hash);
            prop_assert_eq!(i64::from(summary.bytes), digest.size_bytes);
            // Sorted by then: the same bytes, and they are read as the same message.
            let read = v2::Directory::decode(&*ours.encode_to_vec()).unwrap();
            let again = merkle::Directory::decode(&*expected).unwrap();
            prop_assert_eq!(again.encode_to_vec(), expected);
            prop_assert_eq!(again.summary().digest, summary.digest);
            prop_assert_eq!(read.files.len(), theirs.files.len());
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_has_an_address_without_a_hash() {
    let node = merkle::FileNode {
        name: "a".to_owned(),
        digest: Some(Address::unreadable()),
        is_executable: false,
    };
    let read = v2::FileNode::decode(&*node.encode_to_vec()).unwrap();
    let expected = v2::FileNode {
        name: "a".to_owned(),
        digest: Some(v2::Digest::default()),
        ..v2::FileNode::default()
    };
    assert_eq!(read, expected);
}
