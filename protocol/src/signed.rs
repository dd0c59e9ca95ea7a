//! Signed statements: `Signed<T>` keeps the bytes as received, `verify` turns it into `Verified<T>`.
//!
//! The form is COSE_Sign1 (RFC 9052 §4.2), or COSE_Sign (§4.1) where several must sign. The external data of every
//! signature is the CBOR array `[context, network id, audience or null]`, so a signature for one type, network or recipient
//! can never pass for another. Nothing is re-encoded to verify; encoding again only proves that there was one way to write it.

use std::fmt;
use std::marker::PhantomData;

use coset::{
    AsCborValue, CborSerializable, CoseSign, CoseSign1, CoseSign1Builder, CoseSignBuilder, CoseSignatureBuilder,
    Header, HeaderBuilder, iana,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::cbor::{self, CborError};
use crate::id::{Digest, NetworkId, OdsCode};
use crate::key::{KeyError, PublicKey, Signer};
use crate::limits::{OFFICERS_MAX, SIGNED_MAX};

/// A type that is signed. Each has its own context string; the `type_matrix` test offers each as every other.
pub trait Document: Serialize + DeserializeOwned {
    /// Separates this type's signatures from every other's.
    const CONTEXT: &'static str;
    /// Longest signed form in bytes.
    const MAX: usize = SIGNED_MAX;
}

/// For which network, and for whom, a statement is made.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The network the statement belongs to.
    pub network: &'a NetworkId,
    /// The one organisation it is addressed to, when it is.
    pub audience: Option<&'a OdsCode>,
}

impl<'a> Scope<'a> {
    /// A statement to the whole network.
    #[must_use]
    pub fn network(network: &'a NetworkId) -> Self {
        Self { network, audience: None }
    }

    /// A statement to one organisation.
    #[must_use]
    pub fn to(network: &'a NetworkId, audience: &'a OdsCode) -> Self {
        Self { network, audience: Some(audience) }
    }

    fn external_data(&self, context: &str) -> Result<Vec<u8>, SignedError> {
        Ok(cbor::to_vec(&(context, self.network, self.audience))?)
    }
}

/// Why a signed statement was not made or not believed.
#[derive(Debug, Error)]
pub enum SignedError {
    /// Too long, malformed or not canonical.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// Not a COSE structure of the expected kind, or with headers that mean nothing here.
    #[error("not a COSE signature of the expected form")]
    Form,
    /// The algorithm named is not the key's.
    #[error("the signature names another algorithm than its key's")]
    Algorithm,
    /// The signature does not verify, or the key could not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Two copies that are to be put together say different things.
    #[error("the signatures are under another statement")]
    OtherStatement,
    /// Two copies together have more signatures than there can be officers.
    #[error("more than {OFFICERS_MAX} signatures")]
    TooManySignatures,
}

/// A statement with one signature, as received: nothing in it is believed yet.
pub struct Signed<T> {
    bytes: Vec<u8>,
    statement: PhantomData<fn() -> T>,
}

/// A statement whose signature has verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified<T> {
    statement: T,
    signed: Signed<T>,
}

/// A statement with several signatures (a manifest), as received.
pub struct MultiSigned<T> {
    bytes: Vec<u8>,
    statement: PhantomData<fn() -> T>,
}

impl<T: Document> Signed<T> {
    /// Signs a statement.
    ///
    /// # Errors
    /// When the key cannot sign, or the statement is over [`Document::MAX`].
    pub fn sign(statement: &T, scope: Scope<'_>, signer: &dyn Signer) -> Result<Verified<T>, SignedError>
    where
        T: Clone,
    {
        let aad = scope.external_data(T::CONTEXT)?;
        let bytes = CoseSign1Builder::new()
            .protected(protected(&signer.public_key()))
            .payload(cbor::to_vec(statement)?)
            .try_create_signature(&aad, |data| signer.sign(data))?
            .build()
            .to_vec()
            .map_err(|_| SignedError::Form)?;
        bounded(&bytes, T::MAX)?;
        Ok(Verified { statement: statement.clone(), signed: Self { bytes, statement: PhantomData } })
    }

    /// Takes received bytes, up to [`Document::MAX`].
    ///
    /// # Errors
    /// When there are more.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SignedError> {
        bounded(&bytes, T::MAX)?;
        Ok(Self { bytes, statement: PhantomData })
    }

