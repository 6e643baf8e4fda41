//! Items that tick themselves: those that declare a pipeline (`<!-- orchd:item KEY pipeline=ID -->`), once it is green.
//!
//! The same tick as somebody's own: judged as the check would judge it, in the source and all its mirrors, all files or
//! none. Nothing is opened again by itself; that a newer run says otherwise is told. What is ticked already is left alone, so
//! that the run that a tick calls for finds nothing to do.

use crate::documents::book::Book;
use crate::documents::failure::PaperError;
use crate::documents::flipping::{self, Flipped};
use crate::documents::rewrite::{Rewrite, RewriteError};
use crate::documents::shelf::Shelf;
use crate::documents::task_index;
use crate::limits::documents::TICK_ATTEMPTS_MAX;
use crate::model::id::{PipelineId, RunId, TaskId};

/// Ticks every open item of a task's source that declares this pipeline, by this run of it. Where somebody changes a file
/// meanwhile, that is read again; what he has written stays.
///
/// # Errors
/// When there is such an item, and the run does not prove it or a file cannot be written; or nothing can be read.
pub fn tick(
    shelf: &Shelf,
    task: &TaskId,
    pipeline: &PipelineId,
    run: &RunId,
) -> Result<Vec<Flipped>, PaperError> {
    tick_and(shelf, (task, pipeline, run), &mut |rewrite| {
        rewrite.carry_out(shelf.root())
    })
}

fn tick_and(
    shelf: &Shelf,
    (task, pipeline, run): (&TaskId, &PipelineId, &RunId),
    carry_out: &mut dyn FnMut(&Rewrite) -> Result<(), RewriteError>,
) -> Result<Vec<Flipped>, PaperError> {
    let mut attempts = 1;
    loop {
        let book = Book::read(shelf, task_index::read(shelf)?)?;
        let (rewrite, ticked) = flipping::tick_declared(shelf, &book, task, pipeline, run)?;
        match carry_out(&rewrite) {
            Ok(()) => return Ok(ticked),
            Err(RewriteError::Changed { .. }) if attempts < TICK_ATTEMPTS_MAX => attempts += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The items of a task's source that declare this pipeline and are ticked, as `file:line`.
///
/// # Errors
/// When a document cannot be read.
pub fn ticked(
    shelf: &Shelf,
    task: &TaskId,
    pipeline: &PipelineId,
) -> Result<Vec<String>, PaperError> {
    let book = Book::read(shelf, task_index::read(shelf)?)?;
    let page = book.source(task);
    let ticked = page.into_iter().flat_map(|page| {
        let own = flipping::declaring(page, pipeline);
        let own = own.filter(|item| item.checked);
        own.map(|item| format!("{}:{}", page.file, item.line))
    });
    Ok(ticked.collect())
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "a test writes files in a directory of its own"
    )]

    use super::*;
    use crate::model::evidence::tests::report;
    use crate::model::evidence::{Layout, Manifest, document};
    use crate::model::path::RootPath;
    use crate::model::run::RunStatus;
    use std::fs;
    use std::path::Path;

    const SOURCE: &str = "- [ ] Build <!-- orchd:item build pipeline=p -->\n- [ ] Other <!-- orchd:item other pipeline=q -->\n- [ ] Plain\n";

    /// A workspace with one run of the pipeline `p`.
    fn workspace(status: RunStatus) -> (tempfile::TempDir, Shelf, RunId) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let stage = "[[pipeline.stage]]\nid = 'lint'\ncommand = 'x'\n";
        let toml =
            format!("[[project]]\ntask = 't'\npipeline = 'p'\n[[pipeline]]\nid = 'p'\n{stage}");
        let report = report("t", 1, status);
        let mut manifest = Manifest::new(&report, "t", "token", &Layout::default());
        manifest.status = status;
        let place = root.join(format!(".runs/t/cli/{}", report.run));
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("manifest.json"), document(&manifest)).unwrap();
        fs::create_dir(root.join("tasks")).unwrap();
        fs::write(root.join("tasks/t.md"), SOURCE).unwrap();
        fs::write(root.join("orchd.toml"), toml).unwrap();
        let root = RootPath::new(&root.canonicalize().unwrap()).unwrap();
        let shelf = Shelf::open(&root, None).unwrap();
        (dir, shelf, report.run)
    }

    fn names() -> (TaskId, PipelineId) {
        (TaskId::parse("t").unwrap(), PipelineId::parse("p").unwrap())
    }

    fn source(root: &Path) -> String {
        fs::read_to_string(root.join("tasks/t.md")).unwrap()
    }

    #[test]
    fn what_somebody_writes_meanwhile_stays_and_the_tick_is_made_of_it() {
        let (dir, shelf, run) = workspace(RunStatus::Succeeded);
        let (task, pipeline) = names();
        let mut saved = 0;
        let ticked = tick_and(&shelf, (&task, &pipeline, &run), &mut |rewrite| {
            if saved < TICK_ATTEMPTS_MAX - 1 {
                saved += 1;
                let text = format!("{}- [ ] Line {saved}\n", source(dir.path()));
                fs::write(dir.path().join("tasks/t.md"), text).unwrap();
            }
            rewrite.carry_out(shelf.root())
        });
        assert_eq!(ticked.unwrap().len(), 1);
        let manifest = format!(".runs/t/cli/{run}/manifest.json");
        let wanted = SOURCE.replace("[ ] Build", &format!("[x] Build; Evidence: `{manifest}`"));
        let lines: String = (1..=saved).map(|at| format!("- [ ] Line {at}\n")).collect();
        assert_eq!(source(dir.path()), format!("{wanted}{lines}"));
        assert_eq!(tick(&shelf, &task, &pipeline, &run).unwrap(), []);
        assert_eq!(ticked_lines(&shelf), ["tasks/t.md:1"]);
    }

    fn ticked_lines(shelf: &Shelf) -> Vec<String> {
        let (task, pipeline) = names();
        ticked(shelf, &task, &pipeline).unwrap()
    }

    #[test]
    fn who_never_stops_saving_is_left_alone() {
        let (dir, shelf, run) = workspace(RunStatus::Succeeded);
        let (task, pipeline) = names();
        let mut saved = 0;
        let refused = tick_and(&shelf, (&task, &pipeline, &run), &mut |rewrite| {
            saved += 1;
            let text = format!("{}- [ ] Line\n", source(dir.path()));
            fs::write(dir.path().join("tasks/t.md"), text).unwrap();
            rewrite.carry_out(shelf.root())
        });
        assert!(matches!(
            refused,
            Err(PaperError::Rewrite(RewriteError::Changed { .. }))
        ));
        assert_eq!(saved, TICK_ATTEMPTS_MAX);
        assert_eq!(
            source(dir.path()),
            format!("{SOURCE}{}", "- [ ] Line\n".repeat(saved))
        );
    }

    #[test]
    fn what_a_run_does_not_prove_it_does_not_tick() {
        let (dir, shelf, run) = workspace(RunStatus::Failed);
        let (task, pipeline) = names();
        let refused = tick(&shelf, &task, &pipeline, &run).unwrap_err();
        assert!(refused.to_string().contains("the run has failed"));
        let other = PipelineId::parse("none").unwrap();
        assert_eq!(tick(&shelf, &task, &other, &run).unwrap(), []);
        assert_eq!(source(dir.path()), SOURCE);
    }
}
