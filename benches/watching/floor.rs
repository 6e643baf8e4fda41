//! What no watcher can be faster than: bare inotify, one watch per directory, a wait for quiet, and posix_spawn.
//!
//! `floor watch ROOT SETTLE_MS COMMAND [ARG…]` runs COMMAND after SETTLE_MS without an event. It keeps no view of the tree,
//! lists nothing but directories, and so loses what is written into a new directory before it is watched.
//! `floor stamp FILE` appends CLOCK_MONOTONIC in nanoseconds to FILE: the program that every tool runs in these benches.
//! Linux, x86-64 and aarch64, standard library only; compiled by `benches/watching.py` with `rustc -O`, not by cargo.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char, c_int, c_long, c_short, c_void};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const IN_CLOEXEC: c_int = 0o2_000_000;
const IN_NONBLOCK: c_int = 0o4_000;
const IN_MODIFY: u32 = 0x2;
const IN_ATTRIB: u32 = 0x4;
const IN_CLOSE_WRITE: u32 = 0x8;
const IN_MOVED_FROM: u32 = 0x40;
const IN_MOVED_TO: u32 = 0x80;
const IN_CREATE: u32 = 0x100;
const IN_DELETE: u32 = 0x200;
const IN_IGNORED: u32 = 0x8000;
const IN_ONLYDIR: u32 = 0x0100_0000;
const IN_ISDIR: u32 = 0x4000_0000;
const CHANGES: u32 =
    IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE;
const POLLIN: c_short = 1;
const CLOCK_MONOTONIC: c_int = 1;
const SIGCHLD: c_int = 17;
const SIG_IGN: usize = 1;
/// `struct inotify_event` without the name behind it.
const HEAD_BYTES: usize = 16;
const QUEUE_BYTES: usize = 256 * 1024;
const IGNORED: [&str; 2] = [".git", "node_modules"];

#[repr(C)]
struct Pollfd {
    fd: c_int,
    events: c_short,
    revents: c_short,
}

#[repr(C)]
struct Timespec {
    seconds: c_long,
    nanoseconds: c_long,
}

unsafe extern "C" {
    static environ: *const *mut c_char;
    fn inotify_init1(flags: c_int) -> c_int;
    fn inotify_add_watch(fd: c_int, path: *const c_char, mask: u32) -> c_int;
    fn read(fd: c_int, buffer: *mut c_void, count: usize) -> isize;
    fn poll(fds: *mut Pollfd, count: usize, timeout_ms: c_int) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn clock_gettime(clock: c_int, time: *mut Timespec) -> c_int;
    fn posix_spawn(
        pid: *mut c_int,
        path: *const c_char,
        actions: *const c_void,
        attributes: *const c_void,
        argv: *const *mut c_char,
        envp: *const *mut c_char,
    ) -> c_int;
}

struct Floor {
    inotify: c_int,
    places: BTreeMap<c_int, PathBuf>,
}

