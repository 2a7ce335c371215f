//! `tapline window recompute`: a window's ranges of the log, counted again.
//!
//! Owns which records of `payments.events.v1` are given to the posting stage's own count and the
//! comparison with the row. Counts nothing itself. Each range begins at the tick that sealed the
//! former one, so what its first record says is in force, and what lies before its id is a repeat.

use super::{Name, find};
use crate::adapters::{cassandra::rules as stored, kafka::reader::Span};
use crate::codec::{
    self, DecodeError, StageCodec, avro::RegistryIds, posting::PostingCodec, raw::RawRecord,
    topics::EVENTS,
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{
    event::{AccountEvent, Event},
    money::Currency,
    rules::Rules,
    settlement::{ContentHash, CycleTotals},
    window::PartRange,
};
use crate::operator::{
    amounts::{count, money},
    cli::Common,
    connect::{block_on, cassandra},
    logs,
    outputs::{Outputs, records_of},
    print::{self, say},
    stage_rows::failed,
    ticks::{self, Fold},
};
use crate::stages::settlement::{
    posting::{
        clearing::clearing,
        part::{Tally, recount},
    },
    windows::{Window, window_content},
};
use crate::worker::{EXIT_BAD, EXIT_FAILED};
use serde::Serialize;
use std::collections::BTreeMap;

/// Versions of the rules are looked for until this many numbers in a row are not stored.
const GAP_MAX: i32 = 32;

pub fn run(common: &Common, config: &Config, name: &Name) -> Result<(), i32> {
    let (book, window) = find(config, name)?;
    let log = Log {
        outputs: Outputs::open(config)?,
        codec: codec(config)?,
        rules: rules_of(config)?,
        network: &book.network,
        currency: book.currency,
    };
    let spans: Vec<Span> = window.parts.iter().map(span).collect();
    let mut progress = Progress::start("counting", records_of(&spans), common.no_progress);
    let mut found = Vec::new();
    for part in &window.parts {
        found.push(log.count(part, &mut progress)?);
    }
    progress.finish();
    let recomputed = Recomputed::of(&book.name_of(&window), book.currency, &window, &found);
    print::document(common.output, &recomputed, || recomputed.shown());
    if recomputed.first_difference.is_some() { Err(EXIT_BAD) } else { Ok(()) }
}

fn span(part: &PartRange) -> Span {
    Span { partition: part.partition, start: part.from_offset, end: part.to_offset }
}

/// The posting stage's own reader of records: what it refuses it does not count.
fn codec(config: &Config) -> Result<PostingCodec, i32> {
    let ids: RegistryIds = crate::operator::records::registry_ids(config)?;
    let partitions = config.kafka.partitions.cast_signed();
    Ok(PostingCodec::new(partitions, config.limits, ids, &config.kafka.topic_prefix))
}

/// Every stored version of the rules.
fn rules_of(config: &Config) -> Result<BTreeMap<i32, Rules>, i32> {
    block_on(async {
        let session = cassandra(config).await?;
        let (mut known, mut number, mut missing) = (BTreeMap::new(), 1, 0);
        while missing < GAP_MAX {
            let document = stored::load(&session, &config.cassandra.keyspace, number).await;
            match document.map_err(failed)? {
                None => missing += 1,
                Some(document) => {
                    missing = 0;
                    let rules = codec::rules::parse(&document).map_err(|error| {
                        say(&format!("rules version {number} cannot be read: {error}"));
                        EXIT_FAILED
                    })?;
                    known.insert(number, rules);
                }
            }
            number += 1;
        }
        Ok(known)
    })?
}

/// One network and currency in the log of events.
struct Log<'a> {
    outputs: Outputs<'a>,
    codec: PostingCodec,
    rules: BTreeMap<i32, Rules>,
    network: &'a str,
    currency: Currency,
}

