//! Approvals: that somebody accepts what a run has said, of some content, for some of its stages, for some time.
//!
//! The manifest holds three fields of one, as the published orchestrator's schema has them; the sidecar holds all. One
//! counts only where both tell it: so one that was written in part, or taken out of the manifest, is honoured by nobody. An
//! approval changes no verdict and no evidence of what happened: a gate that honours one says so.

use super::manifest::Manifest;
use super::sidecar::Sidecar;
use crate::model::digest::{InputDigest, StageKey};
use crate::model::id::{RunId, StageId};
use crate::model::time::{Day, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One approval, as the sidecar has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedApproval {
    /// Who approved.
    pub actor: String,
    /// When.
    pub timestamp: Timestamp,
    /// Why.
    pub reason: String,
    /// The stages that it is for, with the keys that they had.
    pub stages: Vec<ApprovedStage>,
    /// Whether it was given for the whole run, not for stages by name.
    pub whole: bool,
    /// The last day, in UTC, on which it is honoured; nothing where it is for good.
    pub until: Option<Day>,
    /// The content that it is for.
    pub input_digest: InputDigest,
}

/// A stage whose failure is accepted, or that it was never run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedStage {
    /// The stage.
    pub id: StageId,
    /// What its failure depended on; nothing where it was not run.
    pub key: Option<StageKey>,
    /// The same as far as a look tells it, where that is another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_key: Option<StageKey>,
}

impl ApprovedStage {
    /// What its result depends on as far as a look tells it.
    #[must_use]
    pub fn content_key(&self) -> Option<StageKey> {
        self.content_key.or(self.key)
    }
}

impl RecordedApproval {
    /// Its three fields, as the manifest has them.
    #[must_use]
    pub fn brief(&self) -> Value {
        let Self {
            actor,
            timestamp,
            reason,
            ..
        } = self;
        json!({"actor": actor, "timestamp": timestamp, "reason": reason})
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, today: Day) -> bool {
        self.until.is_some_and(|until| until < today)
    }

    /// Whether a manifest tells it.
    #[must_use]
    pub fn stands_in(&self, manifest: &[Value]) -> bool {
        manifest.iter().any(|told| {
            let told = Told::of(told);
            told.is_some_and(|told| {
                let ours = (&*self.actor, self.timestamp, Some(&*self.reason));
                (told.actor, told.timestamp, told.reason) == ours
            })
        })
    }
}

/// One approval, as lists and answers have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The run that it is of.
    pub run_id: RunId,
    /// Who approved.
    pub actor: String,
    /// When.
    pub timestamp: Timestamp,
    /// Why; nothing where another tool wrote it without.
    pub reason: Option<String>,
    /// The stages that it is for; nothing for the whole run.
    pub scope: Option<Vec<StageId>>,
    /// The last day, in UTC, on which it is honoured; nothing where it is for good.
    pub until: Option<Day>,
    /// The content that it is for; nothing where the sidecar says nothing of it, so that no gate honours it.
    pub input_digest: Option<InputDigest>,
}

impl Approval {
    /// One of a run, as its sidecar has it.
    #[must_use]
    pub fn of(run: &RunId, recorded: &RecordedApproval) -> Self {
        let stages = recorded.stages.iter().map(|stage| stage.id.clone());
        Self {
            run_id: run.clone(),
            actor: recorded.actor.clone(),
            timestamp: recorded.timestamp,
            reason: Some(recorded.reason.clone()),
            scope: (!recorded.whole).then(|| stages.collect()),
            until: recorded.until,
            input_digest: Some(recorded.input_digest),
        }
    }

    /// Whether its time is over.
    #[must_use]
    pub fn is_over(&self, today: Day) -> bool {
        self.until.is_some_and(|until| until < today)
    }

    /// Whether a gate honours it, should it meet its content again.
    #[must_use]
    pub fn is_in_force(&self, today: Day) -> bool {
        self.input_digest.is_some() && !self.is_over(today)
    }
}

/// The approvals that a manifest and a sidecar tell alike, in the order of the sidecar: those that count.
pub fn counted<'a>(
    manifest: &'a Manifest,
    sidecar: &'a Sidecar,
) -> impl Iterator<Item = &'a RecordedApproval> {
    let recorded = sidecar.approvals.iter();
    recorded.filter(|it| it.stands_in(&manifest.approvals))
}

/// The approvals of a run as its manifest tells them, with what the sidecar adds. Oldest first; what names nobody or no time
/// is left out.
#[must_use]
pub fn approvals(run: &RunId, manifest: &[Value], sidecar: &[RecordedApproval]) -> Vec<Approval> {
    let counted = sidecar.iter().filter(|it| it.stands_in(manifest));
    let mut all: Vec<Approval> = counted.map(|it| Approval::of(run, it)).collect();
    for told in manifest.iter().filter_map(Told::of) {
        let is_known = |it: &Approval| it.actor == told.actor && it.timestamp == told.timestamp;
        if !all.iter().any(is_known) {
            all.push(Approval {
                run_id: run.clone(),
                actor: told.actor.to_owned(),
                timestamp: told.timestamp,
                reason: told.reason.map(str::to_owned),
                scope: None,
                until: None,
                input_digest: None,
            });
        }
    }
    all.sort_by(|a, b| (a.timestamp, &a.actor).cmp(&(b.timestamp, &b.actor)));
    all
}

/// When an approval of a run is dated that is given `now`: as one of the same words that was written into the manifest and
/// not into the sidecar, which it makes whole; else so that nobody has given two at one moment.
#[must_use]
pub fn dated(
    (actor, reason): (&str, &str),
    manifest: &[Value],
    sidecar: &[RecordedApproval],
    now: Timestamp,
) -> Timestamp {
    let told: Vec<Told<'_>> = manifest.iter().filter_map(Told::of).collect();
    let own = told.iter().filter(|told| told.actor == actor);
    let mut halves = own.clone().filter(|told| {
        let mut recorded = sidecar.iter();
        let is_whole = recorded.any(|it| it.actor == actor && it.timestamp == told.timestamp);
        told.reason == Some(reason) && !is_whole
    });
    if let Some(half) = halves.next_back() {
        return half.timestamp;
    }
    let of_sidecar = sidecar.iter().filter(|it| it.actor == actor);
    let taken = own.map(|told| told.timestamp);
    let newest = taken.chain(of_sidecar.map(|it| it.timestamp)).max();
    match newest {
        Some(newest) if newest >= now => Timestamp::from_unix_ms(newest.unix_ms() + 1),
        Some(_) | None => now,
    }
}

/// What a manifest tells of an approval.
struct Told<'a> {
    actor: &'a str,
    timestamp: Timestamp,
    reason: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(value: &'a Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        Some(Self {
            actor: text("actor")?,
            timestamp: Timestamp::parse(text("timestamp")?).ok()?,
            reason: text("reason"),
        })
    }
}
