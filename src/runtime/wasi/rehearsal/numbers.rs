//! Which times and random numbers does a rehearsal get?

use sha2::{Digest as _, Sha256};

use crate::runtime::resume::times::{ToldClock, ToldTime};

/// What a clock advances each time that it is read.
const TICK: u64 = 1000;

/// Times and random numbers that follow from a beginning.
#[derive(Clone, Debug)]
pub(in crate::runtime) struct Numbers {
    /// The clocks, in nanoseconds.
    pub realtime: u64,
    pub monotonic: u64,
    seed: [u8; 32],
    /// How many random bytes were drawn.
    pub drawn: u64,
    /// The times that were read.
    pub times: Vec<ToldTime>,
}

/// More times than a program reads before its checkpoint.
const MAX_TIMES: usize = 10_000;

impl Numbers {
    pub fn new(realtime: u64, monotonic: u64, seed: [u8; 32]) -> Self {
        Self { realtime, monotonic, seed, drawn: 0, times: Vec::new() }
    }

    /// The time since 1970.
    pub fn realtime(&mut self) -> u64 {
        self.realtime = self.realtime.saturating_add(TICK);
        self.note(ToldClock::Realtime, self.realtime)
    }

    /// The time since the program began.
    pub fn monotonic(&mut self) -> u64 {
        self.monotonic = self.monotonic.saturating_add(TICK);
        self.note(ToldClock::Monotonic, self.monotonic)
    }

    fn note(&mut self, clock: ToldClock, time: u64) -> u64 {
        if self.times.len() < MAX_TIMES {
            self.times.push(ToldTime { clock, time });
        }
        time
    }

    /// Fills a buffer with random bytes. Who knows the seed knows them.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for piece in buffer.chunks_mut(32) {
            let block = Sha256::new_with_prefix(self.seed).chain_update(self.drawn.to_le_bytes()).finalize();
            piece.iter_mut().zip(block).for_each(|(byte, random)| *byte = random);
            self.drawn = self.drawn.saturating_add(piece.len() as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::wasi::rehearsal::numbers::*;

    #[test]
    fn numbers_follow_from_their_beginning() {
        let draw = |seed| {
            let mut numbers = Numbers::new(5_000, 0, [seed; 32]);
            let mut bytes = [0; 100];
            numbers.fill(&mut bytes);
            numbers.fill(&mut bytes[..1]);
            (bytes, numbers.drawn, numbers.realtime(), numbers.realtime(), numbers.monotonic())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1).0, draw(2).0);
        assert_eq!((draw(1).1, draw(1).2, draw(1).3, draw(1).4), (101, 6_000, 7_000, 1_000));
    }
}
