//! `restore preview`: the checks of a restore and what it would do, touching
//! nothing; and `restore log`.

use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use refloat_commands::RequestName;
use refloat_commands::restore::Request;

use super::find::may_see;
use super::{Desk, Failure, Reply, admit, refused, request_name};
use crate::chat::card::{comparison, inventory};
use crate::chat::harmless::{code, harmless};
use crate::chat::words::put;
use crate::chat::{Attachment, Incoming};
use crate::request::preflight::{Preview, list};
use crate::request::resource::{RestoreRequest, RestoreRequestSpec};

/// Looks at the world for what a request would do.
pub type PreviewLookup =
    Arc<dyn Fn(RestoreRequestSpec) -> BoxFuture<'static, anyhow::Result<Preview>> + Send + Sync>;

/// Fetches Velero's log of a request's restore.
pub type LogLookup =
    Arc<dyn Fn(RestoreRequest) -> BoxFuture<'static, anyhow::Result<String>> + Send + Sync>;

impl Desk {
    pub(super) async fn preview(
        &self,
        incoming: &Incoming,
        asked: &Request,
    ) -> Result<Reply, Failure> {
        let orders = self.orders(incoming, asked).await?;
        let now = Timestamp::now();
        let today = now.to_zoned(self.context.time_zone.clone()).date();
        // A preview needs no reason, and a request does.
        let mut asked = asked.clone();
        asked.reason = asked.reason.or_else(|| "preview".parse().ok());
        let spec = admit(&asked, &incoming.from, &self.people, &orders, today)
            .map_err(Failure::Refused)?;
        let preview = (self.previews)(spec.clone()).await?;
        Ok(shown(&spec, &preview))
    }

    pub(super) async fn log(
        &self,
        incoming: &Incoming,
        named: Option<RequestName>,
    ) -> Result<Reply, Failure> {
        let person = &incoming.from;
        let request = self
            .find(incoming, named, "whose restore has begun", |request| {
                may_see(person, request, &self.people).is_ok() && has_restore(request)
            })
            .await?;
        may_see(person, &request, &self.people).map_err(Failure::Refused)?;
        let name = code(request_name(&request));
        if !has_restore(&request) {
            return refused(format!(
                "{name} has no Velero Restore yet, and so there is no log of one."
            ));
        }
        match (self.logs)(request.clone()).await {
            Ok(text) => Ok(Reply {
                text: format!("Velero's log of {name}:"),
                refused: false,
                file: Some(Attachment::text(
                    format!("{}.log", request_name(&request)),
                    text,
                )),
            }),
            Err(error) => refused(format!(
                "Velero does not hand out the log of {name}: {}. After a restart of Velero there \
                 is none.",
                harmless(&format!("{error:#}"), 300)
            )),
        }
    }
}

fn has_restore(request: &RestoreRequest) -> bool {
    request
        .status
        .as_ref()
        .is_some_and(|status| status.restore.is_some() || !status.earlier_restores.is_empty())
}

/// A preview in words, with the whole table beside it.
fn shown(spec: &RestoreRequestSpec, preview: &Preview) -> Reply {
    let of = list(
        &spec
            .namespaces
            .iter()
            .map(|name| code(name))
            .collect::<Vec<_>>(),
    );
    let checked = match &preview.checked {
        Err(why) => {
            return Reply::from(format!(
                "A restore of {of} would be refused: {}",
                harmless(why, 1500)
            ));
        }
        Ok(checked) => checked,
    };
    let mut text = format!(
        "**Preview of a restore of {of}** from {}. Nothing was touched.\nChecks:",
        code(&checked.backup.name)
    );
    for result in &checked.checks {
        put(
            &mut text,
            format_args!("\n- {}", harmless(&result.in_words(), 300)),
        );
    }
    text.push_str("\nWould be deleted:");
    for line in inventory(&checked.inventory) {
        put(&mut text, format_args!("\n- {line}"));
    }
    if let Some(compared) = &checked.comparison {
        text.push_str("\nHeld against the backup:");
        for line in comparison(compared) {
            put(&mut text, format_args!("\n- {line}"));
        }
    }
    Reply {
        text,
        refused: false,
        file: Some(Attachment::text(
            format!("{}-preview.txt", spec.tenant),
            preview
                .table
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
        )),
    }
}
