//! `careweave node doctor`: the own node looks at itself and asks every member; where it cannot be reached, what the profile shows.

use std::time::Duration;

use careweave_certs::trust::Trust;
use careweave_protocol::desk::{DeskReply, DeskRequest, DoctorLine, Health};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::time::Timestamp;
use serde_json::json;

use crate::args::Output;
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};
use crate::profile::Profile;

/// `careweave node doctor`.
///
/// # Errors
/// When there is no profile, or the person may not ask.
pub async fn run(ctx: &mut Context) -> Result<u8, CliError> {
    let (lines, reached) = match ask(ctx).await {
        Ok(lines) => (lines, true),
        Err(error) if UNREACHED.contains(&error.code) => (from_profile(&error, ctx)?, false),
        Err(error) => return Err(error),
    };
    let worst = lines.iter().map(|line| line.health).max().unwrap_or(Health::Good);
    show(&lines, worst, reached, ctx)?;
    Ok(match worst {
        Health::Good => exit::DONE,
        Health::Warning => exit::PARTIAL,
        Health::Failing => exit::FAILED,
    })
}

async fn ask(ctx: &Context) -> Result<Vec<DoctorLine>, CliError> {
    let desk = Desk::open(ctx).await?;
    let DeskReply::Doctor(lines) = desk.ask(&DeskRequest::Doctor).await?.next(EXAMINATION_WAIT).await? else {
        return Err(DeskError::Unexpected.into());
    };
    desk.close().await;
    Ok(lines)
}

/// What can be seen without the node.
fn from_profile(error: &CliError, ctx: &Context) -> Result<Vec<DoctorLine>, CliError> {
    let (profile, now) = (Profile::open(ctx)?, ctx.now());
    let said = match &error.cause {
        Some(cause) if !error.message.contains(cause) => format!("{} ({cause})", error.message),
        _ => error.message.clone(),
    };
    let node = DoctorLine { what: "node".to_owned(), health: Health::Failing, said, hint: error.hint.clone() };
    let address = good("address", format!("{} (from the profile)", profile.desk));
    let credential = match profile.credential.unverified() {
        Ok(credential) => credential_lines(&credential, now),
        Err(error) => vec![failing("credential", error.to_string(), "install the credential again")],
    };
    let manifest = match profile.trust(now) {
        Ok(trust) => manifest_line(&trust, now),
        Err(error) => {
            failing("manifest", error.message, "install the credential again with the manifest of your network")
        }
    };
    Ok([node, address].into_iter().chain(credential).chain([manifest]).collect())
}

fn credential_lines(credential: &StaffCredential, now: Timestamp) -> Vec<DoctorLine> {
    let renew = "have it renewed by whoever issues credentials in your organisation";
    let (who, until) = (credential.person.as_str(), credential.not_after);
    vec![
        ending("credential", &format!("of {who}, until {}", until.rfc3339()), until, now, renew),
        ending(
            "training",
            &format!("until the end of {}", credential.training_expires),
            credential.training_expires.plus_days(1).start(),
            now,
            "complete your data security training, then have your credential renewed",
        ),
    ]
}

fn manifest_line(trust: &Trust, now: Timestamp) -> DoctorLine {
    let (version, expires) = (trust.version(), trust.manifest().expires);
    let said = format!("version {version} in the profile, until {}", expires.rfc3339());
    ending("manifest", &said, expires, now, "the profile learns of a newer one as soon as your node is reached again")
}

fn ending(what: &str, said: &str, at: Timestamp, now: Timestamp, hint: &str) -> DoctorLine {
    if at <= now {
        failing(what, format!("{said}: over"), hint)
    } else if at.since(now) <= SOON {
        let hint = Some(hint.to_owned());
        DoctorLine { what: what.to_owned(), health: Health::Warning, said: said.to_owned(), hint }
    } else {
        good(what, said.to_owned())
    }
}

fn good(what: &str, said: String) -> DoctorLine {
    DoctorLine { what: what.to_owned(), health: Health::Good, said, hint: None }
}

fn failing(what: &str, said: String, hint: &str) -> DoctorLine {
    DoctorLine { what: what.to_owned(), health: Health::Failing, said, hint: Some(hint.to_owned()) }
}

fn show(lines: &[DoctorLine], worst: Health, reached: bool, ctx: &mut Context) -> Result<(), CliError> {
    if ctx.output == Output::Json {
        return ctx.printer.json(&json!({ "reached": reached, "worst": worst, "lines": lines }));
    }
    let width = lines.iter().map(|line| line.what.chars().count()).max().unwrap_or(0);
    for line in lines {
        ctx.printer.line(&format!("{:<5} {:<width$}  {}", line.health.as_str(), line.what, line.said))?;
        if let Some(hint) = &line.hint {
            ctx.printer.line(&format!("{:<5} {:<width$}  hint: {hint}", "", ""))?;
        }
    }
    Ok(())
}

/// Errors after which there is nothing to do but look at the profile.
const UNREACHED: [&str; 4] = ["not-reachable", "no-reply", "wrong-node", "node-not-trusted"];
/// A credential or manifest that ends within this is worth a word.
const SOON: Duration = Duration::from_secs(7 * 24 * 3600);
/// Every member is asked at once, each within seconds.
const EXAMINATION_WAIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_soon_is_a_warning_and_what_has_ended_is_a_failure() {
        let now = Timestamp(1_000_000_000_000);
        let health = |at| ending("credential", "said", at, now, "hint").health;
        assert_eq!(health(now.after(SOON + Duration::from_secs(1))), Health::Good);
        assert_eq!(health(now.after(SOON)), Health::Warning);
        assert_eq!(health(now), Health::Failing);
    }
}
