//! SHA-256 digests and the identities made of them.
//!
//! Content is identified by SHA-256 everywhere. What a digest is *of* is in its type, so that an input digest is never
//! compared with a stage key.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

/// A SHA-256 digest; shown and stored as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// Why a text is no digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is no SHA-256 digest: expected 64 hexadecimal digits")]
pub struct DigestError {
    text: String,
}

impl Digest {
    /// Digests bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes a finished hasher's result.
    #[must_use]
    pub fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let mut bytes = [0; 32];
        match base16ct::mixed::decode(text, &mut bytes) {
            Ok(decoded) if decoded.len() == 32 => Ok(Self(bytes)),
            _ => Err(DigestError {
                text: text.to_owned(),
            }),
        }
    }

    /// The 32 bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;
    fn try_from(text: String) -> Result<Self, DigestError> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identity! {
    /// The content (path, mode, bytes) of a set of files: the digest of the root `Directory` of the
    /// [Remote Execution API v2](https://github.com/bazelbuild/remote-apis) over them.
    InputDigest
}
identity! {
    /// What a stage's result depends on: its input digest and its definition, and what the stages that it waits for have
    /// left of their declared outputs.
    StageKey
}
identity! {
    /// What the lines of a stage's `toolchain` have printed.
    ToolsDigest
}
identity! {
    /// The content of what a stage has left of its declared `outputs`, digested as an [`InputDigest`] is; of none at all it
    /// is that of nothing. Of a stage that is a pipeline, what the stages of its run have left.
    OutputsDigest
}
identity! {
    /// The commands that a configuration may run; `orchctl allow` pins it.
    CommandSet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_what_it_shows_and_nothing_else() {
        let digest = Digest::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest.to_string(), text);
        assert_eq!(Digest::parse(text), Ok(digest));
        for bad in [
            "",
            "e3b0",
            &text[1..],
            &format!("{text}00"),
            &text.replace('e', "g"),
        ] {
            assert!(
                Digest::parse(bad)
                    .unwrap_err()
                    .to_string()
                    .contains("64 hexadecimal digits")
            );
        }
    }
}
