//! The gateways' twin for tests and the demo.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use clap::Parser;
use tapline::fake_gateway::cli;

fn main() {
    std::process::exit(cli::run(cli::Cli::parse()));
}
