//! `tapline demo`.

use super::cli::Common;
use clap::Args;

#[derive(Clone, Debug, Args)]
pub struct DemoArgs {}

pub fn run(_common: &Common, _args: DemoArgs) -> i32 {
    3
}
