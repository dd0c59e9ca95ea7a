//! P1 and P3 of the performance budgets: whole views through real processes, beside floors measured in the same run.
//!
//! `make bench` runs it in release. Nothing is asserted about time: figures are reported, with the floor each stands on.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use careweave_node::net::{Endpoint, EndpointConfig, FramedStream, Inbound, Limits, Protocol};
use careweave_protocol::desk::{DeskReply, DeskRequest, ViewRequest};
use careweave_protocol::id::NetworkId;
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::limits::{FRAME_MAX, QUERY_LIFE};
use careweave_protocol::query::{Patient, Period, Purpose, Query};
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::{Date, Timestamp};
use careweave_tests::network::{FURTHER, Network, ORGANISATIONS};
use careweave_tests::peer::{Peer, Person};
use careweave_tests::population::nhs_number;
use libp2p::{Multiaddr, identity};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::sync::mpsc;

type Failure = Box<dyn Error + Send + Sync>;

/// Views measured for each figure, after as many tenths to warm up.
const VIEWS: usize = 300;
/// People who ask in turn: each stays under the rate one person may ask at.
const PEOPLE: usize = 12;
/// Signatures made or verified for one view over the three programs (budget P1).
const ED25519_OPERATIONS: u32 = 12;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let dir = std::env::temp_dir().join(format!("careweave-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let sync = quantiles(synced_writes(&dir)?);
    let ed25519 = ed25519_operation()?;
    std::fs::remove_dir_all(&dir)?;

    let p1 = {
        let network = Network::builder().organisations(&["Y91001", "R9A"]).start()?;
        give(&network, "Y91001", 0)?;
        give(&network, "R9A", 20)?;
        runtime.block_on(measure(&network, 1))?
    };
    let transport = quantiles(runtime.block_on(bare_exchange(2_600, p1.answer_bytes))?);
    let floor = transport.p50 + 2 * sync.p50 + ED25519_OPERATIONS * ed25519;
    let p3 = {
        let codes: Vec<&str> = ORGANISATIONS.iter().chain(&FURTHER).map(|o| o.ods).collect();
        let network = Network::builder().organisations(&codes).start()?;
        let holders = network.organisations().iter().filter(|o| o.holds_records() && o.ods != "Y91001");
        let codes: Vec<&str> = holders.map(|o| o.ods).collect();
        give(&network, "Y91001", 250)?;
        for ods in &codes {
            give(&network, ods, 250)?;
        }
        runtime.block_on(measure(&network, codes.len()))?
    };
    let wide_floor = quantiles(runtime.block_on(bare_exchange(2_600, p3.answer_bytes))?).p50 + 2 * sync.p50;
    report(
        &[
            ("one synced write", sync, None, ""),
            ("bare stream, request and answer of P1", transport, None, ""),
            ("P1 view, one holder, 20 records", p1.whole, Some(floor), "budget 1.5"),
            (
                "P3 view, ten holders and the own node, 250 records each",
                p3.whole,
                Some(wide_floor),
                "budget p50 60 ms, p99 250 ms",
            ),
            ("P3 own records on screen", p3.own, None, "budget 20 ms"),
        ],
        p3.records,
    )
}

/// What one series of views came to.
struct Measured {
    whole: Quantiles,
    own: Quantiles,
    answer_bytes: usize,
    records: usize,
}

#[derive(Clone, Copy)]
struct Quantiles {
    p50: Duration,
    p99: Duration,
}

async fn measure(network: &Network, holders: usize) -> Result<Measured, Failure> {
    let name: NetworkId = network.commands().network().parse()?;
    let mut desks = Vec::new();
    for number in 0..PEOPLE {
        let profile = network.profile(&format!("Y91001-gp.{number}"))?;
        let person = Person::load(&profile, &network.layout().passphrase())?;
        let to: Multiaddr = network.addresses("Y91001")?.desk.parse()?;
        let peer = Peer::connect(person.credentials(&name)?, &to).await?;
        desks.push((person, peer));
    }
    let (mut whole, mut own, mut answer_bytes, mut records) = (Vec::new(), Vec::new(), 0, 0);
    let mut pace = tokio::time::interval(Duration::from_millis(4));
    for (turn, (person, peer)) in desks.iter().cycle().take(VIEWS + VIEWS / 10).enumerate() {
        pace.tick().await;
        let credential = person.credential.unverified()?;
        let request = ViewRequest {
            query: question(&name, person, &credential)?,
            reason_text: None,
            deadline_ms: 8_000,
            resources: false,
            mark_new: false,
        };
        let replies = peer.desk(&DeskRequest::View(Box::new(request))).await?;
        let shown = replies.iter().find(|(_, reply)| matches!(reply, DeskReply::Own(_))).map(|(at, _)| *at);
        let Some((done, DeskReply::View(view))) = replies.last() else {
            return Err(format!("no view: {:?}", replies.last().map(|(_, reply)| reply)).into());
        };
        let answered = view.view.sources.iter().filter(|s| s.outcome == "answered" && !s.own).count();
        if answered != holders {
            return Err(format!("{answered} of {holders} holders answered").into());
        }
        records = view.view.sources.iter().map(|s| s.records as usize).sum();
        // Bytes on the way back are about 300 a record as they are packed; the floor carries as many.
        answer_bytes = view.view.sources.iter().filter(|s| !s.own).map(|s| s.records as usize).sum::<usize>() * 300;
        if turn >= VIEWS / 10 {
            whole.push(*done);
            own.push(shown.ok_or("own records were not shown")?);
        }
    }
    for (_, peer) in desks {
        peer.close().await;
    }
    Ok(Measured { whole: quantiles(whole), own: quantiles(own), answer_bytes, records })
}

fn question(network: &NetworkId, person: &Person, credential: &StaffCredential) -> Result<Signed<Query>, Failure> {
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let now = Timestamp(i64::try_from(millis)?);
    let mut id = [0; 16];
    SystemRandom::new().fill(&mut id).map_err(|_| "no randomness")?;
    let query = Query {
        network: network.clone(),
        query_id: careweave_protocol::id::QueryId(id),
        asker: credential.ods.clone(),
        credential: person.credential.digest(),
        patient: Patient {
            nhs_number: nhs_number(0).parse()?,
            birth_date: Date::new(1950, 6, 1).ok_or("date")?,
            family: "Bench".to_owned(),
            postcode: None,
            other_numbers: Vec::new(),
        },
        categories: Vec::new(),
        period: Period::default(),
        purpose: Purpose::Treat,
        reason: None,
        reason_text: None,
        case_number: None,
        grant: None,
        asked_at: now,
        expires_at: now.after(QUERY_LIFE),
    };
    Ok(Signed::sign(&query, Scope::network(network), person.key.as_ref())?.into_signed())
}

/// Gives an organisation the benchmark's patient and this many records in all, the Patient among them.
fn give(network: &Network, ods: &str, records: usize) -> Result<(), Failure> {
    let patient = json!({"fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001", "resource": {
        "resourceType": "Patient", "id": "bench",
        "identifier": [{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": nhs_number(0)}],
        "name": [{"family": "Bench", "given": ["Test"]}], "birthDate": "1950-06-01",
        "generalPractitioner": [{"identifier":
            {"system": "https://fhir.nhs.uk/Id/ods-organization-code", "value": "Y91001"}}]
    }});
    let observation = |number: usize| {
        json!({"fullUrl": format!("urn:uuid:00000000-0000-4000-8001-{number:012}"), "resource": {
            "resourceType": "Observation", "id": format!("{}-{number}", ods.to_lowercase()), "status": "final",
            "meta": {"lastUpdated": "2026-10-01T09:30:00Z", "versionId": "1"},
            "identifier": [{"system": format!("https://careweave.example/{ods}/id"), "value": format!("{number}")}],
            "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": "laboratory"}]}],
            "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0", "display": "Creatinine"}],
                "text": "Serum creatinine level"},
            "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000001"},
            "effectiveDateTime": format!("20{:02}-0{}-1{}", 10 + number % 15, 1 + number % 9, number % 9),
            "valueQuantity": {"value": 60 + number % 90, "unit": "umol/L", "system": "http://unitsofmeasure.org",
                "code": "umol/L"},
            "referenceRange": [{"low": {"value": 45}, "high": {"value": 84}, "text": "45-84"}],
            "performer": [{"display": "Pathology laboratory"}]
        }})
    };
    let entries: Vec<Value> = std::iter::once(patient).chain((1..records.max(1)).map(observation)).collect();
    network.import_value(ods, &json!({"resourceType": "Bundle", "type": "collection", "entry": entries}))?;
    Ok(())
}

