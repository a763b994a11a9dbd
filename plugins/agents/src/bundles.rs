//! Manifests that agents were installed from: held against this daemon, kept beside the agent's files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use carport_agents_bundle::{
    Advertised, AgentManifest, Document, Feature, Verdict, below_transport,
};
use carport_agents_process::{AgentSpec, ManagedAgent, Manifest};
use carport_core::{Guarded, Identity, Result, RpcError, codes, encode_name, make_private_dir};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::{
    config::{Config, Signatures},
    files,
    keeping::{Keeping, blocking, unredacted, write_down},
    methods::{InstallReport, SignatureState},
};

/// How many manifests are kept, those without a process included.
const MAX_BUNDLES: usize = 512;

/// `agents/{id}/manifest.toml` of every installed agent.
pub(crate) struct Bundles {
    directory: PathBuf,
    advertised: Advertised,
    signatures: Signatures,
    car_version: Option<String>,
    /// What the manifests of supervised agents deny, as wire names of methods.
    denied: Guarded<BTreeMap<String, BTreeSet<&'static str>>>,
}

impl Bundles {
    pub(crate) fn new(
        directory: PathBuf,
        methods: BTreeMap<&'static str, &'static str>,
        config: &Config,
    ) -> Result<Self> {
        let added = config.capabilities.iter().map(|text| {
            let why = || format!("`agents.capabilities`: `{text}` is not `namespace.feature`");
            Feature::parse(text).ok_or_else(|| RpcError::internal(why()))
        });
        Ok(Self {
            directory,
            advertised: Advertised::new(methods, added.collect::<Result<Vec<_>>>()?),
            signatures: config.signatures,
            car_version: config.car_version.clone(),
            denied: Guarded::default(),
        })
    }

    /// The methods that an agent's manifest denies it.
    pub(crate) fn denied(&self, id: &str) -> BTreeSet<&'static str> {
        self.denied.lock().get(id).cloned().unwrap_or_default()
    }

    /// Reads what the manifests of these agents deny.
    pub(crate) fn load<'a>(&self, ids: impl Iterator<Item = &'a String>) {
        for id in ids {
            match self.read(id) {
                Ok(Some((_, manifest))) => self.learn(&manifest),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(id, %error, "what the agent's manifest denies is not known");
                }
            }
        }
    }

    fn learn(&self, manifest: &AgentManifest) {
        let (denied, _) = self.advertised.denial(&manifest.denied());
        self.denied.lock().insert(manifest.agent.id.clone(), denied);
    }

    fn path(&self, id: &str) -> Result<PathBuf> {
        Ok(self.directory.join(encode_name("agent.id", id)?).join("manifest.toml"))
    }

    /// What an agent was installed from, whole and read.
    fn read(&self, id: &str) -> Result<Option<(Document, AgentManifest)>> {
        let path = self.path(id)?;
        let broken = |why: &dyn Display| {
            let path = path.display();
            RpcError::internal(format!("{path}: {why}: mend it, or remove the agent"))
        };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let document = Document::from_toml(&text).map_err(|error| broken(&error))?;
                let manifest = document.manifest().map_err(|error| broken(&error.message))?;
                Ok(Some((document, manifest)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(broken(&error)),
        }
    }

    /// Writes a manifest, or takes away what there is of it.
    fn write(&self, id: &str, document: Option<&Document>) -> Result<()> {
        let path = self.path(id)?;
        let Some(document) = document else { return self.remove(id).map(drop) };
        let own = path.parent().unwrap_or(&self.directory);
        make_private_dir(own).map_err(RpcError::internal)?;
        files::replace(&path, document.to_toml()?.as_bytes()).map_err(RpcError::internal)
    }

    /// Forgets a manifest; `false` if there is none. What else the agent keeps there stays.
    pub(crate) fn remove(&self, id: &str) -> Result<bool> {
        self.denied.lock().remove(id);
        files::remove(&self.path(id)?).map_err(RpcError::internal)
    }

    /// One id belongs to one namespace, and there is a limit to how many there are.
    fn check_place(
        &self,
        manifest: &AgentManifest,
        installed: Option<&AgentManifest>,
    ) -> Result<()> {
        let id = &manifest.agent.id;
        let Some(installed) = installed else {
            let all = fs::read_dir(&self.directory).map_err(RpcError::internal)?;
            let kept = all.flatten().filter(|it| it.path().join("manifest.toml").exists()).count();
            return match kept < MAX_BUNDLES {
                true => Ok(()),
                false => Err(RpcError::limit("installed manifests", MAX_BUNDLES as u64)),
            };
        };
        let known = &installed.agent.namespace;
        if *known == manifest.agent.namespace {
            return Ok(());
        }
        let known = known
            .as_ref()
            .map_or_else(|| "without a namespace".into(), |it| format!("from `{it}`"));
        let why = format!("agent `{id}` is installed {known}: remove it first");
        Err(RpcError::conflict(why).with("field", "agent.namespace"))
    }

    /// Holds a manifest against this daemon; what is wrong and does not forbid it is in the report.
    fn judge(&self, document: &Document, manifest: &AgentManifest) -> Result<InstallReport> {
        let own = env!("CARGO_PKG_VERSION");
        if let Some(unmet) = manifest.unmet(self.car_version.as_deref(), own)? {
            let (field, wanted) = (unmet.field, unmet.wanted);
            let remedy = match field.ends_with("car_min_version") {
                true => "set `agents.car_version` to the CAR release that this daemon speaks",
                false => "install a newer Carport",
            };
            let why = format!("`{field}`: {wanted} is not met: {remedy}");
            return Err(RpcError::unavailable(wanted.to_string(), why).with("field", field));
        }
        let (required, missing_optional) = self.advertised.missing(manifest);
        if !required.is_empty() {
            let names: Vec<_> = required.iter().map(ToString::to_string).collect();
            let why = format!(
                "this daemon does not offer {}: use a build with the plugins that do, or list them \
                 in `agents.capabilities`",
                names.join(", ")
            );
            return Err(RpcError::unavailable(json!(required), why));
        }
        let (_, unenforced) = self.advertised.denial(&manifest.denied());
        let (signature, warning) = match document.verify() {
            Verdict::Verified { .. } => (SignatureState::Verified, None),
            Verdict::Unsigned => (SignatureState::Unsigned, Some("the manifest is not signed")),
            Verdict::Failed { why } => (SignatureState::Failed, Some(why)),
        };
        if let (Some(why), Signatures::Require) = (warning, self.signatures) {
            let why = format!("{why}, and `agents.signatures` requires a signature");
            return Err(RpcError::new(codes::POLICY, why).with("field", "publisher.signature"));
        }
        Ok(InstallReport {
            missing_optional,
            signature,
            warnings: warning.map(str::to_owned).into_iter().collect(),
            unenforced: unenforced.iter().map(ToString::to_string).collect(),
        })
    }
}

