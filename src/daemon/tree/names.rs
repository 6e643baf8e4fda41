//! Names as bytes: how the snapshot keeps them, and the way to a path and back.
//!
//! A path below the root is its components' bytes with `/` between them, empty for the root. On Unix nothing is lost on
//! the way; elsewhere a name that is no text is kept in the platform's own encoding and shown with replacements.

use crate::model::path::RelPath;
use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The bytes of one name.
pub(in crate::daemon) fn bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}

/// The path that these bytes stand for.
#[cfg(unix)]
pub(super) fn path(bytes: &[u8]) -> Cow<'_, Path> {
    use std::os::unix::ffi::OsStrExt as _;
    Cow::Borrowed(Path::new(OsStr::from_bytes(bytes)))
}

/// The path that these bytes stand for.
#[cfg(not(unix))]
pub(super) fn path(bytes: &[u8]) -> Cow<'_, Path> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => Cow::Borrowed(Path::new(text)),
        Cow::Owned(text) => Cow::Owned(PathBuf::from(text)),
    }
}

/// The absolute path of something below `root`.
pub(in crate::daemon) fn below(root: &Path, bytes: &[u8]) -> PathBuf {
    if bytes.is_empty() {
        root.to_path_buf()
    } else {
        root.join(path(bytes))
    }
}

/// The path below the root that these bytes stand for.
pub(super) fn rel(bytes: &[u8]) -> RelPath {
    // Only what a directory listing or a `RelPath` gave gets here, so that no component is `..`.
    RelPath::new(&path(bytes)).unwrap_or_default()
}

/// The bytes of a path below the root.
pub(in crate::daemon) fn of(path: &RelPath) -> Box<[u8]> {
    let mut whole = Vec::new();
    for name in path.names() {
        push(&mut whole, bytes(name));
    }
    whole.into_boxed_slice()
}

/// Appends a component.
pub(in crate::daemon) fn push(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// The components, from the top; none for the root.
pub(in crate::daemon) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
}

/// The directory and the name of a path; `None` for the root.
pub(in crate::daemon) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => path
            .split_at_checked(at)
            .map(|(directory, name)| (directory, name.strip_prefix(b"/").unwrap_or(name))),
        None => Some((b"", path)),
    }
}

/// A path and every directory above it, down to the root's empty one.
pub(super) fn upwards(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |at| split(at).map(|(directory, _)| directory))
}

/// Whether `path` is `directory` or lies below it.
pub(super) fn is_within(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty()
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// What `path` is called below `directory`; `None` when it lies elsewhere.
pub(super) fn strip<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    if directory.is_empty() {
        return Some(path);
    }
    let rest = path.strip_prefix(directory)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix(b"/")
    }
}
