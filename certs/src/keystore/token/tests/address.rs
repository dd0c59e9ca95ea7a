//! Addresses of token keys, and what is refused in them.

use std::path::Path;

use crate::keystore::{TokenUri, TokenUriError};

const PLAIN: &str = "pkcs11:token=orchard;object=org?module-path=/usr/lib/p11.so";

#[test]
fn an_address_is_decoded_and_comes_back_in_one_spelling() {
    let written = "PKCS11:object=R9A%20key%2F1;id=%00%ff%2a;token=Orchard%20%c3%89,(CA)?pin-source=file:///run/pin&module-path=/usr/lib/x%20y.so";
    let uri: TokenUri = written.parse().unwrap();
    assert_eq!((uri.token(), uri.object()), ("Orchard É,(CA)", "R9A key/1"));
    assert_eq!(uri.id(), Some([0x00, 0xff, 0x2a].as_slice()));
    assert_eq!(uri.module(), Path::new("/usr/lib/x y.so"));
    assert_eq!(uri.pin_source(), Some(Path::new("/run/pin")));
    assert!(!uri.pin_needed());
    let spelling = "pkcs11:token=Orchard%20%C3%89%2C%28CA%29;object=R9A%20key%2F1;id=%00%FF%2A?module-path=/usr/lib/x%20y.so&pin-source=file:/run/pin";
    assert_eq!(uri.to_string(), spelling);
    assert_eq!(spelling.parse(), Ok(uri));
    let plain: TokenUri = PLAIN.parse().unwrap();
    assert!(plain.pin_needed() && plain.id().is_none());
    assert_eq!(plain.to_string(), PLAIN);
}

#[test]
fn what_an_address_leaves_open_or_says_otherwise_is_refused_by_name() {
    use TokenUriError as Refused;
    let table = [
        ("", Refused::Scheme),
        ("pkcs12:token=a;object=b?module-path=/c", Refused::Scheme),
        ("https://example.org/", Refused::Scheme),
        ("pkcs11:", Refused::Missing("token")),
        ("pkcs11:object=b?module-path=/c", Refused::Missing("token")),
        ("pkcs11:token=a?module-path=/c", Refused::Missing("object")),
        ("pkcs11:token=a;object=b", Refused::Missing("module-path")),
        ("pkcs11:token=a;object=b?pin-source=file:/p", Refused::Missing("module-path")),
        ("pkcs11:token=;object=b?module-path=/c", Refused::NoValue),
        ("pkcs11:token;object=b?module-path=/c", Refused::NoValue),
        ("pkcs11:token=a;;object=b?module-path=/c", Refused::NoValue),
        ("pkcs11:token=a;object=b?module-path=/c&", Refused::NoValue),
        ("pkcs11:token=a;token=b;object=b?module-path=/c", Refused::Twice("token")),
        ("pkcs11:token=a;object=b?module-path=/c&module-path=/d", Refused::Twice("module-path")),
        ("pkcs11:token=a;object=b;slot-id=3?module-path=/c", Refused::Unknown("slot-id".to_owned())),
        ("pkcs11:token=a;object=b;type=private?module-path=/c", Refused::Unknown("type".to_owned())),
        ("pkcs11:token=a;object=b?module-name=c", Refused::Unknown("module-name".to_owned())),
        ("pkcs11:token=a;object=b;module-path=/c", Refused::Misplaced("module-path".to_owned())),
        ("pkcs11:token=a?object=b&module-path=/c", Refused::Misplaced("object".to_owned())),
        ("pkcs11:token=a;object=b?module-path=c.so", Refused::ModulePath),
        ("pkcs11:token=a;object=b?module-path=/c&pin-source=/p", Refused::PinSource),
        ("pkcs11:token=a;object=b?module-path=/c&pin-source=file:p", Refused::PinSource),
        ("pkcs11:token=a;object=b?module-path=/c&pin-source=file://host/p", Refused::PinSource),
        ("pkcs11:token=a;object=b?module-path=/c&pin-source=|cat%20/p", Refused::PinSource),
        ("pkcs11:token=a;object=b?module-path=/c&pin-value=1234", Refused::PinValue),
        ("pkcs11:token=a;object=b;pin-value=1234?module-path=/c", Refused::PinValue),
        ("pkcs11:token=a b;object=b?module-path=/c", Refused::Encoding),
        ("pkcs11:token=a/b;object=b?module-path=/c", Refused::Encoding),
        ("pkcs11:token=é;object=b?module-path=/c", Refused::Encoding),
        ("pkcs11:token=a%;object=b?module-path=/c", Refused::Encoding),
        ("pkcs11:token=a%4;object=b?module-path=/c", Refused::Encoding),
        ("pkcs11:token=a%+4;object=b?module-path=/c", Refused::Encoding),
        ("pkcs11:token=a%ff;object=b?module-path=/c", Refused::NotText("token")),
        ("pkcs11:token=a;object=b%0a?module-path=/c", Refused::NotText("object")),
        ("pkcs11:token=a;object=b?module-path=/c%00", Refused::NotText("module-path")),
        ("pkcs11:token=a23456789012345678901234567890123;object=b?module-path=/c", Refused::TokenLabel),
    ];
    for (text, refused) in table {
        assert_eq!(text.parse::<TokenUri>(), Err(refused), "{text}");
    }
    let long = format!("{PLAIN}{}", "a".repeat(4096));
    assert_eq!(long.parse::<TokenUri>(), Err(Refused::TooLong));
}

#[test]
fn no_message_repeats_a_pin() {
    for text in [
        "pkcs11:token=a;object=b?module-path=/c&pin-value=314159",
        "pkcs11:token=a;object=b?module-path=/c&pin=314159",
        "pkcs11:token=a;object=b?module-path=/c&314159",
        "pkcs11:token=a;object=b?module-path=/c&pin-source=314159",
    ] {
        let refused = text.parse::<TokenUri>().unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains("314159"), "{text}");
    }
    let message = |text: &str| text.parse::<TokenUri>().unwrap_err().to_string();
    assert_eq!(message("pkcs11:module-path=/c"), "`module-path` belongs behind the question mark");
    assert_eq!(message("pkcs11:token=a?id=b"), "`id` belongs before the question mark");
}
