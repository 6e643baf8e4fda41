//! Whether the pages of a workspace lead where they say: links, manifests, pointers to projects, templates filled in.
//!
//! Pages are the Markdown files beside the configuration, below `docs/` and `tasks/`, and below `.agent/` without its
//! templates. Each is read once; what cannot be read is a finding of its own.

mod finding;
mod links;
mod pointers;
#[cfg(test)]
mod tests;

use crate::documents::checklist::grammar;
use crate::documents::cited::{Cited, Found, Shape, shape};
use crate::documents::prose::Prose;
use crate::documents::shelf::{Shelf, ShelfError};
use crate::documents::standings::blocks;
use crate::documents::task_index::TaskEntry;
use crate::documents::templates::{self, TEMPLATES};
use crate::model::id::TaskId;
use crate::model::path::RelPath;
use std::collections::BTreeSet;

pub use finding::{PageFinding, PageKind};
pub(crate) use links::{Target, target};
pub(crate) use pointers::owner;
pub use pointers::{AGENTS, SOPS, names};

/// Where pages are, besides those beside the configuration.
const PLACES: [&str; 3] = ["docs", "tasks", ".agent"];

/// What a check of pages says.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Checked {
    /// What is wrong, by file and line.
    pub findings: Vec<PageFinding>,
}

/// The pages of a workspace, sorted.
///
/// # Errors
/// When a directory cannot be read.
pub fn pages(shelf: &Shelf) -> Result<Vec<RelPath>, ShelfError> {
    let mut pages = shelf.documents_in(&RelPath::root())?;
    for place in PLACES {
        if let Ok(place) = RelPath::parse(place) {
            pages.extend(shelf.documents(&place)?);
        }
    }
    let templates = RelPath::parse(TEMPLATES).unwrap_or_else(|_| RelPath::root());
    pages.retain(|page| !page.is_within(&templates));
    pages.sort();
    Ok(pages)
}

/// Checks all pages. `projects` are those that `orchd.toml` has: of what is no project of anybody's no page has to speak.
///
/// # Errors
/// When a directory cannot be read.
pub fn check(
    shelf: &Shelf,
    entries: &[TaskEntry],
    projects: &[TaskId],
) -> Result<Checked, ShelfError> {
    let listed = entries.iter().map(|entry| &entry.id);
    let tasks: BTreeSet<&TaskId> = projects.iter().chain(listed).collect();
    let mut findings = Vec::new();
    let mut reader = Reader {
        shelf,
        cited: Cited::new(shelf.root().as_path(), shelf.places()),
        left: left_to_write(shelf)?,
        tasks,
        projects,
    };
    let mut read = Vec::new();
    for path in pages(shelf)? {
        match shelf.read(&path) {
            Ok(Some(bytes)) => {
                reader.page(&path, &bytes, &mut findings);
                read.push((path, bytes));
            }
            Ok(None) => {}
            Err(error) => findings.push(PageFinding {
                file: path.to_text(),
                line: 1,
                kind: PageKind::Unreadable,
                message: error.to_string(),
            }),
        }
    }
    findings.extend(pointers::missing(&read, projects));
    findings.sort_by(|a, b| (&a.file, a.line, a.kind).cmp(&(&b.file, b.line, b.kind)));
    Ok(Checked { findings })
}

/// The fragments of the workspace's templates that only a person can fill in.
fn left_to_write(shelf: &Shelf) -> Result<BTreeSet<String>, ShelfError> {
    let mut left = BTreeSet::new();
    let Ok(below) = RelPath::parse(TEMPLATES) else {
        return Ok(left);
    };
    for path in shelf.documents(&below)? {
        let bytes = shelf.read(&path).ok().flatten().unwrap_or_default();
        let fragments = templates::fragments(&String::from_utf8_lossy(&bytes));
        let names = fragments.into_iter().map(|fragment| fragment.name);
        left.extend(
            names.filter(|name| !templates::is_filled(name) && !templates::is_of_run(name)),
        );
    }
    Ok(left)
}

struct Reader<'a> {
    shelf: &'a Shelf,
    cited: Cited<'a>,
    left: BTreeSet<String>,
    tasks: BTreeSet<&'a TaskId>,
    projects: &'a [TaskId],
}

