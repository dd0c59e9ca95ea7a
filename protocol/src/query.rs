//! One query: what a person signs, what their node sends, what comes back, and what it all adds up to.

pub mod acknowledgement;
pub mod answer;
pub mod ask;
pub mod cause;
pub mod completeness;
pub mod envelope;
pub mod evidence;
pub mod grant;
pub mod purpose;

pub use acknowledgement::{Acknowledgement, AcknowledgementBatch};
pub use answer::{AnswerFrame, AnswerHeader, AnswerOutcome, CreditFrame, InclusionProof, RecordHead};
pub use ask::{Patient, Period, Query};
pub use cause::Cause;
pub use completeness::{Completeness, SourceLine, SourceOutcome};
pub use envelope::Envelope;
pub use evidence::{Evidence, Relationship};
pub use grant::BreakGlassGrant;
pub use purpose::Purpose;
