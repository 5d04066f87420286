//! Which route answers a request for a host?
//!
//! The first row that matches host and path, in the order of the configuration. The rows that answer every name are one table of
//! routes, and each pattern for hosts has a table of its own. A request looks into the few tables that match its host, and takes the
//! earliest row that they find. So a thousand hosts cost as much as one, and a configuration without hosts has one table.

use std::collections::{BTreeMap, HashMap};

use crate::cgi::RequestedHost;
use crate::config::{HostName, HostPattern};
use crate::route::{RouteMatch, RoutePattern, RouteTable};

#[cfg(test)]
mod tests;

/// A row of the routes: where it answers, and what it leads to.
pub(crate) struct RouteRow<T> {
    /// The paths.
    pub pattern: RoutePattern,
    /// The names; none for every name.
    pub hosts: Vec<HostPattern>,
    /// What it leads to.
    pub target: T,
}

/// An ordered list of routes, each for some hosts or for all.
pub(crate) struct HostRoutes<T> {
    rows: Vec<RouteRow<T>>,
    /// The positions of the rows for every name.
    every_name: RouteTable<usize>,
    /// Those of the others, if there are any.
    by_host: Option<HostTables>,
}

/// A row that an earlier one hides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HiddenRow {
    /// The position of the row.
    pub row: usize,
    /// The position of the first row that hides it.
    pub earlier: usize,
    /// The hosts at which it is hidden, if it answers others; otherwise none.
    pub hosts: Vec<HostPattern>,
}

impl<T> HostRoutes<T> {
    /// The routes `rows`. Earlier rows win over later ones.
    pub fn new(rows: Vec<RouteRow<T>>) -> Self {
        let (for_every_name, for_hosts): (Vec<_>, Vec<_>) =
            rows.iter().enumerate().partition(|(_, row)| row.hosts.is_empty());
        let entry = |(position, row): (usize, &RouteRow<T>)| (row.pattern.clone(), position);
        let every_name = RouteTable::new(for_every_name.into_iter().map(entry).collect());
        let by_host = (!for_hosts.is_empty()).then(|| HostTables::new(&for_hosts));
        Self { rows, every_name, by_host }
    }

    /// The positions of these rows, for paths in their usual spelling.
    pub fn of_plain_paths(&self) -> HostRoutes<usize> {
        let plain = |(position, row): (usize, &RouteRow<T>)| RouteRow {
            pattern: row.pattern.plain(),
            hosts: row.hosts.clone(),
            target: position,
        };
        HostRoutes::new(self.rows.iter().enumerate().map(plain).collect())
    }

    /// All rows in order.
    pub fn rows(&self) -> &[RouteRow<T>] {
        &self.rows
    }

    /// The first row that matches `path` and the host, which is asked for only if that can make a difference.
    pub fn find<'t, 'p, 'h>(
        &'t self,
        path: &'p str,
        host: impl FnOnce() -> Option<RequestedHost<'h>>,
    ) -> Option<RouteMatch<'t, 'p, T>> {
        let mut first = self.every_name.find(path);
        if let Some(tables) = &self.by_host
            && let Some(host) = host()
            && let Some(name) = HostName::new(host.name)
        {
            let found = tables.matching(&name, Some(host.port)).filter_map(|table| table.find(path));
            first = first.into_iter().chain(found).min_by_key(|found| *found.target);
        }
        let RouteMatch { target: position, pattern, path_info } = first?;
        Some(RouteMatch { target: &self.rows.get(*position)?.target, pattern, path_info })
    }

    /// The rows that no request reaches, at all or at some of their hosts, because earlier ones match the same.
    pub fn hidden(&self) -> Vec<HiddenRow> {
        self.rows.iter().enumerate().filter_map(|(position, row)| self.hidden_row(position, row)).collect()
    }

    fn hidden_row(&self, position: usize, row: &RouteRow<T>) -> Option<HiddenRow> {
        let of_every_name = self.every_name.covering(&row.pattern).copied();
        let is_earlier = |earlier: &usize| *earlier < position;
        let Some(tables) = self.by_host.as_ref().filter(|_| !row.hosts.is_empty()) else {
            let earlier = of_every_name.filter(is_earlier)?;
            return Some(HiddenRow { row: position, earlier, hosts: Vec::new() });
        };
        let (mut first, mut hosts) = (None, Vec::new());
        for host in &row.hosts {
            let covering = tables.covering(host).filter_map(|table| table.covering(&row.pattern).copied());
            if let Some(earlier) = of_every_name.into_iter().chain(covering).min().filter(is_earlier) {
                first = first.into_iter().chain([earlier]).min();
                hosts.push(host.clone());
            }
        }
        if hosts.len() == row.hosts.len() {
            hosts.clear();
        }
        first.map(|earlier| HiddenRow { row: position, earlier, hosts })
    }
}

/// The tables of the rows with hosts, by what their patterns for hosts say.
struct HostTables {
    names: HashMap<String, PortTables>,
    /// By the name that follows `*.`.
    wildcards: HashMap<String, PortTables>,
}

/// The tables of one name, or of all names below one.
#[derive(Default)]
struct PortTables {
    every_port: Option<RouteTable<usize>>,
    ports: BTreeMap<u16, RouteTable<usize>>,
}

impl HostTables {
    fn new<T>(rows: &[(usize, &RouteRow<T>)]) -> Self {
        let mut lists: HashMap<&HostPattern, Vec<(RoutePattern, usize)>> = HashMap::new();
        for &(position, row) in rows {
            for host in &row.hosts {
                lists.entry(host).or_default().push((row.pattern.clone(), position));
            }
        }
        let mut tables = Self { names: HashMap::new(), wildcards: HashMap::new() };
        for (host, list) in lists {
            let group = if host.is_wildcard() { &mut tables.wildcards } else { &mut tables.names };
            let of_name = group.entry(host.name().to_owned()).or_default();
            let table = RouteTable::new(list);
            match host.port() {
                None => of_name.every_port = Some(table),
                Some(port) => drop(of_name.ports.insert(port, table)),
            }
        }
        tables
    }

    /// The tables of the patterns that match a host.
    fn matching(&self, name: &HostName<'_>, port: Option<u16>) -> impl Iterator<Item = &RouteTable<usize>> {
        // An address has no parent among the wildcards: they are all of names.
        self.below(Some(name.as_str()), name.parent(), port)
    }

    /// The tables of the patterns that match all hosts which `host` matches.
    fn covering(&self, host: &HostPattern) -> impl Iterator<Item = &RouteTable<usize>> {
        let name = host.name();
        let parent = name.split_once('.').map(|(_, parent)| parent);
        let (name, parent) = if host.is_wildcard() { (None, Some(name)) } else { (Some(name), parent) };
        self.below(name, parent, host.port())
    }

    fn below(
        &self,
        name: Option<&str>,
        parent: Option<&str>,
        port: Option<u16>,
    ) -> impl Iterator<Item = &RouteTable<usize>> {
        let of_name = name.and_then(|name| self.names.get(name));
        let of_parent = parent.and_then(|parent| self.wildcards.get(parent));
        of_name
            .into_iter()
            .chain(of_parent)
            .flat_map(move |tables| tables.every_port.iter().chain(port.and_then(|port| tables.ports.get(&port))))
    }
}
