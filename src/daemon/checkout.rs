//! A checkout: a commit, or what an index would commit, as files of its own, for a gate to judge.
//!
//! It is a detached worktree of the user's repository below the state directory, one a workspace, kept from gate to gate
//! so that what is ignored there (dependencies, build outputs) stays warm. One gate at a time has it. Nothing of the
//! user's is touched: no file, index, ref, hook or stash, only git's list of worktrees has one more.
//!
//! What the files were checked out by is an index of our own, which no stage reaches: what a stage did to a tracked file,
//! or to what git thinks of it, is undone. Where anything is not as it was left, all of it is made anew.

use crate::daemon::clock::Clock;
use crate::daemon::leftovers;
use crate::daemon::process::chase::RUN_VARIABLE;
use crate::git::leash::Leash;
use crate::git::revision::Revision;
use crate::git::{Git, GitError};
use crate::limits::CHECKOUT_ROOM_BYTES;
use crate::model::digest::Digest;
use crate::model::id::{IdError, RunId};
use crate::model::judged::Oid;
use crate::model::path::{PathError, RootPath};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Where checkouts stand, below the state directory.
const CHECKOUTS: &str = "worktrees";
/// Digits of a root's digest that name its checkout.
const NAME_DIGITS: usize = 16;
/// The worktree; git lists it under this name.
const TREE: &str = "orchd-gate";
/// By what it was checked out.
const INDEX: &str = "index";
/// Held by the gate that has it.
const LOCK: &str = "lock";
/// There while files are changed: after a crash nothing of them is believed.
const UNFINISHED: &str = "unfinished";
/// Written to see whether there is room.
const ROOM: &str = "room";
/// How files were converted when they were checked out.
const CONVERSIONS: &str = "conversions";
/// The settings by which git converts files that it checks out, beside the attributes.
const CONVERTING: &str =
    "^(core\\.(autocrlf|eol|symlinks|filemode|attributesfile)|attr\\.tree|filter\\..*)$";
/// Where the whole machine's attributes are, for a git that does not say so.
const SYSTEM_ATTRIBUTES: &str = "/etc/gitattributes";
/// Tells one start of the machine from another.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// The tree without files, which git knows without having it: of a repository with short names, and with long ones.
const EMPTY: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const EMPTY_LONG: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
/// Names under which git or a look finds how a directory is to be seen.
const STEERING: [&str; 4] = [".git", ".gitattributes", ".gitignore", ".ignore"];
/// What HEAD names before the first commit: a ref of the worktree alone, which is never there.
const UNBORN: &str = "refs/worktree/unborn";

