//! What the user typed: every command and flag of `orchctl`, and its help.
//!
//! Nothing here acts. The texts are the manual: `--help`, `orchctl man` and the completions are made of them.

pub mod history;
pub mod hook;
pub mod paper;
pub mod run;
pub mod value;
pub mod workspace;

use crate::model::id::TaskId;
use clap::{Parser, Subcommand, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

const EXIT_CODES: &str = "\
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

Start with: orchctl watch .";

/// Watches directories, runs the guardrails that a change touches, and keeps the evidence.
///
/// orchctl talks to the daemon orchd. What it prints on stdout is data, on stderr words for people.
#[derive(Debug, Parser)]
#[command(name = "orchctl", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Global {
    /// The workspace to speak of, instead of the one around the current directory
    #[arg(long, global = true, help_heading = "Global options", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub workspace: Option<PathBuf>,
    /// The daemon's socket
    #[arg(long, global = true, help_heading = "Global options", value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub socket: Option<PathBuf>,
    /// Print one JSON document on stdout (streams: one a line)
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a directory: start the daemon if need be, add, allow, and show runs live
    #[command(after_help = "Example:\n  orchctl watch --yes ~/src/shop")]
    Watch(workspace::Watch),
    /// Add a directory to those that the daemon watches
    #[command(after_help = "Example:\n  orchctl add --allow .")]
    Add(workspace::Add),
    /// Stop watching a directory; its evidence stays
    #[command(after_help = "Example:\n  orchctl remove ~/src/shop")]
    Remove(workspace::Named),
    /// List the directories that the daemon watches
    #[command(after_help = "Example:\n  orchctl list --json")]
    List,
    /// Allow the commands of a directory's configuration to run
    ///
    /// Pins the digest of the command set: when a command changes, nothing of the set runs until it is allowed again.
    #[command(after_help = "Example:\n  orchctl allow ~/src/shop")]
    Allow(workspace::Place),
    /// Take back what `allow` gave
    #[command(after_help = "Example:\n  orchctl deny ~/src/shop")]
    Deny(workspace::Named),
    /// Write an orchd.toml from what is found, and ignore the evidence in .gitignore
    ///
    /// Works without a daemon, runs nothing, and never overwrites an orchd.toml.
    #[command(after_help = "Example:\n  orchctl init --dry-run")]
    Init(workspace::Init),
    /// Say of each project whether its present content is proven
    #[command(after_help = "Example:\n  orchctl status --task 0101-web")]
    Status(workspace::Task),

    /// Run a pipeline now, and wait for the result
    ///
    /// Stages that have passed on the same content are taken over, and whoever asks while a run of the same content is
    /// under way joins that run, unless --force. ^C stops waiting: a run that has begun goes on, one that is queued is run
    /// only if somebody else wants it. With --no-daemon the run is cancelled.
    #[command(visible_alias = "start")]
    #[command(after_help = "Example:\n  orchctl run diagnostics --task 0101-web")]
    Run(run::Run),
    /// Show what a pipeline would run; runs nothing
    #[command(after_help = "Example:\n  orchctl plan diagnostics --json")]
    Plan(run::Plan),
    /// Take up a run that failed or was cancelled, and wait for the result
    #[command(
        after_help = "Example:\n  orchctl resume --run 3d0103be --actor ann --reason 'flaky network'"
    )]
    Resume(run::Resume),
    /// End a run at once
    #[command(after_help = "Example:\n  orchctl cancel 3d0103be")]
    Cancel(history::Run),

    /// List runs, newest first
    #[command(
        after_help = "Examples:\n  orchctl runs --task 0101-web --limit 5\n  orchctl runs --flaky"
    )]
    Runs(history::Runs),
    /// Show one run: its stages, its verdict and its evidence
    #[command(after_help = "Example:\n  orchctl show 3d0103be")]
    Show(history::Run),
    /// Print what the stages of a run wrote
    ///
    /// Without RUN the newest run; without STAGE its first failing stage, and if none failed all of them. What a stage
    /// wrote to stdout goes to stdout, what it wrote to stderr goes to stderr, byte for byte.
    #[command(after_help = "Example:\n  orchctl logs 3d0103be lint | grep error")]
    Logs(history::Logs),

    /// Wait until every change made before the call has been seen
    #[command(after_help = "Example:\n  orchctl sync --timeout 5s && orchctl status")]
    Sync(run::Sync),
    /// Wait until the present content has a verdict
    ///
    /// Joins a run in flight, else starts one. ^C stops waiting, and says which runs go on.
    #[command(after_help = "Example:\n  orchctl wait --timeout 2m && git push")]
    Wait(run::Wait),
    /// Ask for the verdict of the present content, and run what is missing for it
    ///
    /// Answers at once where the content is proven, joins a run in flight, else runs what is missing. Says which run it
    /// trusts. Speaks of every project of the workspace, or with --task only of those that are named. ^C stops waiting,
    /// and says which runs go on. Where no daemon answers, it does the work itself. With --index or --commit it judges
    /// what git has instead of what lies there, checked out elsewhere; nothing of yours is touched.
    #[command(
        after_help = "Examples:\n  orchctl gate --task 0101-web\n  orchctl gate --commit HEAD~1"
    )]
    Gate(run::Gate),
    /// Have git ask for the verdict before a commit or a push
    #[command(after_help = "Example:\n  orchctl hook install")]
    Hook(hook::Hook),

    /// Commands that need no daemon
    #[command(flatten)]
    Paper(paper::Paper),

    /// Print events as they happen, one JSON object a line
    #[command(after_help = "Example:\n  orchctl events | jq -r 'select(.type == \"verdict\")'")]
    Events(history::Events),
    /// Say what a change of a path triggers, or which rule ignores it
    #[command(after_help = "Example:\n  orchctl explain src/main.rs")]
    Explain(history::Explain),
    /// Say which run proves each stage, or what has changed since
    #[command(after_help = "Example:\n  orchctl why --task 0101-web")]
    Why(workspace::Task),

    /// Ask whether the daemon answers
    #[command(after_help = "Example:\n  orchctl ping --wait 10s")]
    Ping(Ping),
    /// Make the daemon read its configuration files again
    #[command(after_help = "Example:\n  orchctl reload")]
    Reload,
    /// End the daemon; runs under way are cancelled and recorded
    #[command(after_help = "Example:\n  orchctl shutdown")]
    Shutdown,
    /// Check the daemon, its files and the workspaces; works with the daemon down
    #[command(after_help = "Example:\n  orchctl doctor")]
    Doctor,

    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  orchctl completions bash > /etc/bash_completion.d/orchctl")]
    Completions(Completions),
    /// Print the manual page, or write all of them
    #[command(after_help = "Example:\n  orchctl man --dir /usr/share/man/man1")]
    Man(Man),
}

/// Flags of `ping`.
#[derive(Debug, clap::Args)]
pub struct Ping {
    /// Keep asking for this long until one answers
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    pub wait: Option<Duration>,
}

/// Flags of `completions`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Flags of `man`.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Write orchctl(1), a page for each of its commands, and orchd(1) into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

/// Reads a task id; clap's own error names the flag.
fn task(text: &str) -> Result<TaskId, crate::model::id::IdError> {
    TaskId::parse(text)
}

impl Args {
    /// Whether the answer is to be JSON, however that was said.
    #[must_use]
    pub fn json(&self) -> bool {
        let format = if let Command::Run(run) = &self.command {
            run.format
        } else if let Command::Plan(plan) = &self.command {
            plan.format
        } else if let Command::Resume(resume) = &self.command {
            resume.format
        } else {
            None
        };
        self.global.json || format == Some(run::Format::Json)
    }
}

#[cfg(test)]
mod tests;
