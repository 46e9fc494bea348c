//! Reading: from the tree to the typed order, with every fault named.

use super::anchors::Anchors;
use super::fault::{Fault, OrderError};
use super::source::Source;
use super::tree::{Kind, Node, Style};
use super::{Backup, Environment, Order, Schedule, Setting, SyncPolicy};

/// The words that are a boolean for every reader of YAML.
pub(super) fn boolean(word: &str) -> Option<bool> {
    match word {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

pub(super) fn read(source: &Source) -> Result<Order, OrderError> {
    let mut reader = Reader {
        source,
        anchors: Anchors::of(source.document()),
        faults: Vec::new(),
    };
    let order = reader.order();
    match order {
        Some(order) if reader.faults.is_empty() => Ok(order),
        _ => Err(OrderError::many(reader.faults)),
    }
}

struct Reader<'s> {
    source: &'s Source,
    anchors: Anchors<'s>,
    faults: Vec<Fault>,
}

/// A value that was found, and the key it stands under.
#[derive(Clone, Copy)]
struct Found<'s> {
    key: &'s Node,
    value: &'s Node,
}

impl<'s> Reader<'s> {
    fn fault(&mut self, at: &Node, path: &str, words: impl Into<String>) {
        self.faults.push(self.source.fault(at.start, path, words));
    }

    /// A fault of a value: it points at the value where that is on its key's line, else at the key.
    fn wrong(&mut self, found: Found<'s>, path: &str, words: impl Into<String>) {
        let text = self.source.text();
        let beside = text.line_of(found.key.start) == text.line_of(found.value.start)
            && found.value.start > found.key.start;
        self.fault(if beside { found.value } else { found.key }, path, words);
    }

