//! Label and field selectors.

use serde_json::Value;

use super::kinds::Kind;
use super::status::Failure;

/// Which objects a list or watch is about.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    labels: Vec<LabelTerm>,
    fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug)]
enum LabelTerm {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Absent(String),
    Greater(String, i64),
    Less(String, i64),
}

#[derive(Clone, Debug)]
struct FieldTerm {
    path: Vec<String>,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads the two query parameters.
    pub(super) fn parse(
        kind: &Kind,
        labels: Option<&str>,
        fields: Option<&str>,
    ) -> Result<Self, Failure> {
        Ok(Self {
            labels: labels.map(parse_labels).transpose()?.unwrap_or_default(),
            fields: fields
                .map(|text| parse_fields(kind, text))
                .transpose()?
                .unwrap_or_default(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|term| term.matches(object))
            && self.fields.iter().all(|term| term.matches(object))
    }
}

impl LabelTerm {
    fn matches(&self, object: &Value) -> bool {
        let label = |key: &String| {
            object["metadata"]["labels"]
                .get(key)
                .and_then(Value::as_str)
        };
        let number = |key: &String| label(key).and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(key, values) => {
                label(key).is_some_and(|value| values.iter().any(|one| one == value))
            }
            Self::NotIn(key, values) => {
                label(key).is_none_or(|value| values.iter().all(|one| one != value))
            }
            Self::Exists(key) => label(key).is_some(),
            Self::Absent(key) => label(key).is_none(),
            Self::Greater(key, bound) => number(key).is_some_and(|value| value > *bound),
            Self::Less(key, bound) => number(key).is_some_and(|value| value < *bound),
        }
    }
}

impl FieldTerm {
    fn matches(&self, object: &Value) -> bool {
        let mut at = object;
        for step in &self.path {
            at = at.get(step).unwrap_or(&Value::Null);
        }
        let equal = match at {
            Value::String(text) => *text == self.value,
            Value::Null => {
                self.value.is_empty()
                    || self.value == "false"
                        && self.path.last().is_some_and(|last| last == "unschedulable")
            }
            Value::Bool(flag) => self.value == if *flag { "true" } else { "false" },
            Value::Number(number) => self.value == number.to_string(),
            Value::Array(_) | Value::Object(_) => false,
        };
        equal == self.equal
    }
}

/// Splits at commas that stand outside parentheses.
fn terms(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|term| !term.is_empty())
    .collect()
}

fn parse_labels(text: &str) -> Result<Vec<LabelTerm>, Failure> {
    terms(text).into_iter().map(parse_label).collect()
}

fn parse_label(term: &str) -> Result<LabelTerm, Failure> {
    let refuse = || {
        Failure::bad_request(format!(
            "unable to parse requirement: invalid label selector term \"{term}\""
        ))
    };
    let key_of = |text: &str| {
        let key = text.trim();
        if super::names::label_key(key).is_ok() {
            Ok(key.to_owned())
        } else {
            Err(refuse())
        }
    };
    let value_of = |text: &str| {
        let value = text.trim();
        if super::names::label_value(value).is_ok() {
            Ok(value.to_owned())
        } else {
            Err(refuse())
        }
    };
    if let Some(open) = term.find('(') {
        let inner = term[open + 1..].strip_suffix(')').ok_or_else(refuse)?;
        let values = inner
            .split(',')
            .map(value_of)
            .collect::<Result<Vec<_>, _>>()?;
        let mut words = term[..open].split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => Ok(LabelTerm::In(key_of(key)?, values)),
            (Some(key), Some("notin"), None) => Ok(LabelTerm::NotIn(key_of(key)?, values)),
            _ => Err(refuse()),
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return Ok(LabelTerm::NotIn(key_of(key)?, vec![value_of(value)?]));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return Ok(LabelTerm::In(key_of(key)?, vec![value_of(value)?]));
    }
    if let Some((key, value)) = term.split_once('>') {
        return Ok(LabelTerm::Greater(
            key_of(key)?,
            value.trim().parse().map_err(|_| refuse())?,
        ));
    }
    if let Some((key, value)) = term.split_once('<') {
        return Ok(LabelTerm::Less(
            key_of(key)?,
            value.trim().parse().map_err(|_| refuse())?,
        ));
    }
    match term.strip_prefix('!') {
        Some(key) => Ok(LabelTerm::Absent(key_of(key)?)),
        None => Ok(LabelTerm::Exists(key_of(term)?)),
    }
}

