//! One line of a task's chain: what a run's files were when somebody who may write them was done.
//!
//! A line is one JSON object that holds the digest of the whole line before it, and ends in the digest of itself, so that
//! also the newest line cannot be damaged unseen. Neither says who wrote it.

use crate::model::digest::Digest;
use crate::model::id::{RunId, TaskId};
use crate::model::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of a link that we read and write.
const SCHEMA: u64 = 1;
/// What stands between the rest of a line and the digest of that rest.
const SEAL: &[u8] = b",\"digest\":\"";
const SEAL_END: &[u8] = b"\"}";
const DIGITS: usize = 64;

/// One link of a task's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Always 1.
    pub schema: u64,
    /// Its place in the chain, from 1.
    pub number: u64,
    /// The digest of the line before it, with its newline; none of the first.
    pub previous: Option<Digest>,
    /// When it was written.
    pub at: Timestamp,
    /// The task whose chain it is.
    pub task: TaskId,
    /// The run that it is about, if it is about one.
    pub run: Option<RunId>,
    /// Why it was written.
    pub why: Why,
    /// The files of the run, sorted by path.
    pub files: Vec<LinkedFile>,
    /// With which link the chain begins from now on, where links before it were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begins: Option<Beginning>,
}

/// Why a link was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The run has ended.
    Ended,
    /// The run has ended once more, after it was resumed.
    Resumed,
    /// A start has finished the run, whose daemon was lost.
    Recovered,
    /// The run's manifest was damaged and has been made again of what was left.
    Rebuilt,
    /// Somebody has approved what the run said.
    Approved,
    /// Somebody has accepted the files as they are; of what was before it says nothing.
    Adopted,
    /// The run was removed.
    Removed,
    /// The run's newest link again, because that was left out.
    Kept,
    /// Links at the beginning were left out.
    Compacted,
    /// What was the chain before was damaged and set aside.
    Restarted,
}

impl Why {
    /// The word for it, as the file has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Resumed => "resumed",
            Self::Recovered => "recovered",
            Self::Rebuilt => "rebuilt",
            Self::Approved => "approved",
            Self::Adopted => "adopted",
            Self::Removed => "removed",
            Self::Kept => "kept",
            Self::Compacted => "compacted",
            Self::Restarted => "restarted",
        }
    }

    /// Whether its link tells what the files of a run are.
    #[must_use]
    pub fn tells_files(self) -> bool {
        match self {
            Self::Ended
            | Self::Resumed
            | Self::Recovered
            | Self::Rebuilt
            | Self::Approved
            | Self::Adopted
            | Self::Kept => true,
            Self::Removed | Self::Compacted | Self::Restarted => false,
        }
    }
}

/// One file, as it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LinkedFile {
    /// Its path from the run's directory; of a link without a run from the task's.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// Their digest.
    pub sha256: Digest,
}

/// The link with which a chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beginning {
    /// Its place.
    pub number: u64,
    /// The digest of the line before it, which was left out.
    pub previous: Digest,
}

/// Why a line is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// It says something else than when it was written.
    #[error("its own digest says that it was changed")]
    Altered,
    /// It is something else.
    #[error("it is no link")]
    Foreign,
    /// A newer version has written it.
    #[error("a newer orchd has written it (schema {found}, this one knows {SCHEMA})")]
    Newer {
        /// Its schema.
        found: u64,
    },
}

/// What has to be known of a line to go on behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The number of the next link.
    pub number: u64,
    /// The digest of the line before it.
    pub previous: Option<Digest>,
}

/// The place in a line of any version.
#[derive(Deserialize)]
struct Numbered {
    schema: u64,
    number: u64,
}

impl Place {
    /// Where a chain begins.
    pub const FIRST: Self = Self {
        number: 1,
        previous: None,
    };

    /// The place behind a line, which has its newline; none where nobody can tell it.
    #[must_use]
    pub fn behind(line: &[u8]) -> Option<Self> {
        let number = Link::parse(line).map(|link| link.number).ok();
        let number = number.or_else(|| {
            let numbered: Numbered = serde_json::from_slice(line).ok()?;
            Some(numbered.number)
        })?;
        Some(Self {
            number: number.checked_add(1)?,
            previous: Some(Digest::of(line)),
        })
    }
}

