//! Cuts a typed line into words: bare ones and `key:value` pairs, with quotes.

/// Quotes that open a value, each with the characters that close it. Phones turn straight quotes into curly
/// ones, and some languages use the same one on both sides.
const QUOTES: [(char, &[char]); 7] = [
    ('"', &['"']),
    ('\'', &['\'']),
    ('\u{201c}', &['\u{201d}', '\u{201c}']),
    ('\u{201d}', &['\u{201d}']),
    ('\u{201e}', &['\u{201c}', '\u{201d}']),
    ('\u{2018}', &['\u{2019}', '\u{2018}']),
    ('\u{2019}', &['\u{2019}']),
];

/// One word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    /// As it was typed.
    pub(crate) raw: &'a str,
    /// What stands before the first `:` or `=`, if it has the form of an option's name.
    pub(crate) key: Option<&'a str>,
    /// What stands after the key, or the whole word; without quotes and escapes.
    pub(crate) value: String,
    pub(crate) quote: Quote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quote {
    None,
    Closed,
    /// The quote was opened with this character and goes on to the end of the line.
    Open(char),
}

/// The words of a line. Any text has some reading: errors are for the reader of the words to raise.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self { rest: line }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let text = self.rest.trim_start();
        if text.is_empty() {
            self.rest = text;
            return None;
        }
        let (key, after) = split_key(text);
        let (value, quote, used) = quoted(after).unwrap_or_else(|| {
            let end = after.find(char::is_whitespace).unwrap_or(after.len());
            (after[..end].to_owned(), Quote::None, end)
        });
        let end = text.len() - after.len() + used;
        self.rest = &text[end..];
        Some(Word {
            raw: &text[..end],
            key,
            value,
            quote,
        })
    }
}

/// Splits `key:` or `key=` from the front. A key begins with a letter, so that a time of day is none.
fn split_key(text: &str) -> (Option<&str>, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .unwrap_or(text.len());
    let (key, after) = text.split_at(end);
    match after.strip_prefix([':', '=']) {
        Some(value) if key.starts_with(|c: char| c.is_ascii_alphabetic()) => (Some(key), value),
        _ => (None, text),
    }
}

/// Reads a quoted value: its text, how it ended, and the number of bytes it took.
///
/// A quote closes only before white space or the end, so that an apostrophe does not. `\` takes the special
/// meaning from a quote or another `\`, and is itself before anything else.
fn quoted(text: &str) -> Option<(String, Quote, usize)> {
    let open = text.chars().next()?;
    let (_, closers) = QUOTES.iter().find(|(quote, _)| *quote == open)?;
    let is_quote = |c: char| QUOTES.iter().any(|(quote, _)| *quote == c);
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        let following = chars.peek().map(|&(_, next)| next);
        match following {
            Some(next) if c == '\\' && (next == '\\' || is_quote(next)) => {
                value.push(next);
                chars.next();
            }
            next if closers.contains(&c) && next.is_none_or(char::is_whitespace) => {
                return Some((value, Quote::Closed, at + c.len_utf8()));
            }
            _ => value.push(c),
        }
    }
    Some((value, Quote::Open(open), text.len()))
}

/// The line without what may stand before a command: an `@refloat` and a `/`.
pub(crate) fn command_line(text: &str) -> &str {
    // A byte order mark and a zero-width space come with pasted text, and are not white space.
    let blank = |c: char| c.is_whitespace() || c == '\u{feff}' || c == '\u{200b}';
    let text = text.trim_start_matches(blank);
    let addressed = text
        .get(..ADDRESS.len())
        .filter(|start| start.eq_ignore_ascii_case(ADDRESS))
        .and_then(|_| text.get(ADDRESS.len()..))
        .filter(|rest| rest.is_empty() || rest.starts_with(|c| blank(c) || c == ',' || c == ':'));
    let text = addressed.map_or(text, |rest| {
        rest.trim_start_matches(|c| blank(c) || c == ',' || c == ':')
    });
    text.strip_prefix('/')
        .unwrap_or(text)
        .trim_start_matches(blank)
}

const ADDRESS: &str = "@refloat";

/// Writes a value so that it is read back as it is: in quotes if it has to be.
pub(crate) fn quote(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-:,/+".contains(c);
    if !value.is_empty()
        && value.chars().all(plain)
        && !value.ends_with(',')
        && !value.starts_with(',')
    {
        return value.to_owned();
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        if c == '"' || c == '\\' {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(line: &str) -> Vec<(Option<&str>, String)> {
        Words::new(line)
            .map(|word| (word.key, word.value))
            .collect()
    }

    #[test]
    fn reads_bare_words_and_pairs() {
        assert_eq!(
            pairs(r#" restore a:b c=d e:"two words" f:'it\'s' g:“curly” "bare one" 03:30 h: "#),
            [
                (None, "restore".to_owned()),
                (Some("a"), "b".to_owned()),
                (Some("c"), "d".to_owned()),
                (Some("e"), "two words".to_owned()),
                (Some("f"), "it's".to_owned()),
                (Some("g"), "curly".to_owned()),
                (None, "bare one".to_owned()),
                (None, "03:30".to_owned()),
                (Some("h"), String::new()),
            ]
        );
    }

    #[test]
    fn quotes_close_before_white_space_only() {
        assert_eq!(
            pairs("r:'don't do it' x"),
            [
                (Some("r"), "don't do it".to_owned()),
                (None, "x".to_owned())
            ]
        );
        assert_eq!(
            pairs("r:\u{2018}don\u{2019}t\u{2019}"),
            [(Some("r"), "don\u{2019}t".to_owned())]
        );
        assert_eq!(pairs("r:don't"), [(Some("r"), "don't".to_owned())]);
        assert_eq!(
            pairs(r#"r:"a\\b \"c\" \n""#),
            [(Some("r"), r#"a\b "c" \n"#.to_owned())]
        );
        assert_eq!(
            Words::new(r#"r:"abc"#).next().unwrap().quote,
            Quote::Open('"')
        );
    }

    #[test]
    fn takes_the_address_off() {
        for line in [
            "x",
            "/x",
            "@refloat x",
            "@Refloat: /x",
            "  @refloat, x",
            "\u{feff}/ x",
        ] {
            assert_eq!(command_line(line), "x", "{line}");
        }
        assert_eq!(command_line("@refloat"), "");
        assert_eq!(command_line("@refloats x"), "@refloats x");
        assert_eq!(command_line("@refloaä"), "@refloaä");
    }

    proptest! {
        #[test]
        fn a_quoted_value_is_read_back(value in "\\PC{0,30}") {
            let line = format!("key:{}", quote(&value));
            let words: Vec<_> = Words::new(&line).collect();
            prop_assert_eq!(words.len(), 1);
            prop_assert_eq!(&words[0].value, &value);
        }

        #[test]
        fn the_words_hold_all_that_is_not_blank(line in any::<String>()) {
            let raw: String = Words::new(&line).map(|word| word.raw).collect();
            let strip = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(strip(&raw), strip(&line));
        }
    }
}
