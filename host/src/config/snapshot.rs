//! The configuration as the road reads it: resolved, complete, immutable. A change makes a new snapshot or, where anything in it
//! does not fit, an error that points at the place; the old one stays.

use super::key::Keys;
use super::resolve::name_of;
use super::tenant::{Tenant, count_max, too_many};
use super::{Endpoint, KeyRecord, Kind, MasterKey, ModuleRecord, QuarantineSpec, ResourceId, Spec};
use crate::model::{Digest, EndpointName, KeyName, ModuleName, TenantName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The most tenants that are told the operational events of all.
const OVERSEERS_MAX: usize = 10;

/// Why a resource cannot be as it is written. `pointer` is the JSON pointer (RFC 6901) of the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if pointer.is_empty() { String::new() } else { format!("at `{pointer}`: ") })]
pub struct Invalid {
    /// Where, in the resource's JSON; empty for the resource itself.
    pub pointer: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Invalid {
    pub(crate) fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), message: message.into() }
    }
}

/// A resource and where it stands. Secrets in it are sealed.
pub type Record = (ResourceId, Spec);

/// All configuration at one revision.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts up with each change; 0 for the empty one.
    pub revision: u64,
    tenants: HashMap<TenantName, Arc<Tenant>>,
    operator_modules: BTreeMap<ModuleName, ModuleRecord>,
    operator_keys: Keys,
    /// The tenants that are told the operational events of all.
    overseers: BTreeSet<TenantName>,
}

impl Snapshot {
    /// The snapshot of these records.
    ///
    /// # Errors
    /// Where a record does not fit: names the resource too.
    pub fn build(
        revision: u64,
        records: impl IntoIterator<Item = Record>,
        key: &MasterKey,
    ) -> Result<Self, (ResourceId, Invalid)> {
        let changes = records.into_iter().map(|(id, spec)| (id, Some(spec))).collect::<Vec<_>>();
        Self::default().with(revision, changes, key)
    }

    /// This snapshot with changes: resources put, or removed where there is none.
    ///
    /// # Errors
    /// Where a changed resource, or one that refers to it, does not fit; names the resource.
    pub fn with(
        &self,
        revision: u64,
        changes: impl IntoIterator<Item = (ResourceId, Option<Spec>)>,
        key: &MasterKey,
    ) -> Result<Self, (ResourceId, Invalid)> {
        let mut next = Self { revision, ..self.clone() };
        let mut touched: BTreeMap<TenantName, BTreeMap<(Kind, String), Spec>> = BTreeMap::new();
        let records_of = |tenant: &TenantName| self.tenants.get(tenant).map(|t| t.records.clone()).unwrap_or_default();
        for (id, spec) in changes {
            let Some(tenant) = id.tenant.clone() else {
                next.change_operator(&id, spec)?;
                for tenant in self.tenants.keys() {
                    touched.entry(tenant.clone()).or_insert_with(|| records_of(tenant));
                }
                continue;
            };
            let records = touched.entry(tenant.clone()).or_insert_with(|| records_of(&tenant));
            match spec {
                Some(spec) => records.insert((id.kind, id.name), spec),
                None => records.remove(&(id.kind, id.name)),
            };
        }
        for (name, records) in touched {
            next.overseers.remove(&name);
            if records.is_empty() {
                next.tenants.remove(&name);
                continue;
            }
            let tenant = Tenant::build(
                &name,
                records,
                &next.operator_modules,
                key,
                self.tenants.get(&name).map(|before| &**before),
            )?;
            if tenant.oversees {
                next.add_overseer(&name)?;
            }
            next.tenants.insert(name, Arc::new(tenant));
        }
        Ok(next)
    }

    fn add_overseer(&mut self, name: &TenantName) -> Result<(), (ResourceId, Invalid)> {
        self.overseers.insert(name.clone());
        if self.overseers.len() <= OVERSEERS_MAX {
            return Ok(());
        }
        let id = ResourceId { tenant: Some(name.clone()), kind: Kind::Tenant, name: name.to_string() };
        let message = format!(
            "at most {OVERSEERS_MAX} tenants are told the operational events of all: leave it out at another one"
        );
        Err((id, Invalid::new("/operational_events", message)))
    }

    fn change_operator(&mut self, id: &ResourceId, spec: Option<Spec>) -> Result<(), (ResourceId, Invalid)> {
        let at = |invalid: Invalid| (id.clone(), invalid);
        match (id.kind, spec) {
            (Kind::Module, Some(Spec::Module(record))) => {
                record.check().map_err(at)?;
                self.operator_modules.insert(name_of(id).map_err(at)?, record);
            }
            (Kind::Module, None) => drop(self.operator_modules.remove(&name_of(id).map_err(at)?)),
            (Kind::Key, spec) => {
                let name: KeyName = name_of(id).map_err(at)?;
                self.operator_keys.remove(&name);
                if let Some(Spec::Key(key)) = spec {
                    self.operator_keys.add(name, &key).map_err(at)?;
                }
                let most = count_max(Kind::Key);
                if self.operator_keys.len() > most {
                    return Err(at(Invalid::new("", too_many(Kind::Key, "the operator's scope", most))));
                }
            }
            _ => return Err(at(Invalid::new("", "the operator's scope holds modules and keys only"))),
        }
        Ok(())
    }

