use careweave_certs::keystore::{Algorithm, SoftwareKey};
use careweave_protocol::id::{NetworkId, NodeKey};
use careweave_protocol::identity::{EndpointRole, NodeBinding, StaffCredential, StaffGroup};
use careweave_protocol::key::Signer;
use careweave_protocol::signed::{Scope, Signed};
use careweave_protocol::time::{Date, Timestamp};
use libp2p::tcp::tokio::TcpStream;
use ring::rand::SystemRandom;

use super::*;

/// What the scripted node does after it has heard the person's hello.
enum Script {
    /// Says hello, hears the verdict, gives its own.
    Full(HelloReply),
    /// Refuses in place of its hello.
    RefuseAtOnce(Cause),
    /// Speaks as a person.
    Staff,
}

fn network() -> NetworkId {
    "test".parse().unwrap()
}

fn key() -> SoftwareKey {
    SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new()).unwrap()
}

fn node_key(key: &SoftwareKey) -> NodeKey {
    key.public_key().node_key().unwrap()
}

fn staff_hello() -> StaffHello {
    let person = key();
    let credential = StaffCredential {
        ods: "Y91001".parse().unwrap(),
        person: "gp".parse().unwrap(),
        name: "Test GP".to_owned(),
        group: StaffGroup::Gp,
        sds_role: "R0260".to_owned(),
        registration: None,
        training_expires: Date::new(2027, 1, 1).unwrap(),
        scopes: Vec::new(),
        key: node_key(&person),
        step_up: None,
        approvals: Vec::new(),
        not_before: Timestamp(0),
        not_after: Timestamp(1),
    };
    let credential = Signed::sign(&credential, Scope::network(&network()), &person).unwrap().into_signed();
    StaffHello { network: network(), protocol: 1, clock: Timestamp(0), credential }
}

fn node() -> NodeHello {
    let node = key();
    let binding = NodeBinding {
        ods: "Y91001".parse().unwrap(),
        node: node_key(&node),
        role: EndpointRole::Desk,
        retires: None,
        not_before: Timestamp(0),
        not_after: Timestamp(1),
    };
    NodeHello {
        network: network(),
        protocol: 1,
        clock: Timestamp(0),
        chain: Vec::new(),
        endorsement: None,
        earlier_keys: Vec::new(),
        binding: Signed::sign(&binding, Scope::network(&network()), &node).unwrap().into_signed(),
        attestations: Vec::new(),
        manifest_version: 7,
    }
}

/// Greets a scripted node; gives the outcome and the verdict that the node heard.
fn greet_with(
    script: Script,
    check: impl FnOnce(&NodeHello) -> Result<u64, Cause>,
) -> (Result<u64, DeskError>, Option<HelloReply>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let node_side = tokio::spawn(async move {
            let mut frames = Frames::new(TcpStream(listener.accept().await.unwrap().0));
            let hello: Hello = frames.receive_message(FRAME_MAX).await.unwrap();
            assert!(matches!(hello, Hello::Staff(_)));
            match script {
                Script::Full(reply) => {
                    frames.send_message(&Hello::Node(Box::new(node()))).await.unwrap();
                    let verdict = frames.receive_message(FRAME_MAX).await.unwrap();
                    drop(frames.send_message(&reply).await);
                    Some(verdict)
                }
                Script::RefuseAtOnce(cause) => {
                    frames.send_message(&HelloReply::Refused(cause)).await.unwrap();
                    None
                }
                Script::Staff => {
                    frames.send_message(&Hello::Staff(Box::new(staff_hello()))).await.unwrap();
                    None
                }
            }
        });
        let stream = TcpStream(tokio::net::TcpStream::connect(address).await.unwrap());
        let outcome = greet(stream, staff_hello(), check).await;
        (outcome, node_side.await.unwrap())
    })
}

#[test]
fn both_ends_welcome_each_other() {
    let (outcome, verdict) = greet_with(Script::Full(HelloReply::Welcome), |node| Ok(node.manifest_version));
    assert_eq!(outcome.unwrap(), 7);
    assert_eq!(verdict, Some(HelloReply::Welcome));
}

#[test]
fn a_node_that_refuses_is_heard_with_its_cause_at_either_moment() {
    let (outcome, _) = greet_with(Script::Full(HelloReply::Refused(Cause::CredentialExpired)), |_| Ok(0));
    assert!(matches!(outcome, Err(DeskError::Refused(Cause::CredentialExpired))));
    let (outcome, _) = greet_with(Script::RefuseAtOnce(Cause::Suspended), |_| Ok(0));
    assert!(matches!(outcome, Err(DeskError::Refused(Cause::Suspended))));
}

#[test]
fn a_node_that_is_not_trusted_is_told_so_and_nothing_is_asked_of_it() {
    let (outcome, verdict) = greet_with(Script::Full(HelloReply::Welcome), |_| Err(Cause::KeyNotPinned));
    assert!(matches!(outcome, Err(DeskError::NodeNotTrusted(Cause::KeyNotPinned))));
    assert_eq!(verdict, Some(HelloReply::Refused(Cause::KeyNotPinned)));
}

#[test]
fn another_person_at_the_other_end_is_no_desk() {
    let (outcome, _) = greet_with(Script::Staff, |_| Ok(0));
    assert!(matches!(outcome, Err(DeskError::NotADesk)));
}
