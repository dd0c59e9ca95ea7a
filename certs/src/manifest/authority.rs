//! Certificate authorities as the manifest names them.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A root or intermediate certificate of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityCertificate {
    /// Where it stands in a chain.
    pub role: AuthorityRole,
    /// Whether chains through it are believed.
    pub state: AuthorityState,
    /// The certificate, X.509 in DER.
    pub certificate: ByteBuf,
}

/// Place in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityRole {
    /// Trust anchor.
    Root,
    /// Issues organisation certificates.
    Intermediate,
}

/// State of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuthorityState {
    /// In use.
    Active,
    /// Announced: accepted before anything is issued under it.
    Next,
    /// Compromised or withdrawn: no chain through it is believed.
    Tainted,
}

impl AuthorityCertificate {
    /// Whether chains through it are believed.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.state != AuthorityState::Tainted
    }
}
