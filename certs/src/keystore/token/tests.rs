//! Against SoftHSM, in a child process for each test: PKCS#11 libraries are one for a process, and this one reads from its
//! environment where its tokens are.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs, thread};

use cryptoki::object::{Attribute, AttributeType};
use ring::rand::SystemRandom;
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::*;
use crate::authority::{Authority, CertificateRequest, create_root, to_pem};
use crate::fixture::Network;
use crate::keystore::tests::Scratch;
use crate::keystore::{KeyForm, SoftwareKey, destroy, form_of, public_key_of};
use careweave_protocol::id::OdsCode;

mod address;

/// Where this test's child finds its scratch directory.
const CHILD: &str = "CAREWEAVE_TOKEN_TEST";
const PIN: &str = "314159";
const TOKEN: &str = "Orchard CA";

/// A scratch directory with an initialised SoftHSM token, inside the child.
struct Token(PathBuf);

/// Runs the body in a child process that sees one new token.
fn with_token(test: &str, body: impl FnOnce(&Token)) {
    if let Some(scratch) = env::var_os(CHILD) {
        return body(&Token(PathBuf::from(scratch)));
    }
    let scratch = Scratch::new();
    let (tokens, config) = (scratch.path("tokens"), scratch.path("softhsm2.conf"));
    crate::private_file::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n", tokens.display());
    fs::write(&config, text).unwrap();
    let label = ["--init-token", "--free", "--label", TOKEN, "--so-pin", "27182818", "--pin", PIN];
    let made = Command::new("softhsm2-util").args(label).env("SOFTHSM2_CONF", &config).output();
    let made = made.expect("softhsm2-util does not start: install the Debian package softhsm2, as `make setup` does");
    assert!(made.status.success(), "softhsm2-util: {}", shown(&made));
    let name = format!("keystore::token::tests::{test}");
    let child = Command::new(env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", &config)
        .env(CHILD, scratch.path(""))
        .output()
        .unwrap();
    assert!(child.status.success() && shown(&child).contains("1 passed"), "{test}: {}", shown(&child));
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn softhsm() -> PathBuf {
    let places = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"];
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("libsofthsm2.so is not there: install the Debian package softhsm2, as `make setup` does")
}

fn pin(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned()))
}

impl Token {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn uri(&self, object: &str) -> TokenUri {
        let token = TOKEN.replace(' ', "%20");
        format!("pkcs11:token={token};object={object}?module-path={}", softhsm().display()).parse().unwrap()
    }

    fn make(&self, object: &str) -> PrivateKey {
        generate_in_token(&self.path(object), &self.uri(object), Some(&pin(PIN))).unwrap()
    }

    fn read(&self, object: &str) -> Result<PrivateKey, KeyStoreError> {
        PrivateKey::read(&self.path(object), Some(&pin(PIN)))
    }

    /// Objects of a label as another program would see them, counted over both classes.
    fn count(&self, object: &str) -> usize {
        let uri = self.uri(object);
        let login = module::login(&uri, &Pin::for_token(&uri, Some(&pin(PIN))).unwrap()).unwrap();
        let session = login.writing().unwrap();
        session.find_objects(&[Attribute::Label(object.as_bytes().to_vec())]).unwrap().len()
    }

    /// How often anybody has logged in or tried to: SoftHSM writes the token's flags anew each time, and counts that in the first
    /// eight bytes of the file.
    fn logins(&self) -> u64 {
        let mut tokens = fs::read_dir(self.path("tokens")).unwrap().map(|entry| entry.unwrap().path());
        let file = tokens.find(|path| path.is_dir()).unwrap().join("token.object");
        u64::from_be_bytes(fs::read(file).unwrap()[..8].try_into().unwrap())
    }

    /// Takes the token away, and ends every session of this process, as that does.
    fn pull(&self) {
        fs::rename(self.path("tokens"), self.path("in-a-drawer")).unwrap();
        fs::create_dir(self.path("tokens")).unwrap();
        module::loaded(&softhsm()).finalize().unwrap();
    }

