//! Who is asked about: what was typed, and the rest from the own record once it has been shown and confirmed.

use careweave_protocol::desk::warning::Warning;
use careweave_protocol::desk::{DeskReply, DeskRequest, PatientIdentity};
use careweave_protocol::id::NhsNumber;
use careweave_protocol::query::Patient;
use careweave_protocol::time::Date;

use crate::args::clinical::{QuestionArgs, date, family_name};
use crate::context::Context;
use crate::desk::{Desk, DeskError};
use crate::error::{CliError, exit};

/// Number, birth date and family name, all three.
///
/// # Errors
/// [`exit::USAGE`] when something is missing and nobody can be asked; [`exit::NOT_MATCHED`] when what was typed is not what
/// the own record says, or the person shown is not the one meant.
pub(in crate::cmd) async fn complete(
    nhs_number: NhsNumber,
    question: &QuestionArgs,
    desk: &Desk,
    ctx: &mut Context,
) -> Result<Patient, CliError> {
    let patient = |birth_date: Date, family: String| Patient {
        nhs_number,
        birth_date,
        family,
        postcode: question.postcode.clone(),
        other_numbers: Vec::new(),
    };
    if let (Some(birth_date), Some(family)) = (question.dob, &question.family) {
        return Ok(patient(birth_date, family.clone()));
    }
    // Nobody at the keyboard can confirm, so without `--yes` there is no point in looking.
    if !ctx.interactive && !question.yes {
        return Err(CliError::usage("birth date and family name are needed").hint(HINT));
    }
    let DeskReply::Identity(held) = desk.reply(&DeskRequest::Identify(nhs_number)).await? else {
        return Err(DeskError::Unexpected.into());
    };
    let Some(held) = held else {
        ctx.note("your own record has nobody under this number");
        let birth_date = match question.dob {
            Some(birth_date) => birth_date,
            None => ctx.ask_for("Birth date", "the birth date is needed", HINT, date)?,
        };
        let family = match &question.family {
            Some(family) => family.clone(),
            None => ctx.ask_for("Family name", "the family name is needed", HINT, family_name)?,
        };
        return Ok(patient(birth_date, family));
    };
    contradiction(question, &held)?;
    if !question.yes {
        ctx.note(&shown(nhs_number, &held));
        if held.namesake {
            ctx.note(&format!("{} {}", Warning::Namesake.id(), Warning::Namesake.text()));
        }
        let answer = ctx.ask("Is this the patient? (yes/no)", "nobody has confirmed the patient", HINT)?;
        if !matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            return Err(CliError::new(
                exit::NOT_MATCHED,
                "not-matched",
                "the person held under this number is not the one meant",
            )
            .hint("compare the number with its source; nothing was asked of others"));
        }
    }
    let family = question.family.clone().unwrap_or(held.family);
    Ok(patient(question.dob.unwrap_or(held.birth_date), family))
}

/// What is taken from the own record must be about the same person as what was typed.
fn contradiction(question: &QuestionArgs, held: &PatientIdentity) -> Result<(), CliError> {
    match question.dob {
        Some(typed) if typed != held.birth_date => {
            let turned =
                if typed.transposed() == Some(held.birth_date) { "; day and month may be exchanged" } else { "" };
            Err(CliError::new(
                exit::NOT_MATCHED,
                "not-matched",
                "the birth date typed is not the one your own record holds",
            )
            .hint(format!("compare it with the patient or the source{turned}")))
        }
        _ => Ok(()),
    }
}

fn shown(nhs_number: NhsNumber, held: &PatientIdentity) -> String {
    let address = held.address.as_deref().unwrap_or("address not shown");
    format!("{}, born {}, {address}, NHS number {}", held.name, held.birth_date.shown(), nhs_number.spaced())
}

const HINT: &str = "give --dob and --family; or --yes to take both from your own record, in scripts";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn question(dob: Option<Date>) -> QuestionArgs {
        QuestionArgs {
            dob,
            family: None,
            postcode: None,
            reason: None,
            categories: Vec::new(),
            since: None,
            until: None,
            deadline: Duration::from_secs(8),
            new: false,
            yes: true,
        }
    }

    #[test]
    fn a_birth_date_that_is_not_the_one_held_stops_the_question() {
        let held = PatientIdentity {
            name: "Ada Okafor".into(),
            family: "Okafor".into(),
            birth_date: Date::new(1938, 3, 4).unwrap(),
            address: None,
            namesake: false,
        };
        assert!(contradiction(&question(Date::new(1938, 3, 4)), &held).is_ok());
        assert!(contradiction(&question(None), &held).is_ok());
        let other = contradiction(&question(Date::new(1939, 3, 4)), &held).unwrap_err();
        assert_eq!(other.exit, exit::NOT_MATCHED);
        let turned = contradiction(&question(Date::new(1938, 4, 3)), &held).unwrap_err();
        assert!(turned.hint.unwrap().contains("exchanged"));
    }
}
