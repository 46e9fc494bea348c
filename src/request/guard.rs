//! The guards of the machine by name, so that a test can take one away and see
//! that it is missed.
//!
//! In the product every guard holds, always: [`holds`] is then a constant.

/// A guard, by the invariant that it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "tests take guards away one by one")
)]
pub(crate) enum Guard {
    S1,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    L1,
}

/// True unless a test has taken the guard away.
#[cfg(not(test))]
pub(crate) const fn holds(_: Guard) -> bool {
    true
}

#[cfg(test)]
pub(crate) use taken_away::{holds, without};

#[cfg(test)]
mod taken_away {
    use std::cell::Cell;

    use super::Guard;

    thread_local! {
        static MISSING: Cell<Option<Guard>> = const { Cell::new(None) };
    }

    pub(crate) fn holds(guard: Guard) -> bool {
        MISSING.get() != Some(guard)
    }

    /// Does something on this thread with a guard taken away.
    pub(crate) fn without<T>(guard: Option<Guard>, act: impl FnOnce() -> T) -> T {
        let before = MISSING.replace(guard);
        let result = act();
        MISSING.set(before);
        result
    }
}
