//! Which peers may say for which client a request is?

use std::net::IpAddr;

use ipnet::IpNet;

/// A list of addresses, of ranges of addresses, and of the peers of Unix sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    unix: bool,
}

/// Why a text names no proxies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustedProxyError {
    /// It is nothing known.
    #[error("`{0}` is not an address or a range; write `10.0.0.0/8`, `192.0.2.7`, `::1` or `unix`")]
    Unknown(String),
    /// Bits of the host are set.
    #[error("`{text}` has bits beyond its prefix; write `{network}`")]
    HostBits {
        /// What is written.
        text: String,
        /// The range it is in.
        network: IpNet,
    },
}

impl TrustedProxies {
    /// Adds an address, a range such as `10.0.0.0/8`, or `unix`.
    pub fn add(&mut self, text: &str) -> Result<(), TrustedProxyError> {
        if text == "unix" {
            self.unix = true;
            return Ok(());
        }
        let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| TrustedProxyError::Unknown(text.to_owned()))?;
        if network.trunc() != network {
            return Err(TrustedProxyError::HostBits { text: text.to_owned(), network: network.trunc() });
        }
        self.networks.push(network);
        Ok(())
    }

    /// As they can be written.
    pub fn to_strings(&self) -> Vec<String> {
        let networks = self.networks.iter().map(|network| match network.prefix_len() == network.max_prefix_len() {
            true => network.addr().to_string(),
            false => network.to_string(),
        });
        networks.chain(self.unix.then(|| "unix".to_owned())).collect()
    }

    /// Whether no peer is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether the proxy at `address` is trusted. IPv4 addresses that are mapped to IPv6 are IPv4 addresses.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether the peers of Unix sockets are trusted.
    pub fn contains_unix(&self) -> bool {
        self.unix
    }
}

#[cfg(test)]
mod tests {
    use crate::config::server::trusted_proxies::*;

    #[test]
    fn addresses_ranges_and_unix_sockets_are_trusted() {
        let mut proxies = TrustedProxies::default();
        assert!(proxies.is_empty());
        for text in ["10.0.0.0/8", "::1", "192.0.2.7"] {
            proxies.add(text).expect(text);
        }
        for (address, trusted) in [
            ("10.255.0.1", true),
            ("::ffff:10.0.0.1", true),
            ("11.0.0.1", false),
            ("::1", true),
            ("::2", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
        ] {
            assert_eq!(proxies.contains(address.parse().expect("an address")), trusted, "{address}");
        }
        assert!(!proxies.contains_unix());
        proxies.add("unix").expect("unix");
        assert!(proxies.contains_unix());
    }

    #[test]
    fn other_texts_get_a_message_that_says_what_to_write() {
        for (text, expected) in [("", "`10.0.0.0/8`"), ("localhost", "`::1`"), ("10.0.0.1/8", "write `10.0.0.0/8`")] {
            let error = TrustedProxies::default().add(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
