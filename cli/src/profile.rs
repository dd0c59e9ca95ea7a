//! A staff profile: the directory with a person's key, credential, what they believe of the network, and where their node is.

mod blame;
pub mod passphrase;

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use careweave_certs::keystore::{self, SoftwareKey};
use careweave_certs::layout::{PROFILE_CONFIG, STAFF_CREDENTIAL, STAFF_KEY, STAFF_TRUST, STEP_UP_KEY};
use careweave_certs::private_file;
use careweave_certs::trust::{TRUST_MAX, Trust};
use careweave_protocol::id::{NetworkId, OdsCode, PersonId};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::key::Signer;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};

use crate::agent;
use crate::context::Context;
use crate::error::CliError;

/// A profile that is complete: its person has a credential and a node to ask.
pub struct Profile {
    /// The directory.
    pub directory: PathBuf,
    /// The own organisation.
    pub organisation: OdsCode,
    /// The network.
    pub network: NetworkId,
    /// The own node's desk, ending in `/p2p/PEERID`.
    pub desk: Multiaddr,
    /// The person's credential.
    pub credential: Signed<StaffCredential>,
    passphrase_file: Option<PathBuf>,
    step_up_passphrase_file: Option<PathBuf>,
}

/// `profile.toml`. What `staff install` adds is absent until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileConfig {
    /// The person's identifier at the employer. No default.
    pub person: PersonId,
    /// File with the passphrase of the key, relative to the profile. Default: none, so the person is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passphrase_file: Option<PathBuf>,
    /// File with the passphrase of the step-up key, relative to the profile. Default: none, so the person is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_up_passphrase_file: Option<PathBuf>,
    /// The network. Default: none until a credential is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkId>,
    /// The own organisation. Default: none until a credential is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<OdsCode>,
    /// The own node's desk, ending in `/p2p/PEERID`. Default: none until a credential is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desk: Option<Multiaddr>,
}

impl Profile {
    /// Opens the profile in use.
    ///
    /// # Errors
    /// When there is none, it is not complete, or others can read its credential.
    pub fn open(ctx: &Context) -> Result<Self, CliError> {
        let directory = directory(ctx)?;
        let config = ProfileConfig::read(&directory)?;
        let incomplete = || {
            CliError::failed("profile", format!("the profile {} has no credential yet", directory.display())).hint(
                "hand its staff-request.cbor to your employer and install the answer with `careweave staff install`",
            )
        };
        let organisation = config.organisation.ok_or_else(incomplete)?;
        let (network, desk) = (config.network.ok_or_else(incomplete)?, config.desk.ok_or_else(incomplete)?);
        let bytes = private_file::read(&directory.join(STAFF_CREDENTIAL), SIGNED_MAX)?;
        let credential = Signed::from_bytes(bytes.to_vec()).map_err(|error| damaged(&directory, &error))?;
        let [passphrase_file, step_up_passphrase_file] =
            [config.passphrase_file, config.step_up_passphrase_file].map(|file| file.map(|file| directory.join(file)));
        Ok(Self { directory, organisation, network, desk, credential, passphrase_file, step_up_passphrase_file })
    }

    /// The person's key: with the passphrase file that the profile names, from the agent that `login` started, or by asking.
    ///
    /// # Errors
    /// When there is nobody to ask, or the passphrase is wrong.
    pub fn unlock(&self, ctx: &Context) -> Result<SoftwareKey, CliError> {
        let path = self.directory.join(STAFF_KEY);
        if let Some(file) = &self.passphrase_file {
            return Ok(SoftwareKey::read_protected(&path, &passphrase::from_file(file)?)?);
        }
        if let Some(key) = agent::unlocked(&self.directory, ctx)? {
            return Ok(key);
        }
        let typed = passphrase::ask(ctx, "Passphrase of your staff key", "run `careweave login` first")?;
        Ok(SoftwareKey::read_protected(&path, &typed)?)
    }

    /// The person's step-up key: with the passphrase file that the profile names for it, else by asking. No agent ever holds it, so
    /// that somebody at an unlocked machine cannot break glass; whoever takes it signs once and drops it.
    ///
    /// # Errors
    /// When there is none, there is nobody to ask, or the passphrase is wrong.
    pub fn step_up(&self, ctx: &Context) -> Result<SoftwareKey, CliError> {
        let path = self.directory.join(STEP_UP_KEY);
        if !path.exists() {
            return Err(CliError::failed("no-step-up-key", format!("{} is not there", path.display()))
                .hint("the profile in use (--profile) is not the one whose `staff request` made a step-up key"));
        }
        let passphrase = match &self.step_up_passphrase_file {
            Some(file) => passphrase::from_file(file)?,
            None => passphrase::ask(ctx, "Passphrase of your step-up key", "run it at a terminal")?,
        };
        Ok(SoftwareKey::read_protected(&path, &passphrase)?)
    }

