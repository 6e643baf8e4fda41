//! Charts of a report as inline SVG, made of numbers alone: a strip of runs, and a stage on its run's scale of time.
//!
//! What they show stands in words, too: for readers who do not see them, and on a page without colour the place of a bar
//! tells what its colour does.

use crate::client::render::report::view::{Icon, Tone};
use crate::client::render::text::{add, took};
use std::time::Duration;

/// Units that a lane is wide.
const LANE: u64 = 1_000;
/// Units that the shortest bar takes, so that it can be seen.
const BAR_LEAST: u64 = 6;
/// Units from one run of a strip to the next, and the most of them that it holds.
const STEP: usize = 8;

/// How runs went, oldest first: what passed stands above the line, what failed below it, the rest on it. `most` is the
/// room that there is.
pub(super) fn trend(marks: &[Icon], most: usize) -> String {
    if marks.is_empty() {
        return String::new();
    }
    let count = |tone: Tone| marks.iter().filter(|mark| mark.tone == tone).count();
    let (good, bad) = (count(Tone::Good), count(Tone::Bad));
    let rest = marks.len() - good - bad;
    let mut text = String::new();
    add(
        &mut text,
        format_args!(
            "<svg class=\"trend\" viewBox=\"0 0 {} 24\" preserveAspectRatio=\"xMinYMid\" role=\"img\" aria-label=\"{good} passed, {bad} failed, {rest} neither\">",
            most * STEP
        ),
    );
    for (tone, top, height) in [
        (Tone::Good, 2, 10),
        (Tone::Bad, 12, 10),
        (Tone::Warn, 7, 10),
        (Tone::Idle, 11, 2),
    ] {
        let own = marks
            .iter()
            .enumerate()
            .filter(|(_, mark)| mark.tone == tone);
        let mut path = String::new();
        for (at, _) in own {
            add(
                &mut path,
                format_args!("M{} {top}h5v{height}h-5z", at * STEP),
            );
        }
        if !path.is_empty() {
            add(
                &mut text,
                format_args!("<path class=\"{tone}\" d=\"{path}\"/>"),
            );
        }
    }
    text.push_str("</svg>");
    text
}

/// A stage in the lane of its run, which took `whole` milliseconds; nothing where it was not executed.
pub(super) fn bar(tone: Tone, begin: Option<u64>, took_ms: Option<u64>, whole: u64) -> String {
    let Some(begin) = begin else {
        return String::new();
    };
    let length = took_ms.unwrap_or(0);
    let units = |ms: u64| {
        ms.saturating_mul(LANE)
            .checked_div(whole)
            .unwrap_or(0)
            .min(LANE)
    };
    let width = units(length).max(BAR_LEAST);
    let left = units(begin).min(LANE - width);
    let span = |ms: u64| took(Duration::from_millis(ms));
    let (from, to) = (span(begin), span(begin.saturating_add(length)));
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 {LANE} 10\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"from {from} to {to}\"><rect class=\"{tone}\" x=\"{left}\" width=\"{width}\" height=\"10\"/></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_stays_in_its_lane_and_can_be_seen() {
        for (begin, took, whole, place) in [
            (0, Some(500), 1_000, "x=\"0\" width=\"500\""),
            (500, Some(0), 1_000, "x=\"500\" width=\"6\""),
            (999, Some(u64::MAX), 1_000, "x=\"0\" width=\"1000\""),
            (u64::MAX, None, 0, "x=\"0\" width=\"6\""),
        ] {
            let svg = bar(Tone::Good, Some(begin), took, whole);
            assert!(svg.contains(place), "{svg}");
        }
        assert_eq!(bar(Tone::Good, None, Some(3), 9), "");
    }
}
