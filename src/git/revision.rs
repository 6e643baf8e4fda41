//! What is to be judged, found out in the user's repository: a commit by its name, or what an index would commit.
//!
//! Nothing of the user's is changed: an index is copied before git is asked which tree it makes, because git writes into
//! the one that it is asked about. What is added to the repository is that tree, as the commit itself would add it.

use super::{Git, GitError};
use crate::limits::GIT_WORDS_CHARS_MAX;
use crate::model::judged::{Judged, Oid};
use crate::model::path::{RootPath, plain};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The mode of a submodule in a tree.
const SUBMODULE: &[u8] = b"160000 ";

/// The modes of a link and of a directory in a tree.
const LINK: &[u8] = b"120000 ";
const DIRECTORY: &[u8] = b"040000 ";

/// Why nothing can be judged.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// There is no working tree of git.
    #[error("`{root}` lies in no working tree of git")]
    NoRepository {
        /// The workspace.
        root: RootPath,
        /// What git says.
        source: GitError,
    },
    /// No such commit.
    #[error("`{}` names no commit", name.escape_debug())]
    Unknown {
        /// What was named.
        name: String,
        /// What git says.
        source: GitError,
    },
    /// The workspace is not in it.
    #[error("{judged} has nothing in `{}`, where the workspace is", plain(below.as_os_str()))]
    Absent {
        /// What was to be judged.
        judged: Judged,
        /// The workspace, below the top of its repository.
        below: PathBuf,
    },
    /// The workspace is no directory in it, or lies in none.
    #[error("{judged} has {found} at `{}`, which is {} here", plain(path.as_os_str()), if path == below { "the workspace, a directory," } else { "a directory" })]
    Obstructed {
        /// What was to be judged.
        judged: Judged,
        /// Where that is, below the top of the repository.
        path: PathBuf,
        /// The workspace, below the top of its repository.
        below: PathBuf,
        /// What is there.
        found: String,
    },
    /// It is pushed, and no commit.
    #[error("`{}` names no commit but a {kind}", name.escape_debug())]
    NoCommit {
        /// What was named.
        name: String,
        /// What it is, in git's words.
        kind: String,
    },
    /// There is no such index.
    #[error("there is no index at `{}`, which GIT_INDEX_FILE names", plain(path.as_os_str()))]
    NoIndex {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A merge has left conflicts that nobody has resolved.
    #[error("the index has conflicts, the first in `{}`", plain(path.as_os_str()))]
    Conflicts {
        /// The first file.
        path: PathBuf,
    },
    /// Files of other repositories belong to it, and are not in this one.
    #[error("{judged} has submodules, the first is `{}`: what lies in them is not known here", plain(path.as_os_str()))]
    Submodules {
        /// What was to be judged.
        judged: Judged,
        /// The first one.
        path: PathBuf,
    },
    /// The index could not be copied.
    #[error("`{}` could not be copied", plain(path.as_os_str()))]
    Copy {
        /// The index.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Git failed at something that it should be able to do.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// The repository that a workspace is in.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The top of its working tree; absolute, as all of these.
    pub top: PathBuf,
    /// The workspace below the top; empty where it is the top.
    pub below: PathBuf,
    /// The git directory of the working tree.
    pub own: PathBuf,
    /// The git directory that all of its working trees share.
    pub common: PathBuf,
}

/// What is to be judged.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Where it is.
    pub repository: Repository,
    /// As what it is told.
    pub judged: Judged,
    /// The commit that is HEAD for whoever looks at it; none before the first.
    pub head: Option<Oid>,
    /// Its files.
    pub tree: Oid,
}

impl Repository {
    /// Finds the repository around the workspace at `root`.
    ///
    /// # Errors
    /// When there is none, or none with a working tree.
    pub fn around(root: &RootPath) -> Result<Self, RevisionError> {
        let git = Git::at(root.as_path());
        let path = |what: &str| {
            let arguments = ["rev-parse", "--path-format=absolute", what];
            Ok::<_, GitError>(PathBuf::from(OsString::from_vec(git.line(&arguments)?)))
        };
        let found = || {
            Ok((
                path("--show-toplevel")?,
                path("--git-dir")?,
                path("--git-common-dir")?,
            ))
        };
        let (top, own, common) = found().map_err(|source| match source {
            GitError::Spawn(_) => RevisionError::Git(source),
            GitError::Refused { .. } | GitError::Odd { .. } => RevisionError::NoRepository {
                root: root.clone(),
                source,
            },
        })?;
        let Ok(below) = root.as_path().strip_prefix(&top) else {
            // Its settings name another place for its files.
            let top = crate::model::path::to_text(top.as_os_str());
            let source = super::odd(&["rev-parse"], top.as_bytes());
            let root = root.clone();
            return Err(RevisionError::NoRepository { root, source });
        };
        let below = below.to_path_buf();
        Ok(Self {
            top,
            below,
            own,
            common,
        })
    }

