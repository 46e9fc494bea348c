//! The integration tests: Refloat in the harbour, through the front door.
//!
//! A test types into the chat, reads the thread, and looks at the world.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    reason = "nothing outside sees a test binary"
)]

mod afterwards;
mod backups_list;
mod backups_months;
mod backups_now;
mod backups_times;
mod checks;
mod copies;
mod definitions;
mod discord_files;
mod discord_gateway;
mod discord_hearing;
mod discord_kills;
mod discord_outage;
mod discord_restore;
mod discord_thread;
mod discord_votes;
mod discord_world;
mod endings;
mod github_approval;
mod github_asking;
mod github_merge;
mod github_signin;
mod github_webhooks;
mod install;
mod kills;
mod latency;
mod logbook;
mod manifests;
mod monitoring;
mod notify;
mod notify_kills;
mod notify_months;
mod operate;
mod otlp;
mod process;
mod refloat;
mod refusals;
mod reload;
mod replicas;
mod restore;
mod rights;
mod schedule_kills;
mod schedule_orders;
mod schedule_refusals;
mod schedule_world;
mod stored;
mod stuck;
mod traps;
mod world;