    /// A tenant.
    #[must_use]
    pub fn tenant(&self, name: &TenantName) -> Option<&Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// All versions of all modules.
    pub fn module_versions(&self) -> impl Iterator<Item = Digest> + '_ {
        let of_tenants = self.tenants.values().flat_map(|tenant| tenant.records.values());
        let of_tenants = of_tenants.filter_map(|spec| match spec {
            Spec::Module(record) => Some(record),
            _ => None,
        });
        let records = self.operator_modules().values().chain(of_tenants);
        records.flat_map(|record| record.versions.iter().map(|version| version.digest))
    }

    /// The plans of all routes.
    pub fn plans(&self) -> impl Iterator<Item = Digest> + '_ {
        self.tenants.values().flat_map(|tenant| tenant.routes.values().map(|route| route.plan_digest))
    }

    /// The names of all tenants, in no order.
    pub fn tenant_names(&self) -> impl Iterator<Item = &TenantName> {
        self.tenants.keys()
    }

    /// The tenants that are told the operational events of all, and the host's.
    pub const fn overseers(&self) -> &BTreeSet<TenantName> {
        &self.overseers
    }

    /// Whether anybody is told of an operational event of this tenant's.
    #[must_use]
    pub fn tells(&self, tenant: &TenantName, event_type: &str) -> bool {
        let told = std::iter::once(tenant).chain(&self.overseers).filter_map(|name| self.tenants.get(name));
        told.into_iter().any(|tenant| tenant.is_told(event_type))
    }

    /// An endpoint of a tenant.
    #[must_use]
    pub fn endpoint(&self, tenant: &TenantName, name: &EndpointName) -> Option<&Arc<Endpoint>> {
        self.tenants.get(tenant)?.endpoints.get(name)
    }

    /// The API keys of a tenant, or of the operator's scope, in no order.
    pub fn keys(&self, scope: Option<&TenantName>) -> impl Iterator<Item = (&KeyName, &KeyRecord)> {
        self.keys_of(scope).into_iter().flat_map(Keys::iter)
    }

    /// The API key whose text has this hash, with its name.
    #[must_use]
    pub fn key(&self, scope: Option<&TenantName>, digest: &Digest) -> Option<&(KeyName, KeyRecord)> {
        self.keys_of(scope)?.find(digest)
    }

    fn keys_of(&self, scope: Option<&TenantName>) -> Option<&Keys> {
        match scope {
            Some(tenant) => Some(&self.tenants.get(tenant)?.keys),
            None => Some(&self.operator_keys),
        }
    }

    /// The modules that the operator gives to all tenants.
    #[must_use]
    pub const fn operator_modules(&self) -> &BTreeMap<ModuleName, ModuleRecord> {
        &self.operator_modules
    }

    /// A module's record.
    #[must_use]
    pub fn module(&self, id: &ResourceId) -> Option<&ModuleRecord> {
        match &id.tenant {
            Some(tenant) => match self.tenants.get(tenant)?.records.get(&(Kind::Module, id.name.clone()))? {
                Spec::Module(record) => Some(record),
                _ => None,
            },
            None => self.operator_modules.get(&id.name.parse().ok()?),
        }
    }

    /// All quarantines of a tenant.
    pub fn quarantines_of<'a>(&'a self, tenant: Option<&'a TenantName>) -> impl Iterator<Item = ResourceId> + 'a {
        let found = tenant.and_then(|name| Some((name, self.tenants.get(name)?)));
        found
            .into_iter()
            .flat_map(|(name, tenant)| tenant.quarantines().map(|(resource, _)| quarantine_id(name, resource)))
    }

    /// The quarantines of a module's versions, in its tenant, or in all tenants for one of the operator's.
    pub fn quarantines<'a>(&'a self, module: &'a ResourceId) -> impl Iterator<Item = (ResourceId, &'a QuarantineSpec)> {
        let reference = |spec: &QuarantineSpec| {
            spec.module.operator == module.tenant.is_none() && spec.module.name.as_str() == module.name
        };
        let tenants = self.tenants.iter().filter(|(name, _)| module.tenant.as_ref().is_none_or(|own| own == *name));
        tenants.flat_map(move |(name, tenant)| {
            let found = tenant.quarantines().filter(move |(_, spec)| reference(spec));
            found.map(move |(resource, spec)| (quarantine_id(name, resource), spec))
        })
    }

    /// A resource as it was written, secrets sealed.
    #[must_use]
    pub fn record(&self, id: &ResourceId) -> Option<Spec> {
        match &id.tenant {
            Some(tenant) => self.tenants.get(tenant)?.records.get(&(id.kind, id.name.clone())).cloned(),
            None if id.kind == Kind::Module => {
                self.operator_modules.get(&id.name.parse().ok()?).cloned().map(Spec::Module)
            }
            None if id.kind == Kind::Key => {
                let mut keys = self.keys(None);
                keys.find(|(name, _)| name.as_str() == id.name).map(|(_, key)| Spec::Key(key.clone()))
            }
            None => None,
        }
    }
}

fn quarantine_id(tenant: &TenantName, resource: &str) -> ResourceId {
    ResourceId { tenant: Some(tenant.clone()), kind: Kind::Quarantine, name: resource.to_owned() }
}

#[cfg(test)]
mod tests;
