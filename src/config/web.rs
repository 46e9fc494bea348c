//! `web:` - where Refloat listens, if it does.

use std::net::SocketAddr;

use super::Secret;
use super::reader::Section;

#[derive(Clone, Debug)]
pub struct Web {
    /// Where health, metrics and webhooks are served.
    pub listen: SocketAddr,
    /// With which GitHub signs its webhooks; without it none is taken.
    pub webhook_secret: Option<Secret>,
}

pub(super) fn web(section: &mut Section) -> Option<Web> {
    let listen = section.string("listen").optional();
    let secret =
        section.optional_secret_source("webhookSecret", "webhookSecretFile", "webhookSecretEnv");
    let Some(listen) = listen else {
        if secret.is_some() {
            section.fault(
                "listen",
                "is missing: webhooks need an address to come to, such as 0.0.0.0:8080".to_owned(),
            );
        }
        return None;
    };
    let Ok(listen) = listen.parse() else {
        section.fault(
            "listen",
            format!("{listen} is not an address with a port, such as 0.0.0.0:8080"),
        );
        return None;
    };
    Some(Web {
        listen,
        webhook_secret: secret,
    })
}
