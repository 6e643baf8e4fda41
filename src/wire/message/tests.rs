//! Requests, answers and events as they stand on the line.
//!
//! The texts are written out where an editor's author would rely on them: the order of fields, the codes, the nulls.

use super::*;
use crate::model::id::{RunId, Seq, TaskId};
use crate::model::path::RootPath;
use crate::model::report::event::{Happening, VerdictTold};
use crate::model::report::status::{DaemonStatus, Status};
use crate::model::run::Verdict;
use crate::model::time::Timestamp;
use crate::wire::call::{Nothing, SyncWanted};
use crate::wire::handshake::Party;
use proptest::prelude::*;

fn refusal(line: &str) -> (i64, String, bool) {
    let refused = read(line).unwrap_err();
    (
        refused.refusal.code.0,
        refused.refusal.message,
        refused.close,
    )
}

#[test]
fn a_question_is_read_as_it_was_written() {
    let call = Call::Sync(SyncWanted {
        workspace: None,
        timeout_ms: Some(9),
    });
    let id = Id::Text("a\"b".to_owned());
    let deadline = Some(Duration::from_secs(2));
    let line = write_request(&id, &call, deadline).unwrap();
    assert_eq!(
        line,
        "{\"jsonrpc\":\"2.0\",\"id\":\"a\\\"b\",\"method\":\"sync\",\"params\":{\"timeout_ms\":9,\"deadline_ms\":2000}}\n"
    );
    assert_eq!(
        read(&line),
        Ok(Inbound::Request {
            id: id.clone(),
            call,
            deadline
        })
    );
    let initialize = Initialize::of("editor");
    let line = write_initialize(&Id::Number(0), &initialize).unwrap();
    assert_eq!(
        read(&line),
        Ok(Inbound::Initialize {
            id: Id::Number(0),
            initialize
        })
    );
    assert_eq!(
        read(&write_cancel(&id).unwrap()),
        Ok(Inbound::Cancel { id })
    );
}

#[test]
fn parameters_may_be_left_out_and_a_deadline_of_a_year_is_none() {
    let ping = Call::Ping(Nothing {});
    for line in [
        r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"deadline_ms":31536000000}}"#,
        r#"{"extra":1,"jsonrpc":"2.0","id":7,"method":"p\u0069ng"}"#,
    ] {
        let expected = Inbound::Request {
            id: Id::Number(7),
            call: ping.clone(),
            deadline: None,
        };
        assert_eq!(read(line), Ok(expected), "{line}");
    }
}

#[test]
fn what_is_no_request_is_refused_by_its_code() {
    for (line, code, part) in [
        ("{", -32700, "no JSON-RPC request"),
        ("nonsense", -32700, "no JSON-RPC request"),
        (r#""text""#, -32600, "no JSON-RPC request"),
        ("7", -32600, "no JSON-RPC request"),
        ("[]", -32600, "batches"),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            -32600,
            "batches",
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            -32600,
            "`id`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            -32600,
            "`id`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            -32600,
            "`id`",
        ),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
            -32600,
            "jsonrpc",
        ),
        (r#"{"id":1,"method":"ping"}"#, -32600, "jsonrpc"),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600, "no method"),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            -32600,
            "no method",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
            -32600,
            "duplicate field",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"pong"}"#,
            -32601,
            "`pong`",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":3}"#,
            -32602,
            "no object",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#,
            -32602,
            "initialize",
        ),
    ] {
        let (found, message, close) = refusal(line);
        assert_eq!((found, close), (code, false), "{line}");
        assert!(message.contains(part), "{line}: {message}");
    }
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
        "x".repeat(300)
    );
    assert_eq!(refusal(&long).0, -32600);
}

