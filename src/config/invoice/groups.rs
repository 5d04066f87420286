//! Which parcels does a parcel require?
//!
//! A parcel requires groups, a group has parcels as its members, and those require groups in turn. Parcels and groups are
//! the nodes of one graph, so that a walk takes no longer than the invoice is, whatever it says. Asked by the parent.

use std::collections::HashMap;

use crate::config::invoice::parcel::Described;

/// Of more circles than this nobody wants to read.
const MOST_CYCLES: usize = 8;

/// The graph. The nodes of parcels come first, in the order of the invoice, then those of groups.
pub(super) struct Groups<'p> {
    parcels: usize,
    names: Vec<&'p str>,
    edges: Vec<Vec<usize>>,
}

/// Groups that require each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cycle<'p> {
    /// Each requires the next, the last one the first.
    pub groups: Vec<&'p str>,
    /// The parcel whose requirement leads back.
    pub closed_by: usize,
}

/// What several walks have in common: memory, and patience.
pub(super) struct Walks {
    /// For each node the parcel whose walk was there last.
    seen_by: Vec<Option<usize>>,
    steps_left: usize,
}

impl Walks {
    pub fn new(most_steps: usize) -> Self {
        Self { seen_by: Vec::new(), steps_left: most_steps }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    OnPath,
    Done,
}

impl<'p> Groups<'p> {
    pub fn of(parcels: &[Described<'p>]) -> Self {
        let mut groups = Self { parcels: parcels.len(), names: Vec::new(), edges: vec![Vec::new(); parcels.len()] };
        let mut nodes: HashMap<&'p str, usize> = HashMap::new();
        for (parcel, described) in parcels.iter().enumerate() {
            for (name, _) in &described.requires {
                let group = groups.node(&mut nodes, name);
                groups.add_edge(parcel, group);
            }
            for (name, _) in &described.member_of {
                let group = groups.node(&mut nodes, name);
                groups.add_edge(group, parcel);
            }
        }
        groups
    }

    fn node(&mut self, nodes: &mut HashMap<&'p str, usize>, name: &'p str) -> usize {
        *nodes.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.edges.push(Vec::new());
            self.edges.len() - 1
        })
    }

    fn add_edge(&mut self, from: usize, to: usize) {
        if let Some(edges) = self.edges.get_mut(from) {
            edges.push(to);
        }
    }

    fn next(&self, node: usize) -> &[usize] {
        self.edges.get(node).map_or(&[], Vec::as_slice)
    }

    /// The parcels in all groups that a parcel requires and that those require, in the order of the invoice; `None` if
    /// all walks together have become too long.
    pub fn required_by(&self, parcel: usize, walks: &mut Walks) -> Option<Vec<usize>> {
        walks.seen_by.resize(self.edges.len(), None);
        let mut found = Vec::new();
        let mut open = vec![parcel];
        while let Some(node) = open.pop() {
            walks.steps_left = walks.steps_left.checked_sub(self.next(node).len())?;
            for &next in self.next(node) {
                if let Some(seen_by) = walks.seen_by.get_mut(next).filter(|seen_by| **seen_by != Some(parcel)) {
                    *seen_by = Some(parcel);
                    open.push(next);
                    found.extend(Some(next).filter(|&next| next < self.parcels));
                }
            }
        }
        found.sort_unstable();
        Some(found)
    }

    /// Circles among what these parcels require: at least one of those that hang together, none if there is none.
    pub fn cycles(&self, roots: &[usize]) -> Vec<Cycle<'p>> {
        let mut visits = vec![Visit::Not; self.edges.len()];
        let mut cycles = Vec::new();
        for &root in roots {
            if visits.get(root) == Some(&Visit::Not) {
                self.search(root, &mut visits, &mut cycles);
            }
        }
        cycles
    }

    /// A search in depth, with a path of its own instead of the stack, which a long chain would overflow.
    fn search(&self, root: usize, visits: &mut [Visit], cycles: &mut Vec<Cycle<'p>>) {
        let mut enter = |node: usize, visit: Visit| {
            visits.get_mut(node).map_or(Visit::Done, |known| {
                let before = *known;
                if before == Visit::Not || visit == Visit::Done {
                    *known = visit;
                }
                before
            })
        };
        enter(root, Visit::OnPath);
        let mut path = vec![(root, 0)];
        while let Some((node, edge)) = path.last_mut() {
            let Some(&to) = self.next(*node).get(*edge) else {
                enter(*node, Visit::Done);
                path.pop();
                continue;
            };
            *edge += 1;
            match enter(to, Visit::OnPath) {
                Visit::Not => path.push((to, 0)),
                Visit::OnPath if cycles.len() < MOST_CYCLES => {
                    let circle = path.iter().map(|(node, _)| *node).skip_while(|node| *node != to);
                    cycles.extend(self.cycle(circle));
                }
                Visit::OnPath | Visit::Done => {}
            }
        }
    }

    fn cycle(&self, circle: impl Iterator<Item = usize>) -> Option<Cycle<'p>> {
        let (parcels, groups): (Vec<_>, Vec<_>) = circle.partition(|node| *node < self.parcels);
        let names = groups.into_iter().filter_map(|node| self.names.get(node - self.parcels).copied()).collect();
        Some(Cycle { groups: names, closed_by: parcels.last().copied()? })
    }
}
