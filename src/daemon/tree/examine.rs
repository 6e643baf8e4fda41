//! Examining: settles the doubts that events raised, and no more than these.
//!
//! Each doubt ends in a comparison with the disk at the deepest directory that is known on the way to it, so an event
//! about something that is ignored, gone again, or already seen costs one `lstat` and tells nothing.

use super::around::{Surroundings, is_content};
use super::content::{is_gone, is_shut};
use super::mount;
use super::names;
use super::print::Node;
use super::rules::{GITIGNORE, IGNORE};
use super::settle::{Extent, Found, Look, What};
use super::snapshot::DirId;
use super::survey::{Shown, Sieve};
use super::walk::{Reach, Renew, Step};
use super::{RootState, Tree, TreeError, look_at};
use crate::daemon::watcher::{Dirty, Doubt, Interest, PER_DIRECTORY, backed_up};
use crate::disk::identity::Identity;
use crate::limits::{SURROUND_TRIES_MAX, WRITING_MAX};
use crate::model::time::Tick;
use crate::model::view::Touches;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Names = BTreeMap<Box<[u8]>, Doubt>;

impl Tree {
    /// Settles what came in since the last look.
    ///
    /// Where changes are found by scanning, this is the scan.
    ///
    /// # Errors
    /// As [`Tree::scan`].
    pub fn examine(&mut self) -> Result<Touches, TreeError> {
        self.examine_but(None)
    }

    /// As [`Tree::examine`], but a file that is being written is left alone until it is closed, for `WRITING_MAX` at
    /// most: what it holds in between is nobody's content. [`Tree::is_written`] says whether one was.
    ///
    /// # Errors
    /// As [`Tree::scan`].
    pub fn examine_closed(&mut self, now: Tick) -> Result<Touches, TreeError> {
        self.examine_but(Some(now))
    }

