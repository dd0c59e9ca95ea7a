//! `node.toml` → a checked configuration. Unknown keys are errors; every key is documented in `docs/operate.md`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use careweave_protocol::id::{NetworkId, OdsCode};
use careweave_protocol::limits::ADVERT_LIFE;
use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The file as it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    ods: OdsCode,
    name: String,
    network: NetworkId,
    kind: String,
    listen: Vec<Multiaddr>,
    desk_listen: Vec<Multiaddr>,
    #[serde(default)]
    bootstrap: Vec<Multiaddr>,
    #[serde(default)]
    duty_contact: String,
    #[serde(default)]
    alert_contact: String,
    #[serde(default)]
    feed_interval_hours: Option<u32>,
    #[serde(default)]
    rotation_overlap_minutes: Option<u32>,
    #[serde(default)]
    dmd: Option<PathBuf>,
    #[serde(default = "default_data_dir")]
    data_dir: PathBuf,
    #[serde(default = "default_log")]
    log: String,
    #[serde(default)]
    care_setting: Option<String>,
    #[serde(default)]
    neighbourhood: Option<String>,
}

/// A checked configuration. Paths are absolute or relative to where the daemon was started.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node directory: the folder of `node.toml`.
    pub dir: PathBuf,
    /// The organisation. No default.
    pub ods: OdsCode,
    /// Its name, as other organisations see it. No default.
    pub name: String,
    /// The network it belongs to. No default.
    pub network: NetworkId,
    /// Where other organisations' nodes connect. No default.
    pub listen: Vec<Multiaddr>,
    /// Where the organisation's own staff connect. No default.
    pub desk_listen: Vec<Multiaddr>,
    /// Members to ask first, each ending in `/p2p/PEERID`. Default: none, so the node waits to be called.
    pub bootstrap: Vec<Multiaddr>,
    /// Whom others ring when the node does not answer. Default: empty.
    pub duty_contact: String,
    /// How often the feed should bring something (`feed_interval_hours`); older data is said to be stale. Default: not said.
    pub feed_interval: Option<Duration>,
    /// How long a replaced key or certificate of this node stays accepted (`rotation_overlap_minutes`). Default: 24 hours, the life of an
    /// advert, after which every member has heard of the successor.
    pub rotation_overlap: Duration,
    /// A folder with the deployer's own dm+d release, relative to the node directory. Default: only the built-in substance map.
    pub dmd: Option<PathBuf>,
    /// Where the database is, relative to the node directory. Default `data`.
    pub data_dir: PathBuf,
    /// What is logged to standard error, in `tracing` filter form. Default `info`.
    pub log: String,
}

/// Why a configuration was not accepted.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path} is not a node configuration: {source}")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Nothing to listen on.
    #[error("`{0}` needs at least one address, such as /ip4/0.0.0.0/tcp/4101")]
    NoAddress(&'static str),
    /// A bootstrap address that does not say whose it is.
    #[error("bootstrap address {0} does not end in /p2p/PEERID, so nobody would know who answers there")]
    Anonymous(Multiaddr),
}

impl Config {
    /// Reads and checks a `node.toml`.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let file: File = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        let dir = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        for (name, addresses) in [("listen", &file.listen), ("desk_listen", &file.desk_listen)] {
            if addresses.is_empty() {
                return Err(ConfigError::NoAddress(name));
            }
        }
        if let Some(anonymous) = file.bootstrap.iter().find(|a| crate::net::directory::peer_of(a).is_none()) {
            return Err(ConfigError::Anonymous(anonymous.clone()));
        }
        let dmd = file.dmd.map(|path| dir.join(path));
        Ok(Self {
            data_dir: dir.join(&file.data_dir),
            dir,
            ods: file.ods,
            name: file.name,
            network: file.network,
            listen: file.listen,
            desk_listen: file.desk_listen,
            bootstrap: file.bootstrap,
            duty_contact: file.duty_contact,
            feed_interval: file.feed_interval_hours.map(|hours| Duration::from_secs(u64::from(hours) * 3600)),
            rotation_overlap: file
                .rotation_overlap_minutes
                .map_or(ADVERT_LIFE, |minutes| Duration::from_secs(u64::from(minutes) * 60)),
            dmd,
            log: file.log,
        })
    }

    /// The configuration in effect, one `key = value` a line. It holds no secret: keys are files of their own.
    #[must_use]
    pub fn effective(&self) -> String {
        let list = |addresses: &[Multiaddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        format!(
            "ods = {}\nname = {}\nnetwork = {}\nlisten = {}\ndesk_listen = {}\nbootstrap = {}\nduty_contact = {}\n\
             feed_interval_hours = {}\nrotation_overlap_minutes = {}\ndmd = {}\ndata_dir = {}\nlog = {}\n",
            self.ods,
            self.name,
            self.network,
            list(&self.listen),
            list(&self.desk_listen),
            list(&self.bootstrap),
            self.duty_contact,
            self.feed_interval
                .map_or_else(|| "not said".to_owned(), |interval| (interval.as_secs() / 3600).to_string()),
            self.rotation_overlap.as_secs() / 60,
            self.dmd.as_ref().map_or_else(|| "none".to_owned(), |path| path.display().to_string()),
            self.data_dir.display(),
            self.log,
        )
    }
}

fn default_data_dir() -> PathBuf {
    PathBuf::from("data")
}

fn default_log() -> String {
    "info".to_owned()
}
