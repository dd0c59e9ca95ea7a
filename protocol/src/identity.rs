//! Who is who: statements that organisations make about their nodes and their people, and registrars about organisations.
//!
//! X.509 chains, keys at rest and the manifest are in `careweave-certs`.

pub mod advert;
pub mod attestation;
pub mod binding;
pub mod endorsement;
pub mod hello;
pub mod revocation;
pub mod staff;

pub use advert::{Advert, AdvertRecord};
pub use attestation::{Attestation, Standard, StandardStatus};
pub use binding::{EndpointRole, NodeBinding, RetiredEndpoint};
pub use endorsement::KeyEndorsement;
pub use hello::{EnrolHello, EnrolReply, Hello, HelloReply, NodeHello, StaffHello};
pub use revocation::{RevokedCredential, StaffRevocation};
pub use staff::{Approval, Scope, StaffApproval, StaffCredential, StaffGroup};
