//! Spelling: the name under which `notify` knows a directory of a workspace.
//!
//! When `notify` hears that something which it watches is gone, it looks through all that it watches for what lay below,
//! once for each directory of a tree that is removed: ten thousand of them keep it busy for seconds, and meanwhile no
//! change is seen. It knows its watches by the paths that it was given. So it is given `w/a/../a` for `w/a`: events in
//! there carry that path, and what is told of `w/a` itself is of no directory that it knows. The trees take
//! their watches away themselves; only of a directory that went to another workspace does the old name stay behind.

use std::borrow::Cow;
use std::path::Path;

/// The kernel takes paths of 4,096 bytes, and a name has up to 255.
#[cfg(unix)]
const LEN_MAX: usize = 3_800;

/// The spelling that means the same directory, and that no event of the directory above it has.
#[cfg(unix)]
pub(super) fn of_watch(directory: &Path) -> Cow<'_, Path> {
    match directory.file_name() {
        // What is too long for the kernel that way is known by its own name.
        Some(name) if super::PER_DIRECTORY && directory.as_os_str().len() < LEN_MAX => {
            Cow::Owned(directory.join("..").join(name))
        }
        Some(_) | None => Cow::Borrowed(directory),
    }
}

/// The usual spelling of a path that an event carries.
#[cfg(unix)]
pub(super) fn plain(path: &Path) -> Cow<'_, Path> {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    const UP: &[u8] = b"/../";
    let bytes = path.as_os_str().as_bytes();
    let Some(at) = bytes.windows(UP.len()).position(|held| held == UP) else {
        return Cow::Borrowed(path);
    };
    let (directory, rest) = (
        bytes.get(..at).unwrap_or_default(),
        bytes.get(at + UP.len()..).unwrap_or_default(),
    );
    let name = directory.rsplit(|byte| *byte == b'/').next();
    let below = name.and_then(|name| rest.strip_prefix(name));
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
pub(super) fn of_watch(directory: &Path) -> Cow<'_, Path> {
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
        for directory in ["/w", "/w/a b", "/w/a/..b", "/w/\u{e9}", "/"] {
            let directory = Path::new(directory);
            let spelled = of_watch(directory);
            assert_eq!(plain(&spelled), directory);
            let file = Path::new(OsStr::from_bytes(b"f\xff\n"));
            assert_eq!(plain(&spelled.join(file)), directory.join(file));
            let named = directory.parent().map(|above| of_watch(above).into_owned());
            let told = named.and_then(|above| Some(above.join(directory.file_name()?)));
            if super::super::PER_DIRECTORY {
                assert_ne!(told.as_deref(), Some(&*spelled), "it would be let go of");
            }
        }
        for other in ["/w/a", "/w/a/../b", "/w/a/../ab/f", "w", ""] {
            assert_eq!(plain(Path::new(other)), Path::new(other));
        }
    }
}
