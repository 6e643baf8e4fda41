//! What the runs of a project show a reviewer: the newest that says something of it, and which manifests pages lead to.
//!
//! Read here, judged in `judge`. A page need not name the newest run: each link would call for a run of its own, and be old
//! again.

use crate::documents::checklist::grammar;
use crate::documents::cited::{Shape, shape};
use crate::documents::latest;
use crate::documents::prose::Prose;
use crate::documents::records::{self, Record};
use crate::documents::shelf::{Shelf, ShelfError};
use crate::documents::upkeep;
use crate::model::config::{Config, Flaky, Project};
use crate::model::digest::InputDigest;
use crate::model::evidence::Layout;
use crate::model::id::{PipelineId, RunId, TaskId};
use crate::model::run::Verdict;
use crate::model::time::Timestamp;
use std::collections::BTreeMap;

/// What the runs of a project show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// The project.
    pub(super) task: TaskId,
    /// Its own pipeline; none where its pipelines run by name only.
    pub(super) pipeline: Option<PipelineId>,
    /// What a flaky verdict counts as.
    pub(super) flaky: Flaky,
    /// The newest run of it that says something of what lies there.
    pub(super) newest: Option<Newest>,
    /// The manifest of the newest green one.
    pub(super) green: Option<String>,
    /// How many runs are kept.
    pub(super) runs: usize,
    /// Those that cannot be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
}

/// The newest run that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) run: RunId,
    /// Its manifest, as documents call it.
    pub(super) manifest: String,
    pub(super) verdict: Verdict,
    pub(super) green: bool,
    pub(super) completed_at: Option<Timestamp>,
    /// The content that it is of; nothing where its sidecar does not say.
    pub(super) content: Option<InputDigest>,
}

/// What the records of a project, newest first, show.
pub(super) fn read(
    config: &Config,
    layout: &Layout,
    project: &Project,
    records: &[Record],
) -> Standing {
    let flaky = config.settings.flaky;
    let pipeline = (!config.is_unpiped(project)).then(|| project.pipeline.clone());
    let said = records.iter().filter_map(|record| {
        let row = latest::telling(record, layout, pipeline.as_ref())?;
        Some(Newest {
            run: record.run_id.clone(),
            manifest: record.path.clone(),
            verdict: row.verdict,
            green: latest::is_green(record, flaky),
            completed_at: row.completed_at,
            content: record.sidecar().and_then(|it| it.input_digest),
        })
    });
    let said: Vec<Newest> = said.collect();
    let unreadable = records.iter().filter_map(|record| {
        let why = record.manifest.as_ref().err()?;
        Some((record.path.clone(), why.to_string()))
    });
    Standing {
        task: project.task.clone(),
        flaky,
        green: said
            .iter()
            .find(|run| run.green)
            .map(|run| run.manifest.clone()),
        newest: said.into_iter().next(),
        runs: records.len(),
        unreadable: unreadable.collect(),
        pipeline,
    }
}

/// Where the pages name a manifest of each project that passed: the first page and line, and the run.
///
/// # Errors
/// When a page cannot be read.
pub(super) fn links(
    shelf: &Shelf,
    standing: &[Standing],
) -> Result<BTreeMap<TaskId, (String, RunId)>, ShelfError> {
    let mut found: BTreeMap<TaskId, (String, RunId)> = BTreeMap::new();
    let mut known: BTreeMap<RunId, bool> = BTreeMap::new();
    for path in upkeep::pages(shelf)? {
        // What cannot be read is told by the check of pages.
        let Ok(Some(bytes)) = shelf.read(&path) else {
            continue;
        };
        let prose = Prose::read(&bytes);
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            for token in grammar::paths(line) {
                let Some((own, run)) = named(standing, &token.path) else {
                    continue;
                };
                if prose.is_code(number + 1) || found.contains_key(&own.task) {
                    continue;
                }
                let passed = known.entry(run.clone());
                let passed = passed.or_insert_with(|| has_passed(shelf, own, &run));
                if *passed {
                    let place = format!("{}:{}", path.to_text(), number + 1);
                    found.insert(own.task.clone(), (place, run));
                }
            }
        }
    }
    Ok(found)
}

/// The project whose run's manifest a path is.
fn named<'a>(standing: &'a [Standing], path: &str) -> Option<(&'a Standing, RunId)> {
    let Some(Shape::Run { task, run, .. }) = shape(path).filter(|_| path.ends_with(".json")) else {
        return None;
    };
    let own = standing.iter().find(|own| own.task.as_str() == task)?;
    Some((own, RunId::parse(run).ok()?))
}

fn has_passed(shelf: &Shelf, own: &Standing, run: &RunId) -> bool {
    let record = records::one(shelf, &own.task, run.clone());
    let is_own = record.manifest().is_some_and(|manifest| {
        let mut pipeline = own.pipeline.iter();
        pipeline.all(|pipeline| *pipeline == manifest.pipeline_id)
    });
    is_own && latest::is_green(&record, own.flaky)
}
