//! Where the daemon and the client meet: the socket, the user's configuration and the state directory.
//!
//! Pure: the environment comes in as a look-up, so that both programs and every test resolve alike. A flag beats an
//! `ORCHD_*` variable, which beats the platform's own place; an empty variable is an unset one, and as the XDG base
//! directory specification has it, a relative `XDG_*` is none. Nothing is created or checked on disk.

use crate::limits::{SOCKET_PATH_BYTES_MAX_LINUX, SOCKET_PATH_BYTES_MAX_MACOS};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The registered workspaces, in the state directory.
pub const REGISTRY_FILE: &str = "workspaces.json";
/// The allowed command sets, in the state directory.
pub const TRUST_FILE: &str = "trust.json";
/// The version of both files that this program writes, and the only one that there has been.
pub const STATE_VERSION: u32 = 1;

/// Whose customs decide where files live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// The XDG base directories.
    Linux,
    /// `~/Library`.
    MacOs,
}

impl Platform {
    /// The platform that this program was built for.
    #[must_use]
    pub fn here() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else {
            Self::Linux
        }
    }

    fn socket_bytes_max(self) -> usize {
        match self {
            Self::Linux => SOCKET_PATH_BYTES_MAX_LINUX,
            Self::MacOs => SOCKET_PATH_BYTES_MAX_MACOS,
        }
    }
}

/// What the places depend on.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Whose customs decide.
    pub platform: Platform,
    /// Looks up an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// What a relative `--socket` or `ORCHD_*` is relative to.
    pub directory: &'a Path,
    /// The `--socket` flag.
    pub socket: Option<&'a Path>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings")
            .field("platform", &self.platform)
            .field("directory", &self.directory)
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

/// Where the daemon and the client meet; every path is absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// The user's own configuration.
    pub config: PathBuf,
    /// The workspace registry, trust, index and logs.
    pub state: PathBuf,
}

/// Why there is no such place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlacesError {
    /// Nothing says where the user's files are.
    #[error("HOME is not set, so there is no place for the {what}: set HOME or {variable}")]
    NoHome {
        /// What has no place.
        what: &'static str,
        /// The variable that names its place.
        variable: &'static str,
    },
    /// The kernel keeps a socket's name in a small array.
    #[error(
        "the socket path `{}` has {bytes} bytes, at most {bytes_max} fit: name a shorter one with --socket or ORCHD_SOCKET",
        path.display()
    )]
    SocketTooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
        /// The length allowed.
        bytes_max: usize,
    },
    /// A socket lives in a directory of its own.
    #[error("the socket path `{}` names no file in a directory: name one with --socket or ORCHD_SOCKET", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
}

impl Places {
    /// Resolves the three places.
    ///
    /// # Errors
    /// When HOME is needed and missing, or the socket's path cannot be one.
    pub fn resolve(around: &Surroundings<'_>) -> Result<Self, PlacesError> {
        let state = around.state()?;
        let config = around.config()?;
        let socket = around.socket(&state)?;
        let bytes = socket.as_os_str().as_encoded_bytes().len();
        let bytes_max = around.platform.socket_bytes_max();
        if bytes > bytes_max {
            return Err(PlacesError::SocketTooLong {
                path: socket,
                bytes,
                bytes_max,
            });
        }
        if socket.file_name().is_none() || socket.parent().is_none() {
            return Err(PlacesError::NotAFile { path: socket });
        }
        Ok(Self {
            socket,
            config,
            state,
        })
    }

    /// The file whose lock means that a daemon serves the socket.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        let mut name = self.socket.clone().into_os_string();
        name.push(".lock");
        PathBuf::from(name)
    }

    /// The file whose lock means that a daemon has the state.
    #[must_use]
    pub fn state_lock(&self) -> PathBuf {
        self.state.join("orchd.lock")
    }

    /// The directory of the daemon's logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }
}

