//! Bounds of the paper side: how much it reads of what people write.
//!
//! They are no limits of the formats: what lies beyond them is told, and names the bound.

use std::time::Duration;

/// Bytes of a document that is read; a longer one is told and left out.
pub const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Documents below one directory: checklists of some thousand tasks.
pub const DOCUMENTS_MAX: usize = 20_000;
/// Directories from a workspace's own to a document.
pub const DOCUMENT_DEPTH_MAX: usize = 16;
/// Waivers of one project: past this a template says something else than anybody does.
pub const WAIVERS_MAX: usize = 1_000;
/// Bytes of a waiver's reason, and of who gave it: some paragraphs.
pub const WAIVER_TEXT_BYTES_MAX: usize = 4_096;
/// Age of a spec's last review, when the configuration names none: what the family's own script allows.
pub const SPEC_AGE_DEFAULT: Duration = Duration::from_secs(30 * 86_400);
/// Age of a spec's last review that may be asked for: ten years.
pub const SPEC_AGE_MAX: Duration = Duration::from_secs(3_650 * 86_400);
/// Runs of one task that are read, the newest: they are held in memory, some 20 KiB each, and a month of one every ten
/// minutes is less.
pub const RECORDS_MAX: usize = 5_000;
/// Names in a directory of runs that are looked at.
pub const RECORD_NAMES_MAX: usize = 200_000;
/// Bytes of a guardrail's log that are searched for its findings, from its beginning.
pub const GUARD_LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Child runs below child runs that a guardrail is looked for in.
pub const GUARDRAIL_DEPTH_MAX: usize = 8;
/// Window that coverage counts, when nobody names one.
pub const WINDOW_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// Changed paths that a finding of the spec guard names.
pub const GUARDED_PATHS_NAMED_MAX: usize = 3;
/// Approvals that a block about a project names; the others are counted.
pub const APPROVALS_SHOWN_MAX: usize = 5;
/// Characters of an approval's reason in a block about a project.
pub const APPROVAL_CHARS_MAX: usize = 160;
/// Approvals of one run: past this nobody reads who has accepted what.
pub const APPROVALS_MAX: usize = 100;
/// Bytes of an approval's reason, and of who gave it: some paragraphs.
pub const APPROVAL_TEXT_BYTES_MAX: usize = 4_096;
/// Characters between the angle brackets of a template's fragment: more is no name of something to fill in.
pub const FRAGMENT_CHARS_MAX: usize = 80;
/// Characters of a slug: with a task id it is a file name.
pub const SLUG_CHARS_MAX: usize = 48;
/// Findings that a check of a review names; the command that has them all is named with them.
pub const REVIEW_NAMED_MAX: usize = 5;
/// How often a tick that nobody asked for is made anew where somebody changes the files meanwhile: he who saves that often will
/// have another run.
pub const TICK_ATTEMPTS_MAX: usize = 5;
/// Details of one entry of a checklist that are heard: past this nobody reads them either.
pub const DETAILS_MAX: usize = 64;
/// Runs that a report shows in a row each, of all projects together: what a page of 300 KB holds.
pub const REPORT_RUNS_MAX: usize = 200;
/// Runs of a project that a report shows however many projects there are.
pub const REPORT_RUNS_LEAST: usize = 8;
/// Bytes of a report that tell of runs in full, of all projects together: what their rows leave of 300 KB.
pub const REPORT_DETAIL_BYTES_MAX: usize = 160 * 1024;
/// Runs in the strip that shows how a project went.
pub const REPORT_TREND_RUNS: usize = 30;
/// Stages of a run that a report shows in full; of more the first.
pub const REPORT_STAGES_MAX: usize = 64;
/// Paths of a change that a report names; the others are counted.
pub const REPORT_PATHS_NAMED_MAX: usize = 6;
/// Failing stages of a run whose first failing lines a report shows.
pub const REPORT_EXCERPTS_MAX: usize = 2;
/// Lines of a log that a report shows.
pub const EXCERPT_LINES_MAX: usize = 12;
/// Characters of a line of them.
pub const EXCERPT_CHARS_MAX: usize = 200;
/// Bytes of a log that are searched for its first failing lines, from its beginning.
pub const EXCERPT_LOG_BYTES_MAX: u64 = 1024 * 1024;
/// Characters of any other text in a report, such as a reason or a summary.
pub const REPORT_TEXT_CHARS_MAX: usize = 240;
/// Projects whose failing lines a report in Markdown shows, so that it fits a comment of 65,536 characters.
pub const REPORT_FAILURES_MAX: usize = 10;
/// Runs that an error names where one was meant.
pub const RUNS_NAMED_MAX: usize = 5;
/// Looks at what was found wrong while a chain grows: what runs end meanwhile.
pub const CHAIN_LOOKS_MAX: usize = 3;
/// Pause before such a look at a run that the chain says is removed and that is there: it goes right after its link.
pub const REMOVAL_PAUSE: Duration = Duration::from_millis(200);
