//! Journals: what differs since a view was given, path by path.
//!
//! A journal keeps what each path *was* when it first changed after the view. At the next view a path that is again what
//! it was falls out, so that a change set names true differences only. Past `CHANGED_PATHS_MAX` it says "everything".

use super::snapshot::Content;
use crate::limits::CHANGED_PATHS_MAX;
use std::collections::BTreeMap;

/// What a path held before a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Was {
    /// Nothing.
    Absent,
    /// This.
    Content(Content),
    /// Something that nobody had read; `aside` where it was content only of stages that declare it.
    Unknown { aside: bool },
}

/// Paths that changed, with what they held before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// Too many, or nobody knows.
    Everything,
    /// These.
    Paths(BTreeMap<Box<[u8]>, Was>),
}

impl Was {
    /// Whether it was content only of stages that declare it; none where there was nothing.
    pub(super) fn is_aside(&self) -> Option<bool> {
        match self {
            Self::Absent => None,
            Self::Content(content) => Some(content.aside),
            Self::Unknown { aside } => Some(*aside),
        }
    }
}

impl Changes {
    pub(super) fn none() -> Self {
        Self::Paths(BTreeMap::new())
    }

    /// Notes a change, unless the path is in it already: the first state is the one to compare with.
    pub(super) fn note(&mut self, path: Vec<u8>, was: Was) {
        let Self::Paths(paths) = self else {
            return;
        };
        if paths.len() < CHANGED_PATHS_MAX {
            paths.entry(path.into_boxed_slice()).or_insert(was);
        } else {
            *self = Self::Everything;
        }
    }
}
