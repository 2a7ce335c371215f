//! A gateway's twin: what it does with a request, and the journal of all requests.
//!
//! Owns the ways in which a gateway goes wrong. It knows no executor: it takes a request and says
//! whether it took it, what it answers and when, if at all.

use crate::domain::push::{Answer, Notification, Platform};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Takes all, within 50 ms.
    Well,
    /// Takes all and answers after ten seconds.
    Slow,
    /// Takes nothing and says nothing.
    Dead,
    /// Takes all and says nothing.
    AnswersLost,
    /// 429, to come again after so long.
    TooMany { retry_after_ms: i64 },
    /// 503 at once.
    Broken,
    /// Refuses for good.
    Refusing,
    /// The device is gone.
    Gone,
    /// Any of the others, request by request.
    Mixed,
}

pub const FAULTS: [Mode; 8] = [
    Mode::Slow,
    Mode::Dead,
    Mode::AnswersLost,
    Mode::TooMany { retry_after_ms: 2_000 },
    Mode::Broken,
    Mode::Refusing,
    Mode::Gone,
    Mode::Mixed,
];

#[derive(Clone, Debug)]
pub struct Request {
    pub at_ms: i64,
    pub platform: Platform,
    pub token: Box<str>,
    /// Which life of which worker sent it.
    pub life: u64,
    /// Of the obligation, in the log.
    pub id: Box<str>,
    pub notification: Notification,
    pub accepted: bool,
}

/// Whether it took the request, and what it answers after how long. `draw`: any number.
pub fn serve(mode: Mode, draw: u64) -> (bool, Option<(Answer, i64)>) {
    let soon_ms = (draw % 50) as i64;
    let later = |code: &str, retry_after_ms| Answer::Later { code: code.into(), retry_after_ms };
    match mode {
        Mode::Well => (true, Some((Answer::Accepted, soon_ms))),
        Mode::Slow => (true, Some((Answer::Accepted, 10_000))),
        Mode::Dead => (false, None),
        Mode::AnswersLost => (true, None),
        Mode::TooMany { retry_after_ms } => {
            (false, Some((later("http_429", Some(retry_after_ms)), soon_ms)))
        }
        Mode::Broken => (false, Some((later("http_503", None), soon_ms))),
        Mode::Refusing => (false, Some((Answer::rejected("http_400"), soon_ms))),
        Mode::Gone => (false, Some((Answer::Gone, soon_ms))),
        Mode::Mixed => match draw / 64 % 10 {
            0..=5 => serve(Mode::Well, draw),
            6 => serve(Mode::AnswersLost, draw),
            7 => serve(Mode::Broken, draw),
            8 => serve(Mode::Refusing, draw),
            _ => serve(Mode::Dead, draw),
        },
    }
}
