//! Git's settings, as far as they decide on what is ignored: where the file of global excludes is.
//!
//! The files are read in git's order: the system's, the user's, the repository's, the worktree's; the last that says
//! anything counts, and with `include.path` other files stand where they are named. Conditions (`includeIf`) are not
//! judged, and what git itself would not read ends the file. Git is never run.

use super::git::common_dir;
use super::names;
use super::sheet::{Links, text};
use super::stamp::Stamp;
use crate::limits::{GIT_INCLUDES_MAX, GIT_SETTINGS_BYTES_MAX};
use std::io;
use std::path::{Path, PathBuf};

/// Where the settings of the machine and of the user are.
#[derive(Clone, Debug, Default)]
pub(super) struct Home {
    home: Option<PathBuf>,
    /// The directory of the user's configuration.
    config: Option<PathBuf>,
    /// The files to be read before those of the repository, in git's order.
    files: Vec<PathBuf>,
}

/// The repository's own settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Repository<'a> {
    /// The top of its worktree.
    pub(super) top: &'a Path,
    /// Its git directory, and that which all its worktrees share.
    pub(super) own: &'a Path,
    pub(super) common: &'a Path,
}

/// What git's settings say.
#[derive(Debug, Default)]
pub(super) struct Settings {
    /// The file of global excludes; it need not be there.
    pub(super) excludes: Option<PathBuf>,
    /// The files that were read, or looked for, as they were then.
    pub(super) files: Vec<Stamp>,
    /// One that could not be read for the moment, and why.
    pub(super) failed: Option<(PathBuf, io::Error)>,
    says: Says,
}

#[derive(Debug, Default)]
struct Says {
    excludes: Option<Vec<u8>>,
    worktree: bool,
}

/// `name = value` in a section.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    /// `section.name` in small letters; with a subsection nothing that is sought here.
    name: String,
    value: Vec<u8>,
}

impl Home {
    /// The user's, as the environment says.
    pub(super) fn of_user() -> Self {
        let named = |name| std::env::var_os(name).map(PathBuf::from);
        let absolute = |path: &PathBuf| path.is_absolute();
        let system = match std::env::var_os("GIT_CONFIG_NOSYSTEM") {
            Some(_) => None,
            None => Some(named("GIT_CONFIG_SYSTEM").unwrap_or_else(|| "/etc/gitconfig".into())),
        };
        let home = named("HOME").filter(absolute);
        let config = named("XDG_CONFIG_HOME").filter(absolute);
        let mut found = Self::at(home, config);
        if let Some(global) = named("GIT_CONFIG_GLOBAL") {
            found.files = vec![global];
        }
        found.files.splice(0..0, system);
        found.files.retain(absolute);
        found
    }

    /// One with these directories, and nothing of the machine's.
    pub(super) fn at(home: Option<PathBuf>, config: Option<PathBuf>) -> Self {
        let config = config.or_else(|| Some(home.as_ref()?.join(".config")));
        let usual = config.as_ref().map(|config| config.join("git/config"));
        let own = home.as_ref().map(|home| home.join(".gitconfig"));
        Self {
            files: usual.into_iter().chain(own).collect(),
            home,
            config,
        }
    }
}

impl Home {
    /// Whether a file is the user's.
    pub(super) fn holds(&self, path: &Path) -> bool {
        let own = [&self.home, &self.config].into_iter().flatten();
        own.into_iter().any(|own| path.starts_with(own)) && !path.iter().any(|name| name == ".git")
    }
}

impl Settings {
    /// Reads what the machine, the user and a repository say.
    pub(super) fn read(home: &Home, repository: Option<Repository<'_>>) -> Self {
        let mut found = Self::default();
        for file in &home.files {
            found.file(file, home, 0);
        }
        if let Some(repository) = repository {
            found.file(&repository.common.join("config"), home, 0);
            if found.says.worktree {
                found.file(&repository.own.join("config.worktree"), home, 0);
            }
        }
        found.excludes = match found.says.excludes.take() {
            None => home.config.as_ref().map(|config| config.join("git/ignore")),
            // Said to be none.
            Some(path) if path.is_empty() => None,
            Some(path) => {
                let path = expand(&path, home);
                let top = repository.map_or(Path::new(""), |repository| repository.top);
                Some(top.join(path)).filter(|path| path.is_absolute())
            }
        };
        found
    }

