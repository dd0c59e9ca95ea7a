//! `careweave cert rotate`: the own running node takes the next step, or asks every member what they would say to it.

use std::time::Duration;

use careweave_protocol::desk::{DeskReply, DeskRequest, MemberVerdict, RotationOrder, RotationReport};
use careweave_protocol::query::Cause;
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::cert::CertRotateArgs;
use crate::context::Context;
use crate::desk::{Desk, DeskError, advice};
use crate::error::{CliError, exit};

pub(super) async fn run(args: &CertRotateArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let order = RotationOrder { part: args.part(), rehearse: args.rehearse, force: args.force };
    let desk = Desk::open(ctx).await?;
    let DeskReply::Rotation(report) = desk.ask(&DeskRequest::Rotate(order)).await?.next(ROTATION_WAIT).await? else {
        return Err(DeskError::Unexpected.into());
    };
    desk.close().await;
    match ctx.output {
        Output::Json => ctx.printer.json(&report_json(&report))?,
        Output::Table => show(&report, ctx)?,
    }
    let code = exit_code(order, &report);
    if let Some(hint) = hint(order, &report, code) {
        ctx.note(&format!("hint: {hint}"));
    }
    Ok(code)
}

/// 0 done, or everybody would follow; 3 done although somebody would not, or a rehearsal that did not reach everybody; 4 not done, or
/// somebody would refuse.
fn exit_code(order: RotationOrder, report: &RotationReport) -> u8 {
    let refusing = report.members.iter().any(refuses);
    let behind = report.members.iter().any(is_behind);
    match (order.rehearse, report.done) {
        (true, _) if refusing => exit::REFUSED,
        (true, _) if behind => exit::PARTIAL,
        (true, _) => exit::DONE,
        (false, false) => exit::REFUSED,
        (false, true) if refusing || behind => exit::PARTIAL,
        (false, true) => exit::DONE,
    }
}

/// Whether the member was not reached, or holds an older manifest and may not know yet what it will have to accept. Whoever is suspended is
/// not asked, and nobody waits for them.
fn is_behind(member: &MemberVerdict) -> bool {
    let remarked = |word: &str| member.remarks.iter().any(|remark| remark.starts_with(word));
    if member.reached { remarked("MANIFEST_OLD") } else { !remarked("SUSPENDED") }
}

/// Whether the member was asked and said no; one that was not reached has said nothing.
fn refuses(member: &MemberVerdict) -> bool {
    member.reached && member.refused.is_some()
}

fn hint(order: RotationOrder, report: &RotationReport, code: u8) -> Option<String> {
    if code == exit::DONE {
        return None;
    }
    let cause = report.members.iter().filter(|member| refuses(member)).find_map(|member| member.refused.as_ref());
    let mended = cause.map(advice).unwrap_or("see to the members that were not reached: `careweave node peers`");
    Some(match (order.rehearse, report.done) {
        (true, _) | (false, true) => mended.to_owned(),
        (false, false) => format!("nothing was changed; {mended}; --force goes on all the same"),
    })
}

fn show(report: &RotationReport, ctx: &mut Context) -> Result<(), CliError> {
    if !report.members.is_empty() {
        let rows: Vec<Vec<String>> = report.members.iter().map(row).collect();
        ctx.printer.table(&COLUMNS, &rows)?;
    }
    let (before, now) = (report.before.as_str(), report.now.as_str());
    let state = if report.before == report.now { now.to_owned() } else { format!("{before} -> {now}") };
    ctx.printer.line(&format!("{:<18}{state}", report.part.as_str()))?;
    ctx.printer.line(&format!("{:<18}{}", if report.done { "done" } else { "not done" }, report.said))?;
    ctx.printer.line(&format!("{:<18}{}", "next", report.next))
}

fn row(member: &MemberVerdict) -> Vec<String> {
    let says = match (&member.refused, member.reached) {
        (Some(cause), true) => cause.to_string(),
        (None, true) => "accepts".to_owned(),
        (Some(cause), false) => format!("not reached: {cause}"),
        (None, false) => "not reached".to_owned(),
    };
    let lapses = member.lapses.iter().map(|lapse| format!("direct care refused: {lapse}"));
    let said_already = |remark: &&String| member.reached || remark.as_str() != "not reached";
    let remarks: Vec<String> = member.remarks.iter().filter(said_already).cloned().chain(lapses).collect();
    vec![
        member.ods.to_string(),
        member.name.clone(),
        says,
        member.manifest_version.map_or_else(String::new, |version| version.to_string()),
        member.skew.map_or_else(String::new, |skew| format!("{skew:+} s")),
        remarks.join("; "),
    ]
}