    /// Verifies signature, context, network and audience over the received bytes, then reads the statement.
    ///
    /// # Errors
    /// See [`SignedError`]; a wrong type, network or audience is a signature that does not verify.
    pub fn verify(&self, scope: Scope<'_>, key: &PublicKey) -> Result<Verified<T>, SignedError> {
        let sign1 = self.parse()?;
        check_algorithm(&sign1.protected.header, key)?;
        let aad = scope.external_data(T::CONTEXT)?;
        sign1.verify_signature(&aad, |signature, data| key.verify(data, signature))?;
        let statement = cbor::from_slice(sign1.payload.as_deref().ok_or(SignedError::Form)?, T::MAX)?;
        Ok(Verified { statement, signed: self.clone() })
    }

    /// Reads the statement *without* verifying it, only to find out which key should have signed.
    ///
    /// # Errors
    /// When the bytes are not of the expected form.
    pub fn unverified(&self) -> Result<T, SignedError> {
        let sign1 = self.parse()?;
        Ok(cbor::from_slice(sign1.payload.as_deref().ok_or(SignedError::Form)?, T::MAX)?)
    }

    fn parse(&self) -> Result<CoseSign1, SignedError> {
        let sign1 = CoseSign1::from_slice(&self.bytes).map_err(|_| SignedError::Form)?;
        let one_way_to_write_it = sign1.clone().to_vec().map_err(|_| SignedError::Form)? == self.bytes;
        if sign1.unprotected.is_empty() && one_way_to_write_it { Ok(sign1) } else { Err(SignedError::Form) }
    }
}

impl<T> Signed<T> {
    /// The bytes as received.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the bytes as received.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&[&self.bytes])
    }
}

impl<T: Document> Verified<T> {
    /// SHA-256 of the statement without its signature. An ES256 signature has a twin (`s` and `n - s`, FIPS 186-5) that verifies as
    /// well, so whoever is named by [`Signed::digest`] could change that digest; this one they cannot.
    #[must_use]
    pub fn statement_digest(&self) -> Digest {
        let payload = self.signed.parse().ok().and_then(|sign1| sign1.payload);
        // What has verified parses; without a payload nothing verifies.
        payload.map_or_else(|| self.signed.digest(), |payload| Digest::of(&[&payload]))
    }
}

impl<T> Verified<T> {
    /// The statement.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.statement
    }

    /// The bytes it came in.
    #[must_use]
    pub fn signed(&self) -> &Signed<T> {
        &self.signed
    }

    /// Gives up the proof and keeps the statement.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.statement
    }

    /// Gives up the statement and keeps the bytes.
    #[must_use]
    pub fn into_signed(self) -> Signed<T> {
        self.signed
    }
}

