//! Accounts, tokens, keys, backups.

use super::{Failure, TokenWhat, UserWhat, directory_of};
use crate::alerts::link::Links;
use crate::app;
use crate::auth::password;
use crate::auth::policy::{Caller, Role, TokenScope};
use crate::auth::rules::Rules;
use crate::auth::session::fold_email;
use crate::auth::token;
use crate::config::Config;
use crate::platform::crypt::Key;
use crate::platform::fresh;
use crate::service::{Invited, ServiceError};
use crate::store::{ServiceKey, UserRow, backup};
use std::io::Read;
use std::path::Path;
use uuid::Uuid;

pub(super) fn new_key() -> Result<u8, Failure> {
    let name = format!("k{}", &Uuid::new_v4().simple().to_string()[..8]);
    println!("{name}:{}", Key::random()?.to_base64());
    Ok(0)
}

pub(super) async fn rewrap(config: &Config) -> Result<u8, Failure> {
    let parts = app::parts(config, directory_of(config)?).await?;
    let n = parts.store.rewrap_keys().await?;
    println!("{n} keys are now wrapped by the first master key.");
    Ok(0)
}

pub(super) async fn user(config: &Config, what: UserWhat) -> Result<u8, Failure> {
    let (email, name, role, area, agency) = match what {
        UserWhat::Add { email, name, role, area, agency } => (email, name, role, area, agency),
        UserWhat::Invite { email, name, role, area, agency, print } => {
            return invite(
                config,
                Invited { email, name, role, area: area.unwrap_or_default(), agency },
                print,
            )
            .await;
        }
    };
    let role = Role::parse(&role)
        .ok_or_else(|| format!("the role must be one of: {}", Role::WORDS.join(", ")))?;
    if role == Role::Agency && agency.is_none() {
        return Err("role agency needs --agency".into());
    }
    if role != Role::Agency && agency.is_some() {
        return Err("--agency is for role agency only: whoever is bound to an agency sees nothing wider than its cases".into());
    }
    let directory = directory_of(config)?;
    let parts = app::parts(config, directory.clone()).await?;
    let secret = if let Ok(p) = std::env::var("CDR_PASSWORD") {
        p
    } else {
        eprintln!("Password (at least {} characters), then Enter and Ctrl-D:", password::SHORTEST);
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text.trim_end_matches(['\r', '\n']).to_owned()
    };
    let rules = Rules {
        names: directory.areas().map(|a| a.name.clone()).collect(),
        breached: config.sign_in.breached_file.clone(),
    };
    rules.judge(&secret, &[&name, &email])?;
    let row = UserRow {
        id: fresh::id(),
        email: fold_email(&email),
        name,
        role: role.word().to_owned(),
        area: area.unwrap_or_else(|| directory.first().to_owned()),
        agency,
        password_hash: password::hash(secret).await?,
        created_at: parts.clock.now(),
        disabled_at: None,
    };
    if row.area.is_empty() {
        return Err("give --area (or * for all): no area is configured".into());
    }
    if parts.store.add_user(row).await? {
        println!("The account was added.");
        Ok(0)
    } else {
        Err("there is an account with this address already".into())
    }
}

async fn invite(config: &Config, mut who: Invited, print: bool) -> Result<u8, Failure> {
    let directory = directory_of(config)?;
    if who.area.is_empty() {
        directory.first().clone_into(&mut who.area);
    }
    let parts = app::parts(config, directory).await?;
    let hours = config.sign_in.invitation_hours;
    let caller = Caller::operator();
    let id = match parts.service.invite(&caller, &who, hours, !print).await {
        Ok(id) => id,
        Err(ServiceError::Invalid(wrong)) => {
            let words: Vec<_> =
                wrong.iter().map(|p| format!("{} {}", p.field, p.message)).collect();
            return Err(words.join("\n").into());
        }
        Err(e) => return Err(e.into()),
    };
    if print {
        let key = parts.store.service_key(ServiceKey::Links).clone();
        println!("{}", Links::new(key, &config.server.public_url).invitation(id));
        eprintln!("The link works once and for {hours} hours. Give it to nobody else.");
    } else {
        println!("The invitation goes out by e-mail from a serving node.");
    }
    Ok(0)
}

pub(super) async fn token(config: &Config, what: TokenWhat) -> Result<u8, Failure> {
    let directory = directory_of(config)?;
    let parts = app::parts(config, directory.clone()).await?;
    match what {
        TokenWhat::Add { name, scopes, area, agency } => {
            let scopes: Option<Vec<TokenScope>> =
                scopes.iter().map(|s| TokenScope::parse(s.trim())).collect();
            let scopes = scopes.filter(|s| !s.is_empty()).ok_or_else(|| {
                format!("the scopes must be among: {}", TokenScope::WORDS.join(", "))
            })?;
            let area = area.unwrap_or_else(|| directory.first().to_owned());
            if area.is_empty() {
                return Err("give --area (or * for all): no area is configured".into());
            }
            let t = token::issue(&parts.store, &name, &scopes, &area, agency, parts.clock.now())
                .await?;
            println!("{t}");
            Ok(0)
        }
        TokenWhat::Revoke { name } => {
            let n = parts.store.revoke_tokens(name, parts.clock.now()).await?;
            println!("{n} tokens revoked; it takes up to five seconds everywhere.");
            Ok(u8::from(n == 0))
        }
    }
}

/// What may be destroyed, and why.
pub(super) async fn retention(config: &Config, all: bool) -> Result<u8, Failure> {
    let parts = app::parts(config, directory_of(config)?).await?;
    let lines = parts.service.retention_list(&Caller::operator(), all).await?;
    for l in &lines {
        let state = match (l.due.held, l.is_due, &l.asked_by) {
            (true, ..) => "legal hold".to_owned(),
            (_, true, Some(by)) => format!("due, asked for by {by}"),
            (_, true, None) => "due".to_owned(),
            _ => "not yet".to_owned(),
        };
        println!("{}\t{}\t{}\t{}\t{state}", l.reference, l.stage, l.due.on, l.due.rule);
    }
    println!("{} cases.", lines.len());
    Ok(0)
}

pub(super) async fn backup(config: &Config, out: &Path) -> Result<u8, Failure> {
    backup::backup(&app::target(config)?, out).await?;
    println!("Written to {}. The master key is not in it: keep that elsewhere.", out.display());
    Ok(0)
}

pub(super) async fn restore(config: &Config, file: &Path) -> Result<u8, Failure> {
    backup::restore(&app::target(config)?, file).await?;
    println!("Restored. Nothing is sent from this copy until `cdr resume`.");
    Ok(0)
}

/// Turns sending on or off for the next start.
pub(super) async fn sending(config: &Config, value: &'static str) -> Result<u8, Failure> {
    let parts = app::parts(config, directory_of(config)?).await?;
    parts.store.set_setting(backup::SENDING, value).await?;
    println!("Sending is {value} from the next start of `cdr serve`.");
    Ok(0)
}

pub(super) async fn outbox(config: &Config) -> Result<u8, Failure> {
    let parts = app::parts(config, directory_of(config)?).await?;
    let f = parts.store.outbox_figures().await?;
    println!(
        "{} messages wait, {} were given up, {} alerts wait for a person",
        f.waiting, f.dead, f.open_alerts
    );
    Ok(0)
}
