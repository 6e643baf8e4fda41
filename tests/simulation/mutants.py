#!/usr/bin/env python3
"""Breaks the engine on purpose, one promise at a time, and demands that the simulation notices.

The simulation runs on a copy of the sources (`tests/mutation.py`) with a fixed seed, and has to fail with one of the
findings, or in one of the scenes, that the table names.
Exit 1: a mutant survived, was noticed for another reason, or its text no longer stands in the engine.

    tests/simulation/mutants.py [PART-OF-A-NAME ...]      CASES=2000 SEED=1 by default
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from mutation import Unfit, broken, copied_sources, run_test

CASES = os.environ.get("CASES", "2000")
SEED = os.environ.get("SEED", "1")
# A mutant that makes a step endless is ended, and counts as noticed by the clock alone if the table says so.
SECONDS_MAX = 300


class Mutant(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    breaks: str
    noticed: tuple[str, ...]


MUTANTS = [
    Mutant(
        "touch-dropped",
        "workspace.rs",
        "                self.touch_project(&project, changed);",
        "                let _ = changed;",
        "a change is never lost",
        ("fresh although it was touched", "was never seen", "was not looked at by", "never comes to rest"),
    ),
    Mutant(
        "touch-leaves-fresh",
        "project.rs",
        "        project.doubt();\n        match &project.active {",
        "        match &project.active {",
        "a verdict is about the present content",
        ("fresh although it was touched",),
    ),
    Mutant(
        "settle-without-maximum",
        "project.rs",
        "Some(quiet.min(settle.first.after(settings.settle_max)))",
        "Some(quiet)",
        "a writer that never stops still gets a run",
        ("was not looked at by",),
    ),
    Mutant(
        "settle-maximum-begins-anew",
        "project.rs",
        "        let first = *project.restless.get_or_insert(tick);",
        "        let first = tick;",
        "a writer that never stops still gets a run, also where looks find the changes",
        ("scene polled",),
    ),
    Mutant(
        "git-not-waited-for",
        "hold.rs",
        "        (!self.signs.is_empty() && now < end).then_some(end)",
        "        (!self.signs.is_empty() && now > end).then_some(end)",
        "what git leaves half-way is not run",
        ("while git is at work",),
    ),
    Mutant(
        "pending-does-not-wait-for-git",
        "looks.rs",
        "        if self.put_off_pending(id, &pipeline) {",
        "        if false {",
        "what git leaves half-way is not run",
        ("while git is at work",),
    ),
    Mutant(
        "git-waited-for-without-end",
        "hold.rs",
        "saturating_mul(HOLD_WAITS_MAX)",
        "saturating_mul(HOLD_WAITS_MAX * 10)",
        "a change is looked at although git never ends",
        ("was not looked at by",),
    ),
    Mutant(
        "stale-lock-holds-again",
        "hold.rs",
        "            self.stale.append(&mut self.signs);",
        "            self.signs.clear();",
        "what was waited for in vain is not waited for again",
        ("was not looked at by", "scene stale_lock"),
    ),
    Mutant(
        "sight-without-look",
        "workspace.rs",
        "            if can_look {\n",
        "            if can_look && !can_look {\n",
        "what changed while nobody watched is looked at",
        ("was never seen", "nobody answered"),
    ),
    Mutant(
        "end-check-skipped",
        "runs.rs",
        "            self.want(&project, &pipeline, None);\n        } else {",
        "            let seen = self.runs.get(id).map(|run| run.seen.clone());\n"
        "            self.conclude(id, seen.as_ref());\n        } else {",
        "a verdict binds only to content that stood still",
        ("without a look after its last stage",),
    ),
    Mutant(
        "check-by-an-older-look",
        "looks.rs",
        "Phase::Checking(after) if capture > after)",
        "Phase::Checking(_) if capture == capture)",
        "the last look begins after the last stage",
        ("without a look after its last stage",),
    ),
    Mutant(
        "undone-edits-ignored",
        "looks.rs",
        "            run.changes.merge(&undone);\n",
        "            let _ = &undone;\n",
        "what a stage may have read in between counts",
        ("proves what its stages did not read",),
    ),
    Mutant(
        "two-active-runs",
        "project.rs",
        "        match self.active_root(id) {",
        "        match self.active_root(id).filter(|_| false) {",
        "one active run per project",
        ("are active", "a run without a parent is its project's only one"),
    ),
    Mutant(
        "two-pending-runs",
        "pending.rs",
        "let known = project.pending.contains_key(pipeline);",
        "let known = false;",
        "one pending run per pipeline",
        ("are pending for",),
    ),
    Mutant(
        "evidence-that-is-gone-is-believed",
        "discarded.rs",
        "            project.proofs.retain(|proof| !runs.contains(&proof.run));\n",
        "",
        "nobody hears of a verdict whose evidence is not on disk",
        ("a proof is a run that has ended", "scene discarded"),
    ),
    Mutant(
        "evidence-that-is-gone-is-not-made-again",
        "discarded.rs",
        "                    self.want_present(&id);\n",
        "",
        "what is unproven runs by itself",
        ("was never proven", "scene discarded"),
    ),
    Mutant(
        "told-as-it-was-found",
        "seek.rs",
        "        let stale = answers.iter().filter(|answer| !self.holds_still(answer));",
        "        let stale = answers.iter().filter(|_| false);",
        "whoever asks about several is told of the present content of each",
        ("told, although it was touched since", "the run says otherwise", "told is Answer"),
    ),
    Mutant(
        "late-answer-tells-what-has-changed",
        "seek.rs",
        "            Sought::Found(answer) if self.holds_still(answer) => answer.clone(),",
        "            Sought::Found(answer) if answer.project == *id => answer.clone(),",
        "whoever is told when his time is over is told of the present content",
        ("told, although it was touched since", "scene what_is_told_when_the_time_is_over_is_known_then"),
    ),
    Mutant(
        "begins-without-a-word",
        "pending.rs",
        "        if !known {",
        "        if !known && known {",
        "each run is told as queued, then as started",
        ("nobody was told that it is queued",),
    ),
    Mutant(
        "proven-runs-again",
        "project.rs",
        "        let proven = proof.is_some();",
        "        let proven = false;",
        "what is proven does not run again",
        ("what is proven runs again",),
    ),
    Mutant(
        "pending-runs-what-is-proven",
        "looks.rs",
        "            false => told || left_alone,",
        "            false => left_alone,",
        "what is proven does not run again",
        ("what is proven runs again", "a question is called the cause"),
    ),
    Mutant(
        "end-told-before-recorded",
        "verdicts.rs",
        "        self.effects.push(Effect::End { report, standing });",
        "        self.effects.push(Effect::End { report, standing });\n        self.tell_ended(id);",
        "evidence before news",
        ("news of an end before its evidence",),
    ),
    Mutant(
        "refused-evidence-told",
        "runs.rs",
        "(Record::End, Phase::Ending, Some(failure)) => self.give_up(id, &failure),",
        "(Record::End, Phase::Ending, Some(_)) => self.tell_ended(id),",
        "evidence before news",
        ("news of an end before its evidence",),
    ),
    Mutant(
        "stage-before-manifest",
        "runs.rs",
        "        self.runs.insert(run.report.run.clone(), run);\n",
        "        let id = run.report.run.clone();\n"
        "        self.runs.insert(id.clone(), run);\n"
        "        if let Some(run) = self.runs.get_mut(&id) {\n"
        "            run.phase = Phase::Running;\n"
        "        }\n"
        "        self.advance(&id);\n",
        "evidence before anything runs",
        ("a stage starts before the manifest is on disk",),
    ),
    Mutant(
        "number-skipped",
        "state.rs",
        "self.seq = self.seq.next();",
        "self.seq = self.seq.next().next();",
        "numbers without a gap",
        ("the numbers have a gap",),
    ),
    Mutant(
        "failed-look-answers-nobody",
        "looks.rs",
        "            .for_each(|request| self.look_denied(request, id, detail));",
        "            .for_each(|request| drop((request, detail)));",
        "every question is answered",
        ("nobody answered", "waits past its deadline"),
    ),
    Mutant(
        "blind-answers-nobody",
        "workspace.rs",
        "            self.abandon_checks(id);\n            self.answer_refused(id);",
        "            self.abandon_checks(id);",
        "nobody waits for what is not there",
        ("waits for a workspace that does not serve", "a run is queued that nobody was told of"),
    ),
    Mutant(
        "removal-answers-nobody",
        "workspace.rs",
        "        self.answer_refused(id);\n        for project in self.projects_of(id) {",
        "        for project in self.projects_of(id) {",
        "nobody waits for what is not there",
        ("waits for a workspace that does not serve", "nobody answered"),
    ),
    Mutant(
        "deadline-ignored",
        "requests.rs",
        "for request in self.waiters.late(now) {",
        "for request in self.waiters.late(now).into_iter().filter(|_| false) {",
        "an answer in time, or that it is too late",
        ("waits past its deadline",),
    ),
    Mutant(
        "who-waits-is-not-found-again",
        "waiters/index.rs",
        "            if matches!(sought, Sought::Run) {",
        "            if matches!(sought, Sought::Run) && self.index.is_empty() {",
        "whoever waits for a run is answered by its end",
        ("waits for nothing", "nobody answered"),
    ),
    Mutant(
        "void-run-ends-the-wait",
        "seek.rs",
        "_ if report.verdict == Verdict::Unknown && report.void.is_none() => {",
        "_ if report.verdict == Verdict::Unknown => {",
        "who waits for a verdict gets one",
        ("unknown at rest", "gate"),
    ),
    Mutant(
        "waits-for-a-run-that-is-not-needed",
        "looks.rs",
        "            self.answer_proven(&project);\n",
        "",
        "who waits for a verdict gets one",
        ("waits for nothing", "scene put_back"),
    ),
    Mutant(
        "the-list-forgets-what-failed",
        "runs.rs",
        "            project.unproven.merge(&run.report.changed);\n",
        "            project.unproven = ChangeSet::default();\n            project.unproven.merge(&run.report.changed);\n",
        "a stage is told of all that differs from what passed",
        ("is not told of all that no run has passed",),
    ),
    Mutant(
        "begins-before-the-configuration-is-read",
        "waiters.rs",
        "            Need::Resume { ask } if unread => {",
        "            Need::Resume { ask } if unread && false => {",
        "nothing begins under a configuration that is being read",
        ("a run begins while the view is being rebuilt", "scene taken_up_late"),
    ),
    Mutant(
        "overtaken-look-is-believed",
        "workspace.rs",
        "        look.config.as_ref().map(Arc::as_ptr) != present",
        "        look.config.is_none() && present.is_none()",
        "a view is of the configuration that it is judged by",
        ("begins on a view of another configuration", "scene overtaken"),
    ),
    Mutant(
        "refused-without-a-look",
        "requests.rs",
        "                    Some(obstacle) => obstacle.may_be_mended(),",
        "                    Some(_) => false,",
        "who asks is refused by what the files say now",
        ("the question is refused at once", "scene mended"),
    ),
    Mutant(
        "lost-look-is-no-answer",
        "looks.rs",
        "                true => self.look_lost(id, look),",
        "                true => self.look_failed(id, look),",
        "a look that met another configuration is taken again",
        ("the question is answered without a look", "scene replaced"),
    ),
    Mutant(
        "asked-about-what-was-configured",
        "workspace.rs",
        "        self.ask_anew(id, config);\n",
        "",
        "who asks about all projects is told of those that are configured",
        ("the question is refused with the old project", "scene replaced"),
    ),
    Mutant(
        "synced-without-a-look",
        "requests.rs",
        "                        _ => self.want_sync(id, request),",
        "                        _ => self.reply(request, Reply::Synced),",
        "synced means seen",
        ("synced without a look after the question",),
    ),
    Mutant(
        "question-joins-a-look-under-way",
        "looks.rs",
        "        wanted.requests.extend(request);",
        "        match &mut workspace.look {\n"
        "            Some(look) => look.requests.extend(request),\n"
        "            None => wanted.requests.extend(request),\n"
        "        }",
        "an answer is never older than its question",
        ("the answer is older than the question", "what is proven runs again"),
    ),
    Mutant(
        "cancelled-run-never-concluded",
        "runs.rs",
        "            self.cancel(&child, why);\n        }\n        self.advance(id);",
        "            self.cancel(&child, why);\n        }",
        "every run ends",
        ("these never ended", "did not", "nobody answered", "never proven", "never comes to rest"),
    ),
    Mutant(
        "cancelled-content-runs-again",
        "verdicts.rs",
        "            Verdict::Unknown if run.cancelled == Some(BY_HAND) => {",
        "            Verdict::Unknown if run.cancelled == Some(BY_HAND) && run.broken => {",
        "what somebody ended is left alone",
        ("left alone runs by itself",),
    ),
    Mutant(
        "made-way-and-forgotten",
        "verdicts.rs",
        "            Verdict::Unknown if run.cancelled == Some(BY_HAND) => {",
        "            Verdict::Unknown if run.cancelled.is_some() => {",
        "what was ended to make way runs later",
        ("was never proven", "a question is called the cause"),
    ),
    Mutant(
        "unstable-never-stops",
        "verdicts.rs",
        "                verdict = Verdict::Unstable;",
        "                verdict = Verdict::Unknown;",
        "a stage that rewrites its inputs does not loop",
        ("never comes to rest",),
    ),
    Mutant(
        "any-proof-will-do",
        "project.rs",
        "self.proofs.iter().rev().find(|proof| proof.keys == keys)",
        "self.proofs.iter().rev().find(|proof| proof.keys.len() == keys.len())",
        "a proof is looked up by keys",
        ("the proof is about another content", "green is told of"),
    ),
    Mutant(
        "proofs-on-disk-ignored",
        "project.rs",
        "            proofs: known.proofs.into(),",
        "            proofs: VecDeque::new(),",
        "a daemon that is started again knows what was proven",
        ("what is proven runs again",),
    ),
    Mutant(
        "resumed-run-keeps-its-proof",
        "runs.rs",
        "            project.proofs.retain(|proof| proof.run != ask.run);\n",
        "",
        "a proof is a run that has ended",
        ("a proof is a run that has ended", "news of a verdict before its evidence"),
    ),
    Mutant(
        "refused-and-fresh",
        "status.rs",
        "        let told = proof.filter(|_| obstacle.is_none());",
        "        let told = proof;",
        "no verdict under a configuration that is refused",
        ("fresh although the workspace does not serve",),
    ),
    Mutant(
        "untrusted-change-runs",
        "project.rs",
        "        if !serves || self.stopping || self.settles.contains_key(id) {",
        "        let _ = serves;\n        if self.stopping || self.settles.contains_key(id) {",
        "nothing runs that was not allowed",
        ("although the configuration is refused", "that was not allowed", "while the view is being rebuilt", "a run is queued that nobody was told of"),
    ),
    Mutant(
        "untrusted-pending-runs",
        "waiters.rs",
        "            self.refuse_all_pending(&project, &obstacle.denied());\n",
        "",
        "who was refused has nothing run for him later",
        ("a run is queued that nobody was told of", "are pending for"),
    ),
    Mutant(
        "start-does-not-wait",
        "workspace.rs",
        "state.renew(config.settings.on_start == OnStart::Wait);",
        "state.renew(false);",
        "on_start = false",
        ("it has to wait for a change",),
    ),
    Mutant(
        "denied-run-goes-on",
        "workspace.rs",
        "        self.end_denied(id);\n",
        "",
        "nothing runs that is no longer allowed",
        ("a stage starts after it was denied", "scene denied"),
    ),
    Mutant(
        "leaves-without-a-word",
        "project.rs",
        "        self.take_leave(id);\n",
        "",
        "a file says nothing of what nobody looks at",
        ("and nobody looks at it", "scene renamed"),
    ),
    Mutant(
        "mutex-not-held",
        "stages.rs",
        "        room && !held",
        "        let _ = held;\n        room",
        "stages with one mutex never overlap",
        ("two stages hold the mutex",),
    ),
    Mutant(
        "mutex-per-workspace",
        "stages.rs",
        ".any(|(_, other)| other.mutex == command.mutex);",
        ".any(|(of, other)| of.workspace == workspace && other.mutex == command.mutex);",
        "stages with one mutex never overlap, in any workspace",
        ("two stages hold the mutex",),
    ),
    Mutant(
        "jobs-ignored",
        "stages.rs",
        "        room && !held",
        "        let _ = room;\n        !held",
        "no more stages than jobs",
        ("more stages than jobs",),
    ),
    Mutant(
        "retries-never-stop",
        "stages.rs",
        "if retry && stage.attempts <= command.retries {",
        "if retry {",
        "as many attempts as were asked for",
        ("of a stage with",),
    ),
    Mutant(
        "flaky-told-as-pass",
        "verdicts.rs",
        "        RunStatus::Succeeded if run.report.is_flaky() =>",
        "        RunStatus::Succeeded if run.report.is_flaky() && false =>",
        "a pass after a failure is told",
        ("a pass after a failure is told as a pass",),
    ),
    Mutant(
        "failure-not-allowed",
        "stages.rs",
        "            (false, true) => StageStatus::Skipped,",
        "            (false, true) => StageStatus::Failed,",
        "allow_failure",
        ("red for",),
    ),
    Mutant(
        "timeout-never-fires",
        "stages.rs",
        "deadline.is_some_and(|at| at <= now)",
        "deadline.is_some_and(|at| at > at && at <= now)",
        "a stage ends at its deadline",
        ("wakes for nothing", "never comes to rest"),
    ),
    Mutant(
        "kill-never-follows",
        "stages.rs",
        "if kill_at.is_some_and(|at| at <= now) {",
        "if kill_at.is_some_and(|at| at > at && at <= now) {",
        "what ignores TERM is killed",
        ("wakes for nothing", "never comes to rest"),
    ),
    Mutant(
        "exit-before-the-last-record",
        "requests.rs",
        "if self.stopping && !self.exited && self.runs.is_empty() {",
        "if self.stopping && !self.exited {",
        "the daemon ends once everything is recorded",
        ("a run outlives the daemon", "these never ended"),
    ),
    Mutant(
        "workspace-never-forgotten",
        "workspace.rs",
        "        if closing && self.projects_of(id).is_empty() {",
        "        if closing && self.workspaces.is_empty() {",
        "a removed workspace is forgotten",
        ("a workspace is never forgotten", "is forgotten while"),
    ),
    Mutant(
        "child-of-another-configuration",
        "runs.rs",
        "        let config = Arc::clone(&run.config);\n        let Some(seen)",
        "        let Some(config) = self.config_of(&id) else {\n            return;\n        };\n        let Some(seen)",
        "a run is of one configuration, with its children",
        ("that was not allowed",),
    ),
    Mutant(
        "question-waits-behind-a-change",
        "looks.rs",
        "let needless = match self.is_awaited(id) {",
        "let needless = match self.is_awaited(id) && asked {",
        "who waits for a verdict gets one",
        ("waits for nothing", "nobody answered", "scene behind_a_change"),
    ),
    Mutant(
        "a-question-is-the-cause",
        "project.rs",
        "        if at_rest { Cause::Gate } else { project.auto }",
        "        if at_rest || self.is_awaited(id) { Cause::Gate } else { project.auto }",
        "the cause of a run is what it is for",
        ("a question is called the cause", "scene asked_after_a_save"),
    ),
    Mutant(
        "removed-project-is-asked-about",
        "requests.rs",
        "let there = self.projects.iter().filter(|(_, project)| !project.gone);",
        "let there = self.projects.iter();",
        "nobody waits for a project that is no longer configured",
        ("nobody answered", "scene renamed"),
    ),
    Mutant(
        "restart-ignored",
        "project.rs",
        "if own && self.on_busy(id) == Some(OnBusy::Restart) &&",
        "if own && self.on_busy(id).is_none() &&",
        "on_busy = restart",
        ("scene restart",),
    ),
    Mutant(
        "gate-joins-nothing",
        "seek.rs",
        "        if !joins {",
        "        let _ = joins;\n        if true {",
        "a gate joins the run in flight",
        ("scene gate",),
    ),
    Mutant(
        "asked-twice-runs-twice",
        "waiters.rs",
        "                && !ask.force",
        "                && ask.force",
        "the same content asked for twice runs once",
        ("scene shared",),
    ),
    Mutant(
        "resume-keeps-nothing",
        "runs.rs",
        "            if done && kept.id == fresh.id {",
        "            if !done && kept.id == fresh.id {",
        "a run that is taken up again keeps what succeeded",
        ("scene resume",),
    ),
    Mutant(
        "optional-is-required",
        "stages.rs",
        "            Some(Action::Subpipeline(sub)) => sub.optional,",
        "            Some(Action::Subpipeline(_)) => false,",
        "an optional child may fail",
        ("red for", "scene optional_child"),
    ),
    Mutant(
        "unconfigured-run-waits-for-ever",
        "looks.rs",
        "            self.conclude(&run, None);\n        }\n        for (parent",
        "            let _ = &run;\n        }\n        for (parent",
        "every run ends, whatever becomes of the configuration",
        ("did not", "nobody answered", "was never proven", "never forgotten"),
    ),
    Mutant(
        "own-work-restarts-for-ever",
        "rewritten.rs",
        "                || project.restarts.get(culprit).copied() >= Some(RESTARTS_ALIKE_MAX)",
        "                || project.restarts.get(culprit).copied() >= Some(u32::MAX)",
        "a stage that rewrites its own inputs is never a loop",
        ("scene restarted_by_itself",),
    ),
    Mutant(
        "child-forgets-what-is-rewritten",
        "verdicts.rs",
        "        let ours = self.projects.get_mut(&project).filter(|_| root);",
        "        let ours = self.projects.get_mut(&project);",
        "a stage that rewrites its own inputs is never a loop",
        ("never comes to rest", "scene unstable_above_a_child"),
    ),
    Mutant(
        "flaky-child-is-told-as-passed",
        "stages.rs",
        "            RunStatus::Succeeded if is_flaky =>",
        "            RunStatus::Succeeded if is_flaky && false =>",
        "a pass after a failure is told as flaky",
        ("is told as a pass",),
    ),
    Mutant(
        "kept-stage-proves-other-content",
        "verdicts.rs",
        "        _ if kept_from_elsewhere(run) => Verdict::Unknown,\n        RunStatus::Failed => Verdict::Fail,",
        "        RunStatus::Failed => Verdict::Fail,\n        _ if kept_from_elsewhere(run) => Verdict::Unknown,",
        "a run proves only what all of its stages have read",
        ("proves what its stages did not read",),
    ),
    Mutant(
        "unstable-is-told-of-what-came-later",
        "verdicts.rs",
        "                if let Some(seen) = &run.closing {",
        "                if let Some(seen) = &self.known().cloned() {",
        "a verdict is told only of content that was run",
        ("the proof is about another content", "scene unstable_of_what_ran"),
    ),
    Mutant(
        "too-late-whatever-time-is-given",
        "workspace.rs",
        "                if !same {",
        "                if !same && same {",
        "a failure for time is about the time that was given",
        ("scene more_time",),
    ),
    Mutant(
        "needs-are-in-no-key",
        "keys.rs",
        "        pipeline.key_in_place(stage, key)",
        "        key",
        "what was proven after others ran is proven only after them",
        ("scene other_needs",),
    ),
    Mutant(
        "a-run-is-another-one-than-was-asked-for",
        "pending.rs",
        "        if let Some(queued) = asked.find(|queued| queued.origin.is_like(&origin)) {",
        "        if let Some(queued) = asked.find(|_| true) {",
        "who asks for a run gets one with what he named",
        ("is told of a run of another origin", "scene named"),
    ),
    Mutant(
        "one-twin-waits-for-ever",
        "looks.rs",
        "        for (parent, stage) in &expecting {",
        "        for (parent, stage) in expecting.iter().take(1) {",
        "every run ends, also of two stages that are the same pipeline",
        ("scene twins",),
    ),
    Mutant(
        "a-queued-run-begins-under-another-id",
        "pending.rs",
        "            run.report.run = queued.run;\n",
        "            let _ = queued.run;\n",
        "a run begins under the id that was told",
        ("nobody was told that it is queued",),
    ),
    Mutant(
        "who-left-has-his-run-all-the-same",
        "pending.rs",
        "        self.take(|queued| is_forsaken && queued.run == run)",
        "        self.take(|queued| is_forsaken && queued.run == run && false)",
        "what nobody wants any more is not run",
        ("nobody wants it any more",),
    ),
    Mutant(
        "one-who-leaves-takes-it-from-the-others",
        "pending.rs",
        "        let is_forsaken = queued.requests.is_empty() && queued.wanted == Wanted::Attended;",
        "        let is_forsaken = queued.wanted == Wanted::Attended;",
        "who leaves ends nothing for those who stay",
        ("is still wanted", "nobody answered", "who asks for a queued run is known, and nobody else"),
    ),
    Mutant(
        "a-detached-run-goes-with-who-asked",
        "pending.rs",
        "            requests: BTreeSet::from([request]),\n            wanted,\n",
        "            requests: BTreeSet::from([request]),\n            wanted: wanted.min(Wanted::Attended),\n",
        "what was left to itself is run",
        ("is still wanted",),
    ),
    Mutant(
        "a-detached-run-goes-with-who-had-asked-before",
        "pending.rs",
        "            queued.wanted = queued.wanted.max(wanted);\n",
        "",
        "what was left to itself is run",
        ("scene queued_and_left",),
    ),
    Mutant(
        "a-cancelled-run-begins",
        "queued.rs",
        "        let Some(queued) = pending.and_then(|it| it.take(|queued| queued.run == *run)) else {",
        "        let Some(queued) = pending.and_then(|it| it.take(|queued| queued.run != *run)) else {",
        "what was cancelled does not begin",
        ("nobody asked for that", "nobody answered"),
    ),
    Mutant(
        "nobody-hears-of-a-queued-run-that-is-refused",
        "queued.rs",
        "            self.tell_dropped(id, pipeline, queued.run, why);\n",
        "            let _ = (pipeline, queued.run, why);\n",
        "what became of an id is told once",
        ("a run was told to be queued, and is not", "nobody was told what became of", "which was asked for first"),
    ),
    Mutant(
        "who-asked-is-held-for-ever",
        "queued.rs",
        "                self.effects.push(Effect::Release { request: *request });\n",
        "",
        "nobody is held for a run that waits no longer",
        ("in vain, or not held",),
    ),
    Mutant(
        "what-was-asked-for-last-is-first",
        "project.rs",
        "        let asked = asked.min_by_key(|(_, pending)| pending.place());",
        "        let asked = asked.max_by_key(|(_, pending)| pending.place());",
        "what was asked for begins in the order of asking",
        ("scene queued_in_order",),
    ),
    Mutant(
        "what-is-called-first-begins-first",
        "looks.rs",
        "        let Some((pipeline, pending)) = project.next_pending() else {",
        "        let seen = contents.keys().find_map(|it| project.pending.get_key_value(it));\n"
        "        let Some((pipeline, pending)) = seen else {",
        "what was asked for begins in the order of asking, also of those that one look serves",
        ("which was asked for first",),
    ),
    Mutant(
        "what-the-content-calls-for-is-first",
        "project.rs",
        "                    Some(next) if next != pipeline => self.want(id, &next, None),\n",
        "",
        "what was asked for begins before what the content calls for",
        ("which was asked for first",),
    ),
    Mutant(
        "failures-are-not-remembered",
        "verdicts.rs",
        "        self.note_history(&project_id, &run);\n",
        "",
        "a pass after a failure of an earlier run is told as flaky",
        ("a pass stands for a key that has failed before",),
    ),
    Mutant(
        "failures-on-disk-are-ignored",
        "project.rs",
        "            history: known.history,",
        "            history: History::default(),",
        "a pass after a failure is told as flaky, also by a daemon that is started again",
        ("a pass stands for a key that has failed before", "scene what_failed_before_a_restart_has_failed"),
    ),
    Mutant(
        "a-pass-takes-a-failure-back",
        "history.rs",
        "            let said = stages.filter_map(|stage| Some((stage.key?, stage.outcome)));\n",
        "            let said: Vec<_> = stages.filter_map(|stage| Some((stage.key?, stage.outcome))).collect();\n"
        "            for before in project.history.runs.values_mut() {\n"
        "                before.retain(|key, _| !said.contains(&(*key, Outcome::Flaky)));\n"
        "            }\n"
        "            let said = said.into_iter().filter(|(_, outcome)| *outcome != Outcome::Flaky);\n",
        "what has failed once is flaky until it is another content",
        ("a pass stands for a key that has failed before",),
    ),
    Mutant(
        "a-void-failure-counts",
        "history.rs",
        "run.report.void.is_none() && ",
        "",
        "a failure is of content that stood still",
        ("flaky is told of a key that has not failed",),
    ),
    Mutant(
        "a-failure-beside-is-overlooked",
        "verdicts.rs",
        "            admit_failures(",
        "            let _ = (",
        "a pass and a failure on one key are flaky, also in one run",
        ("a pass stands for a key that has failed before", "scene failed_beside"),
    ),
    Mutant(
        "evidence-that-is-gone-speaks-on",
        "discarded.rs",
        "            project.history.forget(runs);\n",
        "",
        "nothing is told by evidence that is gone",
        ("scene failed_before",),
    ),
]


def simulate(at: Path) -> tuple[int, str]:
    env = {"SIMULATION_CASES": CASES, "PROPTEST_RNG_SEED": SEED, "PROPTEST_MAX_SHRINK_ITERS": "0"}
    try:
        return run_test(at, "simulation", env, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return 1, "the simulation does not end"


def findings(output: str) -> list[tuple[str, str]]:
    """Which test said what: the first line of each panic."""
    found = re.findall(r"thread '([^']*)'[^\n]* panicked at [^\n]*\n([^\n]*)", output)
    return [(test, said) for test, said in found if not said.startswith("Test failed")]


def judge(mutant: Mutant, at: Path) -> str | None:
    """Why the mutant is not noticed as the table says; nothing if it is."""
    began = time.monotonic()
    try:
        with broken(at / "src" / "engine" / mutant.file, [(mutant.old, mutant.new)]):
            code, output = simulate(at)
    except Unfit as unfit:
        return str(unfit)
    took = time.monotonic() - began
    if code == 0:
        return "survived"
    if "could not compile" in output:
        return "does not compile:\n" + output[-2000:]
    said = findings(output) or [("?", output.strip()[-300:])]
    world = [text for test, text in said if "every_promise" in test]
    scenes = sorted({test.rsplit("::", 1)[-1] for test, _ in said if "every_promise" not in test})
    first = world[0] if world else "-"
    print(f"{mutant.name:34} {took:4.0f} s  {first[:110]}", flush=True)
    if scenes:
        print(f"{'':34}         also: {', '.join(scenes)}")
    heard = [first] + [f"scene {scene}" for scene in scenes]
    if not any(part in text for part in mutant.noticed for text in heard):
        return f"noticed for another reason than {mutant.noticed}: {said}"
    return None


def main() -> int:
    parts = sys.argv[1:]
    chosen = [m for m in MUTANTS if not parts or any(part in m.name for part in parts)]
    problems = []
    with copied_sources() as at:
        code, output = simulate(at)
        if code != 0:
            print(f"the simulation fails without any mutant:\n{output[-3000:]}")
            return 1
        for mutant in chosen:
            problem = judge(mutant, at)
            if problem:
                problems.append(f"{mutant.name} ({mutant.breaks}): {problem}")
                print(f"{mutant.name:34} {problem}", flush=True)
    print(f"{len(chosen) - len(problems)} of {len(chosen)} mutants were noticed ({CASES} scripts, seed {SEED})")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
