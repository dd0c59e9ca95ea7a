//! `gov init`: keys of the officers, authority and registrar, and the draft of the first manifest.

use std::path::Path;

use careweave_certs::authority::{Authority, create_root, to_pem};
use careweave_certs::keystore::{Algorithm, Passphrase, SoftwareKey};
use careweave_certs::manifest::{
    AuthorityCertificate, AuthorityRole, AuthorityState, Governance, MANIFEST_LIFE, Manifest, StalenessLimits,
};
use careweave_certs::private_file;
use careweave_protocol::key::Signer;
use careweave_protocol::signed::MultiSigned;
use careweave_protocol::time::Timestamp;
use careweave_protocol::version::PROTOCOL_VERSION;
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;
use serde_json::json;

use super::office::{DRAFT, FOLDERS, INTERMEDIATE, Office, REGISTRAR, ROOT};
use crate::args::Output;
use crate::args::governance::GovInitArgs;
use crate::cmd::node_init::whole_or_nothing;
use crate::context::Context;
use crate::error::{CliError, exit};
use crate::profile::passphrase;

/// Makes the office.
///
/// # Errors
/// When the directory exists or cannot be made; then nothing of it is left.
pub(super) fn run(args: &GovInitArgs, ctx: &mut Context) -> Result<u8, CliError> {
    if args.threshold > args.officers {
        return Err(CliError::usage(format!("{} officers cannot make {} sign", args.officers, args.threshold))
            .hint("the threshold is at most the number of officers"));
    }
    let chosen = passphrase::choose(ctx, args.passphrase_file.as_deref(), "Passphrase for the office's new keys")?;
    let now = ctx.now();
    whole_or_nothing(&args.dir, |fresh| make(args, fresh, &chosen, now))?;
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "directory": args.dir,
            "network": args.network.as_str(),
            "officers": args.officers,
            "threshold": args.threshold,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{}", "directory", args.dir.display()))?;
            ctx.printer.line(&format!("{:<12}{} of {} officers", "quorum", args.threshold, args.officers))?;
            if args.threshold == 1 && args.officers > 1 {
                ctx.note("warning: any one officer alone can admit members and change the officers");
            }
            ctx.note("next: give each officer their officers/N, put authority/root.key in a safe, and");
            ctx.note(&format!("  careweave gov admit --request FILE --dir {}", args.dir.display()));
        }
    }
    Ok(exit::DONE)
}

fn make(args: &GovInitArgs, directory: &Path, chosen: &Passphrase, now: Timestamp) -> Result<(), CliError> {
    let random = SystemRandom::new();
    for folder in FOLDERS {
        private_file::create_dir(&directory.join(folder))?;
    }
    let key = |place: &str| -> Result<SoftwareKey, CliError> {
        let path = directory.join(place);
        private_file::create_dir(path.parent().unwrap_or(directory))?;
        let key = SoftwareKey::generate(Algorithm::P256, &random)?;
        key.write_protected(&path, chosen, &random)?;
        Ok(key)
    };
    let mut officers = Vec::new();
    for number in 1..=args.officers {
        officers.push(key(&Office::officer(number))?.public_key());
    }
    let (root_key, intermediate_key, registrar) = (key(ROOT.0)?, key(INTERMEDIATE.0)?, key(REGISTRAR)?);
    let root = create_root(&args.network, &root_key, now, &random)?;
    let intermediate = Authority::new(root.clone(), &root_key)?.issue_intermediate(
        &args.network,
        &intermediate_key.public_key(),
        now,
        &random,
    )?;
    private_file::create(&directory.join(ROOT.1), to_pem(std::slice::from_ref(&root)).as_bytes())?;
    private_file::create(&directory.join(INTERMEDIATE.1), to_pem(std::slice::from_ref(&intermediate)).as_bytes())?;
    let authority = |role, certificate: &[u8]| AuthorityCertificate {
        role,
        state: AuthorityState::Active,
        certificate: ByteBuf::from(certificate),
    };
    let manifest = Manifest {
        network: args.network.clone(),
        version: 1,
        issued: now,
        expires: now.after(MANIFEST_LIFE),
        governance: Governance { keys: officers, threshold: args.threshold },
        authorities: vec![authority(AuthorityRole::Root, &root), authority(AuthorityRole::Intermediate, &intermediate)],
        members: Vec::new(),
        registrars: vec![registrar.public_key()],
        beacons: Vec::new(),
        witnesses: Vec::new(),
        witness_quorum: 0,
        policy: None,
        protocol_min: PROTOCOL_VERSION,
        staleness: StalenessLimits::default(),
        suspended: Vec::new(),
        lifted: Vec::new(),
    };
    Ok(private_file::create(&directory.join(DRAFT), MultiSigned::draft(&manifest)?.as_bytes())?)
}