/// One bare libp2p stream (TCP, Noise, Yamux), request and answer of these sizes, on a warm connection.
async fn bare_exchange(request: usize, answer: usize) -> Result<Vec<Duration>, Failure> {
    let (events, mut inbound) = mpsc::channel(64);
    let (server, _) = Endpoint::start(bare(vec!["/ip4/127.0.0.1/tcp/0".parse()?]), events).await?;
    let (events, mut outbound) = mpsc::channel(64);
    let (client, _) = Endpoint::start(bare(Vec::new()), events).await?;
    client.dial(server.local_peer(), server.listen_addresses(), Duration::from_secs(5)).await?;
    let Some(Inbound::Auth { peer, connection, stream, .. }) = outbound.recv().await else {
        return Err("no auth stream".into());
    };
    let mut hello = FramedStream::new(stream);
    hello.write_frame(b"hello").await?;
    client.admit(peer, connection)?;
    let Some(Inbound::Auth { peer, connection, .. }) = inbound.recv().await else {
        return Err("no auth stream".into());
    };
    server.admit(peer, connection)?;
    tokio::spawn(async move {
        let chunk = vec![7u8; answer.clamp(1, FRAME_MAX / 4)];
        while let Some(event) = inbound.recv().await {
            let Inbound::Exchange { stream, .. } = event else { continue };
            let mut stream = FramedStream::new(stream);
            let Ok(Some(_)) = stream.read_frame(FRAME_MAX).await else { continue };
            let mut left = answer;
            while left > 0 {
                let part = chunk.get(..left.min(chunk.len())).unwrap_or_default();
                if stream.write_frame(part).await.is_err() {
                    break;
                }
                left -= part.len();
            }
            drop(stream.close().await);
        }
    });
    let payload = vec![3u8; request];
    let mut times = Vec::new();
    for _ in 0..VIEWS {
        let begun = Instant::now();
        let mut stream =
            FramedStream::new(client.open(server.local_peer(), Protocol::Query, Duration::from_secs(5)).await?);
        stream.write_frame(&payload).await?;
        while stream.read_frame(FRAME_MAX).await?.is_some() {}
        times.push(begun.elapsed());
    }
    client.shutdown().await;
    server.shutdown().await;
    Ok(times)
}

