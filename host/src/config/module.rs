//! A module as the configuration keeps it: the versions of one name, and which of them does what. An upload is a version; one of
//! them is active; beside it one may be the canary, which runs for a share of the events, and one the shadow, which is tried out
//! and decides nothing. Pure: who changes a record commits the new one.

use super::plan::Canary;
use super::resource::within;
use super::snapshot::Invalid;
use crate::model::{Digest, World};
use serde::{Deserialize, Serialize};

/// How many versions of one module are kept. The oldest one that nothing uses is forgotten.
pub const MODULE_VERSIONS_MAX: usize = 50;
/// How often in a row a version may fail before it is quarantined, where its module does not say.
pub const QUARANTINE_AFTER: u32 = 10;
const QUARANTINE_AFTER_MAX: u64 = 1_000_000;
/// The most that may be written for the time of one call, in milliseconds; the host's own bound is never above it.
pub(super) const CALL_TIME_MS_MAX: u64 = 60_000;

/// A module and its versions. Made by uploads, not written by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleRecord {
    /// The active version: the sha256 of the uploaded bytes.
    pub digest: Digest,
    /// What the active version does.
    pub world: World,
    /// The size of the active version's upload.
    pub bytes: u64,
    /// All versions that are kept, the newest last: at most [`MODULE_VERSIONS_MAX`].
    #[serde(default)]
    pub versions: Vec<ModuleVersion>,
    /// The version that was active before: what a rollback returns to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// The version that runs for a share of the events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The version that is run beside the active one to compare them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow: Option<Digest>,
    /// How long one call may take, in milliseconds: 1 to 60,000. The tenant's `module_time_ms_max` and the host's
    /// `runtime.max_time_ms` bound it too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time_ms: Option<u64>,
    /// How often in a row a version may fail for one tenant before it is quarantined there: 1 to 1,000,000; 0 for never. By itself
    /// [`QUARANTINE_AFTER`].
    #[serde(default = "quarantine_after")]
    pub quarantine_after: u32,
    /// Whether a quarantine of the active version makes the previous one active.
    #[serde(default)]
    pub rollback_on_quarantine: bool,
}

const fn quarantine_after() -> u32 {
    QUARANTINE_AFTER
}

/// One upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleVersion {
    /// Counts the uploads of the name from 1.
    pub number: u32,
    /// The sha256 of the uploaded bytes.
    pub digest: Digest,
    /// What it does.
    pub world: World,
    /// The upload's size.
    pub bytes: u64,
    /// When it came, in milliseconds since 1970-01-01T00:00:00Z; 0 for one that was there before versions were kept.
    pub uploaded_at_ms: u64,
}

/// Which version is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionRef {
    /// The one with these bytes.
    Digest(Digest),
    /// The upload with this number.
    Number(u32),
}

impl std::fmt::Display for VersionRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "{digest}"),
            Self::Number(number) => write!(f, "number {number}"),
        }
    }
}

/// What of a module may be set beside its versions. What is none stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModuleOptions {
    /// See [`ModuleRecord::max_time_ms`]; 0 takes it away.
    pub max_time_ms: Option<u64>,
    /// See [`ModuleRecord::quarantine_after`].
    pub quarantine_after: Option<u32>,
    /// See [`ModuleRecord::rollback_on_quarantine`].
    pub rollback_on_quarantine: Option<bool>,
}

/// Why versions do not change as they were asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// There is no such version.
    #[error(
        "the module has no version {0}; GET the module to see those it has (at most {MODULE_VERSIONS_MAX} are kept)"
    )]
    Unknown(VersionRef),
    /// There is nothing to return to.
    #[error("no other version was active before this one: activate one by its number or digest")]
    NoPrevious,
    /// A candidate must be of the active version's kind.
    #[error(
        "version {number} is a {candidate}, the active one a {active}: only a version of the same world can stand in for it"
    )]
    World {
        /// The candidate's number.
        number: u32,
        /// Its world.
        candidate: World,
        /// The active version's.
        active: World,
    },
    /// The active version cannot stand in for itself.
    #[error("version {0} is the active one: it cannot be its own canary or shadow")]
    Active(u32),
    /// The share is none.
    #[error("{0} is no share: a canary takes 1 to 100 percent of the events, and 0 ends it")]
    Percent(u32),
}

impl ModuleRecord {
    /// A module at its first upload.
    #[must_use]
    pub fn new(digest: Digest, world: World, bytes: u64, now_ms: u64) -> Self {
        let version = ModuleVersion { number: 1, digest, world, bytes, uploaded_at_ms: now_ms };
        Self { versions: vec![version], ..Self::of_one(digest, world, bytes) }
    }

