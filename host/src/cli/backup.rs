//! `hookswitch backup`: fetches the backup of a running host into a file, which is there once it is whole.

use super::BackupArgs;
use crate::store::{NewFile, verify_backup};
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::time::Instant;

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn run(args: &BackupArgs) -> anyhow::Result<()> {
    let (path, name) = (&args.output, args.output.display());
    if path.exists() && !args.force {
        bail!("{name} is there already: give another name, or say --force to replace it");
    }
    let client = args.host.client()?;
    let mut file = NewFile::create(path).with_context(|| format!("cannot write {name}"))?;
    let began = Instant::now();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fetched = tokio.block_on(client.download("/v1/operator/backup", |piece| file.write(piece)));
    if let Some((status, answer)) = fetched? {
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let text = |member: &str| answer.get(member).and_then(Value::as_str);
        let code = text("code").map_or_else(|| status.to_string(), str::to_owned);
        bail!("the host makes no backup: {} ({code})", text("detail").unwrap_or("it gave no reason"));
    }
    // As `restore` will: what is not whole does not get the name.
    let found = verify_backup(file.so_far())
        .with_context(|| format!("{name} was not written: what came from the host is no good"))?;
    file.finish().with_context(|| format!("cannot write {name}"))?;
    println!(
        "saved {name}: events={} last_seq={} modules={} uploads={} bytes={} seconds={:.1} as_of_ms={}",
        found.end.events_copied,
        found.end.last_seq,
        found.modules,
        found.uploads,
        found.bytes,
        began.elapsed().as_secs_f64(),
        found.end.as_of_ms
    );
    println!(
        "what was acknowledged before as_of_ms is in it; the master key is not: keep that elsewhere, without it no secret opens"
    );
    Ok(())
}
