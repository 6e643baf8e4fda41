//! What is said to whoever waits long for an answer, and to whoever lets go of it.
//!
//! Pure: what is known of the daemon comes along, and only what it has told is said as a fact.

use crate::client::render::mark::short;
use crate::client::render::text::{add, clean};
use crate::limits::RUNS_NAMED_MAX;
use crate::model::id::TaskId;
use crate::model::path::RootPath;
use crate::model::report::status::{Phase, Status, WorkspaceState, WorkspaceStatus};

/// An answer that may take as long as a run, or as the reading of a workspace.
#[derive(Clone, Debug)]
pub enum Awaited {
    /// A run of this project, or of the only one there, has begun.
    Begun(RootPath, Option<TaskId>),
    /// A run of this project, or of the only one there, has ended.
    Ended(RootPath, Option<TaskId>),
    /// A workspace has been read for the first time.
    Added(RootPath),
    /// A workspace's commands have been read.
    Read(RootPath),
    /// What runs in a workspace has ended.
    Removed(RootPath),
    /// A run that a part of an id names has been taken up again.
    Resumed(String),
    /// A run that a part of an id names, and that was taken up again, has ended.
    ResumedEnded(String),
    /// The stages of a run that a part of an id names have ended.
    Cancelled(String),
}

impl Awaited {
    /// What is waited for, by what the daemon says of itself.
    #[must_use]
    pub fn waits(&self, status: Option<&Status>) -> String {
        let sites = || status.iter().flat_map(|status| &status.workspaces);
        match self {
            Self::Begun(root, task) => {
                let mut sites = sites().filter(|site| site.root == *root);
                sites.next().map_or_else(
                    || "Waiting for the run to begin.\n".to_owned(),
                    |site| before(site, task.as_ref(), "; this one begins then"),
                )
            }
            Self::Ended(root, task) => {
                let mut sites = sites().filter(|site| site.root == *root);
                sites.next().map_or_else(
                    || "Waiting for the run to end.\n".to_owned(),
                    |site| before(site, task.as_ref(), ""),
                )
            }
            Self::Added(root) | Self::Read(root) => {
                format!("Waiting until the daemon has read {root}.\n")
            }
            Self::Removed(root) => format!("Waiting for what runs in {root} to end.\n"),
            Self::Resumed(run) => format!("Waiting for run {} to begin again.\n", clean(run)),
            Self::ResumedEnded(run) => format!("Waiting for run {} to end.\n", clean(run)),
            Self::Cancelled(run) => format!("Waiting for the stages of {} to end.\n", clean(run)),
        }
    }

    /// What becomes of it when nobody waits any more.
    #[must_use]
    pub fn let_go(&self) -> String {
        match self {
            Self::Begun(..) | Self::Ended(..) => {
                "\nA run that has begun goes on: end it with `orchctl cancel RUN`. One that has not is not run for this command. See which with: orchctl status\n".to_owned()
            }
            Self::Added(root) => {
                format!("\n{root} stays registered, and is read on. Take it away with: orchctl remove {}\n", root.quoted())
            }
            Self::Read(_) => "\nThe daemon reads on. See how it stands with: orchctl status\n".to_owned(),
            Self::Removed(root) => {
                format!("\n{root} goes all the same, once nothing runs in it.\n")
            }
            Self::Resumed(_) | Self::ResumedEnded(_) => {
                "\nThe run may begin all the same, or goes on. See it with: orchctl status\n".to_owned()
            }
            Self::Cancelled(_) => "\nThe run ends all the same.\n".to_owned(),
        }
    }
}

/// What goes on of these projects, of all where none is named, without whoever waited for their verdicts.
#[must_use]
pub fn goes_on(status: Option<&Status>, tasks: &[TaskId]) -> String {
    let Some(status) = status else {
        return "\nA run that has begun goes on. See which with: orchctl status\n".to_owned();
    };
    let projects = status.workspaces.iter().flat_map(|site| &site.projects);
    let own = projects.filter(|project| tasks.is_empty() || tasks.contains(&project.task_id));
    let mut lines = Vec::new();
    for project in own {
        let task = clean(project.task_id.as_str());
        match &project.running {
            Some(running) => {
                let id = short(&running.run_id);
                lines.push(format!("Run {id} of {task} goes on. {}", follow_or_end(id)));
            }
            None if project.phase == Phase::Queued => {
                lines.push(format!(
                    "A run of {task} waits for its turn, and begins then."
                ));
            }
            None => {}
        }
    }
    let more = lines.len().saturating_sub(RUNS_NAMED_MAX);
    lines.truncate(RUNS_NAMED_MAX);
    match (lines.is_empty(), more) {
        (true, _) => {
            lines.push("Nothing of it runs now. See how it stands with: orchctl status".to_owned());
        }
        (false, 0) => {}
        (false, more) => lines.push(format!("So do {more} more. See them with: orchctl status")),
    }
    format!("\n{}\n", lines.join("\n"))
}

