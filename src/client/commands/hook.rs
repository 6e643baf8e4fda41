//! `hook install`, `hook uninstall`: git's hooks that ask for a verdict, written where git looks for them and nowhere else.
//!
//! What somebody else wrote or manages is kept as it is, and the lines to add are told. Installing twice is installing
//! once.

use crate::client::args::hook::{Act, GitHook, Hook, Named};
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::hooks::{self, Asking, Manager, Owner};
use crate::client::session::Session;
use crate::git::Git;
use crate::git::revision::{Repository, RevisionError};
use crate::model::path::to_text;
use serde::Serialize;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

/// What was done.
#[derive(Debug, Serialize)]
struct Done {
    hooks: Vec<Outcome>,
}

/// What was done with one hook.
#[derive(Debug, Serialize)]
struct Outcome {
    hook: &'static str,
    path: String,
    state: State,
    detail: Option<String>,
    /// What to add by hand.
    lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Installed,
    Replaced,
    Unchanged,
    Removed,
    Absent,
    /// It is somebody else's.
    Kept,
}

/// Where the hooks are, and what they ask.
struct Place {
    directory: PathBuf,
    manager: Option<Manager>,
    asking: Asking,
}

pub(super) fn hook(session: &mut Session<'_>, args: &Hook) -> Result<Exit, Failure> {
    let place = place(session)?;
    let (Act::Install(Named { hook }) | Act::Uninstall(Named { hook })) = &args.act;
    let wanted: Vec<GitHook> = match hook {
        Some(hook) => vec![*hook],
        None => GitHook::ALL.to_vec(),
    };
    let done = wanted.into_iter().map(|hook| match &args.act {
        Act::Install(_) => install(&place, hook),
        Act::Uninstall(_) => uninstall(&place, hook),
    });
    let done = Done {
        hooks: done.collect::<Result<_, Failure>>()?,
    };
    tell(session, &args.act, &done)?;
    // To uninstall what is not ours is to leave it.
    let refused = matches!(args.act, Act::Install(_))
        && done.hooks.iter().any(|hook| hook.state == State::Kept);
    Ok(if refused { Exit::Refused } else { Exit::Done })
}

fn place(session: &Session<'_>) -> Result<Place, Failure> {
    let root = session.directory(None)?;
    let repository = Repository::around(&root)?;
    let git = Git::at(&repository.top);
    let path = |line: Vec<u8>| PathBuf::from(OsString::from_vec(line));
    let usual = repository.common.join("hooks");
    let set = git.line(&["config", "--type=path", "--get", "core.hooksPath"]);
    // As for git, a relative one is below the top.
    let set = set.ok().map(|set| match set.is_empty() {
        true => PathBuf::new(),
        false => repository.top.join(path(set)),
    });
    let directory = match &set {
        // Of some of these git refuses to say where it would look for hooks.
        Some(set) if hooks::is_off(set) => set.clone(),
        Some(_) | None => {
            let place = ["rev-parse", "--path-format=absolute", "--git-path", "hooks"];
            path(git.line(&place).map_err(RevisionError::from)?)
        }
    };
    // Where it names the usual place, nobody else is meant.
    let set = set
        .filter(|_| directory != usual)
        .map(|_| directory.clone());
    let below = &repository.below;
    let workspace = if below.as_os_str().is_empty() {
        ".".to_owned()
    } else {
        to_text(below.as_os_str())
    };
    let program = std::env::current_exe().ok();
    let program = program.and_then(|path| path.into_os_string().into_string().ok());
    Ok(Place {
        manager: Manager::find(&repository.top, set),
        directory,
        asking: Asking {
            orchctl: program,
            workspace,
        },
    })
}

fn install(place: &Place, hook: GitHook) -> Result<Outcome, Failure> {
    let path = place.directory.join(hook.name());
    let script = place.asking.script(hook);
    let owner = Owner::of(&path).map_err(failed("read", &path))?;
    let manager = place.manager.as_ref();
    let kept = |detail: String| Outcome {
        detail: Some(detail),
        lines: place.asking.lines(hook, manager),
        ..outcome(hook, &path, State::Kept)
    };
    if let Some(manager) = manager {
        return Ok(kept(manager.words()));
    }
    let state = match owner {
        Owner::Somebody => return Ok(kept(format!("`{}` is there already", path.display()))),
        Owner::Edited => return Ok(kept(edited(&path))),
        Owner::Us(text) if text == script && hooks::is_runnable(&path) => State::Unchanged,
        Owner::Us(_) => State::Replaced,
        Owner::Nobody => State::Installed,
    };
    if state != State::Unchanged {
        hooks::write(&path, &script).map_err(failed("write", &path))?;
    }
    Ok(outcome(hook, &path, state))
}

fn uninstall(place: &Place, hook: GitHook) -> Result<Outcome, Failure> {
    let path = place.directory.join(hook.name());
    let state = match Owner::of(&path).map_err(failed("read", &path))? {
        Owner::Nobody => State::Absent,
        Owner::Somebody => State::Kept,
        Owner::Edited => {
            return Ok(Outcome {
                detail: Some(edited(&path)),
                ..outcome(hook, &path, State::Kept)
            });
        }
        Owner::Us(_) => {
            std::fs::remove_file(&path).map_err(failed("remove", &path))?;
            State::Removed
        }
    };
    Ok(outcome(hook, &path, state))
}

fn edited(path: &Path) -> String {
    let path = path.display();
    format!("`{path}` was written by orchd, and has been edited since")
}

fn outcome(hook: GitHook, path: &Path, state: State) -> Outcome {
    Outcome {
        hook: hook.name(),
        path: to_text(path.as_os_str()),
        state,
        detail: None,
        lines: Vec::new(),
    }
}

/// The lines to add are data; why they have to be is words.
fn tell(session: &mut Session<'_>, act: &Act, done: &Done) -> Result<(), Failure> {
    for hook in &done.hooks {
        let Some(detail) = hook.detail.as_deref() else {
            continue;
        };
        let name = hook.hook;
        let text = match (act, hook.lines.is_empty()) {
            (Act::Install(_), false) => format!(
                "error: {name} is not installed: {detail}\n  hint: add these lines by hand, for {name} to ask for the verdict\n"
            ),
            (Act::Install(_), true) => format!(
                "error: {name} is not installed: {detail}\n  hint: `git config --show-origin core.hooksPath` says where that is set; unset it, and install again\n"
            ),
            (Act::Uninstall(_), _) => format!(
                "{name} is not removed: {detail}\n  hint: remove it, or the lines that call `orchctl`, by hand\n"
            ),
        };
        session.output.words(&text)?;
        if !session.output.json() && !hook.lines.is_empty() {
            session
                .output
                .text(&format!("{}\n", hook.lines.join("\n")))?;
        }
    }
    if session.output.json() {
        session.output.document(done)?;
        return Ok(());
    }
    for hook in &done.hooks {
        let words = match hook.state {
            State::Installed => "is installed",
            State::Replaced => "is installed anew",
            State::Unchanged => "is installed already",
            State::Removed => "is removed",
            State::Absent => "is not there",
            State::Kept if hook.detail.is_none() => "is somebody else's, and stays",
            State::Kept => continue,
        };
        session
            .output
            .answer(&format!("{} {words}: {}\n", hook.hook, hook.path))?;
    }
    Ok(())
}

fn failed<'a>(act: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Failure + 'a {
    move |source| Failure::File {
        act,
        path: path.to_path_buf(),
        source,
    }
}
