//! Wildcards: the part of a pattern that is not literal, against bytes.
//!
//! The work is bounded by the product of pattern and path, whatever stands in them: only the last `*` and the last `**`
//! are ever tried again, because whatever an earlier one could take, they can.

/// A pattern with wildcards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Glob {
    /// None where nothing can match.
    tokens: Option<Box<[Token]>>,
    flaw: Option<Flaw>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// `?`: any byte but `/`.
    One,
    /// A byte of this set, in which `/` never is.
    Class(Box<Set>),
    /// `*`: any bytes but `/`.
    Run,
    /// `**`: any bytes.
    Deep,
    /// `**/`: nothing, or any bytes up to a `/`.
    Down,
}

/// Why a pattern cannot mean what its writer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A `[` that nothing closes.
    #[error("a `[` lacks its `]`; write `\\[` for the character")]
    Open,
    /// `[[:nothing:]]`
    #[error("there is no class of characters of that name")]
    Class,
    /// `[b-a]`
    #[error("invalid range; '{}' > '{}'", .0.escape_ascii(), .1.escape_ascii())]
    Range(u8, u8),
    /// Nothing at all is in a `[]`.
    #[error("nothing is in a `[]`")]
    Nothing,
    /// A `\` that escapes nothing.
    #[error("a `\\` at the end escapes nothing; write `\\\\` for the character")]
    Escape,
}

/// Bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set([u64; 4]);

impl Set {
    fn put(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    fn has(&self, byte: u8) -> bool {
        let word = self.0.get(usize::from(byte >> 6));
        word.is_some_and(|word| word & (1 << (byte & 63)) != 0)
    }
}

impl Glob {
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut flaw = None;
        match tokens(text, &mut flaw) {
            Ok(tokens) => Self {
                tokens: Some(tokens),
                flaw,
            },
            Err(flaw) => Self {
                tokens: None,
                flaw: Some(flaw),
            },
        }
    }

    pub(super) fn flaw(&self) -> Option<&Flaw> {
        self.flaw.as_ref()
    }

    /// Whether nothing is left to be like anything.
    pub(super) fn is_empty(&self) -> bool {
        self.tokens.as_ref().is_some_and(|tokens| tokens.is_empty())
    }

    /// Whether it may match a text that goes on with a `/` after this one, and more; at times without cause.
    pub(super) fn may_match_below(&self, text: &[u8]) -> bool {
        let Some(tokens) = &self.tokens else {
            return false;
        };
        let is_deep = |token: &Token| matches!(token, Token::Deep | Token::Down);
        let slashes = tokens.iter().filter(|token| **token == Token::Byte(b'/'));
        let passed = text.iter().filter(|byte| **byte == b'/');
        tokens.iter().any(is_deep) || slashes.count() > passed.count()
    }

    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let Some(tokens) = &self.tokens else {
            return false;
        };
        let (mut at, mut seen) = (0, 0);
        // Where to go on if what follows does not match: the token after it, and how far it took the text.
        let mut run: Option<(usize, usize)> = None;
        let mut deep: Option<(usize, usize, bool)> = None;
        loop {
            let fits = match (tokens.get(at), text.get(seen)) {
                (None, None) => return true,
                (Some(Token::Run), _) => {
                    run = Some((at + 1, seen));
                    at += 1;
                    continue;
                }
                (Some(token @ (Token::Deep | Token::Down)), _) => {
                    deep = Some((at + 1, seen, *token == Token::Down));
                    run = None;
                    at += 1;
                    continue;
                }
                (Some(Token::Byte(wanted)), Some(byte)) => wanted == byte,
                (Some(Token::One), Some(byte)) => *byte != b'/',
                (Some(Token::Class(set)), Some(byte)) => set.has(*byte),
                (Some(_), None) | (None, Some(_)) => false,
            };
            if fits {
                (at, seen) = (at + 1, seen + 1);
                continue;
            }
            if let Some((after, taken)) = run
                && text.get(taken).is_some_and(|byte| *byte != b'/')
            {
                run = Some((after, taken + 1));
                (at, seen) = (after, taken + 1);
                continue;
            }
            let further = deep.and_then(|(after, taken, to_slash)| {
                let rest = text.get(taken..)?;
                let step = match to_slash {
                    true => rest.iter().position(|byte| *byte == b'/')?,
                    false if rest.is_empty() => return None,
                    false => 0,
                };
                Some((after, taken + step + 1, to_slash))
            });
            let Some((after, taken, _)) = further else {
                return false;
            };
            (run, deep) = (None, further);
            (at, seen) = (after, taken);
        }
    }
}

fn tokens(text: &[u8], flaw: &mut Option<Flaw>) -> Result<Box<[Token]>, Flaw> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut before = b'/';
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let token = match byte {
            b'?' => Token::One,
            b'[' => {
                let (set, after) = class(rest, flaw)?;
                rest = after;
                Token::Class(Box::new(set))
            }
            b'*' => {
                let stars = rest.iter().take_while(|byte| **byte == b'*').count();
                rest = rest.get(stars..).unwrap_or_default();
                stars_of(stars + 1, before, &mut rest)
            }
            b'\\' => {
                let (byte, after) = rest.split_first().ok_or(Flaw::Escape)?;
                rest = after;
                Token::Byte(*byte)
            }
            byte => Token::Byte(*byte),
        };
        // What git looks at is how the pattern is written.
        before = match token {
            Token::Down | Token::Byte(b'/') => b'/',
            Token::Byte(_) | Token::One | Token::Class(_) | Token::Run | Token::Deep => b' ',
        };
        tokens.push(token);
    }
    Ok(tokens.into())
}

