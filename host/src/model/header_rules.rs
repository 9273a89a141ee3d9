//! Which headers of a delivery belong to whom: one list for the configuration, for modules and for the deliverer.

/// What the host writes itself, and what would break the connection or change its meaning. Lower case.
const OF_THE_HOST: [&str; 12] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// And what begins so.
const PREFIXES_OF_THE_HOST: [&str; 2] = ["proxy-", "webhook-"];

/// What proves something to a receiver: an endpoint may set it, a module may not.
const CREDENTIALS: [&str; 2] = ["authorization", "cookie"];

/// Whether only the host sets this header, whatever its case.
#[must_use]
pub fn is_header_of_the_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    OF_THE_HOST.contains(&name.as_str()) || PREFIXES_OF_THE_HOST.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a module may set this header.
#[must_use]
pub fn is_header_for_modules(name: &str) -> bool {
    !is_header_of_the_host(name) && !CREDENTIALS.iter().any(|credential| name.eq_ignore_ascii_case(credential))
}

/// Parts of names of headers that prove something. A bare `key` is none: `idempotency-key`, `x-routing-key`.
const WORDS_OF_CREDENTIALS: [&str; 12] = [
    "authoriz",
    "authent",
    "token",
    "secret",
    "password",
    "cookie",
    "signature",
    "hmac",
    "credential",
    "api-key",
    "apikey",
    "access-key",
];

/// Whether a request's header proves something to its receiver, by its name: such a header is neither kept nor shown to modules.
#[must_use]
pub fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS_OF_CREDENTIALS.iter().any(|word| name.contains(word)) || name.split('-').any(|part| part == "auth")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_told_by_its_name() {
        let credentials = ["Authorization", "cookie", "X-Api-Key", "x-hub-signature-256", "x-gitlab-token", "X-Auth"];
        let providers = [
            "x-telegram-bot-api-secret-token",
            "x-amz-security-token",
            "proxy-authorization",
            "ocp-apim-apikey",
            "x-shopify-hmac-sha256",
        ];
        for name in credentials.iter().chain(&providers) {
            assert!(is_credential(name), "{name}");
        }
        for name in ["idempotency-key", "x-author", "webhook-id", "x-github-event", "content-type", "ce-partitionkey"] {
            assert!(!is_credential(name), "{name}");
        }
    }

    #[test]
    fn a_header_is_the_hosts_the_endpoints_or_anybodys() {
        let hosts = ["Host", "te", "EXPECT", "trailer", "keep-alive", "proxy-authorization", "Proxy-Connection"];
        for name in hosts.iter().chain(&["http2-settings", "webhook-id", "Webhook-Anything", "user-agent"]) {
            assert!(is_header_of_the_host(name) && !is_header_for_modules(name), "{name}");
        }
        for name in ["Authorization", "cookie"] {
            assert!(!is_header_of_the_host(name) && !is_header_for_modules(name), "{name}");
        }
        for name in ["x-team", "accept", "te-x", "webhook", "proxy"] {
            assert!(!is_header_of_the_host(name) && is_header_for_modules(name), "{name}");
        }
    }
}
