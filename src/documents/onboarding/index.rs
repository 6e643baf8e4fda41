//! A task more in `tasks/index.json`: an entry in `items`, and nothing else in the file is touched.
//!
//! The list is found in the text, so that keys, their order, numbers and white space of everything else stay as they are.

use super::OnboardError;
use crate::documents::standings::newline;
use crate::documents::task_index::TaskIndexError;
use crate::documents::templates::Fields;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    items: Option<&'a RawValue>,
}

/// The text of the file with an entry for a task that it does not list.
///
/// # Errors
/// When it is no JSON object, or its `items` is no list.
pub(super) fn with(
    text: Option<&str>,
    fields: &Fields<'_>,
    source: &str,
) -> Result<String, OnboardError> {
    let entry = entry(fields, source);
    let Some(text) = text else {
        let file = json!({ "items": [entry], "specs": [] });
        return Ok(format!("{}\n", pretty(&file)));
    };
    let file: File<'_> = serde_json::from_str(text).map_err(TaskIndexError::Parse)?;
    let newline = newline(text.as_bytes());
    let Some(items) = file.items.map(RawValue::get) else {
        return without_items(text, &entry, newline);
    };
    // The value borrows from the text, so that the distance of both is where it stands.
    let begin = items.as_ptr().addr() - text.as_ptr().addr();
    let end = begin + items.len() - 1;
    if !items.starts_with('[') {
        return Err(OnboardError::NoList);
    }
    let inside = items.get(1..items.len() - 1).unwrap_or_default();
    let last = begin + 1 + inside.trim_end().len();
    let (head, tail) = (
        text.get(..last).unwrap_or_default(),
        text.get(end..).unwrap_or_default(),
    );
    let comma = if inside.trim().is_empty() { "" } else { "," };
    let margin: String = match inside.find('\n') {
        Some(at) => {
            let rest = inside.get(at + 1..).unwrap_or_default();
            rest.chars()
                .take_while(|c| matches!(c, ' ' | '\t'))
                .collect()
        }
        None if comma.is_empty() => "    ".to_owned(),
        // All in one line, and so is what comes to it.
        None => {
            let space = if comma.is_empty() { "" } else { " " };
            return Ok(format!("{head}{comma}{space}{entry}{tail}"));
        }
    };
    let unit = if margin.contains('\t') { "\t" } else { "  " };
    let closing = margin.strip_suffix(unit).unwrap_or_default();
    let body = indented(&entry, &margin, newline);
    Ok(format!(
        "{head}{comma}{newline}{margin}{body}{newline}{closing}{tail}"
    ))
}

/// An object without the list gets it first.
fn without_items(text: &str, entry: &Value, newline: &str) -> Result<String, OnboardError> {
    let Some(open) = text.find('{') else {
        return Err(OnboardError::NoList);
    };
    let (head, tail) = text.split_at(open + 1);
    let comma = if tail.trim_start().starts_with('}') {
        ""
    } else {
        ","
    };
    let body = indented(entry, "    ", newline);
    let list = format!("{newline}  \"items\": [{newline}    {body}{newline}  ]{comma}");
    let gap = if tail.starts_with(['\n', '\r']) {
        ""
    } else {
        newline
    };
    Ok(format!("{head}{list}{gap}{tail}"))
}

fn entry(fields: &Fields<'_>, source: &str) -> Value {
    json!({
        "id": fields.task.as_str(),
        "slug": fields.slug,
        "title": fields.title,
        "path": source,
        "kind": "task",
        "status": "in_progress",
        "gate": { "phase": "onboarding", "status": "pending", "log": null, "run_id": null },
        "created_at": fields.day,
        "completed_at": null,
    })
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

fn indented(value: &Value, margin: &str, newline: &str) -> String {
    let lines: Vec<String> = pretty(value).lines().map(str::to_owned).collect();
    lines.join(&format!("{newline}{margin}"))
}
