//! Every receipt that a node holds, verified against what is believed now.

use std::collections::BTreeMap;

use careweave_certs::receipt;
use careweave_protocol::cbor;
use careweave_protocol::desk::{DeskReply, DeskRequest, PeerEvidence};
use careweave_protocol::id::Digest;
use careweave_protocol::query::AnswerHeader;
use careweave_protocol::signed::Signed;
use careweave_protocol::time::Timestamp;
use careweave_tests::network::Network;
use careweave_tests::peer::{Member, Peer, Person};
use libp2p::Multiaddr;
use tokio::runtime::Runtime;

/// What one node's receipts came to.
#[derive(Debug, Default)]
pub(super) struct Verified {
    pub(super) all: usize,
    /// Of them, those decided before an instant.
    pub(super) before: usize,
    /// By the version of the manifest under which they were decided.
    pub(super) versions: BTreeMap<u64, usize>,
    /// Different certificates, endorsements or bindings they stand under.
    pub(super) evidence: usize,
}

/// Reads every receipt at a node as its privacy officer, and verifies each under the trust of that node as it is on disk.
pub(super) fn verify_all(network: &Network, ods: &str, before: Timestamp) -> Verified {
    let member = Member::load(&network.layout().node(ods)).unwrap();
    let profile = network.profile(&format!("{ods}-ig")).unwrap();
    let person = Person::load(&profile, &network.layout().passphrase()).unwrap();
    let desk: Multiaddr = network.addresses(ods).unwrap().desk.parse().unwrap();
    let runtime = Runtime::new().unwrap();
    let peer = runtime.block_on(Peer::connect(person.credentials(&member.config.network).unwrap(), &desk)).unwrap();
    let (mut verified, mut evidence, mut from) = (Verified::default(), BTreeMap::<Digest, PeerEvidence>::new(), None);
    let mut manifests = BTreeMap::new();
    loop {
        let replies = runtime.block_on(peer.desk(&DeskRequest::Receipts { from })).unwrap();
        let Some((_, DeskReply::Receipts(page))) = replies.into_iter().next_back() else {
            panic!("no receipts of {ods}")
        };
        evidence.extend(page.evidence.into_iter().map(|e| (Digest::of(&[&cbor::to_vec(&e).unwrap()]), e)));
        for stored in page.receipts {
            let header = Signed::<AnswerHeader>::from_bytes(stored.header.into_vec()).unwrap();
            let under = stored.evidence.unwrap_or_else(|| panic!("nothing kept with {}", stored.query_id));
            let version = header.unverified().unwrap().manifest_version;
            let manifest = manifests.entry(version).or_insert_with(|| member.trust.manifest_of(version).unwrap());
            let (asker, holder) = (&member.config.ods, &stored.holder);
            let good = receipt::verify_under(manifest, asker, holder, &header, &evidence[&under]);
            let good = good.unwrap_or_else(|error| panic!("{} of {holder} at {ods}: {error}", stored.query_id));
            verified.all += 1;
            verified.before += usize::from(good.get().decided_at < before);
            *verified.versions.entry(version).or_default() += 1;
        }
        verified.evidence = evidence.len();
        match page.next {
            Some(next) => from = Some(next),
            None => return verified,
        }
    }
}
