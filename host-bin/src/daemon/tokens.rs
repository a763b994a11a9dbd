//! The secrets of a state root: minted, kept in private files, rotated, removed.

use std::{fs, io, io::Write, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{
    compat::{self, CarPlaces},
    private_file,
    root::StateRoot,
};
use crate::exit::{Code, Exit};

/// How many random bytes a token has.
const BYTES: usize = 32;

/// The token files of a running daemon. They go when this value does.
#[derive(Debug)]
pub(crate) struct TokenFiles {
    root: StateRoot,
    car: Option<CarPlaces>,
}

impl TokenFiles {
    /// Mints the daemon token and the host token, and copies them to where CAR clients look if
    /// `car` says where that is.
    pub(crate) fn publish(root: &StateRoot, car: Option<CarPlaces>) -> Result<Self, Exit> {
        let files = Self { root: root.clone(), car };
        for path in [root.auth_token(), root.host_token()] {
            let token = mint()?;
            write(&path, &token)?;
            if let Some(car) = &files.car {
                car.prepare_copies()?;
                let copied = compat::write_copy(car, &path, token.expose_secret());
                copied.map_err(|error| failed(&car.copy_of(&path), &error))?;
            }
        }
        Ok(files)
    }
}

impl Drop for TokenFiles {
    fn drop(&mut self) {
        for path in [self.root.auth_token(), self.root.host_token()] {
            if let Some(car) = &self.car {
                let copy = car.copy_of(&path);
                // Another daemon may have put its own there meanwhile.
                if same(&read(&path), &read(&copy)) {
                    report(&copy, private_file::remove(&copy));
                }
            }
            report(&path, private_file::remove(&path));
        }
    }
}

fn report(path: &Path, removed: io::Result<()>) {
    if let Err(error) = removed {
        tracing::warn!("{}: {error}", path.display());
    }
}

/// The token in a file that a daemon minted.
pub(crate) fn show(path: &Path) -> Result<SecretString, Exit> {
    match read(path) {
        Ok(token) => Ok(token),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Exit::new(
            Code::NoDaemon,
            format!(
                "there is no token at {}: a daemon mints one when it starts (`carport serve`)",
                path.display()
            ),
        )),
        Err(error) => Err(failed(path, &error)),
    }
}

/// Puts a new token in the place of one that a daemon minted. It counts at once; connections that
/// proved the old one stay what they are. A copy for CAR clients is renewed with it.
pub(crate) fn rotate(path: &Path, car: Option<&CarPlaces>) -> Result<SecretString, Exit> {
    let old = show(path)?;
    let new = mint()?;
    write(path, &new)?;
    if let Some(car) = car
        && same(&Ok(old), &read(&car.copy_of(path)))
    {
        compat::write_copy(car, path, new.expose_secret())
            .map_err(|error| failed(&car.copy_of(path), &error))?;
    }
    Ok(new)
}

/// The token of an agent, and whether it was minted just now. It outlives the daemon.
pub(crate) fn agent(root: &StateRoot, id: &str) -> Result<(SecretString, bool), Exit> {
    let path = root.agent_token(id)?;
    root.prepare()?;
    let token = mint()?;
    let mint_new = || -> io::Result<bool> {
        let mut file = tempfile::NamedTempFile::new_in(root.agents_dir())?;
        file.write_all(token.expose_secret().as_bytes())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(true),
            Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(taken) => Err(taken.error),
        }
    };
    match mint_new().map_err(|error| failed(&path, &error))? {
        true => Ok((token, true)),
        false => Ok((read(&path).map_err(|error| failed(&path, &error))?, false)),
    }
}

/// Takes an agent's token back and mints another.
pub(crate) fn renew_agent(root: &StateRoot, id: &str) -> Result<SecretString, Exit> {
    let path = root.agent_token(id)?;
    root.prepare()?;
    let token = mint()?;
    write(&path, &token)?;
    Ok(token)
}

