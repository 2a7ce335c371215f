//! Scenario tables: for each stage, what is given, what happens, and what must then be true.
//!
//! One line of a table is one record and its whole outcome. The tables use the public interface of
//! a stage only, so they read like the rules that they prove (docs/payments.md).

#[path = "scenarios/accounts.rs"]
mod accounts;
#[path = "scenarios/authorisations.rs"]
mod authorisations;
#[path = "scenarios/driver.rs"]
mod driver;
#[path = "scenarios/limits.rs"]
mod limits;
#[path = "scenarios/presentments.rs"]
mod presentments;
#[path = "scenarios/repeats.rs"]
mod repeats;
#[path = "scenarios/time.rs"]
mod time;