    fn put_back(&self) {
        fs::remove_dir_all(self.path("tokens")).unwrap();
        fs::rename(self.path("in-a-drawer"), self.path("tokens")).unwrap();
    }
}

#[test]
fn a_key_made_in_a_token_comes_back_from_its_reference_and_signs() {
    with_token("a_key_made_in_a_token_comes_back_from_its_reference_and_signs", |token| {
        let made = token.make("org");
        let path = token.path("org");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(form_of(&path).unwrap(), KeyForm::Token { pin_needed: true });
        assert_eq!(public_key_of(&path).unwrap(), made.public_key());
        assert!(!fs::read_to_string(&path).unwrap().contains(PIN));
        drop(made);
        let read = token.read("org").unwrap();
        assert_eq!(read.public_key(), public_key_of(&path).unwrap());
        for message in [b"message".as_slice(), b"", &[0u8; 100_000]] {
            read.public_key().verify(message, &read.sign(message).unwrap()).unwrap();
        }
        assert!(read.public_key().verify(b"other", &read.sign(b"message").unwrap()).is_err());
        assert!(read.ed25519_seed().is_none() && format!("{read:?}").starts_with("TokenKey(P256(spki "));
        assert!(read.into_software().is_none());
        assert!(matches!(SoftwareKey::read_plain(&path), Err(KeyStoreError::InToken(_))));
        assert!(matches!(SoftwareKey::read_protected(&path, &pin(PIN)), Err(KeyStoreError::InToken(_))));
    });
}

#[test]
fn the_private_half_is_sensitive_not_extractable_and_has_the_id_of_its_public_half() {
    with_token("the_private_half_is_sensitive_not_extractable_and_has_the_id_of_its_public_half", |token| {
        drop(token.make("org"));
        let uri: TokenUri = fs::read_to_string(token.path("org")).unwrap().lines().next().unwrap().parse().unwrap();
        assert_eq!(uri.id().map(<[u8]>::len), Some(16));
        let login = module::login(&uri, &Pin::for_token(&uri, Some(&pin(PIN))).unwrap()).unwrap();
        let session = login.writing().unwrap();
        let key = Objects { login: &login, uri: &uri }.one(&session, Class::Private).unwrap();
        let wanted = [
            (AttributeType::Token, Attribute::Token(true)),
            (AttributeType::Private, Attribute::Private(true)),
            (AttributeType::Sensitive, Attribute::Sensitive(true)),
            (AttributeType::Extractable, Attribute::Extractable(false)),
            (AttributeType::Sign, Attribute::Sign(true)),
        ];
        for (kind, value) in wanted {
            assert_eq!(session.get_attributes(key, &[kind]).unwrap(), [value]);
        }
        assert!(session.get_attributes(key, &[AttributeType::Value]).unwrap().is_empty());
    });
}

#[test]
fn openssl_verifies_a_chain_of_token_keys() {
    with_token("openssl_verifies_a_chain_of_token_keys", |token| {
        let (network, random) = (Network::new(&[]), SystemRandom::new());
        let (root_key, intermediate_key, organisation) =
            (token.make("root"), token.make("intermediate"), token.make("organisation"));
        let root = create_root(&network.id, &root_key, network.now, &random).unwrap();
        let intermediate = Authority::new(root.clone(), &root_key)
            .unwrap()
            .issue_intermediate(&network.id, &intermediate_key.public_key(), network.now, &random)
            .unwrap();
        let ods: OdsCode = "R9A".parse().unwrap();
        let request = CertificateRequest::create(&network.id, &ods, "An organisation", &organisation).unwrap();
        let request = CertificateRequest::from_pem(&request).unwrap();
        let leaf = Authority::new(intermediate.clone(), &intermediate_key)
            .unwrap()
            .issue_organisation(&network.id, &ods, "An organisation", &request, network.now, &random)
            .unwrap();
        let write = |name: &str, certificate: &CertificateDer<'_>| {
            let path = token.path(name);
            fs::write(&path, to_pem(std::slice::from_ref(certificate))).unwrap();
            path
        };
        let verified = Command::new("openssl")
            .args(["verify", "-x509_strict", "-attime", &(network.now.0 / 1000).to_string()])
            .arg("-CAfile")
            .arg(write("root.pem", &root))
            .arg("-untrusted")
            .arg(write("intermediate.pem", &intermediate))
            .arg(write("leaf.pem", &leaf))
            .output()
            .unwrap();
        assert!(verified.status.success() && shown(&verified).ends_with(": OK\n"), "{}", shown(&verified));
        assert!(Authority::new(root, &intermediate_key).is_err());
    });
}

