//! What the demonstration shows, step by step. Each step must end with the exit code it is there to show.

use crate::network::{Network, NetworkError, Organisation, Output};
use crate::population::{CARA_ADDRESS, CARA_LOCALITY, CARA_TELEPHONE};

use super::DemoError;
use super::teller::Teller;

/// Tells the story.
pub(super) fn tell(network: &Network, teller: &mut Teller<'_>) -> Result<(), DemoError> {
    let mut scene = Scene { network, teller };
    let query = scene.whole_person()?;
    scene.stopped_node()?;
    scene.refusal_beside_emergency()?;
    scene.two_levels_of_access()?;
    scene.break_glass()?;
    scene.restricted_address()?;
    scene.rotation()?;
    scene.proof(&query)
}

/// What to type next.
pub(super) fn commands_to_try(teller: &mut Teller<'_>) -> Result<(), DemoError> {
    let directory = teller.directory().to_owned();
    teller.chapter("The network is running: commands to try")?;
    let absolute = if directory.starts_with('/') { directory.clone() } else { format!("$PWD/{directory}") };
    teller.say(&format!("export PATH=\"{absolute}/bin:$PATH\""))?;
    for (profile, command) in [
        ("Y91001-gp", "view 9990010013 --yes"),
        ("Y91001-gp", "view 9990010013 --yes --category results,letters -o json"),
        ("R9M-mhn", "view 9990133484 --yes"),
        ("901-sw", "view 9990010013 --yes"),
        ("8Z901-vol", "view 9990010013 --dob 1938-03-14 --family Okafor"),
        ("Y91001-gp", "directory --neighbourhood walworth"),
        ("R9A-it", "node status"),
        ("R9A-it", "node peers"),
        ("R9A-it", "node doctor"),
        ("R9A-it", "cert rotate --key node --rehearse"),
        ("R9A-ig", "audit list --last 10"),
        ("VL901-ig", "audit verify"),
        ("R9C-ig", "review list"),
    ] {
        teller.say(&format!("CAREWEAVE_PROFILE={directory}/staff/{profile} careweave {command}"))?;
    }
    teller.say(&format!("\nMore people: {directory}/people.tsv. `make demo-stop` ends the network."))
}

struct Scene<'a, 'b> {
    network: &'a Network,
    teller: &'a mut Teller<'b>,
}

impl Scene<'_, '_> {
    fn whole_person(&mut self) -> Result<String, DemoError> {
        self.teller.chapter("A GP sees the whole person")?;
        self.teller.say(
            "Ada Okafor lives in the care home and was in hospital last month. Her practice asks every organisation; each decides \
             for itself, logs it, and nothing of what it sends is kept at the practice.",
        )?;
        let output = self.run("Y91001-gp", &ADA, &[], 0, VIEW_LINES)?;
        query_of(&output)
    }

    fn stopped_node(&mut self) -> Result<(), DemoError> {
        self.teller.chapter("A source that does not reply is named")?;
        self.teller.say(
            "The hospital's node is stopped. The same question ends in time, says what is missing and whom to ring.",
        )?;
        self.network.stop("R9A")?;
        let output = self.run("Y91001-gp", &ADA, &[], 3, VIEW_LINES)?;
        let duty = Organisation::find("R9A").map_or("", |hospital| hospital.duty_contact);
        require(&output, output.stdout.contains(duty), "the hospital's duty number")?;
        self.network.start("R9A")?;
        self.network.wait_connected("R9A")?;
        self.teller.say("\nThe hospital's node is back.")
    }