    fn of_one(digest: Digest, world: World, bytes: u64) -> Self {
        Self {
            digest,
            world,
            bytes,
            versions: Vec::new(),
            previous: None,
            canary: None,
            shadow: None,
            max_time_ms: None,
            quarantine_after: QUARANTINE_AFTER,
            rollback_on_quarantine: false,
        }
    }

    /// A record that was stored before versions were kept has one: the active one.
    pub(super) fn with_its_version(self) -> Self {
        if self.versions.is_empty() {
            let versions = Self::new(self.digest, self.world, self.bytes, 0).versions;
            return Self { versions, ..self };
        }
        self
    }

    /// Adds an upload; the same bytes again are the version they were. Forgets the oldest that nothing uses where there are too many.
    pub fn upload(&mut self, digest: Digest, world: World, bytes: u64, now_ms: u64) {
        if self.find(&digest).is_some() {
            return;
        }
        let number = self.versions.last().map_or(0, |last| last.number).saturating_add(1);
        self.versions.push(ModuleVersion { number, digest, world, bytes, uploaded_at_ms: now_ms });
        while self.versions.len() > MODULE_VERSIONS_MAX {
            let unused = |version: &ModuleVersion| self.role(&version.digest) == Role::Kept;
            let Some(oldest) = self.versions.iter().position(unused) else { return };
            self.versions.remove(oldest);
        }
    }

    /// Makes a version the active one. It ends the canary: from then on every event runs this version.
    ///
    /// # Errors
    /// Where there is no such version.
    pub fn activate(&mut self, which: VersionRef) -> Result<(), VersionError> {
        let version = self.version(which)?.clone();
        if version.digest == self.digest {
            return Ok(());
        }
        self.previous = Some(self.digest);
        (self.digest, self.world, self.bytes) = (version.digest, version.world, version.bytes);
        self.canary = None;
        let of_another_world = |digest: &Digest| self.find(digest).is_none_or(|found| found.world != version.world);
        if self.shadow.is_some_and(|shadow| shadow == version.digest || of_another_world(&shadow)) {
            self.shadow = None;
        }
        Ok(())
    }

    /// Makes the version active that was so before.
    ///
    /// # Errors
    /// Where there was none.
    pub fn roll_back(&mut self) -> Result<(), VersionError> {
        self.activate(VersionRef::Digest(self.previous.ok_or(VersionError::NoPrevious)?))
    }

    /// Has a version run for a share of the events; 0 percent ends that.
    ///
    /// # Errors
    /// Where it cannot stand in for the active version, or the share is none.
    pub fn set_canary(&mut self, which: Option<VersionRef>, percent: u32) -> Result<(), VersionError> {
        self.canary = match (which, percent) {
            (_, 0) => None,
            (Some(which), 1..=100) => {
                let digest = self.candidate(which)?;
                Some(Canary { digest, percent: u8::try_from(percent).map_err(|_| VersionError::Percent(percent))? })
            }
            _ => return Err(VersionError::Percent(percent)),
        };
        Ok(())
    }

    /// Has a version run beside the active one; none ends that.
    ///
    /// # Errors
    /// Where it cannot stand in for the active version.
    pub fn set_shadow(&mut self, which: Option<VersionRef>) -> Result<(), VersionError> {
        self.shadow = which.map(|which| self.candidate(which)).transpose()?;
        Ok(())
    }

    /// Sets what is given.
    pub fn set_options(&mut self, options: &ModuleOptions) {
        if let Some(ms) = options.max_time_ms {
            self.max_time_ms = Some(ms).filter(|ms| *ms > 0);
        }
        self.quarantine_after = options.quarantine_after.unwrap_or(self.quarantine_after);
        self.rollback_on_quarantine = options.rollback_on_quarantine.unwrap_or(self.rollback_on_quarantine);
    }

    /// The version that is meant.
    ///
    /// # Errors
    /// Where there is none.
    pub fn version(&self, which: VersionRef) -> Result<&ModuleVersion, VersionError> {
        let found = self.versions.iter().find(|version| match which {
            VersionRef::Digest(digest) => version.digest == digest,
            VersionRef::Number(number) => version.number == number,
        });
        found.ok_or(VersionError::Unknown(which))
    }

    /// The version with these bytes.
    #[must_use]
    pub fn find(&self, digest: &Digest) -> Option<&ModuleVersion> {
        self.versions.iter().find(|version| version.digest == *digest)
    }

    /// What a version does now.
    #[must_use]
    pub fn role(&self, digest: &Digest) -> Role {
        match Some(*digest) {
            _ if *digest == self.digest => Role::Active,
            some if some == self.canary.map(|canary| canary.digest) => Role::Canary,
            some if some == self.shadow => Role::Shadow,
            some if some == self.previous => Role::Previous,
            _ => Role::Kept,
        }
    }