    /// Whether nothing has come in doubt since the last look began, as far as events have told.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.seeing.is_by_events() && self.eye.is_sure()
    }

    /// Whether files have been left alone because they are being written.
    #[must_use]
    pub fn is_written(&self) -> bool {
        !self.writing.is_empty()
    }

    fn examine_but(&mut self, now: Option<Tick>) -> Result<Touches, TreeError> {
        if !self.scanned {
            return self.scan();
        }
        if self.is_worth_asking() {
            return Ok(self.watch_again()?.unwrap_or_default());
        }
        self.choose_again();
        self.find_watcher()?;
        let dirty = self.doubts(now);
        if is_about_root(&dirty) || self.is_above_heeded(&dirty) {
            self.surroundings.watched = false;
        }
        let renew = self.check_root()?;
        let outdated = self.surroundings.is_outdated();
        self.note_nested(&dirty);
        let is_about_git = renew == Renew::Yes || self.is_about_git(&dirty);
        if outdated || !self.seeing.is_by_events() || is_about_git || self.doubted {
            self.find_repositories()?;
            self.surround_anew()?;
        }
        self.signs_before = self.signs_now();
        let differs = outdated && self.read_surroundings()?;
        let mut paths = match dirty {
            Dirty::Paths(paths) if self.seeing.is_by_events() && !differs && !self.doubted => paths,
            Dirty::Paths(_) | Dirty::Everything => return self.full_scan(renew),
        };
        if renew == Renew::Yes || paths.get(&b""[..]) == Some(&Doubt::Hook) {
            return self.full_scan(Renew::Yes);
        }
        self.doubt_polled(&mut paths);
        let mut look = self.look();
        let mut files = self.scopes.configuration.iter().map(names::of);
        let configuration =
            files.any(|file| paths.keys().any(|path| names::is_within(&file, path)));
        let mut start = Vec::new();
        for (directory, names) in self.sort_doubts(paths) {
            if self.snapshot.is_alive(directory) {
                start.extend(self.settle_names(directory, &names, &mut look));
            }
        }
        self.walk(start, &mut look)?;
        self.settle_tracked(&mut look)?;
        self.snapshot.reclaim();
        let configuration = configuration && self.check_configuration();
        let touches = self.tell(look.changes, configuration);
        if now.is_some() {
            self.read_ahead(&touches);
        }
        Ok(touches)
    }

    /// What is in doubt; where it is said what time it is, but for files that have not been written for long.
    fn doubts(&mut self, now: Option<Tick>) -> Dirty {
        let mut written = std::mem::take(&mut self.writing);
        let Dirty::Paths(mut paths) = self.eye.drain() else {
            return Dirty::Everything;
        };
        let Some(now) = now else {
            for path in written.into_keys() {
                paths.entry(path).or_insert(Doubt::Content);
            }
            return Dirty::Paths(paths);
        };
        for path in written.keys() {
            paths.entry(path.clone()).or_insert(Doubt::Writing);
        }
        paths.retain(|path, doubt| {
            let since = written.remove(path).unwrap_or(now);
            let leave = *doubt == Doubt::Writing && now.since(since) < WRITING_MAX;
            if leave {
                self.writing.insert(path.clone(), since);
            }
            !leave
        });
        Dirty::Paths(paths)
    }

    /// Groups doubts by the directory in which they are settled.
    fn sort_doubts(&self, paths: BTreeMap<Box<[u8]>, Doubt>) -> BTreeMap<DirId, Names> {
        let mut sorted: BTreeMap<DirId, Names> = BTreeMap::new();
        for (path, doubt) in paths {
            let (directory, name, doubt) = match self.snapshot.reach(&path) {
                (DirId::ROOT, None) => {
                    // The root itself: whether it can still be read shows when it is listed.
                    sorted.entry(DirId::ROOT).or_default();
                    continue;
                }
                (id, None) => {
                    let dir = self.snapshot.dir(id);
                    (dir.parent, dir.name(), doubt)
                }
                (id, Some(name)) => {
                    let whole = path.len() == self.snapshot.path_of(id, name).len();
                    (id, name, if whole { doubt } else { Doubt::Content })
                }
            };
            let held = sorted.entry(directory).or_default();
            let held = held.entry(name.into()).or_insert(doubt);
            *held = doubt.max(*held);
        }
        sorted
    }

    /// Looks at some names of a directory; at all of it when there are none.
    pub(super) fn settle_names(&mut self, id: DirId, names: &Names, look: &mut Look) -> Vec<Step> {
        if names.is_empty() {
            return vec![Step::new(id, Reach::Only, Renew::No)];
        }
        let path = self.snapshot.path(id);
        let directory = names::below(self.root.as_path(), &path);
        let about_rules = names.contains_key(GITIGNORE) || names.contains_key(IGNORE);
        // What cannot be found out now makes the whole look fail, as it does where a directory is listed.
        let fail = || vec![Step::new(id, Reach::Only, Renew::No)];
        let changed = if about_rules {
            self.load_rules(id, &directory)
        } else {
            Ok(false)
        };
        let Ok(changed) = changed else {
            return fail();
        };
        if changed {
            return vec![Step::new(id, Reach::Below, Renew::No)];
        }
        let sieve = self.sieve(id);
        let Ok(found) = self.find_all(id, (&directory, &sieve), names) else {
            return fail();
        };
        self.settle(id, found, Extent::Names, look)
    }

    /// What is at these names of a directory, and at those of backups beside them.
    fn find_all(
        &self,
        id: DirId,
        (directory, sieve): (&Path, &Sieve),
        names: &Names,
    ) -> io::Result<Vec<Found>> {
        let mut found = Vec::with_capacity(names.len());
        for (name, doubt) in names {
            let named = find(directory, sieve, name, *doubt)?;
            let backup = [name, &b"~"[..]].concat();
            // Whether a backup is one depends on the file beside it: of one that is there, what is known is hidden; of one
            // that is not, what was hidden is shown.
            let is_known = self.snapshot.dir(id).position(&backup).is_some();
            let matters = is_known || matches!(named.what, What::Nothing);
            if matters && !names.contains_key(&*backup) {
                found.push(find(directory, sieve, &backup, Doubt::Content)?);
            }
            found.push(named);
        }
        found.sort_unstable_by(|one: &Found, other| one.name.cmp(&other.name));
        Ok(found)
    }

    /// Whether the root is there, and whether its watches have to be set anew because it is another directory by now.
    pub(super) fn check_root(&mut self) -> Result<Renew, TreeError> {
        let is_told = self.state == RootState::Missing || !self.scanned;
        self.meet_root(is_told)
    }

    /// That the root was gone is told before another one in its place is looked at.
    fn meet_root(&mut self, is_told: bool) -> Result<Renew, TreeError> {
        if self.state == RootState::Missing {
            self.surroundings.watched = false;
        }
        self.surround_anew()?;
        match self.find_root() {
            Ok((node, identity)) => {
                let known = std::mem::replace(&mut self.identity, identity);
                let is_other = known != identity || self.snapshot.dir(DirId::ROOT).node != node;
                if is_other && !is_told {
                    return Err(self.replaced_root());
                }
                if is_other {
                    self.unwatch(DirId::ROOT);
                    self.snapshot.dir_mut(DirId::ROOT).node = node;
                }
                let other = is_other || self.state == RootState::Missing;
                self.state = RootState::Present;
                Ok(if other { Renew::Yes } else { Renew::No })
            }
            Err(error) => {
                let was = std::mem::replace(&mut self.state, RootState::Missing);
                // What it held is elsewhere, and may be another workspace's by now.
                self.unwatch_below(DirId::ROOT);
                if was == RootState::Present {
                    // It may be back before what is above it is watched: so look once more.
                    return self.meet_root(is_told);
                }
                Err(error)
            }
        }
    }

    /// Which directory is at the root now. The one below a file system that was unmounted is none: it is empty, but for
    /// evidence that was written there before anybody knew.
    fn find_root(&mut self) -> Result<(Node, Identity), TreeError> {
        let found = look_at(&self.root)?;
        let path = self.root.as_path();
        let mounted = mount::is_at(path);
        if self.mounted && !mounted && mount::is_bare(path, &self.scopes.excluded) {
            let root = self.root.clone();
            return Err(TreeError::Unmounted { root });
        }
        self.mounted = mounted;
        Ok(found)
    }

    /// The root vanished while it was looked at.
    pub(super) fn lost_root(&mut self) -> TreeError {
        self.state = RootState::Missing;
        self.unwatch_below(DirId::ROOT);
        // That it is missing is the reason for the next look, whatever is watched.
        drop(self.surround());
        TreeError::Missing {
            root: self.root.clone(),
        }
    }

    /// What was at the root is not there any more, and something else is.
    pub(super) fn replaced_root(&mut self) -> TreeError {
        drop(self.lost_root());
        let root = self.root.clone();
        TreeError::Replaced { root }
    }

    /// Watches what lies around the root, unless it is watched.
    ///
    /// # Errors
    /// As [`Tree::refuse`].
    pub(super) fn surround_anew(&mut self) -> Result<(), TreeError> {
        if self.surroundings.watched {
            return Ok(());
        }
        self.surround()
    }

    /// Watches the directories above the root, which tell when it comes or goes, those that hold rules for it, and those
    /// in which git keeps what it tracks.
    ///
    /// # Errors
    /// As [`Tree::refuse`].
    fn surround(&mut self) -> Result<(), TreeError> {
        self.surroundings.watched = true;
        if !self.seeing.is_by_events() {
            self.leave_surroundings();
            return Ok(());
        }
        // What comes or goes meanwhile may be told by none of those that were there: so look once more.
        for _ in 0..SURROUND_TRIES_MAX {
            let directories = self.around_root();
            let mut files = self.surroundings.files(self.root.as_path());
            files.extend(self.repositories.indexes());
            let all = match self.eye.surround(&directories, files) {
                Ok(all) => all,
                Err(refused) => return self.refuse(refused),
            };
            if all && self.around_root() == directories {
                break;
            }
        }
        Ok(())
    }

    /// Watches nothing around the root any more.
    pub(super) fn leave_surroundings(&self) {
        // To watch nothing is refused by nobody.
        drop(self.eye.surround(&BTreeMap::new(), BTreeSet::new()));
    }

    /// The directories to be watched around the root, as they stand.
    fn around_root(&self) -> BTreeMap<PathBuf, Interest> {
        let above = self.root.as_path().ancestors().skip(1);
        let above = above.filter(|directory| directory.is_dir());
        // The nearest tells of the root's name. One further up cannot be removed before it, only renamed.
        let interests = std::iter::once(Interest::Names).chain(std::iter::repeat(Interest::Itself));
        let above = above.map(Path::to_path_buf).zip(interests);
        // Where all share a stream it would tell of everything below each.
        let enough = if PER_DIRECTORY { usize::MAX } else { 1 };
        let mut directories: BTreeMap<_, _> = above.take(enough).collect();
        let rules = self.surroundings.directories(self.root.as_path());
        let gits = self.repositories.directories(self.root.as_path());
        for (directory, interest) in rules.chain(gits) {
            let held = directories.entry(directory).or_insert(interest);
            *held = interest.max(*held);
        }
        directories
    }

    /// Reads the rules around the root as they stand while they are watched; true if they are others than before.
    ///
    /// # Errors
    /// When one cannot be read for the moment: then those from before stand, and the next look is at everything. And as
    /// [`Tree::refuse`].
    pub(super) fn read_surroundings(&mut self) -> Result<bool, TreeError> {
        let mut differs = false;
        for _ in 0..SURROUND_TRIES_MAX {
            let setting = Arc::clone(&self.scopes.setting);
            let mut found = Surroundings::read(self.root.as_path(), &self.home, setting);
            if let Some((path, source)) = found.failed.take() {
                self.doubted = true;
                self.surroundings.failed = Some((path.clone(), source.kind().into()));
                return Err(TreeError::File { path, source });
            }
            differs |= !found.around.same(&self.surroundings.around);
            self.tracked.outdated |= differs;
            self.surroundings = found;
            self.surround()?;
            if !self.surroundings.is_outdated() {
                break;
            }
        }
        Ok(differs)
    }

    /// Whether a repository may have come or gone, also with a directory that holds it and a project.
    fn is_about_git(&self, dirty: &Dirty) -> bool {
        let Dirty::Paths(paths) = dirty else {
            return true;
        };
        let git = |path: &[u8]| names::split(path).map_or(path, |(_, name)| name) == b".git";
        let is_moved = |place: &[u8]| {
            let above = |path| names::split(path).map(|(above, _)| above);
            std::iter::successors(Some(place), |path| above(*path))
                .any(|path| paths.contains_key(path))
        };
        let mut places = self.scopes.places();
        paths.keys().any(|path| git(path)) || places.any(|(_, place)| is_moved(place))
    }

    /// Whether something has happened to a directory in a git directory that holds what decides: its watch may be gone,
    /// or there was none.
    fn is_above_heeded(&self, dirty: &Dirty) -> bool {
        let Dirty::Paths(paths) = dirty else {
            return true;
        };
        let gits = paths
            .keys()
            .map(|path| names::below(self.root.as_path(), path));
        let gits: Vec<_> = gits
            .filter(|path| !is_content(path, self.root.as_path()))
            .collect();
        if gits.is_empty() {
            return false;
        }
        let files = self.surroundings.files(self.root.as_path()).into_iter();
        let mut files = files.chain(self.repositories.indexes());
        files.any(|file| {
            let mut above = gits.iter().filter(|path| **path != file);
            above.any(|path| file.starts_with(path))
        })
    }
}

