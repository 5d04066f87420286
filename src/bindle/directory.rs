//! Where is a bindle in a directory of standalone bindles?
//!
//! `DIR/<SHA-256 of NAME/VERSION>/` holds `invoice.toml` and `parcels/<SHA-256 of the parcel>.dat`.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::config::{BindleId, Diagnostic, Sha256};

use crate::bindle::source::{BindleSource, InvoiceError};
use crate::format::sha256_hex;
use crate::net::client::Fetch;
use crate::regular_file;

/// A directory of standalone bindles.
pub(crate) struct BindleDirectory {
    root: PathBuf,
}

impl BindleDirectory {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, id: &BindleId) -> PathBuf {
        self.root.join(sha256_hex(id.to_string().as_bytes()))
    }

    /// The problem that the bindle is not there, if it is not.
    fn missing(&self, id: &BindleId) -> Option<Diagnostic> {
        let directory = self.path(id);
        if !directory.is_dir() {
            let problem = Diagnostic::error(format!("there is no bindle `{id}` in `{}`", self.root.display()));
            let help = if self.root.join("invoice.toml").is_file() {
                "this is the directory of one bindle: give the directory above it".to_owned()
            } else {
                format!("it would be in `{}`, named after the SHA-256 of its id", directory.display())
            };
            return Some(problem.help(help));
        }
        let lacks = |what| {
            let message = format!("bindle `{id}` has no {what} in `{}`", directory.display());
            Some(Diagnostic::error(message).help("a standalone bindle has an `invoice.toml` and a directory `parcels`"))
        };
        if !directory.join("invoice.toml").is_file() {
            return lacks("file `invoice.toml`");
        }
        if !directory.join("parcels").is_dir() {
            return lacks("directory `parcels`");
        }
        None
    }
}

impl BindleSource for BindleDirectory {
    fn server(&self) -> Option<&str> {
        None
    }

    fn invoice(&self, id: &BindleId, limit: u64) -> Result<(String, Vec<u8>), InvoiceError> {
        if let Some(problem) = self.missing(id) {
            return Err(problem.into());
        }
        let path = self.path(id).join("invoice.toml");
        let name = path.display().to_string();
        match regular_file::read(&path, limit) {
            Ok(bytes) => Ok((name, bytes)),
            Err(error) => Err(Diagnostic::error(format!("cannot read invoice `{name}`")).caused_by(&error).into()),
        }
    }

    fn parcel(&self, id: &BindleId, sha256: &Sha256, _: Fetch) -> io::Result<Box<dyn Read + '_>> {
        let path = self.path(id).join("parcels").join(format!("{sha256}.dat"));
        let with_path =
            |error: io::Error| io::Error::new(error.kind(), format!("cannot read `{}`: {error}", path.display()));
        Ok(Box::new(regular_file::open(&path).map_err(with_path)?))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::bindle::directory::*;

    #[test]
    fn a_bindle_is_in_the_directory_of_its_hashed_id() {
        for (id, hash) in [
            ("example.com/baz/1.0.0", "187e908f466500c76c13953c3191fafa869c277e2689f451e92d75cda32452df"),
            ("dynamic-routes/0.1.0", "3291b1beb4e6d0a0bee76b7c93b553bbf9649faec610029e87e125c3b68600f0"),
            ("print-env/0.1.0", "8b90d4296616f9f12690d70b0b90041947fac2b7a1dd6324232f8b7b0c5d5395"),
            (
                "itowlson/toast-on-demand/0.1.0-ivan-20210924170616069",
                "28e62d239a12d50b11db734eb4a37bf9e746fd487f2a375d17db3a82d6869d54",
            ),
        ] {
            let id: BindleId = id.parse().expect(id);
            assert_eq!(BindleDirectory::new(Path::new("bindles")).path(&id), Path::new("bindles").join(hash));
        }
    }

    #[test]
    fn a_directory_without_the_bindle_is_told_what_is_missing() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let id: BindleId = "a/1.0.0".parse().expect("an id");
        let directory = BindleDirectory::new(root.path());
        let problem = || match directory.invoice(&id, 100) {
            Err(InvoiceError::Failed(problem)) => problem.render(false),
            _ => String::new(),
        };
        assert!(problem().contains("no bindle `a/1.0.0`") && problem().contains(&sha256_hex(b"a/1.0.0")));
        fs::write(root.path().join("invoice.toml"), "").expect("writable");
        assert!(problem().contains("give the directory above"), "{}", problem());
        fs::create_dir_all(directory.path(&id)).expect("writable");
        assert!(problem().contains("no file `invoice.toml`"), "{}", problem());
        fs::write(directory.path(&id).join("invoice.toml"), "x = 1").expect("writable");
        assert!(problem().contains("no directory `parcels`"), "{}", problem());
        fs::create_dir(directory.path(&id).join("parcels")).expect("writable");
        assert_eq!(directory.invoice(&id, 2).ok().expect("an invoice").1, b"x =");
    }
}
