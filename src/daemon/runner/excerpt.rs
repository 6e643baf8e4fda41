//! What is kept in memory of an output of any length: its beginning and its end.
//!
//! Bounded however long the output is, and cut between characters.

use crate::limits::STAGE_EXCERPT_BYTES_MAX;

/// The beginning and the end of an output, and how long it was.
#[derive(Debug, Default)]
pub(super) struct Excerpt {
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
}

impl Excerpt {
    /// Takes note of what came out next.
    pub(super) fn note(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        let room = STAGE_EXCERPT_BYTES_MAX.saturating_sub(self.head.len());
        let (first, rest) = chunk.split_at(room.min(chunk.len()));
        self.head.extend_from_slice(first);
        let last = rest
            .get(rest.len().saturating_sub(STAGE_EXCERPT_BYTES_MAX)..)
            .unwrap_or_default();
        self.tail.extend_from_slice(last);
        // Dropping what is too old only now and then keeps short lines cheap.
        if self.tail.len() > 2 * STAGE_EXCERPT_BYTES_MAX {
            let old = self.tail.len() - STAGE_EXCERPT_BYTES_MAX;
            self.tail.drain(..old);
        }
    }

    /// How long the output was.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Its beginning as text.
    pub(super) fn beginning(&self) -> String {
        lossy(&self.head)
    }

    /// Its end as text.
    pub(super) fn end(&self) -> String {
        let all = [self.head.as_slice(), self.tail.as_slice()].concat();
        lossy_end(last_bytes(&all))
    }

    /// Its beginning and its end as text, each on lines of its own where something is missing between them.
    pub(super) fn text(&self) -> String {
        let tail = last_bytes(&self.tail);
        if (self.head.len() + tail.len()) as u64 == self.bytes {
            let all = [self.head.as_slice(), tail].concat();
            return String::from_utf8_lossy(&all).into_owned();
        }
        format!("{}\n{}", lossy(&self.head), lossy_end(tail))
    }
}

fn last_bytes(bytes: &[u8]) -> &[u8] {
    let start = bytes.len().saturating_sub(STAGE_EXCERPT_BYTES_MAX);
    bytes.get(start..).unwrap_or_default()
}

/// Bytes as text; replacement characters may make it longer, and then it is cut at its end.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    text.truncate(text.floor_char_boundary(STAGE_EXCERPT_BYTES_MAX));
    text
}

/// As [`lossy`], cut at its beginning.
fn lossy_end(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let start = text.ceil_char_boundary(text.len().saturating_sub(STAGE_EXCERPT_BYTES_MAX));
    text.get(start..).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_ends_are_those_of_the_whole(sizes in proptest::collection::vec(0_usize..40_000, 0..8)) {
            let mut excerpt = Excerpt::default();
            let mut whole = Vec::new();
            for (at, size) in sizes.iter().enumerate() {
                let chunk: Vec<u8> = (0..*size).map(|i| b'a' + u8::try_from((i * 7 + at) % 26).unwrap()).collect();
                excerpt.note(&chunk);
                whole.extend_from_slice(&chunk);
            }
            let head = &whole[..whole.len().min(STAGE_EXCERPT_BYTES_MAX)];
            prop_assert_eq!(excerpt.beginning().into_bytes(), head);
            prop_assert_eq!(excerpt.end().into_bytes(), last_bytes(&whole));
            prop_assert_eq!(excerpt.bytes(), whole.len() as u64);
            prop_assert!(excerpt.tail.capacity() <= 8 * STAGE_EXCERPT_BYTES_MAX);
        }
    }
}
