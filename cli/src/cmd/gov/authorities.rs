//! Certificate authorities as the office keeps them (`authority/*.pem`, each beside its key where that is here), and as the manifest names
//! them. `gov authority` makes successors.

use std::path::Path;

use careweave_certs::authority::{AuthorityDetails, create_root, is_issued_by, to_pem};
use careweave_certs::manifest::{AuthorityCertificate, AuthorityRole, AuthorityState, Manifest};
use careweave_certs::private_file;
use careweave_protocol::id::{Digest, NetworkId, OdsCode};
use careweave_protocol::key::Signer;
use careweave_protocol::time::Timestamp;
use ring::rand::SystemRandom;
use serde_json::json;

use super::difference::role;
use super::keys::NewKeys;
use super::office::Office;
use crate::args::Output;
use crate::args::governance::{AuthorityCommand, HashPrefix, IntermediateArgs, RootArgs};
use crate::context::Context;
use crate::error::{CliError, exit};

/// An authority whose certificate lies in the office.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    /// Its certificate, in DER.
    pub(super) certificate: Vec<u8>,
    /// What that says.
    pub(super) details: AuthorityDetails,
    /// Its key file, relative to the office, where it is here.
    pub(super) key: Option<String>,
    /// Its name in the office, such as `root-2`.
    pub(super) name: String,
}

/// `gov authority`.
///
/// # Errors
/// When the root's key is not here, or the new key cannot be made.
pub(super) fn run(command: &AuthorityCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        AuthorityCommand::Root(args) => root(args, ctx),
        AuthorityCommand::Intermediate(args) => intermediate(args, ctx),
    }
}

fn root(args: &RootArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let network = network(&office, now)?;
    let name = free_name(&office, AuthorityRole::Root);
    let keys = NewKeys::new(office.passphrase_file(), ctx);
    let key = keys.make(&office.file(&format!("authority/{name}.key")), args.pkcs11.as_ref(), "the root")?;
    let certificate = create_root(&network, &key, now, &SystemRandom::new())?;
    keep(&office, &name, &certificate, ctx)
}

fn intermediate(args: &IntermediateArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let (office, now) = (Office::open(&args.office)?, ctx.now());
    let network = network(&office, now)?;
    let parent = parent(&office, args.under.as_ref(), now)?;
    let Some(parent_key) = &parent.key else {
        return Err(CliError::failed("key", format!("the key of {} is not here", parent.name))
            .hint("take it from the safe, or name another root with --under"));
    };
    let parent_key = office.key(parent_key, &format!("the authority {}", parent.name), ctx)?;
    let name = free_name(&office, AuthorityRole::Intermediate);
    let keys = NewKeys::new(office.passphrase_file(), ctx);
    let key = keys.make(&office.file(&format!("authority/{name}.key")), args.pkcs11.as_ref(), "the intermediate")?;
    let random = SystemRandom::new();
    let issuer = Office::issuer(&parent.certificate, &parent_key)?;
    let certificate = issuer.issue_intermediate(&network, &key.public_key(), now, &random)?;
    keep(&office, &name, &certificate, ctx)
}

fn keep(office: &Office, name: &str, certificate: &[u8], ctx: &mut Context) -> Result<u8, CliError> {
    let details = AuthorityDetails::read(certificate)?;
    let path = office.file(&format!("authority/{name}.pem"));
    private_file::create(&path, to_pem(&[certificate.into()]).as_bytes())?;
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "name": name,
            "role": role(details.role),
            "digest": details.digest.to_string(),
            "until": details.not_after.rfc3339(),
            "file": path,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{name}", "authority"))?;
            ctx.printer.line(&format!("{:<12}{}", "digest", details.digest))?;
            ctx.printer.line(&format!("{:<12}{}", "until", details.not_after.rfc3339()))?;
            ctx.note("nobody accepts it yet; next:");
            let (file, role) = (path.display(), role(details.role));
            ctx.note(&format!("  careweave gov propose --authority-in {file} --role {role}"));
        }
    }
    Ok(exit::DONE)
}