/// Whether something has happened to the root itself or to what lies around it.
fn is_about_root(dirty: &Dirty) -> bool {
    match dirty {
        Dirty::Everything => true,
        Dirty::Paths(paths) => paths.contains_key(&b""[..]),
    }
}

/// Whether this is an editor's backup: the file that it is of stands beside it.
pub(super) fn is_backup(directory: &Path, name: &[u8]) -> bool {
    backed_up(name).is_some_and(|of| fs::symlink_metadata(names::below(directory, of)).is_ok())
}

fn find(directory: &Path, sieve: &Sieve, name: &[u8], doubt: Doubt) -> io::Result<Found> {
    let path = names::below(directory, name);
    let mut aside = false;
    let what = match fs::symlink_metadata(&path) {
        _ if sieve.is_excluded(name) => What::Nothing,
        Ok(meta) if !meta.is_dir() && is_backup(directory, name) => What::Nothing,
        Ok(meta) => match sieve.shows(name, meta.is_dir()) {
            Shown::No => What::Nothing,
            shown @ (Shown::Aside | Shown::Yes) => {
                aside = shown == Shown::Aside;
                What::of(&meta, || path.clone())
            }
        },
        // What may not even be looked at is nothing that a stage could read.
        Err(error) if is_gone(&error) || is_shut(&error) => What::Nothing,
        Err(error) => return Err(error),
    };
    Ok(Found {
        name: name.into(),
        what,
        read: None,
        doubt: Some(doubt),
        aside,
    })
}
