//! JSON merge patches (RFC 7386): made, not applied.

use serde_json::{Map, Value};

/// The merge patch that turns `before` into `after`; `None` if they are equal.
pub(super) fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in new {
        let change = match old.get(key) {
            Some(old) => difference(old, value),
            None if value.is_null() => None,
            None => Some(value.clone()),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// `target` with a null for each field that `last` had and `target` has not:
/// what a three-way apply takes away.
pub(super) fn without_what_was(last: &Value, target: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (last, target) else {
        return target.clone();
    };
    let mut patch = Map::new();
    for (key, value) in new {
        let value = match old.get(key) {
            Some(old) => without_what_was(old, value),
            None => value.clone(),
        };
        patch.insert(key.clone(), value);
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_names_what_changed_and_what_went() {
        let before = json!({"a": 1, "b": {"c": [1], "d": 2}, "e": {}});
        let after = json!({"a": 1, "b": {"c": [2]}, "f": true, "e": {}});
        assert_eq!(
            difference(&before, &after),
            Some(json!({"b": {"c": [2], "d": null}, "f": true}))
        );
        assert_eq!(difference(&after, &after), None);
    }

    #[test]
    fn an_apply_takes_away_what_it_once_gave() {
        let last = json!({"data": {"a": "1", "b": "2"}, "type": "x"});
        let target = json!({"data": {"a": "3"}});
        assert_eq!(
            without_what_was(&last, &target),
            json!({"data": {"a": "3", "b": null}, "type": null})
        );
    }
}
