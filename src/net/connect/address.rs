//! What kind of address is this?
//!
//! Policies ask for every address that a connection could be made to. The ranges are those of the IANA registries of
//! special-purpose addresses, and those at which clouds serve credentials to any program on a machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What an address leads to, the most dangerous last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AddressClass {
    /// A host on the Internet.
    Public,
    /// A host on a private network.
    Private,
    /// This machine.
    Loopback,
    /// No host: multicast, broadcast, documentation, reserved.
    Reserved,
    /// The link itself, and the metadata services of clouds. Most of them have link-local addresses.
    LinkLocal,
}

/// The class of an address. An address that embeds an IPv4 address has the more dangerous of the two classes.
impl From<IpAddr> for AddressClass {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => v4(address),
            IpAddr::V6(address) => v6(address),
        }
    }
}

/// The first range that holds an address gives its class. An address outside all ranges is public.
const V4: [(Ipv4Net, AddressClass); 20] = [
    (net4([168, 63, 129, 16], 32), AddressClass::LinkLocal),
    (net4([100, 100, 100, 200], 32), AddressClass::LinkLocal),
    (net4([192, 0, 0, 192], 32), AddressClass::LinkLocal),
    (net4([169, 254, 0, 0], 16), AddressClass::LinkLocal),
    (net4([127, 0, 0, 0], 8), AddressClass::Loopback),
    // Systems connect to this machine if they are given this address.
    (net4([0, 0, 0, 0], 32), AddressClass::Loopback),
    (net4([0, 0, 0, 0], 8), AddressClass::Reserved),
    (net4([10, 0, 0, 0], 8), AddressClass::Private),
    (net4([172, 16, 0, 0], 12), AddressClass::Private),
    (net4([192, 168, 0, 0], 16), AddressClass::Private),
    (net4([100, 64, 0, 0], 10), AddressClass::Private),
    (net4([192, 0, 0, 0], 24), AddressClass::Reserved),
    (net4([192, 0, 2, 0], 24), AddressClass::Reserved),
    (net4([192, 88, 99, 0], 24), AddressClass::Reserved),
    (net4([198, 18, 0, 0], 15), AddressClass::Reserved),
    (net4([198, 51, 100, 0], 24), AddressClass::Reserved),
    (net4([203, 0, 113, 0], 24), AddressClass::Reserved),
    (net4([224, 0, 0, 0], 4), AddressClass::Reserved),
    (net4([240, 0, 0, 0], 4), AddressClass::Reserved),
    (net4([255, 255, 255, 255], 32), AddressClass::Reserved),
];

/// The first range that holds an address gives its class. The last range holds all addresses: those that are not assigned.
const V6: [(Ipv6Net, AddressClass); 14] = [
    (net6([0, 0, 0, 0, 0, 0, 0, 0], 127), AddressClass::Loopback),
    (net6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128), AddressClass::LinkLocal),
    (net6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), AddressClass::LinkLocal),
    (net6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), AddressClass::LinkLocal),
    (net6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), AddressClass::Private),
    (net6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), AddressClass::Private),
    (net6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), AddressClass::Private),
    (net6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), AddressClass::Public),
    (net6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), AddressClass::Public),
    (net6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), AddressClass::Reserved),
    (net6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), AddressClass::Reserved),
    (net6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), AddressClass::Reserved),
    (net6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3), AddressClass::Public),
    (net6([0, 0, 0, 0, 0, 0, 0, 0], 0), AddressClass::Reserved),
];

const fn net4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn net6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

fn v4(address: Ipv4Addr) -> AddressClass {
    V4.iter().find(|(range, _)| range.contains(&address)).map_or(AddressClass::Public, |&(_, class)| class)
}

fn v6(address: Ipv6Addr) -> AddressClass {
    let found = V6.iter().find(|(range, _)| range.contains(&address));
    let class = found.map_or(AddressClass::Reserved, |&(_, class)| class);
    embedded(address).map_or(class, |inner| class.max(v4(inner)))
}

/// The IPv4 address a packet to this one may end up at.
pub(super) fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
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
    use crate::net::connect::address::*;

    #[test]
    fn addresses_have_classes() {
        use AddressClass::{LinkLocal, Loopback, Private, Public, Reserved};
        for (address, class) in [
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
            ("0.0.0.1", Reserved),
            ("192.0.0.8", Reserved),
            ("192.0.2.1", Reserved),
            ("192.88.99.1", Reserved),
            ("198.18.0.1", Reserved),
            ("198.19.255.255", Reserved),
            ("198.51.100.7", Reserved),
            ("203.0.113.7", Reserved),
            ("224.0.0.1", Reserved),
            ("239.255.255.255", Reserved),
            ("240.0.0.1", Reserved),
            ("255.255.255.255", Reserved),
            ("169.254.169.254", LinkLocal),
            ("169.254.0.0", LinkLocal),
            ("168.63.129.16", LinkLocal),
            ("100.100.100.200", LinkLocal),
            ("192.0.0.192", LinkLocal),
            ("2606:4700::1111", Public),
            ("2a00:1450::1", Public),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("fec0::1", Private),
            ("::", Loopback),
            ("::1", Loopback),
            ("::2", Reserved),
            ("100::1", Reserved),
            ("2001:db8::1", Reserved),
            ("2001:2::1", Reserved),
            ("2001:20::1", Reserved),
            ("3fff::1", Reserved),
            ("5f00::1", Reserved),
            ("4000::1", Reserved),
            ("ff02::1", Reserved),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("fd00:ec2::254", LinkLocal),
            ("fd20:ce::254", LinkLocal),
            ("::ffff:93.184.216.34", Public),
            ("::ffff:10.0.0.1", Private),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:169.254.169.254", LinkLocal),
            ("::93.184.216.34", Reserved),
            ("::127.0.0.1", Reserved),
            ("::169.254.169.254", LinkLocal),
            ("::ffff:0:169.254.169.254", LinkLocal),
            ("::ffff:0:10.0.0.1", Reserved),
            ("64:ff9b::5db8:d822", Public),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::127.0.0.1", Loopback),
            ("64:ff9b::169.254.169.254", LinkLocal),
            ("64:ff9b:1::5db8:d822", Private),
            ("64:ff9b:1::169.254.169.254", LinkLocal),
            ("2002:5db8:d822::1", Public),
            ("2002:a00:1::1", Private),
            ("2002:7f00:1::1", Loopback),
            ("2002:a9fe:a9fe::1", LinkLocal),
            ("2001::5601:5601", LinkLocal),
            ("2001::80ff:fffe", Reserved),
        ] {
            assert_eq!(AddressClass::from(address.parse::<IpAddr>().expect(address)), class, "{address}");
        }
    }
}
