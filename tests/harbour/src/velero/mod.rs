//! velero.
