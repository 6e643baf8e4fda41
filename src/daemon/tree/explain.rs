//! Explaining: what becomes of a change of one path.
//!
//! It asks the same rules that the walk asks, from the top down, so that the answer is what really happens.

use super::Tree;
use super::examine::is_backup;
use super::names;
use super::print::Moment;
use super::rules::Rule;
use super::scopes::FilterId;
use super::snapshot::DirId;
use super::survey::Shown;
use crate::daemon::watcher::is_noise;
use crate::limits::CHANGED_PATHS_SHOWN_MAX;
use crate::model::id::{PipelineId, StageId, TaskId};
use crate::model::path::{RelPath, RootPath};
use crate::model::run::Changed;
use crate::model::time::Timestamp;
use crate::model::view::Explanation;
use std::path::Path;

impl Tree {
    /// Says which projects and stages a change of `path` triggers, or which rule ignores it. The path need not exist.
    #[must_use]
    pub fn explain(&self, path: &RelPath) -> Explanation {
        let whole = names::of(path);
        let ruled = self.ruled(&whole, path);
        let aside = ruled.shown == Shown::Aside;
        ruled
            .hides
            .or_else(|| self.triggered_by(&whole, aside))
            .or_else(|| {
                let rule = self.scopes.output_pattern(&whole)?;
                Some(Explanation::Ignored {
                    rule,
                    source: "outputs of its project's stages".to_owned(),
                    line: None,
                })
            })
            .unwrap_or_else(|| Explanation::Unread {
                owner: self.scopes.owner(&whole).cloned(),
                path: path.clone(),
            })
    }

    /// The rule that names `path` although it is content, and why it is.
    #[must_use]
    pub fn overruled(&self, path: &RelPath) -> Option<Overruled> {
        let ruled = self.ruled(&names::of(path), path);
        let rule = ruled.rule.filter(|_| ruled.hides.is_none())?;
        Some(match ruled.shown {
            Shown::Aside => Overruled::Declared(rule),
            Shown::No | Shown::Yes => Overruled::Tracked(rule),
        })
    }

    fn ruled(&self, whole: &[u8], path: &RelPath) -> Ruled {
        let mut ruled = Ruled {
            hides: None,
            rule: None,
            shown: Shown::Yes,
        };
        ruled.hides = self.hidden_by(whole, path, &mut ruled);
        ruled
    }

    fn hidden_by(&self, whole: &[u8], path: &RelPath, ruled: &mut Ruled) -> Option<Explanation> {
        let mut at = Vec::new();
        let mut id = DirId::ROOT;
        let mut known = true;
        let mut top = None;
        let mut components = names::components(whole).peekable();
        while let Some(name) = components.next() {
            let last = components.peek().is_none();
            // Below a directory that is not there, what holds for the deepest that is.
            let sieve = self.sieve(id);
            names::push(&mut at, name);
            if sieve.is_excluded(name) || self.scopes.excluded.contains(&*at) {
                return Some(by_construction(name, &at));
            }
            let is_directory = !last || self.root.join(path).is_dir();
            let above = names::split(&at).map_or(&b""[..], |(above, _)| above);
            let directory = names::below(self.root.as_path(), above);
            if !is_directory && is_backup(&directory, name) {
                return Some(built_in(&at, "a backup beside its file"));
            }
            let rule = if known {
                sieve.chain.ignores(name, is_directory)
            } else {
                let deep = names::strip(&at, &self.snapshot.path(id)).map(<[u8]>::to_vec);
                sieve.chain.ignores(&deep.unwrap_or_default(), is_directory)
            };
            if rule.is_some() || top.is_some() {
                let is_held = self.tracked.holds(above, name, is_directory);
                let is_tracked = is_held && rule.is_none_or(|rule| rule.is_gits);
                let hides = ruled.note(rule, &self.root);
                ruled.shown = if is_tracked {
                    Shown::Yes
                } else if self.scopes.declared.shows(&at, is_directory, top) {
                    Shown::Aside
                } else {
                    Shown::No
                };
                top = top.or(Some(at.len()));
                if ruled.shown == Shown::No {
                    return hides;
                }
            }
            match self.snapshot.subdir(id, name) {
                Some(sub) if known => id = sub,
                Some(_) | None => known = false,
            }
        }
        None
    }

