//! The demo's end: waiting until every stage has read all that there is.
//!
//! Owns what is left of each stage and for how long it is waited: as long as it becomes less.
//! Partitions without an owner are waited for longer, since a killed worker's are given away only
//! after its session. What was durable once stays so, whoever owns it now.

use super::{logs, print::say};
use crate::adapters::kafka::reader::Reader;
use crate::codec::topics;
use crate::config::Config;
use crate::console::progress::Progress;
use crate::load::{crew::Crew, patience::Patience, workers::Worker};
use crate::runtime::telemetry;
use std::{collections::BTreeMap, time::Duration};

/// How long the stages may stand still while every partition has an owner.
const STILL_MS_MAX: u64 = 60_000;

/// The same while partitions are being taken over: several sessions of the group.
const TAKEOVER_MS_MAX: u64 = 180_000;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(250);

/// Records by stage and partition.
type Left = BTreeMap<(&'static str, i32), i64>;

/// What is seen of the stages at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Look {
    /// Records that are not durable, of each stage and partition that has some.
    left: Left,
    /// Partitions without an owner that has loaded them.
    untaken: usize,
    /// How often workers were started again.
    restarts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    AtRest,
    Wait,
    GiveUp,
}

/// What follows from one look after the others.
struct Rest {
    patience: Patience<(Left, u32)>,
}

impl Rest {
    fn next(&mut self, look: &Look, now_ms: u64) -> Next {
        let still_ms = self.patience.still_ms((look.left.clone(), look.restarts), now_ms);
        let still_ms_max = if look.untaken > 0 { TAKEOVER_MS_MAX } else { STILL_MS_MAX };
        match look.left.is_empty() {
            true => Next::AtRest,
            false if still_ms > still_ms_max => Next::GiveUp,
            false => Next::Wait,
        }
    }
}

impl Look {
    /// Records left of each stage.
    fn by_stage(&self) -> BTreeMap<&'static str, i64> {
        let mut sums = BTreeMap::new();
        for ((stage, _), left) in &self.left {
            *sums.entry(*stage).or_default() += left;
        }
        sums
    }

    fn note(&self) -> String {
        let left: Vec<String> =
            self.by_stage().iter().map(|(stage, left)| format!("{stage} {left}")).collect();
        let taking = match self.untaken {
            0 => String::new(),
            untaken => format!("; {untaken} partitions are being taken over"),
        };
        format!("records left: {}{taking}", left.join(", "))
    }

    /// What is left, a line a stage.
    fn missing(&self) -> String {
        let of_stage = |(stage, left): (&&str, &i64)| {
            let own = self.left.iter().filter(|((of, _), _)| of == stage);
            let own: Vec<String> =
                own.map(|((_, partition), left)| format!("{partition}:{left}")).collect();
            format!("{stage} has {left} records left to read (partition:records {})", own.join(" "))
        };
        self.by_stage().iter().map(of_stage).collect::<Vec<_>>().join("\n")
    }
}

/// Waits until all stages have read everything. What is left when nothing moves any more is said,
/// and shows in the verdict too. Errors: Kafka cannot be read, a worker ended for good.
pub fn await_rest(config: &Config, crew: &mut Crew, no_bars: bool) -> Result<(), String> {
    let reader = logs::reader(config, "demo").map_err(|_| "Kafka cannot be read".to_owned())?;
    let mut progress = Progress::start("reading", 0, no_bars);
    let mut rest = Rest { patience: Patience::new() };
    let mut durable = BTreeMap::new();
    loop {
        let look = look(config, &reader, crew, &mut durable)?;
        match rest.next(&look, telemetry::steady_ms()) {
            Next::AtRest => break,
            Next::Wait => progress.at(read_of(&durable), &look.note()),
            Next::GiveUp => {
                say(&format!("nothing moves any more, and not all is read:\n{}", look.missing()));
                break;
            }
        }
        std::thread::park_timeout(EVERY);
    }
    progress.finish();
    Ok(())
}

