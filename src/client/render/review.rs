//! `orchctl review`: a line for each check, and below it why it is as it is.
//!
//! The word in the first column is `ok` or `no`, whatever the colour.

use crate::client::output::Look;
use crate::client::render::text::{DIM, GREEN, RED, add, clean, count, pad, styled};
use crate::documents::review::Review;

/// The longest name of a check, in columns.
const WIDTH: usize = 11;

/// Renders whether a workspace is ready.
#[must_use]
pub fn review(review: &Review, _look: &Look) -> String {
    let mut text = String::new();
    for check in &review.checks {
        let mark = match check.ok {
            true => styled(GREEN, "ok"),
            false => styled(RED, "no"),
        };
        let mut details = check.details.iter();
        let first = details.next().map_or_else(String::new, |it| clean(it));
        let id = pad(check.id, WIDTH);
        add(&mut text, format_args!("{mark}  {id}  {first}\n"));
        for detail in details {
            let detail = match check.ok {
                true => styled(DIM, &clean(detail)),
                false => clean(detail),
            };
            add(
                &mut text,
                format_args!("    {}  {detail}\n", pad("", WIDTH)),
            );
        }
    }
    let missing = review.checks.iter().filter(|check| !check.ok).count();
    match review.ready {
        true => add(&mut text, format_args!("{}\n", styled(GREEN, "ready"))),
        false => {
            let said = styled(RED, "not ready");
            let missing = count(missing, "check");
            add(&mut text, format_args!("{said}: {missing} to mend\n"));
        }
    }
    text
}
