//! Paths with a meaning: [`RootPath`] (absolute, a workspace) and [`RelPath`] (below a root).
//!
//! No bare `PathBuf` goes beyond the shell. A name need not be UTF-8: a path keeps its bytes. For programs [`to_text`]
//! writes it so that no two paths are written alike, and [`of_text`] reads exactly that path back; for people, in
//! sentences and lines, `Display` and [`plain`] leave no control character either.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The root of a workspace: absolute, with symbolic links resolved by whoever made it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RootPath(Arc<Path>);

/// A path below a root: no root, no `..`, no `.`; empty is the root itself. A change set may name very many, and is handed
/// on: to clone one costs next to nothing, and to compare two no more than their bytes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(Arc<Path>);

/// Why a path is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PathError {
    /// A root has to be absolute.
    #[error("`{0}` is not an absolute path")]
    NotAbsolute(String),
    /// A path below a root may not be absolute.
    #[error("`{0}` is absolute: give it relative to the workspace")]
    Absolute(String),
    /// A path below a root may not leave it.
    #[error("`{0}` leaves its directory: `..` is not allowed")]
    Escapes(String),
    /// A NUL byte ends a path for the kernel.
    #[error("`{0}` holds a NUL byte")]
    Nul(String),
}

impl RootPath {
    /// Takes an absolute path.
    ///
    /// # Errors
    /// When the path is relative.
    pub fn new(path: &Path) -> Result<Self, PathError> {
        if path.is_absolute() {
            Ok(Self(Arc::from(path)))
        } else {
            Err(PathError::NotAbsolute(plain(path.as_os_str())))
        }
    }

    /// The path itself.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path as text that reads back to exactly this path: itself where it is UTF-8, else `hex:` and its bytes in
    /// hexadecimal digits, which is no absolute path.
    #[must_use]
    pub fn to_key(&self) -> String {
        self.0.to_str().map_or_else(
            || {
                let bytes = self.0.as_os_str().as_encoded_bytes();
                format!("{HEX_MARK}{}", base16ct::lower::encode_string(bytes))
            },
            str::to_owned,
        )
    }

    /// Reads what [`RootPath::to_key`] writes.
    ///
    /// # Errors
    /// When it is no absolute path, or bytes that are no path on this platform.
    pub fn from_key(key: &str) -> Result<Self, PathError> {
        let Some(digits) = key.strip_prefix(HEX_MARK) else {
            return Self::new(Path::new(key));
        };
        let bytes = base16ct::lower::decode_vec(digits).ok();
        let path = bytes.and_then(path_of_bytes);
        path.map_or_else(
            || Err(PathError::NotAbsolute(key.to_owned())),
            |path| Self::new(&path),
        )
    }

    /// The path as text for programs, from which it can be read back.
    #[must_use]
    pub fn to_text(&self) -> String {
        to_text(self.0.as_os_str())
    }

    /// The path as somebody would type it into a shell to name it.
    #[must_use]
    pub fn quoted(&self) -> String {
        quoted(&self.to_string())
    }

    /// The absolute path of something below this root.
    #[must_use]
    pub fn join(&self, below: &RelPath) -> PathBuf {
        if below.is_root() {
            self.0.to_path_buf()
        } else {
            self.0.join(&below.0)
        }
    }

    /// What `path` is called below this root; `None` when it lies elsewhere.
    #[must_use]
    pub fn relative(&self, path: &Path) -> Option<RelPath> {
        path.strip_prefix(&self.0)
            .ok()
            .and_then(|rest| RelPath::new(rest).ok())
    }
}

impl RelPath {
    /// The root itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Takes a relative path; `.` components and doubled separators fall away.
    ///
    /// # Errors
    /// When the path is absolute, contains `..` or a NUL byte.
    pub fn new(path: &Path) -> Result<Self, PathError> {
        let bytes = path.as_os_str().as_encoded_bytes();
        if bytes.contains(&0) {
            return Err(PathError::Nul(plain(path.as_os_str())));
        }
        if is_clean(bytes) {
            return Ok(Self(path.into()));
        }
        let mut clean = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => clean.push(name),
                Component::CurDir => {}
                Component::ParentDir => return Err(PathError::Escapes(plain(path.as_os_str()))),
                Component::RootDir | Component::Prefix(_) => {
                    return Err(PathError::Absolute(plain(path.as_os_str())));
                }
            }
        }
        Ok(Self(clean.into()))
    }

    /// Reads a relative path from text.
    ///
    /// # Errors
    /// As [`RelPath::new`].
    pub fn parse(text: &str) -> Result<Self, PathError> {
        Self::new(Path::new(text))
    }

    /// Whether this is the root itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.as_os_str().is_empty()
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_os_str().as_encoded_bytes()
    }

    /// The path as text for programs, from which it can be read back; `.` for the root.
    #[must_use]
    pub fn to_text(&self) -> String {
        if self.is_root() {
            ".".to_owned()
        } else {
            to_text(self.0.as_os_str())
        }
    }

    /// The path itself; empty for the root.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The path of something below this one.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        if below.is_root() {
            self.clone()
        } else {
            Self(self.0.join(&below.0).into())
        }
    }

    /// The path of the entry called `name` in this directory.
    #[must_use]
    pub fn child(&self, name: &OsStr) -> Self {
        Self(self.0.join(name).into())
    }

    /// The directory that holds this path; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            None
        } else {
            self.0.parent().map(|parent| Self(parent.into()))
        }
    }

    /// Whether this path is `directory` or lies below it.
    #[must_use]
    pub fn is_within(&self, directory: &Self) -> bool {
        self.0.starts_with(&directory.0)
    }

    /// What this path is called below `directory`; `None` when it lies elsewhere.
    #[must_use]
    pub fn below(&self, directory: &Self) -> Option<Self> {
        self.0
            .strip_prefix(&directory.0)
            .ok()
            .map(|rest| Self(rest.into()))
    }

    /// The names of its components, from the top.
    pub fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.0.iter()
    }
}

