//! The trust store on a real disk: what it allows, what it says, and what damage does to it.
//!
//! In every doubt the answer has to be `Never`, and the doubtful file still has to be there.

use super::*;
use crate::daemon::store::Aside;
use crate::disk::durable;
use crate::model::digest::Digest;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

fn now() -> Timestamp {
    Timestamp::from_unix_ms(1_795_342_190_592)
}

fn root(path: &str) -> RootPath {
    RootPath::new(Path::new(path)).unwrap()
}

fn set(of: &str) -> CommandSet {
    CommandSet(Digest::of(of.as_bytes()))
}

fn commands(runs: &str) -> Vec<CommandText> {
    vec![CommandText {
        of: "diagnostics/lint".to_owned(),
        runs: runs.to_owned(),
    }]
}

fn open(state: &TempDir) -> TrustStore {
    TrustStore::open(state.path(), now()).unwrap_or_else(|error| panic!("{error}"))
}

fn names(state: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(state.path()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_is_allowed_stays_allowed_until_it_changes_or_is_denied() {
    let state = TempDir::new().unwrap();
    let web = root("/w/web");
    let mut store = open(&state);
    assert_eq!(store.check(&web, set("a"), &commands("a")), Trust::Never);
    store.allow(&web, set("a"), commands("a"), now()).unwrap();
    let mut again = open(&state);
    assert_eq!(again.check(&web, set("a"), &commands("a")), Trust::Allowed);
    assert_eq!(
        again.check(&root("/w/web/sub"), set("a"), &[]),
        Trust::Never
    );
    let Trust::Changed { diff } = again.check(&web, set("b"), &commands("b")) else {
        panic!("a changed set was not told");
    };
    assert_eq!(diff.lines(), ["~ diagnostics/lint: b"]);
    assert!(again.deny(&web, now()).unwrap());
    assert!(!again.deny(&web, now()).unwrap());
    assert_eq!(open(&state).check(&web, set("a"), &[]), Trust::Never);
    store.refresh(now()).unwrap();
    assert_eq!(store.check(&web, set("a"), &[]), Trust::Never);
}

#[test]
fn the_file_is_private_and_versioned() {
    let state = TempDir::new().unwrap();
    open(&state)
        .allow(&root("/w"), set("a"), commands("make"), now())
        .unwrap();
    let path = state.path().join("trust.json");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
    {
      "version": 1,
      "roots": {
        "/w": {
          "command_set": "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
          "allowed_at": "2026-11-22T10:09:50.592Z",
          "commands": [
            {
              "of": "diagnostics/lint",
              "runs": "make"
            }
          ]
        }
      }
    }
    "#);
    assert_eq!(names(&state), ["trust.json", "trust.json.lock"]);
}

#[test]
fn two_daemons_do_not_lose_each_other_s_word() {
    let state = TempDir::new().unwrap();
    let (mut one, mut other) = (open(&state), open(&state));
    one.allow(&root("/a"), set("a"), Vec::new(), now()).unwrap();
    other
        .allow(&root("/b"), set("b"), Vec::new(), now())
        .unwrap();
    let both = open(&state);
    assert_eq!(both.check(&root("/a"), set("a"), &[]), Trust::Allowed);
    assert_eq!(both.check(&root("/b"), set("b"), &[]), Trust::Allowed);
}

#[test]
fn roots_that_look_alike_are_not_alike() {
    let state = TempDir::new().unwrap();
    let odd = RootPath::new(Path::new(OsStr::from_bytes(b"/w/a\xff"))).unwrap();
    let text = root("/w/a\\xff");
    let mut store = open(&state);
    store.allow(&odd, set("a"), Vec::new(), now()).unwrap();
    let again = open(&state);
    assert_eq!(again.check(&odd, set("a"), &[]), Trust::Allowed);
    assert_eq!(again.check(&text, set("a"), &[]), Trust::Never);
}

#[test]
fn a_damaged_store_is_set_aside_and_allows_nothing() {
    let whole = {
        let state = TempDir::new().unwrap();
        open(&state)
            .allow(&root("/w"), set("a"), commands("make"), now())
            .unwrap();
        fs::read(state.path().join("trust.json")).unwrap()
    };
    let torn = whole.get(..whole.len() / 2).unwrap();
    let zeros = vec![0; 512];
    let wrong = br#"{"version": 1, "roots": {"/w": {"command_set": "abc"}}}"#;
    for damage in [
        &b""[..],
        torn,
        &zeros,
        b"[]",
        br#"{"roots": {}}"#,
        b"\xff\xfe",
        wrong,
    ] {
        let state = TempDir::new().unwrap();
        plant(&state, damage);
        let mut store = open(&state);
        let aside = state
            .path()
            .join("trust.json.corrupt-2026-11-22T10-09-50-592Z");
        let expected = Aside {
            path: aside.clone(),
            known: false,
        };
        assert_eq!(store.kept().set_aside(), Some(&expected));
        assert_eq!(fs::read(&aside).unwrap(), damage);
        assert_eq!(store.check(&root("/w"), set("a"), &[]), Trust::Never);
        store
            .allow(&root("/w"), set("a"), Vec::new(), now())
            .unwrap();
        assert_eq!(
            open(&state).check(&root("/w"), set("a"), &[]),
            Trust::Allowed
        );
        // A second one at the same moment does not replace the first.
        plant(&state, b"again");
        assert_eq!(open(&state).check(&root("/w"), set("a"), &[]), Trust::Never);
        assert_eq!(fs::read(&aside).unwrap(), damage);
        assert_eq!(names(&state).len(), 3);
    }
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let state = TempDir::new().unwrap();
    let newer = br#"{"version": 2, "anything": []}"#;
    plant(&state, newer);
    let error = TrustStore::open(state.path(), now())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("has version 2, this program knows version 1: use the newer orchd"),
        "{error}"
    );
    assert_eq!(fs::read(state.path().join("trust.json")).unwrap(), newer);
    // A store that was open before does not write over it either, and stops allowing.
    fs::remove_file(state.path().join("trust.json")).unwrap();
    let mut store = open(&state);
    store
        .allow(&root("/w"), set("a"), Vec::new(), now())
        .unwrap();
    plant(&state, newer);
    assert!(matches!(
        store.allow(&root("/x"), set("a"), Vec::new(), now()),
        Err(StoreError::Newer { version: 2, .. })
    ));
    assert!(matches!(
        store.refresh(now()),
        Err(StoreError::Newer { .. })
    ));
    assert_eq!(store.check(&root("/w"), set("a"), &[]), Trust::Never);
    assert_eq!(fs::read(state.path().join("trust.json")).unwrap(), newer);
}

#[test]
fn a_store_that_others_can_write_or_planted_is_refused() {
    let state = TempDir::new().unwrap();
    open(&state)
        .allow(&root("/w"), set("a"), Vec::new(), now())
        .unwrap();
    let path = state.path().join("trust.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
    let error = TrustStore::open(state.path(), now())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("may be written by others: it is not believed"),
        "{error}"
    );
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&path, state.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(state.path().join("elsewhere"), &path).unwrap();
    assert!(matches!(
        TrustStore::open(state.path(), now()),
        Err(StoreError::Durable(_))
    ));
}

#[test]
fn a_store_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        // Only root can make a file of somebody else's.
        return;
    }
    let state = TempDir::new().unwrap();
    open(&state)
        .allow(&root("/w"), set("a"), Vec::new(), now())
        .unwrap();
    std::os::unix::fs::chown(state.path().join("trust.json"), Some(65_534), None).unwrap();
    let error = TrustStore::open(state.path(), now())
        .unwrap_err()
        .to_string();
    assert!(error.contains("belongs to another user"), "{error}");
}

