//! `orchctl init`: what was found, and what came of it.
//!
//! Pure text; what is written to disk is decided in `commands/init`.

use crate::client::output::Look;
use crate::client::render::status::short_path;
use crate::client::render::text::{add, clean, pad};
use crate::model::config::detect::Finding;
use std::path::Path;

/// Columns of the longest file that tells something.
const FILE_COLUMNS: usize = 21;

/// Renders which files told what.
#[must_use]
pub fn found(findings: &[Finding], _look: &Look) -> String {
    let mut text = String::new();
    for finding in findings {
        let stages: Vec<String> = finding.stages.iter().map(|id| clean(id.as_str())).collect();
        let stages = match (stages.is_empty(), finding.left.is_empty()) {
            (true, true) => "nothing to run".to_owned(),
            (true, false) => format!("{}: offered above already", finding.left.join(", ")),
            (false, _) => stages.join(", "),
        };
        let file = pad(finding.file, FILE_COLUMNS);
        add(&mut text, format_args!("  found  {file}  {stages}\n"));
    }
    if findings.is_empty() {
        text.push_str("  found  nothing that can be run: fill in your own command\n");
    }
    text
}

/// Renders what was written, and what to do next.
#[must_use]
pub fn wrote(path: &Path, ignored: &[&str], look: &Look) -> String {
    let shown = short_path(&clean(&path.display().to_string()), look, 9);
    let mut text = format!("  wrote  {shown}\n");
    if !ignored.is_empty() {
        add(
            &mut text,
            format_args!("  added  {} to .gitignore\n", ignored.join(" ")),
        );
    }
    text.push_str("Read it, then: orchctl watch\n");
    text
}

/// Renders what else would be written.
#[must_use]
pub fn would(ignored: &[&str]) -> String {
    if ignored.is_empty() {
        return "Nothing was written.\n".to_owned();
    }
    format!(
        "Would add {} to .gitignore. Nothing was written.\n",
        ignored.join(" ")
    )
}
