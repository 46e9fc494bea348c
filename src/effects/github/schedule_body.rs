//! What a reviewer reads in a pull request that changes schedules.

use std::fmt::Write as _;

use super::body::harmless;
use crate::request::preflight::{list, local};
use crate::schedule::resource::{Action, Change};
use crate::schedule::{Entry, ScheduleRequest, next_run, velero_name};

/// The title and the body of the pull request of a request that was checked.
pub fn describe_schedule(request: &ScheduleRequest, zone: &jiff::tz::TimeZone) -> (String, String) {
    let spec = &request.spec;
    let change = &spec.change;
    let name = request.metadata.name.as_deref().unwrap_or_default();
    let title = match change.action {
        Action::Add => format!("Add the backup schedule {} of {}", change.name, spec.tenant),
        Action::Change => format!(
            "Change the backup schedule {} of {}",
            change.name, spec.tenant
        ),
        Action::Remove => format!(
            "Remove the backup schedule {} of {}",
            change.name, spec.tenant
        ),
    };
    let mut body = String::new();
    // Writing to a String cannot fail; hence the ignored results below.
    let _ = writeln!(
        body,
        "**{}** asks to {} the backup schedule `{}` of the tenant **{}** (request `{name}`).\n",
        harmless(&spec.requester.name),
        change.action.word(),
        change.name,
        spec.tenant
    );
    let checked = request
        .status
        .as_ref()
        .and_then(|status| status.checked.as_ref());
    if let Some(checked) = checked {
        let _ = writeln!(body, "| | name | runs | kept |\n|---|---|---|---|");
        for (which, entry) in [("before", &checked.before), ("after", &checked.after)] {
            if let Some(Entry {
                name,
                schedule,
                ttl,
            }) = entry
            {
                let _ = writeln!(
                    body,
                    "| {which} | `{name}` | `{schedule}` | {} |",
                    ttl.as_deref().unwrap_or("Velero's default")
                );
            }
        }
        let _ = writeln!(
            body,
            "\nIt covers {}.",
            if checked.namespaces.is_empty() {
                "no namespace yet".to_owned()
            } else {
                list(&checked.namespaces)
            }
        );
        if let Some(after) = &checked.after
            && let Some(next) = next_run(&after.schedule, checked.at)
        {
            let _ = writeln!(
                body,
                "As of now it would first run at {}.",
                local(next, zone)
            );
        }
        let _ = writeln!(body, "\nChecked:\n");
        for check in &checked.checks {
            let _ = writeln!(body, "- {}", harmless(check));
        }
    }
    if let Change {
        words: Some(words), ..
    } = change
    {
        let _ = writeln!(body, "\nIn the words that were typed: {}", harmless(words));
    }
    let _ = writeln!(body, "\n{}", after_the_merge(request));
    (title, body)
}

fn after_the_merge(request: &ScheduleRequest) -> String {
    let spec = &request.spec;
    let old = velero_name(&spec.tenant, &spec.change.name);
    let leaves = format!(
        "the Velero Schedule `{old}` is deleted if Argo CD leaves it; its backups stay until they \
         expire"
    );
    let then = match (spec.change.action, &spec.change.new_name) {
        (Action::Remove, _) => format!("{leaves}."),
        (Action::Change, Some(new)) if *new != spec.change.name => {
            format!("the schedule is confirmed by its first good backup; {leaves}.")
        }
        (Action::Add | Action::Change, _) => {
            "the schedule is confirmed by its first good backup.".to_owned()
        }
    };
    format!(
        "After the merge Refloat asks Argo CD to look, and waits until Velero has what the order \
         says: {then} Closing this pull request denies the request."
    )
}
