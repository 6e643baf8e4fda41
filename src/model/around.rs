//! The runs that a process is in: that of its stage, and those of the stages around it.
//!
//! A stage may ask for another run with `--no-daemon`, whose stages may ask in turn. Each knows all of them, the
//! outermost first, because each waits for those inside of it: whoever asked for one again would wait for itself.

use crate::model::id::{RunId, TaskId};
use crate::model::path::RootPath;
use serde::{Deserialize, Serialize};

/// The variable of a stage in which they stand, as a JSON list.
pub const RUNS_AROUND: &str = "ORCHD_RUNS_AROUND";

/// A run that a process is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAround {
    /// The run.
    pub run_id: RunId,
    /// Its project.
    pub task_id: TaskId,
    /// The workspace of its project.
    pub workspace: RootPath,
    /// The mutex that its stage holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutex: Option<String>,
}

/// Reads what [`write()`] wrote; what anybody else wrote there says nothing.
#[must_use]
pub fn read(text: &str) -> Vec<RunAround> {
    serde_json::from_str(text).unwrap_or_default()
}

/// The runs as the text of [`RUNS_AROUND`].
#[must_use]
pub fn write(runs: &[RunAround]) -> String {
    serde_json::to_string(runs).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn what_was_written_reads_back_and_anything_else_is_nothing() {
        let of = |task: &str| RunAround {
            run_id: RunId::parse("2026-11-22T10-09-50-592Z-3d0103be").unwrap(),
            task_id: TaskId::parse(task).unwrap(),
            workspace: RootPath::new(Path::new("/w/a b")).unwrap(),
            mutex: (task == "0102").then(|| "cargo".to_owned()),
        };
        let runs = [of("0101-web"), of("0102")];
        let text = write(&runs);
        assert_eq!(read(&text), runs);
        for other in ["", "[", "{}", "[{\"run_id\": 1}]"] {
            assert_eq!(read(other), [], "{other}");
        }
    }
}
