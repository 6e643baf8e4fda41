//! Input digests: the root `Directory` of the Remote Execution API v2 over a set of files.
//!
//! The messages are those of `build/bazel/remote/execution/v2/remote_execution.proto`, written down by hand as far as a
//! tree needs them, so that a digest can later address a team's cache; they are encoded from what they are about,
//! without a copy of it. Names there are text: a byte that is none is
//! written as NUL and two hexadecimal digits, and since no name holds a NUL, no two names are written alike. A file
//! that cannot be read has an empty digest, which no content has. Directories without files are no content.

use crate::model::digest::Digest;
use std::borrow::Cow;

/// What the content of something is addressed by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address {
    hash: Option<[u8; 32]>,
    size: u64,
}

/// A file in a directory.
#[derive(Debug)]
pub(super) struct FileNode<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) digest: Address,
    pub(super) is_executable: bool,
}

/// A directory in a directory.
#[derive(Debug)]
pub(super) struct DirectoryNode<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) digest: Address,
}

/// A symbolic link in a directory.
#[derive(Debug)]
pub(super) struct SymlinkNode<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) target: Cow<'a, str>,
}

/// What a directory holds; each list sorted by name.
#[derive(Debug, Default)]
pub(super) struct Directory<'a> {
    pub(super) files: Vec<FileNode<'a>>,
    pub(super) directories: Vec<DirectoryNode<'a>>,
    pub(super) symlinks: Vec<SymlinkNode<'a>>,
}

/// A directory's digest, as the directory above names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) digest: Digest,
    pub(super) bytes: u32,
}

impl Directory<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty() && self.symlinks.is_empty()
    }

    /// Sorts as the format asks for, and digests.
    pub(super) fn summary(mut self) -> Summary {
        // Sorted by bytes as they come; only escaped names stand elsewhere, so this mostly just looks.
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
        self.directories.sort_by(|a, b| a.name.cmp(&b.name));
        self.symlinks.sort_by(|a, b| a.name.cmp(&b.name));
        let bytes = self.encode();
        Summary {
            digest: Digest::of(&bytes),
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut whole = Vec::new();
        let (mut node, mut address) = (Vec::new(), Vec::new());
        for file in &self.files {
            put_text(&mut node, 1, &file.name);
            file.digest.put(&mut address);
            put_message(&mut node, 2, &mut address);
            put_number(&mut node, 4, u64::from(file.is_executable));
            put_message(&mut whole, 1, &mut node);
        }
        for directory in &self.directories {
            put_text(&mut node, 1, &directory.name);
            directory.digest.put(&mut address);
            put_message(&mut node, 2, &mut address);
            put_message(&mut whole, 2, &mut node);
        }
        for link in &self.symlinks {
            put_text(&mut node, 1, &link.name);
            put_text(&mut node, 2, &link.target);
            put_message(&mut whole, 3, &mut node);
        }
        whole
    }
}

impl Address {
    /// Of content with this hash and size.
    pub(super) fn of(hash: &[u8; 32], size: u64) -> Self {
        Self {
            hash: Some(*hash),
            // As the format has it: a signed number.
            size: size.min(i64::MAX.unsigned_abs()),
        }
    }

    /// Of content that cannot be read.
    pub(super) fn unreadable() -> Self {
        Self {
            hash: None,
            size: 0,
        }
    }

    fn put(&self, into: &mut Vec<u8>) {
        if let Some(hash) = &self.hash {
            let mut text = [0; 64];
            let text = base16ct::lower::encode_str(hash, &mut text);
            put_text(into, 1, text.unwrap_or_default());
        }
        put_number(into, 2, self.size);
    }
}

/// A number as protobuf has it: seven bits a byte, the lowest first.
fn put_varint(into: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            into.push(low);
            return;
        }
        into.push(low | 0x80);
    }
}

/// A field that is a number; the one that it has anyway is left out.
fn put_number(into: &mut Vec<u8>, field: u8, number: u64) {
    if number != 0 {
        into.push(field << 3);
        put_varint(into, number);
    }
}

/// A field that is text; an empty one is left out.
fn put_text(into: &mut Vec<u8>, field: u8, text: &str) {
    if !text.is_empty() {
        put_bytes(into, field, text.as_bytes());
    }
}

/// A field that is a message, which is taken out of where it was made.
fn put_message(into: &mut Vec<u8>, field: u8, message: &mut Vec<u8>) {
    put_bytes(into, field, message);
    message.clear();
}

fn put_bytes(into: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    into.push(field << 3 | 2);
    put_varint(into, bytes.len() as u64);
    into.extend_from_slice(bytes);
}

