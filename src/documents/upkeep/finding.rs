//! What a check of pages has found.
//!
//! The kinds are a closed list: readers of `--json` may match on them.

use serde::Serialize;

/// Something in a page that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PageFinding {
    /// The page, relative to the workspace.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What it is.
    pub kind: PageKind,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What can be wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageKind {
    /// A fragment of a template stands in the page of a task, and onboarding would have filled it.
    Unfilled,
    /// A link leads to no file.
    DanglingLink,
    /// A reference has no definition.
    UndefinedReference,
    /// A run that it names is not there.
    MissingManifest,
    /// What it names as a run is no manifest.
    UnreadableManifest,
    /// It speaks of projects, and leaves one out.
    MissingPointer,
    /// A block about a project has no end, or is of none.
    BrokenBlock,
    /// It cannot be read.
    Unreadable,
    /// A text of the template that a person has to write.
    TemplateText,
    /// There are no runs here to hold it against.
    Unverifiable,
}

impl PageKind {
    /// The kind as `--json` has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unfilled => "unfilled",
            Self::DanglingLink => "dangling-link",
            Self::UndefinedReference => "undefined-reference",
            Self::MissingManifest => "missing-manifest",
            Self::UnreadableManifest => "unreadable-manifest",
            Self::MissingPointer => "missing-pointer",
            Self::BrokenBlock => "broken-block",
            Self::Unreadable => "unreadable",
            Self::TemplateText => "template-text",
            Self::Unverifiable => "unverifiable",
        }
    }

    /// Whether it is wrong, and not only to be done or unknown here.
    #[must_use]
    pub fn is_fault(self) -> bool {
        !matches!(self, Self::TemplateText | Self::Unverifiable)
    }
}
