//! `careweave view` and `careweave emergency`: who is asked about, the signed question, and the replies as they come.

mod patient;

use std::time::Duration;

use careweave_protocol::desk::{DeskReply, DeskRequest, View, ViewReply, ViewRequest};
use careweave_protocol::id::QueryId;
use careweave_protocol::limits::QUERY_LIFE;
use careweave_protocol::query::{Patient, Period, Purpose, Query, SourceLine};
use careweave_protocol::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use ring::rand::{SecureRandom, SystemRandom};

use crate::args::Output;
use crate::args::clinical::{Aim, EmergencyArgs, QuestionArgs, ViewArgs, nhs_number};
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::CliError;
use crate::output;

/// `careweave view`.
///
/// # Errors
/// When the view cannot be asked for, is refused, or does not account for every member.
pub async fn run(args: &ViewArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let number = match args.nhs_number {
        Some(number) => number,
        None => ctx.ask_for("NHS number", "the NHS number is needed", NUMBER_HINT, nhs_number)?,
    };
    period(&args.question)?;
    let mut desk = Desk::open(ctx).await?;
    let patient = patient::complete(number, &args.question, &desk, ctx).await?;
    let query_id = query_id()?;
    let now = ctx.now();
    let query = query(&desk, query_id, patient, args.aim.purpose(), &args.question, now)?;
    let deadline = args.question.deadline;
    let request = ViewRequest {
        query: desk.sign(&query)?,
        reason_text: None,
        deadline_ms: u32::try_from(deadline.as_millis()).unwrap_or(u32::MAX),
    };
    let reply = receive(&desk, request, deadline, ctx).await?;
    let view = desk.whole(reply, &query_id, ctx.now()).await?;
    desk.close().await;
    ctx.printer.view(&view)?;
    Ok(output::exit_code(&view))
}

/// `careweave emergency`: the same, for an emergency.
///
/// # Errors
/// As [`run`].
pub async fn emergency(args: EmergencyArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let EmergencyArgs { nhs_number, question } = args;
    run(&ViewArgs { nhs_number, aim: Aim::Emergency, question }, ctx).await
}

fn query(
    desk: &Desk,
    query_id: QueryId,
    patient: Patient,
    purpose: Purpose,
    question: &QuestionArgs,
    now: Timestamp,
) -> Result<Query, CliError> {
    Ok(Query {
        network: desk.network().clone(),
        query_id,
        asker: desk.organisation().clone(),
        credential: desk.credential_digest(),
        patient,
        categories: question.categories.clone(),
        period: period(question)?,
        purpose,
        reason: question.reason.clone(),
        reason_text: None,
        asked_at: now,
        expires_at: now.after(QUERY_LIFE),
    })
}

/// `--since` is the first day, `--until` the last; on the wire the end is the first instant no longer asked for.
fn period(question: &QuestionArgs) -> Result<Period, CliError> {
    if let (Some(since), Some(until)) = (question.since, question.until)
        && since > until
    {
        return Err(CliError::usage("--since is after --until").hint("exchange the two dates"));
    }
    Ok(Period {
        since: question.since.map(careweave_protocol::time::Date::start),
        until: question.until.map(|day| day.plus_days(1).start()),
    })
}

fn query_id() -> Result<QueryId, CliError> {
    let mut id = [0; QueryId::LEN];
    match SystemRandom::new().fill(&mut id) {
        Ok(()) => Ok(QueryId(id)),
        Err(_) => Err(CliError::failed("random", "this machine gives no randomness").hint("try again")),
    }
}

/// Takes the replies until the view: own records are shown at once, sources as they come to an end.
async fn receive(
    desk: &Desk,
    request: ViewRequest,
    deadline: Duration,
    ctx: &mut Context,
) -> Result<ViewReply, CliError> {
    let query_id = request.query.unverified().map(|query| query.query_id).ok();
    let mut exchange = desk.ask(&DeskRequest::View(Box::new(request))).await?;
    let mut progress = Progress::new(ctx.progress);
    loop {
        match exchange.next(deadline.saturating_add(VIEW_GRACE)).await? {
            DeskReply::Own(own) => {
                // Not yet checked against a signed statement, so only where a person sees that it is not the end.
                if ctx.output == Output::Table && ctx.terminal && Some(own.query_id) == query_id {
                    progress.aside(|| own_records(ctx, &own))?;
                }
            }
            DeskReply::Asking(sources) => progress.asking(sources.len()),
            DeskReply::Source(line) => progress.ended(&line),
            DeskReply::View(reply) => {
                progress.finish();
                return Ok(*reply);
            }
            _ => return Err(DeskError::Unexpected.into()),
        }
    }
}

/// The own records, and a line that ends them: what follows is a view of its own.
fn own_records(ctx: &mut Context, own: &View) -> Result<(), CliError> {
    ctx.printer.view(own)?;
    ctx.printer.line("\n========== END OF THE FIRST VIEW. The whole view follows. ==========\n")
}

/// What stderr shows while sources are asked.
struct Progress {
    shown: bool,
    bar: ProgressBar,
}

impl Progress {
    fn new(shown: bool) -> Self {
        Self { shown, bar: ProgressBar::hidden() }
    }

    fn asking(&mut self, sources: usize) {
        if !self.shown {
            return;
        }
        self.bar = ProgressBar::new(u64::try_from(sources).unwrap_or(u64::MAX));
        // The template is a constant; were it wrong, the default style would do.
        if let Ok(style) = ProgressStyle::with_template("asking {bar:20} {pos}/{len} sources {elapsed} {wide_msg}") {
            self.bar.set_style(style);
        }
        self.bar.enable_steady_tick(TICK);
    }

    fn ended(&self, line: &SourceLine) {
        self.bar.inc(1);
        self.bar.set_message(format!("{} {}", line.ods, line.outcome.as_str()));
    }

    fn aside<T>(&self, show: impl FnOnce() -> T) -> T {
        self.bar.suspend(show)
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

const NUMBER_HINT: &str = "give the number as the first argument";
/// What the node may need on top of the deadline: own records, merging, signing, and a slow machine.
const VIEW_GRACE: Duration = Duration::from_secs(15);
/// How often the elapsed time moves on.
const TICK: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;
    use careweave_protocol::time::Date;

    fn question(since: Option<Date>, until: Option<Date>) -> QuestionArgs {
        QuestionArgs {
            dob: None,
            family: None,
            postcode: None,
            reason: None,
            categories: Vec::new(),
            since,
            until,
            deadline: Duration::from_secs(8),
            yes: false,
        }
    }

    #[test]
    fn the_last_day_is_included_and_the_days_must_be_in_order() {
        let (first, last) = (Date::new(2026, 1, 1), Date::new(2026, 1, 31));
        let asked = period(&question(first, last)).unwrap();
        assert_eq!(asked.since.map(Timestamp::rfc3339).as_deref(), Some("2026-01-01T00:00:00.000Z"));
        assert_eq!(asked.until.map(Timestamp::rfc3339).as_deref(), Some("2026-02-01T00:00:00.000Z"));
        assert_eq!(period(&question(last, first)).unwrap_err().exit, crate::error::exit::USAGE);
        assert_eq!(period(&question(None, None)).unwrap(), Period::default());
    }

    #[test]
    fn every_question_has_an_id_of_its_own() {
        assert_ne!(query_id().unwrap(), query_id().unwrap());
    }
}
