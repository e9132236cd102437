//! Whose an address is.

use std::net::{IpAddr, Ipv6Addr};

/// One address for all that one holder has: whoever has one IPv6 address has the 2^64 beside it.
#[must_use]
pub fn holder(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip.to_canonical() else { return ip.to_canonical() };
    IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)))
}
