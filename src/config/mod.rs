//! The configuration: one YAML file, read and checked whole before anything starts.

mod discord;
mod github;
mod notifications;
mod reader;
mod reload;
mod secret;
mod telemetry;
mod web;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::clock::Clock;
use crate::request::Policy;
use crate::request::approval::Rules;
use crate::request::people::{Entry, People};
use crate::schedule_times::VeleroVersion;

pub use discord::{Discord, Id, RoleGrant};
pub use github::{Github, MergeMethod};
pub use reader::Fault;
pub use reload::{Live, Reloader};
pub use secret::Secret;
pub use telemetry::Otlp;
pub use web::Web;

pub(crate) use telemetry::traces_at;

use reader::Section;

/// Everything an operator may set. See `deploy/refloat.example.yaml` for what
/// each setting means.
#[derive(Clone, Debug)]
pub struct Config {
    /// The namespace that holds the requests.
    pub namespace: String,
    /// A kubeconfig file; without one, the usual places or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// The ClusterRole with the right to delete, to be bound for the time of a
    /// clearing; without one, the account may delete at any time.
    pub clearing_role: Option<String>,
    /// The Lease by which one of several replicas works; without it there is one.
    pub lease: Option<Lease>,
    pub github: Github,
    pub argocd: Argocd,
    pub velero: Velero,
    pub chat: Chat,
    /// Without it Refloat listens nowhere.
    pub web: Option<Web>,
    /// Where spans are sent; `None`: nowhere, unless the environment says so.
    pub otlp: Option<Otlp>,
    pub policy: Policy,
    /// The deadlines of changes of schedules.
    pub schedules: crate::schedule::Policy,
    /// How long copies are kept, and how many of them.
    pub copies: crate::copy::Policy,
    /// Where people are told of what they did not ask about; `None`: nowhere.
    pub notifications: Option<crate::notify::Policy>,
    /// What time it is for what is shown and told of backups; no setting, but the system's clock.
    pub clock: Clock,
}

#[derive(Clone, Debug)]
pub struct Lease {
    /// Its name, in the namespace of the requests.
    pub name: String,
    /// How long it lasts without being renewed; whole seconds.
    pub duration: Duration,
}

#[derive(Clone, Debug)]
pub struct Argocd {
    /// Where the platform's own Applications live.
    pub platform_namespace: String,
    /// Every namespace that Applications may live in, the platform's included.
    pub namespaces: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Velero {
    pub namespace: String,
    /// The version of the server, which decides what schedules may say.
    pub version: Option<VeleroVersion>,
    /// How long a safety backup is kept.
    pub safety_backup_ttl: SignedDuration,
    /// The DaemonSet that copies files of volumes.
    pub node_agent: String,
}

#[derive(Clone, Debug)]
pub enum Chat {
    /// The terminal that Refloat was started on; lines without `as NAME:` are this person's.
    Console { user: String },
    /// A server of Discord.
    Discord(Box<Discord>),
}

impl Config {
    /// Reads and checks a file, and the secrets it points to.
    ///
    /// The error names every fault at once, each by its path in the file.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        Self::of_file(path, &text_of(path)?)
    }

    /// The same from the text of a file that was read.
    fn of_file(path: &Path, text: &str) -> anyhow::Result<Self> {
        Self::parse(text).map_err(|faults| {
            let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
            anyhow::anyhow!(
                "the configuration {} has {} to put right:\n{}",
                path.display(),
                crate::request::preflight::count(
                    i64::try_from(faults.len()).unwrap_or(i64::MAX),
                    "setting"
                ),
                lines.join("\n")
            )
        })
    }