/// Whether a path is one below a root as it stands, all components names.
#[cfg(unix)]
fn is_clean(path: &[u8]) -> bool {
    let mut names = path.split(|byte| *byte == b'/');
    names.all(|name| !name.is_empty() && name != b"." && name != b"..")
}

/// Elsewhere there is more than one separator, and more than one kind of root.
#[cfg(not(unix))]
fn is_clean(_path: &[u8]) -> bool {
    false
}

impl Default for RelPath {
    fn default() -> Self {
        Self(Path::new("").into())
    }
}

impl PartialEq for RelPath {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for RelPath {}

/// The order of their components, by their bytes: what separates names comes before all that names are made of.
#[cfg(unix)]
impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        let [one, other] = [self, other].map(|path| path.bytes().iter().map(rank));
        one.cmp(other)
    }
}

/// The order of their components.
#[cfg(not(unix))]
impl Ord for RelPath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for RelPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Marks the key of a path that is no text.
const HEX_MARK: &str = "hex:";

#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other platforms cannot make a path of any bytes"
)]
fn path_of_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

/// A name as text for programs: what is UTF-8 as it is, any other byte as `\xNN`. A backslash that would read as the
/// beginning of such an escape is `\x5c`, so that no two names are written alike.
#[must_use]
pub fn to_text(name: &OsStr) -> String {
    let mut text = String::new();
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        let mut rest = chunk.valid();
        while let Some((before, after)) = rest.split_once('\\') {
            text.push_str(before);
            text.push_str(if escape(after).is_some() {
                "\\x5c"
            } else {
                "\\"
            });
            rest = after;
        }
        text.push_str(rest);
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Reads what [`to_text`] writes.
#[must_use]
pub fn of_text(text: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        // Others are never written, so that they stand for themselves.
        let byte = escape(after).filter(|byte| *byte == b'\\' || !byte.is_ascii());
        bytes.push(byte.unwrap_or(b'\\'));
        rest = byte.and_then(|_| after.get("xNN".len()..)).unwrap_or(after);
    }
    bytes.extend_from_slice(rest.as_bytes());
    path_of_bytes(bytes).unwrap_or_else(|| PathBuf::from(text))
}

/// The byte that stands behind a backslash as `xNN`. Where a backslash separates names there are no escapes.
fn escape(after: &str) -> Option<u8> {
    let digits = after.strip_prefix('x')?.get(..2)?;
    let mut byte = [0];
    let read = base16ct::lower::decode(digits, &mut byte).ok()?;
    read.first().copied().filter(|_| cfg!(unix))
}

/// A name as people see it: as [`to_text`], and control characters as `\xNN` too, so that it stays in its line.
#[must_use]
pub fn plain(name: &OsStr) -> String {
    let mut line = String::new();
    for character in to_text(name).chars() {
        if character.is_control() {
            // Writing to a string cannot fail.
            let _infallible = write!(line, "\\x{:02x}", u32::from(character));
        } else {
            line.push(character);
        }
    }
    line
}

/// `word` as somebody would type it into a shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), |quoted| quoted.into_owned())
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            f.write_str(".")
        } else {
            f.write_str(&plain(self.0.as_os_str()))
        }
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(self.0.as_os_str()))
    }
}

impl fmt::Debug for RootPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for RootPath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        Self::new(&of_text(&text))
    }
}

impl From<RootPath> for String {
    fn from(path: RootPath) -> Self {
        path.to_text()
    }
}

impl TryFrom<String> for RelPath {
    type Error = PathError;
    fn try_from(text: String) -> Result<Self, PathError> {
        Self::new(&of_text(&text))
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.to_text()
    }
}

#[cfg(test)]
mod tests;
