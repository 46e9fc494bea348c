//! Text that others wrote, made harmless before anybody reads it.
//!
//! A reason, a name, a message of the cluster may hold anything: mentions that
//! would call a whole channel, links that show another address than they lead
//! to, characters that turn the direction of the text. What comes out of here
//! shows what was written and does nothing.

/// Stands where a mention would otherwise begin: it shows nothing, and keeps
/// the characters on its sides apart.
const APART: char = '\u{2060}';

/// What a text that was cut ends with.
const CUT: &str = "... (cut)";

/// Text of people or of the cluster on one line, of at most about `most`
/// characters, which mentions nobody and marks nothing up.
pub(crate) fn harmless(text: &str, most: usize) -> String {
    let line = one_line(text);
    let mut safe = String::with_capacity(line.len());
    let mut count = 0;
    let mut before = ' ';
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        if count >= most {
            safe.push_str(CUT);
            break;
        }
        let after = rest.peek().copied().unwrap_or(' ');
        match c {
            '`' => safe.push('\''),
            '*' | '~' | '|' | '[' | ']' | '\\' => safe.extend(['\\', c]),
            // Within a word one `_` means nothing, and names are full of them.
            '_' if !(before.is_alphanumeric() && after.is_alphanumeric()) => {
                safe.extend(['\\', c]);
            }
            '#' | '>' | '-' | '+' if count == 0 => safe.extend(['\\', c]),
            '@' | '<' if !after.is_whitespace() => safe.extend([c, APART]),
            // `](` is broken already by the `\` before the bracket.
            _ => safe.push(c),
        }
        before = c;
        count += 1;
    }
    safe
}

/// A name in a code span, where nothing is markup; at most 100 characters.
pub(crate) fn code(name: &str) -> String {
    format!("`{}`", plain(name, 100))
}

/// Text on one line without anything that marks it up, for titles and code spans.
pub(super) fn plain(text: &str, most: usize) -> String {
    let line = one_line(text)
        .replace('`', "'")
        .replace('@', "@\u{2060}")
        .replace('<', "<\u{2060}")
        .replace("](", "]\u{2060}(");
    if line.is_empty() {
        return "(empty)".to_owned();
    }
    cut(&line, most)
}

/// A link by its address, if it is one that can be shown as it is.
pub(super) fn link(url: &str) -> String {
    let harmless = (url.starts_with("https://") || url.starts_with("http://"))
        && url.len() <= 500
        && url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"<>()[]`*\\|\"".contains(&byte));
    if harmless { url.to_owned() } else { code(url) }
}

/// The text, cut at a character to at most `most` characters, with a note if it was.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if length(text) <= most {
        return text.to_owned();
    }
    // Room for the note, and for closing a code span that is open where it is cut.
    let kept = most.saturating_sub(CUT.len() + 1);
    let mut cut: String = text.chars().take(kept).collect();
    // A `\` must not be cut off from what it stands before.
    if cut.ends_with('\\') && !cut.ends_with("\\\\") {
        cut.pop();
    }
    if cut.matches('`').count() % 2 == 1 {
        cut.push('`');
    }
    cut.push_str(CUT);
    cut.chars().take(most).collect()
}

/// In characters.
pub(super) fn length(text: &str) -> usize {
    text.chars().count()
}

/// Without invisible characters, with single spaces for white space of any kind.
fn one_line(text: &str) -> String {
    let visible: String = text.chars().filter(|&c| !is_invisible(c)).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a character shows nothing by itself or changes how others are shown.
/// White space is not meant.
fn is_invisible(c: char) -> bool {
    !c.is_whitespace()
        && (c.is_control()
            || matches!(c,
                // Soft hyphen, joiners, fillers, variation selectors.
                '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
                | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{fff0}'..='\u{fffb}'
                // What turns the direction of the text.
                | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                // Musical and tag characters.
                | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_does_nothing() {
        for (written, shown) in [
            ("bad migration", "bad migration"),
            ("@everyone look", "@\u{2060}everyone look"),
            (
                "<@1234> <@&5> <#6> a < b",
                "<\u{2060}@\u{2060}1234> <\u{2060}@\u{2060}&5> <\u{2060}#6> a < b",
            ),
            (
                "[bank](https://evil.example)",
                "\\[bank\\](https://evil.example)",
            ),
            ("`code` and ```block```", "'code' and '''block'''"),
            (
                "**loud** __under__ ~~gone~~ ||hidden||",
                "\\*\\*loud\\*\\* \\_\\_under\\_\\_ \\~\\~gone\\~\\~ \\|\\|hidden\\|\\|",
            ),
            ("jane_doe", "jane_doe"),
            ("# heading", "\\# heading"),
            ("> quote", "\\> quote"),
            ("- item", "\\- item"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("two\nlines\r\nand\ttabs", "two lines and tabs"),
            ("a\u{200b}\u{feff}b\u{1b}[31mc", "ab\\[31mc"),
            ("c:\\dir", "c:\\\\dir"),
        ] {
            assert_eq!(harmless(written, 100), shown, "{written:?}");
        }
        assert_eq!(code("a`b\n@everyone"), "`a'b @\u{2060}everyone`");
        assert_eq!(code(""), "`(empty)`");
    }

    #[test]
    fn long_text_is_cut_at_a_character_with_a_note() {
        let cut_at = harmless(&"ä".repeat(4000), 300);
        assert_eq!(cut_at, format!("{}... (cut)", "ä".repeat(300)));
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(
            cut(&"x".repeat(50), 20),
            format!("{}... (cut)", "x".repeat(10))
        );
        assert_eq!(
            cut(&format!("`{}`", "x".repeat(50)), 20),
            format!("`{}`... (cut)", "x".repeat(9))
        );
        assert_eq!(cut(&"\\*".repeat(50), 15), "\\*\\*... (cut)");
    }

    #[test]
    fn only_an_address_is_a_link() {
        assert_eq!(
            link("https://git.example.com/a/b/pull/7"),
            "https://git.example.com/a/b/pull/7"
        );
        assert_eq!(link("javascript:alert(1)"), "`javascript:alert(1)`");
        assert_eq!(
            link("https://a.example/) [x](https://b"),
            "`https://a.example/) [x]\u{2060}(https://b`"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_marks_up_is_left(text in any::<String>()) {
            let shown = harmless(&text, 200);
            prop_assert!(!shown.contains('`') && !shown.contains('\n'));
            prop_assert!(!shown.contains("@everyone") && !shown.contains("<@"));
            prop_assert!(shown.chars().all(|c| c == APART || !is_invisible(c)));
            prop_assert!(length(&shown) <= 2 * 200 + CUT.len());
            prop_assert!(length(&cut(&text, 50)) <= 50);
        }
    }
}
