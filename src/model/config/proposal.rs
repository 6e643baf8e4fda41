//! What `orchctl init` writes: an `orchd.toml` of what is found, and the lines for `.gitignore`.
//!
//! The text parses back to the very configuration that would be in force without it, so that writing it changes
//! nothing but makes it visible. Where nothing is found it is a beginning with everything commented out.

use crate::model::config::detect::{self, Detected, Listing};
use crate::model::config::duration;
use crate::model::config::{Command, CommandLine, Stage};
use crate::model::id::{PipelineId, TaskId};
use std::fmt::Write as _;

/// What `orchctl init` writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// The text of `orchd.toml`.
    pub toml: String,
    /// Lines for `.gitignore`.
    pub gitignore: Vec<String>,
    /// What it was made of.
    pub detected: Detected,
}

const HEAD: &str = "\
# What runs when files change. Nothing of it runs before `orchctl allow` has been asked;
# `orchctl status` shows the verdicts, `orchctl explain PATH` what a change of PATH runs.
";

const EMPTY: &str = "\
# Nothing was found that could be run. Take the comment signs away and write your own
# command; a string goes to `sh -c`, an array is executed as it is.
#
# [[pipeline]]
# id = \"diagnostics\"
#
# [[pipeline.stage]]
# id = \"test\"
# command = \"./run-tests\"
# inputs = [\"src/**\"]      # default: every file that is not ignored
# timeout = \"10m\"
";

/// Proposes a configuration for what is found, with evidence below `task`.
#[must_use]
pub fn propose(listing: &Listing, task: &TaskId) -> Proposal {
    let detected = detect::detect(listing);
    Proposal {
        toml: text(&detected, task),
        gitignore: gitignore(task),
        detected,
    }
}

/// The lines that keep the evidence of a task out of git.
#[must_use]
pub fn gitignore(task: &TaskId) -> Vec<String> {
    vec!["/.runs/".to_owned(), format!("/out/{}/", escaped(task))]
}

/// The lines of those that a `.gitignore` lacks, however they are spelled with slashes.
#[must_use]
pub fn missing<'a>(present: &str, wanted: &'a [String]) -> Vec<&'a str> {
    let bare = |line: &str| line.trim().trim_matches('/').to_owned();
    let known: Vec<String> = present.lines().map(bare).collect();
    let wanted = wanted.iter().map(String::as_str);
    wanted.filter(|line| !known.contains(&bare(line))).collect()
}

/// A `[[pipeline]]` of what was found, as `orchd.toml` has it.
#[must_use]
pub fn pipeline(detected: &Detected, id: &PipelineId, title: &str) -> String {
    let mut text = format!("[[pipeline]]\nid = {}\n", quoted(id.as_str()));
    line(&mut text, &format!("title = {}", quoted(title)));
    write_stages(&mut text, detected);
    text
}

