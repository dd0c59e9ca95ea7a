//! The address of a key in a token: the part of RFC 7512 that names one key without leaving anything to chance.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

/// `pkcs11:token=LABEL;object=LABEL;id=BYTES?module-path=PATH&pin-source=file:PATH`, percent-encoded (RFC 7512).
///
/// `token`, `object` and `module-path` are always there: what an address leaves open, some other token or library could fill.
/// `id` (CKA_ID) tells apart keys of one label; `pin-source` names a private file that holds the user PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUri {
    token: String,
    object: String,
    id: Option<Vec<u8>>,
    module: PathBuf,
    pin_source: Option<PathBuf>,
}

/// Why an address was not accepted. No message repeats a value, which could be a PIN.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenUriError {
    /// Another scheme.
    #[error("it does not begin with `pkcs11:`")]
    Scheme,
    /// Longer than any real one.
    #[error("it is longer than {URI_MAX} bytes")]
    TooLong,
    /// Between two separators there is no `name=value`, or the value is empty.
    #[error("an attribute has no value; each reads name=value")]
    NoValue,
    /// RFC 7512 has it or not: it is not read here, and ignoring it would be a guess.
    #[error(
        "`{0}` is not read here; there are token, object, id, and behind the question mark module-path and pin-source"
    )]
    Unknown(String),
    /// On the wrong side of the question mark.
    #[error("`{0}` belongs {side} the question mark", side = if PATH_NAMES.contains(&.0.as_str()) { "before" } else { "behind" })]
    Misplaced(String),
    /// Twice the same name.
    #[error("`{0}` is there twice")]
    Twice(&'static str),
    /// A character that RFC 7512 does not allow as it is, or a broken `%` sequence.
    #[error("it has a character that is written as % and two hexadecimal digits")]
    Encoding,
    /// Not UTF-8, or with control characters.
    #[error("`{0}` is not text")]
    NotText(&'static str),
    /// One of the three that are required.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// No token has such a label.
    #[error("a token's label has at most {TOKEN_LABEL_MAX} bytes")]
    TokenLabel,
    /// A relative path would load whatever lies in the directory of the moment.
    #[error("`module-path` is not an absolute path")]
    ModulePath,
    /// Programs (`|program`) and other schemes are not run.
    #[error("`pin-source` is not `file:` and an absolute path")]
    PinSource,
    /// A PIN beside the address of its key protects nothing.
    #[error("`pin-value` is refused: a PIN does not belong in one file with the address of its key")]
    PinValue,
}

/// Scheme of RFC 7512 §2.3.
pub(super) const SCHEME: &str = "pkcs11:";
/// An address with four long paths; far below the bound of a key file.
const URI_MAX: usize = 4096;
/// CK_TOKEN_INFO has 32 bytes for the label.
const TOKEN_LABEL_MAX: usize = 32;
const PATH_NAMES: [&str; 3] = ["token", "object", "id"];
const QUERY_NAMES: [&str; 2] = ["module-path", "pin-source"];
/// `pk11-res-avail` and what `pk11-pchar` and `pk11-qchar` add to it (RFC 7512 §2.3).
const PATH_MARKS: &[u8] = b":[]@!$'()*+,=&";
const QUERY_MARKS: &[u8] = b":[]@!$'()*+,=/?|";

impl TokenUri {
    /// Label of the token (CK_TOKEN_INFO).
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Label of the key (CKA_LABEL).
    #[must_use]
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Identifier of the key (CKA_ID), which its private and public halves share.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        self.id.as_deref()
    }

    /// The library to load.
    #[must_use]
    pub fn module(&self) -> &Path {
        &self.module
    }

    /// The file with the user PIN.
    #[must_use]
    pub fn pin_source(&self) -> Option<&Path> {
        self.pin_source.as_deref()
    }

    /// Whether somebody has to give the user PIN, because no file does.
    #[must_use]
    pub fn pin_needed(&self) -> bool {
        self.pin_source.is_none()
    }

    /// The same address with an identifier, if it has none.
    pub(super) fn or_id(&self, id: Vec<u8>) -> Self {
        Self { id: self.id.clone().or(Some(id)), ..self.clone() }
    }
}

impl FromStr for TokenUri {
    type Err = TokenUriError;

