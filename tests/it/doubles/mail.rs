//! A mail server in the process: enough SMTP to take what our mailer sends, whatever the hour.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A mail taken.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: String,
    /// Head and body as they came.
    pub text: String,
}

/// Never answered, the connection kept.
pub const SILENCE: &str = "silence";

/// Addresses and the reply they get instead of a yes, such as `550 no such mailbox`.
type Moods = Vec<(String, String)>;

#[derive(Clone)]
pub struct MailDouble {
    pub port: u16,
    got: Arc<Mutex<Vec<Mail>>>,
    moods: Arc<Mutex<Moods>>,
    /// Commands and the reply each gets instead of a yes; `*` is any, and the greeting.
    commands: Arc<Mutex<Moods>>,
    /// What goes before the greeting; none: nobody is ever greeted.
    greets_after: Arc<Mutex<Option<Duration>>>,
}

impl MailDouble {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let double = Self {
            port,
            got: Arc::default(),
            moods: Arc::default(),
            commands: Arc::default(),
            greets_after: Arc::new(Mutex::new(Some(Duration::ZERO))),
        };
        let me = double.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let me = me.clone();
                // A client that breaks off has nothing left to be told.
                tokio::spawn(async move { me.talk(stream).await });
            }
        });
        double
    }

    pub fn got_from(&self, n: usize) -> Vec<Mail> {
        self.got.lock().unwrap()[n..].to_vec()
    }

    /// How mail to an address is answered from now on; empty: taken again.
    pub fn set(&self, to: &str, reply: &str) {
        let mut moods = self.moods.lock().unwrap();
        moods.retain(|(a, _)| a != to);
        if !reply.is_empty() {
            moods.push((to.to_owned(), reply.to_owned()));
        }
    }

    /// How a command (`AUTH`, `MAIL`, …; `*`: every one, and the greeting) is answered from now on;
    /// empty: as it should be.
    pub fn answer(&self, command: &str, reply: &str) {
        let mut commands = self.commands.lock().unwrap();
        commands.retain(|(c, _)| c != command);
        if !reply.is_empty() {
            commands.push((command.to_owned(), reply.to_owned()));
        }
    }

    fn refusal_of(&self, command: &str) -> Option<String> {
        let commands = self.commands.lock().unwrap();
        commands.iter().find(|(c, _)| c == command || c == "*").map(|(_, r)| r.clone())
    }

    /// How long it thinks before it greets; none: it takes connections and says nothing.
    pub fn greet_after(&self, wait: Option<Duration>) {
        *self.greets_after.lock().unwrap() = wait;
    }

    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut to = Vec::new();
        let greets_after = *self.greets_after.lock().unwrap();
        match greets_after {
            Some(wait) => tokio::time::sleep(wait).await,
            // Held until the client hangs up.
            None => while lines.next_line().await?.is_some() {},
        }
        let greeting = self.refusal_of("").unwrap_or_else(|| "220 double".to_owned());
        write.write_all(format!("{greeting}\r\n").as_bytes()).await?;
        while let Some(line) = lines.next_line().await? {
            let word = line.split_whitespace().next().unwrap_or("").to_ascii_uppercase();
            if let Some(refusal) = self.refusal_of(&word).filter(|_| word != "QUIT") {
                write.write_all(format!("{refusal}\r\n").as_bytes()).await?;
                continue;
            }
            let reply = match word.as_str() {
                "EHLO" => "250-double\r\n250-AUTH PLAIN\r\n250 8BITMIME".to_owned(),
                "AUTH" => "235 known".to_owned(),
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or("").to_owned();
                    let moods = self.moods.lock().unwrap();
                    let mood = moods.iter().find(|(a, _)| *a == address).map(|(_, r)| r.clone());
                    to.push(address);
                    mood.unwrap_or_else(|| "250 ok".to_owned())
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
                    self.got.lock().unwrap().push(Mail { to: to.join(", "), text });
                    to.clear();
                    "250 taken".to_owned()
                }
                "QUIT" => {
                    write.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                "RSET" => {
                    to.clear();
                    "250 ok".to_owned()
                }
                "HELO" | "MAIL" | "NOOP" => "250 ok".to_owned(),
                _ => "502 not here".to_owned(),
            };
            if reply == SILENCE {
                while lines.next_line().await?.is_some() {}
                return Ok(());
            }
            write.write_all(reply.as_bytes()).await?;
            write.write_all(b"\r\n").await?;
        }
        Ok(())
    }
}
