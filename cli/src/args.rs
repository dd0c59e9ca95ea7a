//! All of the command line, as clap reads it.

pub mod audit;
pub mod break_glass;
pub mod cert;
pub mod clinical;
pub mod enrol;
pub mod exception;
pub mod governance;
pub mod node_init;
pub mod operate;
pub mod resident;
pub mod review;
pub mod staff;
pub mod values;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use audit::AuditCommand;
use break_glass::BreakGlassArgs;
use cert::CertCommand;
use clinical::{DirectoryArgs, EmergencyArgs, ExplainArgs, ViewArgs};
use exception::ExceptionCommand;
use governance::GovCommand;
use operate::{CompletionsArgs, ImportArgs, ManArgs, NodeCommand};
use resident::{ResidentCommand, ResidentsArgs};
use review::ReviewCommand;
use staff::{AgentArgs, LoginArgs, StaffCommand};

/// Sees one patient's records from every organisation of the network that holds some, and runs the network.
#[derive(Debug, Parser)]
#[command(name = "careweave", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Directory with your node's address, network, staff key and credential
    #[arg(long, global = true, value_name = "DIR", env = "CAREWEAVE_PROFILE")]
    pub profile: Option<PathBuf>,
    /// Form of the data on stdout
    #[arg(short, long, global = true, value_enum, default_value_t = OutputForm::Table)]
    pub output: OutputForm,
    /// No colour, as with NO_COLOR set
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Say more on stderr
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub verbose: bool,
}

/// Forms of output, as they are typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// For people
    Table,
    /// For programs; field names are stable
    Json,
    /// A view as an HL7 FHIR R4 Bundle with the records as their holders released them
    Fhir,
    /// A view as one self-contained page, to read and to print
    Html,
}

/// Forms in which every command prints, and in which errors are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl OutputForm {
    /// The form of everything that is not a view: errors, notes, other commands.
    #[must_use]
    pub fn plain(self) -> Output {
        match self {
            Self::Json => Output::Json,
            Self::Table | Self::Fhir | Self::Html => Output::Table,
        }
    }

    /// Whether only a view has this form.
    #[must_use]
    pub fn is_of_a_view(self) -> bool {
        matches!(self, Self::Fhir | Self::Html)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// See one patient's records from every source that may share them
    View(ViewArgs),
    /// See one patient's records in an emergency (a prompted `view --for emergency`)
    Emergency(EmergencyArgs),
    /// Open what your role does not read, for an hour at most; privacy officers are alerted and a review opens
    BreakGlass(BreakGlassArgs),
    /// List the residents of your care home, to pick from
    Residents(ResidentsArgs),
    /// Keep your care home's register of residents
    #[command(subcommand)]
    Resident(ResidentCommand),
    /// Hide a medicine from other organisations, as the Caldicott guardian
    #[command(subcommand)]
    Exception(ExceptionCommand),
    /// Say why a query was answered or refused as it was
    Explain(ExplainArgs),
    /// List the organisations of the network
    Directory(DirectoryArgs),
    /// Load FHIR files into the own node
    Import(ImportArgs),
    /// Set up and look after the own node
    #[command(subcommand)]
    Node(NodeCommand),
    /// Read and check the own node's audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Look at reviews of break-glass and emergency views, and close them
    #[command(subcommand)]
    Review(ReviewCommand),
    /// Unlock your staff key until it has been idle for a while
    Login(LoginArgs),
    /// Lock your staff key again
    #[command(after_help = "Examples:\n  careweave logout")]
    Logout,
    /// Ask for, issue and revoke staff credentials
    #[command(subcommand)]
    Staff(StaffCommand),
    /// Look after the organisation's certificate
    #[command(subcommand)]
    Cert(CertCommand),
    /// Run the governance office
    #[command(subcommand)]
    Gov(GovCommand),
    /// Keep an unlocked key for `login`
    #[command(hide = true)]
    Agent(AgentArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
    /// Write man pages
    Man(ManArgs),
}

const EXAMPLES: &str = "\
Examples:
  careweave login
  careweave view
  careweave view 9990010013 --dob 14/03/1938 --family Okafor -o json
  CAREWEAVE_PROFILE=.demo/staff/Y91001-gp careweave view 9990010013 --yes

Exit codes: 0 done, 1 failed, 2 usage, 3 partial, 4 refused, 5 patient not safely matched, 6 not eligible.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
