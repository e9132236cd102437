//! Sessions of signed-in people: a random id in a cookie, its digest in the database, an idle and
//! an absolute end.

use super::password;
use super::policy::{Caller, Role, Who};
use crate::platform::crypt::{random_token, sha256};
use crate::store::{SessionRow, Store, StoreError, UserRow};
use chrono::{DateTime, Duration, Utc};

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub idle: Duration,
    pub absolute: Duration,
}

/// A live session.
#[derive(Clone, Debug)]
pub struct Session {
    pub caller: Caller,
    pub name: String,
    /// Must come back with every change.
    pub csrf: String,
}

fn digest(id: &str) -> Vec<u8> {
    sha256(&[b"cdr-session", id.as_bytes()]).to_vec()
}

/// E-mail addresses as they are compared.
#[must_use]
pub fn fold_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Signs in. The answer does not tell whether the account exists.
///
/// # Errors
/// The database failed.
pub async fn sign_in(
    store: &Store,
    email: &str,
    password: String,
    now: DateTime<Utc>,
    limits: Limits,
) -> Result<Option<String>, StoreError> {
    let user = store.user_by_email(&fold_email(email)).await?.filter(|u| u.disabled_at.is_none());
    let fits = password::fits(password, user.as_ref().map(|u| u.password_hash.clone())).await;
    let Some(user) = user.filter(|_| fits) else { return Ok(None) };
    let id = random_token()?;
    let row = SessionRow {
        user_id: user.id,
        csrf: random_token()?,
        created_at: now,
        seen_at: now,
        ends_at: now + limits.absolute,
    };
    store.add_session(digest(&id), row).await?;
    Ok(Some(id))
}

/// The session behind a cookie, if it is still alive.
///
/// # Errors
/// The database failed.
pub async fn resume(
    store: &Store,
    id: &str,
    now: DateTime<Utc>,
    limits: Limits,
) -> Result<Option<Session>, StoreError> {
    let digest = digest(id);
    let Some(row) = store.session(&digest).await? else { return Ok(None) };
    if now >= row.ends_at || now - row.seen_at >= limits.idle {
        store.end_session(digest).await?;
        return Ok(None);
    }
    let Some(user) = store.user(row.user_id).await?.filter(|u| u.disabled_at.is_none()) else {
        return Ok(None);
    };
    if now - row.seen_at > Duration::minutes(1) {
        store.touch_session(digest, now).await?;
    }
    Ok(caller_of(user).map(|(caller, name)| Session { caller, name, csrf: row.csrf }))
}

/// Ends a session.
///
/// # Errors
/// The change was not committed.
pub async fn sign_out(store: &Store, id: &str) -> Result<(), StoreError> {
    store.end_session(digest(id)).await
}

fn caller_of(user: UserRow) -> Option<(Caller, String)> {
    let role = Role::parse(&user.role)?;
    let name = user.name.clone();
    let who = Who::Person { id: user.id, name: user.name, role };
    Some((Caller { who, area: user.area, agency: user.agency }, name))
}
