//! The configuration as the road reads it: resolved, complete, immutable. A change makes a new snapshot or, where anything in it
//! does not fit, an error that points at the place; the old one stays.

use super::endpoint::Endpoint;
use super::module::CALL_TIME_MS_MAX;
use super::resolve::{Source, name_of};
use super::resource::within;
use super::route::{Modules, Route};
use super::{
    CallTime, Kind, MasterKey, ModuleRecord, ModuleRef, OperationalEvents, QuarantineSpec, ResourceId, Spec, Target,
    TimeBound,
};
use crate::model::{
    DELIVERY_DEAD, Digest, EndpointName, ModuleName, OPERATIONAL_SOURCE, PUBLISHED_SOURCE, RouteName, SourceName,
    TEST_ROUTE, TenantName,
};
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
    /// The tenants that are told the operational events of all.
    overseers: BTreeSet<TenantName>,
}

/// One tenant, resolved.
#[derive(Debug)]
pub struct Tenant {
    /// Its resources as they were written, secrets sealed.
    pub records: BTreeMap<(Kind, String), Spec>,
    /// Its sources.
    pub sources: HashMap<SourceName, Arc<Source>>,
    /// Its endpoints.
    pub endpoints: BTreeMap<EndpointName, Arc<Endpoint>>,
    /// Its routes, disabled ones too.
    pub routes: BTreeMap<RouteName, Arc<Route>>,
    /// The versions of modules that are not run.
    quarantined: HashMap<ModuleRef, HashMap<Digest, Option<Digest>>>,
    /// The versions that are run beside the active ones, and decide nothing.
    shadows: HashMap<ModuleRef, Digest>,
    /// How long one call of a module may take, where the tenant bounds it.
    module_time_ms_max: Option<u64>,
    /// Whether it is told the operational events of all.
    oversees: bool,
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
            let tenant = Tenant::build(&name, records, &next.operator_modules, key)?;
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
        let wrong = |message: String| (id.clone(), Invalid::new("", message));
        let name: ModuleName = id.name.parse().map_err(|error| wrong(format!("{error}")))?;
        match (id.kind, spec) {
            (Kind::Module, Some(Spec::Module(record))) => {
                record.check().map_err(|invalid| (id.clone(), invalid))?;
                self.operator_modules.insert(name, record)
            }
            (Kind::Module, None) => self.operator_modules.remove(&name),
            _ => return Err(wrong("the operator's scope holds modules only".to_owned())),
        };
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
            None => None,
        }
    }
}

fn quarantine_id(tenant: &TenantName, resource: &str) -> ResourceId {
    ResourceId { tenant: Some(tenant.clone()), kind: Kind::Quarantine, name: resource.to_owned() }
}

/// How many resources of a kind one tenant may have. Each event looks at its tenant's routes, and each change reads all its resources
/// anew.
const fn count_max(kind: Kind) -> usize {
    match kind {
        Kind::Tenant => 1,
        Kind::Module | Kind::Source | Kind::Route => 1_000,
        Kind::Quarantine | Kind::Endpoint => 10_000,
    }
}

fn check_counts(tenant: &TenantName, records: &BTreeMap<(Kind, String), Spec>) -> Result<(), (ResourceId, Invalid)> {
    let mut counts: BTreeMap<Kind, usize> = BTreeMap::new();
    for (kind, name) in records.keys() {
        let (count, most) = (counts.entry(*kind).or_default(), count_max(*kind));
        *count += 1;
        if *count > most {
            let id = ResourceId { tenant: Some(tenant.clone()), kind: *kind, name: name.clone() };
            let kind = kind.as_str();
            let message = format!("a tenant has at most {most} resources of the kind `{kind}`: remove one first");
            return Err((id, Invalid::new("", message)));
        }
    }
    Ok(())
}

impl Tenant {
    fn build(
        name: &TenantName,
        records: BTreeMap<(Kind, String), Spec>,
        operator_modules: &BTreeMap<ModuleName, ModuleRecord>,
        key: &MasterKey,
    ) -> Result<Self, (ResourceId, Invalid)> {
        let mut tenant = Self {
            records: BTreeMap::new(),
            sources: HashMap::new(),
            endpoints: BTreeMap::new(),
            routes: BTreeMap::new(),
            quarantined: HashMap::new(),
            shadows: HashMap::new(),
            module_time_ms_max: None,
            oversees: false,
        };
        if !records.contains_key(&(Kind::Tenant, name.to_string())) {
            let id = ResourceId { tenant: Some(name.clone()), kind: Kind::Tenant, name: name.to_string() };
            return Err((id, Invalid::new("", format!("there is no tenant `{name}`: make it first"))));
        }
        check_counts(name, &records)?;
        if let Ok(published) = PUBLISHED_SOURCE.parse() {
            // Before its own, one of which may have the name.
            tenant.sources.insert(published, Arc::new(Source::of_the_application()));
        }
        let modules = Modules { own: &records, operator: operator_modules };
        // Kinds come in the order of their declaration: whatever a route refers to is there before it.
        for ((kind, resource), spec) in &records {
            let id = ResourceId { tenant: Some(name.clone()), kind: *kind, name: resource.clone() };
            tenant.add(&id, spec, &modules, key).map_err(|invalid| (id, invalid))?;
        }
        for (module, record) in operator_modules {
            tenant.note_shadow(ModuleRef { operator: true, name: module.clone() }, record);
        }
        tenant.records = records;
        Ok(tenant)
    }

