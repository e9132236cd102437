//! Conversations with one mail server over a few kept connections. Held step by step, because what
//! a refusal means depends on what was refused: the same 550 says at one step that a mailbox is
//! gone, and at another that our network is blocked.

use lettre::address::{Address, Envelope};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailBodyParameter, MailParameter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A kept connection that lay idle for longer is closed: servers end them after some minutes.
const IDLE: Duration = Duration::from_mins(1);

/// How connections are encrypted.
pub(super) enum Encryption {
    /// From the first byte on.
    Wrapper(TlsParameters),
    /// By STARTTLS, or not at all.
    StartTls(TlsParameters),
    None,
}

/// What the server had just been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To talk to us: connection, encryption, our name and password.
    Session,
    /// To take mail from our sender.
    Sender,
    /// To take mail for this recipient.
    Recipient,
    /// To take this mail.
    Content,
}

/// A mail server.
pub(super) struct Smtp {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    pub credentials: Option<Credentials>,
    pub timeout: Duration,
    /// Connections kept for the next mail at most.
    pub keep: usize,
    pub kept: Arc<Mutex<Kept>>,
}

/// Connections that wait for the next mail.
#[derive(Default)]
pub(super) struct Kept {
    idle: Vec<(AsyncSmtpConnection, Instant)>,
    is_swept: bool,
}

impl Smtp {
    /// Hands over one mail.
    ///
    /// # Errors
    /// What the server said no to, and its words.
    pub(super) async fn send(&self, envelope: &Envelope, mail: &[u8]) -> Result<(), (Step, Error)> {
        let mut conn = self.connection().await.map_err(|e| (Step::Session, e))?;
        match hand_over(&mut conn, envelope, mail).await {
            Ok(()) => {
                self.keep(conn);
                Ok(())
            }
            Err(e) => {
                // A server that breaks off in the middle may not hear our goodbye either.
                tokio::spawn(async move { tokio::time::timeout(IDLE, conn.abort()).await });
                Err(e)
            }
        }
    }

    async fn connection(&self) -> Result<AsyncSmtpConnection, Error> {
        while let Some(mut kept) = self.take() {
            if kept.test_connected().await {
                return Ok(kept);
            }
        }
        let name = ClientId::default();
        let server = (self.host.as_str(), self.port);
        let wrapper = match &self.encryption {
            Encryption::Wrapper(tls) => Some(tls.clone()),
            Encryption::StartTls(_) | Encryption::None => None,
        };
        let limit = Some(self.timeout);
        let mut conn =
            AsyncSmtpConnection::connect_tokio1(server, limit, &name, wrapper, None).await?;
        if let Encryption::StartTls(tls) = &self.encryption {
            conn.starttls(tls.clone(), &name).await?;
        }
        if let Some(credentials) = &self.credentials {
            conn.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(conn)
    }

    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.idle.retain(|(_, since)| since.elapsed() < IDLE);
        kept.idle.pop().map(|(conn, _)| conn)
    }

    fn keep(&self, conn: AsyncSmtpConnection) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.idle.len() >= self.keep {
            return;
        }
        kept.idle.push((conn, Instant::now()));
        if !kept.is_swept {
            kept.is_swept = true;
            tokio::spawn(sweep(self.kept.clone()));
        }
    }
}

/// Closes what nobody needs any more, until nothing is left.
async fn sweep(all: Arc<Mutex<Kept>>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let mut kept = all.lock().unwrap_or_else(PoisonError::into_inner);
        kept.idle.retain(|(_, since)| since.elapsed() < IDLE);
        if kept.idle.is_empty() {
            kept.is_swept = false;
            return;
        }
    }
}

