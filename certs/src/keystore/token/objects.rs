//! The objects of a key pair in a token: how they are made, found and read.

use careweave_protocol::key::PublicKey;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;

use super::login::Login;
use super::uri::TokenUri;
use crate::keystore::KeyStoreError;

/// What the token holds under the address of a key.
pub(super) struct Objects<'a> {
    pub(super) login: &'a Login,
    pub(super) uri: &'a TokenUri,
}

/// The two objects of a key pair.
#[derive(Clone, Copy)]
pub(super) enum Class {
    Private,
    Public,
}

/// CKA_EC_PARAMS of P-256: the object identifier 1.2.840.10045.3.1.7 in DER (RFC 5480 §2.1.1.1).
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// DER of an OCTET STRING of 65 bytes, which CKA_EC_POINT wraps around the uncompressed point.
const OCTETS_65: [u8; 2] = [0x04, 0x41];

impl Objects<'_> {
    /// Objects with the label and, when the address has one, the id.
    pub(super) fn all(&self, session: &Session, class: Class) -> Result<Vec<ObjectHandle>, KeyStoreError> {
        self.find(session, class, name_template(self.uri))
    }

    /// Objects with the label, whatever their id.
    pub(super) fn labelled(&self, session: &Session, class: Class) -> Result<Vec<ObjectHandle>, KeyStoreError> {
        self.find(session, class, vec![Attribute::Label(self.uri.object().as_bytes().to_vec())])
    }

    fn find(&self, session: &Session, class: Class, names: Vec<Attribute>) -> Result<Vec<ObjectHandle>, KeyStoreError> {
        let template = [vec![class.attribute(), Attribute::Token(true)], names].concat();
        session.find_objects(&template).map_err(|answer| self.login.refused(answer))
    }

    pub(super) fn one(&self, session: &Session, class: Class) -> Result<ObjectHandle, KeyStoreError> {
        let found = self.all(session, class)?;
        let (token, object) = self.names();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(KeyStoreError::NoSuchObject { token, object, class: class.name() }),
            several => Err(KeyStoreError::SeveralObjects { token, object, class: class.name(), found: several.len() }),
        }
    }

    pub(super) fn public_key(&self, session: &Session, handle: ObjectHandle) -> Result<PublicKey, KeyStoreError> {
        let attributes = session
            .get_attributes(handle, &[AttributeType::EcParams, AttributeType::EcPoint])
            .map_err(|answer| self.login.refused(answer))?;
        let mut curve = None;
        let mut point = None;
        for attribute in attributes {
            match attribute {
                Attribute::EcParams(bytes) => curve = Some(bytes),
                Attribute::EcPoint(bytes) => point = Some(bytes),
                _ => {}
            }
        }
        let key = match (curve, point) {
            (Some(curve), Some(point)) if curve == P256 => p256(&point),
            _ => None,
        };
        let (token, object) = self.names();
        key.ok_or(KeyStoreError::NotP256 { token, object })
    }

    pub(super) fn names(&self) -> (String, String) {
        (self.login.token().to_owned(), self.uri.object().to_owned())
    }
}

impl Class {
    fn attribute(self) -> Attribute {
        Attribute::Class(match self {
            Self::Private => ObjectClass::PRIVATE_KEY,
            Self::Public => ObjectClass::PUBLIC_KEY,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Private => "private key",
            Self::Public => "public key",
        }
    }
}

pub(super) fn public_template(uri: &TokenUri) -> Vec<Attribute> {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(false),
        Attribute::Verify(true),
        Attribute::EcParams(P256.to_vec()),
    ];
    template.extend(name_template(uri));
    template
}

pub(super) fn private_template(uri: &TokenUri) -> Vec<Attribute> {
    let mut template = vec![
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    template.extend(name_template(uri));
    template
}

/// What the address says about an object.
fn name_template(uri: &TokenUri) -> Vec<Attribute> {
    let mut template = vec![Attribute::Label(uri.object().as_bytes().to_vec())];
    template.extend(uri.id().map(|id| Attribute::Id(id.to_vec())));
    template
}

/// The uncompressed point in CKA_EC_POINT: in a DER OCTET STRING (PKCS#11 2.40 §2.3.3), or bare, as older tokens have it. The
/// lengths tell them apart.
fn p256(attribute: &[u8]) -> Option<PublicKey> {
    let point: [u8; 65] = match attribute.strip_prefix(OCTETS_65.as_slice()) {
        Some(point) if attribute.len() == OCTETS_65.len() + 65 => point.try_into().ok()?,
        _ => attribute.try_into().ok()?,
    };
    (point.first() == Some(&4)).then_some(PublicKey::P256(point))
}
