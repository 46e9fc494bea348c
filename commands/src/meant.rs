//! Guesses what a misspelt word was meant to be, and shows typed words safely.

/// Longer words than this are not compared: no word of the grammar is as long.
const LONGEST: usize = 40;

/// The candidate that `word` most likely stands for, or nothing if none is near.
///
/// Near is one slip (a wrong, missing, doubled or swapped letter) for every three letters, or the beginning
/// of exactly one candidate. Case is ignored.
pub(crate) fn meant<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    if length == 0 || length > LONGEST {
        return None;
    }
    let mut nearest: Option<(usize, &str)> = None;
    let mut begun = Vec::new();
    for candidate in candidates {
        let slips = strsim::osa_distance(&word, candidate);
        // One slip in a word of one or two letters leaves nothing of it.
        let allowed = if length < 3 { 0 } else { length / 3 };
        if slips <= allowed && nearest.is_none_or(|(fewest, _)| slips < fewest) {
            nearest = Some((slips, candidate));
        }
        if length > 1 && candidate.starts_with(&word) {
            begun.push(candidate);
        }
    }
    match (nearest, begun.as_slice()) {
        (Some((_, candidate)), _) => Some(candidate),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// A typed word as a message may repeat it between backticks: one line, no backtick, nothing invisible, and
/// not longer than a person needs to recognise it.
pub(crate) fn shown(word: &str) -> String {
    const MOST: usize = 60;
    let mut clean = word
        .chars()
        .filter(|&c| !crate::reason::is_invisible(c))
        .map(|c| match c {
            '`' => '\'',
            c if c.is_whitespace() => ' ',
            c => c,
        });
    let mut text: String = clean.by_ref().take(MOST).collect();
    if clean.next().is_some() {
        text.push_str("...");
    }
    text
}

/// `: did you mean ...?` or nothing, for the end of a clause.
pub(crate) fn did_you_mean(meant: Option<&str>) -> String {
    meant.map_or_else(
        || ".".to_owned(),
        |word| format!(": did you mean `{word}`?"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        let words = [
            "restore", "schedule", "backups", "refloat", "approve", "deny",
        ];
        for (typed, want) in [
            ("restor", Some("restore")),
            ("RESTORE", Some("restore")),
            ("retsore", Some("restore")),
            ("shedule", Some("schedule")),
            ("backup", Some("backups")),
            ("ap", Some("approve")),
            ("re", None),
            ("hello", None),
            ("", None),
        ] {
            assert_eq!(meant(typed, words), want, "{typed}");
        }
    }

    #[test]
    fn shows_words_on_one_harmless_line() {
        assert_eq!(shown("a`b\nc\u{202e}d"), "a'b cd");
        assert_eq!(shown(&"x".repeat(100)).len(), 63);
    }
}
