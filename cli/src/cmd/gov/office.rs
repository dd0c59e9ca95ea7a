//! The governance directory.
//!
//! ```text
//! officers/N/officer.key      only where `gov init` made the officers' keys
//! authority/root.key, .pem    goes to a safe; successors are root-2, root-3, …
//! authority/intermediate.key, .pem
//! registrar/registrar.key
//! draft.cbor                  the next manifest, with the signatures it has so far (COSE_Sign)
//! manifests/000001.cbor …     every published manifest
//! attestations/ODS.cbor       CBOR array of Signed<Attestation>
//! certificates/ODS-END.pem    what was issued, by the millisecond of its end
//! endorsements/ODS.cbor       Signed<KeyEndorsement>, where a certificate was issued under one
//! crl/NAME.number             number of the last revocation list of an authority
//! suspensions/DIGEST.cbor     Signed<Suspension>
//! ```
//!
//! An officer's own directory is one as well: `officer.key`, `officer.pub`, the published manifests as that officer knows them, the
//! suspensions they signed, and `signed/`: a copy of every draft they have signed. A key file holds a key under a passphrase or refers
//! to one in a token.

use std::fs;
use std::path::{Path, PathBuf};

use careweave_certs::authority::Authority;
use careweave_certs::keystore::PrivateKey;
use careweave_certs::manifest::{Manifest, Suspension};
use careweave_certs::trust::Trust;
use careweave_certs::{chain, private_file};
use careweave_protocol::cbor;
use careweave_protocol::id::OdsCode;
use careweave_protocol::identity::{Attestation, KeyEndorsement};
use careweave_protocol::limits::{MANIFEST_MAX, SIGNED_MAX};
use careweave_protocol::signed::{MultiSigned, Signed};
use careweave_protocol::time::Timestamp;

