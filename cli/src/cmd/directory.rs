//! `careweave directory`: the members of the network, from the person's own verified manifest.

use careweave_certs::manifest::Member;
use serde_json::{Value, json};

use crate::args::Output;
use crate::args::clinical::DirectoryArgs;
use crate::context::Context;
use crate::desk::Desk;
use crate::error::{CliError, exit};

/// Prints the members that fit.
///
/// # Errors
/// When the node cannot be asked for what is newer than the profile's own manifest.
pub async fn run(args: &DirectoryArgs, ctx: &mut Context) -> Result<u8, CliError> {
    // Asking the node first brings the profile's manifest up to date.
    let desk = Desk::open(ctx).await?;
    let manifest = desk.manifest();
    let members: Vec<&Member> = manifest.members.iter().filter(|member| fits(member, args)).collect();
    match ctx.output {
        Output::Json => ctx.printer.json(&members.iter().map(|member| json_of(member)).collect::<Vec<Value>>())?,
        Output::Table => {
            ctx.printer.table(&COLUMNS, &members.iter().map(|member| row(member)).collect::<Vec<_>>())?;
        }
    }
    if members.is_empty() {
        ctx.note("no member fits; `careweave directory` lists them all");
    }
    desk.close().await;
    Ok(exit::DONE)
}

fn fits(member: &Member, args: &DirectoryArgs) -> bool {
    let same = |wanted: &str| member.neighbourhood.as_deref().is_some_and(|held| held.eq_ignore_ascii_case(wanted));
    args.kind.is_none_or(|kind| member.kind == kind) && args.neighbourhood.as_deref().is_none_or(same)
}

fn row(member: &Member) -> Vec<String> {
    vec![
        member.ods.to_string(),
        member.name.clone(),
        member.kind.to_string(),
        member.care_setting.clone(),
        member.neighbourhood.clone().unwrap_or_default(),
        member.stage.as_str().to_owned(),
        member.duty_contact.clone(),
    ]
}

fn json_of(member: &Member) -> Value {
    json!({
        "ods": member.ods,
        "name": member.name,
        "kind": member.kind.as_str(),
        "care_setting": member.care_setting,
        "neighbourhood": member.neighbourhood,
        "stage": member.stage.as_str(),
        "duty_contact": member.duty_contact,
    })
}

const COLUMNS: [&str; 7] = ["ODS", "NAME", "TYPE", "SETTING", "NEIGHBOURHOOD", "STAGE", "DUTY CONTACT"];
