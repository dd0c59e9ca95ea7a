//! Takes FHIR R4 into the store: Bundles, single resources and NDJSON, told apart by content, in bounded memory.
//!
//! An entry whose patient has not arrived is parked, sealed, and filed when the patient arrives in this import or a later one.
//! The same content again changes nothing; a newer version replaces an older one; an older one arriving later changes nothing.
//! A file's report is given when everything it counts is on disk.
//!
//! `source` (document or lines) · `bundle` (a Bundle's entries in order) · `filing` (one resource) · `subject` (whose it
//! is) · `person` (Patients) · `demographics` (who a Patient says it is) · `links` (one person under two numbers) · `sent` (to whom a
//! record was sent) · `consent` (objections) · `writer` (batches) · `reason` (why an entry is bad).

mod bundle;
mod consent;
mod demographics;
mod filing;
mod links;
mod person;
mod reason;
mod scope;
mod sent;
mod source;
mod subject;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::io::BufRead;

use careweave_protocol::desk::import::{BAD_LISTED_MAX, BadEntry, FileReport, ImportReport};
use careweave_protocol::id::OdsCode;
use careweave_protocol::time::Timestamp;
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

pub(super) use self::demographics::whereabouts;
use self::filing::Filing;
use self::reason::{Failure, Outcome, Reason};
use self::scope::{Position, Scope};
use self::source::{Piece, Source};
pub use super::database::StoreError as ImportError;
use super::database::{Database, Family, StoreError};
use super::parked::{self, Parked};
use super::patients::{PatientKey, Rows as _};
use super::records::{DATA_TO, data_to};

/// Parked entries looked at together: bounds memory to a few hundred records.
const RESOLVED_AT_ONCE: usize = 64;

/// One import of any number of files.
pub struct Importer {
    filing: Filing,
    now: Timestamp,
    files: Vec<FileReport>,
    /// Bad entries, listed or not, of all files and of the current one.
    bad_total: u64,
    bad_of_file: u64,
    /// Newest `Bundle.timestamp` of the feeds.
    stated: Option<Timestamp>,
    /// One import at a time, from its first file on.
    alone: Option<OwnedMutexGuard<()>>,
}

impl Importer {
    /// Begins an import into `database` for the organisation `own` at the time `now`.
    #[must_use]
    pub fn new(database: &Database, own: &OdsCode, now: Timestamp) -> Self {
        let filing = Filing::new(database, own, now);
        Self { filing, now, files: Vec::new(), bad_total: 0, bad_of_file: 0, stated: None, alone: None }
    }

