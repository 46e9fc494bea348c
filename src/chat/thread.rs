//! A request's thread, as any chat can show it.

use jiff::Timestamp;

use super::Attachment;
use super::harmless::{cut, length};
use super::words::{self, put};
use crate::request;

/// What a chat shows of one request. All text is lightly Markdown and harmless:
/// what people or the cluster wrote mentions nobody and marks nothing up.
#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    /// The name of the request.
    pub request: String,
    /// Tells it from an earlier request of the same name.
    pub uid: String,
    /// Plain text of at most 100 characters.
    pub title: String,
    pub card: Card,
    /// Oldest first.
    pub messages: Vec<Message>,
    /// Nothing more will happen.
    pub over: bool,
}

/// Something that happened, said once.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Tells it from the thread's other messages, the same each time it is rendered.
    pub key: String,
    /// When it happened.
    pub at: Timestamp,
    /// At most [`Message::MOST`] characters.
    pub text: String,
    /// It waits for a reviewer: to be shown to them, with buttons where there are any.
    pub ask: bool,
    /// What a reviewer is asked for by it, or was.
    pub asks: Option<Asks>,
    /// What there is more to it than a message takes, as text.
    pub file: Option<Attachment>,
}

/// What a reviewer can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asks {
    /// To approve what has a digest that begins so.
    Approval(String),
    /// To say why they denied it, which a mark does not.
    Reason,
}

impl Message {
    /// The greatest length of a message, in characters.
    pub const MOST: usize = 1900;
}

/// Where a request stands: shown once in its thread and kept up to date.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub heading: String,
    pub stage: Stage,
    /// What it is doing, in a sentence.
    pub state: String,
    pub fields: Vec<Field>,
    pub bars: Vec<Bar>,
    /// What it waits for, if it says.
    pub waiting: Option<String>,
}

/// Where a request of any kind stands, as a chat needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The phase's name, as conditions and printer columns show it.
    pub name: &'static str,
    /// To follow "it is".
    pub words: &'static str,
    pub tone: Tone,
}

/// How a stage is to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// It goes on by itself.
    Working,
    /// It waits for a reviewer.
    Asking,
    /// It waits for somebody to choose.
    Stuck,
    /// It ended as was wanted.
    Done,
    /// It ended otherwise.
    Ended,
}

impl Stage {
    /// Somebody has to read the card, or will look back at it.
    pub fn is_for_people(self) -> bool {
        match self.tone {
            Tone::Working => false,
            Tone::Asking | Tone::Stuck | Tone::Done | Tone::Ended => true,
        }
    }
}

impl From<request::Phase> for Stage {
    fn from(phase: request::Phase) -> Self {
        use request::Phase;
        Self {
            name: phase.name(),
            words: phase.in_words(),
            tone: match phase {
                Phase::AwaitingApproval => Tone::Asking,
                Phase::Stuck => Tone::Stuck,
                Phase::Done => Tone::Done,
                phase if phase.is_over() => Tone::Ended,
                _ => Tone::Working,
            },
        }
    }
}

/// A named part of a card.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub name: &'static str,
    pub lines: Vec<String>,
}

/// How far something counted is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    pub name: &'static str,
    pub done: i64,
    pub total: i64,
    pub unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Objects,
    Items,
    Bytes,
}

impl Bar {
    /// 0 to 100; 0 while the total is unknown.
    pub fn percent(&self) -> i64 {
        if self.total <= 0 {
            return 0;
        }
        let done = i128::from(self.done.clamp(0, self.total));
        i64::try_from(done * 100 / i128::from(self.total)).unwrap_or(100)
    }

    /// `60%, 12 of 20 objects`.
    pub fn in_words(&self) -> String {
        let counted = match self.unit {
            Unit::Bytes => format!(
                "{} of {}",
                words::bytes(self.done),
                words::bytes(self.total)
            ),
            Unit::Objects => format!("{} of {} objects", self.done, self.total),
            Unit::Items => format!("{} of {} items", self.done, self.total),
        };
        format!("{}%, {counted}", self.percent())
    }

    /// A bar of `width` characters.
    pub fn drawn(&self, width: usize) -> String {
        let full = usize::try_from(self.percent()).unwrap_or(0) * width / 100;
        format!("{}{}", "#".repeat(full), "-".repeat(width - full))
    }
}

impl Card {
    /// The greatest length of a card's text, in characters.
    pub const MOST: usize = 4000;

    /// The card as one text, of at most [`Card::MOST`] characters.
    pub fn text(&self) -> String {
        let mut text = format!("**{}**\n{}\n", self.heading, self.state);
        if let Some(waiting) = &self.waiting {
            put(&mut text, format_args!("**Waiting**: {waiting}\n"));
        }
        for bar in &self.bars {
            put(
                &mut text,
                format_args!("{}: `{}` {}\n", bar.name, bar.drawn(20), bar.in_words()),
            );
        }
        for Field { name, lines } in &self.fields {
            match lines.as_slice() {
                [one] => put(&mut text, format_args!("**{name}**: {one}\n")),
                many => {
                    put(&mut text, format_args!("**{name}**:\n"));
                    for line in many {
                        put(&mut text, format_args!("- {line}\n"));
                    }
                }
            }
        }
        text.truncate(text.trim_end().len());
        cut(&text, Self::MOST)
    }

    /// Shortens the longest fields until the text fits.
    pub(super) fn fit(mut self) -> Self {
        // `text` cuts at the bound: below it, nothing was cut.
        while length(&self.text()) >= Self::MOST {
            let longest = self
                .fields
                .iter_mut()
                .max_by_key(|field| field.lines.iter().map(|line| length(line)).sum::<usize>());
            let Some(field) = longest else {
                break;
            };
            if field.lines.len() > 1 {
                field.lines.truncate(field.lines.len() / 2);
                field.lines.push("... (cut)".to_owned());
                if field.lines.len() == 2 {
                    field.lines.pop();
                }
            } else if let Some(line) = field.lines.first_mut() {
                let half = length(line) / 2;
                if half < 40 {
                    break;
                }
                *line = cut(line, half);
            } else {
                break;
            }
        }
        self
    }
}
