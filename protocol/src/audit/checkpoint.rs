//! Checkpoints: what a log's owner signs about its tree, as C2SP `tlog-checkpoint` in a C2SP `signed-note`.
//!
//! The origin is `careweave/NETWORK/ODS`, without a scheme, and is the name of the signing key as well, as the
//! specification recommends. Signature type is 0x01, Ed25519 by the node key of the time; the key may change, the log stays.
//! Witnesses add lines of their own, which leave the text and the owner's signature untouched.

use std::fmt;

use signed_note::{Note, Signature, Verifier, VerifierList};
use thiserror::Error;
use tlog_tiles::Hash;

use crate::audit::tree::TreeHead;
use crate::id::{Digest, NetworkId, NodeKey, OdsCode};
use crate::key::{PublicKey, Signer};

/// Whose log it is: one organisation's in one network.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

/// Why a checkpoint could not be made or is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// Not a signed note with a checkpoint in it.
    #[error("not a signed checkpoint")]
    Malformed,
    /// A checkpoint of another log.
    #[error("a checkpoint of another log")]
    OtherLog,
    /// Signed by none of the log's keys.
    #[error("the checkpoint is signed by none of the log's keys")]
    UnknownKey,
    /// One of the log's keys is named, but the signature is not its.
    #[error("the checkpoint's signature does not verify")]
    BadSignature,
    /// The key could not sign, or is not a node key.
    #[error("the checkpoint could not be signed")]
    CannotSign,
}

impl Origin {
    /// The origin of an organisation's log.
    #[must_use]
    pub fn new(network: &NetworkId, log: &OdsCode) -> Self {
        Self(format!("careweave/{network}/{log}"))
    }

    /// As it stands in the note.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.0)
    }
}

/// Signs a checkpoint and returns the note.
///
/// # Errors
/// [`CheckpointError::CannotSign`] when the key cannot be used or is not Ed25519.
pub fn sign(origin: &Origin, head: &TreeHead, signer: &dyn Signer) -> Result<String, CheckpointError> {
    sign_all(origin, head, &[signer])
}

/// As [`sign`], with a line by each of these keys: while a node key is being changed, whoever knows only one of the two believes the note.
///
/// # Errors
/// [`CheckpointError::CannotSign`] when one cannot be used, is not Ed25519, or none is given.
pub fn sign_all(origin: &Origin, head: &TreeHead, signers: &[&dyn Signer]) -> Result<String, CheckpointError> {
    if signers.is_empty() {
        return Err(CheckpointError::CannotSign);
    }
    let checkpoint = tlog_tiles::Checkpoint::new(origin.as_str(), head.size, Hash(head.root.0), "")
        .map_err(|_| CheckpointError::Malformed)?;
    let text = checkpoint.to_bytes();
    let line = |signer: &&dyn Signer| {
        let key = signer.public_key().node_key().ok_or(CheckpointError::CannotSign)?;
        let signature = signer.sign(&text).map_err(|_| CheckpointError::CannotSign)?;
        Signature::new(origin.as_str().to_owned(), key_id(origin, &key), signature)
            .map_err(|_| CheckpointError::Malformed)
    };
    let lines = signers.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    let note = Note::new(&text, &lines).map_err(|_| CheckpointError::Malformed)?;
    String::from_utf8(note.to_bytes()).map_err(|_| CheckpointError::Malformed)
}

/// Reads a note and believes it when one of the log's keys, present or past, signed it.
///
/// # Errors
/// [`CheckpointError`]; a signature that names one of the keys and does not verify refuses the note even beside a good one.
pub fn verify(note: &str, origin: &Origin, keys: &[NodeKey]) -> Result<TreeHead, CheckpointError> {
    let (head, parsed) = parse(note, origin)?;
    let verifiers: Vec<Box<dyn Verifier>> = keys
        .iter()
        .enumerate()
        // The same key twice would make its id ambiguous.
        .filter(|(at, key)| !keys.iter().take(*at).any(|earlier| earlier == *key))
        .map(|(_, key)| {
            let verifier: Box<dyn Verifier> =
                Box::new(NodeVerifier { name: origin.0.clone(), id: key_id(origin, key), key: (*key).into() });
            verifier
        })
        .collect();
    match parsed.verify(&VerifierList::new(verifiers)) {
        Ok(_) => Ok(head),
        Err(signed_note::NoteError::UnverifiedNote) => Err(CheckpointError::UnknownKey),
        Err(_) => Err(CheckpointError::BadSignature),
    }
}

/// What a note claims, without asking who signed it.
///
/// # Errors
/// [`CheckpointError::Malformed`], [`CheckpointError::OtherLog`].
pub fn claim(note: &str, origin: &Origin) -> Result<TreeHead, CheckpointError> {
    parse(note, origin).map(|(head, _)| head)
}

