//! What later owners did anew after a crash or a change of settings: all of it right.
//!
//! Owns the worlds: every pair of words that two owners may say of one obligation, and requests of
//! owners that died before a word.

use super::{
    books::{read, written},
    good_run::Rec,
    misdeeds::number as renumber,
    served::Served,
};
use std::collections::BTreeSet;
use tapline::{
    codec::schemas::Subject,
    domain::{
        feed::{FeedBody, FeedRecord, ItemChange},
        push::{Outcome, Platform, PushOutcome, Send},
    },
};

const WORDS: [Outcome; 6] = [
    Outcome::Delivered,
    Outcome::Rejected,
    Outcome::Expired,
    Outcome::Muted,
    Outcome::Preference,
    Outcome::Superseded,
];

/// Every word after every other, each pair on an obligation of its own. The requests of the second
/// come after everything else that was sent, so after every newer version too.
pub fn every_pair_of_words(served: &mut Served) -> usize {
    let mut used = BTreeSet::new();
    let mut pairs = 0;
    for (first, second) in WORDS.iter().flat_map(|it| WORDS.map(|second| (*it, second))) {
        let (record, mut said) = one(served, first, &mut used);
        let key = format!("{}:00c0ffee0000", said.obligation_id);
        let answer = match second {
            Outcome::Delivered => Some("accepted"),
            Outcome::Rejected => Some("gone"),
            Outcome::Expired => Some("hang"),
            Outcome::Unknown | Outcome::Muted | Outcome::Preference | Outcome::Superseded => None,
        };
        said.outcome = second;
        said.code = if second == Outcome::Muted { "mode_mute".into() } else { "".into() };
        said.sends.clear();
        if let Some(answer) = answer {
            served.request(&key, "once more", answer);
            said.sends.push(Send {
                key: key.into(),
                platform: Platform::Fcm,
                outcome: second,
                attempts: 1,
                code: "".into(),
            });
        }
        served.say(&said, record.partition, record.source());
        pairs += 1;
    }
    pairs
}

/// One owner sent and died, the next one found nothing to be sent and said so.
pub fn dead_without_a_word(served: &mut Served) -> usize {
    let mut used = BTreeSet::new();
    let ends = [Outcome::Preference, Outcome::Muted, Outcome::Superseded];
    for end in ends {
        let (record, said) = one(served, end, &mut used);
        served.request(&format!("{}:00c0ffee0000", said.obligation_id), "once", "gone");
        let now_ms = served.now_ms();
        let id = record.source();
        let own = served.outcomes.iter_mut().filter(|record| record.source() == id);
        own.for_each(|record| record.timestamp_ms = now_ms);
    }
    ends.len()
}

/// A muted obligation's item and id; `taken`: without a word on it, `silent`: of a change that need
/// not be told.
pub fn untold(served: &mut Served, taken: bool, silent: bool) -> (Rec, String) {
    let (record, _) = one(served, Outcome::Muted, &mut BTreeSet::new());
    let id = record.source();
    if taken {
        served.outcomes.retain(|record| record.source() != id);
        renumber(&mut served.outcomes);
    }
    let is_it = |record: &&Rec| record.header("tapline-src") == Some(id.to_string());
    let item = served.items.iter().find(is_it).expect("its item").clone();
    if silent {
        let mut said: FeedRecord = read(Subject::FeedItems, &item);
        if let FeedBody::Item(it) = &mut said.body {
            it.change = ItemChange::Verified;
        }
        let value = written(Subject::FeedItems, &said);
        for row in served.rows.values_mut().filter(|row| Some(&row.image) == item.value.as_ref()) {
            row.image = value.clone();
        }
        let own = served.items.iter_mut().filter(|record| record.value == item.value);
        own.for_each(|record| record.value = Some(value.clone()));
    }
    (item, id.to_string())
}

/// An obligation with that end, not used before.
fn one(served: &Served, end: Outcome, used: &mut BTreeSet<String>) -> (Rec, PushOutcome) {
    let found = served.outcomes.iter().find_map(|record| {
        let said: PushOutcome = read(Subject::PushOutcomes, record);
        let id = record.source().to_string();
        (said.outcome == end && !used.contains(&id)).then(|| (record.clone(), said))
    });
    let (record, said) = found.expect("enough of each");
    used.insert(record.source().to_string());
    assert_eq!(record.value, Some(written(Subject::PushOutcomes, &said)), "written as it was read");
    (record, said)
}
