//! Deliberate bugs, to prove that the simulation sees them. Compiled for unit tests only.
//!
//! Owns one value per bug, which of them is switched on in this thread, and the search for seeds
//! that show them. Some bugs sit in the runtime (a line at the place where the right thing is done),
//! the others in what stands for the shell and the servers (tests/simulation). Absent from every
//! binary: `cfg(test)`.

use std::{cell::Cell, collections::BTreeMap, panic};

macro_rules! bugs {
    ($($bug:ident),* $(,)?; of the push: $($push:ident),* $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug { $($bug,)* $($push,)* }

        impl Bug {
            /// Of the runtime of stages.
            pub const ALL: &'static [Bug] = &[$(Bug::$bug),*];
            /// Of the executor of pushes (tests/pushes).
            pub const PUSH: &'static [Bug] = &[$(Bug::$push),*];
        }
    };
}

bugs! {
    // Order of effects.
    StateBeforeAcks,
    RowsTakenAtSendTime,
    HeadsStampedAtSendTime,
    CommitWhenSent,
    TimedOutBatchTakenAsDone,
    LaterSendsAfterAFailedOne,
    NewestAckCounts,
    // Storage.
    WallClockTimestamps,
    AckedBatchesLost,
    NoReadRepair,
    ReadsAtOne,
    DirtyHeadEvicted,
    // Skip and identity.
    PositionPerBucket,
    NoRowPosition,
    TickIndexOverKeys,
    TickOutputsInAnyOrder,
    SeenNotKept,
    SeenNotRestored,
    SeenWithoutIndex,
    SeenOneForAllSources,
    SeenMaximumOverRows,
    SeenOneTooHigh,
    // Determinism.
    RandomStep,
    ClockReadInStep,
    RulesByDeploy,
    // Ticks.
    CommitAnywhere,
    CommitAtStaleTick,
    CommitBehindTick,
    CommitBeyondDurable,
    OlderVersionMovesClock,
    StepSeesFormerClock,
    // Passed-on ticks.
    PassedOnByWorkersClock,
    PassedOnUnderNewId,
    PassedOnNotWaitedFor,
    PassedOnLast,
    // Side rows.
    HeadBeforeSideRow,
    HeadBeforeReadRow,
    SideReadUnbounded,
    AnswerPreferredToOwn,
    OwnDroppedAtAck,
    ReadBeforeHeadLoaded,
    SideRowNotLoaded,
    RecalledWhileAwaited,
    // Keys and dead letters.
    NamedKeyLeftUnmarked,
    OtherKeyLeftUnmarked,
    SkipDecidedByFirstKey,
    IndexOverKeys,
    DeadLetterFailureIgnored,
    RecordDivertedNotKey,
    ResetToLatest,
    FetchedGapAfterSeek,
    // Money: the stage itself is wrong, and the same in every run.
    HoldReleasedTwice,
    OtherContentAccepted,
    RepeatHasEffect,
    OverAvailable,
    ExpiryTooEarly,
    CreditRefused;
    of the push:
    PushCommitBeforeOutcomes,
    PushOutcomeBeforeSend,
    PushOwnOffsetAsId,
    PushBodyByTimeOfSending,
    PushKeyWithAttempt,
    PushOutcomesReadByWatermark,
    PushReplayedSent,
}

thread_local! {
    static INDEX: Cell<(i64, i32)> = const { Cell::new((-1, 0)) };
    static ACTIVE: Cell<Option<Bug>> = const { Cell::new(None) };
    static WORKER: Cell<i64> = const { Cell::new(0) };
}

/// Switches one bug on in this thread, or all off.
pub fn switch(bug: Option<Bug>) {
    ACTIVE.set(bug);
}

/// Switches each bug on alone and asks for the first seed that shows it, with the name of what it
/// breaks; prints who was caught by what, and panics for those that nobody saw. `catch` may switch
/// as it likes. Silent about the panics in between: bugs make them.
pub fn expect_caught(bugs: &[Bug], catch: impl Fn(Bug) -> Option<(u64, &'static str)>) {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let mut table = BTreeMap::new();
    for bug in bugs {
        switch(Some(*bug));
        table.insert(format!("{bug:?}"), catch(*bug));
    }
    switch(None);
    panic::set_hook(hook);
    println!("{:<28} {:>6}  invariant", "bug", "seeds");
    for (bug, caught) in &table {
        match caught {
            Some((seed, name)) => println!("{bug:<28} {:>6}  {name}", seed + 1),
            None => println!("{bug:<28}      -  NOT CAUGHT"),
        }
    }
    let blind: Vec<_> = table.iter().filter(|(_, caught)| caught.is_none()).collect();
    assert!(blind.is_empty(), "not caught: {blind:?}");
}

pub fn on(bug: Bug) -> bool {
    ACTIVE.get() == Some(bug)
}

/// Names the worker that runs now: for bugs that make workers differ.
pub fn run_as(worker: i64) {
    WORKER.set(worker);
}

pub fn worker() -> i64 {
    WORKER.get()
}

/// A running number over all outputs of one record.
pub fn next_index(offset: i64) -> i32 {
    let (at, index) = INDEX.get();
    let index = if at == offset { index + 1 } else { 0 };
    INDEX.set((offset, index));
    index
}
