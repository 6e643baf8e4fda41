//! Links, references and code of Markdown pages.
//!
//! The grammar itself is the library's and not tested again: only what is taken from it, and with which lines.
//! Any bytes have to be read.

use super::Prose;
use proptest::prelude::*;

fn links(text: &str) -> Vec<(usize, String)> {
    let prose = Prose::read(text.as_bytes());
    let links = prose.links.into_iter();
    links.map(|link| (link.line, link.target)).collect()
}

fn one(line: usize, target: &str) -> (usize, String) {
    (line, target.to_owned())
}

#[test]
fn links_of_every_form_are_found_with_their_lines() {
    let text = "\
# T\r\n\
See [a](a.md), ![b](<b c.png> \"t\") and\r\n\
[c][ref], [ref][] and [ref].\r\n\
\r\n\
[ref]: ../c%20d.md#x\r\n";
    assert_eq!(
        links(text),
        [
            one(2, "a.md"),
            one(2, "b c.png"),
            one(3, "../c%20d.md#x"),
            one(3, "../c%20d.md#x"),
            one(3, "../c%20d.md#x"),
        ]
    );
}

#[test]
fn code_comments_and_front_matter_link_nowhere() {
    let text = "\
---\ntitle: \"[a](a.md)\"\n---\n\
`[a](a.md)`\n\n```text\n[a](a.md)\n[x][y]\n```\n\n    [a](a.md)\n\n<!-- [a](a.md) -->\n\\[a](a.md)\n";
    assert_eq!(links(text), []);
    let prose = Prose::read(text.as_bytes());
    assert_eq!(prose.undefined, []);
    let code: Vec<usize> = (1..20).filter(|line| prose.is_code(*line)).collect();
    assert_eq!(code, [6, 7, 8, 9, 11]);
}

#[test]
fn references_that_nothing_defines_are_found() {
    let text = "[a][nowhere]\n[b][]\n- [ ] open [c]\nlist[0][1] and [x](y)[z]\n";
    let prose = Prose::read(text.as_bytes());
    assert_eq!(prose.undefined, [one(1, "nowhere"), one(2, "b")]);
}

proptest! {
    #[test]
    fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        let prose = Prose::read(&bytes);
        for link in prose.links {
            prop_assert!(link.line <= lines);
        }
    }
}
