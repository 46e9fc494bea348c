//! Completion as text: a line that ends in `?` is answered with what can follow.

use jiff::Timestamp;
use refloat_commands::{Completes, Completion, Namespace, ScheduleName, Tenant, complete};

use super::backups::newest;
use super::find::{is_active, may_see};
use super::{Desk, Failure, request_name};
use crate::backups::Backup;
use crate::chat::harmless::{code, harmless};
use crate::chat::words::{self, put};
use crate::chat::{Completing, Incoming, Offer};
use crate::request::phase;
use crate::request::preflight::{OrderView, label_value};
use crate::request::resource::Person;

/// How many values are offered at most.
const OFFERED: usize = 25;

/// A value that can follow, and what it is.
struct Value {
    value: String,
    doc: String,
}

impl Desk {
    /// What can follow, if that is what is asked.
    pub(super) async fn complete(&self, incoming: &Incoming) -> Result<Option<String>, Failure> {
        let Some(line) = asked(&incoming.text) else {
            return Ok(None);
        };
        let completion = complete(line);
        if completion.offers.is_empty()
            && completion.wanted == Completes::Nothing
            && !line.trim().is_empty()
        {
            // A question mark within free text, such as a reason, is part of it.
            return Ok(None);
        }
        let values = self.values(&incoming.from, &completion).await?;
        Ok(Some(answer(line, &completion, &values)))
    }

    /// Offers what can follow, by what is known already; the orders that are not
    /// are read meanwhile, for the next letter.
    pub(super) async fn offer(&self, completing: Completing) {
        let Completing {
            from,
            completion,
            offers,
        } = completing;
        let desk = Self {
            people: std::sync::Arc::new(self.rights.lately(&self.people, &from)),
            ..self.clone()
        };
        let words = completion.offers.iter().map(|offer| Offer {
            value: offer.insert.clone(),
            doc: offer.doc.clone(),
        });
        let mut all: Vec<Offer> = words.collect();
        match desk.values(&from, &completion).await {
            Ok(values) => all.extend(values.into_iter().map(|value| Offer {
                value: value.value,
                doc: value.doc,
            })),
            Err(Failure::Refused(_)) => {}
            Err(Failure::Broken(error)) => {
                tracing::warn!(error = format!("{error:#}"), "nothing could be offered");
            }
        }
        // Whoever asked may have given up.
        let _ = offers.send(all);
    }

    async fn values(&self, from: &Person, completion: &Completion) -> Result<Vec<Value>, Failure> {
        let wanted = completion.wanted;
        let permitted = self.people.tenants_of(from);
        let given = given(completion, "tenant");
        let tenants: Vec<String> = match given {
            // What the person may not use is not offered, and not looked at.
            Some(tenant) => permitted
                .iter()
                .filter(|name| *name == tenant)
                .cloned()
                .collect(),
            None => permitted.clone(),
        };
        let mut values = match wanted {
            Completes::Nothing | Completes::Days | Completes::Topics => Vec::new(),
            Completes::Tenants => permitted
                .into_iter()
                .map(|tenant| Value {
                    value: tenant,
                    doc: String::new(),
                })
                .collect(),
            Completes::Namespaces => namespaces(
                &self.known_orders(tenants).await,
                given.is_some(),
                completion,
            ),
            Completes::Schedules => schedules(&self.known_orders(tenants).await),
            Completes::Backups => {
                let orders = self.known_orders(tenants).await;
                self.known_backups(&orders, completion)
            }
            Completes::Requests => self
                .all()
                .await?
                .iter()
                .filter(|request| {
                    is_active(request) && may_see(from, request, &self.people).is_ok()
                })
                .map(|request| Value {
                    value: request_name(request).to_owned(),
                    doc: format!(
                        "{}, {}",
                        request.spec.namespaces.join(", "),
                        phase(
                            request
                                .status
                                .as_ref()
                                .unwrap_or(&crate::request::RestoreStatus::default())
                        )
                        .in_words()
                    ),
                })
                .collect(),
        };
        if wanted == Completes::Requests {
            let mut schedules = self.offered_schedule_requests(from).await?;
            schedules.extend(self.active_copies(from).await?);
            values.extend(
                schedules
                    .into_iter()
                    .map(|(value, doc)| Value { value, doc }),
            );
        }
        values.retain(|value| value.value.starts_with(completion.prefix.as_str()));
        Ok(values)
    }

