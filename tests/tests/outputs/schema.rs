//! `view -o json` against `docs/view.schema.json`: the schema names exactly the fields that the program writes, and every real view is
//! an instance of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use careweave_protocol::desk::view::{
    Absence, AlsoAt, Conflict, ConflictEntry, Counts, Deceased, Detail, Fact, Identifier, Identity, KeyFacts, Moment,
    Notice, PatientHeader, Row, Source, SourceView, View,
};
use careweave_protocol::desk::warning::Warning;
use careweave_protocol::id::QueryId;
use careweave_protocol::identity::StaffGroup;
use careweave_protocol::query::Purpose;
use careweave_protocol::record::{Category, Coding};
use careweave_protocol::time::Timestamp;
use careweave_tests::population::hard::death_disputed;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::scene::{ada, ben, cara, demo, small, view};

#[test]
fn every_kind_of_view_is_an_instance_of_the_schema() {
    let network = demo();
    let died = death_disputed().into();
    let (gp, carer, paramedic) = ("Y91001-gp", "VL901-chc", "R9X-par");
    let mut seen = Vec::new();
    for (profile, patient, more, status) in [
        (gp, ada(), &[][..], 0),
        (gp, ada(), &["--new", "--since", "2020-01-01", "--category", "results,letters"], 0),
        (carer, ada(), &[], 0),
        (gp, cara(), &[], 0),
        ("Y91002-gp", died, &[], 0),
        (paramedic, ben(), &["--for", "emergency"], 0),
        (paramedic, ben(), &[], 4),
    ] {
        let output = view(network, profile, &patient, more).expect_status(status).unwrap();
        seen.push((output.command.clone(), output.json().unwrap()));
    }
    let network = small(&["Y91001", "R9A"]);
    assert!(network.stop("R9A").unwrap());
    let output = view(&network, gp, &ada(), &["--deadline", "3s"]).expect_status(3).unwrap();
    seen.push((output.command.clone(), output.json().unwrap()));

    let validator = validator();
    for (command, view) in &seen {
        let errors: Vec<String> =
            validator.iter_errors(view).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{command}\n{}", errors.join("\n"));
    }
    let any =
        |pointer: &str, fits: fn(&Value) -> bool| seen.iter().any(|(_, view)| view.pointer(pointer).is_some_and(fits));
    assert!(any("/patient/deceased", Value::is_object) && any("/patient/address_restricted", |value| *value == true));
    assert!(any("/all_replied", |value| *value == false) && any("/conflicts/0", Value::is_object));
}

#[test]
fn the_schema_names_exactly_the_fields_that_are_written() {
    let schema = schema();
    let written = serde_json::to_value(full()).unwrap();
    let mut visited = BTreeSet::new();
    compare(&schema, &schema, &written, "view", &mut visited);
    let definitions = schema["$defs"].as_object().unwrap();
    let objects: BTreeSet<&str> = definitions
        .iter()
        .filter(|(_, definition)| definition["type"] == "object")
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(visited, objects.iter().map(|name| (*name).to_owned()).collect(), "a definition is not reached");
    let errors: Vec<String> = validator().iter_errors(&written).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn enumerations_of_the_schema_are_those_of_the_program() {
    let schema = schema();
    let of = |pointer: &str| -> BTreeSet<String> {
        let listed = schema.pointer(pointer).unwrap().as_array().unwrap();
        listed.iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    let names = |names: &mut dyn Iterator<Item = &'static str>| names.map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(of("/$defs/Category/enum"), names(&mut Category::ALL.iter().map(|category| category.as_str())));
    assert_eq!(of("/$defs/Purpose/enum"), names(&mut Purpose::ALL.iter().map(|purpose| purpose.as_str())));
    assert_eq!(of("/$defs/StaffGroup/enum"), names(&mut StaffGroup::ALL.iter().map(|group| group.as_str())));
}

#[test]
fn planted_violations_are_found() {
    let validator = validator();
    let whole = serde_json::to_value(full()).unwrap();
    assert!(validator.is_valid(&whole));
    let row = "/categories/medications/0";
    for (at, value) in [
        ("/finished", None),
        ("/unheard_of", Some(json!(1))),
        ("/as_at", Some(json!("yesterday"))),
        ("/group", Some(json!("GOD"))),
        ("/purpose", Some(json!("treat"))),
        ("/role_cannot_see/0", Some(json!("gossip"))),
        ("/patient/nhs_number", Some(json!("999 001 0013"))),
        ("/patient/identity", Some(json!("perhaps"))),
        ("/patient/deceased/disputed", None),
        ("/sources/0/outcome", Some(json!("asleep"))),
        ("/sources/0/records", Some(json!(-1))),
        ("/key_facts/allergies/0/extra", Some(json!(""))),
        ("/categories/gossip", Some(json!([]))),
        (&format!("{row}/form"), Some(json!("whole"))),
        (&format!("{row}/source/ods"), None),
        (&format!("{row}/new"), Some(json!("yes"))),
        ("/conflicts/0/kind", Some(json!("quarrel"))),
        ("/warnings/0/id", Some(json!("H1"))),
        ("/counts/unreadable", Some(json!(0.5))),
    ] {
        let mut broken = whole.clone();
        let (parent, name) = at.rsplit_once('/').unwrap();
        match (broken.pointer_mut(parent).unwrap(), value) {
            (Value::Object(fields), Some(value)) => drop(fields.insert(name.to_owned(), value)),
            (Value::Object(fields), None) => assert!(fields.remove(name).is_some(), "{at}"),
            (other, value) => other[0] = value.unwrap(),
        }
        assert!(!validator.is_valid(&broken), "{at} is not found");
    }
}

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/view.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft202012::options().build(&schema()).unwrap()
}

/// Holds the fields of a value against the properties of its schema, both ways and at every depth.
fn compare(root: &Value, schema: &Value, value: &Value, path: &str, visited: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/$defs/")) {
        let definition = &root["$defs"][name];
        if definition["type"] == "object" {
            visited.insert(name.to_owned());
        }
        return compare(root, definition, value, path, visited);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        assert!(!value.is_null(), "{path} is empty in the full view");
        let choice = choices.iter().find(|choice| choice["type"] != "null").unwrap();
        return compare(root, choice, value, path, visited);
    }
    match value {
        Value::Object(fields) => match schema["properties"].as_object() {
            Some(properties) => {
                let written: BTreeSet<&String> = fields.keys().collect();
                assert_eq!(written, properties.keys().collect(), "{path}");
                let required: BTreeSet<&str> =
                    schema["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                assert_eq!(
                    required,
                    fields.keys().map(String::as_str).collect(),
                    "{path}: every field is always written"
                );
                assert_eq!(schema["additionalProperties"], false, "{path}");
                for (name, inner) in fields {
                    let property = &properties[name];
                    assert!(property["description"].is_string(), "{path}.{name} is not described");
                    compare(root, property, inner, &format!("{path}.{name}"), visited);
                }
            }
            None => fields.values().for_each(|inner| {
                compare(root, &schema["additionalProperties"], inner, &format!("{path}.*"), visited);
            }),
        },
        Value::Array(list) => {
            let first = list.first().unwrap_or_else(|| panic!("{path} is empty in the full view"));
            compare(root, &schema["items"], first, &format!("{path}[0]"), visited);
        }
        Value::Null => panic!("{path} is empty in the full view"),
        _ => {}
    }
}

