//! From what other parts have found to the sentences of a review: pure, one function a check.
//!
//! A sentence says what is so, and where it is not, which command tells the rest and what to do.

use super::Told;
use super::runs::{Newest, Standing};
use crate::documents::checklists;
use crate::documents::coverage::{ProjectCoverage, State};
use crate::documents::drift::Drift;
use crate::documents::finding::{ItemFinding, ItemKind};
use crate::documents::guardrails;
use crate::documents::integrity::EvidenceFinding;
use crate::documents::projects::ProjectFinding;
use crate::documents::upkeep;
use crate::limits::documents::REVIEW_NAMED_MAX;
use crate::model::config::Project;
use crate::model::digest::InputDigest;
use crate::model::evidence::Approval;
use crate::model::id::RunId;
use crate::model::run::Verdict;
use crate::model::time::Day;

/// Whether the newest run that says something of the project passed.
pub(super) fn diagnostics(own: &Standing) -> Told {
    let task = &own.task;
    let pipeline = own.pipeline.as_ref().map_or_else(
        || "any pipeline".to_owned(),
        |pipeline| format!("`{pipeline}`"),
    );
    let Some(newest) = &own.newest else {
        let said = match own.runs {
            0 => "there are no runs of it here",
            _ => "none of its runs says anything of it",
        };
        return Told::wrong(format!(
            "{task}: {said}: start one of {pipeline} with `orchctl run --task {task}`"
        ));
    };
    let Newest {
        manifest, verdict, ..
    } = newest;
    let at = newest
        .completed_at
        .map_or(String::new(), |at| format!(", {at}"));
    let verdict = verdict_said(*verdict);
    if newest.green {
        return Told::fine(format!("{task}: {manifest} ({verdict}{at})"));
    }
    Told::wrong(format!(
        "{task}: the newest run of {pipeline} is no pass, {manifest} ({verdict}{at}): `orchctl show {}` says why",
        newest.run
    ))
}

const fn verdict_said(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Flaky => "flaky",
        Verdict::Unstable => "unstable",
        Verdict::Error => "error",
        Verdict::Unknown => "unknown",
    }
}

/// Whether pages lead to a manifest that passed; `link` is where one does.
pub(super) fn linked(own: &Standing, link: Option<&(String, RunId)>) -> Told {
    let task = &own.task;
    if let Some((place, run)) = link {
        return Told::fine(format!("{task}: {place} leads to {run}, which passed"));
    }
    let remedy = match &own.green {
        Some(manifest) => format!(
            "name `{manifest}`, or have `orchctl docs sync` fill a block `orchd:status` of `{task}`"
        ),
        None => "make one first".to_owned(),
    };
    Told::wrong(format!(
        "{task}: no page leads to a manifest that passed: {remedy}"
    ))
}

/// What is wrong in pages.
pub(super) fn pages(checked: &upkeep::Checked) -> Vec<Told> {
    let faults = checked.findings.iter().filter(|it| it.kind.is_fault());
    let each = faults.map(|it| {
        let kind = it.kind.as_str();
        format!("{}:{}: {kind}: {}", it.file, it.line, it.message)
    });
    named(each.collect(), "`orchctl docs check` has them all")
}

/// Whether mirrors say what their sources do.
pub(super) fn mirrors(checked: &checklists::Checked) -> Vec<Told> {
    let all = checked.findings.iter();
    let apart = all.filter(|it| it.kind == ItemKind::OutOfSync).map(said);
    let told = named(apart.collect(), "`orchctl checklist sync` has them follow");
    or_fine(told, || "mirrors say what their sources do".to_owned())
}

/// Whether what is ticked is proven.
pub(super) fn checklists(checked: &checklists::Checked) -> Vec<Told> {
    let all = || checked.findings.iter();
    let is_wrong = |kind: ItemKind| kind.is_fault() || kind == ItemKind::Contradicted;
    let faults = all().filter(|it| is_wrong(it.kind) && it.kind != ItemKind::OutOfSync);
    let told = named(
        faults.map(said).collect(),
        "`orchctl checklist check` has them all",
    );
    let unknown = all().filter(|it| !is_wrong(it.kind)).count();
    or_fine(told, || match (checked.items, unknown) {
        (0, _) => "there is no item".to_owned(),
        (items, 0) => format!("{items} items, and what is ticked is proven"),
        (items, unknown) => {
            format!("{items} items, {unknown} of which cite runs that are not here")
        }
    })
}

fn said(finding: &ItemFinding) -> String {
    let ItemFinding {
        file, line, title, ..
    } = finding;
    let kind = finding.kind.as_str();
    format!("{file}:{line}: {kind}: {title}: {}", finding.message)
}

/// Whether each guardrail of a project was green when it last ran.
pub(super) fn guardrails(project: &Project, covered: &ProjectCoverage) -> Told {
    let task = &project.task;
    let declared = guardrails::of_project(project);
    // What nobody declared is required as far as the project has it.
    let required = declared.iter().zip(&covered.guardrails);
    let required = required.filter(|(it, how)| it.declared || how.state != State::Missing);
    let required: Vec<_> = required.map(|(_, how)| how).collect();
    let weak = required.iter().filter(|how| how.state != State::Green);
    let weak: Vec<String> = weak
        .map(|how| format!("{} {}", how.id, how.state.as_str()))
        .collect();
    if required.is_empty() {
        let said = "it has no guardrail: name some under `required`, and give them stages";
        return Told::wrong(format!("{task}: {said}"));
    }
    if weak.is_empty() {
        let all: Vec<&str> = required.iter().map(|how| how.id.as_str()).collect();
        return Told::fine(format!("{task}: {} green", all.join(", ")));
    }
    let weak = weak.join(", ");
    Told::wrong(format!("{task}: {weak}: see `orchctl coverage`"))
}

