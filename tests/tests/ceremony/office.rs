//! A governance office whose officers keep their keys themselves, and the steps of its ceremony.

use std::fs;

use careweave_certs::chain;
use careweave_certs::enrolment::Enrolment;
use careweave_certs::trust::Trust;
use careweave_protocol::time::Timestamp;
use careweave_tests::network::Output;
use serde_json::Value;

use super::people::People;

/// The office, three officers of whom two must agree, and the members.
pub(crate) struct Ceremony {
    pub(crate) people: People,
    /// Digest of the first manifest, as the officers tell each other.
    pub(crate) pin: String,
}

/// Who runs the office's directory.
pub(crate) const OFFICE: &str = "office";
/// Who runs every node's directory: what they do to each other is not what these tests are about.
pub(crate) const MEMBERS: &str = "members";
/// Four organisations.
pub(crate) const ORGANISATIONS: [&str; 4] = ["Y91001", "R9A", "R9C", "VL901"];
/// The office's passphrase, in the directory of each.
pub(crate) const PASSPHRASE: [&str; 2] = ["--passphrase-file", "passphrase"];

impl Ceremony {
    /// Officers, office and a draft of the first manifest that admits all four organisations. Nobody has signed it.
    pub(crate) fn drafted() -> Self {
        let people = People::new(&[OFFICE, MEMBERS, "ada", "ben", "cy"]);
        let mut ceremony = Self { people, pin: String::new() };
        let mut init = vec!["gov", "init", "governance", "--network", "borough", "--threshold", "2"];
        for officer in ["ada", "ben", "cy"] {
            ceremony.officer(officer);
        }
        for file in ["ada.pub", "ben.pub", "cy.pub"] {
            init.extend(["--officer-key", file]);
        }
        init.extend(PASSPHRASE);
        ceremony.people.ok(OFFICE, &init);
        let mut admit = vec!["admit"];
        let files = ORGANISATIONS.map(|ods| format!("{ods}.cbor"));
        for (ods, file) in ORGANISATIONS.iter().zip(&files) {
            ceremony.node(ods);
            ceremony.people.carry((MEMBERS, &format!("{ods}/enrolment-request.cbor")), (OFFICE, file));
            admit.extend(["--request", file]);
        }
        ceremony.office(&admit);
        ceremony.pin = ceremony.draft_digest();
        ceremony
    }

    /// The first manifest is published, signed by two.
    pub(crate) fn begun() -> Self {
        let ceremony = Self::drafted();
        ceremony.agreed(&["ada", "ben"]);
        ceremony
    }

    /// An officer makes their key on their own machine and has the public half carried to the office.
    pub(crate) fn officer(&self, name: &str) {
        let mut arguments = vec!["gov", "officer", "officer", "--network", "borough"];
        arguments.extend(PASSPHRASE);
        self.people.ok(name, &arguments);
        self.people.carry((name, "officer/officer.pub"), (OFFICE, &format!("{name}.pub")));
    }

    /// An organisation's node directory.
    pub(crate) fn node(&self, ods: &str) {
        let name = format!("Organisation {ods}");
        self.people.ok(
            MEMBERS,
            &[
                "node",
                "init",
                ods,
                "--network",
                "borough",
                "--ods",
                ods,
                "--name",
                &name,
                "--kind",
                "acute",
                "--duty-contact",
                "020",
            ],
        );
    }

    /// A `gov` command in the office.
    pub(crate) fn office(&self, arguments: &[&str]) -> Output {
        self.try_office(arguments).expect_status(0).unwrap()
    }

    /// As [`Ceremony::office`], whatever its exit code.
    pub(crate) fn try_office(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["gov"];
        all.extend(arguments);
        all.extend(["--dir", "governance"]);
        all.extend(PASSPHRASE);
        self.people.run(OFFICE, &all)
    }

    /// The office's draft as an officer gets it, signed by them and carried back as `NAME.signed`; whatever the exit code.
    pub(crate) fn signs(&self, officer: &str, more: &[&str]) -> Output {
        self.people.carry((OFFICE, "governance/draft.cbor"), (officer, "draft.cbor"));
        self.signs_what_they_have(officer, more)
    }

    /// As [`Ceremony::signs`], with whatever `draft.cbor` the officer has got.
    pub(crate) fn signs_what_they_have(&self, officer: &str, more: &[&str]) -> Output {
        let mut arguments =
            vec!["gov", "sign", "--draft", "draft.cbor", "--out", "signed.cbor", "--yes", "--pin", &self.pin];
        if self.people.path(OFFICE, "manifest.cbor").exists() && !more.contains(&"--no-chain") {
            self.people.carry((OFFICE, "manifest.cbor"), (officer, "manifest.cbor"));
            arguments.extend(["--chain", "manifest.cbor"]);
        }
        arguments.extend(more.iter().filter(|flag| **flag != "--no-chain"));
        arguments.extend(["--dir", "officer"]);
        arguments.extend(PASSPHRASE);
        let output = self.people.run(officer, &arguments);
        if output.status == 0 {
            self.people.carry((officer, "signed.cbor"), (OFFICE, &format!("{officer}.signed")));
        }
        output
    }

    /// These officers sign, the office collects and publishes.
    pub(crate) fn agreed(&self, officers: &[&str]) {
        let mut collect = vec!["collect".to_owned()];
        for officer in officers {
            self.signs(officer, &[]).expect_status(0).unwrap();
            collect.push(format!("{officer}.signed"));
        }
        self.office(&collect.iter().map(String::as_str).collect::<Vec<_>>());
        self.office(&["publish", "--out", "manifest.cbor"]);
    }

    /// Digest of the draft's statement.
    pub(crate) fn draft_digest(&self) -> String {
        text(&self.office(&["propose", "-o", "json"]).json().unwrap()["digest"])
    }

    /// `gov show`.
    pub(crate) fn shown(&self) -> Value {
        self.office(&["show", "-o", "json"]).json().unwrap()
    }

    /// The digest of the authority of this role and state; the first of several.
    pub(crate) fn authority(&self, role: &str, state: &str) -> String {
        let shown = self.shown();
        let authorities = shown["authorities"].as_array().unwrap();
        let found = authorities.iter().find(|a| a["role"] == role && a["state"] == state);
        text(&found.unwrap_or_else(|| panic!("no {state} {role} in {authorities:#?}"))["digest"])
    }

    /// Issues a member's certificate.
    pub(crate) fn issued(&self, ods: &str, more: &[&str]) -> Enrolment {
        let (request, out) = (format!("{ods}.cbor"), format!("{ods}.enrolment"));
        let mut arguments = vec!["issue", "--request", &request, "--out", &out];
        arguments.extend(more);
        self.office(&arguments);
        Enrolment::from_bytes(&fs::read(self.people.path(OFFICE, &out)).unwrap()).unwrap()
    }

    /// What everybody believes who has the newest published manifest.
    pub(crate) fn trust(&self) -> Trust {
        Trust::from_bytes(&fs::read(self.people.path(OFFICE, "manifest.cbor")).unwrap(), now()).unwrap()
    }

    /// Whether every member would accept this chain.
    pub(crate) fn accepts(&self, enrolment: &Enrolment) -> bool {
        chain::verify(&enrolment.chain, self.trust().manifest(), now()).is_ok()
    }
}

/// The present instant.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// A text in JSON.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
