//! What stands at a path that a document cites: a run, a pointer to one, another file, or nothing.
//!
//! A path in a run's directory is about that run, whichever of its files it names. Paths are those of documents: below
//! `.runs/` and `out/`, wherever the environment has these directories. Each is read once.

use crate::disk::places::EvidencePlaces;
use crate::documents::shelf;
use crate::model::evidence::Manifest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

/// The file that tells a run.
const MANIFEST: &str = "manifest.json";
/// How far pointers are followed: one leads to a manifest, and an old one to a newer.
const POINTERS_MAX: usize = 4;

/// Whose path it is, as its text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// In the directory of a run.
    Run {
        /// The directory of its task.
        task: &'a str,
        /// The directory of the run.
        run: &'a str,
        /// The directory of the run, as the path begins.
        root: &'a str,
    },
    /// A pointer to a run.
    Pointer {
        /// The directory of its task, where it lies in one.
        task: Option<&'a str>,
    },
    /// Another file of a task.
    Other {
        /// The directory of the task.
        task: &'a str,
    },
}

/// Tells a path's shape by its text.
#[must_use]
pub fn shape(path: &str) -> Option<Shape<'_>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let upto = |count: usize| {
        let mut slashes = path.match_indices('/').map(|(at, _)| at);
        slashes
            .nth(count)
            .and_then(|at| path.get(..at))
            .unwrap_or(path)
    };
    match *parts {
        [".runs", "local-mcp", ..] => Some(Shape::Pointer { task: None }),
        [".runs", task, "mcp", ..] => Some(Shape::Pointer { task: Some(task) }),
        [".runs", task, "cli", run, ..] => Some(Shape::Run {
            task,
            run,
            root: upto(3),
        }),
        // As the first generation had it, and as it still leaves a copy.
        [".runs", task, run, MANIFEST] => Some(Shape::Run {
            task,
            run,
            root: upto(2),
        }),
        [".runs" | "out", task, ..] => Some(Shape::Other { task }),
        _ => None,
    }
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Nothing, and nothing of its task either: these runs are on another machine.
    NoTask,
    /// Nothing.
    Missing,
    /// A run's directory without a manifest that can be read.
    Unparsable {
        /// Why.
        reason: String,
    },
    /// A run.
    Run {
        /// What it says of itself.
        manifest: Rc<Manifest>,
        /// The name of its directory.
        directory: String,
        /// The path of its manifest, where it was found by a pointer.
        pointed: Option<String>,
    },
    /// A file that is of no run.
    Other,
}

/// What stands at the paths that documents cite.
#[derive(Debug)]
pub struct Cited<'a> {
    root: &'a Path,
    places: &'a EvidencePlaces,
    known: BTreeMap<String, Rc<Found>>,
}

impl<'a> Cited<'a> {
    /// Nothing is read yet.
    #[must_use]
    pub fn new(root: &'a Path, places: &'a EvidencePlaces) -> Self {
        Self {
            root,
            places,
            known: BTreeMap::new(),
        }
    }

    /// What stands at a path, as documents have it.
    pub fn at(&mut self, path: &str) -> Rc<Found> {
        // All files of a run are judged by its manifest, and read once.
        let own = self.own(path);
        if !own {
            return Rc::new(self.absent(path));
        }
        let key = match shape(path) {
            Some(Shape::Run { root, .. }) => format!("{root}/{MANIFEST}"),
            _ => path.to_owned(),
        };
        if let Some(known) = self.known.get(&key) {
            return Rc::clone(known);
        }
        let found = Rc::new(self.look(&key, POINTERS_MAX));
        self.known.insert(key, Rc::clone(&found));
        found
    }

    /// Whether the very path exists.
    fn own(&self, path: &str) -> bool {
        self.place(path).is_some_and(|place| place.exists())
    }

