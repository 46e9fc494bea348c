//! Which Applications the order reaches, and which it does not.

use super::{Check, CheckState, Results, count};
use crate::request::applications::Application;

fn in_words(deploying: &[&Application]) -> String {
    use std::fmt::Write as _;
    let (reached, own): (Vec<&&Application>, Vec<&&Application>) = deploying
        .iter()
        .partition(|application| application.generated);
    let mut words = format!(
        "the order reaches {}",
        count(
            i64::try_from(reached.len()).unwrap_or(i64::MAX),
            "Application"
        )
    );
    for application in own {
        if application.heals_by_itself() {
            // Writing to a String cannot fail.
            let _ = write!(
                words,
                "; {} still heals, and the order does not reach it: turn selfHeal off in {}",
                application.key(),
                application.written_in()
            );
        }
    }
    words
}

/// An Application that goes on healing is named with where its manifests are:
/// until somebody turns it off there, nothing is deleted.
pub(super) fn check(deploying: &[&Application], results: &mut Results) {
    let heals = deploying
        .iter()
        .any(|application| application.heals_by_itself());
    let state = if heals {
        CheckState::Warned
    } else {
        CheckState::Passed
    };
    results.add(Check::Applications, state, in_words(deploying));
}
