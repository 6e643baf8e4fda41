//! Names that are nobody's content: half-written files and what editors leave beside a file while it is open.
//!
//! Only what *stays* while somebody works has to be here. A file that an editor makes and removes within one save (vim's
//! `4913`) leaves no difference once things settle, so its name stays free for real files. A pattern is as narrow as
//! what makes such names: a name that somebody chose is content.

/// Whether an entry of this name is never content, in any directory.
pub(crate) fn is_noise(name: &[u8]) -> bool {
    is_half_written(name)
        // Emacs' numbered backups, locks and autosaves.
        || is_numbered_backup(name)
        || name.starts_with(b".#")
        || (name.len() > 2 && name.starts_with(b"#") && name.ends_with(b"#"))
        || is_swap(name)
        // JetBrains' safe write and GLib's.
        || name.ends_with(b"___jb_tmp___")
        || name.ends_with(b"___jb_old___")
        || name.starts_with(b".goutputstream-")
}

/// The file of which this is the backup, if there is one beside it: `notes~` is that of `notes`, and a file like any
/// other where there is no `notes`.
pub(crate) fn backed_up(name: &[u8]) -> Option<&[u8]> {
    name.strip_suffix(b"~").filter(|name| !name.is_empty())
}

/// The write protocol of the whole family: `<dest>.tmp-<pid>-<ms>[-<counter>]`.
fn is_half_written(name: &[u8]) -> bool {
    let mark = name.windows(5).rposition(|part| part == b".tmp-");
    let Some((dest, tail)) = mark.and_then(|at| name.split_at_checked(at)) else {
        return false;
    };
    let mut numbers = tail.split(|byte| *byte == b'-').skip(1);
    let count = numbers.clone().count();
    !dest.is_empty() && (2..=3).contains(&count) && numbers.all(is_number)
}

/// `name.~12~`
fn is_numbered_backup(name: &[u8]) -> bool {
    let inner = name.strip_suffix(b"~").unwrap_or_default();
    let mark = inner.windows(2).rposition(|part| part == b".~");
    mark.and_then(|at| inner.get(at + 2..))
        .is_some_and(is_number)
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// Vim's `.name.swp` (then `.swo` down to `.swa`, and `.swx` for its probe) and Kate's `.name.kate-swp`.
fn is_swap(name: &[u8]) -> bool {
    if !name.starts_with(b".") {
        return false;
    }
    let vim = matches!(name, [.., b'.', b's', b'w', last] if matches!(last, b'a'..=b'p' | b'x'));
    vim || name.ends_with(b".kate-swp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_are_noise_and_neighbours_are_not() {
        for noise in [
            "state.json.tmp-4242-1795342190592",
            "runs.json.tmp-4242-1795342190592-7",
            "gen.tmp-a.tmp-1-2",
            "main.rs.~12~",
            ".#main.rs",
            "#main.rs#",
            ".main.rs.swp",
            ".main.rs.swx",
            ".notes.kate-swp",
            "main.rs___jb_tmp___",
            ".goutputstream-AB12",
        ] {
            assert!(is_noise(noise.as_bytes()), "{noise} is content");
        }
        for content in [
            "4913",
            "gen.tmp-notes.txt",
            "gen.tmp-12",
            "gen.tmp-12-",
            "gen.tmp-12-3x",
            "gen.tmp-1-2-3-4",
            ".tmp-1-2",
            "state.json.tmp-12-3.txt",
            "main.rs~",
            "main.rs.~~",
            "~",
            "tmp-file",
            "a.tmp",
            "Flash.swf",
            "player.swp",
            ".swiftlint",
            "#",
            ".gitignore",
        ] {
            assert!(!is_noise(content.as_bytes()), "{content} is noise");
        }
    }

    #[test]
    fn a_backup_is_one_of_a_name() {
        assert_eq!(backed_up(b"main.rs~"), Some(&b"main.rs"[..]));
        assert_eq!(backed_up(b"main.rs"), None);
        assert_eq!(backed_up(b"~"), None);
    }
}
