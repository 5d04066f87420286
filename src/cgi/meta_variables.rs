//! Which environment does a guest get?
//!
//! RFC 3875 §4.1, WAGI 0.8's `X_` variables, and those that libraries for CGI read besides: REQUEST_URI, REQUEST_SCHEME and
//! HTTPS, and those that Apache sets for client certificates. `startup` prepares the part that never changes on a route, `gateway` asks for
//! the whole environment of each request. Of several variables of one name CGI's meta-variable wins, then the operator's
//! variable, then the client's header field.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;

use http::header::{CONTENT_TYPE, HOST, HeaderMap};
use http::{Method, Uri, Version};
use percent_encoding::percent_decode_str;

use crate::cgi::endpoint::{Endpoint, Host};
use crate::cgi::request_headers::{HeaderFilter, PREFIX, text};
use crate::cgi::script_variables::{SCRIPT_NAMES, ScriptPlace};
use crate::format::http_version;
use crate::remote_address::{RemoteAddress, push_ip};
use crate::route::RoutePattern;
use crate::strings::StringBlock;

/// The names of meta-variables, which an operator's variables cannot have.
const CGI_NAMES: [&str; 28] = [
    "AUTH_TYPE",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "GATEWAY_INTERFACE",
    "HTTPS",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "QUERY_STRING",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQUEST_ID",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "REQUEST_URI",
    "SCRIPT_NAME",
    "SERVER_ADDR",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_VERIFY",
    "X_FULL_URL",
    "X_MATCHED_ROUTE",
    "X_RAW_PATH_INFO",
    "X_REQUEST_ID",
];

/// The parts of a request that become meta-variables, with the length of its body.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method as sent.
    pub method: &'a Method,
    /// The request target.
    pub uri: &'a Uri,
    /// The version of HTTP the request came in.
    pub version: Version,
    /// The header fields.
    pub headers: &'a HeaderMap,
    /// The host that the target or the Host field names.
    pub host: Option<Host<'a>>,
    /// The length of the body; 0 without one.
    pub content_length: u64,
    /// The address of the client.
    pub remote_address: RemoteAddress,
    /// The address of the server that the client reached, if there is one and it is known.
    pub local_address: Option<IpAddr>,
    /// The id of the request in the log.
    pub request_id: &'a str,
    /// The certificate of the client, if it was asked for one.
    pub client_certificate: Option<ClientCertificate<'a>>,
    /// The path of the script below the directory of scripts, if the guest runs scripts. It holds no NUL.
    pub script: Option<&'a str>,
}

/// The certificate of a client that was asked for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate<'a> {
    /// The client has none.
    None,
    /// The client has proven that a certificate is its own.
    Verified {
        /// The subject as text (RFC 4514), without NUL.
        subject: &'a str,
    },
    /// A web server in front says who the client is.
    Stated {
        /// AUTH_TYPE.
        auth_type: &'a str,
        /// REMOTE_USER.
        user: &'a str,
        /// SSL_CLIENT_VERIFY.
        verify: Option<&'a str>,
        /// SSL_CLIENT_S_DN.
        subject: Option<&'a str>,
    },
}

/// Why a request cannot become an environment: the fault is the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadRequest {
    /// PATH_INFO would hold a NUL, where a guest in C would see it end.
    #[error("the path holds an encoded NUL")]
    NulInPath,
}

/// The part of the environment that is the same for each request to a route.
#[derive(Clone, Debug)]
pub struct RouteVariables {
    constant: StringBlock,
    filter: HeaderFilter,
    /// Where the scripts are, if the guest runs scripts.
    scripts: Option<ScriptPlace>,
}

impl RouteVariables {
    /// Prepares the environment of the guest at `pattern`. Of `operator`'s variables the last of a name counts; those
    /// with a name that CGI defines are left out. Neither names nor values may hold a NUL. With `pass_authorization`
    /// the guest sees the client's credentials.
    pub fn new(pattern: &RoutePattern, operator: &[(String, String)], pass_authorization: bool) -> Self {
        let mut variables = Self::common(pattern, operator, pass_authorization, &[]);
        variables.constant.push_variable("SCRIPT_NAME", &[pattern.script_name()]);
        variables
    }