    fn add(&mut self, id: &ResourceId, spec: &Spec, modules: &Modules<'_>, key: &MasterKey) -> Result<(), Invalid> {
        match spec {
            Spec::Tenant(spec) => {
                if let Some(ms) = spec.module_time_ms_max {
                    within("/module_time_ms_max", ms, 1, CALL_TIME_MS_MAX)?;
                }
                self.module_time_ms_max = spec.module_time_ms_max;
                self.oversees = spec.operational_events == OperationalEvents::All;
            }
            Spec::Module(record) => {
                record.check()?;
                self.note_shadow(ModuleRef { operator: false, name: name_of(id)? }, record);
            }
            Spec::Quarantine(spec) => {
                let versions = self.quarantined.entry(spec.module.clone()).or_default();
                versions.insert(spec.digest, spec.rolled_back_to);
            }
            Spec::Source(_) if id.name == OPERATIONAL_SOURCE => {
                let message = "is the host's own source, of operational events: name yours otherwise";
                return Err(Invalid::new("", message));
            }
            Spec::Route(_) if id.name == TEST_ROUTE => {
                return Err(Invalid::new("", "is what tests of endpoints go by: name yours otherwise"));
            }
            Spec::Source(spec) => {
                self.sources.insert(name_of(id)?, Arc::new(Source::resolve(id, spec, key)?));
            }
            Spec::Endpoint(spec) => {
                let endpoint = Endpoint::resolve(id, spec, key)?;
                self.endpoints.insert(endpoint.name.clone(), Arc::new(endpoint));
            }
            Spec::Route(spec) => {
                let route = Route::resolve(id, spec, self, modules)?;
                self.routes.insert(route.name.clone(), Arc::new(route));
            }
        }
        Ok(())
    }

    fn note_shadow(&mut self, module: ModuleRef, record: &ModuleRecord) {
        self.shadows.extend(record.shadow.map(|shadow| (module, shadow)));
    }

    /// Whether a version is not run for this tenant.
    #[must_use]
    pub fn is_quarantined(&self, module: &ModuleRef, digest: &Digest) -> bool {
        self.quarantined.get(module).is_some_and(|versions| versions.contains_key(digest))
    }

    /// The quarantines, with their resources' names.
    pub fn quarantines(&self) -> impl Iterator<Item = (&str, &QuarantineSpec)> {
        let all = self.records.range((Kind::Quarantine, String::new())..);
        all.map_while(|((_, name), spec)| match spec {
            Spec::Quarantine(spec) => Some((name.as_str(), spec)),
            _ => None,
        })
    }

    /// The version that is run beside a module's active one.
    #[must_use]
    pub fn shadow_of(&self, module: &ModuleRef) -> Option<Digest> {
        self.shadows.get(module).copied()
    }

    /// The active version of a module for this tenant. Where one of the operator's is quarantined here, it is the one that its quarantine
    /// says to use instead: here alone, since the events of one tenant must not change what others run.
    pub(super) fn active(&self, module: &ModuleRef, record: &ModuleRecord) -> Digest {
        let instead = self.quarantined.get(module).and_then(|versions| versions.get(&record.digest)).copied().flatten();
        let instead = instead.filter(|_| module.operator).filter(|instead| self.may_replace(module, record, instead));
        instead.unwrap_or(record.digest)
    }

    /// Whether a version can take the active one's place here: it is there, does the same kind of work, and is not quarantined.
    pub(crate) fn may_replace(&self, module: &ModuleRef, record: &ModuleRecord, instead: &Digest) -> bool {
        let found = record.find(instead).is_some_and(|version| version.world == record.world);
        found && !self.is_quarantined(module, instead)
    }

    /// How long one call of a module may take, where it or the tenant says so: the shorter one.
    #[must_use]
    pub fn max_time(&self, record: &ModuleRecord) -> Option<CallTime> {
        let own = record.max_time_ms.map(|ms| CallTime { ms, set_by: TimeBound::Module });
        let tenant = self.module_time_ms_max.map(|ms| CallTime { ms, set_by: TimeBound::Tenant });
        own.into_iter().chain(tenant).min_by_key(|bound| bound.ms)
    }

    /// Whether operational events of this type are made for it: any but those of dead deliveries, which can be as many as there are
    /// deliveries and are made where a route takes them.
    #[must_use]
    pub fn is_told(&self, event_type: &str) -> bool {
        event_type != DELIVERY_DEAD || self.routes.values().any(|route| route.takes_operational(event_type))
    }

    /// The endpoints that get a message of this type.
    #[must_use]
    pub fn select(&self, target: &Target, event_type: &str) -> Vec<&Arc<Endpoint>> {
        match target {
            Target::Endpoints(names) => names.iter().filter_map(|name| self.endpoints.get(name)).collect(),
            Target::Labels(wanted) => self
                .endpoints
                .values()
                .filter(|endpoint| endpoint.has_labels(wanted.iter()))
                .filter(|endpoint| endpoint.event_types.iter().any(|pattern| pattern.matches(event_type)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests;
