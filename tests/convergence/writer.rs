//! A writer: does to the workspace what was picked for it. What cannot be done, because another writer was there first,
//! is passed over.

use crate::acts::Act;
use crate::place::Place;
use rustix::fs::{CWD, FileType, Mode, OFlags, RenameFlags, mknodat, renameat_with};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Git, to which a name is no pattern.
const LITERALLY: &[&str] = &["git", "--literal-pathspecs"];

/// One of those who write at once.
pub(crate) struct Writer<'a> {
    place: &'a Place,
    root: PathBuf,
    number: usize,
    /// What stays open, from one storm to the next.
    held: Vec<File>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(place: &'a Place, number: usize) -> Self {
        Self {
            place,
            root: place.root(),
            number,
            held: Vec::new(),
        }
    }

    pub(crate) fn perform(&mut self, act: &Act) {
        // Another writer may have been there first.
        drop(self.attempt(act));
    }

    fn attempt(&mut self, act: &Act) -> io::Result<()> {
        match act {
            Act::Write(path, text) => write(&self.to(path)?, &text.bytes()),
            Act::WriteInPlace(path, text) => {
                let mut file = open_file(&self.at(path), OpenOptions::new().write(true))?;
                file.write_all(&text.bytes())
            }
            Act::Append(path) => append(&self.at(path)),
            Act::WriteAgain(path) => {
                let path = self.at(path);
                let mut text = Vec::new();
                open_file(&path, OpenOptions::new().read(true))?.read_to_end(&mut text)?;
                write(&path, &text)
            }
            Act::SaveLikeVim(path, text) => save_like_vim(&self.to(path)?, &text.bytes()),
            Act::SaveByRename(path, text) => {
                let (path, beside) = (self.to(path)?, self.beside(path));
                write(&beside, &text.bytes())?;
                fs::rename(&beside, path).or_else(|_| fs::remove_file(&beside))
            }
            Act::SaveByExchange(path, text) => {
                let (path, beside) = (self.to(path)?, self.beside(path));
                write(&beside, &text.bytes())?;
                exchange(&beside, &path).unwrap_or(());
                remove(&beside)
            }
            Act::SaveNameless(path, text) => save_nameless(&self.to(path)?, &text.bytes()),
            Act::Hold(path) => {
                let path = self.to(path)?;
                let mut file = open_file(&path, OpenOptions::new().append(true).create(true))?;
                file.write_all(b"held")?;
                self.held.push(file);
                Ok(())
            }
            Act::WriteInto(number, name, text) => {
                write(&self.existing(*number).join(name), &text.bytes())
            }
            Act::WriteHeld => self
                .held
                .iter_mut()
                .try_for_each(|file| file.write_all(b"h")),
            Act::HardLink(from, to) => {
                let (from, to) = (self.linked(*from), self.linked(*to));
                if !from.exists() {
                    write(&from, b"linked")?;
                }
                fs::hard_link(from, to)
            }
            Act::WriteLinked(name) => {
                write(&self.linked(*name), self.number.to_string().as_bytes())
            }
            _ => self.arrange(act),
        }
    }

    /// What is about names, not about bytes.
    fn arrange(&self, act: &Act) -> io::Result<()> {
        match act {
            Act::MakeDirectories(path) => fs::create_dir_all(self.at(path)),
            Act::Remove(path) => remove(&self.at(path)),
            Act::Rename(from, to) => fs::rename(self.at(from), self.to(to)?),
            Act::Exchange(one, other) => exchange(&self.at(one), &self.at(other)),
            Act::Link(target, path) => symlink(target, self.to(path)?),
            Act::Mode(path, bit) => {
                let mode = if *bit { 0o755 } else { 0o644 };
                let path = self.at(path);
                // A link's mode is that of what it leads to; a directory that nobody may enter is a test of its own.
                match fs::symlink_metadata(&path)?.is_file() {
                    true => fs::set_permissions(path, Permissions::from_mode(mode)),
                    false => Ok(()),
                }
            }
            Act::Touch(path) => {
                let file = open_file(&self.at(path), OpenOptions::new().append(true))?;
                file.set_modified(std::time::UNIX_EPOCH)
            }
            Act::Pipe(path) => {
                let mode = Mode::RUSR | Mode::WUSR;
                Ok(mknodat(CWD, self.to(path)?, FileType::Fifo, mode, 0)?)
            }
            Act::MoveInto(from, to, name) => {
                fs::rename(self.existing(*from), self.existing(*to).join(name))
            }
            Act::MoveOut(path, slot) => {
                let slot = self.outside(*slot);
                remove(&slot).unwrap_or(());
                fs::rename(self.at(path), slot)
            }
            Act::MoveIn(slot, path) => fs::rename(self.outside(*slot), self.to(path)?),
            Act::CopyIn(path) => {
                // Else it would write into a pipe, and wait for a reader.
                let line = ["cp", "-r", "--remove-destination", "../source"];
                self.run(&line, &self.to(path)?)
            }
            Act::Unpack(path) => {
                let path = self.at(path);
                fs::create_dir_all(&path)?;
                self.run(&["tar", "xf", "../source.tar", "-C"], &path)
            }
            Act::Deep(path) => (0..6).try_for_each(|number| {
                let below = self.at(path).join(format!("{number}/b/c"));
                fs::create_dir_all(&below)?;
                write(&below.join("f"), b"deep")
            }),
            Act::Generate(path) => {
                let gen_directory = self.at(path).join("gen");
                fs::create_dir_all(gen_directory.join("in"))?;
                (0..20).try_for_each(|number| {
                    write(&gen_directory.join(format!("in/{number}")), b"made")?;
                    write(
                        &gen_directory.join("keep.log"),
                        number.to_string().as_bytes(),
                    )
                })
            }
            _ => self.decide(act),
        }
    }

    /// What decides on what counts.
    fn decide(&self, act: &Act) -> io::Result<()> {
        match act {
            Act::Rules(directory, rules) => {
                write(&self.at(directory).join(".gitignore"), rules.as_bytes())
            }
            Act::Exclude(rules) => {
                let rules = format!("/.runs/\n/out/\n{rules}");
                write(&self.root.join(".git/info/exclude"), rules.as_bytes())
            }
            Act::Git(arguments) => self.run(&[&["git"], *arguments].concat(), Path::new("")),
            Act::Track(path) => {
                let place = self.to(path)?;
                if fs::symlink_metadata(&place).is_err() {
                    write(&place, b"tracked")?;
                }
                self.run(&[LITERALLY, &["add", "-f", "--"]].concat(), path)
            }
            Act::Untrack(path) => {
                let remove = ["rm", "-rfq", "--cached", "--"];
                self.run(&[LITERALLY, &remove].concat(), path)
            }
            _ => Ok(()),
        }
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// One of the directories that are there now.
    fn existing(&self, number: usize) -> PathBuf {
        let all = directories(&self.root);
        all[number % all.len()].clone()
    }

    /// The same, with the directories above it made.
    fn to(&self, path: &Path) -> io::Result<PathBuf> {
        let path = self.at(path);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        Ok(path)
    }

    /// A name for what is to take the place of a file, of this writer alone.
    fn beside(&self, path: &Path) -> PathBuf {
        let mut name = OsString::from(format!(".{}-", self.number));
        name.push(path.file_name().unwrap_or_default());
        self.at(path).with_file_name(name)
    }

    fn linked(&self, number: usize) -> PathBuf {
        self.root.join(format!("h/{number}"))
    }

    fn outside(&self, slot: usize) -> PathBuf {
        self.place.path("outside").join(slot.to_string())
    }

    fn run(&self, line: &[&str], last: &Path) -> io::Result<()> {
        let mut command = self.place.command(line[0]);
        command.args(&line[1..]).current_dir(&self.root);
        if !last.as_os_str().is_empty() {
            command.arg(last);
        }
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().map(drop)
    }
}

