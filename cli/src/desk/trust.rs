//! Keeps the person's own trust current: what the node knows and the profile does not is fetched, verified against what the
//! profile believes already, and written back whole. The node chooses what it sends; what is believed follows from the
//! pinned first manifest alone.

use careweave_certs::trust::{Advanced, NoticeError, Trust};
use careweave_protocol::desk::GovernanceDocument;
use careweave_protocol::signed::{MultiSigned, Signed, SignedError};
use careweave_protocol::time::Timestamp;

use super::DeskError;

/// Takes the documents in, in the order in which they came. Gives whether anything was new.
///
/// # Errors
/// [`DeskError::Trust`] when a manifest does not follow from the one before, or a notice is by nobody who may.
pub(super) fn advance(trust: &mut Trust, documents: &[GovernanceDocument], now: Timestamp) -> Result<bool, DeskError> {
    let mut new = false;
    for document in documents {
        new |= take_in(trust, document, now)?;
    }
    Ok(new)
}

fn take_in(trust: &mut Trust, document: &GovernanceDocument, now: Timestamp) -> Result<bool, DeskError> {
    let malformed = |error: SignedError| DeskError::Trust(error.to_string());
    match document {
        GovernanceDocument::Manifest(bytes) => {
            let manifest = MultiSigned::from_bytes(bytes.to_vec()).map_err(malformed)?;
            let advanced = trust.advance(manifest, now).map_err(|error| DeskError::Trust(error.to_string()))?;
            Ok(advanced != Advanced::Unchanged)
        }
        GovernanceDocument::Suspension(bytes) => {
            let suspension = Signed::from_bytes(bytes.to_vec()).map_err(malformed)?;
            believed(trust.accept_suspension(suspension, now))
        }
        GovernanceDocument::Beacon(bytes) => {
            let beacon = Signed::from_bytes(bytes.to_vec()).map_err(malformed)?;
            believed(trust.accept_beacon(&beacon, now).map(|news| news.is_newer))
        }
        GovernanceDocument::StaffRevocation { organisation_key, list } => {
            let list = Signed::from_bytes(list.to_vec()).map_err(malformed)?;
            believed(trust.accept_revocation(&list, organisation_key, now).map(|()| true))
        }
    }
}

/// What is over, too early or known already does no harm; what nobody entitled has signed should never have been sent.
fn believed(taken: Result<bool, NoticeError>) -> Result<bool, DeskError> {
    match taken {
        Ok(new) => Ok(new),
        Err(NoticeError::Over | NoticeError::FromTheFuture | NoticeError::Older { .. } | NoticeError::TooMany) => {
            Ok(false)
        }
        Err(error @ (NoticeError::Signed(_) | NoticeError::NotEntitled | NoticeError::KeyNotPinned)) => {
            Err(DeskError::Trust(error.to_string()))
        }
    }
}
