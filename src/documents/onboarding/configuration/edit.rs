//! `orchd.toml` with a project more: what stands there keeps its place and its comments.
//!
//! Only what is added is decided elsewhere. A byte order mark and the ends of lines stay as they are, and comments of a file
//! that holds nothing else stay at its head. Nothing is validated here: what comes of it is assembled by the caller.

use super::choice::Choice;
use super::{ComposeError, Wanted};
use crate::model::config::proposal;
use crate::model::id::TaskId;
use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, Value, value};

/// The head of a file that was not there.
const HEAD: &str = "\
# What runs when files change. Nothing of it runs before `orchctl allow` has been asked;
# `orchctl status` shows the verdicts, `orchctl explain PATH` what a change of PATH runs.
";
const BYTE_ORDER_MARK: char = '\u{feff}';

/// What comes to the file.
pub(super) struct Addition<'a> {
    pub(super) wanted: &'a Wanted,
    /// The task of the project that the workspace is by itself, where that has to be written down first.
    pub(super) implied: Option<&'a TaskId>,
    /// All that is to be ignored, where that is more than before.
    pub(super) ignore: Option<Vec<String>>,
    pub(super) choice: &'a Choice,
}

/// The text with what comes to it.
pub(super) fn with(text: Option<&str>, addition: &Addition<'_>) -> Result<String, ComposeError> {
    let whole = text.unwrap_or(HEAD);
    let bare = whole.strip_prefix(BYTE_ORDER_MARK);
    let is_dos = whole.contains("\r\n");
    let plain = bare.unwrap_or(whole).replace("\r\n", "\n");
    let mut document: DocumentMut = plain.parse().map_err(ComposeError::Edit)?;
    // Comments of a file that holds nothing else would follow what comes to it.
    let mut edited = String::new();
    if document.is_empty() {
        edited = plain;
        document = DocumentMut::new();
    }
    if let Some(patterns) = &addition.ignore {
        ignore(&mut document, patterns)?;
    }
    if let Some(task) = addition.implied {
        let mut table = project(task, ".");
        let why =
            "\n# The workspace as a whole: before it had other projects, it was one by itself.\n";
        table.decor_mut().set_prefix(why);
        push(&mut document, "project", table)?;
    }
    push(&mut document, "project", own(addition))?;
    if let Choice::New { id, found } = addition.choice {
        let title = addition.wanted.title.as_deref();
        let title = title.unwrap_or_else(|| addition.wanted.slug.as_str());
        let text = format!("\n{}", proposal::pipeline(found, id, title));
        let mut made: DocumentMut = text.parse().map_err(ComposeError::Edit)?;
        if let Some(Item::ArrayOfTables(tables)) = made.remove("pipeline") {
            for table in tables {
                push(&mut document, "pipeline", unplaced(table))?;
            }
        }
    }
    edited.push_str(&document.to_string());
    if is_dos {
        edited = edited.replace('\n', "\r\n");
    }
    if bare.is_some() {
        edited.insert(0, BYTE_ORDER_MARK);
    }
    Ok(edited)
}

fn project(task: &TaskId, path: &str) -> Table {
    let mut table = Table::new();
    table.insert("task", value(task.as_str()));
    table.insert("path", value(path));
    table.decor_mut().set_prefix("\n");
    table
}

fn own(addition: &Addition<'_>) -> Table {
    let wanted = addition.wanted;
    let mut table = project(&wanted.task, &wanted.path.to_text());
    match addition.choice {
        Choice::Usual { .. } => {}
        Choice::Named(id) => {
            table.insert("pipeline", value(id.as_str()));
        }
        Choice::New { id, found } => {
            table.insert("pipeline", value(id.as_str()));
            let stages = found.pipeline.stages.iter();
            let required: Array = stages.map(|stage| stage.id.as_str()).collect();
            table.insert("required", value(required));
        }
    }
    table
}

/// Adds a table to a list of tables, however that is written.
fn push(document: &mut DocumentMut, key: &'static str, table: Table) -> Result<(), ComposeError> {
    let list = document
        .entry(key)
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    match list {
        Item::ArrayOfTables(tables) => {
            tables.push(table);
            Ok(())
        }
        Item::Value(Value::Array(array)) => {
            array.push(Value::InlineTable(table.into_inline_table()));
            Ok(())
        }
        Item::None | Item::Value(_) | Item::Table(_) => Err(ComposeError::Form { key }),
    }
}

/// A table of another document, which has no place in this one yet.
fn unplaced(mut table: Table) -> Table {
    table.set_position(None);
    for (_, item) in table.iter_mut() {
        if let Item::ArrayOfTables(inner) = item {
            for inner in inner.iter_mut() {
                inner.set_position(None);
            }
        }
    }
    table
}

/// Has the workspace ignore these patterns.
fn ignore(document: &mut DocumentMut, patterns: &[String]) -> Result<(), ComposeError> {
    let form = || ComposeError::Form { key: "workspace" };
    let is_new = !document.contains_key("workspace");
    let workspace = document.entry("workspace").or_insert_with(|| {
        let mut table = Table::new();
        table.decor_mut().set_prefix("\n");
        Item::Table(table)
    });
    if is_new && let Item::Table(table) = workspace {
        // Before all tables that have a place.
        table.set_position(Some(-1));
    }
    let table = workspace.as_table_like_mut().ok_or_else(form)?;
    let list = table.entry("ignore").or_insert_with(|| value(Array::new()));
    let list = list.as_array_mut().ok_or_else(form)?;
    for pattern in patterns {
        let is_known = list.iter().any(|known| known.as_str() == Some(pattern));
        if !is_known {
            list.push(pattern.as_str());
        }
    }
    Ok(())
}