    fn absent(&self, path: &str) -> Found {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let top = parts.next().unwrap_or_default();
        let task = parts.next().unwrap_or_default();
        let directory = self.place(&format!("{top}/{task}"));
        let is_pointer = task == "local-mcp";
        let has_task = directory.is_some_and(|directory| directory.is_dir());
        // Pointers of all tasks lie in one directory, which says nothing of a task.
        let has_runs = self.place(".runs").is_some_and(|runs| runs.is_dir());
        if has_task || (is_pointer && has_runs) {
            Found::Missing
        } else {
            Found::NoTask
        }
    }

    fn look(&self, path: &str, pointers: usize) -> Found {
        let Some(place) = self.place(path) else {
            return Found::Missing;
        };
        let shape = shape(path);
        if let Some(Shape::Other { .. }) | None = shape {
            return if place.exists() {
                Found::Other
            } else {
                self.absent(path)
            };
        }
        let bytes = match shelf::read(&place) {
            Ok(Some(bytes)) => bytes,
            Ok(None) if place.is_dir() => return Found::Other,
            Ok(None) => return self.absent(path),
            Err(error) => {
                return Found::Unparsable {
                    reason: error.to_string(),
                };
            }
        };
        match shape {
            Some(Shape::Run { run, .. }) => read(&bytes, run),
            _ => self.follow(path, &place, &bytes, pointers),
        }
    }

    /// The run that a pointer leads to: a link, or a file that says where.
    fn follow(&self, path: &str, place: &Path, bytes: &[u8], pointers: usize) -> Found {
        let target = match place.canonicalize() {
            Ok(real) if real.symlink_metadata().is_ok() && real != *place => self.text(&real),
            _ => None,
        };
        let is_link = target.as_deref().is_some_and(|target| target != path);
        let target = target.filter(|_| is_link).or_else(|| {
            let value: Value = serde_json::from_slice(bytes).ok()?;
            let named = value.get("manifest").or_else(|| value.get("redirect_to"))?;
            let named = named.as_str()?.trim_end_matches('/');
            let named = if named.ends_with(".json") {
                named.to_owned()
            } else {
                format!("{named}/{MANIFEST}")
            };
            Some(named)
        });
        let Some(target) = target.filter(|_| pointers > 0) else {
            return Found::Unparsable {
                reason: "it leads to no manifest".to_owned(),
            };
        };
        match self.look(&target, pointers - 1) {
            Found::Run {
                manifest,
                directory,
                pointed,
            } => Found::Run {
                manifest,
                directory,
                pointed: pointed.or(Some(target)),
            },
            Found::Other => Found::Unparsable {
                reason: format!("it leads to `{target}`, which is no manifest"),
            },
            found @ (Found::NoTask | Found::Missing | Found::Unparsable { .. }) => found,
        }
    }

    /// A path as documents have it.
    fn text(&self, place: &Path) -> Option<String> {
        let real = |directory: &Path| directory.canonicalize().ok();
        let runs = real(&self.places.runs).and_then(|runs| {
            let below = place.strip_prefix(runs).ok()?;
            Some(format!(".runs/{}", below.to_str()?))
        });
        runs.or_else(|| {
            let below = place.strip_prefix(real(self.root)?).ok()?;
            below.to_str().map(str::to_owned)
        })
    }

    /// Where a path leads; nowhere where it leaves the directories that evidence lies in.
    fn place(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !path.components().all(is_plain) {
            return None;
        }
        let below = |top: &str, place: &Path| Some(place.join(path.strip_prefix(top).ok()?));
        below(".runs", &self.places.runs)
            .or_else(|| below("out", &self.places.out))
            .or_else(|| Some(self.root.join(path)))
    }
}

fn read(bytes: &[u8], directory: &str) -> Found {
    match Manifest::parse(bytes) {
        Ok(manifest) => Found::Run {
            manifest: Rc::new(manifest),
            directory: directory.to_owned(),
            pointed: None,
        },
        Err(error) => Found::Unparsable {
            reason: error.to_string(),
        },
    }
}
