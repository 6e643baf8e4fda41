//! Which workspace a command speaks of.
//!
//! `--workspace`, else `CODEX_ORCHESTRATOR_ROOT`, else the nearest directory upwards with a configuration file, else the
//! registered workspace or the git root around the current directory; else none, and then the commands that can speak
//! of all do. Paths are made absolute with symbolic links resolved, because that is how the daemon knows them.

use crate::model::path::{of_text, plain};
use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The files that make a directory a workspace.
pub const CONFIG_FILES: [&str; 2] = ["orchd.toml", "codex.orchestrator.json"];

/// Why no directory could be found.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The current directory is gone or closed to us.
    #[error("the current directory cannot be read")]
    Current(#[source] io::Error),
    /// The path is nothing that a path can be.
    #[error("`{}` cannot be made absolute", plain(path.as_os_str()))]
    Absolute {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing.
    #[error("`{}` does not exist", plain(path.as_os_str()))]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// It is something else than a directory.
    #[error("`{}` is no directory", plain(path.as_os_str()))]
    NoDirectory {
        /// The path.
        path: PathBuf,
    },
}

/// What the file system and the command line say of the place, before the daemon is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Somebody named it, or a configuration file makes it one.
    Sure(PathBuf),
    /// Nobody did: the registered workspace around `cwd` is meant, else the git root, else none.
    Around {
        /// The current directory.
        cwd: PathBuf,
        /// The git root around it.
        git: Option<PathBuf>,
    },
}

impl Place {
    /// Looks around the current directory, unless `named` says it.
    ///
    /// # Errors
    /// When the current directory cannot be read or `named` cannot be made absolute.
    pub fn find(named: Option<&Path>) -> Result<Self, PlaceError> {
        let root: Option<OsString> = std::env::var_os("CODEX_ORCHESTRATOR_ROOT");
        let named = named.or(root
            .as_deref()
            .map(Path::new)
            .filter(|r| !r.as_os_str().is_empty()));
        match named {
            Some(dir) => Ok(Self::Sure(workspace(dir)?)),
            None => Ok(Self::look(current_dir()?)),
        }
    }

    fn look(cwd: PathBuf) -> Self {
        let configured = cwd
            .ancestors()
            .find(|dir| CONFIG_FILES.iter().any(|name| dir.join(name).is_file()));
        if let Some(dir) = configured {
            return Self::Sure(dir.to_path_buf());
        }
        let git = cwd.ancestors().find(|dir| dir.join(".git").exists());
        let git = git.map(Path::to_path_buf);
        Self::Around { cwd, git }
    }

    /// The workspace, where the daemon watches `registered`.
    #[must_use]
    pub fn among<'a>(&self, registered: impl IntoIterator<Item = &'a Path>) -> Option<PathBuf> {
        match self {
            Self::Sure(dir) => Some(dir.clone()),
            Self::Around { cwd, git } => {
                let around = registered.into_iter().filter(|root| cwd.starts_with(root));
                let deepest = around.max_by_key(|root| root.components().count());
                deepest.map(Path::to_path_buf).or_else(|| git.clone())
            }
        }
    }

    /// The directory to use where no daemon is asked: the git root, else the current directory.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        match self {
            Self::Sure(dir) => dir.clone(),
            Self::Around { cwd, git } => git.clone().unwrap_or_else(|| cwd.clone()),
        }
    }
}

/// `path` as the daemon knows it: absolute, links resolved as far as it exists.
///
/// # Errors
/// When the current directory cannot be read or the path is empty.
pub fn absolute(path: &Path) -> Result<PathBuf, PlaceError> {
    let path = &*spelled(path);
    let whole = if path.is_absolute() {
        path.to_path_buf()
    } else {
        current_dir()?.join(path)
    };
    let whole = std::path::absolute(&whole).map_err(|source| PlaceError::Absolute {
        path: path.to_path_buf(),
        source,
    })?;
    // A directory that is gone can still be removed from the list, so what exists of it is resolved and the rest kept.
    for ancestor in whole.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), whole.strip_prefix(ancestor)) {
            return Ok(if rest.as_os_str().is_empty() {
                real
            } else {
                real.join(rest)
            });
        }
    }
    Ok(whole)
}

/// The path that is meant: what is there under the name as it was typed, else the name as it is shown, `\xNN` for each
/// byte that is no UTF-8.
fn spelled(path: &Path) -> Cow<'_, Path> {
    match path.to_str() {
        Some(text) if path.symlink_metadata().is_err() => Cow::Owned(of_text(text)),
        _ => Cow::Borrowed(path),
    }
}

