use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use careweave_protocol::cbor;
use careweave_protocol::key::Signer;
use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::*;
use crate::private_file::PrivateFileError;

/// A directory of this test alone, removed at its end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        let mut name = [0u8; 8];
        SystemRandom::new().fill(&mut name).unwrap();
        let path = std::env::temp_dir().join(format!("careweave-certs-{}", HEXLOWER.encode(&name)));
        private_file::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn key(algorithm: Algorithm) -> SoftwareKey {
    SoftwareKey::generate(algorithm, &SystemRandom::new()).unwrap()
}

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned()))
}

#[test]
fn a_plain_key_comes_back_from_its_file_and_signs() {
    let scratch = Scratch::new();
    for (name, algorithm) in [("ed", Algorithm::Ed25519), ("ec", Algorithm::P256)] {
        let (made, path) = (key(algorithm), scratch.path(name));
        made.write_plain(&path).unwrap();
        let read = SoftwareKey::read_plain(&path).unwrap();
        assert_eq!(read.algorithm(), algorithm);
        assert_eq!(public_key_of(&path).unwrap(), made.public_key());
        made.public_key().verify(b"message", &read.sign(b"message").unwrap()).unwrap();
        assert!(matches!(
            SoftwareKey::read_protected(&path, &passphrase("long enough")),
            Err(KeyStoreError::NotAKey(_))
        ));
    }
}

#[test]
fn a_seed_makes_the_same_ed25519_key_and_p256_has_none() {
    let made = key(Algorithm::Ed25519);
    let again = SoftwareKey::from_ed25519_seed(&made.ed25519_seed().unwrap()).unwrap();
    assert_eq!(again.public_key(), made.public_key());
    assert_eq!(again.ed25519_seed(), made.ed25519_seed());
    assert!(key(Algorithm::P256).ed25519_seed().is_none());
}

#[test]
fn a_key_file_that_others_can_read_is_refused_by_name() {
    let scratch = Scratch::new();
    let path = scratch.path("key");
    key(Algorithm::Ed25519).write_plain(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let refused = SoftwareKey::read_plain(&path);
    assert!(matches!(refused, Err(KeyStoreError::File(PrivateFileError::ReadableByOthers { mode: 0o644, .. }))));
    assert!(public_key_of(&path).is_err());
}

#[test]
fn a_protected_key_opens_with_its_passphrase_alone_and_a_cheaper_or_altered_file_is_refused() {
    let scratch = Scratch::new();
    let (made, path) = (key(Algorithm::P256), scratch.path("key"));
    assert!(matches!(
        made.write_protected(&path, &passphrase("short"), &SystemRandom::new()),
        Err(KeyStoreError::PassphraseTooShort(8))
    ));
    made.write_protected(&path, &passphrase("correct horse"), &SystemRandom::new()).unwrap();
    assert_eq!(public_key_of(&path).unwrap(), made.public_key());
    assert!(matches!(SoftwareKey::read_plain(&path), Err(KeyStoreError::PassphraseNeeded(_))));
    let read = SoftwareKey::read_protected(&path, &passphrase("correct horse\n")).unwrap();
    assert_eq!(read.public_key(), made.public_key());
    let wrong = SoftwareKey::read_protected(&path, &passphrase("battery staple"));
    assert!(matches!(wrong, Err(KeyStoreError::WrongPassphrase)));

    let bytes = fs::read(&path).unwrap();
    let cost = |kdf: KdfCost| cbor::to_vec(&kdf).unwrap();
    let swap = |kdf: KdfCost| {
        let (from, to) = (cost(KDF), cost(kdf));
        let at = bytes.windows(from.len()).position(|w| w == from).unwrap();
        [&bytes[..at], &to, &bytes[at + from.len()..]].concat()
    };
    for kdf in [
        KdfCost { passes: 2, ..KDF },
        KdfCost { memory_kib: 1024, ..KDF },
        KdfCost { memory_kib: u32::MAX, ..KDF },
        KdfCost { passes: 1_000_000, ..KDF },
    ] {
        let opened = protected::open(&swap(kdf), &passphrase("correct horse"));
        assert!(matches!(opened, Err(KeyStoreError::KdfCost { .. })), "{kdf:?}");
    }
    let dearer = protected::open(&swap(KdfCost { passes: 4, ..KDF }), &passphrase("correct horse"));
    assert!(matches!(dearer, Err(KeyStoreError::WrongPassphrase)));
}

#[test]
fn debug_shows_no_secret() {
    let made = key(Algorithm::Ed25519);
    let seed = HEXLOWER.encode(made.ed25519_seed().unwrap().as_slice());
    assert!(!format!("{made:?}").contains(&seed));
    assert!(!format!("{:?}", passphrase("correct horse")).contains("horse"));
}

#[test]
fn a_private_key_is_read_from_either_form_of_file_and_says_which_it_is() {
    let scratch = Scratch::new();
    let (ed25519, p256) = (key(Algorithm::Ed25519), key(Algorithm::P256));
    let (plain, protected) = (scratch.path("plain"), scratch.path("protected"));
    ed25519.write_plain(&plain).unwrap();
    p256.write_protected(&protected, &passphrase("correct horse"), &SystemRandom::new()).unwrap();
    assert_eq!((form_of(&plain).unwrap(), form_of(&protected).unwrap()), (KeyForm::Plain, KeyForm::Protected));
    let read = PrivateKey::read(&plain, None).unwrap();
    assert_eq!(read.ed25519_seed(), ed25519.ed25519_seed());
    ed25519.public_key().verify(b"message", &read.sign(b"message").unwrap()).unwrap();
    assert_eq!(read.into_software().unwrap().public_key(), ed25519.public_key());
    let read = PrivateKey::read(&protected, Some(&passphrase("correct horse"))).unwrap();
    assert_eq!(read.public_key(), p256.public_key());
    assert!(read.ed25519_seed().is_none());
    assert!(matches!(PrivateKey::read(&protected, None), Err(KeyStoreError::PassphraseNeeded(_))));
    let wrong = PrivateKey::read(&protected, Some(&passphrase("battery staple")));
    assert!(matches!(wrong, Err(KeyStoreError::WrongPassphrase)));
    let nothing = scratch.path("nothing");
    private_file::create(&nothing, b"nothing").unwrap();
    assert!(matches!(form_of(&nothing), Err(KeyStoreError::NotAKey(_))));
    assert!(matches!(PrivateKey::read(&nothing, None), Err(KeyStoreError::NotAKey(_))));
}

#[test]
fn a_destroyed_key_file_is_zeros_under_every_name_it_had_and_other_files_are_left_alone() {
    let scratch = Scratch::new();
    let (path, other_name) = (scratch.path("key"), scratch.path("link"));
    key(Algorithm::P256).write_protected(&path, &passphrase("correct horse"), &SystemRandom::new()).unwrap();
    fs::hard_link(&path, &other_name).unwrap();
    let length = fs::metadata(&path).unwrap().len();
    destroy(&path, None).unwrap();
    assert!(!path.exists());
    let left = fs::read(&other_name).unwrap();
    assert_eq!(u64::try_from(left.len()).unwrap(), length);
    assert!(left.iter().all(|byte| *byte == 0));
    let letter = scratch.path("letter");
    private_file::create(&letter, b"a letter").unwrap();
    assert!(matches!(destroy(&letter, None), Err(KeyStoreError::NotAKey(_))));
    assert_eq!(fs::read(&letter).unwrap(), b"a letter");
    assert!(destroy(&path, None).is_err());
}
