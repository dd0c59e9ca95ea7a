//! A node directory as the offline commands use it: who it is for, and the organisation's key.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use careweave_certs::keystore::{self, KeyForm, PrivateKey};
use careweave_certs::trust::{TRUST_MAX, Trust};
use careweave_certs::{chain, layout};
use careweave_protocol::cbor;
use careweave_protocol::id::{NetworkId, OdsCode};
use careweave_protocol::identity::{Attestation, KeyEndorsement};
use careweave_protocol::key::PublicKey;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use serde::Deserialize;
use serde_bytes::ByteBuf;

use crate::context::Context;
use crate::error::CliError;
use crate::profile::{passphrase, read_file};

/// A node directory.
#[derive(Debug, Clone)]
pub struct NodeDirectory {
    path: PathBuf,
    /// The organisation.
    pub ods: OdsCode,
    /// The network.
    pub network: NetworkId,
}

/// What is wanted of `node.toml` here; all of it is the daemon's to check.
#[derive(Deserialize)]
struct Named {
    ods: OdsCode,
    network: NetworkId,
}

impl NodeDirectory {
    /// Opens a node directory.
    ///
    /// # Errors
    /// When there is no node configuration in it.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let config = path.join(layout::NODE_CONFIG);
        let hint = "name a directory that `careweave node init` made";
        let text = fs::read_to_string(&config)
            .map_err(|error| CliError::failed("node", format!("{}: {error}", config.display())).hint(hint))?;
        let named: Named = toml::from_str(&text).map_err(|error| {
            let reason = error.message().to_owned();
            CliError::failed("node", format!("{} is not a node configuration: {reason}", config.display())).hint(hint)
        })?;
        Ok(Self { path: path.to_owned(), ods: named.ods, network: named.network })
    }

    /// A path in it, by its name in [`layout`].
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The organisation's key, in a file or in a token. Somebody is asked for a secret only where the key file says that one is needed.
    ///
    /// # Errors
    /// When it is missing, others can read it, the token is not there, or a secret is needed and nobody can be asked.
    pub fn organisation_key(&self, ctx: &Context) -> Result<PrivateKey, CliError> {
        self.private_key(layout::ORGANISATION_KEY, ctx)
    }

    /// The organisation's public key; nobody is asked for anything.
    ///
    /// # Errors
    /// When the key file is missing or others can read it.
    pub fn organisation_public_key(&self) -> Result<PublicKey, CliError> {
        Ok(keystore::public_key_of(&self.file(layout::ORGANISATION_KEY))?)
    }

    /// As [`NodeDirectory::organisation_key`], for any key file, by its name in [`layout`].
    ///
    /// # Errors
    /// As there.
    pub fn private_key(&self, name: &str, ctx: &Context) -> Result<PrivateKey, CliError> {
        let path = self.file(name);
        let secret = match keystore::form_of(&path)? {
            KeyForm::Plain | KeyForm::Token { pin_needed: false } => None,
            KeyForm::Protected => Some(passphrase::ask(ctx, "Passphrase of the organisation key", PIN_HINT)?),
            KeyForm::Token { pin_needed: true } => Some(passphrase::ask(ctx, "PIN of the token", PIN_HINT)?),
        };
        Ok(PrivateKey::read(&path, secret.as_ref())?)
    }

    /// What the node believes; `None` until an enrolment was installed.
    ///
    /// # Errors
    /// When it does not verify.
    pub fn trust(&self, now: Timestamp) -> Result<Option<Trust>, CliError> {
        let path = self.file(layout::MANIFEST);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Trust::from_bytes(&read_file(&path, TRUST_MAX)?, now)?))
    }

    /// The own organisation's word on its next key; `None` while there is none.
    ///
    /// # Errors
    /// When the file is no signed statement.
    pub fn endorsement(&self) -> Result<Option<Signed<KeyEndorsement>>, CliError> {
        let path = self.file(layout::ENDORSEMENT);
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Signed::from_bytes(read_file(&path, SIGNED_MAX)?)?))
    }

    /// The chain in a file of the node, by its name in [`layout`], DER, leaf first; `None` where there is no such file.
    ///
    /// # Errors
    /// When it holds no chain.
    pub fn chain(&self, name: &str) -> Result<Option<Vec<ByteBuf>>, CliError> {
        let path = self.file(name);
        if !path.exists() {
            return Ok(None);
        }
        let chain = chain::from_pem(&read_file(&path, SIGNED_MAX)?).map_err(|error| {
            CliError::failed("file", format!("{}: {error}", path.display())).hint("install the enrolment again")
        })?;
        Ok(Some(chain.iter().map(|der| ByteBuf::from(der.to_vec())).collect()))
    }

    /// What registrars say of the organisation, not yet verified; nothing where no enrolment was installed.
    ///
    /// # Errors
    /// When the file is not what `cert install` writes.
    pub fn attestations(&self) -> Result<Vec<Signed<Attestation>>, CliError> {
        let path = self.file(layout::ATTESTATIONS);
        if !path.exists() {
            return Ok(Vec::new());
        }
        Ok(cbor::from_slice(&read_file(&path, SIGNED_MAX)?, SIGNED_MAX)?)
    }

    /// Holds others off the register of credentials until it is dropped.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn lock_register(&self) -> Result<File, CliError> {
        let path = self.file(REGISTER_LOCK);
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&path).and_then(|file| {
            file.lock()?;
            Ok(file)
        });
        lock.map_err(|error| CliError::failed("file", format!("{}: {error}", path.display())))
    }
}

/// What to do where a PIN is needed and nobody can be asked.
pub(in crate::cmd) const PIN_HINT: &str = "run it at a terminal, or give the token's reference a pin-source (RFC 7512)";
/// Two commands must not write the register at once: one entry would be lost, and with it the way to revoke it.
const REGISTER_LOCK: &str = "staff/issued.lock";