#[test]
fn a_wrong_pin_is_refused_also_while_the_token_is_logged_in() {
    with_token("a_wrong_pin_is_refused_also_while_the_token_is_logged_in", |token| {
        let path = token.path("org");
        let wrong = || PrivateKey::read(&path, Some(&pin("999999")));
        let made = token.make("org");
        assert!(matches!(wrong(), Err(KeyStoreError::WrongPin { .. })));
        let none = PrivateKey::read(&path, None);
        assert!(matches!(none, Err(KeyStoreError::PinNeeded { .. })));
        made.sign(b"message").unwrap();
        drop(made);
        let refused = wrong().unwrap_err();
        assert!(matches!(refused, KeyStoreError::WrongPin { .. }) && refused.hint().is_some());
        assert!(!format!("{refused} {refused:?}").contains("999999"));
        for empty in [None, Some(&pin(""))] {
            assert!(matches!(PrivateKey::read(&path, empty), Err(KeyStoreError::PinNeeded { .. })));
        }
        assert!(matches!(destroy(&path, Some(&pin("999999"))), Err(KeyStoreError::WrongPin { .. })));
        let elsewhere = generate_in_token(&token.path("new"), &token.uri("new"), Some(&pin("999999")));
        assert!(matches!(elsewhere, Err(KeyStoreError::WrongPin { .. })));
        assert!(!token.path("new").exists());
        token.read("org").unwrap().sign(b"message").unwrap();
    });
}

#[test]
fn a_pin_comes_from_the_private_file_that_the_address_names() {
    with_token("a_pin_comes_from_the_private_file_that_the_address_names", |token| {
        let file = token.path("pin");
        crate::private_file::create(&file, format!("{PIN}\n").as_bytes()).unwrap();
        let uri: TokenUri = format!("{}&pin-source=file:{}", token.uri("org"), file.display()).parse().unwrap();
        let path = token.path("org");
        let made = generate_in_token(&path, &uri, None).unwrap();
        assert_eq!(form_of(&path).unwrap(), KeyForm::Token { pin_needed: false });
        let read = PrivateKey::read(&path, None).unwrap();
        made.public_key().verify(b"message", &read.sign(b"message").unwrap()).unwrap();
        drop((made, read));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let open = PrivateKey::read(&path, Some(&pin(PIN)));
        assert!(matches!(open, Err(KeyStoreError::File(PrivateFileError::ReadableByOthers { mode: 0o640, .. }))));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "\n").unwrap();
        assert!(matches!(PrivateKey::read(&path, None), Err(KeyStoreError::PinFile(_))));
    });
}

#[test]
fn another_object_token_or_module_is_refused_by_name() {
    with_token("another_object_token_or_module_is_refused_by_name", |token| {
        let made = token.make("org");
        drop(token.make("other"));
        let (first, second) = (fs::read_to_string(token.path("org")).unwrap(), token.path("second"));
        let with = |from: &str, to: &str| {
            drop(fs::remove_file(&second));
            crate::private_file::create(&second, first.replace(from, to).as_bytes()).unwrap();
            PrivateKey::read(&second, Some(&pin(PIN))).unwrap_err()
        };
        assert!(matches!(with("object=org", "object=gone"), KeyStoreError::NoSuchObject { .. }));
        assert!(matches!(with("token=Orchard", "token=Meadow"), KeyStoreError::NoSuchToken { .. }));
        assert!(matches!(with("libsofthsm2.so", "libnothing.so"), KeyStoreError::Module { .. }));
        let spki = first.lines().nth(1).unwrap();
        let others = fs::read_to_string(token.path("other")).unwrap();
        let swapped = with(spki, others.lines().nth(1).unwrap());
        assert!(matches!(swapped, KeyStoreError::OtherKey { .. }));
        // What is not the key that was meant is not destroyed either.
        assert!(matches!(destroy(&second, Some(&pin(PIN))), Err(KeyStoreError::OtherKey { .. })));
        assert_eq!(token.count("org"), 2);
        for broken in ["", "AAAA", "not base64", &format!("{spki}\n{spki}")] {
            assert!(matches!(with(spki, broken), KeyStoreError::NoPublicKey(_)), "{broken}");
        }
        made.sign(b"message").unwrap();
    });
}