    fn file(&mut self, path: &Path, home: &Home, depth: usize) {
        self.files
            .push(Stamp::of(path.to_path_buf(), Links::Followed));
        let text = match read(path) {
            Ok(text) => text.unwrap_or_default(),
            Err(source) => {
                self.failed = Some((path.to_path_buf(), source));
                return;
            }
        };
        for line in lines(&text) {
            match &*line.name {
                "core.excludesfile" => self.says.excludes = Some(line.value),
                "extensions.worktreeconfig" => {
                    let value = line.value.to_ascii_lowercase();
                    self.says.worktree = matches!(&*value, b"true" | b"yes" | b"on" | b"1");
                }
                "include.path" if depth < GIT_INCLUDES_MAX => {
                    let beside = path.parent().unwrap_or(Path::new(""));
                    let included = beside.join(expand(&line.value, home));
                    self.file(&included, home, depth + 1);
                }
                _ => {}
            }
        }
    }
}

/// Bytes of an object's name in the repository with this git directory.
///
/// # Errors
/// When the settings cannot be read for the moment.
pub(super) fn hash_bytes(own: &Path) -> io::Result<usize> {
    let text = read(&common_dir(own)?.join("config"))?.unwrap_or_default();
    let mut lines = lines(&text).into_iter().rev();
    let format = lines.find(|line| line.name == "extensions.objectformat");
    Ok(match format {
        Some(line) if line.value.eq_ignore_ascii_case(b"sha256") => 32,
        Some(_) | None => 20,
    })
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    text(path, Links::Followed, GIT_SETTINGS_BYTES_MAX)
}

/// A path as git reads one: `~/` is the user's directory.
fn expand(value: &[u8], home: &Home) -> PathBuf {
    match (value.strip_prefix(b"~/"), &home.home) {
        (Some(below), Some(home)) => home.join(names::path(below)),
        (_, _) => names::path(value).into_owned(),
    }
}

/// With the ends of lines as git sees them, also that of the last one.
fn with_plain_ends(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len() + 1);
    for line in text.split(|byte| *byte == b'\n') {
        plain.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        plain.push(b'\n');
    }
    plain
}

/// The settings of a file, up to where it is none.
fn lines(text: &[u8]) -> Vec<Line> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = with_plain_ends(text);
    let mut found = Vec::new();
    let mut rest = &*text;
    let mut section = String::new();
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => rest = after,
            b'#' | b';' => rest = after_line(after),
            b'[' => {
                let Some((name, after)) = section_of(after) else {
                    return found;
                };
                (section, rest) = (name, after);
            }
            byte if byte.is_ascii_alphabetic() => {
                let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
                let end = rest.iter().position(|byte| !is_name(byte));
                let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
                let Some((value, after)) = value_of(after) else {
                    return found;
                };
                rest = after;
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                let name = format!("{section}.{name}");
                found.extend(value.map(|value| Line { name, value }));
            }
            _ => return found,
        }
    }
    found
}

fn after_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte == b'\n');
    end.and_then(|end| text.get(end..)).unwrap_or_default()
}

/// The section that is opened, and what follows its `]`.
fn section_of(text: &[u8]) -> Option<(String, &[u8])> {
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let (name, rest) = text.split_at(text.iter().position(|byte| !is_key(byte))?);
    let mut name = name.to_ascii_lowercase();
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let blanks = rest.iter().take_while(|byte| is_blank(byte)).count();
    let mut rest = rest.get(blanks..)?;
    if blanks > 0 {
        rest = rest.strip_prefix(b"\"")?;
        name.push(b'.');
        loop {
            let (byte, after) = rest.split_first()?;
            let (byte, after) = match byte {
                b'"' => break,
                b'\\' => after.split_first()?,
                byte => (byte, after),
            };
            if *byte == b'\n' {
                return None;
            }
            name.push(*byte);
            rest = after;
        }
        rest = rest.get(1..)?;
    }
    let name = String::from_utf8_lossy(&name).into_owned();
    Some((name, rest.strip_prefix(b"]")?))
}

