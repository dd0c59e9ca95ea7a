//! The governance directory.
//!
//! ```text
//! officers/N/officer.key      P-256 under a passphrase; each goes to its officer's own machine
//! authority/root.key, .pem    P-256 under a passphrase; goes to a safe
//! authority/intermediate.key, .pem
//! registrar/registrar.key     P-256 under a passphrase
//! draft.cbor                  the next manifest, with the signatures it has so far (COSE_Sign)
//! manifests/000001.cbor …     every published manifest
//! attestations/ODS.cbor       CBOR array of Signed<Attestation>
//! certificates/ODS-SERIAL.pem what was issued
//! suspensions/DIGEST.cbor     Signed<Suspension>
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use careweave_certs::authority::Authority;
use careweave_certs::keystore::SoftwareKey;
use careweave_certs::manifest::{Manifest, Suspension};
use careweave_certs::trust::Trust;
use careweave_certs::{chain, private_file};
use careweave_protocol::cbor;
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::Attestation;
use careweave_protocol::limits::{MANIFEST_MAX, SIGNED_MAX};
use careweave_protocol::signed::{MultiSigned, Signed};
use careweave_protocol::time::Timestamp;

use crate::args::governance::OfficeArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::profile::{passphrase, read_file};

/// A governance directory.
#[derive(Debug, Clone)]
pub(super) struct Office {
    directory: PathBuf,
    passphrase_file: Option<PathBuf>,
}

/// Directories of the office.
pub(super) const FOLDERS: [&str; 6] =
    ["authority", "registrar", "manifests", "attestations", "certificates", "suspensions"];
/// The root's key, and its certificate.
pub(super) const ROOT: (&str, &str) = ("authority/root.key", "authority/root.pem");
/// The intermediate's key, and its certificate.
pub(super) const INTERMEDIATE: (&str, &str) = ("authority/intermediate.key", "authority/intermediate.pem");
/// The registrar's key.
pub(super) const REGISTRAR: &str = "registrar/registrar.key";
/// The draft.
pub(super) const DRAFT: &str = "draft.cbor";

impl Office {
    /// Opens the office.
    ///
    /// # Errors
    /// When it is not a governance directory.
    pub(super) fn open(args: &OfficeArgs) -> Result<Self, CliError> {
        let directory = args.dir.clone();
        if directory.join("manifests").is_dir() {
            return Ok(Self { directory, passphrase_file: args.passphrase_file.clone() });
        }
        Err(CliError::failed("office", format!("{} is not a governance directory", directory.display()))
            .hint("name it with --dir; `careweave gov init` makes one"))
    }

    /// A path in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Key file of an officer, counted from 1.
    pub(super) fn officer(number: u32) -> String {
        format!("officers/{number}/officer.key")
    }

    /// Unlocks a key.
    ///
    /// # Errors
    /// When it is not here, or the passphrase is wrong.
    pub(super) fn key(&self, name: &str, whose: &str, ctx: &Context) -> Result<SoftwareKey, CliError> {
        let path = self.file(name);
        if !path.exists() {
            return Err(CliError::failed("key", format!("the key of {whose} is not here ({})", path.display()))
                .hint("run this where that key is kept, with a copy of the office's other files"));
        }
        let question = format!("Passphrase of {whose}");
        let typed = passphrase::obtain(ctx, self.passphrase_file.as_deref(), &question)?;
        Ok(SoftwareKey::read_protected(&path, &typed)?)
    }

    /// Every published manifest verified from the first on; `None` before the first.
    ///
    /// # Errors
    /// When one does not follow from the one before.
    pub(super) fn trust(&self, now: Timestamp) -> Result<Option<Trust>, CliError> {
        let mut chain = Vec::new();
        for path in listed(&self.file("manifests"))? {
            chain.push(MultiSigned::from_bytes(read_file(&path, MANIFEST_MAX)?)?);
        }
        if chain.is_empty() { Ok(None) } else { Ok(Some(Trust::from_chain(chain, None, now)?)) }
    }

