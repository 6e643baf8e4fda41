//! One daemon per socket, whatever happens.

use crate::deadline::DEADLINE;
use crate::{Daemon, Room, pid_of};
use rustix::process::Signal;
use std::time::Instant;

#[test]
fn a_killed_daemons_socket_is_taken_over() {
    let room = Room::new();
    let mut first = Daemon::start(&room);
    first.signal(Signal::KILL);
    first.end();
    assert!(room.socket().exists(), "a killed daemon leaves its socket");
    let second = Daemon::start(&room);
    assert_eq!(pid_of(&room.socket()), second.pid());
}

#[test]
fn of_two_that_start_at_once_exactly_one_lives() {
    let room = Room::new();
    for round in 0..20 {
        let mut daemons = [Daemon::spawn(&room), Daemon::spawn(&room)];
        let listening = daemons.each_mut().map(Daemon::listens);
        assert_eq!(
            listening.iter().filter(|listens| **listens).count(),
            1,
            "round {round}"
        );
        let [first, second] = &mut daemons;
        let (winner, loser) = if listening[0] {
            (first, second)
        } else {
            (second, first)
        };
        let (status, said) = loser.end();
        assert_eq!(status.code(), Some(1), "round {round}");
        assert!(
            said.contains("orchd: another orchd ("),
            "round {round}: {said}"
        );
        assert_eq!(pid_of(&room.socket()), winner.pid(), "round {round}");
        let signal = if round % 2 == 0 {
            Signal::KILL
        } else {
            Signal::TERM
        };
        winner.signal(signal);
        winner.end();
    }
}

#[test]
fn a_daemon_whose_directory_was_deleted_ends() {
    let room = Room::new();
    let mut daemon = Daemon::start(&room);
    std::fs::remove_dir_all(room.path("run")).unwrap();
    // As long as the first has not noticed, it holds the state directory, and the second is refused.
    let late = Instant::now() + DEADLINE;
    let second = loop {
        let mut second = Daemon::spawn(&room);
        if second.listens() {
            break second;
        }
        assert!(Instant::now() < late, "{}", second.end().1);
    };
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(0));
    assert!(said.contains("was taken away"), "{said}");
    assert_eq!(
        pid_of(&room.socket()),
        second.pid(),
        "the first has left the second's socket alone"
    );
}
