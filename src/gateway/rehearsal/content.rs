//! How do requests of a rehearsal with different numbers differ?
//!
//! The first are the same for each snapshot: those with which it is made and proven. All others follow from their number, so that an
//! operator who tries some thousand of them tries the same ones again.

use bytes::Bytes;
use http::Method;

use crate::runtime::QueryClass;

const METHODS: [Method; 6] = [Method::GET, Method::POST, Method::GET, Method::PUT, Method::POST, Method::HEAD];
const BODIES: [&str; 6] = ["", "name=other&text=a+longer+one", "", "{\"text\": 1}", "x=2&y=3", ""];
const TYPES: [&str; 6] =
    ["", "application/x-www-form-urlencoded", "", "application/json", "application/x-www-form-urlencoded", ""];
const FIELDS: [&str; 6] = ["a=1", "name=other&b=2&c=", "x=%20y", "n=5", "id=77&id=78", "k=v"];
const WORDS: [&str; 6] = ["word", "other+words", "x", "1", "a&b", "last"];
const PATHS: [&str; 6] = ["", "/other/path", "/x", "", "/a%20b", "/h"];
const TRANSLATED: [&str; 6] = ["/first", "/other/path", "/x", "/y/z", "/a%20b", "/h"];
const COOKIES: [&str; 6] = ["", "sid=1", "a=b; c=d", "", "session=0123456789abcdef", "head=1"];

/// What a request of a rehearsal says.
pub(super) struct RehearsalContent {
    pub method: Method,
    pub content_type: String,
    pub body: Bytes,
    pub cookie: String,
    fields: String,
    words: String,
    path: String,
    translated: String,
}

impl RehearsalContent {
    /// That of the request of this number.
    pub fn new(number: usize) -> Self {
        let of = |texts: &[&str; 6]| texts.get(number).copied().unwrap_or_default().to_owned();
        match METHODS.get(number) {
            Some(method) => Self {
                method: method.clone(),
                content_type: of(&TYPES),
                body: of(&BODIES).into(),
                cookie: of(&COOKIES),
                fields: of(&FIELDS),
                words: of(&WORDS),
                path: of(&PATHS),
                translated: of(&TRANSLATED),
            },
            None => Self::chosen(&mut Choices(number as u64)),
        }
    }

    fn chosen(choices: &mut Choices) -> Self {
        let (content_type, body) = match choices.below(5) {
            0 => ("application/x-www-form-urlencoded", choices.fields().into_bytes()),
            1 => ("application/json", format!("{{\"{}\": {}}}", choices.text(9), choices.below(999)).into_bytes()),
            2 => ("application/octet-stream", choices.bytes()),
            3 => ("text/plain", choices.text(400).into_bytes()),
            _ => ("", Vec::new()),
        };
        let method = match (body.is_empty(), choices.below(3)) {
            (true, 0) => Method::DELETE,
            (true, _) => Method::GET,
            (false, 0) => Method::PUT,
            (false, _) => Method::POST,
        };
        let cookies: Vec<String> =
            (0..choices.below(4)).map(|_| format!("{}={}", choices.text(8), choices.text(40))).collect();
        Self {
            method,
            content_type: content_type.to_owned(),
            body: body.into(),
            cookie: cookies.join("; "),
            fields: choices.fields(),
            words: format!("{}+{}", choices.text(12), choices.text(12)),
            path: if choices.below(2) == 0 { String::new() } else { format!("/{}", choices.text(30)) },
            translated: format!("/{}/{}", choices.text(10), choices.text(30)),
        }
    }

    /// Its query, with the `?` before it.
    pub fn query(&self, class: QueryClass) -> String {
        match class {
            QueryClass::None => String::new(),
            QueryClass::Fields => format!("?{}", self.fields),
            QueryClass::Words => format!("?{}", self.words),
        }
    }

    /// A query with this many pieces, each after an `&` but the first.
    pub fn query_of_pieces(&self, class: QueryClass, count: usize) -> String {
        let pieces = match class {
            // An empty query is one piece, and no other has none.
            QueryClass::None => return if count == 1 { "?".to_owned() } else { String::new() },
            QueryClass::Fields => &self.fields,
            QueryClass::Words => &self.words,
        };
        let pieces: Vec<&str> = pieces.split('&').cycle().take(count).collect();
        format!("?{}", pieces.join("&"))
    }

    /// The path behind that of its route.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path behind that of its script, if it has one there.
    pub fn path_behind_script(&self) -> &str {
        &self.translated
    }
}

/// Choices that follow from a number: `splitmix64`.
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }

    /// At least one letter or digit, and at most this many.
    fn text(&mut self, longest: u64) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
        let letter = |choices: &mut Self| {
            let index = usize::try_from(choices.below(LETTERS.len() as u64)).unwrap_or_default();
            LETTERS.get(index).map_or('a', |letter| char::from(*letter))
        };
        (0..=self.below(longest)).map(|_| letter(self)).collect()
    }

    fn fields(&mut self) -> String {
        let field = |choices: &mut Self| format!("{}={}%{:02X}", choices.text(8), choices.text(60), choices.below(256));
        let fields: Vec<String> = (0..=self.below(5)).map(|_| field(self)).collect();
        fields.join("&")
    }

    fn bytes(&mut self) -> Vec<u8> {
        (0..=self.below(2000)).map(|_| u8::try_from(self.below(256)).unwrap_or_default()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::gateway::rehearsal::content::*;

    #[test]
    fn requests_follow_from_their_number_and_are_all_others() {
        let told = |number| {
            let content = RehearsalContent::new(number);
            let [fields, words] = [QueryClass::Fields, QueryClass::Words].map(|class| content.query(class));
            assert!(fields.contains('=') && !words.contains('='), "{number}");
            assert!(content.path_behind_script().starts_with('/'), "{number}");
            format!("{} {fields} {words} {} {:?}", content.method, content.cookie, content.body)
        };
        let all: HashSet<String> = (0..1000).map(told).collect();
        assert_eq!(all.len(), 1000);
        assert!((0..1000).all(|number| all.contains(&told(number))));
        assert_eq!(RehearsalContent::new(0).query(QueryClass::None), "");
        for number in 0..100 {
            let of = |class, count| RehearsalContent::new(number).query_of_pieces(class, count);
            for (class, count) in [(QueryClass::Fields, 3), (QueryClass::Words, 2), (QueryClass::None, 1)] {
                let query = of(class, count);
                assert_eq!(query.split('&').count(), count, "{number}: {query}");
                assert_eq!(QueryClass::of(query.trim_start_matches('?')), class, "{number}: {query}");
            }
        }
    }
}
