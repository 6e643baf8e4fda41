//! Connections with a main loop that the test plays itself.
//!
//! The peer is an in-memory pipe with a buffer that the test chooses; where time matters the clock is stopped and moves
//! only when everybody waits.

mod events;

use super::*;
use crate::daemon::server::{About, Asked, Incoming};
use crate::model::report::event::Event;
use crate::model::report::{GateAnswer, WorkspaceList};
use crate::model::run::Verdict;
use crate::wire::message::{Outbound, read_outbound};
use proptest::prelude::*;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::{BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::task::JoinHandle;

const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"client":{"name":"t"},"protocol":[1]}}"#;

struct Client {
    lines: BufReader<ReadHalf<DuplexStream>>,
    writer: WriteHalf<DuplexStream>,
    incoming: mpsc::Receiver<Incoming>,
    served: JoinHandle<()>,
}

impl Client {
    fn connect(buffer_bytes: usize) -> Self {
        let (hub, incoming) = Hub::new(Arc::new(About::new("i".to_owned())));
        let (ours, theirs) = tokio::io::duplex(buffer_bytes);
        let served = tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(theirs);
            serve_connection(reader, writer, Peer { uid: 0 }, &hub).await;
        });
        let (reader, writer) = tokio::io::split(ours);
        Self {
            lines: BufReader::new(reader),
            writer,
            incoming,
            served,
        }
    }

    async fn introduced() -> Self {
        let mut client = Self::connect(64 * 1024);
        client.send(HELLO).await;
        assert!(client.line().await.unwrap().contains("\"protocol\":1"));
        client
    }

    async fn send(&mut self, line: &str) {
        self.write(format!("{line}\n").as_bytes()).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.writer.write_all(bytes).await.unwrap();
    }

    /// The next line; none at the end.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line).await.unwrap() {
            0 => None,
            _ => Some(line),
        }
    }

    async fn refusal(&mut self) -> (Option<Id>, ErrorKind) {
        match read_outbound(&self.line().await.unwrap()).unwrap() {
            Outbound::Answer { id, result } => (id, result.unwrap_err().kind),
            other @ (Outbound::Event(_) | Outbound::Ignored) => panic!("no refusal: {other:?}"),
        }
    }

    async fn asked(&mut self) -> Asked {
        match self.incoming.recv().await.unwrap() {
            Incoming::Asked(asked) => asked,
            other @ (Incoming::Gone(_) | Incoming::Evicted) => panic!("no question: {other:?}"),
        }
    }

    async fn event(&mut self) -> Event {
        read_event(&mut self.lines).await
    }
}

async fn read_event(lines: &mut BufReader<ReadHalf<DuplexStream>>) -> Event {
    let mut line = String::new();
    lines.read_line(&mut line).await.unwrap();
    match read_outbound(&line).unwrap() {
        Outbound::Event(event) => *event,
        other @ (Outbound::Answer { .. } | Outbound::Ignored) => panic!("no event: {other:?}"),
    }
}

fn gate(id: u32) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"gate","params":{{}}}}"#)
}

fn green() -> Answer {
    GateAnswer {
        green: None,
        verdict: Verdict::Pass,
        detail: None,
        projects: Vec::new(),
    }
    .into()
}

