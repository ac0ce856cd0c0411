//! The one source of chance of a world: SplitMix64 from its seed.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Between two numbers of milliseconds, short spans as likely as long ones.
    pub fn span(&mut self, shortest_ms: u64, longest_ms: u64) -> Duration {
        let width = longest_ms.saturating_sub(shortest_ms) + 1;
        let scale = self.next() % 4;
        let narrowed = (width >> (2 * scale)).max(1);
        Duration::from_millis(shortest_ms + self.next() % narrowed)
    }
}
