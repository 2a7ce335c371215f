//! Fetches the servers' jars, once per user.
//!
//! Owns `<cache>/tapline/stack/<server>-<version>-<mark of the pom>/lib`, shared by all stacks of a
//! user. A folder of that name is always complete: jars are copied beside it and renamed into
//! place. So later starts need no Maven and no network, and starts side by side cannot meet a
//! half-filled folder. A changed pom has another mark and is fetched anew.

use super::{
    Server, StackError,
    home::{lock, tail},
    java::on_path,
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What Maven is asked to resolve.
pub fn pom(server: Server) -> &'static str {
    match server {
        Server::Kafka => include_str!("../../deploy/stack/kafka.pom.xml"),
        Server::Cassandra => include_str!("../../deploy/stack/cassandra.pom.xml"),
    }
}

/// `Err` is a sentence for the user.
pub fn find() -> Result<PathBuf, String> {
    on_path("mvn").ok_or_else(|| {
        "Maven is needed once, to fetch the jars of Kafka and Cassandra: install `mvn`".to_owned()
    })
}

/// The jars of the server, if they were fetched before.
pub fn cached(server: Server) -> Option<PathBuf> {
    let lib = folder(server).join("lib");
    lib.is_dir().then_some(lib)
}

/// The folder with the server's jars, fetched if need be.
pub fn jars(server: Server, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, StackError> {
    if let Some(lib) = cached(server) {
        return Ok(lib);
    }
    let folder = folder(server);
    let io = |cause| StackError::Io { doing: format!("fill {}", folder.display()), cause };
    fs::create_dir_all(&folder).map_err(io)?;
    let _lock = lock(&folder.join("lock"))?;
    if let Some(lib) = cached(server) {
        return Ok(lib); // by another start, while we waited
    }
    progress(&format!("fetching the jars of {server} with Maven (once)"));
    let partial = folder.join("partial");
    match fs::remove_dir_all(&partial) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(io(cause)),
        _ => {}
    }
    fs::create_dir_all(&partial).map_err(io)?;
    fs::write(folder.join("pom.xml"), pom(server)).map_err(io)?;
    copy_dependencies(server, &folder, &partial)?;
    fs::rename(&partial, folder.join("lib")).map_err(io)?;
    Ok(folder.join("lib"))
}

fn copy_dependencies(server: Server, folder: &Path, target: &Path) -> Result<(), StackError> {
    let mvn = find().map_err(|why| super::Missing { java: vec![why], ..Default::default() })?;
    let log = folder.join("maven.log");
    let output = fs::File::create(&log)
        .and_then(|file| Ok((file.try_clone()?, file)))
        .map_err(StackError::io(format!("write {}", log.display())))?;
    let mut target_option = std::ffi::OsString::from("-DoutputDirectory=");
    target_option.push(target);
    let status = Command::new(mvn)
        .args(["--batch-mode", "--quiet", "--file"])
        .arg(folder.join("pom.xml"))
        .arg("dependency:copy-dependencies")
        .arg(target_option)
        .arg("-DincludeScope=runtime")
        .stdin(Stdio::null())
        .stdout(output.0)
        .stderr(output.1)
        .status()
        .map_err(StackError::io("run mvn"))?;
    if !status.success() {
        return Err(StackError::Fetch { server, output: tail(&log) });
    }
    Ok(())
}

fn folder(server: Server) -> PathBuf {
    let cache = match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) if Path::new(&cache).is_absolute() => PathBuf::from(cache),
        (_, Some(home)) => PathBuf::from(home).join(".cache"),
        // No user, as in some build sandboxes: any place that can be written will do.
        (_, None) => env::temp_dir(),
    };
    let pom = pom(server);
    let name = format!("{}-{}-{:08x}", server.folder(), version(pom), mark(pom));
    cache.join("tapline/stack").join(name)
}

/// The version of the first dependency, which names the server.
pub fn version(pom: &str) -> &str {
    let (_, dependencies) = pom.split_once("<dependency>").unwrap_or_default();
    let (_, version) = dependencies.split_once("<version>").unwrap_or_default();
    version.split_once("</version>").unwrap_or_default().0
}

/// FNV-1a, 32 bit: the same on every build, unlike the standard library's hashes.
pub fn mark(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |mark, byte| (mark ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: both ways to run the stack run the same servers, and the cache is keyed by their
    /// version. Method: the poms against the images in the compose file; FNV's published vector.
    #[test]
    fn poms_and_images_agree() {
        let compose = include_str!("../../docker-compose.yml");
        let kafka = version(pom(Server::Kafka));
        assert!(compose.contains(&format!("image: apache/kafka:{kafka}\n")), "{kafka}");
        let cassandra = version(pom(Server::Cassandra));
        let (minor, _) = cassandra.rsplit_once('.').expect("three parts");
        assert!(compose.contains(&format!("image: cassandra:{minor}\n")), "{cassandra}");
        assert_eq!(mark("foobar"), 0xbf9c_f968);
    }
}
