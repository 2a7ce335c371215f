//! `tapline clearing import`: the plan, then the second pass, published and entered in the register.
//!
//! Owns the order: the whole file is checked, its name is entered, its lines are published, and the
//! register follows the acks once a second. An import that ends early goes on after the last line
//! that the register knows; what was sent beyond it is sent again under the same message ids, which
//! has no effect (R2).

use super::{
    ImportArgs, books,
    plan::{self, FilePlan, State},
    publish::{CHUNK, Outgoing},
    source::{self, Found, Opened},
};
use crate::adapters::cassandra::{
    clearing_files::{self, ClearingFile, PUBLISHED},
    failure::StoreError,
    session::Session,
};
use crate::clearing::{problem::Problem, settlement_files::Report};
use crate::codec::{
    schemas::Subject,
    topics::{COMMANDS, PARTS},
};
use crate::config::Config;
use crate::console::progress::Progress;
use crate::domain::{
    command::AccountCommand,
    settlement::{SettlementRecord, window_key},
};
use crate::operator::{
    acting::note,
    amounts::count,
    cli::Common,
    connect::{block_on, cassandra},
    logs,
    print::say,
};
use crate::runtime::{failure::Class, telemetry};
use crate::worker::{EXIT_FAILED, EXIT_REFUSED, EXIT_UNREACHABLE};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often the register follows.
const REGISTER_EVERY_MS: u64 = 1_000;
/// Longest silence of the broker while acks are missing.
const SILENCE_MAX_MS: u64 = 60_000;

pub fn run(common: &Common, config: &Config, args: &ImportArgs) -> Result<(), i32> {
    let found = source::find(&args.file);
    let found = found.map_err(|refused| plan::refuse(common, &refused, EXIT_REFUSED))?;
    let mut files = plan::files(&found);
    block_on(async {
        let session = cassandra(config).await?;
        for file in &mut files {
            let name = (file.network.as_str(), file.kind.word(), file.file_id.as_str());
            let known = clearing_files::find(&session, &config.cassandra.keyspace, name).await;
            file.meet(known.map_err(store_failed)?.as_ref());
        }
        plan::show(common, &files);
        refuse_other_content(&files)?;
        if !files.iter().any(FilePlan::has_work) {
            say("already published: the same file again has no effect");
            return Ok(());
        }
        let topic = config.kafka.topic(topic_of(&found).0);
        if !args.acting.may_act(config, &topic)? {
            return Ok(());
        }
        let import = Import { common, config, session, stop: stop_on_signal() };
        import.all(&found, &files).await
    })?
}

fn topic_of(found: &Found) -> crate::stages::Topic {
    match found {
        Found::Clearing(..) | Found::Published(_) => COMMANDS,
        Found::Report(_) | Found::Statement(_) => PARTS,
    }
}

fn refuse_other_content(files: &[FilePlan]) -> Result<(), i32> {
    let mut others = files.iter().filter(|file| file.state == State::OtherContent).peekable();
    if others.peek().is_none() {
        return Ok(());
    }
    for file in others {
        say(&format!(
            "refused: {} {} of {} was imported with other content; a file's name stands for one \
             content, corrections come in a file of their own",
            file.kind.word(),
            file.file_id,
            file.network
        ));
    }
    Err(EXIT_REFUSED)
}

fn store_failed(error: StoreError) -> i32 {
    say(&format!("{error}\nAre the tables there? `tapline tables apply` tells."));
    match error.class() {
        Class::Retryable => EXIT_UNREACHABLE,
        Class::Fatal => EXIT_FAILED,
    }
}

/// Ctrl-C asks to stop after the chunk; a second one ends the process.
fn stop_on_signal() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    tokio::spawn(async move {
        while tokio::signal::ctrl_c().await.is_ok() {
            if asked.swap(true, Ordering::AcqRel) {
                std::process::exit(EXIT_FAILED);
            }
            say("stopping; what was sent is waited for");
        }
    });
    stop
}

struct Import<'a> {
    common: &'a Common,
    config: &'a Config,
    session: Session,
    stop: Arc<AtomicBool>,
}

