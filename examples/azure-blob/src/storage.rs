//! How are blobs stored, listed and read?

use std::env;
use std::time::SystemTime;

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::signature::Signed;

/// What stands in a path as it is; a slash is a part of a blob's name.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The version of the storage's protocol that is spoken here.
const VERSION: &str = "2021-12-02";

/// A container of a storage account.
pub struct Storage {
    /// Scheme, host and port.
    origin: String,
    /// The path in front of the container: the account's name for an emulator, else empty.
    prefix: String,
    account: String,
    key: Vec<u8>,
    container: String,
}

/// What comes back, be it good or bad.
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub body: Vec<u8>,
}

/// A request in the making.
struct Call<'a> {
    method: &'a str,
    /// Behind the container.
    path: String,
    /// Sorted by name.
    parameters: &'a [(&'a str, &'a str)],
    kind: &'a str,
    /// Sorted by name.
    headers: &'a [(&'a str, &'a str)],
    body: Vec<u8>,
}

impl Storage {
    pub fn from_environment() -> anyhow::Result<Self> {
        let variable = |name: &str| env::var(name).with_context(|| format!("`{name}` is not set"));
        let url: http::Uri = variable("AZURE_STORAGE_URL")?.parse().context("`AZURE_STORAGE_URL`")?;
        let (scheme, authority) = (url.scheme_str(), url.authority());
        Ok(Self {
            origin: format!(
                "{}://{}",
                scheme.context("`AZURE_STORAGE_URL` has no scheme")?,
                authority.context("`AZURE_STORAGE_URL` has no host")?
            ),
            prefix: url.path().trim_end_matches('/').to_owned(),
            account: variable("AZURE_STORAGE_ACCOUNT")?,
            key: STANDARD.decode(variable("AZURE_STORAGE_KEY")?).context("`AZURE_STORAGE_KEY` is not Base64")?,
            container: variable("AZURE_STORAGE_CONTAINER")?,
        })
    }

    /// Stores a blob, in a new container if there is none yet.
    pub fn store(&self, name: &str, kind: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
        let put = || {
            let headers = &[("x-ms-blob-type", "BlockBlob")];
            self.send(Call { method: "PUT", path: blob(name), parameters: &[], kind, headers, body: body.clone() })
        };
        let mut answer = put()?;
        if answer.status == 404 {
            let parameters = &[("restype", "container")];
            let created = self.send(Call {
                method: "PUT",
                path: String::new(),
                parameters,
                kind: "",
                headers: &[],
                body: vec![],
            })?;
            // 409: somebody else has just made it.
            if !matches!(created.status, 201 | 409) {
                return Ok(created);
            }
            answer = put()?;
        }
        Ok(if answer.status == 201 { Answer::text(201, "stored\n") } else { answer })
    }

    /// A blob.
    pub fn read(&self, name: &str) -> anyhow::Result<Answer> {
        self.send(Call { method: "GET", path: blob(name), parameters: &[], kind: "", headers: &[], body: vec![] })
    }

    /// The names of the first 5000 blobs, one a line.
    pub fn names(&self) -> anyhow::Result<Answer> {
        let parameters = &[("comp", "list"), ("restype", "container")];
        let answer =
            self.send(Call { method: "GET", path: String::new(), parameters, kind: "", headers: &[], body: vec![] })?;
        if answer.status != 200 {
            return Ok(answer);
        }
        let text = String::from_utf8(answer.body).context("the list is not UTF-8")?;
        // A mark in front of XML is allowed, and sent.
        let list = roxmltree::Document::parse(text.trim_start_matches('\u{feff}')).context("the list is not XML")?;
        let blobs = list.descendants().filter(|node| node.has_tag_name("Blob"));
        let names = blobs.filter_map(|blob| blob.children().find(|node| node.has_tag_name("Name"))?.text());
        Ok(Answer::text(200, &names.map(|name| format!("{name}\n")).collect::<String>()))
    }

    fn send(&self, call: Call) -> anyhow::Result<Answer> {
        let path = format!("{}/{}{}", self.prefix, self.container, call.path);
        let date = httpdate::fmt_http_date(SystemTime::now());
        let dated = [call.headers, &[("x-ms-date", date.as_str()), ("x-ms-version", VERSION)]].concat();
        let signed = Signed {
            method: call.method,
            path: &path,
            parameters: call.parameters,
            kind: call.kind,
            length: call.body.len(),
            headers: &dated,
        };
        let query: Vec<String> = call.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = http::Request::builder()
            .method(call.method)
            .uri(format!("{}{path}?{}", self.origin, query.join("&")))
            .header("Authorization", signed.authorization(&self.account, &self.key)?);
        for (name, value) in dated {
            request = request.header(name, value);
        }
        if !call.kind.is_empty() {
            request = request.header("Content-Type", call.kind);
        }
        let request = request.body(Some(Bytes::from(call.body)))?;
        let mut response = wasi_experimental_http::request(request).context("the storage cannot be called")?;
        Ok(Answer {
            status: response.status_code.as_u16(),
            kind: response.header_get("Content-Type".into()).unwrap_or_else(|_| "text/plain".into()),
            body: response.body_read_all()?,
        })
    }
}

impl Answer {
    pub fn text(status: u16, text: &str) -> Self {
        Self { status, kind: "text/plain; charset=utf-8".into(), body: text.into() }
    }
}

/// The path of a blob behind its container.
fn blob(name: &str) -> String {
    format!("/{}", utf8_percent_encode(name, PATH))
}
