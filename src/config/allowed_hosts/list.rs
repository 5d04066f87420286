//! The list of allowed hosts.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use url::Url;

use crate::config::allowed_hosts::host::{AllowedHost, HostError};

/// The entry that allows everything.
pub(super) const ALLOW_ALL: &str = "insecure:allow-all";

/// The hosts that a script may call. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowedHosts {
    /// No host at all.
    #[default]
    None,
    /// Every host.
    All,
    /// These hosts.
    Only(Vec<AllowedHost>),
}

impl AllowedHosts {
    /// Adds what one text of the list allows: a host, or `insecure:allow-all`.
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

    /// Whether a script may call `url`, as far as that can be told without resolving its name.
    pub fn allows(&self, url: &Url) -> bool {
        *self == Self::All || self.entries().iter().any(|entry| entry.covers(url))
    }

    /// Whether an entry covers `url` that says its host in full, not by a `*.`.
    pub fn names(&self, url: &Url) -> bool {
        self.entries().iter().any(|entry| !entry.is_pattern() && entry.covers(url))
    }

    /// The listed addresses and ranges that hold `address` and are for the scheme and the port of `url`, each from its
    /// first address to its last.
    pub fn ranges(&self, url: &Url, address: IpAddr) -> impl Iterator<Item = RangeInclusive<IpAddr>> {
        let entries = self.entries().iter().filter(|entry| entry.is_for(url));
        entries.filter_map(move |entry| entry.range()).filter_map(move |range| {
            let holds = range.contains(&address) || range.contains(&address.to_canonical());
            holds.then(|| range.network()..=range.broadcast())
        })
    }
}
