//! Access is taken away while it is in use: what streams is cut within seconds of being known, nothing follows, nobody else notices.

mod members;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use careweave_node::net::{ExchangeStream, FramedStream, Protocol};
use careweave_protocol::id::NodeKey;
use careweave_protocol::limits::{CREDIT_WINDOW, FRAME_MAX};
use careweave_protocol::query::{AnswerFrame, Cause, Patient, Purpose, Relationship};
use careweave_protocol::time::Date;
use careweave_tests::network::{Network, until};
use careweave_tests::peer::{Member, Peer, PeerError, Question};
use libp2p::Multiaddr;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use self::members::{Joined, Officers};
use crate::residents::{held, stranger};
use crate::scene::{self, assert_clean, entries, list, long, view};
use crate::sessions::{Paused, scan};

#[test]
fn an_asker_suspended_while_an_answer_streams_is_cut_and_both_logs_say_how_far_it_got() {
    let network = Network::builder().organisations(&[ASKER, HOLDER]).start().unwrap();
    let patient = stranger(41);
    network.import_value(HOLDER, &large(&patient)).unwrap();
    network.import_value(ASKER, &registered(&patient)).unwrap();
    for profile in [format!("{ASKER}-gp"), format!("{ASKER}-ig"), format!("{HOLDER}-ig"), format!("{HOLDER}-ra")] {
        network.profile(&profile).unwrap();
    }
    network.commands().gov_suspend(ASKER, "incident 30").unwrap().expect_status(0).unwrap();

    // The question waits at the holder until the asker stands still, and the answer then for its asker: so it is under way when the
    // holder hears of the suspension.
    let holder = Paused::new(&network, HOLDER);
    let (seen, cut_in) = std::thread::scope(|scope| {
        let seen = scope.spawn(|| view(&network, &format!("{ASKER}-gp"), &patient, &["--deadline", "50s"]));
        wait_entries(&network, ASKER, &["--kind", "intent"], |entry| entry["asker"] == ASKER);
        let mut asker = Some(Paused::new(&network, ASKER));
        drop(holder);
        until("the holder has decided", PATIENCE, || {
            let decided = list(&network, HOLDER, &["--kind", "decision"]);
            if decided.iter().any(|entry| entry["asker"] == ASKER) {
                return Ok(());
            }
            // The question had perhaps not left yet.
            drop(asker.take());
            asker = Some(Paused::new(&network, ASKER));
            Err(format!("{decided:#?}"))
        })
        .unwrap();
        let publish = network.commands().gov_publish_to(&format!("{HOLDER}-ra")).unwrap();
        publish.expect_status(0).unwrap();
        let learned = Instant::now();
        wait_entries(&network, HOLDER, &["--kind", "admin"], |entry| entry["outcome"] == "answer-cut");
        let cut_in = learned.elapsed();
        drop(asker);
        (seen.join().unwrap(), cut_in)
    });
    assert!(cut_in < SOON, "cut {cut_in:?} after it was known");
    assert!(!seen.stdout.contains("Asthma"), "{}", seen.stdout);

    let cut = wait_entries(&network, HOLDER, &["--kind", "admin"], |entry| entry["outcome"] == "answer-cut");
    assert_eq!((&cut["cause"], &cut["asker"]), (&"SUSPENDED".into(), &ASKER.into()), "{cut:#}");
    let query = cut["query_id"].as_str().unwrap();
    let decided = entries(&network, HOLDER, query);
    let whole = decided.iter().find(|entry| entry["kind"] == "DECISION").unwrap()["bytes"].as_u64().unwrap();
    let sent = cut["bytes"].as_u64().unwrap();
    let ended = scene::entry(&network, ASKER, query, |entry| entry["outcome"] == "answer-ended-early");
    assert_eq!((&ended["holder"], &ended["kind"]), (&HOLDER.into(), &"ADMIN".into()), "{ended:#}");
    let received = ended["bytes"].as_u64().unwrap();
    eprintln!(
        "cut {cut_in:?} after it was known: {received} of {sent} bytes that were sent arrived, of {whole} in all"
    );
    // What was under way when the connection was cut may not have been read; what was read was sent.
    assert!(received <= sent && 0 < sent && sent < whole, "{received} of {sent} of {whole}");
    for ods in [ASKER, HOLDER] {
        assert_clean(&network, ods);
    }
}

