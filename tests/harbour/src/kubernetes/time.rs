//! Points in time as the API writes them.

use jiff::Timestamp;

/// The present moment, to the second.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
