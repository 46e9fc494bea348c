//! What Velero says of a Restore: its warnings and errors, put into words.
//!
//! `{"errors": {"velero": [], "cluster": [], "namespaces": {"ns": []}}, "warnings": {...}}`.

use anyhow::Context as _;
use kube::Client;
use serde_json::Value;

use super::super::json;
use super::Order;
use super::files::{self, File};
use crate::request::observed::Results;
use crate::request::{names, short_uid};

/// More than these help nobody who reads a thread.
const MOST: usize = 10;

/// The warnings and errors of a Restore in Velero's words, the first few of them.
pub async fn results(client: &Client, order: &Order<'_>, round: usize) -> anyhow::Result<Results> {
    let restore = names::restore(order.uid, round);
    read(&files::text(client, order, File::RestoreResults, &restore).await?)
}

fn read(text: &str) -> anyhow::Result<Results> {
    let results: Value = serde_json::from_str(text).context("the results are not JSON")?;
    let (harmless, warnings): (Vec<String>, Vec<String>) = messages(&results, "/warnings")
        .into_iter()
        .partition(|message| is_harmless(message));
    Ok(Results {
        errors: cut(messages(&results, "/errors")),
        warnings: cut(warnings),
        harmless: i64::try_from(harmless.len()).unwrap_or(i64::MAX),
    })
}

/// What was kept exists, and so Velero skips it: that is how it should be.
fn is_harmless(warning: &str) -> bool {
    warning.contains("already exists")
}

/// The errors of a Backup in Velero's words, the first few of them.
pub async fn of_backup(
    client: &Client,
    namespace: &str,
    backup: &str,
) -> anyhow::Result<Vec<String>> {
    // The same for the same backup: what is asked of Velero belongs to the backup, and
    // to no request.
    let uid = format!("results-{}", short_uid(backup));
    let order = Order {
        namespace,
        request: "results",
        uid: &uid,
        namespaces: &[],
    };
    let text = files::text(client, &order, File::BackupResults, backup).await?;
    Ok(read(&text)?.errors)
}

fn messages(results: &Value, of: &str) -> Vec<String> {
    let mut all = json::strings(results, &format!("{of}/velero"));
    all.extend(json::strings(results, &format!("{of}/cluster")));
    if let Some(namespaces) = results
        .pointer(&format!("{of}/namespaces"))
        .and_then(Value::as_object)
    {
        for (namespace, messages) in namespaces {
            all.extend(
                json::strings(messages, "")
                    .into_iter()
                    .map(|message| format!("{namespace}: {message}")),
            );
        }
    }
    all
}

fn cut(mut messages: Vec<String>) -> Vec<String> {
    let more = messages.len().saturating_sub(MOST);
    messages.truncate(MOST);
    if more > 0 {
        messages.push(format!("and {more} more"));
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_with_their_namespace_and_harmless_warnings_are_folded() {
        let results = r#"{"warnings":{"namespaces":{"a":["could not restore, ConfigMap \"x\" already exists. Warning: the in-cluster version is different than the backed-up version","odd"]}},"errors":{"velero":["v"],"namespaces":{"a":["could not restore, Pod \"x\""]}}}"#;
        let results = read(results).expect("good results");
        assert_eq!(results.errors, ["v", "a: could not restore, Pod \"x\""]);
        assert_eq!(results.warnings, ["a: odd"]);
        assert_eq!(results.harmless, 1);
        assert_eq!(
            read(r#"{"errors":{}}"#).expect("no errors"),
            Results::default()
        );
    }

    #[test]
    fn what_is_no_result_is_an_error() {
        assert!(read("[").is_err());
    }

    #[test]
    fn many_errors_are_cut() {
        let many: Vec<String> = (0..25).map(|n| format!("\"e{n}\"")).collect();
        let results = format!("{{\"errors\":{{\"velero\":[{}]}}}}", many.join(","));
        let errors = read(&results).expect("good results").errors;
        assert_eq!(errors.len(), MOST + 1);
        assert_eq!(errors.last().map(String::as_str), Some("and 15 more"));
    }
}
