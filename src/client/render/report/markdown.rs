//! `orchctl report --md`: a table and the first failing lines, for a pull request's comment or a job's summary.
//!
//! Text from elsewhere stands in code alone, which is fenced longer than anything in it: nothing in it is markup, names
//! anybody, or ends the table. It is short whatever the runs hold.

use crate::client::render::mark::short;
use crate::client::render::report::view::{covered, drift_said, moment, of_newest, said, why};
use crate::client::render::text::{add, clip, count, visible};
use crate::documents::reporting::{Excerpt, Report, ReportedProject};
use crate::limits::documents::{EXCERPT_CHARS_MAX, REPORT_FAILURES_MAX};
use crate::model::run::Verdict;

/// The report as Markdown.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    let green = |it: &&ReportedProject| matches!(it.verdict, Verdict::Pass | Verdict::Flaky);
    let all = report.projects.len();
    let passed = report.projects.iter().filter(green).count();
    add(
        &mut text,
        format_args!(
            "### Guardrails: {passed} of {} passed in their newest run\n\n",
            count(all, "project")
        ),
    );
    text.push_str("| project | newest run | run | covered | drift | manifest |\n");
    text.push_str("|---|---|---|---:|---:|---|\n");
    for project in &report.projects {
        row(&mut text, report, project);
    }
    let failures: Vec<&ReportedProject> = report
        .projects
        .iter()
        .filter(|it| it.newest().is_some_and(|run| run.verdict != Verdict::Pass))
        .collect();
    for project in failures.iter().take(REPORT_FAILURES_MAX) {
        failure(&mut text, project);
    }
    let more = failures.len().saturating_sub(REPORT_FAILURES_MAX);
    if more > 0 {
        add(
            &mut text,
            format_args!("\n…and {}.\n", count(more, "more project")),
        );
    }
    let of = report.as_of.map_or_else(
        || "There is no run.".to_owned(),
        |at| format!("The newest evidence is of {}.", moment(at)),
    );
    add(
        &mut text,
        format_args!(
            "\n<sub>{of} A verdict is of the content that its run had; `orchctl gate` asks for the present content.</sub>\n"
        ),
    );
    text
}

fn row(text: &mut String, report: &Report, project: &ReportedProject) {
    let mark = of_newest(project);
    let icon = match mark.icon {
        "yes" => "✅",
        "no" | "bang" => "❌",
        "wave" | "void" | "dash" => "⚠️",
        _ => "❔",
    };
    let newest = project.newest().map(|run| &run.record);
    let run = newest.map_or_else(String::new, |it| cell(short(&it.run_id)));
    let manifest = newest.map_or_else(String::new, |it| cell(&it.manifest));
    let (task, word) = (cell(project.task_id.as_str()), mark.word);
    let (covered, drift) = (covered(project), drift_said(report, project));
    add(
        text,
        format_args!("| {task} | {icon} {word} | {run} | {covered} | {drift} | {manifest} |\n"),
    );
}

fn failure(text: &mut String, project: &ReportedProject) {
    let Some(run) = project.newest() else { return };
    let task = code(project.task_id.as_str());
    add(text, format_args!("\n#### {task}"));
    if let Some(stage) = run.failed() {
        let word = crate::client::render::mark::stage(stage.status, stage.outcome).word;
        add(text, format_args!(": {} {word}", code(stage.id.as_str())));
    }
    text.push_str("\n\n");
    if let Some(why) = why(run) {
        add(text, format_args!("Proves nothing: {}\n\n", code(&why)));
    }
    for excerpt in run.excerpts.iter().take(1) {
        lines(text, excerpt);
    }
    add(text, format_args!("Run again: {}\n", code(&run.again)));
}

fn lines(text: &mut String, excerpt: &Excerpt) {
    let lines = excerpt.lines.iter();
    let shown: Vec<String> = lines
        .map(|line| clip(&visible(line), EXCERPT_CHARS_MAX))
        .collect();
    let shown = shown.join("\n");
    let fence = "`".repeat(longest(&shown).max(2) + 1);
    let (from, of, log) = (excerpt.from, excerpt.of, code(&excerpt.log));
    add(
        text,
        format_args!("{fence}text\n{shown}\n{fence}\n\nFrom line {from} of {of} in {log}\n\n"),
    );
}

/// Text as code on one line.
fn code(text: &str) -> String {
    let text = said(text);
    let fence = "`".repeat(longest(&text) + 1);
    let touches = text.starts_with('`') || text.ends_with('`');
    let space = if touches || text.is_empty() { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// The same in a table, which a stroke would end.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// How many backticks stand in a row at most.
fn longest(text: &str) -> usize {
    let runs = text.split(|c| c != '`');
    runs.map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_code() {
        for (text, expected) in [
            ("a|b", "`a|b`"),
            ("``` @everyone <b>", "```` ``` @everyone <b> ````"),
            ("a\n\n# b", "`a # b`"),
            ("\u{202e}", "`\\u{202e}`"),
            ("", "`  `"),
        ] {
            assert_eq!(code(text), expected);
        }
        assert_eq!(cell("a|b"), "`a\\|b`");
    }
}
