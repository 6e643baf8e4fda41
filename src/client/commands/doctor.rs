//! `doctor`: what can be looked at from outside, then what the daemon says of itself.
//!
//! Works with the daemon down: that is when it is needed most. Every check that is not `ok` says what to do.

use super::init::{listing, read};
use super::print;
use crate::client::exit::Exit;
use crate::client::failure::Failure;
use crate::client::place::{CONFIG_FILES, Place};
use crate::client::render::daemon as render;
use crate::client::render::text::{clean, count};
use crate::client::session::{Session, root};
use crate::model::config::Config;
use crate::model::config::check::{Surroundings, Texts};
use crate::model::config::fault::{Fault, Problem};
use crate::model::path::RootPath;
use crate::model::places::{REGISTRY_FILE, STATE_VERSION, TRUST_FILE};
use crate::model::report::{DoctorAnswer, DoctorCheck, Health, WorkspaceList};
use crate::wire::call::{Call, Nothing};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

/// The mode bits with which the group or everybody may write.
const OTHERS_WRITE: u32 = 0o022;

pub(super) fn doctor(session: &mut Session<'_>) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    let (told, daemon_is_down) = ask_daemon(session, &mut checks)?;
    // One that is silent is not asked twice.
    let answers = checks.iter().all(|check| check.state != Health::Fail);
    checks.push(directory(
        "socket-directory",
        session.places.socket.parent(),
        is_no_place_for_a_socket,
    ));
    checks.push(lock(&session.places.lock(), daemon_is_down));
    checks.push(directory(
        "state-directory",
        Some(&session.places.state),
        |_, mode| mode & OTHERS_WRITE != 0,
    ));
    checks.push(user_config(&session.places.config));
    checks.push(workspace(session, answers));
    if daemon_is_down {
        checks.push(state_files(&session.places.state));
    }
    checks.extend(told);
    let answer = DoctorAnswer { checks };
    print(session, &answer, render::doctor)?;
    let failed = answer
        .checks
        .iter()
        .any(|check| check.state == Health::Fail);
    Ok(match (daemon_is_down, failed) {
        (true, _) => Exit::NoDaemon,
        (false, true) => Exit::Red,
        (false, false) => Exit::Done,
    })
}

/// What the daemon says of itself, and whether none answers.
fn ask_daemon(
    session: &mut Session<'_>,
    checks: &mut Vec<DoctorCheck>,
) -> Result<(Vec<DoctorCheck>, bool), Failure> {
    let own = env!("CARGO_PKG_VERSION");
    let answered = session.connect().and_then(|mut connection| {
        let answer: DoctorAnswer = connection.ask(&Call::Doctor(Nothing {}))?;
        let version = connection
            .welcome()
            .map(|welcome| welcome.server.version.clone());
        Ok((answer, version.unwrap_or_default()))
    });
    match answered {
        Ok((answer, version)) if version == own => {
            checks.push(ok(
                "daemon",
                format!("orchd {version} answers, as orchctl {own}"),
            ));
            Ok((answer.checks, false))
        }
        Ok((answer, version)) => {
            let detail = format!("orchd is {version}, orchctl is {own}");
            let fix = "orchctl shutdown, then orchd --detach";
            checks.push(check("daemon", Health::Warn, detail, Some(fix)));
            Ok((answer.checks, false))
        }
        Err(failure) if failure.is_broken_pipe() => Err(failure),
        Err(failure) => {
            let is_down = Exit::of_failure(&failure) == Exit::NoDaemon;
            let fix = failure.hint();
            checks.push(check(
                "daemon",
                Health::Fail,
                failure.message(),
                fix.as_deref(),
            ));
            Ok((Vec::new(), is_down))
        }
    }
}

fn ok(id: &str, detail: String) -> DoctorCheck {
    check(id, Health::Ok, detail, None)
}

fn check(id: &str, state: Health, detail: String, fix: Option<&str>) -> DoctorCheck {
    DoctorCheck {
        id: id.to_owned(),
        state,
        detail,
        fix: fix.map(str::to_owned),
    }
}

