//! What the command line says about the configuration.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::{
    layer::Layer,
    outline::Outline,
    own::{LogLevel, loopback},
};
use crate::daemon::compat;

/// Flags that stand above the file and the environment.
#[derive(Debug, Default, Clone, clap::Args)]
pub(crate) struct Overrides {
    /// Listen on this loopback address; port 0 asks the kernel for a free one
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) bind: Option<SocketAddr>,
    /// Do not listen on Unix sockets
    #[arg(long)]
    pub(crate) no_socket: bool,
    /// Take every connection for a client; agents and hosts still need their tokens
    #[arg(long)]
    pub(crate) no_auth: bool,
    /// Let no call wait for a person
    #[arg(long)]
    pub(crate) no_approvals: bool,
    /// Start from the defaults of another daemon of this family
    #[arg(long, value_name = "DAEMON")]
    pub(crate) compat: Option<Compat>,
    /// How much to log on standard error
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<LogLevel>,
    /// Look for the models of voice in this directory before anywhere else; repeat it for more
    #[arg(long, value_name = "DIR")]
    pub(crate) voice_models: Vec<PathBuf>,
    /// Answer A2A over HTTP on this address; port 0 asks the kernel for a free one
    ///
    /// An address that others can reach needs `--a2a-tls-cert`, `--a2a-tls-key` and `--a2a-auth bearer`, and a
    /// wildcard such as 0.0.0.0 also `--a2a-public-url`; the keys of `[a2a]` do as well.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) a2a_bind: Option<SocketAddr>,
    /// What a request over A2A has to show: nothing, or the daemon token or one of `a2a.tokens`
    #[arg(long, value_name = "HOW", value_parser = ["none", "bearer"])]
    pub(crate) a2a_auth: Option<String>,
    /// Where clients reach A2A, if not at the address that it is bound to
    #[arg(long, value_name = "URL")]
    pub(crate) a2a_public_url: Option<String>,
    /// Speak TLS over A2A with the certificate in this PEM file
    #[arg(long, value_name = "FILE", requires = "a2a_tls_key")]
    pub(crate) a2a_tls_cert: Option<PathBuf>,
    /// The private key of the certificate, in a PEM file that others may not read
    #[arg(long, value_name = "FILE", requires = "a2a_tls_cert")]
    pub(crate) a2a_tls_key: Option<PathBuf>,
    /// Answer A2A messages as its conformance tests ask for, and nothing else
    #[arg(long)]
    pub(crate) a2a_test_executor: bool,
}

/// A daemon whose clients should find this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compat {
    /// The CAR daemon.
    Car,
}

impl Overrides {
    /// Other defaults. The file, the environment and the other flags still come before them.
    /// What sets a section of a plugin that this build lacks is left out.
    pub(super) fn preset(&self, outline: &Outline) -> Layer {
        let mut layer = Layer::default();
        if let Some(Compat::Car) = self.compat {
            as_car(&mut layer, outline);
        }
        if self.a2a_test_executor && outline.has("a2a") {
            // The conformance tests are on this machine, ask for all that can be switched on, and send a
            // file of a media type that no card here has.
            let from = "--a2a-test-executor";
            layer.set(&["a2a", "allow"], this_machine(), from);
            layer.set(&["a2a", "extended_card"], "loopback", from);
            layer.set(&["a2a", "rest"], true, from);
            layer.set(&["a2a", "check_input_modes"], false, from);
            layer.set(&["a2a", "require_version"], true, from);
        }
        layer
    }

    /// What overrides everything.
    pub(super) fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        if let Some(address) = self.bind {
            layer.set(&["listen", "bind"], address.to_string(), "command line --bind");
        }
        if self.no_socket {
            layer.set(&["listen", "socket"], false, "command line --no-socket");
            layer.set(&["compat", "socket"], false, "command line --no-socket");
        }
        if self.no_auth {
            layer.set(&["auth", "mode"], "off", "command line --no-auth");
        }
        if self.no_approvals {
            layer.set(&["approvals", "enabled"], false, "command line --no-approvals");
        }
        if let Some(level) = self.log {
            layer.set(&["log", "level"], level.word(), "command line --log");
        }
        if let Some(address) = self.a2a_bind {
            layer.set(&["a2a", "listen", "bind"], address.to_string(), "command line --a2a-bind");
        }
        if let Some(auth) = &self.a2a_auth {
            layer.set(&["a2a", "listen", "auth"], auth.as_str(), "command line --a2a-auth");
        }
        if let Some(url) = &self.a2a_public_url {
            let from = "command line --a2a-public-url";
            layer.set(&["a2a", "listen", "public_url"], url.as_str(), from);
        }
        if let Some(file) = &self.a2a_tls_cert {
            layer.set(&["a2a", "tls", "cert"], absolute(file), "command line --a2a-tls-cert");
        }
        if let Some(file) = &self.a2a_tls_key {
            layer.set(&["a2a", "tls", "key"], absolute(file), "command line --a2a-tls-key");
        }
        if self.a2a_test_executor {
            layer.set(&["a2a", "test_executor"], true, "command line --a2a-test-executor");
        }
        if !self.voice_models.is_empty() {
            let places: Vec<_> = self.voice_models.iter().map(|it| absolute(it)).collect();
            layer.set(&["voice", "models"], places, "command line --voice-models");
        }
        layer
    }
}

