//! Checklists in Markdown: what they say, and the smallest change that makes them say something else.
//!
//! `grammar` knows single lines, `parse` makes items of a file, `edit` ticks one. Bytes in, bytes out: whatever is not
//! changed stays as it is, whatever encoding or line ends it has, and no file fails to parse. The forms are those of the
//! checklists that the published orchestrator's repositories keep: leading markers, `Status:` lines, subtasks, and rows
//! of a table of all tasks. Nothing here reads a file or knows whether an item's evidence holds.

pub mod edit;
pub mod grammar;
mod nodes;
pub mod parse;
#[cfg(test)]
mod tests;

pub use nodes::Block;
pub use parse::{Checklist, Form, Item};
