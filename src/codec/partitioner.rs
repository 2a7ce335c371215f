//! Where a key lives: its partition in Kafka and its bucket in the store.
//!
//! Owns Kafka's murmur2, only to check where a record stands (the producer's client chooses), and
//! the bucket's hash. The two differ on purpose: with one hash for both, the keys of one partition
//! would share few buckets. Neither ever changes for a live topic.

use sha2::{Digest, Sha256};

/// Kafka's murmur2 with its seed, as Java's signed 32-bit number.
pub fn murmur2(key: &[u8]) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).expect("a key is at most 64 bytes long");
    let mut hash = 0x9747_b28c ^ length;
    let mut words = key.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}

/// The partition of a key among `partitions` (at least 1).
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & i32::MAX) % partitions
}

/// The bucket of a key among `buckets` (at least 1).
pub fn bucket_of(key: &[u8], buckets: u32) -> u32 {
    let hash = Sha256::digest(key);
    let head = hash.iter().take(8).fold(0_u64, |head, byte| head << 8 | u64::from(*byte));
    u32::try_from(head % u64::from(buckets)).expect("a rest is below its divisor, a u32")
}

/// Rows that the heads of a bucket share.
pub const SLOTS: u8 = 32;

/// The slot of a key in its bucket: another part of the bucket's hash.
pub fn slot_of(key: &[u8]) -> u8 {
    Sha256::digest(key)[8] % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: the same partition as Java's producer. Method: operations.md 1.1's golden vectors.
    #[test]
    fn murmur2_is_kafkas() {
        for (key, hash, of_12) in [
            ("21", -973_932_308, 0),
            ("foobar", -790_332_482, 6),
            ("a-little-bit-long-string", -985_981_536, 8),
            ("acc-000001", 1_755_855_410, 2),
            ("é", 186_971_271, 3),
        ] {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
            assert_eq!(partition_of(key.as_bytes(), 12), of_12, "{key}");
        }
        assert_eq!(partition_of(b"foobar", 64), 62);
    }

    /// Goal: neither a bucket nor a slot ever moves. Method: SHA-256("abc") begins ba7816bf 8f01cfea 41.
    #[test]
    fn buckets_are_fixed() {
        assert_eq!(bucket_of(b"abc", 16), 0xa);
        assert_eq!(bucket_of(b"abc", 1000), (0xba78_16bf_8f01_cfea_u64 % 1000) as u32);
        assert_eq!(slot_of(b"abc"), 0x41 % 32);
    }
}
