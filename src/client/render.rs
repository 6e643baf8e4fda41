//! Answers as text for people: pure functions from what the daemon told to lines, escape sequences included.
//!
//! The writer strips the escape sequences where nobody wants them, so every symbol stands beside a word. Without a
//! terminal nothing is shortened and every project is one line with fixed columns, so that `grep` and `awk` can rely on
//! it.

pub mod answer;
pub mod approving;
pub mod checklist;
pub mod daemon;
pub mod docs;
pub mod evidence;
pub mod flaky;
pub mod guarding;
pub mod history;
pub mod init;
pub mod live;
pub mod mark;
pub mod project;
pub mod report;
pub mod review;
pub mod status;
pub mod text;
pub mod waiting;
pub mod why;
pub mod workspace;

#[cfg(test)]
mod tests;