    /// Reads a configuration from its text.
    ///
    /// Errors are all the faults there are, in the order of the file.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let value: serde_json::Value = serde_saphyr::from_str(text).map_err(|error| {
            vec![Fault {
                path: String::new(),
                message: format!("this is not YAML: {error}"),
            }]
        })?;
        let mut root = Section::root(value);
        let namespace = root.string("namespace").or("refloat");
        let mut kubernetes = root.section("kubernetes");
        let kubeconfig = kubernetes
            .string("kubeconfig")
            .optional()
            .map(PathBuf::from);
        let clearing_role = kubernetes.string("clearingRole").optional();
        let lease = lease(&mut kubernetes);
        root.absorb(kubernetes);

        let mut section = root.section("github");
        let mut github = github::github(&mut section);
        root.absorb(section);

        let mut section = root.section("argocd");
        let platform_namespace = section.string("platformNamespace").or("openshift-gitops");
        let mut namespaces = section
            .strings("namespaces")
            .unwrap_or_else(|| vec![platform_namespace.clone(), "gitops-developers".to_owned()]);
        if !namespaces.contains(&platform_namespace) {
            namespaces.push(platform_namespace.clone());
        }
        root.absorb(section);

        let mut section = root.section("velero");
        let velero = Velero {
            namespace: section.string("namespace").or("openshift-adp"),
            version: version(&mut section),
            safety_backup_ttl: section.duration("safetyBackupTtl", "72h"),
            node_agent: section.string("nodeAgent").or("node-agent"),
        };
        root.absorb(section);

        let people = people(&mut root);

        let mut section = root.section("chat");
        let kind = section.string("kind").required();
        let chat = match kind.as_deref() {
            Some("console") => {
                let user = section.string("user").required();
                if let Some(user) = &user
                    && !people.0.iter().any(|entry| {
                        entry
                            .accounts
                            .iter()
                            .any(|(chat, id)| chat == "console" && id == user)
                    })
                {
                    section.fault("user", format!("nobody under people has console: {user}"));
                }
                Chat::Console {
                    user: user.unwrap_or_default(),
                }
            }
            Some("discord") => Chat::Discord(Box::new(discord::discord(&mut section))),
            other => {
                if let Some(other) = other {
                    section.fault(
                        "kind",
                        format!("{other} is not a chat: write console or discord"),
                    );
                }
                Chat::Console {
                    user: String::new(),
                }
            }
        };
        root.absorb(section);

        let mut section = root.section("web");
        let web = web::web(&mut section);
        root.absorb(section);

        let mut section = root.section("telemetry");
        let otlp = telemetry::telemetry(&mut section);
        root.absorb(section);

        let (policy, schedules, team) = policy(&mut root, people, &namespace);
        github.team = team;
        github.share_reads = policy.poll.unsigned_abs() / 2;
        let mut section = root.section("notifications");
        let notifications = notifications::notifications(
            &mut section,
            &policy.time_zone,
            policy.self_heal_reminder,
        );
        root.absorb(section);
        let mut section = root.section("copies");
        let copies = crate::copy::Policy {
            kept_for: section.duration("keptFor", "24h"),
            at_most: section.count("atMost", 1, 1..=20),
        };
        root.absorb(section);
        root.finish()?;
        Ok(Self {
            namespace,
            kubeconfig,
            clearing_role,
            lease,
            github,
            argocd: Argocd {
                platform_namespace,
                namespaces,
            },
            velero,
            chat,
            web,
            otlp,
            policy,
            schedules,
            copies,
            notifications,
            clock: Clock::system(),
        })
    }
}

fn lease(section: &mut Section) -> Option<Lease> {
    let name = section.string("lease").optional();
    let duration = section.duration("leaseDuration", "15s");
    if duration.subsec_nanos() != 0 || !(1..=600).contains(&duration.as_secs()) {
        section.fault(
            "leaseDuration",
            "must be whole seconds, from 1s to 10m".to_owned(),
        );
    }
    Some(Lease {
        name: name?,
        duration: duration.unsigned_abs(),
    })
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path)
        .with_context(|| format!("the configuration {} cannot be read", path.display()))
}

fn version(section: &mut Section) -> Option<VeleroVersion> {
    let text = section.string("version").optional()?;
    text.parse()
        .map_err(|error| section.fault("version", error))
        .ok()
}