    fn refusal_beside_emergency(&mut self) -> Result<(), DemoError> {
        self.teller.chapter("A refusal, and an emergency beside it")?;
        self.teller.say(
            "Ben Ellis is unknown to the ambulance trust: without a relationship nothing is shared, and the paramedic is not told \
             why, because that too would tell something about him.",
        )?;
        self.run("R9X-par", &BEN, &[], 4, REFUSAL_LINES)?;
        self.teller.say(
            "\nIn an emergency the paramedic's word counts. What the table gives paramedics is shown, and the privacy officers of \
             both organisations are alerted.",
        )?;
        let output = self.run("R9X-par", &BEN, &["--for", "emergency"], 0, VIEW_LINES)?;
        let query = query_of(&output)?;
        self.run("R9A-ig", &["audit", "list", "--query", &query], &[], 0, LOG_LINES)?;
        Ok(())
    }

    fn two_levels_of_access(&mut self) -> Result<(), DemoError> {
        self.teller.chapter("Two levels of access in one care home")?;
        self.teller.say("The home's registered nurse and a carer ask about the same resident.")?;
        self.run("VL901-chn", &ADA, &["--category", "results"], 0, ROLE_LINES)?;
        self.run("VL901-chc", &ADA, &["--category", "results"], 0, ROLE_LINES)?;
        Ok(())
    }

    fn rotation(&mut self) -> Result<(), DemoError> {
        self.teller.chapter("A key is changed, and nobody notices")?;
        self.teller.say(
            "The hospital's IT changes the key that proves its node. Every member is asked first whether it would follow; old and new \
             are accepted side by side until everybody has.",
        )?;
        self.run("R9A-it", &["cert", "rotate", "--key", "node"], &[], 0, ROTATION_LINES)?;
        let output = self.run("Y91001-gp", &ADA, &[], 0, ROLE_LINES)?;
        require(&output, output.stdout.contains("R9A"), "the hospital under its new key")?;
        Ok(())
    }

    fn break_glass(&mut self) -> Result<(), DemoError> {
        self.teller.chapter("Breaking the glass, and the review of it")?;
        self.teller.say(
            "Ada is confused and feverish at home. The community nurse reads problems in full, but nothing that is labelled \
             sensitive; whether there is any she is not told.",
        )?;
        let closed = self.run(GLASS_BREAKER, &ADA, &["--category", "problems"], 0, ROLE_LINES)?;
        require(&closed, !closed.stdout.contains(SENSITIVE), "nothing sensitive before the glass is broken")?;
        self.teller.say(
            "\nShe breaks the glass: one patient, one category, an hour at most, signed with a key under a passphrase of its own. \
             Her reason in words stays at her trust.",
        )?;
        let [_, who @ ..] = ADA;
        let command: Vec<&str> = ["break-glass"].into_iter().chain(who).chain(WHY).collect();
        let opened = self.run(GLASS_BREAKER, &command, &["--category", "problems", "--yes"], 0, VIEW_LINES)?;
        require(&opened, opened.stdout.contains(SENSITIVE), "what the glass protected")?;
        let query = query_of(&opened)?;
        self.teller.say(
            "\nThe privacy officers of both organisations are alerted, and each has a review that is due in five working days. \
             The nurse herself can close neither.",
        )?;
        self.run("Y91001-ig", &["audit", "list", "--query", &query], &[], 0, LOG_LINES)?;
        let reviews = self.run("Y91001-ig", &["review", "list", "-o", "json"], &[], 0, LOG_LINES)?;
        let review = review_of(&reviews, &query)?;
        let closing =
            ["review", "close", &review, "--justified", "--note", "visit sheet seen, antibiotics depended on it"];
        self.run("Y91001-ig", &closing, &[], 0, LOG_LINES)?;
        self.run("R9C-ig", &["review", "list"], &[], 0, LOG_LINES)?;
        Ok(())
    }

    fn restricted_address(&mut self) -> Result<(), DemoError> {
        self.teller.chapter("An address that must not be found")?;
        self.teller.say("Cara Shah's whereabouts are restricted: every holder leaves them out of what it sends.")?;
        let output = self.run("Y91001-gp", &CARA, &[], 0, REFUSAL_LINES)?;
        let text = output.everything();
        let absent = [CARA_ADDRESS, CARA_TELEPHONE, CARA_LOCALITY].iter().all(|secret| !text.contains(secret));
        require(&output, absent, "no address of hers")?;
        self.teller.say(
            "\nStreet, telephone number and district were looked for in all of the output: they are nowhere in it.",
        )
    }

