//! `careweave residents` and `careweave resident`: a care home's register, kept at its own node.

use std::time::Duration;

use careweave_protocol::desk::{DeskReply, DeskRequest, Resident, ResidentAdd, ResidentLeave};
use careweave_protocol::id::NhsNumber;
use careweave_protocol::time::{Date, Timestamp};
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::clinical::{date, family_name, nhs_number};
use crate::args::resident::{ResidentAddArgs, ResidentCommand, ResidentLeaveArgs, ResidentsArgs};
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// `careweave residents`: the list to pick from.
///
/// # Errors
/// When the node cannot be asked, or the person's role may not look up patients.
pub async fn list(args: &ResidentsArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let reply = desk.reply(&DeskRequest::Residents { all: args.all }).await?;
    desk.close().await;
    let DeskReply::Residents(residents) = reply else { return Err(DeskError::Unexpected.into()) };
    match ctx.output {
        Output::Json => ctx.printer.json(&residents.iter().map(fields).collect::<Vec<Value>>())?,
        Output::Table => ctx.printer.table(&COLUMNS, &residents.iter().map(row).collect::<Vec<_>>())?,
    }
    if residents.is_empty() {
        ctx.note("the register has nobody; `careweave resident add` enters somebody");
    }
    Ok(exit::DONE)
}

/// `careweave resident add` and `leave`.
///
/// # Errors
/// When something is missing, does not fit the register, or the person may not change it.
pub async fn run(command: &ResidentCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        ResidentCommand::Add(args) => add(args, ctx).await,
        ResidentCommand::Leave(args) => leave(args, ctx).await,
    }
}

async fn add(args: &ResidentAddArgs, ctx: &mut Context) -> Result<u8, CliError> {
    if let (Some(since), Some(until)) = (args.since, args.until)
        && since > until
    {
        return Err(CliError::usage("--since is after --until").hint("exchange the two dates"));
    }
    let nhs_number = number(args.nhs_number, ctx)?;
    let birth_date = match args.dob {
        Some(birth_date) => birth_date,
        None => ctx.ask_for("Birth date", "the birth date is needed", DOB_HINT, date)?,
    };
    let family = match &args.family {
        Some(family) => family.clone(),
        None => ctx.ask_for("Family name", "the family name is needed", FAMILY_HINT, family_name)?,
    };
    let add = ResidentAdd {
        nhs_number,
        birth_date,
        family,
        since: args.since.map_or_else(|| ctx.now(), Date::start),
        until: args.until.map(|last| last.plus_days(1).start()),
        room: args.room.clone(),
    };
    let until = add.until;
    change(DeskRequest::ResidentAdd(add), ctx).await?;
    say(nhs_number, "resident", until, ctx)
}

async fn leave(args: &ResidentLeaveArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let nhs_number = number(args.nhs_number, ctx)?;
    let at = end(args.on, ctx.now());
    change(DeskRequest::ResidentLeave(ResidentLeave { nhs_number, at }), ctx).await?;
    say(nhs_number, "left", Some(at), ctx)
}

/// The end of a stay whose last day is this one: now, where that day has begun and is not over.
fn end(last: Option<Date>, now: Timestamp) -> Timestamp {
    let Some(last) = last else { return now };
    let over = last.plus_days(1).start();
    if last.start() <= now.after(AHEAD) { over.min(now) } else { over }
}

async fn change(request: DeskRequest, ctx: &Context) -> Result<(), CliError> {
    let desk = Desk::open(ctx).await?;
    let reply = desk.reply(&request).await?;
    desk.close().await;
    if matches!(reply, DeskReply::Done) { Ok(()) } else { Err(DeskError::Unexpected.into()) }
}

fn say(number: NhsNumber, state: &str, until: Option<Timestamp>, ctx: &mut Context) -> Result<u8, CliError> {
    match ctx.output {
        Output::Json => {
            let until = until.map(Timestamp::rfc3339);
            ctx.printer.json(&json!({"nhs_number": number.digits(), "state": state, "until": until}))?;
        }
        Output::Table => {
            let until = until.map_or_else(String::new, |end| format!(", until {}", last_day(end)));
            ctx.printer.line(&format!("{}: {state}{until}", number.spaced()))?;
        }
    }
    Ok(exit::DONE)
}

fn number(typed: Option<NhsNumber>, ctx: &Context) -> Result<NhsNumber, CliError> {
    match typed {
        Some(number) => Ok(number),
        None => ctx.ask_for("NHS number", "the NHS number is needed", NUMBER_HINT, nhs_number),
    }
}

/// A row under [`COLUMNS`].
fn row(resident: &Resident) -> Vec<String> {
    vec![
        resident.nhs_number.spaced(),
        resident.name.clone(),
        resident.birth_date.shown(),
        resident.room.clone().unwrap_or_default(),
        resident.since.date().map_or_else(String::new, Date::shown),
        resident.until.map(last_day).unwrap_or_default(),
    ]
}

/// For programs: dates as `YYYY-MM-DD`, times as RFC 3339.
fn fields(resident: &Resident) -> Value {
    json!({
        "nhs_number": resident.nhs_number.digits(),
        "name": resident.name,
        "birth_date": resident.birth_date.to_string(),
        "room": resident.room,
        "since": resident.since.rfc3339(),
        "until": resident.until.map(Timestamp::rfc3339),
    })
}

/// The day on which a stay that is over at this instant is still under way.
fn last_day(end: Timestamp) -> String {
    end.before(Duration::from_millis(1)).date().map_or_else(|| end.rfc3339(), Date::shown)
}

const COLUMNS: [&str; 6] = ["NHS NUMBER", "NAME", "BORN", "ROOM", "SINCE", "UNTIL"];
const NUMBER_HINT: &str = "give the number as the first argument";
const DOB_HINT: &str = "give --dob DATE";
const FAMILY_HINT: &str = "give --family NAME";
/// Days begin in UTC here, and in summer an hour earlier where the home is. Somebody who leaves in that hour leaves now.
const AHEAD: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stay_ends_now_on_its_last_day_and_with_the_day_otherwise() {
        let now = Timestamp::from_rfc3339("2026-07-02T12:00:00Z").unwrap();
        let day = |text: &str| Date::from_iso(text);
        assert_eq!(end(None, now), now);
        assert_eq!(end(day("2026-07-02"), now), now);
        assert_eq!(end(day("2026-07-01"), now).rfc3339(), "2026-07-02T00:00:00.000Z");
        assert_eq!(end(day("2026-07-03"), now).rfc3339(), "2026-07-04T00:00:00.000Z");
        // Half past midnight on the third, British Summer Time.
        let night = Timestamp::from_rfc3339("2026-07-02T23:30:00Z").unwrap();
        assert_eq!(end(day("2026-07-03"), night), night);
        assert_eq!(last_day(end(day("2026-07-01"), now)), "01-Jul-2026");
    }
}