    fn from_str(text: &str) -> Result<Self, TokenUriError> {
        if text.len() > URI_MAX {
            return Err(TokenUriError::TooLong);
        }
        let (scheme, rest) = text.split_at_checked(SCHEME.len()).ok_or(TokenUriError::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(TokenUriError::Scheme);
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = Attributes::read(path, ';', PATH_NAMES, &QUERY_NAMES, PATH_MARKS)?;
        let query = Attributes::read(query, '&', QUERY_NAMES, &PATH_NAMES, QUERY_MARKS)?;
        let token = path.text("token")?.ok_or(TokenUriError::Missing("token"))?;
        if token.len() > TOKEN_LABEL_MAX {
            return Err(TokenUriError::TokenLabel);
        }
        let object = path.text("object")?.ok_or(TokenUriError::Missing("object"))?;
        let module = PathBuf::from(query.text("module-path")?.ok_or(TokenUriError::Missing("module-path"))?);
        if !module.is_absolute() {
            return Err(TokenUriError::ModulePath);
        }
        let pin_source = query.text("pin-source")?.map(|source| pin_file(&source)).transpose()?;
        Ok(Self { token, object, id: path.bytes("id").map(<[u8]>::to_vec), module, pin_source })
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        write!(f, "token={};object={}", Encoded(self.token.as_bytes()), Encoded(self.object.as_bytes()))?;
        if let Some(id) = &self.id {
            f.write_str(";id=")?;
            id.iter().try_for_each(|byte| write!(f, "%{byte:02X}"))?;
        }
        write!(f, "?module-path={}", EncodedPath(&self.module))?;
        match &self.pin_source {
            Some(path) => write!(f, "&pin-source=file:{}", EncodedPath(path)),
            None => Ok(()),
        }
    }
}

/// `file:/PATH` or `file:///PATH` (RFC 8089 §2).
fn pin_file(source: &str) -> Result<PathBuf, TokenUriError> {
    let path = source.strip_prefix("file:").ok_or(TokenUriError::PinSource)?;
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.starts_with('/') { Ok(PathBuf::from(path)) } else { Err(TokenUriError::PinSource) }
}

/// The attributes on one side of the question mark, decoded.
struct Attributes(Vec<(&'static str, Vec<u8>)>);

impl Attributes {
    fn read(
        part: &str,
        separator: char,
        names: impl IntoIterator<Item = &'static str> + Copy,
        other_side: &[&str],
        marks: &[u8],
    ) -> Result<Self, TokenUriError> {
        let mut found = Vec::new();
        if part.is_empty() {
            return Ok(Self(found));
        }
        for attribute in part.split(separator) {
            let (name, value) = attribute.split_once('=').ok_or(TokenUriError::NoValue)?;
            if name == "pin-value" {
                return Err(TokenUriError::PinValue);
            }
            let Some(known) = names.into_iter().find(|known| *known == name) else {
                let plain = name.chars().filter(|c| c.is_ascii_graphic()).collect();
                let misplaced = other_side.contains(&name);
                return Err(if misplaced { TokenUriError::Misplaced(plain) } else { TokenUriError::Unknown(plain) });
            };
            if found.iter().any(|(earlier, _)| *earlier == known) {
                return Err(TokenUriError::Twice(known));
            }
            if value.is_empty() {
                return Err(TokenUriError::NoValue);
            }
            found.push((known, decode(value, marks)?));
        }
        Ok(Self(found))
    }

    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, TokenUriError> {
        let Some(bytes) = self.bytes(name) else { return Ok(None) };
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.chars().any(char::is_control) => Ok(Some(text.to_owned())),
            _ => Err(TokenUriError::NotText(name)),
        }
    }
}

fn decode(value: &str, marks: &[u8]) -> Result<Vec<u8>, TokenUriError> {
    let mut decoded = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
            let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                return Err(TokenUriError::Encoding);
            };
            decoded.push(u8::try_from(high * 16 + low).map_err(|_| TokenUriError::Encoding)?);
        } else if unreserved(byte) || marks.contains(&byte) {
            decoded.push(byte);
        } else {
            return Err(TokenUriError::Encoding);
        }
    }
    Ok(decoded)
}

/// RFC 3986 §2.3.
fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Bytes as the value of an attribute. A path keeps its slashes, which RFC 7512 allows behind the question mark.
struct Encoded<'a>(&'a [u8]);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            byte if unreserved(*byte) => write!(f, "{}", char::from(*byte)),
            byte => write!(f, "%{byte:02X}"),
        })
    }
}

struct EncodedPath<'a>(&'a Path);

impl fmt::Display for EncodedPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.as_os_str().as_encoded_bytes().split(|byte| *byte == b'/').enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            Encoded(part).fmt(f)?;
        }
        Ok(())
    }
}