use super::keys;
use crate::args::governance::OfficeArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::profile::read_file;

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
/// Directories of an officer's own directory.
pub(super) const OFFICER_FOLDERS: [&str; 3] = ["manifests", "suspensions", SIGNED];
/// The officer's own key.
pub(super) const OFFICER_KEY: &str = "officer.key";
/// Its public half, for the office.
pub(super) const OFFICER_PUB: &str = "officer.pub";
/// Endorsements under which certificates were issued.
const ENDORSEMENTS: &str = "endorsements";
/// Numbers of the revocation lists.
const LISTS: &str = "crl";
/// A number in decimal, and a line end.
const NUMBER_MAX: usize = 32;
/// Copies of the drafts that an officer has signed.
const SIGNED: &str = "signed";

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
            .hint("name it with --dir; `careweave gov init` makes an office, `gov officer` an officer's own directory"))
    }

    /// A path in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file with passphrase or PIN that the command named.
    pub(super) fn passphrase_file(&self) -> Option<&Path> {
        self.passphrase_file.as_deref()
    }

    /// Key file of an officer of an office that has them, counted from 1.
    pub(super) fn officer(number: u32) -> String {
        format!("officers/{number}/officer.key")
    }

    /// The key of the officer whose directory this is, or of the one with this number.
    ///
    /// # Errors
    /// As [`Office::key`].
    pub(super) fn officer_key(&self, number: u32, ctx: &Context) -> Result<PrivateKey, CliError> {
        if self.file(OFFICER_KEY).exists() {
            return self.key(OFFICER_KEY, "this officer", ctx);
        }
        self.key(&Self::officer(number), &format!("officer {number}"), ctx)
    }

    /// Unlocks a key.
    ///
    /// # Errors
    /// When it is not here, or passphrase or PIN are wrong.
    pub(super) fn key(&self, name: &str, whose: &str, ctx: &Context) -> Result<PrivateKey, CliError> {
        keys::unlock(&self.file(name), whose, self.passphrase_file(), ctx)
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
            if self.file(OFFICER_KEY).exists() {
                return CliError::failed("unpublished", "this directory holds no manifest yet")
                    .hint("bring it up to date: --chain FILE, with what `gov publish --out` wrote");
            }
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

    /// Keeps the manifests of a verified chain that are not kept yet.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn keep_chain(&self, trust: &Trust) -> Result<(), CliError> {
        for manifest in trust.manifest_chain_after(0) {
            let path = self.file(&format!("manifests/{:06}.cbor", manifest.unverified()?.version));
            if !path.exists() {
                private_file::create(&path, manifest.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Drafts of this version that this officer has signed, by the digests of their statements.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub(super) fn signed_before(&self, version: u64) -> Result<Vec<String>, CliError> {
        let begins = format!("{version:06}-");
        let name = |path: PathBuf| path.file_stem()?.to_str()?.strip_prefix(&begins).map(str::to_owned);
        Ok(listed(&self.file(SIGNED))?.into_iter().filter_map(name).collect())
    }

    /// Keeps a copy of what this officer has signed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_signed(&self, version: u64, signed: &MultiSigned<Manifest>) -> Result<(), CliError> {
        let name = format!("{SIGNED}/{version:06}-{}.cbor", signed.statement_digest()?);
        Ok(private_file::replace(&self.file(&name), signed.as_bytes())?)
    }

    /// A certificate, in DER.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub(super) fn certificate(path: &Path) -> Result<Vec<u8>, CliError> {
        let damaged = |what: String| CliError::failed("file", format!("{}: {what}", path.display()));
        let chain = chain::from_pem(&read_file(path, SIGNED_MAX)?).map_err(|error| damaged(error.to_string()))?;
        chain.first().map(|der| der.to_vec()).ok_or_else(|| damaged("no certificate is in it".to_owned()))
    }

    /// An authority that issues, with its key.
    ///
    /// # Errors
    /// When the two do not belong together.
    pub(super) fn issuer<'a>(certificate: &'a [u8], key: &'a PrivateKey) -> Result<Authority<'a>, CliError> {
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

    /// Keeps a suspension, by its digest.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_suspension(&self, signed: &Signed<Suspension>) -> Result<(), CliError> {
        let name = format!("suspensions/{}.cbor", signed.unverified()?.digest()?);
        Ok(private_file::replace(&self.file(&name), signed.as_bytes())?)
    }

    /// Every suspension kept here.
    ///
    /// # Errors
    /// When one is damaged.
    pub(super) fn suspensions(&self) -> Result<Vec<Signed<Suspension>>, CliError> {
        let read = |path: PathBuf| Ok(Signed::from_bytes(read_file(&path, SIGNED_MAX)?)?);
        listed(&self.file("suspensions"))?.into_iter().map(read).collect()
    }

    /// Keeps the endorsement under which a certificate was issued, so that `gov crl` does not list that certificate.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_endorsement(&self, ods: &OdsCode, signed: &Signed<KeyEndorsement>) -> Result<(), CliError> {
        private_file::create_dir(&self.file(ENDORSEMENTS))?;
        Ok(private_file::replace(&self.file(&format!("{ENDORSEMENTS}/{ods}.cbor")), signed.as_bytes())?)
    }

    /// Every endorsement kept here.
    ///
    /// # Errors
    /// When one is damaged.
    pub(super) fn endorsements(&self) -> Result<Vec<Signed<KeyEndorsement>>, CliError> {
        let read = |path: PathBuf| Ok(Signed::from_bytes(read_file(&path, SIGNED_MAX)?)?);
        self.files(ENDORSEMENTS, "cbor")?.into_iter().map(read).collect()
    }

    /// The number of an authority's next revocation list: they count up from 1 (RFC 5280 §5.2.3).
    ///
    /// # Errors
    /// When the number of the last one is damaged.
    pub(super) fn next_list_number(&self, authority: &str) -> Result<u64, CliError> {
        let path = self.file(&format!("{LISTS}/{authority}.number"));
        if !path.exists() {
            return Ok(1);
        }
        let text = read_file(&path, NUMBER_MAX)?;
        let last = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<u64>().ok());
        last.and_then(|last| last.checked_add(1)).ok_or_else(|| {
            CliError::failed("file", format!("{} is damaged", path.display()))
                .hint("write into it the number of the last list that was handed out")
        })
    }

    /// Keeps the number of an authority's newest list.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn keep_list_number(&self, authority: &str, number: u64) -> Result<(), CliError> {
        private_file::create_dir(&self.file(LISTS))?;
        let path = self.file(&format!("{LISTS}/{authority}.number"));
        Ok(private_file::replace(&path, format!("{number}\n").as_bytes())?)
    }

    /// Files of one kind in a directory of the office, in order of their names; none where the directory is missing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn files(&self, directory: &str, extension: &str) -> Result<Vec<PathBuf>, CliError> {
        let directory = self.file(directory);
        if directory.is_dir() { with_extension(&directory, extension) } else { Ok(Vec::new()) }
    }

    fn attestations_file(&self, ods: &OdsCode) -> PathBuf {
        self.file(&format!("attestations/{ods}.cbor"))
    }
}

/// CBOR files of a directory in order of their names; others are not ours.
fn listed(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    with_extension(directory, "cbor")
}

fn with_extension(directory: &Path, wanted: &str) -> Result<Vec<PathBuf>, CliError> {
    let failed = |error: std::io::Error| CliError::failed("file", format!("{}: {error}", directory.display()));
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == wanted));
    paths.sort();
    Ok(paths)
}
