//! F15: 10,000 connections that say nothing, 300 that dribble their headers, 300 their bodies, and
//! honest people beside them.

use super::{Program, memory, percentile, read_message};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const IDLE: usize = 10_000;
const SLOW: usize = 300;

async fn connect(from: u8, port: u16) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from(([127, 0, 0, from], 0)))?;
    socket.connect(SocketAddr::from(([127, 0, 0, 1], port))).await
}

/// Notifications, each on a connection of its own, from connecting to the answer: milliseconds.
async fn honest(p: &Program, seconds: u64, body: fn(u64) -> Vec<u8>, from: u64) -> Vec<f64> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let all = Mutex::new(Vec::new());
    futures_util::future::join_all((0..4).map(|w| {
        let all = &all;
        async move {
            let mut n = from + w * 10_000;
            while Instant::now() < end {
                n += 1;
                let body = body(n);
                let head = format!(
                    "POST /api/v1/notifications HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    p.token,
                    body.len()
                );
                let at = Instant::now();
                let mut stream = connect(1, p.port).await.unwrap();
                stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
                let (head, _) = read_message(&mut stream, &mut Vec::new()).await.expect("answered");
                assert!(head.starts_with("HTTP/1.1 201"), "{head}");
                all.lock().unwrap().push(at.elapsed().as_secs_f64() * 1e3);
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
    }))
    .await;
    let mut ms = all.into_inner().unwrap();
    ms.sort_by(f64::total_cmp);
    ms
}

/// Says nothing; comes again ten seconds after it was sent away.
async fn say_nothing(from: u8, port: u16, open: Arc<AtomicUsize>, over: Arc<AtomicBool>) {
    while !over.load(Ordering::Relaxed) {
        if let Ok(mut s) = connect(from, port).await {
            open.fetch_add(1, Ordering::Relaxed);
            let _ = s.read(&mut [0; 64]).await;
            open.fetch_sub(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}

/// Begins with `head` and then says `more` each second; the seconds until it was cut off.
async fn dribble(from: u8, port: u16, head: String, more: &'static [u8]) -> f64 {
    let mut s = connect(from, port).await.unwrap();
    let at = Instant::now();
    let _ = s.write_all(head.as_bytes()).await;
    let (mut answers, mut sends) = s.into_split();
    let says = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if sends.write_all(more).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let mut all = Vec::new();
    tokio::select! {
        _ = answers.read_to_end(&mut all) => {}
        () = says => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => {}
    }
    at.elapsed().as_secs_f64()
}

pub async fn clients(p: &mut Program, body: fn(u64) -> Vec<u8>) {
    p.serve();
    honest(p, 2, body, 0).await;
    let before = honest(p, 10, body, 100_000).await;
    let usual = memory(p.pid(), "VmHWM");
    let (open, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut silent = Vec::new();
    for n in 0..IDLE {
        let from = 2 + u8::try_from(n % 100).unwrap();
        silent.push(tokio::spawn(say_nothing(from, p.port, open.clone(), over.clone())));
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let mut slow = Vec::new();
    for n in 0..2 * SLOW {
        let from = 110 + u8::try_from(n % 100).unwrap();
        let line = "POST /api/v1/notifications HTTP/1.1\r\nhost: x\r\n";
        let (head, more): (String, &[u8]) = if n % 2 == 0 {
            (line.into(), b"a: b\r\n")
        } else {
            let who = format!("authorization: Bearer {}\r\ncontent-length: 5000\r\n\r\n", p.token);
            (format!("{line}{who}"), b" ")
        };
        slow.push(tokio::spawn(dribble(from, p.port, head, more)));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let at_once = open.load(Ordering::Relaxed);
    let during = honest(p, 20, body, 200_000).await;
    let mut longest = 0.0_f64;
    for s in slow {
        longest = longest.max(s.await.unwrap());
    }
    over.store(true, Ordering::Relaxed);
    silent.iter().for_each(tokio::task::JoinHandle::abort);
    let (a, b) = (percentile(&before, 0.99), percentile(&during, 0.99));
    println!(
        "F15 {IDLE} silent connections ({at_once} open at once), {SLOW} slow headers, {SLOW} slow bodies: honest p50 {:.2} -> {:.2} ms, p99 {a:.2} -> {b:.2} ms, {:.2} times (target 2); the slow are cut off after {longest:.1} s at most (15); peak {usual:.0} -> {:.0} MiB (150)",
        percentile(&before, 0.5),
        percentile(&during, 0.5),
        b / a,
        memory(p.pid(), "VmHWM"),
    );
    p.stop();
}
