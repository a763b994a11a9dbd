//! Manifests that agents were installed from: held against this daemon, kept beside the agent's files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use carport_agents_bundle::{
    Advertised, AgentManifest, Document, Feature, MAX_TEXT, Verdict, below_transport,
};
use carport_agents_process::{AgentSpec, ManagedAgent, Manifest, Rules};
use carport_core::{Guarded, Identity, Result, RpcError, codes, encode_name, make_private_dir};
use rustix::fs::OFlags;
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

/// What an agent's manifest takes from it.
#[derive(Debug, Clone)]
pub(crate) enum Denied {
    /// These methods, by wire name.
    Methods(BTreeSet<&'static str>),
    /// All that can be taken: what its manifest denies is not known.
    All,
}

/// `bundles/{id}.toml` of every installed agent: what it was installed from, where no agent works. Of
/// each there is a copy at `agents/{id}/manifest.toml`, for people and for the agent, that is never
/// read: the agent may change it.
pub(crate) struct Bundles {
    kept: PathBuf,
    agents: PathBuf,
    advertised: Advertised,
    signatures: Signatures,
    car_version: Option<String>,
    /// What the manifests of supervised agents deny.
    denied: Guarded<BTreeMap<String, Denied>>,
}

impl Bundles {
    pub(crate) fn new(
        kept: PathBuf,
        agents: PathBuf,
        methods: BTreeMap<&'static str, &'static str>,
        config: &Config,
    ) -> Result<Self> {
        let added = config.capabilities.iter().map(|text| {
            let why = || format!("`agents.capabilities`: `{text}` is not `namespace.feature`");
            Feature::parse(text).ok_or_else(|| RpcError::internal(why()))
        });
        Ok(Self {
            kept,
            agents,
            advertised: Advertised::new(methods, added.collect::<Result<Vec<_>>>()?),
            signatures: config.signatures,
            car_version: config.car_version.clone(),
            denied: Guarded::default(),
        })
    }

    /// What an agent's manifest takes from it.
    pub(crate) fn denied(&self, id: &str) -> Denied {
        let known = self.denied.lock().get(id).cloned();
        known.unwrap_or_else(|| Denied::Methods(BTreeSet::new()))
    }

    /// Reads what the manifests of these agents deny. One that is there and cannot be relied on denies
    /// everything.
    pub(crate) fn load<'a>(&self, ids: impl Iterator<Item = &'a String>) {
        for id in ids {
            let denied = match self.relied_on(id) {
                Ok(None) => continue,
                Ok(Some(manifest)) => self.denial(&manifest),
                Err(error) => {
                    tracing::error!(id, %error, "the agent may do nothing until it is installed again");
                    Denied::All
                }
            };
            self.denied.lock().insert(id.clone(), denied);
        }
    }

    /// What an agent was installed from, if that could be installed as it is.
    fn relied_on(&self, id: &str) -> Result<Option<AgentManifest>> {
        let Some((document, manifest)) = self.read(id)? else { return Ok(None) };
        match (self.signatures, document.verify()) {
            (Signatures::Warn, _) | (_, Verdict::Verified { .. }) => Ok(Some(manifest)),
            (Signatures::Require, Verdict::Unsigned | Verdict::Failed { .. }) => {
                let why = "`agents.signatures` requires a signature, and that of its manifest does not hold";
                Err(RpcError::new(codes::POLICY, why))
            }
        }
    }

    fn denial(&self, manifest: &AgentManifest) -> Denied {
        Denied::Methods(self.advertised.denial(&manifest.denied()).0)
    }

    fn path(&self, id: &str) -> Result<PathBuf> {
        Ok(self.kept.join(format!("{}.toml", encode_name("agent.id", id)?)))
    }

    /// What an agent was installed from, whole and read.
    fn read(&self, id: &str) -> Result<Option<(Document, AgentManifest)>> {
        let path = self.path(id)?;
        let broken = |why: &dyn Display| {
            let path = path.display();
            RpcError::internal(format!("{path}: {why}: mend it, or remove the agent"))
        };
        let Some(text) = files::read(&path, MAX_TEXT).map_err(|error| broken(&error))? else {
            return Ok(None);
        };
        let document = Document::from_toml(&text).map_err(|error| broken(&error))?;
        let manifest = document.manifest().map_err(|error| broken(&error.message))?;
        match manifest.agent.id == id {
            true => Ok(Some((document, manifest))),
            false => Err(broken(&"is the manifest of another agent")),
        }
    }

    /// Writes a manifest, or takes away what there is of it.
    fn write(&self, id: &str, text: Option<&str>) -> Result<()> {
        let path = self.path(id)?;
        match text {
            Some(text) => files::replace(&path, text.as_bytes()),
            None => files::remove(&path).map(drop),
        }
        .map_err(RpcError::internal)
    }

    /// Puts the copy beside the agent's own files, or takes it away. What the agent made of its
    /// directory is in nobody's way.
    fn copy(&self, id: &str, text: Option<&str>) -> Result<()> {
        let own = self.agents.join(encode_name("agent.id", id)?);
        let path = own.join("manifest.toml");
        let done = match text {
            Some(text) => {
                make_private_dir(&own).and_then(|()| files::replace(&path, text.as_bytes()))
            }
            None => files::remove(&path).map(drop),
        };
        if let Err(error) = done {
            tracing::warn!(id, %error, path = %path.display(), "the copy of the manifest is not as it should be");
        }
        Ok(())
    }

