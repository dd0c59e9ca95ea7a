//! What the node measures, in Prometheus' text exposition format (version 0.0.4), as a file for node_exporter's textfile collector.
//!
//! A file and no port: a listener would be one more thing that strangers can reach, with its own certificate to run out, and a node
//! that measures whether it is reachable should not depend on being reached. Nothing here is about a patient, and staff are counted,
//! not named.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use careweave_certs::expiry::{self, Ending, EndingKind, Urgency, WARNING_DAYS};
use careweave_certs::staff::Register;
use careweave_certs::{chain, layout};
use careweave_protocol::cbor::CborError;
use careweave_protocol::key::Signer;
use careweave_protocol::signed::Verified;
use careweave_protocol::time::Timestamp;
use thiserror::Error;

use crate::net::gate::Session;
use crate::services::Services;

/// Why something could not be measured or written.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which file of the node directory.
        path: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The register of issued credentials.
    #[error("the register of issued credentials is damaged: {0}")]
    Register(#[from] CborError),
}

/// What is measured.
#[derive(Debug, Default)]
struct Measured {
    endings: Vec<Ending>,
    manifest_version: u64,
    beacon_age: u64,
    members: usize,
    /// Clock of each connected member against ours, in seconds.
    skews: BTreeMap<String, i64>,
    /// `None` when the store does not say.
    outbox: Option<u64>,
    log_entries: u64,
}

/// The register of issued credentials as it was last read: that of a large trust has tens of megabytes, and seldom changes.
#[derive(Debug, Clone, Default)]
pub struct HeldRegister {
    /// The file's time of modification and its length, with what it held.
    read: Option<(SystemTime, u64, Arc<Register>)>,
}

impl HeldRegister {
    /// The register in this node directory, read again only when its file has changed; an empty one where there is none. Waits for the disk.
    ///
    /// # Errors
    /// When the register is there and cannot be read.
    pub fn current(&mut self, dir: &Path) -> Result<Arc<Register>, MetricsError> {
        let file = |source| MetricsError::File { path: layout::ISSUED, source };
        let mut opened = match fs::File::open(dir.join(layout::ISSUED)) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Arc::default()),
            Err(source) => return Err(file(source)),
        };
        let found = opened.metadata().map_err(file)?;
        let stamp = (found.modified().map_err(file)?, found.len());
        if let Some((at, length, held)) = &self.read
            && (*at, *length) == stamp
        {
            return Ok(Arc::clone(held));
        }
        let mut bytes = Vec::new();
        opened.read_to_end(&mut bytes).map_err(file)?;
        let register = Arc::new(Register::from_bytes(&bytes)?);
        self.read = Some((stamp.0, stamp.1, Arc::clone(&register)));
        Ok(register)
    }
}

/// Everything that will end for this node, its network and its staff; soonest first. Reads files, so not for an async thread. A
/// register that cannot be read is left out: `node doctor` says so.
#[must_use]
pub fn endings(services: &Services, register: &mut HeldRegister, now: Timestamp) -> Vec<Ending> {
    let own = services.own();
    let identity = own.identity();
    let next_chain = fs::read(services.config.dir.join(layout::CHAIN_NEXT)).ok();
    let next_chain = next_chain.and_then(|text| chain::from_pem(&text).ok()).unwrap_or_default();
    let (network, endorsement) = {
        let trust = services.trust();
        let spki = own.organisation().public_key().spki_hash();
        let pinned = trust.member(&services.config.ods).is_some_and(|member| member.key.accepts(&spki));
        // It matters only while the manifest does not pin the key itself.
        let endorsement = identity.endorsement().map(Verified::get).filter(|_| !pinned);
        let endorsement = endorsement.map(expiry::endorsement_endings).unwrap_or_default();
        (expiry::manifest_endings(trust.manifest()), endorsement)
    };
    expiry::soonest_first([
        network,
        endorsement,
        expiry::chain_endings(identity.chain(), EndingKind::Certificate),
        expiry::chain_endings(&next_chain, EndingKind::NextCertificate),
        expiry::attestation_endings(identity.attestations()),
        staff_endings(services, register, now).unwrap_or_default(),
    ])
}

