//! Content of web pushes as the browser reads it (RFC 8291).
//!
//! Owns the reading of the bytes. Shares the derivation of keys with the sender, as both sides of
//! the standard do; that the two are no mistake in common is shown by another library and by the
//! standard's example. Never takes what a browser would not. Invariant: what was opened was sealed
//! for this receiver, whole.

use super::keys::Receiver;
use crate::adapters::gateways::sealed::{
    AUTH_BYTES, DELIMITER, Known, POINT_BYTES, SALT_BYTES, cipher, derive,
};
use p256::{PublicKey, ecdh::diffie_hellman};
use ring::aead::{Aad, Nonce};

/// The plaintext. `None`: it is for somebody else, spoilt, or more than one record.
pub fn open(sealed: &[u8], receiver: &Receiver, auth: &[u8; AUTH_BYTES]) -> Option<Vec<u8>> {
    let (salt, rest) = sealed.split_first_chunk::<SALT_BYTES>()?;
    let (size, rest) = rest.split_first_chunk()?;
    let (&point_bytes, rest) = rest.split_first()?;
    let (sender, record) = rest.split_at_checked(usize::from(point_bytes))?;
    let is_one_record = u32::try_from(record.len()).is_ok_and(|it| it <= u32::from_be_bytes(*size));
    if sender.len() != POINT_BYTES || !is_one_record {
        return None;
    }
    let theirs = PublicKey::from_sec1_bytes(sender).ok()?;
    let secret = diffie_hellman(receiver.secret.to_nonzero_scalar(), theirs.as_affine());
    let known = Known { auth, receiver: &receiver.point, sender, salt };
    let (key, nonce) = derive(secret.raw_secret_bytes(), &known);
    let mut record = record.to_vec();
    let padded = cipher(&key)
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut record)
        .ok()?;
    let end = padded.iter().rposition(|byte| *byte != 0)?;
    (padded[end] == DELIMITER).then(|| padded[..end].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::gateways::keys::BASE64_URL;
    use base64::Engine;
    use p256::SecretKey;

    const AUTH: [u8; AUTH_BYTES] = [7; AUTH_BYTES];

    fn receiver(secret: &[u8]) -> Receiver {
        Receiver::new(SecretKey::from_slice(secret).expect("a key"))
    }

    /// Goal: the standard's own example. Method: the message of RFC 8291, section 5.
    #[test]
    fn the_standards_message_is_opened() {
        let bytes = |text: &str| BASE64_URL.decode(text).expect(text);
        let receiver = receiver(&bytes("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"));
        let auth = bytes("BTBZMqHH6r4Tts7J_aSIgg").try_into().expect("16 bytes");
        let sealed = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6\
                      e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZ\
                      wbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN";
        let plain = open(&bytes(sealed), &receiver, &auth).expect("for us");
        assert_eq!(plain, b"When I grow up, I want to be a watermelon");
    }

    /// Goal: what an independent library seals is opened, by the right receiver alone. Method: a
    /// text of several lengths, whole, cut anywhere in its head, spoilt, with other keys.
    #[test]
    fn another_librarys_messages_are_opened() {
        let (right, wrong) = (receiver(&[1; 32]), receiver(&[2; 32]));
        let public = right.secret.public_key();
        for length in [0, 1, 16, 3_993] {
            let plain = vec![b'x'; length];
            let sealed = web_push_native::encrypt(plain.clone(), &public, &AUTH.into());
            let sealed = sealed.expect("a short text");
            assert_eq!(open(&sealed, &right, &AUTH), Some(plain), "{length}");
            assert_eq!(open(&sealed, &wrong, &AUTH), None, "{length}");
            assert_eq!(open(&sealed, &right, &[8; AUTH_BYTES]), None, "{length}");
            for cut in (0..100).chain([sealed.len() - 1]) {
                assert_eq!(open(&sealed[..cut], &right, &AUTH), None, "{length} {cut}");
            }
            // Salt, size, the point's size, the point, the record.
            for place in [0, 16, 19, 20, 21, 60, sealed.len() - 1] {
                let mut spoilt = sealed.clone();
                spoilt[place] ^= 0x81;
                // A size that is larger says nothing else.
                let is_read = place == 16 || (place == 19 && spoilt[19] > sealed[19]);
                assert_eq!(open(&spoilt, &right, &AUTH).is_some(), is_read, "{length} {place}");
            }
        }
    }
}
