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
    let text = match given(data, OPERATOR_KEY_ENV, "operator.key")? {
        Some(text) => text,
        None => {
            let text = format!("hsop_{}", hex(random()?));
            make(&data.join("operator.key"), &text)?;
            text
        }
    };
    OperatorKey::new(&text).with_context(|| format!("{OPERATOR_KEY_ENV} or {}", data.join("operator.key").display()))
}

/// The master key of a data directory.
pub(super) struct Master {
    /// What seals.
    pub(super) key: MasterKey,
    /// The one before it, where secrets are still sealed with that.
    pub(super) previous: Option<MasterKey>,
    /// Whether it was made just now, and stands nowhere.
    is_made: bool,
}

impl Master {
    /// The key that is given for `data`; a new one where nothing was ever sealed there. Writes nothing.
    pub(super) fn find(data: &Path) -> anyhow::Result<Self> {
        let path = data.join(FINGERPRINT_FILE);
        let known = match std::fs::read_to_string(&path) {
            Ok(known) => Some(known.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let Some(text) = given(data, MASTER_KEY_ENV, MASTER_KEY_FILE)? else {
            if known.is_some() {
                bail!(
                    "there is no master key: {} is not there, and {MASTER_KEY_ENV} is not set, but the secrets in {} are sealed with one. Put \
                     that key back, as this file (mode 600) or this variable; no other opens them",
                    data.join(MASTER_KEY_FILE).display(),
                    data.display()
                );
            }
            return Ok(Self { key: MasterKey::new(random()?), previous: None, is_made: true });
        };
        let key = parsed(&text, data, MASTER_KEY_ENV, MASTER_KEY_FILE)?;
        let previous = match known {
            Some(known) if known != key.fingerprint() => Some(previous_key(data, &known)?),
            _ => None,
        };
        Ok(Self { key, previous, is_made: false })
    }

    /// To be called when it has opened all that is sealed: from here on a start needs this key, and no other.
    pub(super) fn keep(&self, data: &Path) -> anyhow::Result<()> {
        if self.is_made {
            make(&data.join(MASTER_KEY_FILE), &self.key.to_hex())?;
        }
        let (path, fingerprint) = (data.join(FINGERPRINT_FILE), self.key.fingerprint());
        match std::fs::read_to_string(&path) {
            Ok(known) if known.trim() == fingerprint => Ok(()),
            _ => write_new(&path, &fingerprint),
        }
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

/// Makes a new master key, and keeps the one before it for the next start.
///
/// # Errors
/// Where the key is given by the environment, a host runs on the directory, the last change of it is not through, or the disk fails.
pub fn rotate_master_key(data: &Path) -> anyhow::Result<()> {
    if std::env::var_os(MASTER_KEY_ENV).is_some() {
        bail!(
            "{MASTER_KEY_ENV} gives the master key: put the new one there, and start the host once with the present one as \
             {PREVIOUS_KEY_ENV}"
        );
    }
    if crate::store::is_in_use(&data.join("store")) {
        bail!("a host runs on {}: stop it first, the new key is for the next start", data.display());
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

/// What the environment says, or else the file.
fn given(data: &Path, env: &str, file: &str) -> anyhow::Result<Option<String>> {
    match std::env::var(env) {
        Ok(given) => Ok(Some(given.trim().to_owned())),
        Err(_) => read_private(&data.join(file)),
    }
}

fn make(path: &Path, text: &str) -> anyhow::Result<()> {
    write_new(path, text)?;
    tracing::info!(path = %path.display(), "made a new key");
    Ok(())
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

    /// As a start does that finds nothing it cannot open.
    fn master_key(data: &Path) -> anyhow::Result<Master> {
        let master = Master::find(data)?;
        master.keep(data)?;
        Ok(master)
    }

    #[test]
    fn keys_are_made_once_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let first = master_key(dir.path()).unwrap();
        operator_key(dir.path()).unwrap();
        for file in ["master.key", "operator.key"] {
            let mode = std::fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        assert_eq!(master_key(dir.path()).unwrap().key.to_hex(), first.key.to_hex());
    }

    #[test]
    fn a_wrong_or_open_master_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        master_key(dir.path()).unwrap();
        let path = dir.path().join("master.key");
        std::fs::write(&path, MasterKey::new([1; 32]).to_hex()).unwrap();
        let error = || Master::find(dir.path()).err().unwrap().to_string();
        assert!(error().contains("is not the one"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(error().contains("chmod 600"));
    }

    #[test]
    fn a_master_key_that_is_gone_is_missed_and_no_other_made() {
        let dir = tempfile::tempdir().unwrap();
        master_key(dir.path()).unwrap();
        let path = dir.path().join("master.key");
        std::fs::remove_file(&path).unwrap();
        let error = Master::find(dir.path()).err().unwrap().to_string();
        assert!(error.contains("there is no master key") && error.contains("master.key is not there"), "{error}");
        assert!(error.contains(MASTER_KEY_ENV) && !path.exists(), "{error}");
    }

    #[test]
    fn a_first_key_is_written_when_it_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let master = Master::find(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        master.keep(dir.path()).unwrap();
        assert_eq!(Master::find(dir.path()).unwrap().key.to_hex(), master.key.to_hex());
    }

    #[test]
    fn the_key_before_is_needed_until_the_new_one_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let first = master_key(dir.path()).unwrap().key;
        rotate_master_key(dir.path()).unwrap();
        let second = Master::find(dir.path()).unwrap();
        assert_eq!(second.previous.as_ref().map(MasterKey::to_hex), Some(first.to_hex()));
        assert_ne!(second.key.to_hex(), first.to_hex());
        assert!(rotate_master_key(dir.path()).unwrap_err().to_string().contains("not through"));
        let (previous, away) = (dir.path().join(PREVIOUS_KEY_FILE), dir.path().join("away"));
        std::fs::rename(&previous, &away).unwrap();
        assert!(Master::find(dir.path()).err().unwrap().to_string().contains(PREVIOUS_KEY_ENV));
        std::fs::rename(&away, &previous).unwrap();
        second.keep(dir.path()).unwrap();
        assert!(Master::find(dir.path()).unwrap().previous.is_none());
        rotate_master_key(dir.path()).unwrap();
        let previous = Master::find(dir.path()).unwrap().previous;
        assert_eq!(previous.map(|key| key.to_hex()), Some(second.key.to_hex()));
    }
}
