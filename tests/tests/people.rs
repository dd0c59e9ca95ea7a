//! A walk past every hard person of the population: what is shown, what is warned of and under which id of the hazard log, what is
//! not released, and what the holder's log says about it. What makes each of them hard stands at their constructors
//! (`careweave_tests::population::hard`).

mod access;
mod decisions;
mod history;
mod medicines;
mod names;
mod numbers;
mod oddities;
mod ties;
mod whereabouts;

use careweave_tests::network::Output;
use careweave_tests::population::hard::HardPerson;
use serde_json::Value;

use crate::scene::{Patient, decision, demo, query_id, rows, source, view};

impl From<HardPerson> for Patient {
    fn from(hard: HardPerson) -> Self {
        Self {
            nhs_number: hard.nhs_number.to_owned(),
            birth_date: hard.birth_date.to_string(),
            family: hard.family.to_owned(),
        }
    }
}

/// A view in which every asked source replied and something is shown.
fn see(profile: &str, who: impl Into<Patient>, more: &[&str]) -> Value {
    view(demo(), profile, &who.into(), more).expect_status(0).unwrap().json().unwrap()
}

/// A view in another output form than JSON.
fn printed(profile: &str, who: impl Into<Patient>, form: &str) -> Output {
    let who = who.into();
    let asked = ["view", &who.nhs_number, "--dob", &who.birth_date, "--family", &who.family, "-o", form];
    demo().cli(profile, &asked).unwrap().expect_status(0).unwrap()
}

/// Every form in which a view comes, as one text each.
fn every_form(profile: &str, who: &Patient) -> Vec<(&'static str, String)> {
    let form = |form: &'static str| (form, printed(profile, who.clone(), form).everything());
    ["json", "table", "html", "fhir"].map(form).into()
}

/// `careweave break-glass` in JSON, whatever its exit code.
fn break_glass(profile: &str, who: impl Into<Patient>, categories: &str) -> Output {
    let who = who.into();
    let asked = ["break-glass", &who.nhs_number, "--dob", &who.birth_date, "--family", &who.family, "-o", "json"];
    let why = ["--reason", "acute-confusion", "--text", "cannot say for themselves", "--yes", "--category", categories];
    demo().cli(profile, &[asked.as_slice(), &why].concat()).unwrap()
}

/// What a warning is about, where the view carries it.
fn warning<'a>(view: &'a Value, id: &str) -> Option<&'a str> {
    let all = view["warnings"].as_array().unwrap();
    all.iter().find(|warning| warning["id"] == id).map(|warning| warning["about"].as_str().unwrap())
}

/// What a warning is about.
fn warned<'a>(view: &'a Value, id: &str) -> &'a str {
    warning(view, id).unwrap_or_else(|| panic!("{id} is not among {:#}", view["warnings"]))
}

fn not_warned(view: &Value, id: &str) {
    assert_eq!(warning(view, id), None, "{id}");
}

/// The texts of one category's rows, with who holds each: `R9A: Latex allergy`.
fn listed(view: &Value, category: &str) -> Vec<String> {
    let of = rows(view).into_iter().filter(|(name, _)| *name == category);
    of.map(|(_, row)| format!("{}: {}", row["source"]["ods"].as_str().unwrap(), row["text"].as_str().unwrap()))
        .collect()
}

/// The one row of a category at a source whose text begins with these words.
fn row<'a>(view: &'a Value, category: &str, ods: &str, words: &str) -> &'a Value {
    let fits = |(name, row): &(&str, &Value)| {
        *name == category && row["source"]["ods"] == ods && row["text"].as_str().unwrap().starts_with(words)
    };
    let found: Vec<_> = rows(view).into_iter().filter(fits).map(|(_, row)| row).collect();
    assert_eq!(found.len(), 1, "{words} in {:?}", listed(view, category));
    found[0]
}

/// Key facts of one kind.
fn facts(view: &Value, kind: &str) -> Vec<String> {
    let all = view["key_facts"][kind].as_array().unwrap();
    all.iter().map(|fact| fact["text"].as_str().unwrap().to_owned()).collect()
}

/// The conflict of this kind about this subject.
fn conflict<'a>(view: &'a Value, kind: &str, subject: &str) -> &'a Value {
    let all = view["conflicts"].as_array().unwrap();
    let fits = |conflict: &&Value| {
        conflict["kind"] == kind && conflict["subject"].as_str().unwrap().eq_ignore_ascii_case(subject)
    };
    let named =
        || all.iter().map(|conflict| format!("{} {}", conflict["kind"], conflict["subject"])).collect::<Vec<_>>();
    all.iter().find(fits).unwrap_or_else(|| panic!("no {kind} of {subject} among {:#?}", named()))
}

/// A holder answered, and its log says so; gives its DECISION.
fn answered(view: &Value, ods: &str) -> Value {
    assert_eq!(source(view, ods)["outcome"], "answered", "{ods}");
    let decided = decision(demo(), ods, &query_id(view));
    assert_eq!(decided["outcome"], "answered", "{decided:#}");
    decided
}

/// A holder gave nothing: the asker is not told why, no row is from it, and the true cause stands in its log; gives its DECISION.
fn silent(view: &Value, ods: &str, cause: &str) -> Value {
    let line = source(view, ods);
    assert_eq!((&line["outcome"], &line["reason"]), (&"nothing-shareable".into(), &Value::Null), "{line:#}");
    assert_eq!(line["records"], 0, "{line:#}");
    for (category, row) in rows(view) {
        assert_ne!(row["source"]["ods"], ods, "{category} {}", row["text"]);
        assert!(row["also_at"].as_array().unwrap().iter().all(|copy| copy["ods"] != ods), "{category} {}", row["text"]);
    }
    let decided = decision(demo(), ods, &query_id(view));
    assert_eq!(decided["outcome"], "nothing-shareable", "{decided:#}");
    let logged = decided["cause"].as_str().unwrap_or_else(|| panic!("no cause in {decided:#}"));
    assert!(logged.starts_with(cause), "{logged} instead of {cause}");
    decided
}

/// The own record says that this is not safely the person: exit code 5, and nothing is shown or asked.
fn not_matched(profile: &str, who: impl Into<Patient>, why: &str) {
    let who = who.into();
    let refused = view(demo(), profile, &who, &[]);
    assert_eq!(refused.status, 5, "{}", refused.everything());
    assert_eq!(refused.field("/error/code").unwrap(), "not-matched");
    assert!(!refused.everything().contains(&who.family), "{}", refused.everything());
    let (ods, _) = profile.split_once('-').unwrap();
    let own = crate::scene::list(demo(), ods, &["--kind", "decision"]);
    let logged = own.iter().filter_map(|entry| entry["cause"].as_str()).any(|cause| cause.contains(why));
    assert!(logged, "{why} is in no cause of the log of {ods}");
}

/// Nothing of this stands in any form of a view.
fn nowhere(outputs: &[(&'static str, String)], secrets: &[&str]) {
    for (form, output) in outputs {
        let output = output.to_lowercase();
        for secret in secrets {
            assert!(!output.contains(&secret.to_lowercase()), "{secret} in {form}");
        }
    }
}

/// A number as people read it: `999 052 0003`.
fn spaced(number: &str) -> String {
    let (first, rest) = number.split_at(3);
    let (second, third) = rest.split_at(3);
    format!("{first} {second} {third}")
}