impl Keeping {
    /// Installs an agent from its manifest, and starts it if it asks for that.
    pub(crate) async fn install(
        &self,
        document: Document,
        identity: &Identity,
    ) -> Result<(InstallReport, Option<ManagedAgent>)> {
        let manifest = document.manifest()?;
        let mut report = self.bundles.judge(&document, &manifest)?;
        self.own().await?;
        let denied = manifest.denied();
        let (spec, guard) = self.write_bundle(document, manifest).await?;
        let Some(spec) = spec else {
            report.unenforced = denied.iter().map(ToString::to_string).collect();
            return Ok((report, None));
        };
        let (id, auto_start) = (spec.id.clone(), spec.auto_start);
        let mut agent = self.supervisor.put(spec)?;
        drop(guard);
        if auto_start {
            match self.supervisor.start(&id).await {
                Ok(started) => agent = started,
                // It is installed all the same; what becomes of it is its restart policy's affair.
                Err(error) => {
                    report.warnings.push(error.to_string());
                    agent = self.supervisor.get(&id).unwrap_or(agent);
                }
            }
        }
        Ok((report, Some(self.roster.shown(&agent, identity))))
    }

    /// Writes the manifest and what is supervised of it: both or neither. The guard stays with the
    /// caller until the supervisor knows.
    async fn write_bundle(
        &self,
        document: Document,
        manifest: AgentManifest,
    ) -> Result<(Option<AgentSpec>, OwnedMutexGuard<Manifest>)> {
        let mut agents = self.manifest.clone().lock_owned().await;
        let (rules, tokens, bundles) =
            (self.rules.clone(), self.tokens.clone(), self.bundles.clone());
        let written = blocking(move || -> Result<_> {
            let id = &manifest.agent.id;
            let installed = bundles.read(id)?;
            bundles.check_place(&manifest, installed.as_ref().map(|(_, it)| it))?;
            let stored = agents.agents().get(id);
            let spec = match (manifest.spec(stored)?, stored) {
                (None, None) => None,
                (None, Some(_)) => {
                    let why = format!("agent `{id}` is supervised: remove it first");
                    return Err(RpcError::conflict(why));
                }
                (Some(spec), stored) => {
                    let settled = rules.settle(unredacted(spec, stored), stored);
                    Some(settled.map_err(below_transport)?)
                }
            };
            if let (Some(spec), Some(wanted)) = (&spec, &manifest.transport.sha256) {
                check_digest(Path::new(spec.command.as_deref().unwrap_or_default()), wanted)?;
            }
            bundles.write(id, Some(&document))?;
            if let Some(spec) = &spec
                && let Err(error) = write_down(&mut agents, &tokens, spec)
            {
                bundles.write(id, installed.as_ref().map(|(it, _)| it))?;
                return Err(error);
            }
            bundles.learn(&manifest);
            Ok((spec, agents))
        });
        written.await?
    }
}

/// Whether a file is the one that the manifest means.
fn check_digest(path: &Path, wanted: &str) -> Result<()> {
    let digest = || -> io::Result<String> {
        let mut file = fs::File::open(path)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        while let count @ 1.. = file.read(&mut buffer)? {
            digest.update(&buffer[..count]);
        }
        Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    };
    let got = digest().map_err(|error| {
        RpcError::invalid_params("transport.command", format!("cannot be read: {error}"))
    })?;
    match got.eq_ignore_ascii_case(wanted) {
        true => Ok(()),
        false => {
            let why = format!("the file at `transport.command` has {got}");
            Err(RpcError::invalid_params("transport.sha256", why).with("got", got))
        }
    }
}
