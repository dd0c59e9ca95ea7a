//! Values that are typed in more than one command of setting up.

use careweave_protocol::id::NodeKey;
use careweave_protocol::identity::{Scope, Standard};
use careweave_protocol::time::Date;
use libp2p::PeerId;

/// A date as people write it.
///
/// # Errors
/// When there is no such day.
pub fn date(text: &str) -> Result<Date, String> {
    Date::from_human(text).ok_or_else(|| "not a date; write it as 2027-06-30".to_owned())
}

/// A standard that is attested.
///
/// # Errors
/// When there is none of that name.
pub fn standard(text: &str) -> Result<Standard, String> {
    let found = Standard::REQUIRED.into_iter().find(|s| s.as_str() == text);
    found.ok_or_else(|| "not a standard; one of dspt sharing-agreement".to_owned())
}

/// A desk scope.
///
/// # Errors
/// When there is none of that name.
pub fn scope(text: &str) -> Result<Scope, String> {
    match text {
        "operate" => Ok(Scope::Operate),
        "audit" => Ok(Scope::Audit),
        "govern" => Ok(Scope::Govern),
        _ => Err("not a scope; one of operate audit govern".to_owned()),
    }
}

/// The Ed25519 key in a PeerId (libp2p peer-ids specification).
///
/// # Errors
/// When it is no PeerId, or one of another kind of key.
pub fn peer_id(text: &str) -> Result<NodeKey, String> {
    let unlike = || "not the PeerId of an Ed25519 key; it begins with 12D3KooW".to_owned();
    let bytes = text.parse::<PeerId>().map_err(|_| unlike())?.to_bytes();
    let (_, key) = bytes.split_at_checked(bytes.len().saturating_sub(NodeKey::LEN)).ok_or_else(unlike)?;
    let node = NodeKey::try_from(key).map_err(|_| unlike())?;
    if node.peer_id_bytes() == bytes { Ok(node) } else { Err(unlike()) }
}
