//! The names that people type: tenants, namespaces, schedules, backups, requests and digests.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::value::{ValueError, as_text, label, subdomain};

/// A tenant's name, `namespace.name` of its order: a DNS-1123 label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tenant(String);
as_text!(Tenant);

impl FromStr for Tenant {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        label(text, "A tenant's name", "poseidon1").map(Self)
    }
}

/// A namespace as a person writes it: the environment alone (`dev`) or the full name (`poseidon1-dev`). A
/// DNS-1123 label. [`Namespace::full`] makes the full name of either.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Namespace(String);
as_text!(Namespace);

impl Namespace {
    /// The full name `<tenant>-<environment>`, whichever way it was written.
    ///
    /// What begins with `<tenant>-` is taken as full already: an environment `a-x` of the tenant `a` has to be
    /// written in full (`a-a-x`). Fails if the full name would have more than 63 characters.
    pub fn full(&self, tenant: &Tenant) -> Result<Self, ValueError> {
        if self.environment(tenant) == self.0 {
            format!("{tenant}-{self}").parse()
        } else {
            Ok(self.clone())
        }
    }

    /// The environment: the name without `<tenant>-` before it.
    pub fn environment(&self, tenant: &Tenant) -> &str {
        self.0
            .strip_prefix(tenant.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .unwrap_or(&self.0)
    }
}

impl FromStr for Namespace {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        label(text, "A namespace or environment", "dev").map(Self)
    }
}

/// A schedule's name as the order has it (`daily`, not Velero's `poseidon1-daily`): a DNS-1123 subdomain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScheduleName(String);
as_text!(ScheduleName);

impl FromStr for ScheduleName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        subdomain(text, "A schedule's name", "daily").map(Self)
    }
}

/// A backup's name, as Velero calls it (`poseidon1-daily-20261124010000`): a DNS-1123 subdomain.
///
/// The platform's request form asks for "the name of the backup specified in the tenant order", which is what
/// people may write here although it names a schedule: the caller looks for both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupName(String);
as_text!(BackupName);

impl FromStr for BackupName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        subdomain(text, "A backup's name", "poseidon1-daily-20261124010000").map(Self)
    }
}

/// The name of a restore request's resource: a DNS-1123 label, so that it fits a label's value too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestName(String);
as_text!(RequestName);

impl FromStr for RequestName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        label(text, "A request's name", "poseidon1-7k2pq").map(Self)
    }
}

/// The digest that an approval is bound to, or the beginning of it: 6 to 64 hexadecimal digits, kept in small
/// letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);
as_text!(Digest);

impl FromStr for Digest {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if (6..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(ValueError::new(
                "it is no digest",
                "A digest is the 6 to 64 digits 0-9 and a-f on the approval card, for example `3fa9c1d2`",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_written_short_or_in_full() {
        let tenant: Tenant = "poseidon1".parse().unwrap();
        for written in ["dev", "poseidon1-dev"] {
            let namespace: Namespace = written.parse().unwrap();
            assert_eq!(namespace.full(&tenant).unwrap().as_str(), "poseidon1-dev");
            assert_eq!(namespace.environment(&tenant), "dev");
        }
        // Another tenant's prefix proves nothing.
        let other: Namespace = "poseidon12-dev".parse().unwrap();
        assert_eq!(
            other.full(&tenant).unwrap().as_str(),
            "poseidon1-poseidon12-dev"
        );
        let long: Namespace = "x".repeat(60).parse().unwrap();
        assert!(long.full(&tenant).is_err());
    }

    #[test]
    fn digests_are_hexadecimal() {
        assert_eq!("3FA9C1".parse::<Digest>().unwrap().as_str(), "3fa9c1");
        assert!("3fa9c".parse::<Digest>().is_err());
        assert!("3fa9cg".parse::<Digest>().is_err());
        assert!("a".repeat(65).parse::<Digest>().is_err());
    }

    #[test]
    fn the_tenant_error_gives_an_example() {
        insta::assert_snapshot!("Poseidon 1".parse::<Tenant>().unwrap_err(), @"it has a space in it. A tenant's name has up to 63 small letters, digits and `-`, with a letter or digit at both ends, for example `poseidon1`");
    }
}
