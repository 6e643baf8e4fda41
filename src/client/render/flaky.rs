//! `orchctl runs --flaky`: which stages have passed on content on which they have failed, too, and in which runs.
//!
//! The rows are those of `runs`; below each stand its flaky stages.

use crate::client::output::Look;
use crate::client::render::history;
use crate::client::render::mark::short;
use crate::client::render::status::indented;
use crate::client::render::text::clean;
use crate::limits::RUNS_NAMED_MAX;
use crate::model::id::RunId;
use crate::model::report::runs::{FlakyStage, ListedRun, RunList};

/// Hex digits of a stage key that are shown.
const KEY_CHARS: usize = 8;

/// Renders the runs that have a flaky stage, newest first.
#[must_use]
pub fn runs(list: &RunList, look: &Look) -> String {
    if list.runs.is_empty() {
        return "No stage is known to be flaky.\n".to_owned();
    }
    history::runs(list, look)
}

/// The flaky stages of a run, a line each; nothing where they were not asked for.
pub(super) fn stages(run: &ListedRun, look: &Look) -> String {
    let stages = run.flaky.iter().flatten();
    stages
        .map(|stage| indented(&line(stage), 4, look))
        .collect()
}

fn line(flaky: &FlakyStage) -> String {
    let stage = clean(flaky.stage.as_str());
    let key: String = flaky.key.to_string().chars().take(KEY_CHARS).collect();
    let failed = match (flaky.failed_in.is_empty(), &flaky.sub_run_id) {
        (false, _) => format!("failed in {}", named(&flaky.failed_in)),
        (true, Some(child)) => format!("flaky below, in run {}", short(child)),
        (true, None) => "failed in a run that is gone".to_owned(),
    };
    let passed = named(&flaky.passed_in);
    format!("~ {stage}  key {key}…  {failed}; passed in {passed}")
}

/// The first of these runs, and how many more there are.
fn named(runs: &[RunId]) -> String {
    let shown: Vec<&str> = runs.iter().take(RUNS_NAMED_MAX).map(short).collect();
    let shown = shown.join(", ");
    match runs.len().saturating_sub(RUNS_NAMED_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::{Digest, StageKey};
    use crate::model::id::StageId;
    use crate::model::time::Timestamp;

    fn run(second: i64) -> RunId {
        RunId::new(
            Timestamp::from_unix_ms(second * 1000),
            7 + u32::try_from(second).unwrap(),
        )
    }

    #[test]
    fn a_flaky_stage_is_told_with_its_key_and_its_history() {
        let mut stage = FlakyStage {
            stage: StageId::parse("unit").unwrap(),
            key: StageKey(Digest::of(b"a")),
            failed_in: vec![run(1)],
            passed_in: (2..9).map(run).collect(),
            sub_run_id: None,
        };
        let told = |stage: &FlakyStage| line(stage).replace(&short(&run(1)).to_owned(), "ONE");
        insta::assert_snapshot!(told(&stage), @"~ unit  key ca978112…  failed in ONE; passed in 00000009, 0000000a, 0000000b, 0000000c, 0000000d and 2 more");
        stage.failed_in.clear();
        stage.passed_in.truncate(1);
        insta::assert_snapshot!(told(&stage), @"~ unit  key ca978112…  failed in a run that is gone; passed in 00000009");
        stage.sub_run_id = Some(run(1));
        insta::assert_snapshot!(told(&stage), @"~ unit  key ca978112…  flaky below, in run ONE; passed in 00000009");
        let look = Look {
            width: None,
            now: Timestamp::from_unix_ms(0),
        };
        assert!(runs(&RunList { runs: Vec::new() }, &look).starts_with("No stage"));
    }
}
