//! What the daemon says about itself, on standard error. Never a patient, never a secret: see invariant 11.

use tracing_subscriber::EnvFilter;

/// Starts logging with a `tracing` filter; an unreadable filter falls back to `info` and says so.
pub fn start(filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let fallback = parsed.is_err();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .finish();
    // An error means that a subscriber was set before, by a test that starts several nodes.
    drop(tracing::subscriber::set_global_default(subscriber));
    if fallback {
        tracing::warn!(filter, "log filter not understood, using info");
    }
}
