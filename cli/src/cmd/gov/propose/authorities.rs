//! Certificate authorities: announced (`next`), put in use (`active`), out of the manifest, or `tainted`.

use careweave_certs::authority::{AuthorityDetails, is_issued_by};
use careweave_certs::manifest::{AuthorityCertificate, AuthorityRole, AuthorityState, Manifest};
use careweave_protocol::id::{Digest, OdsCode};
use serde_bytes::ByteBuf;

use super::super::authorities::{resolve, stranded, usable};
use super::super::difference::role;
use super::super::office::Office;
use crate::args::governance::{HashPrefix, ProposeArgs};
use crate::error::{CliError, exit};

/// What the arguments ask of authorities: announced first, so that one command can replace another.
pub(super) fn edit(manifest: &mut Manifest, args: &ProposeArgs) -> Result<(), CliError> {
    if let Some(wanted) = args.role {
        for path in &args.authorities_in {
            announce(manifest, Office::certificate(path)?, wanted, &path.display().to_string())?;
        }
    }
    for prefix in &args.activated {
        let authority = find(manifest, prefix)?;
        if authority.state == AuthorityState::Tainted {
            return Err(CliError::new(exit::REFUSED, "tainted", format!("the authority {prefix} is tainted"))
                .hint("what is tainted stays so; make a successor with `gov authority`"));
        }
        authority.state = AuthorityState::Active;
    }
    for prefix in &args.retired {
        let certificate = find(manifest, prefix)?.certificate.clone();
        manifest.authorities.retain(|a| a.certificate != certificate);
    }
    Ok(())
}

/// Marks one as compromised.
pub(super) fn taint(manifest: &mut Manifest, prefix: &HashPrefix) -> Result<(), CliError> {
    find(manifest, prefix)?.state = AuthorityState::Tainted;
    Ok(())
}

/// Whether anything would be believed at all: at least one accepted intermediate that an accepted root has issued. One that is only
/// announced counts, because it is accepted.
pub(super) fn must_issue(manifest: &Manifest) -> Result<(), CliError> {
    let refused = |what: &str| {
        CliError::new(exit::REFUSED, "last-authority", format!("no {what} would be accepted any more"))
            .hint("announce a successor first: `gov authority`, then `gov propose --authority-in`")
    };
    let roots = manifest.authorities.iter().any(|a| a.role == AuthorityRole::Root && a.is_accepted());
    match (roots, usable(manifest).is_empty()) {
        (false, _) => Err(refused("root")),
        (true, true) => Err(refused("intermediate under an accepted root")),
        (true, false) => Ok(()),
    }
}

/// What the draft means for members that hold certificates, in words.
pub(super) fn consequences(office: &Office, held: &Manifest, draft: &Manifest) -> Result<Vec<String>, CliError> {
    let (stranded, elsewhere) = stranded(office, held, draft)?;
    let names = |all: &[OdsCode]| all.iter().map(OdsCode::as_str).collect::<Vec<_>>().join(" ");
    let mut notes = Vec::new();
    if !stranded.is_empty() {
        notes.push(format!("warning: reissue before this is published, or they are cut off: {}", names(&stranded)));
    }
    if !elsewhere.is_empty() {
        notes.push(format!("no certificate of these was issued here; ask them for theirs: {}", names(&elsewhere)));
    }
    Ok(notes)
}

fn announce(manifest: &mut Manifest, certificate: Vec<u8>, wanted: AuthorityRole, file: &str) -> Result<(), CliError> {
    let refused = |why: String| CliError::new(exit::REFUSED, "authority", format!("{file}: {why}"));
    let details = AuthorityDetails::read(&certificate).map_err(|_| {
        refused("it is not the certificate of an authority".to_owned()).hint("give the .pem that `gov authority` wrote")
    })?;
    if details.role != wanted {
        return Err(refused(format!("it is a certificate of a {}", role(details.role)))
            .hint("give --role as the certificate says, root or intermediate"));
    }
    let mut roots = manifest.authorities.iter().filter(|a| a.role == AuthorityRole::Root && a.is_accepted());
    if wanted == AuthorityRole::Intermediate && !roots.any(|root| is_issued_by(&certificate, &root.certificate)) {
        return Err(
            refused("no accepted root has issued it".to_owned()).hint("announce its root first, with --role root")
        );
    }
    if manifest.authorities.iter().any(|a| *a.certificate == certificate) {
        return Err(refused("it is in the manifest already".to_owned()).hint("`gov propose --activate` puts it in use"));
    }
    let certificate = ByteBuf::from(certificate);
    manifest.authorities.push(AuthorityCertificate { role: wanted, state: AuthorityState::Next, certificate });
    Ok(())
}

fn find<'a>(manifest: &'a mut Manifest, prefix: &HashPrefix) -> Result<&'a mut AuthorityCertificate, CliError> {
    resolve(prefix, manifest.authorities.iter_mut().map(|a| (Digest::of(&[&a.certificate]), a)), "authority")
}
