//! A crew: several workers as child processes, each started again when it dies.
//!
//! Owns the decision whether an ended worker is started again, and the words about it. Decides from
//! how it ended and how often it was started already, and from nothing else. A worker that refused
//! stays ended: the next one would refuse too, and only a person can change what it refuses.

use super::workers::{Start, Worker};
use crate::console::print::say;
use crate::worker::{EXIT_DONE, EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE, EXIT_USAGE};
use std::{io, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

/// How often one worker is started again.
const RESTARTS_MAX: u32 = 5;

/// Of a worker's log, where it is quoted.
const LAST_LINES: usize = 5;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By a signal from outside.
    Signal(i32),
    /// By itself, with an exit code (docs/errors.md).
    Code(i32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    StartAgain,
    GiveUp,
}

impl End {
    fn of(status: ExitStatus) -> Self {
        match status.signal() {
            Some(signal) => Self::Signal(signal),
            None => Self::Code(status.code().unwrap_or(EXIT_FAILED)),
        }
    }

    /// What follows for a worker that was started again so many times.
    fn next(self, restarts: u32) -> Next {
        match self {
            Self::Code(EXIT_USAGE | EXIT_REFUSED) => Next::GiveUp,
            Self::Signal(_) | Self::Code(_) if restarts < RESTARTS_MAX => Next::StartAgain,
            Self::Signal(_) | Self::Code(_) => Next::GiveUp,
        }
    }

    fn words(self) -> String {
        match self {
            Self::Signal(signal) => format!("was killed by signal {signal}"),
            Self::Code(code) => format!("ended with exit code {code} ({})", meaning_of(code)),
        }
    }
}

/// Of an exit code of a worker.
fn meaning_of(code: i32) -> &'static str {
    match code {
        EXIT_DONE => "it was told to stop",
        EXIT_USAGE => "wrong usage",
        EXIT_FAILED => "failed while running",
        EXIT_REFUSED => "refused",
        EXIT_UNREACHABLE => "a server stayed unreachable",
        _ => "unexpected",
    }
}

/// The workers, in the order of their numbers from 1.
pub struct Crew {
    pub workers: Vec<Worker>,
    members: Vec<Member>,
    /// Exit code of the one that is not started again.
    lost: Option<i32>,
}

struct Member {
    start: Start,
    restarts: u32,
}

impl Crew {
    /// Starts one worker for each way to start one.
    pub fn start(starts: Vec<Start>) -> io::Result<Self> {
        let workers = starts.iter().map(Start::spawn).collect::<io::Result<_>>()?;
        let member = |start| Member { start, restarts: 0 };
        Ok(Self { workers, members: starts.into_iter().map(member).collect(), lost: None })
    }

    /// Starts again whoever has ended, and says so. Cheap enough to be asked all the time. Answers
    /// how often workers were started again so far. Errors: one ended for good, with its last words.
    pub fn tend(&mut self) -> Result<u32, String> {
        let members = self.members.iter_mut().zip(&mut self.workers);
        for (number, (member, worker)) in (1..).zip(members) {
            let Some(status) = worker.ended() else { continue };
            let end = End::of(status);
            let what = format!("worker {number} {}", end.words());
            if end.next(member.restarts) == Next::GiveUp {
                self.lost = Some(status.code().unwrap_or(EXIT_FAILED));
                let last = worker.last_lines(LAST_LINES);
                let restarts = member.restarts;
                return Err(format!("{what}: not started again (restarts: {restarts})\n{last}"));
            }
            if let Some(page) = worker.page() {
                // Whoever looks at the page finds it again.
                member.start = member.start.clone().with("api.listen", page);
            }
            let started = member.start.spawn();
            *worker = started.map_err(|error| format!("{what}, and again: {error}"))?;
            member.restarts += 1;
            say(&format!("{what}: started again ({} of {RESTARTS_MAX})", member.restarts));
        }
        Ok(self.restarts())
    }

