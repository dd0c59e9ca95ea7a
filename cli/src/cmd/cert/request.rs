//! `careweave cert request`: a fresh request for the governance office, for the way by files.

use std::fs;

use careweave_certs::authority::CertificateRequest;
use careweave_certs::enrolment::EnrolmentRequest;
use careweave_certs::keystore::{self, PrivateKey, TokenUri, public_key_of};
use careweave_certs::manifest::MemberKind;
use careweave_certs::{layout, private_file, trust};
use careweave_protocol::id::NodeKey;
use careweave_protocol::identity::KeyEndorsement;
use careweave_protocol::key::Signer;
use careweave_protocol::limits::SIGNED_MAX;
use careweave_protocol::signed::Signed;
use serde::Deserialize;
use serde_json::json;

use crate::args::Output;
use crate::args::cert::{CertRequestArgs, RequestFor};
use crate::cmd::node_init::directory::{NodeDirectory, PIN_HINT};
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::{passphrase, read_file};

/// What `node.toml` says of the organisation now; where it leaves something out, the first request said it.
#[derive(Debug, Default, Deserialize)]
struct Said {
    name: Option<String>,
    kind: Option<String>,
    care_setting: Option<String>,
    neighbourhood: Option<String>,
    duty_contact: Option<String>,
    alert_contact: Option<String>,
}

pub(super) fn run(args: &CertRequestArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let node = NodeDirectory::open(&args.node)?;
    if args.out.exists() {
        return Err(CliError::failed("exists", format!("{} exists already", args.out.display()))
            .hint("nothing was changed; name another file"));
    }
    let (key, endorsement) = match (args.purpose, &args.pkcs11) {
        (RequestFor::Certificate, None) => (node.organisation_key(ctx)?, node.endorsement()?),
        (RequestFor::Certificate, Some(_)) => {
            return Err(CliError::usage("--pkcs11 makes a new key, and the certificate is for the one in use")
                .hint("add --for organisation-key, or leave --pkcs11 out"));
        }
        (RequestFor::OrganisationKey, None) => {
            let endorsement = next_endorsement(&node)?;
            (node.private_key(layout::ORGANISATION_KEY_NEXT, ctx)?, Some(endorsement))
        }
        (RequestFor::OrganisationKey, Some(token)) => {
            let (key, endorsement) = next_in_token(&node, token, ctx)?;
            (key, Some(endorsement))
        }
    };
    // An endorsement is shown only for the key that it is about.
    let endorsement = endorsement.filter(|e| e.unverified().is_ok_and(|e| e.successor == key.public_key()));
    if args.purpose == RequestFor::OrganisationKey && endorsement.is_none() {
        return Err(CliError::failed(
            "endorsement",
            "the endorsement in trust/ is for another key than the prepared one",
        )
        .hint("`careweave cert rotate --key organisation` prepares key and endorsement together"));
    }
    let endorsed = endorsement.is_some();
    let request = EnrolmentRequest { endorsement, ..facts(&node, &key)? };
    let signed = request.sign(&key)?;
    private_file::create(&args.out, signed.as_bytes())?;

    let hash = key.public_key().spki_hash().to_string();
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "ods": node.ods.as_str(),
            "network": node.network.as_str(),
            "organisation_key": hash,
            "endorsed": endorsed,
            "file": args.out,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<18}{}", "request", args.out.display()))?;
            ctx.printer.line(&format!("{:<18}{hash}", "organisation key"))?;
            ctx.printer.line(&format!("{:<18}{}", "endorsed", if endorsed { "yes" } else { "no" }))?;
        }
    }
    ctx.note(&format!(
        "next: send it to the governance office; with what comes back: careweave cert install --node {} --enrolment FILE",
        args.node.display()
    ));
    Ok(exit::DONE)
}

