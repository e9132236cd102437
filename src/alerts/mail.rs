//! E-mail by SMTP, encrypted unless configuration says otherwise.

use super::Message;
use crate::config::{Mail, MailTls};
use crate::domain::delivery::Outcome;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::PoolConfig;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use std::time::Duration;

/// Sends through one SMTP server over a few kept connections.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
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
        let tls = match c.tls {
            MailTls::Required => Tls::Required(tls_parameters(c)?),
            MailTls::Wrapper => Tls::Wrapper(tls_parameters(c)?),
            MailTls::None => {
                tracing::warn!(host = c.host, "mail goes out without encryption (mail.tls = none)");
                Tls::None
            }
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&c.host)
            .port(c.port)
            .tls(tls)
            .timeout(Some(Duration::from_secs(c.timeout_seconds)))
            .pool_config(PoolConfig::new().max_size(c.connections).min_idle(0));
        if !c.username.is_empty() {
            builder = builder.credentials(Credentials::new(
                c.username.clone(),
                c.password.expose_secret().to_owned(),
            ));
        }
        Ok(Some(Self { transport: builder.build(), from: c.from.parse()? }))
    }

    pub(super) async fn send(&self, m: &Message, subject: &str, body: String) -> Outcome {
        let Ok(to) = m.address.parse::<Mailbox>() else {
            return Outcome::Refused { code: None, why: "not an e-mail address" };
        };
        let domain = self.from.email.domain();
        let built = lettre::Message::builder()
            .message_id(Some(format!("<{}@{domain}>", m.id)))
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .singlepart(SinglePart::builder().header(ContentType::TEXT_PLAIN).body(body));
        let Ok(mail) = built else {
            return Outcome::Refused { code: None, why: "the message could not be put together" };
        };
        match self.transport.send(mail).await {
            Ok(_) => Outcome::Accepted { code: Some(250) },
            Err(e) => {
                let code = e.status().map(u16::from);
                if e.is_permanent() {
                    Outcome::Refused { code, why: "the mail server refused it for good" }
                } else if e.is_transient() {
                    Outcome::Retry { code, why: "the mail server asks to try later", after: None }
                } else if e.is_timeout() {
                    Outcome::Retry { code, why: "no answer in time", after: None }
                } else if e.is_tls() {
                    Outcome::Retry {
                        code,
                        why: "no encrypted connection could be made",
                        after: None,
                    }
                } else {
                    Outcome::Retry { code, why: "no connection to the mail server", after: None }
                }
            }
        }
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
