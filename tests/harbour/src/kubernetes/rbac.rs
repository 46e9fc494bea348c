//! Who asks, and what they may do: role-based access control.
//!
//! A token of the form `system:serviceaccount:<namespace>:<name>` is that
//! service account's, and is held to the roles bound to it; so is one that the server
//! was told of. Every other token is an administrator's. Each rule that let something pass is remembered, and
//! each request that none let pass, so that a test can find rights that are
//! missing and rights that nobody needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::http::{HeaderMap, Method, header};
use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::request::Target;
use super::status::Failure;
use super::store::{Key, World};

const GROUP: &str = "rbac.authorization.k8s.io";
const VERBS: &[&str] = &[
    "bind",
    "create",
    "delete",
    "deletecollection",
    "escalate",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
const ACCOUNT: &str = "system:serviceaccount:";

/// Service accounts, `namespace:name`, by their tokens.
pub(super) type Accounts = Arc<BTreeMap<String, String>>;

/// Somebody who sends requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) groups: Vec<String>,
}

impl User {
    /// Reads the bearer token.
    pub(super) fn of(headers: &HeaderMap, accounts: &Accounts) -> Self {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        match token.and_then(|token| accounts.get(token)) {
            Some(account) => Self::with(Some(&format!("{ACCOUNT}{account}"))),
            None => Self::with(token),
        }
    }

    /// Whom a token belongs to.
    pub(super) fn with(token: Option<&str>) -> Self {
        let Some(token) = token else {
            return Self {
                name: "system:anonymous".to_owned(),
                groups: vec![
                    "system:masters".to_owned(),
                    "system:unauthenticated".to_owned(),
                ],
            };
        };
        let account = token
            .strip_prefix(ACCOUNT)
            .and_then(|rest| rest.split_once(':'));
        let groups = match account {
            Some((namespace, _)) => vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated".to_owned(),
            ],
            None => vec![
                "system:masters".to_owned(),
                "system:authenticated".to_owned(),
            ],
        };
        Self {
            name: token.to_owned(),
            groups,
        }
    }

    /// Whether nothing is refused to them.
    pub(super) fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == "system:masters")
    }

    pub(super) fn info(&self) -> Value {
        json!({"username": self.name, "groups": self.groups})
    }

    /// Whether a subject of a binding in `namespace` means this user.
    fn is(&self, subject: &Value, namespace: &str) -> bool {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("ServiceAccount") => {
                let home = subject["namespace"].as_str().unwrap_or(namespace);
                self.name == format!("{ACCOUNT}{home}:{name}")
            }
            Some("User") => self.name == name,
            Some("Group") => self.groups.iter().any(|group| group == name),
            _ => false,
        }
    }
}

