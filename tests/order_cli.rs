//! `refloat order`, as a person or a script calls it.

use std::fs;
use std::path::Path;

use clap::Parser;
use refloat::cli::order::{DONE, FAILED, INVALID, OrderCommand, run};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: OrderCommand,
}

struct Outcome {
    code: u8,
    stdout: String,
    stderr: String,
}

fn refloat_with(input: &str, arguments: &[&str]) -> Outcome {
    let cli = Cli::try_parse_from([&["order"], arguments].concat()).unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = run(cli.command, &mut input.as_bytes(), &mut stdout, &mut stderr);
    Outcome {
        code,
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

fn refloat(arguments: &[&str]) -> Outcome {
    refloat_with("", arguments)
}

const ORDER: &str = "appname: poseidon1
values: |
  namespace:
    name: poseidon1
  environments:
    - name: dev
  argocd:
    syncPolicy:
      selfHeal: true   # on
  backup:
    take_backup: true
    backuplabel: \"backupresource: true\"
    schedules:
      - schedule: \"0 1 * * *\"
        name: daily
        ttl: 168h0m0s
";

/// A folder with the order in `order.yaml`, and the paths of the order and of a record beside it.
fn folder() -> (tempfile::TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (order, record) = (path("order.yaml"), path("record.json"));
    fs::write(&order, ORDER).unwrap();
    (folder, order, record)
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn show_prints_json() {
    let outcome = refloat_with(ORDER, &["show", "-"]);
    assert_eq!((outcome.code, outcome.stderr.as_str()), (DONE, ""));
    let order: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(order["tenant"], "poseidon1");
    assert_eq!(order["environments"][0]["namespace"], "poseidon1-dev");
    assert_eq!(
        order["syncPolicy"]["prune"],
        serde_json::json!({"value": true, "written": false})
    );
    assert_eq!(order["backup"]["schedules"][0]["ttl"], "168h0m0s");
}

#[test]
fn self_heal_goes_off_and_comes_back_in_place() {
    let (folder, order, record) = folder();
    let off = ["self-heal", "off", &order, "--record", &record];
    let printed = refloat(&off);
    assert_eq!(
        printed.stdout,
        ORDER.replace("selfHeal: true", "selfHeal: false")
    );
    assert_eq!(fs::read_to_string(&order).unwrap(), ORDER);

    let outcome = refloat(&[&off[..], &["--in-place", "--diff"]].concat());
    assert_eq!((outcome.code, outcome.stderr.as_str()), (DONE, ""));
    let diff = outcome
        .stdout
        .lines()
        .filter(|line| line.starts_with(['-', '+']))
        .collect::<Vec<_>>();
    assert_eq!(
        diff[2..],
        [
            "-      selfHeal: true   # on",
            "+      selfHeal: false   # on"
        ],
        "{diff:?}"
    );
    assert_eq!(fs::read_to_string(&order).unwrap(), printed.stdout);
    assert_eq!(
        fs::read_to_string(&record).unwrap(),
        "{\n  \"value\": true\n}\n"
    );

    // Once more: the record of what stood there first is not lost.
    let outcome = refloat(&[&off[..], &["--in-place"]].concat());
    assert_eq!(outcome.code, DONE);
    assert!(outcome.stderr.contains("nothing to do") && outcome.stdout.is_empty());
    assert_eq!(
        fs::read_to_string(&record).unwrap(),
        "{\n  \"value\": true\n}\n"
    );

    let restore = [
        "self-heal",
        "restore",
        &order,
        "--record",
        &record,
        "--in-place",
    ];
    assert_eq!(refloat(&restore).code, DONE);
    assert_eq!(fs::read_to_string(&order).unwrap(), ORDER);
    let outcome = refloat(&restore);
    assert_eq!(outcome.code, DONE);
    assert!(outcome.stderr.contains("nothing to do"));
    assert_eq!(files(folder.path()), 2, "no temporary file is left");
}

#[test]
fn schedules_are_added_changed_and_removed() {
    let outcome = refloat_with(
        ORDER,
        &[
            "schedule", "add", "-", "--name", "weekly", "--cron", "@weekly", "--ttl", "2w",
        ],
    );
    let added = format!(
        "{ORDER}      - schedule: \"@weekly\"\n        name: weekly\n        ttl: 336h0m0s\n"
    );
    assert_eq!(
        (outcome.code, outcome.stdout, outcome.stderr),
        (DONE, added, String::new())
    );

    let change = [
        "schedule",
        "change",
        "-",
        "--name",
        "daily",
        "--new-name",
        "nightly",
        "--cron",
        "0 2 * * *",
        "--ttl",
        "1d",
    ];
    let outcome = refloat_with(ORDER, &change);
    let changed = ORDER
        .replace("daily", "nightly")
        .replace("0 1", "0 2")
        .replace("168h", "24h");
    assert_eq!(
        (
            outcome.code,
            outcome.stdout.as_str(),
            outcome.stderr.as_str()
        ),
        (DONE, changed.as_str(), "")
    );
    let outcome = refloat_with(&changed, &change);
    assert_eq!((outcome.code, outcome.stdout), (DONE, changed));
    assert_eq!(outcome.stderr, "standard input: nothing to do\n");

    let outcome = refloat_with(ORDER, &["schedule", "remove", "-", "--name", "daily"]);
    assert!(
        outcome.stdout.ends_with("    schedules: []\n"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn every_fault_is_one_line() {
    let broken = ORDER
        .replace("selfHeal: true", "selfHeal: \"no\"")
        .replace("take_backup: true", "take_backup: 1");
    for arguments in [
        &["show", "-"][..],
        &["schedule", "remove", "-", "--name", "daily"],
    ] {
        let outcome = refloat_with(&broken, arguments);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (INVALID, ""));
        assert_eq!(
            outcome.stderr,
            "standard input:9:17: values.argocd.syncPolicy.selfHeal: must be true or false, is the text \"no\"\n\
             standard input:11:18: values.backup.take_backup: must be true or false, is `1`\n"
        );
    }
    let outcome = refloat_with(
        ORDER,
        &[
            "schedule",
            "add",
            "-",
            "--name",
            "a\nb: c",
            "--cron",
            "0 1 * * 7",
            "--ttl",
            "-7d",
        ],
    );
    assert_eq!((outcome.code, outcome.stdout.as_str()), (INVALID, ""));
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("--name: `a\\nb: c` is no name"));
    assert!(lines[1].starts_with("--cron: ") && lines[1].contains("0 1 * * *"));
    assert!(lines[2].starts_with("--ttl: ") && lines[2].contains("7d"));
}

#[test]
fn arguments_and_files_that_cannot_be_used_are_refused() {
    let (_folder, order, record) = folder();
    let refused = |outcome: Outcome, words: &str| {
        assert_eq!((outcome.code, outcome.stdout.as_str()), (INVALID, ""));
        assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    };
    refused(
        refloat(&["show", "/nowhere/order.yaml"]),
        "/nowhere/order.yaml: ",
    );
    refused(
        refloat(&["schedule", "change", &order, "--name", "daily"]),
        "--ttl",
    );
    refused(
        refloat(&[
            "schedule", "change", &order, "--name", "weekly", "--ttl", "1d",
        ]),
        "there is no schedule `weekly`; there is daily",
    );
    refused(
        refloat(&["schedule", "remove", "-", "--name", "a", "--in-place"]),
        "--in-place",
    );
    let restore = ["self-heal", "restore", &order, "--record", &record];
    refused(refloat(&restore), "record.json: ");
    for text in [
        "{}",
        "{\"value\": 1}",
        "{\"absent\": [\"argocd\"]}",
        "[]",
        "{\"value\": true, \"word\": \"x: y\"}",
        "{\"other\": 1}",
    ] {
        fs::write(&record, text).unwrap();
        refused(refloat(&restore), "record");
    }
    fs::write(&order, b"values: |\n  \xff\n").unwrap();
    refused(refloat(&["show", &order]), ":2:3: the file is not UTF-8");
}

#[test]
fn what_cannot_be_written_fails() {
    let (_folder, order, _) = folder();
    let outcome = refloat(&[
        "self-heal",
        "off",
        &order,
        "--record",
        "/nowhere/record.json",
        "--in-place",
    ]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (FAILED, ""));
    assert!(outcome.stderr.contains("/nowhere/record.json"));
    assert_eq!(
        fs::read_to_string(&order).unwrap(),
        ORDER,
        "without a record nothing is turned off"
    );
}

#[cfg(unix)]
#[test]
fn in_place_keeps_permissions_and_links() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (folder, order, _) = folder();
    fs::set_permissions(&order, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link.yaml");
    symlink("order.yaml", &link).unwrap();
    let outcome = refloat(&[
        "schedule",
        "remove",
        link.to_str().unwrap(),
        "--name",
        "daily",
        "--in-place",
    ]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (DONE, ""));
    assert!(link.is_symlink());
    assert!(
        fs::read_to_string(&order)
            .unwrap()
            .ends_with("schedules: []\n")
    );
    assert_eq!(
        fs::metadata(&order).unwrap().permissions().mode() & 0o777,
        0o640
    );
}

#[test]
fn a_note_says_when_nothing_will_be_backed_up() {
    let text = ORDER.replace("take_backup: true", "take_backup: false");
    let outcome = refloat_with(
        &text,
        &["schedule", "change", "-", "--name", "daily", "--ttl", "1d"],
    );
    assert_eq!(outcome.code, DONE);
    assert!(
        outcome.stderr.contains("nothing is backed up"),
        "{}",
        outcome.stderr
    );
}