    /// How often workers were started again.
    pub fn restarts(&self) -> u32 {
        self.members.iter().map(|member| member.restarts).sum()
    }

    /// Partitions that have an owner among them, who has loaded them.
    pub fn taken(&mut self) -> usize {
        self.workers.iter_mut().map(Worker::taken).sum()
    }

    /// What a run without a result ends with: the code of the worker that ended for good.
    pub fn exit_code(&self) -> i32 {
        self.lost.filter(|code| *code != EXIT_DONE).unwrap_or(EXIT_FAILED)
    }

    /// The ends of all logs; nothing where the cause was told by the one that ended for good.
    pub fn last_words(&self) -> String {
        let of_all = self.workers.iter().filter(|_| self.lost.is_none());
        of_all.map(|worker| worker.last_lines(LAST_LINES)).collect::<Vec<_>>().join("\n")
    }

    /// Tells all to stop. Errors: who failed while stopping or had to be killed for not stopping;
    /// a signal from outside is nobody's fault.
    pub fn stop(&mut self, within: Duration) -> Result<(), String> {
        // An ended worker's id may be a stranger's by now.
        for worker in &mut self.workers {
            if worker.is_running() {
                worker.signal("TERM");
            }
        }
        let mut bad = Vec::new();
        for (number, worker) in (1..).zip(&mut self.workers) {
            let end = worker.ends(within).map(End::of);
            if let Some(End::Signal(_) | End::Code(EXIT_DONE)) = end {
                continue;
            }
            let how = end.map_or_else(|| "did not stop in time".to_owned(), End::words);
            bad.push(format!(
                "worker {number} {how} when told to stop:\n{}",
                worker.last_lines(LAST_LINES)
            ));
        }
        if bad.is_empty() { Ok(()) } else { Err(bad.join("\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: who dies is started again, who refuses or dies all the time is not. Method: how a
    /// worker ended, how often it was started again, and what follows.
    #[test]
    fn after_an_end() {
        use {End::*, Next::*};
        let table = [
            (Signal(9), 0, StartAgain),
            (Signal(9), RESTARTS_MAX - 1, StartAgain),
            (Signal(9), RESTARTS_MAX, GiveUp),
            (Signal(15), 0, StartAgain),
            (Code(EXIT_DONE), 0, StartAgain),
            (Code(EXIT_FAILED), 0, StartAgain),
            (Code(EXIT_FAILED), RESTARTS_MAX, GiveUp),
            (Code(EXIT_UNREACHABLE), 0, StartAgain),
            (Code(101), 0, StartAgain),
            (Code(EXIT_REFUSED), 0, GiveUp),
            (Code(EXIT_USAGE), 0, GiveUp),
        ];
        for (end, restarts, next) in table {
            assert_eq!(end.next(restarts), next, "{end:?} after {restarts} restarts");
        }
    }

    /// Goal: ends of real processes are noticed, counted and at last told with the cause. Method:
    /// programs that end at once in place of workers, tended until one is given up.
    #[test]
    fn programs_that_end_at_once() {
        for (program, words) in [
            ("/bin/false", "ended with exit code 1 (unexpected)"),
            ("/bin/true", "ended with exit code 0 (it was told to stop)"),
        ] {
            let (settings, environment) = (Vec::new(), Vec::new());
            let start =
                Start { program: program.into(), settings, log: "/dev/null".into(), environment };
            let mut crew = Crew::start(vec![start]).unwrap();
            let told = loop {
                match crew.tend() {
                    Ok(_) => std::thread::yield_now(),
                    Err(told) => break told,
                }
            };
            assert_eq!(told, format!("worker 1 {words}: not started again (restarts: 5)\n"));
            assert_eq!(crew.restarts(), RESTARTS_MAX, "{program}");
            assert_ne!(crew.exit_code(), EXIT_DONE, "{program}");
        }
    }
}
