//! Programs with another C library than this system's: started by the loader that came with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{PartError, debian};

/// Writes `bin/NAME`, a script that starts the program with the libraries that came along.
pub(super) fn wrap_programs(
    part: &'static str,
    programs: &[&str],
    into: &Path,
) -> Result<(), PartError> {
    let bin = into.join("bin");
    fs::create_dir_all(&bin).map_err(PartError::file(&bin))?;
    let loader = find(into).ok_or_else(|| PartError::Incomplete {
        part,
        what: "loader of a C library".to_owned(),
    })?;
    for program in programs {
        let place = debian::place_of(part, program, into)?;
        let path = bin.join(program);
        fs::write(&path, script(&loader, &place)).map_err(PartError::file(&path))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .map_err(PartError::file(&path))?;
    }
    Ok(())
}

/// `ld-linux-….so.N` beside the libraries of this machine's architecture, from the part's folder.
fn find(into: &Path) -> Option<PathBuf> {
    let libraries = Path::new("root/usr/lib");
    let folders = fs::read_dir(into.join(libraries)).ok()?.flatten();
    folders
        .filter_map(|folder| {
            let files = fs::read_dir(folder.path()).ok()?.flatten();
            files
                .filter(|file| file.file_name().to_string_lossy().starts_with("ld-linux-"))
                .map(|file| libraries.join(folder.file_name()).join(file.file_name()))
                .next()
        })
        .min()
}

/// Both paths are from the part's folder, wherever that will be.
fn script(loader: &Path, program: &Path) -> String {
    let libraries = loader.parent().unwrap_or(loader).display();
    let (loader, program) = (loader.display(), program.display());
    format!(
        "#!/bin/sh\n\
         part=\"${{0%/*}}/..\"\n\
         exec \"$part/{loader}\" --library-path \"$part/{libraries}\" \"$part/{program}\" \"$@\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_program_takes_its_own_loader_and_libraries() {
        let script = script(
            Path::new("root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
            Path::new("root/usr/sbin/mysqld"),
        );
        assert_eq!(
            script.lines().last().unwrap(),
            "exec \"$part/root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2\" \
             --library-path \"$part/root/usr/lib/x86_64-linux-gnu\" \"$part/root/usr/sbin/mysqld\" \"$@\""
        );
    }

    #[test]
    fn the_loader_is_found_beside_its_libraries() {
        let folder = tempfile::tempdir().unwrap();
        let libraries = folder.path().join("root/usr/lib");
        fs::create_dir_all(libraries.join("mysql/plugin")).unwrap();
        assert_eq!(find(folder.path()), None);
        fs::create_dir_all(libraries.join("aarch64-linux-gnu")).unwrap();
        let place = "root/usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1";
        fs::write(folder.path().join(place), "").unwrap();
        assert_eq!(find(folder.path()), Some(PathBuf::from(place)));
    }
}
