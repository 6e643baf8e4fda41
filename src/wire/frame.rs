//! Bytes to messages: one message a line, `\n` ends it, within a limit of bytes and of nesting.
//!
//! The limits hold before anything is parsed, so that a hostile line costs no more than its own bytes. A line that was
//! begun and not ended stays where it is until its end arrives or its owner gives up.

/// Why bytes are no message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// The line did not end in time.
    #[error("the message is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bytes allowed.
        bytes_max: usize,
    },
    /// Brackets within brackets.
    #[error("the message is nested deeper than {depth_max}")]
    TooDeep {
        /// The nesting allowed.
        depth_max: usize,
    },
    /// The bytes are no text.
    #[error("the message is not UTF-8: byte {at} is wrong")]
    NotText {
        /// The first wrong byte.
        at: usize,
    },
}

/// Gathers bytes and cuts them into lines.
#[derive(Debug)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// Bytes from the front that were given away already.
    taken: usize,
    /// Bytes that are known to hold no line end.
    scanned: usize,
    bytes_max: usize,
}

impl LineBuffer {
    /// Takes lines of at most `bytes_max` bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            taken: 0,
            scanned: 0,
            bytes_max,
        }
    }

    /// Adds what has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.scanned = self.scanned.saturating_sub(self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether a line was begun that has not ended.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.bytes.len() > self.taken
    }

    /// Whether what is here ends in the middle of a line.
    #[must_use]
    pub fn is_torn(&self) -> bool {
        let rest = self.bytes.get(self.taken..).unwrap_or_default();
        let last = rest.rsplit(|byte| *byte == b'\n').next();
        last.is_some_and(|last| !last.iter().all(u8::is_ascii_whitespace))
    }

    /// The next whole line, without its end; blank lines are passed over.
    ///
    /// # Errors
    /// When the line is too long: nothing sensible can follow. Or when it is no text: the next line may be good.
    pub fn next_line(&mut self) -> Result<Option<&str>, FrameError> {
        loop {
            let from = self.scanned.max(self.taken);
            let ahead = self.bytes.get(from..).unwrap_or_default();
            let Some(end) = ahead.iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.bytes.len();
                return self.within(self.bytes.len() - self.taken).map(|()| None);
            };
            let start = self.taken;
            let end = from + end;
            self.taken = end + 1;
            self.scanned = self.taken;
            self.within(end - start)?;
            let line = self.bytes.get(start..end).unwrap_or_default();
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            // Borrowed anew because the borrow checker does not see that a blank line returned nothing.
            return std::str::from_utf8(self.bytes.get(start..end).unwrap_or_default())
                .map(Some)
                .map_err(|source| FrameError::NotText {
                    at: source.valid_up_to(),
                });
        }
    }

    fn within(&self, bytes: usize) -> Result<(), FrameError> {
        if bytes <= self.bytes_max {
            Ok(())
        } else {
            Err(FrameError::TooLarge {
                bytes_max: self.bytes_max,
            })
        }
    }
}

/// Refuses a text whose brackets nest deeper than `depth_max`; whether they match is the parser's business.
///
/// # Errors
/// When they do.
pub fn check_depth(text: &str, depth_max: usize) -> Result<(), FrameError> {
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > depth_max {
                    return Err(FrameError::TooDeep { depth_max });
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn lines(buffer: &mut LineBuffer) -> Vec<Result<String, FrameError>> {
        let mut found = Vec::new();
        loop {
            match buffer.next_line() {
                Ok(Some(line)) => found.push(Ok(line.to_owned())),
                Ok(None) => return found,
                Err(error) => {
                    let last = matches!(error, FrameError::TooLarge { .. });
                    found.push(Err(error));
                    if last {
                        return found;
                    }
                }
            }
        }
    }

    #[test]
    fn a_line_at_the_limit_passes_and_one_beyond_does_not() {
        let mut buffer = LineBuffer::new(4);
        buffer.push(b"abcd\n\n \r\nef");
        assert_eq!(lines(&mut buffer), [Ok("abcd".to_owned())]);
        assert!(buffer.has_begun());
        buffer.push(b"gh");
        assert_eq!(lines(&mut buffer), []);
        buffer.push(b"i");
        assert_eq!(
            lines(&mut buffer),
            [Err(FrameError::TooLarge { bytes_max: 4 })]
        );
    }

    #[test]
    fn a_line_that_is_no_text_leaves_the_next_one_alone() {
        let mut buffer = LineBuffer::new(64);
        buffer.push(b"a\xffb\nc\n");
        let expected = [Err(FrameError::NotText { at: 1 }), Ok("c".to_owned())];
        assert_eq!(lines(&mut buffer), expected);
        assert!(!buffer.has_begun());
    }

    #[test]
    fn depth_counts_brackets_outside_of_strings_only() {
        let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
        assert_eq!(check_depth(&deep, 64), Ok(()));
        assert_eq!(
            check_depth(&format!("[{deep}]"), 64),
            Err(FrameError::TooDeep { depth_max: 64 })
        );
        assert_eq!(check_depth(r#"{"a":"[[[[\"[[[["}"#, 1), Ok(()));
        assert_eq!(check_depth("[][][]{}", 1), Ok(()));
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_split_makes_no_difference(
            bytes in vec(prop_oneof![Just(b'\n'), Just(b'{'), Just(0xff), any::<u8>()], 0..200),
            cuts in vec(0_usize..200, 0..20),
        ) {
            let mut whole = LineBuffer::new(32);
            whole.push(&bytes);
            let expected = lines(&mut whole);
            let mut cut = LineBuffer::new(32);
            let mut found = Vec::new();
            let mut points: Vec<_> = cuts.into_iter().map(|at| at.min(bytes.len())).collect();
            points.extend([0, bytes.len()]);
            points.sort_unstable();
            for pair in points.windows(2) {
                cut.push(&bytes[pair[0]..pair[1]]);
                found.extend(lines(&mut cut));
                if matches!(found.last(), Some(Err(FrameError::TooLarge { .. }))) {
                    break;
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
