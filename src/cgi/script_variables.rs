//! Which meta-variables name the script, if a guest runs scripts of a directory?
//!
//! As Apache and nginx set them for interpreters: SCRIPT_NAME and PATH_INFO divide the path of the request (RFC 3875 §3.3),
//! SCRIPT_FILENAME is the script as the guest sees it, PATH_TRANSLATED is below DOCUMENT_ROOT (§4.1.6). php-cgi wants
//! REDIRECT_STATUS before it believes SCRIPT_FILENAME. Called by `meta_variables`.

use crate::route::RoutePattern;
use crate::strings::StringBlock;

/// The names that an operator's variables cannot have beside those of CGI, if the guest runs scripts.
pub(super) const SCRIPT_NAMES: [&str; 3] = ["DOCUMENT_ROOT", "REDIRECT_STATUS", "SCRIPT_FILENAME"];

/// Where scripts are.
#[derive(Clone, Debug)]
pub(super) struct ScriptPlace {
    /// In URLs: the route without its `/...`.
    prefix: String,
    /// In the guest, without a slash at its end.
    mount: String,
}

impl ScriptPlace {
    /// The place of scripts at `pattern`, which the guest sees at `mount`.
    pub fn new(pattern: &RoutePattern, mount: &str) -> Self {
        Self { prefix: pattern.prefix().to_owned(), mount: mount.to_owned() }
    }

    /// Adds the variables that are the same for each script.
    pub fn append_constant(&self, block: &mut StringBlock) {
        block.push_variable("DOCUMENT_ROOT", &[if self.mount.is_empty() { "/" } else { &self.mount }]);
        block.push("REDIRECT_STATUS=200");
    }

    /// Adds the variables of a request for `script`. `path_info` is decoded.
    pub fn append(&self, script: &str, path_info: &str, block: &mut StringBlock) {
        block.push_variable("SCRIPT_NAME", &[&self.prefix, "/", script]);
        block.push_variable("SCRIPT_FILENAME", &[&self.mount, "/", script]);
        // RFC 3875 §4.1.6: there is nothing to translate.
        if !path_info.is_empty() {
            block.push_variable("PATH_TRANSLATED", &[&self.mount, path_info]);
        }
    }
}
