//! Surveying: what a directory holds, its own rules read and what they ignore left out.
//!
//! The part of a walk that waits for the disk and needs nothing of the tree but what its directory is matched against.
//! So many directories are surveyed at once, on as many threads as there are cores, while the tree watches the next
//! ones. Nothing is decided here, and nothing is kept.

use super::content::{Folder, Reading, is_gone};
use super::crew::{helpers, spread};
use super::declared::Declared;
use super::keep::cost;
use super::names;
use super::print::{Moment, Print};
use super::rules::{Chain, GITIGNORE, IGNORE, Present, Rules};
use super::settle::{Found, What};
use super::snapshot::Known;
use super::stat_cache::{Remembered, StatCache};
use super::tracked::Held;
use super::walk::Step;
use crate::daemon::watcher::{backed_up, is_noise};
use crate::limits::{SURVEY_ALONE_MAX, SURVEY_HASH_BYTES_MAX, SURVEY_THREADS_MAX};
use std::collections::BTreeSet;
use std::fs::{self, DirEntry, FileType};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is shown of a directory's entries, and what is hidden.
#[derive(Debug)]
pub(super) struct Sieve {
    pub(super) chain: Chain,
    pub(super) excluded: Vec<Box<[u8]>>,
    /// What git tracks though its rules hide it.
    pub(super) held: Option<Arc<Held>>,
    /// What stages declare though a rule hides it, where they declare anything.
    pub(super) wanted: Option<Wanted>,
}

/// What of a directory stages declare.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) declared: Arc<Declared>,
    /// The directory's path below the root.
    pub(super) path: Vec<u8>,
    /// Bytes of it that name the topmost hidden directory, where it is or lies in one.
    pub(super) top: Option<usize>,
}

impl Wanted {
    fn holds(&self, name: &[u8], is_directory: bool) -> bool {
        let mut path = self.path.clone();
        names::push(&mut path, name);
        self.declared.shows(&path, is_directory, self.top)
    }
}

/// To whom an entry is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// To nobody.
    No,
    /// To stages that declare it, because a rule hides it.
    Aside,
    /// To all.
    Yes,
}

impl Sieve {
    /// Whether an entry is content, or leads to some, and whose.
    pub(super) fn shows(&self, name: &[u8], is_directory: bool) -> Shown {
        self.shows_by(&self.chain, name, is_directory)
    }

    /// The same by other rules.
    fn shows_by(&self, chain: &Chain, name: &[u8], is_directory: bool) -> Shown {
        if self.is_excluded(name) {
            return Shown::No;
        }
        let held = self.held.as_deref();
        let is_held = || held.is_some_and(|held| held.holds(name, is_directory));
        let is_shown = match chain.ignores(name, is_directory) {
            Some(rule) => rule.is_gits && is_held(),
            None => !self.is_buried() || is_held(),
        };
        let wanted = self.wanted.as_ref();
        if is_shown {
            Shown::Yes
        } else if wanted.is_some_and(|wanted| wanted.holds(name, is_directory)) {
            Shown::Aside
        } else {
            Shown::No
        }
    }

    /// Whether the directory is hidden itself, so that nothing is shown but what is tracked or declared.
    fn is_buried(&self) -> bool {
        let wanted = self.wanted.as_ref();
        self.held.as_ref().is_some_and(|held| held.buried)
            || wanted.is_some_and(|wanted| wanted.top.is_some())
    }

    /// Whether an entry is nobody's content whatever the rules say.
    pub(super) fn is_excluded(&self, name: &[u8]) -> bool {
        name == b".git" || is_noise(name) || self.excluded.iter().any(|held| **held == *name)
    }
}

/// A directory that is watched, and yet to be listed.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) step: Step,
    /// Below the root.
    pub(super) path: Vec<u8>,
    pub(super) directory: PathBuf,
    /// Without the rules that it holds itself.
    pub(super) above: Sieve,
    /// Whether its small files are read, too.
    pub(super) read: bool,
    /// What is known of files from an earlier life.
    pub(super) recalled: Option<Arc<StatCache>>,
    /// Since when nothing here may have changed, if anybody has to know.
    pub(super) since: Option<Moment>,
}

/// What a directory holds.
#[derive(Debug)]
pub(super) struct Survey {
    /// The rules in it.
    pub(super) rules: Option<Arc<Rules>>,
    /// Whether a repository begins here.
    pub(super) has_git: bool,
    /// Its entries that are shown, by name.
    pub(super) found: Vec<Found>,
    /// What was read that was not known, as [`cost`] counts it.
    pub(super) fresh: u64,
    /// Something here may have changed since the moment that was named.
    pub(super) restless: bool,
}

/// A site, and what it holds.
pub(super) type Surveyed = (Site, io::Result<Survey>);

