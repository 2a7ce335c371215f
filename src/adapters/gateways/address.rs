//! Where we may post: addresses that operators configure, and those that customers register.
//!
//! Owns the judgement of schemes, hosts and network addresses. Never asks the network. Invariant: an
//! address that a customer gave leads only to a listed host, encrypted unless that is this machine,
//! and never into a private network by a name that resolves there.

use http::Uri;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address to send to. `None`: not `http` or `https`, without a host, with a user or a query.
pub fn parse_base(text: &str) -> Option<Uri> {
    let uri: Uri = text.trim_end_matches('/').parse().ok()?;
    let is_fine = is_web(&uri) && uri.query().is_none();
    is_fine.then_some(uri)
}

/// Whether what is sent there could be read on the way: neither encrypted nor on this machine.
pub fn is_exposed(text: &str) -> bool {
    parse_base(text).is_some_and(|uri| {
        uri.scheme_str() == Some("http") && !is_loopback(uri.host().unwrap_or_default())
    })
}

fn is_web(uri: &Uri) -> bool {
    let has_user = uri.authority().is_none_or(|it| it.as_str().contains('@'));
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    matches!(uri.scheme_str(), Some("http" | "https")) && has_host && !has_user
}

/// By the name alone.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || literal(host).is_some_and(|it| it.is_loopback())
}

fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// A list of hosts: `host` (the scheme's own port), `host:port`, or `.name` for every host below
/// that name. A number is an address and must be listed itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    pub fn new(listed: &[String]) -> Self {
        Hosts(listed.iter().map(|host| host.to_ascii_lowercase()).collect())
    }

    /// The address, if we may post there. Errors: the refusal's code.
    pub fn admit(&self, address: &str) -> Result<Uri, &'static str> {
        let uri: Uri = address.parse().map_err(|_| "address_malformed")?;
        if !is_web(&uri) {
            return Err("address_malformed");
        }
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let is_plain = uri.scheme_str() == Some("http");
        let own_port = if is_plain { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(own_port);
        if !self.0.iter().any(|listed| fits(listed, &host, port, own_port)) {
            return Err("host_not_listed");
        }
        if is_plain && !is_loopback(&host) {
            return Err("plaintext_refused");
        }
        Ok(uri)
    }

    /// Whether a listed name may stand for this network address: a public one, or one that is
    /// listed itself; `localhost` may stand for this machine.
    pub fn admits_resolved(&self, name: &str, ip: IpAddr) -> bool {
        is_public(ip)
            || (name.eq_ignore_ascii_case("localhost") && ip.is_loopback())
            || self.0.iter().any(|listed| literal(without_port(listed)) == Some(ip))
    }
}

fn without_port(listed: &str) -> &str {
    match listed.rsplit_once(':') {
        // Also an address of version 6 without brackets, which has no port.
        Some((host, port)) if port.parse::<u16>().is_ok() && literal(listed).is_none() => host,
        _ => listed,
    }
}

fn fits(listed: &str, host: &str, port: u16, own_port: u16) -> bool {
    let name = without_port(listed);
    let listed_port = listed[name.len()..].trim_start_matches(':').parse().unwrap_or(own_port);
    let is_named = match name.strip_prefix('.') {
        Some(parent) => host.strip_suffix(parent).is_some_and(|it| it.ends_with('.')),
        None => name == host || (literal(name).is_some() && literal(name) == literal(host)),
    };
    is_named && port == listed_port
}

/// Neither this machine, nor its network, nor an address that is none of the internet's.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    let is_special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && third == 0)
        || (first == 198 && (18..20).contains(&second));
    !is_special
}

