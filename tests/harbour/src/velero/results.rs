//! The log of a backup or restore, and the lists that go with it.

use jiff::Timestamp;
use kube::discovery::ApiResource;
use serde_json::Value;

use super::objects::{stamp, text};
use super::storage::{ResourceList, Results};

/// A log as Velero writes it, with the warnings and errors in it counted.
pub(super) struct Log {
    /// `backup=openshift-adp/x` or `restore=openshift-adp/x`.
    subject: String,
    lines: String,
    pub(super) results: Results,
}

impl Log {
    pub(super) fn new(subject: String) -> Self {
        Self {
            subject,
            lines: String::new(),
            results: Results::default(),
        }
    }

    fn line(&mut self, level: &str, message: &str) {
        let line = format!(
            "time=\"{}\" level={level} msg={message:?} {}\n",
            stamp(Timestamp::now()),
            self.subject
        );
        self.lines.push_str(&line);
    }

    pub(super) fn info(&mut self, message: &str) {
        self.line("info", message);
    }

    /// A warning in a namespace, or, if that is empty, in the cluster.
    pub(super) fn warn(&mut self, namespace: &str, message: String) {
        self.line("warning", &message);
        self.results.warnings.add(namespace, message);
    }

    /// An error in a namespace, or, if that is empty, in the cluster.
    pub(super) fn error(&mut self, namespace: &str, message: String) {
        self.line("error", &message);
        self.results.errors.add(namespace, message);
    }

    /// An error of Velero itself.
    pub(super) fn velero_error(&mut self, message: String) {
        self.line("error", &message);
        self.results.errors.velero.push(message);
    }

    pub(super) fn text(&self) -> &str {
        &self.lines
    }
}

/// `apps/v1/Deployment`: the key of a kind in a resource list.
pub(super) fn list_key(resource: &ApiResource) -> String {
    format!("{}/{}", resource.api_version, resource.kind)
}

/// `ns/name`, or `name` for what belongs to no namespace.
pub(super) fn list_name(object: &Value) -> String {
    let name = text(object, "/metadata/name").unwrap_or_default();
    match text(object, "/metadata/namespace") {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name.to_owned(),
    }
}

/// Sorts the names in a list, as Velero does.
pub(super) fn sorted(mut list: ResourceList) -> ResourceList {
    for names in list.values_mut() {
        names.sort();
    }
    list
}
