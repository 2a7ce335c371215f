//! The worker: runs stages as a pod does. The same as the hidden `tapline worker`.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use clap::Parser;
use tapline::operator::{cli::Common, worker};

/// Runs stages of the pipeline until a signal; health and metrics on http.listen.
#[derive(Debug, Parser)]
#[command(
    name = "tapline-worker",
    version,
    after_help = "Example:\n  tapline-worker --stage authorisation --set kafka.bootstrap=broker:9092\n\n\
                  Settings: tapline.toml, TAPLINE_A__B in the environment, --set; `tapline config reference`."
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    args: worker::WorkerArgs,
}

fn main() {
    tapline::codec::init();
    let cli = Cli::parse();
    std::process::exit(worker::run(&cli.common, cli.args));
}