async fn hand_over(
    conn: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    mail: &[u8],
) -> Result<(), (Step, Error)> {
    let mut options = Vec::new();
    let is_plain = |a: &Address| AsRef::<str>::as_ref(a).is_ascii();
    if !envelope.to().iter().chain(envelope.from()).all(is_plain) {
        options.push(MailParameter::SmtpUtfEight);
    }
    if !mail.is_ascii() {
        options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
    }
    let sender = Mail::new(envelope.from().cloned(), options);
    conn.command(sender).await.map_err(|e| (Step::Sender, e))?;
    for to in envelope.to() {
        let recipient = Rcpt::new(to.clone(), Vec::new());
        conn.command(recipient).await.map_err(|e| (Step::Recipient, e))?;
    }
    conn.command(Data).await.map_err(|e| (Step::Content, e))?;
    conn.message(mail).await.map_err(|e| (Step::Content, e))?;
    Ok(())
}

/// Whether a refusal for good is about the mailbox, and not about us or what we send. In doubt it
/// is not: that a mailbox is gone takes it out of every plan, so a block of our own sender must
/// never pass for that.
pub(super) fn is_about_the_recipient(step: Step, code: u16, said: &str) -> bool {
    if !matches!(step, Step::Recipient | Step::Content) || !(500..=599).contains(&code) {
        return false;
    }
    match enhanced(said) {
        // RFC 3463: no such mailbox, no such system, not an address, ambiguous, moved, a domain
        // that takes no mail (RFC 7505); a mailbox that is closed. 5.1.7 and 5.1.8 are about the
        // sender, 5.7 about what is allowed.
        Some((1, 1 | 2 | 3 | 4 | 6 | 10) | (2, 1)) => true,
        Some((1, 0)) => step == Step::Recipient,
        Some(_) => false,
        // RFC 5321 alone: unavailable, not local, not allowed as a name. Some servers say so too
        // when they do not relay for us; their words can only make us more careful.
        None => {
            let said = said.to_lowercase();
            step == Step::Recipient
                && matches!(code, 550 | 551 | 553)
                && !OURS.iter().any(|w| said.contains(w))
        }
    }
}

/// Words that make a refusal one of us.
const OURS: [&str; 9] =
    ["relay", "polic", "block", "spam", "listed", "reputation", "sender", "authenti", "denied"];

/// Subject and detail of an enhanced status 5.x.y (RFC 2034), wherever it stands.
fn enhanced(said: &str) -> Option<(u16, u16)> {
    said.split_whitespace().find_map(|word| {
        let word = word.trim_matches(|c: char| !c.is_ascii_digit());
        let mut parts = word.split('.');
        let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
        if class != "5" || parts.next().is_some() {
            return None;
        }
        Some((subject.parse().ok()?, detail.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_mailbox_is_one_and_in_doubt_it_is_not() {
        use Step::{Content, Recipient, Sender, Session};
        for (step, code, said, expected) in [
            (Recipient, 550, "5.1.1 no such user", true),
            (Recipient, 550, "no such mailbox", true),
            (Recipient, 551, "user not local", true),
            (Recipient, 553, "mailbox name not allowed", true),
            (Recipient, 554, "5.1.1 unknown", true),
            (Recipient, 556, "5.1.10 takes no mail", true),
            (Recipient, 550, "5.2.1 mailbox disabled", true),
            (Recipient, 550, "#5.1.0 Address rejected.", true),
            (Content, 550, "5.1.1 no such user after all", true),
            // The sender, the network, the password, the content.
            (Recipient, 550, "5.7.1 blocked", false),
            (Recipient, 550, "5.1.8 bad sender's system", false),
            (Recipient, 553, "sorry, you are not in my rcpthosts (#5.7.1)", false),
            (Recipient, 550, "relay not permitted", false),
            (Recipient, 550, "Administrative prohibition by POLICY", false),
            (Recipient, 554, "no", false),
            (Recipient, 552, "5.2.2 full", false),
            (Recipient, 450, "4.1.1 come back", false),
            (Recipient, 550, "5.1.1.9 is listed", false),
            (Content, 550, "no", false),
            (Content, 550, "5.1.0 rejected", false),
            (Sender, 550, "5.1.1 who are you?", false),
            (Sender, 553, "no", false),
            (Session, 535, "5.7.8 wrong password", false),
            (Session, 550, "5.1.1 no", false),
        ] {
            assert_eq!(
                is_about_the_recipient(step, code, said),
                expected,
                "{step:?} {code} {said}"
            );
        }
    }
}
