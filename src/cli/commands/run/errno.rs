//! What are the error numbers of WASI called? Called by `trace`.

/// The error of a call for which there is no grant.
pub(super) const NOT_CAPABLE: i32 = 76;

/// The names by number, as in errno.h.
const NAMES: [&str; 77] = [
    "0",
    "E2BIG",
    "EACCES",
    "EADDRINUSE",
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EAGAIN",
    "EALREADY",
    "EBADF",
    "EBADMSG",
    "EBUSY",
    "ECANCELED",
    "ECHILD",
    "ECONNABORTED",
    "ECONNREFUSED",
    "ECONNRESET",
    "EDEADLK",
    "EDESTADDRREQ",
    "EDOM",
    "EDQUOT",
    "EEXIST",
    "EFAULT",
    "EFBIG",
    "EHOSTUNREACH",
    "EIDRM",
    "EILSEQ",
    "EINPROGRESS",
    "EINTR",
    "EINVAL",
    "EIO",
    "EISCONN",
    "EISDIR",
    "ELOOP",
    "EMFILE",
    "EMLINK",
    "EMSGSIZE",
    "EMULTIHOP",
    "ENAMETOOLONG",
    "ENETDOWN",
    "ENETRESET",
    "ENETUNREACH",
    "ENFILE",
    "ENOBUFS",
    "ENODEV",
    "ENOENT",
    "ENOEXEC",
    "ENOLCK",
    "ENOLINK",
    "ENOMEM",
    "ENOMSG",
    "ENOPROTOOPT",
    "ENOSPC",
    "ENOSYS",
    "ENOTCONN",
    "ENOTDIR",
    "ENOTEMPTY",
    "ENOTRECOVERABLE",
    "ENOTSOCK",
    "ENOTSUP",
    "ENOTTY",
    "ENXIO",
    "EOVERFLOW",
    "EOWNERDEAD",
    "EPERM",
    "EPIPE",
    "EPROTO",
    "EPROTONOSUPPORT",
    "EPROTOTYPE",
    "ERANGE",
    "EROFS",
    "ESPIPE",
    "ESRCH",
    "ESTALE",
    "ETIMEDOUT",
    "ETXTBSY",
    "EXDEV",
    "ENOTCAPABLE",
];

/// The name of an error number, or the number.
pub(super) fn name(errno: i64) -> String {
    let known = usize::try_from(errno).ok().and_then(|errno| NAMES.get(errno));
    known.map_or_else(|| errno.to_string(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use crate::cli::commands::run::errno::*;

    #[test]
    fn numbers_have_the_names_of_errno_h() {
        for (errno, expected) in [
            (0, "0"),
            (8, "EBADF"),
            (28, "EINVAL"),
            (44, "ENOENT"),
            (63, "EPERM"),
            (76, "ENOTCAPABLE"),
            (77, "77"),
            (-1, "-1"),
        ] {
            assert_eq!(name(errno), expected);
        }
    }
}
