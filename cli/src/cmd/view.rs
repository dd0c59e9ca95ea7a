//! `careweave view` and `careweave emergency`: who is asked about, the signed question, and the replies as they come.

pub(super) mod patient;

use std::collections::BTreeSet;
use std::time::Duration;

use careweave_protocol::desk::{DeskReply, DeskRequest, SourceResource, View, ViewReply, ViewRequest};
use careweave_protocol::id::{Digest, NhsNumber, OdsCode, QueryId};
use careweave_protocol::limits::QUERY_LIFE;
use careweave_protocol::query::{BreakGlassGrant, Patient, Period, Purpose, Query, SourceLine};
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use ring::rand::{SecureRandom, SystemRandom};

use crate::args::OutputForm;
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
    let purpose = args.aim.purpose();
    if matches!(purpose, Purpose::Patrqt | Purpose::Hcompl) != args.case.is_some() {
        return Err(CliError::usage(
            "a case number goes with --for subject-access and --for audit, and only with them",
        )
        .hint("give --case NUMBER"));
    }
    period(&args.question)?;
    let number = match args.nhs_number {
        Some(number) => number,
        None => ctx.ask_for("NHS number", "the NHS number is needed", NUMBER_HINT, nhs_number)?,
    };
    let desk = Desk::open(ctx).await?;
    let patient = patient::complete(number, &args.question, &desk, ctx).await?;
    let extra = Extra { case_number: args.case.clone(), ..Extra::default() };
    show(desk, patient, purpose, &args.question, extra, ctx).await
}

/// `careweave emergency`: the same, for an emergency.
///
/// # Errors
/// As [`run`].
pub async fn emergency(args: EmergencyArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let EmergencyArgs { nhs_number, question } = args;
    run(&ViewArgs { nhs_number, aim: Aim::Emergency, case: None, question }, ctx).await
}

/// What some questions carry beside the patient and the purpose.
#[derive(Debug, Default)]
pub(super) struct Extra {
    /// Number of the governance case.
    pub(super) case_number: Option<String>,
    /// What opens B cells.
    pub(super) grant: Option<Signed<BreakGlassGrant>>,
    /// Free-text reason, which stays in the own node's log.
    pub(super) reason_text: Option<String>,
}

/// Signs the question, takes the replies, and prints the view; gives the exit code.
///
/// # Errors
/// As [`run`].
pub(super) async fn show(
    mut desk: Desk,
    mut patient: Patient,
    purpose: Purpose,
    question: &QuestionArgs,
    extra: Extra,
    ctx: &mut Context,
) -> Result<u8, CliError> {
    let mut told = false;
    loop {
        let query = query(&desk, patient.clone(), purpose, question, &extra, ctx.now())?;
        let query_id = query.query_id;
        let request = ViewRequest {
            query: desk.sign(&query)?,
            reason_text: extra.reason_text.clone(),
            deadline_ms: u32::try_from(question.deadline.as_millis()).unwrap_or(u32::MAX),
            resources: ctx.form == OutputForm::Fhir,
            mark_new: question.new,
        };
        match receive(&desk, request, query_id, question.deadline, ctx).await? {
            // The person signs what is asked about, so the question is signed again with every number.
            Received::OtherNumbers(numbers) if !told => {
                told = true;
                patient.other_numbers = numbers;
            }
            Received::OtherNumbers(_) => return Err(DeskError::Unexpected.into()),
            Received::View(reply, resources) => {
                let (view, completeness) = desk.whole(*reply, &query_id, ctx.now()).await?;
                desk.close().await;
                match ctx.form {
                    OutputForm::Table | OutputForm::Json => ctx.printer.view(&view)?,
                    OutputForm::Html => ctx.printer.text(&output::html::page(&view))?,
                    OutputForm::Fhir => ctx.printer.json(&output::fhir::bundle(&view, &completeness, &resources))?,
                }
                return Ok(output::exit_code(&view));
            }
        }
    }
}

