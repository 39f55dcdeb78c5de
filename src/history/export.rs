//! `audit export`: one archive with all that is needed to verify a run without the others, without `reconcile` and without a
//! network. The same run, line and keys give the same bytes. It never changes ledger or runs, and takes in no file whose bytes
//! are not those of the run.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use super::ledger::{self, Line, RunRecord};
use super::manifest::{self, Manifest};
use super::place::{Heard, at, invalid, record_heard};
use super::proof::{self, Proof};
use super::sign::{PublicKeys, SUFFIX, signed_by};
use super::signatures::signature_of;
use super::verify::check_folder_heard;

mod guide;
mod secrets;

use secrets::holds_secret;

/// What goes into the archive besides the run.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// The public keys that may be of use.
    pub keys: PublicKeys,
    /// The folder in which the contract's files were found, by the paths in the manifest; None where there is none.
    pub contract_folder: Option<PathBuf>,
    /// The number of the line whose root the proof leads to; the newest where there is none.
    pub line: Option<u64>,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The run.
    pub run_id: String,
    /// The names in the archive, in its order.
    pub names: Vec<String>,
    /// What could not be put in.
    pub notes: Vec<String>,
}

/// A file of the archive.
enum Content {
    Bytes(Vec<u8>),
    /// Of so many bytes.
    Of(PathBuf, u64),
}

/// Writes the archive of a run. A file that is there is not written over. `heard` is told how many bytes of the run were read,
/// which are three times those of its folder: to be proved, to be listed, and to be written.
///
/// # Errors
/// That there is no such run, that it or the ledger was changed, or what kept the archive from being written.
pub fn export(reports: &Path, run: &str, out: &Path, extras: &Extras, heard: Heard<'_>) -> io::Result<Exported> {
    let proof = proof::prove(reports, run, extras.line)?;
    // Held to the end, so that nothing is pruned meanwhile.
    let _lock = ledger::lock_shared(reports)?;
    let run_id = proof.run_id.clone();
    let folder = reports.join(&run_id);
    if !folder.is_dir() {
        return Err(invalid(reports, format!("run `{run_id}` was pruned; `audit prove` still proves its digest")));
    }
    let line = run_line(&proof).map_err(|problem| invalid(reports, problem))?;
    let (changed, manifest) = check_folder_heard(&folder, &run_id, Some(&line), heard)?;
    let manifest = match (changed.first(), manifest) {
        (None, Some(manifest)) => manifest,
        (problem, _) => {
            let problem = problem.map_or("its manifest cannot be read", String::as_str);
            return Err(invalid(reports, format!("{problem}; a run that was changed is no evidence")));
        }
    };
    let mut archive = Archive::new(&run_id);
    archive.run(&folder, &manifest, heard)?;
    archive.lines(&proof)?;
    archive.keys(&folder, &proof, &extras.keys)?;
    archive.contract(&manifest, extras.contract_folder.as_deref());
    let guide = guide::text(&archive.facts(&line, &proof));
    archive.put("VERIFY.md", guide.into_bytes());
    let recorded_at: jiff::Timestamp = line.recorded_at.parse().map_err(|error| invalid(reports, error))?;
    archive.write(out, u64::try_from(recorded_at.as_second()).unwrap_or_default(), heard)
}

fn run_line(proof: &Proof) -> Result<RunRecord, String> {
    match Line::read(proof.run_line.as_bytes()).record? {
        ledger::Record::Run(run) => Ok(run),
        _ => Err("the line of the run is none of a run".to_owned()),
    }
}

/// What will be written, and what is worth a word of it.
struct Archive {
    run_id: String,
    files: Vec<(String, Content)>,
    notes: Vec<String>,
    /// The keys that signed what, by the name of the file.
    signed: Vec<(String, String)>,
    /// The names of the steps from the leaf to the root.
    steps: Vec<String>,
    contract: bool,
}

impl Archive {
    fn new(run_id: &str) -> Self {
        let (files, notes, signed, steps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { run_id: run_id.to_owned(), files, notes, signed, steps, contract: false }
    }

    fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.files.push((name.to_owned(), Content::Bytes(bytes)));
    }

    /// The run's folder, and its digests as `b3sum --check` reads them.
    fn run(&mut self, folder: &Path, manifest: &Manifest, heard: Heard<'_>) -> io::Result<()> {
        let mut sums = String::new();
        let own = [manifest::FILE.to_owned(), manifest::signature_file()];
        for name in manifest.files.iter().map(|file| &file.name).chain(&own) {
            let Some(file) = record_heard(folder, name, heard)? else { continue };
            let inside = format!("{}/{name}", self.run_id);
            if !own.contains(name) {
                sums.push_str(&format!("{}  {inside}\n", file.blake3));
            }
            self.files.push((inside, Content::Of(folder.join(name), file.bytes)));
        }
        self.put("files.b3sum", sums.into_bytes());
        Ok(())
    }

    /// The proof, its lines, and the path in bytes that `b3sum` reads.
    fn lines(&mut self, proof: &Proof) -> io::Result<()> {
        self.put("proof.json", proof.text()?.into_bytes());
        for (name, text) in [("run-line", &proof.run_line), ("root-line", &proof.root_line)] {
            self.put(&format!("{name}.json"), format!("{text}\n").into_bytes());
            if let Some((content, signature)) = Line::read(text.as_bytes()).signed() {
                let signed = format!("{name}.signed");
                self.signed.push((signed.clone(), signed_by(&signature).unwrap_or_default()));
                self.put(&signed, content.as_bytes().to_vec());
                self.put(&format!("{signed}{SUFFIX}"), signature.into_bytes());
            }
        }
        let steps = proof.steps().ok_or_else(|| io::Error::other("the path is of another length"))?;
        for (index, step) in steps.iter().enumerate() {
            let (side, root) = match step {
                super::merkle::path::Step::Before(root) => ("before", root),
                super::merkle::path::Step::After(root) => ("after", root),
            };
            let name = format!("path/{:02}-{side}", index + 1);
            self.put(&name, root.as_bytes().to_vec());
            self.steps.push(name);
        }
        Ok(())
    }