    /// As [`Office::trust`], for what needs a published manifest.
    ///
    /// # Errors
    /// Also when there is none yet.
    pub(super) fn published(&self, now: Timestamp) -> Result<Trust, CliError> {
        self.trust(now)?.ok_or_else(|| {
            CliError::failed("unpublished", "no manifest is published yet")
                .hint("`careweave gov admit`, then `gov sign` by enough officers, then `gov publish`")
        })
    }

    /// The draft with the signatures it has; `None` when there is none.
    ///
    /// # Errors
    /// When it is damaged.
    pub(super) fn draft(&self) -> Result<Option<MultiSigned<Manifest>>, CliError> {
        let path = self.file(DRAFT);
        if path.exists() { Ok(Some(MultiSigned::from_bytes(read_file(&path, MANIFEST_MAX)?)?)) } else { Ok(None) }
    }

    /// Keeps a draft.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_draft(&self, draft: &MultiSigned<Manifest>) -> Result<(), CliError> {
        Ok(private_file::replace(&self.file(DRAFT), draft.as_bytes())?)
    }

    /// The draft has become the manifest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn promote(&self, trust: &Trust, draft: &MultiSigned<Manifest>) -> Result<(), CliError> {
        let path = self.file(&format!("manifests/{:06}.cbor", trust.version()));
        private_file::replace(&path, draft.as_bytes())?;
        fs::remove_file(self.file(DRAFT)).map_err(|error| CliError::failed("file", error.to_string()))
    }

    /// The intermediate's certificate, in DER.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub(super) fn certificate(&self, name: &str) -> Result<Vec<u8>, CliError> {
        let chain = chain::from_pem(&read_file(&self.file(name), SIGNED_MAX)?);
        let chain = chain.map_err(|error| CliError::failed("file", format!("{name}: {error}")))?;
        chain.first().map(|der| der.to_vec()).ok_or_else(|| CliError::failed("file", format!("{name} is empty")))
    }

    /// The authority that issues, with its key.
    ///
    /// # Errors
    /// When the two do not belong together.
    pub(super) fn issuer<'a>(&self, certificate: &'a [u8], key: &'a SoftwareKey) -> Result<Authority<'a>, CliError> {
        Ok(Authority::new(certificate.into(), key)?)
    }

    /// What registrars have said about a member.
    ///
    /// # Errors
    /// When the file is damaged.
    pub(super) fn attestations(&self, ods: &OdsCode) -> Result<Vec<Signed<Attestation>>, CliError> {
        let path = self.attestations_file(ods);
        if !path.exists() {
            return Ok(Vec::new());
        }
        Ok(cbor::from_slice(&read_file(&path, SIGNED_MAX)?, SIGNED_MAX)?)
    }

    /// Keeps what registrars have said about a member.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_attestations(&self, ods: &OdsCode, all: &[Signed<Attestation>]) -> Result<(), CliError> {
        Ok(private_file::replace(&self.attestations_file(ods), &cbor::to_vec(&all)?)?)
    }

    /// Every suspension signed here.
    ///
    /// # Errors
    /// When one is damaged.
    pub(super) fn suspensions(&self) -> Result<Vec<Signed<Suspension>>, CliError> {
        let read = |path: PathBuf| Ok(Signed::from_bytes(read_file(&path, SIGNED_MAX)?)?);
        listed(&self.file("suspensions"))?.into_iter().map(read).collect()
    }

    fn attestations_file(&self, ods: &OdsCode) -> PathBuf {
        self.file(&format!("attestations/{ods}.cbor"))
    }
}

/// CBOR files of a directory in order of their names; others are not ours.
fn listed(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error: std::io::Error| CliError::failed("file", format!("{}: {error}", directory.display()));
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "cbor"));
    paths.sort();
    Ok(paths)
}
