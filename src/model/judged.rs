//! What a gate judges where it does not judge what lies in the workspace: a commit, or what an index would commit.
//!
//! Both are named by git's own object ids, so that whoever has the repository can see what was judged.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Hexadecimal digits of an object id that are shown to people, as git shows them.
const SHORT_DIGITS: usize = 7;

/// The name of a git object: 40 or 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid(String);

/// Why a text is no object id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{}` is no object id of git: expected 40 or 64 hexadecimal digits", text.escape_debug())]
pub struct OidError {
    text: String,
}

impl Oid {
    /// Reads what git has written.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, OidError> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if matches!(text.len(), 40 | 64) && text.bytes().all(is_digit) {
            Ok(Self(text.to_owned()))
        } else {
            let text = text.to_owned();
            Err(OidError { text })
        }
    }

    /// Whether it names nothing: git writes only zeros for what is not there.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.bytes().all(|byte| byte == b'0')
    }

    /// All of its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..SHORT_DIGITS).unwrap_or(&self.0)
    }
}

impl TryFrom<String> for Oid {
    type Error = OidError;
    fn try_from(text: String) -> Result<Self, OidError> {
        Self::parse(&text)
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> Self {
        oid.0
    }
}

/// What is judged instead of what lies in the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judged {
    /// A commit.
    Commit(Oid),
    /// What an index would commit: the tree that it makes.
    Index(Oid),
}

impl Judged {
    /// How git names a file of it, which is below the top of its repository: `git show` shows what this names.
    #[must_use]
    pub fn name_of(&self, file: &str) -> String {
        match self {
            Self::Commit(oid) => format!("{}:{file}", oid.short()),
            Self::Index(_) => format!(":{file}"),
        }
    }
}

/// In short, for people.
impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(oid) => write!(f, "commit {}", oid.short()),
            Self::Index(oid) => write!(f, "index {}", oid.short()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_id_is_what_git_writes_and_nothing_else() {
        let sha1 = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
        assert_eq!(Oid::parse(sha1).unwrap().short(), "4b825dc");
        assert_eq!(
            Oid::parse(&"0".repeat(64)).map(|oid| oid.is_zero()),
            Ok(true)
        );
        for other in ["", "HEAD", &sha1[1..], &sha1.to_uppercase(), "--all"] {
            let error = Oid::parse(other).unwrap_err();
            assert!(error.to_string().contains("no object id"), "{error}");
        }
    }

    #[test]
    fn what_is_judged_is_told_by_its_kind() {
        let oid = Oid::parse(&"a".repeat(40)).unwrap();
        let commit = Judged::Commit(oid.clone());
        let json = serde_json::to_string(&commit).unwrap();
        assert_eq!(json, format!("{{\"commit\":\"{}\"}}", oid.as_str()));
        assert_eq!(serde_json::from_str::<Judged>(&json).unwrap(), commit);
        assert_eq!(commit.to_string(), "commit aaaaaaa");
        assert_eq!(commit.name_of("a/b"), "aaaaaaa:a/b");
        let index = Judged::Index(oid);
        assert_eq!(index.to_string(), "index aaaaaaa");
        assert_eq!(index.name_of("a/b"), ":a/b");
    }
}