#[test]
fn a_label_is_used_once_and_an_existing_file_is_left_alone() {
    with_token("a_label_is_used_once_and_an_existing_file_is_left_alone", |token| {
        let made = token.make("org");
        let again = generate_in_token(&token.path("again"), &token.uri("org"), Some(&pin(PIN)));
        assert!(matches!(again, Err(KeyStoreError::ObjectExists { class: "private key", .. })));
        assert!(!token.path("again").exists());
        let over = generate_in_token(&token.path("org"), &token.uri("new"), Some(&pin(PIN)));
        assert!(matches!(over, Err(KeyStoreError::File(_))));
        let nowhere = generate_in_token(&token.path("no/such/directory"), &token.uri("new"), Some(&pin(PIN)));
        assert!(matches!(nowhere, Err(KeyStoreError::File(_))));
        assert_eq!((token.count("new"), token.count("org")), (0, 2));
        assert_eq!(token.read("org").unwrap().public_key(), made.public_key());
    });
}

#[test]
fn a_destroyed_key_is_gone_from_the_token_and_from_the_disk() {
    with_token("a_destroyed_key_is_gone_from_the_token_and_from_the_disk", |token| {
        let (made, kept) = (token.make("org"), token.make("kept"));
        let copy = token.path("copy");
        fs::copy(token.path("org"), &copy).unwrap();
        assert_eq!(token.count("org"), 2);
        destroy(&token.path("org"), Some(&pin(PIN))).unwrap();
        assert!(!token.path("org").exists());
        assert_eq!((token.count("org"), token.count("kept")), (0, 2));
        assert_eq!(made.sign(b"message"), Err(KeyError::CannotSign));
        assert!(matches!(PrivateKey::read(&copy, Some(&pin(PIN))), Err(KeyStoreError::NoSuchObject { .. })));
        // Nothing to destroy is no success: the key may be in another token.
        assert!(matches!(destroy(&copy, Some(&pin(PIN))), Err(KeyStoreError::NoSuchObject { .. })));
        assert!(copy.exists());
        kept.public_key().verify(b"message", &kept.sign(b"message").unwrap()).unwrap();
        drop(token.make("org"));
    });
}

#[test]
fn a_destruction_that_was_interrupted_is_finished_by_the_next() {
    with_token("a_destruction_that_was_interrupted_is_finished_by_the_next", |token| {
        drop(token.make("org"));
        let uri = token.uri("org");
        let login = module::login(&uri, &Pin::for_token(&uri, Some(&pin(PIN))).unwrap()).unwrap();
        let session = login.writing().unwrap();
        let private = Objects { login: &login, uri: &uri }.one(&session, Class::Private).unwrap();
        session.destroy_object(private).unwrap();
        assert!(matches!(token.read("org"), Err(KeyStoreError::NoSuchObject { class: "private key", .. })));
        destroy(&token.path("org"), Some(&pin(PIN))).unwrap();
        assert_eq!(token.count("org"), 0);
        assert!(!token.path("org").exists());
    });
}