    /// Reads what completion will offer from.
    pub(super) async fn read_ahead(&self) {
        let mut tenants: Vec<String> = self
            .people
            .0
            .iter()
            .flat_map(|entry| entry.tenants.clone())
            .collect();
        tenants.sort_unstable();
        tenants.dedup();
        self.known_orders(tenants).await;
    }

    /// The orders as they were read lately; one that cannot be read is left out.
    pub(super) async fn known_orders(&self, tenants: Vec<String>) -> Vec<(String, OrderView)> {
        let reads = tenants.into_iter().map(|tenant| async move {
            let lookup = std::sync::Arc::clone(&self.lookup);
            let named = tenant.clone();
            let read = self
                .offered
                .orders
                .get(tenant.clone(), move || lookup(named))
                .await;
            match read {
                Ok(order) => order.map(|order| (tenant, order)),
                Err(error) => {
                    tracing::warn!(
                        tenant,
                        error = format!("{error:#}"),
                        "the order cannot be read"
                    );
                    None
                }
            }
        });
        let read = futures::future::join_all(reads).await;
        read.into_iter().flatten().collect()
    }

    /// Backups of the tenants' namespaces, newest first.
    fn known_backups(&self, orders: &[(String, OrderView)], completion: &Completion) -> Vec<Value> {
        // Whoever types cannot wait: what is not known yet is not offered.
        let now = self.clock.now();
        self.shelf.look(|backups, _| {
            let meant: Vec<Meant<'_>> = orders
                .iter()
                .map(|(tenant, order)| Meant::of(tenant, order, completion))
                .collect();
            let wanted = |backup: &Backup| {
                backup.name.starts_with(completion.prefix.as_str())
                    && meant.iter().any(|meant| meant.is(backup))
            };
            newest(backups, wanted)
                .into_iter()
                .map(|backup| Value {
                    value: backup.name.clone(),
                    doc: backup_in_words(backup, now),
                })
                .collect()
        })
    }
}

/// The line before the question mark, if what can follow is asked.
fn asked(text: &str) -> Option<&str> {
    text.trim_end().strip_suffix('?')
}

fn given<'a>(completion: &'a Completion, option: &str) -> Option<&'a str> {
    completion
        .given
        .iter()
        .find(|(name, _)| name == option)
        .map(|(_, value)| value.as_str())
}

fn namespaces(
    orders: &[(String, OrderView)],
    one_tenant: bool,
    completion: &Completion,
) -> Vec<Value> {
    let before: Vec<&str> = given(completion, "namespaces")
        .map(|list| list.split(',').map(str::trim).collect())
        .unwrap_or_default();
    let mut values = Vec::new();
    for (tenant, order) in orders {
        for namespace in &order.namespaces {
            let short = namespace
                .strip_prefix(tenant.as_str())
                .and_then(|rest| rest.strip_prefix('-'))
                .unwrap_or(namespace);
            if before.contains(&short) || before.contains(&namespace.as_str()) {
                continue;
            }
            let typed_in_full =
                !completion.prefix.is_empty() && !short.starts_with(completion.prefix.as_str());
            let value = if one_tenant && !typed_in_full {
                short
            } else {
                namespace
            };
            values.push(Value {
                value: value.to_owned(),
                doc: namespace.clone(),
            });
        }
    }
    values
}

fn schedules(orders: &[(String, OrderView)]) -> Vec<Value> {
    let mut values = Vec::new();
    for (tenant, order) in orders {
        for schedule in &order.schedules {
            values.push(Value {
                value: schedule.clone(),
                doc: format!("of {tenant}"),
            });
        }
    }
    values
}