/// `path` as [`absolute`] makes it, when it can be a workspace: one that is registered may be missing for a while.
///
/// # Errors
/// When something else than a directory is there.
pub fn workspace(path: &Path) -> Result<PathBuf, PlaceError> {
    match directory(path) {
        Err(PlaceError::Missing { path }) => Ok(path),
        found => found,
    }
}

/// `path` as [`absolute`] makes it, when it is a directory.
///
/// # Errors
/// When it is none.
pub fn directory(path: &Path) -> Result<PathBuf, PlaceError> {
    let path = absolute(path)?;
    if path.is_dir() {
        Ok(path)
    } else if path.symlink_metadata().is_ok() {
        Err(PlaceError::NoDirectory { path })
    } else {
        Err(PlaceError::Missing { path })
    }
}

/// The current directory, links resolved.
///
/// # Errors
/// When it is gone or closed to us.
#[expect(
    clippy::disallowed_methods,
    reason = "the client's home of the current directory: it serves one place, the daemon many"
)]
pub fn current_dir() -> Result<PathBuf, PlaceError> {
    let cwd = std::env::current_dir().map_err(PlaceError::Current)?;
    Ok(cwd.canonicalize().unwrap_or(cwd))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for below in [
            "plain/deep",
            "repo/.git",
            "repo/src",
            "shop/web/src",
            "codex/a",
        ] {
            fs::create_dir_all(root.join(below)).unwrap();
        }
        fs::File::create(root.join("shop/orchd.toml")).unwrap();
        fs::File::create(root.join("codex/codex.orchestrator.json")).unwrap();
        (dir, root)
    }

    #[test]
    fn the_nearest_configuration_file_upwards_wins() {
        let (_dir, root) = tree();
        assert_eq!(
            Place::look(root.join("shop/web/src")),
            Place::Sure(root.join("shop"))
        );
        assert_eq!(
            Place::look(root.join("codex/a")),
            Place::Sure(root.join("codex"))
        );
    }

    #[test]
    fn else_the_registered_workspace_or_the_git_root_around() {
        let (_dir, root) = tree();
        let place = Place::look(root.join("repo/src"));
        assert_eq!(place.among([root.as_path()]), Some(root.clone()));
        assert_eq!(
            place.among([root.join("shop").as_path()]),
            Some(root.join("repo"))
        );
        let deepest = [root.as_path(), &root.join("repo/src")].map(Path::to_path_buf);
        assert_eq!(
            place.among(deepest.iter().map(PathBuf::as_path)),
            Some(root.join("repo/src"))
        );
        assert_eq!(place.directory(), root.join("repo"));
    }

    #[test]
    fn outside_of_any_there_is_none() {
        let (_dir, root) = tree();
        let place = Place::look(root.join("plain/deep"));
        assert_eq!(place.among([root.join("shop").as_path()]), None);
        assert_eq!(place.directory(), root.join("plain/deep"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_resolved_as_far_as_the_path_exists() {
        let (_dir, root) = tree();
        std::os::unix::fs::symlink(root.join("shop"), root.join("link")).unwrap();
        assert_eq!(
            absolute(&root.join("link/web")).unwrap(),
            root.join("shop/web")
        );
        assert_eq!(
            absolute(&root.join("link/gone/x")).unwrap(),
            root.join("shop/gone/x")
        );
        let error = directory(&root.join("link/gone")).unwrap_err();
        assert!(
            error.to_string().ends_with("/shop/gone` does not exist"),
            "{error}"
        );
        let error = workspace(&root.join("link/orchd.toml")).unwrap_err();
        assert!(
            error.to_string().ends_with("/orchd.toml` is no directory"),
            "{error}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_name_may_be_typed_as_it_is_shown() {
        use std::os::unix::ffi::OsStrExt as _;
        let (_dir, root) = tree();
        let odd = root.join(std::ffi::OsStr::from_bytes(b"we\xffird"));
        fs::create_dir(&odd).unwrap();
        assert_eq!(absolute(&root.join("we\\xffird")).unwrap(), odd);
        let gone = root.join(std::ffi::OsStr::from_bytes(b"gone\xfe/x"));
        assert_eq!(absolute(&root.join("gone\\xfe/x")).unwrap(), gone);
        let literal = root.join("we\\xffird");
        fs::create_dir(&literal).unwrap();
        assert_eq!(absolute(&literal).unwrap(), literal);
    }
}
