//! What is typed against what is understood, and the texts that teach it.
//!
//! The help texts are kept as snapshots, so that a changed word is a decision.

use super::*;
use clap::CommandFactory as _;

fn parse(line: &str) -> Result<Args, clap::Error> {
    Args::try_parse_from(std::iter::once("orchctl").chain(line.split_whitespace()))
}

#[test]
fn the_table_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn what_is_typed_is_understood() {
    for (line, understood) in [
        ("watch", "Watch(Watch { dir: None, yes: false })"),
        (
            "watch . --yes",
            r#"Watch(Watch { dir: Some("."), yes: true })"#,
        ),
        (
            "add d --allow",
            r#"Add(Add { dir: Some("d"), allow: true })"#,
        ),
        ("remove d", r#"Remove(Named { dir: "d" })"#),
        ("allow", "Allow(Place { dir: None })"),
        ("init --dry-run", "Init(Init { dir: None, dry_run: true })"),
        ("status --task 0101", "Status(Task { task: Some(0101) })"),
        (
            "start p --detach",
            "Run(Run { pipeline: Some(p), task: None, no_daemon: false, detach: true, force: false, parent_run: None, approval_policy: None, format: None })",
        ),
        (
            "plan --format json",
            "Plan(Plan { pipeline: None, task: None, no_daemon: false, format: Some(Json) })",
        ),
        (
            "runs -n 3",
            "Runs(Runs { task: None, limit: 3, flaky: false })",
        ),
        (
            "logs r lint -f",
            r#"Logs(Logs { run: Some("r"), stage: Some(lint), follow: true, raw: false })"#,
        ),
        ("sync", "Sync(Sync { timeout: 10s })"),
        ("wait", "Wait(Wait { task: None, timeout: 60s })"),
        (
            "wait --timeout 500ms",
            "Wait(Wait { task: None, timeout: 500ms })",
        ),
        (
            "gate --task a --task b",
            "Gate(Gate { task: [a, b], no_daemon: false, no_wait: false, index: false, commit: None })",
        ),
        ("events --since 7", "Events(Events { since: Some(7) })"),
        ("ping --wait 3", "Ping(Ping { wait: Some(3s) })"),
        (
            "completions fish",
            "Completions(Completions { shell: Fish })",
        ),
        ("man", "Man(Man { dir: None })"),
    ] {
        let args = parse(line).unwrap();
        assert_eq!(format!("{:?}", args.command), understood, "{line}");
    }
}

#[test]
fn every_command_takes_the_global_flags_on_either_side() {
    for line in [
        "--json --workspace w --socket s list",
        "list --json --workspace w --socket s",
    ] {
        let global = parse(line).unwrap().global;
        let paths = [global.workspace, global.socket].map(Option::unwrap);
        assert_eq!(paths, [PathBuf::from("w"), PathBuf::from("s")]);
        assert!(global.json);
    }
    for (line, json) in [
        ("run --format json", true),
        ("run --format text", false),
        ("resume --run r --format json", true),
        ("plan --json", true),
        ("status", false),
    ] {
        assert_eq!(parse(line).unwrap().json(), json, "{line}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    for (line, said) in [
        ("", "Usage: orchctl"),
        ("statsu", "similar subcommands exist: 'start', 'status'"),
        ("remove", "<DIR>"),
        ("resume", "--run <ID>"),
        ("run --no-daemon --detach", "cannot be used with"),
        ("run --task a/b", "may not contain '/'"),
        ("runs --limit 0", "a whole number from 1"),
        ("wait --timeout 3days", "`days` is no unit of time"),
        ("completions tcsh", "possible values: bash"),
    ] {
        let error = parse(line).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(said), "{line}: {error}");
    }
}

#[test]
fn every_command_teaches_by_an_example() {
    for command in Args::command().get_subcommands() {
        let name = command.get_name();
        let example = command.get_after_help().unwrap_or_default().to_string();
        assert!(
            example.contains(&format!("  orchctl {name}")),
            "{name}: {example}"
        );
        assert!(command.get_about().is_some(), "{name}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "what is printed is read as a whole")]
fn help_is_the_manual_in_short() {
    let help = Args::command().term_width(80).render_help().to_string();
    insta::assert_snapshot!(help, @"
    Watches directories, runs the guardrails that a change touches, and keeps the
    evidence

    Usage: orchctl [OPTIONS] <COMMAND>

    Commands:
      watch        Watch a directory: start the daemon if need be, add, allow, and
                   show runs live
      add          Add a directory to those that the daemon watches
      remove       Stop watching a directory; its evidence stays
      list         List the directories that the daemon watches
      allow        Allow the commands of a directory's configuration to run
      deny         Take back what `allow` gave
      init         Write an orchd.toml from what is found, and ignore the evidence
                   in .gitignore
      status       Say of each project whether its present content is proven
      run          Run a pipeline now, and wait for the result [alias: start]
      plan         Show what a pipeline would run; runs nothing
      resume       Take up a run that failed or was cancelled, and wait for the
                   result
      cancel       End a run at once
      runs         List runs, newest first
      show         Show one run: its stages, its verdict and its evidence
      logs         Print what the stages of a run wrote
      sync         Wait until every change made before the call has been seen
      wait         Wait until the present content has a verdict
      gate         Ask for the verdict of the present content, and run what is
                   missing for it
      hook         Have git ask for the verdict before a commit or a push
      checklist    Keep checklists true: ticked only with a run that proves it
      coverage     Say how guardrails stand, and in how many runs all succeeded
      drift        Hold pipelines against a template or another project's
      spec-guard   Look whether code changed without a spec, or reviews are old
      evidence     Hold runs against what was recorded, and export them
      project      Take projects in, list them, and hold them against their runs
      report       Show how projects stand by their runs: one HTML page, or Markdown
                   for a pull request
      docs         Keep the pages of a workspace true: links, manifests, projects
      approve      Accept what a run has failed at: gates pass on that content
      approvals    List what was approved
      review       Say whether all is ready for a review, and what is not
      events       Print events as they happen, one JSON object a line
      explain      Say what a change of a path triggers, or which rule ignores it
      why          Say which run proves each stage, or what has changed since
      ping         Ask whether the daemon answers
      reload       Make the daemon read its configuration files again
      shutdown     End the daemon; runs under way are cancelled and recorded
      doctor       Check the daemon, its files and the workspaces; works with the
                   daemon down
      completions  Print a completion script for a shell
      man          Print the manual page, or write all of them
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Global options:
          --workspace <DIR>  The workspace to speak of, instead of the one around
                             the current directory
          --socket <PATH>    The daemon's socket
          --json             Print one JSON document on stdout (streams: one a line)

    Exit codes:
      0  done; for run, resume, wait and gate: green
      1  a guardrail or a check failed, or a stage keeps rewriting its own inputs
      2  wrong usage, bad configuration, or refused (untrusted, unknown project)
      3  no verdict for the present content, or not in time
      4  no daemon answers
      5  the daemon failed inside

    Environment:
      ORCHD_SOCKET        the daemon's socket, as --socket
      ORCHD_NO_AUTOSTART  set to 1, `watch` starts no daemon
      NO_COLOR            no colour, whatever the terminal can do

    Start with: orchctl watch .
    ");
}

#[test]
fn the_help_of_a_command_says_what_its_flags_do() {
    let mut command = Args::command().term_width(80);
    command.build();
    let gate = command.find_subcommand_mut("gate").unwrap();
    insta::assert_snapshot!(gate.render_long_help().to_string(), @"
    Ask for the verdict of the present content, and run what is missing for it

    Answers at once where the content is proven, joins a run in flight, else runs
    what is missing. Says which run it trusts. Speaks of every project of the
    workspace, or with --task only of those that are named. ^C stops waiting, and
    says which runs go on. Where no daemon answers, it does the work itself. With
    --index or --commit it judges what git has instead of what lies there, checked
    out elsewhere; nothing of yours is touched.

    Usage: orchctl gate [OPTIONS]

    Options:
          --task <TASK>
              Only the project with this task id; may be given more than once

          --no-daemon
              Do it in this process, without a daemon

          --no-wait
              Answer at once: start nothing and join nothing

          --index
              Judge what the index would commit instead of what lies there, as a
              pre-commit hook does

          --commit <REV>
              Judge this commit instead of what lies there; `-` takes those that
              git's pre-push hook names on stdin

      -h, --help
              Print help (see a summary with '-h')

    Global options:
          --workspace <DIR>
              The workspace to speak of, instead of the one around the current
              directory

          --socket <PATH>
              The daemon's socket

          --json
              Print one JSON document on stdout (streams: one a line)

    Examples:
      orchctl gate --task 0101-web
      orchctl gate --commit HEAD~1
    ");
}
