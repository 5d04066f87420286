//! How much memory may an instance have?
//!
//! The limit counts all memories of an instance together: a limit per memory is no limit for a guest that may declare
//! several. A guest that asks for more gets -1 from `memory.grow`, as the specification says, and can continue.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use wasmtime::{ResourceLimiter, Result};

use crate::format::counted;

use crate::runtime::instance::stderr::Note;
use crate::runtime::instance::stdio::Stdio;

/// The memory and table space an instance may still take.
///
/// Memory that was granted is never returned to the budget: the engine also reports failed growths for which it did not ask
/// before, so a refund could be larger than what was taken.
#[derive(Debug)]
pub(in crate::runtime) struct MemoryBudget {
    bytes_left: usize,
    elements_left: usize,
    max_bytes: usize,
    max_elements: usize,
    /// What was refused first, for the log.
    refused: Option<Refused>,
}

/// A growth past a limit.
#[derive(Clone, Copy, Debug)]
enum Refused {
    Memory { total: usize },
    Table { total: usize },
}

impl MemoryBudget {
    /// A budget of `bytes` of memory and `elements` of tables.
    pub fn new(bytes: usize, elements: usize) -> Self {
        Self { bytes_left: bytes, elements_left: elements, max_bytes: bytes, max_elements: elements, refused: None }
    }
}

/// The memory of a run: what its budget has. What the guest has got is told to those who ask about its run. At its end the log learns
/// what the guest was refused, which its own messages rarely say.
pub(in crate::runtime) struct RunMemory {
    budget: MemoryBudget,
    stdio: Arc<Stdio>,
}

/// Growing past the declared maximum fails anyway and must not be charged.
fn spend(left: &mut usize, current: usize, desired: usize, maximum: Option<usize>) -> bool {
    if maximum.is_some_and(|maximum| desired > maximum) {
        return false;
    }
    let rest = left.checked_sub(desired.saturating_sub(current));
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

impl MemoryBudget {
    /// How much memory was granted, in bytes.
    pub fn granted(&self) -> u64 {
        (self.max_bytes - self.bytes_left) as u64
    }

    /// A line for the log about the first growth that a limit of the entry forbade, if one did.
    pub fn refusal(&self) -> Option<String> {
        Some(match self.refused? {
            Refused::Memory { total } => {
                format!("memory: growing to {total} bytes was refused: `limits.memory` is {}", self.max_bytes)
            }
            Refused::Table { total } => {
                format!(
                    "tables: growing to {} was refused: `limits.table_elements` is {}",
                    counted(total, "element", "elements"),
                    self.max_elements
                )
            }
        })
    }
}

impl ResourceLimiter for MemoryBudget {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let is_granted = spend(&mut self.bytes_left, current, desired, maximum);
        if !is_granted && maximum.is_none_or(|maximum| desired <= maximum) && self.refused.is_none() {
            let total = (self.max_bytes - self.bytes_left).saturating_add(desired.saturating_sub(current));
            self.refused = Some(Refused::Memory { total });
        }
        Ok(is_granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let is_granted = spend(&mut self.elements_left, current, desired, maximum);
        if !is_granted && maximum.is_none_or(|maximum| desired <= maximum) && self.refused.is_none() {
            let total = (self.max_elements - self.elements_left).saturating_add(desired.saturating_sub(current));
            self.refused = Some(Refused::Table { total });
        }
        Ok(is_granted)
    }
}

impl RunMemory {
    /// The memory of the run with these streams.
    pub fn new(budget: MemoryBudget, stdio: Arc<Stdio>) -> Self {
        Self { budget, stdio }
    }
}

impl ResourceLimiter for RunMemory {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let is_granted = self.budget.memory_growing(current, desired, maximum);
        self.stdio.memory_peak.store(self.budget.granted(), Relaxed);
        is_granted
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.budget.table_growing(current, desired, maximum)
    }
}

impl Drop for RunMemory {
    fn drop(&mut self) {
        if let Some(refusal) = self.budget.refusal() {
            self.stdio.stderr().note(Note::Memory, || refusal);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::instance::memory::*;

    #[test]
    fn memories_are_counted_together() {
        let mut budget = MemoryBudget::new(100, 0);
        assert!(budget.memory_growing(0, 60, None).unwrap());
        assert_eq!(budget.refusal(), None);
        assert!(!budget.memory_growing(0, 60, None).unwrap());
        assert_eq!(budget.granted(), 60);
        assert!(budget.memory_growing(0, 40, None).unwrap());
        assert_eq!(budget.granted(), 100);
        let refusal = budget.refusal().expect("one was refused");
        assert_eq!(refusal, "memory: growing to 120 bytes was refused: `limits.memory` is 100");
    }

    #[test]
    fn growing_past_the_declared_maximum_is_refused_and_costs_nothing() {
        let mut budget = MemoryBudget::new(100, 0);
        assert!(!budget.memory_growing(0, 90, Some(50)).unwrap());
        assert_eq!(budget.refusal(), None);
        assert!(budget.memory_growing(0, 100, None).unwrap());
    }

    #[test]
    fn a_failure_the_engine_reports_gives_nothing_back() {
        let mut budget = MemoryBudget::new(100, 0);
        assert!(budget.memory_growing(0, 100, None).unwrap());
        budget.memory_grow_failed(wasmtime::Error::msg("not asked about")).unwrap();
        assert!(!budget.memory_growing(100, 101, None).unwrap());
    }
}