/// What becomes of the runs of a daemon that ends with this command, by what it says of itself.
#[must_use]
pub fn end_with_us(status: Option<&Status>) -> String {
    let Some(status) = status else {
        return "\nWhat runs in this command ends with it.\n".to_owned();
    };
    let projects = status.workspaces.iter().flat_map(|site| &site.projects);
    let mut text = "\n".to_owned();
    for project in projects {
        if let Some(running) = &project.running {
            let (id, task) = (short(&running.run_id), clean(project.task_id.as_str()));
            add(
                &mut text,
                format_args!(
                    "Cancelling run {id} of {task}: it runs in this command. ^C again ends it at once.\n"
                ),
            );
        }
    }
    if text == "\n" {
        text.push_str("No run had begun, and none will.\n");
    }
    text
}

/// What to do about a run that goes on.
#[must_use]
pub fn follow_or_end(id: &str) -> String {
    format!("Follow it with `orchctl logs -f {id}`, end it with `orchctl cancel {id}`.")
}

/// What a run of this workspace waits for, with what follows from it.
fn before(site: &WorkspaceStatus, task: Option<&TaskId>, then: &str) -> String {
    let own = |own: &TaskId| task.is_none_or(|task| task == own);
    let mut projects = site.projects.iter().filter(|project| own(&project.task_id));
    let busy = projects.find_map(|project| Some((&project.task_id, project.running.as_ref()?)));
    match busy {
        Some((task, running)) => {
            let id = short(&running.run_id);
            let why = running.waits.as_ref();
            let why = why.map(|why| format!(" Its {}.", clean(why)));
            let why = why.unwrap_or_default();
            format!("Waiting for run {id} of {task} to end{then}.{why}\n")
        }
        None if site.state == WorkspaceState::Rescanning => {
            format!("Waiting until the daemon has read {}.\n", site.root)
        }
        None => "Waiting for the run to begin.\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;

    fn status(state: &str, running: &serde_json::Value) -> Status {
        let project = json!({"task_id": "t", "path": ".", "pipeline": "p", "verdict": "unknown",
            "fresh": false, "phase": "running", "input_digest": null, "running": running,
            "last_run": null, "failure": null});
        let status = json!({"daemon": {"pid": 1, "version": "0", "instance_id": "i",
            "uptime_ms": 0, "seq": 9, "rss_bytes": 0, "watches": 0},
            "workspaces": [{"root": "/w", "state": state, "detail": null, "projects": [project]}]});
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn what_ends_with_the_command_is_said_as_far_as_it_is_known() {
        let running = json!({"run_id": "r-1", "stage": null, "started_at": "2026-11-22T10:00:00Z"});
        for (status, said) in [
            (None, "\nWhat runs in this command ends with it.\n"),
            (
                Some(status("watching", &json!(null))),
                "\nNo run had begun, and none will.\n",
            ),
            (
                Some(status("watching", &running)),
                "\nCancelling run r-1 of t: it runs in this command. ^C again ends it at once.\n",
            ),
        ] {
            assert_eq!(end_with_us(status.as_ref()), said);
        }
    }

    #[test]
    fn what_a_run_waits_for_itself_is_said() {
        let waits = "stage `check` of `t` waits for the mutex `m`, which process 7 holds";
        let running = json!({"run_id": "r-1", "stage": null, "started_at": "2026-11-22T10:00:00Z",
            "waits": waits});
        let root = RootPath::new(Path::new("/w")).unwrap();
        assert_eq!(
            Awaited::Ended(root, None).waits(Some(&status("watching", &running))),
            format!("Waiting for run r-1 of t to end. Its {waits}.\n")
        );
    }

    #[test]
    fn a_run_that_is_in_the_way_is_named() {
        let root = |path| RootPath::new(Path::new(path)).unwrap();
        let running = json!({"run_id": "r-1", "stage": null, "started_at": "2026-11-22T10:00:00Z"});
        let task = |id| Some(TaskId::parse(id).unwrap());
        let begun = |path, task| Awaited::Begun(root(path), task);
        for (awaited, status, said) in [
            (
                begun("/w", None),
                Some(status("watching", &running)),
                "Waiting for run r-1 of t to end; this one begins then.\n",
            ),
            (
                begun("/w", task("u")),
                Some(status("watching", &running)),
                "Waiting for the run to begin.\n",
            ),
            (
                begun("/w", None),
                Some(status("rescanning", &json!(null))),
                "Waiting until the daemon has read /w.\n",
            ),
            (begun("/x", None), None, "Waiting for the run to begin.\n"),
            (
                Awaited::Removed(root("/w")),
                None,
                "Waiting for what runs in /w to end.\n",
            ),
        ] {
            assert_eq!(awaited.waits(status.as_ref()), said);
        }
    }
}
