//! `hookswitch rotate-master-key`: makes a new master key, which the next start of the host takes.

use super::RotateMasterKeyArgs;

#[expect(clippy::print_stdout, reason = "the answer to a command")]
pub(super) fn run(args: &RotateMasterKeyArgs) -> anyhow::Result<()> {
    crate::app::rotate_master_key(&args.data)?;
    let data = args.data.display();
    println!("made a new master key, {data}/master.key; the one before it is {data}/master.key.previous");
    println!("next: start the host anew. It seals every secret with the new key, says how many there were, and does");
    println!("without the previous key from then on: keep that as long as you keep backups which were made before.");
    Ok(())
}
