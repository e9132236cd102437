//! What the load bench needs: a light client, light receivers, and the real program.

pub mod denied;
pub mod nodes;
pub mod people;
pub mod slow;

use base64::Engine;
use child_death_review::alerts::signature;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

pub const AGENCIES: usize = 5;
const SECRET: &[u8] = b"a-bench-secret-of-32-bytes-long!";

/// Receivers that check every signature and remember ids and arrival times.
#[derive(Clone, Default)]
pub struct Sink {
    pub received: Arc<AtomicU64>,
    pub bad: Arc<AtomicU64>,
    pub seen: Arc<Mutex<HashMap<String, u32>>>,
    pub arrivals: Arc<Mutex<Vec<(String, Instant)>>>,
    pub ports: Vec<u16>,
    /// What the first receiver does; the others always answer.
    pub first: Arc<AtomicU8>,
}

/// The first receiver answers as the others do.
pub const WELL: u8 = 0;
/// It takes the message and says nothing.
pub const HANGS: u8 = 1;
/// It is out of order.
pub const FAILS: u8 = 2;
/// It hangs up before it has read anything.
pub const HANGS_UP: u8 = 3;

impl Sink {
    pub async fn start() -> Self {
        let mut sink = Self::default();
        for i in 0..AGENCIES {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sink.ports.push(listener.local_addr().unwrap().port());
            let s = sink.clone();
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let s = s.clone();
                    tokio::spawn(async move { s.talk(stream, i == 0).await });
                }
            });
        }
        sink
    }

    async fn talk(&self, mut stream: TcpStream, is_first: bool) {
        let mood = || if is_first { self.first.load(Ordering::Relaxed) } else { WELL };
        if mood() == HANGS_UP {
            return;
        }
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        while let Some((head, body)) = read_message(&mut stream, &mut buffer).await {
            let at = Instant::now();
            match mood() {
                HANGS => std::future::pending::<()>().await,
                FAILS => {
                    let answer = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                    continue;
                }
                HANGS_UP => return,
                _ => {}
            }
            let header = |name: &str| {
                head.lines()
                    .find_map(|l| {
                        let (n, v) = l.split_once(": ")?;
                        n.eq_ignore_ascii_case(name).then(|| v.to_owned())
                    })
                    .unwrap_or_default()
            };
            let id = header("webhook-id");
            let time: i64 = header("webhook-timestamp").parse().unwrap_or(0);
            if header("webhook-signature") != signature(&[SECRET.to_vec()], &id, time, &body) {
                self.bad.fetch_add(1, Ordering::Relaxed);
            }
            let text = String::from_utf8_lossy(&body);
            let reference = text
                .split("\"subject\":\"")
                .nth(1)
                .and_then(|t| t.split('"').next())
                .unwrap_or("")
                .to_owned();
            *self.seen.lock().unwrap().entry(id).or_default() += 1;
            self.arrivals.lock().unwrap().push((reference, at));
            self.received.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                return;
            }
        }
    }

    pub async fn wait_for(&self, n: u64, most: Duration) -> bool {
        let started = Instant::now();
        while self.received.load(Ordering::Relaxed) < n {
            if started.elapsed() > most {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        true
    }

    pub fn reset(&self) {
        self.received.store(0, Ordering::Relaxed);
        self.seen.lock().unwrap().clear();
        self.arrivals.lock().unwrap().clear();
    }

    pub fn unique(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// One HTTP/1.1 message with a content length.
async fn read_message(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    let mut chunk = [0_u8; 16 * 1024];
    loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let length: usize = head
                .lines()
                .find_map(|l| {
                    let (n, v) = l.split_once(':')?;
                    n.eq_ignore_ascii_case("content-length").then(|| v.trim().parse().ok())?
                })
                .unwrap_or(0);
            let total = end + 4 + length;
            while buffer.len() < total {
                let n = stream.read(&mut chunk).await.ok()?;
                if n == 0 {
                    return None;
                }
                buffer.extend_from_slice(&chunk[..n]);
            }
            let body = buffer[end + 4..total].to_vec();
            buffer.drain(..total);
            return Some((head, body));
        }
        let n = stream.read(&mut chunk).await.ok()?;
        if n == 0 {
            return None;
        }
        buffer.extend_from_slice(&chunk[..n]);
    }
}

/// A kept connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The header that says who calls.
    who: String,
}

