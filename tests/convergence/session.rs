//! A session: rounds of storms, each followed by the questions that the daemon has to have the true answer to.

use crate::acts::{Act, acts};
use crate::chance::Chance;
use crate::deadline::within;
use crate::place::{Client, Place};
use crate::truth::{self, Content, Leaf, Reader};
use crate::writer::{Writer, flood, probe};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

const WRITERS_MAX: usize = 5;
/// So many paths does a `change` event name; past it, it counts them.
const PATHS_TOLD_MAX: u64 = 100;

/// What the daemon is about during a storm.
#[derive(Clone, Copy, Debug)]
enum Daemon {
    /// It looks when it likes.
    Left,
    /// Somebody asks all the time, so that it looks at what is half-made.
    Asked,
    /// It is stopped, and finds everything at once.
    Stopped,
    /// It is stopped, and the kernel has no room for what it would be told of the storm.
    Deaf,
}

/// A round, as it is printed when it fails.
#[derive(Debug)]
struct Storm {
    #[expect(dead_code, reason = "it is printed")]
    daemon: Daemon,
    acts: Vec<Vec<Act>>,
}

/// Where the session stands.
struct Session<'a> {
    place: &'a Place,
    asker: Client,
    events: Client,
    reader: Reader,
    /// What was there at the last quiet point.
    before: Content,
    /// What is to be told of a failure.
    name: String,
}

/// Plays a session, and says how many rounds it had.
pub(crate) fn play(seed: u64, rounds: usize) -> usize {
    let mut chance = Chance::new(seed);
    // Runs by themselves, in the middle of a storm; or looks only when somebody asks.
    let settle_ms = chance.of(&[5, 60_000]);
    let poll = chance.of(&["auto", "auto", "auto", "auto", "always"]);
    let place = Place::new(settle_ms, poll);
    let mut writers: Vec<_> = (0..WRITERS_MAX).map(|n| Writer::new(&place, n)).collect();
    let mut reader = Reader::default();
    let mut session = Session {
        place: &place,
        asker: place.client(),
        events: place.client().subscribed(),
        before: reader.content(&place),
        reader,
        name: format!("CONVERGENCE_SEED={seed}, before any storm"),
    };
    session.look();
    for round in 0..rounds {
        let count = 1 + chance.below(WRITERS_MAX);
        let daemon = match chance.below(12) {
            0 => Daemon::Deaf,
            1..4 => Daemon::Stopped,
            4..8 => Daemon::Asked,
            _ => Daemon::Left,
        };
        let rules = chance.once_in(4);
        let storm = Storm {
            daemon,
            acts: (0..count).map(|_| acts(&mut chance, rules)).collect(),
        };
        session.name = format!(
            "CONVERGENCE_SEED={seed}, settle_ms = {settle_ms}, poll = {poll}, round {round}: {storm:#?}"
        );
        rage(&place, daemon, &storm.acts, &mut writers);
        session.converge();
        if chance.once_in(3) {
            session.name.push_str(", and a file in each directory");
            probe(&place.root(), &round.to_string());
            session.converge();
        }
        if chance.once_in(6) {
            session.prove();
        }
    }
    rounds
}

/// Lets the writers do their acts at once, and returns when all have.
fn rage(place: &Place, daemon: Daemon, acts: &[Vec<Act>], writers: &mut [Writer<'_>]) {
    let over = AtomicBool::new(false);
    if let Daemon::Stopped | Daemon::Deaf = daemon {
        place.signal(Signal::STOP);
    }
    if let Daemon::Deaf = daemon {
        flood(&place.root());
    }
    std::thread::scope(|scope| {
        if let Daemon::Asked = daemon {
            let mut client = place.client();
            let over = &over;
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    client.ask("sync", &json!({}));
                }
            });
        }
        let threads = writers.iter_mut().zip(acts).map(|(writer, acts)| {
            scope.spawn(move || acts.iter().for_each(|act| writer.perform(act)))
        });
        let threads: Vec<_> = threads.collect();
        let done: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        over.store(true, Ordering::Relaxed);
        for done in done {
            done.unwrap();
        }
    });
    if let Daemon::Stopped | Daemon::Deaf = daemon {
        place.signal(Signal::CONT);
    }
}

