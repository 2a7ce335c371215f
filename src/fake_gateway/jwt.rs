//! Signed tokens in compact form (RFC 7515), and which of them have been verified.
//!
//! Owns their parts and their signatures. A sender shows one token with every push for hours, so a
//! right signature is found right once. Never judges a claim: the checks do, for each push.
//! Invariant: what counts as signed was verified under that very key, letter by letter.

use super::keys;
use crate::adapters::gateways::keys::BASE64_URL;
use base64::Engine;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Beyond, all are forgotten: they are verified again.
const VERIFIED_MAX: usize = 64;

pub struct Jwt<'a> {
    pub header: Value,
    pub claims: Value,
    token: &'a str,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Jwt<'a> {
    pub fn read(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let part = |text: &str| serde_json::from_slice(&BASE64_URL.decode(text).ok()?).ok();
        let (header, claims) = (part(header)?, part(claims)?);
        let signature = BASE64_URL.decode(signature).ok()?;
        Some(Jwt { header, claims, token, signed, signature })
    }

    /// By the service account's RSA key.
    pub fn is_signed_by_account(&self) -> bool {
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, keys::rsa_public())
            .verify(self.signed.as_bytes(), &self.signature)
            .is_ok()
    }

    fn is_signed_by(&self, point: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(self.signed.as_bytes(), &self.signature)
            .is_ok()
    }
}

/// Tokens whose ES256 signature was right, each with the key that says so.
#[derive(Default)]
pub struct Verified(Mutex<BTreeMap<Box<str>, Box<[u8]>>>);

impl Verified {
    /// `point`: the uncompressed public key.
    pub fn is_signed(&self, jwt: &Jwt<'_>, point: &[u8]) -> bool {
        if self.knows(jwt, point) {
            return true;
        }
        let is_right = jwt.is_signed_by(point);
        if is_right {
            let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if tokens.len() >= VERIFIED_MAX {
                tokens.clear();
            }
            tokens.insert(jwt.token.into(), point.into());
        }
        is_right
    }

    fn knows(&self, jwt: &Jwt<'_>, point: &[u8]) -> bool {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(jwt.token).is_some_and(|it| **it == *point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::gateways::keys::es256_token;
    use p256::ecdsa::SigningKey;
    use serde_json::json;

    fn pair(byte: u8) -> (SigningKey, Vec<u8>) {
        let key = SigningKey::from_slice(&[byte; 32]).expect("a key");
        let point = key.verifying_key().to_encoded_point(false).as_bytes().to_vec();
        (key, point)
    }

    fn token(key: &SigningKey, claim: usize) -> String {
        es256_token(key, &json!({"alg": "ES256"}), &json!({"iat": claim}))
    }

    /// Goal: a token that was verified proves nothing but itself under its own key. Method: shown
    /// again, under another key, with other claims or another signature, before and after.
    #[test]
    fn a_verified_token_proves_itself_alone() {
        let ((key, point), (foreign_key, foreign)) = (pair(1), pair(2));
        let (good, other) = (token(&key, 1), token(&key, 2));
        let (signed, other_signed) = (good.rsplit_once('.'), other.rsplit_once('.'));
        let (signed, other_signed) = (signed.expect("parts"), other_signed.expect("parts"));
        let other_claims = format!("{}.{}", other_signed.0, signed.1);
        let other_signature = format!("{}.{}", signed.0, other_signed.1);
        let by_foreign = token(&foreign_key, 1);
        let verified = Verified::default();
        for turn in 0..3 {
            for (token, point, is_right) in [
                (&good, &point, turn > 0),
                (&good, &foreign, false),
                (&other_claims, &point, false),
                (&other_signature, &point, false),
                (&by_foreign, &point, false),
            ] {
                let jwt = Jwt::read(token).expect("well formed");
                assert_eq!(verified.knows(&jwt, point), is_right, "{turn} {token}");
                let is_right = *token == good && *point != foreign;
                assert_eq!(verified.is_signed(&jwt, point), is_right, "{turn} {token}");
            }
        }
    }

    /// Goal: strangers' tokens cost bounded memory. Method: more tokens than are remembered.
    #[test]
    fn few_tokens_are_remembered() {
        let ((key, point), verified) = (pair(1), Verified::default());
        for claim in 0..2 * VERIFIED_MAX + 1 {
            let token = token(&key, claim);
            assert!(verified.is_signed(&Jwt::read(&token).expect("well formed"), &point));
            let held = verified.0.lock().expect("no panic").len();
            assert_eq!(held, claim % VERIFIED_MAX + 1);
        }
    }
}
