//! Every operation of the admin interface: its method, its path, whom it belongs to, and what a key has to allow. There is no other way to
//! reach a handler, so none is reached by whoever may not.

use super::access::{self, Needs};
use super::{
    Api, audit, backup, data, endpoints, jobs, keys, module_test, modules, publish, refused, replay, rerun, resources,
    secrets, state, statistics, tokens, usage,
};
use crate::config::Permission::{self, Admin, Deploy, Publish, Read};
use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

/// Where what a tenant has stands.
const TENANT: &str = "/v1/tenants/{tenant}";
/// Where what the operator has stands.
const OPERATOR: &str = "/v1/operator";

/// One operation. It is a tenant's where its path names the tenant as `{tenant}`, though not where it says `operator`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The method.
    pub method: Method,
    /// The path; what stands in braces is variable.
    pub path: String,
    /// Whether it is the operator's alone.
    pub operator: bool,
    /// What a key has to allow.
    pub needs: Permission,
    /// Whether it is for the tokens of a tenant's customers, too; each for its own endpoints.
    pub customers: bool,
}

/// Every operation there is.
#[must_use]
pub fn operations() -> Vec<Operation> {
    table().all.into_iter().map(|(operation, _)| operation).collect()
}

/// The router of all of them, each behind its guard.
pub(super) fn router(api: &Api) -> Router<Api> {
    table().all.into_iter().fold(Router::new(), |router, (operation, handler)| {
        let needs = Needs { operator: operation.operator, permission: operation.needs, customers: operation.customers };
        let guard = axum::middleware::from_fn_with_state((api.clone(), needs), access::require);
        router.route(&operation.path, handler.route_layer(guard))
    })
}

struct Table {
    all: Vec<(Operation, MethodRouter<Api>)>,
}

impl Table {
    /// Whoever is added belongs to the tenant whose path it has.
    fn tenant<H, T>(&mut self, method: Method, rest: &str, needs: Permission, handler: H)
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        self.add(
            Operation { method, path: format!("{TENANT}{rest}"), operator: false, needs, customers: false },
            handler,
        );
    }

    /// Like [`Table::tenant`], and for tokens, too. `access` sees to it that an endpoint in the path is the customer's own.
    fn customers<H, T>(&mut self, method: Method, rest: &str, needs: Permission, handler: H)
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        self.add(
            Operation { method, path: format!("{TENANT}{rest}"), operator: false, needs, customers: true },
            handler,
        );
    }

    fn operator<H, T>(&mut self, method: Method, path: String, needs: Permission, handler: H)
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        self.add(Operation { method, path, operator: true, needs, customers: false }, handler);
    }

    fn add<H, T>(&mut self, operation: Operation, handler: H)
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        let filter = match operation.method {
            Method::GET => MethodFilter::GET,
            Method::PUT => MethodFilter::PUT,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::POST,
        };
        self.all.push((operation, on(filter, handler)));
    }
}

fn table() -> Table {
    let mut table = Table { all: Vec::new() };
    tenants(&mut table);
    modules(&mut table);
    keys(&mut table);
    operators(&mut table);
    data(&mut table);
    resources(&mut table);
    table
}

fn tenants(table: &mut Table) {
    table.operator(Method::GET, "/v1/tenants".to_owned(), Read, resources::list_tenants);
    table.operator(Method::PUT, TENANT.to_owned(), Deploy, resources::put_tenant);
    table.operator(Method::DELETE, TENANT.to_owned(), Deploy, resources::delete_tenant);
    table.tenant(Method::GET, "", Read, resources::get_tenant);
    table.tenant(Method::GET, "/usage", Read, usage::get);
}

fn modules(table: &mut Table) {
    table.tenant(Method::GET, "/modules", Read, modules::list);
    table.operator(Method::GET, format!("{OPERATOR}/modules"), Read, modules::list_operator);
    for (scope, operator) in [(TENANT, false), (OPERATOR, true)] {
        let module = |method: Method, rest: &str, needs: Permission| Operation {
            method,
            path: format!("{scope}/modules/{{name}}{rest}"),
            operator,
            needs,
            customers: false,
        };
        table.add(module(Method::PUT, "", Deploy), modules::upload);
        table.add(module(Method::GET, "", Read), modules::show);
        table.add(module(Method::DELETE, "", Deploy), modules::remove);
        table.add(module(Method::POST, "/activate", Deploy), modules::activate);
        table.add(module(Method::POST, "/rollback", Deploy), modules::roll_back);
        table.add(module(Method::POST, "/canary", Deploy), modules::set_canary);
        table.add(module(Method::POST, "/shadow", Deploy), modules::set_shadow);
        table.add(module(Method::GET, "/shadow", Read), modules::shadow_report);
        table.add(module(Method::POST, "/release", Deploy), modules::release);
        table.add(module(Method::POST, "/test", Deploy), module_test::test);
    }
    table.tenant(Method::GET, "/quarantine", Read, modules::list_quarantined);
}

