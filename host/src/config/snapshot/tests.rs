//! Snapshots of small configurations, and what does not fit into one.

use super::*;
use crate::config::parse;
use crate::model::{DELIVERY_DEAD, Digest};

#[test]
fn so_many_tenants_oversee_and_a_dead_delivery_is_told_where_a_route_takes_it() {
    let name = |number: usize| -> TenantName { format!("t{number:02}").parse().unwrap() };
    let tenant = |number: usize, spec: &str| {
        let id = ResourceId { tenant: Some(name(number)), kind: Kind::Tenant, name: name(number).to_string() };
        (id, parse(Kind::Tenant, spec.as_bytes()).unwrap())
    };
    let of = |number: usize, kind, resource: &str, spec: &str| {
        let id = ResourceId { tenant: Some(name(number)), kind, name: resource.to_owned() };
        (id, parse(kind, spec.as_bytes()).unwrap())
    };
    let key = MasterKey::new([1; 32]);
    let all = r#"{"operational_events": "all"}"#;
    let many = (0..OVERSEERS_MAX).map(|number| tenant(number, all)).chain([tenant(90, "{}")]);
    let snapshot = Snapshot::build(1, many, &key).unwrap();
    let (at, invalid) = snapshot.with(2, [(tenant(90, all).0, Some(tenant(90, all).1))], &key).unwrap_err();
    assert_eq!((at.name.as_str(), invalid.pointer.as_str()), ("t90", "/operational_events"));
    assert!(snapshot.tells(&name(90), "endpoint.held") && !snapshot.tells(&name(90), DELIVERY_DEAD));

    let endpoint = of(0, Kind::Endpoint, "e", r#"{"url": "http://x/"}"#);
    let route = |types: &str| {
        let spec = format!(r#"{{"source": "hookswitch", "event_types": {types}, "to": {{"endpoints": ["e"]}}}}"#);
        of(0, Kind::Route, "r", &spec)
    };
    let with = |types: &str| {
        let changes = [endpoint.clone(), route(types)].map(|(id, spec)| (id, Some(spec)));
        snapshot.with(2, changes, &key).unwrap()
    };
    assert!(!with(r#"["endpoint.*"]"#).tells(&name(90), DELIVERY_DEAD));
    let wanted = with(r#"["delivery.*"]"#);
    assert!(wanted.tells(&name(90), DELIVERY_DEAD), "an overseer's route takes it");
    // One that is an overseer no more.
    let left = wanted.with(3, [(tenant(0, "{}").0, Some(tenant(0, "{}").1))], &key).unwrap();
    assert!(!left.tells(&name(90), DELIVERY_DEAD) && left.tells(&name(0), DELIVERY_DEAD));
    assert_eq!(left.overseers().len(), OVERSEERS_MAX - 1);
}

#[test]
fn a_tenant_and_the_operators_scope_have_so_many_keys_and_no_more() {
    let acme: TenantName = "acme".parse().unwrap();
    let own = ResourceId { tenant: Some(acme.clone()), kind: Kind::Tenant, name: "acme".to_owned() };
    for scope in [Some(acme), None] {
        let keys = |count: usize| {
            let key = |n: usize| {
                let digest = Digest::of(n.to_string().as_bytes());
                let spec = format!(r#"{{"role": "read", "created_at_ms": 1, "digest": "{digest}"}}"#);
                let id = ResourceId { tenant: scope.clone(), kind: Kind::Key, name: format!("k{n:04}") };
                (id, parse(Kind::Key, spec.as_bytes()).unwrap())
            };
            let own = (own.clone(), parse(Kind::Tenant, b"{}").unwrap());
            std::iter::once(own).chain((0..count).map(key)).collect::<Vec<_>>()
        };
        let master = MasterKey::new([1; 32]);
        let snapshot = Snapshot::build(1, keys(1_000), &master).unwrap();
        assert_eq!(snapshot.keys(scope.as_ref()).count(), 1_000);
        let (at, invalid) = Snapshot::build(1, keys(1_001), &master).unwrap_err();
        assert_eq!((&at.tenant, at.name.as_str()), (&scope, "k1000"));
        assert!(invalid.to_string().contains("at most 1000 resources of the kind `key`"), "{invalid}");
    }
}

#[test]
fn a_tenant_has_so_many_resources_of_a_kind_and_no_more() {
    let tenant: TenantName = "acme".parse().unwrap();
    let id = |kind, name: String| ResourceId { tenant: Some(tenant.clone()), kind, name };
    let sources = |count: usize| {
        let spec = parse(Kind::Source, br#"{"verify": {"scheme": "none"}}"#).unwrap();
        let sources = (0..count).map(move |n| (format!("s{n:04}"), spec.clone()));
        let own = (id(Kind::Tenant, "acme".to_owned()), parse(Kind::Tenant, b"{}").unwrap());
        std::iter::once(own).chain(sources.map(|(name, spec)| (id(Kind::Source, name), spec))).collect::<Vec<_>>()
    };
    let key = MasterKey::new([1; 32]);
    assert!(Snapshot::build(1, sources(1_000), &key).is_ok());
    let (at, invalid) = Snapshot::build(1, sources(1_001), &key).unwrap_err();
    assert_eq!(at, id(Kind::Source, "s1000".to_owned()));
    assert!(invalid.to_string().contains("at most 1000 resources of the kind `source`"), "{invalid}");
}
