//! How a record is found again: every name it goes by (type and id, full URL, identifier) is blinded and leads to its place.

use careweave_protocol::id::{NhsNumber, OdsCode};
use careweave_protocol::record::code::NHS_NUMBER;
use careweave_protocol::time::Timestamp;
use serde_json::Value;

use super::database::{Family, StoreError};
use super::element::{items, text};
use super::patients::{PatientKey, Rows};
use super::seal::{SealError, StoreKeys};

/// A name of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alias<'a> {
    /// `Type/id` at this holder.
    Record {
        /// Resource type.
        kind: &'a str,
        /// Logical id.
        id: &'a str,
    },
    /// A full URL: `http(s)://…`, `urn:uuid:…`, `urn:oid:…`.
    Url(&'a str),
    /// `identifier` with system and value.
    Identifier {
        /// The naming system.
        system: &'a str,
        /// The value in it.
        value: &'a str,
    },
    /// An NHS number.
    Number(NhsNumber),
}

impl Alias<'_> {
    /// What stands for the name in RocksDB keys.
    #[must_use]
    pub(super) fn key(&self, keys: &StoreKeys) -> [u8; 16] {
        match self {
            Self::Record { kind, id } => keys.blind("record", &[kind.as_bytes(), id.as_bytes()]),
            Self::Url(url) => keys.blind("url", &[url.as_bytes()]),
            Self::Identifier { system, value } => keys.blind("identifier", &[system.as_bytes(), value.as_bytes()]),
            Self::Number(number) => keys.blind_number(number),
        }
    }

    /// An identifier, recognised as an NHS number where it is a valid one.
    #[must_use]
    pub(super) fn of_identifier<'a>(system: &'a str, value: &'a str) -> Alias<'a> {
        match value.parse() {
            Ok(number) if system == NHS_NUMBER => Alias::Number(number),
            _ => Alias::Identifier { system, value },
        }
    }
}

/// What a `Reference` (FHIR R4 §2.3) points at: any of these may find it, the surest first.
#[derive(Debug, Default)]
pub(super) struct Pointer<'a> {
    /// From `reference`.
    pub(super) literal: Option<Literal<'a>>,
    /// From `identifier`, or from a conditional or contained reference.
    pub(super) logical: Option<Alias<'a>>,
    /// `Reference.type`, or the type in a relative, absolute or conditional reference.
    pub(super) kind: Option<&'a str>,
}

/// `Reference.reference`, when it names one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal<'a> {
    /// `Type/id`, with its type and id.
    Relative(&'a str, &'a str),
    /// `http(s)://base/Type/id`, with its type and id.
    Absolute(&'a str, &'a str, &'a str),
    /// `urn:uuid:…` or `urn:oid:…`.
    Urn(&'a str),
}

impl<'a> Pointer<'a> {
    /// Reads a reference; `resource` is what it stands in, for `#contained` ones.
    #[must_use]
    pub(super) fn read(reference: &'a Value, resource: &'a Value) -> Self {
        let mut pointer = Self { kind: text(reference, "type"), ..Self::default() };
        pointer.logical = items(reference, "identifier")
            .find_map(|i| Some(Alias::of_identifier(text(i, "system")?, text(i, "value")?)));
        let Some(literal) = text(reference, "reference") else { return pointer };
        if let Some(contained) = literal.strip_prefix('#') {
            let inside = items(resource, "contained").find(|c| text(c, "id") == Some(contained));
            pointer.kind = pointer.kind.or_else(|| inside.and_then(|c| text(c, "resourceType")));
            pointer.logical = pointer.logical.or_else(|| inside.and_then(surest_identifier));
        } else if literal.starts_with("urn:") {
            pointer.literal = Some(Literal::Urn(literal));
        } else if let Some((kind, query)) = literal.split_once('?') {
            pointer.kind = Some(kind.rsplit('/').next().unwrap_or(kind));
            pointer.logical = pointer.logical.or_else(|| conditional(query));
        } else {
            let plain = literal.split("/_history/").next().unwrap_or(literal);
            let mut parts = plain.rsplit('/');
            if let (Some(id), Some(kind)) = (parts.next(), parts.next()) {
                pointer.kind = Some(kind);
                let absolute = plain.starts_with("http://") || plain.starts_with("https://");
                pointer.literal =
                    Some(if absolute { Literal::Absolute(plain, kind, id) } else { Literal::Relative(kind, id) });
            }
        }
        pointer
    }

    /// The NHS number it states, if it does.
    #[must_use]
    pub(super) fn number(&self) -> Option<NhsNumber> {
        match self.logical {
            Some(Alias::Number(number)) => Some(number),
            _ => None,
        }
    }
}

/// The address of the server in a full URL: everything before `Type/id`.
#[must_use]
pub(super) fn base_of(url: &str) -> Option<&str> {
    if !(url.starts_with("http://") || url.starts_with("https://")) {
        return None;
    }
    let (before_id, _) = url.rsplit_once('/')?;
    let (base, _) = before_id.rsplit_once('/')?;
    Some(base)
}

/// `identifier=system|value` in a conditional reference.
fn conditional(query: &str) -> Option<Alias<'_>> {
    let token = query.split('&').find_map(|part| part.strip_prefix("identifier="))?;
    let (system, value) = token.split_once('|')?;
    Some(Alias::of_identifier(system, value))
}

