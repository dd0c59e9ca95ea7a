//! What a care home types to keep its register of residents.

use careweave_protocol::id::NhsNumber;
use careweave_protocol::time::Date;
use clap::{Args, Subcommand};

use super::clinical::{date, family_name, nhs_number};

/// `careweave residents`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave residents
  careweave residents --all
  careweave residents -o json | jq -r '.[].nhs_number'

For everybody whose role may look up patients for direct care. Each look is logged.")]
pub struct ResidentsArgs {
    /// Also those who left, and those who are yet to come
    #[arg(long)]
    pub all: bool,
}

/// `careweave resident`.
#[derive(Debug, Subcommand)]
pub enum ResidentCommand {
    /// Enter somebody who moves in, for good or for respite
    Add(ResidentAddArgs),
    /// Enter that somebody has left, or when a stay is to end
    Leave(ResidentLeaveArgs),
}

/// `careweave resident add`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave resident add                            asks for number, birth date and family name
  careweave resident add 9990010013 --dob 14/03/1938 --family Okafor --room 14
  careweave resident add 9990010013 --dob 14/03/1938 --family Okafor --until 2026-11-20      respite

For registered nurses and senior carers (CHN, CHS) of a member that is a care home. A stay in hospital does not end residency:
enter nothing for it.")]
pub struct ResidentAddArgs {
    /// NHS number, with or without spaces; asked for when left out
    #[arg(value_name = "NHS", value_parser = nhs_number)]
    pub nhs_number: Option<NhsNumber>,
    /// Birth date: 1938-03-14, 14/03/1938 or 14-Mar-1938; asked for when left out
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub dob: Option<Date>,
    /// Family name; asked for when left out
    #[arg(long, value_name = "NAME", value_parser = family_name)]
    pub family: Option<String>,
    /// First day of the stay; now unless told
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub since: Option<Date>,
    /// Last day of the stay, for respite
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub until: Option<Date>,
    /// Room or unit
    #[arg(long, value_name = "R", value_parser = room)]
    pub room: Option<String>,
}

/// `careweave resident leave`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  careweave resident leave 9990010013
  careweave resident leave 9990010013 --on 2026-11-02
  careweave resident leave 9990010013 --on 2026-12-24      a day yet to come becomes the end of the stay

For registered nurses and senior carers (CHN, CHS) of a member that is a care home. From then on nobody of the home sees the
person's records elsewhere; views under way stop at once. A stay in hospital does not end residency.")]
pub struct ResidentLeaveArgs {
    /// NHS number, with or without spaces; asked for when left out
    #[arg(value_name = "NHS", value_parser = nhs_number)]
    pub nhs_number: Option<NhsNumber>,
    /// Last day of the stay; now unless told
    #[arg(long, value_name = "DATE", value_parser = date)]
    pub on: Option<Date>,
}

/// Reads a room: any text that is not blank.
fn room(text: &str) -> Result<String, String> {
    let room = text.trim();
    if room.is_empty() || room.len() > careweave_protocol::limits::TEXT_MAX {
        return Err("a room has 1 to 256 characters".to_owned());
    }
    Ok(room.to_owned())
}
