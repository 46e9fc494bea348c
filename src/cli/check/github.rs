//! What `refloat check` asks GitHub.

use super::Findings;
use crate::backups::Whose;
use crate::config::Config;
use crate::effects::Clients;
use crate::effects::github::Standing;
use crate::request::preflight::{count, list};

/// Asks GitHub. Answers with what of tenants can be read.
pub(super) async fn ask(
    findings: &mut Findings<'_>,
    config: &Config,
    clients: &Clients,
) -> Vec<Whose> {
    let github = &clients.github;
    match github.standing().await {
        Ok(standing) => stand(findings, config, &standing),
        Err(error) => {
            findings.wrong(format!("{error:#}"));
            return Vec::new();
        }
    }
    match github.team().await {
        Ok(None) => {}
        Ok(Some(members)) if members.is_empty() => {
            findings.wrong("approval.team: nobody is in it, so that no review counts");
        }
        Ok(Some(members)) => findings.ok(format!(
            "{} in the reviewers' team",
            count(len(members.len()), "member")
        )),
        Err(error) => findings.wrong(format!("{error:#}")),
    }
    if let Some((left, limit)) = github.requests_left() {
        findings.judge(
            left * 10 >= limit,
            format!("it takes {left} of {limit} requests more this hour"),
            format!("it takes {left} of {limit} requests more this hour: something else uses the account"),
        );
    }
    super::clock(findings, "GitHub", github.clock_skew());
    let mut tenants = Vec::new();
    match github.all_orders().await {
        Ok(orders) if orders.is_empty() => findings.wrong(format!(
            "github.orders: no file of {} on {} matches it, so that there is no tenant",
            github.full_name(),
            config.github.branch
        )),
        Ok(orders) => {
            for read in orders {
                match read.order {
                    Ok(order) => tenants.push(order),
                    // Only that tenant cannot be restored.
                    Err(fault) => findings.warn(format!("{}: {fault}", read.path)),
                }
            }
            let names: Vec<&str> = tenants.iter().map(|whose| whose.tenant.as_str()).collect();
            findings.ok(format!(
                "{} read: {}",
                count(len(names.len()), "order"),
                list(&names)
            ));
        }
        Err(error) => findings.wrong(format!("{error:#}")),
    }
    tenants
}

fn stand(findings: &mut Findings<'_>, config: &Config, standing: &Standing) {
    let branch = &config.github.branch;
    let repository = format!("{}/{}", config.github.owner, config.github.repository);
    findings.judge(
        standing.may_push,
        format!("the account may open pull requests in {repository}"),
        format!("the account may not push branches to {repository}: give it leave to write contents and pull requests"),
    );
    let method = config.github.merge_method.word();
    match standing.method_allowed {
        Some(false) => findings.wrong(format!(
            "github.mergeMethod: {repository} does not allow {method}"
        )),
        Some(true) => findings.ok(format!("it merges by {method}")),
        None => findings.warn(format!("GitHub does not say whether {method} is allowed")),
    }
    if !standing.protected {
        findings.warn(format!(
            "{branch} is not protected: anybody who may write can change an order without a review"
        ));
        return;
    }
    let mut wanted = Vec::new();
    if standing.reviews > 0 {
        let owners = if standing.code_owners {
            ", code owners among them"
        } else {
            ""
        };
        wanted.push(format!(
            "{}{owners}",
            count(len(standing.reviews), "approving review")
        ));
    }
    wanted.extend(
        standing
            .checks
            .iter()
            .map(|check| format!("the check {check}")),
    );
    findings.ok(if wanted.is_empty() {
        format!("{branch} is protected, and takes a merge at any time")
    } else {
        format!(
            "{branch} is protected, and takes a merge after {}",
            list(&wanted)
        )
    });
    let by_chat_only = !config.policy.approval.reviews;
    if standing.reviews > 0 && by_chat_only {
        findings.warn(
            "approvals are given in chat only, and the branch wants reviews: each has to be \
             given on GitHub as well before Refloat can merge",
        );
    }
    if standing.queue {
        findings.warn(format!(
            "{branch} is merged by its merge queue only: somebody has to put each of Refloat's \
             pull requests into it"
        ));
    }
}

fn len(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}
