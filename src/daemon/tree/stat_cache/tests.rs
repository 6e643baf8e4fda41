//! What is written is read back, and what is not as it was written is not believed, byte for byte.
//!
//! The fingerprints are made up: whether a file still has one is not asked here.

use super::*;
use crate::daemon::tree::print::Print;
use crate::disk::durable::crash_after;
use crate::limits::STAT_CACHES_MAX;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tempfile::TempDir;

type Facts = BTreeMap<&'static str, (Print, [u8; 32])>;
type Known = BTreeMap<&'static str, Facts>;

struct Place {
    dir: TempDir,
    root: RootPath,
}

/// A fingerprint like no other.
fn print(seed: u8) -> Print {
    let bytes = [seed; 40];
    Print::decode(&mut &bytes[..]).unwrap()
}

fn known() -> Known {
    let facts = |names: &[&'static str], seed: u8| {
        let facts = (seed..).zip(names);
        facts
            .map(|(seed, name)| (*name, (print(seed), [seed; 32])))
            .collect()
    };
    Known::from([
        ("", facts(&["Cargo.toml", "a"], 1)),
        ("src", facts(&["b", "lib.rs", "main.rs"], 10)),
        ("src/deep", facts(&["x"], 20)),
    ])
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let root = dir.path().canonicalize().unwrap().join("root");
        fs::create_dir(&root).unwrap();
        let root = RootPath::new(&root).unwrap();
        Self { dir, root }
    }

    fn caches(&self) -> PathBuf {
        self.dir.path().join("caches")
    }

    fn file(&self) -> PathBuf {
        self.caches().join(name_of(&self.root))
    }

    fn identity(&self) -> Identity {
        Identity::of(&fs::metadata(self.root.as_path()).unwrap())
    }

    fn write(&self, known: &Known) -> Result<(), crate::disk::durable::DurableError> {
        let mut writer = Writer::begin(&self.caches(), &self.root, self.identity())?;
        for (path, facts) in known {
            let facts = facts.iter();
            let facts = facts.map(|(name, (print, hash))| (name.as_bytes(), *print, *hash));
            writer.add(path.as_bytes(), facts)?;
        }
        writer.end()
    }

    fn open(&self) -> Result<Option<StatCache>, String> {
        let opened = StatCache::open(&self.caches(), &self.root, self.identity());
        opened.map_err(|error| error.to_string())
    }

    /// Replaces the file's bytes.
    #[expect(
        clippy::disallowed_methods,
        reason = "the test damages files as a bad disk would"
    )]
    fn put(&self, bytes: &[u8]) {
        fs::write(self.file(), bytes).unwrap();
    }
}

/// What is found of `known`, which has to be true.
fn found(cache: &StatCache, known: &Known) -> usize {
    let mut count = 0;
    for (path, facts) in known {
        let Some(mut remembered) = cache.directory(path.as_bytes()) else {
            continue;
        };
        for (name, fact) in facts {
            if let Some(found) = remembered.find(name.as_bytes()) {
                assert_eq!(found, *fact, "{path}/{name}");
                count += 1;
            }
        }
    }
    count
}

#[test]
fn what_is_written_is_found_by_directory_and_name() {
    let place = Place::new();
    assert_eq!(place.open().map(|cache| cache.is_none()), Ok(true));
    let known = known();
    place.write(&known).unwrap();
    let mode = fs::metadata(place.file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let cache = place.open().unwrap().unwrap();
    assert_eq!(found(&cache, &known), 6);
    assert!(cache.directory(b"sr").is_none());
    let mut src = cache.directory(b"src").unwrap();
    let find = |src: &mut Remembered, name: &str| src.find(name.as_bytes()).map(|fact| fact.1[0]);
    for (name, hash) in [
        ("a", None),
        ("b", Some(10)),
        ("c", None),
        ("main.rs", Some(12)),
    ] {
        assert_eq!(find(&mut src, name), hash, "{name}");
    }
    assert_eq!(find(&mut src, "z"), None);
    // One that is open is read on as it was when another takes its place.
    place.write(&Known::new()).unwrap();
    assert_eq!(found(&cache, &known), 6);
    assert_eq!(found(&place.open().unwrap().unwrap(), &known), 0);
}

#[test]
fn whatever_is_damaged_nothing_untrue_is_found() {
    let place = Place::new();
    let known = known();
    place.write(&known).unwrap();
    let whole = fs::read(place.file()).unwrap();
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        place.put(&damaged);
        match place.open() {
            Ok(cache) => assert!(found(&cache.unwrap(), &known) < 6, "byte {at}"),
            Err(_) => refused += 1,
        }
        place.put(&whole[..at]);
        assert!(place.open().is_err(), "cut at {at}");
    }
    assert!(refused > 0);
    place.put(&[&whole[..], b"x"].concat());
    assert_eq!(place.open().unwrap_err(), "it is damaged");
    place.put(&vec![b'x'; 10_000]);
    assert_eq!(place.open().unwrap_err(), "it is damaged");
    place.put(&whole);
    assert_eq!(found(&place.open().unwrap().unwrap(), &known), 6);
}