fn plant(state: &TempDir, bytes: &[u8]) {
    durable::write(&state.path().join("trust.json"), bytes, durable::PRIVATE).unwrap();
}

#[test]
fn what_was_allowed_outlives_a_file_that_is_damaged_meanwhile() {
    let state = TempDir::new().unwrap();
    let mut store = open(&state);
    let (a, b) = (root("/a"), root("/b"));
    store.allow(&a, set("a"), commands("a"), now()).unwrap();
    plant(&state, b"\x00");
    store.allow(&b, set("b"), commands("b"), now()).unwrap();
    for damage in [&b""[..], b"{"] {
        plant(&state, damage);
        store.refresh(now()).unwrap();
        let again = open(&state);
        assert_eq!(again.check(&a, set("a"), &[]), Trust::Allowed);
        assert_eq!(again.check(&b, set("b"), &[]), Trust::Allowed);
    }
    // A file that is gone is no damage: somebody took everything back.
    fs::remove_file(state.path().join("trust.json")).unwrap();
    store.refresh(now()).unwrap();
    assert_eq!(store.check(&a, set("a"), &[]), Trust::Never);
}

#[test]
fn of_workspaces_that_are_gone_the_last_allowed_are_remembered() {
    let state = TempDir::new().unwrap();
    let mut store = open(&state);
    let registered = root("/oldest");
    store
        .allow(&registered, set("r"), Vec::new(), now())
        .unwrap();
    let later = |n: usize| Timestamp::from_unix_ms(now().unix_ms() + i64::try_from(n).unwrap() + 1);
    let former = |n: usize| root(&format!("/former-{n}"));
    for n in 0..FORMER_TRUST_MAX + 2 {
        store
            .allow(&former(n), set("f"), Vec::new(), later(n))
            .unwrap();
    }
    store
        .forget_former(std::iter::once(&registered), now())
        .unwrap();
    let store = open(&state);
    let allowed = |root: &RootPath, of: &str| store.check(root, set(of), &[]) == Trust::Allowed;
    assert!(allowed(&registered, "r"));
    assert!(!allowed(&former(0), "f") && !allowed(&former(1), "f"));
    assert!(allowed(&former(2), "f") && allowed(&former(FORMER_TRUST_MAX + 1), "f"));
}

/// A reader takes no lock for a missing store, and nothing is allowed by one.
#[test]
fn a_store_that_is_written_anew_is_never_missing() {
    let state = TempDir::new().unwrap();
    let mut store = open(&state);
    store
        .allow(&root("/w"), set("a"), commands("make"), now())
        .unwrap();
    let path = state.path().join("trust.json");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut missed = 0_u32;
            while !over.load(Ordering::Relaxed) {
                missed += u32::from(!path.exists());
            }
            missed
        });
        for _ in 0..50 {
            plant(&state, b"{");
            store.refresh(now()).unwrap();
            assert_eq!(store.check(&root("/w"), set("a"), &[]), Trust::Allowed);
        }
        over.store(true, Ordering::Relaxed);
        assert_eq!(reader.join().unwrap(), 0, "times that there was no store");
    });
}
