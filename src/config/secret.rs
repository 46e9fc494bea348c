//! A secret that lives in a file or in the environment, and is read again when the
//! file changes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use secrecy::{ExposeSecret as _, SecretString};

/// A secret and where it comes from. Clones share what was read; its text is in
/// no `Debug` and no error.
#[derive(Clone)]
pub struct Secret {
    file: Option<PathBuf>,
    held: Arc<Mutex<Held>>,
}

struct Held {
    value: SecretString,
    seen: Option<Seen>,
}

/// By what a change of the file is noticed.
type Seen = (SystemTime, u64);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret([REDACTED])")
    }
}

impl Secret {
    /// A secret that does not change.
    pub fn fixed(value: SecretString) -> Self {
        Self {
            file: None,
            held: Arc::new(Mutex::new(Held { value, seen: None })),
        }
    }

    /// A secret in a file; white space around it is not part of it.
    ///
    /// The error says what is wrong with the file, never what is in it.
    pub fn from_file(path: &Path) -> Result<Self, String> {
        let (value, seen) = read(path)?;
        Ok(Self {
            file: Some(path.to_owned()),
            held: Arc::new(Mutex::new(Held {
                value,
                seen: Some(seen),
            })),
        })
    }

    /// Whether it is in a file, not in the environment.
    pub(super) fn is_in_a_file(&self) -> bool {
        self.file.is_some()
    }

    /// The secret as it is now. A file that is gone or empty, as for an instant
    /// while it is replaced, leaves what was read before.
    pub fn get(&self) -> SecretString {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.file
            && seen(path).is_ok_and(|now| Some(now) != held.seen)
        {
            match read(path) {
                Ok((value, seen)) => {
                    if value.expose_secret() != held.value.expose_secret() {
                        tracing::info!(file = %path.display(), "a secret was read anew");
                    }
                    *held = Held {
                        value,
                        seen: Some(seen),
                    };
                }
                Err(why) => tracing::warn!(why, "the secret read before goes on being used"),
            }
        }
        held.value.clone()
    }
}

fn seen(path: &Path) -> std::io::Result<Seen> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.modified()?, metadata.len()))
}

fn read(path: &Path) -> Result<(SecretString, Seen), String> {
    let cannot = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let seen = seen(path).map_err(cannot)?;
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    match text.trim() {
        "" => Err(format!("{} is empty", path.display())),
        text => Ok((SecretString::from(text), seen)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_anew_when_the_file_changes_and_kept_when_it_is_gone() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("token");
        std::fs::write(&path, "first\n")?;
        let secret = Secret::from_file(&path).map_err(anyhow::Error::msg)?;
        assert_eq!(secret.get().expose_secret(), "first");
        std::fs::write(&path, "the second\n")?;
        assert_eq!(secret.get().expose_secret(), "the second");
        std::fs::write(&path, "")?;
        assert_eq!(secret.get().expose_secret(), "the second");
        std::fs::remove_file(&path)?;
        assert_eq!(secret.get().expose_secret(), "the second");
        assert!(!format!("{secret:?}").contains("second"));
        Ok(())
    }
}
