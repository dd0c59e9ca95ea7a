//! `careweave audit receipts`: fetches every receipt of another organisation's answer that the node holds and verifies each under
//! the manifest and the keys that held when it was given. The node is believed in nothing: not even in which keys those were.

use std::collections::HashMap;
use std::time::Duration;

use careweave_certs::manifest::Manifest;
use careweave_certs::receipt::{self, ReceiptError};
use careweave_protocol::cbor;
use careweave_protocol::desk::{DeskReply, DeskRequest, PeerEvidence, ReceiptPage, StoredReceipt};
use careweave_protocol::id::{Digest, OdsCode, QueryId};
use careweave_protocol::query::AnswerHeader;
use careweave_protocol::signed::Signed;
use serde_json::json;

use crate::args::Output;
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// What came out.
#[derive(Debug, Default)]
struct Report {
    verified: u64,
    without_evidence: u64,
    failed: u64,
    /// The first [`LISTED`] of them.
    failures: Vec<Failure>,
}

#[derive(Debug, PartialEq, Eq)]
struct Failure {
    holder: OdsCode,
    query_id: QueryId,
    reason: String,
}

/// Verifies page after page; evidence and manifests are read once, however many receipts name them.
struct Checker<'a> {
    /// The manifest of a version, of those that follow from the profile's pinned one.
    manifest_of: Box<dyn Fn(u64) -> Option<Manifest> + Send + 'a>,
    asker: &'a OdsCode,
    evidence: HashMap<Digest, PeerEvidence>,
    manifests: HashMap<u64, Option<Manifest>>,
    report: Report,
}

/// Verifies every receipt and prints what came out.
///
/// # Errors
/// When the node cannot be asked.
pub(super) async fn run(desk: &Desk, ctx: &mut Context) -> Result<u8, CliError> {
    let mut checker = Checker::new(|version| desk.trust().manifest_of(version), desk.organisation());
    let mut from = None;
    loop {
        let request = DeskRequest::Receipts { from: from.clone() };
        let DeskReply::Receipts(page) = desk.ask(&request).await?.next(PAGE_WAIT).await? else {
            return Err(DeskError::Unexpected.into());
        };
        let next = page.next.clone();
        checker.page(page)?;
        // A node that begins the same page again has no more to show.
        if next.is_none() || next == from {
            break;
        }
        from = next;
    }
    let report = checker.report;
    show(&report, ctx)?;
    Ok(if report.failed == 0 { exit::DONE } else { exit::FAILED })
}

impl<'a> Checker<'a> {
    fn new(manifest_of: impl Fn(u64) -> Option<Manifest> + Send + 'a, asker: &'a OdsCode) -> Self {
        Self {
            manifest_of: Box::new(manifest_of),
            asker,
            evidence: HashMap::new(),
            manifests: HashMap::new(),
            report: Report::default(),
        }
    }

    fn page(&mut self, page: ReceiptPage) -> Result<(), CliError> {
        for evidence in page.evidence {
            self.evidence.insert(Digest::of(&[cbor::to_vec(&evidence)?.as_slice()]), evidence);
        }
        for stored in &page.receipts {
            match self.check(stored) {
                Ok(true) => self.report.verified += 1,
                Ok(false) => self.report.without_evidence += 1,
                Err(reason) => self.report.fail(stored, reason),
            }
        }
        Ok(())
    }

    /// Whether the receipt verifies; `false` where the node does not say under which keys it should.
    fn check(&mut self, stored: &StoredReceipt) -> Result<bool, String> {
        let Some(digest) = stored.evidence else { return Ok(false) };
        let header: Signed<AnswerHeader> =
            Signed::from_bytes(stored.header.to_vec()).map_err(|error| error.to_string())?;
        let claim = header.unverified().map_err(|error| error.to_string())?;
        if claim.query_id != stored.query_id {
            return Err("the receipt is about another query than it is kept for".to_owned());
        }
        let evidence = self.evidence.get(&digest).ok_or("the evidence it names is not among what the node shows")?;
        let version = claim.manifest_version;
        let manifest = self.manifests.entry(version).or_insert_with(|| (self.manifest_of)(version));
        let manifest = manifest.as_ref().ok_or_else(|| ReceiptError::UnknownManifest(version).to_string())?;
        receipt::verify_under(manifest, self.asker, &stored.holder, &header, evidence)
            .map(|_| true)
            .map_err(|error| error.to_string())
    }
}

impl Report {
    fn fail(&mut self, stored: &StoredReceipt, reason: String) {
        self.failed += 1;
        if self.failures.len() < LISTED {
            self.failures.push(Failure { holder: stored.holder.clone(), query_id: stored.query_id, reason });
        }
    }

    fn unlisted(&self) -> u64 {
        self.failed.saturating_sub(u64::try_from(self.failures.len()).unwrap_or(u64::MAX))
    }
}

fn show(report: &Report, ctx: &mut Context) -> Result<(), CliError> {
    if ctx.output == Output::Json {
        let failures: Vec<_> = report
            .failures
            .iter()
            .map(|failure| {
                json!({
                    "holder": failure.holder,
                    "query_id": failure.query_id.to_string(),
                    "reason": failure.reason,
                })
            })
            .collect();
        return ctx.printer.json(&json!({
            "receipts": report.verified + report.without_evidence + report.failed,
            "verified": report.verified,
            "without_evidence": report.without_evidence,
            "failed": report.failed,
            "failures": failures,
            "unlisted": report.unlisted(),
        }));
    }
    ctx.printer.line(&format!("{:<18}{}", "verified", report.verified))?;
    ctx.printer.line(&format!("{:<18}{}", "without evidence", report.without_evidence))?;
    ctx.printer.line(&format!("{:<18}{}", "failed", report.failed))?;
    for Failure { holder, query_id, reason } in &report.failures {
        ctx.printer.line(&format!("FAILED            {holder} {query_id}: {reason}"))?;
    }
    match report.unlisted() {
        0 => Ok(()),
        more => ctx.printer.line(&format!("FAILED            {more} more are not listed")),
    }
}

/// Failures listed: one would be news enough.
const LISTED: usize = 100;
/// A page of 1,000 receipts is read from disk.
const PAGE_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use serde_bytes::ByteBuf;

    use super::*;

    fn stored(header: &[u8], evidence: Option<Digest>) -> StoredReceipt {
        StoredReceipt {
            holder: "Y91001".parse().unwrap(),
            query_id: "8c1f0e6a52d94b7f8c1f0e6a52d94b7f".parse().unwrap(),
            header: ByteBuf::from(header.to_vec()),
            evidence,
        }
    }

    #[test]
    fn what_cannot_be_verified_is_never_counted_as_verified() {
        let asker: OdsCode = "R9A".parse().unwrap();
        let mut checker = Checker::new(|_| None, &asker);
        let unreadable = stored(b"no receipt at all", Some(Digest::of(&[b"some evidence"])));
        let receipts = std::iter::repeat_n(unreadable, LISTED + 2).chain([stored(b"", None)]).collect();
        checker.page(ReceiptPage { receipts, ..ReceiptPage::default() }).unwrap();
        let report = checker.report;
        assert_eq!((report.verified, report.without_evidence, report.unlisted()), (0, 1, 2));
        assert_eq!(report.failed, u64::try_from(LISTED).unwrap() + 2);
        let first = report.failures.first().unwrap();
        assert_eq!((first.holder.as_str(), first.reason.is_empty()), ("Y91001", false));
    }
}
