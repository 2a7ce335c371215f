//! Settlement: from events to balanced postings, and from postings to windows that are paid.
//!
//! Owns two stages. `posting` folds events into the ledger of each account and counts, for each
//! network and currency, its partition's part of every cycle; `windows` joins the parts. Neither
//! sees the other's state: what lies between them is the topic `settlement.parts.v1`.

pub mod posting;
pub mod windows;
