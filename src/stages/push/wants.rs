//! What a customer wants to be told, and when.
//!
//! Owns the order of the checks and their codes. Knows no zones: the caller tells which minute of
//! the day it is where the customer lives. Declines are told at any amount; quiet hours hush all.

use crate::domain::push::{NoticeKind, Obligation, Preferences, QuietHours};

/// Whether the obligation may be told now. Errors: `kind_off`, `amount_below`, `quiet_hours`.
///
/// `minute_of_day`: of the zone of the quiet hours, 0 to 1439, at the moment of sending.
pub fn wanted(
    preferences: &Preferences,
    obligation: &Obligation,
    minute_of_day: impl Fn(&QuietHours) -> u16,
) -> Result<(), &'static str> {
    if preferences.off.contains(&obligation.kind) {
        return Err("kind_off");
    }
    let smallest_minor = preferences.smallest_minor.get(&obligation.currency_code).copied();
    if obligation.kind != NoticeKind::Decline
        && smallest_minor.is_some_and(|smallest| obligation.amount_minor < smallest)
    {
        return Err("amount_below");
    }
    match &preferences.quiet {
        Some(quiet) if is_quiet(quiet, minute_of_day(quiet)) => Err("quiet_hours"),
        Some(_) | None => Ok(()),
    }
}

/// From inclusive, to exclusive; over midnight where from is later than to.
fn is_quiet(quiet: &QuietHours, minute: u16) -> bool {
    let (from, to) = (quiet.from_minute, quiet.to_minute);
    if from <= to { (from..to).contains(&minute) } else { minute >= from || minute < to }
}
