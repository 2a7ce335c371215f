//! `tapline clearing`: files of the networks and the bank.
//!
//! Owns the commands and their flags. A file is checked whole before anything of it is published;
//! `import` without `--execute` is the plan. What a file says is `crate::clearing`'s; here are
//! paths, the register of imported files, and the sending.

mod books;
mod import;
mod plan;
mod publish;
mod source;

use crate::adapters::cassandra::clearing_files::{self, ClearingFile};
use crate::clearing::{
    header::Header, reading, row::FileKind, synthetic::Synthetic, writing::template,
};
use crate::config::Config;
use crate::domain::{cycle::Day, money::Currency};
use crate::operator::{
    acting::Acting,
    amounts::{count, money},
    cli::Common,
    connect::{block_on, cassandra},
    logs::EXIT_USAGE,
    print::{self, say},
};
use crate::worker::{EXIT_DONE, EXIT_FAILED};
use clap::{Args, Subcommand, ValueEnum};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// tapline's own, as CSV
    Csv,
    /// tapline's own, as JSON lines
    Jsonl,
    /// A city's card payments: a month's pcard-*.csv or a folder of them, a batch for each posting day
    City,
    /// A council's card statements: a purchase-card-*.csv or a folder of them, a batch for each file
    Council,
}

/// The two forms of tapline's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OwnForm {
    #[default]
    Csv,
    Jsonl,
}

impl From<OwnForm> for reading::Form {
    fn from(form: OwnForm) -> Self {
        match form {
            OwnForm::Csv => reading::Form::Csv,
            OwnForm::Jsonl => reading::Form::Jsonl,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    #[default]
    Clearing,
    Report,
    Statement,
}

#[derive(Debug, Subcommand)]
pub enum ClearingCommand {
    /// Checks a clearing file, report or statement and publishes it; acts with --execute
    #[command(after_help = "Examples:\n  tapline clearing import visa-20261121.csv\n  \
                            tapline clearing import visa-20261121.csv --execute\n  \
                            tapline clearing import data/toronto-pcard --execute\n\n\
                            The same file again has no effect; one that was interrupted goes on where it stopped.")]
    Import(ImportArgs),
    /// Checks a file and tells what is wrong with it; needs no server
    #[command(after_help = "Example:\n  tapline clearing check visa-20261121.csv\n\n\
                            Exit code 1: the file would be refused.")]
    Check(FileArgs),
    /// Files that were imported, and how far
    #[command(after_help = "Example:\n  tapline clearing list")]
    List,
    /// Prints a small valid file
    #[command(
        after_help = "Example:\n  tapline clearing template report --form jsonl > report.jsonl"
    )]
    Template {
        #[arg(value_enum, default_value_t)]
        kind: Kind,
        #[arg(long, value_enum, default_value_t)]
        form: OwnForm,
    },
    /// Writes a synthetic clearing file, the same for the same seed
    #[command(after_help = "Example:\n  tapline clearing make load.csv --lines 1000000")]
    Make(MakeArgs),
}

#[derive(Clone, Debug, Args)]
pub struct FileArgs {
    /// A file, or a folder of a city's or council's months
    pub file: PathBuf,
    /// How it is written [default: by its name and first byte]
    #[arg(long, value_enum)]
    pub form: Option<Form>,
}

#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    pub file: FileArgs,
    #[command(flatten)]
    pub acting: Acting,
}

#[derive(Clone, Debug, Args)]
pub struct MakeArgs {
    /// Where to write it
    file: PathBuf,
    #[arg(long)]
    lines: u64,
    #[arg(long, value_enum, default_value_t)]
    form: OwnForm,
    /// Accounts that the lines are spread over
    #[arg(long, default_value_t = 10_000)]
    accounts: u64,
    /// Accounts are this and a number from 0 on
    #[arg(long, value_name = "TEXT", default_value = "load-a")]
    account_prefix: String,
    /// Card tokens are this and the account's number
    #[arg(long, value_name = "TEXT", default_value = "tok_load_")]
    card_prefix: String,
    #[arg(long, default_value_t = 7)]
    seed: u64,
    #[arg(long, default_value = "visa")]
    network: String,
    #[arg(long, default_value = "CAD")]
    currency: String,
    /// [default: load-<seed>-<lines>]
    #[arg(long, value_name = "ID")]
    file_id: Option<String>,
    /// Business date
    #[arg(long, value_name = "YYYY-MM-DD", default_value = "2026-11-21")]
    date: String,
}

