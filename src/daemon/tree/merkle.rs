//! Input digests: the root `Directory` of the Remote Execution API v2 over a set of files.
//!
//! The messages are those of `build/bazel/remote/execution/v2/remote_execution.proto`, written down by hand as far as a
//! tree needs them and held against generated ones by `tests/reapi`, so that a digest can later address a team's cache.
//! Names there are text: a byte that is none is written as NUL and two hexadecimal digits, and since no name holds a NUL,
//! no two names are written alike. A file that cannot be read has an empty digest, which no content has. Directories
//! without files are no content.

use crate::model::digest::Digest;
use prost::Message;

/// What the content of something is addressed by.
#[derive(Clone, PartialEq, Message)]
pub(in crate::daemon) struct Address {
    #[prost(string, tag = "1")]
    pub(in crate::daemon) hash: String,
    #[prost(int64, tag = "2")]
    pub(in crate::daemon) size_bytes: i64,
}

/// A file in a directory.
#[derive(Clone, PartialEq, Message)]
pub(in crate::daemon) struct FileNode {
    #[prost(string, tag = "1")]
    pub(in crate::daemon) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::daemon) digest: Option<Address>,
    #[prost(bool, tag = "4")]
    pub(in crate::daemon) is_executable: bool,
}

/// A directory in a directory.
#[derive(Clone, PartialEq, Message)]
pub(in crate::daemon) struct DirectoryNode {
    #[prost(string, tag = "1")]
    pub(in crate::daemon) name: String,
    #[prost(message, optional, tag = "2")]
    pub(in crate::daemon) digest: Option<Address>,
}

/// A symbolic link in a directory.
#[derive(Clone, PartialEq, Message)]
pub(in crate::daemon) struct SymlinkNode {
    #[prost(string, tag = "1")]
    pub(in crate::daemon) name: String,
    #[prost(string, tag = "2")]
    pub(in crate::daemon) target: String,
}

/// What a directory holds; each list sorted by name.
#[derive(Clone, PartialEq, Message)]
pub(in crate::daemon) struct Directory {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::daemon) files: Vec<FileNode>,
    #[prost(message, repeated, tag = "2")]
    pub(in crate::daemon) directories: Vec<DirectoryNode>,
    #[prost(message, repeated, tag = "3")]
    pub(in crate::daemon) symlinks: Vec<SymlinkNode>,
}

/// A directory's digest, as the directory above names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Summary {
    pub(in crate::daemon) digest: Digest,
    pub(in crate::daemon) bytes: u32,
}

impl Directory {
    pub(in crate::daemon) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.directories.is_empty() && self.symlinks.is_empty()
    }

    /// Sorts as the format asks for, and digests.
    pub(in crate::daemon) fn summary(mut self) -> Summary {
        // Sorted by bytes as they come; only escaped names stand elsewhere, so this mostly just looks.
        self.files.sort_by(|a, b| a.name.cmp(&b.name));
        self.directories.sort_by(|a, b| a.name.cmp(&b.name));
        self.symlinks.sort_by(|a, b| a.name.cmp(&b.name));
        let bytes = self.encode_to_vec();
        Summary {
            digest: Digest::of(&bytes),
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        }
    }
}

impl Address {
    /// Of content with this hash and size.
    pub(in crate::daemon) fn of(hash: &[u8; 32], size: u64) -> Self {
        Self {
            hash: hex(hash),
            size_bytes: i64::try_from(size).unwrap_or(i64::MAX),
        }
    }

    /// Of content that cannot be read.
    pub(in crate::daemon) fn unreadable() -> Self {
        Self {
            hash: String::new(),
            size_bytes: 0,
        }
    }
}

fn hex(hash: &[u8; 32]) -> String {
    let mut text = [0; 64];
    base16ct::lower::encode_str(hash, &mut text)
        .unwrap_or_default()
        .to_owned()
}

/// A name or a link's target as text, so that no two are alike.
pub(in crate::daemon) fn text(name: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(name) {
        return text.to_owned();
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
    text
}

#[cfg(test)]
mod tests {
    use super::*;

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
                name: "a".to_owned(),
                digest: Some(Address::of(Digest::of(b"abc").bytes(), 3)),
                is_executable: true,
            }],
            directories: Vec::new(),
            symlinks: vec![SymlinkNode {
                name: "l".to_owned(),
                target: "../".to_owned(),
            }],
        };
        let bytes = directory.encode_to_vec();
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
