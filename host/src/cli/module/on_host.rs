//! A module on a host: how a command is told which one, how the host is asked, and how its answer is shown to a person.

use crate::cli::HostArgs;
use crate::model::{ModuleName, TenantName};
use crate::transport::AdminClient;
use anyhow::bail;
use bytes::Bytes;
use clap::Args;
use http::Method;
use serde_json::Value;

/// Whose modules.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(in crate::cli) struct ScopeArgs {
    /// The tenant that the module belongs to
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantName>,
    /// The module is the operator's, for all tenants
    #[arg(long)]
    operator: bool,
}

impl ScopeArgs {
    /// Where its modules are.
    pub(super) fn path(&self) -> String {
        let scope = self.tenant.as_ref().map_or("operator".to_owned(), |tenant| format!("tenants/{tenant}"));
        format!("/v1/{scope}/modules")
    }
}

/// Which module of which host.
#[derive(Debug, Args)]
pub(in crate::cli) struct ModuleArgs {
    #[command(flatten)]
    pub(super) scope: ScopeArgs,
    /// The module's name
    #[arg(long, value_name = "NAME")]
    pub(super) name: ModuleName,
    #[command(flatten)]
    pub(super) host: HostArgs,
}

/// A place of the admin interface.
pub(super) struct Asked {
    client: AdminClient,
    path: String,
    tokio: tokio::runtime::Runtime,
}

impl Asked {
    pub(super) fn of(args: &ModuleArgs) -> anyhow::Result<Self> {
        Self::new(&args.host, format!("{}/{}", args.scope.path(), args.name))
    }

    pub(super) fn new(host: &HostArgs, path: String) -> anyhow::Result<Self> {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { client: host.client()?, path, tokio })
    }

    pub(super) fn get(&self, rest: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, rest, "application/json", Bytes::new())
    }

    pub(super) fn post(&self, rest: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, rest, "application/json", body.to_string().into())
    }

    pub(super) fn send(&self, method: Method, rest: &str, media_type: &str, body: Bytes) -> anyhow::Result<Value> {
        let path = format!("{}{rest}", self.path);
        let (status, answer) = self.tokio.block_on(self.client.send(method, &path, media_type, body))?;
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        match status {
            200..=299 => Ok(answer),
            401 => bail!("the host refuses the key: {}", text(&answer, "detail")),
            status => bail!("{} ({status} {})", text(&answer, "detail"), text(&answer, "code")),
        }
    }
}

/// Shows a module: a line for each version, the newest first.
#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn show(module: &Value) {
    println!("{} ({})", text(module, "name"), text(module, "world"));
    for version in list_of(module, "versions").rev() {
        let state = match (text(version, "state"), module.get("canary")) {
            ("canary", Some(canary)) => format!("canary {} %", number(canary, "percent")),
            (state, _) => state.to_owned(),
        };
        let (digest, kib) = (short(text(version, "digest")), number(version, "bytes").div_ceil(1024));
        println!("  {:>4}  {state:12}  {digest}  {kib:>8} KiB", number(version, "number"));
        for quarantine in list_of(version, "quarantined") {
            let (tenant, code, failures) =
                (text(quarantine, "tenant"), text(quarantine, "code"), number(quarantine, "failures"));
            println!("        quarantined for {tenant}: failed {failures} times in a row, at last with {code}");
        }
    }
}

/// The beginning of a digest, enough to tell versions apart.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// A member of an answer that is text; empty where it is not.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A member that is a number; 0 where it is not.
pub(super) fn number(value: &Value, member: &str) -> u64 {
    value.get(member).and_then(Value::as_u64).unwrap_or_default()
}

/// The items of a member that is a list; none where it is not.
pub(super) fn list_of<'a>(value: &'a Value, member: &str) -> impl DoubleEndedIterator<Item = &'a Value> + use<'a> {
    value.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}