#[tokio::test]
async fn requests_are_answered_in_any_order_by_their_ids() {
    let mut client = Client::connect(64 * 1024);
    client.send(&gate(1)).await;
    client
        .send(r#"{"jsonrpc":"2.0","id":"b","method":"gate"}"#)
        .await;
    let (first, second) = (client.asked().await, client.asked().await);
    second.answer.send(Ok(green())).unwrap();
    assert!(
        client
            .line()
            .await
            .unwrap()
            .starts_with(r#"{"jsonrpc":"2.0","id":"b","result":{"verdict":"pass""#)
    );
    first.answer.send(Ok(green())).unwrap();
    assert!(client.line().await.unwrap().contains("\"id\":1"));
}

#[tokio::test]
async fn garbage_is_refused_and_the_next_line_is_heard() {
    let mut client = Client::connect(64 * 1024);
    client
        .write(b"\n nonsense\n\xff\xfe\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"pi")
        .await;
    assert_eq!(client.refusal().await, (None, ErrorKind::Unsupported));
    assert_eq!(client.refusal().await, (None, ErrorKind::Unsupported));
    client.write(b"ng\"}\n").await;
    assert!(
        client
            .line()
            .await
            .unwrap()
            .contains("\"instance_id\":\"i\"")
    );
}

#[tokio::test]
async fn a_message_that_never_ends_is_refused_and_what_came_before_is_heard() {
    let mut client = Client::connect(64 * 1024);
    let ping = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}";
    client.write(format!("{ping}\n{ping}").as_bytes()).await;
    client.writer.shutdown().await.unwrap();
    assert!(client.line().await.unwrap().contains("\"id\":1"));
    assert_eq!(client.refusal().await, (None, ErrorKind::Unsupported));
    assert_eq!(client.line().await, None);
}

#[tokio::test]
async fn an_oversized_message_is_answered_although_its_sender_is_still_writing() {
    let mut client = Client::connect(64 * 1024);
    client.write(&vec![b'x'; 2 * MESSAGE_BYTES_MAX]).await;
    assert_eq!(client.refusal().await, (None, ErrorKind::TooLarge));
    assert_eq!(client.line().await, None);
}

#[tokio::test]
async fn a_deep_message_ends_the_connection() {
    let mut client = Client::connect(64 * 1024);
    client.send(&"[".repeat(10_000)).await;
    assert_eq!(client.refusal().await, (None, ErrorKind::TooLarge));
    assert_eq!(client.line().await, None);
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_or_trickles_is_let_go() {
    let mut silent = Client::connect(64);
    let begin = Instant::now();
    silent.write(b"{\"jsonrpc\"").await;
    assert_eq!(silent.refusal().await, (None, ErrorKind::Busy));
    assert_eq!(begin.elapsed().as_secs(), FIRST_MESSAGE_MAX.as_secs());
    let mut trickling = Client::introduced().await;
    let begin = Instant::now();
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    let trickle = async {
        while trickling.writer.write_all(b"x").await.is_ok() {
            every_second.tick().await;
        }
    };
    tokio::join!(trickle, async { (&mut trickling.served).await.unwrap() });
    assert!(
        (10..=12).contains(&begin.elapsed().as_secs()),
        "{:?}",
        begin.elapsed()
    );
    let mut patient = Client::introduced().await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    patient.send(&gate(1)).await;
    assert_eq!(patient.asked().await.peer, Peer { uid: 0 });
}

#[tokio::test]
async fn the_request_beyond_the_limit_ends_the_connection_and_frees_all_waiters() {
    let mut client = Client::connect(64 * 1024);
    let mut asked = Vec::new();
    for id in 0..64 {
        client.send(&gate(id)).await;
        asked.push(client.asked().await);
    }
    client.send(&gate(64)).await;
    assert_eq!(
        client.refusal().await,
        (Some(Id::Number(64)), ErrorKind::Busy)
    );
    assert_eq!(client.line().await, None);
    drop(client.writer);
    client.served.await.unwrap();
    let mut gone = Vec::new();
    while let Some(Incoming::Gone(request)) = client.incoming.recv().await {
        gone.push(request);
    }
    gone.sort();
    assert_eq!(
        gone,
        asked.iter().map(|asked| asked.request).collect::<Vec<_>>()
    );
    assert!(asked.iter().all(|asked| asked.answer.is_closed()));
}

#[tokio::test]
async fn many_pings_in_one_piece_are_all_answered() {
    let mut client = Client::connect(256);
    let pings: String = (0..1000)
        .map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}\n"))
        .collect();
    let (mut writer, lines) = (client.writer, &mut client.lines);
    let write = async { writer.write_all(pings.as_bytes()).await.unwrap() };
    let read = async {
        for id in 0..1000 {
            let mut line = String::new();
            lines.read_line(&mut line).await.unwrap();
            assert!(line.contains(&format!("\"id\":{id},\"result\"")), "{line}");
        }
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_cancelled_request_frees_its_waiter_and_its_id() {
    let mut client = Client::connect(64 * 1024);
    client.send(&gate(5)).await;
    let asked = client.asked().await;
    client.send(&gate(5)).await;
    assert_eq!(
        client.refusal().await,
        (Some(Id::Number(5)), ErrorKind::Unsupported)
    );
    client
        .send(r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":5}}"#)
        .await;
    let line = client.line().await.unwrap();
    assert!(
        line.contains("\"id\":5,\"error\":{\"code\":-32800"),
        "{line}"
    );
    let gone = client.incoming.recv().await.unwrap();
    assert!(matches!(gone, Incoming::Gone(request) if request == asked.request));
    assert!(asked.answer.is_closed());
    client.send(&gate(5)).await;
    client.asked().await.answer.send(Ok(green())).unwrap();
    assert!(
        client
            .line()
            .await
            .unwrap()
            .contains("\"verdict\":\"pass\"")
    );
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_the_waiting_and_not_the_connection() {
    let mut client = Client::introduced().await;
    client
        .send(r#"{"jsonrpc":"2.0","id":1,"method":"wait","params":{"deadline_ms":1500}}"#)
        .await;
    let begin = Instant::now();
    let asked = client.asked().await;
    assert_eq!(
        client.refusal().await,
        (Some(Id::Number(1)), ErrorKind::Unsynced)
    );
    assert_eq!(begin.elapsed().as_millis(), 1500);
    assert!(asked.answer.is_closed());
    assert!(matches!(
        client.incoming.recv().await,
        Some(Incoming::Gone(_))
    ));
    client
        .send(r#"{"jsonrpc":"2.0","id":2,"method":"workspace.list"}"#)
        .await;
    client
        .asked()
        .await
        .answer
        .send(Ok(WorkspaceList {
            workspaces: Vec::new(),
        }
        .into()))
        .unwrap();
    assert!(
        client
            .line()
            .await
            .unwrap()
            .contains(r#""result":{"workspaces":[]}"#)
    );
}

#[tokio::test]
async fn only_three_questions_need_no_introduction() {
    let mut client = Client::connect(64 * 1024);
    client
        .send(r#"{"jsonrpc":"2.0","id":1,"method":"shutdown"}"#)
        .await;
    let line = client.line().await.unwrap();
    assert!(line.contains("send `initialize` before it"), "{line}");
    client
        .send(r#"{"jsonrpc":"2.0","id":2,"method":"status"}"#)
        .await;
    let status = client.asked().await;
    assert_eq!(status.call.method(), "status");
    client.send(r#"{"jsonrpc":"2.0","id":3,"method":"initialize","params":{"client":{"name":"t"},"protocol":[9]}}"#).await;
    assert_eq!(
        client.refusal().await,
        (Some(Id::Number(3)), ErrorKind::Unsupported)
    );
}

#[tokio::test]
async fn a_peer_that_closes_its_side_still_gets_its_answer() {
    let mut client = Client::connect(64 * 1024);
    client.send(&gate(1)).await;
    let asked = client.asked().await;
    client.writer.shutdown().await.unwrap();
    asked.answer.send(Ok(green())).unwrap();
    assert!(
        client
            .line()
            .await
            .unwrap()
            .contains("\"verdict\":\"pass\"")
    );
    assert_eq!(client.line().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_answer_is_let_go() {
    let mut client = Client::connect(64);
    client
        .send(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
        .await;
    let begin = Instant::now();
    (&mut client.served).await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), ANSWER_TIME_MAX.as_secs());
}

#[tokio::test]
async fn when_the_daemon_ends_given_answers_are_sent_and_waiters_are_told() {
    let mut client = Client::connect(64 * 1024);
    client.send(&gate(1)).await;
    client.send(&gate(2)).await;
    let (first, second) = (client.asked().await, client.asked().await);
    first.answer.send(Ok(green())).unwrap();
    client.incoming.close();
    drop(second);
    let lines = [client.line().await.unwrap(), client.line().await.unwrap()].concat();
    assert!(
        lines.contains("\"verdict\":\"pass\"") && lines.contains("shutting_down"),
        "{lines}"
    );
    assert_eq!(client.line().await, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_sent_the_connection_ends_and_nothing_panics(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just(HELLO.as_bytes().to_vec()),
                Just(b"\n".to_vec()),
                Just(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n".to_vec()),
                Just(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"events.subscribe\"}\n".to_vec()),
                Just(b"{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"gate\"}\n".to_vec()),
                proptest::collection::vec(any::<u8>(), 0..40),
            ],
            0..30,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut client = Client::connect(1024);
            let write = async {
                for piece in pieces {
                    // The daemon may have closed by now.
                    drop(client.writer.write_all(&piece).await);
                }
                drop(client.writer.shutdown().await);
            };
            let mut answers = Vec::new();
            let read = client.lines.read_to_end(&mut answers);
            let ((), read) = tokio::join!(write, read);
            read.unwrap();
            client.served.await.unwrap();
        });
    }
}

fn attended(id: usize) -> String {
    let params = r#"{"wait":false,"detach":false}"#;
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"run.start","params":{params}}}"#)
}

#[tokio::test(start_paused = true)]
async fn whoever_was_answered_and_has_to_stay_is_told_to_have_gone_at_whatever_moment_he_goes() {
    for round in 0..100 {
        let mut client = Client::introduced().await;
        client.send(&attended(1)).await;
        let Asked {
            request,
            answer,
            hold,
            ..
        } = client.asked().await;
        // What is on its way to a peer that is gone ends the connection, perhaps before the answer is taken.
        client
            .send(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#)
            .await;
        answer.send(Ok(green())).unwrap();
        if round % 2 == 0 {
            tokio::task::yield_now().await;
        }
        let Client {
            lines,
            writer,
            mut incoming,
            served,
        } = client;
        drop((lines, writer));
        let told = timeout(ANSWER_TIME_MAX, incoming.recv()).await.unwrap();
        assert!(matches!(told, Some(Incoming::Gone(gone)) if gone == request));
        hold.unwrap().closed().await;
        served.await.unwrap();
    }
}

#[tokio::test]
async fn whoever_has_to_stay_counts_as_long_as_that_matters() {
    let mut client = Client::introduced().await;
    let mut holds = Vec::new();
    for id in 0..2 * REQUESTS_OUTSTANDING_MAX {
        client.send(&attended(id)).await;
        let Asked { answer, hold, .. } = client.asked().await;
        answer.send(Ok(green())).unwrap();
        let line = client.line().await.unwrap();
        assert!(line.contains(&format!("\"id\":{id},\"result\"")), "{line}");
        // The runs of the first half begin.
        holds.extend(hold.filter(|_| id >= REQUESTS_OUTSTANDING_MAX));
    }
    client.send(&attended(1)).await;
    assert_eq!(client.refusal().await.1, ErrorKind::Busy);
    for hold in &mut holds {
        hold.closed().await;
    }
}