/// What a request wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) verb: &'static str,
    pub(super) group: String,
    /// The plural, with the subresource behind a slash.
    pub(super) resource: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Wish {
    pub(super) fn of(method: &Method, watches: bool, target: &Target) -> Self {
        let named = target.name.is_some();
        let verb = match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if named => "delete",
            Method::DELETE => "deletecollection",
            _ if watches => "watch",
            _ if named => "get",
            _ => "list",
        };
        let resource = match &target.subresource {
            None => target.plural.clone(),
            Some(sub) => format!("{}/{sub}", target.plural),
        };
        let name = target.name.clone().unwrap_or_default();
        // A namespace counts as being within itself.
        let namespace = match &target.ns {
            None if target.group.is_empty() && target.plural == "namespaces" => name.clone(),
            other => other.clone().unwrap_or_default(),
        };
        Self {
            verb,
            group: target.group.clone(),
            resource,
            namespace,
            name,
        }
    }

    /// What an access review asks about; none if it is not about a resource.
    pub(super) fn asked(attributes: &Value) -> Option<Self> {
        let text = |field: &str| attributes[field].as_str().unwrap_or_default();
        let verb = VERBS.iter().find(|verb| **verb == text("verb"))?;
        let resource = match text("subresource") {
            "" => text("resource").to_owned(),
            sub => format!("{}/{sub}", text("resource")),
        };
        Some(Self {
            verb,
            group: text("group").to_owned(),
            resource,
            namespace: text("namespace").to_owned(),
            name: text("name").to_owned(),
        })
    }

    /// The refusal, in the real server's words.
    fn refusal(&self, user: &User) -> Failure {
        let resource = &self.resource;
        let qualified = match (self.group.as_str(), resource.split_once('/')) {
            ("", _) => resource.clone(),
            (group, None) => format!("{resource}.{group}"),
            (group, Some((plural, sub))) => format!("{plural}.{group}/{sub}"),
        };
        let named = if self.name.is_empty() {
            String::new()
        } else {
            format!(" \"{}\"", self.name)
        };
        let place = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", self.namespace)
        };
        Failure::new(
            403,
            "Forbidden",
            format!(
                "{qualified}{named} is forbidden: User \"{}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}",
                user.name, self.verb, self.group
            ),
        )
    }

    /// Whether a rule covers this.
    fn covered(&self, rule: &Value) -> bool {
        let has =
            |field: &str, wanted: &str| texts(&rule[field]).any(|one| one == "*" || one == wanted);
        let resource = texts(&rule["resources"]).any(|one| {
            one == "*"
                || one == self.resource
                || one
                    .strip_prefix("*/")
                    .is_some_and(|sub| self.resource.ends_with(&format!("/{sub}")))
        });
        let mut names = texts(&rule["resourceNames"]).peekable();
        let named = names.peek().is_none() || names.any(|one| one == self.name);
        resource && named && has("verbs", self.verb) && has("apiGroups", &self.group)
    }
}

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// What service accounts were let do and what not.
#[derive(Clone, Debug, Default)]
pub struct Rights {
    /// `role: verb resource.group` of each right that let a request pass; `role` is
    /// `ClusterRole/<name>` or `Role/<namespace>/<name>`.
    pub used: BTreeSet<String>,
    /// `role[rule]: verb resource.group name` of each rule that alone let a request pass, by
    /// the rule's place in its role: without that verb it would have been refused.
    pub needed: BTreeSet<String>,
    /// What was refused, in the refusal's words.
    pub refused: BTreeSet<String>,
}

/// Lets a wish pass, or refuses it; either is written down.
pub(super) fn authorize(world: &mut World, user: &User, wish: &Wish) -> Result<(), Failure> {
    if user.is_master() {
        return Ok(());
    }
    let grants: Vec<(String, usize)> = granted(world, user, wish).collect();
    let Some((role, _)) = grants.first() else {
        let refusal = wish.refusal(user);
        world.rights.refused.insert(refusal.message().to_owned());
        return Err(refusal);
    };
    let group = if wish.group.is_empty() {
        String::new()
    } else {
        format!(".{}", wish.group)
    };
    let (plural, sub) = match wish.resource.split_once('/') {
        Some((plural, sub)) => (plural, format!("/{sub}")),
        None => (wish.resource.as_str(), String::new()),
    };
    let what = format!("{} {plural}{group}{sub}", wish.verb);
    // The same rule may be bound twice.
    if grants.iter().all(|grant| *grant == grants[0]) {
        let (role, rule) = &grants[0];
        let needed = format!("{role}[{rule}]: {what} {}", wish.name);
        world.rights.needed.insert(needed);
    }
    world.rights.used.insert(format!("{role}: {what}"));
    Ok(())
}

/// Whether a wish would pass, without a note of it.
pub(super) fn may(world: &World, user: &User, wish: &Wish) -> bool {
    user.is_master() || granted(world, user, wish).next().is_some()
}

