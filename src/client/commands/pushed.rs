//! What git names to its pre-push hook on stdin: a line for each ref, `<local ref> <local oid> <remote ref> <remote oid>`.
//!
//! Only the local object counts. Of a ref that is deleted it is all zeros: nothing of it can be judged. The local ref is what
//! was typed, which may have blanks in it (`main@{2 days ago}`), and no ref need be text.

use crate::client::failure::Failure;
use crate::limits::PUSHED_BYTES_MAX;
use crate::model::judged::Oid;
use std::collections::BTreeSet;
use std::io::{self, Read as _};
use std::path::PathBuf;

/// Characters of a line that are quoted where it is none of git's.
const QUOTED_CHARS_MAX: usize = 200;

/// What is pushed to one or more refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pushed {
    /// The object: a commit, a tag, or anything else that git has.
    pub(super) oid: Oid,
    /// The first name that it is pushed by, for people.
    pub(super) name: String,
}

/// Reads what git says on stdin.
///
/// # Errors
/// When it cannot be read, or is something else.
pub(super) fn read() -> Result<Vec<Pushed>, Failure> {
    let mut said = Vec::new();
    let read = io::stdin()
        .take(PUSHED_BYTES_MAX + 1)
        .read_to_end(&mut said);
    read.map_err(|source| Failure::File {
        act: "read",
        path: PathBuf::from("/dev/stdin"),
        source,
    })?;
    parse(&said)
}

/// The objects on git's lines, each once, without those of refs that are deleted.
fn parse(said: &[u8]) -> Result<Vec<Pushed>, Failure> {
    let is_whole = said.len() as u64 <= PUSHED_BYTES_MAX;
    let mut lines: Vec<&[u8]> = said.split(|byte| *byte == b'\n').collect();
    // Behind the last line there is nothing.
    lines.pop_if(|line| line.is_empty());
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for line in lines {
        let pushed = Some(line).filter(|_| is_whole).and_then(pushed);
        let pushed = pushed.ok_or_else(|| {
            let line = String::from_utf8_lossy(line);
            let line = line.chars().take(QUOTED_CHARS_MAX).collect();
            Failure::Push { line }
        })?;
        if !pushed.oid.is_zero() && seen.insert(pushed.oid.clone()) {
            all.push(pushed);
        }
    }
    Ok(all)
}

/// One line. All but its first word are without blanks, so it is read from its end.
fn pushed(line: &[u8]) -> Option<Pushed> {
    let mut words = line.rsplitn(4, |byte| *byte == b' ');
    let oid = |word: Option<&[u8]>| Oid::parse(std::str::from_utf8(word?).ok()?).ok();
    let remote = oid(words.next())?;
    let remote_ref = words.next()?;
    let local = oid(words.next())?;
    let name = words.next()?;
    let is_line = !name.is_empty()
        && remote_ref.starts_with(b"refs/")
        && local.as_str().len() == remote.as_str().len();
    is_line.then(|| Pushed {
        oid: local,
        name: String::from_utf8_lossy(name).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oids(text: &str) -> Vec<String> {
        let pushed = parse(text.as_bytes()).unwrap();
        let oids = pushed.iter().map(|pushed| pushed.oid.as_str().to_owned());
        oids.collect()
    }

    #[test]
    fn each_object_that_is_pushed_is_named_once_and_deletions_are_none() {
        let (a, b, zero) = ("a".repeat(40), "b".repeat(40), "0".repeat(40));
        let text = format!(
            "refs/heads/x {a} refs/heads/x {zero}\nrefs/heads/y {b} refs/heads/y {a}\n(delete) {zero} refs/heads/z {b}\nrefs/tags/v {a} refs/tags/v {zero}\n"
        );
        assert_eq!(oids(&text), [a.clone(), b.clone()]);
        assert_eq!(oids(""), [""; 0]);
        // The last line need not end, and what was typed for the local ref is no word.
        let text =
            format!("main@{{2 days ago}} {a} refs/heads/x {zero}\nHEAD~1 {b} refs/heads/y {zero}");
        assert_eq!(oids(&text), [a.clone(), b]);
        let odd = [
            &b"refs/heads/\xff "[..],
            a.as_bytes(),
            b" refs/heads/\xff ",
            zero.as_bytes(),
        ];
        assert_eq!(parse(&odd.concat()).unwrap().len(), 1);
    }

    #[test]
    fn what_git_does_not_say_is_refused_as_a_whole() {
        let (a, long, zero) = ("a".repeat(40), "a".repeat(64), "0".repeat(40));
        let good = format!("refs/heads/x {a} refs/heads/x {zero}");
        for other in [
            "x".to_owned(),
            "a b c d".to_owned(),
            "\n".to_owned(),
            "refs/heads/x HEAD refs/heads/x HEAD".to_owned(),
            format!("{a} refs/heads/x {zero}"),
            format!("refs/heads/x {a} refs/heads/x {long}"),
            format!("refs/heads/x {a} x {zero}"),
            format!("{good}\r\n"),
            format!("{good}\n\n{good}\n"),
            format!("{good}\nwhat is this\n"),
            format!("{good}\n").repeat(usize::try_from(PUSHED_BYTES_MAX).unwrap() / good.len() + 1),
        ] {
            let failure = parse(other.as_bytes()).unwrap_err();
            assert!(failure.to_string().contains("pre-push"), "{failure}");
        }
    }
}