impl Client {
    pub async fn connect(port: u16, token: &str) -> Self {
        Self::connect_from(1, port, token).await
    }

    /// From another address of this machine.
    pub async fn connect_from(from: u8, port: u16, token: &str) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, from], 0).into()).unwrap();
        let stream = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new(), who: format!("authorization: Bearer {token}") }
    }

    /// Signs in by the page, as somebody with that password.
    pub async fn sign_in(port: u16, email: &str, password: &str) -> Self {
        let mut c = Self::connect(port, "").await;
        let form = format!("email={email}&password={password}");
        let (head, _) = c.exchange("POST", "/sign-in", form.as_bytes()).await;
        let set = head.lines().filter_map(|l| l.split_once(": "));
        let mut set = set.filter(|(n, _)| n.eq_ignore_ascii_case("set-cookie"));
        let (_, cookie) = set.find(|(_, v)| v.starts_with("cdr_session=")).expect("signed in");
        c.who = format!("cookie: {}", cookie.split(';').next().unwrap());
        c
    }

    pub async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let (head, body) = self.exchange(method, path, body).await;
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, body)
    }

    async fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> (String, Vec<u8>) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.who,
            body.len()
        );
        let mut all = head.into_bytes();
        all.extend_from_slice(body);
        self.stream.write_all(&all).await.unwrap();
        read_message(&mut self.stream, &mut self.buffer).await.unwrap()
    }
}

/// The program with its own database and five receivers.
pub struct Program {
    pub dir: tempfile::TempDir,
    pub token: String,
    pub port: u16,
    child: Option<Child>,
}

impl Program {
    pub fn new(database: Option<String>, sink: &Sink, every_death: bool) -> Self {
        Self::with_agencies(database, sink, every_death, AGENCIES)
    }

    /// The same with so many agencies, which share the receivers.
    pub fn with_agencies(
        database: Option<String>,
        sink: &Sink,
        every_death: bool,
        agencies: usize,
    ) -> Self {
        Self::towards(database, &sink.ports, every_death, agencies)
    }

    /// The same with receivers at these ports.
    pub fn towards(
        database: Option<String>,
        ports: &[u16],
        every_death: bool,
        agencies: usize,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = database
            .unwrap_or_else(|| format!("sqlite://{}", dir.path().join("bench.sqlite").display()));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let secret = base64::engine::general_purpose::STANDARD.encode(SECRET);
        let mut area =
            String::from("id = \"bench\"\nname = \"Bench\"\ncall_back = \"01632 960100\"\n");
        let also = if every_death { ", \"death_notified\"" } else { "" };
        for (i, p) in ports.iter().cycle().take(agencies).enumerate() {
            area.push_str(&format!(
                "[[agency]]\nid = \"agency{i}\"\nname = \"Agency {i}\"\nring = \"01632 960101\"\ntold_of = [\"jar_triggered\", \"jar_provisional\"{also}]\n[[agency.contact]]\nid = \"hook\"\nchannel = \"webhook\"\naddress = \"http://127.0.0.1:{p}/hook\"\nsecret = \"whsec_{secret}\"\n"
            ));
        }
        let area_file = dir.path().join("area.toml");
        std::fs::write(&area_file, area).unwrap();
        let key =
            base64::engine::general_purpose::STANDARD.encode(*b"0123456789abcdef0123456789ABCDEF");
        std::fs::write(
            dir.path().join("cdr.toml"),
            format!(
                "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\n[database]\nurl = \"{database}\"\n[crypt]\nmaster_key = \"bench:{key}\"\n[areas]\nfiles = [\"{}\"]\n[webhooks]\nallow_private_targets = true\n[watch]\ntonight_at = \"23:59:59\"\ntest_at = \"23:59:59\"\n[duplicates]\non_arrival = \"off\"\n[log]\nlevel = \"error\"\n",
                area_file.display()
            ),
        )
        .unwrap();
        let mut me = Self { dir, token: String::new(), port, child: None };
        me.token = me.run(&[
            "token",
            "add",
            "--name",
            "bench",
            "--scopes",
            "notify,read,write,export,metrics,acknowledge",
        ]);
        me
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_cdr"));
        c.arg("--config").arg(self.config()).args(args);
        c
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("cdr.toml")
    }