/// Whether a daemon could start on its files: one of a newer version keeps it from that.
fn state_files(state: &Path) -> DoctorCheck {
    #[derive(serde::Deserialize)]
    struct Peek {
        version: u64,
    }
    let id = "state";
    for name in [REGISTRY_FILE, TRUST_FILE] {
        let path = state.join(name);
        let shown = path.display();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                let detail = format!("{shown}: {error}: no daemon can start");
                let fix = "make it readable, or move it away";
                return check(id, Health::Fail, detail, Some(fix));
            }
        };
        match serde_json::from_slice::<Peek>(&bytes) {
            Ok(Peek { version }) if version > u64::from(STATE_VERSION) => {
                let detail = format!(
                    "{shown} has version {version}, orchd {} knows version {STATE_VERSION}: no daemon can start",
                    env!("CARGO_PKG_VERSION")
                );
                let fix = format!("start the newer orchd, or: mv {shown} {shown}.newer");
                return check(id, Health::Fail, detail, Some(&fix));
            }
            Ok(_) => {}
            Err(_) => {
                let detail = format!("{shown} is damaged: the next daemon sets it aside");
                let fix = "if you have a copy of it, put it back before you start one";
                return check(id, Health::Warn, detail, Some(fix));
            }
        }
    }
    ok(
        id,
        format!("trust and registry in {} are readable", state.display()),
    )
}

/// A directory of ours: there, ours, and closed to others; or not there yet. `refused` says of a mode that is open to
/// others whether a daemon refuses to start in it.
fn directory(id: &str, path: Option<&Path>, refused: fn(&Path, u32) -> bool) -> DoctorCheck {
    let Some(path) = path else {
        return check(
            id,
            Health::Fail,
            "there is none".to_owned(),
            Some("name a socket with --socket"),
        );
    };
    let shown = path.display();
    match path.metadata() {
        Ok(found) if !found.is_dir() => {
            let fix = format!("mv {shown} {shown}.old");
            check(
                id,
                Health::Fail,
                format!("{shown} is no directory"),
                Some(&fix),
            )
        }
        Ok(found) => owned(id, path, &found, refused),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            ok(id, format!("{shown}, made when the daemon starts"))
        }
        Err(error) => {
            let fix = "make it yours, or name another with --socket or ORCHD_STATE_DIR";
            check(id, Health::Fail, format!("{shown}: {error}"), Some(fix))
        }
    }
}

#[cfg(unix)]
fn owned(id: &str, path: &Path, found: &Metadata, refused: fn(&Path, u32) -> bool) -> DoctorCheck {
    use std::os::unix::fs::MetadataExt as _;
    let shown = path.display();
    let mode = found.mode() & 0o777;
    if found.uid() != rustix::process::geteuid().as_raw() {
        let detail = format!("{shown} belongs to user {}", found.uid());
        let fix = "name another with --socket or ORCHD_STATE_DIR";
        return check(id, Health::Fail, detail, Some(fix));
    }
    if mode & 0o077 != 0 {
        let fix = format!("chmod 700 {shown}");
        let open = format!("{shown} is open to others ({mode:04o})");
        return if refused(path, mode) {
            let detail = format!("{open}, and a daemon refuses to start so");
            check(id, Health::Fail, detail, Some(&fix))
        } else {
            check(id, Health::Warn, open, Some(&fix))
        };
    }
    ok(id, format!("{shown} {mode:04o}"))
}

#[cfg(not(unix))]
fn owned(
    id: &str,
    path: &Path,
    _found: &Metadata,
    _refused: fn(&Path, u32) -> bool,
) -> DoctorCheck {
    ok(id, path.display().to_string())
}

/// Whether a daemon refuses to put its socket there: others can write there, or it may be meant for them.
fn is_no_place_for_a_socket(path: &Path, mode: u32) -> bool {
    let holds_something = || {
        let mut entries = path.read_dir().into_iter().flatten();
        entries.next().is_some()
    };
    mode & OTHERS_WRITE != 0 || holds_something()
}

/// Whether the lock is held: held with no answer means a daemon that hangs.
fn lock(path: &Path, daemon_is_down: bool) -> DoctorCheck {
    let id = "lock";
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return ok(id, "no daemon has run at this socket".to_owned());
        }
        Err(error) => {
            let detail = format!("{}: {error}", path.display());
            return check(
                id,
                Health::Fail,
                detail,
                Some("make it yours, or name another socket"),
            );
        }
    };
    match (file.try_lock_shared(), daemon_is_down) {
        (Ok(()), _) => ok(id, "free: no daemon holds it".to_owned()),
        (Err(std::fs::TryLockError::WouldBlock), true) => {
            let detail = "a daemon holds it but does not answer".to_owned();
            let fix = format!("end it: fuser -k {}", path.display());
            check(id, Health::Fail, detail, Some(&fix))
        }
        (Err(std::fs::TryLockError::WouldBlock), false) => ok(id, "held by the daemon".to_owned()),
        (Err(std::fs::TryLockError::Error(error)), _) => check(
            id,
            Health::Warn,
            error.to_string(),
            Some("use a file system that has locks"),
        ),
    }
}

