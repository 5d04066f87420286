//! How is a request sent to a registry?
//!
//! Without credentials at first; if the registry rejects that, with the credentials that it asks for; if the registry
//! is busy, again after a moment. For threads that may block.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use url::Url;

use crate::net::authorization::basic;
use crate::net::client;
use crate::net::client::{ClientError, Fetch, FetchResponse};
use crate::net::connect::policy::NamedBy;
use crate::net::upload::Upload;
use crate::net::url::is_same_server;

use crate::registry::client::RegistryClient;
use crate::registry::credentials;
use crate::registry::credentials::challenge::{AuthError, Bearer, Challenge, Scope, token_header};
use crate::registry::credentials::{FoundLogin, RegistryLogin};
use crate::registry::error::{RegistryError, RegistryMessage};
use crate::registry::reference::{Reference, Registry, is_local};

/// The largest response of a token server.
const MAX_TOKEN_RESPONSE: u64 = 1 << 20;

/// How much is read of a response that reports an error.
const MAX_ERROR_BODY: u64 = 64 << 10;

/// How long to wait before each retry.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// Requests to a registry for one purpose.
pub(in crate::registry) struct Session<'s> {
    pub client: &'s RegistryClient,
    pub registry: &'s Registry,
    scope: Scope<'s>,
    /// The `Authorization` header, once the registry has asked for one.
    authorization: Option<HeaderValue>,
    /// The login that the header is for, as messages name it.
    login: Option<String>,
}

/// A request of a session.
pub(in crate::registry) struct ApiRequest<'r> {
    pub method: Method,
    pub url: Url,
    pub headers: &'r [(HeaderName, &'r str)],
    /// Makes the body, once for each time that it is sent.
    pub body: &'r (dyn Fn() -> Upload + Sync),
    /// Whether it may be sent again if it is unknown what became of it.
    pub is_repeatable: bool,
    /// What the request asks for: the end of a message such as "when it is asked to take in the bytes".
    pub what: &'static str,
    pub fetch: Fetch,
}

impl ApiRequest<'_> {
    /// A request without a body, which may be repeated.
    pub fn new(method: Method, url: Url, what: &'static str) -> Self {
        let fetch = Fetch::start();
        Self { method, url, headers: &[], body: &Upload::default, is_repeatable: true, what, fetch }
    }
}

impl<'s> Session<'s> {
    pub fn to_pull(client: &'s RegistryClient, reference: &'s Reference) -> Self {
        Self::new(client, &reference.registry, Scope::Pull(&reference.repository))
    }

    pub fn new(client: &'s RegistryClient, registry: &'s Registry, scope: Scope<'s>) -> Self {
        Self { client, registry, scope, authorization: None, login: None }
    }