    /// The same for a guest that runs the scripts which it sees at `mount`.
    pub fn for_scripts(
        pattern: &RoutePattern,
        operator: &[(String, String)],
        pass_authorization: bool,
        mount: &str,
    ) -> Self {
        let place = ScriptPlace::new(pattern, mount);
        let mut variables = Self::common(pattern, operator, pass_authorization, &SCRIPT_NAMES);
        place.append_constant(&mut variables.constant);
        Self { scripts: Some(place), ..variables }
    }

    fn common(
        pattern: &RoutePattern,
        operator: &[(String, String)],
        pass_authorization: bool,
        more_names: &[&'static str],
    ) -> Self {
        let mut seen: HashSet<&str> = CGI_NAMES.iter().chain(more_names).copied().collect();
        let mut kept: Vec<_> = operator.iter().rev().filter(|(name, _)| seen.insert(name)).collect();
        kept.reverse();
        let reserved = kept.iter().map(|(name, _)| name).filter(|name| name.starts_with(PREFIX)).cloned().collect();
        let mut constant = StringBlock::default();
        for (name, value) in kept {
            constant.push_variable(name, &[value]);
        }
        constant.push("GATEWAY_INTERFACE=CGI/1.1");
        constant.push("SERVER_SOFTWARE=WAGI/1");
        constant.push_variable("X_MATCHED_ROUTE", &[pattern.as_str()]);
        Self { constant, filter: HeaderFilter { reserved, pass_authorization }, scripts: None }
    }

    /// Whether CGI or WAGI 0.8 defines the variable `name`, so that an operator's is left out.
    pub fn defines(name: &str) -> bool {
        CGI_NAMES.contains(&name)
    }

    /// Whether `name` is defined if the guest runs scripts, and only then.
    pub fn defines_for_scripts(name: &str) -> bool {
        SCRIPT_NAMES.contains(&name)
    }

    /// The environment for `request`. `path_info` is the part of its path below the route's prefix, or behind its script, still
    /// encoded.
    pub fn environment(
        &self,
        endpoint: &Endpoint,
        request: &RequestHead<'_>,
        path_info: &str,
    ) -> Result<StringBlock, BadRequest> {
        let decoded = decoded(path_info)?;
        let mut block = self.block_for(request);
        block.extend_from_block(&self.constant);
        block.push_variable("PATH_INFO", &[&decoded]);
        match (&self.scripts, request.script) {
            (Some(place), Some(script)) => place.append(script, &decoded, &mut block),
            _ => block.push_variable("PATH_TRANSLATED", &[&decoded]),
        }
        block.push_variable("X_RAW_PATH_INFO", &[path_info]);
        append_request(request, &mut block);
        append_server(endpoint, request, &mut block);
        append_client(request.client_certificate, &mut block);
        self.filter.append(request.headers, &mut block);
        if let Some(authority) = host_from_authority(request) {
            self.filter.append_host(authority, &mut block);
        }
        Ok(block)
    }

    /// An empty block with the capacity a request typically needs: its path comes up to six times, its query three times.
    fn block_for(&self, request: &RequestHead<'_>) -> StringBlock {
        const REQUEST_VARIABLES: usize = 24;
        const NAMES_AND_SHORT_VALUES: usize = 640;
        let fields = request.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + PREFIX.len() + 2);
        let target = 6 * request.uri.path().len() + 3 * request.uri.query().map_or(0, str::len);
        let bytes = self.constant.bytes().len() + NAMES_AND_SHORT_VALUES + target + fields.sum::<usize>();
        StringBlock::with_capacity(self.constant.len() + REQUEST_VARIABLES + request.headers.len(), bytes)
    }
}

/// A path without its percent-encoding. Only that can hide a NUL: a target holds none as it is.
fn decoded(path: &str) -> Result<Cow<'_, str>, BadRequest> {
    if !path.as_bytes().contains(&b'%') {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    if decoded.contains('\0') { Err(BadRequest::NulInPath) } else { Ok(decoded) }
}

