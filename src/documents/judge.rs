//! Whether an item's evidence holds: from what it says and what stands at the paths that it names, to findings.
//!
//! Pure: what stands where is looked up by whoever asks. Each path that a ticked item names is judged by itself, because
//! one that leads nowhere is not made good by another that does.

use crate::documents::checklist::Item;
use crate::documents::cited::{Found, Shape, shape};
use crate::documents::finding::{ItemFinding, ItemKind};
use crate::model::evidence::Manifest;
use crate::model::id::{StageId, TaskId};
use crate::model::run::RunStatus;
use serde_json::Value;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Whose an item is, and what a run has to show for it.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// Its task; none where its file does not say.
    pub task: Option<TaskId>,
    /// The guardrails that its project requires: each has to be there.
    pub required: Vec<StageId>,
    /// Where it requires none by name: one of these has to be there.
    pub usual: BTreeSet<StageId>,
}

/// One thing that is wrong, without where.
type Fault = (ItemKind, String);

/// What is wrong with an item of `file`; `at` tells what stands at a path.
pub fn judge(
    file: &str,
    item: &Item,
    expected: &Expected,
    at: &mut dyn FnMut(&str) -> Rc<Found>,
) -> Vec<ItemFinding> {
    let finding =
        |kind: ItemKind, line: usize, evidence: Option<String>, message: String| ItemFinding {
            file: file.to_owned(),
            line,
            kind,
            title: item.title.clone(),
            evidence,
            message,
        };
    let named = |cited: &super::checklist::parse::Cited| {
        let fragment = cited.token.fragment.as_deref();
        let fragment = fragment
            .map(|fragment| format!("#{fragment}"))
            .unwrap_or_default();
        format!("{}{fragment}", cited.token.path)
    };
    let concrete: Vec<_> = item
        .evidence
        .iter()
        .filter(|cited| !cited.token.is_placeholder())
        .collect();
    if !item.checked {
        let proven = concrete.into_iter().find(|cited| {
            let found = at(&cited.token.path);
            let is_run = matches!(&*found, Found::Run { manifest, .. } if manifest.status == RunStatus::Succeeded);
            is_run && run_faults(&found, &cited.token.path, None, expected).is_empty()
        });
        return proven.map(|cited| {
            let message = "it names a run that succeeded, and is open: tick it with `orchctl checklist flip`".to_owned();
            finding(ItemKind::EvidenceButOpen, item.line, Some(named(cited)), message)
        }).into_iter().collect();
    }
    if concrete.is_empty() {
        let first = item.evidence.first();
        let (kind, message) = match first {
            Some(_) => (
                ItemKind::Placeholder,
                "its evidence was never filled in: name a manifest",
            ),
            None => (
                ItemKind::NoEvidence,
                "it is ticked without evidence: name a manifest, or untick it",
            ),
        };
        return vec![finding(
            kind,
            item.line,
            first.map(named),
            message.to_owned(),
        )];
    }
    let judged = concrete.into_iter().filter_map(|cited| {
        let found = at(&cited.token.path);
        let fragment = cited.token.fragment.as_deref();
        let faults = run_faults(&found, &cited.token.path, fragment, expected);
        let (kind, message) = faults.into_iter().next()?;
        Some(finding(kind, cited.line, Some(named(cited)), message))
    });
    judged.collect()
}

