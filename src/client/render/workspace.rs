//! `orchctl list`, `add`, `allow`: directories, and the commands that may run in them.
//!
//! Commands are never shortened here: what is allowed has to be readable in full.

use crate::client::output::Look;
use crate::client::render::mark;
use crate::client::render::status::{indented, short_path};
use crate::client::render::text::{add, clean, columns, count, pad};
use crate::model::path::quoted;
use crate::model::report::status::WorkspaceState;
use crate::model::report::{AllowAnswer, WorkspaceChange, WorkspaceEntry, WorkspaceList};

/// Columns of the longest workspace state with its symbol.
const STATE_COLUMNS: usize = 12;

/// Columns of the longest name of a stage that has its command beside it.
const NAME_COLUMNS_MAX: usize = 32;

/// Renders the registered workspaces.
#[must_use]
pub fn list(list: &WorkspaceList, look: &Look) -> String {
    if list.workspaces.is_empty() {
        return "No directory is watched. Add one with: orchctl watch DIR\n".to_owned();
    }
    list.workspaces
        .iter()
        .map(|entry| workspace(entry, look))
        .collect()
}

/// Renders one registered workspace.
#[must_use]
pub fn workspace(entry: &WorkspaceEntry, look: &Look) -> String {
    let state = mark::workspace(entry.state).cell(STATE_COLUMNS);
    let root = clean(&entry.root.to_string());
    let mut text = format!("{state}  {}", short_path(&root, look, STATE_COLUMNS + 2));
    if !entry.tasks.is_empty() && look.width.is_none() {
        let tasks: Vec<String> = entry
            .tasks
            .iter()
            .map(|task| clean(task.as_str()))
            .collect();
        add(&mut text, format_args!("  {}", tasks.join(" ")));
    }
    text.push('\n');
    if let Some(detail) = &entry.detail {
        text.push_str(&indented(detail, 4, look));
    }
    if entry.state == WorkspaceState::Untrusted && entry.detail.is_none() {
        let allow = format!("Allow its commands with: orchctl allow {}", quoted(&root));
        text.push_str(&indented(&allow, 4, look));
    }
    text
}

/// Renders the commands that are to be allowed, or were.
#[must_use]
pub fn commands(answer: &AllowAnswer, look: &Look) -> String {
    let root = short_path(&clean(&answer.root.to_string()), look, 24);
    let number = count(answer.commands.len(), "command");
    let mut text = if answer.allowed {
        format!("Allowed {number} in {root}\n")
    } else {
        format!("{root} would run {number}:\n")
    };
    let names: Vec<String> = answer
        .commands
        .iter()
        .map(|c| {
            format!(
                "{}/{}",
                clean(c.pipeline_id.as_str()),
                clean(c.stage.as_str())
            )
        })
        .collect();
    let width = names
        .iter()
        .map(|name| columns(name))
        .filter(|columns| *columns <= NAME_COLUMNS_MAX)
        .max()
        .unwrap_or(0);
    for (command, name) in answer.commands.iter().zip(&names) {
        let sign = match (command.known, command.changes.is_empty()) {
            (true, _) => ' ',
            (false, true) => '+',
            (false, false) => '~',
        };
        // Never cut: what is not seen would be allowed unseen.
        let line = clean(&command.command);
        // What does not fit into the column would push the command out of its own.
        let fits = columns(name) <= width;
        let gap = if fits { "" } else { "\n    " };
        let (name, rest) = match fits {
            true => (pad(name, width), String::new()),
            false => (name.clone(), pad("", width)),
        };
        add(
            &mut text,
            format_args!("  {sign} {name}{gap}{rest}  {line}\n"),
        );
        if !command.notes.is_empty() {
            let notes = clean(&command.notes.join(", "));
            add(&mut text, format_args!("        {notes}\n"));
        }
        for change in &command.changes {
            add(&mut text, format_args!("      ~ {}\n", clean(change)));
        }
    }
    let digest: String = answer.digest.to_string().chars().take(12).collect();
    add(&mut text, format_args!("  command set {digest}…\n"));
    text
}

/// Renders whether something was there to be changed.
#[must_use]
pub fn change(answer: &WorkspaceChange, done: &str, not: &str, look: &Look) -> String {
    let word = if answer.changed { done } else { not };
    let root = short_path(&clean(&answer.root.to_string()), look, columns(word) + 2);
    format!("{word}: {root}\n")
}
