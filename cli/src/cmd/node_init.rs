//! `careweave node init`: a node directory with configuration, keys and the request for the governance office.

pub mod directory;

use std::fs;
use std::path::{Path, PathBuf};

use careweave_certs::authority::CertificateRequest;
use careweave_certs::enrolment::EnrolmentRequest;
use careweave_certs::keystore::{self, Algorithm, Passphrase, PrivateKey, SoftwareKey};
use careweave_certs::layout;
use careweave_certs::private_file::{self, PrivateFileError};
use careweave_protocol::id::NodeKey;
use careweave_protocol::key::Signer;
use careweave_protocol::limits::TEXT_MAX;
use libp2p::{Multiaddr, PeerId, multiaddr};
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::args::Output;
use crate::args::node_init::NodeInitArgs;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::passphrase;

/// `node.toml` as it is written; the daemon reads the same keys.
#[derive(Debug, Serialize)]
struct NodeConfig<'a> {
    ods: &'a str,
    name: &'a str,
    network: &'a str,
    kind: &'a str,
    listen: &'a [Multiaddr],
    desk_listen: &'a [Multiaddr],
    bootstrap: &'a [Multiaddr],
    duty_contact: &'a str,
    alert_contact: &'a str,
    care_setting: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    neighbourhood: Option<&'a str>,
    data_dir: &'a str,
}

/// What was made, as it is told.
struct Made {
    peer: NodeKey,
    desk: NodeKey,
    organisation: String,
}

/// `careweave node init`.
///
/// # Errors
/// When the directory exists or cannot be made; then nothing of it is left.
pub fn run(args: &NodeInitArgs, ctx: &mut Context) -> Result<u8, CliError> {
    check(args)?;
    let pin = match &args.organisation_pkcs11 {
        Some(token) if token.pin_needed() => Some(passphrase::ask(ctx, "PIN of the token", directory::PIN_HINT)?),
        _ => None,
    };
    let made = whole_or_nothing(&args.directory, |fresh| make(args, fresh, pin.as_ref()))?;
    let (peer, desk) = (shown_peer_id(made.peer)?, shown_peer_id(made.desk)?);
    let request = args.directory.join(layout::ENROLMENT_REQUEST);
    let next = next_steps(args, &desk);
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "directory": args.directory,
            "network": args.network.as_str(),
            "ods": args.ods.as_str(),
            "peer_id": peer,
            "desk_peer_id": desk,
            "organisation_key": made.organisation,
            "request": request,
            "next": next,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<18}{}", "directory", args.directory.display()))?;
            ctx.printer.line(&format!("{:<18}{peer}", "peer id"))?;
            ctx.printer.line(&format!("{:<18}{desk}", "desk peer id"))?;
            ctx.printer.line(&format!("{:<18}{}", "organisation key", made.organisation))?;
            for step in &next {
                ctx.note(step);
            }
        }
    }
    if pin.is_some() {
        ctx.note("warning: the daemon asks nobody: before it can run, its key file needs a pin-source=file:/PATH");
    }
    Ok(exit::DONE)
}