    /// A commit by any name that git knows for it.
    ///
    /// # Errors
    /// When there is no such commit, or it cannot be judged.
    pub fn commit(&self, name: &str) -> Result<Revision, RevisionError> {
        let found = self.peeled(name, "commit");
        let commit = found.map_err(|source| self.no_commit(name, source))?;
        let revision = Revision {
            repository: self.clone(),
            judged: Judged::Commit(commit.clone()),
            tree: self.oid(&[
                "rev-parse",
                "--verify",
                &format!("{}^{{tree}}", commit.as_str()),
            ])?,
            head: Some(commit),
        };
        revision.checked()
    }

    /// What a name stands for, peeled to a kind of object, or to what is no tag.
    fn peeled(&self, name: &str, kind: &str) -> Result<Oid, GitError> {
        let name = format!("{name}^{{{kind}}}");
        self.oid(&["rev-parse", "--verify", "--end-of-options", &name])
    }

    /// Why a name is that of no commit.
    fn no_commit(&self, name: &str, source: GitError) -> RevisionError {
        let name = name.to_owned();
        if matches!(source, GitError::Spawn(_)) {
            return RevisionError::Git(source);
        }
        let kind = self.peeled(&name, "").and_then(|oid| {
            let kind = Git::at(&self.top).line(&["cat-file", "-t", oid.as_str()])?;
            Ok(String::from_utf8_lossy(&kind).into_owned())
        });
        match kind {
            Ok(kind) if kind != "commit" => RevisionError::NoCommit { name, kind },
            Ok(_) | Err(_) => RevisionError::Unknown { name, source },
        }
    }

    /// What an index would commit: that at `file`, as a hook is told it, else that of the working tree. As for git, a
    /// relative one is below the top.
    ///
    /// # Errors
    /// When it has conflicts, or cannot be judged.
    pub fn index(&self, file: Option<&Path>) -> Result<Revision, RevisionError> {
        let usual = self.own.join("index");
        let file = file.map_or_else(|| usual.clone(), |file| self.top.join(file));
        let failed = |source| RevisionError::Copy {
            path: file.clone(),
            source,
        };
        let scratch = tempfile::tempdir().map_err(failed)?;
        let copy = scratch.path().join("index");
        match std::fs::copy(&file, &copy) {
            Ok(_) => {}
            // Nothing has been added yet.
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_same(&file, &usual) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(RevisionError::NoIndex { path: file });
            }
            Err(error) => return Err(failed(error)),
        }
        let git = Git::at(&self.top).apart().with("GIT_INDEX_FILE", copy);
        let unmerged = git.ask(&["ls-files", "--unmerged", "--full-name", "-z"])?;
        if let Some(path) = first_path(&unmerged, |_| true) {
            return Err(RevisionError::Conflicts { path });
        }
        let arguments = ["write-tree"];
        let tree = oid(&arguments, &git.line(&arguments)?)?;
        let head = ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"];
        let revision = Revision {
            repository: self.clone(),
            judged: Judged::Index(tree.clone()),
            // Before the first commit there is none.
            head: self.oid(&head).ok(),
            tree,
        };
        revision.checked()
    }

    fn oid(&self, arguments: &[&str]) -> Result<Oid, GitError> {
        oid(arguments, &Git::at(&self.top).line(arguments)?)
    }
}

