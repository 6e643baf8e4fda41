//! Subscriptions: the snapshot first, no gap, and a reader that lags.
//!
//! The feed is the real one; the test numbers the events, so that every gap, doubling or wrong order is a difference.

use super::*;
use crate::daemon::server::feed::Feed;
use crate::limits::SUBSCRIBER_EVENTS_MAX;
use crate::model::id::Seq;
use crate::model::path::RootPath;
use crate::model::report::event::{Happening, WorkspaceTold};
use crate::model::report::status::{DaemonStatus, Status};
use crate::model::time::Timestamp;

fn event(seq: u64, what: Happening) -> Event {
    Event {
        seq: Seq(seq),
        at: Timestamp::from_unix_ms(1_790_000_000_000),
        what,
    }
}

fn told(seq: u64) -> Event {
    let workspace = RootPath::new(std::path::Path::new("/w")).unwrap();
    event(
        seq,
        Happening::Workspace(WorkspaceTold {
            workspace,
            state: None,
            detail: None,
        }),
    )
}

fn snapshot(seq: u64) -> Event {
    let daemon = DaemonStatus {
        pid: 1,
        version: String::new(),
        instance_id: String::new(),
        uptime_ms: 0,
        seq: Seq(seq),
        rss_bytes: 0,
        watches: 0,
    };
    event(
        seq,
        Happening::Snapshot {
            status: Box::new(Status {
                daemon,
                workspaces: Vec::new(),
            }),
        },
    )
}

#[tokio::test]
async fn a_subscription_begins_with_the_snapshot_and_has_no_gap() {
    let mut client = Client::introduced().await;
    let mut feed = Feed::new();
    client
        .send(r#"{"jsonrpc":"2.0","id":1,"method":"events.subscribe","params":{"since":3}}"#)
        .await;
    let asked = client.asked().await;
    feed.subscribe(asked.subscriber.unwrap(), Seq(7), || snapshot(7));
    feed.publish(&told(8));
    asked
        .answer
        .send(Ok(SubscribeAnswer {
            subscribed: true,
            seq: Seq(7),
        }
        .into()))
        .unwrap();
    assert!(client.line().await.unwrap().contains("\"subscribed\":true"));
    assert_eq!(client.event().await, snapshot(7));
    assert_eq!(client.event().await, told(8));
    client
        .send(r#"{"jsonrpc":"2.0","id":2,"method":"events.unsubscribe"}"#)
        .await;
    assert!(
        client
            .line()
            .await
            .unwrap()
            .contains("\"subscribed\":false")
    );
    feed.publish(&told(9));
    assert!(feed.is_empty());
}

#[tokio::test]
async fn a_reader_that_lags_is_resynchronised_and_costs_others_nothing() {
    let mut feed = Feed::new();
    let (mut slow, mut quick) = (Client::introduced().await, Client::introduced().await);
    for client in [&mut slow, &mut quick] {
        client
            .send(r#"{"jsonrpc":"2.0","id":1,"method":"events.subscribe"}"#)
            .await;
        let asked = client.asked().await;
        feed.subscribe(asked.subscriber.unwrap(), Seq(0), || snapshot(0));
        asked
            .answer
            .send(Ok(SubscribeAnswer {
                subscribed: true,
                seq: Seq(0),
            }
            .into()))
            .unwrap();
        client.line().await.unwrap();
        assert_eq!(client.event().await, snapshot(0));
    }
    for seq in 1..=5000 {
        feed.publish(&told(seq));
        assert_eq!(quick.event().await, told(seq));
    }
    assert_eq!(feed.len(), 1, "the slow reader has lost its seat");
    let Client {
        lines, incoming, ..
    } = &mut slow;
    let resubscribe = async {
        let Some(Incoming::Asked(asked)) = incoming.recv().await else {
            panic!("no question");
        };
        feed.subscribe(asked.subscriber.unwrap(), Seq(5000), || snapshot(5000));
        feed.publish(&told(5001));
        let subscribed = SubscribeAnswer {
            subscribed: true,
            seq: Seq(5000),
        };
        asked.answer.send(Ok(subscribed.into())).unwrap();
    };
    let read = async {
        let mut seq = 1;
        loop {
            let next = read_event(lines).await;
            if next.what == Happening::Resync {
                assert_eq!(next.seq, Seq(5000));
                break seq;
            }
            assert_eq!(next, told(seq));
            seq += 1;
        }
    };
    let ((), read) = tokio::join!(resubscribe, read);
    assert!(
        (SUBSCRIBER_EVENTS_MAX..5000).contains(&usize::try_from(read).unwrap()),
        "{read}"
    );
    assert_eq!(slow.event().await, snapshot(5000));
    assert_eq!(slow.event().await, told(5001));
    assert_eq!(feed.len(), 2);
}
