//! `web:` - where Refloat listens, if it does.

use std::net::SocketAddr;

use super::Secret;
use super::reader::Section;

#[derive(Clone, Debug)]
pub struct Web {
    /// Where health, metrics and webhooks are served.
    pub listen: SocketAddr,
    /// Where the logbook is served, if it is; it keeps nobody out.
    pub logbook: Option<SocketAddr>,
    /// With which GitHub signs its webhooks; without it none is taken.
    pub webhook_secret: Option<Secret>,
}

pub(super) fn web(section: &mut Section) -> Option<Web> {
    let listen = section.string("listen").optional();
    let secret =
        section.optional_secret_source("webhookSecret", "webhookSecretFile", "webhookSecretEnv");
    let logbook = section.string("logbook").optional();
    let Some(listen) = listen else {
        if secret.is_some() || logbook.is_some() {
            section.fault(
                "listen",
                "is missing: webhooks and the logbook need it, such as 0.0.0.0:8080".to_owned(),
            );
        }
        return None;
    };
    let listen = address(section, "listen", &listen);
    let logbook = logbook.and_then(|text| address(section, "logbook", &text));
    let listen = listen?;
    if logbook == Some(listen) {
        section.fault(
            "logbook",
            "must be another address than listen: whoever may read metrics may not read it"
                .to_owned(),
        );
    }
    Some(Web {
        listen,
        logbook,
        webhook_secret: secret,
    })
}

fn address(section: &mut Section, key: &str, text: &str) -> Option<SocketAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        section.fault(
            key,
            format!("{text} is not an address with a port, such as 0.0.0.0:8080"),
        );
    }
    address
}
