//! One tenant, resolved: its resources as the road reads them, each checked against the others.

use super::key::Keys;
use super::module::CALL_TIME_MS_MAX;
use super::resolve::{Source, name_of};
use super::resource::within;
use super::route::{Modules, Route};
use super::{
    CallTime, Endpoint, EventType, EventTypeSpec, Invalid, Kind, MasterKey, ModuleRecord, ModuleRef, OperationalEvents,
    QuarantineSpec, Quotas, ResourceId, Schema, Spec, Target, TimeBound, UnknownEventTypes,
};
use crate::model::{
    DELIVERY_DEAD, Digest, EndpointName, ModuleName, OPERATIONAL_SOURCE, PUBLISHED_SOURCE, RouteName, SourceName,
    TEST_ROUTE, TenantName,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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
    /// Its catalogue of event types.
    pub event_types: HashMap<String, Arc<EventType>>,
    /// How long its schemas are together, in bytes, and how many regular expressions they have.
    schemas: (usize, usize),
    /// What becomes of events whose type is not in it.
    pub unknown_event_types: UnknownEventTypes,
    /// Its API keys.
    pub(super) keys: Keys,
    /// The versions of modules that are not run.
    quarantined: HashMap<ModuleRef, HashMap<Digest, Option<Digest>>>,
    /// The versions that are run beside the active ones, and decide nothing.
    shadows: HashMap<ModuleRef, Digest>,
    /// How long one call of a module may take, where the tenant bounds it.
    module_time_ms_max: Option<u64>,
    /// What it may use.
    pub quotas: Quotas,
    /// Whether it is told the operational events of all.
    pub(super) oversees: bool,
}

/// How long the schemas of a tenant's event types may be together, in bytes of JSON, and how many regular expressions they may have: they are
/// in memory, compiled.
const SCHEMAS_BYTES_MAX: usize = 4 << 20;
const PATTERNS_MAX: usize = 500;

/// How many resources of a kind one tenant may have. Each event looks at its tenant's routes, and each change reads all its resources
/// anew.
pub(super) const fn count_max(kind: Kind) -> usize {
    match kind {
        Kind::Tenant => 1,
        Kind::Module | Kind::EventType | Kind::Source | Kind::Route | Kind::Key => 1_000,
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
            return Err((id, Invalid::new("", too_many(*kind, "a tenant", most))));
        }
    }
    Ok(())
}

pub(super) fn too_many(kind: Kind, scope: &str, most: usize) -> String {
    format!("{scope} has at most {most} resources of the kind `{}`: remove one first", kind.as_str())
}

impl Tenant {
    pub(super) fn build(
        name: &TenantName,
        records: BTreeMap<(Kind, String), Spec>,
        operator_modules: &BTreeMap<ModuleName, ModuleRecord>,
        key: &MasterKey,
        before: Option<&Self>,
    ) -> Result<Self, (ResourceId, Invalid)> {
        let mut tenant = Self {
            records: BTreeMap::new(),
            sources: HashMap::new(),
            endpoints: BTreeMap::new(),
            routes: BTreeMap::new(),
            event_types: HashMap::new(),
            schemas: (0, 0),
            unknown_event_types: UnknownEventTypes::default(),
            keys: Keys::default(),
            quarantined: HashMap::new(),
            shadows: HashMap::new(),
            module_time_ms_max: None,
            quotas: Quotas::default(),
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
            let added = match spec {
                Spec::EventType(spec) => tenant.add_event_type(&id.name, spec, before),
                spec => tenant.add(&id, spec, &modules, key),
            };
            added.map_err(|invalid| (id, invalid))?;
        }
        tenant.check_schemas(name, before)?;
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
                self.quotas = Quotas::resolve(&spec.quotas)?;
                self.oversees = spec.operational_events == OperationalEvents::All;
                self.unknown_event_types = spec.unknown_event_types;
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
            Spec::Key(key) => self.keys.add(name_of(id)?, key)?,
            // With the tenant as it was before: see there.
            Spec::EventType(spec) => self.add_event_type(&id.name, spec, None)?,
        }
        Ok(())
    }

    /// Adds an event type; the one from before where nothing of it has changed, for compiling a schema takes time.
    fn add_event_type(&mut self, name: &str, spec: &EventTypeSpec, before: Option<&Self>) -> Result<(), Invalid> {
        let same = before.filter(|before| {
            let record = before.records.get(&(Kind::EventType, name.to_owned()));
            matches!(record, Some(Spec::EventType(old)) if old == spec)
        });
        let event_type = match same.and_then(|before| before.event_types.get(name)) {
            Some(event_type) => Arc::clone(event_type),
            None => Arc::new(EventType::resolve(name, spec)?),
        };
        let (bytes, patterns) = event_type.schema.as_ref().map_or((0, 0), Schema::weight);
        self.schemas = (self.schemas.0 + bytes, self.schemas.1 + patterns);
        self.event_types.insert(name.to_owned(), event_type);
        Ok(())
    }

    /// Whether the schemas take no more than they may together. Where they do it is told of one that is not as it was before.
    fn check_schemas(&self, tenant: &TenantName, before: Option<&Self>) -> Result<(), (ResourceId, Invalid)> {
        let (bytes, patterns) = self.schemas;
        if bytes <= SCHEMAS_BYTES_MAX && patterns <= PATTERNS_MAX {
            return Ok(());
        }
        let is_new = |name: &&String| {
            let old = before.and_then(|before| before.event_types.get(*name));
            old.zip(self.event_types.get(*name)).is_none_or(|(old, new)| !Arc::ptr_eq(old, new))
        };
        let name = self.event_types.keys().find(is_new).cloned().unwrap_or_default();
        let id = ResourceId { tenant: Some(tenant.clone()), kind: Kind::EventType, name };
        let message = format!(
            "the tenant's schemas would have {bytes} bytes and {patterns} regular expressions in all; at most {SCHEMAS_BYTES_MAX} and \
             {PATTERNS_MAX} are allowed"
        );
        Err((id, Invalid::new("/schema", message)))
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
