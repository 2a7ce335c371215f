//! Forgeries in the topics of settlement: one change to good books each, and the id to be named.
//!
//! Owns the table. A change is made to a record and its copies, so that the check it aims at must
//! find it and not the comparison of copies.

use super::{
    books::{Books, read, written},
    good_run::{PARTITIONS, Rec},
};
use tapline::{
    codec::{frame::OutputId, schemas::Subject},
    domain::{
        ledger::PostingSet,
        settlement::{PartSealed, SettlementInput, SettlementRecord},
        window::{WindowBody, WindowEvent},
    },
};

/// Changes the books; returns the id that must be named.
pub type Forge = fn(&mut Books) -> String;

/// What is wrong, the invariant that must see it, the change.
pub const FORGERIES: &[(&str, &str, Forge)] = &[
    ("leg dropped", "I2", |books| set(books, |set| set.legs.truncate(1))),
    ("sign of a leg", "I2", |books| set(books, |set| set.legs[0].minor *= -1)),
    ("a balanced set that moves too much", "I3", |books| {
        set(books, |set| {
            set.legs[0].minor += 1;
            set.legs[1].minor -= 1;
        })
    }),
    ("balance after one minor unit off", "I3", |books| set(books, |set| set.after[0].minor += 1)),
    ("set doubled under another id", "P3", |books| {
        let place = books.postings.len() / 2;
        let mut twin = books.postings[place].clone();
        let id = OutputId { index: 1, ..twin.source() };
        twin.set_header("tapline-src", id.to_string());
        books.postings.insert(place + 1, twin);
        number(&mut books.postings);
        id.to_string()
    }),
    ("set missing", "P3", |books| {
        let id = books.postings[books.postings.len() / 2].source();
        books.postings.retain(|record| record.source() != id);
        number(&mut books.postings);
        id.to_string()
    }),
    ("copy of a set that differs", "P3", |books| {
        let same = |pair: &[Rec]| pair[0].header("tapline-src") == pair[1].header("tapline-src");
        let place = books.postings.windows(2).position(same).expect("a copy");
        let value = books.postings[place + 1].value.as_mut().expect("a value");
        *value.last_mut().expect("a byte") ^= 1;
        books.postings[place].source().to_string()
    }),
    ("set in another partition", "P7", |books| {
        let record = &mut books.postings[0];
        record.partition = PARTITIONS - 1 - record.partition;
        let id = record.source().to_string();
        number(&mut books.postings);
        id
    }),
    ("gap before a part", "I15", |books| part(books, |part| part.from_offset += 1)),
    ("part total one minor unit off", "I15", |books| {
        part(books, |part| part.totals.purchases_minor += 1)
    }),
    ("window total one minor unit off", "I15", |books| {
        window(books, |body| match body {
            WindowBody::Closed(closed) if closed.totals.items > 0 => {
                closed.totals.purchases_minor += 1;
                true
            }
            _ => false,
        })
    }),
    ("amount of an exception", "I15", |books| {
        window(books, |body| match body {
            WindowBody::ExceptionOpened(opened) => {
                opened.exception.suspense_minor += 1;
                true
            }
            _ => false,
        })
    }),
    ("window settled for another amount", "I15", |books| {
        window(books, |body| match body {
            WindowBody::Settled(settled) if !settled.legs.is_empty() => {
                settled.legs[0].minor += 1;
                settled.legs[1].minor -= 1;
                true
            }
            _ => false,
        })
    }),
    ("window closed twice", "I15", |books| {
        let is_closed = |record: &Rec| {
            let event: WindowEvent = read(Subject::Windows, record);
            matches!(event.body, WindowBody::Closed(closed) if closed.totals.items > 0)
        };
        let place = books.windows.iter().rposition(is_closed).expect("a window");
        let mut twin = books.windows[place].clone();
        let id = OutputId { index: 90, ..twin.source() };
        twin.set_header("tapline-src", id.to_string());
        let source = twin.source().source;
        let same = |record: &Rec| record.source().source == source;
        let last = books.windows.iter().rposition(same).expect("itself");
        books.windows.insert(last + 1, twin);
        number(&mut books.windows);
        id.to_string()
    }),
];

/// Offsets as if nothing had happened.
fn number(records: &mut [Rec]) {
    for partition in 0..PARTITIONS {
        let own = records.iter_mut().filter(|record| record.partition == partition);
        own.enumerate().for_each(|(offset, record)| record.offset = offset as i64);
    }
}

fn replace(records: &mut [Rec], place: usize, value: Vec<u8>) -> String {
    let id = records[place].header("tapline-src");
    for record in records.iter_mut().filter(|record| record.header("tapline-src") == id) {
        record.value = Some(value.clone());
    }
    id.expect("an output")
}

/// Changes a set in the middle.
fn set(books: &mut Books, change: impl Fn(&mut PostingSet)) -> String {
    let place = books.postings.len() / 2;
    let mut set: PostingSet = read(Subject::Postings, &books.postings[place]);
    change(&mut set);
    replace(&mut books.postings, place, written(Subject::Postings, &set))
}

/// Changes the latest part with items.
fn part(books: &mut Books, change: impl Fn(&mut PartSealed)) -> String {
    for place in (0..books.parts.len()).rev() {
        let mut record: SettlementRecord = read(Subject::Parts, &books.parts[place]);
        match &mut record.body {
            SettlementInput::Part(part) if part.totals.items > 1 => change(part),
            _ => continue,
        }
        return replace(&mut books.parts, place, written(Subject::Parts, &record));
    }
    panic!("no part with items")
}

/// Changes the first event that takes the change.
fn window(books: &mut Books, change: impl Fn(&mut WindowBody) -> bool) -> String {
    for place in 0..books.windows.len() {
        let mut event: WindowEvent = read(Subject::Windows, &books.windows[place]);
        if change(&mut event.body) {
            return replace(&mut books.windows, place, written(Subject::Windows, &event));
        }
    }
    panic!("no such event")
}
