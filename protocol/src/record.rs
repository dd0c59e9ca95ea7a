//! What is held: categories, labels, codes, and the header by which a record is chosen without reading it.

pub mod category;
pub mod code;
pub mod form;
pub mod header;
pub mod label;
pub mod merkle;

pub use category::{Category, UnknownCategory};
pub use code::Coding;
pub use form::Form;
pub use header::{FormHash, Header};
pub use label::{Label, Labels};
