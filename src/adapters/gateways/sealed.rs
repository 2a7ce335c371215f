//! Content of web pushes: RFC 8291, in the coding `aes128gcm` of RFC 8188, one record a message.
//!
//! Owns the keys' derivation and the form of the bytes. By ring: every push makes a key pair and
//! agrees on a secret, for which pure Rust takes several times as long. Never keeps a key or a salt.
//! Invariant: what is sealed for a subscription is opened by it alone, and no two messages have
//! been sealed alike.

use ring::rand::{SecureRandom, SystemRandom};
use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};

/// An uncompressed point of P-256, which is the only form that RFC 8291 knows.
pub const POINT_BYTES: usize = 65;
pub const AUTH_BYTES: usize = 16;
pub const SALT_BYTES: usize = 16;
/// Before the record: salt, its size in four bytes, the point's in one, the sender's point.
pub const HEADER_BYTES: usize = SALT_BYTES + 4 + 1 + POINT_BYTES;
/// Ends the text of the last record; only zeros may follow.
pub const DELIMITER: u8 = 2;
const TAG_BYTES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The subscription's key is no point of the curve.
    Point,
    /// A record's size has four bytes.
    TooLong,
    /// The system gives no random bytes.
    Randomness,
}

/// What both sides know of one message beside the secret that they agreed on.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    pub auth: &'a [u8; AUTH_BYTES],
    /// The subscription's point and, for this one message, the sender's.
    pub receiver: &'a [u8],
    pub sender: &'a [u8],
    pub salt: &'a [u8; SALT_BYTES],
}

/// `plain` as the body of a request to the push service of the subscription.
pub fn seal(plain: Vec<u8>, receiver: &[u8], auth: &[u8; AUTH_BYTES]) -> Result<Vec<u8>, Fault> {
    let record_bytes = record_bytes(plain.len()).ok_or(Fault::TooLong)?;
    let random = SystemRandom::new();
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt).map_err(|_| Fault::Randomness)?;
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &random).map_err(|_| Fault::Randomness)?;
    let sender = ours.compute_public_key().map_err(|_| Fault::Randomness)?;
    let known = Known { auth, receiver, sender: sender.as_ref(), salt: &salt };
    let theirs = UnparsedPublicKey::new(&ECDH_P256, receiver);
    let (key, nonce) = agree_ephemeral(ours, &theirs, |secret| derive(secret, &known))
        .map_err(|_| Fault::Point)?;
    let mut record = plain;
    record.push(DELIMITER);
    cipher(&key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)
        .map_err(|_| Fault::TooLong)?;
    Ok([&header(&known, record_bytes), &*record].concat())
}

/// One more than the record has, as RFC 8291, section 4 wants it; 18 is the least that RFC 8188
/// allows. `None`: its four bytes cannot tell it.
fn record_bytes(plain_bytes: usize) -> Option<u32> {
    plain_bytes.checked_add(1 + TAG_BYTES + 1)?.try_into().ok()
}

fn header(known: &Known<'_>, record_bytes: u32) -> Vec<u8> {
    let size = record_bytes.to_be_bytes();
    [known.salt, &size[..], &[POINT_BYTES as u8], known.sender].concat()
}

/// Shape: (key of the content, nonce of its first record). RFC 8291 3.4, then RFC 8188 2.2 and 2.3.
pub fn derive(secret: &[u8], known: &Known<'_>) -> ([u8; 16], [u8; 12]) {
    let parties = [b"WebPush: info\0", known.receiver, known.sender];
    let input: [u8; 32] = hkdf(known.auth, secret, &parties);
    let key = hkdf(known.salt, &input, &[b"Content-Encoding: aes128gcm\0"]);
    (key, hkdf(known.salt, &input, &[b"Content-Encoding: nonce\0"]))
}

fn hkdf<const BYTES: usize>(salt: &[u8], secret: &[u8], about: &[&[u8]]) -> [u8; BYTES] {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = [0; BYTES];
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(about, Length(BYTES))
        .and_then(|stream| stream.fill(&mut out))
        .expect("HKDF has 8,160 bytes to give");
    out
}

