//! Explaining: what becomes of a change of one path.
//!
//! It asks the same rules that the walk asks, from the top down, so that the answer is what really happens.

use super::Tree;
use super::examine::is_backup;
use super::names;
use super::rules::Rule;
use super::snapshot::DirId;
use crate::daemon::watcher::is_noise;
use crate::model::path::{RelPath, RootPath};
use crate::model::view::Explanation;
use std::path::Path;

impl Tree {
    /// Says which projects and stages a change of `path` triggers, or which rule ignores it. The path need not exist.
    #[must_use]
    pub fn explain(&self, path: &RelPath) -> Explanation {
        let whole = names::of(path);
        self.ruled(&whole, path)
            .hides
            .or_else(|| self.triggered_by(&whole))
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

    /// The rule that would ignore `path` if git did not track it.
    #[must_use]
    pub fn tracked_though(&self, path: &RelPath) -> Option<Explanation> {
        let ruled = self.ruled(&names::of(path), path);
        ruled.overruled.filter(|_| ruled.hides.is_none())
    }

    fn ruled(&self, whole: &[u8], path: &RelPath) -> Ruled {
        let mut overruled = None;
        let hides = self.hidden_by(whole, path, &mut overruled);
        Ruled { hides, overruled }
    }

    fn hidden_by(
        &self,
        whole: &[u8],
        path: &RelPath,
        overruled: &mut Option<Explanation>,
    ) -> Option<Explanation> {
        let mut at = Vec::new();
        let mut id = DirId::ROOT;
        let mut known = true;
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
            let is_held = self.tracked.holds(above, name, is_directory);
            match rule {
                Some(rule) if !rule.is_gits || !is_held => {
                    let hides = overruled.take().filter(|_| rule.is_gits);
                    return hides.or_else(|| Some(written(rule, &self.root)));
                }
                Some(rule) => {
                    *overruled = overruled.take().or_else(|| Some(written(rule, &self.root)));
                }
                None if overruled.is_some() && !is_held => return overruled.take(),
                None => {}
            }
            match self.snapshot.subdir(id, name) {
                Some(sub) if known => id = sub,
                Some(_) | None => known = false,
            }
        }
        None
    }

    fn triggered_by(&self, whole: &[u8]) -> Option<Explanation> {
        let mut projects = Vec::new();
        for (task, scope) in self.scopes.triggers() {
            let reads = |filter| self.scopes.reads(filter, whole);
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

/// What rules say of a path.
struct Ruled {
    hides: Option<Explanation>,
    /// The one that would, but for git, which tracks the path.
    overruled: Option<Explanation>,
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
