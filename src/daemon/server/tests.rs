//! The real socket with a main loop that the test plays itself.
//!
//! What a connection does is tested beside `connection`, with a pipe for a peer.

use super::*;
use crate::model::places::Places;
use crate::model::report::GateAnswer;
use crate::model::run::Verdict;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::UnixStream;

#[tokio::test]
async fn the_socket_goes_before_the_last_answers_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let places = Places {
        socket: at("run/orchd.sock"),
        config: at("config.toml"),
        state: at("state"),
    };
    let listener = Listener::bind(Claim::take(&places).unwrap()).unwrap();
    let (hub, mut incoming) = Hub::new(Arc::new(About::new("i".to_owned())));
    let served = tokio::spawn(listener.serve(hub));
    let mut client = BufReader::new(UnixStream::connect(&places.socket).await.unwrap());
    let line = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"gate\"}\n";
    client.write_all(line).await.unwrap();
    let Some(Incoming::Asked(asked)) = incoming.recv().await else {
        panic!("no question");
    };
    drop(incoming);
    while UnixStream::connect(&places.socket).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!places.socket.exists());
    // Whoever starts now must not find a free lock either: the state directory is still ours.
    let lock = std::fs::File::open(places.lock()).unwrap();
    let refused = lock.try_lock().unwrap_err();
    assert!(matches!(refused, std::fs::TryLockError::WouldBlock));
    let green = GateAnswer {
        green: None,
        verdict: Verdict::Pass,
        detail: None,
        projects: Vec::new(),
    };
    asked.answer.send(Ok(green.into())).unwrap();
    let mut answer = String::new();
    client.read_line(&mut answer).await.unwrap();
    assert!(answer.contains("\"verdict\":\"pass\""), "{answer}");
    drop(client);
    served.await.unwrap();
    lock.try_lock().unwrap();
}