fn query(
    desk: &Desk,
    patient: Patient,
    purpose: Purpose,
    question: &QuestionArgs,
    extra: &Extra,
    now: Timestamp,
) -> Result<Query, CliError> {
    Ok(Query {
        network: desk.network().clone(),
        query_id: query_id()?,
        asker: desk.organisation().clone(),
        credential: desk.credential_digest(),
        patient,
        categories: question.categories.clone(),
        period: period(question)?,
        purpose,
        reason: question.reason.clone(),
        reason_text: extra.reason_text.as_ref().map(|text| Digest::of(&[text.as_bytes()])),
        case_number: extra.case_number.clone(),
        grant: extra.grant.clone(),
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

/// A fresh random id.
///
/// # Errors
/// When the machine gives no randomness.
pub(super) fn query_id() -> Result<QueryId, CliError> {
    let mut id = [0; QueryId::LEN];
    match SystemRandom::new().fill(&mut id) {
        Ok(()) => Ok(QueryId(id)),
        Err(_) => Err(CliError::failed("random", "this machine gives no randomness").hint("try again")),
    }
}

/// What a question came to.
enum Received {
    /// The view, with the records where they were asked for.
    View(Box<ViewReply>, Vec<SourceResource>),
    /// The own record knows the patient under further numbers.
    OtherNumbers(Vec<NhsNumber>),
}

/// Takes the replies until the view: own records are shown at once, sources as they come to an end.
async fn receive(
    desk: &Desk,
    request: ViewRequest,
    query_id: QueryId,
    deadline: Duration,
    ctx: &mut Context,
) -> Result<Received, CliError> {
    let mut exchange = desk.ask(&DeskRequest::View(Box::new(request))).await?;
    let mut progress = Progress::new(ctx.progress);
    let mut resources = Vec::new();
    loop {
        match exchange.next(deadline.saturating_add(VIEW_GRACE)).await? {
            DeskReply::Own(own) => {
                // Not yet checked against a signed statement, so only where a person sees that it is not the end.
                if ctx.form == OutputForm::Table && ctx.terminal && own.query_id == query_id {
                    progress.aside(|| own_records(ctx, &own))?;
                }
            }
            DeskReply::Asking(sources) => progress.asking(sources),
            DeskReply::Source(line) => progress.ended(&line),
            DeskReply::Resources(more) => resources.extend(more),
            DeskReply::OtherNumbers(numbers) => return Ok(Received::OtherNumbers(numbers)),
            DeskReply::View(reply) => {
                progress.finish();
                return Ok(Received::View(reply, resources));
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

/// What stderr shows while sources are asked: how many have come to an end, and who is still awaited.
struct Progress {
    shown: bool,
    awaited: BTreeSet<OdsCode>,
    bar: ProgressBar,
}

impl Progress {
    fn new(shown: bool) -> Self {
        Self { shown, awaited: BTreeSet::new(), bar: ProgressBar::hidden() }
    }

    fn asking(&mut self, sources: Vec<OdsCode>) {
        if !self.shown {
            return;
        }
        self.bar = ProgressBar::new(u64::try_from(sources.len()).unwrap_or(u64::MAX));
        self.awaited = sources.into_iter().collect();
        // The template is a constant; were it wrong, the default style would do.
        if let Ok(style) = ProgressStyle::with_template("asking {bar:20} {pos}/{len} sources {elapsed} {wide_msg}") {
            self.bar.set_style(style);
        }
        self.say();
        self.bar.enable_steady_tick(TICK);
    }

    fn ended(&mut self, line: &SourceLine) {
        self.awaited.remove(&line.ods);
        self.bar.inc(1);
        self.say();
    }

    fn say(&self) {
        let awaited: Vec<&str> = self.awaited.iter().map(OdsCode::as_str).collect();
        self.bar.set_message(if awaited.is_empty() {
            String::new()
        } else {
            format!("awaiting {}", awaited.join(" "))
        });
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
            new: false,
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
