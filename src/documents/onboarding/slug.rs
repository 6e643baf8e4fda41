//! What the documents of a project are called: a part of file names, such as `web` in `tasks/0101-web.md`.
//!
//! It is the user's word, so that it is refused and never rewritten. What it is put together with is a task id, which is
//! safe in a file name already.

use crate::limits::documents::SLUG_CHARS_MAX;
use crate::model::id::TaskId;

/// What the documents of a project are called.
///
/// Letters, digits, `-`, `_` and `.`, beginning and ending with a letter or digit, so that it is safe in a file name, in
/// a link and in a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slug(String);

/// Why a slug is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SlugError {
    /// It is empty or too long.
    #[error("a slug has 1 to {SLUG_CHARS_MAX} characters")]
    Length,
    /// It has other characters.
    #[error(
        "a slug is made of a-z, A-Z, 0-9, `-`, `_` and `.`, and begins and ends with a letter or digit"
    )]
    Character,
}

impl Slug {
    /// Reads a slug.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, SlugError> {
        if text.is_empty() || text.len() > SLUG_CHARS_MAX {
            return Err(SlugError::Length);
        }
        let is_word = |c: char| c.is_ascii_alphanumeric();
        let fits = text
            .chars()
            .all(|c| is_word(c) || matches!(c, '-' | '_' | '.'));
        if fits && text.starts_with(is_word) && text.ends_with(is_word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SlugError::Character)
        }
    }

    /// The slug as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the files of a task are called, without their ends: its id and the slug, unless the id ends with that.
    #[must_use]
    pub fn stem(&self, task: &TaskId) -> String {
        let has_slug = task
            .as_str()
            .strip_suffix(&self.0)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(['-', '_', '.']));
        if has_slug {
            task.to_string()
        } else {
            format!("{task}-{}", self.0)
        }
    }
}