/// The root to issue under: the one named, which may be newer than any manifest; else the newest of the manifest whose key is here.
fn parent(office: &Office, under: Option<&HashPrefix>, now: Timestamp) -> Result<Kept, CliError> {
    let kept = kept(office)?;
    let roots = || kept.iter().filter(|a| a.details.role == AuthorityRole::Root);
    if let Some(prefix) = under {
        return resolve(prefix, roots().map(|a| (a.details.digest, a.clone())), "root in authority/");
    }
    let manifest = current(office, now)?;
    let accepted = |a: &&Kept| manifest.authorities.iter().any(|m| m.is_accepted() && *m.certificate == a.certificate);
    let here = roots().filter(accepted).filter(|a| a.key.is_some());
    here.max_by_key(|a| a.details.not_before).cloned().ok_or_else(|| {
        CliError::failed("key", "the key of no accepted root is here")
            .hint("take it from the safe; --under names a root that is not in the manifest yet")
    })
}

/// Every authority whose certificate is in the office, in order of their names.
///
/// # Errors
/// When one is damaged.
pub(super) fn kept(office: &Office) -> Result<Vec<Kept>, CliError> {
    let mut all = Vec::new();
    for path in office.files("authority", "pem")? {
        let certificate = Office::certificate(&path)?;
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let key = format!("authority/{name}.key");
        let key = office.file(&key).exists().then_some(key);
        all.push(Kept { details: AuthorityDetails::read(&certificate)?, certificate, key, name });
    }
    Ok(all)
}

/// Intermediates through which a chain is believed: accepted, and issued by a root that is accepted.
pub(super) fn usable(manifest: &Manifest) -> Vec<&AuthorityCertificate> {
    let accepted = |role| manifest.authorities.iter().filter(move |a| a.role == role && a.is_accepted());
    accepted(AuthorityRole::Intermediate)
        .filter(|a| accepted(AuthorityRole::Root).any(|root| is_issued_by(&a.certificate, &root.certificate)))
        .collect()
}

/// The intermediate that issues now: the one named, of those accepted; else the newest active one whose key is here.
///
/// # Errors
/// When there is none, or its key is not here.
pub(super) fn issuing(office: &Office, manifest: &Manifest, under: Option<&HashPrefix>) -> Result<Kept, CliError> {
    let (kept, usable) = (kept(office)?, usable(manifest));
    let here = |a: &&AuthorityCertificate| kept.iter().find(|k| k.certificate == *a.certificate).cloned();
    if let Some(prefix) = under {
        let named = usable.iter().map(|a| (Digest::of(&[&a.certificate]), *a));
        let named = resolve(prefix, named, "accepted intermediate")?;
        return here(&named).filter(|kept| kept.key.is_some()).ok_or_else(|| {
            CliError::failed("key", format!("the key of the intermediate {prefix} is not here"))
                .hint("run this where it is kept, or name another one with --under")
        });
    }
    let active = usable.iter().filter(|a| a.state == AuthorityState::Active);
    let with_key = active.filter_map(here).filter(|kept| kept.key.is_some());
    with_key.max_by_key(|kept| kept.details.not_before).ok_or_else(|| {
        CliError::failed("key", "the key of no active intermediate is here").hint(
            "run this where it is kept; one that is announced only is put in use with `gov propose --activate`, or named with --under",
        )
    })
}

/// Members whose newest certificate from here was issued by an intermediate through which nothing is believed any more, and members that
/// have none from here.
///
/// # Errors
/// When a certificate is damaged.
pub(super) fn stranded(
    office: &Office,
    before: &Manifest,
    after: &Manifest,
) -> Result<(Vec<OdsCode>, Vec<OdsCode>), CliError> {
    let (was, is) = (usable(before), usable(after));
    let lost: Vec<_> = was.iter().filter(|a| !is.iter().any(|b| b.certificate == a.certificate)).collect();
    let (mut stranded, mut elsewhere) = (Vec::new(), Vec::new());
    if lost.is_empty() {
        return Ok((stranded, elsewhere));
    }
    for member in &after.members {
        match newest_certificate(office, &member.ods)? {
            None => elsewhere.push(member.ods.clone()),
            Some(leaf) if lost.iter().any(|a| is_issued_by(&leaf, &a.certificate)) => stranded.push(member.ods.clone()),
            Some(_) => {}
        }
    }
    Ok((stranded, elsewhere))
}