#[test]
fn a_reference_that_others_can_read_is_refused() {
    with_token("a_reference_that_others_can_read_is_refused", |token| {
        drop(token.make("org"));
        let path = token.path("org");
        for mode in [0o640, 0o604, 0o622] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let others = |result: Result<(), KeyStoreError>| {
                matches!(result, Err(KeyStoreError::File(PrivateFileError::ReadableByOthers { .. })))
            };
            assert!(others(token.read("org").map(drop)) && others(form_of(&path).map(drop)));
            assert!(others(public_key_of(&path).map(drop)) && others(destroy(&path, Some(&pin(PIN)))));
        }
        assert_eq!(token.count("org"), 2);
    });
}

#[test]
fn threads_sign_at_once_with_one_key_and_with_two() {
    with_token("threads_sign_at_once_with_one_key_and_with_two", |token| {
        let (one, other) = (token.make("one"), token.make("other"));
        let again = token.read("one").unwrap();
        thread::scope(|scope| {
            for key in [&one, &one, &other, &again] {
                scope.spawn(move || {
                    for message in 0u32..50 {
                        let message = message.to_be_bytes();
                        key.public_key().verify(&message, &key.sign(&message).unwrap()).unwrap();
                    }
                });
            }
        });
    });
}

#[test]
fn keys_come_and_go_on_threads_and_a_wrong_pin_never_slips_in() {
    with_token("keys_come_and_go_on_threads_and_a_wrong_pin_never_slips_in", |token| {
        drop(token.make("org"));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..40).for_each(|_| drop(token.read("org").unwrap().sign(b"message").unwrap())));
            }
            scope.spawn(|| {
                for _ in 0..40 {
                    let wrong = PrivateKey::read(&token.path("org"), Some(&pin("999999")));
                    assert!(matches!(wrong, Err(KeyStoreError::WrongPin { .. })));
                }
            });
        });
    });
}

#[test]
fn a_token_that_was_away_signs_again_and_meanwhile_the_key_cannot_sign() {
    with_token("a_token_that_was_away_signs_again_and_meanwhile_the_key_cannot_sign", |token| {
        let (one, other) = (token.make("one"), token.make("other"));
        token.pull();
        token.put_back();
        one.public_key().verify(b"message", &one.sign(b"message").unwrap()).unwrap();
        token.pull();
        for _ in 0..2 {
            assert_eq!(one.sign(b"message"), Err(KeyError::CannotSign));
            assert!(matches!(one.check(), Err(KeyStoreError::NoSuchToken { .. })));
        }
        // Its reader as well: then the library itself does not start.
        fs::remove_dir(token.path("tokens")).unwrap();
        for _ in 0..2 {
            assert!(matches!(one.check(), Err(KeyStoreError::Module { .. })));
        }
        fs::create_dir(token.path("tokens")).unwrap();
        token.put_back();
        one.check().unwrap();
        for key in [&other, &one] {
            key.public_key().verify(b"message", &key.sign(b"message").unwrap()).unwrap();
        }
    });
}

#[test]
fn a_pin_that_was_changed_is_sent_once_and_the_new_one_opens() {
    with_token("a_pin_that_was_changed_is_sent_once_and_the_new_one_opens", |token| {
        let key = token.make("org");
        let uri = token.uri("org");
        let login = module::login(&uri, &Pin::for_token(&uri, Some(&pin(PIN))).unwrap()).unwrap();
        login.writing().unwrap().set_pin(&PIN.into(), &"161803".into()).unwrap();
        token.pull();
        token.put_back();
        for _ in 0..2 {
            assert_eq!(key.sign(b"message"), Err(KeyError::CannotSign));
        }
        let refused = login.with_session(|_| Ok(()));
        assert!(matches!(refused, Err(KeyStoreError::WrongPin { .. })));
        let read = PrivateKey::read(&token.path("org"), Some(&pin("161803"))).unwrap();
        key.public_key().verify(b"message", &read.sign(b"message").unwrap()).unwrap();
    });
}

