//! Which paths does the admin listener have, and with which methods?

use http::Method;

use crate::observe::RequestId;

/// What a path stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AdminEndpoint {
    Page,
    Livez,
    Readyz,
    Metrics,
    Status,
    Requests,
    Request(RequestId),
    Profiles,
    Profile(RequestId),
    Routes,
    Modules,
    Config,
    Reload,
    LogLevel,
}

impl AdminEndpoint {
    /// The endpoint at `path`.
    pub fn find(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Page,
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/status" => Self::Status,
            "/requests" => Self::Requests,
            "/profiles" => Self::Profiles,
            "/routes" => Self::Routes,
            "/modules" => Self::Modules,
            "/config" => Self::Config,
            "/reload" => Self::Reload,
            "/log-level" => Self::LogLevel,
            _ => match path.strip_prefix("/profiles/") {
                Some(id) => Self::Profile(RequestId::parse(id)?),
                None => Self::Request(RequestId::parse(path.strip_prefix("/requests/")?)?),
            },
        })
    }

    /// Its methods, as the field `Allow` lists them.
    pub fn allow(self) -> &'static str {
        match self {
            Self::Reload => "POST",
            Self::LogLevel => "PUT",
            Self::Request(_) => "DELETE",
            _ => "GET, HEAD",
        }
    }

    /// Whether it has `method`.
    pub fn has(self, method: &Method) -> bool {
        self.allow().split(", ").any(|allowed| allowed == method.as_str())
    }

    /// Whether it needs neither token nor host: probes come over any address, and learn nothing. The page itself is empty, and asks
    /// for the token.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Livez | Self::Readyz | Self::Page)
    }
}

#[cfg(test)]
mod tests {
    use crate::admin::endpoints::*;

    #[test]
    fn a_path_has_its_methods_and_no_others() {
        for (path, allow) in [
            ("/status", "GET, HEAD"),
            ("/reload", "POST"),
            ("/log-level", "PUT"),
            ("/livez", "GET, HEAD"),
            ("/", "GET, HEAD"),
            ("/requests/00000000000000a1", "DELETE"),
            ("/profiles", "GET, HEAD"),
            ("/profiles/00000000000000a1", "GET, HEAD"),
        ] {
            let endpoint = AdminEndpoint::find(path).expect(path);
            assert_eq!(endpoint.allow(), allow);
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
                assert_eq!(endpoint.has(&method), allow.contains(method.as_str()), "{method} {path}");
            }
        }
        for path in [
            "/Status",
            "/status/",
            "//status",
            "/status%2f",
            "/requests/",
            "/requests/a1",
            "/profiles/",
            "/profiles/a1",
            "*",
            "",
        ] {
            assert_eq!(AdminEndpoint::find(path), None, "{path}");
        }
    }
}