impl Surroundings<'_> {
    fn state(&self) -> Result<PathBuf, PlacesError> {
        if let Some(named) = self.named("ORCHD_STATE_DIR") {
            return Ok(named);
        }
        match self.platform {
            Platform::Linux => match self.base("XDG_STATE_HOME") {
                Some(base) => Ok(base.join("orchd")),
                None => Ok(self
                    .home("state", "ORCHD_STATE_DIR")?
                    .join(".local/state/orchd")),
            },
            Platform::MacOs => Ok(self.library("state", "ORCHD_STATE_DIR")?),
        }
    }

    fn config(&self) -> Result<PathBuf, PlacesError> {
        if let Some(named) = self.named("ORCHD_CONFIG") {
            return Ok(named);
        }
        let directory = match self.platform {
            Platform::Linux => match self.base("XDG_CONFIG_HOME") {
                Some(base) => base.join("orchd"),
                None => self
                    .home("configuration", "ORCHD_CONFIG")?
                    .join(".config/orchd"),
            },
            Platform::MacOs => self.library("configuration", "ORCHD_CONFIG")?,
        };
        Ok(directory.join("config.toml"))
    }

    fn socket(&self, state: &Path) -> Result<PathBuf, PlacesError> {
        if let Some(flag) = self.socket {
            return Ok(self.directory.join(flag));
        }
        if let Some(named) = self.named("ORCHD_SOCKET") {
            return Ok(named);
        }
        match self.platform {
            Platform::Linux => Ok(match self.base("XDG_RUNTIME_DIR") {
                Some(base) => base.join("orchd/orchd.sock"),
                None => state.join("run/orchd.sock"),
            }),
            Platform::MacOs => Ok(self
                .home("socket", "ORCHD_SOCKET")?
                .join("Library/Caches/orchd/orchd.sock")),
        }
    }

    fn library(&self, what: &'static str, variable: &'static str) -> Result<PathBuf, PlacesError> {
        Ok(self
            .home(what, variable)?
            .join("Library/Application Support/orchd"))
    }

    fn home(&self, what: &'static str, variable: &'static str) -> Result<PathBuf, PlacesError> {
        self.base("HOME")
            .ok_or(PlacesError::NoHome { what, variable })
    }

    fn named(&self, name: &str) -> Option<PathBuf> {
        let value = (self.variable)(name).filter(|value| !value.is_empty())?;
        Some(self.directory.join(value))
    }

    fn base(&self, name: &str) -> Option<PathBuf> {
        (self.variable)(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(
        platform: Platform,
        variables: &[(&str, &str)],
        socket: Option<&str>,
    ) -> Result<Places, PlacesError> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Places::resolve(&Surroundings {
            platform,
            variable: &variable,
            directory: Path::new("/here"),
            socket: socket.map(Path::new),
        })
    }

    fn shown(places: &Places) -> [&str; 3] {
        [&places.socket, &places.config, &places.state].map(|path| path.to_str().unwrap())
    }

    #[test]
    fn each_platform_has_its_own_places() {
        let home = [("HOME", "/u"), ("XDG_RUNTIME_DIR", "/run/user/7")];
        let linux = resolve(Platform::Linux, &home, None).unwrap();
        let expected = [
            "/run/user/7/orchd/orchd.sock",
            "/u/.config/orchd/config.toml",
            "/u/.local/state/orchd",
        ];
        assert_eq!(shown(&linux), expected);
        assert_eq!(linux.lock(), Path::new("/run/user/7/orchd/orchd.sock.lock"));
        let mac = resolve(Platform::MacOs, &home, None).unwrap();
        let expected = [
            "/u/Library/Caches/orchd/orchd.sock",
            "/u/Library/Application Support/orchd/config.toml",
            "/u/Library/Application Support/orchd",
        ];
        assert_eq!(shown(&mac), expected);
    }

    #[test]
    fn without_a_runtime_directory_the_socket_lives_in_the_state() {
        let variables = [
            ("HOME", "/u"),
            ("XDG_STATE_HOME", "/s"),
            ("XDG_RUNTIME_DIR", "run"),
        ];
        let places = resolve(Platform::Linux, &variables, None).unwrap();
        assert_eq!(places.socket, Path::new("/s/orchd/run/orchd.sock"));
    }

    #[test]
    fn a_flag_beats_a_variable_and_a_variable_beats_the_platform() {
        let variables = [
            ("ORCHD_SOCKET", "/e/s"),
            ("ORCHD_CONFIG", "c.toml"),
            ("ORCHD_STATE_DIR", "/e/state"),
            ("XDG_RUNTIME_DIR", ""),
        ];
        let places = resolve(Platform::Linux, &variables, None).unwrap();
        assert_eq!(shown(&places), ["/e/s", "/here/c.toml", "/e/state"]);
        let places = resolve(Platform::Linux, &variables, Some("f.sock")).unwrap();
        assert_eq!(places.socket, Path::new("/here/f.sock"));
    }

    #[test]
    fn what_cannot_be_a_place_says_what_to_do() {
        let said = resolve(Platform::Linux, &[("HOME", "")], None)
            .unwrap_err()
            .to_string();
        assert_eq!(
            said,
            "HOME is not set, so there is no place for the state: set HOME or ORCHD_STATE_DIR"
        );
        let home = [("HOME", "/u")];
        let fits = format!("/{}", "x".repeat(106));
        let places = resolve(Platform::Linux, &home, Some(&fits)).unwrap();
        assert_eq!(places.socket, Path::new(&fits));
        let said = resolve(Platform::Linux, &home, Some(&format!("{fits}y")))
            .unwrap_err()
            .to_string();
        assert!(said.contains("has 108 bytes, at most 107 fit"), "{said}");
        let said = resolve(Platform::MacOs, &home, Some(&fits))
            .unwrap_err()
            .to_string();
        assert!(said.contains("has 107 bytes, at most 103 fit"), "{said}");
        assert_eq!(
            resolve(Platform::Linux, &home, Some("/")),
            Err(PlacesError::NotAFile { path: "/".into() })
        );
    }
}
