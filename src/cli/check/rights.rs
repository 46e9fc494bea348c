//! What `refloat check` asks of the account's own rights, and of what guards them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, ListParams, PostParams};
use kube::{Client, ResourceExt as _};

use super::Findings;
use crate::backups::Whose;
use crate::config::Config;
use crate::effects::notes;
use crate::request::preflight::{count, list};

const RBAC: &str = "rbac.authorization.k8s.io";
/// How many questions are asked at once.
const AT_ONCE: usize = 8;
/// The policies of `deploy/base/policy.yaml`.
const POLICIES: [&str; 4] = [
    "refloat-applications",
    "refloat-bindings",
    "refloat-deletes",
    "refloat-namespaces",
];

/// One right that Refloat needs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Right<'a> {
    verb: &'static str,
    group: &'static str,
    /// The plural, with a subresource behind a slash.
    resource: &'static str,
    /// Empty: in the whole cluster.
    namespace: &'a str,
    /// Empty: whatever its name.
    name: &'a str,
}

impl Right<'_> {
    async fn is_given(&self, reviews: &Api<SelfSubjectAccessReview>) -> Result<bool, kube::Error> {
        let (plural, sub) = match self.resource.split_once('/') {
            Some((plural, sub)) => (plural, Some(sub)),
            None => (self.resource, None),
        };
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    verb: said(self.verb),
                    group: said(self.group),
                    resource: said(plural),
                    subresource: sub.map(ToOwned::to_owned),
                    namespace: said(self.namespace),
                    name: said(self.name),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        // A question, though it is sent as something new; nothing is kept of it.
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

impl fmt::Display for Right<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verb,
            group,
            resource,
            namespace: _,
            name,
        } = self;
        match (*group, *resource) {
            ("*", "*") => write!(f, "{verb} everything")?,
            ("", resource) => write!(f, "{verb} {resource}")?,
            (group, resource) => match resource.split_once('/') {
                Some((plural, sub)) => write!(f, "{verb} {plural}.{group}/{sub}")?,
                None => write!(f, "{verb} {resource}.{group}")?,
            },
        }
        if !name.is_empty() {
            write!(f, " {name}")?;
        }
        Ok(())
    }
}

/// Rights to each of `verbs` on each of `resources`.
fn each<'a>(
    group: &'static str,
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    namespace: &'a str,
    name: &'a str,
) -> impl Iterator<Item = Right<'a>> {
    resources.iter().flat_map(move |resource| {
        verbs.iter().map(move |verb| Right {
            verb,
            group,
            resource,
            namespace,
            name,
        })
    })
}

/// Everything that Refloat does by this configuration, but for listing.
///
/// The source is `deploy/base/rbac.yaml`, and a test holds this to it.
fn needed(config: &Config) -> Vec<Right<'_>> {
    let (home, velero) = (config.namespace.as_str(), config.velero.namespace.as_str());
    let mut all: Vec<Right<'_>> = each("", &["namespaces"], &["get", "create"], "", "").collect();
    match config.clearing_role.as_deref() {
        Some(role) => {
            all.extend(each(RBAC, &["rolebindings"], &["create"], "", ""));
            all.extend(each(RBAC, &["clusterroles"], &["bind"], "", role));
            let map = crate::effects::rights::CLEARING;
            all.extend(each("", &["configmaps"], &["get", "patch"], home, map));
        }
        None => all.extend(each("*", &["*"], &["delete"], "", "")),
    }
    all.extend(each(
        "refloat.dev",
        &["restorerequests", "schedulerequests", "copyrequests"],
        &["get", "watch", "create", "update"],
        home,
        "",
    ));
    all.extend(each(
        "refloat.dev",
        &[
            "restorerequests/status",
            "schedulerequests/status",
            "copyrequests/status",
        ],
        &["update"],
        home,
        "",
    ));
    all.extend(each(
        "events.k8s.io",
        &["events"],
        &["create", "patch"],
        home,
        "",
    ));
    if let Some(lease) = &config.lease {
        let group = "coordination.k8s.io";
        all.extend(each(group, &["leases"], &["create"], home, ""));
        let name = &lease.name;
        all.extend(each(group, &["leases"], &["get", "update"], home, name));
    }
    all.extend(each("", &["configmaps"], &["create"], home, ""));
    let told = notes::NAME;
    all.extend(each("", &["configmaps"], &["get", "update"], home, told));
    let group = "velero.io";
    let made = &["get", "watch", "create"];
    all.extend(each(group, &["backups", "restores"], made, velero, ""));
    all.extend(each(group, &["podvolumerestores"], &["watch"], velero, ""));
    all.extend(each(
        group,
        &["schedules"],
        &["get", "watch", "delete"],
        velero,
        "",
    ));
    all.extend(each(
        group,
        &["downloadrequests"],
        &["get", "create"],
        velero,
        "",
    ));
    let group = "argoproj.io";
    for namespace in argocd(config) {
        let verbs = &["get", "watch", "patch"];
        all.extend(each(group, &["applications"], verbs, namespace, ""));
        all.extend(each(group, &["applicationsets"], &["get"], namespace, ""));
    }
    all
}

