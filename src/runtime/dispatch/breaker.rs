//! The circuit breaker of one gateway: closed, open, half open with one probe at a time.
//!
//! Opens when most of the last answers are failures, when nothing but failures came for three
//! seconds, or when requests are under way and no answer at all came for four: within five seconds
//! of a gateway's death however little is sent. A refusal for good is a sign of life; "too many
//! requests" counts as a failure, and its `Retry-After` is waited for. Probes are obligations like
//! any others: no traffic is invented.

/// Of the last this many answers...
const WINDOW: u32 = 16;
/// ...this many failures open it.
const FAILURES_MAX: u32 = 10;
/// Only failures, at least two, for so long.
const FAILING_MS_MAX: i64 = 3_000;
/// Something under way and no answer for so long. An answer slower than this closes nothing.
pub(super) const SILENT_MS_MAX: i64 = 4_000;
/// How long it stays open at first, doubled at each probe that fails.
const OPEN_FIRST_MS: i64 = 1_000;
const OPEN_MAX_MS: i64 = 15_000;
/// A gateway may ask for no more rest than this.
const RETRY_AFTER_MS_MAX: i64 = 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Closed,
    Open { until_ms: i64 },
    HalfOpen { probe: Option<u64> },
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half_open",
        }
    }
}

/// What an attempt came to, as far as the gateway's health goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Alive { took_ms: i64 },
    Failed { retry_after_ms: i64 },
}

#[derive(Clone, Debug)]
pub(super) struct Breaker {
    state: State,
    /// Newest in the lowest bit; a set bit is a failure.
    answers: u32,
    failing_since_ms: Option<i64>,
    pause_ms: i64,
    pub opened: u64,
}

impl Breaker {
    pub fn new() -> Self {
        let state = State::Closed;
        Self { state, answers: 0, failing_since_ms: None, pause_ms: OPEN_FIRST_MS, opened: 0 }
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// Whether an attempt may begin; an open breaker whose time is over becomes half open.
    pub fn allows(&mut self, now_ms: i64) -> bool {
        if let State::Open { until_ms } = self.state
            && now_ms >= until_ms
        {
            self.state = State::HalfOpen { probe: None };
        }
        matches!(self.state, State::Closed | State::HalfOpen { probe: None })
    }

    /// When it allows again at the earliest by time alone.
    pub fn next_ms(&self) -> Option<i64> {
        match self.state {
            State::Open { until_ms } => Some(until_ms),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    pub fn began(&mut self, attempt: u64) {
        if let State::HalfOpen { probe } = &mut self.state {
            *probe = Some(attempt);
        }
    }

    pub fn answered(&mut self, attempt: u64, health: Health, now_ms: i64) {
        let is_probe = self.state == State::HalfOpen { probe: Some(attempt) };
        match (self.state, health) {
            (State::Closed, Health::Alive { took_ms }) => {
                if took_ms < SILENT_MS_MAX {
                    self.failing_since_ms = None;
                }
                self.answers <<= 1;
            }
            (State::Closed, Health::Failed { retry_after_ms }) => {
                let since_ms = *self.failing_since_ms.get_or_insert(now_ms);
                self.answers = (self.answers << 1) | 1;
                let window = self.answers & ((1 << WINDOW) - 1);
                let lasting = since_ms + FAILING_MS_MAX <= now_ms && window & 0b11 == 0b11;
                if lasting || window.count_ones() >= FAILURES_MAX {
                    self.open(retry_after_ms, now_ms);
                }
            }
            (State::HalfOpen { .. }, Health::Alive { took_ms })
                if is_probe && took_ms < SILENT_MS_MAX =>
            {
                *self = Self { opened: self.opened, ..Self::new() };
            }
            (State::HalfOpen { .. }, Health::Alive { .. }) if is_probe => self.open(0, now_ms),
            (State::HalfOpen { .. }, Health::Failed { retry_after_ms }) if is_probe => {
                self.open(retry_after_ms, now_ms);
            }
            // Answers from before it opened say nothing about now.
            (State::Open { .. } | State::HalfOpen { .. }, _) => {}
        }
    }

    /// Requests are under way and nothing came for `SILENT_MS_MAX`.
    pub fn silent(&mut self, now_ms: i64) {
        if matches!(self.state, State::Closed | State::HalfOpen { probe: Some(_) }) {
            self.open(0, now_ms);
        }
    }

    fn open(&mut self, retry_after_ms: i64, now_ms: i64) {
        let rest_ms = self.pause_ms.max(retry_after_ms.min(RETRY_AFTER_MS_MAX));
        self.state = State::Open { until_ms: now_ms + rest_ms };
        self.pause_ms = (self.pause_ms * 2).min(OPEN_MAX_MS);
        self.answers = 0;
        self.failing_since_ms = None;
        self.opened += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: it opens soon on every kind of death and closes on a good probe only. Method: scripts
    /// of answers, one letter each, 100 ms apart: `a` alive, `f` failed; then the state.
    #[test]
    fn opens_and_closes() {
        for (script, gap_ms, state) in [
            ("aaaaaaaa", 100, "closed"),
            ("fffffffff", 100, "closed"),
            ("ffffffffff", 100, "open"),
            ("affaffaffaffaff", 100, "open"),
            ("afafafafafafafafafaf", 100, "closed"),
            ("ff", 2_900, "closed"),
            ("ff", 3_000, "open"),
            ("faff", 2_000, "closed"),
        ] {
            let (mut breaker, mut now_ms) = (Breaker::new(), 0);
            for (attempt, letter) in (0..).zip(script.chars()) {
                let health = match letter {
                    'a' => Health::Alive { took_ms: 50 },
                    _ => Health::Failed { retry_after_ms: 0 },
                };
                breaker.answered(attempt, health, now_ms);
                now_ms += gap_ms;
            }
            assert_eq!(breaker.state().name(), state, "{script} each {gap_ms} ms");
        }
    }

    /// Goal: one probe at a time; a slow or failed one opens again for longer, a good one closes;
    /// a wish for rest is granted up to a minute. Method: one life.
    #[test]
    fn probes() {
        let mut breaker = Breaker::new();
        breaker.silent(0);
        assert_eq!(breaker.state(), State::Open { until_ms: 1_000 });
        assert!(!breaker.allows(999));
        for (attempt, now_ms, health, until_ms) in [
            (1, 1_000, Health::Failed { retry_after_ms: 0 }, 3_000),
            (2, 3_000, Health::Alive { took_ms: 9_000 }, 7_000),
            (3, 7_000, Health::Failed { retry_after_ms: 3_600_000 }, 67_000),
        ] {
            assert!(breaker.allows(now_ms));
            breaker.began(attempt);
            assert!(!breaker.allows(now_ms), "one probe");
            breaker.answered(99, Health::Alive { took_ms: 1 }, now_ms);
            assert!(!breaker.allows(now_ms), "another's answer says nothing");
            breaker.answered(attempt, health, now_ms);
            assert_eq!(breaker.state(), State::Open { until_ms }, "probe {attempt}");
        }
        assert!(breaker.allows(67_000));
        breaker.began(4);
        breaker.answered(4, Health::Alive { took_ms: 20 }, 67_020);
        assert_eq!(breaker.state(), State::Closed);
    }
}
