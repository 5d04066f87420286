//! Where does a module come from?
//!
//! The key `module` is a URL if it parses as one, and otherwise the path of a file. `manifest` parses it, `fetch` gets
//! the module.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// Where a module comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ModuleRef {
    /// A file. A relative path starts from the working directory.
    File(PathBuf),
    /// A reference to an artifact in an OCI registry, without the scheme: `HOST[:PORT]/NAME[:TAG][@DIGEST]`.
    Oci(String),
    /// The program of a bindle.
    Bindle {
        /// `NAME/VERSION`.
        id: String,
        /// The base URL of the bindle server, from the key `bindle_server`.
        server: Option<String>,
    },
}

/// Why a text is not a module reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleRefError {
    /// The text is empty.
    #[error("a module reference must not be empty")]
    Empty,
    /// A `file:` URL with a host.
    #[error("`{url}` names the host `{host}`, but files are on this machine")]
    RemoteFile {
        /// The URL.
        url: String,
        /// The host.
        host: String,
    },
    /// A `file:` URL that is not a path on this system.
    #[error("`{0}` is not the path of a file")]
    NotAPath(String),
    /// A scheme that is not supported.
    #[error("unknown scheme `{scheme}` in module reference `{url}`")]
    UnknownScheme {
        /// The scheme without its colon.
        scheme: String,
        /// The whole text.
        url: String,
    },
    /// A scheme without a name behind it.
    #[error("there is no name after `{0}:`")]
    MissingName(&'static str),
}

impl ModuleRefError {
    /// Returns what to write instead.
    pub fn help(&self) -> String {
        match self {
            Self::Empty => "write the path of a `.wasm` or `.wat` file".to_owned(),
            Self::RemoteFile { .. } => {
                "write a plain path such as `dir/x.wasm`, or `file:///dir/x.wasm` with three slashes".to_owned()
            }
            Self::NotAPath(_) => "write `file:///dir/x.wasm`".to_owned(),
            Self::UnknownScheme { scheme, .. } if scheme == "http" || scheme == "https" => {
                "modules are not loaded over HTTP: download the file and write its path".to_owned()
            }
            Self::UnknownScheme { url, .. } if url.contains("://") => {
                "known are `file:`, `oci:` and `bindle:`".to_owned()
            }
            Self::UnknownScheme { url, .. } => {
                format!("known are `file:`, `oci:` and `bindle:`; if this is the name of a file, write `./{url}`")
            }
            Self::MissingName("oci") => "write `oci:HOST/NAME:TAG`".to_owned(),
            Self::MissingName(_) => "write `bindle:NAME/VERSION`".to_owned(),
        }
    }
}

impl FromStr for ModuleRef {
    type Err = ModuleRefError;

    fn from_str(text: &str) -> Result<Self, ModuleRefError> {
        if text.is_empty() {
            return Err(ModuleRefError::Empty);
        }
        // Not every OCI reference is a URL: an `@` and a digest may follow the name.
        if let Some(("oci", name)) = text.split_once(':') {
            return oci(name);
        }
        let Ok(url) = Url::parse(text) else { return Ok(Self::File(text.into())) };
        let name = url.as_str().split_once(':').map_or("", |(_, name)| name).to_owned();
        match url.scheme() {
            "file" => file(text, &url).map(Self::File),
            // The scheme in capitals, which is equal in a URL.
            "oci" => oci(&name),
            "bindle" if name.is_empty() => Err(ModuleRefError::MissingName("bindle")),
            "bindle" => Ok(Self::Bindle { id: name, server: None }),
            scheme => Err(ModuleRefError::UnknownScheme { scheme: scheme.to_owned(), url: text.to_owned() }),
        }
    }
}

fn oci(name: &str) -> Result<ModuleRef, ModuleRefError> {
    match name.strip_prefix("//").unwrap_or(name) {
        "" => Err(ModuleRefError::MissingName("oci")),
        reference => Ok(ModuleRef::Oci(reference.to_owned())),
    }
}

fn file(text: &str, url: &Url) -> Result<PathBuf, ModuleRefError> {
    match url.host_str() {
        Some(host) => Err(ModuleRefError::RemoteFile { url: text.to_owned(), host: host.to_owned() }),
        None => url.to_file_path().map_err(|()| ModuleRefError::NotAPath(text.to_owned())),
    }
}

impl fmt::Display for ModuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Oci(reference) => write!(f, "oci:{reference}"),
            Self::Bindle { id, .. } => write!(f, "bindle:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::module_ref::*;

    /// WAGI 0.8: what does not parse as a URL is a path.
    #[test]
    fn a_reference_is_a_path_or_a_url_of_a_known_scheme() {
        let file = |path: &str| ModuleRef::File(path.into());
        let oci = |reference: &str| ModuleRef::Oci(reference.to_owned());
        for (text, reference) in [
            ("dir/x.wasm", file("dir/x.wasm")),
            ("/abs/x.wat", file("/abs/x.wat")),
            ("./foo:bar.wasm", file("./foo:bar.wasm")),
            ("dir/a%20b.wasm", file("dir/a%20b.wasm")),
            ("file:///abs/x.wasm", file("/abs/x.wasm")),
            ("file:/abs/x.wasm", file("/abs/x.wasm")),
            ("file://localhost/abs/x.wasm", file("/abs/x.wasm")),
            ("FILE:///abs/x.wasm", file("/abs/x.wasm")),
            ("file:///a%20b/%C3%A9.wasm", file("/a b/é.wasm")),
            ("file:x.wasm", file("/x.wasm")),
            ("oci:foo:bar", oci("foo:bar")),
            ("oci:example/foo:1.2.3", oci("example/foo:1.2.3")),
            ("oci://example.com:9000/foo:dev", oci("example.com:9000/foo:dev")),
            ("oci://hello@sha256:00", oci("hello@sha256:00")),
            (
                "bindle:example.com/hello/1.0.0",
                ModuleRef::Bindle { id: "example.com/hello/1.0.0".to_owned(), server: None },
            ),
        ] {
            assert_eq!(text.parse(), Ok(reference), "{text}");
        }
    }

    #[test]
    fn other_references_are_refused_with_a_cure() {
        for (text, message, help) in [
            ("", "must not be empty", ".wasm"),
            ("file://dir/x.wasm", "names the host `dir`", "three slashes"),
            ("parcel:a/1.0#00", "unknown scheme `parcel` in module reference `parcel:a/1.0#00`", "known are"),
            ("http://example.com/x.wasm", "unknown scheme `http`", "download"),
            ("c:\\x.wasm", "unknown scheme `c`", "`./c:\\x.wasm`"),
            ("foo:bar.wasm", "unknown scheme `foo`", "`./foo:bar.wasm`"),
            ("oci:", "after `oci:`", "oci:HOST"),
            ("oci://", "after `oci:`", "oci:HOST"),
            ("bindle:", "after `bindle:`", "bindle:NAME"),
        ] {
            let error = text.parse::<ModuleRef>().expect_err(text);
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert!(error.help().contains(help), "{text}: {}", error.help());
        }
    }

    #[test]
    fn a_displayed_reference_leads_to_the_same_module() {
        for text in ["dir/x.wasm", "file:///a%20b.wasm", "oci://example.com:9000/foo:dev", "bindle:a/1.0.0"] {
            let reference: ModuleRef = text.parse().expect(text);
            assert_eq!(reference.to_string().parse(), Ok(reference));
        }
    }
}