/// Group, kind and the fields that can be selected by, besides name and namespace.
const SELECTABLE: &[(&str, &str, &[&str])] = &[
    (
        "",
        "Pod",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    ),
    (
        "",
        "Event",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    (
        "events.k8s.io",
        "Event",
        &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "reason",
            "reportingController",
            "type",
        ],
    ),
    ("", "Secret", &["type"]),
    ("", "Namespace", &["status.phase"]),
    ("", "Node", &["spec.unschedulable"]),
    ("", "ReplicationController", &["status.replicas"]),
    ("apps", "ReplicaSet", &["status.replicas"]),
    ("batch", "Job", &["status.successful"]),
];

fn parse_fields(kind: &Kind, text: &str) -> Result<Vec<FieldTerm>, Failure> {
    let known = SELECTABLE
        .iter()
        .find(|(group, name, _)| kind.is(group, name))
        .map_or(&[][..], |(_, _, fields)| fields);
    terms(text)
        .into_iter()
        .map(|term| {
            let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
                (path, value, false)
            } else if let Some((path, value)) =
                term.split_once("==").or_else(|| term.split_once('='))
            {
                (path, value, true)
            } else {
                return Err(Failure::bad_request(format!(
                    "invalid selector: '{term}'; can't understand '{term}'"
                )));
            };
            let common = path == "metadata.name" || kind.namespaced && path == "metadata.namespace";
            if !common && !known.contains(&path) {
                return Err(Failure::bad_request(format!(
                    "field label not supported: {path}"
                )));
            }
            Ok(FieldTerm {
                path: path.split('.').map(str::to_owned).collect(),
                value: value.to_owned(),
                equal,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kubernetes::kinds;

    fn selects(labels: &str, object: &Value) -> bool {
        let kind = kinds::known("", "Pod").unwrap();
        Selector::parse(kind, Some(labels), None)
            .unwrap()
            .matches(object)
    }

    #[test]
    fn labels_are_selected_by_every_operator() {
        let object = json!({"metadata": {"labels": {"app": "web", "tier": "3", "x.io/y": ""}}});
        for yes in [
            "",
            "app",
            "app=web",
            "app==web",
            "app!=db",
            "other!=db",
            "!other",
            "app in (web, db)",
            "app notin (db)",
            "other notin (db)",
            "tier>2",
            "tier<4",
            "x.io/y",
            "x.io/y=",
            "app=web,tier in (3,4),!z",
        ] {
            assert!(selects(yes, &object), "{yes}");
        }
        for no in [
            "!app",
            "app=db",
            "app!=web",
            "app in (db)",
            "app notin (web)",
            "tier>3",
            "other",
            "app=web,other",
        ] {
            assert!(!selects(no, &object), "{no}");
        }
    }

    #[test]
    fn a_strange_selector_is_refused() {
        let kind = kinds::known("", "Pod").unwrap();
        for bad in ["app in (web", "app within (a)", "-=x", "a=b c", "tier>x"] {
            assert!(Selector::parse(kind, Some(bad), None).is_err(), "{bad}");
        }
        for bad in ["spec.colour=red", "metadata.name"] {
            assert!(Selector::parse(kind, None, Some(bad)).is_err(), "{bad}");
        }
        let phase = Selector::parse(
            kind,
            None,
            Some("status.phase!=Running,metadata.namespace=a"),
        )
        .unwrap();
        assert!(
            phase.matches(&json!({"metadata": {"namespace": "a"}, "status": {"phase": "Pending"}}))
        );
    }
}
