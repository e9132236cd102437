//! Partners' systems that break in every way a network can, on real sockets: each is tried again,
//! nobody else waits for it, and the ladder moves on.

use crate::story::*;
use crate::support::{SECRET, on_both, triggering, until};
use child_death_review::config::Config;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// An agency with a system at `url` and, once that fails, a telephone.
fn agency(id: &str, url: &str, telephone: &str) -> String {
    format!(
        "[[agency]]\nid = \"{id}\"\nname = \"The {id}\"\nring = \"01632 960150\"\ntold_of = [\"jar_triggered\"]\n[[agency.contact]]\nid = \"system\"\nchannel = \"webhook\"\naddress = \"{url}\"\nsecret = \"{SECRET}\"\n[[agency.contact]]\nid = \"desk\"\nchannel = \"landline\"\naddress = \"{telephone}\"\n"
    )
}

/// A receiver that speaks HTTP by hand, so that it can break off anywhere.
#[derive(Clone, Default)]
struct ByHand {
    port: u16,
    /// Answers as it should from now on.
    well: Arc<AtomicBool>,
    /// Takes connections, reads, and never answers.
    hole: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    ids: Arc<Mutex<Vec<String>>>,
}

impl ByHand {
    async fn start() -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn at(listener: TcpListener) -> Self {
        let me = Self { port: listener.local_addr().unwrap().port(), ..Self::default() };
        let mine = me.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mine = mine.clone();
                // A caller that hangs up is none of its business.
                tokio::spawn(async move { mine.talk(stream).await });
            }
        });
        me
    }

    async fn hole() -> Self {
        let me = Self::start().await;
        me.hole.store(true, Ordering::SeqCst);
        me
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    async fn talk(&self, mut stream: TcpStream) -> std::io::Result<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if !self.well.load(Ordering::SeqCst) && !self.hole.load(Ordering::SeqCst) {
            // Half a status line; what was not read turns the close into a reset.
            stream.read_u8().await?;
            stream.write_all(b"HTTP/1.1 20").await?;
            return Ok(());
        }
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        loop {
            let n = stream.read(&mut part).await?;
            if n == 0 {
                return Ok(());
            }
            all.extend_from_slice(&part[..n]);
            let text = String::from_utf8_lossy(&all).to_ascii_lowercase();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let of = |name: &str| {
                let line = head.lines().find_map(|l| l.strip_prefix(name));
                line.map(|l| l.trim().to_owned()).unwrap_or_default()
            };
            if body.len() < of("content-length:").parse().unwrap() {
                continue;
            }
            if !self.well.load(Ordering::SeqCst) {
                all.clear();
                continue;
            }
            self.ids.lock().unwrap().push(of("webhook-id:"));
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await?;
            return stream.shutdown().await;
        }
    }
}

