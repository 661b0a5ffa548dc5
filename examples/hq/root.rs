//! The folder that is served, and nothing beside it.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Why a file is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such file, or it is none that one may have.
    NotFound,
    /// It is there, but cannot be read now.
    Unreadable,
}

/// A folder whose files, and those of the folders in it, may be read by anybody.
#[derive(Debug)]
pub struct Root {
    folder: PathBuf,
}

impl Root {
    /// Serves this folder.
    ///
    /// # Errors
    ///
    /// It is not there, or no folder.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let folder = folder.canonicalize()?;
        if !folder.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { folder })
    }

    /// Opens the file of this path, as a request names it, and tells its length in bytes.
    ///
    /// The path begins with one slash and is taken literally. `%` is refused, since nobody knows who decodes it, and so is
    /// everything by which a path could lead out of the folder: `..`, a second slash, NUL, and links that point elsewhere.
    ///
    /// # Errors
    ///
    /// Why it is not served. A client learns nothing about what lies outside.
    pub fn open(&self, path: &str) -> Result<(File, u64), Refusal> {
        let relative = path.strip_prefix('/').filter(|path| !path.contains(['\0', '%', '\\']));
        let relative = Path::new(relative.ok_or(Refusal::NotFound)?);
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !relative.components().all(is_plain) {
            return Err(Refusal::NotFound);
        }
        let file = self.folder.join(relative).canonicalize().map_err(|_| Refusal::NotFound)?;
        // Asked before it is opened: to open a pipe would be to wait for its writer.
        if !file.starts_with(&self.folder) || !file.is_file() {
            return Err(Refusal::NotFound);
        }
        let file = File::open(file).map_err(|_| Refusal::Unreadable)?;
        let len = file.metadata().map_err(|_| Refusal::Unreadable)?.len();
        Ok((file, len))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::folder::Folder;

    /// A root with a file in it, one in a folder in it, and one outside.
    fn root() -> (Folder, Root) {
        let folder = Folder::new();
        folder.write("www/file", b"served");
        folder.write("www/below/other", b"served too");
        folder.write("secret", b"not served");
        let root = Root::new(&folder.path().join("www")).expect("it is there");
        (folder, root)
    }

    fn contents(root: &Root, path: &str) -> Result<String, Refusal> {
        let (mut file, len) = root.open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).expect("it can be read");
        assert_eq!(text.len() as u64, len);
        Ok(text)
    }

    #[test]
    fn files_in_it_are_served() {
        let (_folder, root) = root();
        assert_eq!(contents(&root, "/file").as_deref(), Ok("served"));
        assert_eq!(contents(&root, "/below/other").as_deref(), Ok("served too"));
    }

    #[test]
    fn nothing_else_is() {
        let (folder, root) = root();
        let absolute = format!("/{}", folder.path().join("secret").display());
        for path in [
            "",
            "/",
            "file",
            "/nothing",
            "/below",
            "/below/",
            "/../secret",
            "/below/../../secret",
            "/..",
            "/below/../file",
            "/%2e%2e/secret",
            "/%2E%2E/secret",
            "/..%2fsecret",
            "/file\0",
            "/file\0.txt",
            "/\\..\\secret",
            "//file",
            "//etc/hostname",
            "/./file/../../secret",
            &absolute,
        ] {
            assert_eq!(contents(&root, path), Err(Refusal::NotFound), "{path:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_followed_within_the_folder_but_not_out_of_it() {
        let (folder, root) = root();
        let link = |to: &str, name: &str| {
            std::os::unix::fs::symlink(to, folder.path().join("www").join(name)).expect("it can be made");
        };
        link("below/other", "inside");
        link("../secret", "outside");
        link("..", "up");
        link("/etc/hostname", "absolute");
        assert_eq!(contents(&root, "/inside").as_deref(), Ok("served too"));
        for path in ["/outside", "/up/secret", "/absolute"] {
            assert_eq!(contents(&root, path), Err(Refusal::NotFound), "{path}");
        }
    }

    #[test]
    fn a_root_must_be_a_folder() {
        let (folder, _) = root();
        assert!(Root::new(&folder.path().join("secret")).is_err());
        assert!(Root::new(&folder.path().join("nowhere")).is_err());
    }
}
