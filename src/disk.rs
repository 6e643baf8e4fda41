//! What both sides of the program do with files: the daemon with evidence, the paper side with documents.
//!
//! `durable` writes so that a power cut leaves the old file or the new one, and follows no planted link. `configuration`
//! reads what a workspace declares, `identity` tells one directory from another in its place, and `places` where evidence
//! lies. `chain` notes what the files of a run are; nothing here knows of verdicts or checklists.

pub mod chain;
pub mod configuration;
pub mod durable;
pub mod identity;
pub mod places;