/// The identifier of a contained resource: the NHS number where it has one.
fn surest_identifier(resource: &Value) -> Option<Alias<'_>> {
    let all = || super::element::identifiers(resource).map(|(system, value)| Alias::of_identifier(system, value));
    all().find(|alias| matches!(alias, Alias::Number(_))).or_else(|| all().next())
}

/// Where a name leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Whose record it is; [`AMBIGUOUS`] when two patients go by the name.
    pub(super) owner: PatientKey,
    /// Category code in the index key.
    pub(super) category: u8,
    /// Reversed date in the index key.
    pub(super) reversed: u64,
    /// Keyed hash of the original bytes.
    pub(super) content: [u8; 16],
    /// `meta.lastUpdated`.
    pub(super) updated: Option<Timestamp>,
    /// `meta.versionId`.
    pub(super) version: Option<String>,
    /// ODS code of an Organization, or of the one a PractitionerRole works for.
    pub(super) ods: Option<OdsCode>,
    /// Of a record: keyed hash of the server it came from, where its full URL said one. Of the `urn:` of a record that is no Patient:
    /// where the record is filed. Zeros where neither.
    pub(super) base: [u8; 16],
}

/// Stands where two patients go by one name: nothing is filed under a guess.
pub(super) const AMBIGUOUS: PatientKey = PatientKey([0; 16]);

impl Known {
    /// A name of a patient, of which nothing but the patient is known.
    #[must_use]
    pub(super) fn name_of(owner: PatientKey) -> Self {
        let (content, base) = ([0; 16], [0; 16]);
        Self { owner, category: 0, reversed: 0, content, updated: None, version: None, ods: None, base }
    }

    /// Reads a row.
    pub(super) fn read(rows: &impl Rows, key: &[u8; 16]) -> Result<Option<Self>, StoreError> {
        let Some(sealed) = rows.row(Family::References, key)? else { return Ok(None) };
        let plain = rows.database().keys().log.open(Family::References, key, sealed)?;
        Ok(Some(Self::decode(&plain).ok_or(SealError::DoesNotOpen)?))
    }

    /// The row as it is stored, sealed.
    pub(super) fn sealed(&self, keys: &StoreKeys, key: &[u8; 16]) -> Result<Vec<u8>, StoreError> {
        Ok(keys.log.seal(Family::References, key, &self.encode())?)
    }