/// Why nothing could be checked out.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// The disk said no.
    #[error("failed to {act} `{}`", path.display())]
    Disk {
        /// What was tried.
        act: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Git said no.
    #[error(transparent)]
    Git(#[from] GitError),
    /// It cannot be the root of anything.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It has no name by which its processes are known.
    #[error(transparent)]
    Name(#[from] IdError),
}

/// The checkout of one workspace, which nobody else has as long as this lives.
#[derive(Debug)]
pub struct Checkout {
    directory: PathBuf,
    tree: PathBuf,
    index: PathBuf,
    /// By which the processes of its git are known, as those of a run are.
    mark: RunId,
    leash: Option<Leash>,
    /// Locked; the lock goes with it.
    _lock: File,
}

impl Checkout {
    /// Takes the checkout of the workspace at `root`; where another gate has it, `waits` is told, and then that is waited
    /// for. What changes files there is on the leash, if there is one. Blocks.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn take(
        state: &Path,
        root: &RootPath,
        leash: Option<Leash>,
        waits: &mut dyn FnMut(),
    ) -> Result<Self, CheckoutError> {
        let name = Digest::of(root.to_key().as_bytes()).to_string();
        let name: String = name.chars().take(NAME_DIGITS).collect();
        let mark = RunId::parse(&format!("checkout-{name}"))?;
        let directory = state.join(CHECKOUTS).join(name);
        // Private: whoever may not read the workspace may not read a commit of it either.
        let mut made = DirBuilder::new();
        let made = made.recursive(true).mode(0o700).create(&directory);
        made.map_err(failed("make", &directory))?;
        let directory = std::fs::canonicalize(&directory)
            .map_err(failed("find the real path of", &directory))?;
        let path = directory.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waits();
                lock.lock().map_err(failed("lock", &path))?;
            }
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
        }
        Ok(Self {
            tree: directory.join(TREE),
            index: directory.join(INDEX),
            directory,
            mark,
            leash,
            _lock: lock,
        })
    }

    /// Has the files of a revision stand there, and no others but what is ignored; says where the workspace is in them.
    /// Blocks.
    ///
    /// # Errors
    /// When git or the disk says no, also of one that is made anew. Where the disk is full nothing of it is left there.
    pub fn stand(&self, revision: &Revision) -> Result<RootPath, CheckoutError> {
        self.filled(revision).map_err(|error| {
            // Git names each file that it could not write, and not why.
            let Some(full) = self.try_to_write() else {
                return error;
            };
            drop(self.begin().and_then(|()| self.clear()));
            full
        })
    }

    /// Why there is no room, if there is none.
    fn try_to_write(&self) -> Option<CheckoutError> {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        let path = self.directory.join(ROOM);
        let written =
            File::create(&path).and_then(|mut file| file.write_all(&vec![0; CHECKOUT_ROOM_BYTES]));
        drop(remove(&path));
        let error = written.err()?;
        let is_full = matches!(error.kind(), StorageFull | QuotaExceeded);
        is_full.then(|| failed("check out into", &self.directory)(error))
    }

    fn filled(&self, revision: &Revision) -> Result<RootPath, CheckoutError> {
        if self.directory.join(UNFINISHED).exists() {
            // Git, and the filters that it runs, may have outlived the gate that was killed, and would go on to write.
            leftovers::end_all(BTreeSet::from([self.mark.clone()]), Clock::start());
        }
        let standing = self.standing(revision);
        let standing = standing.filter(|own| !self.has_strays(own));
        match standing {
            Some(own) if self.fill(revision, &own).is_ok() && self.is_as_left(&own) => {}
            Some(_) | None => {
                self.begin()?;
                self.clear()?;
                let own = self.make(revision)?;
                self.fill(revision, &own)?;
            }
        }
        Ok(RootPath::new(&self.tree.join(&revision.repository.below))?)
    }

    /// The git directory of the worktree, where all of it is as it was left: it is one of this very repository, at this very
    /// place, and nothing was cut off.
    fn standing(&self, revision: &Revision) -> Option<PathBuf> {
        let is_whole = !self.directory.join(UNFINISHED).exists() && self.index.is_file();
        let is_plain = std::fs::symlink_metadata(&self.tree).is_ok_and(|meta| meta.is_dir());
        if !is_whole || !is_plain {
            return None;
        }
        let path = |what: &str| self.ask_path(what).ok();
        let own = path("--git-dir")?;
        let worktrees = real(&revision.repository.common)?.join("worktrees");
        let named = std::fs::read(own.join("gitdir")).ok()?;
        let named = own.join(OsStr::from_bytes(named.trim_ascii_end()));
        let is_ours = real(&path("--show-toplevel")?)? == self.tree
            && real(&own)?.parent() == Some(worktrees.as_path())
            && real(&named)? == self.tree.join(".git");
        is_ours.then_some(own)
    }

    /// Whether what lies there is what was checked out: a directory that a stage has moved away and linked is not.
    fn is_as_left(&self, own: &Path) -> bool {
        let differs = self.git(own).ask(&["diff-files", "--quiet"]).is_err();
        !differs && !self.has_strays(own)
    }

    /// Whether something that a stage has left would have git, or a look, see the files of a commit otherwise: rules,
    /// attributes or a repository beside them.
    fn has_strays(&self, own: &Path) -> bool {
        let Ok(listed) = self.git(own).ask(&["ls-files", "-z"]) else {
            return true;
        };
        let listed: BTreeSet<&Path> = listed
            .split(|byte| *byte == 0)
            .map(|path| Path::new(OsStr::from_bytes(path)))
            .collect();
        let directories: BTreeSet<&Path> = listed
            .iter()
            .flat_map(|path| path.ancestors().skip(1))
            .collect();
        let is_there = |path: &Path| std::fs::symlink_metadata(self.tree.join(path)).is_ok();
        directories.into_iter().any(|directory| {
            let mut strays = STEERING.iter().map(|name| directory.join(name));
            strays.any(|path| {
                let is_own = directory.as_os_str().is_empty() && path.as_os_str() == ".git";
                !is_own && !listed.contains(&*path) && is_there(&path)
            })
        })
    }

    /// Git by the index of our own.
    fn git(&self, own: &Path) -> Git {
        self.known(Git::at(&self.tree))
            .with("GIT_DIR", own)
            .with("GIT_WORK_TREE", &self.tree)
            .with("GIT_INDEX_FILE", &self.index)
    }

    /// Git that somebody finds again, should it outlive this process.
    fn known(&self, git: Git) -> Git {
        git.apart().with(RUN_VARIABLE, self.mark.as_str())
    }

    /// Leaves the mark that files are being changed.
    fn begin(&self) -> Result<(), CheckoutError> {
        let unfinished = self.directory.join(UNFINISHED);
        let marked = File::create(&unfinished).map_err(failed("write", &unfinished));
        marked.map(drop)
    }

    fn ask_path(&self, what: &str) -> Result<PathBuf, GitError> {
        // What is around the state directory is no business of ours.
        let git = Git::at(&self.tree).with("GIT_CEILING_DIRECTORIES", &self.directory);
        let path = git.line(&["rev-parse", "--path-format=absolute", what])?;
        Ok(PathBuf::from(OsStr::from_bytes(&path)))
    }

    /// Makes the worktree, without files; says where its git directory is.
    fn make(&self, revision: &Revision) -> Result<PathBuf, CheckoutError> {
        let git = self.known(Git::at(&revision.repository.top));
        let git = git.leashed(self.leash.clone());
        let commit = match &revision.head {
            Some(commit) => commit.as_str().to_owned(),
            None => stand_in(&git, &revision.tree)?,
        };
        // Git may list one there that somebody has removed: that is what it has to be forced for; and twice where it is
        // locked, as a git that was killed leaves it.
        let words = ["worktree", "add", "--force", "--force", "--detach"];
        let mut words = words.map(OsStr::new).to_vec();
        words.extend([
            OsStr::new("--no-checkout"),
            self.tree.as_os_str(),
            OsStr::new(&commit),
        ]);
        git.ask(&words)?;
        Ok(self.ask_path("--git-dir")?)
    }

    /// Has HEAD and the files be those of a revision, whatever was there.
    fn fill(&self, revision: &Revision, own: &Path) -> Result<(), CheckoutError> {
        self.begin()?;
        // Nobody else has it: what a dead gate has locked is free.
        remove(&self.directory.join(format!("{INDEX}.lock")))?;
        let git = self.git(own);
        let writing = git.clone().leashed(self.leash.clone());
        match &revision.head {
            Some(commit) => writing.ask(&["update-ref", "--no-deref", "HEAD", commit.as_str()])?,
            None => writing.ask(&["symbolic-ref", "HEAD", UNBORN])?,
        };
        let had_files = self.index.is_file();
        let check_out = |tree: &str| writing.ask(&["read-tree", "--reset", "-u", tree]);
        check_out(revision.tree.as_str())?;
        let path = self.directory.join(CONVERSIONS);
        let conversions = self.conversions(&git, &revision.repository.common)?;
        if std::fs::read(&path).ok().as_ref() != Some(&conversions) {
            // Git leaves alone what is the same to it, and would be converted to something else by now.
            if had_files {
                let is_long = revision.tree.as_str().len() == EMPTY_LONG.len();
                check_out(if is_long { EMPTY_LONG } else { EMPTY })?;
                check_out(revision.tree.as_str())?;
            }
            replace(&path, &conversions)?;
        }
        // Twice forced: a repository that a stage has left there is removed too.
        writing.ask(&["clean", "-ffdq"])?;
        let (beside, theirs) = (own.join("index.orchd"), own.join("index"));
        std::fs::copy(&self.index, &beside).map_err(failed("write", &beside))?;
        std::fs::rename(&beside, &theirs).map_err(failed("replace", &theirs))?;
        remove(&self.directory.join(UNFINISHED))
    }

    /// All that says how git converts the files of an index when it checks them out; and since when the machine runs, because
    /// what was written before may have been lost without a trace.
    fn conversions(&self, git: &Git, common: &Path) -> Result<Vec<u8>, GitError> {
        let mut said = git.ask(&["ls-files", "-s", "-z", "--", ":(glob)**/.gitattributes"])?;
        // Where nothing is set it says so by refusing.
        let set = git.ask(&["config", "--null", "--get-regexp", CONVERTING]);
        let set = set.unwrap_or_default();
        let is_set = |key: &[u8]| set.split(|byte| *byte == 0).any(|one| one.starts_with(key));
        said.extend(&set);
        if is_set(b"attr.tree\n")
            && let Ok(named) = git.line(&["config", "--get", "attr.tree"])
        {
            let named = format!("{}^{{tree}}", String::from_utf8_lossy(&named));
            let words = [
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                &named,
            ];
            said.extend(git.ask(&words).unwrap_or_default());
        }
        let own = Some(common.join("info/attributes"));
        let global = global_attributes(git, is_set(b"core.attributesfile\n"));
        for file in [own, global, system_attributes(git)] {
            said.push(0);
            // As for git, a relative one is below the top.
            let bytes = file.and_then(|file| std::fs::read(self.tree.join(file)).ok());
            said.extend(bytes.unwrap_or_default());
        }
        said.push(0);
        said.extend(std::fs::read(BOOT).unwrap_or_default());
        Ok(said)
    }

    /// Removes what there is of it.
    fn clear(&self) -> Result<(), CheckoutError> {
        let is_directory = std::fs::symlink_metadata(&self.tree).is_ok_and(|meta| meta.is_dir());
        if is_directory {
            remove_all(&self.tree).map_err(failed("remove", &self.tree))?;
        } else {
            remove(&self.tree)?;
        }
        remove(&self.index)
    }
}

