//! Container images as OCI archives, written without a container engine: what `ctr images import` and registries take.
//!
//! The form is the OCI image layout in a tar file (image-spec 1.1: `oci-layout`, `index.json`, `blobs/sha256/…`).

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest as _, Sha256};

mod libraries;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image holds and starts.
#[derive(Debug, Clone)]
pub struct Image {
    name: String,
    entrypoint: Vec<String>,
    user: Option<u32>,
    files: Vec<Entry>,
}

#[derive(Debug, Clone)]
enum Entry {
    Folder { path: String, mode: u32 },
    Program { from: PathBuf, path: String },
    Text { path: String, text: String },
    Link { path: String, to: String },
}

impl Image {
    /// An empty image by its full name, such as `docker.io/library/web:1`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            entrypoint: Vec::new(),
            user: None,
            files: Vec::new(),
        }
    }

    /// What it starts.
    #[must_use]
    pub fn entrypoint<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// Number of the user and group that it runs as [default: root].
    #[must_use]
    pub fn user(mut self, id: u32) -> Self {
        self.user = Some(id);
        self
    }

    /// Takes a program of this machine along, at a path without a leading slash.
    #[must_use]
    pub fn program(mut self, from: impl Into<PathBuf>, path: impl Into<String>) -> Self {
        self.files.push(Entry::Program {
            from: from.into(),
            path: path.into(),
        });
        self
    }

    /// Takes along the shared libraries that a program of this machine is linked with, where they are here.
    ///
    /// # Errors
    /// A program for which `ldd` does not say them, and `ldd` that is not there: it comes with the C library.
    pub fn libraries_of(self, program: &Path) -> io::Result<Self> {
        let all = libraries::libraries(program)?;
        Ok(all.iter().fold(self, |image, library| {
            image.program(library, library.trim_start_matches('/'))
        }))
    }

    /// Takes a whole folder of this machine along, with its links, at a path without a leading slash.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn tree(mut self, from: &Path, path: &str) -> io::Result<Self> {
        let mut entries: Vec<_> = std::fs::read_dir(from)?.collect::<io::Result<_>>()?;
        // The same content gives the same bytes.
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (from, kind) = (entry.path(), entry.file_type()?);
            let path = format!("{path}/{}", entry.file_name().to_string_lossy());
            self = if kind.is_dir() {
                self.folder(&path, 0o755).tree(&from, &path)?
            } else if kind.is_symlink() {
                self.link(path, std::fs::read_link(&from)?.to_string_lossy())
            } else {
                self.program(from, path)
            };
        }
        Ok(self)
    }

    /// A text file.
    #[must_use]
    pub fn text(mut self, path: impl Into<String>, text: impl Into<String>) -> Self {
        self.files.push(Entry::Text {
            path: path.into(),
            text: text.into(),
        });
        self
    }

    /// A folder with permissions of its own; those above files need no mention.
    #[must_use]
    pub fn folder(mut self, path: impl Into<String>, mode: u32) -> Self {
        self.files.push(Entry::Folder {
            path: path.into(),
            mode,
        });
        self
    }

    /// A symbolic link.
    #[must_use]
    pub fn link(mut self, path: impl Into<String>, to: impl Into<String>) -> Self {
        self.files.push(Entry::Link {
            path: path.into(),
            to: to.into(),
        });
        self
    }

    /// Its full name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the archive. The same content gives the same bytes.
    ///
    /// # Errors
    /// A program that cannot be read, or what the file system says of `into`.
    pub fn write(&self, into: &Path) -> io::Result<()> {
        // The layer's digest stands before it in the archive, so the layer is written first, beside it.
        let layer_path = into.with_extension("layer");
        let layer = Hashed::new(File::create(&layer_path)?);
        let (digest, size_bytes) = self.write_layer(layer)?.finish()?;
        let result = self.write_layout(into, &layer_path, &digest, size_bytes);
        std::fs::remove_file(&layer_path)?;
        result
    }

    fn write_layer(&self, to: Hashed<File>) -> io::Result<Hashed<File>> {
        let mut tar = tar::Builder::new(to);
        let mut folders = std::collections::BTreeSet::new();
        for entry in &self.files {
            let path = entry.path();
            for above in Path::new(path)
                .ancestors()
                .skip(1)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
            {
                let above = above.to_string_lossy().into_owned();
                if !above.is_empty() && folders.insert(above.clone()) {
                    append(&mut tar, &above, tar::EntryType::Directory, 0o755, &[])?;
                }
            }
            match entry {
                Entry::Folder { path, mode } => {
                    folders.insert(path.clone());
                    append(&mut tar, path, tar::EntryType::Directory, *mode, &[])?;
                }
                Entry::Text { path, text } => {
                    append(
                        &mut tar,
                        path,
                        tar::EntryType::Regular,
                        0o644,
                        text.as_bytes(),
                    )?;
                }
                Entry::Program { from, path } => {
                    let mut file = File::open(from)?;
                    let mut header = header(tar::EntryType::Regular, 0o755, file.metadata()?.len());
                    tar.append_data(&mut header, path, &mut file)?;
                }
                Entry::Link { path, to } => {
                    let mut header = header(tar::EntryType::Symlink, 0o777, 0);
                    tar.append_link(&mut header, path, to)?;
                }
            }
        }
        tar.into_inner()
    }

    fn write_layout(
        &self,
        into: &Path,
        layer: &Path,
        layer_digest: &str,
        layer_bytes: u64,
    ) -> io::Result<()> {
        let mut process = json!({"Env": [PATH], "WorkingDir": "/", "Entrypoint": self.entrypoint});
        if let Some(id) = self.user {
            process["User"] = format!("{id}:{id}").into();
        }
        let config = serde_json::to_vec(&json!({
            "architecture": architecture(),
            "os": "linux",
            "config": process,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
            "history": [{"created_by": "foreshard-testbed"}],
        }))?;
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(&config), "size": config.len()},
            "layers": [{
                "mediaType": LAYER,
                "digest": format!("sha256:{layer_digest}"),
                "size": layer_bytes,
            }],
        }))?;
        let tag = self.name.rsplit(':').next().unwrap_or("latest");
        let index = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [{
                "mediaType": MANIFEST,
                "digest": digest_of(&manifest),
                "size": manifest.len(),
                "platform": {"architecture": architecture(), "os": "linux"},
                "annotations": {
                    "io.containerd.image.name": self.name,
                    "org.opencontainers.image.ref.name": tag,
                },
            }],
        }))?;
        let mut tar = tar::Builder::new(File::create(into)?);
        let regular = tar::EntryType::Regular;
        append(
            &mut tar,
            "oci-layout",
            regular,
            0o644,
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        append(&mut tar, "index.json", regular, 0o644, &index)?;
        for blob in [&config, &manifest] {
            append(&mut tar, &blob_path(&digest_of(blob)), regular, 0o644, blob)?;
        }
        let mut head = header(regular, 0o644, layer_bytes);
        tar.append_data(
            &mut head,
            blob_path(&format!("sha256:{layer_digest}")),
            File::open(layer)?,
        )?;
        tar.into_inner()?.flush()
    }
}