/// 32 random bytes as base64url without padding.
fn mint() -> Result<SecretString, Exit> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| Exit::failed(format!("this machine has no random bytes: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(*bytes).into())
}

fn write(path: &Path, token: &SecretString) -> Result<(), Exit> {
    private_file::write(path, token.expose_secret()).map_err(|error| failed(path, &error))
}

fn read(path: &Path) -> io::Result<SecretString> {
    let text = Zeroizing::new(fs::read_to_string(path)?);
    match text.trim() {
        "" => Err(io::ErrorKind::NotFound.into()),
        token => Ok(token.into()),
    }
}

fn same(one: &io::Result<SecretString>, other: &io::Result<SecretString>) -> bool {
    match (one, other) {
        (Ok(one), Ok(other)) => one.expose_secret() == other.expose_secret(),
        _ => false,
    }
}

fn failed(path: &Path, error: &io::Error) -> Exit {
    Exit::failed(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{MetadataExt, PermissionsExt},
        path::PathBuf,
    };

    use super::*;

    fn root() -> (tempfile::TempDir, StateRoot) {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::resolve(Some(&dir.path().join("root"))).unwrap();
        root.prepare().unwrap();
        (dir, root)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn tokens_are_new_at_each_start_private_and_gone_at_the_end() {
        let (_dir, root) = root();
        let both = [root.auth_token(), root.host_token()];
        let first = TokenFiles::publish(&root, None).unwrap();
        let [daemon, host] = both.clone().map(|path| text(&path));
        assert_ne!(daemon, host);
        for path in &both {
            assert_eq!(mode(path), 0o600);
            let bytes = URL_SAFE_NO_PAD.decode(text(path)).unwrap();
            assert_eq!(bytes.len(), 32);
        }
        // As after a kill: the files are still there.
        std::mem::forget(first);
        fs::set_permissions(&both[0], fs::Permissions::from_mode(0o644)).unwrap();
        let second = TokenFiles::publish(&root, None).unwrap();
        assert_ne!(text(&both[0]), daemon);
        assert_eq!(mode(&both[0]), 0o600);
        assert!(!format!("{second:?}").contains(&text(&both[0])));
        drop(second);
        assert!(both.iter().all(|path| !path.exists()));
    }

    #[test]
    fn a_rotated_token_is_another_and_one_that_was_never_minted_is_an_error() {
        let (_dir, root) = root();
        let missing = rotate(&root.auth_token(), None).unwrap_err();
        assert_eq!(missing.code, Code::NoDaemon);
        assert!(missing.message.contains("carport serve"), "{}", missing.message);
        assert!(show(&root.host_token()).is_err());

        let _files = TokenFiles::publish(&root, None).unwrap();
        let (old, host) = (text(&root.auth_token()), text(&root.host_token()));
        let new = rotate(&root.auth_token(), None).unwrap();
        assert_ne!(new.expose_secret(), old);
        assert_eq!(new.expose_secret(), text(&root.auth_token()));
        assert_eq!(mode(&root.auth_token()), 0o600);
        assert_eq!(text(&root.host_token()), host);
    }

    #[test]
    fn an_agents_token_is_minted_once_and_shown_after_that() {
        let (_dir, root) = root();
        let (token, minted) = agent(&root, "builder").unwrap();
        assert!(minted);
        let path = root.agent_token("builder").unwrap();
        assert_eq!((mode(&path), mode(&root.agents_dir())), (0o600, 0o700));
        let (again, minted) = agent(&root, "builder").unwrap();
        assert!(!minted);
        assert_eq!(again.expose_secret(), token.expose_secret());
        assert_ne!(agent(&root, "other").unwrap().0.expose_secret(), token.expose_secret());
        assert_ne!(renew_agent(&root, "builder").unwrap().expose_secret(), token.expose_secret());
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(root.agents_dir()).unwrap().count(), 2);
        assert_eq!(agent(&root, "../auth-token").unwrap_err().code, Code::Usage);
    }

    #[test]
    fn copies_for_car_clients_follow_the_token_and_leave_anothers_alone() {
        let (dir, root) = root();
        let car = CarPlaces::at(dir.path());
        let copy = |path: PathBuf| car.copy_of(&path);
        let (daemon, host) = (copy(root.auth_token()), copy(root.host_token()));
        let files = TokenFiles::publish(&root, Some(car.clone())).unwrap();
        assert_eq!(text(&daemon), text(&root.auth_token()));
        assert_eq!(text(&host), text(&root.host_token()));
        assert_eq!((mode(&daemon), mode(daemon.parent().unwrap())), (0o600, 0o700));
        let new = rotate(&root.auth_token(), Some(&car)).unwrap();
        assert_eq!(text(&daemon), new.expose_secret());
        private_file::write(&host, "of another daemon").unwrap();
        drop(files);
        assert!(!daemon.exists());
        assert_eq!(text(&host), "of another daemon");
    }
}