fn user_config(path: &Path) -> DoctorCheck {
    let id = "user-config";
    let mut text = String::new();
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    let shown = path.display();
    match read {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            ok(id, format!("{shown} is not there, and need not be"))
        }
        Err(error) => {
            let detail = format!("{shown}: {error}");
            check(
                id,
                Health::Fail,
                detail,
                Some("make it readable, or remove it"),
            )
        }
        Ok(_) => match text.parse::<toml::Table>() {
            Ok(table) if !table.is_empty() => {
                let keys: Vec<String> = table
                    .keys()
                    .map(|key| format!("`{}`", clean(key)))
                    .collect();
                let detail = format!("{shown}: nothing reads {}", keys.join(", "));
                let fix = "there is no key yet: settings are in a workspace's orchd.toml, places in ORCHD_*";
                check(id, Health::Warn, detail, Some(fix))
            }
            Ok(_) => ok(id, shown.to_string()),
            Err(error) => {
                let detail = format!("{shown}: {}", error.message());
                check(id, Health::Fail, detail, Some("mend it, or remove it"))
            }
        },
    }
}

/// Which workspace a command would speak of here, and whether its configuration is valid.
fn workspace(session: &Session<'_>, answers: bool) -> DoctorCheck {
    let id = "workspace";
    match session.place() {
        Ok(Place::Sure(dir)) => configuration(id, &dir),
        Ok(place) => {
            let registered = if answers {
                registered(session)
            } else {
                Vec::new()
            };
            match place.among(registered.iter().map(RootPath::as_path)) {
                Some(dir) => configuration(id, &dir),
                None => ok(id, "none around the current directory".to_owned()),
            }
        }
        Err(failure) => unreadable(id, &failure),
    }
}

/// The workspaces that the daemon watches; none where it does not say so, which is told elsewhere.
fn registered(session: &Session<'_>) -> Vec<RootPath> {
    let list = session.connect().and_then(|mut connection| {
        let list: WorkspaceList = connection.ask(&Call::WorkspaceList(Nothing {}))?;
        Ok(list.workspaces)
    });
    let list = list.unwrap_or_default();
    list.into_iter().map(|entry| entry.root).collect()
}

fn configuration(id: &str, dir: &Path) -> DoctorCheck {
    let [toml, codex] = CONFIG_FILES.map(|name| {
        let path = dir.join(name);
        path.is_file().then(|| read(&path))
    });
    let (toml, codex, root) = match (toml.transpose(), codex.transpose(), root(dir)) {
        (Ok(toml), Ok(codex), Ok(root)) => (toml, codex, root),
        (Err(failure), ..) | (_, Err(failure), _) | (.., Err(failure)) => {
            return unreadable(id, &failure);
        }
    };
    let texts = Texts {
        toml: toml.as_deref(),
        codex: codex.as_deref(),
    };
    let around = Surroundings {
        root: &root,
        listing: &listing(dir),
        task: None,
    };
    match Config::assemble(texts, &around) {
        // In a git root that nobody has made a workspace that is no failure.
        Err(problems) if problems.shown.iter().all(is_nothing_to_run) => {
            ok(id, format!("{root}, no configuration file"))
        }
        Ok(config) => {
            let (projects, pipelines) = (config.projects.len(), config.pipelines.len());
            let counted = format!(
                "{}, {}",
                count(projects, "project"),
                count(pipelines, "pipeline")
            );
            let found = match toml.is_none() && codex.is_none() {
                true => ", made of what is found: there is no configuration file",
                false => "",
            };
            ok(id, format!("{root}, {counted}{found}"))
        }
        Err(problems) => check(
            id,
            Health::Fail,
            problems.to_string(),
            Some("mend the file"),
        ),
    }
}

fn is_nothing_to_run(problem: &Problem) -> bool {
    matches!(problem.fault, Fault::NothingToRun)
}

fn unreadable(id: &str, failure: &Failure) -> DoctorCheck {
    let hint = failure.hint();
    let fix = hint.as_deref().unwrap_or("make it readable");
    check(id, Health::Fail, failure.message(), Some(fix))
}
