//! The operator's command line.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use clap::Parser;

fn main() {
    tapline::codec::init();
    std::process::exit(tapline::operator::cli::run(tapline::operator::cli::Cli::parse()));
}