    /// The versions that run, or may at any moment.
    pub fn in_use(&self) -> impl Iterator<Item = Digest> {
        let canary = self.canary.map(|canary| canary.digest);
        let fallback = self.previous.filter(|_| self.rollback_on_quarantine);
        [Some(self.digest), canary, self.shadow, fallback].into_iter().flatten()
    }

    pub(super) fn check(&self) -> Result<(), Invalid> {
        if let Some(ms) = self.max_time_ms {
            within("/max_time_ms", ms, 1, CALL_TIME_MS_MAX)?;
        }
        within("/quarantine_after", self.quarantine_after.into(), 0, QUARANTINE_AFTER_MAX)
    }

    fn candidate(&self, which: VersionRef) -> Result<Digest, VersionError> {
        let ModuleVersion { number, digest, world, .. } = *self.version(which)?;
        if digest == self.digest {
            return Err(VersionError::Active(number));
        }
        if world != self.world {
            return Err(VersionError::World { number, candidate: world, active: self.world });
        }
        Ok(digest)
    }
}

/// What a version does. Of several the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It runs.
    Active,
    /// It runs for a share of the events.
    Canary,
    /// It is run beside the active one.
    Shadow,
    /// A rollback returns to it.
    Previous,
    /// Nothing; it can be activated.
    Kept,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u32) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn with_versions(count: u32) -> ModuleRecord {
        let mut record = ModuleRecord::new(digest(1), World::Filter, 10, 5);
        (2..=count).for_each(|number| record.upload(digest(number), World::Filter, 10, 5));
        record
    }

    #[test]
    fn activation_remembers_what_was_and_rollback_returns_to_it() {
        let mut record = with_versions(3);
        assert_eq!(record.roll_back(), Err(VersionError::NoPrevious));
        record.set_canary(Some(VersionRef::Number(2)), 20).unwrap();
        record.set_shadow(Some(VersionRef::Number(3))).unwrap();
        let roles: Vec<Role> = record.versions.iter().map(|version| record.role(&version.digest)).collect();
        assert_eq!(roles, [Role::Active, Role::Canary, Role::Shadow]);
        record.activate(VersionRef::Digest(digest(3))).unwrap();
        assert_eq!(
            (record.digest, record.previous, record.canary, record.shadow),
            (digest(3), Some(digest(1)), None, None)
        );
        record.roll_back().unwrap();
        assert_eq!((record.digest, record.previous), (digest(1), Some(digest(3))));
        assert_eq!(record.activate(VersionRef::Number(9)), Err(VersionError::Unknown(VersionRef::Number(9))));
    }

    #[test]
    fn a_candidate_is_of_the_same_world_and_another_version() {
        let mut record = with_versions(2);
        record.upload(digest(3), World::Router, 1, 6);
        assert_eq!(record.set_canary(Some(VersionRef::Number(1)), 5), Err(VersionError::Active(1)));
        assert!(matches!(record.set_shadow(Some(VersionRef::Number(3))), Err(VersionError::World { number: 3, .. })));
        for percent in [101, 1000] {
            assert_eq!(record.set_canary(Some(VersionRef::Number(2)), percent), Err(VersionError::Percent(percent)));
        }
        record.set_canary(Some(VersionRef::Number(2)), 100).unwrap();
        record.set_canary(None, 0).unwrap();
        assert_eq!(record.canary, None);
    }

    #[test]
    fn the_oldest_version_that_nothing_uses_is_forgotten() {
        let mut record = with_versions(4);
        record.activate(VersionRef::Number(2)).unwrap();
        record.set_canary(Some(VersionRef::Number(3)), 1).unwrap();
        let most = u32::try_from(MODULE_VERSIONS_MAX).unwrap();
        (5..=most + 2).for_each(|number| record.upload(digest(number), World::Filter, 1, 7));
        let numbers: Vec<u32> = record.versions.iter().map(|version| version.number).collect();
        assert_eq!(numbers.len(), MODULE_VERSIONS_MAX);
        assert_eq!(numbers[..4], [1, 2, 3, 6], "active, previous and canary stay");
        record.upload(digest(6), World::Filter, 1, 8);
        assert_eq!(record.versions.len(), MODULE_VERSIONS_MAX, "the same bytes are no new version");
    }

    #[test]
    fn a_record_from_before_versions_were_kept_reads_as_its_first() {
        let json = format!(r#"{{"digest": "{}", "world": "filter", "bytes": 7}}"#, digest(1));
        let super::super::Spec::Module(record) =
            super::super::parse(super::super::Kind::Module, json.as_bytes()).unwrap()
        else {
            panic!("it is a module");
        };
        assert_eq!(record, ModuleRecord::new(digest(1), World::Filter, 7, 0));
    }
}