#[test]
fn a_pin_that_the_token_refused_is_not_sent_to_it_again() {
    with_token("a_pin_that_the_token_refused_is_not_sent_to_it_again", |token| {
        drop(token.make("org"));
        let with = |text: &str| PrivateKey::read(&token.path("org"), Some(&pin(text)));
        let before = token.logins();
        for _ in 0..5 {
            assert!(matches!(with("999999"), Err(KeyStoreError::WrongPin { .. })));
        }
        assert_eq!(token.logins(), before + 1);
        assert!(matches!(with("999998"), Err(KeyStoreError::WrongPin { .. })));
        assert_eq!(token.logins(), before + 2);
        with(PIN).unwrap().sign(b"message").unwrap();
        assert_eq!(token.logins(), before + 3);

        // Changed under a key that is in use: sent once more, by whoever comes first.
        let key = with(PIN).unwrap();
        let uri = token.uri("org");
        let login = module::login(&uri, &Pin::for_token(&uri, Some(&pin(PIN))).unwrap()).unwrap();
        login.writing().unwrap().set_pin(&PIN.into(), &"161803".into()).unwrap();
        token.pull();
        token.put_back();
        let before = token.logins();
        for _ in 0..3 {
            assert_eq!(key.sign(b"message"), Err(KeyError::CannotSign));
            assert!(matches!(key.check(), Err(KeyStoreError::WrongPin { .. })));
            assert!(matches!(with(PIN), Err(KeyStoreError::WrongPin { .. })));
        }
        assert_eq!(token.logins(), before + 1);
        with("161803").unwrap().sign(b"message").unwrap();
    });
}

#[test]
fn a_key_on_another_curve_is_refused() {
    with_token("a_key_on_another_curve_is_refused", |token| {
        let made = token.make("org");
        let uri = token.uri("p384").or_id(vec![1]);
        let login = module::login(&uri, &Pin::for_token(&uri, Some(&pin(PIN))).unwrap()).unwrap();
        let session = login.writing().unwrap();
        let secp384r1 = vec![0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
        let mut template = public_template(&uri);
        template.retain(|attribute| attribute.attribute_type() != AttributeType::EcParams);
        template.push(Attribute::EcParams(secp384r1));
        session.generate_key_pair(&Mechanism::EccKeyPairGen, &template, &private_template(&uri)).unwrap();
        Reference { uri, public: made.public_key() }.write(&token.path("p384")).unwrap();
        assert!(matches!(token.read("p384"), Err(KeyStoreError::NotP256 { .. })));
    });
}

#[test]
fn a_module_is_loaded_once_under_any_name_and_only_so_many_are_loaded() {
    with_token("a_module_is_loaded_once_under_any_name_and_only_so_many_are_loaded", |token| {
        let key = token.make("org");
        let reading = |path: &Path| {
            let (name, uri) = (token.path("elsewhere"), token.uri("org").to_string());
            let uri = uri.replace(&softhsm().display().to_string(), &path.display().to_string()).parse().unwrap();
            drop(fs::remove_file(&name));
            Reference { uri, public: key.public_key() }.write(&name).unwrap();
            PrivateKey::read(&name, Some(&pin(PIN)))
        };
        let link = token.path("link.so");
        std::os::unix::fs::symlink(softhsm(), &link).unwrap();
        key.public_key().verify(b"message", &reading(&link).unwrap().sign(b"message").unwrap()).unwrap();
        let text = token.path("text.so");
        fs::write(&text, "not a library").unwrap();
        let refused = reading(&text).unwrap_err();
        assert!(matches!(refused, KeyStoreError::Module { .. }) && refused.to_string().contains("text.so"));
        for copy in 1..=4 {
            let path = token.path(&format!("copy-{copy}.so"));
            fs::copy(softhsm(), &path).unwrap();
            let outcome = reading(&path);
            let beyond = matches!(outcome, Err(KeyStoreError::TooManyModules(4)));
            assert_eq!(beyond, copy == 4, "{copy}: {outcome:?}");
        }
        key.sign(b"message").unwrap();
    });
}

#[test]
fn a_token_key_may_go_to_another_thread() {
    fn sent_and_shared<T: Send + Sync>() {}
    sent_and_shared::<PrivateKey>();
}