/// What was issued here and is kept: member, end, certificate in DER.
///
/// # Errors
/// When a certificate is damaged.
pub(super) fn issued(office: &Office) -> Result<Vec<(OdsCode, Timestamp, Vec<u8>)>, CliError> {
    let mut all = Vec::new();
    for path in office.files("certificates", "pem")? {
        if let Some((ods, end)) = issued_name(&path) {
            all.push((ods, end, Office::certificate(&path)?));
        }
    }
    Ok(all)
}

fn newest_certificate(office: &Office, ods: &OdsCode) -> Result<Option<Vec<u8>>, CliError> {
    let own = issued(office)?.into_iter().filter(|(of, ..)| of == ods);
    Ok(own.max_by_key(|(_, end, _)| *end).map(|(.., certificate)| certificate))
}

/// `certificates/ODS-END.pem`.
fn issued_name(path: &Path) -> Option<(OdsCode, Timestamp)> {
    let (ods, end) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((ods.parse().ok()?, Timestamp(end.parse().ok()?)))
}

/// The one thing whose hash begins so.
///
/// # Errors
/// When there is none, or several begin so.
pub(super) fn resolve<T>(
    prefix: &HashPrefix,
    among: impl Iterator<Item = (Digest, T)>,
    what: &str,
) -> Result<T, CliError> {
    let mut fitting = among.filter(|(digest, _)| prefix.fits(digest));
    match (fitting.next(), fitting.next()) {
        (Some((_, found)), None) => Ok(found),
        (None, _) => Err(CliError::usage(format!("there is no {what} whose hash begins with {prefix}"))
            .hint("`careweave gov show` lists them; `gov propose` shows the draft")),
        (Some(_), Some(_)) => {
            Err(CliError::usage(format!("more than one {what} begins with {prefix}"))
                .hint("type more digits of the hash"))
        }
    }
}

fn network(office: &Office, now: Timestamp) -> Result<NetworkId, CliError> {
    Ok(current(office, now)?.network)
}

/// The draft, or else the manifest that holds.
fn current(office: &Office, now: Timestamp) -> Result<Manifest, CliError> {
    match office.draft()? {
        Some(draft) => Ok(draft.unverified()?),
        None => Ok(office.published(now)?.manifest().clone()),
    }
}

/// `root` and `intermediate` are the first of their kind; then come `root-2`, `root-3`, ….
fn free_name(office: &Office, of: AuthorityRole) -> String {
    let taken =
        |name: &str| ["key", "pem"].iter().any(|ending| office.file(&format!("authority/{name}.{ending}")).exists());
    let mut number = 2u32;
    while taken(&format!("{}-{number}", role(of))) {
        number = number.saturating_add(1);
    }
    format!("{}-{number}", role(of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_names_one_thing_or_nothing_is_done() {
        let digest = |last: u8| {
            let mut bytes = [0xab; Digest::LEN];
            bytes[Digest::LEN - 1] = last;
            Digest(bytes)
        };
        let among = || [(digest(1), "one"), (digest(2), "two")].into_iter();
        let named = |text: &str| resolve(&text.parse().unwrap(), among(), "authority");
        assert_eq!(named(&digest(2).to_string()).unwrap(), "two");
        for (wrong, said) in [("abababab", "more than one"), ("00000000", "there is no authority")] {
            let error = named(wrong).unwrap_err();
            assert!(error.exit == exit::USAGE && error.message.contains(said) && error.hint.is_some(), "{error:?}");
        }
    }

    #[test]
    fn certificates_are_named_by_member_and_end() {
        let name = |text: &str| issued_name(Path::new(text));
        assert_eq!(name("certificates/R9A-1700.pem"), Some(("R9A".parse().unwrap(), Timestamp(1700))));
        for other in ["R9A.pem", "r9a-1700.pem", "R9A-x.pem"] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