#[test]
fn that_of_another_version_root_or_user_is_not_used() {
    let mut place = Place::new();
    place.write(&known()).unwrap();
    let whole = fs::read(place.file()).unwrap();
    let mut newer = whole.clone();
    newer[MAGIC.len()] += 1;
    place.put(&newer);
    assert_eq!(place.open().unwrap_err(), "it is of version 2");
    place.put(&whole);
    let open_to_others = fs::Permissions::from_mode(0o620);
    fs::set_permissions(place.file(), open_to_others).unwrap();
    assert_eq!(place.open().unwrap_err(), "it may be written by others");
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).unwrap();
    // The directory that is made again at its path is another.
    let aside = place.dir.path().join("aside");
    fs::rename(place.root.as_path(), &aside).unwrap();
    fs::create_dir(place.root.as_path()).unwrap();
    assert_eq!(place.open().unwrap_err(), "it is of another root");
    let old = place.file();
    place.root = RootPath::new(&aside).unwrap();
    assert_eq!(place.open().map(|cache| cache.is_none()), Ok(true));
    fs::copy(old, place.file()).unwrap();
    assert_ne!(place.open().unwrap_err(), "");
    fs::remove_file(place.file()).unwrap();
    fs::create_dir(place.file()).unwrap();
    let directory = place.open().unwrap_err();
    assert!(directory.contains("failed to open"), "{directory}");
    fs::remove_dir(place.file()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", place.file()).unwrap();
    let link = place.open().unwrap_err();
    assert!(link.contains("failed to open"), "{link}");
}

#[test]
fn wherever_a_writer_dies_the_file_is_the_one_before_or_the_new_one() {
    let place = Place::new();
    let before = Known::from([("", known().remove("src").unwrap())]);
    let after = known();
    for steps in 0.. {
        place.write(&before).unwrap();
        let written = crash_after(steps, || place.write(&after));
        let cache = place.open().unwrap().unwrap();
        assert_eq!(found(&cache, &after), if written.is_ok() { 6 } else { 0 });
        if written.is_ok() {
            assert!(steps > 3, "it was never cut");
            break;
        }
        assert_eq!(found(&cache, &before), 3, "cut after {steps}");
    }
    let names = |place: &Place| fs::read_dir(place.caches()).unwrap().count();
    assert!(names(&place) > 1, "what is half written stays");
    // These are our own, and we live.
    sweep(&place.caches(), [&place.root].into_iter());
    assert!(names(&place) > 1);
    place.write(&after).unwrap();
    let dead = place.caches().join("x.stat.tmp-999999999-0");
    fs::copy(place.file(), &dead).unwrap();
    sweep(&place.caches(), [&place.root].into_iter());
    assert!(!dead.exists() && place.file().exists());
    sweep(&place.caches(), std::iter::empty());
    assert!(!place.file().exists(), "nobody has that root any more");
}

#[test]
fn of_two_writers_the_last_one_stands_whole() {
    let place = Place::new();
    let known = known();
    let begin = || Writer::begin(&place.caches(), &place.root, place.identity()).unwrap();
    let (mut one, mut other) = (begin(), begin());
    for (path, facts) in &known {
        for writer in [&mut one, &mut other] {
            let facts = facts.iter();
            let facts = facts.map(|(name, (print, hash))| (name.as_bytes(), *print, *hash));
            writer.add(path.as_bytes(), facts).unwrap();
        }
    }
    let third = begin();
    for writer in [one, other] {
        writer.end().unwrap();
        assert_eq!(found(&place.open().unwrap().unwrap(), &known), 6);
    }
    drop(third);
    assert_eq!(fs::read_dir(place.caches()).unwrap().count(), 1);
}

#[test]
fn of_many_the_oldest_go() {
    let place = Place::new();
    place.write(&known()).unwrap();
    let old = std::time::UNIX_EPOCH;
    for number in 0..STAT_CACHES_MAX {
        let name = place.caches().join(format!("{number:03}{ENDING}"));
        let file = fs::File::create(name).unwrap();
        let age = std::time::Duration::from_secs(number as u64);
        file.set_modified(old + age).unwrap();
    }
    place.write(&known()).unwrap();
    let names = fs::read_dir(place.caches()).unwrap();
    assert_eq!(names.count(), STAT_CACHES_MAX);
    assert!(place.file().exists());
    assert!(!place.caches().join(format!("000{ENDING}")).exists());
    assert!(place.caches().join(format!("001{ENDING}")).exists());
}