    /// The public keys that signed any of it, as far as they are known; what does not hold is no evidence.
    fn keys(&mut self, folder: &Path, proof: &Proof, keys: &PublicKeys) -> io::Result<()> {
        if let Some(signature) = signature_of(folder)? {
            let name = format!("{}/{}", self.run_id, manifest::FILE);
            self.signed.insert(0, (name, signed_by(&signature).unwrap_or_default()));
        }
        let mut needed: Vec<String> = self.signed.iter().map(|(_, key)| key.clone()).collect();
        needed.sort_unstable();
        needed.dedup();
        for key in needed {
            match keys.file_of(&key)? {
                Some(text) => self.put(&format!("{key}.pub"), text.into_bytes()),
                None => self.notes.push(format!("public key {key} is not known here; name it with `--key`")),
            }
        }
        if !keys.is_empty() && !self.signed.is_empty() {
            let against = proof::Against { keys: keys.clone(), folder: Some(folder), ..proof::Against::default() };
            let unknown = |problem: &String| problem.contains("another key") || problem.contains("is not signed");
            let proved = proof.clone().check(&against)?;
            if let Some(problem) = proved.problems.iter().find(|problem| !unknown(problem)) {
                return Err(invalid(folder, format!("{problem}; what does not hold is no evidence")));
            }
        }
        Ok(())
    }

    /// The contract's files, as far as they are still those of the run and hold no secret.
    fn contract(&mut self, manifest: &Manifest, folder: Option<&Path>) {
        let mut sums = String::new();
        for (index, file) in manifest.contract_files.iter().enumerate() {
            let path = folder.map(|folder| folder.join(&file.path));
            let bytes = path.and_then(|path| fs::read(path).ok());
            let bytes = bytes.filter(|bytes| blake3::hash(bytes).to_hex().as_str() == file.blake3);
            let Some(bytes) = bytes else {
                self.notes.push(format!("{}: is not here as the run read it, so it was left out", file.path));
                continue;
            };
            if holds_secret(&String::from_utf8_lossy(&bytes)) {
                self.notes.push(format!("{}: may hold a secret, so it was left out", file.path));
                continue;
            }
            let name = inside(index, &file.path);
            sums.push_str(&format!("{}  {name}\n", file.blake3));
            self.put(&name, bytes);
        }
        self.contract = !sums.is_empty();
        if self.contract {
            self.put("contract.b3sum", sums.into_bytes());
        }
    }

    fn facts<'a>(&'a self, line: &'a RunRecord, proof: &'a Proof) -> guide::Facts<'a> {
        guide::Facts {
            line,
            proof,
            signed: &self.signed,
            steps: &self.steps,
            contract: self.contract,
            notes: &self.notes,
        }
    }

    /// Every file by name, of nobody, at the instant of the run.
    fn write(mut self, out: &Path, mtime: u64, heard: Heard<'_>) -> io::Result<Exported> {
        self.files.sort_by(|one, other| one.0.cmp(&other.0));
        let file = OpenOptions::new().write(true).create_new(true).open(out).map_err(at(out))?;
        let written = self.tar(file, mtime, heard);
        if let Err(error) = written {
            _ = fs::remove_file(out);
            return Err(at(out)(error));
        }
        let names = self.files.into_iter().map(|(name, _)| name).collect();
        Ok(Exported { run_id: self.run_id, names, notes: self.notes })
    }

    fn tar(&self, file: File, mtime: u64, heard: Heard<'_>) -> io::Result<()> {
        let mut builder = tar::Builder::new(io::BufWriter::new(file));
        for (name, content) in &self.files {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Regular);
            header.set_mode(0o644);
            header.set_mtime(mtime);
            header.set_uid(0);
            header.set_gid(0);
            let name = format!("evidence-{}/{name}", self.run_id);
            match content {
                Content::Bytes(bytes) => {
                    header.set_size(bytes.len() as u64);
                    builder.append_data(&mut header, name, bytes.as_slice())?;
                }
                Content::Of(path, bytes) => {
                    header.set_size(*bytes);
                    let file = File::open(path).map_err(at(path))?;
                    builder.append_data(&mut header, name, Listened { file, heard })?;
                }
            }
        }
        let mut out = builder.into_inner()?;
        out.flush()?;
        out.get_ref().sync_all()
    }
}

/// A file that is read, telling how far it is.
struct Listened<'a> {
    file: File,
    heard: Heard<'a>,
}

impl io::Read for Listened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        (self.heard)(read as u64);
        Ok(read)
    }
}

/// Where a contract's file stands in the archive: as it is named, unless that leads elsewhere.
fn inside(index: usize, path: &str) -> String {
    let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    // `b3sum --check` reads no name with a line break in it.
    if plain && !path.contains(['\n', '\\']) {
        format!("contract/{path}")
    } else {
        format!("contract/file-{}.toml", index + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_archive() {
        assert_eq!(inside(0, "contracts/a.toml"), "contract/contracts/a.toml");
        assert_eq!(inside(1, "../b.toml"), "contract/file-2.toml");
        assert_eq!(inside(2, "/etc/c.toml"), "contract/file-3.toml");
    }
}
