//! The environment of the QUIC interop runner: how it tells an endpoint what to be and what to do.

use std::path::PathBuf;

/// What the environment says, as far as it says anything; an empty variable says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `ROLE`: `server` or `client`.
    pub role: Option<String>,
    /// `TESTCASE`: which one is played.
    pub testcase: Option<String>,
    /// `REQUESTS`: URLs, separated by spaces.
    pub requests: Option<String>,
    /// `SSLKEYLOGFILE`: where TLS secrets are logged.
    pub keylog: Option<PathBuf>,
    /// `HOST`: where a server listens, and of whom a client asks what has no host.
    pub host: Option<String>,
    /// `PORT`: the same, 443 without it.
    pub port: Option<String>,
    /// `WWW`: what a server serves, `/www` without it.
    pub www: Option<PathBuf>,
    /// `DOWNLOADS`: where a client stores, `/downloads` without it.
    pub downloads: Option<PathBuf>,
    /// `CERTS`: holds `cert.pem`, `priv.key` and `ca.pem`, `/certs` without it.
    pub certs: Option<PathBuf>,
}

impl Environment {
    /// Asks `variable` for each of them.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let text = |name| variable(name).filter(|value| !value.is_empty());
        let path = |name| text(name).map(PathBuf::from);
        Self {
            role: text("ROLE"),
            testcase: text("TESTCASE"),
            requests: text("REQUESTS"),
            keylog: path("SSLKEYLOGFILE"),
            host: text("HOST"),
            port: text("PORT"),
            www: path("WWW"),
            downloads: path("DOWNLOADS"),
            certs: path("CERTS"),
        }
    }

    /// Whether this is a run of the runner's, whose defaults hold then.
    pub fn is_a_run(&self) -> bool {
        self.role.is_some() || self.testcase.is_some()
    }

    /// What is served.
    pub fn www(&self) -> Option<PathBuf> {
        self.or(&self.www, "/www")
    }

    /// Where downloads go.
    pub fn downloads(&self) -> Option<PathBuf> {
        self.or(&self.downloads, "/downloads")
    }

    /// A file among the certificates.
    pub fn certificate(&self, name: &str) -> Option<PathBuf> {
        self.or(&self.certs, "/certs").map(|certs| certs.join(name))
    }

    fn or(&self, said: &Option<PathBuf>, usual: &str) -> Option<PathBuf> {
        said.clone().or_else(|| self.is_a_run().then(|| usual.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &'static [(&str, &str)]) -> Environment {
        Environment::read(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn a_run_has_its_usual_places() {
        let run = of(&[("ROLE", "client"), ("TESTCASE", "transfer")]);
        assert_eq!(run.www(), Some("/www".into()));
        assert_eq!(run.downloads(), Some("/downloads".into()));
        assert_eq!(run.certificate("ca.pem"), Some("/certs/ca.pem".into()));
    }

    #[test]
    fn places_can_be_said() {
        let run = of(&[("ROLE", "server"), ("WWW", "here"), ("CERTS", "there")]);
        assert_eq!(run.www(), Some("here".into()));
        assert_eq!(run.certificate("priv.key"), Some("there/priv.key".into()));
    }

    #[test]
    fn without_a_run_nothing_is_assumed() {
        let nothing = of(&[("ROLE", ""), ("HOST", "somewhere")]);
        assert!(!nothing.is_a_run());
        assert_eq!((nothing.www(), nothing.downloads(), nothing.certificate("ca.pem")), (None, None, None));
    }
}
