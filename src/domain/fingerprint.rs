//! Fingerprints of what a message says, to tell a repeat from a changed duplicate.
//!
//! Owns one hash (FNV-1a, 64 bit): the same on every machine and in every release, because its
//! values are part of the checkpointed state. Never used for identity: ids are compared whole.

/// FNV-1a over the parts, each closed by a separator so that ("ab", "c") differs from ("a", "bc").
#[derive(Clone, Copy)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    pub fn bytes(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |hash, byte| hash.byte(*byte)).byte(0xff)
    }

    fn byte(self, byte: u8) -> Self {
        Self((self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    pub fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub fn number(self, number: i64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    pub fn value(self) -> u64 {
        self.0
    }
}
