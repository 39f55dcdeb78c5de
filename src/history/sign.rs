//! minisign keys: what signs a manifest or a line of the ledger, and what proves such a signature. A secret key is opened before
//! anything is compared, never while it may be read by others, and nothing of it or of its password is ever shown.

use std::fmt;
use std::fs;
use std::io::{self, Cursor};
use std::path::Path;

use minisign::{PublicKey, SecretKey, SecretKeyBox, SignatureBox};

use super::place::at;
use crate::contract::Sign;

/// What is added to a file's name for its signature.
pub(super) const SUFFIX: &str = ".minisig";
/// No file of a key or signature is longer.
const MOST_BYTES: u64 = 64 * 1024;
/// The first eight characters of a secret key in base64: Ed25519, no or scrypt, BLAKE2b.
const PLAIN: &str = "RWQAAEIy";
const LOCKED: &str = "RWRTY0Iy";

/// Signs what enters the ledger.
pub struct Signer {
    secret: SecretKey,
    public: PublicKey,
}

impl Signer {
    /// Opens the key. What that takes in memory is held against the limit first, because the key says how much it takes.
    ///
    /// # Errors
    /// Why the key cannot be used, as one sentence that names its file.
    pub fn open(sign: &Sign, memory_limit: Option<u64>) -> io::Result<Self> {
        let path = &sign.key;
        let refused =
            |problem: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {problem}", path.display()));
        for_its_owner_alone(path)?;
        let text = read_short(path)?;
        let encoded = text.lines().nth(1).unwrap_or_default().trim();
        let boxed = || SecretKeyBox::from(text.clone());
        let opened = if encoded.starts_with(PLAIN) {
            let opened = boxed().into_unencrypted_secret_key().ok().or_else(|| without_checksum(encoded));
            opened.ok_or_else(|| refused("the key is damaged"))
        } else if encoded.starts_with(LOCKED) {
            let Some(password) = &sign.password else {
                return Err(refused("the key has a password, `run.sign.password` gives none"));
            };
            let takes = memory_to_open(encoded).ok_or_else(|| refused("the key is damaged"))?;
            if let Some(limit) = memory_limit.filter(|&limit| takes > limit) {
                return Err(refused(&format!(
                    "opening the key takes {} MiB, more than the memory limit of {} MiB; raise the limit, or use a key \
                     without a password (`minisign -G -W`)",
                    takes >> 20,
                    limit >> 20
                )));
            }
            boxed()
                .into_secret_key(Some(password.reveal().to_owned()))
                .map_err(|_| refused("`run.sign.password` does not open the key"))
        } else {
            Err(refused("is not a minisign secret key (`minisign -G -s FILE` makes one)"))
        };
        let secret = opened?;
        let public = PublicKey::from_secret_key(&secret).map_err(|_| refused("the key is damaged"))?;
        let signer = Self { secret, public };
        // A key without checksum shows only now that its halves are not of one key.
        signer.sign(b"", "").map_err(|_| refused("the key is damaged"))?;
        Ok(signer)
    }

    /// The number that tells keys apart, as `minisign` shows it.
    #[must_use]
    pub fn key_id(&self) -> String {
        key_id(self.public.keynum())
    }

    /// The file of the public key, as `minisign` reads it.
    ///
    /// # Errors
    /// A defect of the key.
    pub fn public_key(&self) -> io::Result<String> {
        self.public.to_box().map(String::from).map_err(io::Error::other)
    }

    /// The signature of some bytes, as `minisign -V` reads it. `comment` is signed with them.
    pub(super) fn sign(&self, bytes: &[u8], comment: &str) -> io::Result<String> {
        let untrusted = format!("signed by reconcile with key {}", self.key_id());
        let made =
            minisign::sign(Some(&self.public), &self.secret, Cursor::new(bytes), Some(comment), Some(&untrusted));
        made.map(String::from).map_err(io::Error::other)
    }
}

/// Nothing but the key's number.
impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Signer({})", self.key_id())
    }
}

/// The keys whose signatures are believed: one, or several where keys were changed.
#[derive(Clone, Debug, Default)]
pub struct PublicKeys(Vec<PublicKey>);

impl PublicKeys {
    /// Each of these is a public key in base64, or the file of one.
    ///
    /// # Errors
    /// The first that is neither, as one sentence.
    pub fn read(words: &[String]) -> io::Result<Self> {
        words.iter().map(|word| public_key(word)).collect::<io::Result<_>>().map(Self)
    }

    /// These and that of a signer.
    #[must_use]
    pub fn with(mut self, signer: Option<&Signer>) -> Self {
        self.0.extend(signer.map(|signer| signer.public.clone()));
        self
    }