/// What is wrong with what stands at a path, the worst first.
fn run_faults(
    found: &Found,
    path: &str,
    fragment: Option<&str>,
    expected: &Expected,
) -> Vec<Fault> {
    let task = match shape(path) {
        Some(Shape::Run { task, .. } | Shape::Other { task }) => Some(task),
        Some(Shape::Pointer { task }) => task,
        None => None,
    };
    if let Some((task, own)) = task.zip(expected.task.as_ref())
        && !is_of(task, own)
    {
        return vec![(
            ItemKind::WrongTask,
            format!("it lies under `{task}`, and this is about `{own}`"),
        )];
    }
    match found {
        Found::NoTask => vec![(
            ItemKind::Unverifiable,
            "there are no runs of this task here to hold it against".to_owned(),
        )],
        Found::Missing => vec![(ItemKind::MissingFile, "it is not there".to_owned())],
        Found::Unparsable { reason } => vec![(ItemKind::Unparsable, reason.clone())],
        Found::Other => Vec::new(),
        Found::Run {
            manifest,
            directory,
            pointed,
        } => {
            let mut faults = manifest_faults(manifest, directory, expected);
            if let Some(fault) = fragment.and_then(|fragment| fragment_fault(manifest, fragment)) {
                faults.push(fault);
            }
            if let Some(target) = pointed {
                faults.push((
                    ItemKind::Pointer,
                    format!("it is a pointer: name `{target}`"),
                ));
            }
            faults
        }
    }
}

/// Why a manifest proves nothing, the worst first; `directory` is the name of the directory that it lies in.
#[must_use]
pub fn manifest_faults(manifest: &Manifest, directory: &str, expected: &Expected) -> Vec<Fault> {
    let mut faults = Vec::new();
    if let Some(own) = &expected.task
        && !is_of(manifest.task_id.as_str(), own)
    {
        faults.push((
            ItemKind::WrongTask,
            format!(
                "the manifest is of `{}`, and this is about `{own}`",
                manifest.task_id
            ),
        ));
    }
    if manifest.run_id.as_str() != directory {
        faults.push((
            ItemKind::RunMismatch,
            format!(
                "the manifest is of run `{}`, and lies under `{directory}`",
                manifest.run_id
            ),
        ));
    }
    match manifest.status {
        RunStatus::Succeeded => {}
        RunStatus::Queued | RunStatus::InProgress => {
            faults.push((ItemKind::NotTerminal, "the run has not ended".to_owned()));
        }
        RunStatus::Failed => faults.push((ItemKind::NotSucceeded, "the run has failed".to_owned())),
        RunStatus::Cancelled => {
            faults.push((ItemKind::NotSucceeded, "the run was cancelled".to_owned()));
        }
    }
    let has = |stage: &StageId| manifest.commands.iter().any(|command| command.id == *stage);
    let absent: Vec<&str> = expected
        .required
        .iter()
        .filter(|stage| !has(stage))
        .map(StageId::as_str)
        .collect();
    if !absent.is_empty() {
        faults.push((
            ItemKind::GuardrailAbsent,
            format!(
                "the run has no `{}`, which the project requires",
                absent.join("`, `")
            ),
        ));
    } else if expected.required.is_empty()
        && !expected.usual.is_empty()
        && !expected.usual.iter().any(has)
    {
        faults.push((
            ItemKind::GuardrailAbsent,
            "the run has none of the project's guardrails".to_owned(),
        ));
    }
    faults
}

/// Whether what lies under a task's name is the task's, or a child's of it.
fn is_of(name: &str, task: &TaskId) -> bool {
    let rest = name.strip_prefix(task.as_str());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Why the part of a manifest that a path names says nothing.
fn fragment_fault(manifest: &Manifest, fragment: &str) -> Option<Fault> {
    let value = serde_json::to_value(manifest).ok()?;
    let found = part(&value, fragment);
    let says_nothing = match found {
        None | Some(Value::Null) => true,
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
    };
    says_nothing.then(|| {
        (
            ItemKind::BadFragment,
            format!("the manifest says nothing under `{fragment}`"),
        )
    })
}

/// The part of a document that `name.name[index]` names; `[]` is the list itself.
fn part<'a>(value: &'a Value, fragment: &str) -> Option<&'a Value> {
    let mut at = value;
    for name in fragment.split('.') {
        let (name, rest) = name.split_once('[').unwrap_or((name, ""));
        if !name.is_empty() {
            at = at.get(name)?;
        }
        for index in rest.split('[').map(|index| index.trim_end_matches(']')) {
            if !index.is_empty() {
                at = at.get(index.parse::<usize>().ok()?)?;
            }
        }
    }
    Some(at)
}
