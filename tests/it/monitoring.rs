//! The alerts and the dashboard in `deploy/monitoring`, held to what is served and, where it
//! is installed, to Prometheus' own tool; and the metrics, held to Prometheus' conventions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use refloat::{copy, request, schedule};
use serde_json::{Value, json};

use crate::manifests::manifest;

/// What is served of one family of metrics.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    /// The names of the samples, and the names of their labels.
    samples: BTreeMap<String, BTreeSet<String>>,
}

/// The families of a text in OpenMetrics' form.
fn families(text: &str) -> anyhow::Result<BTreeMap<String, Family>> {
    let mut all: BTreeMap<String, Family> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(said) = line.strip_prefix("# ") {
            let mut words = said.splitn(3, ' ');
            let mut word = || words.next().with_context(|| line.to_owned());
            let (what, name, value) = (word()?, word()?, word()?);
            last.clone_from(&name.to_owned());
            let family = all.entry(last.clone()).or_default();
            match what {
                "TYPE" => value.clone_into(&mut family.kind),
                "HELP" => value.clone_into(&mut family.help),
                "UNIT" => {}
                other => anyhow::bail!("{other}: {line}"),
            }
            continue;
        }
        let (series, _) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let family = all.get_mut(&last).with_context(|| line.to_owned())?;
        let known = family.samples.entry(name.to_owned()).or_default();
        known.extend(labels_of(labels.trim_end_matches('}')));
    }
    Ok(all)
}

/// The names of the labels in `a="b",c=~"d"`.
fn labels_of(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches(',').trim_end_matches('!').trim();
        names.push(name.to_owned());
        let value = after.trim_start_matches('~').trim_start_matches('"');
        // No value that is looked at here has a quote in it.
        rest = value.split_once('"').map_or("", |(_, rest)| rest);
    }
    names
}

fn is_snake(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !name.contains("__")
}

/// Fails if what is served is not named as Prometheus' documentation on naming and on
/// exposition has it.
pub fn check_conventions(text: &str) -> anyhow::Result<()> {
    for (name, family) in families(text)? {
        let Family {
            kind,
            help,
            samples,
        } = &family;
        anyhow::ensure!(!kind.is_empty() && !help.is_empty(), "{name}: {family:?}");
        anyhow::ensure!(is_snake(&name) && name.starts_with("refloat_"), "{name}");
        // A family is named without what its samples end with.
        for end in ["_total", "_count", "_sum", "_bucket", "_info", "_created"] {
            anyhow::ensure!(!name.ends_with(end), "{name}");
        }
        // Base units, whole words.
        for part in [
            "ms",
            "milliseconds",
            "minutes",
            "hours",
            "days",
            "percent",
            "kb",
            "mb",
        ] {
            anyhow::ensure!(!name.split('_').any(|word| word == part), "{name}");
        }
        let of_time = ["duration", "skew", "timestamp", "off", "age"];
        if name.split('_').any(|word| of_time.contains(&word)) {
            anyhow::ensure!(name.ends_with("_seconds"), "{name} has no unit");
        }
        let ends: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "info" => &["_info"],
            "histogram" => &["_sum", "_count", "_bucket"],
            other => anyhow::bail!("{name}: {other}"),
        };
        for (sample, labels) in samples {
            let end = sample
                .strip_prefix(name.as_str())
                .context("another's sample")?;
            anyhow::ensure!(ends.contains(&end), "{sample} is a {kind}");
            for label in labels {
                let own = label == "le" && end == "_bucket";
                anyhow::ensure!(
                    own || (is_snake(label) && label != "le"),
                    "{sample}: {label}"
                );
                // What a label says, the name does not.
                anyhow::ensure!(!name.ends_with(&format!("_by_{label}")), "{name}");
            }
        }
    }
    Ok(())
}

/// The expressions of the dashboard, each with what its legend shows.
fn board() -> anyhow::Result<Vec<(String, String)>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring/refloat-dashboard.json");
    let board: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
    let panels = board["panels"].as_array().context("no panels")?;
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let all: Vec<(String, String)> = targets
        .map(|target| {
            let text = |field: &str| target[field].as_str().unwrap_or_default().to_owned();
            (text("expr"), text("legendFormat"))
        })
        .collect();
    anyhow::ensure!(
        panels.len() > 8 && all.len() >= panels.len(),
        "{} panels",
        panels.len()
    );
    Ok(all)
}

/// The rules' groups.
fn rules() -> anyhow::Result<Value> {
    let rule = manifest("monitoring/prometheusrule.yaml")?.remove(0);
    Ok(rule["spec"].clone())
}

fn alerts(rules: &Value) -> Vec<&Value> {
    let groups = rules["groups"].as_array().into_iter().flatten();
    groups
        .flat_map(|group| group["rules"].as_array().into_iter().flatten())
        .collect()
}

