//! The one way out: data to stdout, words to stderr.
//!
//! Colour is decided once per stream: a terminal, `NO_COLOR`, `CLICOLOR_FORCE`. Renderers always write escape sequences,
//! and this writer takes them away where nobody wants them. Bytes of a log pass through untouched.

use crate::client::clock;
use crate::model::time::Timestamp;
use anstream::{AutoStream, ColorChoice};
use serde::Serialize;
use std::fmt;
use std::io::{self, IsTerminal, Write};

/// What a renderer has to know of the place that it writes to.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Columns of the terminal; `None` where there is none, and then nothing is shortened.
    pub width: Option<usize>,
    /// The moment that ages are counted from.
    pub now: Timestamp,
}

/// Below this many columns a line is broken into several.
const NARROW_COLUMNS: usize = 60;

impl Look {
    /// Whether a line has to be broken into several.
    #[must_use]
    pub fn is_narrow(&self) -> bool {
        self.width.is_some_and(|width| width < NARROW_COLUMNS)
    }
}

/// Why nothing came out.
#[derive(Debug, thiserror::Error)]
#[error("could not write the output")]
pub struct OutputError(#[from] pub io::Error);

/// The writer of both streams.
pub struct Output {
    out: Sink,
    err: Sink,
    json: bool,
    /// Something was printed on stdout, so that a document of an error would be one too many.
    begun: bool,
}

struct Sink {
    raw: Box<dyn Write>,
    colour: bool,
    width: Option<usize>,
    terminal: bool,
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

impl Output {
    /// Writes to the process's own streams; `json` keeps words off stdout.
    #[must_use]
    pub fn stdio(json: bool) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let out = Sink {
            colour: AutoStream::choice(&out) != ColorChoice::Never,
            width: width(&out),
            terminal: out.is_terminal(),
            raw: Box::new(out),
        };
        let err = Sink {
            colour: AutoStream::choice(&err) != ColorChoice::Never,
            width: width(&err),
            terminal: err.is_terminal(),
            raw: Box::new(err),
        };
        Self {
            out,
            err,
            json,
            begun: false,
        }
    }

    /// Whether the answer is to be JSON.
    #[must_use]
    pub fn json(&self) -> bool {
        self.json
    }

    /// What a renderer of stdout has to know.
    #[must_use]
    pub fn look(&self) -> Look {
        Look {
            width: self.out.width,
            now: clock::now(),
        }
    }

    /// What a renderer of stderr has to know.
    #[must_use]
    pub fn err_look(&self) -> Look {
        Look {
            width: self.err.width,
            now: clock::now(),
        }
    }

    /// Whether somebody watches stderr, so that a spinner makes sense.
    #[must_use]
    pub fn err_is_terminal(&self) -> bool {
        self.err.terminal
    }

    /// Prints one JSON document, indented as the published orchestrator does it. A reader who has gone takes nothing
    /// away from how the command ends: its exit code says what the document said.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn document(&mut self, value: &impl Serialize) -> Result<(), OutputError> {
        let mut text = serde_json::to_vec_pretty(value).map_err(io::Error::from)?;
        text.push(b'\n');
        unheard(self.bytes(&text))
    }

    /// Prints an answer in words; as with [`Output::document`], nobody has to read it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn answer(&mut self, text: &str) -> Result<(), OutputError> {
        unheard(self.text(text))
    }

    /// Prints an error as the one JSON document, where JSON was asked for and nothing else was printed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn error_document(
        &mut self,
        kind: &str,
        message: &str,
        hint: Option<&str>,
    ) -> Result<(), OutputError> {
        #[derive(Serialize)]
        struct Document<'a> {
            error: Told<'a>,
        }
        #[derive(Serialize)]
        struct Told<'a> {
            kind: &'a str,
            message: &'a str,
            hint: Option<&'a str>,
        }
        if !self.json || self.begun {
            return Ok(());
        }
        let error = Told {
            kind,
            message,
            hint,
        };
        self.document(&Document { error })
    }

    /// Prints one JSON document as one line, for streams.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&mut self, value: &impl Serialize) -> Result<(), OutputError> {
        let mut text = serde_json::to_vec(value).map_err(io::Error::from)?;
        text.push(b'\n');
        self.bytes(&text)
    }

    /// Prints rendered text to stdout.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn text(&mut self, text: &str) -> Result<(), OutputError> {
        self.out.text(text)
    }

    /// Prints rendered words to stderr; nobody has to read them.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn words(&mut self, text: &str) -> Result<(), OutputError> {
        unheard(self.err.text(text))
    }

    /// Ends the line on which a terminal shows ^C, so that what comes next has one of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end_line(&mut self) -> Result<(), OutputError> {
        if self.out.terminal && self.err.terminal {
            self.words("\n")?;
        }
        Ok(())
    }

    /// Prints rendered text: to stdout, or with `--json` to stderr, because stdout then holds one document only.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tell(&mut self, text: &str) -> Result<(), OutputError> {
        if self.json {
            self.words(text)
        } else {
            self.text(text)
        }
    }

    /// Writes bytes to stdout as they are.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.begun = true;
        self.out.raw.write_all(bytes)?;
        Ok(self.out.raw.flush()?)
    }

    /// Writes bytes to stderr as they are.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn err_bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.err.raw.write_all(bytes)?;
        Ok(self.err.raw.flush()?)
    }
}

impl Sink {
    fn text(&mut self, text: &str) -> Result<(), OutputError> {
        if self.colour {
            self.raw.write_all(text.as_bytes())?;
        } else {
            write!(self.raw, "{}", anstream::adapter::strip_str(text))?;
        }
        Ok(self.raw.flush()?)
    }
}

/// What was written, where it is no failure that nobody reads it any more.
fn unheard(written: Result<(), OutputError>) -> Result<(), OutputError> {
    match written {
        Err(OutputError(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(unix)]
fn width(stream: &impl std::os::fd::AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then(|| usize::from(size.ws_col))
}

#[cfg(not(unix))]
fn width<T>(_stream: &T) -> Option<usize> {
    None
}
