//! How is a registry asked?
//!
//! As anybody at first; when it refuses, with the credentials it asks for; when it is busy, again after a moment. What is
//! asked for is known to `download`, `push` and `account`, all on threads that may block.

use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::net::authorization::basic;
use crate::net::client;
use crate::net::client::{ClientError, Response};
use crate::net::connect::policy::NamedBy;
use crate::net::upload::Upload;
use crate::net::url::is_same_server;

use crate::registry::client::RegistryClient;
use crate::registry::error::{RegistryError, RegistryMessage};
use crate::registry::login::challenge;
use crate::registry::login::challenge::{AuthError, Bearer, Challenge};
use crate::registry::login::credentials;
use crate::registry::login::credentials::{Found, Login};
use crate::registry::manifest::shortened;
use crate::registry::reference::{Reference, Registry, is_local};

const MAX_TOKEN: u64 = 1 << 20;

/// What is read of an answer that is a refusal.
const MAX_REFUSAL: u64 = 64 << 10;

/// How long to wait before asking again.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// How long a manifest or a token may take.
pub(in crate::registry) const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// What a registry is asked for, all in all.
#[derive(Clone, Copy)]
pub(in crate::registry) enum Scope<'p> {
    /// To give what it has under a name.
    Pull(&'p str),
    /// To take something in under a name.
    Push(&'p str),
    /// To say whether this login is good.
    LogIn(&'p crate::config::Login),
}

impl Scope<'_> {
    /// The rights that a token has to have for it.
    fn scope(&self) -> Option<String> {
        match self {
            Self::Pull(repository) => Some(format!("repository:{repository}:pull")),
            Self::Push(repository) => Some(format!("repository:{repository}:pull,push")),
            Self::LogIn(_) => None,
        }
    }
}

/// A conversation.
pub(in crate::registry) struct Session<'s> {
    pub client: &'s RegistryClient,
    pub registry: &'s Registry,
    scope: Scope<'s>,
    /// What the registry wants to see.
    authorization: Option<HeaderValue>,
    /// Whose credentials that stands for.
    whose: Option<String>,
}

/// One question of it.
pub(in crate::registry) struct ApiRequest<'r> {
    pub method: Method,
    pub url: Url,
    pub headers: &'r [(HeaderName, &'r str)],
    /// What is sent with it.
    pub body: &'r dyn Fn() -> Upload,
    /// Whether it may be sent again if nobody knows what became of it.
    pub is_repeatable: bool,
    /// Completes "when it is asked".
    pub what: &'static str,
}

impl<'s> Session<'s> {
    pub fn to_pull(client: &'s RegistryClient, reference: &'s Reference) -> Self {
        Self::new(client, &reference.registry, Scope::Pull(&reference.repository))
    }

    pub fn new(client: &'s RegistryClient, registry: &'s Registry, scope: Scope<'s>) -> Self {
        Self { client, registry, scope, authorization: None, whose: None }
    }

    /// Where something below the session's name is, or without one the API itself.
    pub fn url(&self, path: &str) -> Result<Url, RegistryError> {
        let url = match self.scope {
            Scope::Pull(repository) | Scope::Push(repository) => {
                self.client.url(self.registry, &format!("{repository}/{path}"))
            }
            Scope::LogIn(_) => self.client.url(self.registry, path),
        };
        url.ok_or_else(|| RegistryError::Address(self.registry.to_string()))
    }

    /// The answer, which has one of the statuses `expected`.
    pub fn send(&mut self, request: &ApiRequest<'_>, expected: &[StatusCode]) -> Result<Response, RegistryError> {
        let mut answer = self.ask(request)?;
        if answer.status == StatusCode::UNAUTHORIZED {
            // A token is good for some minutes only, so that even one that was shown may have to be renewed.
            self.authorization = Some(self.authorize(&answer.headers)?);
            answer = self.ask(request)?;
        }
        match answer.status {
            status if expected.contains(&status) => Ok(answer),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(self.refused(Some(&mut answer))),
            _ => Err(self.failed(&mut answer, request.what)),
        }
    }

    /// Whether a login has been shown.
    pub fn has_shown_a_login(&self) -> bool {
        self.whose.is_some()
    }