impl Floor {
    fn new() -> std::io::Result<Self> {
        // SAFETY: no pointer goes in.
        let inotify = unsafe { inotify_init1(IN_CLOEXEC | IN_NONBLOCK) };
        if inotify < 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self {
            inotify,
            places: BTreeMap::new(),
        })
    }

    /// Watches a directory and all below it, each before it is listed. What is gone meanwhile is passed over.
    fn watch(&mut self, top: PathBuf) -> std::io::Result<()> {
        let mut left = vec![top];
        while let Some(place) = left.pop() {
            let name = CString::new(place.as_os_str().as_bytes())?;
            // SAFETY: `name` is NUL-terminated and lives through the call.
            let watch =
                unsafe { inotify_add_watch(self.inotify, name.as_ptr(), CHANGES | IN_ONLYDIR) };
            if watch < 0 {
                let error = std::io::Error::last_os_error();
                match error.kind() {
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => continue,
                    _ => return Err(error),
                }
            }
            if let Ok(entries) = std::fs::read_dir(&place) {
                let folders = entries
                    .flatten()
                    .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                    .filter(|entry| !IGNORED.iter().any(|name| entry.file_name() == *name));
                left.extend(folders.map(|entry| entry.path()));
            }
            self.places.insert(watch, place);
        }
        Ok(())
    }

    /// Takes all that the queue holds; whether there was anything.
    fn drain(&mut self, buffer: &mut [u8]) -> std::io::Result<bool> {
        let mut any = false;
        loop {
            // SAFETY: `buffer` may be written for its whole length.
            let got = unsafe { read(self.inotify, buffer.as_mut_ptr().cast(), buffer.len()) };
            let Some(length) = usize::try_from(got).ok().filter(|length| *length > 0) else {
                return Ok(any);
            };
            any = true;
            let mut rest = &buffer[..length];
            while rest.len() >= HEAD_BYTES {
                let word = |at: usize| {
                    u32::from_ne_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]])
                };
                let (watch, mask, name_bytes) = (word(0) as c_int, word(4), word(12) as usize);
                let name = &rest[HEAD_BYTES..HEAD_BYTES + name_bytes];
                rest = &rest[HEAD_BYTES + name_bytes..];
                if mask & IN_IGNORED != 0 {
                    self.places.remove(&watch);
                } else if mask & IN_ISDIR != 0 && mask & (IN_CREATE | IN_MOVED_TO) != 0 {
                    let end = name.iter().position(|byte| *byte == 0);
                    let name = std::ffi::OsStr::from_bytes(&name[..end.unwrap_or(name.len())]);
                    let place = self.places.get(&watch).map(|place| place.join(name));
                    if let Some(place) = place {
                        self.watch(place)?;
                    }
                }
            }
        }
    }

    /// Waits for an event, at most so long; -1 is for ever.
    fn wait(&self, timeout_ms: c_int) -> bool {
        let mut fd = Pollfd {
            fd: self.inotify,
            events: POLLIN,
            revents: 0,
        };
        // SAFETY: one `Pollfd`, which lives through the call.
        unsafe { poll(&raw mut fd, 1, timeout_ms) > 0 }
    }
}

fn watch(root: &Path, settle_ms: c_int, command: &[String]) -> std::io::Result<()> {
    // SAFETY: without a handler of ours; children that end are reaped by the kernel.
    unsafe { signal(SIGCHLD, SIG_IGN) };
    let words: Vec<CString> = command
        .iter()
        .map(|word| CString::new(word.as_bytes()))
        .collect::<Result<_, _>>()?;
    let mut argv: Vec<*mut c_char> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
    argv.push(std::ptr::null_mut());
    let mut floor = Floor::new()?;
    floor.watch(root.to_path_buf())?;
    let mut buffer = vec![0_u8; QUEUE_BYTES];
    loop {
        floor.wait(-1);
        let mut dirty = floor.drain(&mut buffer)?;
        while floor.wait(settle_ms) {
            dirty |= floor.drain(&mut buffer)?;
        }
        if dirty {
            let mut pid = 0;
            // SAFETY: `argv` ends with a null pointer and points into `words`; `environ` is the C library's own.
            let failed = unsafe {
                posix_spawn(
                    &raw mut pid,
                    words[0].as_ptr(),
                    std::ptr::null(),
                    std::ptr::null(),
                    argv.as_ptr(),
                    environ,
                )
            };
            if failed != 0 {
                return Err(std::io::Error::from_raw_os_error(failed));
            }
        }
    }
}

fn stamp(file: &Path) -> std::io::Result<()> {
    let mut now = Timespec {
        seconds: 0,
        nanoseconds: 0,
    };
    // SAFETY: `now` may be written.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut now) };
    let line = format!("{}{:09}\n", now.seconds, now.nanoseconds);
    let mut file = std::fs::OpenOptions::new().append(true).open(file)?;
    file.write_all(line.as_bytes())
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let told: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match told.as_slice() {
        ["stamp", file] => stamp(Path::new(file)),
        ["watch", root, settle, _, ..] => match settle.parse() {
            Ok(settle_ms) => watch(Path::new(root), settle_ms, &words[3..]),
            Err(_) => return ExitCode::from(2),
        },
        _ => return ExitCode::from(2),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}
