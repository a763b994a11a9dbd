//! What CAR clients expect of a daemon, for `serve --compat car`.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use super::{private_file, root::secure};
use crate::exit::Exit;

/// The name that CAR clients look for, as a directory.
pub(crate) const APP_ID: &str = "ai.parslee.car";
/// The port that CAR clients connect to.
pub(crate) const PORT: u16 = 9100;
/// The error code of a failed `session.auth` there.
pub(crate) const AUTH_FAILED: i32 = carport_core::codes::INTERNAL;

/// Where CAR clients look on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CarPlaces {
    /// The directory of the token files: under `CAR_HOME`, else `XDG_RUNTIME_DIR`, else `~/.config`.
    tokens: PathBuf,
    /// The Unix socket: in `CAR_HOME`, else in `XDG_RUNTIME_DIR`; none without either.
    pub(crate) socket: Option<PathBuf>,
}

impl CarPlaces {
    /// The places that this process's environment names.
    pub(crate) fn of_this_process() -> Result<Self, Exit> {
        Self::find(|name| std::env::var_os(name), std::env::home_dir())
    }

    fn find(
        variable: impl Fn(&str) -> Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, Exit> {
        let directory = |name: &str| match variable(name).filter(|it| !it.is_empty()) {
            Some(path) if Path::new(&path).is_relative() => {
                Err(Exit::usage(format!("{name}: `{}` is relative", Path::new(&path).display())))
            }
            path => Ok(path.map(PathBuf::from)),
        };
        let (car, runtime) = (directory("CAR_HOME")?, directory("XDG_RUNTIME_DIR")?);
        let socket = match (&car, &runtime) {
            (Some(car), _) => Some(car.join("run").join("car-server.sock")),
            (None, Some(runtime)) => Some(runtime.join(APP_ID).join("car-server.sock")),
            (None, None) => None,
        };
        match car.or(runtime).or_else(|| Some(home?.join(".config"))) {
            Some(base) => Ok(Self { tokens: base.join(APP_ID), socket }),
            None => Err(Exit::usage(
                "there is no place for the tokens of CAR clients: set CAR_HOME, or switch \
                 `compat.token_files` off",
            )),
        }
    }

    /// Makes the socket's directory, private.
    pub(crate) fn prepare_socket(&self) -> Result<Option<PathBuf>, Exit> {
        if let Some(directory) = self.socket.as_deref().and_then(Path::parent) {
            secure(directory)?;
        }
        Ok(self.socket.clone())
    }

    /// Makes the directory of the tokens, private, and says where the copy of a token file goes.
    pub(crate) fn prepare_copies(&self) -> Result<&Path, Exit> {
        secure(&self.tokens)?;
        Ok(&self.tokens)
    }

    /// Where the copy of a token file is.
    pub(crate) fn copy_of(&self, token: &Path) -> PathBuf {
        self.tokens.join(token.file_name().unwrap_or_default())
    }
}

/// Puts a copy of a token where CAR clients look for it.
pub(crate) fn write_copy(places: &CarPlaces, token: &Path, text: &str) -> io::Result<()> {
    private_file::write(&places.copy_of(token), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    impl CarPlaces {
        /// Places under this directory, as with `CAR_HOME`.
        pub(crate) fn at(base: &Path) -> Self {
            Self::find(|name| (name == "CAR_HOME").then(|| base.into()), None).unwrap()
        }
    }

    fn find(environment: &[(&str, &str)], home: Option<&str>) -> Result<(String, String), Exit> {
        let of = |name: &str| {
            environment.iter().find(|(it, _)| *it == name).map(|(_, value)| value.into())
        };
        let places = CarPlaces::find(of, home.map(PathBuf::from))?;
        let shown = |path: PathBuf| path.display().to_string();
        let socket = places.socket.clone().map(shown).unwrap_or_default();
        Ok((shown(places.copy_of(Path::new("/root/run/auth-token"))), socket))
    }

    #[test]
    fn clients_find_tokens_and_socket_where_they_look() {
        let both = [("CAR_HOME", "/car"), ("XDG_RUNTIME_DIR", "/xdg")];
        let (token, socket) = find(&both, Some("/home/ada")).unwrap();
        assert_eq!(token, "/car/ai.parslee.car/auth-token");
        assert_eq!(socket, "/car/run/car-server.sock");
        let (token, socket) = find(&both[1..], Some("/home/ada")).unwrap();
        assert_eq!(token, "/xdg/ai.parslee.car/auth-token");
        assert_eq!(socket, "/xdg/ai.parslee.car/car-server.sock");
        let (token, socket) = find(&[("CAR_HOME", "")], Some("/home/ada")).unwrap();
        assert_eq!(token, "/home/ada/.config/ai.parslee.car/auth-token");
        assert_eq!(socket, "");
        assert!(find(&[], None).is_err());
        assert!(find(&[("XDG_RUNTIME_DIR", "run")], None).unwrap_err().message.contains("XDG"));
    }
}
