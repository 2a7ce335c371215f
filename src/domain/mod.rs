//! The nouns of card payments and what always holds for them.
//!
//! Owns money, time, accounts, payments, and the commands and events that name what is asked and
//! what was decided. Knows no log, no storage and no bytes: nothing here reads a clock, draws a
//! random number or looks at the outside. Names and their meaning: docs/payments.md.

#![deny(
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::float_arithmetic,
    clippy::wildcard_enum_match_arm
)]

pub mod account;
pub mod command;
pub mod cycle;
pub mod event;
pub mod feed;
pub mod feed_page;
pub mod fingerprint;
pub mod ids;
pub mod ledger;
pub mod mark;
pub mod money;
pub mod payment;
pub mod push;
pub mod reason;
pub mod rules;
pub mod settlement;
pub mod time;
pub mod window;
