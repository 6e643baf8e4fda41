//! `orchctl checklist`: items, findings with their places, and what was written.
//!
//! A finding begins with `file:line:`, as compilers have it, so that editors and `grep` find the place.

use crate::client::output::Look;
use crate::client::render::text::{
    DIM, GREEN, RED, YELLOW, add, clean, count, findings_said, styled,
};
use crate::documents::checklists::{Aligned, Checked, ShownItem};
use crate::documents::finding::{ItemFinding, ItemKind};
use crate::documents::flipping::Flipped;

/// Renders items, by file.
#[must_use]
pub fn items(items: &[ShownItem], _look: &Look) -> String {
    let mut text = String::new();
    let mut file = "";
    for item in items {
        if item.file != file {
            file = &item.file;
            let open = items
                .iter()
                .filter(|other| other.file == file && !other.checked)
                .count();
            let all = items.iter().filter(|other| other.file == file).count();
            let done = all.saturating_sub(open);
            add(
                &mut text,
                format_args!("{}  {done} of {all}\n", clean(file)),
            );
        }
        let mark = if item.checked {
            styled(GREEN, "[x]")
        } else {
            "[ ]".to_owned()
        };
        let group = item.group.as_deref().or(item.section.as_deref());
        let group = group.map_or(String::new(), |group| {
            styled(DIM, &format!("  {}", clean(group)))
        });
        add(
            &mut text,
            format_args!("  {mark} {}{group}\n", clean(&item.title)),
        );
    }
    if items.is_empty() {
        text.push_str("no item\n");
    }
    text
}

/// Renders what a check has found.
#[must_use]
pub fn checked(checked: &Checked, _look: &Look) -> String {
    let mut text = String::new();
    for finding in &checked.findings {
        let style = if finding.kind.is_fault() { RED } else { YELLOW };
        let kind = styled(style, finding.kind.as_str());
        let ItemFinding { line, .. } = finding;
        let (file, title) = (clean(&finding.file), clean(&finding.title));
        let evidence = finding.evidence.as_deref();
        let evidence = evidence.map_or(String::new(), |path| format!(" ({})", clean(path)));
        let message = clean(&finding.message);
        add(
            &mut text,
            format_args!("{file}:{line}: {kind}: {title}: {message}{evidence}\n"),
        );
    }
    let of = |is_it: &dyn Fn(ItemKind) -> bool| {
        let all = checked.findings.iter();
        all.filter(|finding| is_it(finding.kind)).count()
    };
    let faults = of(&ItemKind::is_fault);
    let said = |kind: ItemKind, words: &str| match of(&|other| other == kind) {
        0 => String::new(),
        some => format!(", {some} {words}"),
    };
    let unknown = said(ItemKind::Unverifiable, "unverifiable here");
    let since = said(ItemKind::Contradicted, "contradicted since");
    let (items, files) = (count(checked.items, "item"), count(checked.files, "file"));
    let said = findings_said(faults);
    add(
        &mut text,
        format_args!("{said}{since}{unknown}: {items} in {files}\n"),
    );
    text
}

/// Renders what a check has found as annotations of GitHub Actions.
///
/// Source: the workflow commands of GitHub Actions (`::error file=…,line=…::…`), with their escapes.
#[must_use]
pub fn annotations(checked: &Checked) -> String {
    let mut text = String::new();
    for finding in &checked.findings {
        let level = if finding.kind.is_fault() {
            "error"
        } else {
            "notice"
        };
        let said = match &finding.evidence {
            Some(path) => format!("{}: {} ({path})", finding.title, finding.message),
            None => format!("{}: {}", finding.title, finding.message),
        };
        let place = (&*finding.file, finding.line);
        text.push_str(&annotation(level, place, finding.kind.as_str(), &said));
    }
    text
}

/// One annotation of GitHub Actions, as a line.
pub(super) fn annotation(
    level: &str,
    (file, line): (&str, usize),
    kind: &str,
    said: &str,
) -> String {
    let file = escaped(file).replace(':', "%3A").replace(',', "%2C");
    let said = escaped(said);
    format!("::{level} file={file},line={line},title={kind}::{said}\n")
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Renders what has followed its source, or would.
#[must_use]
pub fn synced(items: &[Aligned], dry: bool, _look: &Look) -> String {
    let mut text = String::new();
    aligned(&mut text, items);
    let (verb, all) = (
        if dry { "would follow" } else { "follow" },
        count(items.len(), "item"),
    );
    match items.len() {
        0 => text.push_str("all mirrors say what their sources do\n"),
        _ => add(&mut text, format_args!("{all} {verb} their sources\n")),
    }
    text
}

fn aligned(text: &mut String, items: &[Aligned]) {
    for item in items {
        let (file, title) = (clean(&item.file), clean(&item.title));
        let said = match item.checked {
            Some(true) => format!("{} {title}", styled(GREEN, "[x]")),
            Some(false) => format!("[ ] {title}"),
            None => format!("the items of {title} in a block, made again"),
        };
        add(text, format_args!("{file}:{}: {said}\n", item.line));
    }
}

/// Renders what was done to an item.
#[must_use]
pub fn flipped(flipped: &Flipped, changed: bool, _look: &Look) -> String {
    let mut text = String::new();
    let mark = if flipped.checked {
        styled(GREEN, "[x]")
    } else {
        "[ ]".to_owned()
    };
    let (file, title) = (clean(&flipped.file), clean(&flipped.title));
    let said = match (changed, flipped.checked) {
        (true, _) => "",
        (false, true) => "  (was ticked by this run already)",
        (false, false) => "  (was open already)",
    };
    add(
        &mut text,
        format_args!("{file}:{}: {mark} {title}{said}\n", flipped.line),
    );
    aligned(&mut text, &flipped.mirrors);
    if let (false, Some(left)) = (flipped.checked, &flipped.evidence) {
        add(
            &mut text,
            format_args!(
                "its evidence was not written by a tick, and is left: {}\n",
                clean(left)
            ),
        );
    }
    text
}