/// Which backups of a tenant are meant by what is given, worked out once for thousands of them.
struct Meant<'a> {
    order: &'a OrderView,
    /// The label of the schedule's backups; an error for what is no schedule's name.
    label: Option<Result<String, ()>>,
    /// All of these, if there are any; else any of the tenant's.
    namespaces: Vec<String>,
}

impl<'a> Meant<'a> {
    fn of(tenant: &str, order: &'a OrderView, completion: &Completion) -> Self {
        let label = given(completion, "schedule").map(|schedule| {
            schedule
                .parse::<ScheduleName>()
                .map(|schedule| label_value(&format!("{tenant}-{schedule}")))
                .map_err(|_| ())
        });
        let namespaces = given(completion, "namespaces")
            .or(given(completion, "namespace"))
            .zip(tenant.parse::<Tenant>().ok())
            .map(|(list, tenant)| {
                list.split(',')
                    .filter_map(|name| name.trim().parse::<Namespace>().ok())
                    .filter_map(|namespace| namespace.full(&tenant).ok())
                    .map(|full| full.as_str().to_owned())
                    .filter(|full| order.namespaces.contains(full))
                    .collect()
            })
            .unwrap_or_default();
        Self {
            order,
            label,
            namespaces,
        }
    }

    /// Whether a backup is of the tenant, and of the schedule and the namespaces that are given.
    fn is(&self, backup: &Backup) -> bool {
        let has = |namespace: &String| {
            backup.included.iter().any(|name| **name == **namespace) && backup.holds(namespace)
        };
        let of_schedule = match &self.label {
            None => true,
            Some(Ok(label)) => backup.schedule.as_deref() == Some(label.as_str()),
            Some(Err(())) => false,
        };
        of_schedule
            && if self.namespaces.is_empty() {
                self.order.namespaces.iter().any(has)
            } else {
                self.namespaces.iter().all(has)
            }
    }
}

fn backup_in_words(backup: &Backup, now: Timestamp) -> String {
    let phase = match &*backup.phase {
        "" => "New",
        phase => phase,
    };
    match backup.started_at {
        Some(at) => format!("{} old, {phase}", words::between(at, now)),
        None => phase.to_owned(),
    }
}

