//! How does a request show that it comes from somebody who has the key?
//!
//! The method, the kind of resource, its name and the date are signed with HMAC-SHA256. It is another text, and another form of the field,
//! than for Azure Storage.
//! <https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources>

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;

/// What of a request is signed.
pub struct Signed<'a> {
    pub method: &'a str,
    /// `dbs`, `colls` or `docs`: what is made, read or listed.
    pub kind: &'a str,
    /// What it is done to, without a slash at its beginning: the resource itself, or the one above it.
    pub link: &'a str,
    /// The value of the header `x-ms-date`.
    pub date: &'a str,
}

impl Signed<'_> {
    /// The value of the `Authorization` header.
    pub fn authorization(&self, key: &[u8]) -> anyhow::Result<String> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key)?;
        mac.update(self.text().as_bytes());
        let value = format!("type=master&ver=1.0&sig={}", STANDARD.encode(mac.finalize().into_bytes()));
        Ok(utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string())
    }

    fn text(&self) -> String {
        let (method, date) = (self.method.to_lowercase(), self.date.to_lowercase());
        format!("{method}\n{}\n{}\n{date}\n\n", self.kind, self.link)
    }
}

#[cfg(test)]
mod tests {
    use crate::signature::*;

    /// The example in the documentation.
    #[test]
    fn the_signature_is_that_of_the_documentation() {
        let key = "dsZQi3KtZmCv1ljt3VNWNm7sQUF1y5rJfC6kv5JiwvW0EndXdDku/dkKBp8/ufDToSxLzR4y+O/0H/t4bQtVNw==";
        let key = STANDARD.decode(key).expect("Base64");
        let date = "Thu, 27 Apr 2017 00:51:12 GMT";
        let signed = Signed { method: "GET", kind: "dbs", link: "dbs/ToDoList", date };
        let expected = "type%3Dmaster%26ver%3D1%2E0%26sig%3Dc09PEVJrgp2uQRkr934kFbTqhByc7TVr3OHyqlu%2Bc%2Bc%3D";
        assert_eq!(signed.authorization(&key).expect("a key"), expected);
    }
}
