//! `view -o fhir` as programs get it from a running network.

use std::collections::{BTreeMap, BTreeSet};

use careweave_tests::network::ORGANISATIONS;
use careweave_tests::population::hard::{HISTORY_ENTRIES, PEOPLE, long_history};
use careweave_tests::population::{CANARY, CARA_ADDRESS, CARA_LOCALITY, CARA_TELEPHONE};
use serde_json::Value;

use super::{MADE, fhir, issue, issues, of_type, records, valid};
use crate::scene::{Patient, ada, ben, cara, demo, long, rows, small, source, view};

#[test]
fn a_gp_s_bundle_is_valid_r4_and_has_every_record_of_every_source_with_its_provenance() {
    let network = demo();
    let bundle = valid(&fhir(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap());
    let shown = view(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap().json().unwrap();

    let mut entries: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in records(&bundle) {
        *entries.entry(host(entry)).or_default() += 1;
    }
    for organisation in ORGANISATIONS {
        let line = source(&shown, organisation.ods);
        let host = organisation.ods.to_lowercase();
        assert_eq!(entries.remove(host.as_str()).unwrap_or(0), line["records"].as_u64().unwrap(), "{line}");
        let said = issue(&bundle, organisation.ods);
        let kind = match line["outcome"].as_str().unwrap() {
            "answered" => "informational",
            "nothing-shareable" => "suppressed",
            _ => said["code"].as_str().unwrap(),
        };
        assert_eq!(said["code"], kind, "{said}");
    }
    assert_eq!(entries, BTreeMap::new(), "records of no source");
    assert_eq!(issues(&bundle)[0]["severity"], "information", "every source replied");
    assert_provenance(&bundle, &shown);
    assert_same_records(&bundle, &shown);
    // Every warning and every conflict of the view is there, with its id.
    let ids: BTreeSet<&str> =
        issues(&bundle).iter().filter_map(|issue| issue["details"]["coding"][0]["code"].as_str()).collect();
    for warning in shown["warnings"].as_array().unwrap() {
        assert!(ids.contains(warning["id"].as_str().unwrap()), "{warning}");
    }
    let pointing = issues(&bundle).iter().filter(|issue| issue["expression"].is_array());
    let mut conflicts = 0;
    for conflict in pointing {
        conflicts += 1;
        assert_eq!(conflict["code"], "conflict");
        for path in conflict["expression"].as_array().unwrap() {
            let index = path.as_str().unwrap().trim_start_matches("Bundle.entry[").trim_end_matches("].resource");
            let about = &bundle["entry"][index.parse::<usize>().unwrap()]["resource"]["resourceType"];
            assert!(about.is_string() && !MADE.iter().any(|made| about == made), "{path} is {about}");
        }
    }
    assert_eq!(conflicts, shown["conflicts"].as_array().unwrap().len());
}

#[test]
fn a_carer_s_bundle_is_valid_r4_too_and_has_no_more_than_the_carer_s_view() {
    let network = demo();
    let output = fhir(network, "VL901-chc", &ada(), &[]).expect_status(0).unwrap();
    let bundle = valid(&output);
    let shown = view(network, "VL901-chc", &ada(), &[]).expect_status(0).unwrap().json().unwrap();
    assert!(!output.everything().contains(CANARY));
    assert_provenance(&bundle, &shown);
    assert_same_records(&bundle, &shown);
    // The twin: what a carer reads as codes and dates only, the practice gets whole.
    let codes_only: BTreeSet<&str> = records(&bundle).into_iter().filter(|entry| tagged(entry)).map(url).collect();
    assert!(!codes_only.is_empty());
    let whole = valid(&fhir(network, "Y91001-gp", &ada(), &[]).expect_status(0).unwrap());
    assert!(records(&whole).len() > records(&bundle).len());
    assert!(records(&whole).iter().any(|entry| !tagged(entry) && codes_only.contains(url(entry))));
}

#[test]
fn a_stopped_node_is_an_error_of_the_bundle_and_the_exit_code_is_3() {
    let network = small(&["Y91001", "R9A", "VL901"]);
    assert!(network.stop("R9A").unwrap());
    let output = fhir(&network, "Y91001-gp", &ada(), &["--deadline", "3s"]).expect_status(3).unwrap();
    let bundle = valid(&output);
    let said = issue(&bundle, "R9A");
    assert_eq!(said["severity"], "error");
    assert!(matches!(said["code"].as_str(), Some("timeout" | "transient")), "{said}");
    let heading = &issues(&bundle)[0];
    assert_eq!((&heading["severity"], &heading["code"]), (&"error".into(), &"incomplete".into()));
    assert!(issues(&bundle).iter().any(|issue| issue["details"]["coding"][0]["code"] == "CW-H005"));
    assert!(records(&bundle).iter().all(|entry| host(entry) != "r9a"));
    assert!(!records(&bundle).is_empty(), "what the others sent is there");
    let provenance = of_type(&bundle, &["Provenance"]);
    assert!(provenance.iter().all(|entry| entry["resource"]["agent"][0]["who"]["identifier"]["value"] != "R9A"));
}

#[test]
fn where_nobody_may_share_anything_the_bundle_says_so_and_holds_no_record() {
    let network = demo();
    let bundle = valid(&fhir(network, "R9X-par", &ben(), &[]).expect_status(4).unwrap());
    assert_eq!(records(&bundle), Vec::<&Value>::new());
    assert_eq!(issue(&bundle, "R9A")["code"], "suppressed");
    // The twin, in an emergency.
    let seen = valid(&fhir(network, "R9X-par", &ben(), &["--for", "emergency"]).expect_status(0).unwrap());
    assert!(!records(&seen).is_empty());
    // What the own node refuses is an error and no Bundle.
    let refused = fhir(network, "8Z901-vol", &ada(), &[]).expect_status(4).unwrap();
    assert_eq!(refused.stdout, "");
    assert!(refused.stderr.contains("PURPOSE_NOT_GRANTED"), "{}", refused.stderr);
}

#[test]
fn no_local_organisation_of_a_restricted_patient_is_named_anywhere_in_the_bundle() {
    let network = demo();
    let output = fhir(network, "Y91001-gp", &cara(), &[]).expect_status(0).unwrap();
    let bundle = valid(&output);
    let shown = view(network, "Y91001-gp", &cara(), &[]).expect_status(0).unwrap().json().unwrap();
    assert!(!records(&bundle).is_empty());
    let text = output.everything().to_lowercase();
    for secret in [CARA_ADDRESS, CARA_TELEPHONE, CARA_LOCALITY] {
        let line = text.lines().find(|line| line.contains(&secret.to_lowercase()));
        assert_eq!(line.map(|line| line.chars().take(400).collect::<String>()), None, "{secret}");
    }
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let named: BTreeSet<&str> =
        shown["sources"].as_array().unwrap().iter().map(|line| line["ods"].as_str().unwrap()).collect();
    assert!(named.contains("withheld") && !named.contains("VL901"));
    for organisation in ORGANISATIONS.iter().filter(|organisation| !named.contains(organisation.ods)) {
        let code = organisation.ods.to_lowercase();
        assert!(!words.contains(code.as_str()), "{code}");
        assert!(!text.contains(&organisation.name.to_lowercase()), "{}", organisation.name);
    }
}

#[test]
fn three_thousand_records_make_a_valid_bundle() {
    let patient = Patient::from(long_history());
    let bundle = valid(&fhir(demo(), "Y91001-gp", &patient, &["--deadline", "30s"]).expect_status(0).unwrap());
    assert!(records(&bundle).len() > HISTORY_ENTRIES * 9 / 10, "{}", records(&bundle).len());
}

/// Everybody of the population on whom something can go wrong, as their own practice exports them; a long form.
#[test]
fn a_bundle_of_every_hard_person_is_valid_but_for_what_was_planted() {
    for hard in PEOPLE.iter().filter(|_| long()) {
        let practice = format!("{}-gp", hard.registered_practice);
        let output = fhir(demo(), &practice, &Patient::from(*hard), &[]);
        if output.stdout.is_empty() {
            // Not safely matched, or invalidated: an error and no Bundle.
            assert!(matches!(output.status, 1 | 4 | 5), "{}", output.everything());
            continue;
        }
        let errors: Vec<String> =
            crate::r4::errors(&output.stdout).into_iter().filter(|error| !error.contains("empty string")).collect();
        assert!(errors.is_empty(), "{}: {}", hard.case, errors.join("\n"));
    }
}

/// Which source's an entry is: the first label of its host.
fn host(entry: &Value) -> &str {
    let url = url(entry);
    let host = url.strip_prefix("https://").unwrap_or_else(|| panic!("{url} has no source"));
    host.split('.').next().unwrap()
}

fn url(entry: &Value) -> &str {
    entry["fullUrl"].as_str().unwrap()
}

fn tagged(entry: &Value) -> bool {
    let tags = entry["resource"]["meta"]["tag"].as_array();
    tags.is_some_and(|tags| tags.iter().any(|tag| tag["code"] == "SUBSETTED"))
}

/// One Provenance for each source that gave something; every reference in it is in the Bundle, and every record has its own.
fn assert_provenance(bundle: &Value, shown: &Value) {
    let urls: BTreeSet<&str> =
        bundle["entry"].as_array().unwrap().iter().map(|entry| entry["fullUrl"].as_str().unwrap()).collect();
    let mut told: BTreeSet<String> = BTreeSet::new();
    let mut about: BTreeSet<&str> = BTreeSet::new();
    for entry in of_type(bundle, &["Provenance"]) {
        let resource = &entry["resource"];
        assert!(told.insert(resource["agent"][0]["who"]["identifier"]["value"].as_str().unwrap().to_owned()));
        assert_eq!(resource["recorded"], bundle["timestamp"]);
        let agents = resource["agent"].as_array().unwrap().iter().map(|agent| &agent["who"]["reference"]);
        for reference in agents.filter_map(Value::as_str) {
            assert!(urls.contains(reference), "{reference}");
        }
        about.extend(resource["target"].as_array().unwrap().iter().map(|target| target["reference"].as_str().unwrap()));
    }
    assert!(about.is_subset(&urls));
    let lines = shown["sources"].as_array().unwrap().iter();
    let gave = lines.filter(|line| line["replied"] == true && (line["own"] == false || line["records"] != 0));
    assert_eq!(told, gave.map(|line| line["ods"].as_str().unwrap().to_owned()).collect());
    for entry in records(bundle) {
        assert!(about.contains(entry["fullUrl"].as_str().unwrap()), "{}", entry["fullUrl"]);
    }
}

/// The records of the Bundle are those of the view's rows, copies included, and those that it counts as entered in error; what
/// a row shows as a summary is one here.
fn assert_same_records(bundle: &Value, shown: &Value) {
    let mut forms: BTreeMap<(String, String, String), &str> = BTreeMap::new();
    for (_, row) in rows(shown) {
        let kind = row["resource_type"].as_str().unwrap();
        let copies = row["also_at"].as_array().unwrap().iter().map(|copy| (&copy["ods"], &copy["id"]));
        for (ods, id) in copies.chain([(&row["source"]["ods"], &row["id"])]) {
            let key = (ods.as_str().unwrap().to_lowercase(), kind.to_owned(), id.as_str().unwrap().to_owned());
            forms.insert(key, row["form"].as_str().unwrap());
        }
    }
    let mut seen = BTreeSet::new();
    for entry in records(bundle) {
        let resource = &entry["resource"];
        let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
        let key = (host(entry).to_owned(), text("resourceType"), text("id"));
        match forms.get(&key) {
            Some(form) => assert_eq!(tagged(entry), *form != "full", "{key:?} is {form}"),
            None => assert!(resource.to_string().contains("entered-in-error"), "{key:?} is not in the view"),
        }
        seen.insert(key);
    }
    let missing: Vec<_> = forms.keys().filter(|key| !seen.contains(*key)).collect();
    assert_eq!(missing, Vec::<&(String, String, String)>::new(), "rows without a record");
}