/// The roles that grant a wish, each with the place of the rule that does. Of bindings in
/// the namespace those to roles of the cluster come last, so that a narrow right is seen
/// as used before a broad one.
fn granted<'a>(
    world: &'a World,
    user: &'a User,
    wish: &'a Wish,
) -> impl Iterator<Item = (String, usize)> + 'a {
    let all = |kind: &str| {
        kinds::known(GROUP, kind)
            .and_then(|kind| world.existing(kind))
            .into_iter()
            .flat_map(|collection| collection.objects.iter())
    };
    let local = all("RoleBinding").filter(|(key, _)| key.ns == wish.namespace);
    let bindings = local.chain(all("ClusterRoleBinding"));
    bindings
        .filter(|(key, binding)| {
            let subjects = binding.value["subjects"].as_array();
            let mut subjects = subjects.into_iter().flatten();
            subjects.any(|subject| user.is(subject, &key.ns))
        })
        .flat_map(|(key, binding)| {
            let role = &binding.value["roleRef"];
            let name = role["name"].as_str().unwrap_or_default();
            let (kind, ns, shown) = match role["kind"].as_str() {
                Some("Role") => (
                    "Role",
                    Some(key.ns.as_str()),
                    format!("Role/{}/{name}", key.ns),
                ),
                _ => ("ClusterRole", None, format!("ClusterRole/{name}")),
            };
            let found =
                kinds::known(GROUP, kind).and_then(|kind| world.get(kind, &Key::new(ns, name)));
            let rules = found.and_then(|role| role.value["rules"].as_array());
            let rules = rules.into_iter().flatten().enumerate();
            rules
                .filter(|(_, rule)| wish.covered(rule))
                .map(move |(at, _)| (shown.clone(), at))
        })
}

/// Nobody gives a right that they do not have, unless they may `bind` the role.
pub(super) fn no_escalation(
    world: &mut World,
    user: &User,
    kind: &Kind,
    object: &Value,
    namespace: Option<&str>,
) -> Result<(), Failure> {
    let binds = kind.group == GROUP
        && matches!(kind.plural.as_str(), "rolebindings" | "clusterrolebindings");
    if user.is_master() || !binds {
        return Ok(());
    }
    let role = &object["roleRef"];
    let plural = if role["kind"] == "Role" {
        "roles"
    } else {
        "clusterroles"
    };
    let wish = Wish {
        verb: "bind",
        group: GROUP.to_owned(),
        resource: plural.to_owned(),
        namespace: if plural == "roles" {
            namespace.unwrap_or_default().to_owned()
        } else {
            String::new()
        },
        name: role["name"].as_str().unwrap_or_default().to_owned(),
    };
    authorize(world, user, &wish)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(verb: &'static str, group: &str, resource: &str, name: &str) -> Wish {
        Wish {
            verb,
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: "a".to_owned(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn rules_cover_what_they_name() {
        let all = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["delete"]});
        assert!(wish("delete", "apps", "deployments", "web").covered(&all));
        assert!(!wish("deletecollection", "apps", "deployments", "").covered(&all));
        let one = json!({"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"], "resourceNames": ["web"]});
        assert!(wish("get", "", "pods", "web").covered(&one));
        assert!(wish("get", "", "pods/log", "web").covered(&one));
        assert!(!wish("get", "", "pods/exec", "web").covered(&one));
        assert!(!wish("get", "", "pods", "db").covered(&one));
        assert!(!wish("get", "apps", "pods", "web").covered(&one));
        let status = json!({"apiGroups": ["x.dev"], "resources": ["*/status"], "verbs": ["*"]});
        assert!(wish("update", "x.dev", "things/status", "a").covered(&status));
        assert!(!wish("update", "x.dev", "things", "a").covered(&status));
    }

    #[test]
    fn a_service_account_is_known_by_its_token() {
        let refloat = User::with(Some("system:serviceaccount:refloat:refloat"));
        assert!(!refloat.is_master());
        let subject = json!({"kind": "ServiceAccount", "name": "refloat"});
        assert!(refloat.is(&subject, "refloat"));
        assert!(!refloat.is(&subject, "other"));
        assert!(User::with(Some("harbour")).is_master());
    }
}