impl Session<'_> {
    /// Everything that was done is seen: what is known then, and what that told.
    fn look(&mut self) -> (Value, Vec<Value>) {
        let synced = self.asker.ask("sync", &json!({}));
        assert_eq!(synced["synced"], true, "{synced}: {}", self.name);
        let gate = self.asker.ask("gate", &json!({"wait": false}));
        let seq = self.asker.ask("ping", &json!({}))["seq"].as_u64().unwrap();
        (gate, self.events.through(seq))
    }

    /// The daemon has to know what is there, and to have told what differs.
    fn converge(&mut self) {
        let (gate, events) = self.look();
        let after = self.reader.content(self.place);
        if gate["projects"][0]["input_digest"] != truth::digest(&after).as_str() {
            self.accuse(&gate, &after);
        }
        let differing = truth::differing(&self.before, &after);
        let untold = untold(&events, &differing);
        assert!(
            untold.is_empty(),
            "told by no change: {untold:?}\n{events:#?}\n{}",
            self.name
        );
        self.before = after;
    }

    /// The daemon knows something else: what, `explain` tells of its rules, and a look at everything, which tells true
    /// differences only, of its watches.
    fn accuse(&mut self, gate: &Value, after: &Content) {
        let again = self.reader.content(self.place);
        let moved = truth::differing(after, &again);
        let hidden = self.hidden(after);
        // Where it is told of nothing that came, it looks at everything.
        self.place.signal(Signal::STOP);
        flood(&self.place.root());
        self.place.signal(Signal::CONT);
        let (_, mut events) = self.look();
        // The first may be told before everything has been looked at.
        let (second, more) = self.look();
        events.extend(more);
        let found: Vec<_> = events.iter().filter(|it| it["type"] == "change").collect();
        let second = &second["projects"][0]["input_digest"];
        let right = *second == truth::digest(&self.reader.content(self.place)).as_str();
        let names: Vec<String> = after.keys().map(|path| truth::told(path)).collect();
        panic!(
            "the daemon has another content: {gate}\na look at everything is right: {right}, it found {found:#?}\n\
             hidden by a rule that is none: {hidden:?}\nmoved by itself: {moved:?}\nthere is {names:?}\n{}",
            self.name
        );
    }

    /// What is there, and hidden by a rule as the daemon has it.
    fn hidden(&mut self, after: &Content) -> Vec<Value> {
        let explained = after.keys().map(|path| {
            let path = self.place.root().join(OsStr::from_bytes(path));
            // What is no text cannot be asked about.
            let path = path.to_str()?;
            let answer = self.asker.ask("explain", &json!({"path": path}));
            (!answer["ignored"].is_null()).then_some(answer)
        });
        explained.flatten().collect()
    }

    /// What the run of a verdict read has to be what is there.
    fn prove(&mut self) {
        let mut asker = self.place.client();
        let answer = within("gate", move || asker.ask("gate", &json!({})));
        let project = &answer["projects"][0];
        assert_eq!(
            project["input_digest"],
            truth::digest(&self.before).as_str(),
            "{answer}: {}",
            self.name
        );
        if project["verdict"] == "unstable" {
            // Two saves of one file by somebody look like a stage that rewrites what it reads.
            return;
        }
        assert_eq!(project["verdict"], "pass", "{answer}: {}", self.name);
        let seen = self.place.path("seen");
        let seen = std::fs::read(seen.join(project["run_id"].as_str().unwrap())).unwrap();
        let seen: BTreeSet<&[u8]> = seen.split(|byte| *byte == 0).collect();
        for (path, leaf) in &self.before {
            if let Leaf::File { hash, .. } = leaf {
                let line = [hash.as_bytes(), b"  ./", path].concat();
                assert!(
                    seen.contains(&line[..]),
                    "{answer}\nproves what has not been run: {}\n{}",
                    truth::told(path),
                    self.name
                );
            }
        }
    }
}

/// Those of these paths of which no change told. One that tells of more than it names, names the first in their order.
fn untold(events: &[Value], differing: &BTreeSet<Vec<u8>>) -> Vec<String> {
    let mut left: BTreeSet<&Vec<u8>> = differing.iter().collect();
    let mut unnamed = 0;
    for event in events {
        if event["type"] == "resync" {
            return Vec::new();
        }
        if event["type"] != "change" {
            continue;
        }
        let Some(count) = event["count"].as_u64() else {
            return Vec::new();
        };
        let told = event["paths"].as_array().unwrap();
        let told: BTreeSet<&str> = told.iter().map(|path| path.as_str().unwrap()).collect();
        left.retain(|path| !told.contains(&*truth::told(path)));
        unnamed += count.saturating_sub(PATHS_TOLD_MAX);
    }
    match u64::try_from(left.len()).unwrap() > unnamed {
        true => left.into_iter().map(|path| truth::told(path)).collect(),
        false => Vec::new(),
    }
}
