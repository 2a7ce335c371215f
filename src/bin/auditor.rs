//! `tapline-auditor`: an independent judge of topics, tables and offsets.
//!
//! Thin on purpose: everything is in `auditor/`, which names nothing of the pipeline but the
//! adapters that hand over raw bytes.

use std::process::ExitCode;

#[path = "auditor/mod.rs"]
mod auditor;

fn main() -> ExitCode {
    auditor::cli::run()
}
