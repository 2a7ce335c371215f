//! The auditor: an independent judge of what the pipeline did.
//!
//! Owns its own reading of the money rules and of the log, in the plainest way: maps and sums. It
//! shares nothing that could be wrong twice: raw bytes come from the adapters, values are read with
//! the schema files, and no module of domain, stages, codec or runtime is named here.
//!
//! `cli` flags; `live` and `folder` where evidence comes from, `evidence` its shape; `audit` the
//! order of work, `fold` a partition; `outputs`, `letters`, `rows`, `sends`, `transfers`,
//! `messages`, `money` and `accounts` what is judged; `clear_text`, `card_numbers` card numbers;
//! `commands`, `avro`, `identity`, `currencies` how things are read; `verdict` and
//! `report` what comes out.

mod accounts;
mod audit;
mod avro;
mod card_numbers;
mod clear_text;
pub mod cli;
mod commands;
mod currencies;
mod evidence;
mod fold;
mod folder;
mod identity;
mod letters;
mod live;
mod messages;
mod money;
mod outputs;
mod report;
mod rows;
mod sends;
mod transfers;
mod verdict;
