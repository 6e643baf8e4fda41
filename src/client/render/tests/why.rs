//! Why stages are proven or not: every state and every reason once.
//!
//! As a script reads it, and on a narrow terminal, where the reasons come below.

use super::{RUN, look, pipeline, plain, root, run, stage, task};
use crate::client::render::why::why;
use crate::model::id::PipelineId;
use crate::model::path::RelPath;
use crate::model::report::runs::ChangedPaths;
use crate::model::report::why::{Because, StageProven, WhyAnswer, WhyProject, WhyStage};
use crate::model::run::Verdict;

fn one(name: &str, state: StageProven, why: &[Because]) -> WhyStage {
    WhyStage {
        pipeline_id: pipeline(),
        stage: stage(name),
        state,
        run_id: Some(run(RUN)),
        why: why.to_vec(),
        changed: None,
        may_fail: false,
        running: None,
        void: None,
    }
}

fn changed(count: Option<u64>, paths: &[&str]) -> Option<ChangedPaths> {
    let paths = paths.iter().map(|path| RelPath::parse(path).unwrap());
    let paths = paths.collect();
    Some(ChangedPaths { count, paths })
}

fn answer() -> WhyAnswer {
    use Because::{Definition, Inputs, Never, Outputs, Toolchain, Waits};
    use StageProven::{Failed, Flaky, Proven, Unproven};
    let names = ["src/a.ts", "src/b.ts", "src/c.ts", "src/d.ts"];
    let running = Some(run(&RUN.replace("3d0103be", "7aa01c55")));
    let stages = vec![
        one("lint", Proven, &[]),
        WhyStage {
            changed: changed(Some(4), &names),
            ..one("test", Unproven, &[Inputs, Definition])
        },
        WhyStage {
            changed: changed(None, &[]),
            running: running.clone(),
            void: changed(Some(1), &["src/\u{1b}[31me"]),
            ..one("unit", Unproven, &[Inputs])
        },
        WhyStage {
            changed: changed(Some(0), &[]),
            ..one("docs", Unproven, &[Inputs])
        },
        one("types", Unproven, &[Toolchain]),
        one("pack", Unproven, &[Outputs]),
        one("smoke", Unproven, &[Waits]),
        WhyStage {
            run_id: None,
            running,
            ..one("new", Unproven, &[Never])
        },
        one("bench", Failed, &[]),
        WhyStage {
            may_fail: true,
            ..one("links", Failed, &[])
        },
        WhyStage {
            pipeline_id: PipelineId::parse("nightly").unwrap(),
            ..one("e2e", Flaky, &[])
        },
    ];
    WhyAnswer {
        projects: vec![
            WhyProject {
                task_id: task("0101-web"),
                workspace: root(),
                pipeline_id: Some(pipeline()),
                verdict: Verdict::Unknown,
                run_id: None,
                detail: None,
                stages,
            },
            WhyProject {
                task_id: task("0104"),
                workspace: root(),
                pipeline_id: Some(pipeline()),
                verdict: Verdict::Unknown,
                run_id: None,
                detail: Some("the project is no longer configured".to_owned()),
                stages: Vec::new(),
            },
        ],
    }
}

#[test]
fn every_stage_says_what_proves_it_or_what_is_different() {
    insta::assert_snapshot!(plain(&why(&answer(), &look(None))), @r"
    ? unknown   0101-web
      + proven    lint           proven by run 3d0103be
      ? unproven  test           since run 3d0103be: 4 paths changed: src/a.ts, src/b.ts, src/c.ts and 1 more; its definition is another one
      > running   unit           since run 3d0103be: everything may have changed; run 7aa01c55 is under way, and void: content changed while it ran (1 path changed: src/\x1b[31me)
      ? unproven  docs           since run 3d0103be: it reads other files
      ? unproven  types          since run 3d0103be: its toolchain is another one
      ? unproven  pack           since run 3d0103be: what it waits for has left other outputs
      ? unproven  smoke          since run 3d0103be: what it waits for is not proven
      > running   new            not proven yet; run 7aa01c55 is under way
      x failed    bench          failed in run 3d0103be
      - failed    links          failed in run 3d0103be, allowed
      ~ flaky     e2e (nightly)  passed and failed on the same content, run 3d0103be
    ? unknown   0104
        the project is no longer configured
    ");
}

#[test]
fn a_narrow_terminal_has_the_reasons_below() {
    let text = plain(&why(&answer(), &look(Some(40))));
    assert!(
        text.lines().all(|line| line.chars().count() <= 40),
        "{text}"
    );
    let start: String = text.lines().take(6).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(start, @"
    ? unknown   0101-web
      + proven    lint
          proven by run 3d0103be
      ? unproven  test
          since run 3d0103be: 4 paths
          changed: src/a.ts, src/b.ts,
    ");
}