#[test]
fn members_suspended_one_by_one_are_cut_by_every_node_and_the_others_go_on() {
    let network = Network::builder().organisations(&NODES).start().unwrap();
    let patient = stranger(42);
    network.import_value(HOLDER, &large(&patient)).unwrap();
    for ods in NODES {
        network.profile(&format!("{ods}-ig")).unwrap();
        network.profile(&format!("{ods}-it")).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let officers = Officers::new(&network, OFFICE, &runtime);
    let held = Member::load(&network.layout().node(OFFICE)).unwrap().trust;
    let count = if long() { 200 } else { 10 };
    // One more than are suspended: it goes on to the end.
    let joined = officers.admit(&held, count + 1, &network.layout().root().join("joined"), &runtime);
    for ods in NODES {
        until(&format!("{ods} has heard of the members"), LEARNED, || {
            let status = network.cli(&format!("{ods}-it"), &["node", "status", "-o", "json"]).unwrap();
            let version = status.field("/manifest_version").map_err(|error| error.to_string())?;
            if version == held.version() + 1 { Ok(()) } else { Err(version.to_string()) }
        })
        .unwrap();
    }
    let holder_node = Member::load(&network.layout().node(HOLDER)).unwrap().own.node_key();
    let scene = Scene { network: &network, patient: &patient, holder_node, officers: &officers };
    let mut figures = Figures::default();
    runtime.block_on(async {
        let mut live = Vec::new();
        for member in &joined {
            live.push(scene.connect(member).await);
        }
        for (number, member) in joined.iter().take(count).enumerate() {
            let links = std::mem::take(&mut live[number]);
            scene.suspend(member, links, number % 5 == 0, &mut figures).await;
            // Nobody else has been hung up on.
            assert!(live.iter().flatten().all(|link| !link.is_finished()), "after {number} suspensions");
        }
        let last = live.pop().unwrap();
        assert_eq!(last.len(), NODES.len());
        assert!(last.iter().all(|link| !link.is_finished()));
    });
    // The last one is answered to the end.
    let whole = runtime.block_on(scene.read_all(joined.last().unwrap()));
    assert!(whole > u64::from(CREDIT_WINDOW), "{whole} bytes");

    figures.show(count);
    for ods in NODES {
        let cuts = list(&network, ods, &["--kind", "admin"]);
        let cuts: Vec<&Value> = cuts.iter().filter(|entry| entry["outcome"] == "connection-cut").collect();
        for member in &joined[..count] {
            let said = format!("{} SUSPENDED", member.member.config.ods);
            assert_eq!(cuts.iter().filter(|entry| entry["detail"] == said).count(), 1, "{said} at {ods}");
        }
        assert_eq!(cuts.len(), count, "{cuts:#?}");
        assert_clean(&network, ods);
    }
    let cut = list(&network, HOLDER, &["--kind", "admin"]);
    let cut: Vec<&Value> = cut.iter().filter(|entry| entry["outcome"] == "answer-cut").collect();
    assert_eq!(cut.len(), figures.streamed.len());
    for (ods, received) in &figures.streamed {
        let entry = cut.iter().find(|entry| entry["asker"] == json!(ods)).unwrap();
        assert_eq!(entry["cause"], "SUSPENDED", "{entry:#}");
        assert!(entry["bytes"].as_u64().unwrap() >= *received, "{received} received: {entry:#}");
    }
}

/// What every suspension happens in.
struct Scene<'a> {
    network: &'a Network,
    patient: &'a scene::Patient,
    holder_node: NodeKey,
    officers: &'a Officers,
}

