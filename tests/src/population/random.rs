//! A small deterministic generator: the same seed gives the same population on every machine. Never used for anything secret.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// A generator for one named purpose under one seed, so that adding people never changes the people before them.
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        Self { state: seed ^ hash(purpose, HASH_SEED) }
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number in `low..=high`; `low` when the range is empty.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.saturating_sub(low).saturating_add(1).max(1);
        let width = u64::try_from(width).unwrap_or(1);
        low.saturating_add(i64::try_from(self.next() % width).unwrap_or(0))
    }

    /// True in `percent` of a hundred draws.
    pub(super) fn chance(&mut self, percent: i64) -> bool {
        self.between(1, 100) <= percent
    }

    /// One of `choices`, or `fallback` when there is none.
    pub(super) fn pick<T: Copy>(&mut self, choices: &[T], fallback: T) -> T {
        let last = i64::try_from(choices.len()).unwrap_or(1).saturating_sub(1);
        usize::try_from(self.between(0, last)).ok().and_then(|place| choices.get(place)).copied().unwrap_or(fallback)
    }

    /// A value in `low..=high`, rounded to `decimals` places.
    pub(super) fn value(&mut self, low: f64, high: f64, decimals: u8) -> f64 {
        let scale = 10f64.powi(i32::from(decimals));
        let fraction = (self.next() % 1_000_001) as f64 / 1_000_000.0;
        ((low + (high - low) * fraction) * scale).round() / scale
    }
}

/// A UUID in the form of version 4 (RFC 9562 section 5.4), made from a name: stable across runs, unique for all practical purposes.
pub(super) fn stable_uuid(name: &str) -> String {
    let high = hash(name, HASH_SEED);
    let low = hash(name, HASH_SEED.rotate_left(17));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0x0fff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff
    )
}

/// FNV-1a over the bytes, then the SplitMix64 finaliser, because FNV alone leaves similar names with similar high bits.
fn hash(name: &str, seed: u64) -> u64 {
    let folded = name.bytes().fold(seed, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    mix(folded)
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

const HASH_SEED: u64 = 0xcbf2_9ce4_8422_2325;
