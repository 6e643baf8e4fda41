//! Spelling: the name under which `notify` knows a directory of a workspace.
//!
//! When `notify` hears that something which it watches is gone, it looks through all that it watches for what lay below,
//! once for each directory of a tree that is removed: ten thousand of them keep it busy for seconds, and meanwhile no
//! change is seen. It knows its watches by the paths that it was given. So it is given `/w/a/../../proc/self/fd/9` for
//! `/w/a`, which is whatever is held at that descriptor (see `pin`), or `/w/a/../a` where nothing can be: events in there
//! carry that path, and what is told of `/w/a` itself is of no directory that it knows. The trees take their watches away
//! themselves; only of a directory that went to another workspace does the old name stay behind. A directory around a
//! workspace has one `/..` more.

use std::borrow::Cow;
use std::path::Path;

/// The kernel takes paths of 4,096 bytes, and a name has up to 255.
#[cfg(unix)]
const LEN_MAX: usize = 3_800;
#[cfg(unix)]
const HELD: &[u8] = b"/proc/self/fd/";

/// How a directory is spelled; where a number is given, that which is held at that descriptor.
pub(super) type Spell = fn(&Path, Option<i32>) -> Cow<'_, Path>;

/// The spelling that no event of the directory above it has.
#[cfg(unix)]
pub(super) fn of_watch(directory: &Path, held: Option<i32>) -> Cow<'_, Path> {
    // Up to `/` from wherever it is; from where it went meanwhile that leads to nothing, or there as well.
    let depth = directory.components().skip(1).count();
    spelled(directory, held, if held.is_some() { depth } else { 1 })
}

/// That of a directory around a workspace, which is another one: it may be the content of another workspace, too, and
/// what takes the one name away is not to take the other.
#[cfg(unix)]
pub(super) fn of_surrounding(directory: &Path, held: Option<i32>) -> Cow<'_, Path> {
    if held.is_none() {
        return Cow::Borrowed(directory);
    }
    let depth = directory.components().count();
    spelled(directory, held, depth)
}

#[cfg(unix)]
fn spelled(directory: &Path, held: Option<i32>, up: usize) -> Cow<'_, Path> {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    let name = directory.file_name().filter(|_| super::PER_DIRECTORY);
    let mut path = directory.as_os_str().as_bytes().to_vec();
    path.extend(b"/..".repeat(up));
    match (name, held) {
        (Some(_), Some(held)) => {
            path.extend_from_slice(HELD);
            path.extend_from_slice(held.to_string().as_bytes());
        }
        (Some(name), None) => {
            path.push(b'/');
            path.extend_from_slice(name.as_bytes());
        }
        (None, _) => return Cow::Borrowed(directory),
    }
    if path.len() > LEN_MAX {
        // What is too long for the kernel that way is known by its own name.
        return Cow::Borrowed(directory);
    }
    Cow::Owned(OsString::from_vec(path).into())
}

/// The usual spelling of a path that an event carries.
#[cfg(unix)]
pub(super) fn plain(path: &Path) -> Cow<'_, Path> {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    const UP: &[u8] = b"/..";
    let bytes = path.as_os_str().as_bytes();
    let up = |at: &[u8]| {
        at.strip_prefix(UP)
            .is_some_and(|rest| rest.starts_with(b"/"))
    };
    let Some(at) = (0..bytes.len()).find(|at| up(bytes.get(*at..).unwrap_or_default())) else {
        return Cow::Borrowed(path);
    };
    let (directory, mut rest) = bytes.split_at(at);
    while up(rest) {
        rest = rest.get(UP.len()..).unwrap_or_default();
    }
    let below = match rest.strip_prefix(HELD) {
        Some(held) => {
            let digits = held.iter().take_while(|byte| byte.is_ascii_digit());
            held.get(digits.count()..)
        }
        None => {
            let name = directory.rsplit(|byte| *byte == b'/').next();
            name.and_then(|name| rest.strip_prefix(b"/")?.strip_prefix(name))
        }
    };
    match below.filter(|below| below.is_empty() || below.starts_with(b"/")) {
        Some(below) => {
            let whole = [directory, below].concat();
            Cow::Owned(OsString::from_vec(whole).into())
        }
        None => Cow::Borrowed(path),
    }
}

/// Where one stream tells of everything there is but one spelling.
#[cfg(not(unix))]
pub(super) fn of_watch(directory: &Path, _held: Option<i32>) -> Cow<'_, Path> {
    Cow::Borrowed(directory)
}

/// Where one stream tells of everything there is but one spelling.
#[cfg(not(unix))]
pub(super) fn of_surrounding(directory: &Path, _held: Option<i32>) -> Cow<'_, Path> {
    Cow::Borrowed(directory)
}

/// Where one stream tells of everything there is but one spelling.
#[cfg(not(unix))]
pub(super) fn plain(path: &Path) -> Cow<'_, Path> {
    Cow::Borrowed(path)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn an_event_of_a_watched_directory_is_spelled_plainly_and_others_stay() {
        let directories = [
            "/w",
            "/w/a b",
            "/w/a/..b",
            "/w/\u{e9}",
            "/proc/self/fd/9",
            "/",
        ];
        for (directory, held) in directories
            .into_iter()
            .flat_map(|it| [(it, None), (it, Some(9))])
        {
            let directory = Path::new(directory);
            let spelled = of_watch(directory, held);
            let around = of_surrounding(directory, held);
            let file = Path::new(OsStr::from_bytes(b"f\xff\n"));
            for spelled in [&spelled, &around] {
                assert_eq!(plain(spelled), directory);
                assert_eq!(plain(&spelled.join(file)), directory.join(file));
            }
            let named = directory
                .parent()
                .map(|above| of_watch(above, held).into_owned());
            let told = named.and_then(|above| Some(above.join(directory.file_name()?)));
            if super::super::PER_DIRECTORY {
                assert_ne!(told.as_deref(), Some(&*spelled), "it would be let go of");
                let is_top = directory.parent().is_none();
                assert!(is_top || around != spelled, "one would go with the other");
            }
        }
        for other in [
            "/w/a",
            "/w/a/../b",
            "/w/a/../ab/f",
            "/w/a/../proc/self/fds",
            "w",
            "",
        ] {
            assert_eq!(plain(Path::new(other)), Path::new(other));
        }
    }
}