impl Log<'_> {
    /// One part again. In memory: the part's own items, nothing of the log between them.
    fn count(&self, part: &PartRange, progress: &mut Progress) -> Result<Option<Tally>, i32> {
        let span = span(part);
        if span.start >= span.end {
            return Ok(Some(Tally::default()));
        }
        let mut fold = self.in_force_before(&span)?;
        let mut items: Vec<(i64, AccountEvent, i32)> = Vec::new();
        self.outputs.read_raw(EVENTS, &[span], progress, |raw, _| {
            let Some(event) = self.event(&raw)? else { return Ok(()) };
            if let Event::Tick(tick) = event.body {
                // The fold begins at a fresh tick or at the start of the log: it cannot refuse.
                let _ = fold.take(raw.offset, Some(tick));
            } else if clearing(&event)
                .is_some_and(|item| (item.network, item.currency) == (self.network, self.currency))
            {
                items.push((raw.offset, event, fold.in_force.rules_version));
            }
            Ok(())
        })?;
        if let Some((_, _, version)) = items.iter().find(|it| !self.rules.contains_key(&it.2)) {
            say(&format!("rules version {version} was in force and is not stored"));
            return Err(EXIT_FAILED);
        }
        let range =
            items.iter().map(|(offset, event, version)| (*offset, event, &self.rules[version]));
        Ok(recount(self.network, self.currency, range))
    }

    /// What the stage would have decoded; `None`: it went to the dead letters.
    fn event(&self, raw: &RawRecord) -> Result<Option<AccountEvent>, i32> {
        match self.codec.decode(raw) {
            Ok(event) => Ok(Some(event)),
            Err(DecodeError::Poison(_)) => Ok(None),
            Err(error @ DecodeError::UnknownSchema(_)) => {
                let (partition, offset) = (raw.partition, raw.offset);
                say(&format!("{}:{partition}:{offset} cannot be read: {error}", EVENTS.0));
                Err(EXIT_FAILED)
            }
        }
    }

    /// The clock at the first record of a range. That is a tick, but where a network's first item
    /// of all came between two: then the ticks before it are folded.
    fn in_force_before(&self, span: &Span) -> Result<Fold, i32> {
        let Outputs { config, reader, ids } = &self.outputs;
        let topic = config.kafka.topic(EVENTS.0);
        let whole = self.outputs.spans(EVENTS, Some(span.partition))?[0];
        if !(whole.start..=whole.end).contains(&span.start) || whole.end < span.end {
            say(&format!(
                "{topic}:{} holds {} to {}, not {} to {}: the range is gone",
                span.partition, whole.start, whole.end, span.start, span.end
            ));
            return Err(EXIT_FAILED);
        }
        let first = logs::record_at(config, reader, &topic, *span, span.start)?;
        if first.is_some_and(|raw| ticks::tick_of(&raw, ids).is_some()) {
            return Ok(Fold::starting_at(span.start));
        }
        ticks::fold(config, reader, &topic, span.partition, (whole.start, span.start), ids)
    }
}

/// One part as it was sealed and as it is counted now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Part {
    #[serde(flatten)]
    sealed: PartRange,
    /// Absent where a sum would leave what the stage can count.
    items_found: Option<i64>,
    content_found: Option<ContentHash>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Recomputed {
    window: String,
    currency: Currency,
    parts: Vec<Part>,
    totals: CycleTotals,
    totals_found: Option<CycleTotals>,
    /// Absent while the window is open.
    content: Option<ContentHash>,
    content_found: Option<ContentHash>,
    /// Absent: all is the same.
    first_difference: Option<String>,
}

impl Recomputed {
    /// `found`: of each part in order; `None` where it cannot be counted.
    fn of(name: &str, currency: Currency, window: &Window, found: &[Option<Tally>]) -> Self {
        let part = |(sealed, found): (&PartRange, &Option<Tally>)| Part {
            sealed: *sealed,
            items_found: found.map(|tally| tally.totals.items),
            content_found: found.map(|tally| tally.content),
        };
        let parts: Vec<Part> = window.parts.iter().zip(found).map(part).collect();
        let totals_found = found
            .iter()
            .try_fold(CycleTotals::default(), |sum, tally| sum.plus(&tally.as_ref()?.totals));
        let counted: Option<Vec<PartRange>> = parts
            .iter()
            .map(|part| Some(PartRange { content: part.content_found?, ..part.sealed }))
            .collect();
        let mut recomputed = Self {
            window: name.to_owned(),
            currency,
            parts,
            totals: window.totals,
            totals_found,
            content: window.content,
            content_found: counted.as_deref().map(window_content),
            first_difference: None,
        };
        recomputed.first_difference = recomputed.difference();
        recomputed
    }

    /// The finest first: a part, then a sum, then the window's own hash.
    fn difference(&self) -> Option<String> {
        let of_part = self.parts.iter().find_map(|part| {
            let PartRange { partition, from_offset, to_offset, items, content } = part.sealed;
            let place = format!("partition {partition}, offsets {from_offset} to {to_offset}");
            match (part.items_found, part.content_found) {
                (Some(found), _) if found != items => {
                    Some(format!("{place}: {} items, sealed were {}", count(found), count(items)))
                }
                (Some(_), Some(found)) if found != content => {
                    Some(format!("{place}: content {found}, sealed was {content}"))
                }
                (Some(_), Some(_)) => None,
                _ => Some(format!("{place}: sums leave what can be counted")),
            }
        });
        of_part.or_else(|| self.difference_of_totals()).or_else(|| {
            let (recorded, found) = (self.content?, self.content_found?);
            (recorded != found).then(|| format!("content {found}, recorded is {recorded}"))
        })
    }

