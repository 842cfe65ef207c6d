//! Loads the configuration: the file and the flags become one [`Config`], which is checked by the
//! rules.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::defaults::{FILE, TEXT};
use super::notices::{self, unknown_variables};
use super::{Config, ConfigError, File, ServeFlags, file, rules};

impl Config {
    /// Reads the file, if it exists, or the text that is used instead, and applies the flags.
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
        let path = match flags.config_text {
            Some(_) => Some(PathBuf::from(TEXT)),
            None => flags
                .config
                .clone()
                .or_else(|| Some(PathBuf::from(FILE)).filter(|path| path.exists())),
        };
        let (file, text) = match (&flags.config_text, &path) {
            (Some(text), _) => file::valid(text.0.clone(), Path::new(TEXT))?,
            (None, Some(path)) => file::read(path)?,
            (None, None) => (File::default(), String::new()),
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

    /// The configuration of a function on AWS Lambda: the flags, and the file or the text that they
    /// name.
    ///
    /// # Errors
    /// [`ConfigError`].
    #[cfg(feature = "lambda")]
    pub fn of_function(flags: ServeFlags) -> Result<Config, ConfigError> {
        let (file, base) = match (&flags.config, &flags.config_text) {
            (_, Some(text)) => (file::valid(text.0.clone(), Path::new(TEXT))?.0, None),
            (Some(path), None) => (file::read(path)?.0, path.parent().map(Path::to_path_buf)),
            (None, None) => (File::default(), None),
        };
        resolve(flags, file, &base.unwrap_or_default(), None)
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
