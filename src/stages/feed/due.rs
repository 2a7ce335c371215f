//! What time does: closed payments that are old leave the head.
//!
//! Owns the deadline of an account. A payment leaves when nothing is held for it and the last event that
//! named it is longer ago than the rules' closing age; it is read back by the event that names it
//! (`side_rows`). Nobody sees anything of it.

use super::{NOTHING, head::Change, head::Head, life::Life};
use crate::{
    domain::{feed::FeedRecord, payment::ItemId, rules::Rules, time::LogTime},
    stages::{Context, Transition},
};

/// The earliest log time at which a closed payment may leave. Too early where the oldest was
/// changed again; the due step then finds the right one.
pub(super) fn deadline(head: &Head, rules: &Rules) -> Option<LogTime> {
    head.closed_from.map(|from| leaves_at(from, rules))
}

fn leaves_at(changed_at: LogTime, rules: &Rules) -> LogTime {
    changed_at.plus_ms(rules.closing_age_ms).plus_ms(1)
}

pub(super) fn due(context: &Context<Rules>, head: &Head) -> Transition<Change, FeedRecord> {
    let is_old = |life: &Life| leaves_at(life.state.changed_at, context.rules) <= context.log_time;
    let mut leaving: Vec<ItemId> = Vec::new();
    let mut closed_from: Option<LogTime> = None;
    for (id, life) in head.lives.iter().filter(|(_, life)| life.state.is_closed()) {
        let changed_at = life.state.changed_at;
        if is_old(life) {
            leaving.push(id.clone());
        } else {
            closed_from = Some(closed_from.map_or(changed_at, |from| from.min(changed_at)));
        }
    }
    if leaving.is_empty() && closed_from == head.closed_from {
        return NOTHING;
    }
    Transition { change: Some(Change::Leave(leaving, closed_from)), effects: Vec::new() }
}
