//! Puts the parts together and runs them: the only place where concrete types meet.

mod lock;
mod seats;
mod server;

pub use lock::{InUse, ServeLock};

use self::seats::Callers::{Many, OneProxy};
use crate::alerts::gateway::Gateway;
use crate::alerts::govuk::Govuk;
use crate::alerts::link::Links;
use crate::alerts::provider::ProviderError;
use crate::alerts::twilio::Twilio;
use crate::alerts::words::{self, CheckWith, Said, Words};
use crate::alerts::{Channels, Health, Hooks, MailError, Mailer, Orders, segments};
use crate::auth::enter::Door;
use crate::auth::outside::Provider;
use crate::auth::passkey::Passkeys;
use crate::auth::rules::Rules;
use crate::auth::session::Limits;
use crate::auth::token::Tokens;
use crate::config::area::{Book, Directory};
use crate::config::{Config, SecondFactor};
use crate::domain::alert::Channel;
use crate::platform::clock::SharedClock;
use crate::platform::crypt::{CryptError, Keyring};
use crate::platform::metrics::Metrics;
use crate::platform::news::News;
use crate::platform::outgoing::Reach;
use crate::service::{Arrivals, DocumentLimits, Hands, Service};
use crate::store::{ServiceKey, Store, StoreError, Target};
use crate::web::limits::Budgets;
use crate::web::{DemoBox, HookKeys, Web};
use crate::work::{
    Dispatcher, Handle, Limits as PaceLimits, Settings, Watch, Worked, asker, daily, escalator,
    follower, likeness, renewer, upkeep, watcher,
};
use chrono::Duration;
use secrecy::ExposeSecret;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration as StdDuration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

