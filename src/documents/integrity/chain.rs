//! A task's chain as its lines say it: whether each follows the one before, and what is told last of each run.
//!
//! Of a chain that is broken the lines behind the first break are read too, so that one damaged line hides nothing of the
//! others; but no line that is damaged itself is believed.

use super::finding::Head;
use crate::model::digest::Digest;
use crate::model::evidence::{Beginning, Link, LinkFault, Place, Why};
use crate::model::id::{RunId, TaskId};
use std::collections::BTreeMap;

/// What the lines of a chain say.
#[derive(Clone, Debug)]
pub struct Chain {
    task: TaskId,
    /// The newest link of each run that is told of and not removed, and the last before it that an approval was put
    /// behind.
    pub newest: BTreeMap<RunId, (Link, Option<Link>)>,
    /// Runs that it tells to be removed.
    pub removed: BTreeMap<RunId, u64>,
    /// The first line that does not follow the one before it.
    pub broken: Option<Break>,
    /// Whether the last line was cut off.
    pub ends_torn: bool,
    /// Why it cannot be read, or not on.
    pub unreadable: Option<String>,
    /// Its newest line.
    pub head: Option<Head>,
    /// Where its first line stands, if that is not the beginning.
    first: Option<Place>,
    begins: Vec<Beginning>,
    place: Option<Place>,
    line: u64,
}

/// Where a chain is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Break {
    /// The line, from 1.
    pub line: u64,
    /// How.
    pub why: String,
}

impl Chain {
    /// A chain without lines.
    #[must_use]
    pub fn new(task: &TaskId) -> Self {
        Self {
            task: task.clone(),
            newest: BTreeMap::new(),
            removed: BTreeMap::new(),
            broken: None,
            ends_torn: false,
            unreadable: None,
            head: None,
            first: None,
            begins: Vec::new(),
            place: None,
            line: 0,
        }
    }

    /// Whether it has no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.line == 0
    }

    /// Takes the next line, with its newline if it has one.
    pub fn add(&mut self, line: &[u8]) {
        self.line += 1;
        if self.ends_torn {
            self.break_here("a line without an end stands before it");
        }
        if line.last() != Some(&b'\n') {
            self.ends_torn = true;
            return;
        }
        let link = match Link::parse(line) {
            Ok(link) => Some(link),
            Err(LinkFault::Newer { found }) => {
                let text = format!("line {} is of a newer version (schema {found})", self.line);
                self.unreadable.get_or_insert(text);
                None
            }
            Err(fault @ (LinkFault::Altered | LinkFault::Foreign)) => {
                self.break_here(&fault.to_string());
                None
            }
        };
        if let Some(link) = &link {
            self.follow(link);
        }
        self.place = Place::behind(line);
        let number = self.place.map_or(0, |place| place.number - 1);
        self.head = Some(Head {
            task_id: self.task.clone(),
            number,
            sha256: Digest::of(line),
        });
        if let Some(link) = link.filter(|link| link.task == self.task) {
            self.note(link);
        }
    }

    /// Looks whether it begins where it may, once all lines are there.
    pub fn finish(&mut self) {
        let Some(first) = self.first else {
            return;
        };
        let told = self
            .begins
            .iter()
            .any(|it| (it.number, Some(it.previous)) == (first.number, first.previous));
        if !told {
            let gone = first.number.saturating_sub(1);
            let why = format!(
                "it begins with link {}: {gone} before it are gone",
                first.number
            );
            self.broken = Some(Break { line: 1, why });
        }
    }

    fn follow(&mut self, link: &Link) {
        if link.task != self.task {
            self.break_here(&format!("it is of task `{}`", link.task));
        }
        let here = Place {
            number: link.number,
            previous: link.previous,
        };
        match self.place {
            None if self.line == 1 && here != Place::FIRST => self.first = Some(here),
            Some(place) if place.number != here.number => {
                let why = format!(
                    "it is link {}, behind link {}",
                    here.number,
                    place.number - 1
                );
                self.break_here(&why);
            }
            Some(place) if place != here => {
                let why = format!("it was made behind another link {}", place.number - 1);
                self.break_here(&why);
            }
            None | Some(_) => {}
        }
    }

    fn note(&mut self, link: Link) {
        self.begins.extend(link.begins);
        let Some(run) = link.run.clone() else {
            return;
        };
        if link.why.tells_files() {
            self.removed.remove(&run);
            let before = self.newest.remove(&run).map(|(newest, before)| {
                // What several approvals in a row were put behind.
                let before = before.filter(|_| newest.why == Why::Approved);
                before.unwrap_or(newest)
            });
            let before = before.filter(|_| link.why == Why::Approved);
            drop(self.newest.insert(run, (link, before)));
        } else if link.why == Why::Removed {
            drop(self.newest.remove(&run));
            let _: Option<u64> = self.removed.insert(run, link.number);
        }
    }

    fn break_here(&mut self, why: &str) {
        let line = self.line;
        self.broken.get_or_insert_with(|| Break {
            line,
            why: why.to_owned(),
        });
    }
}