/// What so many `*` mean before the rest.
fn stars_of(stars: usize, before: u8, rest: &mut &[u8]) -> Token {
    let ends = rest.is_empty() || rest.starts_with(b"/") || rest.starts_with(b"\\/");
    if stars < 2 || before != b'/' || !ends {
        return Token::Run;
    }
    match rest.strip_prefix(b"/") {
        Some(after) => {
            *rest = after;
            Token::Down
        }
        None => Token::Deep,
    }
}

/// The set after a `[`, and what follows its `]`. A range that holds nothing is only a flaw: git takes its ends for what
/// they are.
fn class<'a>(text: &'a [u8], flaw: &mut Option<Flaw>) -> Result<(Set, &'a [u8]), Flaw> {
    let (negated, mut rest) = match text {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut set = Set::default();
    let mut low = None;
    loop {
        // The first may be a `]`.
        match rest {
            [] => return Err(Flaw::Open),
            [b'-', high @ ..] if low.is_some() && !matches!(high, [] | [b']', ..]) => {
                let (high, after) = one(high)?;
                let low = low.take().unwrap_or_default();
                (low..=high).for_each(|byte| set.put(byte));
                if low > high {
                    flaw.get_or_insert(Flaw::Range(low, high));
                }
                rest = after;
            }
            [b'[', b':', named @ ..] => {
                let end = named.iter().position(|byte| *byte == b']');
                let end = end.ok_or(Flaw::Open)?;
                let (name, after) = named.split_at(end);
                if let Some(name) = name.strip_suffix(b":") {
                    let is_in = class_named(name).ok_or(Flaw::Class)?;
                    let all = (0..=u8::MAX).filter(is_in);
                    all.for_each(|byte| set.put(byte));
                    low = None;
                    rest = after.get(1..).unwrap_or_default();
                } else {
                    set.put(b'[');
                    low = Some(b'[');
                    rest = rest.get(1..).unwrap_or_default();
                }
            }
            some => {
                let (byte, after) = one(some)?;
                set.put(byte);
                low = Some(byte);
                rest = after;
            }
        }
        if let Some(after) = rest.strip_prefix(b"]") {
            rest = after;
            break;
        }
    }
    if negated {
        set.0 = set.0.map(|word| !word);
    }
    let slash = usize::from(b'/' >> 6);
    if let Some(word) = set.0.get_mut(slash) {
        *word &= !(1 << (b'/' & 63));
    }
    if set == Set::default() {
        return Err(Flaw::Nothing);
    }
    Ok((set, rest))
}

/// A byte of a set, which may be escaped, and what follows.
fn one(text: &[u8]) -> Result<(u8, &[u8]), Flaw> {
    match text {
        [b'\\', byte, rest @ ..] => Ok((*byte, rest)),
        [b'\\'] | [] => Err(Flaw::Open),
        [byte, rest @ ..] => Ok((*byte, rest)),
    }
}

fn class_named(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_like(pattern: &str, text: &str) -> bool {
        Glob::parse(pattern.as_bytes()).matches(text.as_bytes())
    }

    #[test]
    fn wildcards_mean_what_they_mean_to_git() {
        for (pattern, yes, no) in [
            ("a?c", "abc", "a/c"),
            ("*.c", "x.c", "x/y.c"),
            ("**/x", "a/b/x", "a/bx"),
            ("**/x", "x", "x/y"),
            ("a/**", "a/b/c", "a"),
            ("a/**/b", "a/b", "ab"),
            ("a**b", "axxb", "a/b"),
            ("[a-c]", "b", "d"),
            ("[!a-c]", "d", "/"),
            ("[]-]", "]", "a"),
            ("[a\\-c]", "-", "b"),
            ("[[:digit:]x]", "7", "a"),
            ("[[:]", ":", "a"),
            ("\\*", "*", "a"),
            ("[z-a]", "z", "a"),
            ("*a*a*b", "aaaaab", "aaaaa"),
        ] {
            assert!(is_like(pattern, yes), "`{pattern}` does not match {yes}");
            assert!(!is_like(pattern, no), "`{pattern}` matches {no}");
        }
        assert!(Glob::parse(b"?").matches(b"\xff"));
        assert!(!is_like("?", "é"), "it is two bytes to git");
    }

    #[test]
    fn a_flaw_is_named() {
        for (pattern, flaw) in [
            ("a[b", Some(Flaw::Open)),
            ("[]", Some(Flaw::Open)),
            ("[a\\]", Some(Flaw::Open)),
            ("[z-a]", Some(Flaw::Range(b'z', b'a'))),
            ("[/]", Some(Flaw::Nothing)),
            ("[[:odd:]]", Some(Flaw::Class)),
            ("a\\", Some(Flaw::Escape)),
            ("[a-a]", None),
            ("[a-]", None),
        ] {
            let glob = Glob::parse(pattern.as_bytes());
            assert_eq!(glob.flaw(), flaw.as_ref(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_cost_little() {
        let pattern = format!("**\\/{}b", "*a".repeat(200));
        assert!(!is_like(&pattern, &"a".repeat(4000)));
    }
}