/// Makes the next key in a token, and signs the present key's word on it: what a running node does for a key in a file.
fn next_in_token(
    node: &NodeDirectory,
    token: &TokenUri,
    ctx: &Context,
) -> Result<(PrivateKey, Signed<KeyEndorsement>), CliError> {
    let path = node.file(layout::ORGANISATION_KEY_NEXT);
    if path.exists() {
        return Err(CliError::failed("prepared", "a next organisation key is there already")
            .hint("nothing was changed; leave --pkcs11 out to request a certificate for that key"));
    }
    // Before the pair is made: a key in the token that cannot be endorsed would only stand in the way.
    let present = node.organisation_key(ctx)?;
    let pin = match token.pin_needed() {
        true => Some(passphrase::ask(ctx, "PIN of the token", PIN_HINT)?),
        false => None,
    };
    let key = keystore::generate_in_token(&path, token, pin.as_ref())?;
    let endorsed = trust::endorse(&node.network, &node.ods, &key.public_key(), &present, ctx.now())
        .map_err(CliError::from)
        .and_then(|endorsement| {
            private_file::replace(&node.file(layout::ENDORSEMENT), endorsement.signed().as_bytes())?;
            Ok(endorsement.into_signed())
        });
    match endorsed {
        Ok(endorsement) => Ok((key, endorsement)),
        Err(error) => {
            // A pair that nothing endorses would stand in the way of the next attempt; the first error is the one to tell.
            drop(keystore::destroy(&path, pin.as_ref()));
            Err(error)
        }
    }
}

/// The pinned key's word on the prepared key.
fn next_endorsement(node: &NodeDirectory) -> Result<Signed<KeyEndorsement>, CliError> {
    let missing = |what: &str| {
        CliError::failed("not-prepared", format!("no next organisation key is prepared: {what} is not there"))
            .hint("`careweave cert rotate --key organisation` prepares one and announces it")
    };
    if !node.file(layout::ORGANISATION_KEY_NEXT).exists() {
        return Err(missing(layout::ORGANISATION_KEY_NEXT));
    }
    node.endorsement()?.ok_or_else(|| missing(layout::ENDORSEMENT))
}

/// The request without its endorsement: contacts from `node.toml`, keys as they lie in the directory now.
fn facts(node: &NodeDirectory, key: &dyn Signer) -> Result<EnrolmentRequest, CliError> {
    let said = said(node)?;
    let first = first_request(node)?;
    let or = |now: Option<String>, before: fn(&EnrolmentRequest) -> String| {
        now.or_else(|| first.as_ref().map(before)).unwrap_or_default()
    };
    let kind: MemberKind = match (&said.kind, &first) {
        (Some(kind), _) => {
            kind.parse().map_err(|error| CliError::failed("node", format!("node.toml: kind: {error}")))?
        }
        (None, Some(first)) => first.kind,
        (None, None) => return Err(CliError::failed("node", "node.toml does not say which kind of member this is")),
    };
    let name = or(said.name, |first| first.name.clone());
    let duty_contact = or(said.duty_contact, |first| first.duty_contact.clone());
    let alert_contact = or(said.alert_contact, |first| first.alert_contact.clone());
    Ok(EnrolmentRequest {
        network: node.network.clone(),
        ods: node.ods.clone(),
        kind,
        care_setting: said
            .care_setting
            .or_else(|| first.as_ref().map(|first| first.care_setting.clone()))
            .unwrap_or_else(|| kind.care_setting().to_owned()),
        neighbourhood: said.neighbourhood.or_else(|| first.as_ref().and_then(|first| first.neighbourhood.clone())),
        alert_contact: if alert_contact.is_empty() { duty_contact.clone() } else { alert_contact },
        duty_contact,
        peer: endpoint_key(node, layout::PEER_KEY)?,
        beacon: endpoint_key(node, layout::BEACON_KEY)?,
        desk: endpoint_key(node, layout::DESK_KEY)?,
        certificate_request: CertificateRequest::create(&node.network, &node.ods, &name, key)?,
        endorsement: None,
        name,
    })
}

fn said(node: &NodeDirectory) -> Result<Said, CliError> {
    let path = node.file(layout::NODE_CONFIG);
    let unreadable = |reason: String| CliError::failed("node", format!("{}: {reason}", path.display()));
    let text = fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
    toml::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))
}

/// The request that `node init` left, where it is still there; everything in it was this directory's own to say.
fn first_request(node: &NodeDirectory) -> Result<Option<EnrolmentRequest>, CliError> {
    let path = node.file(layout::ENROLMENT_REQUEST);
    if !path.exists() {
        return Ok(None);
    }
    let signed = Signed::from_bytes(read_file(&path, SIGNED_MAX)?)?;
    Ok(Some(EnrolmentRequest::verify(&signed)?.into_inner()))
}

fn endpoint_key(node: &NodeDirectory, name: &str) -> Result<NodeKey, CliError> {
    let key = public_key_of(&node.file(name))?.node_key();
    key.ok_or_else(|| CliError::failed("key", format!("{name} is not an Ed25519 key")))
}