/// Where Applications live.
fn argocd(config: &Config) -> BTreeSet<&str> {
    let argocd = &config.argocd;
    let platform = std::iter::once(argocd.platform_namespace.as_str());
    platform
        .chain(argocd.namespaces.iter().map(String::as_str))
        .collect()
}

/// Listing, which is given for the whole cluster, or else where Refloat looks.
fn listing<'a>(config: &'a Config, tenants: &'a [Whose]) -> Vec<Right<'a>> {
    let mut namespaces = vec![config.namespace.as_str(), config.velero.namespace.as_str()];
    namespaces.extend(argocd(config));
    let theirs = tenants.iter().flat_map(|whose| &whose.namespaces);
    namespaces.extend(theirs.map(String::as_str));
    namespaces.sort_unstable();
    namespaces.dedup();
    let mut all: Vec<Right<'_>> = Vec::new();
    if config.clearing_role.is_some() {
        // Bindings that an earlier process left, wherever they are.
        all.extend(each(RBAC, &["rolebindings"], &["list"], "", ""));
    }
    for namespace in namespaces {
        all.extend(each("*", &["*"], &["list"], namespace, ""));
    }
    all
}

const EVERYTHING: Right<'_> = Right {
    verb: "list",
    group: "*",
    resource: "*",
    namespace: "",
    name: "",
};

/// Whether the account may do what Refloat does, and whether the API server guards it.
pub(super) async fn ask(
    findings: &mut Findings<'_>,
    config: &Config,
    client: &Client,
    tenants: &[Whose],
) {
    match lacking(config, client, tenants).await {
        Ok((asked, lacking)) if lacking.is_empty() => findings.ok(format!(
            "the account has each of the {} that Refloat needs",
            count(i64::try_from(asked).unwrap_or(i64::MAX), "right")
        )),
        Ok((_, lacking)) => {
            let mut what =
                "rights are missing: apply deploy/base/rbac.yaml with the namespaces of \
                            this configuration"
                    .to_owned();
            for (namespace, rights) in by_place(&lacking) {
                what.push_str("\nin ");
                what.push_str(if namespace.is_empty() {
                    "the whole cluster"
                } else {
                    namespace
                });
                what.push_str(": ");
                what.push_str(&rights.join(", "));
            }
            findings.wrong(what);
        }
        Err(error) => findings.wrong(format!(
            "the API server does not say what the account may do: {error}"
        )),
    }
    if config.clearing_role.is_none() {
        findings.warn(
            "kubernetes.clearingRole is not set: the right to delete in tenants' namespaces \
             stands at all times",
        );
        return;
    }
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    let everything = ListParams::default();
    match policies.list_metadata(&everything).await {
        Ok(found) => {
            let is_there = |name: &&str| found.items.iter().any(|it| it.name_any() == **name);
            let missing: Vec<&str> = POLICIES.into_iter().filter(|it| !is_there(it)).collect();
            if missing.is_empty() {
                findings.ok("the admission policies that guard those rights are there");
            } else {
                findings.warn(format!(
                    "the admission policies {} are not there: apply deploy/base/policy.yaml, so \
                     that the API server refuses what Refloat must never do",
                    list(&missing)
                ));
            }
        }
        // Where listing is given in some namespaces only.
        Err(kube::Error::Api(status)) if status.code == 403 => findings.ok(
            "whether the admission policies of deploy/base/policy.yaml are there the account may \
             not see",
        ),
        Err(error) => findings.warn(format!(
            "whether the admission policies of deploy/base/policy.yaml are there is not seen: \
             {error}"
        )),
    }
}

fn by_place<'a>(rights: &[Right<'a>]) -> BTreeMap<&'a str, Vec<String>> {
    let mut places: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for right in rights {
        let place = places.entry(right.namespace).or_default();
        place.push(right.to_string());
    }
    places
}

/// How many rights were asked about, and which of them are not given.
async fn lacking<'a>(
    config: &'a Config,
    client: &Client,
    tenants: &'a [Whose],
) -> Result<(usize, Vec<Right<'a>>), kube::Error> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut all = needed(config);
    if EVERYTHING.is_given(&reviews).await? {
        all.push(EVERYTHING);
    } else {
        all.extend(listing(config, tenants));
    }
    let asked = all.len();
    let reviews = &reviews;
    let lacking = futures::stream::iter(all)
        .map(|right| async move {
            let given = right == EVERYTHING || right.is_given(reviews).await?;
            Ok::<_, kube::Error>((!given).then_some(right))
        })
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    Ok((asked, lacking.into_iter().flatten().collect()))
}
