//! What the console draws: pure, from threads to text.

use std::collections::HashMap;

use console::style;

use crate::chat::words::put;
use crate::chat::{Bar, Card, Stage, Thread, Tone};

/// Messages with the clock time at which each happened.
type Lines<'a> = [(String, &'a str)];

/// Lightly Markdown as a plain reader wants it: without what only marks up.
fn unmarked(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut in_code = false;
    while let Some(c) = rest.next() {
        match c {
            '`' => {
                in_code = !in_code;
                plain.push(c);
            }
            '\\' if !in_code && rest.peek().is_some_and(char::is_ascii_punctuation) => {
                plain.extend(rest.next());
            }
            '*' if !in_code && rest.peek() == Some(&'*') => {
                rest.next();
            }
            // What keeps mentions apart is of no use here.
            '\u{2060}' => {}
            // Nothing reaches a terminal as a command to it.
            c if c.is_control() && c != '\n' => {}
            c => plain.push(c),
        }
    }
    plain
}

/// A text of one or more lines, each with what it is about before it.
pub(super) fn block(about: &str, text: &str) -> String {
    let mut block = String::new();
    for line in unmarked(text).lines() {
        put(&mut block, format_args!("{about} {line}\n"));
    }
    block
}

/// A reply on a terminal.
pub(super) fn reply(name: &str, text: &str) -> String {
    let name = style(format!("@{}", unmarked(name)))
        .cyan()
        .force_styling(true);
    block(&name.to_string(), text)
}

/// What was last said of a request on a pipe.
#[derive(Default)]
pub(super) struct Pipe {
    last: HashMap<String, Told>,
}

#[derive(Clone, PartialEq)]
struct Told {
    stage: Stage,
    tenths: Vec<(&'static str, i64)>,
    waiting: Option<String>,
}

impl Told {
    fn of(card: &Card) -> Self {
        Self {
            stage: card.stage,
            tenths: card
                .bars
                .iter()
                .map(|bar| (bar.name, bar.percent() / 10))
                .collect(),
            waiting: card.waiting.clone(),
        }
    }
}

impl Pipe {
    /// What is written when a thread is published: its new messages, then the
    /// whole card when a person has to read or do something, else a line for
    /// what has moved on.
    pub(super) fn publish(&mut self, thread: &Thread, news: &Lines<'_>) -> String {
        let name = &thread.request;
        let mut text = String::new();
        for (clock, message) in news {
            text.push_str(&block(&format!("[{name}] {clock}"), message));
        }
        let card = &thread.card;
        let told = Told::of(card);
        let before = self.last.insert(name.clone(), told.clone());
        if before.as_ref() == Some(&told) {
            return text;
        }
        let changed_stage = before
            .as_ref()
            .is_none_or(|before| before.stage != told.stage);
        if changed_stage && card.stage.is_for_people() {
            text.push_str(&whole(name, card));
            return text;
        }
        if changed_stage {
            text.push_str(&block(&format!("[{name}] =="), &card.state));
        }
        if let Some(waiting) = &told.waiting
            && before
                .as_ref()
                .is_none_or(|before| before.waiting.as_ref() != Some(waiting))
        {
            text.push_str(&block(&format!("[{name}] .. waiting:"), waiting));
        }
        for (bar, tenth) in card.bars.iter().zip(&told.tenths) {
            if before
                .as_ref()
                .is_none_or(|before| !before.tenths.contains(tenth))
            {
                text.push_str(&block(&format!("[{name}] .."), &bar_line(bar)));
            }
        }
        text
    }
}

fn bar_line(bar: &Bar) -> String {
    format!("{:<13} [{}] {}", bar.name, bar.drawn(20), bar.in_words())
}

/// The whole card between two lines.
fn whole(name: &str, card: &Card) -> String {
    let mut text = format!("---- {name}: {} ----\n", card.stage.words);
    for line in unmarked(&card.text()).lines() {
        text.push_str("| ");
        text.push_str(line);
        text.push('\n');
    }
    text.push_str("----\n");
    text
}

/// A terminal: messages scroll by, and below them the cards that are not over
/// are drawn anew whenever one changes.
pub(super) struct Terminal {
    size: fn() -> (u16, u16),
    /// The cards, the one that changed last at the end.
    cards: Vec<(String, Card)>,
    /// How many lines there are from the first card to the cursor.
    height: usize,
}

impl Terminal {
    pub(super) fn new(size: fn() -> (u16, u16)) -> Self {
        Self {
            size,
            cards: Vec::new(),
            height: 0,
        }
    }

