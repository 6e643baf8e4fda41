//! The socket of a real daemon under clients that behave and clients that do not.

use crate::deadline::DEADLINE;
use crate::{Client, Daemon, Room, output, pid_of, said};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

#[test]
fn a_hundred_clients_are_served_beside_those_that_misbehave() {
    let room = Room::new();
    let daemon = Daemon::start(&room);
    let mut silent = UnixStream::connect(room.socket()).unwrap();
    let mut endless = UnixStream::connect(room.socket()).unwrap();
    endless.set_write_timeout(Some(DEADLINE)).unwrap();
    // The daemon reads no further than it has to, so that the rest may find a closed connection.
    drop(endless.write_all(&vec![b'['; 8 * 1024 * 1024]));
    // Each says something at once: who is silent for 2 s is sent away, and the last of a hundred might be.
    let mut clients: Vec<_> = (0..100)
        .map(|_| {
            let mut client = Client::connect(&room.socket());
            client.send("not json");
            client
        })
        .collect();
    for client in &mut clients {
        assert_eq!(client.line().unwrap()["error"]["code"], -32700);
        client.introduce();
    }
    for client in &mut clients {
        let status = client.ask("status");
        assert_eq!(status["result"]["daemon"]["pid"], daemon.pid());
        assert_eq!(status["result"]["workspaces"], serde_json::json!([]));
    }
    silent.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut reason = String::new();
    silent.read_to_string(&mut reason).unwrap();
    assert!(reason.contains("did not come within 2 s"), "{reason}");
    assert_eq!(clients[0].ask("ping")["result"]["pid"], daemon.pid());
}

#[test]
fn the_connection_beyond_the_limit_is_told_and_a_free_place_is_given_again() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(4096).min(4096);
    if wanted < 2200 {
        skip("the hard limit of open files is below 2,200");
        return;
    }
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(wanted),
            maximum: limit.maximum,
        },
    )
    .unwrap();
    let room = Room::new();
    let daemon = Daemon::start(&room);
    let mut clients = Vec::new();
    for _ in 0..1024 {
        let mut client = Client::connect(&room.socket());
        assert_eq!(client.ask("ping")["result"]["pid"], daemon.pid());
        clients.push(client);
    }
    let mut beyond = Client::connect(&room.socket());
    assert_eq!(beyond.line().unwrap()["error"]["data"]["kind"], "busy");
    assert_eq!(beyond.line(), None);
    assert_eq!(clients[1023].ask("ping")["result"]["pid"], daemon.pid());
    drop(clients);
    // Each refusal shows that the daemon has not seen all the ends yet.
    let served = (0..10_000).any(|_| {
        let mut client = Client::connect(&room.socket());
        client.send(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
        client
            .line()
            .is_some_and(|line| line["result"]["pid"] == daemon.pid())
    });
    assert!(served);
}

#[test]
fn without_file_descriptors_it_waits_and_goes_on_when_there_are_some() {
    let room = Room::new();
    let script = format!("ulimit -n 40; exec '{}'", env!("CARGO_BIN_EXE_orchd"));
    let mut daemon = Daemon::spawn_as(room.command("/bin/sh").args(["-c", &script]));
    assert!(daemon.listens());
    let mut first = Client::connect(&room.socket());
    assert_eq!(first.ask("ping")["result"]["pid"], daemon.pid());
    let mut others: Vec<_> = (0..100).map(|_| Client::connect(&room.socket())).collect();
    assert!(daemon.says("failed to accept a connection"));
    assert_eq!(first.ask("ping")["result"]["pid"], daemon.pid());
    let mut last = others.pop().unwrap();
    drop(others);
    assert_eq!(last.ask("ping")["result"]["pid"], daemon.pid());
    daemon.signal(Signal::TERM);
    let refused = daemon.end().1.matches("failed to accept").count();
    assert!(refused < 50, "the listener span: {refused} refusals");
}

#[test]
fn a_subscription_on_an_empty_daemon_is_a_snapshot() {
    let room = Room::new();
    let daemon = Daemon::start(&room);
    let mut client = Client::connect(&room.socket());
    client.introduce();
    assert_eq!(client.ask("events.subscribe")["result"]["subscribed"], true);
    let event = client.line().unwrap();
    assert_eq!(event["method"], "event");
    assert_eq!(event["params"]["type"], "snapshot");
    assert_eq!(event["params"]["status"]["daemon"]["pid"], daemon.pid());
}

/// Even where the modes would let another user in, the daemon does not answer.
#[test]
fn another_user_is_not_answered() {
    if !rustix::process::geteuid().is_root() {
        return skip("only root can become another user");
    }
    if !std::path::Path::new("/usr/bin/python3").exists() {
        return skip("/usr/bin/python3 is not there");
    }
    let room = Room::new();
    let daemon = Daemon::start(&room);
    for path in [
        room.directory.path().to_path_buf(),
        room.path("run"),
        room.socket(),
    ] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    }
    let script = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(60)
s.connect(sys.argv[1])
try:
    s.sendall(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
    sys.stdout.write(repr(s.recv(100)))
except (BrokenPipeError, ConnectionResetError):
    sys.stdout.write(repr(b''))
"#;
    if !std::path::Path::new("/usr/bin/setpriv").exists() {
        return skip("/usr/bin/setpriv is not there");
    }
    let mut other = Command::new("/usr/bin/setpriv");
    other.args(["--reuid=65534", "--clear-groups", "/usr/bin/python3"]);
    let asked = output(other.args(["-c", script]).arg(room.socket()));
    assert!(asked.status.success(), "{}", said(&asked));
    assert_eq!(asked.stdout, b"b''");
    assert_eq!(pid_of(&room.socket()), daemon.pid());
}

fn skip(reason: &str) {
    drop(writeln!(std::io::stderr(), "SKIPPED: {reason}"));
}
