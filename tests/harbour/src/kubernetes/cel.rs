//! CEL rules of custom kinds (`x-kubernetes-validations`).

use serde_json::Value;

use super::status::Cause;

/// The rules of one schema, compiled.
#[derive(Debug)]
pub(super) struct Rules {
    any: bool,
}

impl Rules {
    pub(super) fn of(_schema: &Value) -> Self {
        Self { any: false }
    }

    pub(super) fn check(
        &self,
        _schema: &Value,
        _object: &Value,
        _before: Option<&Value>,
    ) -> Vec<Cause> {
        let _ = self.any;
        Vec::new()
    }
}
