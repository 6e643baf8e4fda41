//! Templates of a project's documents: what in them is to be filled in, and by what.
//!
//! A fragment is text in angle brackets. Some have one meaning for every project, and onboarding fills them; a run's is
//! left, because it stands for whichever run there will be; what is left besides is for a person to write.

use crate::limits::documents::FRAGMENT_CHARS_MAX;
use crate::model::id::TaskId;
use std::ops::Range;

/// Where a workspace has templates of its own.
pub const TEMPLATES: &str = ".agent/task/templates";

/// The checklist of a task, where the workspace has no template of its own.
pub const TASKS: &str = "\
# Task <task-id>: <title>

- **Slug:** `<slug>`
- **Project:** `<project-path>`
- **Evidence:** `<manifest>`, metrics in `<metrics>`, state in `<state>`

## Checklist Convention

An item is ticked with `Evidence:` and the path of a manifest that succeeded; `orchctl checklist flip` does it here and in both mirrors.
The source is this file; the file of the same name in `.agent/task/` and the block in `docs/TASKS.md` repeat its items.

## Checklist

- [ ] Diagnostics are green; Acceptance: `orchctl gate --task <task-id>` exits 0
- [ ] Required guardrails are covered; Acceptance: `orchctl coverage` shows each of them green
- [ ] A reviewer finds run, manifest and approvals; Acceptance: `orchctl docs check` has no finding
";

/// The requirements of a project, where the workspace has no template of its own.
pub const PRD: &str = "\
# Product requirements: <title>

- **Task id:** `<task-id>`
- **Project:** `<project-path>`
- **Checklist:** `tasks/<task-id>-<slug>.md`
- **Evidence:** `<manifest>`

## Summary

What is wrong today, for whom, and what will be different.

## Goals

## Non-goals

## Metrics and guardrails

The stages of `orchd.toml` that are `required` for this project, and what bounds them.

## Open questions

## Approvals

Each is an entry of `approvals` in the manifest of a run; none is written here by hand.
";

/// What the fragments of one project mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// Its task.
    pub task: &'a TaskId,
    /// What its files are called.
    pub slug: &'a str,
    /// What it is called.
    pub title: &'a str,
    /// The day, as `2026-11-22`.
    pub day: &'a str,
    /// Its directory, relative to the workspace.
    pub path: &'a str,
    /// What all its files are called, without their ends.
    pub stem: &'a str,
}

impl Fields<'_> {
    /// What a fragment stands for; nothing where that is for somebody else to say.
    fn value(&self, name: &str) -> Option<String> {
        let task = self.task;
        Some(match &*plain(name) {
            "task-id" | "task" | "task id" => task.to_string(),
            "slug" => self.slug.to_owned(),
            "title" => self.title.to_owned(),
            "date" | "day" | "yyyy-mm-dd" => self.day.to_owned(),
            "project" => match self.path.rsplit('/').next() {
                Some(last) if last != "." => last.to_owned(),
                _ => self.slug.to_owned(),
            },
            "project-path" => self.path.to_owned(),
            "manifest" => format!(".runs/{task}/cli/<run-id>/manifest.json"),
            "metrics" => format!(".runs/{task}/metrics.json"),
            "state" => format!("out/{task}/state.json"),
            _ => return None,
        })
    }
}

/// Text in angle brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Its line, from 1.
    pub line: usize,
    /// Where it stands in the text, with its brackets.
    pub span: Range<usize>,
    /// What stands between its brackets.
    pub name: String,
}

/// Whether onboarding a project fills a fragment of this name.
#[must_use]
pub fn is_filled(name: &str) -> bool {
    matches!(
        &*plain(name),
        "task-id"
            | "task"
            | "task id"
            | "slug"
            | "title"
            | "date"
            | "day"
            | "yyyy-mm-dd"
            | "project"
            | "project-path"
            | "manifest"
            | "metrics"
            | "state"
    )
}

/// Whether a fragment stands for a run that there will be.
#[must_use]
pub fn is_of_run(name: &str) -> bool {
    matches!(&*plain(name), "run-id" | "run" | "timestamp")
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace('_', "-")
}