fn parse(note: &str, origin: &Origin) -> Result<(TreeHead, Note), CheckpointError> {
    if note.len() > CHECKPOINT_MAX {
        return Err(CheckpointError::Malformed);
    }
    let note = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).map_err(|_| CheckpointError::Malformed)?;
    if checkpoint.origin() != origin.as_str() {
        return Err(CheckpointError::OtherLog);
    }
    Ok((TreeHead { size: checkpoint.size(), root: Digest(checkpoint.hash().0) }, note))
}

/// SHA-256(key name ‖ 0x0A ‖ 0x01 ‖ key), the first four bytes (C2SP signed-note, "Signatures").
fn key_id(origin: &Origin, key: &NodeKey) -> u32 {
    signed_note::key_id(origin.as_str(), &[[SIGNATURE_ED25519].as_slice(), key.as_bytes()].concat())
}

/// A node key as the note library wants it; the arithmetic is ring's, as everywhere else.
struct NodeVerifier {
    name: String,
    id: u32,
    key: PublicKey,
}

impl Verifier for NodeVerifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify(message, signature).is_ok()
    }
}

/// C2SP signature type of Ed25519.
const SIGNATURE_ED25519: u8 = 0x01;
/// A checkpoint with the lines of some thirty witnesses; each takes about 170 bytes.
pub const CHECKPOINT_MAX: usize = 6 * 1024;

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use signed_note::StandardVerifier;

    use super::*;
    use crate::key::KeyError;

    struct Key(Ed25519KeyPair);

    impl Signer for Key {
        fn public_key(&self) -> PublicKey {
            PublicKey::Ed25519(self.0.public_key().as_ref().try_into().unwrap())
        }
        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
            Ok(self.0.sign(message).as_ref().to_vec())
        }
    }

    fn key(seed: u8) -> Key {
        Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn node_key(key: &Key) -> NodeKey {
        key.public_key().node_key().unwrap()
    }

    fn origin() -> Origin {
        Origin::new(&"test-net".parse().unwrap(), &"R9A".parse().unwrap())
    }

    const HEAD: TreeHead = TreeHead { size: 42, root: Digest([7; 32]) };

    #[test]
    fn a_checkpoint_is_believed_under_its_own_log_and_key_only() {
        let note = sign(&origin(), &HEAD, &key(1)).unwrap();
        assert!(note.starts_with("careweave/test-net/R9A\n42\nBwcH"), "{note}");
        let ours = node_key(&key(1));
        assert_eq!(verify(&note, &origin(), &[node_key(&key(2)), ours, ours]), Ok(HEAD));
        assert_eq!(verify(&note, &origin(), &[node_key(&key(2))]), Err(CheckpointError::UnknownKey));
        assert_eq!(verify(&note, &origin(), &[]), Err(CheckpointError::UnknownKey));
        let other = Origin::new(&"test-net".parse().unwrap(), &"R9B".parse().unwrap());
        assert_eq!(verify(&note, &other, &[ours]), Err(CheckpointError::OtherLog));
        assert_eq!(claim(&note, &origin()), Ok(HEAD));
    }

    #[test]
    fn an_altered_character_anywhere_is_refused() {
        let note = sign(&origin(), &HEAD, &key(1)).unwrap();
        let keys = [node_key(&key(1))];
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(altered) = String::from_utf8(bytes) {
                assert!(verify(&altered, &origin(), &keys).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn another_signed_note_program_verifies_it() {
        let note = sign(&origin(), &HEAD, &key(1)).unwrap();
        let bytes = [&[1u8], node_key(&key(1)).as_bytes().as_slice()].concat();
        let text = data_encoding::BASE64.encode(&bytes);
        let verifier_key = format!("{}+{:08x}+{text}", origin(), key_id(&origin(), &node_key(&key(1))));
        let theirs = VerifierList::new(vec![Box::new(StandardVerifier::new(&verifier_key).unwrap())]);
        let (verified, unverified) = Note::from_bytes(note.as_bytes()).unwrap().verify(&theirs).unwrap();
        assert_eq!((verified.len(), unverified.len()), (1, 0));
    }

    #[test]
    fn a_line_of_a_witness_leaves_the_checkpoint_valid() {
        let mut note = sign(&origin(), &HEAD, &key(1)).unwrap();
        let witness = Signature::new("careweave/test-net/R9W".into(), 9, vec![3; 72]).unwrap();
        note.push_str(std::str::from_utf8(&witness.to_bytes()).unwrap());
        assert_eq!(verify(&note, &origin(), &[node_key(&key(1))]), Ok(HEAD));
        note.push_str(&"x".repeat(CHECKPOINT_MAX));
        assert_eq!(verify(&note, &origin(), &[node_key(&key(1))]), Err(CheckpointError::Malformed));
    }
}
