//! Items of checklists that tick themselves, `flip = "auto"`: when the green end of a run is on disk.
//!
//! What is ticked and how is `documents::ticking`'s business. Here it is decided which runs do it: those of what lies there,
//! not of a commit or an index; that are no part of another; and whose content was the same all along. It waits its turn
//! behind what else is done to the workspace's evidence, so that no two ticks of one daemon are made at once, a daemon that
//! ends has made them, and what is cited is known before old runs are removed.

use crate::daemon::chain::chain;
use crate::daemon::shell::Shell;
use crate::disk::configuration::Loaded;
use crate::documents::failure::PaperError;
use crate::documents::shelf::Shelf;
use crate::documents::ticking;
use crate::model::config::Flip;
use crate::model::id::{PipelineId, RunId, TaskId, WorkspaceId};
use crate::model::path::RootPath;
use crate::model::run::{RunReport, Verdict};
use std::sync::Arc;

/// What a run that has ended may tick.
struct Tick {
    root: RootPath,
    loaded: Arc<Loaded>,
    task: TaskId,
    pipeline: PipelineId,
    run: RunId,
    is_green: bool,
}

impl Shell {
    /// Has the items ticked that declare the pipeline of a run whose end has been recorded; those that it contradicts are
    /// told.
    pub(super) fn tick_by(&mut self, id: WorkspaceId, run: &RunId) {
        let report = self.engine.run(run);
        let site = self.sites.get_mut(&id);
        let site = site.filter(|site| !site.spots.is_checkout());
        let (Some(report), Some(site)) = (report, site) else {
            return;
        };
        let Some(tick) = tick_of(report, site.loaded.as_ref(), &site.root) else {
            return;
        };
        if let Some(desk) = site.desk.as_mut() {
            desk.push(move |_| {
                tick.carry_out();
                None
            });
        }
    }
}

/// What a run may tick or contradict; nothing where it says nothing, or where nobody asked for that.
fn tick_of(report: &RunReport, loaded: Option<&Arc<Loaded>>, root: &RootPath) -> Option<Tick> {
    let loaded = loaded?;
    let settings = &loaded.config.settings;
    let is_green = report.verdict.is_green(settings.flaky);
    let is_red = matches!(
        report.verdict,
        Verdict::Fail | Verdict::Unstable | Verdict::Flaky
    );
    let says = (is_green || is_red) && report.void.is_none() && report.parent.is_none();
    (settings.flip == Flip::Auto && says).then(|| Tick {
        root: root.clone(),
        loaded: Arc::clone(loaded),
        task: report.task.clone(),
        pipeline: report.pipeline.clone(),
        run: report.run.clone(),
        is_green,
    })
}

impl Tick {
    fn carry_out(self) {
        let loaded = Loaded::clone(&self.loaded);
        let shelf = Shelf::of(&self.root, loaded);
        let done = match self.is_green {
            true => self.tick(&shelf),
            false => self.contradict(&shelf),
        };
        if let Err(error) = done {
            let Self { task, run, .. } = &self;
            tracing::warn!(%task, %run, error = %chain(&error), "items of checklists could not be ticked");
        }
    }

    fn tick(&self, shelf: &Shelf) -> Result<(), PaperError> {
        let Self {
            task,
            pipeline,
            run,
            ..
        } = self;
        for item in ticking::tick(shelf, task, pipeline, run)? {
            let (file, line, title) = (&item.file, item.line, &item.title);
            tracing::info!(%task, %run, %pipeline, %file, line, ?title, "an item of a checklist was ticked");
        }
        Ok(())
    }

    fn contradict(&self, shelf: &Shelf) -> Result<(), PaperError> {
        let Self {
            task,
            pipeline,
            run,
            ..
        } = self;
        let items = ticking::ticked(shelf, task, pipeline)?;
        if let Some(first) = items.first() {
            let items = items.len();
            tracing::warn!(%task, %run, %pipeline, items, %first, "a run contradicts items that are ticked: none is opened again by itself");
        }
        Ok(())
    }
}