/// Stored notifications that wait to be compared; more are found among the cases that changed.
const ARRIVALS: usize = 256;

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Crypt(#[from] CryptError),
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("{}", .0.join("\n"))]
    Words(Vec<String>),
    #[error("webhooks: {0}")]
    Hooks(#[from] reqwest::Error),
    #[error("a page template is broken: {0}")]
    Templates(#[from] minijinja::Error),
    #[error(transparent)]
    InUse(#[from] InUse),
    #[error("{what}: {why}")]
    Io { what: String, why: std::io::Error },
    #[error("{0}")]
    Rules(String),
    #[error("TLS: {0}")]
    Tls(String),
}

/// The parts that every command may need.
pub struct Parts {
    pub store: Store,
    pub service: Service,
    pub metrics: Arc<Metrics>,
    pub clock: SharedClock,
}

/// The database a configuration names.
///
/// # Errors
/// Not a database URL.
pub fn target(config: &Config) -> Result<Target, StoreError> {
    Ok(Target::parse(config.database.url.expose_secret())?)
}

/// The clock that everything on the configured database goes by.
///
/// # Errors
/// Not a database URL, or the database cannot be reached.
pub async fn clock(config: &Config) -> Result<SharedClock, StoreError> {
    Ok(crate::store::clock_of(&target(config)?).await?)
}

/// Opens the database and builds a service without workers, for commands.
///
/// # Errors
/// The database or the master key cannot be used.
pub async fn parts(config: &Config, directory: Arc<Directory>) -> Result<Parts, StartError> {
    build(config, directory, clock(config).await?, None, None).await
}

async fn build(
    config: &Config,
    directory: Arc<Directory>,
    clock: SharedClock,
    hands: Hands,
    arrivals: Arrivals,
) -> Result<Parts, StartError> {
    let metrics = Arc::new(Metrics::default());
    let keyring = Keyring::parse(&config.crypt.master_key)?;
    let store = Store::open(
        target(config)?,
        keyring,
        config.database.read_connections,
        config.database.write_connections,
        metrics.clone(),
    )
    .await?;
    let mut today = Directory::clone(&directory);
    today.set_silent(silent(config));
    let book = Book::new(today);
    let service = Service {
        store: store.clone(),
        book,
        clock: clock.clone(),
        metrics: metrics.clone(),
        hands,
        news: News::default(),
        documents: DocumentLimits {
            file: u64::from(config.documents.file_mib) * 1024 * 1024,
            case: u64::from(config.documents.case_mib) * 1024 * 1024,
        },
        what_next_days: config.privacy.what_next_days,
        retention: Arc::new(config.privacy.rules().map_err(StartError::Rules)?),
        duplicates: config.duplicates.on_arrival,
        arrivals,
    };
    service.refresh_directory().await?;
    Ok(Parts { store, service, metrics, clock })
}

/// A service that is up.
pub struct Running {
    pub service: Service,
    /// The server is told first, then the dispatcher, then upkeep: what a last request commits is
    /// still sent and sealed.
    stop_server: watch::Sender<bool>,
    stop_dispatch: watch::Sender<bool>,
    stop_upkeep: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
    workers: Vec<tokio::task::JoinHandle<()>>,
    handle: Arc<Handle>,
    _lock: Option<ServeLock>,
}

/// Starts serving on `listener`, with workers. With `demo`, the catchers' pages are served too.
///
/// # Errors
/// Anything that keeps it from working: better not to start than to accept what cannot be sent.
pub async fn start(
    config: &Config,
    directory: Arc<Directory>,
    listener: TcpListener,
    clock: SharedClock,
    demo: Option<Arc<DemoBox>>,
) -> Result<Running, StartError> {
    let target = target(config)?;
    let lock = target.sqlite_path().map(ServeLock::take).transpose()?;
    let lease = Duration::seconds(config.dispatch.lease_seconds);
    let (handle, inbox) = Handle::new(lease);
    let hands: Hands = Some(handle.clone());
    let words = words_for(config, &directory)?;
    let (arrivals, arrived) = mpsc::channel(ARRIVALS);
    let parts = build(config, directory, clock.clone(), hands, Some(arrivals)).await?;
    let store = parts.store.clone();
    let held = store.sending_is_held().await?;
    if held {
        tracing::warn!("this is a restored copy: nothing is sent until `cdr resume`");
        handle.close();
    } else if store.is_sqlite() {
        // The lock says that no other process serves this file, so no lease is alive.
        let n = store.release_all().await?;
        if n > 0 {
            tracing::info!(messages = n, "messages of the last run are due again");
        }
    }
    let links = Links::new(store.service_key(ServiceKey::Links).clone(), &config.server.public_url)
        .lasting(config.messages.link_hours);
    let channels = Arc::new(channels(config, parts.service.book.clone(), links.clone(), words)?);
    check_templates(channels.clone(), clock.clone());
    let (stop_server, server_stopped) = watch::channel(false);
    let (stop_dispatch, dispatch_stopped) = watch::channel(false);
    let (stop_upkeep, upkeep_stopped) = watch::channel(false);
    let mut workers = Vec::new();
    if !held {
        let dispatcher = Dispatcher {
            store: store.clone(),
            channels: channels.clone(),
            limits: pace(config),
            news: parts.service.news.clone(),
            worked: Worked::default(),
            clock: clock.clone(),
            metrics: parts.metrics.clone(),
            settings: settings(config, lease),
        };
        workers.push(tokio::spawn(dispatcher.run(inbox, dispatch_stopped.clone())));
    }
    let s = || parts.service.clone();
    if !held {
        // A restored copy climbs no ladder: it would tell partners of what is long over.
        workers.push(tokio::spawn(escalator(s(), dispatch_stopped.clone())));
        let (watch, copy) = (config.watch.clone(), config.copy.clone());
        workers.push(tokio::spawn(daily(s(), watch, copy, dispatch_stopped.clone())));
        workers.push(tokio::spawn(asker(s(), channels.clone(), dispatch_stopped.clone())));
        workers.push(tokio::spawn(follower(s(), dispatch_stopped.clone())));
        let looks = config.duplicates.clone();
        workers.push(tokio::spawn(likeness(s(), looks, arrived, dispatch_stopped.clone())));
    }
    let watch = Watch {
        every: StdDuration::from_secs(config.watch.every_seconds),
        heartbeat: config.watch.heartbeat_url.clone(),
    };
    workers.push(tokio::spawn(renewer(store.clone(), dispatch_stopped.clone())));
    workers.push(tokio::spawn(watcher(s(), watch, dispatch_stopped)));
    workers.push(tokio::spawn(upkeep(
        store,
        clock,
        parts.metrics.clone(),
        StdDuration::from_secs(config.journal.seal_seconds),
        config.journal.anchor_file.clone(),
        upkeep_stopped,
    )));
    let web = web(config, parts.service.clone(), links, server_stopped.clone(), demo)?;
    let tls = server::tls(&config.server)?;
    let router = crate::web::router(web);
    let limits = server::Limits {
        headers: StdDuration::from_secs(config.server.header_timeout_seconds),
        connections: config.server.max_connections,
        callers: if config.server.behind_tls_proxy { OneProxy } else { Many },
    };
    let server = tokio::spawn(server::run(listener, router, tls, limits, server_stopped));
    Ok(Running {
        service: parts.service,
        stop_server,
        stop_dispatch,
        stop_upkeep,
        server,
        workers,
        handle,
        _lock: lock,
    })
}

/// What handlers share.
fn web(
    config: &Config,
    service: Service,
    links: Links,
    stopping: watch::Receiver<bool>,
    demo: Option<Arc<DemoBox>>,
) -> Result<Web, StartError> {
    Ok(Web {
        links: Arc::new(links),
        tokens: Arc::new(Tokens::default()),
        door: Arc::new(door(config, &service.directory())?),
        body_limit: config.server.body_limit_kib * 1024,
        body_timeout: StdDuration::from_secs(config.server.body_timeout_seconds),
        room: crate::web::Room::default(),
        secure: config.server.public_url.starts_with("https://"),
        templates: crate::web::templates()?,
        write_probe: Arc::default(),
        codes: Arc::default(),
        hooks: Arc::new(hook_keys(config)),
        budgets: budgets(config),
        limiter: Arc::default(),
        stopping,
        demo,
        service,
    })
}

fn pace(config: &Config) -> PaceLimits {
    PaceLimits {
        identical: config.dispatch.identical_texts_an_hour,
        any: config.dispatch.texts_an_hour,
    }
}

/// What call-backs prove themselves with.
fn hook_keys(config: &Config) -> HookKeys {
    HookKeys {
        notify_token: config.govuk_notify.callback_token.clone(),
        gateway: config.gateway.keys().unwrap_or_default(),
        twilio_token: config.twilio.auth_token.clone(),
        base: config.server.public_url.trim_end_matches('/').to_owned(),
    }
}

/// How much may be asked.
fn budgets(config: &Config) -> Budgets {
    let l = &config.limits;
    Budgets {
        notify: l.notify_a_minute,
        notify_token: l.notify_token_a_minute,
        sign_in: l.sign_in_a_minute,
        pages: l.pages_a_minute,
        api: l.api_a_minute,
        behind_proxy: config.server.behind_tls_proxy,
    }
}

/// Asks GOV.UK Notify whether its templates are what we fill in; a mistake there would be found at
/// the first alert otherwise. Beside the start, not before it: Notify may be away.
fn check_templates(channels: Arc<Channels>, clock: SharedClock) {
    tokio::spawn(async move {
        if let Some(notify) = &channels.govuk {
            for wrong in notify.check_templates(clock.now()).await {
                tracing::error!(error = %wrong, "a GOV.UK Notify template cannot be used");
            }
        }
    });
}

/// How people come in.
fn door(config: &Config, directory: &Directory) -> Result<Door, StartError> {
    let url = &config.server.public_url;
    let provider = |o| {
        Provider::new(o, url).map_err(|why| StartError::Io {
            what: "an oidc section cannot be used".to_owned(),
            why,
        })
    };
    let names = directory.areas().flat_map(|a| {
        [a.name.clone()].into_iter().chain(a.agencies.iter().map(|g| g.name.clone()))
    });
    Ok(Door {
        limits: Limits {
            idle: Duration::minutes(config.server.session_idle_minutes),
            absolute: Duration::hours(config.server.session_hours),
        },
        required: config.sign_in.second_factor == SecondFactor::Required,
        rules: Rules { names: names.collect(), breached: config.sign_in.breached_file.clone() },
        passkeys: Passkeys::new(url),
        providers: config.oidc.iter().map(provider).collect::<Result<_, _>>()?,
        behind_proxy: config.server.behind_tls_proxy,
        invitation_hours: config.sign_in.invitation_hours,
    })
}

/// Channels without a provider. E-mail and webhooks are always tried: what is missing there is
/// refused at start.
fn silent(config: &Config) -> BTreeSet<Channel> {
    let c = &config.channels;
    let none = [(Channel::Sms, c.sms.is_empty()), (Channel::Voice, c.voice.is_empty())];
    none.into_iter().filter(|(_, empty)| *empty).map(|(channel, _)| channel).collect()
}

/// The texts of messages, checked against everybody who may be written to.
///
/// # Errors
/// Everything that is wrong with them, in words.
pub fn words_for(config: &Config, directory: &Directory) -> Result<Words, StartError> {
    let own = config.messages.text().map_err(|e| StartError::Words(vec![e]))?;
    let words = Words::load(words::DEFAULTS, own.as_deref()).map_err(StartError::Words)?;
    let said: Vec<Said<'_>> = directory
        .areas()
        .flat_map(|a| {
            a.agencies.iter().map(move |g| Said {
                area: &a.name,
                agency: &g.name,
                call_back: &a.call_back,
            })
        })
        .collect();
    let wrong = words.check(&CheckWith {
        said: &said,
        public_url: &config.server.public_url,
        max_sms_segments: config.messages.max_sms_segments,
        segments: |t| segments::size(t).segments,
    });
    if wrong.is_empty() { Ok(words) } else { Err(StartError::Words(wrong)) }
}

fn channels(
    config: &Config,
    book: Arc<Book>,
    links: Links,
    words: Words,
) -> Result<Channels, StartError> {
    let each = StdDuration::from_secs(config.channels.timeout_seconds);
    let reach = Reach {
        allow_private: config.webhooks.allow_private_targets,
        extra_ports: config.webhooks.extra_ports.iter().copied().collect(),
    };
    let timeout = StdDuration::from_secs(config.webhooks.timeout_seconds);
    Ok(Channels {
        mail: Mailer::new(&config.mail)?,
        hooks: Hooks::new(reach, timeout, book)?,
        govuk: Govuk::new(&config.govuk_notify, each)?,
        gateway: Gateway::new(&config.gateway, each)?,
        twilio: Twilio::new(&config.twilio, each)?,
        orders: Orders {
            email: config.channels.email.clone(),
            sms: config.channels.sms.clone(),
            voice: config.channels.voice.clone(),
        },
        links,
        words,
        health: Health::default(),
    })
}

fn settings(config: &Config, lease: Duration) -> Settings {
    // Two seconds more than all providers together: each is found out by its own limit, and this
    // one is for what has none.
    let slowest = config.slowest_send().saturating_add(2);
    Settings {
        in_flight: config.dispatch.in_flight,
        in_flight_per_target: config.dispatch.in_flight_per_target,
        lease,
        give_up: Duration::hours(config.dispatch.give_up_hours),
        send_timeout: Duration::seconds(i64::try_from(slowest).unwrap_or(32)),
    }
}

impl Running {
    /// Stops softly: no new connections, requests under way are answered, messages in hand are
    /// sent, the journal is sealed.
    pub async fn stop(self) {
        let _ = self.stop_server.send(true);
        let _ = self.server.await;
        self.handle.close();
        let _ = self.stop_dispatch.send(true);
        let mut workers = self.workers;
        let upkeep = workers.pop();
        for w in workers {
            let _ = w.await;
        }
        let _ = self.stop_upkeep.send(true);
        if let Some(w) = upkeep {
            let _ = tokio::time::timeout(StdDuration::from_secs(10), w).await;
        }
    }

    /// Waits for an interrupt or a request to end. A worker that dies takes the process with it:
    /// half a service must not look like a whole one.
    ///
    /// # Errors
    /// A part stopped by itself.
    pub async fn until_told(mut self) -> Result<(), &'static str> {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut term) = signal(SignalKind::terminate()) else {
            return Err("signals cannot be received");
        };
        let died = {
            let workers = futures_util::future::select_all(self.workers.iter_mut());
            tokio::select! {
                _ = tokio::signal::ctrl_c() => false,
                _ = term.recv() => false,
                _ = workers => true,
                _ = &mut self.server => true,
            }
        };
        if died {
            return Err("a part of the service stopped by itself");
        }
        tracing::info!("stopping");
        self.stop().await;
        Ok(())
    }
}
