//! `telemetry:` - where spans are sent, if they are.

use http::{HeaderName, HeaderValue, Uri};
use secrecy::ExposeSecret as _;

use super::Secret;
use super::reader::Section;

/// A collector that takes spans over OTLP (HTTP, protobuf).
#[derive(Clone, Debug)]
pub struct Otlp {
    /// Its whole address, `/v1/traces` included.
    pub endpoint: Uri,
    /// What is sent with each batch, a header a line; read anew when the file changes.
    pub headers: Option<Secret>,
    /// As what Refloat shows there; without it the environment may say.
    pub service_name: Option<String>,
}

impl Otlp {
    /// The headers as they are now.
    ///
    /// The error says which line is wrong, never what is in it.
    pub fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        match &self.headers {
            Some(secret) => lines(secret.get().expose_secret()),
            None => Ok(Vec::new()),
        }
    }
}

fn lines(text: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(at, line)| {
            header(line)
                .ok_or_else(|| format!("line {} is not `name: value`, one header a line", at + 1))
        })
        .collect()
}

fn header(line: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = line.split_once(':')?;
    let mut value = HeaderValue::from_str(value.trim()).ok()?;
    value.set_sensitive(true);
    Some((name.trim().parse().ok()?, value))
}

/// Reads the section; `None` where no collector is named.
pub(super) fn telemetry(section: &mut Section) -> Option<Otlp> {
    let mut otlp = section.section("otlp");
    let endpoint = otlp.string("endpoint").optional();
    let headers = otlp.optional_secret_source("headers", "headersFile", "headersEnv");
    let service_name = otlp.string("serviceName").optional();
    if endpoint.is_none() && (headers.is_some() || service_name.is_some()) {
        otlp.fault(
            "endpoint",
            "is missing: name the collector, such as http://otel-collector.observability:4318"
                .to_owned(),
        );
    }
    let address = endpoint.as_deref().map(traces_at);
    if let Some(Err(why)) = &address {
        otlp.fault("endpoint", why.clone());
    }
    let read = address.and_then(Result::ok).map(|endpoint| Otlp {
        endpoint,
        headers,
        service_name,
    });
    if let Some(Err(why)) = read.as_ref().map(Otlp::headers) {
        let of_file = read
            .as_ref()
            .and_then(|it| it.headers.as_ref())
            .is_some_and(Secret::is_in_a_file);
        otlp.fault(if of_file { "headersFile" } else { "headersEnv" }, why);
    }
    section.absorb(otlp);
    read
}

/// Where a collector at this address takes spans.
///
/// As OTLP has it, `/v1/traces` follows whatever path there is.
pub(crate) fn traces_at(address: &str) -> Result<Uri, String> {
    let whole = format!("{}/v1/traces", address.trim_end_matches('/'));
    let uri: Uri = whole.parse().map_err(|_| {
        "this is not an address, such as http://otel-collector.observability:4318".to_owned()
    })?;
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.is_empty() {
        return Err("write an address that begins with https:// or http://".to_owned());
    }
    if authority.contains('@') {
        return Err("a secret does not belong in an address: send it as a header".to_owned());
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_line_by_line_and_never_shown() {
        let read = lines("Authorization: Bearer a:b=\n\n x-scope : ocean \n").expect("good ones");
        let read: Vec<(&str, &str)> = read
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
            .collect();
        assert_eq!(
            read,
            [("authorization", "Bearer a:b="), ("x-scope", "ocean")]
        );
        let why = lines("a: b\nsecret without a name").expect_err("a bad one");
        assert_eq!(why, "line 2 is not `name: value`, one header a line");
        assert!(lines("not a name: b").is_err());
    }

    #[test]
    fn the_path_of_traces_follows_the_address() {
        let at = |text: &str| traces_at(text).map(|uri| uri.to_string());
        assert_eq!(at("http://c:4318"), Ok("http://c:4318/v1/traces".into()));
        assert_eq!(at("https://c/otlp/"), Ok("https://c/otlp/v1/traces".into()));
        for wrong in [
            "c:4318",
            "grpc://c:4317",
            "http://",
            "https://me:pw@c",
            "http://a b",
        ] {
            assert!(at(wrong).is_err_and(|why| !why.contains("pw")), "{wrong}");
        }
    }
}
