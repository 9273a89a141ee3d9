//! `hookswitch compile-module`: the process that compiles one upload for a host. The host starts it; people do not.

use anyhow::Context as _;

pub(super) fn run(config: &str, metered: bool) -> anyhow::Result<()> {
    crate::runtime::compile_module(config, metered).context("cannot compile")
}
