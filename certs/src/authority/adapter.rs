//! Lets the certificate encoder sign with any [`Signer`], so that a token works as a file does.

use careweave_protocol::key::{PublicKey, Signer};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};

use super::AuthorityError;

/// A P-256 public key as the encoder wants it.
pub(super) struct RawPublicKey([u8; 65]);

/// A P-256 signer as the encoder wants it.
pub(super) struct SigningAdapter<'a> {
    public: RawPublicKey,
    signer: &'a dyn Signer,
}

impl RawPublicKey {
    pub(super) fn new(key: &PublicKey) -> Result<Self, AuthorityError> {
        match key {
            PublicKey::P256(point) => Ok(Self(*point)),
            PublicKey::Ed25519(_) => Err(AuthorityError::Algorithm),
        }
    }
}

impl<'a> SigningAdapter<'a> {
    pub(super) fn new(signer: &'a dyn Signer) -> Result<Self, AuthorityError> {
        Ok(Self { public: RawPublicKey::new(&signer.public_key())?, signer })
    }
}

impl PublicKeyData for RawPublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl PublicKeyData for SigningAdapter<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.public.algorithm()
    }
}

impl SigningKey for SigningAdapter<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let fixed = self.signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)?;
        let (r, s) = fixed.split_at_checked(32).ok_or(rcgen::Error::RemoteKeyError)?;
        Ok(ecdsa_der(r, s))
    }
}

/// `Ecdsa-Sig-Value` (RFC 5480 appendix A) of two 32-byte numbers: COSE has the numbers side by side, X.509 in DER.
fn ecdsa_der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut body = integer(r);
    body.extend(integer(s));
    let mut der = vec![0x30, length(&body)];
    der.extend(body);
    der
}

fn integer(number: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> = number.iter().copied().skip_while(|b| *b == 0).collect();
    if digits.first().is_none_or(|first| first & 0x80 != 0) {
        digits.insert(0, 0);
    }
    let mut der = vec![0x02, length(&digits)];
    der.extend(digits);
    der
}

/// Two numbers of at most 33 bytes fit the short form of a length.
fn length(content: &[u8]) -> u8 {
    u8::try_from(content.len()).unwrap_or(0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_leading_zeros_and_never_negative() {
        for (number, der) in [
            (vec![0x00, 0x01], vec![0x02, 1, 0x01]),
            (vec![0x80], vec![0x02, 2, 0x00, 0x80]),
            (vec![0x00, 0x00], vec![0x02, 1, 0x00]),
            (vec![0x7f, 0xff], vec![0x02, 2, 0x7f, 0xff]),
        ] {
            assert_eq!(integer(&number), der);
        }
    }
}
