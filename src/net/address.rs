//! What kind of address is this?
//!
//! `policy` asks, for every address a connection could be made to. The ranges are those of the IANA registries of
//! special-purpose addresses, and those at which clouds serve credentials to whoever asks from within a machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who is behind an address, the most dangerous to let a stranger reach last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Somebody on the Internet.
    Public,
    /// Somebody on a network of the operator's.
    Private,
    /// This machine.
    Loopback,
    /// Nobody to call: multicast, broadcast, documentation, reserved.
    Nowhere,
    /// The link itself, and the metadata services of clouds, which are reached over it or as if.
    Link,
}

impl Kind {
    /// The kind of `address`. One that carries another inside is what that one is.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }
}

/// The first range that holds an address decides; outside of all it is public.
const V4: [([u8; 4], u32, Kind); 20] = [
    ([168, 63, 129, 16], 32, Kind::Link),
    ([100, 100, 100, 200], 32, Kind::Link),
    ([192, 0, 0, 192], 32, Kind::Link),
    ([169, 254, 0, 0], 16, Kind::Link),
    ([127, 0, 0, 0], 8, Kind::Loopback),
    // Systems connect to themselves for it.
    ([0, 0, 0, 0], 32, Kind::Loopback),
    ([0, 0, 0, 0], 8, Kind::Nowhere),
    ([10, 0, 0, 0], 8, Kind::Private),
    ([172, 16, 0, 0], 12, Kind::Private),
    ([192, 168, 0, 0], 16, Kind::Private),
    ([100, 64, 0, 0], 10, Kind::Private),
    ([192, 0, 0, 0], 24, Kind::Nowhere),
    ([192, 0, 2, 0], 24, Kind::Nowhere),
    ([192, 88, 99, 0], 24, Kind::Nowhere),
    ([198, 18, 0, 0], 15, Kind::Nowhere),
    ([198, 51, 100, 0], 24, Kind::Nowhere),
    ([203, 0, 113, 0], 24, Kind::Nowhere),
    ([224, 0, 0, 0], 4, Kind::Nowhere),
    ([240, 0, 0, 0], 4, Kind::Nowhere),
    ([255, 255, 255, 255], 32, Kind::Nowhere),
];

/// The same; outside of all an address is not assigned.
const V6: [([u16; 8], u32, Kind); 14] = [
    ([0, 0, 0, 0, 0, 0, 0, 0], 127, Kind::Loopback),
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, Kind::Link),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Kind::Link),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Kind::Link),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Kind::Private),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Kind::Private),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Kind::Private),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, Kind::Public),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, Kind::Public),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Kind::Nowhere),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Kind::Nowhere),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Kind::Nowhere),
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Kind::Public),
    ([0, 0, 0, 0, 0, 0, 0, 0], 0, Kind::Nowhere),
];

fn v4(address: Ipv4Addr) -> Kind {
    let bits = u32::from(address);
    let holds = |&&(base, length, _): &&([u8; 4], u32, Kind)| {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        bits & mask == u32::from(Ipv4Addr::from(base)) & mask
    };
    V4.iter().find(holds).map_or(Kind::Public, |&(_, _, kind)| kind)
}

fn v6(address: Ipv6Addr) -> Kind {
    let bits = u128::from(address);
    let holds = |&&(base, length, _): &&([u16; 8], u32, Kind)| {
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        bits & mask == u128::from(Ipv6Addr::from(base)) & mask
    };
    let kind = V6.iter().find(holds).map_or(Kind::Nowhere, |&(_, _, kind)| kind);
    carried(address).map_or(kind, |inner| kind.max(v4(inner)))
}

/// The IPv4 address a packet to this one may end up at.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let join = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        // Not addresses in the form compatible with IPv4, though they look it.
        [0, 0, 0, 0, 0, 0] if g == 0 && h <= 1 => None,
        // IPv4-compatible and IPv4-mapped.
        [0, 0, 0, 0, 0, 0 | 0xffff] => join(g, h),
        // IPv4-translated.
        [0, 0, 0, 0, 0xffff, 0] => join(g, h),
        // NAT64, well-known and local.
        [0x64, 0xff9b, 0, 0, 0, 0] | [0x64, 0xff9b, 1, _, _, _] => join(g, h),
        // 6to4.
        [0x2002, high, low, ..] => join(high, low),
        // Teredo, which inverts it.
        [0x2001, 0, ..] => join(!g, !h),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::net::address::*;

    #[test]
    fn addresses_have_kinds() {
        use Kind::{Link, Loopback, Nowhere, Private, Public};
        for (address, kind) in [
            ("1.1.1.1", Public),
            ("93.184.216.34", Public),
            ("172.15.255.255", Public),
            ("172.32.0.0", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("223.255.255.255", Public),
            ("11.0.0.0", Public),
            ("126.255.255.255", Public),
            ("128.0.0.0", Public),
            ("10.0.0.0", Private),
            ("10.255.255.255", Private),
            ("172.16.0.0", Private),
            ("172.31.255.255", Private),
            ("192.168.255.255", Private),
            ("100.64.0.0", Private),
            ("100.127.255.255", Private),
            ("127.0.0.1", Loopback),
            ("127.255.255.255", Loopback),
            ("0.0.0.0", Loopback),
            ("0.0.0.1", Nowhere),
            ("192.0.0.8", Nowhere),
            ("192.0.2.1", Nowhere),
            ("192.88.99.1", Nowhere),
            ("198.18.0.1", Nowhere),
            ("198.19.255.255", Nowhere),
            ("198.51.100.7", Nowhere),
            ("203.0.113.7", Nowhere),
            ("224.0.0.1", Nowhere),
            ("239.255.255.255", Nowhere),
            ("240.0.0.1", Nowhere),
            ("255.255.255.255", Nowhere),
            ("169.254.169.254", Link),
            ("169.254.0.0", Link),
            ("168.63.129.16", Link),
            ("100.100.100.200", Link),
            ("192.0.0.192", Link),
            ("2606:4700::1111", Public),
            ("2a00:1450::1", Public),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("fec0::1", Private),
            ("::", Loopback),
            ("::1", Loopback),
            ("::2", Nowhere),
            ("100::1", Nowhere),
            ("2001:db8::1", Nowhere),
            ("2001:2::1", Nowhere),
            ("2001:20::1", Nowhere),
            ("3fff::1", Nowhere),
            ("5f00::1", Nowhere),
            ("4000::1", Nowhere),
            ("ff02::1", Nowhere),
            ("fe80::1", Link),
            ("febf::1", Link),
            ("fd00:ec2::254", Link),
            ("fd20:ce::254", Link),
            ("::ffff:93.184.216.34", Public),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", Link),
            ("::93.184.216.34", Nowhere),
            ("::127.0.0.1", Nowhere),
            ("::169.254.169.254", Link),
            ("::ffff:0:169.254.169.254", Link),
            ("::ffff:0:10.0.0.1", Nowhere),
            ("64:ff9b::5db8:d822", Public),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::127.0.0.1", Loopback),
            ("64:ff9b::169.254.169.254", Link),
            ("64:ff9b:1::5db8:d822", Private),
            ("64:ff9b:1::169.254.169.254", Link),
            ("2002:5db8:d822::1", Public),
            ("2002:a00:1::1", Private),
            ("2002:7f00:1::1", Loopback),
            ("2002:a9fe:a9fe::1", Link),
            ("2001::5601:5601", Link),
            ("2001::80ff:fffe", Nowhere),
        ] {
            assert_eq!(Kind::of(address.parse().expect(address)), kind, "{address}");
        }
    }
}
