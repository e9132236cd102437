//! `cdr demo`: the whole service on one machine with a county that does not exist. Nothing leaves:
//! mail and webhooks are caught and shown at `/demo/outbox`.

use super::seed::{Spread, seed_cases};
use super::{Failure, demo_mail};
use crate::app;
use crate::auth::password;
use crate::auth::policy::{Role, TokenScope};
use crate::auth::token;
use crate::config::area::{self, Directory};
use crate::config::{self, Config, MailTls};
use crate::domain::alert::AlertKind;
use crate::domain::civil_time;
use crate::domain::directory::{Rule, Urgency, When, default_steps};
use crate::platform::clock::SharedClock;
use crate::platform::crypt::{Key, random_token};
use crate::platform::fresh;
use crate::platform::telemetry::{self, Shape};
use crate::service::Service;
use crate::store::UserRow;
use crate::store::changes::{ChangeSet, DoneRow};
use crate::web::DemoBox;
use chrono::Datelike;
use serde_json::{Value, json};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Who can sign in to the demo: address, name, role, agency.
const PEOPLE: &[(&str, &str, Role, Option<&str>)] = &[
    ("coordinator@northshire.example", "Coordinator Exampleby", Role::Coordinator, None),
    ("designated.doctor@northshire.example", "Dr Standinford", Role::DesignatedDoctor, None),
    ("oncall@northshire.example", "On-call Mockridge", Role::OnCall, None),
    ("police@northshire.example", "Sergeant Placehold", Role::Agency, Some("police")),
    ("auditor@northshire.example", "Auditor Quillfeather", Role::Auditor, None),
    ("admin@northshire.example", "Administrator Testerby", Role::Administrator, None),
];

pub(super) async fn run(
    listen: SocketAddr,
    data: PathBuf,
    database: Option<String>,
    cases: u32,
    speed: u32,
) -> Result<u8, Failure> {
    telemetry::start(Shape::Pretty, "warn,child_death_review=info");
    std::fs::create_dir_all(&data)?;
    let sheet_path = data.join("demo.json");
    let sheet: Option<Value> =
        std::fs::read_to_string(&sheet_path).ok().and_then(|t| serde_json::from_str(&t).ok());
    // Gone while starting, so that whoever waits for it does not read the last run's.
    let _ = std::fs::rename(&sheet_path, data.join("demo.last.json"));
    let sheet = sheet.or_else(|| {
        std::fs::read_to_string(data.join("demo.last.json"))
            .ok()
            .and_then(|t| serde_json::from_str(&t).ok())
    });

    let listener = TcpListener::bind(listen)
        .await
        .map_err(|e| format!("cannot listen on {listen}: {e}; choose another with --listen"))?;
    let at = listener.local_addr()?;
    let host = if at.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { at.ip() };
    let url = format!("http://{}", SocketAddr::new(host, at.port()));
    let mail = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut config = config::load(None)?;
    set(&mut config, &data, database, &url, mail.local_addr()?.port())?;

    let clock: SharedClock = app::clock(&config).await?;
    let secret = format!("whsec_{}", Key::random()?.to_base64());
    config.gateway.url = format!("{url}/demo/gateway");
    config.gateway.secrets = secret.clone().into();
    config.channels.sms = vec![config::Provider::Gateway];
    config.channels.voice = vec![config::Provider::Gateway];
    let demo = Arc::new(DemoBox::new(secret, url.clone()));
    tokio::spawn(demo_mail::catch(mail, demo.clone(), clock.clone()));
    let directory = Arc::new(directory(&url, speed)?);
    // Before anything runs that would climb the ladders of deaths long past.
    let sheet = {
        let service = app::parts(&config, directory.clone()).await?.service;
        quiet_today(&service).await?;
        if cases > 0 && is_empty(&service).await? {
            eprintln!("Making {cases} synthetic cases…");
            seed_cases(&service, cases, 1, Spread::EveryStage).await?;
        }
        credentials(&service, &clock, sheet, &url).await?
    };
    let running = app::start(&config, directory, listener, clock.clone(), Some(demo)).await?;
    write_secret(&sheet_path, &serde_json::to_string_pretty(&sheet)?)?;
    print_sheet(&sheet, &sheet_path);
    if speed > 1 {
        println!("Ladders climb {speed} times faster than they would (--speed).\n");
    }
    running.until_told().await?;
    Ok(0)
}

fn set(
    config: &mut Config,
    data: &Path,
    database: Option<String>,
    url: &str,
    mail_port: u16,
) -> Result<(), Failure> {
    let file = data.join("cdr.sqlite");
    let default = format!("sqlite://{}", file.display());
    config.database.url = database.unwrap_or(default).into();
    config.crypt.master_key = master_key(&data.join("master.key"))?.into();
    url.clone_into(&mut config.server.public_url);
    config.mail.host = "127.0.0.1".to_owned();
    config.mail.port = mail_port;
    config.mail.tls = MailTls::None;
    config.webhooks.allow_private_targets = true;
    // The printed passwords are all there is to a demo's sign-in.
    config.sign_in.second_factor = config::SecondFactor::Optional;
    Ok(())
}

/// The key of this folder's data, made at the first run.
fn master_key(path: &Path) -> Result<String, Failure> {
    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(text);
    }
    let text = format!("demo:{}", Key::random()?.to_base64());
    write_secret(path, &text)?;
    Ok(text)
}

