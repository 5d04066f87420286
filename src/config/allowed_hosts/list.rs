//! The list of allowed hosts.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use url::Url;

use crate::config::allowed_hosts::host::{AllowedHost, HostError};

/// The item that allows every host.
pub(super) const ALLOW_ALL: &str = "insecure:allow-all";

/// The hosts that a guest may call. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedHosts {
    /// No host.
    #[default]
    None,
    /// Every host.
    All,
    /// These hosts.
    Only(Vec<AllowedHost>),
}

impl AllowedHosts {
    /// Adds one string of the list: a host, or `insecure:allow-all`.
    pub fn add(&mut self, entry: &str) -> Result<(), HostError> {
        let entry = entry.trim();
        if entry == ALLOW_ALL {
            *self = Self::All;
            return Ok(());
        }
        self.push(entry.parse()?);
        Ok(())
    }

    pub(super) fn push(&mut self, host: AllowedHost) {
        match self {
            Self::All => {}
            Self::None => *self = Self::Only(vec![host]),
            Self::Only(hosts) => hosts.push(host),
        }
    }

    fn entries(&self) -> &[AllowedHost] {
        match self {
            Self::None | Self::All => &[],
            Self::Only(hosts) => hosts,
        }
    }

    /// Returns whether the list allows `url`. The host name is not resolved.
    pub fn allows(&self, url: &Url) -> bool {
        *self == Self::All || self.entries().iter().any(|entry| entry.matches(url))
    }

    /// Returns whether an item without a `*.` matches `url`: one with the full name or the address of its host.
    pub fn lists_exactly(&self, url: &Url) -> bool {
        self.entries().iter().any(|entry| !entry.is_wildcard() && entry.matches(url))
    }

    /// Returns the listed ranges, single addresses included, that contain `address` and match the scheme and the port
    /// of `url`.
    pub fn ranges(&self, url: &Url, address: IpAddr) -> impl Iterator<Item = RangeInclusive<IpAddr>> {
        let entries = self.entries().iter().filter(|entry| entry.matches_scheme_and_port(url));
        entries.filter_map(move |entry| entry.range()).filter_map(move |range| {
            let contains = range.contains(&address) || range.contains(&address.to_canonical());
            contains.then(|| range.network()..=range.broadcast())
        })
    }
}
