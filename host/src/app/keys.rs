//! The two keys of a data directory: the operator's, which opens the admin interface, and the master key, which seals secrets. Given by
//! the environment, or made at the first start in files that only their owner reads.

use crate::api::OperatorKey;
use crate::config::MasterKey;
use anyhow::{Context as _, bail};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The environment's name for the operator's key.
pub const OPERATOR_KEY_ENV: &str = "HOOKSWITCH_OPERATOR_KEY";
/// The environment's name for the master key.
pub const MASTER_KEY_ENV: &str = "HOOKSWITCH_MASTER_KEY";

pub(super) fn operator_key(data: &Path) -> anyhow::Result<OperatorKey> {
    let text = given_or_made(data, OPERATOR_KEY_ENV, "operator.key", |random| format!("hsop_{}", hex(random)))?;
    OperatorKey::new(&text).with_context(|| format!("{OPERATOR_KEY_ENV} or {}", data.join("operator.key").display()))
}

pub(super) fn master_key(data: &Path) -> anyhow::Result<MasterKey> {
    let text = given_or_made(data, MASTER_KEY_ENV, "master.key", |random| MasterKey::new(random).to_hex())?;
    let key: MasterKey =
        text.parse().with_context(|| format!("{MASTER_KEY_ENV} or {}", data.join("master.key").display()))?;
    check_fingerprint(data, &key)?;
    Ok(key)
}

/// Refuses to start with another master key than the one that the directory began with: its secrets would not open.
fn check_fingerprint(data: &Path, key: &MasterKey) -> anyhow::Result<()> {
    let path = data.join("master.fingerprint");
    match std::fs::read_to_string(&path) {
        Ok(known) if known.trim() == key.fingerprint() => Ok(()),
        Ok(_) => bail!(
            "the master key is not the one that the secrets in {} are sealed with; start with that one ({MASTER_KEY_ENV} or \
             the file master.key)",
            data.display()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => write_new(&path, &key.fingerprint()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn given_or_made(data: &Path, env: &str, file: &str, make: impl FnOnce([u8; 32]) -> String) -> anyhow::Result<String> {
    if let Ok(given) = std::env::var(env) {
        return Ok(given.trim().to_owned());
    }
    let path = data.join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let mode = std::fs::metadata(&path)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                bail!("{} can be read by others (mode {mode:03o}); run `chmod 600` on it", path.display());
            }
            Ok(text.trim().to_owned())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut random = [0; 32];
            getrandom::fill(&mut random)
                .map_err(|error| anyhow::anyhow!("the machine gives no random numbers: {error}"))?;
            let text = make(random);
            write_new(&path, &text)?;
            tracing::info!(path = %path.display(), "made a new key");
            Ok(text)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Writes a file that is not there yet, whole and durably: one that a crash cut short would keep the host from starting.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    crate::store::write_whole(path, &[text.as_bytes(), b"\n"])
        .with_context(|| format!("cannot write {}", path.display()))
}

fn hex(bytes: [u8; 32]) -> String {
    crate::model::Digest::from_bytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = master_key(dir.path()).unwrap();
        operator_key(dir.path()).unwrap();
        for file in ["master.key", "operator.key"] {
            let mode = std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        assert_eq!(master_key(dir.path()).unwrap().to_hex(), first.to_hex());
    }

    #[test]
    fn a_wrong_or_open_master_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        master_key(dir.path()).unwrap();
        let path = dir.path().join("master.key");
        std::fs::write(&path, MasterKey::new([1; 32]).to_hex()).unwrap();
        assert!(master_key(dir.path()).unwrap_err().to_string().contains("is not the one"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(master_key(dir.path()).unwrap_err().to_string().contains("chmod 600"));
    }
}