/// Readable by the owner only; appears whole or not at all.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let part = path.with_extension("part");
    let mut f = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    f.write_all(text.as_bytes())?;
    f.sync_all()?;
    std::fs::rename(&part, path)
}

/// Northshire, with its webhooks pointed at our own catcher.
///
/// The ladders climb `speed` times faster than they would: nobody who tries the demo waits a
/// quarter of an hour for the last step.
fn directory(url: &str, speed: u32) -> Result<Directory, Failure> {
    let mut area = area::parse("Northshire", include_str!("../../config/area.example.toml"))?;
    hasten(&mut area, speed.max(1));
    for agency in &mut area.agencies {
        for c in &mut agency.contacts {
            if c.kind == crate::domain::directory::PointKind::Webhook {
                c.address = format!("{url}/demo/hooks/{}", agency.id);
            }
        }
    }
    Ok(Directory::from_areas(vec![("Northshire".to_owned(), area)])?)
}

fn hasten(area: &mut area::Area, speed: u32) {
    // The usual ladder, written out, so that it can be shortened; one rule for all who are told of
    // the same.
    for agency in area.agencies.iter().filter(|a| a.acknowledge) {
        let events: Vec<AlertKind> =
            agency.told_of.iter().copied().filter(|k| k.is_response()).collect();
        match area.policy.iter_mut().find(|r| r.events == events) {
            Some(rule) => rule.agencies.push(agency.id.clone()),
            None => area.policy.push(Rule {
                agencies: vec![agency.id.clone()],
                events,
                when: When::Always,
                told: true,
                urgency: Urgency::Now,
                acknowledge: true,
                act_within_minutes: None,
                steps: default_steps(),
                last: area.last_step.clone(),
            }),
        }
    }
    for rule in &mut area.policy {
        let mut least = 0;
        for s in &mut rule.steps {
            s.after_seconds = (s.after_seconds / speed).max(least);
            least = s.after_seconds + 10;
        }
        if let Some(l) = &mut rule.last {
            l.after_seconds = (l.after_seconds / speed).max(least);
            l.repeat_seconds = (l.repeat_seconds / speed).max(60);
        }
    }
}

/// Today's calendar work counts as done: a demo starts quiet.
async fn quiet_today(service: &Service) -> Result<(), Failure> {
    let now = service.clock.now();
    let local = civil_time::local(now);
    let row = |what: &str, day: String| DoneRow { what: what.to_owned(), day, at: now };
    let week = format!("{}-W{:02}", local.iso_week().year(), local.iso_week().week());
    let done =
        vec![row("tonight/northshire", local.date().to_string()), row("test/northshire", week)];
    for d in done {
        // Done before, in an earlier run of the same day.
        let _ = service.store.commit(ChangeSet { done: vec![d], ..ChangeSet::default() }).await;
    }
    Ok(())
}

async fn is_empty(service: &Service) -> Result<bool, Failure> {
    let query = crate::service::CaseQuery { size: 1, ..Default::default() };
    let rows = service.list_cases(&crate::auth::policy::Caller::operator(), query).await?.rows;
    Ok(rows.is_empty())
}

/// Sign-ins and a token: those of the last run if they still work, else new ones.
async fn credentials(
    service: &Service,
    clock: &SharedClock,
    last: Option<Value>,
    url: &str,
) -> Result<Value, Failure> {
    if let Some(mut last) = last {
        let first = service.store.user_by_email(PEOPLE[0].0).await?;
        if first.is_some() && last["api_token"].is_string() {
            last["url"] = json!(url);
            return Ok(last);
        }
    }
    let mut users = Vec::new();
    for (email, name, role, agency) in PEOPLE {
        let secret = random_token()?[..16].to_owned();
        let row = UserRow {
            id: fresh::id(),
            email: (*email).to_owned(),
            name: (*name).to_owned(),
            role: role.word().to_owned(),
            area: "northshire".to_owned(),
            agency: agency.map(str::to_owned),
            password_hash: password::hash(secret.clone()).await?,
            created_at: clock.now(),
            disabled_at: None,
        };
        if service.store.add_user(row).await? {
            users.push(json!({ "email": email, "password": secret, "role": role.word() }));
        }
    }
    if users.is_empty() {
        return Err("this database has demo accounts whose passwords are in another demo.json; use that folder or an empty database".into());
    }
    let scopes: Vec<TokenScope> =
        TokenScope::WORDS.iter().filter_map(|w| TokenScope::parse(w)).collect();
    let token = token::issue(&service.store, "demo", &scopes, "*", None, clock.now()).await?;
    Ok(json!({ "url": url, "api_token": token, "users": users }))
}

fn print_sheet(sheet: &Value, path: &Path) {
    println!("\nChild Death Review demo (synthetic data, nothing leaves this machine)\n");
    let url = sheet["url"].as_str().unwrap_or_default();
    println!("  Notify a death     {url}/notify");
    println!("  What was sent      {url}/demo/outbox");
    println!("  Open alerts        {url}/board");
    println!("  Coordinator's desk {url}/\n");
    for u in sheet["users"].as_array().into_iter().flatten() {
        let text = |k: &str| u[k].as_str().unwrap_or_default();
        println!("  {:<18} {:<38} {}", text("role"), text("email"), text("password"));
    }
    println!("\n  API token          {}", sheet["api_token"].as_str().unwrap_or_default());
    println!("  All of this is in  {}\n\nCtrl-C stops it.", path.display());
}
