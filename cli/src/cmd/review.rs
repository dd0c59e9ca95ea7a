//! `careweave review`: what must be looked at after break-glass and emergency views on somebody's word.

use careweave_protocol::desk::{DeskReply, DeskRequest, Review, ReviewClosing};
use careweave_protocol::record::Category;
use careweave_protocol::time::Timestamp;
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::review::{ReviewCloseArgs, ReviewCommand, ReviewListArgs};
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// `careweave review`.
///
/// # Errors
/// Whatever the command ends with.
pub async fn run(command: &ReviewCommand, ctx: &mut Context) -> Result<u8, CliError> {
    match command {
        ReviewCommand::List(args) => list(args, ctx).await,
        ReviewCommand::Close(args) => close(args, ctx).await,
    }
}

async fn list(args: &ReviewListArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let reply = desk.reply(&DeskRequest::Reviews { all: args.all }).await?;
    desk.close().await;
    let DeskReply::Reviews(reviews) = reply else { return Err(DeskError::Unexpected.into()) };
    match ctx.output {
        Output::Json => ctx.printer.json(&reviews.iter().map(fields).collect::<Vec<Value>>())?,
        Output::Table => ctx.printer.table(&COLUMNS, &reviews.iter().map(row).collect::<Vec<_>>())?,
    }
    if reviews.is_empty() {
        ctx.note(if args.all { "there is no review" } else { "no review is open; --all lists closed ones too" });
    }
    Ok(exit::DONE)
}

async fn close(args: &ReviewCloseArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let desk = Desk::open(ctx).await?;
    let closing = ReviewClosing { id: args.id, justified: args.justified, note: args.note.clone() };
    let reply = desk.reply(&DeskRequest::ReviewClose(closing)).await?;
    desk.close().await;
    let DeskReply::Done = reply else { return Err(DeskError::Unexpected.into()) };
    let outcome = if args.justified { "justified" } else { "not-justified" };
    match ctx.output {
        Output::Json => ctx.printer.json(&json!({"id": args.id.to_string(), "outcome": outcome}))?,
        Output::Table => ctx.printer.line(&format!("closed {} {outcome}", args.id))?,
    }
    Ok(exit::DONE)
}

/// A row under [`COLUMNS`].
fn row(review: &Review) -> Vec<String> {
    let state = match (&review.closed, review.overdue) {
        (Some(closed), _) => closed.outcome.clone(),
        (None, true) => "OVERDUE".to_owned(),
        (None, false) => "open".to_owned(),
    };
    let about = &review.about;
    let queries = match review.queries.len() {
        1 => "1 query".to_owned(),
        count => format!("{count} queries"),
    };
    let why = [review.reason.clone().unwrap_or_default(), names(&review.categories).join(", "), queries];
    vec![
        review.id.to_string(),
        review.kind.clone(),
        state,
        day(review.due),
        format!("{} ({}, {})", about.name, about.group, about.ods),
        if review.holder.is_some() { "holder" } else { "asker" }.to_owned(),
        why.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; "),
        review.closed.as_ref().map_or_else(String::new, |closed| format!("{}: {}", closed.by.name, closed.note)),
    ]
}

/// For programs: times as RFC 3339.
fn fields(review: &Review) -> Value {
    json!({
        "id": review.id.to_string(),
        "kind": review.kind,
        "opened": review.opened.rfc3339(),
        "due": review.due.rfc3339(),
        "overdue": review.overdue,
        "about": review.about,
        "holder": review.holder,
        "purpose": review.purpose,
        "reason": review.reason,
        "categories": names(&review.categories),
        "queries": review.queries.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "closed": review.closed.as_ref().map(|closed| {
            json!({"at": closed.at.rfc3339(), "by": closed.by, "outcome": closed.outcome, "note": closed.note})
        }),
    })
}

fn names(categories: &[Category]) -> Vec<&'static str> {
    categories.iter().map(|category| category.as_str()).collect()
}

fn day(at: Timestamp) -> String {
    at.date().map_or_else(|| at.rfc3339(), |date| date.shown())
}

/// Headings of [`row`]; SIDE is on which side of the exchange this organisation was.
const COLUMNS: [&str; 8] = ["ID", "KIND", "STATE", "DUE", "ABOUT", "SIDE", "WHY", "FOUND"];

#[cfg(test)]
mod tests {
    use super::*;
    use careweave_protocol::audit::Actor;
    use careweave_protocol::id::QueryId;
    use careweave_protocol::identity::StaffGroup;
    use careweave_protocol::query::Purpose;

    #[test]
    fn a_review_is_shown_with_its_state_and_for_programs_with_readable_times() {
        let about = Actor {
            ods: "R9M".parse().unwrap(),
            person: "rn".parse().unwrap(),
            name: "rn of R9M".into(),
            group: StaffGroup::Rn,
        };
        let open = Review {
            id: QueryId([1; 16]),
            kind: "break-glass".into(),
            opened: Timestamp(1_793_628_600_000),
            due: Timestamp(1_794_268_799_999),
            overdue: true,
            about: about.clone(),
            holder: Some("R9A".parse().unwrap()),
            purpose: Purpose::Btg,
            reason: Some("acute-confusion".into()),
            categories: vec![Category::Problems],
            queries: vec![QueryId([2; 16])],
            closed: None,
        };
        assert_eq!(row(&open).len(), COLUMNS.len());
        assert!(row(&open).contains(&"OVERDUE".to_owned()) && row(&open).contains(&"09-Nov-2026".to_owned()));
        let closed = careweave_protocol::desk::review::Closed {
            at: Timestamp(1_793_628_600_001),
            by: Actor { name: "ig of R9A".into(), ..about },
            outcome: "justified".into(),
            note: "seen".into(),
        };
        let shown = fields(&Review { overdue: false, closed: Some(closed), ..open });
        assert_eq!(shown.pointer("/closed/outcome"), Some(&json!("justified")));
        assert_eq!(shown.get("due"), Some(&json!("2026-11-09T23:59:59.999Z")));
        assert_eq!(shown.pointer("/about/group"), Some(&json!("RN")));
    }
}
