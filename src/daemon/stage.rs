//! What a stage is executed with: where, in which environment, with which logs.
//!
//! Declared variables beat ours, ours beat the daemon's; values are never logged.

use crate::daemon::log::LogPlan;
use crate::daemon::mutexes::Hold;
use crate::daemon::runner::{Attempt, Written};
use crate::daemon::shell::Tenancy;
use crate::daemon::site::Site;
use crate::disk::durable::{Dir, DurableError, Kind, Stamp};
use crate::model::around::{self, RUNS_AROUND, RunAround};
use crate::model::config::{Config, Cwd};
use crate::model::path::RelPath;
use crate::model::run::{Changed, RunReport};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file in a run's directory that lists what changed.
const CHANGED: &str = ".changed-files";

/// The runs that this process is in: those of a daemon are in none, wherever it was started.
pub(super) fn runs_around(tenancy: Tenancy) -> Vec<RunAround> {
    match tenancy {
        Tenancy::Daemon => Vec::new(),
        Tenancy::Hosted => {
            let text = std::env::var(RUNS_AROUND).unwrap_or_default();
            around::read(&text)
        }
    }
}

/// Everything that an attempt of a stage needs; nothing if the configuration has no such stage.
pub(super) fn attempt(
    site: &Site,
    config: &Config,
    report: &RunReport,
    index: usize,
    mut around: Vec<RunAround>,
) -> Option<Attempt> {
    let stage = config.pipeline(&report.pipeline)?.stages.get(index)?;
    let told = report.stages.get(index)?;
    let command = stage.command()?;
    let place = index.saturating_add(1);
    let root = site.root.as_path();
    let ground = &site.spots.ground.root;
    let cwd = match &command.cwd {
        Cwd::Project(below) => ground.join(&report.project.join(below)),
        Cwd::Workspace(below) => ground.join(below),
    };
    let mut env = environment(site, report);
    around.push(RunAround {
        run_id: report.run.clone(),
        task_id: report.task.clone(),
        workspace: site.root.clone(),
        mutex: command.mutex.clone(),
    });
    env.insert(RUNS_AROUND.into(), around::write(&around).into());
    for (name, value) in &command.env {
        env.insert(name.into(), value.into());
    }
    let at = |path: String| root.join(path);
    Some(Attempt {
        line: command.line.clone(),
        cwd,
        env,
        run: report.run.clone(),
        stage: stage.id.clone(),
        grace: command.grace,
        log: LogPlan {
            stage: at(site
                .layout
                .stage_log(&report.task, &report.run, place, &stage.id)),
            run: at(site.layout.runner_log(&report.task, &report.run)),
            index: u32::try_from(place).unwrap_or(u32::MAX),
            attempt: told.attempts,
            attempts_max: command.retries.saturating_add(1),
        },
        earlier: Written {
            bytes: told.log_bytes,
            truncated: told.truncated,
        },
        mutex: Hold::Needless,
    })
}

/// The mutex that a stage names.
pub(super) fn mutex<'a>(config: &'a Config, report: &RunReport, index: usize) -> Option<&'a str> {
    let stage = config.pipeline(&report.pipeline)?.stages.get(index)?;
    stage.command()?.mutex.as_deref()
}

/// What every stage is told: by the published orchestrator's variables, and by ours. Where a checkout is judged, its root
/// and the place for what stages have to say are those of the checkout, and what has been recorded is the workspace's.
fn environment(site: &Site, report: &RunReport) -> BTreeMap<OsString, OsString> {
    let root = site.root.as_path();
    let manifest = root.join(site.layout.manifest(&report.task, &report.run));
    let run_dir = root.join(site.layout.artifact_root(&report.task, &report.run));
    let ground = &site.spots.ground;
    let text = |text: &str| OsString::from(text);
    let variables: [(&str, OsString); 12] = [
        ("MCP_RUNNER_TASK_ID", text(report.task.as_str())),
        ("CODEX_ORCHESTRATOR_TASK_ID", text(report.task.as_str())),
        ("CODEX_ORCHESTRATOR_RUN_ID", text(report.run.as_str())),
        (
            "CODEX_ORCHESTRATOR_PIPELINE_ID",
            text(report.pipeline.as_str()),
        ),
        (
            "CODEX_ORCHESTRATOR_MANIFEST_PATH",
            manifest.into_os_string(),
        ),
        ("CODEX_ORCHESTRATOR_RUN_DIR", run_dir.into_os_string()),
        (
            "CODEX_ORCHESTRATOR_ROOT",
            ground.root.as_path().as_os_str().to_owned(),
        ),
        (
            "CODEX_ORCHESTRATOR_RUNS_DIR",
            site.spots.runs.as_os_str().to_owned(),
        ),
        (
            "CODEX_ORCHESTRATOR_OUT_DIR",
            ground.out.as_os_str().to_owned(),
        ),
        ("ORCHD_RUN_ID", text(report.run.as_str())),
        (
            "ORCHD_CHANGED_FILES",
            changed_file(site, report).into_os_string(),
        ),
        ("ORCHD_PROJECT", text(&report.project.to_text())),
    ];
    variables
        .into_iter()
        .map(|(name, value)| (name.into(), value))
        .collect()
}

/// Where the list of changed files of a run stands.
pub(super) fn changed_file(site: &Site, report: &RunReport) -> PathBuf {
    site.root
        .as_path()
        .join(site.layout.artifact_root(&report.task, &report.run))
        .join(CHANGED)
}

/// Writes the list anew: NUL-separated, relative to the workspace; empty when everything may have changed.
///
/// A list that was there (the run is a resumed one) is gone either way: where there is none, a stage reads no old one.
pub(super) fn write_changed(path: &Path, changed: &Changed) -> Result<(), DurableError> {
    let mut bytes = Vec::new();
    if let Changed::Paths(paths) = changed {
        for path in paths {
            bytes.extend(bytes_of(path));
            bytes.push(0);
        }
    }
    let (directory, name) = (
        path.parent().unwrap_or(path),
        path.file_name().unwrap_or_default(),
    );
    let directory = Dir::open(directory)?;
    // That of a new run stands there, empty.
    let empty = |stamp: &Stamp| stamp.kind == Kind::File && stamp.size == 0;
    if !directory.stamp(Path::new(name)).as_ref().is_some_and(empty) {
        directory.remove(name)?;
    }
    let written = directory.overwrite(name, &bytes, 0o600);
    if written.is_err() {
        // Half a list would hide a change; if it cannot be removed either, the error that is told is still the first.
        drop(directory.remove(name));
    }
    written
}

fn bytes_of(path: &RelPath) -> Vec<u8> {
    path.as_path().as_os_str().as_encoded_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::{CHANGED, write_changed};
    use crate::model::path::RelPath;
    use crate::model::run::Changed;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_list_that_was_there_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CHANGED);
        let paths = |names: &[&str]| {
            let paths = names.iter().map(|name| RelPath::parse(name).unwrap());
            Changed::Paths(paths.collect())
        };
        write_changed(&path, &paths(&["src/a", "src/b"])).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"src/a\0src/b\0");
        write_changed(&path, &paths(&["c"])).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"c\0");
        write_changed(&path, &Changed::Everything).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