/// A receiver whose certificate nobody signed; how many shook hands with it to the end.
async fn self_signed(dir: &Path) -> (u16, Arc<AtomicUsize>) {
    let (cert, key) = (dir.join("bad-cert.pem"), dir.join("bad-key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args([
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&cert)
        .output()
        .unwrap();
    assert!(made.status.success());
    let chain = CertificateDer::pem_file_iter(&cert).unwrap().map(Result::unwrap).collect();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(&key).unwrap())
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let read = Arc::new(AtomicUsize::new(0));
    let counted = read.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (tls, counted) = (tls.clone(), counted.clone());
            tokio::spawn(async move {
                if let Ok(mut s) = tls.accept(stream).await
                    && s.read_u8().await.is_ok()
                {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    (port, read)
}

/// Attempts at an agency's system whose outcome is one of these.
async fn attempts(story: &Story, agency: &str, outcomes: &str) -> i64 {
    let sql = format!(
        "SELECT COUNT(*) FROM attempt t JOIN delivery d ON d.id = t.delivery_id WHERE d.lane LIKE 'northshire/{agency}/%' AND d.channel = 'webhook' AND t.outcome IN ({outcomes})"
    );
    story.look.number(&sql).await
}

const BROKEN: [(&str, &str, &str); 5] = [
    ("reset", "01632 960151", "'the connection broke'"),
    ("forger", "01632 960152", "'no connection'"),
    // How soon a name is known to be nobody's is up to the machine.
    ("nameless", "01632 960153", "'no connection', 'no answer in time'"),
    ("hole", "01632 960154", "'no answer in time'"),
    ("refused", "01632 960155", "'no connection'"),
];

on_both! {
    async fn whatever_breaks_is_tried_again_the_telephone_rings_at_its_time_and_everybody_else_has_theirs(db: Db) {
        let reset = ByHand::start().await;
        let hole = ByHand::hole().await;
        let (tls, read) = self_signed(db.dir.path()).await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let urls = [
            reset.url(),
            format!("https://localhost:{tls}/hook"),
            "http://no-such-host.invalid/hook".to_owned(),
            hole.url(),
            format!("http://127.0.0.1:{closed}/hook"),
        ];
        let more: String = BROKEN.iter().zip(&urls).map(|((id, tel, _), url)| agency(id, url, tel)).collect();
        let mut story = Story::with(db, |_| {}, &more).await;
        story.notify(triggering()).await;
        story.expect_first_messages().await;
        for (id, _, outcomes) in BROKEN {
            assert_eq!(attempts(&story, id, outcomes).await, 1, "{id}");
        }
        story.expect_nothing_more().await;
        story.forward(seconds(6)).await;
        for (id, _, outcomes) in BROKEN {
            assert_eq!(attempts(&story, id, outcomes).await, 2, "{id} is tried again");
        }
        story.expect_nothing_more().await;
        assert_eq!(read.load(Ordering::SeqCst), 0, "nothing was said to whom nobody vouches for");
        let (_, t) = story.get(&format!("/api/v1/cases/{}/timeline", story.case())).await;
        assert!(t.to_string().contains("The reset: webhook attempt 2 did not go through: the connection broke."), "{t}");
        // They come back, and get the message that they missed, once.
        let refused = ByHand::at(TcpListener::bind(("127.0.0.1", closed)).await.unwrap());
        for r in [&reset, &hole, &refused] {
            r.well.store(true, Ordering::SeqCst);
        }
        let nobodys = attempts(&story, "nameless", BROKEN[2].2).await;
        story.forward(seconds(17)).await;
        assert!(attempts(&story, "nameless", BROKEN[2].2).await > nobodys, "tried on and on");
        for (id, r) in [("reset", &reset), ("hole", &hole), ("refused", &refused)] {
            assert_eq!(attempts(&story, id, "'accepted'").await, 1, "{id}");
            assert_eq!(r.ids.lock().unwrap().len(), 1, "{id}");
        }
        assert!(reset.calls.load(Ordering::SeqCst) >= 3);
        // Nobody has answered: three minutes after the start every telephone rings, also of those
        // whose systems work again.
        story.forward(seconds(180 - 6 - 17)).await;
        story.expect_rung("police", 1).await;
        story.expect_rung("social_care", 1).await;
        for (id, telephone, _) in BROKEN {
            story.expect_call(id, telephone).await;
        }
        story.expect_nothing_more().await;
        let call = story.last_call(BROKEN[2].1).clone();
        assert_eq!(story.press(&call, "1").await, 200);
        let s = story.state(&story.case()).await;
        assert_eq!(s.alerts.values().filter(|a| a.progress.is_unanswered()).count(), 6);
        story.finish().await;
    }

    async fn while_a_system_says_nothing_at_all_all_others_are_told(db: Db) {
        let hole = ByHand::hole().await;
        let change = |c: &mut Config| {
            // It says nothing for as long as the test takes.
            c.webhooks.timeout_seconds = 300;
            c.dispatch.lease_seconds = 900;
        };
        let mut story = Story::with(db, change, &agency("hole", &hole.url(), "01632 960154")).await;
        // More than may be on their way to it at once.
        for _ in 0..20 {
            story.notify(triggering()).await;
        }
        let open = "SELECT COUNT(*) FROM delivery WHERE state <> 'done'";
        until("only the hole's are open", || async { story.look.number(open).await == 20 }).await;
        let not_its = "SELECT COUNT(*) FROM delivery WHERE state <> 'done' AND lane NOT LIKE '%/hole/%'";
        assert_eq!(story.look.number(not_its).await, 0);
        assert_eq!(story.sink.got("police").len(), 20);
        until("it was called", || async { hole.calls.load(Ordering::SeqCst) > 0 }).await;
        assert!(hole.ids.lock().unwrap().is_empty());
        story.nodes[0].kill().await;
        story.strict = false;
    }
}
