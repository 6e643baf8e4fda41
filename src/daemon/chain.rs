//! An error in words: for the log, for an answer, for a file of evidence.
//!
//! It adds nothing of its own: what the reader is to do stands in the error's own texts.

use std::error::Error;

/// An error and its causes as one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
