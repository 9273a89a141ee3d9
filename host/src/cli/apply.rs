//! `hookswitch apply`: brings the resources of a file to a host, one PUT each, and says what each one did.

use super::ApplyArgs;
use super::resources_file::{Content, Resource, ResourcesFile};
use crate::transport::AdminClient;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::Value;
use std::path::Path;

pub(super) fn run(args: &ApplyArgs) -> anyhow::Result<()> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("cannot read {name}"))?;
    let file = ResourcesFile::new(&name, &text);
    let resources = file.resources(|name| std::env::var(name).ok())?;
    let dir = args.file.parent().unwrap_or(Path::new("."));
    // All of them before the first is put: what is wrong here changes nothing there.
    let bodies = resources.iter().map(|resource| body(&file, dir, resource)).collect::<anyhow::Result<Vec<_>>>()?;
    let client = args.host.client()?;
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio.block_on(async {
        for (resource, body) in resources.iter().zip(bodies) {
            put(&client, &file, resource, body).await?;
        }
        Ok(())
    })
}

/// What to put: its media type and its bytes.
fn body(file: &ResourcesFile<'_>, dir: &Path, resource: &Resource) -> anyhow::Result<(&'static str, Bytes)> {
    match &resource.content {
        Content::Spec(json) => Ok(("application/json", Bytes::from(json.to_string()))),
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
    (media_type, body): (&str, Bytes),
) -> anyhow::Result<()> {
    let path = match &resource.content {
        Content::Module(module) => format!("{}?{}", resource.path, module.query()),
        Content::Spec(_) => resource.path.clone(),
    };
    let (status, answer) = client.put(&path, media_type, body).await?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let text = |member: &str| answer.get(member).and_then(Value::as_str);
    match status {
        201 => println!("created    {}", resource.path),
        200 if answer.get("changed") == Some(&Value::Bool(false)) => println!("unchanged  {}", resource.path),
        200 => println!("changed    {}", resource.path),
        401 => bail!("the host refuses the key: {}", text("detail").unwrap_or_default()),
        status => {
            let detail = text("detail").unwrap_or("the host gave no reason");
            let code = text("code").map_or_else(|| status.to_string(), str::to_owned);
            bail!(file.mistake(&resource.keys, text("pointer").unwrap_or_default(), &format!("{detail} ({code})")));
        }
    }
    let written_secrets = matches!(&resource.content, Content::Spec(spec) if spec.get("secrets").is_some());
    let made = answer.get("secrets").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for secret in made.filter(|secret| !written_secrets && secret.starts_with("whs")) {
        println!("           its signing secret, shown this once: {secret}");
    }
    Ok(())
}
