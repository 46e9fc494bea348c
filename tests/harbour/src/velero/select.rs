//! What a backup or restore takes of what there is: namespaces, resources,
//! labels.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use kube::discovery::ApiResource;
use serde::Deserialize;
use serde_json::Value;

/// The fields that the specs of Backup and Restore have in common.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Selection {
    pub(super) included_namespaces: Option<Vec<String>>,
    pub(super) excluded_namespaces: Option<Vec<String>>,
    pub(super) included_resources: Option<Vec<String>>,
    pub(super) excluded_resources: Option<Vec<String>>,
    pub(super) label_selector: Option<LabelSelector>,
    pub(super) or_label_selectors: Option<Vec<LabelSelector>>,
}

impl Selection {
    /// What is wrong with it, in Velero's words.
    pub(super) fn errors(&self, subject: &str) -> Vec<String> {
        let mut errors = Vec::new();
        let lists = [
            (
                "resource",
                &self.included_resources,
                &self.excluded_resources,
            ),
            (
                "namespace",
                &self.included_namespaces,
                &self.excluded_namespaces,
            ),
        ];
        for (what, included, excluded) in lists {
            let included = included.as_deref().unwrap_or_default();
            let excluded = excluded.as_deref().unwrap_or_default();
            let mut complain = |problem: &str| {
                errors.push(format!("Invalid included/excluded {what} lists: {problem}"));
            };
            if included.len() > 1 && included.iter().any(|item| item == "*") {
                complain(
                    "includes list must either contain '*' only, or a non-empty list of items",
                );
            }
            if excluded.iter().any(|item| item == "*") {
                complain("excludes list cannot contain '*'");
            }
            for item in excluded {
                if included.contains(item) {
                    complain(&format!(
                        "excludes list cannot contain an item in the includes list: {item}"
                    ));
                }
            }
        }
        if self.label_selector.is_some() && self.or_label_selectors.is_some() {
            errors.push(format!(
                "encountered labelSelector as well as orLabelSelectors in {subject} spec, only one can be specified"
            ));
        }
        errors
    }

    /// The namespaces named one by one; `None` for "all".
    pub(super) fn named_namespaces(&self) -> Option<&[String]> {
        let named = self.included_namespaces.as_deref().unwrap_or_default();
        (!named.is_empty() && !named.iter().any(|name| name == "*")).then_some(named)
    }

    pub(super) fn has_namespace(&self, name: &str) -> bool {
        let is = |item: &String| item == name;
        self.named_namespaces()
            .is_none_or(|named| named.iter().any(is))
            && !self.excluded_namespaces.iter().flatten().any(is)
    }

    pub(super) fn has_resource(&self, resource: &ApiResource) -> bool {
        let included = self.included_resources.as_deref().unwrap_or_default();
        let is = |item: &String| item == "*" || names(resource, item);
        (included.is_empty() || included.iter().any(is))
            && !self.excluded_resources.iter().flatten().any(is)
    }

    /// True if labels decide.
    pub(super) fn by_labels(&self) -> bool {
        self.label_selector.is_some() || self.or_label_selectors.is_some()
    }

    /// True if the object's labels are asked for; a selector that says nothing
    /// sensible matches nothing.
    pub(super) fn has_labels(&self, object: &Value) -> bool {
        let labels: BTreeMap<String, String> = object
            .pointer("/metadata/labels")
            .and_then(|labels| serde_json::from_value(labels.clone()).ok())
            .unwrap_or_default();
        let matches = |selector: &LabelSelector| {
            Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(&labels))
        };
        self.label_selector.as_ref().is_none_or(matches)
            && self
                .or_label_selectors
                .as_ref()
                .is_none_or(|selectors| selectors.iter().any(matches))
    }
}

/// True if `item` is a name of the resource: `pods`, `pod`, `deployments.apps`.
fn names(resource: &ApiResource, item: &str) -> bool {
    let item = item.to_lowercase();
    let (name, group) = match item.split_once('.') {
        Some((name, group)) => (name, Some(group)),
        None => (item.as_str(), None),
    };
    (name == resource.plural || name == resource.kind.to_lowercase())
        && match group {
            Some(group) => group == resource.group,
            // A bare name means the resource with the highest standing; only
            // events exist twice.
            None => resource.plural != "events" || resource.group.is_empty(),
        }
}
