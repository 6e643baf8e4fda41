//! Paths: what is refused, what reads back, and in which order they stand.
//!
//! Pure; names are any bytes where the platform takes them.

use super::*;

#[test]
fn a_relative_path_cannot_leave_its_root() {
    for (bad, said) in [
        ("../x", "`..` is not allowed"),
        ("a/../../x", "`..`"),
        ("/etc", "absolute"),
        ("a\0b", "NUL"),
    ] {
        assert!(
            RelPath::parse(bad).unwrap_err().to_string().contains(said),
            "{bad}"
        );
    }
    assert_eq!(RelPath::parse("./a//b/./c/").unwrap().to_string(), "a/b/c");
    assert_eq!(RelPath::parse(".").unwrap(), RelPath::root());
    assert_eq!(RelPath::root().to_string(), ".");
}

#[test]
fn paths_join_and_part() {
    let root = RootPath::new(Path::new("/w")).unwrap();
    let web = RelPath::parse("packages/web").unwrap();
    let file = web.join(&RelPath::parse("src/a.ts").unwrap());
    assert_eq!(root.join(&file), Path::new("/w/packages/web/src/a.ts"));
    assert_eq!(root.join(&RelPath::root()), Path::new("/w"));
    assert_eq!(
        root.relative(Path::new("/w/packages/web/src/a.ts")),
        Some(file.clone())
    );
    assert_eq!(root.relative(Path::new("/ww/x")), None);
    assert_eq!(file.below(&web).unwrap().to_string(), "src/a.ts");
    assert!(!RelPath::parse("packages/website").unwrap().is_within(&web));
    assert_eq!(web.parent().unwrap().parent(), Some(RelPath::root()));
}

#[cfg(unix)]
#[test]
fn no_two_names_are_written_alike_and_none_leaves_its_line() {
    use std::os::unix::ffi::OsStrExt as _;
    for (bytes, text, shown) in [
        (&b"a\xff\n b"[..], "a\\xff\n b", "a\\xff\\x0a b"),
        (b"a\\xff", "a\\x5cxff", "a\\x5cxff"),
        (b"a\\\xff", "a\\\\xff", "a\\\\xff"),
        (
            b"\\x5c\\x5cxff",
            "\\x5cx5c\\x5cx5cxff",
            "\\x5cx5c\\x5cx5cxff",
        ),
        (b"\\x0a", "\\x5cx0a", "\\x5cx0a"),
        (b"\\d\\", "\\d\\", "\\d\\"),
        (b"\x1b[31m\xc2\x9b", "\u{1b}[31m\u{9b}", "\\x1b[31m\\x9b"),
    ] {
        let path = RelPath::new(Path::new(OsStr::from_bytes(bytes))).unwrap();
        assert_eq!(
            (path.to_text().as_str(), path.to_string().as_str()),
            (text, shown)
        );
        assert_eq!(RelPath::try_from(text.to_owned()), Ok(path));
    }
    assert_eq!(of_text("a\\x0a"), Path::new("a\\x0a"));
}

#[cfg(unix)]
proptest::proptest! {
    #[test]
    fn paths_are_cleaned_and_stand_in_the_order_of_their_components(
        one in "[a/.\u{1}~-]{0,9}", other in "[a/.\u{1}~-]{0,9}",
    ) {
        let both = [one, other].map(|text| RelPath::parse(&text));
        for path in both.iter().flatten() {
            let names = path.as_path().components();
            let clean: PathBuf = names.collect();
            proptest::prop_assert_eq!(path.as_path().as_os_str(), clean.as_os_str());
        }
        if let [Ok(one), Ok(other)] = both {
            proptest::prop_assert_eq!(one.cmp(&other), one.as_path().cmp(other.as_path()));
        }
    }

    #[test]
    fn any_name_reads_back(bytes in proptest::collection::vec(
        proptest::sample::select(&b"\\x5cf0a\xff\xc3\xa4\n"[..]), 1..16,
    )) {
        use std::os::unix::ffi::OsStrExt as _;
        let name = OsStr::from_bytes(&bytes);
        proptest::prop_assert_eq!(of_text(&to_text(name)), Path::new(name));
    }
}

#[cfg(unix)]
#[test]
fn a_key_reads_back_to_exactly_its_root() {
    use std::os::unix::ffi::OsStrExt as _;
    let root = |bytes| RootPath::new(Path::new(OsStr::from_bytes(bytes))).unwrap();
    for (bytes, key) in [
        (&b"/w/\xc3\xa4 b"[..], "/w/\u{e4} b"),
        (b"/w\xff", "hex:2f77ff"),
        (b"/w\\xff", "/w\\xff"),
    ] {
        assert_eq!(root(bytes).to_key(), key);
        assert_eq!(RootPath::from_key(key), Ok(root(bytes)));
    }
    for bad in ["", "w", "hex:", "hex:2f7", "hex:zz", "hex:77"] {
        let error = RootPath::from_key(bad).unwrap_err().to_string();
        assert!(error.contains("is not an absolute path"), "{bad}: {error}");
    }
}
