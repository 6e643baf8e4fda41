//! Claims on real directories, locks and sockets.
//!
//! A lock belongs to an open file, so that one process can hold it and be refused it. Two processes that race for it are
//! in `tests/process`.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

struct Room {
    directory: tempfile::TempDir,
    places: Places,
}

impl Room {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let places = Places {
            socket: at("run/orchd.sock"),
            config: at("config.toml"),
            state: at("state"),
        };
        Self { directory, places }
    }

    fn run(&self) -> PathBuf {
        self.directory.path().join("run")
    }
}

fn bind(claim: &mut Claim) -> UnixListener {
    let listener = UnixListener::bind(claim.socket()).unwrap();
    claim.note_bound().unwrap();
    listener
}

#[test]
fn only_one_holds_the_socket_and_the_other_hears_who() {
    let room = Room::new();
    let first = Claim::take(&room.places).unwrap();
    let said = Claim::take(&room.places).unwrap_err().to_string();
    assert!(
        said.contains(&format!("pid {}", std::process::id())),
        "{said}"
    );
    assert!(said.contains("orchctl shutdown"), "{said}");
    drop(first);
    assert!(room.places.lock().exists(), "the lock file stays");
    let next = Claim::take(&room.places).unwrap();
    assert_eq!(next.socket(), room.places.socket);
    let mode = std::fs::metadata(room.run()).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o700);
}

#[test]
fn what_a_dead_daemon_left_is_cleared_away() {
    let room = Room::new();
    DirBuilder::new().mode(0o700).create(room.run()).unwrap();
    drop(UnixListener::bind(&room.places.socket).unwrap());
    let mut claim = Claim::take(&room.places).unwrap();
    assert!(!room.places.socket.exists());
    let _listener = bind(&mut claim);
    assert!(claim.is_ours());
    drop(claim);
    assert!(!room.places.socket.exists(), "our own socket goes with us");
}

#[test]
fn a_socket_that_answers_and_a_file_that_is_none_are_left_alone() {
    let room = Room::new();
    DirBuilder::new().mode(0o700).create(room.run()).unwrap();
    let listener = UnixListener::bind(&room.places.socket).unwrap();
    let said = Claim::take(&room.places).unwrap_err().to_string();
    assert!(said.contains("another program answers"), "{said}");
    drop(listener);
    std::fs::remove_file(&room.places.socket).unwrap();
    File::create(&room.places.socket)
        .unwrap()
        .write_all(b"mine")
        .unwrap();
    let said = Claim::take(&room.places).unwrap_err().to_string();
    assert!(said.contains("is no socket"), "{said}");
    assert_eq!(std::fs::read(&room.places.socket).unwrap(), b"mine");
}

#[test]
fn a_directory_that_others_can_reach_into_is_refused() {
    let room = Room::new();
    DirBuilder::new().create(room.run()).unwrap();
    for (mode, holds) in [(0o770, None), (0o750, Some("mine"))] {
        std::fs::set_permissions(room.run(), PermissionsExt::from_mode(mode)).unwrap();
        if let Some(name) = holds {
            drop(File::create(room.run().join(name)).unwrap());
        }
        let said = Claim::take(&room.places).unwrap_err().to_string();
        assert!(
            said.contains(&format!("mode {mode:04o}")) && said.contains("chmod 700"),
            "{said}"
        );
    }
}

#[test]
fn an_empty_directory_becomes_private_and_state_may_be_looked_at() {
    let room = Room::new();
    DirBuilder::new().create(room.run()).unwrap();
    std::fs::set_permissions(room.run(), PermissionsExt::from_mode(0o755)).unwrap();
    prepare_state(&room.run()).unwrap();
    assert_eq!(std::fs::metadata(room.run()).unwrap().mode() & 0o777, 0o755);
    let _claim = Claim::take(&room.places).unwrap();
    assert_eq!(std::fs::metadata(room.run()).unwrap().mode() & 0o777, 0o700);
    std::fs::set_permissions(room.run(), PermissionsExt::from_mode(0o775)).unwrap();
    let said = prepare_state(&room.run()).unwrap_err().to_string();
    assert!(said.contains("mode 0775"), "{said}");
}

#[test]
fn a_socket_that_is_another_one_by_now_is_noticed_and_left_alone() {
    let room = Room::new();
    let mut claim = Claim::take(&room.places).unwrap();
    let _listener = bind(&mut claim);
    std::fs::rename(&room.places.socket, room.run().join("moved")).unwrap();
    assert!(!claim.is_ours());
    let _other = UnixListener::bind(&room.places.socket).unwrap();
    assert!(!claim.is_ours());
    drop(claim);
    assert!(room.places.socket.exists(), "somebody else's socket stays");
}

#[test]
fn a_lock_that_was_deleted_is_noticed() {
    let room = Room::new();
    let mut claim = Claim::take(&room.places).unwrap();
    let _listener = bind(&mut claim);
    std::fs::remove_file(room.places.lock()).unwrap();
    assert!(!claim.is_ours());
}
