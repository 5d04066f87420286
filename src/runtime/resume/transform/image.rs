//! Which segments of data fill a memory?

use wasm_encoder::{ConstExpr, DataSection};

/// Zeros that are cheaper in a segment than between two segments.
const SHORT_GAP: usize = 512;

/// More than engines take, so that wider gaps are filled instead.
const MAX_SEGMENTS: usize = 10_000;

/// The section that makes a memory of zeros into `memory`.
pub(super) fn data_section(memory: &[u8]) -> DataSection {
    let mut gap = SHORT_GAP;
    let mut runs = runs(memory, gap);
    while runs.len() > MAX_SEGMENTS {
        gap *= 8;
        runs = self::runs(memory, gap);
    }
    let mut data = DataSection::new();
    for run in runs {
        // An address of 32 bits, which the constant holds as its bits.
        let offset = u32::try_from(run.start).unwrap_or(u32::MAX).cast_signed();
        let bytes = memory.get(run).unwrap_or_default().iter().copied();
        data.active(0, &ConstExpr::i32_const(offset), bytes);
    }
    data
}

/// The places of all bytes that are not zero, where those less than `gap` apart are one place.
fn runs(memory: &[u8], gap: usize) -> Vec<std::ops::Range<usize>> {
    const STEP: usize = 64;
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (index, chunk) in memory.chunks(STEP).enumerate() {
        let Some(first) = chunk.iter().position(|byte| *byte != 0) else { continue };
        let last = chunk.iter().rposition(|byte| *byte != 0).unwrap_or(first);
        let (start, end) = (index * STEP + first, index * STEP + last + 1);
        match runs.last_mut() {
            Some(run) if start - run.end < gap => run.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use crate::runtime::resume::transform::image::*;

    #[test]
    fn segments_hold_all_that_is_not_zero() {
        let mut memory = vec![0; 1 << 16];
        for place in [0, 1, 300, 5000, 40_000, 65_535] {
            memory[place] = 7;
        }
        assert_eq!(runs(&memory, SHORT_GAP), [0..301, 5000..5001, 40_000..40_001, 65_535..65_536]);
        assert_eq!(runs(&memory, 100_000), std::iter::once(0..65_536).collect::<Vec<_>>());
        assert!(runs(&[0; 100], SHORT_GAP).is_empty());
        assert_eq!(data_section(&memory).len(), 4);
    }
}
