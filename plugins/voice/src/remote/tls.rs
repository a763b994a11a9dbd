//! TLS to a provider: the roots that this machine trusts, and arithmetic that builds in seconds.

use std::sync::Arc;

use rustls::{ClientConfig, Error, crypto::ring::default_provider};
use rustls_platform_verifier::BuilderVerifierExt;

/// Fails where the machine has no certificates.
pub(crate) fn tls() -> Result<ClientConfig, Error> {
    Ok(ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth())
}
