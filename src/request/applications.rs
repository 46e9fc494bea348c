//! Argo CD Applications as a restore sees them: which of them would bring
//! deleted objects back, and when they are quiet.

use jiff::Timestamp;

/// What matters of an Argo CD Application.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // Each is one of Argo CD's own flags.
pub struct Application {
    pub namespace: String,
    pub name: String,
    /// It is made by an ApplicationSet, so that the order reaches it.
    pub generated: bool,
    /// It deploys into the namespaces of the request; else it is a parent, through which
    /// the order reaches those that do.
    pub deploys: bool,
    /// `spec.syncPolicy.automated` is there and not disabled.
    pub automated: bool,
    /// `spec.syncPolicy.automated.selfHeal`; absent means false.
    pub self_heal: bool,
    /// Where its manifests are, in words: repository and path.
    pub source: String,
    /// Where it is itself written down, if an Application that is known holds it.
    pub manifest: Option<String>,
    /// The refresh annotation is there: Argo CD has not looked yet.
    pub refreshing: bool,
    /// `.operation` is there: a sync is asked for.
    pub operation_requested: bool,
    /// `status.operationState.phase`, empty if there never was an operation.
    pub operation_phase: String,
    pub operation_finished: bool,
    /// `status.operationState.syncResult.revision(s)`.
    pub recorded_revisions: Vec<String>,
    /// `status.sync.revision(s)`.
    pub revisions: Vec<String>,
    /// `status.sync.status`: `Synced`, `OutOfSync`, `Unknown`.
    pub sync: String,
    /// `status.health.status`.
    pub health: String,
    pub reconciled_at: Option<Timestamp>,
    /// The message of a `SyncError` condition.
    pub sync_error: Option<String>,
    /// Objects that the next sync would delete because Git lacks them.
    pub would_prune: Vec<String>,
    /// `spec.destination.namespace`.
    pub destination: String,
}

/// Why an Application is not quiet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unquiet {
    /// Argo CD has not looked at it since the moment that matters.
    NotLooked,
    /// Self-heal is on: whatever is deleted comes back at once.
    SelfHeals,
    /// A sync is asked for or running.
    Operating,
    /// Its present revision was never recorded by an operation, so that Argo CD
    /// syncs it as soon as it is out of sync, self-heal or not.
    NeverRecorded,
}

impl Application {
    /// `namespace/name`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Quiet means that nothing which is deleted will be brought back: self-heal
    /// (or automation) is off in the live spec, no operation is asked for or
    /// running, and the revision it is at was recorded by the last operation.
    ///
    /// `looked` says that Argo CD is known to have looked at it since the order
    /// was changed.
    pub fn quiet(&self, looked: bool) -> Result<(), Unquiet> {
        if self.refreshing || !looked {
            return Err(Unquiet::NotLooked);
        }
        if self.automated && self.self_heal {
            return Err(Unquiet::SelfHeals);
        }
        let never_operated = self.operation_phase.is_empty();
        let ended = self.operation_finished
            && matches!(
                self.operation_phase.as_str(),
                "Succeeded" | "Failed" | "Error"
            );
        if self.operation_requested || !(never_operated || ended) {
            return Err(Unquiet::Operating);
        }
        if self.automated
            && (never_operated
                || self.revisions.is_empty()
                || self.recorded_revisions != self.revisions)
        {
            return Err(Unquiet::NeverRecorded);
        }
        Ok(())
    }

    /// It heals, and the order's flag does not reach it.
    pub fn heals_by_itself(&self) -> bool {
        !self.generated && self.automated && self.self_heal
    }

    /// Where its self-heal is turned off and on, in words.
    pub fn written_in(&self) -> String {
        self.manifest.clone().unwrap_or_else(|| {
            format!(
                "the manifest of the Application {} (it deploys {})",
                self.key(),
                self.source
            )
        })
    }

    /// True if Argo CD has looked since `moment`, by its own account. Its
    /// timestamps have whole seconds, so that the same second proves nothing.
    pub fn looked_since(&self, moment: Timestamp) -> bool {
        self.reconciled_at
            .is_some_and(|at| at.as_second() > moment.as_second())
    }

    /// Self-heal as it was, whatever else; `Err` says in words what is not.
    pub fn heals_as(&self, self_heal: bool) -> Result<(), String> {
        if self.generated && self.automated && self.self_heal != self_heal {
            return Err(format!(
                "self-heal is {}, and the order says {}",
                on_off(self.self_heal),
                on_off(self_heal)
            ));
        }
        Ok(())
    }

    /// The good end: self-heal as it was, synced, healthy, no failed sync that
    /// would keep self-heal from acting.
    pub fn is_well(&self, self_heal: bool) -> Result<(), String> {
        if self.refreshing {
            return Err("Argo CD is looking at it".to_owned());
        }
        self.heals_as(self_heal)?;
        if let Some(error) = &self.sync_error {
            return Err(format!("its last sync failed: {error}"));
        }
        if self.operation_requested {
            return Err("a sync is running".to_owned());
        }
        if self.sync != "Synced" {
            return Err(format!("it is {}", or_unknown(&self.sync)));
        }
        if self.health != "Healthy" {
            return Err(format!("its health is {}", or_unknown(&self.health)));
        }
        Ok(())
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn or_unknown(word: &str) -> &str {
    if word.is_empty() { "Unknown" } else { word }
}
