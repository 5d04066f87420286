//! What does a certificate say?
//!
//! Only what is asked of certificates of those who sign. Whether an authority issued it: `chain`. Whether it is written down
//! in a log: `sct`.

pub(in crate::signature) mod chain;
pub(in crate::signature) mod sct;

use crate::signature::der::{
    BIT_STRING, BOOLEAN, CONTEXT_0, CONTEXT_3, DerElement, DerError, Elements, INTEGER, OBJECT_ID, OCTET_STRING,
    SEQUENCE, UTF8_STRING,
};

/// The names of the subject: of people an address, of programs a URL.
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// `1.3.6.1.4.1.57264.1.1` and `.8`, in which Fulcio writes who has vouched for the subject: as bytes, and as a string.
const ISSUER_BYTES: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x01];
const ISSUER: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x08];
/// `1.3.6.1.4.1.57264.1.7`: a name of a subject that is neither an address nor a URL.
const USER_NAME: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x07];

/// The tags of names: an address, and a URL.
const RFC822_NAME: u8 = 0x81;
const URI: u8 = 0x86;

/// A certificate, as slices of its bytes.
#[derive(Debug)]
pub(in crate::signature) struct SignerCertificate<'a> {
    pub serial: &'a [u8],
    /// The name of the issuer.
    pub issuer: &'a [u8],
    /// The name of the subject.
    pub subject: &'a [u8],
    /// The first and the last second in which it is valid, since 1970.
    pub not_before: u64,
    pub not_after: u64,
    pub spki: &'a [u8],
    extensions: Vec<Extension<'a>>,
    /// What is signed.
    tbs: Elements<'a>,
}

#[derive(Clone, Copy, Debug)]
struct Extension<'a> {
    id: &'a [u8],
    value: &'a [u8],
    whole: &'a [u8],
}

impl<'a> SignerCertificate<'a> {
    pub fn parse(der: &'a [u8]) -> Result<Self, DerError> {
        let mut certificate = DerElement::only(der, SEQUENCE)?.elements();
        let tbs = certificate.tagged(SEQUENCE)?.elements();
        certificate.tagged(SEQUENCE)?;
        certificate.tagged(BIT_STRING)?;
        let mut fields = tbs;
        fields.optional(CONTEXT_0)?;
        let serial = fields.tagged(INTEGER)?.body;
        fields.tagged(SEQUENCE)?;
        let issuer = fields.tagged(SEQUENCE)?.whole;
        let mut validity = fields.tagged(SEQUENCE)?.elements();
        let (not_before, not_after) = (validity.any()?.time()?, validity.any()?.time()?);
        let subject = fields.tagged(SEQUENCE)?.whole;
        let spki = fields.tagged(SEQUENCE)?.whole;
        let mut extensions = Vec::new();
        for field in fields.all()?.into_iter().filter(|field| field.tag == CONTEXT_3) {
            for extension in DerElement::only(field.body, SEQUENCE)?.elements().all()? {
                extensions.push(Extension::parse(&extension)?);
            }
        }
        Ok(Self { serial, issuer, subject, not_before, not_after, spki, extensions, tbs })
    }

    /// Who the certificate is for: addresses, URLs and other names.
    pub fn identities(&self) -> Vec<String> {
        let names = self.extension(SUBJECT_ALTERNATIVE_NAME).and_then(|value| DerElement::only(value, SEQUENCE).ok());
        let names = names.and_then(|names| names.elements().all().ok()).unwrap_or_default();
        names.iter().filter_map(identity).collect()
    }

    /// Who has told the authority who the subject is.
    pub fn identity_issuer(&self) -> Option<String> {
        let newer = self.extension(ISSUER).and_then(|value| Some(DerElement::only(value, UTF8_STRING).ok()?.body));
        let text = newer.or_else(|| self.extension(ISSUER_BYTES))?;
        String::from_utf8(text.to_owned()).ok()
    }

    /// The value of an extension. `None` also if there are two: others may read the other one.
    fn extension(&self, id: &[u8]) -> Option<&'a [u8]> {
        let mut found = self.extensions.iter().filter(|extension| extension.id == id);
        let first = found.next()?;
        found.next().is_none().then_some(first.value)
    }
}

impl<'a> Extension<'a> {
    fn parse(extension: &DerElement<'a>) -> Result<Self, DerError> {
        let mut fields = extension.elements();
        let id = fields.tagged(OBJECT_ID)?.body;
        fields.optional(BOOLEAN)?;
        Ok(Self { id, value: fields.tagged(OCTET_STRING)?.body, whole: extension.whole })
    }
}

fn identity(name: &DerElement<'_>) -> Option<String> {
    let text = match name.tag {
        RFC822_NAME | URI => name.body,
        CONTEXT_0 => {
            let mut fields = name.elements();
            let is_user = fields.tagged(OBJECT_ID).ok()?.body == USER_NAME;
            let value = fields.tagged(CONTEXT_0).ok().filter(|_| is_user)?;
            DerElement::only(value.body, UTF8_STRING).ok()?.body
        }
        _ => return None,
    };
    String::from_utf8(text.to_owned()).ok()
}
