//! `refloat order`: read and edit a tenant order without a cluster.