/// A name or a link's target as text, so that no two are alike.
pub(super) fn text(name: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(name) {
        return Cow::Borrowed(text);
    }
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push('\0');
            let digits = [byte >> 4, byte & 0xf].map(|digit| char::from_digit(digit.into(), 16));
            text.extend(digits.into_iter().flatten());
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    /// The messages as another implementation encodes them.
    mod other {
        use prost::Message;

        #[derive(Clone, PartialEq, Message)]
        pub(super) struct Address {
            #[prost(string, tag = "1")]
            pub(super) hash: String,
            #[prost(int64, tag = "2")]
            pub(super) size_bytes: i64,
        }

        #[derive(Clone, PartialEq, Message)]
        pub(super) struct FileNode {
            #[prost(string, tag = "1")]
            pub(super) name: String,
            #[prost(message, optional, tag = "2")]
            pub(super) digest: Option<Address>,
            #[prost(bool, tag = "4")]
            pub(super) is_executable: bool,
        }

        #[derive(Clone, PartialEq, Message)]
        pub(super) struct DirectoryNode {
            #[prost(string, tag = "1")]
            pub(super) name: String,
            #[prost(message, optional, tag = "2")]
            pub(super) digest: Option<Address>,
        }

        #[derive(Clone, PartialEq, Message)]
        pub(super) struct SymlinkNode {
            #[prost(string, tag = "1")]
            pub(super) name: String,
            #[prost(string, tag = "2")]
            pub(super) target: String,
        }

        #[derive(Clone, PartialEq, Message)]
        pub(super) struct Directory {
            #[prost(message, repeated, tag = "1")]
            pub(super) files: Vec<FileNode>,
            #[prost(message, repeated, tag = "2")]
            pub(super) directories: Vec<DirectoryNode>,
            #[prost(message, repeated, tag = "3")]
            pub(super) symlinks: Vec<SymlinkNode>,
        }
    }

    type Held = (String, Option<[u8; 32]>, u64, bool);

    fn address(hash: Option<&[u8; 32]>, size: u64) -> Address {
        hash.map_or_else(Address::unreadable, |hash| Address::of(hash, size))
    }

    fn theirs(hash: Option<&[u8; 32]>, size: u64) -> other::Address {
        other::Address {
            hash: hash.map_or_else(String::new, |hash| {
                hash.iter().map(|byte| format!("{byte:02x}")).collect()
            }),
            size_bytes: hash.map_or(0, |_| i64::try_from(size).unwrap_or(i64::MAX)),
        }
    }

    proptest! {
        #[test]
        fn it_is_encoded_as_others_encode_it(
            held in prop::collection::vec(any::<Held>(), 0..5),
            links in prop::collection::vec(any::<(String, String)>(), 0..3),
        ) {
            let mut ours = Directory::default();
            let mut others = other::Directory::default();
            for (name, hash, size, is_executable) in &held {
                let (name, hash) = (name.as_str(), hash.as_ref());
                ours.files.push(FileNode {
                    name: name.into(),
                    digest: address(hash, *size),
                    is_executable: *is_executable,
                });
                ours.directories.push(DirectoryNode {
                    name: name.into(),
                    digest: address(hash, *size),
                });
                others.files.push(other::FileNode {
                    name: name.to_owned(),
                    digest: Some(theirs(hash, *size)),
                    is_executable: *is_executable,
                });
                others.directories.push(other::DirectoryNode {
                    name: name.to_owned(),
                    digest: Some(theirs(hash, *size)),
                });
            }
            for (name, target) in &links {
                let (name, target) = (name.as_str(), target.as_str());
                ours.symlinks.push(SymlinkNode { name: name.into(), target: target.into() });
                others.symlinks.push(other::SymlinkNode {
                    name: name.to_owned(),
                    target: target.to_owned(),
                });
            }
            prop_assert_eq!(ours.encode(), others.encode_to_vec());
        }
    }

    /// By hand: a file (its name, its digest, its mode), then a link (its name, its target).
    #[test]
    fn a_directory_is_encoded_as_the_format_says() {
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut expected = vec![0x0a, 3 + 70 + 2];
        expected.extend_from_slice(&[0x0a, 1, b'a']);
        expected.extend_from_slice(&[0x12, 68, 0x0a, 64]);
        expected.extend_from_slice(hash.as_bytes());
        expected.extend_from_slice(&[0x10, 3]);
        expected.extend_from_slice(&[0x20, 1]);
        expected.extend_from_slice(&[0x1a, 8, 0x0a, 1, b'l', 0x12, 3, b'.', b'.', b'/']);
        let directory = Directory {
            files: vec![FileNode {
                name: "a".into(),
                digest: Address::of(Digest::of(b"abc").bytes(), 3),
                is_executable: true,
            }],
            directories: Vec::new(),
            symlinks: vec![SymlinkNode {
                name: "l".into(),
                target: "../".into(),
            }],
        };
        let bytes = directory.encode();
        assert_eq!(bytes, expected);
        let summary = directory.summary();
        assert_eq!(summary.digest, Digest::of(&expected));
        assert_eq!(usize::try_from(summary.bytes), Ok(expected.len()));
    }

    #[test]
    fn an_empty_directory_is_the_empty_message() {
        assert_eq!(Directory::default().summary().digest, Digest::of(b""));
    }

    #[test]
    fn no_two_names_are_written_alike() {
        assert_eq!(text("ü\n".as_bytes()), "ü\n");
        assert_eq!(text(b"a\xff"), "a\0ff");
        assert_ne!(text(b"a\xff"), text(b"a\\xff"));
        assert_ne!(text(b"\xff"), text(b"\xfe"));
    }
}