    /// The URL of a path below the session's repository or, without one, below the root of the API.
    pub fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let url = match self.scope {
            Scope::Pull(repository) | Scope::Push(repository) => {
                self.client.url(self.registry, &format!("{repository}/{path}"))
            }
            Scope::LogIn(_) => self.client.url(self.registry, path),
        };
        url.ok_or_else(|| RegistryError::Address(self.registry.to_string()))
    }

    /// Sends a request, with credentials if the registry asks for them. Any status but those `expected` is an error.
    pub fn send(&mut self, request: &ApiRequest<'_>, expected: &[StatusCode]) -> Result<FetchResponse, RegistryError> {
        let mut response = self.send_once(request)?;
        if response.status == StatusCode::UNAUTHORIZED {
            // A token is valid for some minutes only, so that even one that was accepted may have to be renewed.
            self.authorization = Some(self.authorize(&response.headers)?);
            response = self.send_once(request)?;
        }
        match response.status {
            status if expected.contains(&status) => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.credentials_error(Some(&mut response))),
            _ => Err(self.status_error(&mut response, request.what)),
        }
    }

    /// Whether a login was sent.
    pub fn has_sent_login(&self) -> bool {
        self.login.is_some()
    }

    fn send_once(&self, request: &ApiRequest<'_>) -> Result<FetchResponse, RegistryError> {
        if !self.client.may_pull() && matches!(self.scope, Scope::Pull(_)) {
            return Err(RegistryError::NotAsked);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (name.clone(), value)));
        }
        // Other servers, such as one for uploads, do not get the credentials.
        if is_same_server(&request.url, &self.url("")?) {
            headers.extend(self.authorization.clone().map(|value| (AUTHORIZATION, value)));
        }
        self.send_with_retries(request, &headers)
    }

    /// Sends a request, and again as long as that may help.
    fn send_with_retries(&self, request: &ApiRequest<'_>, headers: &HeaderMap) -> Result<FetchResponse, RegistryError> {
        // A token server and the URL of an upload are named by the registry.
        let is_own = request.url.host() == self.url("")?.host();
        let named_by = if is_own { NamedBy::Operator } else { NamedBy::Server };
        let ApiRequest { url, body, fetch, .. } = request;
        let message =
            client::FetchRequest { method: request.method.clone(), url, named_by, headers, body, fetch: *fetch };
        let mut delays = RETRY_DELAYS.iter().filter(|_| request.is_repeatable);
        loop {
            let sent = self.client.runtime.block_on(self.client.http.send(&message));
            let may_help = match &sent {
                Ok(response) => is_busy(response.status),
                Err(error) => error.is_transient(),
            };
            match delays.next().filter(|_| may_help) {
                Some(delay) => std::thread::sleep(*delay),
                None => return sent.map_err(|error| self.unreachable(error)),
            }
        }
    }

    /// The `Authorization` header that a response with these headers asks for.
    fn authorize(&mut self, headers: &HeaderMap) -> Result<HeaderValue, RegistryError> {
        let challenge = Challenge::from_headers(headers).map_err(|error| self.auth_error(error))?;
        let found = self.find_login()?;
        self.login = found.as_ref().map(FoundLogin::to_string);
        match (challenge, found) {
            (Challenge::Basic, None) => Err(self.credentials_error(None)),
            (Challenge::Basic, Some(found)) => self.basic_header(&found),
            (Challenge::Bearer(bearer), found) => self.request_token(&bearer, found.as_ref()),
        }
    }

    fn find_login(&self) -> Result<Option<FoundLogin>, RegistryError> {
        let registry = self.registry;
        match self.scope {
            Scope::LogIn(login) => Ok(Some(FoundLogin {
                login: RegistryLogin::Password(login.clone()),
                from: "what was given".to_owned(),
            })),
            Scope::Pull(_) | Scope::Push(_) => credentials::find(&self.client.credentials, registry)
                .map_err(|source| RegistryError::Credentials { registry: registry.to_string(), source }),
        }
    }

    /// The header with name and password.
    fn basic_header(&self, found: &FoundLogin) -> Result<HeaderValue, RegistryError> {
        match &found.login {
            RegistryLogin::Password(login) => basic(login).ok_or_else(|| AuthError::ColonInName(found.from.clone())),
            RegistryLogin::Identity(_) => Err(AuthError::NoPassword(found.from.clone())),
        }
        .map_err(|error| self.auth_error(error))
    }

    /// The header with a token, which the server that `bearer` names gives out for a login.
    fn request_token(&self, bearer: &Bearer, found: Option<&FoundLogin>) -> Result<HeaderValue, RegistryError> {
        let server = bearer.server(&self.url("")?).map_err(|error| self.auth_error(error))?;
        let scope = self.scope.to_token_scope();
        let scope = scope.as_deref();
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let (method, url, form) = match found.map(|found| (&found.login, found)) {
            Some((RegistryLogin::Identity(token), _)) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                (Method::POST, server.clone(), bearer.form(scope, token))
            }
            password => {
                let basic = password.map(|(_, found)| self.basic_header(found)).transpose()?;
                headers.extend(basic.map(|value| (AUTHORIZATION, value)));
                (Method::GET, bearer.url(&server, scope), Default::default())
            }
        };
        let body = || Upload::from(form.clone());
        let request = ApiRequest { body: &body, ..ApiRequest::new(method, url, "for a token") };
        let mut response = self.send_with_retries(&request, &headers)?;
        match response.status {
            StatusCode::OK => {
                let body = self.read_body(&mut response, MAX_TOKEN_RESPONSE)?;
                token_header(&body, &server).map_err(|error| self.auth_error(error))
            }
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.credentials_error(Some(&mut response)))
            }
            _ => Err(self.status_error(&mut response, request.what)),
        }
    }

    /// The whole body of a response, which may have up to `limit` bytes.
    pub fn read_body(&self, response: &mut FetchResponse, limit: u64) -> Result<Vec<u8>, RegistryError> {
        self.client.runtime.block_on(response.bytes(limit)).map_err(|error| self.unreachable(error))
    }

    pub fn unreachable(&self, source: ClientError) -> RegistryError {
        RegistryError::Unreachable { registry: self.registry.to_string(), source }
    }

    fn auth_error(&self, source: AuthError) -> RegistryError {
        RegistryError::Auth { registry: self.registry.to_string(), source }
    }

    fn status_error(&self, response: &mut FetchResponse, what: &'static str) -> RegistryError {
        let (registry, status, message) = (self.registry.to_string(), response.status, self.message(response));
        match is_busy(status) {
            true => RegistryError::Failing { registry, status, message },
            false => RegistryError::Status { registry, is_local: is_local(&response.url), status, what, message },
        }
    }

    fn credentials_error(&self, response: Option<&mut FetchResponse>) -> RegistryError {
        let registry = self.registry.to_string();
        let message = response.map(|response| self.message(response)).unwrap_or_default();
        match self.login.clone() {
            Some(login) => RegistryError::WrongCredentials { registry, login, message },
            None => RegistryError::NoCredentials { registry, message },
        }
    }

    fn message(&self, response: &mut FetchResponse) -> RegistryMessage {
        self.read_body(response, MAX_ERROR_BODY).map(|body| RegistryMessage::parse(&body)).unwrap_or_default()
    }
}

fn is_busy(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}