#[test]
fn nesting_beyond_the_limit_ends_the_connection_unparsed() {
    let deep = format!(r#"{{"params":{}1{}}}"#, "[".repeat(64), "]".repeat(64));
    assert_eq!(
        refusal(&deep),
        (
            -32008,
            "the message is nested deeper than 64".to_owned(),
            true
        )
    );
}

#[test]
fn notifications_are_heard_only_where_they_mean_something() {
    for line in [
        r#"{"jsonrpc":"2.0","method":"shutdown"}"#,
        r#"{"jsonrpc":"2.0","method":"$/other","params":{"id":1}}"#,
        r#"{"jsonrpc":"2.0","method":"$/cancelRequest","params":{"id":null}}"#,
        r#"{"jsonrpc":"2.0","method":"$/cancelRequest"}"#,
    ] {
        assert_eq!(read(line), Ok(Inbound::Ignored), "{line}");
    }
    let refused = read("{}").unwrap_err();
    assert_eq!((refused.id, refused.refusal.code), (None, Code::REQUEST));
}

#[test]
fn a_foreign_protocol_is_told_what_is_spoken_here() {
    let initialize = Initialize {
        client: Party {
            name: "old".to_owned(),
            version: String::new(),
        },
        protocol: vec![0, 2],
    };
    let line = write_initialize(&Id::Number(1), &initialize).unwrap();
    let refused = read(&line).unwrap_err();
    assert_eq!(refused.refusal.kind, ErrorKind::Unsupported);
    assert!(refused.refusal.message.contains("old speaks [0, 2]"));
    assert!(refused.refusal.hint.unwrap().contains("one release"));
}

#[test]
fn a_refusal_carries_its_kind_and_its_hint() {
    let refusal =
        Refusal::new(ErrorKind::Untrusted, "`/w` is not allowed").hint("orchctl allow /w");
    let line = write_refusal(Some(&Id::Number(3)), &refusal).unwrap();
    assert_eq!(
        line,
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"error\":{\"code\":-32004,\"message\":\"`/w` is not allowed\",\"data\":{\"kind\":\"untrusted\",\"hint\":\"orchctl allow /w\"}}}\n"
    );
    let Outbound::Answer { id, result } = read_outbound(&line).unwrap() else {
        panic!("no answer");
    };
    assert_eq!((id, result.unwrap_err()), (Some(Id::Number(3)), refusal));
    let nameless = write_refusal(None, &Refusal::new(ErrorKind::Busy, "later")).unwrap();
    assert!(nameless.contains("\"id\":null"));
}

#[test]
fn an_answer_keeps_the_order_of_its_fields() {
    let line = write_answer(&Id::Number(1), &Nothing {}).unwrap();
    assert_eq!(line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n");
    let Outbound::Answer { result, .. } = read_outbound(&line).unwrap() else {
        panic!("no answer");
    };
    assert_eq!(result.unwrap().get(), "{}");
}

#[test]
fn events_come_back_as_they_were_told() {
    let root = RootPath::new(std::path::Path::new("/w")).unwrap();
    let at = Timestamp::parse("2026-11-22T10:09:50.592Z").unwrap();
    let verdict = Happening::Verdict(VerdictTold {
        workspace: root,
        task_id: TaskId::parse("0101").unwrap(),
        verdict: Verdict::Pass,
        fresh: true,
        input_digest: None,
        run_id: Some(RunId::parse("r1").unwrap()),
        manifest: None,
        failure: None,
    });
    let daemon = DaemonStatus {
        pid: 1,
        version: "0".to_owned(),
        instance_id: "i".to_owned(),
        uptime_ms: 2,
        seq: Seq(4),
        rss_bytes: 3,
        watches: 0,
    };
    let status = Box::new(Status {
        daemon,
        workspaces: Vec::new(),
    });
    for what in [verdict, Happening::Snapshot { status }, Happening::Resync] {
        let event = Event {
            seq: Seq(4),
            at,
            what,
        };
        let line = write_event(&event).unwrap();
        let head = r#"{"jsonrpc":"2.0","method":"event","params":{"seq":4,"at":"2026-11-22T10:09:50.592Z","type":""#;
        assert!(line.starts_with(head), "{line}");
        let Outbound::Event(back) = read_outbound(&line).unwrap() else {
            panic!("no event: {line}");
        };
        assert_eq!(*back, event);
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(
        text in r#"\PC{0,80}|[\[\]{}":,0-9a-z\\$./ ]{0,120}|\{"jsonrpc":"2\.0","id":[0-9"a\-.]{1,4},"method":"[a-z.$/]{1,12}","params":[{}\[\]":a-z0-9]{0,20}\}"#
    ) {
        if let Ok(Inbound::Request { id, call, deadline }) = read(&text) {
            let again = read(&write_request(&id, &call, deadline).unwrap());
            prop_assert_eq!(again, Ok(Inbound::Request { id, call, deadline }));
        }
        drop(read_outbound(&text));
    }
}

#[test]
fn what_is_refused_is_not_sent_back_whole() {
    let long = "ä".repeat(500_000);
    let refusal = Refusal::new(
        ErrorKind::UnknownRun,
        format!("no run's id contains `{long}`"),
    );
    let refusal = refusal.hint(format!("not `{long}`"));
    let answer = write_refusal(Some(&Id::Number(1)), &refusal).unwrap();
    assert!(answer.starts_with("{\"jsonrpc\":\"2.0\",\"id\":1,\"error\""));
    assert!(answer.contains("no run's id contains `äää"));
    assert!(answer.len() < 40_000, "{}", answer.len());
}

#[test]
fn an_id_that_is_too_large_is_told_so() {
    for (id, words) in [
        ("9223372036854775808", "from -2^63 to 2^63 - 1"),
        ("1.5", "from -2^63 to 2^63 - 1"),
        ("true", "neither a whole number nor a string"),
    ] {
        let line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}");
        let refused = read(&line).unwrap_err();
        assert!(refused.refusal.message.contains(words), "{refused:?}");
    }
}
