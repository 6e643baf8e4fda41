//! What stands twice in `orchd.toml` and may stand there once: task ids, project paths, pipeline ids.
//!
//! Stages of one id are found where the stages are looked at.

use crate::model::config::draft::{Draft, Faults};
use crate::model::config::fault::Fault;
use crate::model::config::source::Spot;
use std::collections::BTreeMap;

/// What a task id is called in messages.
const TASK: &str = "task id";

/// Notes every id and path of `orchd.toml` that stands there twice.
pub(super) fn check_unique(toml: &Draft, text: &str, faults: &mut Faults) {
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let line = |spot: Spot| ends.partition_point(|end| *end < spot.start) + 1;
    let tasks = toml.projects.iter().map(|project| {
        let task = &project.task;
        (task.value.to_string(), task.spot)
    });
    note_duplicates(TASK, tasks, line, faults);
    let paths = toml.projects.iter().map(|project| {
        let path = &project.path;
        (path.value.to_string(), path.spot)
    });
    note_duplicates("project path", paths, line, faults);
    let pipelines = toml.pipelines.iter();
    let pipelines = pipelines.map(|draft| (draft.pipeline.id.to_string(), draft.spot));
    note_duplicates("pipeline id", pipelines, line, faults);
    let templates = toml.templates.iter();
    let templates = templates.map(|draft| (draft.pipeline.id.to_string(), draft.spot));
    note_duplicates("template id", templates, line, faults);
}

fn note_duplicates(
    what: &'static str,
    names: impl Iterator<Item = (String, Spot)>,
    line: impl Fn(Spot) -> usize,
    faults: &mut Faults,
) {
    let mut first = BTreeMap::new();
    for (name, spot) in names {
        let folded = match what {
            // Some file systems do not tell `Web` from `web`: their evidence would be mixed.
            TASK => name.to_lowercase(),
            _ => name.clone(),
        };
        match first.get(&folded) {
            Some(taken) => {
                let line = line(*taken);
                faults.add_at(Some(spot), Fault::Duplicate { what, name, line });
            }
            None => {
                first.insert(folded, spot);
            }
        }
    }
}
