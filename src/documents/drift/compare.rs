//! Two pipelines, stage by stage: what one lacks, does otherwise, does sooner, or proves less of.
//!
//! Patterns, variables and lines of a toolchain are compared as they are written.

use super::{Difference, Kind};
use crate::documents::weakness;
use crate::model::config::duration;
use crate::model::config::{Action, Command, Cwd, Order, Pipeline, Stage, Subpipeline};
use crate::model::id::StageId;
use std::collections::{BTreeMap, BTreeSet};

/// What is different in `own`, in the order of the reference; `open` are the stages whose command is left to the project.
/// A pipeline that is not there has no stages.
pub(super) fn differences(
    reference: Option<&Pipeline>,
    open: &BTreeSet<StageId>,
    own: Option<&Pipeline>,
) -> Vec<Difference> {
    let wanted = reference.map_or(&[][..], |pipeline| &pipeline.stages);
    let there = own.map_or(&[][..], |pipeline| &pipeline.stages);
    let (before, now) = (waits(reference), waits(own));
    let mut found = Vec::new();
    for stage in wanted {
        let mut note = |kind, detail| found.push(difference(stage, kind, detail));
        let Some(same) = there.iter().find(|other| other.id == stage.id) else {
            note(Kind::Missing, missing(stage, open.contains(&stage.id), own));
            continue;
        };
        compare(stage, same, open.contains(&stage.id), &mut note);
        let sooner = sooner(&stage.id, &before, &now);
        if !sooner.is_empty() {
            note(
                Kind::Order,
                format!("it does not wait for {}", listed(&sooner)),
            );
        }
    }
    for stage in there {
        if !wanted.iter().any(|other| other.id == stage.id) {
            let detail = format!("there is no such stage elsewhere: it {}", does(stage));
            found.push(difference(stage, Kind::Extra, detail));
        }
    }
    found
}

fn difference(stage: &Stage, kind: Kind, detail: String) -> Difference {
    Difference {
        stage: stage.id.clone(),
        kind,
        detail,
        waived: false,
        waiver: None,
    }
}

fn missing(stage: &Stage, is_open: bool, own: Option<&Pipeline>) -> String {
    let whose = match own {
        Some(pipeline) => format!("`{}` has no such stage", pipeline.id),
        None => "the project has no pipeline".to_owned(),
    };
    if is_open {
        whose
    } else {
        format!("{whose}, which {}", does(stage))
    }
}

fn does(stage: &Stage) -> String {
    match &stage.action {
        Action::Command(command) => format!("runs `{}`", command.line.text()),
        Action::Subpipeline(child) => format!("runs the pipeline `{}`", child.pipeline),
    }
}

/// What each stage waits for, be it by way of others.
fn waits(pipeline: Option<&Pipeline>) -> BTreeMap<&StageId, BTreeSet<&StageId>> {
    let Some(pipeline) = pipeline else {
        return BTreeMap::new();
    };
    let mut waits: BTreeMap<&StageId, BTreeSet<&StageId>> = BTreeMap::new();
    if pipeline.order == Order::Sequence {
        let mut before = BTreeSet::new();
        for stage in &pipeline.stages {
            waits.insert(&stage.id, before.clone());
            before.insert(&stage.id);
        }
        return waits;
    }
    for stage in &pipeline.stages {
        let (mut all, mut left) = (BTreeSet::new(), vec![stage]);
        while let Some(next) = left.pop() {
            for need in &next.needs {
                let stages = pipeline.stages.iter();
                if all.insert(need) {
                    left.extend(stages.filter(|other| other.id == *need));
                }
            }
        }
        waits.insert(&stage.id, all);
    }
    waits
}

/// What a stage should wait for and does not; what is not there at all is missing, and told as that.
fn sooner<'a>(
    stage: &StageId,
    before: &BTreeMap<&'a StageId, BTreeSet<&'a StageId>>,
    now: &BTreeMap<&'a StageId, BTreeSet<&'a StageId>>,
) -> Vec<&'a StageId> {
    let (Some(should), Some(does)) = (before.get(stage), now.get(stage)) else {
        return Vec::new();
    };
    let lost = should.difference(does).copied();
    lost.filter(|other| now.contains_key(other)).collect()
}

fn compare(wanted: &Stage, own: &Stage, is_open: bool, note: &mut impl FnMut(Kind, String)) {
    match (&wanted.action, &own.action) {
        (Action::Command(wanted), Action::Command(own)) if is_open => {
            // Whatever it runs, it has to run something that can fail.
            weaknesses(&[], own, note);
            weakened(wanted, own, true, note);
        }
        (Action::Command(wanted), Action::Command(own)) => {
            commands(wanted, own, note);
            weakened(wanted, own, false, note);
        }
        (Action::Subpipeline(wanted), Action::Subpipeline(own)) => {
            subpipelines(wanted, own, note);
        }
        (Action::Command(_), Action::Subpipeline(child)) if is_open => {
            if child.optional {
                note(
                    Kind::Weakened,
                    "`optional`: its failure is skipped".to_owned(),
                );
            }
        }
        (Action::Command(_), Action::Subpipeline(_))
        | (Action::Subpipeline(_), Action::Command(_)) => {
            let instead = match &wanted.action {
                Action::Command(command) => format!("`{}`", command.line.text()),
                Action::Subpipeline(child) => format!("the pipeline `{}`", child.pipeline),
            };
            note(
                Kind::Command,
                format!("it {} instead of {instead}", does(own)),
            );
        }
    }
}

