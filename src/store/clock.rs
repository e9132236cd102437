//! One clock for all nodes of a database: the database's own.
//!
//! Leases and the steps of ladders are compared across nodes. By the clocks of their machines a node
//! five minutes slow sent again what another had sent, and one that was fast climbed early. On
//! `PostgreSQL` every node therefore tells the time by the database, and goes on from there by a
//! counter that nobody can set; what its own machine takes the time to be does not matter.

use super::engine::{Conn, Target};
use crate::platform::clock::{Clock, SharedClock, SystemClock};
use chrono::{DateTime, Duration, SubsecRound, Utc};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration as StdDuration, Instant};

/// How often the database is asked.
const EVERY: StdDuration = StdDuration::from_secs(10);
/// An answer that took longer says too little about when it was true.
const PROMPT: StdDuration = StdDuration::from_secs(1);
/// From here on somebody should be told that a machine's clock is wrong.
const APART: Duration = Duration::seconds(5);

/// What the database said, and when it said so by this process's counter.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    said: DateTime<Utc>,
    heard: Instant,
}

/// Tells the database's time.
#[derive(Debug)]
pub struct DatabaseClock(Mutex<Anchor>);

impl Clock for DatabaseClock {
    fn now(&self) -> DateTime<Utc> {
        let a = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = Duration::from_std(a.heard.elapsed()).unwrap_or_default();
        (a.said + since).trunc_subsecs(6)
    }
}

/// The clock to serve `target` by: the database's on `PostgreSQL`; the machine's on `SQLite`, which
/// one machine has to itself.
///
/// # Errors
/// The database cannot be reached.
pub async fn clock_of(target: &Target) -> Result<SharedClock, sqlx::Error> {
    if target.is_sqlite() {
        return Ok(Arc::new(SystemClock));
    }
    let mut conn = target.connect().await?;
    // A first answer counts however slow it is: there is none better.
    let (first, _) = ask(&mut conn).await?;
    let clock = Arc::new(DatabaseClock(Mutex::new(first)));
    tokio::spawn(follow(target.clone(), conn, Arc::downgrade(&clock)));
    Ok(clock)
}

/// Sets the clock again and again while anybody uses it. While the database is away it goes on from
/// what was heard last.
async fn follow(target: Target, conn: Conn, clock: Weak<DatabaseClock>) {
    let mut conn = Some(conn);
    let mut was_apart = false;
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(clock) = clock.upgrade() else { return };
        let asked = tokio::time::timeout(EVERY, async {
            if conn.is_none() {
                conn = Some(target.connect().await?);
            }
            match &mut conn {
                Some(c) => ask(c).await.map(Some),
                None => Ok(None),
            }
        });
        match asked.await {
            Ok(Ok(Some((anchor, took)))) if took <= PROMPT => {
                let apart = SystemClock.now() - clock.now();
                *clock.0.lock().unwrap_or_else(PoisonError::into_inner) = anchor;
                let is_apart = apart.abs() > APART;
                if is_apart && !was_apart {
                    tracing::warn!(
                        seconds = apart.num_seconds(),
                        "this machine's clock is not the database's, which is gone by; set it right"
                    );
                }
                was_apart = is_apart;
            }
            Ok(Ok(_)) => {}
            Ok(Err(_)) | Err(_) => conn = None,
        }
    }
}

/// What time it is there, taken to be true half way through the question; and how long that took.
async fn ask(conn: &mut Conn) -> Result<(Anchor, StdDuration), sqlx::Error> {
    const SQL: &str = "SELECT clock_timestamp()";
    let began = Instant::now();
    let said = match conn {
        Conn::Pg(c) => sqlx::query_scalar(SQL).fetch_one(c).await?,
        Conn::Sqlite(_) => SystemClock.now(),
    };
    let took = began.elapsed();
    Ok((Anchor { said, heard: began + took / 2 }, took))
}
