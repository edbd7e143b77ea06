//! The location of MariaDB's programs, and the files of an empty database.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::StartError;

const INSTALL: &str = "install MariaDB: `apt-get install mariadb-server` on Debian and Ubuntu, \
                       `brew install mariadb` on macOS";

/// Folders of system programs, which the `PATH` of a user often lacks.
const ALSO: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The arguments of `mariadb-install-db`.
const ARGUMENTS: &[&str] = &[
    "--no-defaults",
    "--auth-root-authentication-method=normal",
    "--skip-name-resolve",
    "--innodb-log-file-size=4M",
];

/// The programs of MariaDB.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) server: PathBuf,
    pub(super) client: PathBuf,
    install: PathBuf,
}

impl Programs {
    pub(super) fn find() -> Result<Self, StartError> {
        let [server, client, install] =
            ["mariadbd", "mariadb", "mariadb-install-db"].map(find_program);
        match (server, client, install) {
            (Some(server), Some(client), Some(install)) => Ok(Self {
                server,
                client,
                install,
            }),
            _ => Err(StartError::Missing {
                programs: &["mariadbd with mariadb and mariadb-install-db"],
                install: INSTALL,
            }),
        }
    }

    /// Returns a name that depends on everything that affects a template.
    pub(super) fn template_name(&self) -> io::Result<String> {
        let version = Command::new(&self.server).arg("--version").output()?.stdout;
        let mut hasher = DefaultHasher::new();
        (version, &self.server, ARGUMENTS).hash(&mut hasher);
        Ok(format!("mariadb-{:016x}", hasher.finish()))
    }

    /// Makes `data` an empty database.
    pub(super) fn init(&self, data: &Path) -> Result<(), StartError> {
        let mut install = Command::new(&self.install);
        install
            .args(ARGUMENTS)
            .arg(format!("--datadir={}", data.display()))
            .current_dir(data.parent().unwrap_or(Path::new("/")));
        if rustix::process::geteuid().is_root() {
            install.arg("--user=root");
        }
        let output = install.output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(StartError::Failed {
                server: "MariaDB",
                reason: "mariadb-install-db failed".into(),
                log: String::from_utf8_lossy(&output.stderr).trim().into(),
            }),
        }
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(ALSO.map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}