/// What can follow, in a list.
fn answer(line: &str, completion: &Completion, values: &[Value]) -> String {
    let line = line.trim();
    let mut text = if line.is_empty() {
        "You can say:".to_owned()
    } else {
        format!("After {} can follow:", code(line))
    };
    let offers = completion
        .offers
        .iter()
        .map(|offer| (offer.insert.as_str(), offer.doc.as_str()));
    let values_shown = values
        .iter()
        .map(|value| (value.value.as_str(), value.doc.as_str()));
    let all: Vec<(&str, &str)> = offers.chain(values_shown).collect();
    for (insert, doc) in all.iter().take(OFFERED) {
        text.push_str("\n- ");
        text.push_str(&code(insert));
        if !doc.is_empty() {
            text.push_str(": ");
            text.push_str(&harmless(doc, 120));
        }
    }
    if all.len() > OFFERED {
        put(
            &mut text,
            format_args!("\n- and {} more: type a few letters", all.len() - OFFERED),
        );
    }
    if all.is_empty() {
        text = format!(
            "I know nothing that can follow {}: there is nothing of that kind which you may use.",
            code(line)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn order() -> Vec<(String, OrderView)> {
        let order = OrderView {
            path: String::new(),
            namespaces: vec!["poseidon1-dev".to_owned(), "poseidon1-test".to_owned()],
            schedules: vec!["daily".to_owned()],
            self_heal: true,
        };
        vec![("poseidon1".to_owned(), order)]
    }

    fn values(values: &[Value]) -> String {
        let values: Vec<&str> = values.iter().map(|value| value.value.as_str()).collect();
        values.join(" ")
    }

    #[test]
    fn a_question_mark_asks_only_where_something_can_follow() {
        assert_eq!(asked("?"), Some(""));
        assert_eq!(asked("restore request ? "), Some("restore request "));
        assert_eq!(asked("restore"), None);
        let reason = complete("deny is this right");
        assert!(reason.offers.is_empty() && reason.wanted == Completes::Nothing);
    }

    #[test]
    fn offers_what_is_not_there_yet() {
        let line = complete("restore request tenant:poseidon1 namespaces:dev,");
        assert_eq!(values(&namespaces(&order(), true, &line)), "test");
        let line = complete("restore request tenant:poseidon1 namespaces:pos");
        assert_eq!(
            values(&namespaces(&order(), true, &line)),
            "poseidon1-dev poseidon1-test"
        );
        assert_eq!(values(&schedules(&order())), "daily");
    }

    #[test]
    fn offers_the_backups_of_what_is_given() {
        let backup = |name: &str, schedule: &str, namespaces: &[&str]| -> Backup {
            crate::effects::velero::shelf::backup(
                &serde_json::from_value(json!({
                    "apiVersion": "velero.io/v1", "kind": "Backup",
                    "metadata": {"name": name, "labels": {"velero.io/schedule-name": schedule}},
                    "spec": {"includedNamespaces": namespaces},
                    "status": {"phase": "Completed", "startTimestamp": "2026-11-24T01:00:00Z"},
                }))
                .unwrap(),
            )
        };
        let both = backup(
            "both",
            "poseidon1-daily",
            &["poseidon1-dev", "poseidon1-test"],
        );
        let dev = backup("dev", "poseidon1-weekly", &["poseidon1-dev"]);
        let other = backup("other", "triton2-daily", &["triton2-dev"]);
        let everything = backup("everything", "platform", &["*"]);
        let (tenant, order) = &order()[0];
        let of = |line: &str| -> String {
            let completion = complete(line);
            let meant = Meant::of(tenant, order, &completion);
            [&both, &dev, &other, &everything]
                .into_iter()
                .filter(|backup| meant.is(backup))
                .map(|backup| backup.name.clone() + " ")
                .collect()
        };
        assert_eq!(of("restore request tenant:poseidon1 backup:"), "both dev ");
        assert_eq!(
            of("restore request tenant:poseidon1 namespaces:dev,test backup:"),
            "both "
        );
        assert_eq!(
            of("restore request tenant:poseidon1 schedule:weekly backup:"),
            "dev "
        );
        let now: Timestamp = "2026-11-24T04:02:00Z".parse().unwrap();
        assert_eq!(backup_in_words(&dev, now), "3 h 2 min old, Completed");
    }

    #[test]
    fn the_answer_is_a_list() {
        let offered = [Value {
            value: "poseidon1".to_owned(),
            doc: String::new(),
        }];
        let line = "restore request tenant:";
        insta::assert_snapshot!(answer(line, &complete(line), &offered), @r#"
After `restore request tenant:` can follow:
- `poseidon1`
"#);
        insta::assert_snapshot!(answer("restore ", &complete("restore "), &[]), @"
        After `restore` can follow:
        - `request`: Start a restore: it is checked, approved and carried out in a thread of its own
        - `preview`: Show what a restore would delete and bring back, touching nothing
        - `copy`: Restore a namespace beside the original, into a new one
        - `status`: Show where a request stands
        - `withdraw`: Call a request off; possible until something is deleted
        - `retry`: Go on with a request that is stuck
        - `undo`: Go back to the safety backup of a request, by a new request of its own
        - `resume`: Turn self-heal on again with things as they are, if a request is stuck
        - `consent`: Consent, as a reviewer, to what the checks of a request mark so
        - `waive`: Let a request whose safety backup failed go on without one, as a reviewer
        - `log`: Show Velero's log of a request's restore
        ");
        insta::assert_snapshot!(answer(line, &complete(line), &[]), @r#"I know nothing that can follow `restore request tenant:`: there is nothing of that kind which you may use."#);
    }
}
