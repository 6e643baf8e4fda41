//! Starting, detaching, ending, and what is said when that fails.

use crate::{Client, Daemon, Room, output, pid_of, said, shut_down};
use rustix::process::Signal;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

#[test]
fn term_ends_it_and_takes_the_socket_along() {
    let room = Room::new();
    let mut daemon = Daemon::start(&room);
    let mode = |path| std::fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(room.socket()), 0o600);
    assert_eq!(mode(room.path("run")), 0o700);
    assert_eq!(mode(room.path("state/logs")), 0o700);
    daemon.signal(Signal::HUP);
    daemon.signal(Signal::USR1);
    assert_eq!(pid_of(&room.socket()), daemon.pid());
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.end().0.code(), Some(0));
    assert!(!room.socket().exists());
    assert!(room.log().contains(" started "), "{}", room.log());
}

#[test]
fn detached_it_answers_before_its_parent_returns() {
    let room = Room::new();
    let script = format!("umask 027; exec '{}' --detach", env!("CARGO_BIN_EXE_orchd"));
    let done = output(room.command("/bin/sh").args(["-c", &script]));
    assert_eq!((done.status.code(), said(&done)), (Some(0), String::new()));
    let pid = pid_of(&room.socket());
    let proc = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    if !proc.is_empty() {
        assert!(
            proc.contains("Umask:\t0027"),
            "the umask is the caller's: {proc}"
        );
        let directory = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
        assert_eq!(directory.to_str(), Some("/"));
    }
    for detached in [true, false] {
        let mut second = room.orchd();
        if detached {
            second.arg("--detach");
        }
        let done = output(&mut second);
        assert_eq!(done.status.code(), Some(1));
        let text = said(&done);
        assert!(
            text.contains(&format!("another orchd (pid {pid}, version")),
            "{text}"
        );
    }
    shut_down(&room.socket());
}

#[test]
fn what_prevents_a_start_is_said_by_whoever_was_started() {
    let room = Room::new();
    // An empty directory would be made private instead.
    std::fs::create_dir_all(room.path("run/others")).unwrap();
    std::fs::set_permissions(room.path("run"), PermissionsExt::from_mode(0o755)).unwrap();
    for arguments in [&["--detach"][..], &[]] {
        let done = output(room.orchd().args(arguments));
        assert_eq!(done.status.code(), Some(1));
        let text = said(&done);
        assert!(text.starts_with("orchd: the directory"), "{text}");
        assert!(
            text.contains("mode 0755") && text.contains("chmod 700"),
            "{text}"
        );
    }
    std::fs::set_permissions(room.path("run"), PermissionsExt::from_mode(0o700)).unwrap();
    let long = "x".repeat(120);
    let done = output(room.orchd().args(["--socket", &long]));
    assert!(said(&done).contains("at most 107 fit") || cfg!(target_os = "macos"));
    let done = output(room.orchd().env("ORCHD_LOG", "orch=loud"));
    assert!(
        said(&done).contains("ORCHD_LOG is `orch=loud`"),
        "{}",
        said(&done)
    );
    let done = output(
        room.orchd()
            .env_remove("HOME")
            .env_remove("ORCHD_STATE_DIR"),
    );
    assert!(said(&done).contains("HOME is not set"), "{}", said(&done));
}

#[test]
fn shutdown_is_answered_before_the_end() {
    let room = Room::new();
    let mut daemon = Daemon::start(&room);
    let mut waiting = Client::connect(&room.socket());
    waiting.introduce();
    shut_down(&room.socket());
    assert_eq!(daemon.end().0.code(), Some(0));
    assert_eq!(waiting.line(), None);
}