    /// Asks, and asks again as long as that may help.
    fn ask(&self, request: &ApiRequest<'_>) -> Result<Response, RegistryError> {
        if !self.client.may_pull() && matches!(self.scope, Scope::Pull(_)) {
            return Err(RegistryError::NotAsked);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers {
            headers.extend(HeaderValue::from_str(value).ok().map(|value| (name.clone(), value)));
        }
        // What is elsewhere, such as a place for uploads, is not told who asks.
        if is_same_server(&request.url, &self.url("")?) {
            headers.extend(self.authorization.clone().map(|value| (AUTHORIZATION, value)));
        }
        self.exchange(request, &headers)
    }

    fn exchange(&self, request: &ApiRequest<'_>, headers: &HeaderMap) -> Result<Response, RegistryError> {
        // A server of tokens and a place for uploads are named by the registry.
        let is_own = request.url.host() == self.url("")?.host();
        let named_by = if is_own { NamedBy::Operator } else { NamedBy::Server };
        let (method, url) = (request.method.clone(), &request.url);
        let question = client::Request { method, url, named_by, headers, body: request.body };
        let mut pauses = PAUSES.iter().filter(|_| request.is_repeatable);
        loop {
            let asked = self.client.runtime.block_on(self.client.http.send(&question));
            let is_worth_another = match &asked {
                Ok(answer) => is_busy(answer.status),
                Err(error) => error.is_transient(),
            };
            match pauses.next().filter(|_| is_worth_another) {
                Some(pause) => std::thread::sleep(*pause),
                None => return asked.map_err(|error| self.unreachable(error)),
            }
        }
    }

    /// What the registry wants to see, by the headers of its refusal.
    fn authorize(&mut self, refusal: &HeaderMap) -> Result<HeaderValue, RegistryError> {
        let challenge = Challenge::in_headers(refusal).map_err(|error| self.auth(error))?;
        let found = self.login()?;
        self.whose = found.as_ref().map(whose);
        match (challenge, found) {
            (Challenge::Basic, None) => Err(self.refused(None)),
            (Challenge::Basic, Some(found)) => self.shown(&found),
            (Challenge::Bearer(asked), found) => self.token(&asked, found.as_ref()),
        }
    }

    fn login(&self) -> Result<Option<Found>, RegistryError> {
        let registry = self.registry;
        match self.scope {
            Scope::LogIn(login) => {
                Ok(Some(Found { login: Login::Password(login.clone()), from: "what was given".to_owned() }))
            }
            _ => credentials::find(&self.client.credentials, registry)
                .map_err(|source| RegistryError::Credentials { registry: registry.to_string(), source }),
        }
    }

    /// The header that shows name and password.
    fn shown(&self, found: &Found) -> Result<HeaderValue, RegistryError> {
        match &found.login {
            Login::Password(login) => basic(login).ok_or_else(|| AuthError::Unspeakable(found.from.clone())),
            Login::Identity(_) => Err(AuthError::NoPassword(found.from.clone())),
        }
        .map_err(|error| self.auth(error))
    }

    /// The header that shows a token of the server that `asked` names.
    fn token(&self, asked: &Bearer, found: Option<&Found>) -> Result<HeaderValue, RegistryError> {
        let server = asked.server(&self.url("")?).map_err(|error| self.auth(error))?;
        let scope = self.scope.scope();
        let scope = scope.as_deref();
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        let (method, url, form) = match found.map(|found| (&found.login, found)) {
            Some((Login::Identity(token), _)) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
                (Method::POST, server.clone(), asked.form(scope, token))
            }
            shown => {
                let shown = shown.map(|(_, found)| self.shown(found)).transpose()?;
                headers.extend(shown.map(|shown| (AUTHORIZATION, shown)));
                (Method::GET, asked.question(&server, scope), Default::default())
            }
        };
        let body = || Upload::from(form.clone());
        let request = ApiRequest { method, url, headers: &[], body: &body, is_repeatable: true, what: "for a token" };
        let mut answer = self.exchange(&request, &headers)?;
        match answer.status {
            StatusCode::OK => {
                let answer = self.whole(&mut answer, MAX_TOKEN)?;
                challenge::bearer(&answer, &server).map_err(|error| self.auth(error))
            }
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.refused(Some(&mut answer)))
            }
            _ => Err(self.failed(&mut answer, request.what)),
        }
    }

    /// All of an answer, of which there may be `most` bytes.
    pub fn whole(&self, answer: &mut Response, most: u64) -> Result<Vec<u8>, RegistryError> {
        let reading = async { timeout(RESPONSE_TIMEOUT, answer.bytes(most)).await };
        match self.client.runtime.block_on(reading) {
            Ok(read) => read.map_err(|error| self.unreachable(error)),
            Err(_) => Err(RegistryError::Slow { registry: self.registry.to_string() }),
        }
    }

    pub fn unreachable(&self, source: ClientError) -> RegistryError {
        RegistryError::Unreachable { registry: self.registry.to_string(), source }
    }

    fn auth(&self, source: AuthError) -> RegistryError {
        RegistryError::Auth { registry: self.registry.to_string(), source }
    }

    fn failed(&self, answer: &mut Response, what: &'static str) -> RegistryError {
        let (registry, status, said) = (self.registry.to_string(), answer.status, self.said(answer));
        match is_busy(status) {
            true => RegistryError::Failing { registry, status, said },
            false => RegistryError::Status { registry, is_local: is_local(&answer.url), status, what, said },
        }
    }

    fn refused(&self, answer: Option<&mut Response>) -> RegistryError {
        let (registry, said) = (self.registry.to_string(), answer.map(|answer| self.said(answer)).unwrap_or_default());
        match self.whose.clone() {
            Some(whose) => RegistryError::WrongCredentials { registry, whose, said },
            None => RegistryError::NoCredentials { registry, said },
        }
    }

    /// The first of the errors that a registry lists, or what a server of tokens says.
    fn said(&self, answer: &mut Response) -> RegistryMessage {
        let json: Value = self
            .whole(answer, MAX_REFUSAL)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let error = json.pointer("/errors/0").unwrap_or(&json);
        let texts = ["code", "error", "message", "details", "error_description"].map(|name| error.get(name)?.as_str());
        let text = texts.into_iter().flatten().collect::<Vec<_>>().join(": ");
        RegistryMessage(Some(shortened(&text)).filter(|text| !text.is_empty()))
    }
}

fn whose(found: &Found) -> String {
    match &found.login {
        Login::Password(login) => format!("`{}` from {}", shortened(&login.user), found.from),
        Login::Identity(_) => format!("the identity token from {}", found.from),
    }
}

fn is_busy(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}
