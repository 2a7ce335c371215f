//! The load producer.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use clap::Parser;

fn main() {
    tapline::codec::init();
    std::process::exit(tapline::load::cli::run(tapline::load::cli::Cli::parse()));
}