/// What ends for the organisation's staff. Reads the register, so not for an async thread.
///
/// # Errors
/// When the register is there and cannot be read.
pub fn staff_endings(
    services: &Services,
    register: &mut HeldRegister,
    now: Timestamp,
) -> Result<Vec<Ending>, MetricsError> {
    let register = register.current(&services.config.dir)?;
    // Copied and let go: whoever changes what is trusted must not wait while a register is gone through.
    let revoked = services.trust().revoked_credentials(&services.config.ods);
    Ok(expiry::staff_endings(&register, |digest| revoked.contains(digest), now))
}

/// Writes the file anew, with these ends: whoever reads it sees the old one or the new one, whole.
///
/// # Errors
/// When it cannot be written.
pub async fn write(services: &Arc<Services>, endings: Vec<Ending>, now: Timestamp) -> Result<(), MetricsError> {
    let services = Arc::clone(services);
    let written = tokio::task::spawn_blocking(move || {
        let text = exposition(&measure(&services, endings, now), now);
        replace(&services.config.dir.join(layout::METRICS), &text)
    });
    // Cancelled only when the runtime stops.
    written.await.unwrap_or(Ok(())).map_err(|source| MetricsError::File { path: layout::METRICS, source })
}

/// Readable by others, unlike everything else in the directory: a collector runs as somebody else, and nothing in it is private.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("prom.new");
    fs::write(&fresh, text)?;
    fs::set_permissions(&fresh, Permissions::from_mode(0o644))?;
    fs::rename(&fresh, path)
}

fn measure(services: &Services, endings: Vec<Ending>, now: Timestamp) -> Measured {
    let mut skews = BTreeMap::new();
    for end in services.peers.all() {
        for (_, session) in end.gate.sessions.all() {
            if let Session::Node(node) = session {
                skews.insert(node.identity.ods().to_string(), node.identity.clock_ahead());
            }
        }
    }
    let (manifest_version, beacon_age, members) = {
        let trust = services.trust();
        (trust.version(), now.since(trust.current_as_of()).as_secs(), trust.manifest().members.len())
    };
    Measured {
        endings,
        manifest_version,
        beacon_age,
        members,
        skews,
        outbox: crate::delivery::waiting(services).ok(),
        log_entries: services.audit.size(),
    }
}

fn exposition(measured: &Measured, now: Timestamp) -> String {
    let mut text = Exposition(String::new());
    text.family("careweave_expiry_seconds", "Seconds until something no longer holds; below zero when it is over.");
    for (kind, what, at) in listed(&measured.endings) {
        let left = at.0.saturating_sub(now.0).div_euclid(1000);
        text.sample("careweave_expiry_seconds", &[("kind", kind.as_str()), ("what", what)], left);
    }
    text.family("careweave_warnings", "Ends by the threshold they have crossed: days left, or over.");
    for level in WARNING_DAYS.map(Urgency::Within).into_iter().chain([Urgency::Over]) {
        let count = measured.endings.iter().filter(|ending| expiry::warning(ending, now) == level).count();
        let name = match level {
            Urgency::Within(days) => days.to_string(),
            Urgency::Over | Urgency::Later => "over".to_owned(),
        };
        text.sample("careweave_warnings", &[("level", &name)], count);
    }
    text.single("careweave_manifest_version", "Newest manifest.", measured.manifest_version);
    text.single(
        "careweave_beacon_age_seconds",
        "Since the manifest was last known to be current.",
        measured.beacon_age,
    );
    text.single("careweave_members", "Members of the manifest.", measured.members);
    text.single("careweave_members_connected", "Members connected now.", measured.skews.len());
    text.family(
        "careweave_clock_skew_seconds",
        "Clock of a connected member against ours; above zero when it is ahead.",
    );
    for (ods, skew) in &measured.skews {
        text.sample("careweave_clock_skew_seconds", &[("ods", ods)], *skew);
    }
    if let Some(outbox) = measured.outbox {
        text.single("careweave_outbox", "Deliveries waiting for their recipients.", outbox);
    }
    text.single("careweave_log_entries", "Entries in the audit log.", measured.log_entries);
    text.0
}

/// Every end by name, but of the staff only the soonest of each kind: names of people are not metrics, and a series for each of
/// thousands would drown the others.
fn listed(endings: &[Ending]) -> Vec<(EndingKind, &str, Timestamp)> {
    let mut lines = Vec::new();
    for kind in EndingKind::ALL {
        let of_kind = || endings.iter().filter(move |ending| ending.kind == kind);
        match kind {
            EndingKind::Credential | EndingKind::Approval | EndingKind::Training => {
                let soonest = of_kind().map(|ending| ending.at).min();
                lines.extend(soonest.map(|at| (kind, "soonest of the staff", at)));
            }
            _ => lines.extend(of_kind().map(|ending| (kind, ending.what.as_str(), ending.at))),
        }
    }
    lines
}

