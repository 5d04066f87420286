//! How does a request show that it comes from somebody who has the key?
//!
//! Shared Key: the method, some headers and the resource are laid out in a fixed way and signed with HMAC-SHA256.
//! <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// What of a request is signed.
pub struct Signed<'a> {
    pub method: &'a str,
    /// The path as it is sent, and the parameters of the query, sorted by name.
    pub path: &'a str,
    pub parameters: &'a [(&'a str, &'a str)],
    /// The type and the length of the body, if it has one.
    pub kind: &'a str,
    pub length: usize,
    /// All headers whose name begins with `x-ms-`, in lower case and sorted by name.
    pub headers: &'a [(&'a str, &'a str)],
}

impl Signed<'_> {
    /// The value of the `Authorization` header.
    pub fn authorization(&self, account: &str, key: &[u8]) -> anyhow::Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
        mac.update(self.text(account).as_bytes());
        Ok(format!("SharedKey {account}:{}", STANDARD.encode(mac.finalize().into_bytes())))
    }

    fn text(&self, account: &str) -> String {
        // An empty body has no length here, whatever its header says.
        let length = if self.length == 0 { String::new() } else { self.length.to_string() };
        // In between are headers we do not send: encoding, language, MD5, date, conditions, range.
        let mut text = format!("{}\n\n\n{length}\n\n{}\n\n\n\n\n\n\n", self.method, self.kind);
        for (name, value) in self.headers {
            text += &format!("{name}:{value}\n");
        }
        text += &format!("/{account}{}", self.path);
        for (name, value) in self.parameters {
            text += &format!("\n{name}:{value}");
        }
        text
    }
}