/// Surveys sites, in their order, and does something else meanwhile.
pub(super) fn survey_all<T>(sites: Vec<Site>, meanwhile: impl FnOnce() -> T) -> (Vec<Surveyed>, T) {
    let helpers = helpers(sites.len(), SURVEY_ALONE_MAX, SURVEY_THREADS_MAX);
    let (surveys, other) = spread(&sites, helpers, look_into, meanwhile);
    (sites.into_iter().zip(surveys).collect(), other)
}

fn look_into(site: &Site) -> io::Result<Survey> {
    let raw = list(&site.directory)?;
    let mut present = Present::default();
    raw.iter().for_each(|raw| present.note(&raw.name));
    let rules = Rules::read(&site.directory, present)?;
    let own = rules
        .as_ref()
        .map(|rules| site.above.chain.and(Arc::clone(rules)));
    let chain = own.as_ref().unwrap_or(&site.above.chain);
    let backups = backups(&raw);
    let mut found = Vec::with_capacity(raw.len());
    let mut reader = Reader::of(site);
    for raw in raw {
        let shown = site.above.shows_by(chain, &raw.name, raw.kind.is_dir());
        if shown == Shown::No || backups.contains(&raw.name) {
            continue;
        }
        let (what, read) = match reader.read(&raw)? {
            Some((print, hash, known)) => (What::File(print), Some((hash, known))),
            None => match raw.entry.metadata() {
                Ok(meta) => (What::of(&meta, || raw.entry.path()), None),
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            },
        };
        found.push(Found {
            name: raw.name,
            what,
            read,
            doubt: None,
            aside: shown == Shown::Aside,
        });
    }
    let restless = site
        .since
        .is_some_and(|since| is_restless(site, &found, present, since));
    Ok(Survey {
        rules,
        has_git: present.git,
        found,
        fresh: reader.fresh,
        restless,
    })
}

/// Whether anything of a directory may have changed since a moment: what was found in it, its own list of names, or what
/// it says of what is ignored. Directories in it tell for themselves.
fn is_restless(site: &Site, found: &[Found], present: Present, since: Moment) -> bool {
    // What is gone was there a moment ago.
    let is_young = |path: &Path| {
        let meta = fs::symlink_metadata(path);
        meta.map_or(true, |meta| Print::of(&meta).may_have_changed_since(since))
    };
    let entries = found.iter().any(|found| match &found.what {
        What::File(print) | What::Symlink(print, _) => print.may_have_changed_since(since),
        What::Nothing | What::Directory(..) => false,
    });
    // One that was not there yet makes the directory young.
    let rules = [(GITIGNORE, present.gitignore), (IGNORE, present.ignore)];
    let mut rules = rules.into_iter().filter(|(_, is_there)| *is_there);
    entries
        || is_young(&site.directory)
        || rules.any(|(name, _)| is_young(&names::below(&site.directory, name)))
}

/// What the files of a directory hold, as far as that is known or soon found out.
struct Reader<'a> {
    site: &'a Site,
    remembered: Option<Remembered>,
    /// Opened when the first file is to be read.
    folder: Option<Option<Folder>>,
    now: Moment,
    fresh: u64,
}

impl<'a> Reader<'a> {
    fn of(site: &'a Site) -> Self {
        let recalled = site.recalled.as_deref();
        Self {
            site,
            remembered: recalled.and_then(|cache| cache.directory(&site.path)),
            folder: None,
            now: Moment::now(),
            fresh: 0,
        }
    }

