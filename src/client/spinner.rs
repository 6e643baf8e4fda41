//! A sign of life on a terminal while something runs; nothing anywhere else.
//!
//! It writes to stderr only, and leaves no trace when it goes.

use crate::client::output::{Output, OutputError};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(120);

/// The sign of life.
#[derive(Debug)]
pub(crate) struct Spinner {
    bar: Option<ProgressBar>,
    is_wanted: bool,
}

impl Spinner {
    /// Shows nothing yet, and never anything where nobody watches stderr.
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            bar: None,
            is_wanted: output.err_is_terminal() && !output.json(),
        }
    }

    /// Says what is under way; `None` when nothing is.
    pub(crate) fn say(&mut self, activity: Option<String>) {
        match (activity, &self.bar) {
            (Some(text), Some(bar)) => bar.set_message(text),
            (Some(text), None) if self.is_wanted => {
                let bar = ProgressBar::new_spinner().with_message(text);
                if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
                    bar.set_style(style);
                }
                bar.enable_steady_tick(FRAME);
                self.bar = Some(bar);
            }
            (None, Some(bar)) => {
                bar.finish_and_clear();
                self.bar = None;
            }
            (Some(_) | None, None) => {}
        }
    }

    /// Prints while the sign of life is out of the way.
    pub(crate) fn aside(
        &self,
        print: impl FnOnce() -> Result<(), OutputError>,
    ) -> Result<(), OutputError> {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.say(None);
    }
}
