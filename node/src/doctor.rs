//! The node looks at itself, and asks every member what they think of it: one line for each thing, worst things named.
//!
//! Here: the lines, and what the members say (their verdicts and clocks). `standing` is what this organisation shows and believes,
//! `machine` what it runs on. Nothing is changed by looking.

mod machine;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use careweave_protocol::desk::{DoctorLine, Health, MemberVerdict};
use careweave_protocol::limits::CLOCK_SKEW;
use careweave_protocol::query::Cause;
use careweave_protocol::time::Timestamp;

use crate::rehearse;
use crate::services::Services;

/// Looks at everything. Takes as long as the slowest member that is asked.
pub async fn examine(services: &Arc<Services>) -> Vec<DoctorLine> {
    let verdicts = rehearse::ask_all(services, None).await;
    let mut lines = vec![clock(&verdicts)];
    let local = {
        let services = Arc::clone(services);
        // Keys may lie in a token and the disk may be slow.
        tokio::task::spawn_blocking(move || {
            let now = services.clock.now();
            let mut lines = standing::lines(&services, now);
            lines.extend(machine::lines(&services, now));
            lines
        })
    };
    match local.await {
        Ok(local) => lines.extend(local),
        Err(error) => {
            lines.push(failing("examination", format!("it ended early: {error}"), "the node's log says more"))
        }
    }
    lines.extend(verdicts.iter().map(member));
    lines
}

/// Our clock against the median of the members': half of them would have to be wrong for that to be.
fn clock(verdicts: &[MemberVerdict]) -> DoctorLine {
    let mut skews: Vec<i64> = verdicts.iter().filter_map(|verdict| verdict.skew).collect();
    skews.sort_unstable();
    let Some(median) = skews.get(skews.len() / 2).copied() else {
        return good("clock", "no member was reached to compare it with".to_owned());
    };
    // What is ahead there is behind here.
    let side = if median > 0 { "behind" } else { "ahead of" };
    let said = match (median, skews.len()) {
        (0, count) => format!("agrees with the median of {count} members"),
        (_, count) => format!("{} s {side} the median of {count} members", median.unsigned_abs()),
    };
    let hint = "let NTP set the clock of this machine; members accept 5 minutes either way";
    match median.unsigned_abs() {
        skew if skew > CLOCK_SKEW.as_secs() => failing("clock", format!("CLOCK_SKEW: {said}"), hint),
        skew if skew > SKEW_NOTED => warning("clock", said, hint),
        _ => good("clock", said),
    }
}

fn member(verdict: &MemberVerdict) -> DoctorLine {
    let what = format!("member {}", verdict.ods);
    if !verdict.reached {
        // Whoever is stopped is not asked, and there is nothing to do about that here.
        if verdict.remarks.iter().any(|remark| remark.starts_with("SUSPENDED")) {
            return good(&what, verdict.remarks.join("; "));
        }
        let why: Vec<&str> = verdict.remarks.iter().map(String::as_str).filter(|why| *why != "not reached").collect();
        let said = if why.is_empty() { "not reached".to_owned() } else { format!("not reached: {}", why.join("; ")) };
        let hint = "`careweave node peers` shows where it was looked for; its duty contact may know why";
        return warning(&what, said, hint);
    }
    if let Some(cause) = &verdict.refused {
        return failing(&what, format!("would refuse us: {cause}"), remedy(cause));
    }
    if let Some(lapse) = verdict.lapses.first() {
        let all: Vec<String> = verdict.lapses.iter().map(Cause::to_string).collect();
        return failing(&what, format!("would refuse all but emergencies: {}", all.join(", ")), remedy(lapse));
    }
    let skew = verdict.skew.unwrap_or(0);
    let mut remarks = verdict.remarks.clone();
    if skew.unsigned_abs() > SKEW_NOTED {
        remarks.push(format!("its clock is {} s {}", skew.unsigned_abs(), if skew > 0 { "ahead" } else { "behind" }));
    }
    if !remarks.is_empty() {
        return warning(&what, format!("accepts us; {}", remarks.join("; ")), "tell its duty contact");
    }
    let version = verdict.manifest_version.map_or_else(String::new, |version| format!("; manifest {version}"));
    good(&what, format!("accepts us; clock {skew:+} s{version}"))
}

/// What this organisation can do about being refused.
fn remedy(cause: &Cause) -> &'static str {
    match cause {
        Cause::ClockSkew(_) => {
            "let NTP set the clock of whichever machine is off; the line `clock` says whether it is this one"
        }
        Cause::CertExpired | Cause::CertNotYetValid | Cause::CertInvalid | Cause::KeyNotPinned => {
            "`careweave cert status` shows what is wrong with certificate and key"
        }
        Cause::BindingExpired | Cause::BindingInvalid | Cause::KeyRetired => {
            "start the node again with its present keys; bindings are renewed every 12 hours while it runs"
        }
        Cause::AttestationMissing(_) | Cause::AttestationExpired(..) | Cause::AttestationBelow(..) => {
            "the registrar attests it anew, then `careweave cert install`"
        }
        Cause::ManifestRollback { .. } | Cause::ManifestExpired | Cause::BeaconStale(_) => {
            "the governance office publishes a newer manifest; every connected node has it within a minute"
        }
        Cause::Suspended | Cause::NotAMember | Cause::NotLive(_) => "ask the governance office",
        _ => "docs/certificates.md says what each cause means and what to do",
    }
}