fn bare(listen: Vec<Multiaddr>) -> EndpointConfig {
    EndpointConfig {
        keypair: identity::Keypair::generate_ed25519(),
        listen,
        offers: vec![Protocol::Query],
        limits: Limits::default(),
        busy_frame: Arc::from([0u8].as_slice()),
        clock: Arc::new(|| SystemTime::UNIX_EPOCH),
    }
}

fn synced_writes(dir: &Path) -> Result<Vec<Duration>, Failure> {
    let mut file = std::fs::File::create(dir.join("synced"))?;
    let block = [5u8; 2048];
    (0..VIEWS)
        .map(|_| {
            let begun = Instant::now();
            file.write_all(&block)?;
            file.sync_data()?;
            Ok(begun.elapsed())
        })
        .collect()
}

/// Mean of signing and verifying, on one core.
fn ed25519_operation() -> Result<Duration, Failure> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| "key")?;
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| "key")?;
    let message = [9u8; 600];
    let rounds = 2_000u32;
    let begun = Instant::now();
    for _ in 0..rounds {
        let signature = pair.sign(&message);
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, pair.public_key().as_ref());
        key.verify(&message, signature.as_ref()).map_err(|_| "signature")?;
    }
    Ok(begun.elapsed() / (2 * rounds))
}

fn quantiles(mut times: Vec<Duration>) -> Quantiles {
    times.sort_unstable();
    let at = |part: usize| times.get((times.len() * part / 100).min(times.len().saturating_sub(1)));
    let of = |part| at(part).copied().unwrap_or_default();
    Quantiles { p50: of(50), p99: of(99) }
}

fn report(lines: &[(&str, Quantiles, Option<Duration>, &str)], records: usize) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let ms = |d: Duration| d.as_secs_f64() * 1000.0;
    writeln!(out, "{:<42} {:>9} {:>9} {:>9} {:>6}  budget", "", "p50 ms", "p99 ms", "floor ms", "ratio")?;
    let mut figures = Vec::new();
    for (name, measured, floor, budget) in lines {
        let ratio = floor.map(|f| ms(measured.p50) / ms(f));
        let shown = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.2}"));
        writeln!(
            out,
            "{name:<42} {:>9.2} {:>9.2} {:>9} {:>6}  {budget}",
            ms(measured.p50),
            ms(measured.p99),
            shown(floor.map(ms)),
            shown(ratio),
        )?;
        figures.push(json!({"name": name, "p50_ms": ms(measured.p50), "p99_ms": ms(measured.p99),
            "floor_ms": floor.map(ms), "ratio": ratio, "budget": budget}));
    }
    writeln!(out, "{}", json!({"views": VIEWS, "p3_records": records, "figures": figures}))?;
    Ok(())
}
