use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

use super::*;

#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
struct Apple {
    weight: u64,
}
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
struct Pear {
    weight: u64,
}
impl Document for Apple {
    const CONTEXT: &'static str = "test apple";
}
impl Document for Pear {
    const CONTEXT: &'static str = "test pear";
}

struct Ed(Ed25519KeyPair);
struct Ec(EcdsaKeyPair);

impl Signer for Ed {
    fn public_key(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}
impl Signer for Ec {
    fn public_key(&self) -> PublicKey {
        PublicKey::P256(self.0.public_key().as_ref().try_into().unwrap())
    }
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    }
}

fn ed() -> Ed {
    Ed(Ed25519KeyPair::from_pkcs8(Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap().as_ref()).unwrap())
}

fn ec() -> Ec {
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random).unwrap())
}

fn network() -> NetworkId {
    "orchard".parse().unwrap()
}

#[test]
fn both_algorithms_verify_and_only_for_their_network_audience_type_and_key() {
    let (network, other) = (network(), "other".parse().unwrap());
    let (ods, another): (OdsCode, OdsCode) = ("R9A".parse().unwrap(), "R9C".parse().unwrap());
    for signer in [&ed() as &dyn Signer, &ec()] {
        let key = signer.public_key();
        let signed = Signed::sign(&Apple { weight: 3 }, Scope::to(&network, &ods), signer).unwrap().into_signed();
        assert_eq!(signed.verify(Scope::to(&network, &ods), &key).unwrap().get().weight, 3);
        assert!(signed.verify(Scope::to(&network, &another), &key).is_err());
        assert!(signed.verify(Scope::network(&network), &key).is_err());
        assert!(signed.verify(Scope::to(&other, &ods), &key).is_err());
        assert!(signed.verify(Scope::to(&network, &ods), &ed().public_key()).is_err());
        assert!(signed.verify(Scope::to(&network, &ods), &ec().public_key()).is_err());
        let pear = Signed::<Pear>::from_bytes(signed.as_bytes().to_vec()).unwrap();
        assert!(pear.verify(Scope::to(&network, &ods), &key).is_err());
    }
}

#[test]
fn every_flipped_bit_is_rejected() {
    let network = network();
    for signer in [&ed() as &dyn Signer, &ec()] {
        let key = signer.public_key();
        let bytes = Signed::sign(&Apple { weight: 3 }, Scope::network(&network), signer).unwrap().into_signed().bytes;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let accepted =
                Signed::<Apple>::from_bytes(flipped).and_then(|s| s.verify(Scope::network(&network), &key)).is_ok();
            assert!(!accepted, "bit {bit}");
        }
    }
}

#[test]
fn each_officer_counts_once_and_strangers_do_not_count() {
    let network = network();
    let (a, b, stranger) = (ec(), ec(), ec());
    let keys = [a.public_key(), b.public_key()];
    let draft = MultiSigned::draft(&Apple { weight: 1 }).unwrap();
    assert!(draft.signers(&network, &keys).unwrap().is_empty());
    let once = draft.add_signature(&network, &a).unwrap();
    let again = once.add_signature(&network, &a).unwrap().add_signature(&network, &stranger).unwrap();
    assert_eq!(again.signers(&network, &keys).unwrap(), vec![a.public_key()]);
    let both = again.add_signature(&network, &b).unwrap();
    assert_eq!(both.signers(&network, &keys).unwrap().len(), 2);
    assert_eq!(both.statement_digest().unwrap(), draft.statement_digest().unwrap());
    assert!(both.signers(&"other".parse().unwrap(), &keys).unwrap().is_empty());
}

#[test]
fn copies_of_one_statement_are_merged_and_of_another_are_not() {
    let network = network();
    let (a, b) = (ec(), ec());
    let keys = [a.public_key(), b.public_key()];
    let draft = MultiSigned::draft(&Apple { weight: 1 }).unwrap();
    let (by_a, by_b) = (draft.add_signature(&network, &a).unwrap(), draft.add_signature(&network, &b).unwrap());
    let both = by_a.merge(&by_b).unwrap();
    assert_eq!(both.signers(&network, &keys).unwrap().len(), 2);
    assert_eq!(both.merge(&by_a).unwrap(), both);
    assert_eq!(both.merge(&draft).unwrap(), both);
    assert_eq!(draft.merge(&both).unwrap(), both);
    let other = MultiSigned::draft(&Apple { weight: 2 }).unwrap().add_signature(&network, &b).unwrap();
    assert!(matches!(by_a.merge(&other), Err(SignedError::OtherStatement)));
    let noise = MultiSigned::<Apple>::from_bytes(b"noise".to_vec()).unwrap();
    assert!(matches!(by_a.merge(&noise), Err(SignedError::Form)));
    assert!(matches!(noise.merge(&by_a), Err(SignedError::Form)));
}

#[test]
fn merging_stops_at_as_many_signatures_as_there_can_be_officers() {
    let network = network();
    let draft = MultiSigned::draft(&Apple { weight: 1 }).unwrap();
    let by = |signers: &[Ec]| signers.iter().fold(draft.clone(), |s, key| s.add_signature(&network, key).unwrap());
    let (most, one): (Vec<Ec>, Vec<Ec>) = ((0..OFFICERS_MAX).map(|_| ec()).collect(), vec![ec()]);
    let full = by(&most);
    assert!(matches!(full.merge(&by(&one)), Err(SignedError::TooManySignatures)));
    assert_eq!(full.merge(&by(&most[..1])).map(|_| ()).unwrap_err().to_string(), "more than 32 signatures");
    assert_eq!(full.merge(&full).unwrap(), full);
}