/// `tapline clearing import FILE --execute --yes`, for whoever has a configuration already.
pub fn import_now(common: &Common, config: &Config, file: &Path) -> Result<(), i32> {
    let file = FileArgs { file: file.to_owned(), form: None };
    let acting = Acting { execute: true, yes: true };
    import::run(common, config, &ImportArgs { file, acting })
}

pub fn run(common: &Common, command: ClearingCommand) -> i32 {
    let done = match command {
        ClearingCommand::Check(args) => plan::check(common, &args),
        ClearingCommand::Template { kind, form } => print_template(kind, form),
        ClearingCommand::Make(args) => make(&args),
        ClearingCommand::List => common.load().and_then(|config| list(common, &config)),
        ClearingCommand::Import(args) => {
            common.load().and_then(|config| import::run(common, &config, &args))
        }
    };
    done.err().unwrap_or(EXIT_DONE)
}

fn print_template(kind: Kind, form: OwnForm) -> Result<(), i32> {
    let kind = match kind {
        Kind::Clearing => FileKind::Clearing,
        Kind::Report => FileKind::Report,
        Kind::Statement => FileKind::Statement,
    };
    let text = template(kind, form.into()).map_err(|error| failed(&error))?;
    // A reader that closed the pipe early is no failure.
    let _ = std::io::stdout().lock().write_all(&text);
    Ok(())
}

fn failed(error: &dyn std::fmt::Display) -> i32 {
    say(&error.to_string());
    EXIT_FAILED
}

fn make(args: &MakeArgs) -> Result<(), i32> {
    let usage = |reason: String| {
        say(&reason);
        EXIT_USAGE
    };
    let business_date =
        Day::parse(&args.date).ok_or_else(|| usage(format!("--date {} is no day", args.date)))?;
    let currency = Currency::parse(&args.currency)
        .ok_or_else(|| usage(format!("--currency {} is no currency", args.currency)))?;
    let file_id = args.file_id.clone();
    let file_id = file_id.unwrap_or_else(|| format!("load-{}-{}", args.seed, args.lines));
    let synthetic = Synthetic {
        header: Header {
            kind: FileKind::Clearing,
            network: args.network.as_str().into(),
            file_id: file_id.into(),
            business_date,
            currency,
            cycle: None,
        },
        lines: args.lines,
        accounts: args.accounts,
        account_prefix: args.account_prefix.as_str().into(),
        card_prefix: args.card_prefix.as_str().into(),
        seed: args.seed,
    };
    let path = args.file.display();
    let file = File::create(&args.file).map_err(|error| usage(format!("{path}: {error}")))?;
    let written = synthetic.write(BufWriter::new(file), args.form.into());
    written.map_err(|error| usage(format!("{path}: {error}")))?;
    say(&format!("{} lines in {path}", count(args.lines.cast_signed())));
    Ok(())
}

fn list(common: &Common, config: &Config) -> Result<(), i32> {
    let files = block_on(async {
        let session = cassandra(config).await?;
        let all = clearing_files::all(&session, &config.cassandra.keyspace).await;
        all.map_err(|error| failed(&error))
    })??;
    let columns = [
        print::text("network", &|it: &ClearingFile| it.network.clone()),
        print::text("kind", &|it: &ClearingFile| it.kind.clone()),
        print::text("file", &|it: &ClearingFile| it.file_id.clone()),
        print::text("business date", &|it: &ClearingFile| it.business_date.clone()),
        print::number("lines", &|it: &ClearingFile| count(it.lines)),
        print::number("owed", &|it: &ClearingFile| {
            Currency::parse(&it.currency).map_or_else(String::new, |cur| money(it.owed_minor, cur))
        }),
        print::number("published", &|it: &ClearingFile| count(it.published_through)),
        print::text("state", &|it: &ClearingFile| it.state.clone()),
    ];
    print::rows(common.output, &files, &columns);
    Ok(())
}
