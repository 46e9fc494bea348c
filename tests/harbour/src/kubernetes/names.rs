//! The syntax of names, labels and annotations.

use serde_json::Value;

use super::kinds::Kind;
use super::status::Cause;

/// Lower-case letters, digits and `-`, at most 63, with a letter or digit at both ends.
pub(super) fn dns_label(text: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = (1..=63).contains(&text.len())
        && text.chars().all(|c| plain(c) || c == '-')
        && text.starts_with(plain)
        && text.ends_with(plain);
    if fits {
        Ok(())
    } else {
        Err(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', start and end with an alphanumeric character, and be at most 63 characters",
        )
    }
}

/// Labels of [`dns_label`] form, joined by dots, at most 253 characters.
pub(super) fn dns_subdomain(text: &str) -> Result<(), &'static str> {
    // The parts of a subdomain are not limited to 63 characters by the real server.
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = text.len() <= 253
        && text.split('.').all(|part| {
            part.chars().all(|c| plain(c) || c == '-')
                && part.starts_with(plain)
                && part.ends_with(plain)
        });
    if fits {
        Ok(())
    } else {
        Err(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', start and end with an alphanumeric character, and be at most 253 characters",
        )
    }
}

fn qualified(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

/// A label's key: a name of at most 63 characters, perhaps behind a DNS prefix and `/`.
pub(super) fn label_key(text: &str) -> Result<(), &'static str> {
    let fits = match text.split_once('/') {
        Some((prefix, name)) => dns_subdomain(prefix).is_ok() && qualified(name),
        None => qualified(text),
    };
    if fits {
        Ok(())
    } else {
        Err(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, at most 63 characters, with an optional DNS subdomain prefix and '/'",
        )
    }
}

/// A label's value: empty, or at most 63 characters of the same form as a key's name.
pub(super) fn label_value(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || qualified(text) {
        Ok(())
    } else if text.len() > 63 {
        Err("must be no more than 63 characters")
    } else {
        Err(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        )
    }
}

fn check_owners(owners: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut controllers = 0;
    for (index, owner) in owners.as_array().into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                let path = format!("metadata.ownerReferences[{index}].{field}");
                causes.push(Cause::invalid(path, &owner[field], "must not be empty"));
            }
        }
        controllers += usize::from(owner["controller"] == true);
    }
    if controllers > 1 {
        let why = "Only one reference can have Controller set to true";
        causes.push(Cause::invalid("metadata.ownerReferences", owners, why));
    }
    causes
}

/// What is wrong with an object's name, labels, annotations and finalizers.
pub(super) fn check(kind: &Kind, meta: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let name = meta["name"].as_str().unwrap_or_default();
    let named = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace" | "Service") => dns_label(name),
        ("rbac.authorization.k8s.io", _) => {
            if name == "." || name == ".." || name.contains(['/', '%']) {
                Err("may not be '.' or '..' or contain '/' or '%'")
            } else {
                Ok(())
            }
        }
        _ => dns_subdomain(name),
    };
    if let Err(why) = named {
        causes.push(Cause::invalid("metadata.name", &meta["name"], why));
    }
    for (key, value) in meta["labels"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        if let Err(why) = label_key(key) {
            causes.push(Cause::invalid(
                "metadata.labels",
                &Value::String(key.clone()),
                why,
            ));
        }
        if let Err(why) = label_value(text) {
            causes.push(Cause::invalid("metadata.labels", value, why));
        }
    }
    let mut size = 0;
    for (key, value) in meta["annotations"].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Err(why) = label_key(&key.to_lowercase()) {
            causes.push(Cause::invalid(
                "metadata.annotations",
                &Value::String(key.clone()),
                why,
            ));
        }
    }
    if size > 256 * 1024 {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: "metadata.annotations".to_owned(),
            message: "Too long: may not be more than 262144 bytes".to_owned(),
        });
    }
    causes.extend(check_owners(&meta["ownerReferences"]));
    for finalizer in meta["finalizers"].as_array().into_iter().flatten() {
        let text = finalizer.as_str().unwrap_or_default();
        let standard = ["orphan", "foregroundDeletion", "kubernetes"].contains(&text);
        if !standard && (label_key(text).is_err() || !text.contains('/') && !text.contains('.')) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            causes.push(Cause::invalid("metadata.finalizers", finalizer, why));
        }
    }
    causes
}