/// A connection with one node, watched until it ends: gives when, and what is left of it.
type Link = JoinHandle<(&'static str, Instant, Peer)>;

/// What was measured.
#[derive(Default)]
struct Figures {
    /// From publishing to each cut.
    cuts: Vec<Duration>,
    /// From the first node's cut to the last one's.
    spreads: Vec<Duration>,
    /// Bytes of an answer received before the cut, of those that were being answered.
    streamed: BTreeMap<String, u64>,
}

impl Scene<'_> {
    fn address(&self, ods: &str) -> Multiaddr {
        self.network.addresses(ods).unwrap().peer.parse().unwrap()
    }

    async fn connect(&self, joined: &Joined) -> Vec<Link> {
        let mut links = Vec::new();
        for ods in NODES {
            let mut peer = Peer::connect(joined.member.credentials().unwrap(), &self.address(ods)).await.unwrap();
            links.push(tokio::spawn(async move {
                peer.ended().await;
                (ods, Instant::now(), peer)
            }));
        }
        links
    }

    /// Suspends one member and sees it cut by every node.
    async fn suspend(&self, joined: &Joined, links: Vec<Link>, streaming: bool, figures: &mut Figures) {
        let ods = &joined.member.config.ods;
        // A second connection, which a peer may have, with an answer under way on it that is waited for and not credited.
        let answer = match streaming {
            true => Some(self.hold_open(joined).await),
            false => None,
        };
        let begun = Instant::now();
        self.officers.suspend(ods).await;
        let learned = Instant::now();
        let mut cuts = Vec::new();
        for link in links {
            let (node, at, peer) = timeout(LEARNED, link).await.expect("cut within a minute").unwrap();
            // The node that was told first knows it from here on; the others hear of it from there.
            assert!(node != OFFICE || at.saturating_duration_since(learned) < CUT, "{node} cut {ods} late");
            assert!(peer.open(Protocol::Manifest).await.is_err(), "{node} still serves {ods}");
            cuts.push(at.duration_since(begun));
        }
        if let Some(answer) = answer {
            let (received, last_byte) = timeout(CUT, answer).await.expect("the stream is cut as well").unwrap();
            assert!(received > 0 && last_byte < begun, "{ods} received something after it was suspended");
            figures.streamed.insert(ods.to_string(), received);
        }
        for node in NODES {
            let again = Peer::connect(joined.member.credentials().unwrap(), &self.address(node)).await;
            assert!(matches!(again, Err(PeerError::Refused(Cause::Suspended))), "{ods} at {node}");
        }
        let (first, last) = (cuts.iter().min().unwrap(), cuts.iter().max().unwrap());
        figures.spreads.push(*last - *first);
        figures.cuts.extend(cuts);
    }

    /// Asks the holder and reads what it sends without ever crediting it: gives how much that was and when the last of it came.
    async fn hold_open(&self, joined: &Joined) -> JoinHandle<(u64, Instant)> {
        let (peer, mut stream) = self.ask(joined).await;
        let received = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&received);
        let reading = tokio::spawn(async move {
            let mut last = Instant::now();
            while let Ok(Some(frame)) = stream.read_frame(FRAME_MAX).await {
                if let Some(AnswerFrame::Chunk(_)) = AnswerFrame::parse(&frame) {
                    counted.fetch_add(u64::try_from(frame.len()).unwrap(), Ordering::Relaxed);
                }
                last = Instant::now();
            }
            drop(peer);
            (counted.load(Ordering::Relaxed), last)
        });
        // Under way: the whole window has come, and the holder waits.
        let full = async {
            while received.load(Ordering::Relaxed) < u64::from(CREDIT_WINDOW) {
                tokio::task::yield_now().await;
            }
        };
        timeout(LEARNED, full).await.expect("the answer is under way");
        reading
    }

    async fn read_all(&self, joined: &Joined) -> u64 {
        let (_peer, mut stream) = self.ask(joined).await;
        let mut received = 0;
        while let Some(frame) = timeout(LEARNED, stream.read_frame(FRAME_MAX)).await.unwrap().unwrap() {
            let bytes = u32::try_from(frame.len()).unwrap();
            match AnswerFrame::parse(&frame) {
                Some(AnswerFrame::Chunk(_)) => {
                    received += u64::from(bytes);
                    let credit = careweave_protocol::query::CreditFrame { bytes };
                    stream.write_frame(&careweave_protocol::cbor::to_vec(&credit).unwrap()).await.unwrap();
                }
                Some(AnswerFrame::End) => return received,
                _ => {}
            }
        }
        panic!("ended after {received} bytes")
    }

    async fn ask(&self, joined: &Joined) -> (Peer, FramedStream<ExchangeStream>) {
        let question = Question {
            member: &joined.member,
            person: &joined.person,
            patient: Patient {
                nhs_number: self.patient.nhs_number.parse().unwrap(),
                birth_date: Date::from_iso(&self.patient.birth_date).unwrap(),
                family: self.patient.family.clone(),
                postcode: None,
                other_numbers: Vec::new(),
            },
            purpose: Purpose::Treat,
            grounds: vec![Relationship::RegisteredPractice],
            holder: HOLDER.parse().unwrap(),
            holder_node: self.holder_node,
        };
        let envelope = question.envelope(&question.query().unwrap()).unwrap();
        let peer = Peer::connect(joined.member.credentials().unwrap(), &self.address(HOLDER)).await.unwrap();
        let mut stream = peer.open(Protocol::Query).await.unwrap();
        stream.write_frame(envelope.signed().as_bytes()).await.unwrap();
        (peer, stream)
    }
}