/// A task id as a gitignore pattern: its own characters mean themselves.
fn escaped(task: &TaskId) -> String {
    let mut text = String::new();
    for c in task.as_str().chars() {
        if matches!(c, '[' | ']' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

fn text(detected: &Detected, task: &TaskId) -> String {
    let mut text = HEAD.to_owned();
    if !detected.ignore.is_empty() {
        let patterns = quoted_list(&detected.ignore);
        text.push_str("\n[workspace]\n");
        line(
            &mut text,
            &format!("ignore = {patterns}   # on top of .gitignore"),
        );
    }
    text.push_str("\n[[project]]\n");
    line(&mut text, &format!("task = {}", quoted(task.as_str())));
    let stages = &detected.pipeline.stages;
    if stages.is_empty() {
        text.push('\n');
        text.push_str(EMPTY);
        return text;
    }
    let required: Vec<String> = stages.iter().map(|stage| stage.id.to_string()).collect();
    let required = quoted_list(&required);
    line(
        &mut text,
        &format!("required = {required}   # guardrails that coverage counts"),
    );
    let pipeline = &detected.pipeline;
    text.push('\n');
    text.push_str(&self::pipeline(detected, &pipeline.id, &pipeline.title));
    text
}

fn write_stages(text: &mut String, detected: &Detected) {
    for stage in &detected.pipeline.stages {
        if let Some(command) = stage.command() {
            write_stage(text, stage, command, detected);
        }
    }
}

fn write_stage(text: &mut String, stage: &Stage, command: &Command, detected: &Detected) {
    text.push_str("\n[[pipeline.stage]]\n");
    line(text, &format!("id = {}", quoted(stage.id.as_str())));
    let found = detected
        .findings
        .iter()
        .find(|found| found.stages.contains(&stage.id));
    let from = found.map_or_else(String::new, |found| format!("   # from {}", found.file));
    let written = match &command.line {
        CommandLine::Shell(line) => quoted(line),
        CommandLine::Argv(argv) => quoted_list(argv),
    };
    line(text, &format!("command = {written}{from}"));
    if stage.id.as_str() == "spec-guard" && stage.title.contains("--dry-run") {
        line(text, "# without --dry-run its findings fail the run");
    }
    if !command.outputs.is_empty() {
        let outputs = quoted_list(&command.outputs);
        line(
            text,
            &format!("outputs = {outputs}   # written by it: never a trigger"),
        );
    }
    if let Some(timeout) = command.timeout {
        line(
            text,
            &format!("timeout = {}", quoted(&duration::show(timeout))),
        );
    }
    if !command.env.is_empty() {
        let pairs = command.env.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{} = {}", key(name), quoted(value)))
            .collect();
        line(text, &format!("env = {{ {} }}", pairs.join(", ")));
    }
}

fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}

/// A TOML key, bare where it may be.
fn key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _infallible = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn quoted_list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::config::check::{Surroundings, Texts};
    use crate::model::config::{Config, PipelineSource};
    use crate::model::path::RootPath;
    use proptest::prelude::*;
    use std::path::Path;

    fn assemble(toml: Option<&str>, listing: &Listing, task: &TaskId) -> Config {
        let root = RootPath::new(Path::new("/w")).unwrap();
        let around = Surroundings {
            root: &root,
            listing,
            task: Some(task),
        };
        let texts = Texts { toml, codex: None };
        Config::assemble(texts, &around).unwrap_or_else(|problems| panic!("{problems}\n{toml:?}"))
    }

    fn listing(files: &[&str], package: &str, makefile: &str) -> Listing {
        Listing {
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            texts: [("package.json", package), ("Makefile", makefile)]
                .map(|(file, text)| (file.to_owned(), text.to_owned()))
                .into(),
        }
    }

    proptest! {
        #[test]
        fn writing_the_proposal_changes_nothing(
            files in proptest::sample::subsequence(detect::WANTED.to_vec(), 0..=detect::WANTED.len()),
            task in "[a-z0-9-]{1,20}",
        ) {
            let package = r#"{"scripts": {"build": "x", "lint": "y", "test": "z"}}"#;
            let listing = listing(&files, package, "test: a\n\tb\n");
            let task = TaskId::parse(&task).unwrap();
            let proposal = propose(&listing, &task);
            prop_assume!(!proposal.detected.pipeline.stages.is_empty());
            let mut written = assemble(Some(&proposal.toml), &listing, &task);
            let mut implied = assemble(None, &listing, &task);
            // These alone differ: who wrote it, and what coverage counts.
            for pipeline in &mut written.pipelines {
                prop_assert_eq!(pipeline.source, PipelineSource::User);
                pipeline.source = PipelineSource::Default;
            }
            for project in implied.projects.iter_mut().chain(&mut written.projects) {
                project.required.clear();
            }
            prop_assert_eq!(written, implied);
        }
    }

    #[test]
    fn a_proposal_reads_well() {
        let listing = listing(
            &["package.json", "pnpm-lock.yaml", "scripts/spec-guard.sh"],
            r#"{"scripts": {"lint": "eslint .", "test": "vitest"}}"#,
            "",
        );
        let proposal = propose(&listing, &TaskId::parse("0101-shop").unwrap());
        insta::assert_snapshot!(proposal.toml, @r#"
        # What runs when files change. Nothing of it runs before `orchctl allow` has been asked;
        # `orchctl status` shows the verdicts, `orchctl explain PATH` what a change of PATH runs.

        [workspace]
        ignore = ["node_modules/"]   # on top of .gitignore

        [[project]]
        task = "0101-shop"
        required = ["lint", "test", "spec-guard"]   # guardrails that coverage counts

        [[pipeline]]
        id = "diagnostics"
        title = "Diagnostics"

        [[pipeline.stage]]
        id = "lint"
        command = "pnpm run lint"   # from package.json
        outputs = ["/dist/", "/coverage/"]   # written by it: never a trigger
        timeout = "30m"

        [[pipeline.stage]]
        id = "test"
        command = "pnpm run test"   # from package.json
        outputs = ["/dist/", "/coverage/"]   # written by it: never a trigger
        timeout = "30m"
        env = { CI = "1" }

        [[pipeline.stage]]
        id = "spec-guard"
        command = "bash scripts/spec-guard.sh --dry-run"   # from scripts/spec-guard.sh
        # without --dry-run its findings fail the run
        timeout = "30m"
        "#);
        assert_eq!(proposal.gitignore, ["/.runs/", "/out/0101-shop/"]);
    }

    #[test]
    fn nothing_found_gives_a_beginning_that_says_so() {
        let task = TaskId::parse("0101").unwrap();
        let proposal = propose(&Listing::default(), &task);
        assert!(
            proposal.toml.contains("# Nothing was found"),
            "{}",
            proposal.toml
        );
        let root = RootPath::new(Path::new("/w")).unwrap();
        let around = Surroundings {
            root: &root,
            listing: &Listing::default(),
            task: None,
        };
        let texts = |toml| Texts {
            toml: Some(toml),
            codex: None,
        };
        let said = Config::assemble(texts(&proposal.toml), &around).unwrap_err();
        assert!(said.to_string().contains("orchctl init"), "{said}");
        let (_, example) = proposal.toml.split_once("#\n# [[pipeline]]").unwrap();
        let example = format!(
            "[[pipeline]]{}",
            example.replace("\n# ", "\n").replace("\n#\n", "\n")
        );
        let config = Config::assemble(texts(&example), &around).unwrap();
        assert_eq!(config.pipelines[0].stages[0].title, "./run-tests");
    }
}
