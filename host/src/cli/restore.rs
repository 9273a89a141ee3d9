//! `hookswitch restore`: makes a data directory of a backup, and says what is not in it.

use super::RestoreArgs;
use crate::app::MASTER_KEY_ENV;
use anyhow::Context as _;
use std::time::Instant;

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn run(args: &RestoreArgs) -> anyhow::Result<()> {
    let (name, data) = (args.file.display(), args.data.display());
    let began = Instant::now();
    let found = crate::store::restore(&args.file, &args.data).with_context(|| format!("{name} is not restored"))?;
    println!(
        "restored {data}: events={} last_seq={} entries={} modules={} uploads={} seconds={:.1} as_of_ms={}",
        found.events,
        found.end.last_seq,
        found.entries,
        found.modules,
        found.uploads,
        began.elapsed().as_secs_f64(),
        found.end.as_of_ms
    );
    println!("not in a backup:");
    println!(
        "  the master key: copy the old host's master.key to {data}/master.key (mode 600), or set {MASTER_KEY_ENV}"
    );
    println!("  the operator's key: copy operator.key likewise; without it the first start makes a new one");
    println!("  compiled modules: the host makes them anew when it needs them");
    println!("next: hookswitch serve --data {data}");
    println!(
        "what was delivered after as_of_ms is sent again, with the same webhook-id: do not let two hosts deliver from one store"
    );
    Ok(())
}
