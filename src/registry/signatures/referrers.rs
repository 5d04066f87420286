//! Which artifacts refer to another one?
//!
//! A registry lists them, page by page: a `Link` leads from each to the next (OCI distribution, "Listing Referrers"; RFC 8288). If it
//! cannot list them, there is an index under a tag that is named after the digest. Who can push can make the list long, so that
//! there are bounds.

use std::collections::HashSet;

use http::HeaderMap;
use http::header::LINK;
use serde_json::Value;
use url::Url;

use crate::config::Sha256;
use crate::net::url::is_same_server;
use crate::signature::{BUNDLE, SIGNS, is_bundle, is_other_statement};

use crate::registry::api::Session;
use crate::registry::download::MAX_MANIFEST;
use crate::registry::error::PullError;
use crate::registry::manifest::{Descriptor, OCI_INDEX};
use crate::registry::signatures::{object, read_descriptor};

/// How many pages are read. Registries list a hundred artifacts or more on each.
const MAX_PAGES: usize = 16;

/// The artifacts that may have signatures: as many as are looked at, and no more.
pub(super) struct Referrers {
    most: usize,
    seen: HashSet<Sha256>,
    /// Those that say that they are signatures.
    signatures: Vec<Descriptor>,
    /// Those that do not say what they are. Others may be results of scanners, which come each day.
    others: Vec<Descriptor>,
}

impl Referrers {
    /// At most `most` of each kind.
    pub fn new(most: usize) -> Self {
        Self { most, seen: HashSet::new(), signatures: Vec::new(), others: Vec::new() }
    }

    /// Asks for those of an artifact, until there are enough. What was found before a failure counts.
    pub fn ask(&mut self, session: &mut Session<'_>, sha256: &Sha256) -> Result<(), PullError> {
        // A plus sign would be a blank in a query.
        let first = session.url(&format!("referrers/sha256:{sha256}?artifactType={}", BUNDLE.replace('+', "%2B")))?;
        let Some(mut page) = session.page(first)? else {
            self.add(&tagged(session, sha256)?);
            return Ok(());
        };
        for _ in 1..MAX_PAGES {
            self.add(&page.index);
            let Some(next) = page.next.filter(|_| self.signatures.len() < self.most) else { return Ok(()) };
            let own = session.url("")?;
            // The credentials, and the trust of the operator, are for this server.
            let next = page.url.join(&next).ok();
            let next = next.filter(|next| is_same_server(next, &own) && next.scheme() == own.scheme());
            let next = next.ok_or(PullError::Referrers("goes on at another server"))?;
            page = session.page(next)?.ok_or(PullError::Referrers("has a page that is not there"))?;
        }
        self.add(&page.index);
        match page.next {
            Some(_) => Err(PullError::Referrers("has more pages than are read")),
            None => Ok(()),
        }
    }

    fn add(&mut self, index: &Value) {
        let listed = index.get("manifests").and_then(Value::as_array).into_iter().flatten();
        for listed in listed.filter(|listed| may_be_bundle(listed)) {
            let kind = if statement_of(listed) == Some(SIGNS) { &mut self.signatures } else { &mut self.others };
            let new = read_descriptor(listed).filter(|_| kind.len() < self.most);
            kind.extend(new.filter(|new| self.seen.insert(new.sha256.clone())));
        }
    }

    /// Those that were found, signatures first.
    pub fn found(self) -> impl Iterator<Item = Descriptor> {
        self.signatures.into_iter().chain(self.others).take(self.most)
    }
}

/// The index under the fallback tag; empty if there is none.
pub(super) fn tagged(session: &mut Session<'_>, sha256: &Sha256) -> Result<Value, PullError> {
    let index = session.document(&format!("manifests/{}", fallback_tag(sha256)), OCI_INDEX)?;
    Ok(index.unwrap_or_default())
}

/// The tag with the artifacts that refer to another one, for registries that cannot list them.
pub(super) fn fallback_tag(sha256: &Sha256) -> String {
    format!("sha256-{sha256}")
}