/// Makes a directory that appears under its name only when everything in it is there.
///
/// # Errors
/// When it exists, or `make` fails; then nothing of it is left.
pub fn whole_or_nothing<T>(directory: &Path, make: impl FnOnce(&Path) -> Result<T, CliError>) -> Result<T, CliError> {
    let failed = |error: std::io::Error| CliError::failed("file", format!("{}: {error}", directory.display()));
    if directory.exists() {
        return Err(CliError::failed("exists", format!("{} exists already", directory.display()))
            .hint("nothing was changed; name another directory"));
    }
    let name = directory.file_name().ok_or_else(|| CliError::usage("the directory needs a name"))?;
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(parent).map_err(failed)?;
    let fresh = parent.join(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let made = private_file::create_dir(&fresh).map_err(CliError::from).and_then(|()| {
        let made = make(&fresh)?;
        fs::rename(&fresh, directory).map_err(failed)?;
        fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(failed)?;
        Ok(made)
    });
    if made.is_err() {
        // Whatever is left is of no use to anybody; the first error is the one to tell.
        drop(fs::remove_dir_all(&fresh));
    }
    made
}

/// The PeerId of an endpoint key.
///
/// # Errors
/// None for any key; the library's reading can fail in principle.
pub fn shown_peer_id(key: NodeKey) -> Result<String, CliError> {
    let peer = PeerId::from_bytes(&key.peer_id_bytes());
    Ok(peer.map_err(|error| CliError::failed("key", error.to_string()))?.to_string())
}

fn check(args: &NodeInitArgs) -> Result<(), CliError> {
    let texts = [
        ("--name", Some(args.name.as_str())),
        ("--care-setting", args.care_setting.as_deref()),
        ("--neighbourhood", args.neighbourhood.as_deref()),
        ("--duty-contact", Some(args.duty_contact.as_str())),
        ("--alert-contact", args.alert_contact.as_deref()),
    ];
    for (flag, text) in texts {
        if text.is_some_and(|text| text.is_empty() || text.len() > TEXT_MAX) {
            return Err(CliError::usage(format!("{flag} is empty or longer than {TEXT_MAX} bytes")));
        }
    }
    let nameless = args.bootstrap.iter().find(|a| !matches!(a.iter().last(), Some(multiaddr::Protocol::P2p(_))));
    match nameless {
        Some(address) => Err(CliError::usage(format!("{address} does not end in /p2p/ and a node's id"))
            .hint("`node init` and `node status` of that node say its id")),
        None => Ok(()),
    }
}

fn make(args: &NodeInitArgs, directory: &Path, pin: Option<&Passphrase>) -> Result<Made, CliError> {
    for folder in [layout::KEYS, layout::TRUST, layout::STAFF, layout::DATA] {
        private_file::create_dir(&directory.join(folder))?;
    }
    let path = directory.join(layout::ORGANISATION_KEY);
    let Some(token) = &args.organisation_pkcs11 else {
        let key = SoftwareKey::generate(Algorithm::P256, &SystemRandom::new())?;
        key.write_plain(&path)?;
        return fill(args, directory, &PrivateKey::Software(key));
    };
    let key = keystore::generate_in_token(&path, token, pin)?;
    let made = fill(args, directory, &key);
    if made.is_err() {
        // A pair in the token that no directory refers to would stand in the way of the next attempt; the first error is the one to tell.
        drop(keystore::destroy(&path, pin));
    }
    made
}

/// Everything beside the organisation key.
fn fill(args: &NodeInitArgs, directory: &Path, organisation: &PrivateKey) -> Result<Made, CliError> {
    let random = SystemRandom::new();
    let endpoint = |place: &str| -> Result<NodeKey, CliError> {
        let key = SoftwareKey::generate(Algorithm::Ed25519, &random)?;
        key.write_plain(&directory.join(place))?;
        key.public_key().node_key().ok_or_else(|| CliError::failed("key", "an endpoint key is an Ed25519 key"))
    };
    let (peer, desk) = (endpoint(layout::PEER_KEY)?, endpoint(layout::DESK_KEY)?);
    let beacon = endpoint(layout::BEACON_KEY)?;
    let mut store = Zeroizing::new([0u8; layout::STORE_KEY_LEN]);
    random.fill(store.as_mut_slice()).map_err(|_| CliError::failed("random", "this machine gives no randomness"))?;
    private_file::create(&directory.join(layout::STORE_KEY), store.as_slice())?;
    write_request(args, directory, organisation, (peer, desk, beacon))?;
    write_config(args, directory)?;
    Ok(Made { peer, desk, organisation: organisation.public_key().spki_hash().to_string() })
}

fn write_request(
    args: &NodeInitArgs,
    directory: &Path,
    organisation: &dyn Signer,
    keys: (NodeKey, NodeKey, NodeKey),
) -> Result<(), CliError> {
    let (peer, desk, beacon) = keys;
    let request = EnrolmentRequest {
        network: args.network.clone(),
        ods: args.ods.clone(),
        name: args.name.clone(),
        kind: args.kind,
        care_setting: care_setting(args).to_owned(),
        neighbourhood: args.neighbourhood.clone(),
        duty_contact: args.duty_contact.clone(),
        alert_contact: alert_contact(args).to_owned(),
        peer,
        desk,
        beacon,
        certificate_request: CertificateRequest::create(&args.network, &args.ods, &args.name, organisation)?,
        endorsement: None,
    };
    let signed = request.sign(organisation)?;
    Ok(private_file::create(&directory.join(layout::ENROLMENT_REQUEST), signed.as_bytes())?)
}

fn write_config(args: &NodeInitArgs, directory: &Path) -> Result<(), CliError> {
    let config = NodeConfig {
        ods: args.ods.as_str(),
        name: &args.name,
        network: args.network.as_str(),
        kind: args.kind.as_str(),
        listen: &args.listen,
        desk_listen: &args.desk,
        bootstrap: &args.bootstrap,
        duty_contact: &args.duty_contact,
        alert_contact: alert_contact(args),
        care_setting: care_setting(args),
        neighbourhood: args.neighbourhood.as_deref(),
        data_dir: layout::DATA,
    };
    let text = toml::to_string(&config).map_err(|error| CliError::failed("file", error.to_string()))?;
    let text = format!("# Every key is explained in docs/operate.md; unknown keys are errors.\n{text}");
    private_file::create(&directory.join(layout::NODE_CONFIG), text.as_bytes()).map_err(|e: PrivateFileError| e.into())
}

fn care_setting(args: &NodeInitArgs) -> &str {
    args.care_setting.as_deref().unwrap_or_else(|| args.kind.care_setting())
}

fn alert_contact(args: &NodeInitArgs) -> &str {
    args.alert_contact.as_deref().unwrap_or(&args.duty_contact)
}

fn next_steps(args: &NodeInitArgs, desk_id: &str) -> Vec<String> {
    let directory = args.directory.display();
    let request: PathBuf = args.directory.join(layout::ENROLMENT_REQUEST);
    let desk = args.desk.first().map_or_else(String::new, |address| format!("{address}/p2p/{desk_id}"));
    vec![
        format!("next: send {} to the governance office of {}", request.display(), args.network),
        "      and tell them the organisation key above by another channel; with what comes back:".to_owned(),
        format!("  careweave cert install --node {directory} --enrolment FILE"),
        "  careweave staff request PROFILE --person it1 --name NAME          (your own first credential)".to_owned(),
        format!(
            "  careweave staff issue --node {directory} --request PROFILE/{} --group IT --sds-role R8015 \
             --training-expires DATE --scope operate --out it1.credential",
            layout::STAFF_REQUEST
        ),
        format!(
            "  careweave staff install PROFILE --credential it1.credential --trust {} --node-address {desk}",
            args.directory.join(layout::MANIFEST).display()
        ),
        format!("  careweaved run -c {}", args.directory.join(layout::NODE_CONFIG).display()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_appears_whole_or_not_at_all() {
        let root = std::env::temp_dir().join(format!("careweave-whole-{}", std::process::id()));
        let wanted = root.join("node");
        let failed = whole_or_nothing(&wanted, |fresh| {
            fs::write(fresh.join("half"), "x").unwrap();
            Err::<(), _>(CliError::usage("no"))
        });
        assert!(failed.is_err() && fs::read_dir(&root).unwrap().next().is_none());
        whole_or_nothing(&wanted, |fresh| {
            fs::write(fresh.join("whole"), "x").unwrap();
            Ok(())
        })
        .unwrap();
        assert!(wanted.join("whole").is_file());
        assert_eq!(whole_or_nothing(&wanted, |_| Ok(())).unwrap_err().code, "exists");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
        fs::remove_dir_all(&root).unwrap();
    }
}