fn people(root: &mut Section) -> People {
    let mut people = Vec::<Entry>::new();
    let mut sections = root.sections("people");
    for person in &mut sections {
        let name = person.string("name").required().unwrap_or_default();
        if people.iter().any(|other| other.name == name) {
            person.fault("name", format!("there is another person called {name}"));
        }
        let mut accounts = Vec::new();
        for chat in ["console", "discord"] {
            if let Some(id) = person.string(chat).optional() {
                if people
                    .iter()
                    .any(|other| other.accounts.contains(&(chat.to_owned(), id.clone())))
                {
                    person.fault(chat, format!("somebody else has the account {id}"));
                }
                accounts.push((chat.to_owned(), id));
            }
        }
        let mut logins = person.one_or_more("github").into_iter();
        let (github, github_also) = (logins.next(), logins.collect::<Vec<_>>());
        for login in github.iter().chain(&github_also) {
            if people
                .iter()
                .any(|other| other.logins().any(|mine| mine.eq_ignore_ascii_case(login)))
            {
                person.fault("github", format!("somebody else has the login {login}"));
            }
        }
        people.push(Entry {
            name,
            accounts,
            github,
            github_also,
            tenants: person.strings("tenants").unwrap_or_default(),
            reviewer: person.boolean("reviewer", false),
        });
    }
    for person in sections {
        root.absorb(person);
    }
    People(people)
}

fn policy(
    root: &mut Section,
    people: People,
    namespace: &str,
) -> (Policy, crate::schedule::Policy, Option<(String, String)>) {
    let zone = root.string("timeZone").or("UTC");
    let time_zone = TimeZone::get(&zone).unwrap_or_else(|_| {
        root.fault(
            "timeZone",
            format!("{zone} is not a time zone, such as Europe/Oslo"),
        );
        TimeZone::UTC
    });
    let mut approval = root.section("approval");
    let covers_resume = approval.boolean("coversResume", false);
    let approval_expires = approval.duration("expiresAfter", "24h");
    let approval_reminders = approval.durations("remindAfter", &["30m", "4h"]);
    let rules = approval_rules(&mut approval);
    let team = approval.string("team").optional();
    let team = team.and_then(|text| {
        let team = github::pair(&text);
        if team.is_none() {
            approval.fault(
                "team",
                format!("{text} is not organization/team, such as platform/reviewers"),
            );
        }
        team
    });
    root.absorb(approval);

    let mut deadlines = root.section("deadlines");
    let settle_within = deadlines.duration("settle", "30m");
    let protect_within = deadlines.duration("protect", "2h");
    let clear_within = deadlines.duration("clear", "30m");
    let restore_stalls_after = deadlines.duration("restoreStall", "2h");
    let verify_within = deadlines.duration("verify", "20m");
    let resume_within = deadlines.duration("resume", "1h");
    let self_heal_reminder = deadlines.duration("selfHealReminder", "2h");
    let backup_must_outlive = deadlines.duration("backupMustOutlive", "24h");
    let schedules = crate::schedule::Policy {
        apply_within: deadlines.duration("applySchedule", "30m"),
        backup_within: deadlines.duration("firstBackup", "6h"),
    };
    root.absorb(deadlines);

    let mut pace = root.section("pace");
    let poll = pace.duration("pullRequests", "60s");
    let look_again = pace.duration("lookAgain", "2s");
    let hold_well = pace.duration("holdWell", &format!("{}ms", look_again.as_millis() * 15));
    let batch = pace.count("deletesAtOnce", 50, 1..=500);
    root.absorb(pace);

    let policy = Policy {
        people,
        approval: rules,
        time_zone,
        own_namespace: namespace.to_owned(),
        covers_resume,
        approval_expires,
        approval_reminders,
        self_heal_reminder,
        settle_within,
        protect_within,
        clear_within,
        restore_stalls_after,
        verify_within,
        resume_within,
        hold_well,
        backup_must_outlive,
        poll,
        look_again,
        batch,
    };
    (policy, schedules, team)
}

fn approval_rules(approval: &mut Section) -> Rules {
    let by = approval
        .strings("by")
        .unwrap_or_else(|| vec!["review".to_owned(), "reaction".to_owned()]);
    for word in &by {
        if !matches!(word.as_str(), "review" | "reaction") {
            approval.fault("by", format!("{word} is not one of review, reaction"));
        }
    }
    if by.is_empty() {
        approval.fault(
            "by",
            "nothing would count as an approval: name review, reaction or both".to_owned(),
        );
    }
    Rules {
        reviews: by.iter().any(|word| word == "review"),
        reactions: by.iter().any(|word| word == "reaction"),
        count: approval.count("count", 1, 1..=10),
        unmapped_by_review: approval.boolean("reviewAloneForUnmapped", false),
    }
}

#[cfg(test)]
mod tests;
