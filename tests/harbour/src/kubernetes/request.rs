//! What a request asks for, read from its path, query and headers.

use axum::http::{HeaderMap, Uri, header};
use serde_json::Value;

use super::delete::{Deletion, Propagation};
use super::status::Failure;
use super::write::{FieldValidation, Write};

/// A path below `/api/v1` or `/apis/<group>/<version>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) ns: Option<String>,
    pub(super) plural: String,
    pub(super) name: Option<String>,
    pub(super) subresource: Option<String>,
}

impl Target {
    /// Reads the segments of a path; none if it names no resource.
    pub(super) fn parse(path: &[String]) -> Option<Self> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let (group, version, rest) = match path.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (ns, rest) = match rest {
            // `namespaces/x/status` is about the namespace itself.
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", ns, rest @ ..] if !rest.is_empty() => (Some((*ns).to_owned()), rest),
            rest => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            ns,
            plural: plural.to_owned(),
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
        })
    }
}

/// The segments of a path, decoded.
pub(super) fn segments(uri: &Uri) -> Vec<String> {
    uri.path()
        .split('/')
        .filter(|part| !part.is_empty())
        .map(decode)
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let code = (first == b'%')
            .then(|| tail.get(..2).and_then(|two| std::str::from_utf8(two).ok()))
            .flatten()
            .and_then(|two| u8::from_str_radix(two, 16).ok());
        if let Some(code) = code {
            bytes.push(code);
            rest = &tail[2..];
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The query's parameters.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(uri: &Uri) -> Result<Self, Failure> {
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|query| Self(query.0))
            .map_err(|error| Failure::bad_request(error.to_string()))
    }

    /// A parameter that is given and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| value == "true" || value == "1")
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        self.get(name)
            .map(|value| {
                value.parse().map_err(|_| {
                    Failure::bad_request(format!("invalid {name}: \"{value}\" is not a number"))
                })
            })
            .transpose()
    }

    fn dry_run(&self) -> Result<bool, Failure> {
        match self.get("dryRun") {
            None => Ok(false),
            Some("All") => Ok(true),
            Some(other) => Err(Failure::bad_request(format!(
                "dryRun: Unsupported value: \"{other}\": supported values: \"All\""
            ))),
        }
    }

    /// The options of a create, update or patch.
    pub(super) fn write(&self, headers: &HeaderMap) -> Result<Write, Failure> {
        let fields = match self.get("fieldValidation") {
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                return Err(Failure::bad_request(format!(
                    "fieldValidation: Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\""
                )));
            }
        };
        let agent = headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split('/').next())
            .filter(|value| !value.is_empty())
            .unwrap_or("unknown");
        Ok(Write {
            dry_run: self.dry_run()?,
            manager: self.get("fieldManager").unwrap_or(agent).to_owned(),
            fields,
            warnings: Vec::new(),
            managers: None,
        })
    }

    /// The options of a deletion, from the query and the body.
    pub(super) fn deletion(&self, body: &Value) -> Result<Deletion, Failure> {
        let propagation = body["propagationPolicy"]
            .as_str()
            .or_else(|| self.get("propagationPolicy"));
        let orphan = body["orphanDependents"].as_bool();
        let propagation = match (propagation, orphan) {
            (None, None) => None,
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (Some(other), _) => {
                return Err(Failure::bad_request(format!(
                    "propagationPolicy: Unsupported value: \"{other}\": supported values: \"Background\", \"Foreground\", \"Orphan\""
                )));
            }
        };
        let in_body = match body["dryRun"].as_array().map(Vec::as_slice) {
            None | Some([]) => false,
            Some([one]) if one == "All" => true,
            Some(_) => return Err(Failure::bad_request("dryRun: supported values: \"All\"")),
        };
        let text = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        Ok(Deletion {
            dry_run: self.dry_run()? || in_body,
            uid: text("uid"),
            version: text("resourceVersion"),
            propagation,
        })
    }
}

/// In which form objects are to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    Whole,
    /// As `PartialObjectMetadata`.
    Metadata,
}

impl View {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let Some(accept) = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
        else {
            return Ok(Self::Whole);
        };
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let form = parts.find_map(|part| part.strip_prefix("as="));
            match (media, form) {
                (
                    "application/json",
                    Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                ) => {
                    return Ok(Self::Metadata);
                }
                ("application/json" | "application/*" | "*/*", None) => return Ok(Self::Whole),
                _ => {}
            }
        }
        Err(Failure::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json",
        ))
    }
}

/// Reads a body of JSON or YAML; an empty one is null.
pub(super) fn body(headers: &HeaderMap, bytes: &[u8]) -> Result<Value, Failure> {
    let media = media_type(headers);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Null);
    }
    match media {
        "" | "*/*" | "application/json" => json(bytes),
        "application/yaml" => yaml(bytes),
        other => Err(Failure::unsupported_media(format!(
            "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml (not {other})"
        ))),
    }
}

pub(super) fn media_type(headers: &HeaderMap) -> &str {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
}

pub(super) fn json(bytes: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::bad_request(format!("the body is not JSON: {error}")))
}

pub(super) fn yaml(bytes: &[u8]) -> Result<Value, Failure> {
    let text =
        std::str::from_utf8(bytes).map_err(|error| Failure::bad_request(error.to_string()))?;
    serde_saphyr::from_str(text)
        .map_err(|error| Failure::bad_request(format!("the body is not YAML: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Option<Target> {
        Target::parse(&segments(&path.parse().unwrap()))
    }

    #[test]
    fn paths_name_resources() {
        let about = |path: &str| {
            let it = target(path).unwrap();
            (
                it.group,
                it.ns.unwrap_or_default(),
                it.plural,
                it.name.unwrap_or_default(),
                it.subresource.unwrap_or_default(),
            )
        };
        let five = |a: &str, b: &str, c: &str, d: &str, e: &str| {
            (
                a.to_owned(),
                b.to_owned(),
                c.to_owned(),
                d.to_owned(),
                e.to_owned(),
            )
        };
        assert_eq!(about("/api/v1/pods"), five("", "", "pods", "", ""));
        assert_eq!(
            about("/api/v1/namespaces/a"),
            five("", "", "namespaces", "a", "")
        );
        assert_eq!(
            about("/api/v1/namespaces/a/status"),
            five("", "", "namespaces", "a", "status")
        );
        assert_eq!(
            about("/api/v1/namespaces/a/pods/b/status"),
            five("", "a", "pods", "b", "status")
        );
        assert_eq!(
            about("/apis/apps/v1/namespaces/a/deployments/x%3Ay"),
            five("apps", "a", "deployments", "x:y", "")
        );
        assert_eq!(target("/apis/apps/v1"), None);
        assert_eq!(target("/other"), None);
    }
}