    pub fn run(&self, args: &[&str]) -> String {
        let out = self.command(args).output().unwrap();
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Adds settings to the configuration.
    pub fn configure(&self, more: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        std::fs::write(self.config(), format!("{text}{more}")).unwrap();
    }

    /// Adds an account.
    pub fn add_user(&self, email: &str, role: &str, password: &str) {
        self.add_user_of("bench", email, role, password);
    }

    /// Adds an account of an area.
    pub fn add_user_of(&self, area: &str, email: &str, role: &str, password: &str) {
        let args =
            ["user", "add", "--email", email, "--name", "Bench", "--role", role, "--area", area];
        let out = self.command(&args).env("CDR_PASSWORD", password).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Runs a command and returns seconds and peak resident MiB.
    pub fn measured(&self, args: &[&str]) -> (f64, f64) {
        let started = Instant::now();
        let mut child = self.command(args).stdout(Stdio::null()).spawn().unwrap();
        let mut peak = 0.0_f64;
        loop {
            peak = peak.max(memory(child.id(), "VmHWM"));
            if let Some(status) = child.try_wait().unwrap() {
                assert!(status.success());
                return (started.elapsed().as_secs_f64(), peak);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Other settings instead of these.
    pub fn replace(&self, these: &str, other: &str) {
        let text = std::fs::read_to_string(self.config()).unwrap();
        assert!(text.contains(these));
        std::fs::write(self.config(), text.replace(these, other)).unwrap();
    }

    /// Second reports are looked for as they come, as they are unless it is switched off.
    pub fn look_for_second_reports(&self) {
        self.replace("on_arrival = \"off\"", "on_arrival = \"attach\"");
    }

    /// Starts serving; milliseconds from the start of the process until it is ready.
    pub fn serve(&mut self) -> f64 {
        let started = Instant::now();
        self.child = Some(self.command(&["serve"]).stderr(Stdio::inherit()).spawn().unwrap());
        loop {
            if ready(self.port) {
                return started.elapsed().as_secs_f64() * 1e3;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "not ready");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Makes `times` copies of every message that is due, behind the program's back.
    pub async fn multiply_deliveries(&self, times: u32) {
        use sqlx::{Connection, Executor};
        let text = std::fs::read_to_string(self.config()).unwrap();
        let url =
            text.lines().find_map(|l| l.strip_prefix("url = \"")).unwrap().trim_end_matches('"');
        let sql = |id: &str| {
            format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) INSERT INTO delivery (id, alert_id, lane, channel, address, urgent, state, next_at, created_at, step) SELECT {id}, alert_id, lane, channel, address, urgent, 'due', next_at, created_at, step FROM delivery, n WHERE state = 'due'"
            )
        };
        if url.starts_with("sqlite") {
            let mut c = sqlx::SqliteConnection::connect(url).await.unwrap();
            c.execute(sqlx::AssertSqlSafe(sql("randomblob(16)"))).await.unwrap();
        } else {
            let mut c = sqlx::PgConnection::connect(url).await.unwrap();
            c.execute(sqlx::AssertSqlSafe(sql("gen_random_uuid()"))).await.unwrap();
        }
    }

    pub fn stop(&mut self) {
        if let Some(mut c) = self.child.take() {
            let _ = Command::new("kill").arg(c.id().to_string()).status();
            let _ = c.wait();
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

fn ready(port: u16) -> bool {
    use std::io::{Read, Write};
    let Ok(mut s) = std::net::TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = s.write_all(b"GET /health/ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let mut text = String::new();
    let _ = s.read_to_string(&mut text);
    text.starts_with("HTTP/1.1 200")
}

/// A figure of `/proc/PID/status` in MiB.
pub fn memory(pid: u32, field: &str) -> f64 {
    let text = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    text.ok()
        .and_then(|t| {
            let line = t.lines().find(|l| l.starts_with(field))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok()
        })
        .map_or(0.0, |kib| kib / 1024.0)
}

/// Percentile of a sorted list.
pub fn percentile(sorted: &[f64], p: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    sorted[((sorted.len() - 1) as f64 * p).round() as usize]
}