/// A path as the configuration has it. The daemon may be asked long after somebody left the directory that a
/// relative one is relative to.
fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The names and addresses of this machine, as `a2a.allow` has them.
fn this_machine() -> Vec<String> {
    ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into()
}

/// The defaults of the CAR daemon.
fn as_car(layer: &mut Layer, outline: &Outline) {
    let from = "--compat car";
    layer.set(&["listen", "bind"], loopback(compat::PORT).to_string(), from);
    layer.set(&["compat", "token_files"], true, from);
    layer.set(&["compat", "socket"], true, from);
    layer.set(&["host", "require_handshake"], true, from);
    layer.set(&["auth", "failure_code"], compat::AUTH_FAILED, from);
    if outline.has("a2a") {
        layer.set(&["a2a", "allow"], this_machine(), from);
    }
    if outline.has("a2ui") {
        layer.set(&["a2ui", "continuation"], "spec+car", from);
    }
    if outline.has("agents") {
        layer.set(&["agents", "inherit_env"], "all", from);
        layer.set(&["agents", "registry_foreign_paths"], "entries_only", from);
    }
    if outline.has("meetings") {
        layer.set(&["meetings", "foreign_root"], "empty", from);
    }
    if outline.has("memory") {
        layer.set(&["memory", "unbound"], "shared", from);
        layer.set(&["memory", "shared_load"], true, from);
    }
    if outline.has("voice")
        && let Some(home) = std::env::home_dir()
    {
        layer.set(&["voice", "audio_roots"], vec![home.display().to_string()], from);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(feature = "a2a")]
    fn the_conformance_tests_of_a2a_find_all_that_they_ask_for() {
        use carport_core::PluginEntry;

        use super::*;
        use crate::daemon::settings::{Configuration, Sources};

        static A2A: PluginEntry = PluginEntry::of::<carport_a2a::A2a>("1");
        let section = |file| {
            let file = Some((Path::new("config.toml"), file));
            let sources = Sources { file, environment: Vec::new(), plugins: vec![&A2A], bill: &[] };
            let overrides = Overrides { a2a_test_executor: true, ..Overrides::default() };
            Configuration::merge(sources, &overrides).unwrap().plugins["a2a"].clone()
        };
        let set = section("");
        assert_eq!((&set["test_executor"], &set["rest"]), (&true.into(), &true.into()));
        assert_eq!(set["extended_card"], "loopback");
        assert_eq!(set["allow"], serde_json::json!(["localhost", "127.0.0.1", "[::1]"]));
        assert_eq!(set["check_input_modes"], false);
        assert_eq!(section("[a2a]\nrest = false\n")["rest"], false);
        assert_eq!(section("[a2a]\ncheck_input_modes = true\n")["check_input_modes"], true);
    }

    #[test]
    #[cfg(feature = "a2a")]
    fn the_listener_of_a2a_can_be_had_by_flags_alone() {
        use carport_core::PluginEntry;

        use super::*;
        use crate::{
            cli::flags,
            daemon::settings::{Configuration, Sources},
        };

        static A2A: PluginEntry = PluginEntry::of::<carport_a2a::A2a>("1");
        let words = "--a2a-bind 0.0.0.0:443 --a2a-auth bearer --a2a-public-url https://a.example \
                     --a2a-tls-cert cert.pem --a2a-tls-key /key.pem";
        let overrides: Overrides = flags(words.split_whitespace()).unwrap();
        let sources =
            Sources { file: None, environment: Vec::new(), plugins: vec![&A2A], bill: &[] };
        let set = Configuration::merge(sources, &overrides).unwrap().plugins["a2a"].clone();
        let listen = serde_json::json!({
            "bind": "0.0.0.0:443", "auth": "bearer", "public_url": "https://a.example",
        });
        assert_eq!(set["listen"], listen);
        let cert = std::path::absolute("cert.pem").unwrap();
        assert_eq!(set["tls"], serde_json::json!({ "cert": cert, "key": "/key.pem" }));
        for wrong in ["--a2a-tls-cert a", "--a2a-tls-key a", "--a2a-auth basic"] {
            assert!(flags::<Overrides>(wrong.split_whitespace()).is_err(), "{wrong}");
        }
    }
}