/// Whether pipelines are as the template has them.
pub(super) fn drift(drift: &Drift) -> Vec<Told> {
    let mut open = Vec::new();
    let mut waived = 0_usize;
    for project in &drift.projects {
        for it in &project.differences {
            let (task, stage, kind) = (&project.task_id, &it.stage, it.kind.as_str());
            match it.waived {
                true => waived += 1,
                false => open.push(format!("{task}/{stage}: {kind}: {}", it.detail)),
            }
        }
    }
    let told = named(open, "see `orchctl drift`, and mend or waive each");
    or_fine(told, || {
        let against = &drift.against;
        match waived {
            0 => format!("no project differs from `{against}`"),
            some => format!("nothing differs from `{against}` but {some} that were waived"),
        }
    })
}

/// Whether projects are sound.
pub(super) fn projects(findings: &[ProjectFinding]) -> Vec<Told> {
    let each = findings.iter().map(|it| {
        let kind = it.kind.as_str();
        format!("{kind}: {}", it.message)
    });
    let told = named(each.collect(), "see `orchctl project check`");
    or_fine(told, || {
        "each project has one task, one directory and its own runs".to_owned()
    })
}

/// How the approvals of a project stand. One whose time is over, or of other content than that of the newest run, is told;
/// that is wrong only where the newest run is red and has no other to lean on.
pub(super) fn approvals(own: &Standing, all: &[Approval], today: Day) -> Vec<Told> {
    let task = &own.task;
    let newest = own.newest.as_ref();
    let content = newest.and_then(|newest| newest.content);
    let is_its = |it: &&Approval| {
        let of_run = newest.is_some_and(|newest| newest.run == it.run_id);
        of_run || (it.input_digest.is_some() && it.input_digest == content)
    };
    let holds = |it: &&Approval| {
        let is_known = it.input_digest.is_some() && it.input_digest == content;
        is_known && !it.is_over(today)
    };
    let is_red = newest.is_some_and(|newest| !newest.green);
    let its: Vec<&Approval> = all.iter().filter(is_its).collect();
    let held = its.iter().copied().filter(holds).count();
    let mut told = Vec::new();
    if is_red && held == 0 && !its.is_empty() {
        let over: Vec<String> = its.iter().map(|it| weakness(it, content, today)).collect();
        told.push(Told::wrong(format!(
            "{task}: the newest run is red, and what was approved of it holds no longer ({}): approve it anew, or make it green",
            over.join(", ")
        )));
        return told;
    }
    let others = all.len().saturating_sub(held);
    if held > 0 {
        told.push(Told::fine(format!("{task}: {held} of the newest content")));
    }
    if others > 0 {
        told.push(Told::fine(format!(
            "{task}: {others} of other content, or whose time is over: no gate honours them"
        )));
    }
    told
}

fn weakness(approval: &Approval, content: Option<InputDigest>, today: Day) -> String {
    let actor = &approval.actor;
    match approval.until {
        Some(until) if approval.is_over(today) => format!("that by {actor} ended {until}"),
        _ if approval.input_digest.is_none() => {
            format!("that by {actor} does not say of which content it is")
        }
        _ if approval.input_digest != content => format!("that by {actor} is of other content"),
        _ => format!("that by {actor}"),
    }
}

/// Whether each run of a project can be read.
pub(super) fn readable(own: &Standing) -> Told {
    let task = &own.task;
    match &own.unreadable[..] {
        [] if own.runs == 1 => Told::fine(format!("{task}: its run can be read")),
        [] => Told::fine(format!(
            "{task}: {} runs, each of which can be read",
            own.runs
        )),
        [(path, why), more @ ..] => Told::wrong(format!(
            "{task}: {path}: {why}; {} more: a run that cannot be read proves nothing, move it out of the runs' directory",
            more.len()
        )),
    }
}

/// What is other than it was recorded.
pub(super) fn verified(findings: &[EvidenceFinding]) -> Vec<Told> {
    let each = findings.iter().map(|it| {
        let kind = it.kind.as_str();
        format!("{}: {kind}: {}", it.path, it.message)
    });
    named(each.collect(), "see `orchctl evidence verify`")
}

/// The first of several findings, and how many more there are.
fn named(all: Vec<String>, remedy: &str) -> Vec<Told> {
    let more = all.len().saturating_sub(REVIEW_NAMED_MAX);
    let is_clean = all.is_empty();
    let first = all.into_iter().take(REVIEW_NAMED_MAX);
    let mut told: Vec<Told> = first.map(Told::wrong).collect();
    if more > 0 {
        told.push(Told::wrong(format!("{more} more: {remedy}")));
    } else if !is_clean {
        told.push(Told::wrong(remedy.to_owned()));
    }
    told
}

fn or_fine(told: Vec<Told>, said: impl FnOnce() -> String) -> Vec<Told> {
    if told.is_empty() {
        return vec![Told::fine(said())];
    }
    told
}
