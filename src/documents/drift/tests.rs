//! Each kind of difference by its smallest case, and that what is accepted is no finding while it is.
//!
//! Configurations are read from text, so that what is compared is what a user can write.

use super::*;
use proptest::prelude::*;

/// What is said of one project's stages, held against those of a template.
fn said(template: &str, stages: &str) -> Vec<String> {
    told(&config(template, stages, ""), "2026-11-23")
}

fn config(template: &str, stages: &str, waivers: &str) -> Config {
    let text = format!(
        "[[template]]\nid = 'agreed'\n{}\n[[pipeline]]\nid = 'diagnostics'\n{}\n[[project]]\ntask = 't'\n{waivers}",
        template.replace("[[stage]]", "[[template.stage]]"),
        stages.replace("[[stage]]", "[[pipeline.stage]]"),
    );
    Config::of_toml(&text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn told(config: &Config, today: &str) -> Vec<String> {
    let against = Against::find(config, None).unwrap();
    let drift = drift(config, &against, None, Day::parse(today).unwrap());
    assert_eq!(drift.against, "agreed");
    let all = drift.projects.iter().flat_map(|it| &it.differences);
    let line = |it: &Difference| {
        let waived = if it.waived { " (waived)" } else { "" };
        format!("{} {}{waived}: {}", it.stage, it.kind.as_str(), it.detail)
    };
    let warnings = drift.warnings.iter().map(|it| format!("warning: {it}"));
    all.map(line).chain(warnings).collect()
}

const LINT: &str = "[[stage]]\nid = 'lint'\ncommand = 'npm run lint'\n";
const TEST: &str = "[[stage]]\nid = 'test'\ncommand = 'npm test'\n";

#[test]
fn what_is_alike_does_not_differ() {
    assert_eq!(said(LINT, LINT), [""; 0]);
    let argv =
        "[[stage]]\nid = 'lint'\ncommand = ['npm', 'run', 'lint']\ntitle = 'Lint'\nmutex = 'm'\n";
    assert_eq!(said(LINT, argv), [""; 0]);
}

#[test]
fn what_is_missing_extra_or_other_is_told() {
    let both = [LINT, TEST].concat();
    assert_eq!(
        said(&both, LINT),
        ["test missing: `diagnostics` has no such stage, which runs `npm test`"]
    );
    assert_eq!(
        said(LINT, &both),
        ["test extra: there is no such stage elsewhere: it runs `npm test`"]
    );
    let other =
        "[[stage]]\nid = 'lint'\ncommand = 'npm run lint:fast'\ncwd = 'web'\nenv = { CI = '1' }\n";
    assert_eq!(
        said(LINT, other),
        [
            "lint command: it runs `npm run lint:fast` instead of `npm run lint`",
            "lint command: it runs in `web` of the project instead of the project's directory",
            "lint command: `CI` is set to `1`",
        ]
    );
}

#[test]
fn another_order_is_told_and_a_stricter_one_is_not() {
    let (both, swapped) = ([LINT, TEST].concat(), [TEST, LINT].concat());
    assert_eq!(
        said(&both, &swapped),
        ["test order: it does not wait for `lint`"]
    );
    let graph = format!("{LINT}{TEST}needs = ['lint']\n");
    assert_eq!(said(&both, &graph), [""; 0]);
    let loose = format!("{LINT}{TEST}[[stage]]\nid = 'all'\ncommand = 'x'\nneeds = ['test']\n");
    let tight = format!(
        "{LINT}{TEST}needs = ['lint']\n[[stage]]\nid = 'all'\ncommand = 'x'\nneeds = ['test']\n"
    );
    assert_eq!(
        said(&tight, &loose),
        [
            "test order: it does not wait for `lint`",
            "all order: it does not wait for `lint`"
        ]
    );
    assert_eq!(said(&loose, &tight), [""; 0]);
}

#[test]
fn whatever_proves_less_is_weakened_and_whatever_proves_more_is_not() {
    let agreed =
        format!("{LINT}timeout = '10m'\ninputs = ['src/**']\ntoolchain = ['node --version']\n");
    let weak = "[[stage]]\nid = 'lint'\ncommand = 'npm run lint --dry-run || true'\nallow_failure = true\nretries = 2\n\
        inputs = ['lib/**', '!lib/x']\noutputs = ['dist/**']\n";
    assert_eq!(
        said(&agreed, weak),
        [
            "lint weakened: `|| true`: it cannot fail",
            "lint weakened: `--dry-run`: it cannot fail",
            "lint weakened: `allow_failure`: its failure is skipped",
            "lint weakened: no `timeout`, instead of 10m",
            "lint weakened: `retries` is 2, instead of 0",
            "lint weakened: `inputs` lacks `src/**`",
            "lint weakened: `inputs` takes out `!lib/x`",
            "lint weakened: `outputs` takes `dist/**` out of what is read",
            "lint weakened: `toolchain` does not ask `node --version`",
        ]
    );
    let long = agreed.replace("10m", "11m");
    assert_eq!(
        said(&agreed, &long),
        ["lint weakened: `timeout` is 11m, instead of 10m"]
    );
    assert_eq!(said(&long, &agreed), [""; 0]);
    assert_eq!(
        said(weak, &agreed).len(),
        1,
        "only the inputs that it lacks"
    );
    let narrow = format!("{LINT}inputs = ['src/**']\n");
    assert_eq!(
        said(LINT, &narrow),
        ["lint weakened: `inputs` is only `src/**`, instead of every file"]
    );
    assert_eq!(said(&narrow, LINT), [""; 0]);
    assert_eq!(said(LINT, &format!("{LINT}inputs = ['**']\n")), [""; 0]);
    let child = |optional: bool| {
        format!(
            "[[stage]]\nid = 'c'\npipeline = 'p'\noptional = {optional}\n[[pipeline]]\nid = 'p'\n[[pipeline.stage]]\nid = 'x'\ncommand = 'x'\n"
        )
    };
    let agreed = "[[stage]]\nid = 'c'\npipeline = 'p'\n";
    assert_eq!(
        said(agreed, &child(true)),
        ["c weakened: `optional`: its failure is skipped"]
    );
    assert_eq!(said(agreed, &child(false)), [""; 0]);
    assert_eq!(
        said("[[stage]]\nid = 'lint'\npipeline = 'p'\n", LINT),
        ["lint command: it runs `npm run lint` instead of the pipeline `p`"]
    );
}

#[test]
fn a_stage_whose_command_is_left_open_may_run_anything_that_can_fail() {
    let open = "[[stage]]\nid = 'lint'\ntimeout = '5m'\n";
    assert_eq!(
        said(
            open,
            "[[stage]]\nid = 'lint'\ncommand = 'cargo clippy'\ntimeout = '5m'\ninputs = ['src/**']\noutputs = ['target/']\n"
        ),
        [""; 0]
    );
    assert_eq!(
        said(
            open,
            "[[stage]]\nid = 'lint'\ncommand = 'true'\ntimeout = '5m'\n"
        ),
        ["lint weakened: `true, which checks nothing`: it cannot fail"]
    );
    assert_eq!(said(open, TEST).len(), 2, "missing and extra");
}

#[test]
fn what_is_accepted_is_no_finding_until_its_day_is_over() {
    let waiver = "[[project.waiver]]\nstage = 'test'\nreason = 'no tests yet'\nby = 'ann'\nuntil = 2026-11-30\n";
    let config = config(&[LINT, TEST].concat(), LINT, waiver);
    let missing = "`diagnostics` has no such stage, which runs `npm test`";
    assert_eq!(
        told(&config, "2026-11-30"),
        [format!("test missing (waived): {missing}")]
    );
    assert_eq!(
        told(&config, "2026-12-01"),
        [
            format!("test missing: {missing}"),
            "test expired-waiver: the waiver by ann ended with 2026-11-30 (no tests yet): mend the stage, or agree anew".to_owned(),
        ]
    );
    let against = Against::find(&config, Some("agreed")).unwrap();
    let day = |text| Day::parse(text).unwrap();
    assert_eq!(
        drift(&config, &against, None, day("2026-11-30")).findings(),
        0
    );
    assert_eq!(
        drift(&config, &against, None, day("2026-12-01")).findings(),
        2
    );
}

#[test]
fn a_waiver_that_waives_nothing_is_odd_and_one_that_is_over_is_a_finding() {
    let waiver =
        "[[project.waiver]]\nstage = 'tset'\nreason = 'r'\nby = 'ann'\nuntil = '2026-11-30'\n";
    let config = config(LINT, LINT, waiver);
    assert_eq!(
        told(&config, "2026-11-01"),
        [
            "warning: project `t`: the waiver of `tset` (until 2026-11-30, by ann) waives nothing: take it out"
        ]
    );
    assert_eq!(told(&config, "2027-01-01").len(), 1);
}

#[test]
fn another_project_can_be_held_against() {
    let text = "[[project]]\ntask = 'a'\npath = 'a'\npipeline = 'one'\n[[project]]\ntask = 'b'\npath = 'b'\npipeline = 'two'\n\
        [[pipeline]]\nid = 'one'\n[[pipeline.stage]]\nid = 'lint'\ncommand = 'x'\n\
        [[pipeline]]\nid = 'two'\n[[pipeline.stage]]\nid = 'lint'\ncommand = 'x || true'\n";
    let config = Config::of_toml(text).unwrap();
    let day = Day::parse("2026-11-23").unwrap();
    let against = Against::find(&config, Some("a")).unwrap();
    let drift = drift(&config, &against, None, day);
    assert_eq!((drift.projects.len(), drift.findings()), (1, 1));
    assert_eq!(drift.projects[0].task_id.as_str(), "b");
    let unknown = Against::find(&config, Some("c")).unwrap_err().to_string();
    assert_eq!(
        unknown,
        "neither a template nor a project is called `c`: there is a, b"
    );
    let none = Against::find(&config, None).unwrap_err().to_string();
    assert!(none.contains("no [[template]]"), "{none}");
}

/// Stages with whatever of the options is drawn.
fn stages() -> impl Strategy<Value = String> {
    let options = prop::sample::subsequence(
        vec![
            "allow_failure = true",
            "retries = 1",
            "timeout = '5m'",
            "inputs = ['a']",
            "outputs = ['b']",
            "env = { A = '1' }",
        ],
        0..5,
    );
    let command = prop::sample::select(vec!["x", "x || true", "x --dry-run", "y; true", "true"]);
    let stage = (command, options);
    prop::collection::vec(stage, 1..4).prop_map(|stages| {
        let one = |(at, (command, options)): (usize, &(&str, Vec<&str>))| {
            format!(
                "[[stage]]\nid = 's{at}'\ncommand = '{command}'\n{}\n",
                options.join("\n")
            )
        };
        stages.iter().enumerate().map(one).collect()
    })
}

proptest! {
    #[test]
    fn nothing_differs_from_itself(stages in stages()) {
        prop_assert_eq!(said(&stages, &stages), [""; 0]);
    }

    #[test]
    fn what_is_different_is_different_one_way_or_the_other(one in stages(), other in stages()) {
        let differs = !said(&one, &other).is_empty() || !said(&other, &one).is_empty();
        prop_assert_eq!(differs, one.trim() != other.trim(), "{} / {}", one, other);
    }
}
