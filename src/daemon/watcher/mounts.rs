//! Mounts: what is mounted or unmounted changes what lies at a path, and inotify tells of neither.
//!
//! The kernel tells that its table of mounts has changed; what differs in it is put on the board like any other doubt,
//! so that nothing is looked at while nothing is mounted. Where there is no such table nobody is told, and a root that
//! was unmounted is found missing at the next look at it.

#[cfg(target_os = "linux")]
pub use linux::tell_mounts;

/// Tells of mounts as long as it is polled: here there is no table of them.
#[cfg(not(target_os = "linux"))]
pub async fn tell_mounts(_watcher: super::Watcher) {}

#[cfg(target_os = "linux")]
mod linux {
    use crate::daemon::watcher::{Doubt, Watcher};
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::fs::File;
    use std::io;
    use std::os::unix::ffi::OsStringExt as _;
    use std::path::PathBuf;
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    const TABLE: &str = "/proc/self/mountinfo";

    /// What is mounted, as id, parent, device, root and mount point of each.
    type Table = BTreeSet<Vec<Vec<u8>>>;

    /// Tells of mounts as long as it is polled, and for ever if the table can be read.
    pub async fn tell_mounts(watcher: Watcher) {
        if let Err(error) = tell(&watcher).await {
            tracing::warn!(%error, path = TABLE, "what is mounted and unmounted is not told");
        }
    }

    async fn tell(watcher: &Watcher) -> io::Result<()> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that are no owners of their descriptor; a file is one"
        )]
        let changes = AsyncFd::with_interest(File::open(TABLE)?, Interest::PRIORITY)?;
        let mut known = read()?;
        loop {
            changes.ready(Interest::PRIORITY).await?.clear_ready();
            let now = read()?;
            for mount in now.symmetric_difference(&known) {
                if let Some(point) = mount.last() {
                    let point = PathBuf::from(OsString::from_vec(plain(point)));
                    watcher.note(&point, Doubt::Hook);
                }
            }
            known = now;
        }
    }

    fn read() -> io::Result<Table> {
        let text = std::fs::read(TABLE)?;
        let lines = text.split(|byte| *byte == b'\n');
        let mounts = lines.map(|line| {
            let fields = line.split(|byte| *byte == b' ').take(5);
            fields.map(<[u8]>::to_vec).collect()
        });
        Ok(mounts.collect())
    }

    /// A path of the table: blanks and backslashes stand there as `\` and three octal digits.
    fn plain(text: &[u8]) -> Vec<u8> {
        let mut plain = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((first, behind)) = rest.split_first() {
            let digits = behind.first_chunk::<3>().filter(|_| *first == b'\\');
            let value = digits.and_then(|digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits, 8).ok()
            });
            plain.push(value.unwrap_or(*first));
            rest = value.map_or(behind, |_| behind.get(3..).unwrap_or_default());
        }
        plain
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn blanks_in_a_mount_point_are_blanks() {
            assert_eq!(plain(br"/mnt/a\040b\134c"), br"/mnt/a b\c");
            assert_eq!(plain(br"/mnt/a\04"), br"/mnt/a\04");
        }
    }
}
