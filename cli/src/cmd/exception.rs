//! `careweave exception`: medicines that a Caldicott guardian hides from other organisations, each by a statement signed here.

use careweave_protocol::desk::{DeskReply, DeskRequest, HiddenMedicine, MedicineException};
use careweave_protocol::id::NhsNumber;
use careweave_protocol::limits::HIDDEN_MEDICINE_LIFE;
use careweave_protocol::time::{Date, Timestamp};
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::clinical::nhs_number;
use crate::args::exception::{ExceptionAddArgs, ExceptionCommand, ExceptionEndArgs, Record};
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};
use crate::profile::Profile;

/// Runs one of them.
///
/// # Errors
/// When something is missing, the record is not there, or the person is no guardian of the organisation.
pub async fn run(command: &ExceptionCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        ExceptionCommand::Add(args) => add(args, ctx).await,
        ExceptionCommand::End(args) => end(args, ctx).await,
        ExceptionCommand::List => list(ctx).await,
    }
}

async fn add(args: &ExceptionAddArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let now = ctx.now();
    let longest = now.after(HIDDEN_MEDICINE_LIFE);
    let until = args.until.map_or(longest, |last| last.plus_days(1).start());
    if until <= now || until > longest {
        return Err(CliError::usage("--until lies in the past, or more than 90 days ahead")
            .hint("choose a day within 90 days; the exception can be renewed when somebody has looked again"));
    }
    let said = Said { record: &args.record, reason: &args.reason, hidden: true, now, until };
    sign_and_send(args.nhs_number, said, ctx).await
}

async fn end(args: &ExceptionEndArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let now = ctx.now();
    let until = now.after(HIDDEN_MEDICINE_LIFE);
    let said = Said { record: &args.record, reason: &args.reason, hidden: false, now, until };
    sign_and_send(args.nhs_number, said, ctx).await
}

/// What the guardian says beside who and about whom.
struct Said<'a> {
    record: &'a Record,
    reason: &'a str,
    hidden: bool,
    now: Timestamp,
    until: Timestamp,
}

async fn sign_and_send(typed: Option<NhsNumber>, said: Said<'_>, ctx: &mut Context) -> Result<u8, CliError> {
    let nhs_number = match typed {
        Some(number) => number,
        None => ctx.ask_for("NHS number", "the NHS number is needed", NUMBER_HINT, nhs_number)?,
    };
    let person = Profile::open(ctx)?.credential.unverified()?;
    let desk = Desk::open(ctx).await?;
    let exception = MedicineException {
        network: desk.network().clone(),
        ods: desk.organisation().clone(),
        guardian: person.person,
        nhs_number,
        resource_type: said.record.resource_type.clone(),
        id: said.record.id.clone(),
        hidden: said.hidden,
        reason: said.reason.to_owned(),
        issued_at: said.now,
        expires_at: said.until,
    };
    let reply = desk.reply(&DeskRequest::HideMedicine(desk.sign(&exception)?)).await?;
    desk.close().await;
    let DeskReply::Done = reply else { return Err(DeskError::Unexpected.into()) };
    let record = format!("{}/{}", said.record.resource_type, said.record.id);
    match ctx.output {
        Output::Json => {
            let until = said.hidden.then(|| said.until.rfc3339());
            ctx.printer.json(&json!({"record": record, "hidden": said.hidden, "until": until}))?;
        }
        Output::Table if said.hidden => ctx.printer.line(&format!(
            "{record} is hidden from other organisations until {}; they are told that a medicine is not shown",
            day(said.until)
        ))?,
        Output::Table => ctx.printer.line(&format!("{record} is shown again"))?,
    }
    Ok(exit::DONE)
}

async fn list(ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let reply = desk.reply(&DeskRequest::HiddenMedicines).await?;
    desk.close().await;
    let DeskReply::HiddenMedicines(hidden) = reply else { return Err(DeskError::Unexpected.into()) };
    match ctx.output {
        Output::Json => ctx.printer.json(&hidden.iter().map(fields).collect::<Vec<Value>>())?,
        Output::Table => ctx.printer.table(&COLUMNS, &hidden.iter().map(row).collect::<Vec<_>>())?,
    }
    if hidden.is_empty() {
        ctx.note("nothing is hidden");
    }
    Ok(exit::DONE)
}

/// A row under [`COLUMNS`].
fn row(hidden: &HiddenMedicine) -> Vec<String> {
    vec![
        hidden.nhs_number.spaced(),
        hidden.record.clone(),
        hidden.reason.clone(),
        hidden.guardian.to_string(),
        day(hidden.issued_at),
        day(hidden.expires_at),
    ]
}

/// For programs: times as RFC 3339.
fn fields(hidden: &HiddenMedicine) -> Value {
    json!({
        "nhs_number": hidden.nhs_number.digits(),
        "record": hidden.record,
        "reason": hidden.reason,
        "guardian": hidden.guardian,
        "issued_at": hidden.issued_at.rfc3339(),
        "expires_at": hidden.expires_at.rfc3339(),
    })
}

fn day(at: Timestamp) -> String {
    at.date().map_or_else(|| at.rfc3339(), Date::shown)
}

const COLUMNS: [&str; 6] = ["NHS NUMBER", "RECORD", "REASON", "GUARDIAN", "SIGNED", "ENDS"];
const NUMBER_HINT: &str = "give the number as the first argument";
