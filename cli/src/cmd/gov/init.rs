//! `gov init`: the certificate authority, the registrar's key and the draft of the first manifest; where wished, officers' keys as well.

use std::path::Path;

use careweave_certs::authority::{Authority, create_root, to_pem};
use careweave_certs::manifest::{
    AuthorityCertificate, AuthorityRole, AuthorityState, Governance, MANIFEST_LIFE, Manifest, StalenessLimits,
};
use careweave_certs::office_key::OfficeRole;
use careweave_certs::private_file;
use careweave_protocol::identity::StandardStatus;
use careweave_protocol::key::{PublicKey, Signer};
use careweave_protocol::signed::MultiSigned;
use careweave_protocol::time::Timestamp;
use careweave_protocol::version::PROTOCOL_VERSION;
use ring::rand::SystemRandom;
use serde_bytes::ByteBuf;
use serde_json::json;

use super::keys::NewKeys;
use super::office::{DRAFT, FOLDERS, INTERMEDIATE, Office, REGISTRAR, ROOT};
use super::office_keys;
use crate::args::Output;
use crate::args::governance::GovInitArgs;
use crate::cmd::node_init::whole_or_nothing;
use crate::context::Context;
use crate::error::{CliError, exit};

/// Makes the office.
///
/// # Errors
/// When the directory exists or cannot be made, or a public key is not an officer's; then nothing of it is left.
pub(super) fn run(args: &GovInitArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let carried = carried(args)?;
    let count = args.officers.unwrap_or_else(|| u32::try_from(carried.len()).unwrap_or(u32::MAX));
    if args.threshold > count {
        return Err(CliError::usage(format!("{count} officers cannot make {} sign", args.threshold))
            .hint("the threshold is at most the number of officers"));
    }
    let now = ctx.now();
    let keys = NewKeys::new(args.passphrase_file.as_deref(), ctx);
    let manifest = whole_or_nothing(&args.dir, |fresh| make(args, fresh, &carried, &keys, now))?;
    let officers: Vec<String> = manifest.governance.keys.iter().map(|key| key.spki_hash().to_string()).collect();
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({
            "directory": args.dir,
            "network": args.network.as_str(),
            "officers": officers.len(),
            "officer_keys": officers,
            "threshold": args.threshold,
        }))?,
        Output::Table => {
            ctx.printer.line(&format!("{:<12}{}", "directory", args.dir.display()))?;
            ctx.printer.line(&format!("{:<12}{} of {} officers", "quorum", args.threshold, officers.len()))?;
            for (number, hash) in (1u32..).zip(&officers) {
                ctx.printer.line(&format!("{:<12}{hash}", format!("officer {number}")))?;
            }
            if args.threshold == 1 && officers.len() > 1 {
                ctx.note("warning: any one officer alone can admit members and change the officers");
            }
            ctx.note(match args.officers {
                Some(_) => "next: give each officer their officers/N, put authority/root.key in a safe, and",
                None => "next: compare each key hash with its officer by another channel, put authority/root.key in a safe, and",
            });
            ctx.note(&format!("  careweave gov admit --request FILE --dir {}", args.dir.display()));
        }
    }
    Ok(exit::DONE)
}

/// The officers' public keys that were carried here.
fn carried(args: &GovInitArgs) -> Result<Vec<PublicKey>, CliError> {
    let mut officers = Vec::new();
    for path in &args.officer_keys {
        let key = office_keys::read(path, &args.network, OfficeRole::Officer)?;
        if officers.contains(&key) {
            return Err(CliError::usage(format!("{} is the key of an officer who is named already", path.display()))
                .hint("each officer has a key of their own"));
        }
        officers.push(key);
    }
    Ok(officers)
}

fn make(
    args: &GovInitArgs,
    directory: &Path,
    carried: &[PublicKey],
    keys: &NewKeys<'_>,
    now: Timestamp,
) -> Result<Manifest, CliError> {
    let random = SystemRandom::new();
    for folder in FOLDERS {
        private_file::create_dir(&directory.join(folder))?;
    }
    let mut officers = carried.to_vec();
    for number in 1..=args.officers.unwrap_or(0) {
        let path = directory.join(Office::officer(number));
        private_file::create_dir(path.parent().unwrap_or(directory))?;
        officers.push(keys.make(&path, None, &format!("officer {number}"))?.public_key());
    }
    let root_key = keys.make(&directory.join(ROOT.0), args.root_pkcs11.as_ref(), "the root")?;
    let intermediate_key =
        keys.make(&directory.join(INTERMEDIATE.0), args.intermediate_pkcs11.as_ref(), "the intermediate")?;
    let registrar = keys.make(&directory.join(REGISTRAR), args.registrar_pkcs11.as_ref(), "the registrar")?;
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
        enrolment: Vec::new(),
        minimum_standard: StandardStatus::Met,
        witnesses: Vec::new(),
        witness_quorum: 0,
        policy: None,
        protocol_min: PROTOCOL_VERSION,
        staleness: StalenessLimits::default(),
        suspended: Vec::new(),
        lifted: Vec::new(),
    };
    private_file::create(&directory.join(DRAFT), MultiSigned::draft(&manifest)?.as_bytes())?;
    Ok(manifest)
}
