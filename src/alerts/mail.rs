//! E-mail by SMTP, encrypted unless configuration says otherwise.

use super::Message;
use super::provider::Handed;
use super::smtp::{Encryption, Smtp, Step, is_about_the_recipient};
use crate::config::{Mail, MailTls};
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use secrecy::ExposeSecret;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

/// Sends through one SMTP server over a few kept connections.
pub struct Mailer {
    server: Smtp,
    from: Mailbox,
}

/// What is wrong with the mail settings.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("mail.from is not an address: {0}")]
    From(#[from] lettre::address::AddressError),
    #[error("mail.ca_file cannot be used: {0}")]
    Ca(String),
    #[error("mail: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

impl Mailer {
    /// A mailer for these settings; none if no host is set.
    ///
    /// # Errors
    /// A sender or a certificate that cannot be used.
    pub fn new(c: &Mail) -> Result<Option<Self>, MailError> {
        if c.host.is_empty() {
            return Ok(None);
        }
        let encryption = match c.tls {
            MailTls::Required => Encryption::StartTls(tls_parameters(c)?),
            MailTls::Wrapper => Encryption::Wrapper(tls_parameters(c)?),
            MailTls::None => {
                tracing::warn!(host = c.host, "mail goes out without encryption (mail.tls = none)");
                Encryption::None
            }
        };
        let credentials = (!c.username.is_empty())
            .then(|| Credentials::new(c.username.clone(), c.password.expose_secret().to_owned()));
        let server = Smtp {
            host: c.host.clone(),
            port: c.port,
            encryption,
            credentials,
            timeout: Duration::from_secs(c.timeout_seconds),
            keep: usize::try_from(c.connections).unwrap_or(1),
            kept: Arc::default(),
        };
        Ok(Some(Self { server, from: c.from.parse()? }))
    }

    /// Hands over one mail. Only a mailbox that the server refuses for good is the message's own
    /// fault; with everything else another server, or this one later, may do better.
    pub(super) async fn send(&self, m: &Message, subject: &str, body: String) -> Handed {
        let Ok(to) = m.address.parse::<Mailbox>() else {
            return Handed::unreachable(None, "not an e-mail address");
        };
        let domain = self.from.email.domain();
        let built = lettre::Message::builder()
            .message_id(Some(format!("<{}@{domain}>", m.id)))
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(body));
        let Ok(mail) = built else {
            return Handed::refused(None, "the message could not be put together");
        };
        let mail = (mail.envelope().clone(), mail.formatted());
        // The library's own limit is one for connecting: a server may also fall silent later.
        match tokio::time::timeout(self.server.timeout, self.server.send(&mail.0, &mail.1)).await {
            Ok(Ok(())) => Handed::accepted(250, None),
            Ok(Err((step, e))) => judge(step, &e),
            Err(_) => Handed::unsure(None, "no answer in time"),
        }
    }
}

fn judge(step: Step, e: &Error) -> Handed {
    let code = e.status().map(u16::from);
    let said = e.source().map(ToString::to_string).unwrap_or_default();
    match code {
        Some(status) if is_about_the_recipient(step, status, &said) => {
            Handed::unreachable(code, "the address bounces for good")
        }
        Some(400..=499) => Handed::unwell(code, "the mail server asks to try later", None),
        Some(530 | 534 | 535 | 538) => {
            tracing::error!(
                code,
                "the mail server does not take our name and password: look at mail.username and mail.password"
            );
            Handed::unwell(code, "the mail server does not take our name and password", None)
        }
        Some(_) => {
            tracing::error!(code, ?step, "the mail server refuses mail of ours");
            Handed::unwell(code, "the mail server refuses mail of ours", None)
        }
        None if e.is_timeout() => Handed::unwell(None, "no answer in time", None),
        None if e.is_tls() => Handed::unwell(None, "no encrypted connection could be made", None),
        None if e.is_client() => {
            Handed::unwell(None, "the mail server cannot do what we need of it", None)
        }
        None if step == Step::Session => {
            Handed::unwell(None, "no connection to the mail server", None)
        }
        None => Handed::unsure(None, "the connection to the mail server broke"),
    }
}

fn tls_parameters(c: &Mail) -> Result<TlsParameters, MailError> {
    let mut p = TlsParameters::builder(c.host.clone());
    if let Some(path) = &c.ca_file {
        let pem = std::fs::read(path).map_err(|e| MailError::Ca(e.to_string()))?;
        p = p.add_root_certificate(Certificate::from_pem(&pem)?);
    }
    Ok(p.build_rustls()?)
}