impl Figures {
    fn show(&mut self, count: usize) {
        let said = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            let at = |share: usize| times[(times.len() - 1) * share / 100];
            format!("p50 {:.0?}, p90 {:.0?}, p99 {:.0?}, most {:.0?}", at(50), at(90), at(99), at(100))
        };
        let (cuts, spreads) = (said(&mut self.cuts), said(&mut self.spreads));
        eprintln!(
            "{count} suspensions at {} nodes: {} connections cut, from publishing {cuts}; from the first node to the last {spreads}; \
             {} answers under way, 0 bytes afterwards",
            NODES.len(),
            self.cuts.len(),
            self.streamed.len(),
        );
        let slowest = self.cuts.last().copied().unwrap_or_default();
        assert!(slowest < LEARNED + CUT, "{slowest:?}");
    }
}

/// Waits for an entry, and gives it.
fn wait_entries(network: &Network, ods: &str, filter: &[&str], fits: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{filter:?} at {ods}"), PATIENCE, || {
        let found = list(network, ods, filter);
        found.iter().find(|entry| fits(entry)).cloned().ok_or_else(|| format!("{found:#?}"))
    })
    .unwrap()
}

/// A record that is several windows long.
fn large(patient: &scene::Patient) -> Value {
    let mut bundle = held(patient);
    for number in 0..6 {
        bundle["entry"].as_array_mut().unwrap().push(json!({"resource": scan(patient, number)}));
    }
    bundle
}

/// The same patient, registered with the practice that asks.
fn registered(patient: &scene::Patient) -> Value {
    let mut bundle = held(patient);
    bundle["entry"].as_array_mut().unwrap().truncate(1);
    bundle["entry"][0]["resource"]["generalPractitioner"] = json!([{
        "type": "Organization",
        "identifier": {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": ASKER}
    }]);
    bundle
}

const ASKER: &str = "Y91001";
const HOLDER: &str = "R9A";
/// The node that is told first.
const OFFICE: &str = "G9V";
const NODES: [&str; 5] = [ASKER, HOLDER, "Y91002", "R9C", OFFICE];
/// How soon after a node knows it must have cut a connection.
const CUT: Duration = Duration::from_secs(5);
/// How soon every connected node must know.
const LEARNED: Duration = Duration::from_secs(60);
/// [`CUT`], and what it takes to look into a log on a busy machine.
const SOON: Duration = Duration::from_secs(8);
/// Until a question has been asked and answered on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
