//! `hookswitch apply`: brings the resources of a file to a host, one PUT each, and says what each one did.

use super::ApplyArgs;
use super::resources_file::{Content, Mistake, Resource, ResourcesFile};
use crate::transport::AdminClient;
use anyhow::Context as _;
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use std::path::Path;

const JSON: &str = "application/json";

pub(super) fn run(args: &ApplyArgs) -> anyhow::Result<()> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {name}"))?;
    let file = ResourcesFile::new(&name, &text);
    let (resources, mut mistakes) = file.resources(|name| std::env::var(name).ok());
    let dir = args.file.parent().unwrap_or(Path::new("."));
    // All of them before the first is put: what is wrong here changes nothing there.
    let mut puts = Vec::new();
    for resource in &resources {
        match body(&file, dir, resource) {
            Ok((media_type, body)) => puts.push((resource, media_type, body)),
            Err(mistake) => mistakes.add(mistake),
        }
    }
    mistakes.check()?;
    let client = args.host.client()?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        for (resource, media_type, body) in puts {
            put(&client, &file, resource, media_type, body).await?;
        }
        Ok(())
    })
}

/// What to put: its media type and its bytes.
fn body(file: &ResourcesFile<'_>, dir: &Path, resource: &Resource) -> Result<(&'static str, Bytes), Mistake> {
    match &resource.content {
        Content::Spec(json) => Ok((JSON, Bytes::from(json.to_string()))),
        Content::Implied => Ok((JSON, Bytes::from_static(b"{}"))),
        Content::Module(module) => {
            let path = dir.join(&module.file);
            let wasm = std::fs::read(&path).map_err(|error| {
                file.mistake(&resource.keys, "/file", &format!("cannot read {}: {error}", path.display()))
            })?;
            Ok(("application/wasm", wasm.into()))
        }
    }
}

#[expect(clippy::print_stdout, reason = "the answer to a command")]
async fn put(
    client: &AdminClient,
    file: &ResourcesFile<'_>,
    resource: &Resource,
    media_type: &str,
    body: Bytes,
) -> anyhow::Result<()> {
    if resource.content == Content::Implied {
        // A PUT replaces the whole of it: the file says nothing of what it has, so that stays. And a key of the tenant may not put it.
        let (status, answer) = client.send(Method::GET, &resource.path, JSON, Bytes::new()).await?;
        match status {
            200 => {
                println!("left alone {}", resource.path);
                return Ok(());
            }
            404 => {}
            status => return Err(refused(file, resource, status, &read(&answer))),
        }
    }
    let path = match &resource.content {
        Content::Module(module) => format!("{}?{}", resource.path, module.query()),
        Content::Spec(_) | Content::Implied => resource.path.clone(),
    };
    let (status, answer) = client.put(&path, media_type, body).await?;
    let answer = read(&answer);
    match status {
        201 => println!("created    {}", resource.path),
        200 if answer.get("changed") == Some(&Value::Bool(false)) => println!("unchanged  {}", resource.path),
        200 => println!("changed    {}", resource.path),
        status => return Err(refused(file, resource, status, &answer)),
    }
    let written_secrets = matches!(&resource.content, Content::Spec(spec) if spec.get("secrets").is_some());
    let made = answer.get("secrets").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for secret in made.filter(|secret| !written_secrets && secret.starts_with("whs")) {
        println!("           its signing secret, shown this once: {secret}");
    }
    Ok(())
}

fn read(answer: &Bytes) -> Value {
    serde_json::from_slice(answer).unwrap_or_default()
}

/// What the host has against it.
fn refused(file: &ResourcesFile<'_>, resource: &Resource, status: u16, answer: &Value) -> anyhow::Error {
    let text = |member: &str| answer.get(member).and_then(Value::as_str);
    let detail = text("detail").unwrap_or("the host gave no reason");
    match (status, text("code")) {
        (401, _) => anyhow::anyhow!("the host refuses the key: {detail}"),
        // No file is wrong then.
        (_, Some("source_unknown")) => anyhow::anyhow!("--admin is not the admin interface: {detail}"),
        (status, code) => {
            let code = code.map_or_else(|| status.to_string(), str::to_owned);
            let pointer = text("pointer").unwrap_or_default();
            file.mistake(&resource.keys, pointer, &format!("{detail} ({code})")).into()
        }
    }
}