    /// Forgets a manifest; `false` if there is none. What else the agent keeps there stays.
    pub(crate) fn remove(&self, id: &str) -> Result<bool> {
        let removed = files::remove(&self.path(id)?).map_err(RpcError::internal)?;
        self.denied.lock().remove(id);
        if removed {
            self.copy(id, None)?;
        }
        Ok(removed)
    }

    /// Whoever signed what is installed signs what comes in its place; else a warning.
    fn check_key(&self, id: &str, installed: &Document, new: &Document) -> Result<Option<String>> {
        let known = installed.verify();
        let Verdict::Verified { key_id } = &known else { return Ok(None) };
        if known.is_of_key_of(&new.verify()) {
            return Ok(None);
        }
        let why =
            format!("agent `{id}` was installed under the key {key_id}, which did not sign this");
        match self.signatures {
            Signatures::Warn => Ok(Some(why)),
            Signatures::Require => {
                let why = format!("{why}: remove the agent first if another key is to be trusted");
                Err(RpcError::new(codes::POLICY, why).with("field", "publisher.key_id"))
            }
        }
    }

    /// One id belongs to one namespace, and there is a limit to how many there are.
    fn check_place(
        &self,
        manifest: &AgentManifest,
        installed: Option<&AgentManifest>,
    ) -> Result<()> {
        let id = &manifest.agent.id;
        let Some(installed) = installed else {
            let all = fs::read_dir(&self.kept).map_err(RpcError::internal)?;
            let is_manifest = |path: PathBuf| path.extension().is_some_and(|it| it == "toml");
            let kept = all.flatten().filter(|it| is_manifest(it.path())).count();
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
        let (signature, key_id, warning) = match document.verify() {
            Verdict::Verified { key_id } => (SignatureState::Verified, Some(key_id), None),
            Verdict::Unsigned => {
                (SignatureState::Unsigned, None, Some("the manifest is not signed"))
            }
            Verdict::Failed { why } => (SignatureState::Failed, None, Some(why)),
        };
        if let (Some(why), Signatures::Require) = (warning, self.signatures) {
            let why = format!("{why}, and `agents.signatures` requires a signature");
            return Err(RpcError::new(codes::POLICY, why).with("field", "publisher.signature"));
        }
        Ok(InstallReport {
            missing_optional,
            signature,
            key_id,
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
        if let (Some(wanted), Some(spec)) =
            (manifest.transport.sha256.clone(), manifest.spec(None)?)
        {
            // Before anything is held: the file may be large.
            let rules = self.rules.clone();
            blocking(move || check_digest(&rules, &spec, &wanted)).await??;
        }
        let Written { spec, warnings, guard } = self.write_bundle(document, manifest).await?;
        report.warnings.extend(warnings);
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

    /// Writes the manifest and what is supervised of it: both or neither.
    async fn write_bundle(&self, document: Document, manifest: AgentManifest) -> Result<Written> {
        let mut agents = self.manifest.clone().lock_owned().await;
        let (rules, tokens, bundles) =
            (self.rules.clone(), self.tokens.clone(), self.bundles.clone());
        let written = blocking(move || -> Result<_> {
            let id = &manifest.agent.id;
            let installed = bundles.read(id)?;
            bundles.check_place(&manifest, installed.as_ref().map(|(_, it)| it))?;
            let stored = agents.agents().get(id);
            let warning = match (&installed, stored) {
                (Some((installed, _)), _) => bundles.check_key(id, installed, &document)?,
                (None, Some(_)) => Some(format!(
                    "agent `{id}` was there without a manifest: its token, what it may call and what \
                     it remembers are this one's now"
                )),
                (None, None) => None,
            };
            let spec = settled(&rules, &manifest, stored)?;
            let text = document.to_toml()?;
            bundles.write(id, Some(&text))?;
            if let Some(spec) = &spec
                && let Err(error) = write_down(&mut agents, &tokens, spec)
            {
                let before = installed.map(|(it, _)| it.to_toml()).transpose()?;
                bundles.write(id, before.as_deref())?;
                return Err(error);
            }
            bundles.denied.lock().insert(id.clone(), bundles.denial(&manifest));
            bundles.copy(id, Some(&text))?;
            Ok(Written { spec, warnings: warning.into_iter().collect(), guard: agents })
        });
        written.await?
    }
}

/// What was written down of a manifest.
struct Written {
    spec: Option<AgentSpec>,
    warnings: Vec<String>,
    /// Kept until the supervisor knows.
    guard: OwnedMutexGuard<Manifest>,
}

/// What is to be supervised of a manifest, in the place of what is `stored`.
fn settled(
    rules: &Rules,
    manifest: &AgentManifest,
    stored: Option<&AgentSpec>,
) -> Result<Option<AgentSpec>> {
    match (manifest.spec(stored)?, stored) {
        (None, None) => Ok(None),
        (None, Some(_)) => {
            let why = format!("agent `{}` is supervised: remove it first", manifest.agent.id);
            Err(RpcError::conflict(why))
        }
        (Some(spec), stored) => {
            let settled = rules.settle(unredacted(spec, stored), stored);
            settled.map(Some).map_err(below_transport)
        }
    }
}

/// Whether the file that a spec runs is the one that the manifest means. A file that may not be run is
/// not looked at.
fn check_digest(rules: &Rules, spec: &AgentSpec, wanted: &str) -> Result<()> {
    let file = rules.check(spec).map_err(|broken| below_transport(broken.into()))?;
    let got = digest(&file).map_err(|error| {
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

/// The SHA-256 of a file, in hex digits.
fn digest(path: &Path) -> io::Result<String> {
    let mut file = files::open(path, OFlags::empty())?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    while let count @ 1.. = file.read(&mut buffer)? {
        digest.update(&buffer[..count]);
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
