//! `hookswitch module push | list | activate | rollback | canary | shadow | release`: the versions of a module on a host. Each is one or
//! two requests of the admin interface, and says for people what came of it.

use super::built::module_at;
use super::on_host::{Asked, ModuleArgs, ScopeArgs, list_of, number, short, show, text};
use crate::cli::{HostArgs, upload_query};
use crate::config::ModuleOptions;
use crate::model::ModuleName;
use anyhow::bail;
use clap::Args;
use http::Method;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What `push` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct PushArgs {
    /// The module's folder, or its .wasm file
    ///
    /// In a folder the module is the newest .wasm file in build/, in target/wasm32-unknown-unknown/release/, or in the folder itself.
    #[arg(value_name = "DIR or FILE.wasm", default_value = ".")]
    file: PathBuf,
    #[command(flatten)]
    module: ModuleArgs,
    /// Add the version without making it active
    #[arg(long, conflicts_with = "canary")]
    no_activate: bool,
    /// Have the version run for this share of the events, 1 to 100 percent
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100))]
    canary: Option<u32>,
    /// How long one call may take, in milliseconds; 0 takes the bound away
    #[arg(long, value_name = "MS")]
    max_time_ms: Option<u64>,
    /// How often in a row a version may fail before it is quarantined; 0 for never
    #[arg(long, value_name = "COUNT")]
    quarantine_after: Option<u32>,
    /// Whether a quarantine of the active version makes the previous one active
    #[arg(long, value_name = "TRUE|FALSE")]
    rollback_on_quarantine: Option<bool>,
}

/// What `list` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Only the module with this name
    #[arg(long, value_name = "NAME")]
    name: Option<ModuleName>,
    #[command(flatten)]
    host: HostArgs,
}

/// What `activate` and `release` take.
#[derive(Debug, Args)]
pub(in crate::cli) struct VersionArgs {
    /// The version: its number, or its sha256
    #[arg(value_name = "VERSION")]
    version: String,
    #[command(flatten)]
    module: ModuleArgs,
}

/// What `canary` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct CanaryArgs {
    /// The version: its number, or its sha256
    #[arg(value_name = "VERSION", required_unless_present = "off")]
    version: Option<String>,
    /// The share of the events that run it, 1 to 100
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100), required_unless_present = "off")]
    percent: Option<u32>,
    /// End the canary: every event runs the active version
    #[arg(long, conflicts_with_all = ["version", "percent"])]
    off: bool,
    #[command(flatten)]
    module: ModuleArgs,
}

/// What `shadow` takes.
#[derive(Debug, Args)]
pub(in crate::cli) struct ShadowArgs {
    /// The version: its number, or its sha256; without it the comparison so far is shown
    #[arg(value_name = "VERSION")]
    version: Option<String>,
    /// End the shadow
    #[arg(long, conflicts_with = "version")]
    off: bool,
    #[command(flatten)]
    module: ModuleArgs,
}

pub(super) fn push(args: &PushArgs) -> anyhow::Result<()> {
    let wasm = super::read_module(&module_at(&args.file)?)?;
    let mut query = Vec::new();
    if args.no_activate || args.canary.is_some() {
        query.push("activate=false".to_owned());
    }
    let &PushArgs { max_time_ms, quarantine_after, rollback_on_quarantine, .. } = args;
    query.extend(upload_query(&ModuleOptions { max_time_ms, quarantine_after, rollback_on_quarantine }));
    let asked = Asked::of(&args.module)?;
    let pushed = asked.send(Method::PUT, &format!("?{}", query.join("&")), "application/wasm", wasm)?;
    let digest = pushed.pointer("/version/digest").cloned().unwrap_or_default();
    let module = match args.canary {
        Some(percent) => asked.post("/canary", &json!({ "digest": digest, "percent": percent }))?,
        None => pushed,
    };
    show(&module);
    Ok(())
}

pub(super) fn list(args: &ListArgs) -> anyhow::Result<()> {
    let path = args.scope.path();
    if let Some(name) = &args.name {
        show(&Asked::new(&args.host, format!("{path}/{name}"))?.get("")?);
        return Ok(());
    }
    let (list, mut query) = (Asked::new(&args.host, path)?, String::new());
    loop {
        let page = list.get(&query)?;
        for module in list_of(&page, "items") {
            show(&list.get(&format!("/{}", text(module, "name")))?);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => query = format!("?cursor={next}"),
            None => return Ok(()),
        }
    }
}

pub(super) fn activate(args: &VersionArgs) -> anyhow::Result<()> {
    show(&Asked::of(&args.module)?.post("/activate", &version(&args.version))?);
    Ok(())
}

pub(super) fn rollback(args: &ModuleArgs) -> anyhow::Result<()> {
    show(&Asked::of(args)?.post("/rollback", &json!({}))?);
    Ok(())
}

pub(super) fn canary(args: &CanaryArgs) -> anyhow::Result<()> {
    let mut body = args.version.as_deref().map_or_else(|| json!({}), version);
    if let Some(members) = body.as_object_mut() {
        members.insert("percent".to_owned(), json!(args.percent.unwrap_or(0)));
    }
    show(&Asked::of(&args.module)?.post("/canary", &body)?);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn shadow(args: &ShadowArgs) -> anyhow::Result<()> {
    let asked = Asked::of(&args.module)?;
    if args.off || args.version.is_some() {
        show(&asked.post("/shadow", &args.version.as_deref().map_or(Value::Null, version))?);
        return Ok(());
    }
    let report = asked.get("/shadow")?;
    let Some(digest) = report.get("digest").and_then(Value::as_str) else {
        bail!("`{}` has no shadow: set one by its number, or its sha256", args.module.name);
    };
    println!("{} beside the active version:", short(digest));
    for count in ["equal", "different", "failed", "skipped"] {
        println!("  {count:10} {}", number(&report, count));
    }
    for sample in list_of(&report, "samples") {
        println!("\n{}", text(sample, "run"));
        println!("  active  {}", text(sample, "active"));
        println!("  shadow  {}", text(sample, "shadow"));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn release(args: &VersionArgs) -> anyhow::Result<()> {
    let answer = Asked::of(&args.module)?.post("/release", &version(&args.version))?;
    let digest = short(text(&answer, "digest"));
    match number(&answer, "released") {
        0 => println!("{digest} was not quarantined"),
        1 => println!("{digest} runs again"),
        count => println!("{digest} runs again, for {count} tenants"),
    }
    Ok(())
}

/// A version as the admin interface is told of it.
fn version(text: &str) -> Value {
    text.parse::<u32>().map_or_else(|_| json!({ "digest": text }), |number| json!({ "number": number }))
}
