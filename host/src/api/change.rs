//! How configuration changes: one change at a time, checked whole against everything else, committed durably, then published as a new
//! snapshot. What is refused changes nothing; what changes nothing makes no new revision.

pub use super::change_error::ChangeError;

use super::audit;
use super::customers::{check_customer, relabelled, with_labels};
use crate::clock::Clock;
use crate::config::{Invalid, Kind, MasterKey, Plan, ResourceId, Route, SealError, SecretSpec, Snapshot, Spec, parse};
use crate::model::{Actor, Digest, EndpointName, KeyName, TenantName};
use crate::pipeline::{Library, Published, Still};
use crate::runtime::{Executor, Lane};
use crate::signing::{KeyScheme, SigningKey};
use crate::store::{Configure, Former, Notice, Outcome, ReadError, ResourceKey, Store, Transition};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard, oneshot};
use tokio::task::JoinSet;

/// What stands for a secret where it is not shown.
pub(super) const MASK: &str = "***";
/// How many deliveries are given up at once.
const CANCEL_AT_ONCE: usize = 256;

/// The configuration and the way to change it. Cheap to clone.
#[derive(Clone)]
pub struct Configuration {
    store: Store,
    library: Library,
    executor: Arc<Executor>,
    key: MasterKey,
    published: Published,
    clock: Clock,
    /// How long events are kept.
    events_ms: u64,
    /// One change at a time.
    turn: Arc<Mutex<()>>,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Created,
    Replaced,
    Nothing,
}

/// What a change does besides.
#[derive(Debug, Default)]
pub(super) struct Besides {
    /// Endpoints that must have no pending delivery.
    pub(super) unused: Vec<(TenantName, EndpointName)>,
    /// What tenants are told.
    pub(super) notices: Vec<(TenantName, Notice)>,
    /// Whether a tenant that is made may find what a former one of its name has left.
    pub(super) keeps_former: bool,
}

/// A resource as it is to be; none where it is to go.
pub(super) type Change = (ResourceId, Option<Spec>);

/// Whether a tenant with such a resource is not to be removed. Its keys go along: without it they open nothing.
const fn holds_its_tenant(kind: Kind) -> bool {
    !matches!(kind, Kind::Tenant | Kind::Quarantine | Kind::Key)
}

/// Reads the configuration from the store.
///
/// # Errors
/// Where it cannot be read, or does not open with this master key: the text says which resource.
pub async fn load(store: &Store, key: &MasterKey) -> Result<Snapshot, String> {
    let stored = store.read(|reader| reader.config()).await.map_err(|error: ReadError| error.to_string())?;
    let records = stored.resources.into_iter().map(|(place, value)| {
        let kind = Kind::from_text(place.kind).ok_or_else(|| format!("unknown kind of resource `{}`", place.kind))?;
        let id = ResourceId { tenant: place.tenant, kind, name: place.name };
        let spec = parse(kind, &value).map_err(|error| format!("{id}: {error}"))?;
        Ok((id, spec))
    });
    let records = records.collect::<Result<Vec<_>, String>>()?;
    Snapshot::build(stored.revision, records, key).map_err(|(id, invalid)| format!("{id}: {invalid}"))
}

impl Configuration {
    /// The configuration that is published there, of a host that keeps events for `events_ms`.
    #[must_use]
    pub fn new(
        store: Store,
        library: Library,
        executor: Arc<Executor>,
        key: MasterKey,
        published: Published,
        clock: Clock,
        events_ms: u64,
    ) -> Self {
        Self { store, library, executor, key, published, clock, events_ms, turn: Arc::default() }
    }