/// The value after a name, and what follows; none where there is no `=`.
fn value_of(text: &[u8]) -> Option<(Option<Vec<u8>>, &[u8])> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let before = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    let mut rest = text.get(before.count()..)?;
    match rest.split_first() {
        Some((b'=', after)) => rest = after,
        None | Some((b'\n', _)) => return Some((None, after_line(rest))),
        Some(_) => return None,
    }
    let mut value = Vec::new();
    // Blanks at the end are none of it.
    let (mut quoted, mut len) = (false, 0);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'\n' if quoted => return None,
            b'\n' => break,
            b'#' | b';' if !quoted => {
                rest = after_line(rest);
                break;
            }
            b'"' => {
                quoted = !quoted;
                len = value.len();
            }
            b'\\' => {
                let (byte, after) = rest.split_first()?;
                rest = after;
                len = value.len();
                value.push(match byte {
                    b'\n' => continue,
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'b' => 8,
                    b'\\' | b'"' => *byte,
                    _ => return None,
                });
                len = value.len();
            }
            byte if is_blank(byte) && !quoted => {
                if !value.is_empty() {
                    value.push(*byte);
                }
            }
            byte => {
                value.push(*byte);
                len = value.len();
            }
        }
    }
    value.truncate(len);
    (!quoted).then_some((Some(value), rest))
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the test writes files as a user would"
)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::fs;
    use std::process::Command;
    use tempfile::TempDir;

    fn said(text: &str) -> Vec<(String, String)> {
        let lines = lines(text.as_bytes()).into_iter();
        lines
            .map(|line| (line.name, String::from_utf8(line.value).unwrap()))
            .collect()
    }

    #[test]
    fn settings_are_read_as_git_reads_them() {
        let text = "\u{feff}# note\n[Core]\n\texcludesFile = ~/a b \t; rest\n bare\n\
            Editor=\"x # y\" z\\\"\\\n w\n[a \"B\\\"]\"] p = 1\r\n[core] q = 2 # no\n";
        let lines = [
            ("core.excludesfile", "~/a b"),
            ("core.editor", "x # y z\" w"),
            ("a.B\"].p", "1"),
            ("core.q", "2"),
        ];
        let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(said(text), lines);
        assert_eq!(said("[a]\nb = 1\n= 2\nc = 3\n").len(), 1, "git ends there");
        assert_eq!(said("[a]\nb = \"open\nc = 3\n").len(), 0);
    }

    /// A piece of a file of settings, mostly of one that is well-formed.
    fn piece() -> impl Strategy<Value = String> {
        let pick = |all: &[&str]| {
            let all: Vec<String> = all.iter().map(|piece| (*piece).to_owned()).collect();
            prop::sample::select(all)
        };
        let section = pick(&[
            "[core]",
            "[core]\n",
            "[CORE]\r\n",
            "[core \"x\"]",
            "[core.x]\n",
            "[ core ]",
            "[core \"a\\\"]\"]\n",
        ]);
        let name = pick(&[
            "excludesFile",
            "\tEXCLUDESFILE ",
            "other",
            "excludes-file",
            "1x",
        ]);
        let equals = pick(&[" = ", "=", "=\t", " "]);
        let part = pick(&[
            "a", "~/x", "b c", "\"a b\"", "\"", "\\\"", "\\n", "\\t", "\\b", "\\q", "\\\\", "\\",
            "\\\n", "\\\r\n", " ", "\t", "\r", "#", ";", " # x", "\"#\"", "=", "]", "\u{feff}",
        ]);
        let end = pick(&["\n", "\n", "\r\n", "", "\n\n", " \n; c\n"]);
        let value = vec(part, 0..5).prop_map(|parts| parts.concat());
        let set = (name, equals, value, end)
            .prop_map(|(name, equals, value, end)| [name, equals, value, end].concat());
        prop_oneof![1 => section, 3 => set]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_is_read_is_what_git_reads(pieces in vec(piece(), 1..8), mark in any::<bool>()) {
            let text = [if mark { "\u{feff}" } else { "" }, "[core]\n", &pieces.concat()].concat();
            let place = TempDir::new().unwrap();
            let file = place.path().join("config");
            fs::write(&file, &text).unwrap();
            let git = Command::new("git")
                .args(["config", "--no-includes", "-z", "--list", "-f"])
                .arg(&file)
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap())
                .output()
                .unwrap();
            // It tells what it has read up to where it fails; a name without a value has no second line.
            let told = String::from_utf8(git.stdout).unwrap();
            let told = told.split_terminator('\0').filter_map(|told| told.split_once('\n'));
            let told: Vec<_> = told.filter(|(name, _)| *name == "core.excludesfile").collect();
            let said = said(&text);
            let said = said.iter().map(|(name, value)| (&**name, &**value));
            let said: Vec<_> = said.filter(|(name, _)| *name == "core.excludesfile").collect();
            prop_assert_eq!(said, told, "{:?}", text);
        }
    }
}
