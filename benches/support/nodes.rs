//! F7: five nodes on one PostgreSQL, killed and frozen at random while 10,000 messages go out.

use super::{AGENCIES, Program, read_message};
use sqlx::{Connection, Executor};
use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const NODES: usize = 5;
const DEATHS: u64 = 2_000;
/// Longer than the lease of these nodes (20 s).
const FROZEN: Duration = Duration::from_secs(23);

/// What the database itself sees: leases that ran out, and whatever is written to a message that
/// has been delivered.
const WITNESS: &str = "CREATE TABLE witness (what text NOT NULL, delivery uuid NOT NULL);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF OLD.state = 'leased' AND NEW.state = 'due' AND NEW.lease_token = 0 THEN
    INSERT INTO witness VALUES ('expired', OLD.id);
  ELSIF OLD.state = 'done' AND NEW.state <> 'cancelled' THEN
    INSERT INTO witness VALUES ('stale', OLD.id);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER see AFTER UPDATE ON delivery FOR EACH ROW EXECUTE FUNCTION see();";

/// Receivers that take their time, refuse one message in five, and count what they took by id.
#[derive(Clone, Default)]
struct Partners(Arc<Mutex<HashMap<String, u64>>>);

impl Partners {
    async fn start(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let me = me.clone();
                tokio::spawn(async move { me.talk(stream).await });
            }
        });
        port
    }

    async fn talk(&self, mut stream: TcpStream) {
        let mut buffer = Vec::new();
        while let Some((head, _)) = read_message(&mut stream, &mut buffer).await {
            let id = head.lines().find_map(|l| {
                let (n, v) = l.split_once(": ")?;
                n.eq_ignore_ascii_case("webhook-id").then(|| v.to_owned())
            });
            tokio::time::sleep(Duration::from_millis(fastrand::u64(5..200))).await;
            let refused = fastrand::u8(0..5) == 0;
            if !refused {
                *self.0.lock().unwrap().entry(id.unwrap_or_default()).or_default() += 1;
            }
            let status = if refused { "503 Service Unavailable" } else { "200 OK" };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// Posts until one of the nodes has taken it, under one key.
async fn post(http: &reqwest::Client, ports: &[u16], token: &str, n: u64, body: &[u8]) {
    loop {
        let port = ports[fastrand::usize(..ports.len())];
        let sent = http
            .post(format!("http://127.0.0.1:{port}/api/v1/notifications"))
            .bearer_auth(token)
            .header("idempotency-key", format!("death-{n}"))
            .timeout(Duration::from_secs(1))
            .body(body.to_vec())
            .send()
            .await;
        match sent.map(|r| r.status().as_u16()) {
            Ok(201) => return,
            Ok(503) | Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            Ok(other) => panic!("{other}"),
        }
    }
}

fn signal(p: &Program, what: &str) {
    assert!(Command::new("kill").args([what, &p.pid().to_string()]).status().unwrap().success());
}

/// Kills and freezes until told to end; how many of each. Two nodes are always left alone.
async fn trouble(mut nodes: Vec<Program>, over: Arc<AtomicBool>) -> (Vec<Program>, u32, u32) {
    let (mut kills, mut freezes) = (0, 0);
    let mut frozen: Vec<(usize, Instant)> = Vec::new();
    while !over.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(500..3000))).await;
        frozen.retain(|(i, since)| {
            let thaws = since.elapsed() > FROZEN;
            if thaws {
                signal(&nodes[*i], "-CONT");
            }
            !thaws
        });
        let i = fastrand::usize(..NODES);
        if frozen.iter().any(|(f, _)| *f == i) {
            continue;
        }
        if fastrand::bool() && frozen.len() < 2 {
            signal(&nodes[i], "-STOP");
            frozen.push((i, Instant::now()));
            freezes += 1;
        } else {
            signal(&nodes[i], "-KILL");
            nodes[i].stop();
            nodes[i].serve();
            kills += 1;
        }
    }
    for (i, since) in frozen {
        tokio::time::sleep(FROZEN.saturating_sub(since.elapsed())).await;
        signal(&nodes[i], "-CONT");
    }
    (nodes, kills, freezes)
}