    /// The present snapshot.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.snapshot()
    }

    /// One's turn to change it, until the answer is dropped.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// Holds the configuration still, for a commit that builds on it.
    pub(super) async fn still(&self) -> Still {
        self.published.still().await
    }

    /// Puts a resource. Secrets come plain. Answers the spec as it is to be shown: secrets masked, but for those made just now.
    pub(super) async fn put(
        &self,
        by: &Actor,
        id: ResourceId,
        spec: Spec,
        besides: Besides,
    ) -> Result<(Changed, Spec), ChangeError> {
        let _turn = self.turn.lock().await;
        let before = self.snapshot();
        let old = before.record(&id);
        let spec = with_labels(by, spec, old.as_ref());
        let (spec, made) = self.with_made_secrets(spec, old.as_ref())?;
        let spec = self.seal(&id, spec, old.as_ref())?;
        let shown = match made {
            Some(secret) => shown_with(&spec, secret),
            None => masked(spec.clone()),
        };
        if old.as_ref() == Some(&spec) {
            return Ok((Changed::Nothing, shown));
        }
        let changes = vec![(id.clone(), Some(spec))];
        // Nothing is on its way to an endpoint while it becomes somebody else's.
        let _change = if relabelled(&before, &changes).is_empty() { None } else { Some(self.published.change().await) };
        self.commit(by, &before, &id, changes, besides).await?;
        Ok((if old.is_some() { Changed::Replaced } else { Changed::Created }, shown))
    }

    /// Removes a resource; `false` where there is none. `cancel` gives up the deliveries that wait for an endpoint: only where it can be
    /// removed.
    pub(super) async fn remove(&self, by: &Actor, id: ResourceId, cancel: bool) -> Result<bool, ChangeError> {
        let _turn = self.turn.lock().await;
        let before = self.snapshot();
        if before.record(&id).is_none() {
            return Ok(false);
        }
        if let (Kind::Tenant, Some(tenant)) = (id.kind, &id.tenant)
            && before.tenant(tenant).is_some_and(|found| found.records.keys().any(|(kind, _)| holds_its_tenant(*kind)))
        {
            return Err(ChangeError::NotEmpty(tenant.clone()));
        }
        check_customer(by, &before, &[(id.clone(), None)])?;
        let endpoint = match (id.kind, &id.tenant, id.name.parse()) {
            (Kind::Endpoint, Some(tenant), Ok(endpoint)) => Some((tenant.clone(), endpoint)),
            _ => None,
        };
        if let Some((tenant, endpoint)) = endpoint.as_ref().filter(|_| cancel) {
            self.after(&before, &id, &[(id.clone(), None)])?;
            self.cancel_pending(tenant, endpoint).await?;
        }
        // From here on nobody commits a delivery that the endpoint would be needed for.
        let _change = self.published.change().await;
        if let Some((tenant, endpoint)) = endpoint.as_ref().filter(|_| cancel) {
            self.cancel_pending(tenant, endpoint).await?;
        }
        // What the host itself made goes along: nothing else would ever remove it.
        let along = match (id.kind, &id.tenant) {
            (Kind::Module, _) => before.quarantines(&id).map(|(quarantine, _)| quarantine).collect(),
            (Kind::Tenant, Some(tenant)) => {
                let key = |name: &KeyName| ResourceId { kind: Kind::Key, name: name.to_string(), ..id.clone() };
                before
                    .quarantines_of(Some(tenant))
                    .chain(before.keys(Some(tenant)).map(|(name, _)| key(name)))
                    .collect()
            }
            _ => Vec::new(),
        };
        let gone = std::iter::once(id.clone()).chain(along).map(|id| (id, None)).collect();
        let unused = endpoint.into_iter().collect();
        self.commit(by, &before, &id, gone, Besides { unused, ..Besides::default() }).await?;
        Ok(true)
    }

    /// Gives up every delivery that waits for an endpoint.
    async fn cancel_pending(&self, tenant: &TenantName, endpoint: &EndpointName) -> Result<(), ChangeError> {
        let (mut after, mut found_any) = (None, false);
        loop {
            let (t, e) = (tenant.clone(), endpoint.clone());
            let found = self.store.read(move |reader| reader.due(&t, &e, after, u64::MAX, CANCEL_AT_ONCE)).await?;
            let Some(last) = found.items.last().copied() else {
                // Behind what was given up there may be more in its line, which stands anywhere in the lane now.
                if !std::mem::take(&mut found_any) {
                    return Ok(());
                }
                after = None;
                continue;
            };
            (after, found_any) = (Some(last), true);
            // Together, so that they share a sync of the disk.
            let mut cancels = JoinSet::new();
            for (_, delivery) in found.items {
                let reason = "its endpoint was removed".to_owned();
                let (store, tenant) = (self.store.clone(), tenant.clone());
                cancels.spawn(async move { store.commit(Transition::Cancel { tenant, delivery, reason }).await });
            }
            for outcome in cancels.join_all().await {
                match outcome? {
                    Outcome::Done | Outcome::Stale { .. } | Outcome::NotFound => {}
                    other => return Err(ChangeError::Answer(other)),
                }
            }
        }
    }

    /// The snapshot after a change, which is asked for on behalf of the resource `id`.
    fn after(&self, before: &Snapshot, id: &ResourceId, changes: &[Change]) -> Result<Snapshot, ChangeError> {
        before.with(before.revision + 1, changes.iter().cloned(), &self.key).map_err(|(at, invalid)| {
            if at == *id { ChangeError::Invalid(invalid) } else { ChangeError::InUse { id: at, invalid } }
        })
    }

    /// Commits changes as one, which are asked for on behalf of the resource `id`. Only in one's turn.
    pub(super) async fn commit(
        &self,
        by: &Actor,
        before: &Snapshot,
        id: &ResourceId,
        changes: Vec<Change>,
        besides: Besides,
    ) -> Result<(), ChangeError> {
        check_customer(by, before, &changes)?;
        let next = self.after(before, id, &changes)?;
        let plans = self.check_new_plans(before, &next, id).await?;
        let Besides { unused, notices, keeps_former } = besides;
        let (expected_revision, now_ms) = (before.revision, self.clock.now_ms());
        let mut configure =
            Configure { expected_revision, plans, now_ms, notices, unused, keeps_former, ..Configure::default() };
        for (id, spec) in &changes {
            let place = ResourceKey { tenant: id.tenant.clone(), kind: id.kind.as_str(), name: id.name.clone() };
            match spec {
                Some(spec) => {
                    let json = spec.to_json().map_err(|error| ChangeError::Seal(error.to_string()))?;
                    configure.puts.push((place, Bytes::from(json.to_string())));
                }
                None => configure.removes.push(place),
            }
        }
        configure.relabelled = relabelled(before, &changes);
        let configure = Transition::Configure(configure);
        let audited = audit::of_configuration(by, now_ms, before, id, &changes, configure);
        match self.store.commit(Transition::Audited(Box::new(audited))).await? {
            Outcome::Configured { .. } => {
                self.published.publish(next);
                Ok(())
            }
            Outcome::InUse { endpoint } => Err(ChangeError::Waiting(endpoint)),
            Outcome::Former { tenant, former: Former { events_ms, dedup_ms } } => {
                let events_ms = events_ms.map(|last_ms| last_ms.saturating_add(self.events_ms));
                Err(ChangeError::Former { tenant, until_ms: events_ms.max(dedup_ms).unwrap_or(now_ms) })
            }
            other => Err(ChangeError::Answer(other)),
        }
    }

    /// The plans that the change brings, each of whose modules has taken its settings.
    async fn check_new_plans(
        &self,
        before: &Snapshot,
        after: &Snapshot,
        id: &ResourceId,
    ) -> Result<Vec<(Digest, Bytes)>, ChangeError> {
        let tenants: Vec<&TenantName> = match &id.tenant {
            Some(tenant) => vec![tenant],
            None => after.tenant_names().collect(),
        };
        let mut plans = BTreeMap::new();
        for tenant in tenants {
            let old = |route: &Route| {
                before.tenant(tenant).and_then(|old| old.routes.get(&route.name)).map(|old| old.plan_digest)
            };
            let routes = after.tenant(tenant).into_iter().flat_map(|tenant| tenant.routes.values());
            for route in routes.filter(|route| old(route) != Some(route.plan_digest)) {
                let place =
                    ResourceId { tenant: Some(tenant.clone()), kind: Kind::Route, name: route.name.to_string() };
                self.try_settings(tenant, &route.plan).await.map_err(|refused| match refused {
                    ChangeError::Invalid(invalid) if place != *id => ChangeError::InUse { id: place, invalid },
                    other => other,
                })?;
                plans.insert(route.plan_digest, route.plan_bytes.clone());
            }
        }
        Ok(plans.into_iter().collect())
    }

    /// Lets each module of a plan look at its settings.
    async fn try_settings(&self, tenant: &TenantName, plan: &Plan) -> Result<(), ChangeError> {
        let steps = plan.steps.iter().enumerate();
        for (index, step, digest) in
            steps.flat_map(|(index, step)| step.versions().map(move |digest| (index, step, digest)))
        {
            let module = self.library.load(&digest).await?;
            let settings = step.settings.to_string();
            let (sender, receiver) = oneshot::channel();
            let job = move || {
                let _ = sender.send(module.configure(&settings).result);
            };
            let submitted = self.executor.submit(Lane::Background, Some(tenant), Box::new(job)).await;
            let refused = match (submitted, receiver.await) {
                (Ok(()), Ok(Ok(()))) => continue,
                (Ok(()), Ok(Err(error))) => error.to_string(),
                _ => "the host broke down while the module looked at its settings".to_owned(),
            };
            let which = if digest == step.digest { "" } else { "canary of the " };
            let message = format!("the {which}module `{}` refuses them: {refused}", step.module);
            return Err(ChangeError::Invalid(Invalid { pointer: format!("/steps/{index}/settings"), message }));
        }
        Ok(())
    }

    /// An endpoint without secrets keeps those it has, or gets one made.
    fn with_made_secrets(&self, mut spec: Spec, old: Option<&Spec>) -> Result<(Spec, Option<String>), ChangeError> {
        let Spec::Endpoint(endpoint) = &mut spec else { return Ok((spec, None)) };
        if endpoint.secrets.is_some() {
            return Ok((spec, None));
        }
        if let Some(Spec::Endpoint(old)) = old {
            endpoint.secrets.clone_from(&old.secrets);
            return Ok((spec, None));
        }
        let secret = made_secret(endpoint.secret_scheme)?;
        endpoint.secrets = Some(vec![SecretSpec::lasting(secret.clone())]);
        Ok((spec, Some(secret)))
    }

    /// Seals the secrets of a spec. A secret that the old spec has already stays as it is sealed there.
    pub(super) fn seal(&self, id: &ResourceId, mut spec: Spec, old: Option<&Spec>) -> Result<Spec, ChangeError> {
        let place = id.to_string();
        let mut sealed_before = old.cloned();
        let sealed_before = sealed_before.as_mut().map(Spec::secrets_mut).unwrap_or_default();
        let known: BTreeMap<String, String> = sealed_before
            .into_iter()
            .filter_map(|(_, sealed)| self.key.open(&place, sealed).ok().map(|open| (open, sealed.clone())))
            .collect();
        for (pointer, secret) in spec.secrets_mut() {
            if known.values().any(|sealed| sealed == secret) {
                continue;
            }
            if secret == MASK {
                let message = format!("`{MASK}` stands for a secret that is not shown; write the secret itself");
                return Err(ChangeError::Invalid(Invalid { pointer, message }));
            }
            *secret = match known.get(secret) {
                Some(sealed) => sealed.clone(),
                None => {
                    self.key.seal(&place, secret, random()?).map_err(|e: SealError| ChangeError::Seal(e.to_string()))?
                }
            };
        }
        Ok(spec)
    }
}

/// A new signing secret.
pub(super) fn made_secret(scheme: KeyScheme) -> Result<String, ChangeError> {
    SigningKey::generate(scheme, random()?).map_err(|error| ChangeError::Seal(error.to_string()))
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], ChangeError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// The spec with every secret masked.
pub(super) fn masked(mut spec: Spec) -> Spec {
    for (_, secret) in spec.secrets_mut() {
        MASK.clone_into(secret);
    }
    spec
}

/// The same, but for the first signing secret, which was made just now.
pub(super) fn shown_with(spec: &Spec, made: String) -> Spec {
    let mut spec = masked(spec.clone());
    if let Spec::Endpoint(endpoint) = &mut spec
        && let Some(first) = endpoint.secrets.iter_mut().flatten().next()
    {
        first.secret = made;
    }
    spec
}
