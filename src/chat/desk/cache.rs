//! What completion offers from: read once, shown at once, read again behind it.
//!
//! Whoever is typing waits for nobody; a value that is a little old does no harm,
//! since nothing is done by it: what is asked for is read anew when it is asked.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is older is shown, and read again.
const FRESH: Duration = Duration::from_secs(10);
/// What is older is not shown.
const USABLE: Duration = Duration::from_mins(10);

/// Values by key, as they were read last.
#[derive(Debug)]
pub(crate) struct Cache<K, V>(Mutex<HashMap<K, Entry<V>>>);

#[derive(Debug)]
struct Entry<V> {
    read_at: Instant,
    value: V,
    /// Somebody is reading it again.
    reading: bool,
}

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K, V> Cache<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    fn entries(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value as it was read last; `read` only if there is none, or behind it.
    pub(super) async fn get<F, R>(self: &Arc<Self>, key: K, read: F) -> anyhow::Result<V>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = anyhow::Result<V>> + Send,
    {
        let known = {
            let mut entries = self.entries();
            match entries.get_mut(&key) {
                Some(entry) if entry.read_at.elapsed() <= FRESH => return Ok(entry.value.clone()),
                Some(entry) if entry.read_at.elapsed() <= USABLE => {
                    if entry.reading {
                        return Ok(entry.value.clone());
                    }
                    entry.reading = true;
                    Some(entry.value.clone())
                }
                _ => None,
            }
        };
        let Some(known) = known else {
            let value = read().await?;
            self.put(key, value.clone());
            return Ok(value);
        };
        let this = Arc::clone(self);
        tokio::spawn(async move {
            match read().await {
                Ok(value) => this.put(key, value),
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "what is offered stays old");
                    if let Some(entry) = this.entries().get_mut(&key) {
                        entry.reading = false;
                    }
                }
            }
        });
        Ok(known)
    }

    fn put(&self, key: K, value: V) {
        let entry = Entry {
            read_at: Instant::now(),
            value,
            reading: false,
        };
        self.entries().insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_value_is_read_once_and_old_ones_behind_the_answer() {
        let cache: Arc<Cache<&str, usize>> = Arc::default();
        let reads = Arc::new(AtomicUsize::new(0));
        let read = || {
            let reads = Arc::clone(&reads);
            move || async move { Ok(reads.fetch_add(1, Ordering::SeqCst)) }
        };
        assert_eq!(cache.get("a", read()).await.unwrap(), 0);
        assert_eq!(cache.get("a", read()).await.unwrap(), 0);
        assert_eq!(cache.get("b", read()).await.unwrap(), 1);
        let age = |ago| {
            if let Some(entry) = cache.entries().get_mut("a") {
                entry.read_at = Instant::now().checked_sub(ago).unwrap();
            }
        };
        age(Duration::from_secs(30));
        assert_eq!(cache.get("a", read()).await.unwrap(), 0);
        while cache.entries()["a"].value == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(cache.get("a", read()).await.unwrap(), 2);
        age(Duration::from_secs(700));
        assert_eq!(cache.get("a", read()).await.unwrap(), 3);
        age(Duration::from_secs(700));
        assert!(
            cache
                .get("a", || async { anyhow::bail!("no") })
                .await
                .is_err()
        );
    }
}
