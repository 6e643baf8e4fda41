//! The rows of a project in the pages of all, and its mirror: text in, text out.
//!
//! A page grows at the end of the section that its rows are in, by what it lacks; every other byte of it stays. A page
//! that is missing begins with what it is for.

use crate::documents::book::Page;
use crate::documents::checklist::Checklist;
use crate::documents::mirrors;
use crate::documents::prose::Prose;
use crate::documents::standings::{self, newline};
use crate::documents::templates::Fields;
use crate::documents::upkeep::{self, Target};
use crate::model::id::TaskId;
use crate::model::path::RelPath;

const TASKS_PAGE: &str = "\
# Tasks

Every task, a section each. The source of its checklist is in `tasks/`; `orchctl checklist sync` and `orchctl docs sync` make what stands between comments again.
";
const AGENTS_PAGE: &str = "\
# Working here

For everyone who changes this workspace, person or program.
`orchctl status` tells what is proven; `orchctl docs check` and `orchctl checklist check` whether the pages say the same.
";
const PROCEDURE_PAGE: &str = "\
# Evidence of each project

How to get from a project to its runs, and from a run to who approved it.

1. `orchctl gate --task TASK` says whether the present content is green, and by which run.
2. That run's manifest lists its stages, their logs and its `approvals`; `orchctl show RUN` prints it.
3. An item of a checklist is ticked with that manifest: `orchctl checklist flip ITEM --run RUN`.
";
/// The section that has a row for each project.
const PROJECTS: &str = "Projects";

/// Whether a text names the runs of a task.
pub(super) fn points(text: &str, task: &TaskId) -> bool {
    upkeep::names(text.as_bytes(), task)
}

/// Whether a procedure names the runs of some project, and is not one project's own.
pub(super) fn speaks_of_projects(file: &str, text: &str, tasks: &[TaskId]) -> bool {
    let is_ones =
        RelPath::parse(file).is_ok_and(|path| upkeep::owner(&path, tasks.iter()).is_some());
    !is_ones && tasks.iter().any(|task| points(text, task))
}

/// `docs/TASKS.md` with the section of a task.
pub(super) fn all_tasks(
    before: Option<&str>,
    fields: &Fields<'_>,
    source: Option<&Page>,
) -> String {
    let task = fields.task;
    let text = before.unwrap_or(TASKS_PAGE);
    let mut parts = Vec::new();
    if !points(text, task) {
        let link = source.map_or(String::new(), |page| {
            format!("- **Task:** [{0}](../{0})\n", page.file)
        });
        parts.push(format!(
            "- **Project:** `{}`\n{link}- **Evidence:** `.runs/{task}/cli/<run-id>/manifest.json`, \
             metrics in `.runs/{task}/metrics.json`, state in `out/{task}/state.json`\n",
            fields.path
        ));
    }
    let mut standing = standings::blocks(text.as_bytes()).into_iter();
    if !standing.any(|block| block.key == task.as_str()) {
        parts.push(standings::empty(task.as_str()));
    }
    let checklist = Checklist::parse(text.as_bytes());
    let mut blocks = checklist.blocks.iter();
    if let Some(page) = source
        && !blocks.any(|block| block.key == task.as_str())
    {
        // Made in the ends of lines that the page has, by whoever makes it again.
        let own = mirrors::block(page, "\n");
        let own = String::from_utf8_lossy(&own);
        parts.push(format!(
            "<!-- docs-sync:begin {task} -->\n{own}<!-- docs-sync:end {task} -->\n"
        ));
    }
    let is_own = |title: &str| {
        let mut words = title.split(|c: char| c.is_whitespace() || matches!(c, ':' | '`' | '*'));
        words.any(|word| word == task.as_str())
    };
    grown(text, is_own, task.as_str(), &parts.join("\n"))
}

/// `.agent/AGENTS.md` with the row of a project.
pub(super) fn agents(before: Option<&str>, fields: &Fields<'_>, source: Option<&Page>) -> String {
    row(before.unwrap_or(AGENTS_PAGE), fields, source, "../")
}

/// A procedure with the row of a project.
pub(super) fn procedure(
    before: Option<&str>,
    fields: &Fields<'_>,
    source: Option<&Page>,
) -> String {
    row(before.unwrap_or(PROCEDURE_PAGE), fields, source, "../../")
}

