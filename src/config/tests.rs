//! The example is a good configuration, and a bad one is told all its faults at once.

use insta::assert_snapshot;

use super::*;

const EXAMPLE: &str = include_str!("../../deploy/refloat.example.yaml");

fn faults(text: &str) -> String {
    match Config::parse(text) {
        Ok(_) => "no fault".to_owned(),
        Err(faults) => faults
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

/// The example with a token that exists.
fn example() -> String {
    EXAMPLE.replace("tokenFile: /etc/refloat/github-token", "tokenEnv: PATH")
}

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let config = Config::parse(&example()).expect("the example is valid");
    let least = "\
github: { repository: platform/infra-ocp4-tenants, tokenEnv: PATH }
chat: { kind: console, user: ada }
people: [{ name: ada, console: ada, github: ada-poseidon, tenants: [poseidon1] }, { name: grace, console: grace, github: grace-platform, reviewer: true }]
";
    let defaults = Config::parse(least).expect("the least is valid");
    assert_eq!(format!("{config:?}"), format!("{defaults:?}"));
}

#[test]
fn every_fault_is_named_at_once_by_its_path() {
    assert_snapshot!(faults(
        "\
github:
  api: ghe.example.com
  repository: infra
  token: ghp_secret
  mergeMethod: fastest
  orders: 'a[b'
argocd:
  namespaces: openshift-gitops
velero:
  safetyBackupTtl: 3 moons
chat:
  kind: pigeon
timeZone: Atlantis/Poseidon
people:
  - console: ada
    tenants: poseidon1
  - { name: bob, console: ada, reviewer: maybe }
approval: { expiresAfter: 0s, expiresAftre: 3h }
deadlines: 7
pace: { deletesAtOnce: 0 }
"
    ), @r#"
    github.api: write an address that begins with https://
    github.repository: infra is not owner/name, such as platform/infra-ocp4-tenants
    github.orders: this is not a glob: error parsing glob 'a[b': unclosed character class; missing ']'
    github.mergeMethod: fastest is not one of merge, squash, rebase
    github.token: a secret does not belong in this file: name a file with tokenFile, or a variable of the environment with tokenEnv
    github.tokenFile: is missing; name a file with it, or a variable with tokenEnv
    argocd.namespaces: must be a list of texts, not "openshift-gitops"
    velero.safetyBackupTtl: 3 moons is not a length of time, such as 45s, 30m, 24h or 1h30m
    people[0].name: is missing
    people[0].tenants: must be a list of texts, not "poseidon1"
    people[1].console: somebody else has the account ada
    people[1].reviewer: must be true or false, not "maybe"
    chat.kind: pigeon is not a chat: write console or discord
    timeZone: Atlantis/Poseidon is not a time zone, such as Europe/Oslo
    approval.expiresAfter: 0s must be longer than nothing, such as 30m
    approval.expiresAftre: there is no such setting; did you mean expiresAfter?
    deadlines: must be a mapping of settings, not 7
    pace.deletesAtOnce: must be a whole number from 1 to 500, not 0
    "#);
}

#[test]
fn what_is_missing_is_named() {
    assert_snapshot!(faults(""), @r"
    github.repository: is missing
    github.tokenFile: is missing; name a file with it, or a variable with tokenEnv
    chat.kind: is missing
    ");
    assert_snapshot!(faults("chat: { kind: console, user: nobody }\ngithub: {repository: a/b, tokenFile: /no/such/file}"), @r"
    github.tokenFile: /no/such/file cannot be read: No such file or directory (os error 2)
    chat.user: nobody under people has console: nobody
    ");
    assert_snapshot!(faults("- a list"), @r"
    must be a mapping of settings, not a list
    github.repository: is missing
    github.tokenFile: is missing; name a file with it, or a variable with tokenEnv
    chat.kind: is missing
    ");
    assert_snapshot!(faults("a: [").lines().next().unwrap_or_default(), @"this is not YAML: error: line 1 column 4: unclosed bracket '['");
}

#[test]
fn discord_needs_its_ids() {
    let text = |chat: &str| {
        format!("github: {{ repository: a/b, tokenEnv: PATH }}\nchat: {{ kind: discord, {chat} }}")
    };
    assert_snapshot!(faults(&text("guild: restores, channel: '12', api: 'https://x/api', commands: all, roles: [{role: '1'}], channels: [a], token: x")), @r"
    chat.api: write an address that begins with https://, without /api
    chat.token: a secret does not belong in this file: name a file with tokenFile, or a variable of the environment with tokenEnv
    chat.tokenFile: is missing; name a file with it, or a variable with tokenEnv
    chat.guild: restores is not an id: turn on the developer mode in Discord's settings, then choose Copy ID on the server, channel or role
    chat.channels: a is not an id: turn on the developer mode in Discord's settings, then choose Copy ID on the server, channel or role
    chat.reviewersRole: is missing
    chat.roles[0].tenants: names no tenant: take the role out, or name one
    chat.commands: all is neither guild nor global
    ");
    let good = "tokenEnv: PATH, guild: 12, channel: '13', reviewersRole: '14'";
    let config = Config::parse(&text(good)).expect("it is valid");
    let Chat::Discord(discord) = config.chat else {
        panic!("{:?}", config.chat);
    };
    assert_eq!(discord.trouble_channel, discord.channel);
    assert_eq!(discord.api, "https://discord.com");
    assert!(!discord.globally && !discord.message_content);
}

#[test]
fn a_collector_needs_an_address() {
    let text = |otlp: &str| {
        format!(
            "github: {{ repository: a/b, tokenEnv: PATH }}\nchat: {{ kind: console, user: ada }}\n\
             people: [{{ name: ada, console: ada }}]\ntelemetry: {{ otlp: {{ {otlp} }} }}"
        )
    };
    assert_snapshot!(faults(&text("endpont: 'http://c:4318', headers: 'a: b', serviceName: refloat")), @r"
    telemetry.otlp.headers: a secret does not belong in this file: name a file with headersFile, or a variable of the environment with headersEnv
    telemetry.otlp.endpoint: is missing: name the collector, such as http://otel-collector.observability:4318
    telemetry.otlp.endpont: there is no such setting; did you mean endpoint?
    ");
    // A variable whose text is no header.
    assert_snapshot!(faults(&text("endpoint: 'http://c:4318', headersEnv: CARGO_PKG_NAME")), @"telemetry.otlp.headersEnv: line 1 is not `name: value`, one header a line");
    assert_snapshot!(faults(&text("endpoint: 'c:4318'")), @"telemetry.otlp.endpoint: this is not an address, such as http://otel-collector.observability:4318");
    assert_snapshot!(faults(&text("endpoint: 'grpc://c:4317'")), @"telemetry.otlp.endpoint: write an address that begins with https:// or http://");
    assert_snapshot!(faults(&text("endpoint: 'https://me:secret@c'")), @"telemetry.otlp.endpoint: a secret does not belong in an address: send it as a header");
    assert_snapshot!(faults(&text("endpoint: 'https://c:4318/otlp'")), @"no fault");
}

#[test]
fn a_secret_is_never_shown() {
    let config = Config::parse(&example()).expect("the example is valid");
    let secret = std::env::var("PATH").expect("PATH is set");
    assert!(!format!("{config:?}").contains(secret.trim()));
    assert!(!faults("github: {token: ghp_secret}").contains("ghp_secret"));
}
