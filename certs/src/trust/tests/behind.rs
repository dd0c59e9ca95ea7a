//! A member that was away is owed the manifests it lacks; nobody else is.

use super::*;

#[test]
fn a_member_that_was_away_is_known_by_its_key_after_its_authority_has_left_and_a_stranger_never() {
    let mut network = Network::new(&["R9A", "R9C"]);
    let (mut trust, now) = (trust(&network), network.now);
    let [r9a, r9c] = network.organisations.as_slice() else { unreachable!() };
    let (away, node, others) = (network.hello(r9a), r9a.node(), r9c.node());
    let theirs = network.hello(r9c);
    assert!(!trust.is_member_behind(&away, node, now), "nothing is lacked");

    // Its root and intermediate leave, so its certificate counts no more.
    network.rotate_authorities();
    trust.advance(network.sign(&network.manifest(2), &[0, 1, 2]), now).unwrap();
    assert_eq!(
        trust.check_node(&away, node, EndpointRole::Peer, now).map(drop),
        Err(Cause::CertInvalid),
        "it is not admitted"
    );
    assert!(trust.is_member_behind(&away, node, now));

    let with = |change: &dyn Fn(&mut careweave_protocol::identity::NodeHello)| {
        let mut hello = away.clone();
        change(&mut hello);
        trust.is_member_behind(&hello, node, now)
    };
    assert!(!trust.is_member_behind(&away, others, now), "on a connection of another key");
    assert!(!with(&|h| h.manifest_version = 2), "nothing is lacked");
    assert!(!with(&|h| h.network = "elsewhere".parse().unwrap()), "another network");
    assert!(!with(&|h| h.chain.clear()), "no certificate");
    assert!(!with(&|h| h.binding = theirs.binding.clone()), "another's binding");
    assert!(!with(&|h| h.chain = theirs.chain.clone()), "another's certificate");
    assert!(!trust.is_member_behind(&away, node, now.after(BINDING_LIFE)), "a binding that is over");
    let stranger = Network::new(&["R9A"]);
    let [same_code] = stranger.organisations.as_slice() else { unreachable!() };
    assert!(!trust.is_member_behind(&stranger.hello(same_code), same_code.node(), now), "a key that nobody pins");
}
