//! A Patient resource as a register's entry, by which a second entry for the same person is told from the same entry sent again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::element::{items, text};
use super::seal::StoreKeys;
use careweave_protocol::record::code::NHS_NUMBER;

/// One Patient resource. Everything in it is blinded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registration {
    /// Its id.
    pub(super) place: [u8; 16],
    /// The server it came from; zeros where its full URL did not say.
    server: [u8; 16],
    /// `Patient.active`, where it is not false.
    pub(super) active: bool,
    /// Identifiers but NHS numbers: naming system and value.
    locals: Vec<([u8; 16], [u8; 16])>,
}

impl Registration {
    /// Of a Patient resource.
    pub(super) fn of(resource: &Value, place: [u8; 16], server: Option<[u8; 16]>, keys: &StoreKeys) -> Self {
        let current = items(resource, "identifier").filter(|i| !matches!(text(i, "use"), Some("old" | "temp")));
        let stated = current.filter_map(|i| Some((text(i, "system")?, text(i, "value")?)));
        let locals = stated.filter(|(system, _)| *system != NHS_NUMBER).take(LOCALS).map(|(system, value)| {
            let blind = |parts: &[&[u8]]| keys.blind("local identifier", parts);
            (blind(&[system.as_bytes()]), blind(&[system.as_bytes(), value.as_bytes()]))
        });
        Self {
            place,
            server: server.unwrap_or_default(),
            active: resource.get("active").and_then(Value::as_bool) != Some(false),
            locals: locals.collect(),
        }
    }

    /// Whether one register has both entries: one naming system gives them different values, or one server different ids. What
    /// another system sends again under an id of its own is the same person.
    pub(super) fn is_another_than(&self, other: &Self) -> bool {
        if self.place == other.place || self.shares_identifier(other) {
            return false;
        }
        let same_server = self.server != [0; 16] && self.server == other.server;
        same_server || self.locals.iter().any(|(system, _)| other.locals.iter().any(|(theirs, _)| theirs == system))
    }

    /// Whether an identifier stands in both.
    pub(super) fn shares_identifier(&self, other: &Self) -> bool {
        self.locals.iter().any(|local| other.locals.contains(local))
    }
}

/// Identifiers kept of one Patient resource: a person has a handful in any one system.
const LOCALS: usize = 16;
/// Patient resources kept in mind for one person: more are not registrations but a feed that makes up ids.
pub(super) const REGISTRATIONS: usize = 16;
