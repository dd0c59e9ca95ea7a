//! What the node's refusals and failures mean to the person: exit code, words, and what to do.

use careweave_protocol::desk::DeskReply;
use careweave_protocol::query::Cause;

use super::connection::ConnectError;
use super::frames::FramesError;
use super::{DeskError, Incomplete};
use crate::error::{CliError, exit};

/// Sorts the replies that end a command without what was asked for from those that do not.
///
/// # Errors
/// For [`DeskReply::Refused`], [`DeskReply::NotAllowed`], [`DeskReply::NotMatched`], [`DeskReply::NotDone`] and [`DeskReply::Failed`].
pub(super) fn sort(reply: DeskReply) -> Result<DeskReply, CliError> {
    match reply {
        DeskReply::Refused(cause) => {
            Err(CliError::refused(&cause, format!("your node refused: {cause}")).hint(advice(&cause)))
        }
        DeskReply::NotAllowed(scope) => {
            let error = |message: String| CliError::new(exit::REFUSED, "not-allowed", message);
            Err(if scope == CLINICAL {
                error("your role may not look up patients".to_owned())
                    .hint("whoever issues credentials in your organisation knows which role you have")
            } else {
                // A scope is one word; what else is needed names itself.
                let needed = if scope.contains(' ') { scope } else { format!("the scope {scope}") };
                error(format!("your credential does not allow this: it needs {needed}")).hint(
                    "use the profile of somebody who has it, or ask whoever issues credentials in your organisation",
                )
            })
        }
        DeskReply::NotMatched(reason) => Err(CliError::new(exit::NOT_MATCHED, "not-matched", reason).hint(
            "compare number, birth date and family name with the patient or the source; nothing was asked of others",
        )),
        DeskReply::NotDone { why, hint } => Err(CliError::failed("not-done", why).hint(hint)),
        DeskReply::Failed(reason) => Err(CliError::failed("node-failed", reason)
            .hint("the node's log says more; `careweave node status` shows its state")),
        reply => Ok(reply),
    }
}

/// What somebody can do about a cause.
#[must_use]
pub fn advice(cause: &Cause) -> &'static str {
    match cause {
        Cause::NotAMember => {
            "your organisation is not in the manifest; its governance contact can propose its admission"
        }
        Cause::Suspended => "access was suspended by a governance officer; ask your information governance lead",
        Cause::KeyNotPinned
        | Cause::CertInvalid
        | Cause::AuthorityTainted
        | Cause::CertExpired
        | Cause::CertNotYetValid => {
            "the organisation's certificate needs attention; IT can look with `careweave cert status`"
        }
        Cause::BindingInvalid | Cause::BindingExpired => {
            "the node's endpoint binding needs renewal; IT can look with `careweave node status`"
        }
        Cause::OtherNetwork => "profile and node belong to different networks; check the profile in use (--profile)",
        Cause::Incompatible => "command line and node are of different generations; update the older one",
        Cause::ClockSkew(_) => "set the clock (NTP) of the machine that is off, then try again",
        Cause::ManifestRollback { .. } | Cause::ManifestExpired | Cause::BeaconStale(_) => {
            "the node has not heard from the network for too long; IT can look with `careweave node peers`"
        }
        Cause::AttestationMissing(_) | Cause::AttestationExpired(..) => {
            "the organisation's security standard or agreement has lapsed; its registrar can attest it anew"
        }
        Cause::AttestationBelow(..) => {
            "the organisation's published security status is below what the network asks for; its registrar attests the new one"
        }
        Cause::NotLive(_) => {
            "the organisation is admitted but not yet in use; its governance contact plans the rollout"
        }
        Cause::KeyRetired => "an old key of the node is in use; IT must run the node with its present keys",
        Cause::InvitationInvalid => "ask the governance office for a new one-time code",
        Cause::NoEnrolmentService => "the manifest names the members that run one; `careweave gov show` lists them",
        Cause::ApprovalMissing => {
            "two colleagues must approve this credential: `careweave staff approve`, then have it issued again"
        }
        Cause::TrainingLapsed(_) => {
            "complete your data security training, then have your credential renewed; an emergency view stays open"
        }
        Cause::CredentialInvalid | Cause::CredentialExpired | Cause::CredentialRevoked => {
            "have your credential renewed by whoever issues credentials in your organisation"
        }
        Cause::PurposeNotGranted(_) => {
            "your role may not look for this purpose; where it has another, `--for` names it"
        }
        Cause::SignatureInvalid => {
            "your key and credential do not belong together; check the profile in use (--profile)"
        }
        Cause::GrantInvalid => {
            "the break-glass grant does not hold, or is over; make a new one with `careweave break-glass`"
        }
        Cause::RelationshipEnded => {
            "what tied your organisation to the patient ended while you looked; in an emergency use `careweave emergency`"
        }
        Cause::OwnReview => "the review is about you: somebody else with the scope audit has to close it",
        Cause::QueryStale => "ask again; if it keeps happening, check this machine's clock",
        Cause::Replayed => "ask again: every view is a question of its own",
        Cause::QuotaExceeded => {
            "the day's number of different patients is used up; ask your information governance lead"
        }
        Cause::LogRollback | Cause::LogUnavailable => {
            "the node cannot keep its audit log, so it does not answer; IT must look at the node at once"
        }
        Cause::Malformed => "command line and node do not understand each other; update the older one",
    }
}

