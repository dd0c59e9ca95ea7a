//! Where entries stand. A full URL of REST form makes a relative reference resolve against its own base, which is why every source
//! has one of its own; none of them is a server.

use careweave_protocol::desk::view::WITHHELD;
use careweave_protocol::id::{Digest, NetworkId};

/// The base of one source's records.
pub(super) struct Host(String);

impl Host {
    /// The base of a source; one that may not be named has only its `number` among those.
    pub(super) fn of(ods: &str, number: usize, network: &NetworkId) -> Self {
        let name = if ods == WITHHELD { format!("{WITHHELD}-{number}") } else { ods.to_ascii_lowercase() };
        Self(format!("https://{name}.{}.{DOMAIN}/fhir", network.as_str()))
    }

    /// The base of the network itself, which has one `Organization` for each member.
    pub(super) fn network(network: &NetworkId) -> Self {
        Self(format!("https://{}.{DOMAIN}/fhir", network.as_str()))
    }

    /// Full URL of a record.
    pub(super) fn full_url(&self, kind: &str, id: &str) -> String {
        format!("{}/{kind}/{id}", self.0)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Whether it is a FHIR `id`: 1 to 64 letters, digits, hyphens and full stops.
pub(super) fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// A UUID that the parts always give: version 8 of RFC 9562 (section 5.8), the first half of their SHA-256.
pub(super) fn urn(parts: &[&[u8]]) -> String {
    let digest = Digest::of(parts);
    let mut bits = digest.as_bytes().iter().take(16).fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
    bits = (bits & !VERSION_AND_VARIANT) | VERSION_8;
    let hex = format!("{bits:032x}");
    let groups: Vec<String> =
        GROUPS.iter().scan(hex.chars(), |rest, length| Some(rest.by_ref().take(*length).collect::<String>())).collect();
    format!("urn:uuid:{}", groups.join("-"))
}

/// Reserved by RFC 6761, so that none of these can be somebody's server.
const DOMAIN: &str = "careweave.example";
/// Hexadecimal digits between the hyphens of a UUID.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
/// The four bits of the version and the two of the variant (RFC 9562, section 4).
const VERSION_AND_VARIANT: u128 = (0xf << 76) | (0b11 << 62);
/// Version 8, variant 10.
const VERSION_8: u128 = (8 << 76) | (0b10 << 62);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_of_version_8_and_always_the_same() {
        let one = urn(&[b"a", b"b"]);
        assert_eq!(one, urn(&[b"ab"]));
        assert_ne!(one, urn(&[b"a"]));
        let hex = one.strip_prefix("urn:uuid:").unwrap();
        let lengths: Vec<usize> = hex.split('-').map(str::len).collect();
        assert_eq!(lengths, GROUPS);
        assert_eq!(hex.chars().nth(14), Some('8'));
        assert!(matches!(hex.chars().nth(19), Some('8' | '9' | 'a' | 'b')));
    }

    #[test]
    fn a_base_is_in_lower_case_and_an_unnamed_one_names_nobody() {
        let network: NetworkId = "demo".parse().unwrap();
        let named = Host::of("Y91001", 0, &network);
        assert_eq!(named.full_url("Patient", "Ada-1"), "https://y91001.demo.careweave.example/fhir/Patient/Ada-1");
        assert_eq!(Host::of(WITHHELD, 3, &network).0, "https://withheld-3.demo.careweave.example/fhir");
    }

    #[test]
    fn an_id_that_would_not_fit_in_a_url_is_none() {
        assert!(is_id("Ada-1.2"));
        for wrong in ["", "a b", "a/b", "a_b", &"x".repeat(65)] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