    fn difference_of_totals(&self) -> Option<String> {
        let Some(found) = self.totals_found else {
            return Some("the sum of the parts leaves what can be counted".to_owned());
        };
        let sums = |it: &CycleTotals| {
            [
                ("items", it.items),
                ("purchases_minor", it.purchases_minor),
                ("purchase_reversals_minor", it.purchase_reversals_minor),
                ("refunds_minor", it.refunds_minor),
                ("interchange_minor", it.interchange_minor),
                ("fees_minor", it.fees_minor),
                ("suspense_minor", it.suspense_minor),
            ]
        };
        let pairs = sums(&self.totals).into_iter().zip(sums(&found));
        pairs.into_iter().find_map(|((name, recorded), (_, found))| {
            (recorded != found).then(|| format!("{name} is {found}, recorded is {recorded}"))
        })
    }

    fn shown(&self) -> String {
        let columns = [
            print::number("partition", &|it: &Part| it.sealed.partition.to_string()),
            print::number("from", &|it: &Part| count(it.sealed.from_offset)),
            print::number("to", &|it: &Part| count(it.sealed.to_offset)),
            print::number("items", &|it: &Part| count(it.sealed.items)),
            print::number("found", &|it: &Part| it.items_found.map_or("-".to_owned(), count)),
            print::text("content", &|it: &Part| {
                let same = it.content_found == Some(it.sealed.content);
                if same { "the same" } else { "DIFFERENT" }.to_owned()
            }),
        ];
        let net = self
            .totals_found
            .map_or("-".to_owned(), |totals| money(totals.net_minor(), self.currency));
        let verdict = match &self.first_difference {
            None => "the log says the same: totals and content".to_owned(),
            Some(difference) => format!("DIFFERENT: {difference}"),
        };
        format!(
            "window {}, net of its items {net}\n{}\n{verdict}",
            self.window,
            print::table(&self.parts, &columns)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::books::tests::window;
    use crate::stages::settlement::windows::Status;

    fn tally(items: i64, purchases_minor: i64, content: u8) -> Tally {
        let totals = CycleTotals { items, purchases_minor, ..CycleTotals::default() };
        Tally { totals, content: ContentHash([content; 32]) }
    }

    fn closed() -> (Window, Vec<Option<Tally>>) {
        let found = vec![Some(tally(2, 100, 7)), Some(tally(0, 0, 0))];
        let mut window = window(10, Status::Closed);
        for (partition, tally) in (0..).zip(found.iter().flatten()) {
            window.totals = window.totals.plus(&tally.totals).expect("small sums");
            window.parts.push(PartRange {
                partition,
                from_offset: 5,
                to_offset: 9,
                items: tally.totals.items,
                content: tally.content,
            });
        }
        window.content = Some(window_content(&window.parts));
        (window, found)
    }

    fn first_difference(window: &Window, found: &[Option<Tally>]) -> Option<String> {
        let currency = Currency::parse("CAD").expect("a code");
        let recomputed = Recomputed::of("visa/CAD/10", currency, window, found);
        let is_told = recomputed.shown().contains("DIFFERENT: ");
        assert_eq!(is_told, recomputed.first_difference.is_some());
        recomputed.first_difference
    }

    /// Goal: the same log gives no difference, and whatever was changed is the first one told.
    /// Method: a closed window, then one thing changed at a time.
    #[test]
    fn differences() {
        let (good, found) = closed();
        assert_eq!(first_difference(&good, &found), None);

        let mut one_less = found.clone();
        one_less[0] = Some(tally(1, 100, 7));
        let told = first_difference(&good, &one_less);
        let place = "partition 0, offsets 5 to 9";
        assert_eq!(told, Some(format!("{place}: 1 items, sealed were 2")));

        let mut other_content = found.clone();
        other_content[1] = Some(tally(0, 0, 1));
        let told = first_difference(&good, &other_content).expect("a difference");
        assert!(told.starts_with("partition 1, offsets 5 to 9: content 0101"), "{told}");

        let told = first_difference(&good, &[None, found[1]]).expect("a difference");
        assert!(told.ends_with("sums leave what can be counted"), "{told}");

        let mut other_sum = good.clone();
        other_sum.totals.purchases_minor = 101;
        let told = first_difference(&other_sum, &found);
        assert_eq!(told.as_deref(), Some("purchases_minor is 100, recorded is 101"));

        let mut other_hash = good;
        other_hash.content = Some(ContentHash([9; 32]));
        let told = first_difference(&other_hash, &found).expect("a difference");
        assert!(told.starts_with("content ") && told.contains("recorded is 0909"), "{told}");
    }
}