    fn proof(&mut self, query: &str) -> Result<(), DemoError> {
        self.teller.chapter("Who saw what, provably")?;
        self.teller.say(
            "The first question again: why it was answered as it was, and its entries in the logs of both sides.",
        )?;
        self.run("Y91001-gp", &["explain", query], &[], 0, EXPLAIN_LINES)?;
        self.run("Y91001-ig", &["audit", "list", "--query", query], &[], 0, LOG_LINES)?;
        self.run("R9A-ig", &["audit", "list", "--query", query], &[], 0, LOG_LINES)?;
        self.teller
            .say("\nEach log is a Merkle tree. The command line recomputes it instead of believing the node.")?;
        self.run("Y91001-ig", &["audit", "verify"], &[], 0, LOG_LINES)?;
        self.run("R9A-ig", &["audit", "verify"], &[], 0, LOG_LINES)?;
        Ok(())
    }

    /// Runs a command, prints it, and sees that it ends as it should.
    fn run(
        &mut self,
        profile: &str,
        words: &[&str],
        more: &[&str],
        status: i32,
        lines: usize,
    ) -> Result<Output, DemoError> {
        let arguments: Vec<&str> = words.iter().chain(more).copied().collect();
        let output = self.network.cli(profile, &arguments)?;
        self.teller.command(profile, &arguments, &output, lines)?;
        Ok(output.expect_status(status)?)
    }
}

/// The query's id in a view: its 32 hexadecimal digits.
fn query_of(output: &Output) -> Result<String, DemoError> {
    let mut words = output.stdout.split(|c: char| !c.is_ascii_hexdigit());
    let id = words.find(|word| word.len() == QUERY_ID_DIGITS);
    Ok(id.map(str::to_owned).ok_or_else(|| output.unlike("a query id"))?)
}

/// The id of the review that a query was made under.
fn review_of(output: &Output, query: &str) -> Result<String, DemoError> {
    let listed = output.json()?;
    let is_under = |review: &&serde_json::Value| {
        let queries = review.get("queries").and_then(|queries| queries.as_array());
        queries.into_iter().flatten().any(|id| id == query)
    };
    let found = listed.as_array().into_iter().flatten().find(is_under).and_then(|review| review.get("id")?.as_str());
    Ok(found.map(str::to_owned).ok_or_else(|| output.unlike("a review of the query"))?)
}

fn require(output: &Output, holds: bool, expected: &str) -> Result<(), NetworkError> {
    if holds { Ok(()) } else { Err(output.unlike(expected)) }
}

/// Who breaks the glass.
const GLASS_BREAKER: &str = "R9C-rn";
/// Why, in code and in words.
const WHY: [&str; 4] = ["--reason", "acute-confusion", "--text", "feverish, cannot say what she was treated for"];
/// What stands under a sensitive label at Ada's practice.
const SENSITIVE: &str = "Syphilis";
const ADA: [&str; 6] = ["view", "9990010013", "--dob", "1938-03-14", "--family", "Okafor"];
const BEN: [&str; 6] = ["view", "9990133484", "--dob", "1951-07-02", "--family", "Ellis"];
const CARA: [&str; 6] = ["view", "9990256950", "--dob", "1979-05-23", "--family", "Shah"];

/// Lines printed of a whole view: its head, the sources, the key facts.
const VIEW_LINES: usize = 45;
/// Of a view that is short or not the point.
const REFUSAL_LINES: usize = 30;
/// Of a view that shows what a role cannot see.
const ROTATION_LINES: usize = 30;
const ROLE_LINES: usize = 40;
/// Of a list of log entries.
const LOG_LINES: usize = 25;
/// Of an explanation.
const EXPLAIN_LINES: usize = 40;
/// A query id has 128 bits.
const QUERY_ID_DIGITS: usize = 32;
