//! What the failures of keys, files and trust mean to whoever typed the command.

use careweave_certs::enrolment::EnrolmentError;
use careweave_certs::keystore::KeyStoreError;
use careweave_certs::private_file::PrivateFileError;
use careweave_certs::quorum::QuorumError;
use careweave_certs::staff::StaffError;
use careweave_certs::trust::{NoticeError, TrustError};
use careweave_protocol::cbor::CborError;
use careweave_protocol::signed::SignedError;

use crate::error::{CliError, exit};

impl From<PrivateFileError> for CliError {
    fn from(error: PrivateFileError) -> Self {
        let message = error.to_string();
        match error {
            PrivateFileError::ReadableByOthers { path, .. } => Self::failed("readable-by-others", message)
                .hint(format!("find out who may have read it, then `chmod 600 {}`", path.display())),
            PrivateFileError::Io { .. } => {
                Self::failed("file", message).hint("check the path, and that it is yours to read and write")
            }
            PrivateFileError::TooLong { .. } => Self::failed("file", message),
        }
    }
}

impl From<KeyStoreError> for CliError {
    fn from(error: KeyStoreError) -> Self {
        let (message, hint) = (error.to_string(), error.hint());
        let failed = match error {
            KeyStoreError::File(error) => return error.into(),
            KeyStoreError::PassphraseTooShort(_) => Self::usage(message),
            KeyStoreError::WrongPassphrase => Self::failed("wrong-passphrase", message),
            KeyStoreError::WrongPin { .. } => Self::failed("wrong-pin", message),
            KeyStoreError::PinLocked { .. } => Self::failed("pin-locked", message),
            _ => Self::failed("key", message),
        };
        match hint {
            Some(hint) => failed.hint(hint),
            None => failed,
        }
    }
}

impl From<TrustError> for CliError {
    fn from(error: TrustError) -> Self {
        let message = error.to_string();
        match error {
            TrustError::Quorum(error) => error.into(),
            TrustError::Forked { .. } => Self::new(exit::REFUSED, "forked", message)
                .hint("keep both files as evidence and tell every officer; nothing was taken in"),
            TrustError::OtherPin { .. } => Self::new(exit::REFUSED, "other-pin", message)
                .hint("do not go on: compare the digest of the first manifest with the governance office by telephone"),
            _ => Self::failed("trust", message),
        }
    }
}

impl From<QuorumError> for CliError {
    fn from(error: QuorumError) -> Self {
        let code = match error {
            QuorumError::PreviousOfficers { .. } | QuorumError::OwnOfficers { .. } => "no-quorum",
            _ => "manifest",
        };
        let failed = Self::new(exit::REFUSED, code, error.to_string()).cause(error.cause());
        match error {
            QuorumError::PreviousOfficers { .. } | QuorumError::OwnOfficers { .. } => {
                failed.hint("more officers have to sign: `careweave gov collect` says who; `gov sign` is how")
            }
            QuorumError::Skipped { .. } => failed.hint(
                "catch up through the chain: `careweave gov publish --out FILE` writes every version from the first on",
            ),
            _ => failed,
        }
    }
}

impl From<NoticeError> for CliError {
    fn from(error: NoticeError) -> Self {
        Self::new(exit::REFUSED, "notice", error.to_string())
    }
}

impl From<SignedError> for CliError {
    fn from(error: SignedError) -> Self {
        Self::new(exit::REFUSED, "signature", error.to_string())
            .hint("the file is damaged or of another kind; take it from whoever made it again")
    }
}

impl From<StaffError> for CliError {
    fn from(error: StaffError) -> Self {
        match error {
            StaffError::Signed(error) => error.into(),
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<EnrolmentError> for CliError {
    fn from(error: EnrolmentError) -> Self {
        match error {
            EnrolmentError::Signed(error) => error.into(),
            error => Self::new(exit::REFUSED, "enrolment", error.to_string()),
        }
    }
}

impl From<careweave_certs::authority::AuthorityError> for CliError {
    fn from(error: careweave_certs::authority::AuthorityError) -> Self {
        Self::failed("authority", error.to_string())
    }
}

impl From<CborError> for CliError {
    fn from(error: CborError) -> Self {
        Self::failed("file", error.to_string())
    }
}
