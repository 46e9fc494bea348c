//! Plain words for when a schedule runs: "every day at 01:00", "Sundays 03:30", "first of the month".
//!
//! Nothing is guessed. Every word must be known and have its place; what cron cannot say (the first Sunday of
//! a month, every other week, times that do not share their minute) is refused with the reason, and so is
//! what has more than one meaning. Clock times are those of a 24-hour clock unless am, pm or a part of the day
//! says otherwise.
//!
//! [`tokens`] splits the text, [`clock`] reads times of day, [`said`] collects what is said, and
//! [`cron`] turns that into fields.

mod clock;
mod cron;
mod said;
mod tokens;

/// The cron expression that plain words mean; the error says why there is none, as the end of a sentence.
pub(super) fn cron(text: &str) -> Result<String, String> {
    cron::expression(&said::read(&tokens::split(text)?)?)
}