impl Import<'_> {
    async fn all(&self, found: &Found, files: &[FilePlan]) -> Result<(), i32> {
        let begun_ns = telemetry::steady_ns();
        let topic = topic_of(found);
        let subject = if topic == PARTS { Subject::Parts } else { Subject::Commands };
        let outgoing = Outgoing::open(self.config, topic, subject);
        let mut outgoing = outgoing.map_err(|error| logs::unreachable(self.config, error))?;
        let (outgoing, mut lines) = (&mut outgoing, 0);
        match found {
            Found::Clearing(opened, _) => {
                lines += self.clearing(opened, &files[0], outgoing).await?;
            }
            Found::Report(report) => {
                let records = self.report(report)?;
                lines += self.settlement(&files[0], &records, outgoing).await?;
            }
            Found::Statement(statement) => {
                lines += self.settlement(&files[0], &statement.records, outgoing).await?;
            }
            Found::Published(batches) => {
                for (batch, file) in batches.iter().zip(files).filter(|(_, file)| file.has_work()) {
                    let mut commands = batch.commands.iter().cloned().map(Ok);
                    lines += self.publish(file, &mut commands, outgoing).await?;
                }
            }
        }
        let seconds = telemetry::seconds_since(begun_ns);
        let what = format!("{} lines in {seconds:.1} s", count(lines.cast_signed()));
        say(&format!("published: {what} ({:.0}/s)", lines as f64 / seconds.max(0.001)));
        Ok(())
    }

    async fn clearing(
        &self,
        opened: &Opened,
        file: &FilePlan,
        outgoing: &mut Outgoing,
    ) -> Result<u64, i32> {
        let mut lines = opened.lines().map_err(|error| {
            say(&error.to_string());
            EXIT_REFUSED
        })?;
        let changed = |problem: Option<Problem>| {
            let why = problem.map_or_else(String::new, |problem| format!(": {problem}"));
            say(&format!(
                "file_changed: {} is not what was checked a moment ago{why}\nWhat is published of \
                 it stays; put the checked file back and run the command again.",
                opened.path().display()
            ));
            EXIT_REFUSED
        };
        if lines.header().file_id.as_ref() != file.file_id {
            return Err(changed(None));
        }
        let mut commands = std::iter::from_fn(|| match lines.advance() {
            Ok(Some(presented)) => Some(Ok(presented.command)),
            Ok(None) => None,
            Err(problem) => Some(Err(changed(Some(problem)))),
        });
        let sent = self.publish(file, &mut commands, outgoing).await?;
        let content = lines.reading().content().map(|content| content.to_string());
        match content == Some(file.content_hash.clone()) {
            true => Ok(sent),
            false => Err(changed(None)),
        }
    }

    /// Enters the file and publishes its commands from where an earlier import stopped.
    async fn publish(
        &self,
        file: &FilePlan,
        commands: &mut dyn Iterator<Item = Result<AccountCommand, i32>>,
        outgoing: &mut Outgoing,
    ) -> Result<u64, i32> {
        let mut row = self.enter(file).await?;
        let resumed = row.published_through.cast_unsigned();
        outgoing.begin(resumed);
        let left = file.lines - resumed.min(file.lines);
        let mut progress = Progress::start("import", left, self.common.no_progress);
        let mut chunk: Vec<AccountCommand> = Vec::with_capacity(CHUNK);
        let (mut line, mut registered_ms) = (0, telemetry::steady_ms());
        loop {
            let next = commands.next().transpose();
            if let Ok(Some(command)) = &next {
                line += 1;
                if line > resumed {
                    chunk.push(command.clone());
                }
            }
            let is_last = !matches!(next, Ok(Some(_)));
            if chunk.len() == CHUNK || is_last {
                let records = chunk.iter().map(|it| (it.account_id.as_str(), it));
                outgoing
                    .send(records, line)
                    .map_err(|error| logs::unreachable(self.config, error))?;
                chunk.clear();
                progress.at(outgoing.through().saturating_sub(resumed), &file.file_id);
                self.wait(outgoing, Outgoing::is_full)?;
                if telemetry::steady_ms() >= registered_ms + REGISTER_EVERY_MS {
                    self.register(&mut row, outgoing.through()).await?;
                    registered_ms = telemetry::steady_ms();
                }
            }
            let is_stopped = chunk.is_empty() && self.stop.load(Ordering::Acquire);
            if is_last || is_stopped {
                self.wait(outgoing, |outgoing| !outgoing.is_settled())?;
                progress.finish();
                next?;
                if is_stopped && line < file.lines {
                    self.register(&mut row, outgoing.through()).await?;
                    say(&format!(
                        "stopped after {} of {} lines of {}; the same command goes on there",
                        count(row.published_through),
                        count(row.lines),
                        file.file_id
                    ));
                    return Err(EXIT_FAILED);
                }
                break;
            }
        }
        self.finish(&mut row).await?;
        Ok(line - resumed.min(line))
    }

    /// What differs, line by line, from our books, and then the report itself.
    ///
    /// Errors: exit code 4 while the cycle is open in our books: whatever has not been read yet
    /// would look as if it were missing.
    fn report(&self, report: &Report) -> Result<Vec<SettlementRecord>, i32> {
        let mut records = Vec::new();
        if !report.lines.is_empty() {
            if !books::is_closed(self.config, &report.header, report.cycle)? {
                say(
                    "cycle_open: the window of that cycle is not closed in our books, so its items \
                     cannot be compared yet; import the report later",
                );
                return Err(EXIT_REFUSED);
            }
            let booked = books::of_cycle(self.config, &report.header, report.cycle)?;
            records = report.differences(&booked);
            let differ = records.len();
            say(&format!("{} items in our books, {differ} lines differ", booked.len()));
        }
        records.push(report.record());
        Ok(records)
    }

    /// Few records: a file that was interrupted is sent again whole, under the same ids.
    async fn settlement(
        &self,
        file: &FilePlan,
        records: &[SettlementRecord],
        outgoing: &mut Outgoing,
    ) -> Result<u64, i32> {
        let mut row = self.enter(file).await?;
        let keys: Vec<Box<str>> =
            records.iter().map(|record| window_key(&record.network, record.currency)).collect();
        for (records, keys) in records.chunks(CHUNK).zip(keys.chunks(CHUNK)) {
            let keyed = keys.iter().map(|key| &**key).zip(records);
            let sent = outgoing.send(keyed, 0);
            sent.map_err(|error| logs::unreachable(self.config, error))?;
        }
        self.wait(outgoing, |outgoing| !outgoing.is_settled())?;
        self.finish(&mut row).await?;
        Ok(records.len() as u64)
    }

    /// The register's row; refuses a name that somebody took with other content meanwhile.
    async fn enter(&self, file: &FilePlan) -> Result<ClearingFile, i32> {
        let keyspace = &self.config.cassandra.keyspace;
        let row = clearing_files::enter(&self.session, keyspace, &file.row()).await;
        let row = row.map_err(store_failed)?;
        let mut met = file.clone();
        met.meet(Some(&row));
        refuse_other_content(&[met])?;
        Ok(row)
    }

    async fn register(&self, row: &mut ClearingFile, through: u64) -> Result<(), i32> {
        let through = through.cast_signed();
        if through > row.published_through {
            row.published_through = through;
            let keyspace = &self.config.cassandra.keyspace;
            let advanced = clearing_files::advance(&self.session, keyspace, row).await;
            advanced.map_err(store_failed)?;
        }
        Ok(())
    }

    async fn finish(&self, row: &mut ClearingFile) -> Result<(), i32> {
        (row.published_through, row.state) = (row.lines, PUBLISHED.to_owned());
        let keyspace = &self.config.cassandra.keyspace;
        let advanced = clearing_files::advance(&self.session, keyspace, row).await;
        advanced.map_err(store_failed)?;
        note("clearing import", &format!("{} {} of {}", row.kind, row.file_id, row.network));
        Ok(())
    }

    /// Waits while `holds`; gives up when the broker acknowledges nothing for a minute.
    fn wait(
        &self,
        outgoing: &mut Outgoing,
        holds: impl Fn(&mut Outgoing) -> bool,
    ) -> Result<(), i32> {
        let (mut last, mut moved_ms) = (outgoing.missing(), telemetry::steady_ms());
        while holds(outgoing) {
            let missing = outgoing.missing();
            if missing != last {
                (last, moved_ms) = (missing, telemetry::steady_ms());
            }
            if telemetry::steady_ms() > moved_ms + SILENCE_MAX_MS {
                outgoing.abandon();
                return Err(logs::unreachable(self.config, "no ack for a minute"));
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }
}