/// The attributes of this user, in all repositories; git has a usual place for them, unless one `is_set`.
fn global_attributes(git: &Git, is_set: bool) -> Option<PathBuf> {
    if is_set {
        let set = git.line(&["config", "--type=path", "--get", "core.attributesFile"]);
        return Some(PathBuf::from(OsStr::from_bytes(&set.ok()?)));
    }
    let named = |name: &str| {
        let directory = std::env::var_os(name).filter(|path| !path.is_empty());
        directory.map(PathBuf::from)
    };
    let settings = named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")));
    Some(settings?.join("git/attributes"))
}

/// Those of all users: git knows where they are, and whether they count.
fn system_attributes(git: &Git) -> Option<PathBuf> {
    match git.line(&["var", "GIT_ATTR_SYSTEM"]) {
        Ok(path) => Some(PathBuf::from(OsStr::from_bytes(&path))),
        // One before 2.42 does not say so; where they do not count, to heed them costs work.
        Err(_) => Some(PathBuf::from(SYSTEM_ATTRIBUTES)),
    }
}

/// A commit of a tree, for a worktree to begin with where there is none yet: the same one each time, and nobody's.
fn stand_in(git: &Git, tree: &Oid) -> Result<String, GitError> {
    let git = git
        .clone()
        .with("GIT_AUTHOR_NAME", "orchd")
        .with("GIT_AUTHOR_EMAIL", "orchd@localhost")
        .with("GIT_AUTHOR_DATE", "@0 +0000")
        .with("GIT_COMMITTER_NAME", "orchd")
        .with("GIT_COMMITTER_EMAIL", "orchd@localhost")
        .with("GIT_COMMITTER_DATE", "@0 +0000");
    let commit = git.line(&["commit-tree", tree.as_str(), "-m", "what is staged"])?;
    Ok(String::from_utf8_lossy(&commit).into_owned())
}

fn real(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// Writes a file whole.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), CheckoutError> {
    let beside = path.with_extension("new");
    let written = File::create(&beside).and_then(|mut file| file.write_all(bytes));
    written.map_err(failed("write", &beside))?;
    std::fs::rename(&beside, path).map_err(failed("replace", path))
}

/// Removes a directory with all that is in it, also where a stage has left directories that nothing may be removed from.
fn remove_all(directory: &Path) -> io::Result<()> {
    if std::fs::remove_dir_all(directory).is_ok() {
        return Ok(());
    }
    let mut closed = vec![directory.to_path_buf()];
    while let Some(directory) = closed.pop() {
        std::fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            // A link is none, wherever it leads.
            if entry.file_type()?.is_dir() {
                closed.push(entry.path());
            }
        }
    }
    std::fs::remove_dir_all(directory)
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<(), CheckoutError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed<'a>(act: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CheckoutError + 'a {
    move |source| CheckoutError::Disk {
        act,
        path: path.to_path_buf(),
        source,
    }
}