    /// What the person believes of the network, verified from the pinned first manifest on.
    ///
    /// # Errors
    /// When the file is missing, does not verify, or is another network's.
    pub fn trust(&self, now: Timestamp) -> Result<Trust, CliError> {
        let trust = Trust::from_bytes(&read_file(&self.directory.join(STAFF_TRUST), TRUST_MAX)?, now)?;
        if *trust.network() == self.network {
            return Ok(trust);
        }
        Err(CliError::failed("profile", "the manifest in the profile is another network's")
            .hint("install the credential again with the manifest of your network"))
    }
}

impl ProfileConfig {
    /// Reads `profile.toml`.
    ///
    /// # Errors
    /// When it is missing or not of this form.
    pub fn read(directory: &Path) -> Result<Self, CliError> {
        let path = directory.join(PROFILE_CONFIG);
        let text = fs::read_to_string(&path).map_err(|error| {
            CliError::failed("profile", format!("{} cannot be read: {error}", path.display()))
                .hint("name your profile with --profile or CAREWEAVE_PROFILE; `careweave staff request` makes one")
        })?;
        toml::from_str(&text).map_err(|error| damaged(directory, &error))
    }

    /// Writes `profile.toml`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), CliError> {
        let text = toml::to_string(self).map_err(|error| damaged(directory, &error))?;
        Ok(private_file::replace(&directory.join(PROFILE_CONFIG), text.as_bytes())?)
    }
}

/// The directory of the profile in use.
///
/// # Errors
/// When none is named and there is no home directory to look in.
pub fn directory(ctx: &Context) -> Result<PathBuf, CliError> {
    match (&ctx.profile, &ctx.home) {
        (Some(profile), _) => Ok(profile.clone()),
        (None, Some(home)) => Ok(home.join(DEFAULT_PROFILE)),
        (None, None) => Err(CliError::usage("no profile is named").hint("use --profile DIR or CAREWEAVE_PROFILE")),
    }
}

/// Whether this key file holds this key; it need not be unlocked for that.
///
/// # Errors
/// When the file cannot be read.
pub fn is_key_of(path: &Path, key: &dyn Signer) -> Result<bool, CliError> {
    Ok(keystore::public_key_of(path)? == key.public_key())
}

/// Reads a file of at most `limit` bytes that holds nothing secret.
///
/// # Errors
/// When it cannot be read or is longer.
pub fn read_file(path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    let unreadable = |error: io::Error| {
        CliError::failed("file", format!("{} cannot be read: {error}", path.display())).hint("check the path")
    };
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if usize::try_from(length).is_ok_and(|length| length <= limit) {
        return fs::read(path).map_err(unreadable);
    }
    Err(CliError::failed("file", format!("{} is longer than anything of its kind", path.display())))
}

/// The way from a directory to a file, so that both can be moved together.
///
/// # Errors
/// When one of them does not exist.
pub fn relative(directory: &Path, file: &Path) -> Result<PathBuf, CliError> {
    let real = |path: &Path| {
        fs::canonicalize(path).map_err(|error| CliError::failed("file", format!("{}: {error}", path.display())))
    };
    let (directory, file) = (real(directory)?, real(file)?);
    let shared = directory.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    let up = directory.components().skip(shared).map(|_| Component::ParentDir);
    Ok(up.chain(file.components().skip(shared)).collect())
}

fn damaged(directory: &Path, error: &dyn std::fmt::Display) -> CliError {
    CliError::failed("profile", format!("the profile {} is damaged: {error}", directory.display()))
        .hint("install the credential again with `careweave staff install`")
}

/// The profile of somebody who names none, below their home directory.
const DEFAULT_PROFILE: &str = ".config/careweave";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_file_goes_up_and_down_again() {
        let root =
            fs::canonicalize(std::env::temp_dir()).unwrap().join(format!("careweave-way-{}", std::process::id()));
        let profile = root.join("staff/gp");
        fs::create_dir_all(&profile).unwrap();
        fs::write(root.join("passphrase"), "x").unwrap();
        fs::write(profile.join("own"), "x").unwrap();
        assert_eq!(relative(&profile, &root.join("passphrase")).unwrap(), PathBuf::from("../../passphrase"));
        assert_eq!(relative(&profile, &profile.join("own")).unwrap(), PathBuf::from("own"));
        assert!(relative(&profile, &root.join("nothing")).is_err());
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_profile_file_reads_back_and_refuses_unknown_keys() {
        let config = ProfileConfig {
            person: "gp1".parse().unwrap(),
            passphrase_file: Some("../passphrase".into()),
            step_up_passphrase_file: Some("../step-up-passphrase".into()),
            network: Some("borough".parse().unwrap()),
            organisation: Some("Y91001".parse().unwrap()),
            desk: Some("/ip4/127.0.0.1/tcp/4201".parse().unwrap()),
        };
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<ProfileConfig>(&text).unwrap(), config);
        assert!(toml::from_str::<ProfileConfig>(&format!("{text}colour = \"red\"\n")).is_err());
    }
}