    /// The person typed a line, which moved the cursor down.
    pub(super) fn typed(&mut self, line: &str) {
        if self.height > 0 {
            let columns = self.columns();
            let length = line.trim_end().chars().count();
            self.height += 1 + length.saturating_sub(1) / columns;
        }
    }

    /// Text that scrolls by, above the cards.
    pub(super) fn above(&mut self, text: &str) -> String {
        let mut drawn = self.erase();
        drawn.push_str(text);
        drawn.push_str(&self.draw());
        drawn
    }

    pub(super) fn publish(&mut self, thread: &Thread, news: &Lines<'_>) -> String {
        let name = &thread.request;
        let mut text = String::new();
        for (clock, message) in news {
            let about = style(format!("[{name}] {clock}")).dim().force_styling(true);
            text.push_str(&block(&about.to_string(), message));
        }
        let before = self.cards.iter().position(|(other, _)| other == name);
        let same = before.is_some_and(|at| self.cards[at].1 == thread.card);
        if same && text.is_empty() {
            return text;
        }
        if let Some(at) = before {
            self.cards.remove(at);
        }
        if thread.over {
            // What is over stays where it is, and scrolls by.
            for line in self.card(&thread.card, usize::MAX) {
                text.push_str(&line);
                text.push('\n');
            }
        } else {
            self.cards.push((name.clone(), thread.card.clone()));
        }
        self.above(&text)
    }

    fn columns(&self) -> usize {
        usize::from((self.size)().1).max(20)
    }

    /// Goes back to the first card and clears from there.
    fn erase(&mut self) -> String {
        let up = std::mem::take(&mut self.height);
        if up == 0 {
            String::new()
        } else {
            format!("\u{1b}[{up}A\r\u{1b}[0J")
        }
    }

    fn draw(&mut self) -> String {
        // Some lines are left for what the person types.
        let room = usize::from((self.size)().0).max(10) - 3;
        let mut lines = Vec::new();
        if let Some(((_, last), others)) = self.cards.split_last() {
            for (name, card) in others.iter().take(room / 2) {
                let bar = card.bars.last().map(Bar::in_words).unwrap_or_default();
                lines.push(self.shortened(&format!("{name}: {} {bar}", card.stage.words)));
            }
            let left = room - lines.len();
            lines.extend(self.card(last, left));
        }
        self.height = lines.len();
        lines.into_iter().map(|line| line + "\n").collect()
    }

    /// The lines of a card, none longer than the terminal is wide, and no more
    /// than `most`.
    fn card(&self, card: &Card, most: usize) -> Vec<String> {
        let rule = "-".repeat(self.columns().min(72));
        let mut lines = vec![style(&rule).dim().force_styling(true).to_string()];
        let plain = unmarked(&card.text());
        for (at, line) in plain.lines().enumerate() {
            let line = self.shortened(line);
            lines.push(match at {
                0 => style(line).bold().force_styling(true).to_string(),
                1 if card.stage.tone == Tone::Stuck => {
                    style(line).red().force_styling(true).to_string()
                }
                1 if card.stage.tone == Tone::Done => {
                    style(line).green().force_styling(true).to_string()
                }
                1 => style(line).yellow().force_styling(true).to_string(),
                _ => line,
            });
        }
        if lines.len() >= most {
            lines.truncate(most.saturating_sub(2));
            lines.push("...".to_owned());
        }
        lines.push(style(rule).dim().force_styling(true).to_string());
        lines
    }

    /// A line that does not wrap, since how far to go up is counted in lines.
    fn shortened(&self, line: &str) -> String {
        let columns = self.columns() - 1;
        if line.chars().count() <= columns {
            return line.to_owned();
        }
        let mut short: String = line.chars().take(columns.saturating_sub(3)).collect();
        short.push_str("...");
        short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_taken_out_and_nothing_commands_the_terminal() {
        assert_eq!(
            unmarked("**Stuck.** `a\\b` \\*x\\* @\u{2060}everyone\u{1b}[2J"),
            "Stuck. `a\\b` *x* @everyone[2J"
        );
    }
}