fn good(what: &str, said: String) -> DoctorLine {
    DoctorLine { what: what.to_owned(), health: Health::Good, said, hint: None }
}

fn warning(what: &str, said: String, hint: &str) -> DoctorLine {
    DoctorLine { what: what.to_owned(), health: Health::Warning, said, hint: Some(hint.to_owned()) }
}

fn failing(what: &str, said: String, hint: &str) -> DoctorLine {
    DoctorLine { what: what.to_owned(), health: Health::Failing, said, hint: Some(hint.to_owned()) }
}

/// Something that ends: failing when it has, a warning when it will within `soon`.
fn ending(what: &str, said: &str, ends: (Timestamp, Duration), now: Timestamp, hint: &str) -> DoctorLine {
    let (at, soon) = ends;
    let until = at.rfc3339();
    if at <= now {
        return failing(what, format!("{said}: over since {until}"), hint);
    }
    let left = in_words(at.since(now));
    if at.since(now) <= soon {
        warning(what, format!("{said}: until {until}, {left} left"), hint)
    } else {
        good(what, format!("{said}: until {until}, {left} left"))
    }
}

/// A duration as people say it: in days, hours or minutes, rounded down.
fn in_words(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 2 * DAY => format!("{} days", seconds / DAY),
        seconds if seconds >= 2 * HOUR => format!("{} hours", seconds / HOUR),
        seconds => format!("{} minutes", seconds / 60),
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// A clock under NTP is within a second; a minute is worth a word long before anybody refuses.
const SKEW_NOTED: u64 = 60;
/// Ends are warned of from 30 days on (the design's first threshold).
const SOON: Duration = Duration::from_secs(30 * DAY);

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(refused: Option<Cause>, skew: Option<i64>) -> MemberVerdict {
        MemberVerdict {
            ods: "R9A".parse().unwrap(),
            name: "Acute hospital trust".to_owned(),
            reached: skew.is_some(),
            refused,
            lapses: Vec::new(),
            skew,
            manifest_version: skew.map(|_| 5),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn the_clock_is_judged_by_the_median_so_one_wrong_member_does_not_count() {
        let of = |skews: &[i64]| clock(&skews.iter().map(|s| verdict(None, Some(*s))).collect::<Vec<_>>());
        assert_eq!(of(&[0, 1, 3_000]).health, Health::Good);
        assert_eq!(of(&[-2, 90, 91]).health, Health::Warning);
        let wrong = of(&[412, 411, 0]);
        assert_eq!(wrong.health, Health::Failing);
        assert!(wrong.said.contains("CLOCK_SKEW") && wrong.said.contains("411 s behind"), "{}", wrong.said);
        assert!(of(&[-412]).said.contains("412 s ahead of"));
        assert_eq!(clock(&[verdict(None, None)]).health, Health::Good);
    }

    #[test]
    fn a_member_that_would_refuse_us_is_a_failure_with_its_cause_and_one_that_is_silent_a_warning() {
        let accepted = member(&verdict(None, Some(0)));
        assert_eq!((accepted.health, accepted.hint), (Health::Good, None));
        let refused = member(&verdict(Some(Cause::CertExpired), Some(0)));
        assert_eq!(refused.health, Health::Failing);
        assert!(refused.said.contains("CERT_EXPIRED") && refused.hint.unwrap().contains("cert status"));
        assert_eq!(member(&verdict(None, None)).health, Health::Warning);
        let unknown = MemberVerdict { remarks: vec!["no address is known".to_owned()], ..verdict(None, None) };
        assert_eq!(member(&unknown).said, "not reached: no address is known");
        let stopped = MemberVerdict { remarks: vec!["SUSPENDED: not asked".to_owned()], ..verdict(None, None) };
        assert_eq!(member(&stopped).health, Health::Good);
        assert_eq!(member(&verdict(None, Some(170))).health, Health::Warning);

        let lapse = Cause::AttestationMissing("dspt".to_owned());
        let lapsed = member(&MemberVerdict { lapses: vec![lapse], ..verdict(None, Some(0)) });
        assert_eq!(lapsed.health, Health::Failing);
        let old = MemberVerdict { remarks: vec!["MANIFEST_OLD 3<5".to_owned()], ..verdict(None, Some(0)) };
        assert!(member(&old).said.contains("MANIFEST_OLD 3<5"));
        assert_eq!(member(&old).health, Health::Warning);
    }

    #[test]
    fn an_end_is_a_warning_before_and_a_failure_after() {
        let now = Timestamp(1_000_000_000_000);
        let health = |at: Timestamp| ending("certificate", "it", (at, SOON), now, "hint").health;
        assert_eq!(health(now.after(SOON + Duration::from_millis(1))), Health::Good);
        assert_eq!(health(now.after(SOON)), Health::Warning);
        assert_eq!(health(now), Health::Failing);
        assert_eq!(in_words(Duration::from_secs(3 * DAY + 5)), "3 days");
        assert_eq!(in_words(Duration::from_secs(DAY)), "24 hours");
        assert_eq!(in_words(Duration::from_secs(90)), "1 minutes");
    }
}