impl Revision {
    /// The same, where all that the workspace has of it is in this repository.
    fn checked(self) -> Result<Self, RevisionError> {
        let below = &self.repository.below;
        let list = ["ls-tree", "-r", "-z", "--full-tree", self.tree.as_str()].map(OsStr::new);
        let mut list = list.to_vec();
        if !below.as_os_str().is_empty() {
            list.extend([OsStr::new("--"), below.as_os_str()]);
        }
        let files = Git::at(&self.repository.top)
            .with("GIT_LITERAL_PATHSPECS", "1")
            .ask(&list)?;
        if !below.as_os_str().is_empty() {
            let own = |entry: &[u8]| {
                path_of(entry).as_deref() == Some(below) && !entry.starts_with(SUBMODULE)
            };
            let itself = files.split(|byte| *byte == 0).find(|entry| own(entry));
            let in_its_way = match itself {
                Some(entry) => Some((below.clone(), entry.to_vec())),
                None if files.is_empty() => self.first_obstacle()?,
                None => None,
            };
            match in_its_way {
                Some((path, entry)) => return Err(self.obstructed(path, &entry)),
                None if files.is_empty() => {
                    let below = below.clone();
                    let judged = self.judged;
                    return Err(RevisionError::Absent { judged, below });
                }
                None => {}
            }
        }
        match first_path(&files, |entry| entry.starts_with(SUBMODULE)) {
            Some(path) => Err(RevisionError::Submodules {
                path,
                judged: self.judged,
            }),
            None => Ok(self),
        }
    }

    /// What lies in the way to the workspace and is no directory: where, and its entry in the list of its tree.
    fn first_obstacle(&self) -> Result<Option<(PathBuf, Vec<u8>)>, GitError> {
        let git = Git::at(&self.repository.top).with("GIT_LITERAL_PATHSPECS", "1");
        let mut above: Vec<&Path> = self.repository.below.ancestors().skip(1).collect();
        above.retain(|path| !path.as_os_str().is_empty());
        // From the top.
        for path in above.into_iter().rev() {
            let list = ["ls-tree", "-z", "--full-tree", self.tree.as_str(), "--"];
            let mut list = list.map(OsStr::new).to_vec();
            list.push(path.as_os_str());
            let mut entry = git.ask(&list)?;
            entry.truncate(entry.len().saturating_sub(1));
            if entry.is_empty() || entry.starts_with(DIRECTORY) {
                continue;
            }
            return Ok(Some((path.to_path_buf(), entry)));
        }
        Ok(None)
    }

    fn obstructed(&self, path: PathBuf, entry: &[u8]) -> RevisionError {
        let found = match entry.starts_with(LINK) {
            true => match self.target(entry) {
                Some(target) => format!("a symbolic link to `{}`", plain(&target)),
                None => "a symbolic link".to_owned(),
            },
            false if entry.starts_with(SUBMODULE) => "a submodule".to_owned(),
            false => "a file".to_owned(),
        };
        RevisionError::Obstructed {
            judged: self.judged.clone(),
            below: self.repository.below.clone(),
            path,
            found,
        }
    }

    /// Where the link of an entry leads.
    fn target(&self, entry: &[u8]) -> Option<OsString> {
        let oid = entry.split(|byte| matches!(byte, b' ' | b'\t')).nth(2)?;
        let oid = Oid::parse(std::str::from_utf8(oid).ok()?).ok()?;
        let git = Git::at(&self.repository.top);
        let mut target = git.ask(&["cat-file", "blob", oid.as_str()]).ok()?;
        target.truncate(GIT_WORDS_CHARS_MAX);
        Some(OsString::from_vec(target))
    }
}

/// Whether both are one file, which need not be there.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| {
        Some(
            std::fs::canonicalize(path.parent()?)
                .ok()?
                .join(path.file_name()?),
        )
    };
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// The path of the first entry of a list that `is_meant`: what stands behind its tab.
fn first_path(list: &[u8], is_meant: impl Fn(&[u8]) -> bool) -> Option<PathBuf> {
    let mut entries = list.split(|byte| *byte == 0);
    path_of(entries.find(|entry| !entry.is_empty() && is_meant(entry))?)
}

/// What stands behind the tab of an entry.
fn path_of(entry: &[u8]) -> Option<PathBuf> {
    let path = entry.splitn(2, |byte| *byte == b'\t').nth(1)?;
    Some(PathBuf::from(OsStr::from_bytes(path)))
}

fn oid(arguments: &[&str], line: &[u8]) -> Result<Oid, GitError> {
    let text = std::str::from_utf8(line).ok();
    let found = text.and_then(|text| Oid::parse(text).ok());
    found.ok_or_else(|| super::odd(arguments, line))
}