/// Whether an artifact that is listed may be a bundle with a signature. Those with other statements say so.
fn may_be_bundle(descriptor: &Value) -> bool {
    let kind = descriptor.get("artifactType").and_then(Value::as_str).unwrap_or_default();
    (kind.is_empty() || is_bundle(kind)) && !statement_of(descriptor).is_some_and(is_other_statement)
}

/// What an artifact that is listed says that its statement says.
fn statement_of(descriptor: &Value) -> Option<&str> {
    descriptor.get("annotations")?.get("dev.sigstore.bundle.predicateType")?.as_str()
}

/// A page of a list.
struct ListPage {
    url: Url,
    index: Value,
    /// Where the next one is, relative to this one.
    next: Option<String>,
}

impl Session<'_> {
    /// The page at a URL. `None` if there is nothing, or nothing of the kind.
    fn page(&mut self, url: Url) -> Result<Option<ListPage>, PullError> {
        let Some(found) = self.optional(url.clone(), OCI_INDEX, MAX_MANIFEST)? else { return Ok(None) };
        let next = next_link(&found.headers);
        Ok(object(&found.bytes).map(|index| ListPage { url, index, next }))
    }
}

/// The target of the first link whose relation is `next`. RFC 8288, section 3.
fn next_link(headers: &HeaderMap) -> Option<String> {
    let texts = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(links).find(|(_, parameters)| is_next(parameters)).map(|(target, _)| target.to_owned())
}

/// The links of a header: targets and parameters.
fn links(mut text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    while let Some((target, rest)) = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        let mut is_quoted = false;
        let end = rest.find(|letter: char| {
            is_quoted ^= letter == '"';
            letter == ',' && !is_quoted
        });
        let (parameters, following) = rest.split_at(end.unwrap_or(rest.len()));
        found.push((target, parameters));
        text = following;
    }
    found
}

fn is_next(parameters: &str) -> bool {
    let mut is_quoted = false;
    let parameters = parameters.split(|letter: char| {
        is_quoted ^= letter == '"';
        letter == ';' && !is_quoted
    });
    let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    // Only the first counts.
    let relation = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("rel"));
    relation.is_some_and(|(_, value)| {
        value.trim().trim_matches('"').split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use crate::registry::signatures::referrers::*;

    #[test]
    fn the_next_page_is_the_first_link_that_says_so() {
        for (lines, expected) in [
            (&[][..], None),
            (&["</v2/a/referrers/x?last=1>; rel=\"next\""], Some("/v2/a/referrers/x?last=1")),
            (&["<b?n=2>;REL=next"], Some("b?n=2")),
            (&["<a>; rel=prev, <b,c>; title=\"x, <d>; rel=prev\"; rel=\"first next\""], Some("b,c")),
            (&["<a>; rel=prev", "<b>; rel=\"next\""], Some("b")),
            (&["<a>; rel=prev; rel=next"], None),
            (&["<a>; rel=nextone", "<b>", "c; rel=next", "<d; rel=next"], None),
            (&["<a; rel=prev, <b>; rel=next"], Some("a; rel=prev, <b")),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(LINK, HeaderValue::from_static(line));
            }
            assert_eq!(next_link(&headers).as_deref(), expected, "{lines:?}");
        }
    }

    #[test]
    fn signatures_come_first_and_only_so_many_of_each_are_kept() {
        let digest = |number: usize| format!("{number:064x}");
        let listed = |number: usize, says: &str| {
            let annotations = json!({ "dev.sigstore.bundle.predicateType": says });
            json!({ "digest": format!("sha256:{}", digest(number)), "size": 1, "artifactType": BUNDLE, "annotations": annotations })
        };
        let mut referrers = Referrers::new(3);
        let scans = (0..9).map(|number| listed(number, "https://slsa.dev/provenance/v1"));
        let silent = (10..19).map(|number| listed(number, ""));
        referrers.add(&json!({ "manifests": scans.chain(silent).collect::<Vec<_>>() }));
        referrers.add(&json!({ "manifests": [listed(20, SIGNS), listed(20, SIGNS), listed(21, SIGNS)] }));
        let found: Vec<_> = referrers.found().map(|found| found.sha256.to_string()).collect();
        assert_eq!(found, [digest(20), digest(21), digest(10)]);
    }
}