/// The text as it grows; all families are gauges.
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
    }

    fn single(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, help);
        self.line(format_args!("{name} {value}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        self.line(format_args!("{name}{{{}}} {value}\n", labels.join(",")));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.0.write_fmt(line);
    }
}

/// A label's value: backslash, quotation mark and line feed are escaped (exposition format, "Text format details").
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn ending(kind: EndingKind, what: &str, days: i64) -> Ending {
        Ending { at: Timestamp(days * DAY), kind, what: what.to_owned() }
    }

    fn measured() -> Measured {
        Measured {
            endings: vec![
                ending(EndingKind::Manifest, "manifest 3", 100),
                ending(EndingKind::Attestation, "attestation dspt", 13),
                ending(EndingKind::Training, "training of gp1", -1),
                ending(EndingKind::Training, "training of gp2", 200),
                ending(EndingKind::Credential, "credential of gp1", 20),
            ],
            manifest_version: 3,
            beacon_age: 12,
            members: 3,
            skews: BTreeMap::from([("R9A".to_owned(), -2), ("Y91001".to_owned(), 0)]),
            outbox: Some(0),
            log_entries: 41,
        }
    }

    #[test]
    fn every_sample_has_its_family_and_a_value() {
        let text = exposition(&measured(), Timestamp(0));
        let mut families = Vec::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert_eq!(kind, "gauge");
                assert!(!families.contains(&name.to_owned()), "{name} twice");
                families.push(name.to_owned());
            } else if !line.starts_with("# HELP ") {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(families.last().map(String::as_str), Some(name), "{line}");
                assert!(line.rsplit_once(' ').unwrap().1.parse::<i64>().is_ok(), "{line}");
            }
        }
        for wanted in [
            "careweave_expiry_seconds{kind=\"attestation\",what=\"attestation dspt\"} 1123200",
            "careweave_expiry_seconds{kind=\"training\",what=\"soonest of the staff\"} -86400",
            "careweave_warnings{level=\"14\"} 1",
            "careweave_warnings{level=\"30\"} 0",
            "careweave_warnings{level=\"over\"} 1",
            "careweave_members_connected 2",
            "careweave_clock_skew_seconds{ods=\"R9A\"} -2",
            "careweave_log_entries 41",
        ] {
            assert!(text.lines().any(|line| line == wanted), "no {wanted} in\n{text}");
        }
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn people_are_counted_and_not_named() {
        let text = exposition(&measured(), Timestamp(0));
        assert!(!text.contains("gp1") && !text.contains("gp2"), "{text}");
    }

    #[test]
    fn the_register_is_read_again_only_when_its_file_has_changed() {
        let dir = std::env::temp_dir().join(format!("careweave-register-{}", std::process::id()));
        let path = dir.join(layout::ISSUED);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut held = HeldRegister::default();
        assert_eq!(*held.current(&dir).unwrap(), Register::default(), "nothing was issued yet");
        fs::write(&path, Register::default().to_bytes().unwrap()).unwrap();
        let first = held.current(&dir).unwrap();
        assert!(Arc::ptr_eq(&first, &held.current(&dir).unwrap()));
        let mut next = Register::default();
        next.note_revoked(&"gp1".parse().unwrap(), Timestamp(0));
        fs::write(&path, next.to_bytes().unwrap()).unwrap();
        let second = held.current(&dir).unwrap();
        assert_eq!(*second, next);
        // As long as before, and written later.
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(!Arc::ptr_eq(&second, &held.current(&dir).unwrap()));
        fs::write(&path, b"damaged").unwrap();
        assert!(matches!(held.current(&dir), Err(MetricsError::Register(_))));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\\b \"c\"\nd"), "a\\\\b \\\"c\\\"\\nd");
    }

    #[test]
    fn the_file_is_replaced_whole_and_others_may_read_it() {
        let dir = std::env::temp_dir().join(format!("careweave-metrics-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let path = dir.join(layout::METRICS);
        replace(&path, "a 1\n").unwrap();
        replace(&path, "a 2\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a 2\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::remove_dir_all(&dir).unwrap();
    }
}