fn append_request(request: &RequestHead<'_>, block: &mut StringBlock) {
    block.push_variable("CONTENT_LENGTH", &[itoa::Buffer::new().format(request.content_length)]);
    let mut address = String::with_capacity(40);
    request.remote_address.push_host(&mut address);
    block.push_variable("REMOTE_ADDR", &[&address]);
    block.push_variable("REMOTE_HOST", &[&address]);
    if let Some(port) = request.remote_address.port() {
        block.push_variable("REMOTE_PORT", &[itoa::Buffer::new().format(port)]);
    }
    if let Some(local) = request.local_address {
        address.clear();
        push_ip(&mut address, local.to_canonical());
        block.push_variable("SERVER_ADDR", &[&address]);
    }
    block.push_variable("REQUEST_ID", &[request.request_id]);
    block.push_variable("X_REQUEST_ID", &[request.request_id]);
    let content_type = request.headers.get(CONTENT_TYPE).map(text);
    block.push_variable("CONTENT_TYPE", &[content_type.as_deref().unwrap_or_default()]);
    block.push_variable("QUERY_STRING", &[request.uri.query().unwrap_or_default()]);
    block.push_variable("REQUEST_METHOD", &[request.method.as_str()]);
    block.push_variable("SERVER_PROTOCOL", &[http_version(request.version)]);
}

fn append_server(endpoint: &Endpoint, request: &RequestHead<'_>, block: &mut StringBlock) {
    let address = endpoint.address(request.host);
    block.push_variable("SERVER_NAME", &[address.name]);
    block.push_variable("SERVER_PORT", &[address.port]);
    let query = request.uri.query();
    let question_mark = if query.is_some() { "?" } else { "" };
    let (path, query) = (request.uri.path(), query.unwrap_or_default());
    let scheme = endpoint.scheme();
    if endpoint.is_https() {
        block.push("HTTPS=on");
    }
    block.push_variable("REQUEST_SCHEME", &[scheme]);
    block.push_variable("REQUEST_URI", &[path, question_mark, query]);
    block.push_variable("X_FULL_URL", &[scheme, "://", address.name, ":", address.port, path, question_mark, query]);
}

/// The variables about the user: AUTH_TYPE and REMOTE_USER (RFC 3875 §4.1.1, §4.1.11), and Apache's `SSL_CLIENT_`.
fn append_client(certificate: Option<ClientCertificate<'_>>, block: &mut StringBlock) {
    if let Some(ClientCertificate::Verified { subject }) = certificate {
        block.push("AUTH_TYPE=TLS");
        block.push_variable("REMOTE_USER", &[subject]);
        block.push("SSL_CLIENT_VERIFY=SUCCESS");
        block.push_variable("SSL_CLIENT_S_DN", &[subject]);
        return;
    }
    if let Some(ClientCertificate::Stated { auth_type, user, verify, subject }) = certificate {
        block.push_variable("AUTH_TYPE", &[auth_type]);
        block.push_variable("REMOTE_USER", &[user]);
        verify.iter().for_each(|verify| block.push_variable("SSL_CLIENT_VERIFY", &[verify]));
        subject.iter().for_each(|subject| block.push_variable("SSL_CLIENT_S_DN", &[subject]));
        return;
    }
    block.push("AUTH_TYPE=");
    block.push("REMOTE_USER=");
    if certificate.is_some() {
        block.push("SSL_CLIENT_VERIFY=NONE");
    }
}

/// The host of a request whose target has an authority instead of Host (RFC 9113 §8.3.1, RFC 9112 §3.2.2).
fn host_from_authority<'a>(request: &RequestHead<'a>) -> Option<&'a str> {
    let authority = request.uri.authority()?;
    if request.headers.contains_key(HOST) { None } else { Some(authority.as_str()) }
}

#[cfg(test)]
#[path = "meta_variables_tests.rs"]
mod tests;