    /// Fixed fields, then two short texts with their lengths: this row is read and written once for every resource.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(&self.owner.0);
        out.push(self.category);
        out.extend_from_slice(&self.reversed.to_be_bytes());
        out.extend_from_slice(&self.content);
        out.extend_from_slice(&self.updated.map_or(i64::MIN, |t| t.0).to_be_bytes());
        out.extend_from_slice(&self.base);
        for text in [self.version.as_deref(), self.ods.as_ref().map(OdsCode::as_str)] {
            let bytes = text.unwrap_or("").as_bytes();
            let bytes = bytes.get(..usize::from(u8::MAX)).unwrap_or(bytes);
            out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(bytes);
        }
        out
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (owner, rest) = bytes.split_first_chunk::<16>()?;
        let (category, rest) = rest.split_first()?;
        let (reversed, rest) = rest.split_first_chunk::<8>()?;
        let (content, rest) = rest.split_first_chunk::<16>()?;
        let (updated, rest) = rest.split_first_chunk::<8>()?;
        let (base, rest) = rest.split_first_chunk::<16>()?;
        let (version, rest) = short_text(rest)?;
        let (ods, _) = short_text(rest)?;
        let updated = i64::from_be_bytes(*updated);
        Some(Self {
            owner: PatientKey(*owner),
            category: *category,
            reversed: u64::from_be_bytes(*reversed),
            content: *content,
            updated: (updated != i64::MIN).then_some(Timestamp(updated)),
            version: (!version.is_empty()).then(|| version.to_owned()),
            ods: ods.parse().ok(),
            base: *base,
        })
    }
}

fn short_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_kind_of_reference_is_read() {
        let resource = json!({"contained": [{"resourceType": "Patient", "id": "p", "identifier": [
            {"system": "urn:other", "value": "1"}, {"system": NHS_NUMBER, "value": "9990010013"}]}]});
        let number: NhsNumber = "9990010013".parse().unwrap();
        let read = |reference: Value| {
            let pointer = Pointer::read(&reference, &resource);
            format!("{:?} {:?} {:?}", pointer.literal, pointer.logical, pointer.kind)
        };
        let nhs = Some(Alias::Number(number));
        for (reference, literal, logical, kind) in [
            (json!({"reference": "Patient/7"}), Some(Literal::Relative("Patient", "7")), None, Some("Patient")),
            (
                json!({"reference": "Patient/7/_history/2"}),
                Some(Literal::Relative("Patient", "7")),
                None,
                Some("Patient"),
            ),
            (
                json!({"reference": "https://a.example/fhir/Patient/7"}),
                Some(Literal::Absolute("https://a.example/fhir/Patient/7", "Patient", "7")),
                None,
                Some("Patient"),
            ),
            (json!({"reference": "urn:uuid:1"}), Some(Literal::Urn("urn:uuid:1")), None, None),
            (json!({"reference": "#p"}), None, nhs, Some("Patient")),
            (json!({"reference": format!("Patient?identifier={NHS_NUMBER}|9990010013")}), None, nhs, Some("Patient")),
            (json!({"identifier": {"system": NHS_NUMBER, "value": "999 001 0013"}}), None, nhs, None),
            (
                json!({"identifier": {"system": "urn:mrn", "value": "1"}}),
                None,
                Some(Alias::Identifier { system: "urn:mrn", value: "1" }),
                None,
            ),
        ] {
            assert_eq!(read(reference), format!("{literal:?} {logical:?} {kind:?}"));
        }
    }

    #[test]
    fn a_row_round_trips() {
        let known = Known {
            category: 7,
            reversed: 9,
            content: [3; 16],
            updated: Some(Timestamp(5)),
            version: Some("v2".into()),
            ods: Some("R9A".parse().unwrap()),
            base: [4; 16],
            ..Known::name_of(PatientKey([1; 16]))
        };
        assert_eq!(Known::decode(&known.encode()), Some(known));
        assert_eq!(base_of("https://a.example/fhir/Patient/7"), Some("https://a.example/fhir"));
        assert_eq!(base_of("urn:uuid:1"), None);
    }
}
