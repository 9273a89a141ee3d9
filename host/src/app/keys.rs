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
/// The environment's name for the master key before it, while secrets are still sealed with that.
const PREVIOUS_KEY_ENV: &str = "HOOKSWITCH_MASTER_KEY_PREVIOUS";

const MASTER_KEY_FILE: &str = "master.key";
const PREVIOUS_KEY_FILE: &str = "master.key.previous";
const FINGERPRINT_FILE: &str = "master.fingerprint";

pub(super) fn operator_key(data: &Path) -> anyhow::Result<OperatorKey> {
    let text = given_or_made(data, OPERATOR_KEY_ENV, "operator.key", |random| format!("hsop_{}", hex(random)))?;
    OperatorKey::new(&text).with_context(|| format!("{OPERATOR_KEY_ENV} or {}", data.join("operator.key").display()))
}

/// The master key; and the one before it, where secrets are still sealed with that.
pub(super) fn master_key(data: &Path) -> anyhow::Result<(MasterKey, Option<MasterKey>)> {
    let text = given_or_made(data, MASTER_KEY_ENV, MASTER_KEY_FILE, |random| MasterKey::new(random).to_hex())?;
    let key = parsed(&text, data, MASTER_KEY_ENV, MASTER_KEY_FILE)?;
    let path = data.join(FINGERPRINT_FILE);
    match std::fs::read_to_string(&path) {
        Ok(known) if known.trim() == key.fingerprint() => Ok((key, None)),
        Ok(known) => previous_key(data, known.trim()).map(|previous| (key, Some(previous))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            write_new(&path, &key.fingerprint())?;
            Ok((key, None))
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The key with this fingerprint, with which the secrets are sealed. Without it there is no start: they would not open.
fn previous_key(data: &Path, fingerprint: &str) -> anyhow::Result<MasterKey> {
    let given = std::env::var(PREVIOUS_KEY_ENV).ok();
    if let Some(text) = given.map_or_else(|| read_private(&data.join(PREVIOUS_KEY_FILE)), |given| Ok(Some(given)))? {
        let previous = parsed(&text, data, PREVIOUS_KEY_ENV, PREVIOUS_KEY_FILE)?;
        if previous.fingerprint() == fingerprint {
            return Ok(previous);
        }
    }
    bail!(
        "the master key is not the one that the secrets in {} are sealed with; start with that one ({MASTER_KEY_ENV} or the file \
         {MASTER_KEY_FILE}), or, to change it, give that one too, as {PREVIOUS_KEY_ENV} or the file {PREVIOUS_KEY_FILE}",
        data.display()
    )
}

/// From here on a start does without the key before this one.
pub(super) fn master_key_is(data: &Path, key: &MasterKey) -> anyhow::Result<()> {
    write_new(&data.join(FINGERPRINT_FILE), &key.fingerprint())
}

/// Makes a new master key, and keeps the one before it for the next start.
///
/// # Errors
/// Where the key is given by the environment, the last change of it is not through, or the disk fails.
pub fn rotate_master_key(data: &Path) -> anyhow::Result<()> {
    if std::env::var_os(MASTER_KEY_ENV).is_some() {
        bail!(
            "{MASTER_KEY_ENV} gives the master key: put the new one there, and start the host once with the present one as \
             {PREVIOUS_KEY_ENV}"
        );
    }
    let path = data.join(MASTER_KEY_FILE);
    let text = read_private(&path)?.with_context(|| format!("there is no {}", path.display()))?;
    let key = parsed(&text, data, MASTER_KEY_ENV, MASTER_KEY_FILE)?;
    let known = std::fs::read_to_string(data.join(FINGERPRINT_FILE)).unwrap_or_default();
    if known.trim() != key.fingerprint() {
        bail!("the last change of the master key is not through: start the host once first");
    }
    // In this order: a crash in between leaves two names of one key.
    write_new(&data.join(PREVIOUS_KEY_FILE), &text)?;
    write_new(&path, &MasterKey::new(random()?).to_hex())
}

fn parsed(text: &str, data: &Path, env: &str, file: &str) -> anyhow::Result<MasterKey> {
    text.trim().parse().with_context(|| format!("{env} or {}", data.join(file).display()))
}

fn given_or_made(data: &Path, env: &str, file: &str, make: impl FnOnce([u8; 32]) -> String) -> anyhow::Result<String> {
    if let Ok(given) = std::env::var(env) {
        return Ok(given.trim().to_owned());
    }
    let path = data.join(file);
    if let Some(text) = read_private(&path)? {
        return Ok(text);
    }
    let text = make(random()?);
    write_new(&path, &text)?;
    tracing::info!(path = %path.display(), "made a new key");
    Ok(text)
}

/// What a file says that only its owner may read; none where it is not there.
fn read_private(path: &Path) -> anyhow::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                bail!("{} can be read by others (mode {mode:03o}); run `chmod 600` on it", path.display());
            }
            Ok(Some(text.trim().to_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn random() -> anyhow::Result<[u8; 32]> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("the machine gives no random numbers: {error}"))?;
    Ok(random)
}

/// Writes a file, whole and durably: one that a crash cut short would keep the host from starting.
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
        let (first, _) = master_key(dir.path()).unwrap();
        operator_key(dir.path()).unwrap();
        for file in ["master.key", "operator.key"] {
            let mode = std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        assert_eq!(master_key(dir.path()).unwrap().0.to_hex(), first.to_hex());
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

    #[test]
    fn the_key_before_is_needed_until_the_new_one_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (first, _) = master_key(dir.path()).unwrap();
        rotate_master_key(dir.path()).unwrap();
        let (second, previous) = master_key(dir.path()).unwrap();
        assert_eq!(previous.map(|key| key.to_hex()), Some(first.to_hex()));
        assert_ne!(second.to_hex(), first.to_hex());
        assert!(rotate_master_key(dir.path()).unwrap_err().to_string().contains("not through"));
        let (previous, away) = (dir.path().join(PREVIOUS_KEY_FILE), dir.path().join("away"));
        std::fs::rename(&previous, &away).unwrap();
        assert!(master_key(dir.path()).unwrap_err().to_string().contains(PREVIOUS_KEY_ENV));
        std::fs::rename(&away, &previous).unwrap();
        master_key_is(dir.path(), &second).unwrap();
        assert!(master_key(dir.path()).unwrap().1.is_none());
        rotate_master_key(dir.path()).unwrap();
        assert_eq!(master_key(dir.path()).unwrap().1.map(|key| key.to_hex()), Some(second.to_hex()));
    }
}
