//! Whether the quotas of the namespaces have room for what the backup holds.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Check, Holdings, Results, Survey};
use crate::request::resource::RestoreRequestSpec;

/// An amount as Kubernetes writes it, in thousandths: `500m`, `2Gi`, `1e3`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(pub i128);

impl Quantity {
    /// Reads `500m`, `2`, `1.5Gi`, `1e3`; `None` for what is no quantity.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let end = text
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty()
            || !fraction.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let negative = whole.starts_with('-');
        let whole: i128 = match whole {
            "" | "-" | "+" => 0,
            whole => whole.parse().ok()?,
        };
        let scale: i128 = match suffix {
            "n" => return Some(Self(whole / 1_000_000)),
            "u" => return Some(Self(whole / 1000)),
            "m" => return Some(Self(whole)),
            "" => 1,
            "k" => 1000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            "P" => 1_000_000_000_000_000,
            "E" => 1_000_000_000_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            "Pi" => 1 << 50,
            "Ei" => 1 << 60,
            exponent => {
                let power: u32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
                10_i128.checked_pow(power)?
            }
        };
        let mut thousandths = whole.checked_mul(1000)?.checked_mul(scale)?;
        let mut unit = scale.checked_mul(1000)?;
        for digit in fraction.bytes() {
            unit /= 10;
            let part = i128::from(digit - b'0') * unit;
            thousandths += if negative { -part } else { part };
        }
        Some(Self(thousandths))
    }

    fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// A ResourceQuota without scopes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quota {
    pub namespace: String,
    pub name: String,
    /// `spec.hard`: what there may be at most, as it is written.
    pub hard: BTreeMap<String, String>,
}

/// What a pod asks for, by the names that quotas use: the greater of what its
/// containers ask for together and what any one of its init containers does.
pub fn needs(pod: &Value) -> BTreeMap<String, Quantity> {
    let mut all = BTreeMap::new();
    for (of, prefix) in [("requests", "requests."), ("limits", "limits.")] {
        for resource in ["cpu", "memory"] {
            let amount = |container: &Value| {
                container
                    .pointer(&format!("/resources/{of}/{resource}"))
                    .and_then(|amount| match amount {
                        Value::String(text) => Quantity::parse(text),
                        Value::Number(number) => Quantity::parse(&number.to_string()),
                        _ => None,
                    })
                    .unwrap_or_default()
            };
            let containers = |pointer: &str| {
                pod.pointer(pointer)
                    .and_then(Value::as_array)
                    .cloned()
                    .unwrap_or_default()
            };
            let together = containers("/spec/containers")
                .iter()
                .map(amount)
                .fold(Quantity::default(), Quantity::plus);
            let first = containers("/spec/initContainers")
                .iter()
                .map(amount)
                .max()
                .unwrap_or_default();
            let needed = together.max(first);
            if needed > Quantity::default() {
                all.insert(format!("{prefix}{resource}"), needed);
            }
        }
    }
    all
}

/// Kinds that quotas count, by the word that they count them under.
const COUNTED: &[(&str, &str)] = &[
    ("pods", "Pod"),
    ("persistentvolumeclaims", "PersistentVolumeClaim"),
    ("configmaps", "ConfigMap"),
    ("secrets", "Secret"),
    ("services", "Service"),
    ("count/deployments.apps", "apps/Deployment"),
    ("count/statefulsets.apps", "apps/StatefulSet"),
    ("count/jobs.batch", "batch/Job"),
];

/// After the clearing a quota is free but for what is kept, which the backup
/// holds as well; so what the backup holds has to fit by itself.
pub(super) fn check(
    spec: &RestoreRequestSpec,
    survey: &Survey,
    holdings: &Holdings,
    results: &mut Results,
) -> Result<(), String> {
    let mut looked_at = 0;
    for quota in &survey.quotas {
        if !spec.namespaces.contains(&quota.namespace) {
            continue;
        }
        looked_at += 1;
        for (what, hard) in &quota.hard {
            let Some(most) = Quantity::parse(hard) else {
                continue;
            };
            let Some(needed) = needed(holdings, &quota.namespace, what) else {
                continue;
            };
            if needed > most {
                return Err(format!(
                    "The quota {} of {} allows {hard} of {what}, and what the backup holds needs \
                     {}: not all of it would come back. Have the quota raised in the tenant's \
                     order, then ask again.",
                    quota.name,
                    quota.namespace,
                    in_words(needed)
                ));
            }
        }
    }
    results.passed(
        Check::Quota,
        match looked_at {
            0 => "there is none".to_owned(),
            _ => "there is room for what the backup holds".to_owned(),
        },
    );
    Ok(())
}

fn needed(holdings: &Holdings, namespace: &str, what: &str) -> Option<Quantity> {
    let counted = COUNTED.iter().find(|(word, _)| {
        what == *word
            || what
                .strip_prefix("count/")
                .is_some_and(|rest| rest == *word)
    });
    if let Some((_, kind)) = counted {
        let number = holdings.objects.get(*kind).map_or(0, |names| {
            names
                .iter()
                .filter(|name| name.split_once('/').is_some_and(|(of, _)| of == namespace))
                .count()
        });
        return Some(Quantity(i128::try_from(number).ok()?.checked_mul(1000)?));
    }
    let key = match what {
        "cpu" => "requests.cpu",
        "memory" => "requests.memory",
        other => other,
    };
    holdings.needs.get(namespace)?.get(key).copied()
}

fn in_words(quantity: Quantity) -> String {
    let (whole, rest) = (quantity.0 / 1000, quantity.0 % 1000);
    if rest == 0 {
        whole.to_string()
    } else {
        format!("{}m", quantity.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities() {
        for (text, thousandths) in [
            ("500m", Some(500)),
            ("2", Some(2000)),
            ("1.5", Some(1500)),
            (".5", Some(500)),
            ("1.5Gi", Some(1_610_612_736_000)),
            ("1e3", Some(1_000_000)),
            ("2k", Some(2_000_000)),
            ("-1", Some(-1000)),
            ("100000u", Some(100)),
            ("", None),
            ("x", None),
            ("1Qi", None),
            ("1.x", None),
            ("999999999999999999999999999999999999999E", None),
        ] {
            assert_eq!(Quantity::parse(text), thousandths.map(Quantity), "{text:?}");
        }
    }

    #[test]
    fn a_pod_needs_the_greater_of_its_containers_and_of_each_init_container() {
        let pod = serde_json::json!({"spec": {
            "containers": [
                {"resources": {"requests": {"cpu": "250m", "memory": "1Gi"}}},
                {"resources": {"requests": {"cpu": 1}}},
            ],
            "initContainers": [{"resources": {"requests": {"memory": "2Gi"}, "limits": {"cpu": "2"}}}],
        }});
        let needs = needs(&pod);
        assert_eq!(needs["requests.cpu"], Quantity(1250));
        assert_eq!(needs["requests.memory"], Quantity((2 << 30) * 1000));
        assert_eq!(needs["limits.cpu"], Quantity(2000));
        assert!(!needs.contains_key("limits.memory"));
    }
}
