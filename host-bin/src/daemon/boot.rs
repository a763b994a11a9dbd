//! From nothing to a daemon that listens, and back to nothing.

use std::{path::PathBuf, sync::Arc};

use carport_core::{
    BillRow, Config, Host, ListenError, Listener, Registry, StartError, Time, Token, Tokens, bounds,
};
use chrono::Utc;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    compat::CarPlaces,
    endpoint::Endpoint,
    lock::RootLock,
    log::Log,
    notify, private_file,
    root::StateRoot,
    settings::{Configuration, overrides::Overrides},
    tokens::TokenFiles,
};
use crate::exit::{Code, Exit};

/// Environment variables that name the agent which this daemon works for; the first that is set
/// counts.
const AGENT_VARIABLES: [&str; 2] = ["CARPORT_AGENT_ID", "CAR_AGENT_ID"];
/// The longest path of a Unix socket.
pub(crate) const MAX_SOCKET_PATH: usize = 107;

/// A daemon that listens. Its files go when it does, the lock last.
pub(crate) struct Daemon {
    host: Arc<Host>,
    listener: Listener,
    endpoint: Endpoint,
    signals: Signals,
    posted: Posted,
    tokens: TokenFiles,
    lock: RootLock,
}

impl Daemon {
    /// Boots on a state root: lock, configuration, plugins, sockets, tokens, endpoint. Whatever
    /// fails, what was done before it is undone.
    pub(crate) async fn boot(
        root: &StateRoot,
        overrides: &Overrides,
        bill: &'static [BillRow],
        log: &Log,
    ) -> Result<Self, Exit> {
        raise_descriptors();
        root.prepare()?;
        let lock = RootLock::take(root)?;
        sweep(root);
        let configuration = Configuration::load(root, overrides, bill)?;
        log.set(configuration.own.log.level);
        let signals = Signals::listen()?;
        let host = start_host(root, &configuration, bill).await?;
        match open(root, &configuration).await {
            Ok((listener, endpoint, posted, tokens)) => {
                tracing::info!(url = endpoint.url, pid = endpoint.pid, "listening");
                Ok(Self { host, listener, endpoint, signals, posted, tokens, lock })
            }
            Err(exit) => {
                host.shutdown().await;
                Err(exit)
            }
        }
    }

    /// Where it listens.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Serves until a signal ends it, then lets what runs finish. A second signal ends the process
    /// at once, with everything left as it lies.
    pub(crate) async fn run(self) {
        let Self { host, listener, mut signals, posted, tokens, lock, .. } = self;
        notify::tell(notify::READY);
        let ended = async {
            let name = signals.next().await;
            tracing::info!("{name}: stopping");
            notify::tell(notify::STOPPING);
            tokio::spawn(async move {
                let name = signals.next().await;
                tracing::warn!("{name} again: not waiting");
                std::process::exit(Code::Interrupted as i32);
            });
            host.shutdown().await;
        };
        tokio::join!(listener.serve(host.clone()), ended);
        drop((posted, tokens));
        drop(lock);
        tracing::info!("stopped");
    }
}

/// Takes as many file descriptors as this user may have: connections and open runs hold one each, and
/// the usual soft limit of 1,024 is below what the configured limits allow.
fn raise_descriptors() {
    let now = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, ..now });
    if let Err(error) = raised {
        tracing::warn!(%error, ?now, "the limit of open files stays as it is");
    }
}

/// Removes what a killed daemon left, so that nobody takes it for this one's. Only under the lock.
fn sweep(root: &StateRoot) {
    for path in [root.endpoint(), root.socket(), root.auth_token(), root.host_token()] {
        if let Err(error) = private_file::remove(&path) {
            tracing::warn!("{}: {error}", path.display());
        }
    }
}

/// Starts every plugin of the build.
async fn start_host(
    root: &StateRoot,
    configuration: &Configuration,
    bill: &'static [BillRow],
) -> Result<Arc<Host>, Exit> {
    let tokens = Tokens {
        client: Some(Token::File(root.auth_token())),
        host: Some(Token::File(root.host_token())),
        agents: Some(root.agents_dir()),
    };
    let config = Config {
        settings: configuration.host.clone(),
        tokens,
        state_root: Some(root.path().to_owned()),
        plugins: configuration.plugins.clone(),
        agent_id: agent_id(|name| std::env::var(name).ok())?,
        ..Config::default()
    };
    let registry = Registry::linked(bill, &config.provided()).map_err(Exit::failed)?;
    Host::start(registry, config).await.map_err(|error| match error {
        StartError::Setting(_) => Exit::usage(error),
        _ => Exit::failed(error),
    })
}

