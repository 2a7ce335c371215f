//! Keys of gateways: read from their files, and what is signed with them.
//!
//! Owns the forms of key files and of signed tokens (RFC 7515, compact). Never keeps a file's text,
//! and no error or `Debug` shows a part of it. Invariant: a key that was read can sign.

use base64::{
    Engine,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig},
};
use http::HeaderValue;
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer},
    pkcs8::DecodePrivateKey,
};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use serde_json::Value;
use std::path::Path;

/// Written without padding, read with or without: browsers and people differ.
pub const BASE64_URL: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

/// A header that debugging output hides. `None`: HTTP allows no such text.
pub fn secret_header(text: String) -> Option<HeaderValue> {
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}

/// A key file that cannot be used. Names the key of the configuration, the file and the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {path} {fault}; {cure}")]
pub struct KeyError {
    pub setting: &'static str,
    pub path: String,
    pub fault: String,
    pub cure: &'static str,
}

/// A file named by a setting.
#[derive(Clone, Copy, Debug)]
pub struct KeyFile<'a> {
    pub setting: &'static str,
    pub path: &'a Path,
    pub cure: &'static str,
}

impl KeyFile<'_> {
    pub fn fault(&self, fault: impl Into<String>) -> KeyError {
        let path = self.path.display().to_string();
        KeyError { setting: self.setting, path, fault: fault.into(), cure: self.cure }
    }

    pub fn text(&self) -> Result<String, KeyError> {
        std::fs::read_to_string(self.path)
            .map_err(|error| self.fault(format!("cannot be read ({})", error.kind())))
    }

    /// PKCS#8 PEM, or the 32 bytes of the secret as base64url.
    pub fn p256(&self) -> Result<SigningKey, KeyError> {
        let text = self.text()?;
        let raw = || BASE64_URL.decode(text.trim()).ok();
        SigningKey::from_pkcs8_pem(text.trim())
            .ok()
            .or_else(|| SigningKey::from_slice(&raw()?).ok())
            .ok_or_else(|| self.fault("holds no P-256 key"))
    }
}

/// `None`: no PKCS#8 PEM of an RSA key of 2048 bits or more.
pub fn rsa(pem: &str) -> Option<RsaKeyPair> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).ok()?;
    RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok()
}

/// A signed token (ES256).
pub fn es256_token(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let signed = signed_part(header, claims);
    let signature: Signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", BASE64_URL.encode(signature.to_bytes()))
}

/// A signed token (RS256). `None`: the system has no randomness, which blinds the key's use.
pub fn rs256_token(key: &RsaKeyPair, header: &Value, claims: &Value) -> Option<String> {
    let signed = signed_part(header, claims);
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).ok()?;
    Some(format!("{signed}.{}", BASE64_URL.encode(signature)))
}

fn signed_part(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL.encode(value.to_string());
    format!("{}.{}", part(header), part(claims))
}
