//! What operators do from the command line: make, look, and set.
//!
//! Owns the commands of `tapline`, one file each. Commands decide nothing about money; they read
//! what is in the log and the store, and write records, offsets and tables only when told to.

pub mod apply;
pub mod cli;
pub mod connect;
pub mod demo;
pub mod rules;
pub mod stacks;
pub mod tables;
pub mod topics;
pub mod worker;

pub use crate::console::print;