    /// What an entry holds, if it is a file; to be asked by ascending names.
    fn read(&mut self, raw: &Raw) -> io::Result<Option<(Print, [u8; 32], Known)>> {
        if !raw.kind.is_file() {
            return Ok(None);
        }
        let known = self.remembered.as_mut();
        if let Some((known, hash)) = known.and_then(|known| known.find(&raw.name)) {
            match raw.entry.metadata() {
                Ok(meta) if known.proves(&Print::of(&meta), self.now) => {
                    return Ok(Some((known, hash, Known::Yes)));
                }
                Ok(_) => {}
                Err(error) if is_gone(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        if !self.site.read {
            return Ok(None);
        }
        let open = || Folder::open(&self.site.directory, SURVEY_HASH_BYTES_MAX);
        let folder = self.folder.get_or_insert_with(open);
        let reading = folder
            .as_mut()
            .and_then(|folder| folder.read_new(&raw.name));
        let Some(Reading::Hashed { print, hash, racy }) = reading else {
            return Ok(None);
        };
        let known = if racy { Known::Racy } else { Known::Yes };
        self.fresh = self.fresh.saturating_add(cost(&print, known));
        Ok(Some((print, hash, known)))
    }
}

/// An entry of a directory.
#[derive(Debug)]
pub(super) struct Raw {
    pub(super) name: Box<[u8]>,
    kind: FileType,
    pub(super) entry: DirEntry,
}

/// The entries of a directory that a sieve shows, by name.
pub(super) fn shown(directory: &Path, sieve: &Sieve) -> io::Result<Vec<Raw>> {
    let mut raw = list(directory)?;
    let backups = backups(&raw);
    let is_shown = |raw: &Raw| sieve.shows(&raw.name, raw.kind.is_dir()) != Shown::No;
    raw.retain(|raw| is_shown(raw) && !backups.contains(&raw.name));
    Ok(raw)
}

/// The names of editors' backups, each beside its file.
fn backups(raw: &[Raw]) -> BTreeSet<Box<[u8]>> {
    let is_there = |name: &[u8]| raw.binary_search_by(|raw| (*raw.name).cmp(name)).is_ok();
    let files = raw.iter().filter(|raw| !raw.kind.is_dir());
    let backups = files.filter(|raw| backed_up(&raw.name).is_some_and(is_there));
    backups.map(|raw| raw.name.clone()).collect()
}

fn list(directory: &Path) -> io::Result<Vec<Raw>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Mostly from the listing itself, without a call.
        match entry.file_type() {
            Ok(kind) => all.push(Raw {
                name: names::bytes(&entry.file_name()).into(),
                kind,
                entry,
            }),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::tree::rules::Around;
    use crate::daemon::tree::snapshot::DirId;
    use crate::daemon::tree::walk::{Reach, Renew};
    use crate::model::pattern::Patterns;
    use tempfile::TempDir;

    fn site(root: &Path, name: &str) -> Site {
        let around = Around {
            prefix: Vec::new(),
            rules: Vec::new(),
            exclude: None,
            global: None,
            setting: Arc::new(Patterns::default()),
        };
        Site {
            step: Step::new(DirId::ROOT, Reach::Only, Renew::No),
            path: name.into(),
            directory: root.join(name),
            above: Sieve {
                chain: around.chain(name.as_bytes(), Vec::new()),
                excluded: vec![(*b"out").into()],
                held: None,
                wanted: None,
            },
            read: false,
            recalled: None,
            since: None,
        }
    }

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test writes files as a user would"
    )]
    fn however_many_are_surveyed_each_answer_stands_at_its_site() {
        let root = TempDir::new().unwrap();
        let names: Vec<String> = (0..SURVEY_ALONE_MAX * 5)
            .map(|at| format!("d{at}"))
            .collect();
        for (at, name) in names.iter().enumerate().filter(|(at, _)| at % 7 != 3) {
            fs::create_dir(root.path().join(name)).unwrap();
            for file in ["a", "ignored", "out", &format!("f{at}")] {
                fs::write(root.path().join(name).join(file), name).unwrap();
            }
            if at % 2 == 0 {
                fs::write(root.path().join(name).join(".gitignore"), "ignored").unwrap();
            }
        }
        let sites = names.iter().map(|name| site(root.path(), name)).collect();
        let (surveyed, meanwhile) = survey_all(sites, || 5);
        assert_eq!((surveyed.len(), meanwhile), (names.len(), 5));
        for (at, (site, survey)) in surveyed.iter().enumerate() {
            assert_eq!(site.path, names[at].as_bytes());
            let found = survey.as_ref().map(|survey| {
                let names = survey.found.iter().map(|found| &*found.name);
                names
                    .map(|name| String::from_utf8_lossy(name).into_owned())
                    .collect::<Vec<_>>()
            });
            let own = format!("f{at}");
            match found {
                Err(error) => assert_eq!((at % 7, is_gone(error)), (3, true)),
                Ok(found) if at % 2 == 0 => assert_eq!(found, [".gitignore", "a", &own]),
                Ok(found) => assert_eq!(found, ["a", &own, "ignored"]),
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "the test writes files as a user would"
    )]
    fn small_files_are_read_where_that_is_wanted() {
        let root = TempDir::new().unwrap();
        fs::create_dir_all(root.path().join("d/sub")).unwrap();
        fs::write(root.path().join("d/small"), "1").unwrap();
        let much = vec![b'x'; usize::try_from(SURVEY_HASH_BYTES_MAX).unwrap() + 1];
        fs::write(root.path().join("d/large"), &much).unwrap();
        for read in [false, true] {
            let site = Site {
                read,
                ..site(root.path(), "d")
            };
            let found = look_into(&site).unwrap().found;
            let hashes = found.iter().map(|found| found.read.map(|(hash, _)| hash));
            let small = crate::model::digest::Digest::of(b"1");
            let small = read.then(|| *small.bytes());
            assert_eq!(hashes.collect::<Vec<_>>(), [None, small, None], "{read}");
        }
    }
}