fn agent_id(variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>, Exit> {
    let set = |name| Some((name, variable(name).filter(|it| !it.is_empty())?));
    let Some((name, id)) = AGENT_VARIABLES.into_iter().find_map(set) else { return Ok(None) };
    bounds::agent_id(name, &id).map_err(|error| Exit::usage(error.message))?;
    Ok(Some(id))
}

/// Opens the sockets, then says where they are.
async fn open(
    root: &StateRoot,
    configuration: &Configuration,
) -> Result<(Listener, Endpoint, Posted, TokenFiles), Exit> {
    let own = &configuration.own;
    let car = match own.compat.token_files || own.compat.socket {
        true => Some(CarPlaces::of_this_process()?),
        false => None,
    };
    let mut sockets: Vec<PathBuf> = own.listen.socket.then(|| root.socket()).into_iter().collect();
    if let Some(car) = car.as_ref().filter(|_| own.compat.socket) {
        sockets.extend(car.prepare_socket()?);
    }
    let listener = Listener::bind(Some(own.listen.bind), &sockets).await.map_err(cannot_listen)?;
    let publish = || {
        let tokens = TokenFiles::publish(root, car.filter(|_| own.compat.token_files))?;
        let address = listener.address().unwrap_or(own.listen.bind);
        let endpoint = Endpoint {
            url: format!("ws://{address}"),
            socket: own.listen.socket.then(|| root.socket()),
            pid: std::process::id(),
            started_at: Time::from(Utc::now()),
        };
        endpoint.write(root)?;
        Ok((endpoint, Posted(root.clone()), tokens))
    };
    match publish() {
        Ok((endpoint, posted, tokens)) => Ok((listener, endpoint, posted, tokens)),
        Err(exit) => {
            sockets.iter().for_each(|path| drop(private_file::remove(path)));
            Err(exit)
        }
    }
}

fn cannot_listen(error: ListenError) -> Exit {
    match &error {
        ListenError::Routable(_) => Exit::usage(error),
        ListenError::Tcp(_, why) if why.kind() == std::io::ErrorKind::AddrInUse => {
            let remedy = "choose another with --bind ADDR:PORT (port 0: any free one)";
            Exit::failed(format!("{error}: {remedy}"))
        }
        ListenError::Unix { path, .. } if path.as_os_str().len() > MAX_SOCKET_PATH => {
            let remedy = "name a state root with a shorter path, or switch it off (--no-socket)";
            Exit::usage(format!(
                "{} is too long for a Unix socket (at most {MAX_SOCKET_PATH} bytes): {remedy}",
                path.display()
            ))
        }
        _ => Exit::failed(error),
    }
}

/// `run/endpoint.json`, removed when dropped.
struct Posted(StateRoot);

impl Drop for Posted {
    fn drop(&mut self) {
        let path = self.0.endpoint();
        if let Err(error) = private_file::remove(&path) {
            tracing::warn!("{}: {error}", path.display());
        }
    }
}

/// The signals that end a daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, Exit> {
        let on = |kind| {
            signal(kind).map_err(|error| Exit::failed(format!("cannot hear signals: {error}")))
        };
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next; its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_of_the_environment_is_checked_and_the_native_name_comes_first() {
        let of = |these: &'static [(&str, &str)]| {
            agent_id(|name| {
                these.iter().find(|(it, _)| *it == name).map(|(_, id)| (*id).to_owned())
            })
        };
        assert_eq!(of(&[]).unwrap(), None);
        let both = [("CAR_AGENT_ID", "b"), ("CARPORT_AGENT_ID", "a")];
        assert_eq!(of(Box::leak(Box::new(both))).unwrap().as_deref(), Some("a"));
        assert_eq!(of(&[("CAR_AGENT_ID", "b")]).unwrap().as_deref(), Some("b"));
        let exit = of(&[("CARPORT_AGENT_ID", "../x")]).unwrap_err();
        assert!(exit.message.contains("CARPORT_AGENT_ID"), "{}", exit.message);
    }
}
