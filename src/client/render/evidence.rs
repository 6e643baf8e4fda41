//! `orchctl evidence`: what is not as it was recorded, a paragraph each, and the newest digest of each chain.
//!
//! The digests are told whether anything was found or not: they are what somebody may keep elsewhere.

use crate::client::output::Look;
use crate::client::render::text::{DIM, GREEN, RED, add, clean, count, styled};
use crate::documents::integrity::Verified;

/// Renders what came of holding runs against their chains.
#[must_use]
pub fn verified(verified: &Verified, _look: &Look) -> String {
    let mut text = String::new();
    for finding in &verified.findings {
        let kind = styled(RED, finding.kind.as_str());
        let (path, message) = (clean(&finding.path), clean(&finding.message));
        add(&mut text, format_args!("{kind}  {path}\n  {message}\n"));
    }
    for head in &verified.heads {
        let task = clean(head.task_id.as_str());
        let digest = styled(DIM, &head.sha256.to_string());
        add(
            &mut text,
            format_args!("{task}  link {}  {digest}\n", head.number),
        );
    }
    let runs = count(verified.runs, "run");
    let said = match verified.findings.len() {
        0 => styled(GREEN, &format!("{runs}, all as recorded")),
        found => styled(RED, &format!("{runs}, {}", count(found, "finding"))),
    };
    add(&mut text, format_args!("{said}\n"));
    text
}

/// Says how many runs were taken as they are.
#[must_use]
pub fn adopted(adopted: usize) -> String {
    format!("{} taken as they are now\n", count(adopted, "run"))
}
