//! The auditor: an independent judge of what the pipeline did.
//!
//! Owns its own reading of the money rules and of the log, in the plainest way: maps and sums. It
//! shares nothing that could be wrong twice: raw bytes come from the adapters, values are read with
//! the schema files, and no module of domain, stages, codec or runtime is named here.
//!
//! `cli` flags; `live` and `folder` where evidence comes from, `evidence` its shape; `audit` the
//! order of work, `fold` a partition, `tail` its open end; `outputs`, `letters`, `rows`, `sends`,
//! `transfers`, `messages`, `money` and `accounts` what is judged; `books` the order of settlement,
//! `taken` its records, `postings`, `moves`, `parts` and `windows` what is judged of it; `customers`
//! the order of feed and push, `audience`, `shown`, `feed`, `feed_rows` what is shown to whom,
//! `push`, `ends`, `untold`, `requests` what they were told; `clear_text`, `card_numbers` card
//! numbers; `commands`, `avro`, `identity`, `currencies` how things are read; `verdict` and `report`
//! what comes out.

mod accounts;
mod audience;
mod audit;
mod avro;
mod books;
mod card_numbers;
mod clear_text;
pub mod cli;
mod commands;
mod currencies;
mod customers;
mod ends;
mod evidence;
mod feed;
mod feed_rows;
mod fold;
mod folder;
mod identity;
mod letters;
mod live;
mod messages;
mod money;
mod moves;
mod outputs;
mod parts;
mod postings;
mod push;
mod report;
mod requests;
mod rows;
mod sends;
mod shown;
mod tail;
mod taken;
mod transfers;
mod untold;
mod verdict;
mod windows;
