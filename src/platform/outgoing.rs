//! Calls to addresses that others configured. Private, loopback and metadata addresses are refused
//! when the name is resolved for the very connection that is made, so a name that changes its mind
//! gains nothing; redirects are never followed.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// What outgoing calls may reach.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Private and loopback addresses too, and plain HTTP: for demos and closed networks.
    pub allow_private: bool,
    /// Ports besides 443.
    pub extra_ports: BTreeSet<u16>,
}

/// Why a target is refused before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the address is not a URL")]
    NotAUrl,
    #[error("only https is allowed")]
    NotHttps,
    #[error("this port is not allowed")]
    Port,
    #[error("private, loopback and reserved addresses are not allowed")]
    Private,
    #[error("a user name or password in the address is not allowed")]
    Credentials,
}

impl Reach {
    /// Checks what can be checked before the name is resolved.
    ///
    /// # Errors
    /// The reason the target is refused.
    pub fn check(&self, url: &str) -> Result<reqwest::Url, Refused> {
        let url = reqwest::Url::parse(url).map_err(|_| Refused::NotAUrl)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        match url.scheme() {
            "https" => {}
            "http" if self.allow_private => {}
            _ => return Err(Refused::NotHttps),
        }
        let host = url.host_str().ok_or(Refused::NotAUrl)?;
        if self.allow_private {
            return Ok(url);
        }
        let port = url.port_or_known_default().unwrap_or(443);
        if port != 443 && !self.extra_ports.contains(&port) {
            return Err(Refused::Port);
        }
        // An address written as such never passes the resolver, so it is checked here. The URL
        // parser has already turned 0x7f000001 and the like into dotted form.
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if literal.is_ok_and(|ip| !is_public(ip)) {
            return Err(Refused::Private);
        }
        Ok(url)
    }
}

/// A client for calls to configured addresses.
///
/// # Errors
/// The TLS set-up of the machine is broken.
pub fn client(reach: &Reach, timeout: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(timeout.min(Duration::from_secs(5)))
        .timeout(timeout)
        .pool_idle_timeout(Duration::from_mins(1))
        .tcp_nodelay(true)
        .user_agent(concat!("child-death-review/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Arc::new(Guarded { allow_private: reach.allow_private }))
        .build()
}

struct Guarded {
    allow_private: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow_private;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // One forbidden address among several is a trick, not a mistake: refuse them all.
            if !allow && found.iter().any(|a| !is_public(a.ip())) {
                return Err(Box::new(Refused::Private) as Box<dyn std::error::Error + Send + Sync>);
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one on the public internet. Addresses that carry another (IPv4-mapped,
/// NAT64, 6to4) are judged by what they carry.
#[must_use]
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let o = ip.octets();
    let reserved = matches!(
        o,
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18..=19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    );
    !reserved
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let s = ip.segments();
    let inner = |hi: u16, lo: u16| {
        let [a, b] = hi.to_be_bytes();
        let [c, d] = lo.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, hi, lo] | [0x64, 0xff9b, 0, 0, 0, 0, hi, lo] => inner(hi, lo),
        [0x2002, hi, lo, ..] => inner(hi, lo),
        // Global unicast is 2000::/3; documentation, benchmarking and Teredo are carved out of it.
        [0x2001, 0x0db8 | 0 | 2, ..] | [0x3fff, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_targets_are_refused_in_every_spelling() {
        let reach = Reach::default();
        for url in [
            "https://127.0.0.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://127.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:7f00:1::]/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest/meta-data",
            "https://192.168.0.1/",
            "https://0.0.0.0/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[::]/",
            "https://100.64.0.1/",
        ] {
            assert_eq!(reach.check(url), Err(Refused::Private), "{url}");
        }
        assert_eq!(reach.check("http://hooks.example/"), Err(Refused::NotHttps));
        assert_eq!(reach.check("https://hooks.example:8443/"), Err(Refused::Port));
        assert_eq!(reach.check("https://u:p@hooks.example/"), Err(Refused::Credentials));
        assert_eq!(reach.check("file:///etc/passwd"), Err(Refused::NotHttps));
        assert!(reach.check("https://hooks.example/jar").is_ok());
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_loopback_is_refused_when_the_connection_is_made() {
        let client = client(&Reach::default(), Duration::from_secs(2)).unwrap();
        let err = client.get("https://localhost/").send().await.unwrap_err();
        assert!(format!("{err:?}").contains("Private"), "{err:?}");
    }
}