impl From<DeskError> for CliError {
    fn from(error: DeskError) -> Self {
        let message = error.to_string();
        match error {
            DeskError::Connect(ConnectError::AddressWithoutPeer) => Self::failed("profile", message)
                .hint("the desk address in the profile is wrong; fetch it from `careweave node init` again"),
            DeskError::Connect(ConnectError::OtherNode(_)) => Self::failed("wrong-node", message)
                .hint("do not go on: check the desk address in the profile with your IT"),
            DeskError::Connect(_) => Self::failed("not-reachable", message)
                .hint("is `careweaved` running, and is its desk address the one in your profile?"),
            DeskError::Refused(cause) => Self::refused(&cause, message).hint(advice(&cause)),
            // The own organisation was suspended or left the network: that is standing, not a fault.
            DeskError::NodeNotTrusted(cause) if cause.is_eligibility() => {
                Self::refused(&cause, message).hint(advice(&cause))
            }
            DeskError::NodeNotTrusted(cause) => {
                Self::failed("node-not-trusted", message).cause(&cause).hint(advice(&cause))
            }
            DeskError::Trust(_) => Self::failed("trust", message)
                .hint("do not go on: tell your governance officers, and verify with `careweave gov verify`"),
            DeskError::Incomplete(Incomplete::OtherManifest { .. }) => Self::failed("incomplete", message)
                .hint("ask again; node and command line learn of a new manifest within a minute"),
            DeskError::Incomplete(_) => Self::failed("incomplete", message)
                .hint("nothing was shown, because it may be less than it says; report this to your IT"),
            DeskError::Busy(_) => Self::failed("busy", message).hint("try again in a moment"),
            DeskError::Frames(FramesError::Io(_)) | DeskError::NoReply(_) => {
                Self::failed("no-reply", message).hint("the node may be busy or stopping; try again, or see its log")
            }
            DeskError::Frames(_) | DeskError::Assembly(_) | DeskError::NotADesk | DeskError::Unexpected => {
                Self::failed("unexpected-reply", message)
                    .hint("command line and node may be of different generations; update the older one")
            }
            DeskError::Key => Self::failed("key", message).hint("check the profile in use (--profile)"),
        }
    }
}

/// What a node names in place of a scope when a role has no clinical purpose at all.
const CLINICAL: &str = "clinical";

#[cfg(test)]
mod tests {
    use super::*;
    use careweave_protocol::time::Date;

    #[test]
    fn every_reply_that_ends_a_command_has_its_exit_code_and_a_hint() {
        let lapsed = Cause::TrainingLapsed(Date::new(2026, 11, 1).unwrap());
        for (reply, exit, code) in [
            (DeskReply::Refused(lapsed), 6, "not-eligible"),
            (DeskReply::Refused(Cause::Suspended), 6, "not-eligible"),
            (DeskReply::Refused(Cause::QuotaExceeded), 4, "refused"),
            (DeskReply::NotAllowed("operate".into()), 4, "not-allowed"),
            (DeskReply::NotMatched("birth date differs".into()), 5, "not-matched"),
            (DeskReply::Failed("disk full".into()), 1, "node-failed"),
        ] {
            let error = sort(reply).unwrap_err();
            assert_eq!((error.exit, error.code), (exit, code));
            assert!(error.hint.is_some());
        }
        assert!(sort(DeskReply::Published("manifest 7".into())).is_ok());
    }

    #[test]
    fn a_named_cause_is_kept_for_programs() {
        let lapsed = Cause::TrainingLapsed(Date::new(2026, 11, 1).unwrap());
        let error = CliError::from(DeskError::Refused(lapsed));
        assert_eq!(error.exit, 6);
        assert_eq!(error.cause.as_deref(), Some("TRAINING_LAPSED 2026-11-01"));
        let error = CliError::from(DeskError::NodeNotTrusted(Cause::KeyNotPinned));
        assert_eq!((error.exit, error.code), (1, "node-not-trusted"));
        let error = CliError::from(DeskError::NodeNotTrusted(Cause::Suspended));
        assert_eq!((error.exit, error.code), (6, "not-eligible"));
    }
}
