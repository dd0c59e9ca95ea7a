use careweave_certs::keystore::Algorithm;
use careweave_protocol::key::Signer;
use ring::rand::SystemRandom;

use super::*;
use crate::args::Output;
use crate::output::Printer;
use careweave_protocol::time::Timestamp;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cw-agent-{name}-{}", std::process::id()));
        private_file::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn context() -> Context {
    Context {
        clock: || Timestamp(0),
        profile: None,
        home: None,
        runtime: None,
        printer: Printer::new(Output::Table, false),
        output: Output::Table,
        form: crate::args::OutputForm::Table,
        terminal: false,
        interactive: false,
        progress: false,
        verbose: false,
    }
}

/// A profile with a key, plain because nothing here opens it with a passphrase.
fn profile(name: &str) -> (Scratch, SoftwareKey) {
    let scratch = Scratch::new(name);
    let key = SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new()).unwrap();
    key.write_plain(&scratch.0.join(STAFF_KEY)).unwrap();
    (scratch, key)
}

async fn listening(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while UnixStream::connect(path).is_err() {
        assert!(Instant::now() < deadline, "the agent does not listen");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_gives_the_key_until_it_is_told_to_lock() {
    let (scratch, key) = profile("lock");
    let (directory, ctx, public) = (scratch.0.clone(), context(), key.public_key());
    let path = socket(&directory, &ctx).unwrap();
    assert!(unlocked(&directory, &ctx).unwrap().is_none());
    let serving = tokio::spawn({
        let path = path.clone();
        async move { serve(&path, &key, Duration::from_secs(60)).await }
    });
    listening(&path).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for _ in 0..3 {
        assert_eq!(unlocked(&directory, &ctx).unwrap().unwrap().public_key(), public);
    }
    assert!(lock(&directory, &ctx).unwrap());
    serving.await.unwrap().unwrap();
    assert!(!path.exists() && !lock(&directory, &ctx).unwrap());
}

#[tokio::test]
async fn the_agent_locks_itself_when_idle() {
    let (scratch, key) = profile("idle");
    let path = socket(&scratch.0, &context()).unwrap();
    timeout(Duration::from_secs(10), serve(&path, &key, Duration::from_millis(1))).await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_directory_that_others_may_enter_is_refused_by_both_ends() {
    let (scratch, key) = profile("open");
    let path = socket(&scratch.0, &context()).unwrap();
    std::fs::set_permissions(&scratch.0, std::fs::Permissions::from_mode(0o755)).unwrap();
    let refused = serve(&path, &key, Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(refused.code, "readable-by-others");
    std::fs::write(&path, "").unwrap();
    assert_eq!(unlocked(&scratch.0, &context()).err().unwrap().code, "readable-by-others");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_key_than_the_profiles_is_refused() {
    let (scratch, _) = profile("other");
    let (directory, ctx) = (scratch.0.clone(), context());
    let path = socket(&directory, &ctx).unwrap();
    let other = SoftwareKey::generate(Algorithm::Ed25519, &SystemRandom::new()).unwrap();
    let serving = tokio::spawn({
        let path = path.clone();
        async move { serve(&path, &other, Duration::from_secs(60)).await }
    });
    listening(&path).await;
    assert_eq!(unlocked(&directory, &ctx).err().unwrap().code, "agent");
    assert!(lock(&directory, &ctx).unwrap());
    serving.await.unwrap().unwrap();
}
