//! What has changed in a workspace since a base, as git tells it: commits, index, working tree, untracked files.
//!
//! Asked in the workspace's directory, wherever in its repository that is, and only about what lies there. The base is what
//! somebody names, else where this branch left the main one, else the newest tag, else nothing at all. Where nothing has
//! changed since, it is the last commit that is looked at.

use super::SpecGuardError;
use crate::git::revision::Repository;
use crate::git::{Git, GitError};
use crate::model::path::{RelPath, RootPath};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What a main branch is called, the more common name first.
const MAIN: [&str; 2] = ["main", "master"];

/// A path that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// The path, relative to the workspace.
    pub path: RelPath,
    /// Whether it is not there any more.
    pub is_gone: bool,
}

/// What git has told.
pub(super) struct Seen {
    /// What changed, in git's order: what it tracks, then what it does not, as the family's own script has them.
    pub(super) changed: Vec<Changed>,
    /// The Markdown files that git tracks or would, sorted.
    pub(super) documents: Vec<RelPath>,
}

/// Asks git.
pub(super) fn since(root: &RootPath, named: Option<&str>) -> Result<Seen, SpecGuardError> {
    Repository::around(root).map_err(SpecGuardError::NoRepository)?;
    let git = Git::at(root.as_path());
    let head = commit(&git, "HEAD").ok();
    let base = base(&git, named, head.as_deref())?;
    let mut found = changed(&git, &base)?;
    if found.is_empty() && head.is_some() {
        let before = commit(&git, "HEAD^1").or_else(|_| empty_tree(&git))?;
        found = changed(&git, &before)?;
    }
    let documents = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        "*.md",
    ];
    let listed = git.ask(&documents)?;
    let mut documents: Vec<RelPath> = names(&listed).filter_map(path).collect();
    documents.sort();
    documents.dedup();
    Ok(Seen {
        changed: found,
        documents,
    })
}

fn base(git: &Git, named: Option<&str>, head: Option<&str>) -> Result<String, SpecGuardError> {
    if let Some(name) = named {
        let named = commit(git, name).map_err(|source| SpecGuardError::Base {
            name: name.to_owned(),
            source,
        })?;
        return Ok(fork_point(git, named));
    }
    if head.is_none() {
        return Ok(empty_tree(git)?);
    }
    for main in MAIN {
        if let Ok(main) = commit(git, &format!("refs/remotes/origin/{main}")) {
            return Ok(fork_point(git, main));
        }
    }
    let branch = git.line(&["symbolic-ref", "--quiet", "HEAD"]).ok();
    for main in MAIN {
        let name = format!("refs/heads/{main}");
        if branch.as_deref() == Some(name.as_bytes()) {
            break;
        }
        if let Ok(main) = commit(git, &name) {
            return Ok(fork_point(git, main));
        }
    }
    if let Ok(tag) = git.line(&["describe", "--tags", "--abbrev=0"])
        && let Ok(tag) = commit(git, &format!("refs/tags/{}", String::from_utf8_lossy(&tag)))
    {
        return Ok(tag);
    }
    Ok(empty_tree(git)?)
}

/// Where this branch left another. A shallow clone may hold a branch but not the commit where it was left: then it is the
/// branch itself.
fn fork_point(git: &Git, other: String) -> String {
    let point = git.line(&["merge-base", "HEAD", &other]);
    point.map_or(other, |point| String::from_utf8_lossy(&point).into_owned())
}

fn commit(git: &Git, name: &str) -> Result<String, GitError> {
    let name = format!("{name}^{{commit}}");
    let found = git.line(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &name,
    ])?;
    Ok(String::from_utf8_lossy(&found).into_owned())
}

fn empty_tree(git: &Git) -> Result<String, GitError> {
    let tree = git.line(&["hash-object", "-t", "tree", "/dev/null"])?;
    Ok(String::from_utf8_lossy(&tree).into_owned())
}

fn changed(git: &Git, base: &str) -> Result<Vec<Changed>, GitError> {
    // A rename is told as both its paths.
    let told = git.ask(&[
        "diff",
        "--name-status",
        "-z",
        "--no-renames",
        "--no-ext-diff",
        "--relative",
        base,
        "--",
    ])?;
    let mut found = Vec::new();
    let mut told = names(&told);
    while let (Some(status), Some(name)) = (told.next(), told.next()) {
        let is_gone = status == b"D";
        found.extend(path(name).map(|path| Changed { path, is_gone }));
    }
    let untracked = git.ask(&["ls-files", "-z", "--others", "--exclude-standard"])?;
    found.extend(names(&untracked).filter_map(path).map(|path| Changed {
        path,
        is_gone: false,
    }));
    Ok(found)
}

fn names(told: &[u8]) -> impl Iterator<Item = &[u8]> {
    told.split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
}

fn path(name: &[u8]) -> Option<RelPath> {
    RelPath::new(Path::new(OsStr::from_bytes(name))).ok()
}
