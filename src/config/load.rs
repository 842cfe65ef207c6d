//! Loads the configuration: the file and the flags become one [`Config`], which is checked by the
//! rules.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::defaults::FILE;
use super::notices::{self, unknown_variables};
use super::{Config, ConfigError, File, ServeFlags, file, rules};

impl Config {
    /// Reads the file, if it exists, and applies the flags.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn load(flags: ServeFlags) -> Result<Config, ConfigError> {
        Config::read(flags).map(|(config, _)| config)
    }

    /// The configuration, and the file with its text, if there is one.
    pub(super) fn read(
        flags: ServeFlags,
    ) -> Result<(Config, Option<(PathBuf, String)>), ConfigError> {
        let path = flags
            .config
            .clone()
            .or_else(|| Some(PathBuf::from(FILE)).filter(|path| path.exists()));
        let (file, text) = match &path {
            Some(path) => file::read(path)?,
            None => (File::default(), String::new()),
        };
        let base = path
            .as_deref()
            .and_then(Path::parent)
            .map(Path::to_path_buf)
            .unwrap_or_default();
        let machines = Some(base.join("state-machines")).filter(|path| path.is_dir());
        let mut config = resolve(flags, file.clone(), &base, machines)?;
        let variables = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        config.notices = unknown_variables(variables);
        if let Some(path) = &path {
            config
                .notices
                .extend(notices::readable_secrets(path, &file));
        }
        config.notices.extend(notices::short_retention(&config));
        Ok((config, path.map(|path| (path, text))))
    }

    /// Only the sample job types, on a free port. Files and variables are ignored.
    pub fn samples_only(data: PathBuf) -> Config {
        let flags = ServeFlags {
            listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            data: Some(data),
            ..ServeFlags::default()
        };
        resolve(flags, File::default(), Path::new(""), None)
            .expect("nothing is said that could be wrong")
    }
}

/// As [`Config::resolve`], and checks the rules.
fn resolve(
    flags: ServeFlags,
    file: File,
    base: &Path,
    machines: Option<PathBuf>,
) -> Result<Config, ConfigError> {
    let config = Config::resolve(flags, file, base, machines)?;
    match rules::broken(&config) {
        Some(sentence) => Err(ConfigError::Rule(sentence)),
        None => Ok(config),
    }
}