    /// The value of `name` in `mapping`; `None` when it is absent or empty.
    fn get(&mut self, mapping: &'s Node, name: &str, path: &str) -> Option<Found<'s>> {
        let entry = self.anchors.get(mapping, name, 4)?;
        let value = self.anchors.resolve(&entry.value);
        if value.is_null() {
            return None;
        }
        if let Some(tag) = &value.tag {
            let words = format!("has the tag `{tag}`; write it without one");
            let key = &entry.key;
            self.wrong(Found { key, value }, path, words);
            return None;
        }
        Some(Found {
            key: &entry.key,
            value,
        })
    }

    fn mapping(&mut self, parent: &'s Node, name: &str, path: &str) -> Option<&'s Node> {
        let found = self.get(parent, name, path)?;
        if matches!(found.value.kind, Kind::Mapping { .. }) {
            return Some(found.value);
        }
        let words = format!("must be a mapping, is {}", found.value.describe());
        self.wrong(found, path, words);
        None
    }

    fn list(&mut self, parent: &'s Node, name: &str, path: &str) -> &'s [Node] {
        let Some(found) = self.get(parent, name, path) else {
            return &[];
        };
        if let Kind::Sequence { items, .. } = &found.value.kind {
            return items;
        }
        let words = format!("must be a list, is {}", found.value.describe());
        self.wrong(found, path, words);
        &[]
    }

    fn text(&mut self, parent: &'s Node, name: &str, path: &str) -> Option<(String, &'s Node)> {
        let found = self.get(parent, name, path)?;
        match found.value.scalar() {
            Some((text, Style::Plain)) if !plain_is_text(text) => {
                let words = format!(
                    "must be a text, is `{}`: put it in quotes",
                    text.escape_debug()
                );
                self.wrong(found, path, words);
                None
            }
            Some((text, _)) => Some((text.to_owned(), found.value)),
            None => {
                let words = format!("must be a text, is {}", found.value.describe());
                self.wrong(found, path, words);
                None
            }
        }
    }

    fn setting(
        &mut self,
        parent: Option<&'s Node>,
        name: &str,
        path: &str,
        default: bool,
    ) -> Setting {
        let absent = Setting {
            value: default,
            written: false,
        };
        let Some(found) = parent.and_then(|parent| self.get(parent, name, path)) else {
            return absent;
        };
        match found.value.scalar() {
            Some((word, Style::Plain)) if boolean(word).is_some() => Setting {
                value: boolean(word) == Some(true),
                written: true,
            },
            _ => {
                let words = format!("must be true or false, is {}", found.value.describe());
                self.wrong(found, path, words);
                absent
            }
        }
    }

    fn order(&mut self) -> Option<Order> {
        let values = self.source.values();
        if !matches!(values.kind, Kind::Mapping { .. }) {
            let words = format!("must hold a mapping, holds {}", values.describe());
            self.fault(values, "values", words);
            return None;
        }
        let appname = self.appname();
        let tenant = self.tenant(values);
        let environments = self.environments(values, tenant.as_deref());
        let argocd = self.mapping(values, "argocd", "values.argocd");
        let policy = argocd
            .and_then(|argocd| self.mapping(argocd, "syncPolicy", "values.argocd.syncPolicy"));
        let sync_policy = SyncPolicy {
            self_heal: self.setting(
                policy,
                "selfHeal",
                "values.argocd.syncPolicy.selfHeal",
                true,
            ),
            prune: self.setting(policy, "prune", "values.argocd.syncPolicy.prune", true),
            allow_empty: self.setting(
                policy,
                "allowEmpty",
                "values.argocd.syncPolicy.allowEmpty",
                true,
            ),
        };
        let backup = self.backup(values);
        let tenant = tenant?;
        Some(Order {
            form: self.source.form,
            appname: appname.filter(|appname| *appname != tenant),
            tenant,
            environments,
            sync_policy,
            backup,
        })
    }

    /// `appname` stands beside `values`, outside of any block scalar.
    fn appname(&mut self) -> Option<String> {
        let document = &self.source.documents[self.source.place.0];
        let Kind::Mapping { entries, .. } = &document.kind else {
            return None;
        };
        let entry = entries
            .iter()
            .find(|entry| entry.name() == Some("appname"))?;
        let value = Anchors::of(document).resolve(&entry.value);
        match value.scalar() {
            _ if value.is_null() => None,
            Some((text, style)) if style != Style::Plain || plain_is_text(text) => {
                Some(text.to_owned())
            }
            _ => {
                let words = format!("must be a text, is {}", value.describe());
                self.faults
                    .push(self.source.file_fault(entry.key.start, "appname", &words));
                None
            }
        }
    }

    fn tenant(&mut self, values: &'s Node) -> Option<String> {
        let path = "values.namespace.name";
        let before = self.faults.len();
        let namespace = self.mapping(values, "namespace", "values.namespace");
        let name = namespace.and_then(|namespace| self.text(namespace, "name", path));
        if let Some((name, node)) = name {
            self.label(&name, node, path);
            return Some(name);
        }
        if self.faults.len() == before {
            let at = namespace.unwrap_or(values);
            self.fault(at, path, "is missing: it names the tenant");
        }
        None
    }

    /// Refuses what is no DNS-1123 label.
    fn label(&mut self, name: &str, at: &Node, path: &str) {
        if let Err(why) = super::name::label(name) {
            self.fault(at, path, format!("`{}` {why}", name.escape_debug()));
        }
    }

    fn environments(&mut self, values: &'s Node, tenant: Option<&str>) -> Vec<Environment> {
        let items = self.list(values, "environments", "values.environments");
        let mut environments: Vec<Environment> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for (index, item) in items.iter().enumerate() {
            let Some(item) = self.item(item, &format!("values.environments[{index}]")) else {
                continue;
            };
            let path = format!("values.environments[{index}].name");
            let before = self.faults.len();
            let Some((name, node)) = self.text(item, "name", &path) else {
                if self.faults.len() == before {
                    self.fault(item, &path, "is missing");
                }
                continue;
            };
            self.label(&name, node, &path);
            if !known.insert(name.clone()) {
                self.fault(
                    node,
                    &path,
                    format!("there is an environment `{name}` already"),
                );
            }
            let namespace = format!("{}-{name}", tenant.unwrap_or_default());
            if tenant.is_some() && self.faults.len() == before && namespace.len() > 63 {
                let words =
                    format!("the namespace `{namespace}` would be longer than 63 characters");
                self.fault(node, &path, words);
            }
            environments.push(Environment { name, namespace });
        }
        environments
    }

    /// An item of a list that must be a mapping.
    fn item(&mut self, item: &'s Node, path: &str) -> Option<&'s Node> {
        let item = self.anchors.resolve(item);
        if matches!(item.kind, Kind::Mapping { .. }) && item.tag.is_none() {
            return Some(item);
        }
        self.fault(
            item,
            path,
            format!("must be a mapping, is {}", item.describe()),
        );
        None
    }

    fn backup(&mut self, values: &'s Node) -> Backup {
        let backup = self.mapping(values, "backup", "values.backup");
        let take_backup = self.setting(backup, "take_backup", "values.backup.take_backup", false);
        let backuplabel = backup
            .and_then(|backup| self.text(backup, "backuplabel", "values.backup.backuplabel"))
            .map(|(text, _)| text);
        let items = backup.map_or(&[][..], |backup| {
            self.list(backup, "schedules", "values.backup.schedules")
        });
        let mut schedules = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("values.backup.schedules[{index}]");
            if let Some(item) = self.item(item, &path) {
                schedules.extend(self.schedule(item, &path));
            }
        }
        Backup {
            take_backup,
            backuplabel,
            schedules,
        }
    }

    fn schedule(&mut self, item: &'s Node, path: &str) -> Option<Schedule> {
        let mut required = |name: &str| {
            let path = format!("{path}.{name}");
            let before = self.faults.len();
            let text = self.text(item, name, &path);
            if text.is_none() && self.faults.len() == before {
                self.fault(item, &path, "is missing");
            }
            text
        };
        let name = required("name");
        let cron = required("schedule");
        let ttl = self.text(item, "ttl", &format!("{path}.ttl"));
        Some(Schedule {
            name: name?.0,
            cron: cron?.0,
            ttl: ttl.map(|(text, _)| text),
        })
    }
}

/// Is a plain scalar a text for every reader of YAML, rather than a number, a boolean or a date?
pub(super) fn plain_is_text(text: &str) -> bool {
    if boolean(text).is_some() {
        return false;
    }
    let digits = text.trim_start_matches(['-', '+', '.']);
    let number = digits
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit())
        && (digits.parse::<f64>().is_ok()
            || digits.starts_with("0x")
            || digits.starts_with("0o")
            || digits.starts_with("0b")
            || digits
                .bytes()
                .all(|byte| byte.is_ascii_digit() || b"_:.-".contains(&byte)));
    let words = [
        "yes", "no", "on", "off", "y", "n", "null", "~", ".nan", ".inf", "-.inf", "+.inf", "",
    ];
    !number && !words.contains(&text.to_ascii_lowercase().as_str())
}