/// Fails if a query of the alerts or of the dashboard speaks of what is not served.
pub fn check_queries(text: &str) -> anyhow::Result<()> {
    let mut served: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for family in families(text)?.into_values() {
        served.extend(family.samples);
    }
    let rules = rules()?;
    let mut queries = board()?;
    queries.extend(alerts(&rules).into_iter().map(|alert| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let notes = &alert["annotations"];
        (
            text(&alert["expr"]),
            text(&notes["summary"]) + &text(&notes["description"]),
        )
    }));
    for (query, shown) in queries {
        let mut spoken: BTreeSet<String> = BTreeSet::new();
        let mut known: BTreeSet<String> = BTreeSet::new();
        for (at, _) in query.match_indices("refloat_") {
            let rest = &query[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
            let labels = served
                .get(name)
                .with_context(|| format!("{name} is not served: {query}"))?;
            known.extend(labels.iter().cloned());
            if let Some(selector) = after.strip_prefix('{') {
                let (selector, _) = selector.split_once('}').context("no end")?;
                let named = labels_of(selector);
                let other = named.iter().find(|label| !labels.contains(*label));
                anyhow::ensure!(other.is_none(), "{name} has no label {other:?}: {query}");
            }
        }
        anyhow::ensure!(!known.is_empty() || !query.contains('{'), "{query}");
        let mut kept = known.clone();
        for (_, grouped) in query
            .split("by (")
            .skip(1)
            .filter_map(|rest| rest.split_once(')').map(|it| (it.1, it.0)))
        {
            let labels: BTreeSet<String> =
                grouped.split(',').map(|it| it.trim().to_owned()).collect();
            spoken.extend(labels.iter().cloned());
            kept = labels;
        }
        for (_, rest) in shown
            .match_indices("{{")
            .map(|(at, _)| shown.split_at(at + 2))
        {
            let inside = rest
                .split_once("}}")
                .map_or(rest, |(inside, _)| inside)
                .trim();
            let label = inside.strip_prefix("$labels.").unwrap_or(inside);
            if !label.starts_with('$') {
                anyhow::ensure!(kept.contains(label), "{label} is not in what {query} gives");
            }
        }
        let unknown: Vec<&String> = spoken.difference(&known).collect();
        anyhow::ensure!(unknown.is_empty(), "nothing has {unknown:?}: {query}");
    }
    Ok(())
}

/// What a query says of phases is true of them.
#[test]
fn the_dashboard_knows_which_phases_are_over() -> anyhow::Result<()> {
    let restores = request::Phase::ALL.map(|it| (it.name(), it.is_over()));
    let schedules = schedule::Phase::ALL.map(|it| (it.name(), it.is_over()));
    let copies = copy::Phase::ALL.map(|it| (it.name(), it.is_over()));
    let all: Vec<(&str, bool)> = restores
        .into_iter()
        .chain(schedules)
        .chain(copies)
        .collect();
    let over = |wanted: bool| -> BTreeSet<&str> {
        all.iter()
            .filter(|it| it.1 == wanted)
            .map(|it| it.0)
            .collect()
    };
    assert!(
        over(true).is_disjoint(&over(false)),
        "one name for two things"
    );
    let mut said = 0;
    for (query, _) in board()? {
        for (_, rest) in query
            .match_indices("phase")
            .map(|(at, word)| query.split_at(at + word.len()))
        {
            let (operator, value) = rest.split_once('"').context("no value")?;
            let (value, _) = value.split_once('"').context("no end")?;
            let phases: BTreeSet<&str> = value.split('|').collect();
            match operator {
                "!~" => assert_eq!(phases, over(true), "{query}"),
                _ => assert!(phases.is_subset(&over(false)), "{query}"),
            }
            said += 1;
        }
    }
    assert!(said > 1, "{said}");
    Ok(())
}

/// Prometheus' own tool reads every query, and each alert fires when it should and not
/// before, as `tests/monitoring.yaml` has it.
#[test]
fn prometheus_takes_the_queries_and_each_alert_fires() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let cases = include_str!("../monitoring.yaml");
    let rules = rules()?;
    for alert in alerts(&rules) {
        let name = alert["alert"].as_str().context("it has no name")?;
        let fires = format!("alertname=\"{name}\",alertstate=\"firing\"");
        anyhow::ensure!(cases.contains(&fires), "no case has {name} fire");
    }
    std::fs::write(
        folder.path().join("rules.yaml"),
        serde_json::to_string(&rules)?,
    )?;
    std::fs::write(folder.path().join("cases.yaml"), cases)?;
    let recorded: Vec<Value> = board()?
        .into_iter()
        .enumerate()
        .map(|(at, (query, _))| json!({"record": format!("board:{at}"), "expr": query}))
        .collect();
    let board = json!({"groups": [{"name": "board", "rules": recorded}]});
    std::fs::write(
        folder.path().join("board.yaml"),
        serde_json::to_string(&board)?,
    )?;
    for words in [
        ["check", "rules", "rules.yaml"],
        ["check", "rules", "board.yaml"],
        ["test", "rules", "cases.yaml"],
    ] {
        let ran = Command::new("promtool")
            .args(words)
            .current_dir(folder.path())
            .output();
        let output = match ran {
            Ok(output) => output,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                println!("skipped: promtool is not installed");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let said =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "{words:?}: {said}");
    }
    Ok(())
}
