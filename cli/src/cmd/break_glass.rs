//! `careweave break-glass`: a grant signed with the step-up key, then a view under it.

use std::time::Duration;

use careweave_certs::keystore::SoftwareKey;
use careweave_protocol::id::{Digest, NhsNumber, QueryId};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::key::Signer;
use careweave_protocol::policy::PolicyBundle;
use careweave_protocol::query::{BreakGlassGrant, Cause, Purpose};
use careweave_protocol::record::Category;
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::Timestamp;

use super::view::{self, Extra, patient};
use crate::args::break_glass::{BreakGlassArgs, categories, reason, reason_text};
use crate::args::clinical::nhs_number;
use crate::context::Context;
use crate::desk::Desk;
use crate::error::{CliError, exit};
use crate::profile::Profile;

/// `careweave break-glass`.
///
/// The grant is signed, and the step-up key dropped, before the node is spoken to: with a wrong passphrase nothing is sent.
///
/// # Errors
/// When something is missing or not confirmed, the step-up key does not open, or as [`view::run`].
pub async fn run(args: &BreakGlassArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let profile = Profile::open(ctx)?;
    let person = profile.credential.unverified()?;
    let number = match args.nhs_number {
        Some(number) => number,
        None => ctx.ask_for("NHS number", "the NHS number is needed", NUMBER_HINT, nhs_number)?,
    };
    let (question, extra) = if person.step_up.is_some() {
        let asked = Asked::complete(args, ctx)?;
        asked.confirm(args, ctx)?;
        let grant = asked.sign(args, number, &person, &profile, ctx)?;
        let extra = Extra { grant: Some(grant), reason_text: Some(asked.text), ..Extra::default() };
        (args.question(Some(asked.reason), asked.categories), extra)
    } else {
        step_up_is_not_for(&person)?;
        // The node says so by name, and logs that it was tried.
        (args.question(args.reason.clone(), args.categories.clone()), Extra::default())
    };
    let desk = Desk::open(ctx).await?;
    let patient = patient::complete(number, &question, &desk, ctx).await?;
    view::show(desk, patient, Purpose::Btg, &question, extra, ctx).await
}

/// Somebody whose group may break glass and whose credential names no step-up key can mend that; nobody else can.
fn step_up_is_not_for(person: &StaffCredential) -> Result<(), CliError> {
    let policy = PolicyBundle::baseline().map_err(|error| CliError::failed("policy", error.to_string()))?;
    if policy.purpose_granted(person.group, Purpose::Btg) {
        return Err(CliError::new(exit::REFUSED, "no-step-up-key", "your credential names no step-up key")
            .cause(Cause::GrantInvalid)
            .hint("make a profile with `careweave staff request` that has one, and have it issued; `careweave emergency` needs none"));
    }
    Ok(())
}

/// Everything that a grant says beside the patient.
struct Asked {
    reason: String,
    text: String,
    categories: Vec<Category>,
}

impl Asked {
    /// What was typed, and the rest asked for.
    fn complete(args: &BreakGlassArgs, ctx: &Context) -> Result<Self, CliError> {
        let mut opened = match args.categories.as_slice() {
            [] => ctx.ask_for("Categories to open", "the categories to open are needed", CATEGORY_HINT, categories)?,
            given => given.to_vec(),
        };
        opened.sort_unstable();
        opened.dedup();
        let reason = match &args.reason {
            Some(reason) => reason.clone(),
            None => ctx.ask_for("Reason (code)", "a coded reason is needed", REASON_HINT, reason)?,
        };
        let text = match &args.text {
            Some(text) => text.clone(),
            None => ctx.ask_for("Why, in your own words", "the reason in words is needed", TEXT_HINT, reason_text)?,
        };
        Ok(Self { reason, text, categories: opened })
    }

    /// Says in plain words what is about to happen, and has it confirmed.
    fn confirm(&self, args: &BreakGlassArgs, ctx: &Context) -> Result<(), CliError> {
        let opened: Vec<&str> = self.categories.iter().map(|category| category.as_str()).collect();
        let minutes =
            if args.for_minutes == 1 { "1 minute".to_owned() } else { format!("{} minutes", args.for_minutes) };
        ctx.note(&format!(
            "BREAK-GLASS opens records that your role does not read: {}, for {minutes}.",
            opened.join(", ")
        ));
        ctx.note(
            "The privacy officers of your organisation and of every organisation that answers are alerted, and each opens \
             a review of what you do now, which somebody else than you closes. Your words stay in your own organisation's \
             log; the coded reason is logged by all.",
        );
        if args.yes {
            return Ok(());
        }
        let answer = ctx.ask("Break the glass? (yes/no)", "nobody has confirmed the break-glass", CONFIRM_HINT)?;
        if matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            return Ok(());
        }
        Err(CliError::new(exit::REFUSED, "not-confirmed", "the glass was not broken")
            .hint("nothing was sent; `careweave view` shows what your role reads"))
    }

    /// Signs with the step-up key, which lives no longer than this.
    fn sign(
        &self,
        args: &BreakGlassArgs,
        patient: NhsNumber,
        person: &StaffCredential,
        profile: &Profile,
        ctx: &Context,
    ) -> Result<Signed<BreakGlassGrant>, CliError> {
        let key = profile.step_up(ctx)?;
        if key.public_key().node_key() != person.step_up {
            return Err(CliError::failed("other-key", "the credential names another step-up key than the profile's")
                .hint("install the credential that was issued for this profile's request"));
        }
        let life = Duration::from_secs(args.for_minutes.saturating_mul(60));
        // After the passphrase was typed: the minutes count from here.
        let grant = self.grant(view::query_id()?, patient, person, profile, (ctx.now(), life));
        signed(&grant, &key)
    }

    fn grant(
        &self,
        id: QueryId,
        patient: NhsNumber,
        person: &StaffCredential,
        profile: &Profile,
        (now, life): (Timestamp, Duration),
    ) -> BreakGlassGrant {
        BreakGlassGrant {
            network: profile.network.clone(),
            id,
            ods: person.ods.clone(),
            person: person.person.clone(),
            nhs_number: patient,
            categories: self.categories.clone(),
            reason: self.reason.clone(),
            reason_text: Digest::of(&[self.text.as_bytes()]),
            issued_at: now,
            expires_at: now.after(life),
        }
    }
}

fn signed(grant: &BreakGlassGrant, key: &SoftwareKey) -> Result<Signed<BreakGlassGrant>, CliError> {
    Ok(Signed::sign(grant, Scope::network(&grant.network), key)?.into_signed())
}

const NUMBER_HINT: &str = "give the number as the first argument";
const CATEGORY_HINT: &str = "give --category, such as --category problems,assessments";
const REASON_HINT: &str = "give --reason CODE";
const TEXT_HINT: &str = "give --text TEXT";
const CONFIRM_HINT: &str = "run it at a terminal, or confirm with --yes, in scripts";
