//! Names as Kubernetes takes them.

/// Is this a DNS-1123 label? Says what is wrong with it otherwise.
pub(super) fn label(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("is empty");
    }
    if name.len() > 63 {
        return Err("is longer than 63 characters");
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.bytes().all(allowed) {
        return Err("is no name: only a-z, 0-9 and `-` are allowed, as in `daily`");
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err("is no name: it must begin and end with a letter or a digit, as in `daily`");
    }
    Ok(())
}
