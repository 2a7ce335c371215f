//! What operators do from the command line: make, look, and set.
//!
//! Owns the commands of `tapline`, one file each. Commands decide nothing about money; they read
//! what is in the log and the store, and write records, offsets and tables only when told to.

pub mod account;
pub mod acting;
pub mod amounts;
pub mod apply;
pub mod books;
pub mod checking;
pub mod clearing;
pub mod cli;
pub mod configs;
pub mod connect;
pub mod demo;
pub mod demo_feed;
mod demo_ledger;
mod demo_phones;
mod demo_rest;
pub mod demo_table;
mod demo_tail;
mod demo_workers;
pub mod exceptions;
#[cfg(feature = "export")]
pub mod export;
pub mod feed;
pub mod lag;
pub mod ledger_logs;
pub mod letters;
pub mod logs;
pub mod memory_demo;
pub mod moments;
pub mod offsets;
pub mod outputs;
pub mod payment;
pub mod peek;
pub mod proof;
pub mod records;
pub mod reference;
pub mod releases;
pub mod rows;
pub mod rules;
pub mod schemas;
pub mod stacks;
pub mod stage_rows;
pub mod statement;
pub mod tables;
pub mod ticks;
pub mod topics;
pub mod trial_balance;
pub mod window;
pub mod worker;

pub use crate::console::print;