fn row(text: &str, fields: &Fields<'_>, source: Option<&Page>, up: &str) -> String {
    let task = fields.task;
    if points(text, task) {
        return text.to_owned();
    }
    let link = source.map_or(String::new(), |page| {
        format!(", checklist in [{0}]({up}{0})", page.file)
    });
    let row = format!(
        "- `{task}` (`{}`): runs in `.runs/{task}/cli/<run-id>/manifest.json`, metrics in \
         `.runs/{task}/metrics.json`, state in `out/{task}/state.json`{link}\n",
        fields.path
    );
    grown(text, |title| title == PROJECTS, PROJECTS, &row)
}

/// A text with `body` at the end of a section; the section is made at the end of the text where there is none.
fn grown(text: &str, is_section: impl Fn(&str) -> bool, section: &str, body: &str) -> String {
    if body.is_empty() {
        return text.to_owned();
    }
    let newline = newline(text.as_bytes());
    let body = body.replace('\n', newline);
    let headings = Checklist::parse(text.as_bytes()).headings;
    let found = headings
        .iter()
        .position(|(level, title, _)| *level > 1 && is_section(title));
    let Some(found) = found else {
        let gap = gap(text, newline);
        return format!("{text}{gap}## {section}{newline}{newline}{body}");
    };
    let level = headings.get(found).map_or(2, |(level, _, _)| *level);
    let mut after = headings.iter().skip(found + 1);
    let end = after.find(|(other, _, _)| *other <= level);
    let end = end.map_or(text.len(), |(_, _, line)| begin_of(text, *line));
    let (head, tail) = text.split_at(end);
    let kept = head.trim_end();
    let last = kept.lines().next_back().unwrap_or_default();
    let is_row = |line: &str| line.trim_start().starts_with("- ");
    // Rows of a list stay one list.
    let between = match is_row(last) && is_row(&body) {
        true => newline.to_owned(),
        false => newline.repeat(2),
    };
    let rest = if tail.is_empty() {
        String::new()
    } else {
        format!("{newline}{tail}")
    };
    format!("{kept}{between}{body}{rest}")
}

/// What stands between the end of a text and a new section.
fn gap(text: &str, newline: &str) -> String {
    if text.is_empty() || text.ends_with(&newline.repeat(2)) {
        String::new()
    } else if text.ends_with('\n') {
        newline.to_owned()
    } else {
        newline.repeat(2)
    }
}

/// Where a line begins, counted from 1.
fn begin_of(text: &str, line: usize) -> usize {
    let mut ends = text.match_indices('\n');
    match line.checked_sub(2) {
        Some(before) => ends.nth(before).map_or(text.len(), |(at, _)| at + 1),
        None => 0,
    }
}

/// The mirror of a checklist in `.agent/task/`: what the source says from the section of its first item on.
pub(super) fn mirror(source: &Page, fields: &Fields<'_>) -> String {
    let file = &source.file;
    let head = format!(
        "# {}: {}\n\nFollows [{file}](../../{file}), item for item and mark for mark; edit there first.\n",
        fields.task, fields.title
    );
    let text = String::from_utf8_lossy(&source.bytes).replace("\r\n", "\n");
    let items = &source.checklist.items;
    let Some(first) = items.first() else {
        return head;
    };
    let mut above = source.checklist.headings.iter().rev();
    let section = above.find(|(level, _, line)| *level > 1 && *line < first.line);
    let begin = section.map_or(first.line, |(_, _, line)| *line);
    let copied = text.get(begin_of(&text, begin)..).unwrap_or_default();
    let copied = rebased(copied, source);
    format!("{head}\n{}\n", copied.trim_end())
}

/// A part of a source whose links lead to the same files from the mirror.
fn rebased(text: &str, source: &Page) -> String {
    let mut text = text.to_owned();
    let mut done = Vec::new();
    for link in Prose::read(text.as_bytes()).links {
        if done.contains(&link.target) {
            continue;
        }
        if let Target::Below(path) = upkeep::target(&source.path, &link.target)
            && !link.target.starts_with('/')
        {
            let rest = link
                .target
                .find(['#', '?'])
                .and_then(|at| link.target.get(at..));
            let now = format!("](../../{}{})", path.to_text(), rest.unwrap_or_default());
            text = text.replace(&format!("]({})", link.target), &now);
        }
        done.push(link.target);
    }
    text
}