/// The fragments of a text. Tags that close, comments and addresses are none.
#[must_use]
pub fn fragments(text: &str) -> Vec<Fragment> {
    let mut found = Vec::new();
    let mut start = 0;
    for (number, line) in text.split('\n').enumerate() {
        let mut from = 0;
        while let Some(open) = line.get(from..).and_then(|rest| rest.find('<')) {
            let begin = from + open + 1;
            from = begin;
            let rest = line.get(begin..).unwrap_or_default();
            let Some(end) = rest.find(['<', '>']).map(|end| begin + end) else {
                break;
            };
            let name = line.get(begin..end).unwrap_or_default();
            if line.get(end..).is_some_and(|rest| rest.starts_with('>')) && is_fragment(name) {
                found.push(Fragment {
                    line: number + 1,
                    span: start + begin - 1..start + end + 1,
                    name: name.to_owned(),
                });
                from = end + 1;
            }
        }
        start += line.len() + 1;
    }
    found
}

fn is_fragment(name: &str) -> bool {
    let begins = name.starts_with(|first: char| first.is_alphabetic());
    let is_other = name.contains("://") || name.contains('@') || name.ends_with('/');
    begins && !is_other && name.chars().count() <= FRAGMENT_CHARS_MAX
}

/// A template with everything filled in that is known.
#[must_use]
pub fn fill(template: &str, fields: &Fields<'_>) -> String {
    // However a template names the files of a task, it means those that there are.
    let stem = format!("{}.md", fields.stem);
    let text = template
        .replace("<task-id>-<slug>.md", &stem)
        .replace("<task-id>.md", &stem);
    let mut filled = String::new();
    let mut from = 0;
    for fragment in fragments(&text) {
        let Some(value) = fields.value(&fragment.name) else {
            continue;
        };
        filled.push_str(text.get(from..fragment.span.start).unwrap_or_default());
        filled.push_str(&value);
        from = fragment.span.end;
    }
    filled.push_str(text.get(from..).unwrap_or_default());
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<(usize, String)> {
        let found = fragments(text).into_iter();
        found.map(|found| (found.line, found.name)).collect()
    }

    #[test]
    fn fragments_are_told_from_tags_comments_and_addresses() {
        let text = "<task-id> `<run-id>`\n</a> <!-- x --> <https://a.b> <a@b.c> <br/>\na < b > c <what <is> it";
        let wanted = [(1, "task-id"), (1, "run-id"), (3, "is")];
        assert_eq!(
            names(text),
            wanted.map(|(line, name)| (line, name.to_owned()))
        );
    }

    #[test]
    fn what_is_known_is_filled_and_nothing_of_it_is_left() {
        let task = TaskId::parse("0101-web").unwrap();
        let fields = Fields {
            task: &task,
            slug: "web",
            title: "The <b> web",
            day: "2026-11-22",
            path: "packages/web",
            stem: "0101-web",
        };
        let filled = fill(
            "# <Title> (<task-id>)\n`packages/<project>` `tasks/<task-id>-<slug>.md` `.agent/task/<task-id>.md`\n\
             `<manifest>` <YYYY-MM-DD> <what>\n",
            &fields,
        );
        assert_eq!(
            filled,
            "# The <b> web (0101-web)\n`packages/web` `tasks/0101-web.md` `.agent/task/0101-web.md`\n\
             `.runs/0101-web/cli/<run-id>/manifest.json` 2026-11-22 <what>\n"
        );
        for template in [TASKS, PRD] {
            let filled = fill(template, &fields);
            let left = fragments(&filled).into_iter();
            let left: Vec<_> = left.filter(|left| is_filled(&left.name)).collect();
            assert_eq!(left, [], "{filled}");
        }
        // Whatever is told to be left must be what is filled.
        for fragment in fragments(&[TASKS, PRD].concat()) {
            let known = fields.value(&fragment.name).is_some();
            assert_eq!(known, is_filled(&fragment.name), "{}", fragment.name);
        }
    }
}
