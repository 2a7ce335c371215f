//! How fast: token buckets, and the random pause before another attempt.
//!
//! Owns whole-number arithmetic only: tokens are counted in thousandths, so that a bucket filled
//! at n a second gains n a millisecond. The random numbers come from a seed that is given, so that
//! a simulated run repeats itself.

/// Thousandths of a token.
const TOKEN: i64 = 1_000;

/// First pause at most, doubled each time.
const PAUSE_FIRST_MS: i64 = 200;
/// No pause of ours is longer.
const PAUSE_MAX_MS: i64 = 30_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    level: i64,
    level_max: i64,
    per_second: i64,
    filled_ms: i64,
}

impl Bucket {
    /// Full at the beginning.
    pub fn new(per_second: i64, tokens_max: i64, now_ms: i64) -> Self {
        let level_max = tokens_max.max(1) * TOKEN;
        Self { level: level_max, level_max, per_second: per_second.max(1), filled_ms: now_ms }
    }

    pub fn fill(&mut self, now_ms: i64) {
        let gained_ms = now_ms.saturating_sub(self.filled_ms).max(0);
        self.level = self
            .level
            .saturating_add(self.per_second.saturating_mul(gained_ms))
            .min(self.level_max);
        self.filled_ms = self.filled_ms.max(now_ms);
    }

    /// A share of a token, in thousandths, that something else pays in.
    pub fn pay_in(&mut self, thousandths: i64) {
        self.level = (self.level + thousandths).min(self.level_max);
    }

    pub fn has_one(&self) -> bool {
        self.level >= TOKEN
    }

    pub fn take(&mut self) {
        self.level -= TOKEN;
    }

    /// When there will be a token, after `fill`.
    pub fn next_ms(&self) -> i64 {
        let lacking = (TOKEN - self.level).max(0);
        self.filled_ms + (lacking + self.per_second - 1) / self.per_second
    }
}

/// SplitMix64: small, seeded, and good enough for jitter.
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `most_ms`, both inclusive.
    pub fn up_to(&mut self, most_ms: i64) -> i64 {
        let choices = u64::try_from(most_ms).unwrap_or(0) + 1;
        i64::try_from(self.next() % choices).unwrap_or(0)
    }

    /// Full jitter: anything up to 200 ms, 400 ms, 800 ms, ... 30 s. `attempts`: made so far.
    pub fn pause_ms(&mut self, attempts: i32) -> i64 {
        let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(20);
        self.up_to((PAUSE_FIRST_MS << doublings).min(PAUSE_MAX_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a bucket gives its burst, then its rate, and says when it gives again. Method: 2,000 a
    /// second with a burst of 3.
    #[test]
    fn buckets() {
        let mut bucket = Bucket::new(2_000, 3, 0);
        let mut given = 0;
        for now_ms in 0..10 {
            bucket.fill(now_ms);
            while bucket.has_one() {
                bucket.take();
                given += 1;
            }
            assert_eq!(bucket.next_ms(), now_ms + 1);
        }
        assert_eq!(given, 3 + 2 * 9);
    }

    /// Goal: pauses grow, stay below the cap and use the whole range. Method: many draws of each.
    #[test]
    fn pauses() {
        let mut jitter = Jitter::new(7);
        for (attempts, most_ms) in [(1, 200), (2, 400), (5, 3_200), (9, 30_000), (60, 30_000)] {
            let drawn: Vec<i64> = (0..2_000).map(|_| jitter.pause_ms(attempts)).collect();
            let highest = drawn.iter().copied().max().unwrap_or(0);
            assert!(drawn.iter().all(|pause| (0..=most_ms).contains(pause)), "{attempts}");
            assert!(highest > most_ms * 9 / 10, "{attempts}: {highest}");
            assert!(drawn.iter().any(|pause| *pause < most_ms / 10), "{attempts}");
        }
    }
}
