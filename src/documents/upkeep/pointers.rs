//! Which projects a page points to, and which pages have to point to all of them.
//!
//! A page points to a project where it names its runs (`.runs/<task>/`), or those of any task by a placeholder. The page
//! for everybody who works here, the list of all tasks and one page of the procedures have to point to each; and a
//! procedure that names the runs of one project by itself has to name those of all.

use super::finding::{PageFinding, PageKind};
use crate::documents::book::ALL_TASKS;
use crate::model::id::TaskId;
use crate::model::path::RelPath;

/// The page for everybody who works in a workspace.
pub const AGENTS: &str = ".agent/AGENTS.md";
/// Where procedures are.
pub const SOPS: &str = ".agent/SOPs";

/// Whether a page names the runs of a task, or those of any.
#[must_use]
pub fn names(bytes: &[u8], task: &TaskId) -> bool {
    has(bytes, &format!(".runs/{task}/"))
        || has(bytes, ".runs/<task-id>/")
        || has(bytes, ".runs/<task>/")
}

fn has(bytes: &[u8], what: &str) -> bool {
    let mut windows = bytes.windows(what.len());
    windows.any(|window| window == what.as_bytes())
}

/// The task whose page this is, by its name: `<task>….md`, `tasks-<task>….md`, `PRD-<task>….md`.
#[must_use]
pub(crate) fn owner<'a>(
    path: &RelPath,
    tasks: impl Iterator<Item = &'a TaskId>,
) -> Option<&'a TaskId> {
    let name = path.names().last()?.to_str()?.strip_suffix(".md")?;
    let bare = ["tasks-", "PRD-", "TECH_SPEC-", "ACTION_PLAN-"].into_iter();
    let bare = bare.filter_map(|prefix| name.strip_prefix(prefix)).next();
    let name = bare.unwrap_or(name);
    let is_it = |task: &&TaskId| {
        let rest = name.strip_prefix(task.as_str());
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
    };
    tasks.filter(is_it).max_by_key(|task| task.as_str().len())
}

/// The projects that a page leaves out though it names others.
pub(super) fn left_out<'a>(
    path: &RelPath,
    bytes: &[u8],
    projects: &'a [TaskId],
) -> impl Iterator<Item = &'a TaskId> {
    let names_one = projects.iter().any(|task| names(bytes, task));
    let is_ones = owner(path, projects.iter()).is_some();
    let left = projects.iter().filter(|task| !names(bytes, task));
    let left: Vec<&TaskId> = left.filter(|_| names_one && !is_ones).collect();
    left.into_iter()
}

/// The pages that leave a project out.
pub(super) fn missing(pages: &[(RelPath, Vec<u8>)], projects: &[TaskId]) -> Vec<PageFinding> {
    let mut findings = Vec::new();
    let mut miss = |file: &str, task: &TaskId, what: &str| {
        findings.push(PageFinding {
            file: file.to_owned(),
            line: 1,
            kind: PageKind::MissingPointer,
            message: format!(
                "{what} `.runs/{task}/cli/<run-id>/manifest.json`: add where the runs of `{task}` are, \
                 or have `orchctl project add` do it"
            ),
        });
    };
    for file in [AGENTS, ALL_TASKS] {
        let page = pages.iter().find(|(path, _)| path.to_text() == file);
        for task in projects {
            match page {
                Some((_, bytes)) if names(bytes, task) => {}
                Some(_) => miss(file, task, "it does not name"),
                None => miss(file, task, "the page is missing, so that nothing names"),
            }
        }
    }
    let is_sop = |path: &RelPath| RelPath::parse(SOPS).is_ok_and(|below| path.is_within(&below));
    let sops: Vec<_> = pages.iter().filter(|(path, _)| is_sop(path)).collect();
    for task in projects {
        if !sops.iter().any(|(_, bytes)| names(bytes, task)) {
            miss(SOPS, task, "no procedure names");
        }
    }
    for (path, bytes) in &sops {
        for task in left_out(path, bytes, projects) {
            // Where no procedure names it, that has been told once for all.
            if sops.iter().any(|(_, bytes)| names(bytes, task)) {
                let what = "it names the runs of another project, and not";
                miss(&path.to_text(), task, what);
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pages: &[(&str, &str)]) -> Vec<(String, String)> {
        let pages = pages.iter().map(|(path, text)| {
            let path = RelPath::parse(path).unwrap();
            (path, text.as_bytes().to_vec())
        });
        let pages: Vec<_> = pages.collect();
        let projects = ["0101-web", "0102"].map(|task| TaskId::parse(task).unwrap());
        let found = missing(&pages, &projects).into_iter();
        let sops = found.filter(|finding| finding.file.starts_with(SOPS));
        sops.map(|finding| (finding.file, finding.message))
            .collect()
    }

    #[test]
    fn a_procedure_that_names_one_project_names_all_but_where_it_is_ones_own() {
        let (one, both) = ("`.runs/0101-web/`", "`.runs/0101-web/` `.runs/0102/`");
        let found = told(&[(".agent/SOPs/a.md", one), (".agent/SOPs/b.md", both)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, ".agent/SOPs/a.md");
        assert!(found[0].1.contains("`0102`"), "{found:?}");
        let own = [
            (".agent/SOPs/0101-web-deploy.md", one),
            (".agent/SOPs/b.md", both),
            (".agent/SOPs/c.md", "no runs"),
        ];
        assert_eq!(told(&own), []);
        // Where no procedure names a project, that is told once.
        let none = told(&[(".agent/SOPs/a.md", one), (".agent/SOPs/b.md", one)]);
        assert_eq!(none.len(), 1, "{none:?}");
        assert_eq!(none[0].0, SOPS);
    }
}