    /// Takes one file in; `name` is for the report only. Waits until no other import is under way; not to be called from a task.
    ///
    /// What the report counts is on disk; entries that wait for a patient of a later file are counted anew in [`Importer::finish`].
    ///
    /// # Errors
    /// When the store fails: nothing of the file counts, and importing it again completes it. A reader that fails gives a bad
    /// entry, and what was read before it is kept.
    pub fn file(&mut self, name: &str, reader: impl BufRead) -> Result<FileReport, StoreError> {
        if self.files.is_empty() {
            self.alone = Some(self.filing.rows().database().importing());
            self.filing.begin()?;
        }
        self.files.push(FileReport { file: name.to_owned(), ..FileReport::default() });
        self.bad_of_file = 0;
        self.filing.file_name = name.into();
        let file = u32::try_from(self.files.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let mut source = Source::new(reader);
        let mut entry = 0;
        while let Some(piece) = source.next() {
            entry += 1;
            let at = |line| Position { import: self.now, file, entry, line };
            match piece {
                Piece::Document { text } => self.json(&text, at(None), false)?,
                Piece::Line { line, text } => self.json(&text, at(Some(line)), true)?,
                Piece::Bad { line, reason } => {
                    let position = at(Some(line));
                    self.bad(position, &reason);
                }
            }
        }
        self.filing.writer.sync()?;
        let unlisted = self.bad_of_file.saturating_sub(u64::try_from(BAD_LISTED_MAX).unwrap_or(u64::MAX));
        let Some(report) = self.files.last_mut() else { return Ok(FileReport::default()) };
        if unlisted > 0 {
            report.bad.push(BadEntry { entry, line: None, reason: format!("and {unlisted} more bad entries") });
        }
        Ok(report.clone())
    }

    /// Ends the import and says up to when the records are current.
    ///
    /// # Errors
    /// When the store fails.
    pub fn finish(mut self) -> Result<ImportReport, StoreError> {
        let written = self.files.iter().map(|f| f.imported + f.superseded).sum();
        let confirmed: u64 = self.files.iter().map(|f| f.unchanged).sum();
        if written > 0 || confirmed > 0 {
            let before = data_to(self.filing.rows().database())?;
            let current = self.stated.unwrap_or(self.now).min(self.now);
            let current = before.map_or(current, |before| before.max(current));
            self.filing.writer.put(Family::Meta, DATA_TO, current.0.to_be_bytes().to_vec())?;
        }
        self.filing.writer.sync()?;
        let parked = self.files.iter().map(|f| f.parked).sum();
        Ok(ImportReport { files: self.files, imported: written, parked, bad: self.bad_total })
    }

    /// A single resource, or a document.
    fn resource(&mut self, raw: &str, scope: &Scope<'_>) -> Result<(), StoreError> {
        let parsed: Result<Value, _> = serde_json::from_str(raw);
        let filed = match parsed {
            Ok(resource) => self.file_one(raw, &resource, scope)?.map(|_| ()),
            Err(error) => Err(Reason::json(&error)),
        };
        if let Err(reason) = filed {
            self.bad(scope.position, &reason);
        }
        Ok(())
    }

    /// Files one resource, counts it, and files what waited for it.
    fn file_one(
        &mut self,
        raw: &str,
        resource: &Value,
        scope: &Scope<'_>,
    ) -> Result<Result<(Outcome, PatientKey), Reason>, StoreError> {
        let database = self.filing.rows().database().clone();
        let _one = database.introducing().blocking_lock();
        let filed = match self.filing.file(raw, resource, scope) {
            Ok(filed) => filed,
            Err(Failure::Bad(reason)) => {
                // It may have made its patient known before it turned out to be bad.
                self.filing.writer.settle()?;
                return Ok(Err(reason));
            }
            Err(Failure::Store(error)) => return Err(error),
        };
        self.count(scope.position, filed.0);
        self.filing.writer.settle()?;
        while let Some(name) = self.filing.next_arrived() {
            self.resolve(name)?;
        }
        Ok(Ok(filed))
    }

    /// Files what waited for a name. What then waits for another name is parked under that.
    fn resolve(&mut self, name: [u8; 16]) -> Result<(), StoreError> {
        let database = self.filing.rows().database().clone();
        let mut after: Option<Box<[u8]>> = None;
        // A scan sees what is written, so the open batch goes first.
        self.filing.writer.commit()?;
        loop {
            let rows = parked::waiting_for(&database, &name, after.as_deref(), RESOLVED_AT_ONCE)?;
            let Some((last, _)) = rows.last() else { return Ok(()) };
            after = Some(last.clone());
            for (key, parked) in rows {
                self.unpark(&key, &parked)?;
            }
        }
    }

    fn unpark(&mut self, key: &[u8], parked: &Parked) -> Result<(), StoreError> {
        let here = parked.import == self.now;
        let position = Position { import: parked.import, file: parked.file, entry: parked.entry, line: parked.line };
        let (owners, organisations) = (HashMap::new(), HashMap::new());
        let scope = Scope {
            position,
            full_url: parked.full_url.as_deref(),
            owners: &owners,
            organisations: &organisations,
            sole_patient: None,
        };
        self.filing.writer.delete(Family::Parked, key)?;
        let resource: Value = serde_json::from_str(&parked.raw).unwrap_or(Value::Null);
        let file_name = std::mem::replace(&mut self.filing.file_name, parked.file_name.as_str().into());
        let filed = self.filing.file(&parked.raw, &resource, &scope);
        self.filing.file_name = file_name;
        let report = if here { usize::try_from(parked.file).ok() } else { None };
        if let Some(file) = report.and_then(|index| self.files.get_mut(index)) {
            file.parked = file.parked.saturating_sub(1);
        }
        match filed {
            // It waits on, for another name, and the import that brought it has counted it.
            Ok((Outcome::Parked, _)) if !here => {}
            Ok((outcome, _)) => self.count(position, outcome),
            Err(Failure::Bad(reason)) => self.bad(position, &reason),
            Err(Failure::Store(error)) => return Err(error),
        }
        self.filing.writer.settle()
    }

    /// Counts an entry in its own file's report, or in the current one where it was parked by an earlier import.
    fn count(&mut self, position: Position, outcome: Outcome) {
        let Some(report) = self.report(position) else { return };
        match outcome {
            Outcome::Imported => report.imported += 1,
            Outcome::Unchanged => report.unchanged += 1,
            Outcome::Superseded => report.superseded += 1,
            Outcome::Parked => report.parked += 1,
        }
    }

    fn bad(&mut self, position: Position, reason: &Reason) {
        self.bad_total += 1;
        self.bad_of_file += 1;
        let Some(report) = self.report(position) else { return };
        if report.bad.len() < BAD_LISTED_MAX {
            report.bad.push(BadEntry { entry: position.entry, line: position.line, reason: reason.to_string() });
        }
    }

    fn lists_more_bad(&self) -> bool {
        self.files.last().is_none_or(|report| report.bad.len() < BAD_LISTED_MAX)
    }

    fn report(&mut self, position: Position) -> Option<&mut FileReport> {
        let index = usize::try_from(position.file).ok().filter(|_| position.import == self.now);
        let index = index.filter(|index| *index < self.files.len());
        match index {
            Some(index) => self.files.get_mut(index),
            None => self.files.last_mut(),
        }
    }

    fn note_currency(&mut self, stated: Option<Timestamp>) {
        self.stated = self.stated.max(stated);
    }
}