impl Link {
    /// A link of a task at a place.
    #[must_use]
    pub fn new(place: Place, task: &TaskId, run: Option<&RunId>, why: Why, at: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            number: place.number,
            previous: place.previous,
            at,
            task: task.clone(),
            run: run.cloned(),
            why,
            files: Vec::new(),
            begins: None,
        }
    }

    /// Its line, with the newline.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        // Our formats have string keys only and no failing `Serialize`, so that there is nothing to fail on.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        let _: Option<u8> = line.pop();
        let seal = Digest::of(&line).to_string();
        line.extend_from_slice(SEAL);
        line.extend_from_slice(seal.as_bytes());
        line.extend_from_slice(SEAL_END);
        line.push(b'\n');
        line
    }

    /// Reads a line, with or without its newline.
    ///
    /// # Errors
    /// When it is damaged, newer, or something else.
    pub fn parse(line: &[u8]) -> Result<Self, LinkFault> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let numbered: Result<Numbered, _> = serde_json::from_slice(line);
        let Ok(numbered) = numbered else {
            return Err(LinkFault::Foreign);
        };
        let sealed = line.strip_suffix(SEAL_END).and_then(|line| {
            let (rest, seal) = line.split_at_checked(line.len().checked_sub(DIGITS)?)?;
            Some((rest.strip_suffix(SEAL)?, seal))
        });
        let Some((rest, seal)) = sealed else {
            return Err(newer_or(&numbered, LinkFault::Foreign));
        };
        if Digest::of(rest).to_string().as_bytes() != seal {
            return Err(newer_or(&numbered, LinkFault::Altered));
        }
        if numbered.schema > SCHEMA {
            let found = numbered.schema;
            return Err(LinkFault::Newer { found });
        }
        serde_json::from_slice(line).map_err(|_| LinkFault::Foreign)
    }
}

/// A line of a newer version may be sealed in another way.
fn newer_or(numbered: &Numbered, fault: LinkFault) -> LinkFault {
    match numbered.schema > SCHEMA {
        true => LinkFault::Newer {
            found: numbered.schema,
        },
        false => fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> Link {
        let run = RunId::parse("2026-11-22T10-09-50-592Z-3d0103be").unwrap();
        let at = Timestamp::from_unix_ms(1_795_341_000_123);
        let task = TaskId::parse("0101-web").unwrap();
        let mut link = Link::new(Place::FIRST, &task, Some(&run), Why::Ended, at);
        link.files = vec![LinkedFile {
            path: "manifest.json".to_owned(),
            size: 3,
            sha256: Digest::of(b"abc"),
        }];
        link
    }

    #[test]
    fn a_line_is_what_formats_says() {
        let line = String::from_utf8(link().line()).unwrap();
        insta::assert_snapshot!(line.trim_end(), @r#"{"schema":1,"number":1,"previous":null,"at":"2026-11-22T09:50:00.123Z","task":"0101-web","run":"2026-11-22T10-09-50-592Z-3d0103be","why":"ended","files":[{"path":"manifest.json","size":3,"sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}],"digest":"7c041c10f311aa95422a8eaaa04087eb0f7df6c088ec7097276eda5c04579214"}"#);
        assert_eq!(Link::parse(line.as_bytes()), Ok(link()));
    }

    #[test]
    fn a_byte_that_is_changed_is_seen_wherever_it_is() {
        let line = link().line();
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut other = line.clone();
                other[at] ^= 1 << bit;
                assert!(Link::parse(&other).is_err(), "byte {at}, bit {bit}");
            }
        }
    }

    #[test]
    fn a_link_of_a_newer_version_is_gone_on_behind() {
        let newer = b"{\"schema\":2,\"number\":7,\"unknown\":[]}\n";
        assert_eq!(Link::parse(newer), Err(LinkFault::Newer { found: 2 }));
        let place = Place::behind(newer).unwrap();
        assert_eq!(place.number, 8);
        assert_eq!(place.previous, Some(Digest::of(newer)));
        assert_eq!(Place::behind(b"what\n"), None);
    }
}
