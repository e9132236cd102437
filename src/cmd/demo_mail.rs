//! A mail catcher for the demo: enough SMTP to take a message from our own mailer, on loopback.

use crate::platform::clock::SharedClock;
use crate::web::DemoBox;
use crate::web::demo::{Caught, links_in};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Takes mail for as long as the process lives.
pub(super) async fn catch(listener: TcpListener, demo: Arc<DemoBox>, clock: SharedClock) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let (demo, clock) = (demo.clone(), clock.clone());
            tokio::spawn(async move {
                // A client that breaks off has nothing left to be told.
                let _ = talk(stream, &demo, &clock).await;
            });
        }
    }
}

async fn talk(stream: TcpStream, demo: &DemoBox, clock: &SharedClock) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut to = Vec::new();
    write.write_all(b"220 demo mail catcher\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let word = line.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
        let reply: &[u8] = match word.as_str() {
            "EHLO" => b"250-demo\r\n250 8BITMIME\r\n",
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or("").to_owned();
                to.push(address);
                b"250 ok\r\n"
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while let Some(l) = lines.next_line().await? {
                    if l == "." {
                        break;
                    }
                    text.push_str(l.strip_prefix('.').unwrap_or(&l));
                    text.push('\n');
                }
                demo.add(caught(&text, to.join(", "), clock));
                to.clear();
                b"250 caught\r\n"
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            "RSET" => {
                to.clear();
                b"250 ok\r\n"
            }
            "HELO" | "MAIL" | "NOOP" => b"250 ok\r\n",
            _ => b"502 not here\r\n",
        };
        write.write_all(reply).await?;
    }
    Ok(())
}

fn caught(raw: &str, to: String, clock: &SharedClock) -> Caught {
    let (head, text) = raw.split_once("\n\n").unwrap_or((raw, ""));
    let mut headers = BTreeMap::new();
    let mut last = String::new();
    for line in head.lines() {
        if line.starts_with([' ', '\t']) {
            if let Some(v) = headers.get_mut(&last) {
                *v = format!("{v} {}", line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            last = name.to_ascii_lowercase();
            headers.insert(last.clone(), value.trim().to_owned());
        }
    }
    // As a mail program would show it: links whole, no soft line breaks.
    let coded = headers
        .get("content-transfer-encoding")
        .is_some_and(|v: &String| v.eq_ignore_ascii_case("quoted-printable"));
    let decoded = coded
        .then(|| quoted_printable::decode(text, quoted_printable::ParseMode::Robust).ok())
        .flatten()
        .map(|b| String::from_utf8_lossy(&b).replace("\r\n", "\n"));
    let text = decoded.as_deref().unwrap_or(text);
    Caught {
        channel: "email",
        to,
        at: clock.now(),
        subject: headers.get("subject").cloned().unwrap_or_default(),
        links: links_in(text),
        text: text.to_owned(),
        headers,
        message_id: None,
    }
}