/// The directories below the root and the root itself, but for git's, ours, and the one of the hard links.
pub(crate) fn directories(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_path_buf()];
    let mut at = 0;
    while at < all.len() {
        // It may be gone by now.
        let entries = fs::read_dir(&all[at]).into_iter().flatten().flatten();
        let mut below: Vec<PathBuf> = entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter(|entry| {
                at > 0
                    || ![".git", ".runs", "out", "h"]
                        .iter()
                        .any(|held| entry.file_name() == *held)
            })
            .map(|entry| entry.path())
            .collect();
        below.sort();
        all.extend(below);
        at += 1;
    }
    all
}

/// Fills the kernel's queue with what changes nothing. Two files in turn, since it keeps one of two events alike.
pub(crate) fn flood(root: &Path) {
    let room = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let room: u32 = room.trim().parse().unwrap();
    let files = ["h/flood", "h/flood2"].map(|name| root.join(name));
    for file in &files {
        write(file, b"").unwrap();
    }
    for number in 0..room / 2 + 100 {
        let mode = 0o600 | (number % 2) << 2;
        for file in &files {
            fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        }
    }
}

/// Writes into every directory, so that one that nobody watches shows.
pub(crate) fn probe(root: &Path, text: &str) {
    for directory in directories(root) {
        write(&directory.join("probe"), text.as_bytes()).unwrap();
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true);
    open_file(path, file)?.write_all(bytes)
}

fn append(path: &Path) -> io::Result<()> {
    open_file(path, OpenOptions::new().append(true))?.write_all(b"+")
}

/// Opens a file and nothing else: what a link leads to may lie anywhere, and a pipe waits for its other end.
fn open_file(path: &Path, options: &OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = options.clone();
    options
        .custom_flags(i32::try_from(flags.bits()).unwrap())
        .open(path)
}

fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|_| fs::remove_dir_all(path))
}

fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

fn save_like_vim(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut backup = OsString::from(path);
    backup.push("~");
    let moved = fs::rename(path, &backup);
    write(path, bytes)?;
    match moved {
        Ok(()) => remove(Path::new(&backup)),
        Err(_) => Ok(()),
    }
}

fn save_nameless(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use rustix::fs::{AtFlags, linkat, open};
    let directory = path.parent().unwrap();
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(open(directory, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all(bytes)?;
    let held = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, held, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}