impl Entry {
    fn path(&self) -> &str {
        match self {
            Self::Folder { path, .. }
            | Self::Program { path, .. }
            | Self::Text { path, .. }
            | Self::Link { path, .. } => path,
        }
    }
}

/// Root's, and as old as Unix: what the image is made of, not when or by whom.
fn header(kind: tar::EntryType, mode: u32, size_bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size_bytes);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn append<W: Write>(
    tar: &mut tar::Builder<W>,
    path: &str,
    kind: tar::EntryType,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = header(kind, mode, bytes.len() as u64);
    tar.append_data(&mut header, path, bytes)
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Counts and hashes what passes through.
struct Hashed<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Hashed<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    fn finish(mut self) -> io::Result<(String, u64)> {
        self.inner.flush()?;
        Ok((hex(&self.hash.finalize()), self.bytes))
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    fn contents(archive: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut tar = tar::Archive::new(File::open(archive).unwrap());
        let read = |entry: io::Result<tar::Entry<'_, File>>| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (path, bytes)
        };
        tar.entries().unwrap().map(read).collect()
    }

    #[test]
    fn an_archive_is_the_same_twice_and_every_digest_leads_to_its_blob() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("web");
        std::fs::write(&program, b"#!/bin/sh\n").unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("below")).unwrap();
        std::fs::write(tree.join("below/file"), b"x").unwrap();
        std::os::unix::fs::symlink("below/file", tree.join("file")).unwrap();
        let image = Image::new("docker.io/local/web:1")
            .entrypoint(["/usr/bin/web"])
            .user(1000)
            .program(&program, "usr/bin/web")
            .folder("tmp", 0o1777)
            .text("etc/passwd", "root:x:0:0::/:\n")
            .link("bin", "usr/bin")
            .tree(&tree, "opt")
            .unwrap();
        let (one, two) = (folder.path().join("one.tar"), folder.path().join("two.tar"));
        image.write(&one).unwrap();
        image.write(&two).unwrap();
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());

        let files = contents(&one);
        let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        let blob = |of: &serde_json::Value| {
            let digest = of["digest"].as_str().unwrap();
            let bytes = &files[&blob_path(digest)];
            assert_eq!(
                (digest_of(bytes), bytes.len() as u64),
                (digest.to_owned(), of["size"].as_u64().unwrap())
            );
            bytes.clone()
        };
        let index = json(&files["index.json"]);
        assert_eq!(
            index["manifests"][0]["annotations"]["io.containerd.image.name"],
            image.name()
        );
        let manifest = json(&blob(&index["manifests"][0]));
        let config = json(&blob(&manifest["config"]));
        assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/web");
        assert_eq!(config["config"]["User"], "1000:1000");
        let layer = blob(&manifest["layers"][0]);
        assert_eq!(config["rootfs"]["diff_ids"][0], digest_of(&layer));
        let mut layer = tar::Archive::new(layer.as_slice());
        let paths: Vec<String> = layer
            .entries()
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .path()
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert_eq!(
            paths,
            [
                "usr",
                "usr/bin",
                "usr/bin/web",
                "tmp",
                "etc",
                "etc/passwd",
                "bin",
                "opt",
                "opt/below",
                "opt/below/file",
                "opt/file"
            ]
        );
    }

    #[test]
    fn a_missing_program_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let image = Image::new("a:1").program(folder.path().join("none"), "none");
        assert!(image.write(&folder.path().join("a.tar")).is_err());
    }
}
