//! The windows stage: every state and input by table, and what always holds by random records.
//!
//! All goes through the codec and through a driver that does what the runtime does (items that are
//! named come back, items that leave are kept). After each record the driver compares the head with
//! a ledger of its own, made from parts and legs alone.

#[path = "windows/driver.rs"]
mod driver;
#[path = "windows/random.rs"]
mod random;
#[path = "windows/records.rs"]
mod records;
#[path = "windows/resolutions.rs"]
mod resolutions;
#[path = "windows/states.rs"]
mod states;
