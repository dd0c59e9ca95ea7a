//! Behaviour tests: real nodes, real sockets, real processes, asked through the command line as people ask.
//!
//! Every test that grants has a twin that is refused, and both look into the logs. Tests that only read share one network;
//! tests that break something have one of their own. `CAREWEAVE_LONG=1` runs the long forms, `CAREWEAVE_KEEP=1` leaves the
//! directories where they are.

#[cfg(test)]
mod break_glass;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod ceremony;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod eligibility;
#[cfg(test)]
mod enrolment;
#[cfg(test)]
mod exceptions;
#[cfg(test)]
mod import;
#[cfg(test)]
mod manners;
#[cfg(test)]
mod outputs;
#[cfg(test)]
mod people;
#[cfg(test)]
mod people_credentials;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod r4;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod residents;
#[cfg(test)]
mod roles;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod scene;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod standards;
#[cfg(test)]
mod suspension;
#[cfg(test)]
mod time;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod unavailable;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod view;
#[cfg(test)]
mod wire;