impl Reader<'_> {
    fn page(&mut self, path: &RelPath, bytes: &[u8], findings: &mut Vec<PageFinding>) {
        let file = path.to_text();
        let prose = Prose::read(bytes);
        let mut found = Vec::new();
        self.links(path, &prose, &mut found);
        for (line, label) in &prose.undefined {
            let said = format!(
                "no line defines `[{label}]`: add `[{label}]: PATH`, or take the brackets away"
            );
            found.push((*line, PageKind::UndefinedReference, said));
        }
        self.manifests(bytes, &prose, &mut found);
        self.fragments(path, bytes, &mut found);
        self.blocks(bytes, &mut found);
        found.sort();
        found.dedup();
        findings.extend(found.into_iter().map(|(line, kind, message)| PageFinding {
            file: file.clone(),
            line,
            kind,
            message,
        }));
    }

    fn links(&mut self, path: &RelPath, prose: &Prose, found: &mut Vec<(usize, PageKind, String)>) {
        for link in &prose.links {
            match target(path, &link.target) {
                Target::Elsewhere => {}
                Target::Outside => {
                    let said = format!("`{}` leads out of the workspace", link.target);
                    found.push((link.line, PageKind::DanglingLink, said));
                }
                Target::Below(below) => {
                    let text = below.to_text();
                    let of_runs = shape(&text).is_some();
                    let fault = match of_runs {
                        true => self.evidence(&text, true),
                        false if self.shelf.root().join(&below).exists() => None,
                        false => Some((PageKind::DanglingLink, format!("`{text}` is not there"))),
                    };
                    found.extend(fault.map(|(kind, said)| (link.line, kind, said)));
                }
            }
        }
    }

    /// The manifests that a page names in text or in code within a line.
    fn manifests(
        &mut self,
        bytes: &[u8],
        prose: &Prose,
        found: &mut Vec<(usize, PageKind, String)>,
    ) {
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if prose.is_code(number + 1) {
                continue;
            }
            for token in grammar::paths(line) {
                let names_run = match shape(&token.path) {
                    Some(Shape::Run { .. }) => true,
                    Some(Shape::Pointer { .. }) => token.path.ends_with(".json"),
                    Some(Shape::Other { .. }) | None => false,
                };
                if names_run && !token.is_placeholder() {
                    let fault = self.evidence(&token.path, false);
                    found.extend(fault.map(|(kind, said)| (number + 1, kind, said)));
                }
            }
        }
    }

    fn evidence(&mut self, path: &str, is_link: bool) -> Option<(PageKind, String)> {
        let missing = if is_link && !matches!(shape(path), Some(Shape::Run { .. })) {
            PageKind::DanglingLink
        } else {
            PageKind::MissingManifest
        };
        match &*self.cited.at(path) {
            Found::NoTask => {
                let said =
                    format!("`{path}`: there are no runs of its task here to hold it against");
                Some((PageKind::Unverifiable, said))
            }
            Found::Missing => {
                let said = format!(
                    "`{path}` is not there: name a run that is, as `orchctl runs` lists them"
                );
                Some((missing, said))
            }
            Found::Unparsable { reason } => {
                Some((PageKind::UnreadableManifest, format!("`{path}`: {reason}")))
            }
            Found::Run { .. } | Found::Other => None,
        }
    }

    fn fragments(&self, path: &RelPath, bytes: &[u8], found: &mut Vec<(usize, PageKind, String)>) {
        if owner(path, self.tasks.iter().copied()).is_none() {
            return;
        }
        for fragment in templates::fragments(&String::from_utf8_lossy(bytes)) {
            let name = &fragment.name;
            let (kind, said) = if templates::is_filled(name) {
                (
                    PageKind::Unfilled,
                    "was never filled in: write what it stands for",
                )
            } else if self.left.contains(name) {
                (
                    PageKind::TemplateText,
                    "is the template's: a person has to write it",
                )
            } else {
                continue;
            };
            found.push((fragment.line, kind, format!("`<{name}>` {said}")));
        }
    }

    fn blocks(&self, bytes: &[u8], found: &mut Vec<(usize, PageKind, String)>) {
        for block in blocks(bytes) {
            let key = &block.key;
            let said = if !self.projects.iter().any(|task| task.as_str() == key) {
                format!(
                    "the block is of `{key}`, which is no project's task: `orchctl project list`"
                )
            } else if block.body.is_none() {
                format!("the block of `{key}` has no end: add `<!-- orchd:status:end {key} -->`")
            } else {
                continue;
            };
            found.push((block.line, PageKind::BrokenBlock, said));
        }
    }
}
