//! Sessions of signed-in people: a random id in a cookie, its digest in the database, an idle and
//! an absolute end. Every sign-in, and every change of what a session may do, has a new id.

use super::policy::{Caller, Role, Who};
use crate::platform::crypt::{random_token, sha256};
use crate::store::{Note, SessionLine, SessionRow, Store, StoreError, UserRow};
use chrono::{DateTime, Duration, Utc};
use uuid::Uuid;

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub idle: Duration,
    pub absolute: Duration,
}

/// How long a session may only set up how it signs in.
const ENROL: Duration = Duration::minutes(30);

/// How long after a sign-in its ways may be changed without another.
pub const FRESH: Duration = Duration::minutes(20);

/// What a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Full,
    /// Set up how its owner signs in, and nothing else.
    Enrol,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Enrol => "enrol",
        }
    }
}

/// A live session.
#[derive(Clone, Debug)]
pub struct Session {
    pub caller: Caller,
    pub user: Uuid,
    pub name: String,
    pub email: String,
    /// Must come back with every change.
    pub csrf: String,
    pub stage: Stage,
    pub how: String,
    pub created_at: DateTime<Utc>,
    pub digest: Vec<u8>,
}

impl Session {
    /// Whether its owner proved lately who they are.
    #[must_use]
    pub fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        now - self.created_at < FRESH
    }
}

fn digest(id: &str) -> Vec<u8> {
    sha256(&[b"cdr-session", id.as_bytes()]).to_vec()
}

/// E-mail addresses as they are compared.
#[must_use]
pub fn fold_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// What a new session is.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    pub user: Uuid,
    pub stage: Stage,
    pub how: &'a str,
    pub device: &'a str,
    /// The cookie of a session that this one replaces.
    pub old: Option<&'a str>,
    /// What the audit says of it.
    pub action: &'static str,
}

/// Opens a session; the id for the cookie.
///
/// # Errors
/// The change was not committed.
pub async fn open(
    store: &Store,
    o: Opening<'_>,
    now: DateTime<Utc>,
    limits: Limits,
) -> Result<String, StoreError> {
    let id = random_token()?;
    let lasts = if o.stage == Stage::Enrol { ENROL } else { limits.absolute };
    let row = SessionRow {
        user_id: o.user,
        csrf: random_token()?,
        created_at: now,
        seen_at: now,
        ends_at: now + lasts,
        stage: o.stage.word().to_owned(),
        how: o.how.to_owned(),
        device: o.device.to_owned(),
    };
    let line = note(o.user, o.action, now);
    store.add_session(digest(&id), row, o.old.map(digest), line).await?;
    Ok(id)
}

/// An audit line of a person about themselves.
#[must_use]
pub fn note(user: Uuid, action: &'static str, at: DateTime<Utc>) -> Note {
    Note { at, actor: format!("user:{user}"), action, about: Some(user) }
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
        store.touch_session(digest.clone(), now).await?;
    }
    // Whatever is not full, a word of a later release too, may do less.
    let stage = if row.stage == "full" { Stage::Full } else { Stage::Enrol };
    let email = user.email.clone();
    Ok(caller_of(user).map(|(caller, name)| Session {
        caller,
        user: row.user_id,
        name,
        email,
        csrf: row.csrf,
        stage,
        how: row.how,
        created_at: row.created_at,
        digest,
    }))
}

/// The live sessions of an account.
///
/// # Errors
/// The database failed.
pub async fn list(
    store: &Store,
    user: Uuid,
    now: DateTime<Utc>,
    limits: Limits,
) -> Result<Vec<SessionLine>, StoreError> {
    store.sessions_of(user, now, now - limits.idle).await
}

/// Ends a session.
///
/// # Errors
/// The change was not committed.
pub async fn sign_out(store: &Store, s: &Session, now: DateTime<Utc>) -> Result<(), StoreError> {
    let line = note(s.user, "sign_out", now);
    store.end_session_of(s.user, s.digest.clone(), line).await.map(drop)
}

/// Browser and system in two words: enough to know one's own, too little to tell people apart.
#[must_use]
pub fn device(agent: &str) -> String {
    // The first that fits counts: Edge also says Chrome, and Chrome also says Safari.
    const BROWSERS: [(&str, &str); 4] =
        [("Edg", "Edge"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari")];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Mac OS", "Mac"),
        ("Linux", "Linux"),
    ];
    let of = |list: &[(&str, &'static str)]| {
        list.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name)
    };
    match (of(&BROWSERS), of(&SYSTEMS)) {
        (Some(b), Some(s)) => format!("{b} on {s}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "another program".to_owned(),
    }
}

fn caller_of(user: UserRow) -> Option<(Caller, String)> {
    let role = Role::parse(&user.role)?;
    let name = user.name.clone();
    let who = Who::Person { id: user.id, name: user.name, role };
    Some((Caller { who, area: user.area, agency: user.agency }, name))
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn a_device_is_two_words_and_no_more() {
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0";
        assert_eq!(device(edge), "Edge on Windows");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1";
        assert_eq!(device(phone), "Safari on iPhone");
        assert_eq!(device("<script>alert(1)</script>"), "another program");
    }
}
