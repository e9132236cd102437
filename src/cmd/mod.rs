//! The command line: one binary, many commands; nodes differ by command and configuration only.

mod admin;
mod demo;
mod demo_mail;
mod export;
mod import;
mod journal;
mod reach;
mod seed;
pub mod synth;

use crate::app::{self, StartError};
use crate::config::{self, Config, ConfigError};
use crate::platform::telemetry;
use crate::store::backup;
use chrono::NaiveDate;
use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Child Death Review: notify once, reach every partner, carry the case to the panel.
#[derive(Debug, Parser)]
#[command(name = "cdr", version, about, long_about = None)]
pub struct Cli {
    /// Settings on top of the defaults (see docs/configuration.md)
    #[arg(long, global = true, env = "CDR_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything with a synthetic county and catchers for mail and webhooks
    Demo {
        /// The address that it is served at
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// Folder for the database, the keys and demo.json
        #[arg(long, default_value = "./demo-data")]
        data: PathBuf,
        /// Another database than `SQLite` in the folder
        #[arg(long, value_name = "URL")]
        database: Option<String>,
        /// Synthetic cases to make when the database is empty
        #[arg(long, default_value_t = 40)]
        cases: u32,
        /// How many times faster ladders climb than they would
        #[arg(long, default_value_t = 6)]
        speed: u32,
    },
    /// Serve people and partners; refuses to start on an unsafe configuration
    Serve,
    /// Say whether the configuration is safe, and what to change if not
    CheckConfig,
    /// Bring the database's schema up to date
    Migrate,
    /// Write data for others
    Export {
        #[command(subcommand)]
        what: ExportWhat,
    },
    /// Read data from others
    Import {
        #[command(subcommand)]
        what: ImportWhat,
    },
    /// Accounts of people
    User {
        #[command(subcommand)]
        what: UserWhat,
    },
    /// Tokens of machines
    Token {
        #[command(subcommand)]
        what: TokenWhat,
    },
    /// The record that cannot be changed
    Journal {
        #[command(subcommand)]
        what: JournalWhat,
    },
    /// Keys that seal personal data
    Keys {
        #[command(subcommand)]
        what: KeysWhat,
    },
    /// How long cases are kept
    Retention {
        #[command(subcommand)]
        what: RetentionWhat,
    },
    /// Write a consistent copy of the database while it is in use
    Backup {
        /// The file to write; a file that is there already is not written over
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Put a backup where the (empty) configured database is; it stays mute until `cdr resume`
    Restore { file: PathBuf },
    /// Stop sending from the next start on: what is accepted waits
    Hold,
    /// Let a restored or held copy send messages again
    Resume,
    /// Watch that every open alert has a live next step, from outside the serving nodes
    Monitor {
        /// A serving node whose readiness is asked too, like <https://cdr.example>
        #[arg(long, value_name = "URL")]
        node: Option<String>,
        /// Look once and end: 0 if all is well, 1 if not
        #[arg(long)]
        once: bool,
    },
    /// Tell every partner as if a Joint Agency Response had been triggered, and say who was reached
    Drill {
        /// The area, if there are several
        #[arg(long)]
        area: Option<String>,
        /// How long to wait for answers
        #[arg(long, default_value_t = 30)]
        minutes: i64,
    },
    /// Print the emergency card: whom to ring, in which order, when the service is down
    Card {
        /// The area, if there are several
        #[arg(long)]
        area: Option<String>,
        /// The PDF to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show how many messages wait and how many were given up
    Outbox,
    /// Make realistic synthetic cases, the same for the same seed
    Seed {
        /// How many
        #[arg(long, default_value_t = 40)]
        cases: u32,
        /// Which ones: the same number makes the same cases
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

#[derive(Debug, Subcommand)]
enum ExportWhat {
    /// The statutory notification form for the National Child Mortality Database
    Ncmd {
        /// First day of death
        #[arg(long, value_name = "DATE")]
        from: NaiveDate,
        /// Last day of death
        #[arg(long, value_name = "DATE")]
        to: NaiveDate,
        /// The format
        #[arg(long, value_name = "csv|json")]
        format: String,
        /// Folder to write into; made if it is not there
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Only this area's deaths
        #[arg(long)]
        area: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum ImportWhat {
    /// An area's directory from a spreadsheet (CSV); shows what would change
    Directory {
        file: PathBuf,
        /// The first configured area if not given
        #[arg(long)]
        area: Option<String>,
        /// Change the directory so
        #[arg(long)]
        apply: bool,
    },
}

#[derive(Debug, Subcommand)]
enum UserWhat {
    /// Invite somebody: they get a link by e-mail to set up how they sign in
    Invite {
        /// Their address: the link goes there, and they sign in with it
        #[arg(long)]
        email: String,
        /// Their name, as others see it
        #[arg(long)]
        name: String,
        /// administrator, coordinator, `designated_doctor`, `on_call`, agency, auditor, notifier,
        /// `panel_member`, chair or guardian
        #[arg(long)]
        role: String,
        /// Area they work in; * for all
        #[arg(long)]
        area: Option<String>,
        /// For role agency: which one
        #[arg(long)]
        agency: Option<String>,
        /// Print the link in place of mailing it: for the first administrator, and without mail
        #[arg(long)]
        print: bool,
    },
    /// Add an account; the password is read from `CDR_PASSWORD` or standard input
    Add {
        /// The address that they sign in with
        #[arg(long)]
        email: String,
        /// Their name, as others see it
        #[arg(long)]
        name: String,
        /// administrator, coordinator, `designated_doctor`, `on_call`, agency, auditor, notifier,
        /// `panel_member`, chair or guardian
        #[arg(long)]
        role: String,
        /// Area they work in; * for all
        #[arg(long)]
        area: Option<String>,
        /// For role agency: which one
        #[arg(long)]
        agency: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum TokenWhat {
    /// Make a token and print it once
    Add {
        /// What it is called, to revoke it by
        #[arg(long)]
        name: String,
        /// notify, read, write, acknowledge, export, metrics (comma-separated)
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<String>,
        /// Only this area's cases, in place of all
        #[arg(long)]
        area: Option<String>,
        /// For the system of this agency, which sees its own alerts only
        #[arg(long)]
        agency: Option<String>,
    },
    /// Revoke every token of this name
    Revoke {
        /// What it is called
        #[arg(long)]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum JournalWhat {
    /// Prove that nothing was changed, removed, added or cut off
    Verify {
        /// Seals kept outside the database
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
    },
    /// Make every read table anew from the journal (stop serving first)
    Rebuild,
}

#[derive(Debug, Subcommand)]
enum RetentionWhat {
    /// Cases whose time is over, by which rule; two people destroy them on the retention page
    List {
        /// Those too whose time is not over
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Subcommand)]
enum KeysWhat {
    /// Print a new master key
    New,
    /// Wrap every data key with the first configured master key
    Rewrap,
}

/// What a command ends with when it does not work: words for people.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command line; the exit code.
///
/// # Errors
/// Whatever went wrong, in words.
pub async fn run(cli: Cli) -> Result<u8, Failure> {
    match cli.command {
        Command::Demo { .. } if cli.config.is_some() => Err(
            "the demo makes its own settings; it takes no --config (or CDR_CONFIG). To serve with a file: cdr serve --config FILE"
                .into(),
        ),
        Command::Demo { listen, data, database, cases, speed } => {
            demo::run(listen, data, database, cases, speed).await
        }
        Command::Keys { what: KeysWhat::New } => admin::new_key(),
        command => configured(command, config::load(cli.config.as_deref())?).await,
    }
}

async fn configured(command: Command, config: Config) -> Result<u8, Failure> {
    telemetry::start(config.log.shape, &config.log.level);
    match command {
        Command::Serve => serve(config).await,
        Command::CheckConfig => {
            config.check()?;
            println!("The configuration is safe to serve.");
            Ok(0)
        }
        Command::Migrate => {
            app::target(&config)?.migrate().await?;
            println!("The schema is up to date.");
            Ok(0)
        }
        Command::Export { what: ExportWhat::Ncmd { from, to, format, out, area } } => {
            export::ncmd(&config, from, to, &format, &out, area).await
        }
        Command::Import { what: ImportWhat::Directory { file, area, apply } } => {
            import::directory(&config, &file, area, apply).await
        }
        Command::User { what } => admin::user(&config, what).await,
        Command::Token { what } => admin::token(&config, what).await,
        Command::Journal { what } => journal::run(&config, what).await,
        Command::Keys { .. } => admin::rewrap(&config).await,
        Command::Retention { what: RetentionWhat::List { all } } => {
            admin::retention(&config, all).await
        }
        Command::Backup { out } => admin::backup(&config, &out).await,
        Command::Restore { file } => admin::restore(&config, &file).await,
        Command::Hold => admin::sending(&config, backup::HELD).await,
        Command::Resume => admin::sending(&config, "on").await,
        Command::Monitor { node, once } => reach::monitor(&config, node.as_deref(), once).await,
        Command::Drill { area, minutes } => reach::drill(&config, area, minutes).await,
        Command::Card { area, out } => reach::card(&config, area, &out).await,
        Command::Outbox => admin::outbox(&config).await,
        Command::Seed { cases, seed } => seed::command(&config, cases, seed).await,
        Command::Demo { .. } => Ok(0), // handled in `run`
    }
}

async fn serve(config: Config) -> Result<u8, Failure> {
    let directory = Arc::new(config.check()?);
    let listener = tokio::net::TcpListener::bind(config.server.listen).await.map_err(|why| {
        StartError::Io { what: format!("cannot listen on {}", config.server.listen), why }
    })?;
    let at = listener.local_addr()?;
    let clock = app::clock(&config).await?;
    let running = app::start(&config, directory, listener, clock, None).await?;
    tracing::info!(listen = %at, version = env!("CARGO_PKG_VERSION"), "serving");
    running.until_told().await?;
    Ok(0)
}

/// The directory if it is configured; commands that do not need one run without.
fn directory_of(config: &Config) -> Result<Arc<config::area::Directory>, ConfigError> {
    if config.areas.files.is_empty() {
        return Ok(Arc::default());
    }
    let read = config::area::Directory::read(&config.areas.files);
    read.map(Arc::new).map_err(|e| ConfigError::Unsafe(vec![e.to_string()]))
}
