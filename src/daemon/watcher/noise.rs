//! Names that are nobody's content: half-written files and what editors leave beside a file while it is open.
//!
//! Only what *stays* while somebody works has to be here. A file that an editor makes and removes within one save (vim's
//! `4913`) leaves no difference once things settle, so its name stays free for real files.

/// Whether an entry of this name is never content, in any directory.
pub(crate) fn is_noise(name: &[u8]) -> bool {
    // The write protocol of the whole family: `<dest>.tmp-<pid>-<ms>[-<counter>]`.
    name.windows(5).any(|part| part == b".tmp-")
        // Backups and Emacs' locks and autosaves.
        || name.ends_with(b"~")
        || name.starts_with(b".#")
        || (name.len() > 2 && name.starts_with(b"#") && name.ends_with(b"#"))
        || is_swap(name)
        // JetBrains' safe write and GLib's.
        || name.ends_with(b"___jb_tmp___")
        || name.ends_with(b"___jb_old___")
        || name.starts_with(b".goutputstream-")
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
            "main.rs~",
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
}