fn keys(table: &mut Table) {
    for (scope, operator) in [(TENANT, false), (OPERATOR, true)] {
        let key = |method: Method, rest: &str| Operation {
            method,
            path: format!("{scope}/keys{rest}"),
            operator,
            needs: Admin,
            customers: false,
        };
        table.add(key(Method::GET, ""), keys::list);
        table.add(key(Method::PUT, "/{name}"), keys::put);
        table.add(key(Method::GET, "/{name}"), keys::get);
        table.add(key(Method::DELETE, "/{name}"), keys::delete);
        let path = format!("{scope}/audit");
        table.add(Operation { method: Method::GET, path, operator, needs: Admin, customers: false }, audit::list);
    }
}

fn operators(table: &mut Table) {
    table.operator(Method::GET, format!("{OPERATOR}/library"), Read, modules::report);
    table.operator(Method::GET, format!("{OPERATOR}/backup"), Admin, backup::backup);
    table.operator(Method::GET, format!("{OPERATOR}/retention"), Read, super::retention);
    table.operator(Method::GET, format!("{OPERATOR}/statistics"), Read, statistics::by_tenant);
}

fn data(table: &mut Table) {
    table.tenant(Method::POST, "/tokens", Admin, tokens::make);
    table.tenant(Method::GET, "/events", Read, data::list_events);
    table.tenant(Method::POST, "/events", Publish, publish::publish);
    table.tenant(Method::POST, "/events/batch", Publish, publish::publish_many);
    table.tenant(Method::GET, "/events/{event}", Read, data::get_event);
    table.tenant(Method::DELETE, "/events/{event}", Admin, data::erase_event);
    table.tenant(Method::GET, "/events/{event}/body", Read, data::get_event_body);
    table.tenant(Method::POST, "/events/{event}/replay", Deploy, replay::replay);
    table.tenant(Method::GET, "/runs", Read, data::list_runs);
    table.tenant(Method::POST, "/runs/{run}/rerun", Deploy, rerun::rerun);
    table.customers(Method::GET, "/deliveries", Read, data::list_deliveries);
    table.customers(Method::GET, "/deliveries/{delivery}", Read, data::get_delivery);
    table.customers(Method::GET, "/deliveries/{delivery}/body", Read, data::get_delivery_body);
    table.customers(Method::POST, "/deliveries/{delivery}/retry", Deploy, data::retry);
    table.tenant(Method::GET, "/jobs", Read, jobs::list);
    table.tenant(Method::POST, "/jobs", Deploy, jobs::create);
    table.tenant(Method::GET, "/jobs/{job}", Read, jobs::get);
    table.tenant(Method::POST, "/jobs/{job}/cancel", Deploy, jobs::cancel);
    table.tenant(Method::GET, "/statistics", Read, statistics::list);
    table.tenant(Method::GET, "/sources/{name}/statistics", Read, statistics::of_source);
    table.tenant(Method::GET, "/sources/{name}/refused", Read, refused::list);
    table.tenant(Method::GET, "/modules/{name}/statistics", Read, statistics::of_module);
    table.customers(Method::GET, "/endpoints/{name}/statistics", Read, statistics::of_endpoint);
}

fn resources(table: &mut Table) {
    table.customers(Method::POST, "/endpoints/{name}/rotate-secret", Deploy, secrets::rotate_secret);
    table.customers(Method::POST, "/endpoints/{name}/enable", Deploy, endpoints::enable);
    table.customers(Method::POST, "/endpoints/{name}/test", Deploy, endpoints::test);
    table.tenant(Method::GET, "/routes/{name}/state", Read, state::get);
    table.tenant(Method::DELETE, "/routes/{name}/state", Deploy, state::delete);
    table.customers(Method::GET, "/{kind}", Read, resources::list);
    table.customers(Method::PUT, "/{kind}/{name}", Deploy, resources::put);
    table.customers(Method::GET, "/{kind}/{name}", Read, resources::get);
    table.customers(Method::DELETE, "/{kind}/{name}", Deploy, resources::delete);
}
