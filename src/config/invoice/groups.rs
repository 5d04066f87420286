//! Which parcels does a parcel require?
//!
//! A parcel requires groups. A group has parcels as members, which may require groups in turn. Parcels and groups are
//! the nodes of one graph, so that a search takes time in proportion to the length of the invoice, for any content of
//! it.

use std::collections::HashMap;

use crate::config::invoice::parcel::ParcelTable;

/// The largest number of cycles that are reported.
const MAX_CYCLES: usize = 8;

/// The graph. The nodes of parcels come first, in the order of the invoice, then the nodes of groups.
pub(super) struct GroupGraph<'p> {
    parcels: usize,
    names: Vec<&'p str>,
    edges: Vec<Vec<usize>>,
}

/// Groups that require each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cycle<'p> {
    /// Each requires the next, the last one the first.
    pub groups: Vec<&'p str>,
    /// The parcel with the requirement that closes the cycle.
    pub closed_by: usize,
}

/// State of the searches for all entries: memory to reuse, and a budget of steps.
pub(super) struct SearchBudget {
    /// For each node the parcel whose search visited it last.
    visited_by: Vec<Option<usize>>,
    steps_left: usize,
}

impl SearchBudget {
    pub fn new(max_steps: usize) -> Self {
        Self { visited_by: Vec::new(), steps_left: max_steps }
    }
}

/// The state of a node in a depth-first search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NodeState {
    Unvisited,
    OnPath,
    Done,
}

impl<'p> GroupGraph<'p> {
    pub fn new(parcels: &[ParcelTable<'p>]) -> Self {
        let mut groups = Self { parcels: parcels.len(), names: Vec::new(), edges: vec![Vec::new(); parcels.len()] };
        let mut nodes: HashMap<&'p str, usize> = HashMap::new();
        for (index, parcel) in parcels.iter().enumerate() {
            for group in &parcel.requires {
                let group = groups.group_node(&mut nodes, group.text);
                groups.add_edge(index, group);
            }
            for group in &parcel.member_of {
                let group = groups.group_node(&mut nodes, group.text);
                groups.add_edge(group, index);
            }
        }
        groups
    }

    /// Returns the node of the group `name`, a new one for a new name.
    fn group_node(&mut self, nodes: &mut HashMap<&'p str, usize>, name: &'p str) -> usize {
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

    /// Returns the nodes that `node` leads to.
    fn next(&self, node: usize) -> &[usize] {
        self.edges.get(node).map_or(&[], Vec::as_slice)
    }

    /// Returns the parcels that `parcel` requires, directly and through other parcels, in the order of the invoice.
    /// Returns `None` if the budget of steps is used up.
    pub fn required_by(&self, parcel: usize, budget: &mut SearchBudget) -> Option<Vec<usize>> {
        budget.visited_by.resize(self.edges.len(), None);
        let mut found = Vec::new();
        let mut open = vec![parcel];
        while let Some(node) = open.pop() {
            budget.steps_left = budget.steps_left.checked_sub(self.next(node).len())?;
            for &next in self.next(node) {
                if let Some(visited_by) =
                    budget.visited_by.get_mut(next).filter(|visited_by| **visited_by != Some(parcel))
                {
                    *visited_by = Some(parcel);
                    open.push(next);
                    found.extend(Some(next).filter(|&next| next < self.parcels));
                }
            }
        }
        found.sort_unstable();
        Some(found)
    }

    /// Returns cycles among the requirements of `roots`: at least one of each group of connected cycles.
    pub fn cycles(&self, roots: &[usize]) -> Vec<Cycle<'p>> {
        let mut states = vec![NodeState::Unvisited; self.edges.len()];
        let mut cycles = Vec::new();
        for &root in roots {
            if states.get(root) == Some(&NodeState::Unvisited) {
                self.search(root, &mut states, &mut cycles);
            }
        }
        cycles
    }

    /// A depth-first search with an explicit path. A recursive one could overflow the stack in a long chain.
    fn search(&self, root: usize, states: &mut [NodeState], cycles: &mut Vec<Cycle<'p>>) {
        let mut enter = |node: usize, state: NodeState| {
            states.get_mut(node).map_or(NodeState::Done, |known| {
                let before = *known;
                if before == NodeState::Unvisited || state == NodeState::Done {
                    *known = state;
                }
                before
            })
        };
        enter(root, NodeState::OnPath);
        let mut path = vec![(root, 0)];
        while let Some((node, edge)) = path.last_mut() {
            let Some(&to) = self.next(*node).get(*edge) else {
                enter(*node, NodeState::Done);
                path.pop();
                continue;
            };
            *edge += 1;
            match enter(to, NodeState::OnPath) {
                NodeState::Unvisited => path.push((to, 0)),
                NodeState::OnPath if cycles.len() < MAX_CYCLES => {
                    let cycle = path.iter().map(|(node, _)| *node).skip_while(|node| *node != to);
                    cycles.extend(self.cycle(cycle));
                }
                NodeState::OnPath | NodeState::Done => {}
            }
        }
    }

    fn cycle(&self, nodes: impl Iterator<Item = usize>) -> Option<Cycle<'p>> {
        let (parcels, groups): (Vec<_>, Vec<_>) = nodes.partition(|node| *node < self.parcels);
        let names = groups.into_iter().filter_map(|node| self.names.get(node - self.parcels).copied()).collect();
        Some(Cycle { groups: names, closed_by: parcels.last().copied()? })
    }
}
