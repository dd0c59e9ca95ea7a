//! Is the stored log the one that was signed? Entries, tree and checkpoint are written in one batch, so they end together;
//! anything else was cut, put back or altered.

use std::sync::Arc;

use careweave_protocol::audit::{CheckpointError, Frontier, Origin, TreeError, checkpoint, tree};
use careweave_protocol::id::NodeKey;

use super::AuditError;
use super::stored::{over_tree, trailing_index};
use crate::store::database::{Database, Family, StoreError};

/// Checks the newest checkpoint against tree and entries; returns the tree's edge and the checkpoint.
///
/// Reads a few dozen rows, whatever the size: that every single entry is as it was signed is for `audit verify`. A store put
/// back as a whole from an older copy is whole in itself: that is what witnesses are asked for ([`super::AuditLog::extends`]).
pub(super) fn check(
    db: &Database,
    origin: &Origin,
    keys: &[NodeKey],
) -> Result<(Frontier, Option<Arc<str>>), AuditError> {
    let entries = count(db, Family::Audit)?;
    let hashes = count(db, Family::AuditTree)?;
    let Some((key, note)) = db.last(Family::Checkpoints)? else {
        return if entries == 0 && hashes == 0 {
            Ok((Frontier::default(), None))
        } else {
            Err(AuditError::LogRollback { signed: 0, stored: entries })
        };
    };
    let note = std::str::from_utf8(&note).map_err(|_| CheckpointError::Malformed)?;
    let head = checkpoint::verify(note, origin, keys)?;
    let rollback = AuditError::LogRollback { signed: head.size, stored: entries };
    if trailing_index(&key) != Some(head.size) || entries != head.size || hashes != tree::stored_count(head.size) {
        return Err(rollback);
    }
    match over_tree(db, |read| Frontier::read(head.size, read))? {
        Ok(edge) if edge.head() == head => Ok((edge, Some(Arc::from(note)))),
        Ok(_) | Err(TreeError::MissingHash) => Err(rollback),
        Err(error) => Err(error.into()),
    }
}

/// Rows of a family numbered from 0, by its last key.
fn count(db: &Database, family: Family) -> Result<u64, StoreError> {
    Ok(db.last(family)?.and_then(|(key, _)| trailing_index(&key)).map_or(0, |last| last.saturating_add(1)))
}
