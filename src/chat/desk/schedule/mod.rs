//! `schedule ...`, and what is said of requests to change schedules with the
//! commands that every request has.

mod ask;
mod find;
mod say;
mod steer;

pub use ask::{Asked, admit};
pub(super) use find::{in_a_line, is_active, is_requester, may_see};
pub(super) use steer::{is_stuck, waits};

use kube::Api;
use refloat_commands::schedule::Schedule;

use super::{Desk, Failure};
use crate::chat::Incoming;
use crate::request::resource;
use crate::schedule::ScheduleRequest;

impl Desk {
    pub(super) async fn schedule(
        &self,
        incoming: &Incoming,
        schedule: Schedule,
    ) -> Result<String, Failure> {
        match schedule {
            Schedule::Add {
                tenant,
                name,
                when,
                keep,
            } => {
                self.order_schedule(
                    incoming,
                    &Asked::Add {
                        tenant,
                        name,
                        when,
                        keep,
                    },
                )
                .await
            }
            Schedule::Change {
                tenant,
                name,
                new_name,
                when,
                keep,
            } => {
                self.order_schedule(
                    incoming,
                    &Asked::Change {
                        tenant,
                        name,
                        new_name,
                        when,
                        keep,
                    },
                )
                .await
            }
            Schedule::Remove { tenant, name } => {
                self.order_schedule(incoming, &Asked::Remove { tenant, name })
                    .await
            }
            Schedule::List { tenant } => self.list_schedules(incoming, &tenant).await,
            Schedule::Status(target) => self.status(incoming, target.request).await,
            Schedule::Withdraw(target) => self.withdraw(incoming, target.request).await,
            Schedule::Retry(target) => {
                self.choose(incoming, target.request, resource::Action::Retry)
                    .await
            }
            Schedule::Leave(target) => {
                self.choose(incoming, target.request, resource::Action::ResumeAsIs)
                    .await
            }
        }
    }

    pub(super) fn schedule_requests(&self) -> Api<ScheduleRequest> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }
}
