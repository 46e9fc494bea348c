//! Who is who, and who may do what: the explicit map from the configuration.
//!
//! Nobody has a right by default, and nothing is guessed from names.

use super::resource::Person;

/// A person the configuration knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What the configuration calls them.
    pub name: String,
    /// Their accounts, as (chat, id).
    pub accounts: Vec<(String, String)>,
    /// Their GitHub login; compared without regard to case, as GitHub does.
    pub github: Option<String>,
    /// Further GitHub accounts of the same person.
    pub github_also: Vec<String>,
    /// The tenants whose restores and schedules they may ask for.
    pub tenants: Vec<String>,
    /// They may approve and deny.
    pub reviewer: bool,
}

impl Entry {
    /// All their GitHub logins.
    pub fn logins(&self) -> impl Iterator<Item = &str> {
        self.github
            .iter()
            .chain(&self.github_also)
            .map(String::as_str)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People(pub Vec<Entry>);

impl People {
    /// The entry of a chat account.
    pub fn by_account(&self, person: &Person) -> Option<&Entry> {
        self.0.iter().find(|entry| {
            entry
                .accounts
                .iter()
                .any(|(chat, id)| *chat == person.chat && *id == person.id)
        })
    }

    /// The entry of a GitHub login.
    pub fn by_login(&self, login: &str) -> Option<&Entry> {
        self.0
            .iter()
            .find(|entry| entry.logins().any(|mine| mine.eq_ignore_ascii_case(login)))
    }

    pub fn by_name(&self, name: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.name == name)
    }

    /// The tenants that a chat account may ask for; none for a stranger.
    pub fn tenants_of(&self, person: &Person) -> Vec<String> {
        self.by_account(person)
            .map(|entry| entry.tenants.clone())
            .unwrap_or_default()
    }
}
