//! Tenant orders as changes of their schedules need them.

use super::{Found, Github};
use crate::order::Order;
use crate::schedule::observed::OrderFacts;
use crate::schedule::resource::Entry;

/// The order of a tenant, and the tenants there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ordered {
    /// The tenants there are, by the names of their files.
    pub tenants: Vec<String>,
    pub order: Option<OrderFacts>,
    /// Why the order could not be read.
    pub fault: Option<String>,
}

impl Github {
    /// Looks for the order of a tenant, with its schedules and its text.
    pub async fn ordered(&self, tenant: &str) -> anyhow::Result<Ordered> {
        let orders = self.orders(tenant).await?;
        let mut ordered = Ordered {
            tenants: orders.tenants,
            ..Ordered::default()
        };
        match orders.found {
            Found::Nothing => {}
            Found::Faulty(why) => ordered.fault = Some(why),
            Found::Order(view) => match self.order_facts(&view.path).await {
                Ok(order) => ordered.order = order,
                Err(error) => match error.downcast::<crate::order::OrderError>() {
                    Ok(fault) => ordered.fault = Some(format!("{}: {fault}", view.path)),
                    Err(error) => return Err(error),
                },
            },
        }
        Ok(ordered)
    }

    /// An order by its path, as the branch has it now; `None` if it is gone.
    pub async fn order_facts(&self, path: &str) -> anyhow::Result<Option<OrderFacts>> {
        let Some((text, _)) = self.file(path, &self.branch).await? else {
            return Ok(None);
        };
        let order = Order::read(&text)?;
        Ok(Some(OrderFacts {
            path: path.to_owned(),
            namespaces: order.namespaces(),
            entries: order
                .backup
                .schedules
                .iter()
                .map(|schedule| Entry {
                    name: schedule.name.clone(),
                    schedule: schedule.cron.clone(),
                    ttl: schedule.ttl.clone(),
                })
                .collect(),
            active: order.backup.is_active(),
            text,
        }))
    }
}
