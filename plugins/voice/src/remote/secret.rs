//! Where a provider's key is, and the reading of it.

use std::path::PathBuf;

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SecretRef {
    /// In a variable of the daemon.
    Env(String),
    /// In a file, by absolute path.
    File(PathBuf),
}

impl SecretRef {
    /// `env:NAME` or `file:/PATH`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("env", name) if !name.is_empty() && !name.contains(['=', '\0']) => {
                Some(Self::Env(name.to_owned()))
            }
            ("file", path) => {
                let path = PathBuf::from(path);
                path.is_absolute().then_some(Self::File(path))
            }
            _ => None,
        }
    }
}

#[cfg(feature = "remote")]
mod reading {
    use std::io::Read;

    use carport_voice_api::Unready;
    use secrecy::SecretString;

    use super::SecretRef;

    /// Bytes of a key.
    const MOST: u64 = 4096;

    impl SecretRef {
        /// The key, without white space around it.
        pub(crate) fn read(&self) -> Result<SecretString, Unready> {
            let (found, missing, remedy) = match self {
                Self::Env(name) => {
                    let remedy =
                        format!("set the variable {name} of the daemon to the provider's key");
                    (std::env::var(name).ok(), name.clone(), remedy)
                }
                Self::File(path) => {
                    let mut text = String::new();
                    let read = std::fs::File::open(path)
                        .and_then(|file| file.take(MOST).read_to_string(&mut text));
                    let path = path.display();
                    let remedy =
                        format!("write the provider's key into {path}, for the daemon alone");
                    (read.is_ok().then_some(text), path.to_string(), remedy)
                }
            };
            match found.as_deref().map(str::trim) {
                Some(key) if !key.is_empty() => Ok(SecretString::from(key)),
                _ => Err(Unready { missing, remedy }),
            }
        }
    }
}