    /// What a stage of a project's own pipeline, or one below it, reads of what has changed.
    #[must_use]
    pub fn of_stage(
        &self,
        task: &TaskId,
        stage: &(PipelineId, StageId),
        changed: &Changed,
    ) -> Changed {
        let Changed::Paths(paths) = changed else {
            return Changed::Everything;
        };
        let Some(filter) = self.filter_of(task, stage) else {
            return Changed::Everything;
        };
        let reads = |path: &&RelPath| {
            let whole = names::of(path);
            let aside = self.ruled(&whole, path).shown == Shown::Aside;
            self.scopes.reads(filter, &whole, aside)
        };
        Changed::Paths(paths.iter().filter(reads).cloned().collect())
    }

    /// The files that a stage of a project's own pipeline, or one below it, reads and that have a time later than this one:
    /// the first `CHANGED_PATHS_SHOWN_MAX` of them by name. A file may have changed and have no such time, if it came with
    /// its times from elsewhere or the clock was set, and one that is gone has none.
    #[must_use]
    pub fn later_than(
        &self,
        time: Timestamp,
        task: &TaskId,
        stage: &(PipelineId, StageId),
    ) -> Vec<RelPath> {
        let Some(filter) = self.filter_of(task, stage) else {
            return Vec::new();
        };
        let moment = Moment::of(time);
        let mut later = Vec::new();
        for id in self.snapshot.all(DirId::ROOT) {
            let dir = self.snapshot.dir(id);
            let entries = dir.entries().iter();
            for entry in entries.filter(|entry| entry.print.is_later_than(moment)) {
                let name = dir.name_of(entry);
                let path = self.snapshot.path_of(id, name);
                if self.scopes.reads(filter, &path, dir.is_aside(name)) {
                    later.push(names::rel(&path));
                }
            }
        }
        later.sort();
        later.truncate(CHANGED_PATHS_SHOWN_MAX);
        later
    }

    /// What a stage of a project's own pipeline, or one below it, reads.
    fn filter_of(&self, task: &TaskId, stage: &(PipelineId, StageId)) -> Option<FilterId> {
        let mut scopes = self.scopes.triggers();
        let (_, scope) = scopes.find(|(of, _)| *of == task)?;
        let mut stages = scope.stages.iter();
        stages
            .find(|(of, _)| of == stage)
            .map(|(_, filter)| *filter)
    }

    fn triggered_by(&self, whole: &[u8], aside: bool) -> Option<Explanation> {
        let mut projects = Vec::new();
        for (task, scope) in self.scopes.triggers() {
            let reads = |filter| self.scopes.reads(filter, whole, aside);
            if !reads(scope.union) {
                continue;
            }
            let stages = scope.stages.iter().filter(|(_, filter)| reads(*filter));
            projects.push((
                task.clone(),
                stages.map(|(stage, _)| stage.clone()).collect(),
            ));
        }
        (!projects.is_empty()).then_some(Explanation::Triggers { projects })
    }
}

/// Why a path is content though a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overruled {
    /// Git tracks it: it is content for all.
    Tracked(Explanation),
    /// Stages declare it: it is content for them.
    Declared(Explanation),
}

/// What rules say of a path.
struct Ruled {
    hides: Option<Explanation>,
    /// The first on the way that would, if nothing was tracked or declared.
    rule: Option<Explanation>,
    /// To whom the path is shown, where one would.
    shown: Shown,
}

impl Ruled {
    /// Takes note of a rule on the way, and says which one hides what has come to: the first, unless the last is not
    /// git's.
    fn note(&mut self, rule: Option<Rule<'_>>, root: &RootPath) -> Option<Explanation> {
        let own = rule.map(|rule| written(rule, root));
        let first = self.rule.clone();
        if self.rule.is_none() {
            self.rule.clone_from(&own);
        }
        let is_gits = rule.is_none_or(|rule| rule.is_gits);
        first.filter(|_| is_gits).or(own)
    }
}

fn by_construction(name: &[u8], path: &[u8]) -> Explanation {
    let source = if name == b".git" {
        "what git keeps for itself"
    } else if is_noise(name) {
        "a temporary file"
    } else {
        "evidence"
    };
    built_in(path, source)
}

fn built_in(path: &[u8], source: &str) -> Explanation {
    Explanation::Ignored {
        rule: names::rel(path).to_string(),
        source: format!("built in: {source}"),
        line: None,
    }
}

fn written(rule: Rule<'_>, root: &RootPath) -> Explanation {
    let Some(sheet) = rule.sheet else {
        return Explanation::Ignored {
            rule: rule.pattern.written(),
            source: "`ignore` of the workspace's configuration".to_owned(),
            line: None,
        };
    };
    let source: &Path = &sheet.source;
    let below = root.relative(source).map(|below| below.to_string());
    Explanation::Ignored {
        rule: rule.pattern.written(),
        source: below.unwrap_or_else(|| source.display().to_string()),
        line: rule.pattern.line(),
    }
}