fn subpipelines(wanted: &Subpipeline, own: &Subpipeline, note: &mut impl FnMut(Kind, String)) {
    if wanted.pipeline != own.pipeline {
        let (own, wanted) = (&own.pipeline, &wanted.pipeline);
        note(
            Kind::Command,
            format!("it runs the pipeline `{own}` instead of `{wanted}`"),
        );
    }
    if own.optional && !wanted.optional {
        note(
            Kind::Weakened,
            "`optional`: its failure is skipped".to_owned(),
        );
    }
}

fn commands(wanted: &Command, own: &Command, note: &mut impl FnMut(Kind, String)) {
    let (should, does) = (weakness::read(&wanted.line), weakness::read(&own.line));
    if should.work != does.work {
        let (own, wanted) = (own.line.text(), wanted.line.text());
        note(
            Kind::Command,
            format!("it runs `{own}` instead of `{wanted}`"),
        );
    }
    weaknesses(&should.weaknesses, own, note);
    if wanted.cwd != own.cwd {
        let (own, wanted) = (place(&own.cwd), place(&wanted.cwd));
        note(
            Kind::Command,
            format!("it runs in {own} instead of {wanted}"),
        );
    }
    let names: BTreeSet<&String> = wanted.env.keys().chain(own.env.keys()).collect();
    for name in names {
        let detail = match (wanted.env.get(name), own.env.get(name)) {
            (Some(should), Some(does)) if should == does => continue,
            (Some(should), Some(does)) => format!("`{name}` is `{does}` instead of `{should}`"),
            (Some(should), None) => format!("`{name}` is not set, instead of `{should}`"),
            (None, Some(does)) => format!("`{name}` is set to `{does}`"),
            (None, None) => continue,
        };
        note(Kind::Command, detail);
    }
}

fn place(cwd: &Cwd) -> String {
    match cwd {
        Cwd::Project(below) if below.is_root() => "the project's directory".to_owned(),
        Cwd::Project(below) => format!("`{below}` of the project"),
        Cwd::Workspace(below) if below.is_root() => "the workspace's directory".to_owned(),
        Cwd::Workspace(below) => format!("`{below}` of the workspace"),
    }
}

fn weaknesses(known: &[String], own: &Command, note: &mut impl FnMut(Kind, String)) {
    for weakness in weakness::read(&own.line).weaknesses {
        if !known.contains(&weakness) {
            note(Kind::Weakened, format!("`{weakness}`: it cannot fail"));
        }
    }
}

fn weakened(wanted: &Command, own: &Command, is_open: bool, note: &mut impl FnMut(Kind, String)) {
    let mut note = |detail: String| note(Kind::Weakened, detail);
    if own.allow_failure && !wanted.allow_failure {
        note("`allow_failure`: its failure is skipped".to_owned());
    }
    match (wanted.timeout, own.timeout) {
        (Some(most), None) => note(format!("no `timeout`, instead of {}", duration::show(most))),
        (Some(most), Some(own)) if own > most => note(format!(
            "`timeout` is {}, instead of {}",
            duration::show(own),
            duration::show(most)
        )),
        (_, _) => {}
    }
    if own.retries > wanted.retries {
        let (own, most) = (own.retries, wanted.retries);
        note(format!("`retries` is {own}, instead of {most}"));
    }
    inputs(wanted, own, is_open, &mut note);
    if is_open && wanted.outputs.is_empty() {
        return;
    }
    let hidden = beyond(&own.outputs, &wanted.outputs);
    if !hidden.is_empty() {
        note(format!(
            "`outputs` takes {} out of what is read",
            listed(&hidden)
        ));
    }
    let unasked = beyond(&wanted.toolchain, &own.toolchain);
    if !unasked.is_empty() {
        note(format!("`toolchain` does not ask {}", listed(&unasked)));
    }
}

fn inputs(wanted: &Command, own: &Command, is_open: bool, note: &mut impl FnMut(String)) {
    let Some(read) = &own.inputs else {
        return;
    };
    let (plain, negated): (Vec<&String>, Vec<&String>) =
        read.iter().partition(|pattern| !pattern.starts_with('!'));
    let is_all = plain
        .iter()
        .any(|it| matches!(it.as_str(), "*" | "**" | "/**"));
    match &wanted.inputs {
        // What a project of another kind reads is its own affair.
        None if is_open => {}
        None if is_all && negated.is_empty() => {}
        None => note(format!(
            "`inputs` is only {}, instead of every file",
            listed(&read.iter().collect::<Vec<_>>())
        )),
        Some(wanted) => {
            let unread: Vec<&String> = wanted
                .iter()
                .filter(|it| !it.starts_with('!') && !is_all && !read.contains(it))
                .collect();
            let hidden: Vec<&String> = negated
                .into_iter()
                .filter(|it| !wanted.contains(it))
                .collect();
            if !unread.is_empty() {
                note(format!("`inputs` lacks {}", listed(&unread)));
            }
            if !hidden.is_empty() {
                note(format!("`inputs` takes out {}", listed(&hidden)));
            }
        }
    }
}

/// What is in the first and not in the second.
fn beyond<'a>(one: &'a [String], other: &[String]) -> Vec<&'a String> {
    one.iter().filter(|it| !other.contains(it)).collect()
}

fn listed<T: std::fmt::Display>(names: &[T]) -> String {
    let each: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    each.join(", ")
}
