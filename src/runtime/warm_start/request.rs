//! Which requests does a rehearsal answer?

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::format::counted;
use crate::printable;
use crate::strings::StringBlock;

/// What the requests of one snapshot have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SnapshotKey {
    /// SCRIPT_FILENAME, if there is one.
    pub script: Option<String>,
    /// Which kind of query there is.
    pub query: QueryClass,
    /// Whether there is PATH_TRANSLATED, which programs tell from an empty one.
    pub is_translated: bool,
    /// How many arguments there are, if the program knows that by its checkpoint and most requests have another number.
    pub arguments: Option<usize>,
}

/// Kinds of queries that programs tell apart before they look at their script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueryClass {
    /// None, or an empty one.
    None,
    /// One with `=`.
    Fields,
    /// One without.
    Words,
}

impl QueryClass {
    /// The class of a query.
    pub fn of(query: &str) -> Self {
        match query {
            "" => Self::None,
            query if query.contains('=') => Self::Fields,
            _ => Self::Words,
        }
    }
}

impl SnapshotKey {
    /// What a request with these variables belongs to.
    pub fn of(environment: &StringBlock) -> Self {
        Self {
            script: environment.variable("SCRIPT_FILENAME").map(str::to_owned),
            query: QueryClass::of(environment.variable("QUERY_STRING").unwrap_or_default()),
            is_translated: environment.variable("PATH_TRANSLATED").is_some(),
            arguments: None,
        }
    }

    /// Those of its requests that have this number of arguments.
    pub(in crate::runtime::warm_start) fn with_arguments(self, count: usize) -> Self {
        Self { arguments: Some(count), ..self }
    }

    /// Whether a request belongs to it.
    pub(in crate::runtime::warm_start) fn has(&self, request: &RehearsalRequest) -> bool {
        let key = Self { arguments: self.arguments, ..Self::of(&request.environment) };
        key == *self && self.arguments.is_none_or(|count| count == request.arguments.len())
    }
}

/// Which of the requests that it belongs to a snapshot serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotScope {
    /// All of them.
    #[default]
    All,
    /// Those without a body whose method is GET or HEAD: others were answered in another way than cold.
    WithoutBody,
    /// Those without a body whose method is GET.
    Get,
}

impl SnapshotScope {
    /// Whether a request with these variables is one of them.
    pub fn has(self, environment: &StringBlock) -> bool {
        let method = || environment.variable("REQUEST_METHOD");
        let has_no_body = || matches!(environment.variable("CONTENT_LENGTH"), None | Some("" | "0"));
        match self {
            Self::All => true,
            Self::WithoutBody => matches!(method(), Some("GET" | "HEAD")) && has_no_body(),
            Self::Get => method() == Some("GET") && has_no_body(),
        }
    }

    /// The one with fewer requests, if there is one.
    pub(in crate::runtime::warm_start) fn narrower(self) -> Option<Self> {
        match self {
            Self::All => Some(Self::WithoutBody),
            Self::WithoutBody => Some(Self::Get),
            Self::Get => None,
        }
    }

    /// Its name in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::WithoutBody => "without-body",
            Self::Get => "get",
        }
    }

    /// The one that is called so.
    pub(in crate::runtime::warm_start) fn of_name(name: &str) -> Option<Self> {
        [Self::All, Self::WithoutBody, Self::Get].into_iter().find(|scope| scope.name() == name)
    }
}

impl fmt::Display for SnapshotKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(script) = &self.script {
            write!(f, "{}, ", printable::one_line(script))?;
        }
        f.write_str(match self.query {
            QueryClass::None => "no query",
            QueryClass::Fields => "a query with `=`",
            QueryClass::Words => "a query without `=`",
        })?;
        self.arguments.map_or(Ok(()), |count| write!(f, ", {}", counted(count, "argument", "arguments")))
    }
}

/// A request that no client has sent.
#[derive(Clone)]
pub struct RehearsalRequest {
    /// argv.
    pub arguments: StringBlock,
    /// The environment, without secrets.
    pub environment: StringBlock,
    /// The request body.
    pub body: Bytes,
}

/// Makes the requests for a snapshot. Those with different numbers are as different as requests for one snapshot can be, but for header
/// fields, which have the names that are given.
pub type RehearsalRequests = Arc<dyn Fn(&SnapshotKey, usize, &[String]) -> Option<RehearsalRequest> + Send + Sync>;

/// The names of header fields that a program may look for, as they stand in its module.
pub(in crate::runtime::warm_start) fn header_names(module: &[u8]) -> Vec<String> {
    const PREFIX: &[u8] = b"HTTP_";
    const MAX_NAMES: usize = 64;
    const MAX_LENGTH: usize = 64;
    let is_letter = |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || **byte == b'_';
    let mut names: Vec<String> = Vec::new();
    for (at, _) in module.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX) {
        let name: Vec<u8> = module.iter().skip(at).take_while(is_letter).take(MAX_LENGTH).copied().collect();
        let name = String::from_utf8_lossy(&name).into_owned();
        if name.len() > PREFIX.len() && !names.contains(&name) && names.len() < MAX_NAMES {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use crate::runtime::warm_start::request::*;

    #[test]
    fn requests_with_one_script_and_one_kind_of_query_belong_together() {
        let key = |variables: &[&str]| SnapshotKey::of(&StringBlock::from_iter(variables));
        let script = "SCRIPT_FILENAME=/www/a.php";
        assert_eq!(key(&[script, "QUERY_STRING=a=1"]), key(&[script, "QUERY_STRING=b=2&c", "HTTP_A=1"]));
        for other in [&[script, "QUERY_STRING="][..], &[script, "QUERY_STRING=a"], &["QUERY_STRING=a=1"]] {
            assert_ne!(key(&[script, "QUERY_STRING=a=1"]), key(other), "{other:?}");
        }
        assert_eq!(key(&[script, "QUERY_STRING="]).to_string(), "/www/a.php, no query");
    }

    #[test]
    fn a_snapshot_may_be_for_requests_without_a_body_only() {
        let has = |variables: &[&str]| {
            let block = StringBlock::from_iter(variables);
            let scopes = [SnapshotScope::All, SnapshotScope::WithoutBody, SnapshotScope::Get];
            assert!(scopes.into_iter().all(|scope| SnapshotScope::of_name(scope.name()) == Some(scope)));
            scopes.map(|scope| scope.has(&block))
        };
        assert_eq!(has(&["REQUEST_METHOD=GET", "CONTENT_LENGTH=0"]), [true, true, true]);
        assert_eq!(has(&["REQUEST_METHOD=HEAD", "CONTENT_LENGTH=0"]), [true, true, false]);
        for others in [
            &["REQUEST_METHOD=GET", "CONTENT_LENGTH=1"][..],
            &["REQUEST_METHOD=POST", "CONTENT_LENGTH=0"],
            &["REQUEST_METHOD=get"],
            &[],
        ] {
            assert_eq!(has(others), [true, false, false], "{others:?}");
        }
    }

    #[test]
    fn names_of_header_fields_are_found_in_a_module() {
        let module = b"\0HTTP_COOKIE\0xxHTTP_X_A1=\0HTTP_\0HTTP_COOKIE\0";
        assert_eq!(header_names(module), ["HTTP_COOKIE", "HTTP_X_A1"]);
    }
}
