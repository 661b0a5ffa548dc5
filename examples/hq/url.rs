//! What is to be fetched: `https://HOST[:PORT]/PATH`, or `/PATH` alone.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// The longest path, so that its request is within what a server reads.
const LONGEST_PATH: usize = 4000;

/// A server, as a URL names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its name or its address, without brackets; it must prove to be that.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Authority {
    /// Reads `HOST`, `HOST:PORT`, or an IPv6 address in brackets.
    fn parse(text: &str, usual_port: u16) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(bracketed) => bracketed.split_once(']')?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port {
            "" => usual_port,
            port => port.strip_prefix(':')?.parse().ok().filter(|port| *port != 0)?,
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        let is_sound = !host.is_empty() && host.bytes().all(is_plain);
        is_sound.then(|| Self { host: host.to_owned(), port })
    }
}

/// A file of a server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Whose.
    pub authority: Authority,
    /// Its path there, with the slash it begins with.
    pub path: String,
}

impl Url {
    /// Reads a URL; one that is a path alone is of `home`, if there is one.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong and what would be right.
    pub fn parse(text: &str, home: Option<&Authority>, usual_port: u16) -> Result<Self, String> {
        let (authority, path) = if text.starts_with('/') {
            let home = home
                .cloned()
                .ok_or_else(|| format!("{text} names no server; set HOST, or use https://SERVER{text}"))?;
            (home, text)
        } else {
            let rest = text
                .strip_prefix("https://")
                .ok_or_else(|| format!("{text} is no URL of ours; use https://SERVER:PORT/FILE"))?;
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let authority = Authority::parse(authority, usual_port).ok_or_else(|| {
                format!(
                    "{authority} is no server; use a name or an address, and perhaps a port from 1 to 65535"
                )
            })?;
            (authority, path)
        };
        let path = if path.is_empty() { "/" } else { path };
        if path.len() > LONGEST_PATH || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "{text} cannot be asked for; a path has at most {LONGEST_PATH} bytes, no spaces, and ASCII alone"
            ));
        }
        Ok(Self { authority, path: path.to_owned() })
    }

    /// Where in a folder the file is stored: under its own path, which leaves the folder at no point.
    ///
    /// # Errors
    ///
    /// A path that names no file, or leads elsewhere.
    pub fn file(&self) -> Result<PathBuf, String> {
        let file = Path::new(self.path.trim_start_matches('/'));
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if self.path.ends_with('/') || !file.components().all(is_plain) {
            return Err(format!(
                "{self} names no file to store; use a path without `..` that ends in a name"
            ));
        }
        Ok(file.to_owned())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, u16, String)> {
        let Url { authority: Authority { host, port }, path } = Url::parse(text, None, 443).ok()?;
        Some((host, port, path))
    }

    #[test]
    fn a_url_has_a_host_perhaps_a_port_and_a_path() {
        let url = |host: &str, port, path: &str| Some((host.to_owned(), port, path.to_owned()));
        assert_eq!(parsed("https://server4:4433/a/b"), url("server4", 4433, "/a/b"));
        assert_eq!(parsed("https://server"), url("server", 443, "/"));
        assert_eq!(parsed("https://[::1]:4433/file"), url("::1", 4433, "/file"));
        assert_eq!(parsed("https://[::1]/file"), url("::1", 443, "/file"));
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in [
            "",
            "server",
            "http://server/",
            "https://",
            "https:///file",
            "https://server:/file",
            "https://server:0/file",
            "https://server:65536/file",
            "https://[::1/file",
            "https://a b/file",
            "https://server/a b",
            "https://server/a\r\nGET /b",
            "/file",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parsed(&format!("https://server/{}", "a".repeat(4000))), None);
    }

    #[test]
    fn a_path_alone_is_of_the_usual_server() {
        let home = Authority { host: "server".into(), port: 443 };
        let url = Url::parse("/file", Some(&home), 443).expect("a path");
        assert_eq!(url.to_string(), "https://server:443/file");
    }

    #[test]
    fn a_file_is_stored_under_its_path_and_nowhere_else() {
        let file = |path: &str| {
            Url { authority: Authority { host: "server".into(), port: 443 }, path: path.into() }.file().ok()
        };
        assert_eq!(file("/a/b"), Some("a/b".into()));
        assert_eq!(file("//a"), Some("a".into()));
        for path in ["/", "/a/", "/..", "/../a", "/a/../../b"] {
            assert_eq!(file(path), None, "{path}");
        }
    }
}