/// A view in which nothing is empty.
fn full() -> View {
    let text = || "x".to_owned();
    let some = || Some("x".to_owned());
    let moment = Moment(Timestamp(1_793_628_600_000));
    let source = || Source { ods: "R9A".to_owned(), name: text() };
    let fact = || Fact {
        text: text(),
        detail: some(),
        severity: some(),
        severity_source: Some(source()),
        date_shown: text(),
        sources: vec![source()],
        conflict: true,
    };
    let row = Row {
        resource_type: text(),
        id: text(),
        text: text(),
        code: some(),
        codings: vec![Coding { system: text(), code: text(), display: some() }],
        status: some(),
        status_reason: some(),
        verification: some(),
        date: some(),
        date_end: some(),
        recorded: some(),
        date_shown: text(),
        undated: false,
        source: source(),
        also_at: vec![AlsoAt {
            ods: text(),
            name: text(),
            id: text(),
            version: some(),
            date_shown: text(),
            differs: some(),
        }],
        older_versions: 1,
        author: some(),
        dose: some(),
        route: some(),
        group: some(),
        newest: true,
        value: some(),
        unit: some(),
        interpretation: some(),
        reference_range: some(),
        severity: some(),
        negated: false,
        details: vec![Detail { name: text(), value: text() }],
        form: "summary".to_owned(),
        identifiers: vec![Identifier { system: text(), value: text() }],
        version: some(),
        linked: vec![text()],
        signature: "verified".to_owned(),
        retrieved_at: moment,
        taken_in: moment,
        new: true,
        notes: vec![text()],
    };
    let side = ConflictEntry {
        source: source(),
        resource_type: text(),
        id: text(),
        text: text(),
        status: some(),
        dose: some(),
        severity: some(),
        date: some(),
        date_shown: text(),
        newest: true,
    };
    View {
        query_id: QueryId([7; 16]),
        as_at: moment,
        finished: true,
        asker: "Y91001".parse().unwrap(),
        asker_name: text(),
        requester: text(),
        group: StaffGroup::Gp,
        purpose: Purpose::Treat,
        zone: "Europe/London".to_owned(),
        patient: PatientHeader {
            nhs_number: "9990010013".to_owned(),
            nhs_number_shown: "999 001 0013".to_owned(),
            birth_date: "1938-03-14".to_owned(),
            birth_date_shown: "14-Mar-1938".to_owned(),
            name: text(),
            held_by: Some(source()),
            address: some(),
            address_restricted: false,
            identity: Identity::Confirmed,
            identity_reason: some(),
            deceased: Some(Deceased { date: some(), date_shown: text(), sources: vec![source()], disputed: true }),
        },
        all_replied: true,
        sources: vec![SourceView {
            ods: text(),
            name: text(),
            own: false,
            outcome: "answered".to_owned(),
            records: 1,
            ms: 1,
            data_to: Some(moment),
            reason: some(),
            asked: true,
            replied: true,
            ineligible: false,
            stale: false,
            duty_contact: some(),
        }],
        key_facts: KeyFacts {
            allergies: vec![fact()],
            advance_care: vec![fact()],
            flags: vec![fact()],
            named_professional: vec![fact()],
            about_me: vec![fact()],
        },
        categories: BTreeMap::from([(Category::Medications, vec![row])]),
        conflicts: vec![Conflict {
            id: Warning::MedicineDose.id().to_owned(),
            category: Category::Medications,
            kind: "dose".to_owned(),
            subject: text(),
            text: text(),
            entries: vec![side],
        }],
        absences: vec![Absence { category: Category::Allergies, kind: "none-recorded".to_owned(), text: text() }],
        role_cannot_see: vec![Category::Safeguarding],
        may_exist: vec![text()],
        last_look: Some(moment),
        warnings: vec![Notice::new(Warning::MayExist, "x")],
        counts: Counts::default(),
    }
}