/// For one message: its key is derived anew for each.
pub fn cipher(key: &[u8; 16]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).expect("AES-128 keys have 16 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::gateways::keys::BASE64_URL;
    use base64::Engine;
    use p256::SecretKey;

    const AUTH: [u8; AUTH_BYTES] = [7; AUTH_BYTES];
    /// The plaintext that fits the 4,096 bytes which every push service takes.
    const EVERYWHERE_BYTES_MAX: usize = 4_096 - HEADER_BYTES - 1 - TAG_BYTES;

    fn subscription(byte: u8) -> (SecretKey, Vec<u8>) {
        let secret = SecretKey::from_slice(&[byte; 32]).expect("a key");
        let point = secret.public_key().to_sec1_bytes().to_vec();
        (secret, point)
    }

    /// Goal: the standard's own example. Method: what appendix A of RFC 8291 has, by its names.
    #[test]
    fn keys_are_those_of_the_standard() {
        let bytes = |text: &str| BASE64_URL.decode(text).expect(text);
        let (receiver, sender) = (
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
        );
        let known = Known {
            auth: &bytes("BTBZMqHH6r4Tts7J_aSIgg").try_into().expect("16 bytes"),
            receiver: &bytes(receiver),
            sender: &bytes(sender),
            salt: &bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().expect("16 bytes"),
        };
        let (key, nonce) = derive(&bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs"), &known);
        assert_eq!(BASE64_URL.encode(key), "oIhVW04MRdy2XN9CiKLxTg");
        assert_eq!(BASE64_URL.encode(nonce), "4h_95klXJ5E_qnoN");
    }

    /// Goal: an independent library reads what is sealed; nobody else does; repeats differ. Method:
    /// lengths at the edges of blocks and of what push services take, opened with right and wrong
    /// keys and with a byte spoilt.
    #[test]
    fn sealed_is_opened_by_its_subscription_alone() {
        let ((secret, point), (foreign, _)) = (subscription(1), subscription(2));
        let open = |sealed: &[u8], secret: &SecretKey, auth: [u8; AUTH_BYTES]| {
            web_push_native::decrypt(sealed.to_vec(), secret, &auth.into()).ok()
        };
        for length in [0, 1, 14, 15, 16, 17, 1_000, EVERYWHERE_BYTES_MAX, 20_000] {
            let plain: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let sealed = seal(plain.clone(), &point, &AUTH).expect("a good subscription");
            assert_eq!(sealed.len(), HEADER_BYTES + length + 1 + TAG_BYTES);
            assert_eq!(open(&sealed, &secret, AUTH), Some(plain.clone()), "{length}");
            assert_eq!(open(&sealed, &foreign, AUTH), None, "{length}");
            assert_eq!(open(&sealed, &secret, [8; AUTH_BYTES]), None, "{length}");
            let mut spoilt = sealed.clone();
            spoilt[HEADER_BYTES] ^= 1;
            assert_eq!(open(&spoilt, &secret, AUTH), None, "{length}");
            let again = seal(plain, &point, &AUTH).expect("a good subscription");
            assert_ne!(again[..HEADER_BYTES], sealed[..HEADER_BYTES], "{length}");
            assert_ne!(again[HEADER_BYTES..], sealed[HEADER_BYTES..], "{length}");
        }
    }

    /// Goal: a key that is no point is told apart from a text that is too long. Method: points of
    /// wrong length, form and place; lengths around what a record's size can tell.
    #[test]
    fn bad_points_and_long_texts_are_faults() {
        let (_, good) = subscription(1);
        let (mut off_curve, mut hybrid) = (good.clone(), good.clone());
        off_curve[64] ^= 1;
        hybrid[0] = 6;
        let past_field = [&[4][..], &[255; 64]].concat();
        let zero = [&[4][..], &[0; 64]].concat();
        let compressed = [&[2], &good[1..33]].concat();
        let nothing = Vec::new();
        let short = good[..64].to_vec();
        for bad in [nothing, short, compressed, off_curve, hybrid, past_field, zero] {
            assert_eq!(seal(b"text".to_vec(), &bad, &AUTH), Err(Fault::Point), "{bad:?}");
        }
        let most = u32::MAX as usize - 18;
        for (plain_bytes, then) in
            [(0, Some(18)), (most, Some(u32::MAX)), (most + 1, None), (usize::MAX, None)]
        {
            assert_eq!(record_bytes(plain_bytes), then, "{plain_bytes}");
        }
    }
}
