//! `chat: { kind: discord }`.

use std::num::NonZeroU64;

use secrecy::SecretString;

use super::reader::Section;

/// An id of Discord: of a server, a channel, a role or a person.
pub type Id = NonZeroU64;

/// How Refloat lives on a server of Discord.
#[derive(Clone, Debug)]
pub struct Discord {
    /// The bot's token.
    pub token: SecretString,
    /// The address of Discord, or of a proxy of its REST API, without `/api`.
    pub api: String,
    /// The one server whose people are heard.
    pub guild: Id,
    /// Where the threads of requests are.
    pub channel: Id,
    /// Where commands are taken, besides `channel` and the threads of all these.
    pub channels: Vec<Id>,
    /// Where is told what a person must put right in Discord.
    pub trouble_channel: Id,
    /// A reviewer has to hold this role.
    pub reviewers_role: Id,
    /// Roles that give rights to people of the configuration.
    pub roles: Vec<RoleGrant>,
    /// The commands are registered for all servers of the bot, not for one.
    pub globally: bool,
    /// The bot is granted the content of messages: in the thread of a request
    /// people need not mention it.
    pub message_content: bool,
}

/// Whoever holds the role may ask for the tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleGrant {
    pub role: Id,
    pub tenants: Vec<String>,
}

pub(super) fn discord(section: &mut Section) -> Discord {
    let api = section.string("api").or("https://discord.com");
    if !(api.starts_with("https://") || api.starts_with("http://")) || api.contains("/api") {
        section.fault(
            "api",
            "write an address that begins with https://, without /api".to_owned(),
        );
    }
    let token = section
        .secret_source("token", "tokenFile", "tokenEnv")
        .get();
    let guild = id(section, "guild");
    let channel = id(section, "channel");
    let channels = ids(section, "channels");
    let trouble_channel = match section.string("troubleChannel").optional() {
        Some(text) => parse(section, "troubleChannel", &text),
        None => channel,
    };
    let reviewers_role = id(section, "reviewersRole");
    let mut roles = Vec::new();
    let mut grants = section.sections("roles");
    for grant in &mut grants {
        let role = id(grant, "role");
        let tenants = grant.strings("tenants").unwrap_or_default();
        if tenants.is_empty() {
            grant.fault(
                "tenants",
                "names no tenant: take the role out, or name one".to_owned(),
            );
        }
        roles.push(RoleGrant { role, tenants });
    }
    for grant in grants {
        section.absorb(grant);
    }
    let globally = match section.string("commands").or("guild").as_str() {
        "guild" => false,
        "global" => true,
        other => {
            section.fault("commands", format!("{other} is neither guild nor global"));
            false
        }
    };
    Discord {
        token,
        api: api.trim_end_matches('/').to_owned(),
        guild,
        channel,
        channels,
        trouble_channel,
        reviewers_role,
        roles,
        globally,
        message_content: section.boolean("messageContent", false),
    }
}

fn id(section: &mut Section, key: &'static str) -> Id {
    match section.string(key).required() {
        Some(text) => parse(section, key, &text),
        None => Id::MAX,
    }
}

fn ids(section: &mut Section, key: &'static str) -> Vec<Id> {
    let texts = section.strings(key).unwrap_or_default();
    texts.iter().map(|text| parse(section, key, text)).collect()
}

fn parse(section: &mut Section, key: &'static str, text: &str) -> Id {
    text.trim().parse().unwrap_or_else(|_| {
        section.fault(
            key,
            format!(
                "{text} is not an id: turn on the developer mode in Discord's settings, then choose \
                 Copy ID on the server, channel or role"
            ),
        );
        Id::MAX
    })
}