/// Only what is routed (2000::/3), without the parts that carry another address inside.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(inner) = ip.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [first, second, ..] = ip.segments();
    let is_routed = (0x2000..0x4000).contains(&first);
    let carries = first == 0x2002 || (first == 0x2001 && (second < 0x200 || second == 0xdb8));
    is_routed && !carries
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a customer's address leads to a listed host only. Method: a list, then addresses and
    /// what they are refused for.
    #[test]
    fn only_listed_hosts() {
        let listed = ["hooks.example.com", "a.example:8443", ".push.example", "127.0.0.1:9", "::1"];
        let hosts = Hosts::new(&listed.map(str::to_owned));
        for (address, then) in [
            ("https://hooks.example.com/x?y=1", Ok(())),
            ("https://HOOKS.example.com:443/x", Ok(())),
            ("https://hooks.example.com:8443/", Err("host_not_listed")),
            ("http://hooks.example.com/", Err("plaintext_refused")),
            ("https://hooks.example.com./", Err("host_not_listed")),
            ("https://hooks.example.com.evil.example/", Err("host_not_listed")),
            ("https://evil.example/hooks.example.com", Err("host_not_listed")),
            ("https://hooks.example.com@evil.example/", Err("address_malformed")),
            ("https://me:x@hooks.example.com/", Err("address_malformed")),
            ("https://a.example:8443/", Ok(())),
            ("https://a.example/", Err("host_not_listed")),
            ("https://web.push.example/x", Ok(())),
            ("https://push.example/x", Err("host_not_listed")),
            ("https://evilpush.example/x", Err("host_not_listed")),
            ("http://127.0.0.1:9/x", Ok(())),
            ("http://127.0.0.1:10/x", Err("host_not_listed")),
            ("http://[::1]/x", Ok(())),
            ("https://169.254.169.254/latest", Err("host_not_listed")),
            ("https://2130706433/", Err("host_not_listed")),
            ("ftp://hooks.example.com/", Err("address_malformed")),
            ("/only/a/path", Err("address_malformed")),
            ("", Err("address_malformed")),
        ] {
            assert_eq!(hosts.admit(address).map(drop), then, "{address}");
        }
    }

    /// Goal: a listed name cannot lead into our network. Method: what it resolves to, then whether
    /// that is allowed.
    #[test]
    fn names_lead_to_public_addresses() {
        let hosts = Hosts::new(&["hooks.example.com", "10.0.0.7:443"].map(str::to_owned));
        for (name, ip, then) in [
            ("hooks.example.com", "93.184.216.34", true),
            ("hooks.example.com", "2606:2800:220:1::1", true),
            ("hooks.example.com", "127.0.0.1", false),
            ("hooks.example.com", "10.0.0.8", false),
            ("hooks.example.com", "10.0.0.7", true),
            ("hooks.example.com", "172.16.0.1", false),
            ("hooks.example.com", "192.168.1.1", false),
            ("hooks.example.com", "169.254.169.254", false),
            ("hooks.example.com", "100.64.0.1", false),
            ("hooks.example.com", "0.0.0.0", false),
            ("hooks.example.com", "255.255.255.255", false),
            ("hooks.example.com", "::1", false),
            ("hooks.example.com", "::", false),
            ("hooks.example.com", "fd00::1", false),
            ("hooks.example.com", "fe80::1", false),
            ("hooks.example.com", "::ffff:10.0.0.8", false),
            ("hooks.example.com", "64:ff9b::a00:8", false),
            ("hooks.example.com", "2002:a00:8::1", false),
            ("localhost", "127.0.0.1", true),
            ("localhost", "10.0.0.8", false),
        ] {
            let ip = ip.parse().expect(ip);
            assert_eq!(hosts.admits_resolved(name, ip), then, "{name} at {ip}");
        }
    }

    /// Goal: what an operator writes as a base is an address of the web, and plaintext is noticed.
    /// Method: text, whether it is one, whether it is exposed.
    #[test]
    fn bases_are_addresses() {
        for (text, is_base, is_exposed_there) in [
            ("https://fcm.googleapis.com", true, false),
            ("https://fcm.googleapis.com/", true, false),
            ("http://127.0.0.1:8099", true, false),
            ("http://[::1]:8099", true, false),
            ("http://localhost:8099", true, false),
            ("http://gateway.example", true, true),
            ("http://127.0.0.1.example", true, true),
            ("fcm.googleapis.com", false, false),
            ("https://a@b.example", false, false),
            ("https://b.example/?x=1", false, false),
            ("file:///etc/passwd", false, false),
        ] {
            assert_eq!(parse_base(text).is_some(), is_base, "{text}");
            assert_eq!(is_exposed(text), is_exposed_there, "{text}");
        }
    }
}
