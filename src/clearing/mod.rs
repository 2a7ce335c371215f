//! Files of the networks and the bank: clearing, reports, statements.
//!
//! Owns their two forms (CSV and JSON lines, docs/clearing.md), the checks that come before anything
//! is published, and the commands that lines become; the real card data of two publishers too. Reads
//! a stream and keeps one line of it in memory; opens no file, sends nothing, knows no clock.
//! Invariant: what a file says in its trailer ties with its lines, or no line of it counts.

pub mod cards;
pub mod checked;
pub mod csv_line;
pub mod fields;
pub mod header;
pub mod json_line;
pub mod lines;
pub mod problem;
pub mod published;
pub mod reading;
pub mod row;
pub mod settlement_files;
pub mod synthetic;
pub mod writing;

#[cfg(test)]
mod bad_files;
#[cfg(test)]
mod publishers;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod settlement_tests;