/// The whole: what was delivered, how often twice, and what the database saw.
pub async fn five(database: String, body: fn(u64) -> Vec<u8>) {
    let partners = Partners::default();
    let mut ports = Vec::new();
    for _ in 0..AGENCIES {
        ports.push(partners.start().await);
    }
    let mut nodes: Vec<Program> = (0..NODES)
        .map(|_| Program::towards(Some(database.clone()), &ports, false, AGENCIES))
        .collect();
    for n in &mut nodes {
        n.configure("[dispatch]\nlease_seconds = 20\n");
        n.replace("[webhooks]\n", "[webhooks]\ntimeout_seconds = 5\n");
        n.replace(
            "[log]\nlevel = \"error\"",
            "[mail]\ntimeout_seconds = 5\n[log]\nlevel = \"off\"",
        );
        n.serve();
    }
    let mut c = sqlx::PgConnection::connect(&database).await.unwrap();
    c.execute(WITNESS).await.unwrap();
    let at: Vec<u16> = nodes.iter().map(|n| n.port).collect();
    let token = nodes[0].token.clone();
    let over = Arc::new(AtomicBool::new(false));
    let trouble = tokio::spawn(trouble(nodes, over.clone()));
    let (next, http, started) = (AtomicU64::new(0), reqwest::Client::new(), Instant::now());
    futures_util::future::join_all((0..16).map(|_| async {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= DEATHS {
                break;
            }
            post(&http, &at, &token, n, &body(n)).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }))
    .await;
    let posted = started.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    let (nodes, kills, freezes) = trouble.await.unwrap();
    let count = async |c: &mut sqlx::PgConnection, sql: &'static str| -> i64 {
        sqlx::query_scalar(sql).fetch_one(c).await.unwrap()
    };
    let open = "SELECT COUNT(*) FROM delivery WHERE step = 0 AND state <> 'done' AND alert_id IN (SELECT id FROM alert)";
    let waited = Instant::now();
    while count(&mut c, open).await > 0 && waited.elapsed() < Duration::from_secs(300) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let firsts: Vec<sqlx::types::Uuid> = sqlx::query_scalar(
        "SELECT id FROM delivery WHERE step = 0 AND alert_id IN (SELECT id FROM alert)",
    )
    .fetch_all(&mut c)
    .await
    .unwrap();
    let taken = partners.0.lock().unwrap().clone();
    let missing = firsts.iter().filter(|id| !taken.contains_key(&id.to_string())).count();
    let repeats: u64 = taken.values().map(|n| n - 1).sum();
    let expired = count(&mut c, "SELECT COUNT(*) FROM witness WHERE what = 'expired'").await;
    let stale = count(&mut c, "SELECT COUNT(*) FROM witness WHERE what = 'stale'").await;
    let twice = "SELECT COUNT(*) FROM (SELECT 1 FROM attempt WHERE state = 'done' GROUP BY delivery_id HAVING COUNT(*) > 1) t";
    let twice = count(&mut c, twice).await;
    let cases = count(&mut c, "SELECT COUNT(*) FROM cases").await;
    println!(
        "F7 five nodes, {cases} deaths, {} first messages posted in {posted:.0} s, {kills} kills and {freezes} freezes of {} s: {missing} not delivered, {repeats} repeats, {expired} leases ran out, {stale} writes over a delivered message, {twice} recorded as delivered twice",
        firsts.len(),
        FROZEN.as_secs(),
    );
    assert_eq!((cases, firsts.len()), (DEATHS as i64, DEATHS as usize * AGENCIES));
    assert_eq!((missing, stale, twice), (0, 0, 0));
    assert!(repeats <= expired as u64, "more repeats than leases that ran out");
    drop(nodes);
}
