//! `refloat schedule`, as a person or a script calls it.

use clap::Parser;
use refloat::cli::schedule::{DONE, INVALID, ScheduleCommand, run};

#[derive(Parser, Debug)]
struct Cli {
    #[command(subcommand)]
    command: ScheduleCommand,
}

struct Outcome {
    code: u8,
    stdout: String,
    stderr: String,
}

fn refloat(arguments: &[&str]) -> Outcome {
    let cli = Cli::try_parse_from([&["schedule"], arguments].concat()).unwrap();
    let now = "2026-11-24T12:00:00.5Z".parse().unwrap();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let code = run(&cli.command, now, &mut stdout, &mut stderr);
    Outcome {
        code,
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

#[test]
fn explain_prints_the_cron_and_the_next_runs() {
    let expected = "0 1 * * *\n2026-11-25T01:00:00Z\n2026-11-26T01:00:00Z\n2026-11-27T01:00:00Z\n";
    for arguments in [
        &["explain", "every day at 01:00"][..],
        &["explain", "every", "day", "at", "01:00"],
        &["explain", "0 1 * * *"],
        &["explain", "0", "1", "*", "*", "*"],
    ] {
        let outcome = refloat(arguments);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (DONE, ""));
        assert_eq!(outcome.stdout, expected);
    }
}

#[test]
fn explain_counts_from_where_it_is_told() {
    let outcome = refloat(&[
        "explain",
        "Sundays",
        "03:30",
        "--from",
        "2026-12-06T03:30:00Z",
        "--count",
        "2",
    ]);
    assert_eq!(
        outcome.stdout,
        "30 3 * * 0\n2026-12-13T03:30:00Z\n2026-12-20T03:30:00Z\n"
    );
    let outcome = refloat(&[
        "explain",
        "--count=1",
        "--from=2026-10-25T02:29:59+02:00",
        "CRON_TZ=Europe/Oslo 30 2 * * *",
    ]);
    assert_eq!(
        outcome.stdout,
        "CRON_TZ=Europe/Oslo 30 2 * * *\n2026-10-25T00:30:00Z\n"
    );
    let outcome = refloat(&["explain", "@every 6h", "--count", "1"]);
    assert_eq!(outcome.stdout, "@every 6h\n2026-11-24T18:00:00Z\n");
    assert_eq!(
        refloat(&["explain", "@daily", "--count", "0"]).stdout,
        "@daily\n"
    );
}

#[test]
fn explain_says_what_it_does_not_understand() {
    for words in [
        "every blue moon",
        "0 1 * * 7",
        "",
        "first sunday of the month",
        "* * *",
    ] {
        let outcome = refloat(&["explain", words]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (INVALID, ""),
            "{words}"
        );
        assert_eq!(outcome.stderr.lines().count(), 1);
        assert!(
            outcome
                .stderr
                .contains("for example `0 1 * * *`, `every day at 01:00` or `Sundays 03:30`")
        );
    }
}

#[test]
fn explain_says_what_never_runs() {
    let outcome = refloat(&["explain", "0 0 30 2 *"]);
    assert_eq!(
        (outcome.code, outcome.stdout.as_str()),
        (DONE, "0 0 30 2 *\n")
    );
    assert!(outcome.stderr.contains("never runs"));
}

#[test]
fn wrong_options_are_refused() {
    for arguments in [
        &["explain"][..],
        &["explain", "@daily", "--from", "yesterday"],
        &["explain", "@daily", "--count", "-1"],
        &["explain", "@daily", "--count", "many"],
    ] {
        assert_eq!(
            Cli::try_parse_from([&["schedule"], arguments].concat())
                .unwrap_err()
                .exit_code(),
            2
        );
    }
}
