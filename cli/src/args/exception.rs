//! What a Caldicott guardian types to hide a medicine from other organisations.

use careweave_protocol::id::NhsNumber;
use careweave_protocol::time::Date;
use clap::{Args, Subcommand};

use super::clinical::{date, nhs_number};

/// `careweave exception`.
#[derive(Debug, Subcommand)]
pub enum ExceptionCommand {
    /// Hide one medicine of one patient from other organisations
    Add(ExceptionAddArgs),
    /// Show it again
    End(ExceptionEndArgs),
    /// List what is hidden now
    #[command(after_help = "Examples:\n  careweave exception list\n  careweave exception list -o json")]
    List,
}

/// `careweave exception add`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave exception add 9990010013 --record MedicationRequest/7 --reason court-order
  careweave exception add 9990010013 --record MedicationRequest/7 --reason court-order --until 2026-12-31

For Caldicott guardians and privacy officers (IG) of the organisation that holds the record. It is signed with your own key
and ends by itself after 90 days at most. Everybody else who may see medicines is told: MEDICINE NOT SHOWN, may interact, ring
the duty contact. Dispensings, statements and administrations of the same coded medicine are hidden with it. One that names the
medicine in words only must be named itself; so must a copy under another code, and letters are hidden by their labels only.")]
pub struct ExceptionAddArgs {
    /// NHS number, with or without spaces; asked for when left out
    #[arg(value_name = "NHS", value_parser = nhs_number)]
    pub nhs_number: Option<NhsNumber>,
    /// The medicine: FHIR resource type and id, as the view's JSON shows them
    #[arg(long, value_name = "TYPE/ID", value_parser = record)]
    pub record: Record,
    /// Why it must be hidden (coded or local)
    #[arg(long, value_name = "CODE", value_parser = reason)]
    pub reason: String,
    /// Last day; 90 days from now unless told, and at most
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub until: Option<Date>,
}

/// `careweave exception end`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  careweave exception end 9990010013 --record MedicationRequest/7")]
pub struct ExceptionEndArgs {
    /// NHS number, with or without spaces; asked for when left out
    #[arg(value_name = "NHS", value_parser = nhs_number)]
    pub nhs_number: Option<NhsNumber>,
    /// The medicine: FHIR resource type and id, as `exception list` shows them
    #[arg(long, value_name = "TYPE/ID", value_parser = record)]
    pub record: Record,
    /// Why it is shown again (coded or local)
    #[arg(long, value_name = "CODE", value_parser = reason, default_value = "no-longer-needed")]
    pub reason: String,
}

/// A record by type and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// FHIR resource type.
    pub resource_type: String,
    /// Logical id.
    pub id: String,
}

/// Reads `MedicationRequest/7`.
fn record(text: &str) -> Result<Record, String> {
    let unlike = || format!("a medicine is written as type and id: {}/7", MEDICINES.join("/7, "));
    let (resource_type, id) = text.trim().split_once('/').ok_or_else(unlike)?;
    let fits = MEDICINES.contains(&resource_type)
        && !id.is_empty()
        && id.len() <= careweave_protocol::limits::TEXT_MAX
        && !id.contains('/');
    if !fits {
        return Err(unlike());
    }
    Ok(Record { resource_type: resource_type.to_owned(), id: id.to_owned() })
}

/// Reads a reason: any text that is not blank.
fn reason(text: &str) -> Result<String, String> {
    let reason = text.trim();
    if reason.is_empty() || reason.len() > careweave_protocol::limits::TEXT_MAX {
        return Err("a reason has 1 to 256 characters".to_owned());
    }
    Ok(reason.to_owned())
}

/// The resources of the category `medications`.
const MEDICINES: [&str; 5] =
    ["MedicationRequest", "MedicationStatement", "MedicationDispense", "MedicationAdministration", "Medication"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_medicine_with_its_id() {
        let read = record(" MedicationRequest/abc-7 ").unwrap();
        assert_eq!((read.resource_type.as_str(), read.id.as_str()), ("MedicationRequest", "abc-7"));
        for wrong in ["MedicationRequest", "MedicationRequest/", "Condition/7", "MedicationRequest/7/_history/2", ""] {
            assert!(record(wrong).is_err(), "{wrong}");
        }
    }
}