    /// The file of the key of this number, as `minisign` reads it; None where it is not among them.
    pub(super) fn file_of(&self, id: &str) -> io::Result<Option<String>> {
        let key = self.0.iter().find(|key| key_id(key.keynum()) == id);
        key.map(|key| key.to_box().map(String::from).map_err(io::Error::other)).transpose()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their numbers.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|key| key_id(key.keynum())).collect()
    }

    /// The number of the key that signed these bytes; else what is wrong, as the rest of a sentence.
    pub(super) fn check(&self, bytes: &[u8], signature: &str) -> Result<String, String> {
        let signature = parse(signature)?;
        let id = key_id(signature.keynum());
        let of_that_id: Vec<&PublicKey> = self.0.iter().filter(|key| key.keynum() == signature.keynum()).collect();
        if of_that_id.is_empty() {
            return Err(format!("was signed by another key, {id}"));
        }
        let holds =
            |key: &&PublicKey| minisign::verify(key, &signature, Cursor::new(bytes), true, false, false).is_ok();
        if of_that_id.iter().any(holds) {
            Ok(id)
        } else {
            Err(format!("was changed: its signature by key {id} does not hold"))
        }
    }
}

/// The number of the key that a signature says it is of.
pub(super) fn signed_by(signature: &str) -> Result<String, String> {
    parse(signature).map(|signature| key_id(signature.keynum()))
}

fn parse(signature: &str) -> Result<SignatureBox, String> {
    let none = || "has a signature that is none of minisign's".to_owned();
    // The library takes the lengths for granted: 74 bytes of signature, 64 of the one over the comment, in base64.
    let lengths: Vec<usize> = signature.lines().map(str::len).collect();
    if !matches!(lengths[..], [_, 100, _, 88]) {
        return Err(none());
    }
    SignatureBox::from_string(signature).map_err(|_| none())
}

fn public_key(word: &str) -> io::Result<PublicKey> {
    let invalid = |problem: String| io::Error::new(io::ErrorKind::InvalidInput, problem);
    if let Ok(key) = PublicKey::from_base64(word) {
        return Ok(key);
    }
    let path = Path::new(word);
    if !path.is_file() {
        return Err(invalid(format!(
            "`{word}` is neither a minisign public key (56 characters that begin with RW) nor a file"
        )));
    }
    let text = read_short(path)?;
    // With or without the line of comment.
    let key = text.lines().find_map(|line| PublicKey::from_base64(line.trim()).ok());
    key.ok_or_else(|| invalid(format!("{word}: holds no minisign public key")))
}

fn key_id(number: &[u8]) -> String {
    number.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

/// What scrypt takes, which a locked key says of itself.
fn memory_to_open(encoded: &str) -> Option<u64> {
    Some(u64::from_le_bytes(before_checksum(encoded)?.get(46..54)?.try_into().ok()?))
}

/// A key without password whose checksum is all zeros, as minisign 0.11 writes it.
fn without_checksum(encoded: &str) -> Option<SecretKey> {
    let checksum = encoded.get(168..)?.strip_suffix('=')?;
    let all_zeros = checksum.len() == 43 && checksum.bytes().all(|letter| letter == b'A');
    let key = [before_checksum(encoded)?, vec![0; 32]].concat();
    SecretKey::from_bytes(&key).ok().filter(|_| all_zeros)
}

/// The bytes of a secret key up to its checksum. They are three times as many as those of a public key, so that what reads
/// one reads the other.
fn before_checksum(encoded: &str) -> Option<Vec<u8>> {
    let part = |start| Some(PublicKey::from_base64(encoded.get(start..start + 56)?).ok()?.to_bytes());
    Some([part(0)?, part(56)?, part(112)?].concat())
}

/// A file that cannot be long.
pub(super) fn read_short(path: &Path) -> io::Result<String> {
    let length = fs::metadata(path).map_err(at(path))?.len();
    if length > MOST_BYTES {
        return Err(at(path)(io::Error::new(io::ErrorKind::InvalidData, "is no key or signature, it is too long")));
    }
    fs::read_to_string(path).map_err(at(path))
}

/// Refuses a secret key that others may read or write.
#[cfg(unix)]
fn for_its_owner_alone(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path).map_err(at(path))?.permissions().mode() & 0o777;
    let of_others = mode & 0o077;
    if of_others == 0 {
        return Ok(());
    }
    let problem = format!("may be used by others than its owner (mode {mode:04o}), expected 0600: `chmod 600` it");
    Err(at(path)(io::Error::new(io::ErrorKind::PermissionDenied, problem)))
}

/// Elsewhere no mode tells.
#[cfg(not(unix))]
fn for_its_owner_alone(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) mod tests;
