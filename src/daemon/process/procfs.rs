//! What Linux tells of processes in `/proc`.
//!
//! Everything here may be out of date when it is returned: whoever acts on it holds a pidfd and looks again.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;

/// The fields of `/proc/<pid>/stat` that we need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    state: u8,
    pub(super) parent: u32,
    pub(super) group: u32,
    pub(super) start_ticks: u64,
}

impl Stat {
    /// Reads the process with this pid; none when there is none.
    pub(super) fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The command's name stands in parentheses and may hold anything, parentheses too: fields count from the last.
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it only waits for its parent to ask how it ended.
    pub(super) fn has_exited(self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

/// The pids of all processes that can be seen.
pub(super) fn pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The value of a variable in the environment that a process was started with; none where that is not for us to see.
pub(super) fn environment(pid: u32) -> Option<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ")).ok()
}

/// The value of `name` in an environment.
pub(super) fn variable<'a>(environment: &'a [u8], name: &str) -> Option<&'a [u8]> {
    environment.split(|byte| *byte == 0).find_map(|entry| {
        entry
            .strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
    })
}

/// The command line of a process as text, its name where it has none.
pub(super) fn command(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments: Vec<String> = line
        .split(|byte| *byte == 0)
        .filter(|argument| !argument.is_empty())
        .map(|argument| crate::model::path::plain(std::ffi::OsStr::from_bytes(argument)))
        .collect();
    if arguments.is_empty() {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        return name.trim().to_owned();
    }
    arguments.join(" ")
}

/// This process and those that it descends from.
pub(super) fn ancestors() -> Vec<u32> {
    let mut line = Vec::new();
    let mut next = Some(std::process::id());
    while let Some(pid) = next.filter(|pid| *pid != 0 && !line.contains(pid)) {
        line.push(pid);
        next = Stat::read(pid).map(|stat| stat.parent);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = b"7 (a) S (b) Z 1 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 9876 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.group, stat.start_ticks), (1, 42, 9876));
        assert!(stat.has_exited());
        assert_eq!(Stat::parse(b"7 (x) S 1"), None);
    }

    #[test]
    fn a_variable_is_found_by_its_whole_name() {
        let environment = b"XORCHD_RUN_ID=no\0ORCHD_RUN_ID2=no\0ORCHD_RUN_ID=r=1\0";
        assert_eq!(variable(environment, "ORCHD_RUN_ID"), Some(&b"r=1"[..]));
        assert_eq!(variable(environment, "ORCHD_RUN"), None);
    }

    #[test]
    fn the_line_of_ancestors_begins_here_and_ends_at_the_top() {
        let line = ancestors();
        assert_eq!(line.first(), Some(&std::process::id()));
        assert!(line.contains(&std::os::unix::process::parent_id()));
    }
}