impl<T: Document> MultiSigned<T> {
    /// Takes received bytes, up to [`Document::MAX`].
    ///
    /// # Errors
    /// When there are more.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SignedError> {
        bounded(&bytes, T::MAX)?;
        Ok(Self { bytes, statement: PhantomData })
    }

    /// A statement nobody has signed yet.
    ///
    /// # Errors
    /// When it is over [`Document::MAX`].
    pub fn draft(statement: &T) -> Result<Self, SignedError> {
        Self::write(CoseSignBuilder::new().payload(cbor::to_vec(statement)?).build())
    }

    /// Adds one signature; signing twice with the same key changes nothing.
    ///
    /// # Errors
    /// When the key cannot sign or the bytes are not of the expected form.
    pub fn add_signature(&self, network: &NetworkId, signer: &dyn Signer) -> Result<Self, SignedError> {
        let key = signer.public_key();
        if self.signers(network, std::slice::from_ref(&key))?.contains(&key) {
            return Ok(self.clone());
        }
        let mut sign = self.parse()?;
        let aad = Scope::network(network).external_data(T::CONTEXT)?;
        let mut signature = CoseSignatureBuilder::new().protected(protected(&key)).build();
        signature.signature = signer.sign(&sign.tbs_data(&aad, &signature))?;
        sign.signatures.push(signature);
        Self::write(sign)
    }

    /// Puts the signatures of another copy of the same statement beside those of this one, each once; whose they are is
    /// [`MultiSigned::signers`]'s question.
    ///
    /// # Errors
    /// When either copy is not of the expected form, the statements differ, or there would be more than [`OFFICERS_MAX`] signatures.
    pub fn merge(&self, other: &Self) -> Result<Self, SignedError> {
        let (mut merged, shown) = (self.parse()?, other.parse()?);
        if merged.payload != shown.payload {
            return Err(SignedError::OtherStatement);
        }
        for signature in shown.signatures {
            if !merged.signatures.contains(&signature) {
                merged.signatures.push(signature);
            }
        }
        if merged.signatures.len() > OFFICERS_MAX {
            return Err(SignedError::TooManySignatures);
        }
        Self::write(merged)
    }

    /// Which of the given keys have signed. Each counts once, however many signatures there are.
    ///
    /// # Errors
    /// When the bytes are not of the expected form, or there are more than [`OFFICERS_MAX`] signatures.
    pub fn signers(&self, network: &NetworkId, keys: &[PublicKey]) -> Result<Vec<PublicKey>, SignedError> {
        let sign = self.parse()?;
        let aad = Scope::network(network).external_data(T::CONTEXT)?;
        Ok(keys
            .iter()
            .filter(|key| {
                sign.signatures.iter().any(|signature| {
                    check_algorithm(&signature.protected.header, key).is_ok()
                        && key.verify(&sign.tbs_data(&aad, signature), &signature.signature).is_ok()
                })
            })
            .cloned()
            .collect())
    }

    /// Reads the statement; who has signed it is the caller's next question.
    ///
    /// # Errors
    /// When the bytes are not of the expected form.
    pub fn unverified(&self) -> Result<T, SignedError> {
        Ok(cbor::from_slice(self.parse()?.payload.as_deref().ok_or(SignedError::Form)?, T::MAX)?)
    }

    /// The bytes as received.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the statement without its signatures, so that adding a signature does not change it.
    ///
    /// # Errors
    /// When the bytes are not of the expected form.
    pub fn statement_digest(&self) -> Result<Digest, SignedError> {
        Ok(Digest::of(&[self.parse()?.payload.as_deref().ok_or(SignedError::Form)?]))
    }

    fn parse(&self) -> Result<CoseSign, SignedError> {
        let sign = CoseSign::from_slice(&self.bytes).map_err(|_| SignedError::Form)?;
        let plain = sign.unprotected.is_empty()
            && sign.protected.header.is_empty()
            && sign.signatures.len() <= OFFICERS_MAX
            && sign.signatures.iter().all(|s| s.unprotected.is_empty());
        let one_way_to_write_it = sign.clone().to_vec().map_err(|_| SignedError::Form)? == self.bytes;
        if plain && one_way_to_write_it { Ok(sign) } else { Err(SignedError::Form) }
    }

    fn write(sign: CoseSign) -> Result<Self, SignedError> {
        Self::from_bytes(sign.to_vec().map_err(|_| SignedError::Form)?)
    }
}

fn bounded(bytes: &[u8], limit: usize) -> Result<(), CborError> {
    if bytes.len() > limit { Err(CborError::TooLong { len: bytes.len(), limit }) } else { Ok(()) }
}

fn protected(key: &PublicKey) -> Header {
    HeaderBuilder::new().algorithm(algorithm(key)).build()
}

fn algorithm(key: &PublicKey) -> iana::Algorithm {
    match key {
        PublicKey::Ed25519(_) => iana::Algorithm::EdDSA,
        PublicKey::P256(_) => iana::Algorithm::ES256,
    }
}

fn check_algorithm(header: &Header, key: &PublicKey) -> Result<(), SignedError> {
    // The whole protected header must be the one we would write: no critical, content-type or key-id surprises.
    let same = header.clone().to_cbor_value().ok() == protected(key).to_cbor_value().ok();
    if same { Ok(()) } else { Err(SignedError::Algorithm) }
}

macro_rules! as_byte_string {
    ($name:ident) => {
        // By hand, because a derive would ask the same of `T`.
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self { bytes: self.bytes.clone(), statement: PhantomData }
            }
        }
        impl<T> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                self.bytes == other.bytes
            }
        }
        impl<T> Eq for $name<T> {}
        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}<{}>({} bytes)", stringify!($name), std::any::type_name::<T>(), self.bytes.len())
            }
        }
        impl<T> Serialize for $name<T> {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                serde_bytes::serialize(&self.bytes, s)
            }
        }
        impl<'de, T: Document> Deserialize<'de> for $name<T> {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let bytes: serde_bytes::ByteBuf = serde_bytes::deserialize(d)?;
                Self::from_bytes(bytes.into_vec()).map_err(serde::de::Error::custom)
            }
        }
    };
}
as_byte_string!(Signed);
as_byte_string!(MultiSigned);

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verified").field(&self.statement).finish()
    }
}

#[cfg(test)]
mod tests;