/// Records read and durable, of all stages.
fn read_of(durable: &BTreeMap<(String, i32), i64>) -> u64 {
    durable.values().sum::<i64>().unsigned_abs()
}

/// `durable`: the furthest that was ever seen of each stage and partition.
fn look(
    config: &Config,
    reader: &Reader,
    crew: &mut Crew,
    durable: &mut BTreeMap<(String, i32), i64>,
) -> Result<Look, String> {
    let restarts = crew.tend()?;
    // Before the ends are read: a stage that is durable through its input has written all of it.
    for (place, offset) in crew.workers.iter_mut().flat_map(Worker::durable) {
        let furthest = durable.entry(place).or_default();
        *furthest = offset.max(*furthest);
    }
    let (mut left, mut partitions) = (BTreeMap::new(), 0_usize);
    for (stage, spec) in topics::inputs() {
        let spans = reader.spans(&config.kafka.topic(spec.topic.0));
        for span in spans.map_err(|error| error.to_string())? {
            partitions += 1;
            let reached = durable.get(&(stage.to_owned(), span.partition)).copied();
            let behind = span.end - reached.unwrap_or(span.start);
            if behind > 0 {
                left.insert((stage, span.partition), behind);
            }
        }
    }
    Ok(Look { left, untaken: partitions.saturating_sub(crew.taken()), restarts })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: it is waited for work, not for a time. Method: looks at given seconds (records left of
    /// posting, partitions untaken, restarts), and what follows from the last of them.
    #[test]
    fn waiting_by_progress() {
        type Seen = (u64, i64, usize, u32);
        let table: [(&str, &[Seen], Next); 9] = [
            ("nothing left", &[(0, 0, 0, 0)], Next::AtRest),
            ("nothing left, though a worker died", &[(0, 0, 30, 1)], Next::AtRest),
            ("the first look", &[(500, 9, 0, 0)], Next::Wait),
            ("slow, but it moves", &[(0, 9, 0, 0), (60, 8, 0, 0), (120, 7, 0, 0)], Next::Wait),
            ("a minute at most", &[(0, 9, 0, 0), (60, 9, 0, 0)], Next::Wait),
            ("stands still", &[(0, 9, 0, 0), (59, 8, 0, 0), (120, 8, 0, 0)], Next::GiveUp),
            ("taken over meanwhile", &[(0, 9, 30, 1), (61, 9, 30, 1)], Next::Wait),
            ("started again", &[(0, 9, 0, 0), (50, 9, 0, 1), (110, 9, 0, 1)], Next::Wait),
            ("never taken over", &[(0, 9, 30, 1), (180, 9, 30, 1), (181, 9, 30, 1)], Next::GiveUp),
        ];
        for (name, seen, expected) in table {
            let mut rest = Rest { patience: Patience::new() };
            let mut found = None;
            for (seconds, left, untaken, restarts) in seen.iter().copied() {
                assert_ne!(found, Some(Next::GiveUp), "{name}: too early");
                let left = (left > 0).then_some((("posting", 0), left)).into_iter().collect();
                found = Some(rest.next(&Look { left, untaken, restarts }, seconds * 1_000));
            }
            assert_eq!(found, Some(expected), "{name}");
        }
    }

    /// Goal: what is left can be told by stage. Method: two stages, and both forms of it.
    #[test]
    fn left_by_stage() {
        let left = [(("posting", 1), 5), (("push", 0), 2), (("posting", 3), 7)];
        let look = Look { left: left.into_iter().collect(), untaken: 4, restarts: 1 };
        let taking = "; 4 partitions are being taken over";
        assert_eq!(look.note(), format!("records left: posting 12, push 2{taking}"));
        assert_eq!(
            look.missing(),
            "posting has 12 records left to read (partition:records 1:5 3:7)\n\
             push has 2 records left to read (partition:records 0:2)"
        );
    }
}
