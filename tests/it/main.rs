//! The integration tests: Refloat in the harbour, through the front door.

mod smoke;