/// The fields of the report under their own names; causes as they are named everywhere.
fn report_json(report: &RotationReport) -> Value {
    let members: Vec<Value> = report
        .members
        .iter()
        .map(|member| {
            json!({
                "ods": member.ods,
                "name": member.name,
                "reached": member.reached,
                "refused": member.refused.as_ref().map(Cause::to_string),
                "lapses": member.lapses.iter().map(Cause::to_string).collect::<Vec<_>>(),
                "skew": member.skew,
                "manifest_version": member.manifest_version,
                "remarks": member.remarks,
            })
        })
        .collect();
    json!({
        "part": report.part.as_str(),
        "before": report.before.as_str(),
        "now": report.now.as_str(),
        "members": members,
        "said": report.said,
        "next": report.next,
        "done": report.done,
    })
}

const COLUMNS: [&str; 6] = ["ODS", "NAME", "SAYS", "MANIFEST", "CLOCK", "REMARKS"];
/// Every member is asked at once, each within seconds; a token and an enrolment service come on top.
const ROTATION_WAIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use careweave_protocol::desk::{RotationPart, RotationState};

    use super::*;

    fn member(reached: bool, refused: Option<Cause>) -> MemberVerdict {
        MemberVerdict {
            ods: "R9A".parse().unwrap(),
            name: "Acute hospital trust".to_owned(),
            reached,
            refused,
            lapses: vec![Cause::AttestationMissing("dspt".to_owned())],
            skew: Some(-2),
            manifest_version: Some(3),
            remarks: Vec::new(),
        }
    }

    fn report(members: Vec<MemberVerdict>, done: bool) -> RotationReport {
        RotationReport {
            part: RotationPart::Certificate,
            before: RotationState::Prepared,
            now: if done { RotationState::Overlap } else { RotationState::Prepared },
            members,
            said: "said".to_owned(),
            next: "next".to_owned(),
            done,
        }
    }

    #[test]
    fn the_exit_code_tells_whether_everybody_follows() {
        let accepts = || member(true, None);
        let refuses = || member(true, Some(Cause::ClockSkew(412)));
        let silent = || member(false, None);
        let remarking =
            |reached, remark: &str| MemberVerdict { remarks: vec![remark.to_owned()], ..member(reached, None) };
        let old = || remarking(true, "MANIFEST_OLD 3<5");
        let order = |rehearse, force| RotationOrder { part: RotationPart::Certificate, rehearse, force };
        for (rehearse, force, members, done, code) in [
            (true, false, vec![accepts()], false, exit::DONE),
            (true, false, vec![accepts(), silent()], false, exit::PARTIAL),
            (true, false, vec![silent(), refuses()], false, exit::REFUSED),
            (true, false, vec![accepts(), old()], false, exit::PARTIAL),
            (true, false, vec![remarking(false, "SUSPENDED: not asked")], false, exit::DONE),
            (false, true, vec![old()], true, exit::PARTIAL),
            (false, false, vec![accepts()], true, exit::DONE),
            (false, false, vec![refuses()], false, exit::REFUSED),
            (false, false, vec![silent()], false, exit::REFUSED),
            (false, true, vec![refuses()], true, exit::PARTIAL),
            (false, true, vec![silent(), accepts()], true, exit::PARTIAL),
        ] {
            let report = report(members, done);
            assert_eq!(exit_code(order(rehearse, force), &report), code, "{report:?}");
            assert_eq!(hint(order(rehearse, force), &report, code).is_some(), code != exit::DONE);
        }
        let refused = report(vec![refuses()], false);
        assert!(hint(order(false, false), &refused, exit::REFUSED).unwrap().contains("--force"));
    }

    #[test]
    fn what_a_member_says_is_named_in_the_table_and_in_json() {
        let remarking =
            |member: MemberVerdict, remark: &str| MemberVerdict { remarks: vec![remark.to_owned()], ..member };
        let members = [
            remarking(member(true, Some(Cause::ClockSkew(412))), "MANIFEST_OLD 3<5"),
            member(true, None),
            remarking(member(false, None), "not reached"),
        ];
        let rows: Vec<Vec<String>> = members.iter().map(row).collect();
        let says: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
        assert_eq!(says, ["CLOCK_SKEW 412 s", "accepts", "not reached"]);
        assert!(!rows[2][5].contains("not reached"));
        assert!(rows[0][5].contains("MANIFEST_OLD 3<5") && rows[0][5].contains("ATTESTATION_MISSING dspt"));
        let json = report_json(&report(vec![member(true, Some(Cause::ClockSkew(412)))], false));
        assert_eq!(json["members"][0]["refused"], "CLOCK_SKEW 412 s");
        assert_eq!((json["part"].as_str(), json["now"].as_str()), (Some("certificate"), Some("prepared")));
    }
}
