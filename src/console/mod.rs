//! What every command line of tapline shares: flags, tables and JSON, progress.

pub mod common;
pub mod print;
pub mod progress;
